"""Runs the zero-export loop: looks at the newest readings, asks `zero_export` for the limit, has it written.

The meter and the inverter are read by the poller as ever; the loop only adds writes. What it holds for the inverter's limit is what was
confirmed last: a write that failed is tried again at the next step.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.control.rules import Refusal, Writable, WriteRefusedError, on_step
from edge_agent.control.zero_export import Loop, Seen, Why, ZeroExportSettings, begin, step
from edge_agent.drivers.base import DriverError

LOG = logging.getLogger(__name__)

PERIOD_S = 1.0
FAREWELL_S = 5.0
"""Real seconds for the last write when the agent ends."""

Look = Callable[[float], Seen]
"""What is known now, given the seconds since the last look."""


class Write(Protocol):
    """Writes the limit."""

    async def __call__(self, value: Decimal, *, refresh: bool) -> None:
        """Write so many percent; `refresh`: also if the inverter holds them already."""
        ...


class ZeroExport:
    """The loop of one inverter and one meter.

    Args:
        settings: of the site.
        writable: the limit as the inverter's profile describes it, in percent.
        clock: of the agent.
        look: see `Look`.
        write: see `Write`.
        accepts_loss: the installer accepts that nobody lowers the limit while the agent is not running.

    Raises:
        WriteRefusedError: if the control is not made for being written every few seconds, or would leave the site without a limit when
            the agent ends and nobody has accepted that.
    """

    def __init__(
        self,
        settings: ZeroExportSettings,
        writable: Writable,
        *,
        clock: Clock,
        look: Look,
        write: Write,
        accepts_loss: bool = False,
    ) -> None:
        if writable.in_flash:
            raise WriteRefusedError(
                f"{writable.name}: each write wears the inverter's memory, and the loop writes every few seconds; use the inverter's"
                " own export limit with its own meter",
                reason=Refusal.FLASH_BUDGET,
            )
        if not accepts_loss:
            raise WriteRefusedError(
                f"{writable.name}: while the agent is not running, the inverter {_when_lost(writable)}; set accepts_loss = true if the"
                " site may export then",
                reason=Refusal.NO_REVERSION,
            )
        self._settings = settings
        self._writable = writable
        self._clock = clock
        self._look = look
        self._write = write
        self._given: Decimal | None = None
        self._given_at = 0.0
        self._is_failing = False
        self.state = begin(settings)

    async def run(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Follow the meter until cancelled, or until it shall not be followed any more; then the fall-back limit is written."""
        before = self._clock.monotonic()
        try:
            while not until():
                now = self._clock.monotonic()
                await self.follow(self._look(now - before))
                before = now
                await self._clock.sleep(PERIOD_S)
        finally:
            await self._say_farewell()

    async def follow(self, seen: Seen) -> None:
        """One step."""
        wanted = step(self.state, seen, self._settings)
        if wanted.why is not self.state.why and wanted.why in {Why.METER_LOST, Why.METER_UNPROVEN}:
            LOG.warning("zero_export", extra={"why": wanted.why.value, "limit_percent": wanted.limit_percent})
        value = on_step(self._writable, Decimal(repr(wanted.limit_percent)))
        is_old = self._is_old()
        if value == self._given and not is_old:
            self.state = wanted
            return
        try:
            await self._write(value, refresh=is_old)
        except (DriverError, WriteRefusedError) as error:
            if not self._is_failing:
                LOG.warning("zero_export_not_written", extra={"limit_percent": str(value), "error": str(error)})
            self._is_failing = True
            self.state = replace(wanted, limit_percent=self.state.limit_percent)
            return
        self._is_failing = False
        self._given, self._given_at = value, self._clock.monotonic()
        self.state = Loop(float(value), wanted.meter_back_s, wanted.why)

    def _is_old(self) -> bool:
        """Whether the inverter would soon take the limit back by itself."""
        after_s = self._writable.reverts_after_s
        return (
            after_s is not None and self._given is not None and self._clock.monotonic() - self._given_at >= after_s / 3
        )

    async def _say_farewell(self) -> None:
        value = on_step(self._writable, Decimal(repr(self._settings.fallback_percent)))
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._write(value, refresh=True)
        except (DriverError, WriteRefusedError, TimeoutError) as error:
            LOG.warning("zero_export_not_written", extra={"limit_percent": str(value), "error": str(error)})


def _when_lost(writable: Writable) -> str:
    if writable.reverts_after_s is None:
        return "keeps the limit that it was given last"
    return f"forgets its limit after {writable.reverts_after_s:g} s"
