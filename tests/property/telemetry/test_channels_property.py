"""A channel's periods, for every division of its readings."""

import itertools
import math
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.telemetry.rules.channels import PeriodValues, Stretch, period_values
from cloud.telemetry.rules.context import UNUSABLE
from shared.enums import Quality

LARGEST = 1e9
VALUES = st.one_of(st.none(), st.floats(-LARGEST, LARGEST))
FLAGS = st.sampled_from([0, 0, int(Quality.TIME_UNCERTAIN), UNUSABLE])
READINGS = st.dictionaries(st.integers(0, 4_000), st.tuples(VALUES, FLAGS), max_size=60).map(
    lambda found: [(at, *told) for at, told in sorted(found.items())]
)
EDGES = st.lists(st.integers(0, 4_000), min_size=2, max_size=12, unique=True).map(sorted)


def stretch_of(readings: list[tuple[int, float | None, int]]) -> Stretch:
    moments, values, quality = ([reading[i] for reading in readings] for i in range(3))
    return Stretch(moments, values, quality if any(quality) else None)  # type: ignore[arg-type]  # columns by place


def one_by_one(readings: list[tuple[int, float | None, int]], edges: list[int]) -> PeriodValues:
    found: dict[int, list[float]] = {}
    for at, value, bits in readings:
        if edges[0] <= at < edges[-1] and value is not None and not bits & UNUSABLE:
            found.setdefault(bisect_right(edges, at) - 1, []).append(value)
    places = sorted(found)
    means = [math.fsum(found[place]) / len(found[place]) for place in places]
    return PeriodValues(places, means, [min(found[at]) for at in places], [max(found[at]) for at in places])


@given(READINGS, EDGES, st.data())
def test_columns_are_what_each_reading_says_however_they_are_divided(
    readings: list[tuple[int, float | None, int]], edges: list[int], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(readings)), max_size=4)))
    bounds = [0, *cuts, len(readings)]
    stretches = [stretch_of(readings[a:b]) for a, b in itertools.pairwise(bounds)]
    found, meant = period_values(data.draw(st.permutations(stretches)), edges), one_by_one(readings, edges)
    assert found == period_values([stretch_of(readings)], edges)
    assert (found.places, found.lows, found.highs) == (meant.places, meant.lows, meant.highs)
    # A mean of values that cancel each other out is as exact as the largest of them.
    assert found.means == pytest.approx(meant.means, rel=1e-12, abs=1e-12 * LARGEST)


@given(st.integers(0, 500), st.integers(1, 90), st.lists(VALUES, min_size=1, max_size=60), EDGES)
def test_an_even_grid_is_its_moments(first: int, step: int, values: list[float | None], edges: list[int]) -> None:
    grid = range(first, first + step * len(values), step)
    assert period_values([Stretch(grid, values)], edges) == period_values([Stretch(list(grid), values)], edges)
