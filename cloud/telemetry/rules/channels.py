"""A channel's mean and extremes in each period, from its readings."""

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from cloud.telemetry.rules.context import UNUSABLE

Numbers = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Readings of one channel in order of time.

    Attributes:
        moments: microseconds of Unix time, ascending; a `range` where they are evenly spaced.
        values: None = not measured.
        quality: flags of each reading, or None if none of them has any.
    """

    moments: Sequence[int]
    values: Numbers
    quality: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class PeriodValues:
    """Columns of equal length: a place for each period in which something usable was measured.

    Attributes:
        places: periods counted from 0, ascending.
        means: plain means; the same however the readings are divided into stretches.
    """

    places: Sequence[int]
    means: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]


def period_values(stretches: Iterable[Stretch], edges: Sequence[int]) -> PeriodValues:
    """Mean, minimum and maximum of the usable readings in each period.

    Args:
        stretches: of one channel, in any order, without doubles.
        edges: between the periods, with the first start and the last end; microseconds of Unix time, ascending.
    """
    found: dict[int, list[Sequence[float]]] = {}
    for stretch in stretches:
        for place, values in _parts(stretch, edges):
            if values:
                found.setdefault(place, []).append(values)
    places = sorted(found)
    gathered = [_joined(found[place]) for place in places]
    return PeriodValues(
        places,
        [math.fsum(values) / len(values) for values in gathered],
        [min(values) for values in gathered],
        [max(values) for values in gathered],
    )


def _joined(parts: Sequence[Sequence[float]]) -> Sequence[float]:
    return parts[0] if len(parts) == 1 else list(itertools.chain.from_iterable(parts))


def _parts(stretch: Stretch, edges: Sequence[int]) -> Iterator[tuple[int, Sequence[float]]]:
    """The usable values of each period that has readings."""
    moments, values = stretch.moments, _usable(stretch)
    first, end = bisect_left(moments, edges[0]), bisect_left(moments, edges[-1])
    complete = values.count(None) == 0
    while first < end:
        place = bisect_right(edges, moments[first]) - 1
        last = bisect_left(moments, edges[place + 1], first, end)
        part = values[first:last]
        yield place, cast("Sequence[float]", part) if complete else [value for value in part if value is not None]
        first = last


def _usable(stretch: Stretch) -> Numbers:
    if stretch.quality is None:
        return stretch.values
    flags = zip(stretch.values, stretch.quality, strict=True)
    return [None if bits & UNUSABLE else value for value, bits in flags]
