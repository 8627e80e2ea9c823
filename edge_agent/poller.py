"""Asks every device of the plan in its rhythm, and hands on what it says.

Polls sit on a grid: a device with interval p is asked at the moments k x p of Unix time, once each; missed ones are skipped. A device
that does not answer is asked less and less often, so that it costs the others little; that is normal at night and no alarm.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from edge_agent.alerting import Alerting
from edge_agent.clock import Clock, monotonic_ms, to_ms
from edge_agent.drivers.base import DeviceAnswer, Driver, DriverError
from edge_agent.store.boots import Timeline
from edge_agent.store.buffer import Buffer
from edge_agent.store.newest import Newest
from edge_agent.supervise import Progress
from shared.enums import Quality, TimeQuality
from shared.readings import Reading, Value
from shared.wire import EdgePlan, NewestReading, PlanDevice

LOG = logging.getLogger(__name__)

FIRST_BACKOFF_S = 2.0
USUAL_BACKOFF_S = 45.0
"""A device that comes back is heard within a minute, the wait for its next slot included, if asking it in vain is cheap."""

LONGEST_BACKOFF_S = 300.0
PROBE_SHARE = 20
"""Asking a silent device may take one part in so many of the time: a dead unit costs the others at most 5 %."""

SILENCE_RECORD_S = 300.0
"""A device that stays silent is recorded as such this often."""

LONGEST_SLEEP_MS = 60_000
WATCH_PERIOD_S = 1.0
"""Real seconds between two looks at the device tasks."""

READ_LIMIT_S = 120.0
"""Real seconds after which a driver that neither answers nor fails is broken off."""


class Builder(Protocol):
    """Makes drivers: `edge_agent.drivers.factory.DriverFactory`."""

    def build(self, device: PlanDevice) -> Driver:
        """Build the driver of one device.

        Raises:
            DriverError: with `retry=False` if the plan's description of the device is wrong.
        """
        ...


@dataclass(frozen=True, slots=True)
class LiveDevice:
    """What is known of one device now.

    Attributes:
        at: moment of the newest attempt that was recorded.
        link_up: None until it was asked.
        answered_at: when it last answered.
        values: of that answer.
        error: why it does not answer; "" if it does.
        failures: attempts in vain since the last answer.
        latency_ms: of the last answer.
    """

    device: PlanDevice
    at: datetime | None = None
    link_up: bool | None = None
    answered_at: datetime | None = None
    values: dict[str, Value] | None = None
    quality: Quality = Quality.GOOD
    error: str = ""
    failures: int = 0
    latency_ms: float | None = None


def next_slot_ms(now_ms: int, interval_ms: int, last_ms: int | None) -> int:
    """The moment of the next poll: on the grid, not before now unless now's slot is exactly now, and each slot once.

    Args:
        now_ms: Unix time.
        interval_ms: of the grid.
        last_ms: slot served last. One that lies ahead of now by more than an interval was served before the clock was put back.
    """
    slot = math.ceil(now_ms / interval_ms) * interval_ms
    if last_ms is None or last_ms - now_ms > interval_ms:
        return slot
    return max(slot, last_ms + interval_ms)


def backoff_s(failures: int, attempt_s: float) -> float:
    """How long to leave a device alone after so many failures in a row, the last of which took this long; 0 after none."""
    if failures == 0:
        return 0.0
    growing = min(FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 30), USUAL_BACKOFF_S)
    return min(max(growing, attempt_s * PROBE_SHARE), LONGEST_BACKOFF_S)


class Poller:
    """One task per device.

    Attributes:
        live: by device id, in the plan's order.
    """

    def __init__(
        self,
        builder: Builder,
        *,
        clock: Clock,
        timeline: Timeline,
        buffer: Buffer,
        alerting: Alerting,
        progress: Progress,
        known: dict[UUID, Newest],
        on_reading: Callable[[Reading], None] = lambda _: None,
    ) -> None:
        self._builder = builder
        self._clock = clock
        self._timeline = timeline
        self._buffer = buffer
        self._alerting = alerting
        self._progress = progress
        self._known = known
        self._on_reading = on_reading
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self.live: dict[UUID, LiveDevice] = {}

    def newest(self) -> tuple[NewestReading, ...]:
        """The last answer of every device that answers now, for the heartbeat."""
        return tuple(
            NewestReading(device_id=each.device.id, at=each.answered_at, quality=int(each.quality), values=each.values)
            for each in self.live.values()
            if each.link_up and each.answered_at is not None and each.values is not None
        )

    async def apply(self, plan: EdgePlan) -> None:
        """Ask the devices of this plan from now on; those that did not change go on undisturbed."""
        wanted = {device.id: device for device in plan.devices}
        changed = [key for key, live in self.live.items() if wanted.get(key) != live.device]
        await self._stop(changed)
        self.live = {
            key: self.live[key] if key in self._tasks else self._first(device) for key, device in wanted.items()
        }
        for key in wanted.keys() - self._tasks.keys():
            self._tasks[key] = asyncio.create_task(self._poll(key), name=f"poll {wanted[key].name}")

    async def run(self) -> None:
        """Watch over the device tasks until cancelled.

        Raises:
            Exception: whatever a device task failed with; that one starts again with the next `run`, the others go on meanwhile.
        """
        for key in self.live.keys() - self._tasks.keys():
            self._tasks[key] = asyncio.create_task(self._poll(key), name=f"poll {self.live[key].device.name}")
        try:
            while True:
                if all(task.done() for task in self._tasks.values()):
                    self._progress.beat("poll")  # nothing to ask; otherwise the device tasks speak for themselves
                self._raise_failed()
                await asyncio.sleep(WATCH_PERIOD_S)
        except asyncio.CancelledError:
            await self._stop(list(self._tasks))
            raise

    def _raise_failed(self) -> None:
        for key, task in list(self._tasks.items()):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                del self._tasks[key]
                raise error

    async def _stop(self, keys: list[UUID]) -> None:
        tasks = [task for key in keys if (task := self._tasks.pop(key, None)) is not None]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                LOG.error("device_task_failed", exc_info=result)

    def _first(self, device: PlanDevice) -> LiveDevice:
        """What the store remembers of a device."""
        known = self._known.get(device.id)
        if known is None:
            return LiveDevice(device)
        return LiveDevice(
            device, at=known.at, answered_at=known.answered_at, values=dict(known.values), quality=known.quality
        )

    async def _poll(self, key: UUID) -> None:
        device = self.live[key].device
        try:
            driver = self._builder.build(device)
        except DriverError as error:
            self._note_unusable(device, error)
            return
        try:
            await self._poll_with(driver, device)
        finally:
            await driver.close()

    def _note_unusable(self, device: PlanDevice, error: DriverError) -> None:
        LOG.error("device_unusable", extra={"device": device.name, "kind": error.kind, "error": str(error)})
        self.live[device.id] = replace(self.live[device.id], link_up=False, error=str(error))

    async def _poll_with(self, driver: Driver, device: PlanDevice) -> None:
        interval_ms = max(1, round(device.poll_interval_s * 1000))
        at = self.live[device.id].at
        slot_ms = None if at is None else to_ms(at) // interval_ms * interval_ms  # its slot was served before a restart
        not_before_ms = 0
        while True:
            await self._wait_for_slot(interval_ms, slot_ms, not_before_ms)
            began_ms = monotonic_ms(self._clock)
            slot_ms = (self._timeline.boot.offset_ms + began_ms) // interval_ms * interval_ms
            # An answer that takes longer than its slot is dated within it: it was measured somewhere in between, and two
            # readings of a device never bear the same moment.
            latest_ms = slot_ms + interval_ms - 1 - self._timeline.boot.offset_ms
            error = await self._ask(driver, device, latest_ms=latest_ms)
            ended_ms = monotonic_ms(self._clock)
            pause_s = self._pause_s(device, error, attempt_s=(ended_ms - began_ms) / 1000)
            not_before_ms = ended_ms + round(pause_s * 1000)

    def _pause_s(self, device: PlanDevice, error: DriverError | None, *, attempt_s: float) -> float:
        """How long to leave the device alone. An attempt that waited for its turn on a bus was not all the device's cost."""
        if error is not None and not error.retry:
            return LONGEST_BACKOFF_S  # asking again is of no use before somebody has acted
        is_rationed = error is not None and error.is_rationed
        return backoff_s(self.live[device.id].failures, 0.0 if is_rationed else attempt_s)

    async def _ask(self, driver: Driver, device: PlanDevice, *, latest_ms: int) -> DriverError | None:
        """Read a device once.

        Returns:
            Why there was no answer.
        """
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                answer = await driver.read()
        except DriverError as error:
            self._take_failure(device, str(error), kind=error.kind, latest_ms=latest_ms)
            return error
        except TimeoutError:
            stuck = DriverError(f"no answer and no error within {READ_LIMIT_S:g} s", retry=True, kind="stuck")
            self._take_failure(device, str(stuck), kind=stuck.kind, latest_ms=latest_ms)
            return stuck
        finally:
            self._progress.beat("poll")
        latency_ms = (self._clock.monotonic() - began) * 1000
        self._take_answer(device, answer, latency_ms=latency_ms, latest_ms=latest_ms)
        return None

    async def _wait_for_slot(self, interval_ms: int, last_ms: int | None, not_before_ms: int) -> None:
        """Sleep until the next slot after `not_before_ms` (monotonic), whatever happens to the clock meanwhile."""
        while True:
            mono_ms = monotonic_ms(self._clock)
            now_ms = self._timeline.boot.offset_ms + mono_ms
            slot_ms = next_slot_ms(max(now_ms, now_ms + not_before_ms - mono_ms), interval_ms, last_ms)
            while now_ms < slot_ms:
                # A clock that is put right while we sleep moves the grid: look again often enough.
                await self._clock.sleep(min(slot_ms - now_ms, interval_ms, LONGEST_SLEEP_MS) / 1000)
                self._progress.beat("poll")
                before_ms, now_ms = now_ms, self._timeline.boot.offset_ms + monotonic_ms(self._clock)
                if abs(now_ms - before_ms) > 2 * max(interval_ms, LONGEST_SLEEP_MS):
                    break
            if slot_ms <= now_ms < slot_ms + interval_ms:
                return

    def _take_answer(self, device: PlanDevice, answer: DeviceAnswer, *, latency_ms: float, latest_ms: int) -> None:
        before = self.live[device.id]
        reading = self._record(device, dict(answer.values), answer.quality, latest_ms=latest_ms)
        if before.failures:
            LOG.info("device_back", extra={"device": device.name, "failures": before.failures})
        self.live[device.id] = LiveDevice(
            device,
            at=reading.at,
            link_up=True,
            answered_at=reading.at,
            values=dict(answer.values),
            quality=reading.quality,
            latency_ms=latency_ms,
        )
        self._alerting.observe(reading)
        self._on_reading(reading)

    def _take_failure(self, device: PlanDevice, message: str, *, kind: str, latest_ms: int) -> None:
        before = self.live[device.id]
        now = self._timeline.now()
        since_s = math.inf if before.at is None else abs((now - before.at).total_seconds())
        at = before.at
        if before.link_up is not False or since_s >= SILENCE_RECORD_S:
            at = self._record(device, {}, Quality.LINK_DOWN, latest_ms=latest_ms).at
        if before.link_up is not False:
            LOG.warning("device_silent", extra={"device": device.name, "kind": kind, "error": message})
        self.live[device.id] = replace(before, at=at, link_up=False, error=message, failures=before.failures + 1)
        self._alerting.observe_silence(device.id, now)

    def _record(self, device: PlanDevice, values: dict[str, Value], quality: Quality, *, latest_ms: int) -> Reading:
        mono_ms, boot = min(monotonic_ms(self._clock), latest_ms), self._timeline.boot
        if boot.time_quality is TimeQuality.UNKNOWN:
            quality |= Quality.TIME_UNCERTAIN
        reading = Reading(device_id=device.id, at=boot.date(mono_ms), values=values, quality=quality)
        self._buffer.append(reading, mono_ms=mono_ms, boot=boot)
        return reading
