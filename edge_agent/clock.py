"""Time is given, never taken: every long-lived part of the agent uses the clock that it was built with."""

import asyncio
import ctypes
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
        epoch: Unix time (s) at which it starts to run, or the file that will say so.
    """

    start: datetime
    end: datetime
    speed: float
    epoch: "float | EpochFile"

    def _elapsed(self) -> float:
        epoch = self.epoch.read() if isinstance(self.epoch, EpochFile) else self.epoch
        elapsed = (time.time() - epoch) * self.speed
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


class EpochFile:
    """A Unix time (s) that somebody will write into a file: how several processes wait for each other before time begins.

    The file must appear complete, by a rename.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._epoch = math.inf

    def read(self) -> float:
        """The moment; infinitely far away until the file is there."""
        if self._epoch == math.inf and self._path.exists():
            self._epoch = float(self._path.read_text(encoding="ascii"))
        return self._epoch


def to_ms(moment: datetime) -> int:
    """Unix time in whole milliseconds, rounded."""
    return round((moment - EPOCH) / timedelta(milliseconds=1))


def from_ms(unix_ms: int) -> datetime:
    """Aware UTC moment of a Unix time in milliseconds, exact."""
    return EPOCH + timedelta(milliseconds=unix_ms)


def monotonic_ms(clock: Clock) -> int:
    """The monotonic clock in whole milliseconds."""
    return round(clock.monotonic() * 1000)


def wall_offset_ms(clock: Clock) -> int:
    """Milliseconds to add to the monotonic clock to get Unix time, as the wall clock has it now."""
    if isinstance(clock, VirtualClock):
        return to_ms(clock.start)  # exact, where a measurement would be off by the time it takes, times the speed
    samples = []
    for _ in range(3):
        before = clock.monotonic()
        now = clock.now()
        after = clock.monotonic()
        samples.append((after - before, to_ms(now) - round((before + after) * 500)))
    return min(samples)[1]  # the sample that was interrupted least


def boot_identity(clock: Clock) -> str:
    """Names the stretch of time within which the monotonic clock is one and the same; survives a restart of the process."""
    if isinstance(clock, VirtualClock):
        return f"virtual:{clock.start.isoformat()}:{clock.speed!r}:{clock.epoch!r}"
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


_TIME_ERROR = 5
"""adjtimex(2): the kernel's clock is not synchronised."""


def is_synchronised(clock: Clock) -> bool:
    """Whether the operating system vouches for the wall clock (adjtimex(2)); a simulated clock is always right."""
    if isinstance(clock, VirtualClock):
        return True
    timex = ctypes.create_string_buffer(512)  # zeroed: asks only; longer than struct timex on any machine
    state = int(ctypes.CDLL(None).adjtimex(timex))
    return 0 <= state < _TIME_ERROR
