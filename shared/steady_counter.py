"""The short way through a counter that does nothing special.

Nearly every counter only stands still or rises plausibly, poll after poll. There the increments of `shared.counter_fold` need not be made
one by one: what flowed until a moment is the difference of two readings, plus a part of the increment in which the moment lies.
`SteadyCounter.until` gives exactly what folding the same readings would give, or None where only folding can tell.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from shared.counter_fold import PLATEAU_US, CounterLimits, ceiling_wh

_NO_LIMIT = 1 << 63


@dataclass(frozen=True, slots=True)
class SteadyCounter:
    """A lifetime counter without recorded interventions, and the stretches in which it was steady.

    Attributes:
        moments: of its values (microseconds of Unix time), ascending, none twice.
        values: in Wh.
        limits: what is plausible.
        runs: first and last index of each stretch in which every value is a plausible successor of the one before, without a gap.
    """

    moments: Sequence[int]
    values: Sequence[int]
    limits: CounterLimits
    runs: Sequence[tuple[int, int]]

    @classmethod
    def of(cls, moments: Sequence[int], values: Sequence[int], limits: CounterLimits) -> "SteadyCounter":
        """Find the steady stretches of a counter."""
        return cls(moments, values, limits, _runs(moments, values, limits))

    def until(self, edges: Sequence[int], *, first: int, last: int) -> list[int] | None:
        """What flowed until each of some moments, judged by the readings from `first` to `last` (both included) alone.

        Args:
            edges: at least two moments, ascending; differences between them are what counts.
            first: first moment of the readings to judge by, not after the first edge.
            last: last moment of the readings to judge by, not before the last edge.

        Returns:
            Wh since some common moment; None if these readings are not steady or do not reach from the first to the last edge.
        """
        low, high = bisect.bisect_left(self.moments, first), bisect.bisect_right(self.moments, last) - 1
        if low > high or self.moments[low] > edges[0] or self.moments[high] < edges[-1]:
            return None
        run = self._run_of(low, high)
        if run is None or not self._is_cut_well(low, high, run, edges):
            return None
        return [self._until(edge, run) for edge in edges]

    def _run_of(self, low: int, high: int) -> tuple[int, int] | None:
        """The run that holds all readings from one index to another."""
        start, end = self.runs[bisect.bisect_right(self.runs, low, key=lambda run: run[0]) - 1]
        return (start, end) if start <= low and high <= end else None

    def _is_cut_well(self, low: int, high: int, run: tuple[int, int], edges: Sequence[int]) -> bool:
        """Whether it makes no difference between the edges that the run goes on beyond the readings to judge by."""
        if high < run[1] and self.moments[high] - PLATEAU_US < edges[-1]:
            return False
        rise = bisect.bisect_right(self.values, self.values[low], low, run[1] + 1)
        if rise > run[1]:
            return True
        began = self._began(rise, run)
        if began >= self.moments[low]:
            return True
        # The first rise seems to take less time if the standstill before it is not seen whole.
        seen = max(self.moments[low], self.moments[rise - 1] - PLATEAU_US)
        step = self.values[rise] - self.values[low]
        return self.moments[rise] <= edges[0] and step <= _ceiling(self.limits, self.moments[rise] - seen)

    def _began(self, rise: int, run: tuple[int, int]) -> int:
        """When the increment that ends with a rise began."""
        first_seen = bisect.bisect_left(self.values, self.values[rise - 1], run[0], rise)
        return max(self.moments[first_seen], self.moments[rise - 1] - PLATEAU_US)

    def _until(self, edge: int, run: tuple[int, int]) -> int:
        index = bisect.bisect_right(self.moments, edge) - 1
        value = self.values[index]
        rise = bisect.bisect_right(self.values, value, index, run[1] + 1)
        if rise > run[1]:
            return value
        began = self._began(rise, run)
        if began >= edge:
            return value
        return value + (self.values[rise] - value) * (edge - began) // (self.moments[rise] - began)


def _runs(moments: Sequence[int], values: Sequence[int], limits: CounterLimits) -> list[tuple[int, int]]:
    """First and last index of each steady stretch; a value that no register can hold is in a stretch of its own."""
    if not moments:
        return []
    runs, start = list[tuple[int, int]](), 0
    max_gap_us, highest = limits.max_gap_us, _NO_LIMIT if limits.width_wh is None else limits.width_wh - 1
    seen_at, before_at, before = moments[0], moments[0], values[0]
    pace, allowed = 0, 0
    for index, (at, value) in enumerate(zip(moments, values, strict=True)):
        step, elapsed = value - before, at - before_at
        if elapsed != pace:
            # Polls keep their pace, so that the ceiling of one is mostly that of the next.
            pace, allowed = elapsed, _ceiling(limits, elapsed)
        if not (
            0 < elapsed <= max_gap_us
            and 0 <= before <= value <= highest
            and (step <= allowed or step <= _ceiling(limits, at - max(seen_at, before_at - PLATEAU_US)))
        ):
            if index:
                runs.append((start, index - 1))
            start, seen_at = index, at
        elif step:
            seen_at = at
        before_at, before = at, value
    runs.append((start, len(moments) - 1))
    return runs


def _ceiling(limits: CounterLimits, elapsed_us: int) -> int:
    ceiling = ceiling_wh(limits, elapsed_us)
    return _NO_LIMIT if ceiling is None else ceiling
