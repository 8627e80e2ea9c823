"""Time is given, never taken: every long-lived part of the agent uses the clock that it was built with."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A wall clock, a monotonic clock and a way to wait on them."""

    def now(self) -> datetime:
        """Aware UTC time, which may jump when the box's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow within one boot; never set."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for this many seconds of this clock."""
        ...


class SystemClock:
    """The box's own clocks."""

    def now(self) -> datetime:
        """Aware UTC time of the operating system."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """`CLOCK_BOOTTIME`: goes on while the box is suspended."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(max(0.0, seconds))


@dataclass(frozen=True, slots=True)
class VirtualClock:
    """A clock that runs through a stretch of time at its own speed, the same in every process that is given the same four values.

    Before `epoch` it stands at `start`, and once it has reached `end` it stands there: what is read first and last is read at
    exactly these moments. Used to simulate a day in minutes.

    Attributes:
        start: first moment.
        end: last moment.
        speed: seconds of this clock per real second.
        epoch: Unix time (s) at which it starts to run.
    """

    start: datetime
    end: datetime
    speed: float
    epoch: float

    def _elapsed(self) -> float:
        elapsed = (time.time() - self.epoch) * self.speed
        return min(max(0.0, elapsed), (self.end - self.start).total_seconds())

    def now(self) -> datetime:
        """`start` to `end`."""
        return self.start + timedelta(seconds=self._elapsed())

    def monotonic(self) -> float:
        """Seconds since `start`."""
        return self._elapsed()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds / speed` of real time, whether the clock stands or runs."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)
