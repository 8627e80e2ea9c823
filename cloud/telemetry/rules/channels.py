"""A channel's mean and extremes in each period, from its readings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cloud.telemetry.rules.context import UNUSABLE

Numbers = Sequence[float | None]
_Moments: TypeAlias = NDArray[np.int64]
_Values: TypeAlias = NDArray[np.float64]


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
    moments, values = _in_order_of_time([_usable(stretch) for stretch in stretches])
    bounds = np.searchsorted(moments, np.asarray(edges, dtype=np.int64))
    counts = np.diff(bounds)
    places = np.flatnonzero(counts)
    if places.size == 0:
        return PeriodValues([], [], [], [])
    # Each period that is left begins where the one before it ends.
    starts, values = bounds[places], values[: bounds[-1]]
    sums, lows, highs = (fold.reduceat(values, starts) for fold in (np.add, np.minimum, np.maximum))
    return PeriodValues(places.tolist(), (sums / counts[places]).tolist(), lows.tolist(), highs.tolist())


def _in_order_of_time(parts: Sequence[tuple[_Moments, _Values]]) -> tuple[_Moments, _Values]:
    if not parts:
        return np.empty(0, dtype=np.int64), np.empty(0)
    moments, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if np.all(moments[1:] >= moments[:-1]):
        return moments, values
    order = np.argsort(moments, kind="stable")
    return moments[order], values[order]


def _usable(stretch: Stretch) -> tuple[_Moments, _Values]:
    moments = stretch.moments
    if isinstance(moments, range):
        at = np.arange(moments.start, moments.stop, moments.step, dtype=np.int64)
    else:
        at = np.asarray(moments, dtype=np.int64)
    values = np.array(stretch.values, dtype=np.float64)  # None becomes NaN
    usable = ~np.isnan(values)
    if stretch.quality is not None:
        usable &= (np.asarray(stretch.quality, dtype=np.int64) & UNUSABLE) == 0
    return (at, values) if usable.all() else (at[usable], values[usable])
