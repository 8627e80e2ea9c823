"""Energy under a measured power, in whole numbers, so that no order of summing changes the last digit."""

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_US_PER_HOUR = 3_600_000_000
_QUARTER_US = 900_000_000

Point = tuple[int, int]
"""Microseconds of Unix time, power in W."""


def energy_under(
    points: Sequence[Point], *, longest_us: int, taken: Sequence[tuple[int, int]] = ()
) -> list[tuple[int, int, int]]:
    """Integrate power by trapezoids, one result per quarter-hour and uninterrupted stretch.

    Summed in 2 x W x microseconds and rounded once per result, so that short polls lose nothing.

    Args:
        points: in order of time.
        longest_us: two points further apart leave a hole.
        taken: (start, end) of what is known better, in order and without overlap; a trapezoid that touches it is left out.

    Returns:
        (start, end, Wh) in microseconds of Unix time.
    """
    starts = [start for start, _ in taken]
    stretches: list[_Stretch] = []
    for (t0, w0), (t1, w1) in itertools.pairwise(points):
        follower = bisect.bisect_left(starts, t1)
        if t1 - t0 > longest_us or (follower and taken[follower - 1][1] > t0):
            continue
        for start, end, area in _split(t0, w0, t1, w1):
            if stretches and stretches[-1].end == start and start % _QUARTER_US:
                stretches[-1].end = end
                stretches[-1].area += area
            else:
                stretches.append(_Stretch(start, end, area))
    return [(stretch.start, stretch.end, stretch.energy_wh) for stretch in stretches]


@dataclass(slots=True)
class _Stretch:
    """An uninterrupted stretch of measured power inside one quarter-hour; `area` in 2 x W x microseconds."""

    start: int
    end: int
    area: int

    @property
    def energy_wh(self) -> int:
        return (self.area + _US_PER_HOUR) // (2 * _US_PER_HOUR)


def _split(t0: int, w0: int, t1: int, w1: int) -> Iterable[tuple[int, int, int]]:
    """The trapezoid between two powers, cut at quarter-hours: (start, end, 2 x area), with areas that sum exactly."""

    def doubled_until(moment: int) -> int:
        elapsed = moment - t0
        return 2 * w0 * elapsed + (w1 - w0) * elapsed * elapsed // (t1 - t0)

    start = t0
    while start < t1:
        end = min(start - start % _QUARTER_US + _QUARTER_US, t1)
        yield start, end, doubled_until(end) - doubled_until(start)
        start = end
