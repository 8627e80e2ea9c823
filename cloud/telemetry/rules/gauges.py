"""Mean, extremes and coverage of a value that was sampled at moments.

Where the time goes: a device has a dozen gauges and a reading a minute. What the moments alone tell (how long each sample counts, which of
them lie in a quarter-hour) is worked out once for all gauges that were sampled together.
"""

import bisect
import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

US_PER_SECOND = 1_000_000


class Course(NamedTuple):
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


_Part: TypeAlias = tuple[int, float, int, int]
"""A stretch between two samples that a window cuts: index of the first, middle of what is inside (microseconds after that sample), its
length, and the length of the whole stretch."""


class Cut(NamedTuple):
    """What a window has of samples.

    Attributes:
        first: index of the first sample inside.
        last: index of the first sample after it.
        covered_us: microseconds of the window between samples that are near enough.
        head: what it has of the stretch that ends with its first sample, or in which it lies.
        tail: what it has of the stretch that begins with its last sample, unless it has all of it.
        is_whole: whether it has all of the stretch that begins with its last sample, as where polls meet its edges.
    """

    first: int
    last: int
    covered_us: int
    head: _Part | None
    tail: _Part | None
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Cover:
    """The moments of samples, and which time they cover.

    Attributes:
        moments: microseconds of Unix time, ascending.
        longest: two samples further apart than this (microseconds) do not cover the time between them.
        spans: microseconds from each sample to the next; 0 across a gap.
        covered: microseconds covered from the first sample up to each.
    """

    moments: Sequence[int]
    longest: int
    spans: Sequence[int]
    covered: Sequence[int]

    @classmethod
    def of(cls, moments: Sequence[int], *, longest: int) -> "Cover":
        """Work out once what every window and every value needs."""
        steps = map(operator.sub, moments[1:], moments)
        spans = [step if 0 < step <= longest else 0 for step in steps]
        return cls(moments, longest, spans, list(itertools.accumulate(spans, initial=0)))

    def cuts(self, edges: Sequence[int]) -> list[Cut]:
        """What the windows between consecutive edges have of the samples."""
        marks = [bisect.bisect_left(self.moments, edge) for edge in edges]
        cuts = []
        for start, end, first, last in zip(edges, edges[1:], marks, marks[1:], strict=False):
            covered = self.covered[last - 1] - self.covered[first] if last > first else 0
            head = self._part(first - 1, start, end)
            tail = self._part(last - 1, start, end) if last > first else None
            covered += (head[2] if head else 0) + (tail[2] if tail else 0)
            is_whole = tail is not None and tail[2] == tail[3]
            cuts.append(Cut(first, last, covered, head, None if is_whole else tail, is_whole))
        return cuts

    def _part(self, index: int, start: int, end: int) -> _Part | None:
        """What the stretch from one sample to the next has inside a window."""
        if index < 0 or index + 1 >= len(self.moments):
            return None
        t0, t1, span = self.moments[index], self.moments[index + 1], self.spans[index]
        left, right = max(t0, start), min(t1, end)
        if not span or right <= left:
            return None
        return index, (left + right) / 2 - t0, right - left, span


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one value in order of time.

    Attributes:
        cover: when.
        values: at these moments.
        areas: value x microseconds between each sample and the next; 0 across a gap.
    """

    cover: Cover
    values: Sequence[float]
    areas: Sequence[float]

    @classmethod
    def of(cls, moments: Sequence[int], values: Sequence[float], *, longest: int) -> "Samples":
        """Values at moments (microseconds of Unix time); see `Cover` for `longest`."""
        return cls.at(Cover.of(moments, longest=longest), values)

    @classmethod
    def at(cls, cover: Cover, values: Sequence[float]) -> "Samples":
        """Values at moments that are known already."""
        return cls(cover, values, _areas(values, cover.spans))

    def course(self, start: int, end: int) -> Course | None:
        """The course in [start, end), in microseconds of Unix time, or None if no sample tells of it."""
        return self.courses(self.cover.cuts((start, end)))[0]

    def courses(self, cuts: Sequence[Cut]) -> list[Course | None]:
        """The course in each of the windows that the cover has cut."""
        values, areas = self.values, self.areas
        found: list[Course | None] = []
        for first, last, covered, head, tail, is_whole in cuts:
            area = _area(values, head) if head else 0.0
            if last <= first:
                found.append(Course(area / covered, None, None, None, covered) if covered else None)
                continue
            # Added one by one: other ways of summing differ in the last digit, some of them from one Python to the next.
            for between in areas[first : last if is_whole else last - 1]:
                area += between
            if not is_whole:
                area += _area(values, tail) if tail else 0.0
            inside = values[first:last]
            mean = area / covered if covered else sum(inside) / len(inside)
            found.append(Course(mean, min(inside), max(inside), inside[-1], covered))
        return found


def _areas(values: Sequence[float], spans: Sequence[int]) -> list[float]:
    """Value x microseconds of each stretch between two samples: the value in its middle, times its length."""
    span = spans[0] if spans else 0
    if span and spans.count(span) == len(spans):
        # Nearly always: polls keep their pace.
        half = span / 2
        return [(v0 + (v1 - v0) / span * half) * span for v0, v1 in itertools.pairwise(values)]
    return [
        (v0 + (v1 - v0) / span * (span / 2)) * span if span else 0.0
        for (v0, v1), span in zip(itertools.pairwise(values), spans, strict=True)
    ]


def _area(values: Sequence[float], part: _Part) -> float:
    """Value x microseconds of a part of the stretch between two samples."""
    index, middle, width, span = part
    before = values[index]
    return (before + (values[index + 1] - before) / span * middle) * width
