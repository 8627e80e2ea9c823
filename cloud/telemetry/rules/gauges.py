"""Mean, extremes and coverage of a value that was sampled at moments."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
US_PER_SECOND = 1_000_000


def microseconds(at: datetime) -> int:
    """Unix time in microseconds, exactly."""
    return (at - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Course:
    """A value's course within a window.

    Attributes:
        mean: weighted by time, straight between two samples; the plain mean where no two samples are near enough.
        low: lowest sample inside the window; None if the window only lies between two samples.
        high: highest sample inside.
        last: last sample inside.
        covered_us: microseconds of the window between samples that are near enough.
    """

    mean: float
    low: float | None
    high: float | None
    last: float | None
    covered_us: int

    @property
    def covered_s(self) -> int:
        """Whole seconds covered."""
        return self.covered_us // US_PER_SECOND


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one value in order of time: moments in microseconds of Unix time, and the values."""

    moments: Sequence[int]
    values: Sequence[float]

    def course(self, start: int, end: int, *, longest: int) -> Course | None:
        """The course in [start, end), or None if no sample tells of it.

        Args:
            start: microseconds of Unix time.
            end: likewise.
            longest: two samples further apart than this (microseconds) do not cover the time between them.
        """
        first, last = bisect.bisect_left(self.moments, start), bisect.bisect_left(self.moments, end)
        inside = self.values[first:last]
        area, covered = 0.0, 0
        for index in range(max(first - 1, 0), min(last, len(self.moments) - 1)):
            t0, t1 = self.moments[index], self.moments[index + 1]
            if t1 - t0 > longest:
                continue
            left, right = max(t0, start), min(t1, end)
            if right > left:
                v0, slope = self.values[index], (self.values[index + 1] - self.values[index]) / (t1 - t0)
                area += (v0 + slope * ((left + right) / 2 - t0)) * (right - left)
                covered += right - left
        if not covered and not inside:
            return None
        mean = area / covered if covered else sum(inside) / len(inside)
        if not inside:
            return Course(mean, None, None, None, covered)
        return Course(mean, min(inside), max(inside), inside[-1], covered)
