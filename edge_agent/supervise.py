"""Keeps long-lived tasks alive, stops them together, and tells systemd only the truth about it."""

import asyncio
import ctypes
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from edge_agent.clock import Clock

LOG = logging.getLogger(__name__)

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
HEALTHY_AFTER_S = 300.0
"""A task that ran this long (of the clock it is given) starts again with the first delay."""

SETTLED_AFTER_S = 15.0
MEMORY_PERIOD_S = 600.0
"""Real seconds after which freed memory first goes back to the system, and then between two such times."""


@dataclass(frozen=True, slots=True)
class Task:
    """One long-lived piece of work."""

    name: str
    run: Callable[[], Awaitable[None]]


class Progress:
    """Who has got on with their work lately, in real time: a stuck loop is not saved by a clock that stands still."""

    def __init__(self, limits_s: Mapping[str, float], *, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = dict(limits_s)
        self._now = now
        self._beats = dict.fromkeys(limits_s, now())

    def beat(self, name: str) -> None:
        """Say that `name` has got on."""
        self._beats[name] = self._now()

    def stuck(self) -> list[str]:
        """Names that have not got on for longer than their limit."""
        now = self._now()
        return [name for name, limit in self._limits.items() if now - self._beats[name] > limit]


class Notifier:
    """systemd's notification socket (sd_notify(3)); does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        microseconds = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(microseconds) / 1e6 if microseconds.isdigit() else None

    def send(self, state: str) -> None:
        """Send one state, such as `READY=1`."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto(state.encode(), address)
        except OSError as error:
            LOG.warning("notify_failed", extra={"state": state, "error": str(error)})


async def run(*tasks: Task, clock: Clock, stop: asyncio.Event, notifier: Notifier, progress: Progress) -> None:
    """Run the tasks until `stop` is set; one that fails starts again after a growing delay, the others go on meanwhile.

    A task that returns is done. When this returns, every task has ended.
    """
    running = [asyncio.create_task(_keep_running(task, clock), name=task.name) for task in tasks]
    running.append(asyncio.create_task(_watch(notifier, progress), name="watchdog"))
    notifier.send("READY=1")
    try:
        await stop.wait()
    finally:
        notifier.send("STOPPING=1")
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _keep_running(task: Task, clock: Clock) -> None:
    delay_s = FIRST_DELAY_S
    while True:
        began = clock.monotonic()
        try:
            await task.run()
        except Exception:
            LOG.exception("task_failed", extra={"task": task.name, "restart_in_s": delay_s})
        else:
            return
        if clock.monotonic() - began > HEALTHY_AFTER_S:
            delay_s = FIRST_DELAY_S
        await clock.sleep(delay_s)
        delay_s = min(delay_s * 2, LONGEST_DELAY_S)


async def give_back_memory() -> None:
    """Hand freed memory back to the system now and then, for ever.

    The C library keeps what start-up and large batches have freed, and a box with little memory wants it for its page cache
    (malloc_trim(3); a C library without that function keeps nothing worth the trouble).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    pause_s = SETTLED_AFTER_S
    while trim is not None:
        await asyncio.sleep(pause_s)
        trim(0)
        pause_s = MEMORY_PERIOD_S


async def _watch(notifier: Notifier, progress: Progress) -> None:
    """Feed the watchdog at twice its rate, and only while everybody gets on."""
    if notifier.watchdog_s is None:
        return
    complained: list[str] = []
    while True:
        stuck = progress.stuck()
        if not stuck:
            notifier.send("WATCHDOG=1")
        elif stuck != complained:
            LOG.error("no_progress", extra={"stuck": stuck})
        complained = stuck
        await asyncio.sleep(notifier.watchdog_s / 2)
