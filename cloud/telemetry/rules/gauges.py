"""Mean, extremes and coverage of a value that was sampled at moments."""

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

US_PER_SECOND = 1_000_000


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
    """Samples of one value in order of time.

    Attributes:
        moments: microseconds of Unix time.
        values: at these moments.
        longest: two samples further apart than this (microseconds) do not cover the time between them.
        areas: value x microseconds between each sample and the next; 0 across a gap.
        covered: microseconds covered from the first sample up to each.
    """

    moments: Sequence[int]
    values: Sequence[float]
    longest: int
    areas: Sequence[float]
    covered: Sequence[int]

    @classmethod
    def of(cls, moments: Sequence[int], values: Sequence[float], *, longest: int) -> "Samples":
        """Work out once what every window needs."""
        areas, covered, total = [], [0], 0
        pairs = itertools.pairwise(zip(moments, values, strict=True))
        for (t0, v0), (t1, v1) in pairs:
            span = t1 - t0
            if 0 < span <= longest:
                areas.append((v0 + (v1 - v0) / span * ((t0 + t1) / 2 - t0)) * span)
                total += span
            else:
                areas.append(0.0)
            covered.append(total)
        return cls(moments, values, longest, areas, covered)

    def course(self, start: int, end: int) -> Course | None:
        """The course in [start, end), in microseconds of Unix time, or None if no sample tells of it."""
        first, last = bisect.bisect_left(self.moments, start), bisect.bisect_left(self.moments, end)
        area, covered = self._part(first - 1, start, end)
        if last > first:
            for between in self.areas[first : last - 1]:
                area += between
            covered += self.covered[last - 1] - self.covered[first]
            after, seconds = self._part(last - 1, start, end)
            area, covered = area + after, covered + seconds
        inside = self.values[first:last]
        if not covered and not inside:
            return None
        mean = area / covered if covered else sum(inside) / len(inside)
        if not inside:
            return Course(mean, None, None, None, covered)
        return Course(mean, min(inside), max(inside), inside[-1], covered)

    def _part(self, index: int, start: int, end: int) -> tuple[float, int]:
        """What the stretch from one sample to the next has inside a window: value x microseconds, microseconds."""
        if index < 0 or index + 1 >= len(self.moments):
            return 0.0, 0
        t0, t1 = self.moments[index], self.moments[index + 1]
        left, right = max(t0, start), min(t1, end)
        if t1 - t0 > self.longest or right <= left:
            return 0.0, 0
        v0, slope = self.values[index], (self.values[index + 1] - self.values[index]) / (t1 - t0)
        return (v0 + slope * ((left + right) / 2 - t0)) * (right - left), right - left
