"""What holds for every series of counter readings."""

import itertools
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shared.counters import (
    CounterLimits,
    CounterMethod,
    Delta,
    FlowSample,
    FlowSeries,
    MeterEvent,
    Points,
    allocate,
    energy_deltas,
    increments,
    unix_us,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

moments = st.integers(0, 3 * 86_400).map(lambda seconds: START + seconds * SECOND)
counters = st.none() | st.integers(-10, 20_000) | st.sampled_from([0, 10_000_000, 2**32 - 1, 2**32 - 50])
samples = st.builds(
    FlowSample, at=moments, total_wh=counters, today_wh=counters, power_w=st.none() | st.integers(0, 12_000)
)
series = st.lists(samples, max_size=25)
limits = st.builds(
    CounterLimits,
    rated_kw=st.none() | st.floats(0.5, 50),
    width_wh=st.sampled_from([None, 2**32]),
    resolution_wh=st.sampled_from([0, 1, 100, 1000]),
    max_gap_s=st.sampled_from([30.0, 180.0, 3600.0]),
)
events = st.lists(
    st.builds(
        MeterEvent,
        at=moments,
        final_wh=st.none() | st.integers(0, 25_000),
        initial_wh=st.none() | st.integers(0, 25_000),
    ),
    max_size=2,
    unique_by=lambda event: event.at,
)


@given(series, limits, events, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(
    readings: list[FlowSample], limit: CounterLimits, cuts: list[MeterEvent], random: Random
) -> None:
    again = [*readings, *readings[: len(readings) // 2]]
    random.shuffle(again)
    assert energy_deltas(again, limit, events=cuts) == energy_deltas(readings, limit, events=cuts)


@given(series, limits, events)
def test_increments_are_ordered_disjoint_and_never_negative(
    readings: list[FlowSample], limit: CounterLimits, cuts: list[MeterEvent]
) -> None:
    deltas = energy_deltas(readings, limit, events=cuts)
    assert all(delta.energy_wh >= 0 and delta.start < delta.end for delta in deltas)
    assert all(before.end <= after.start for before, after in itertools.pairwise(deltas))


@given(series, limits)
def test_no_increment_is_above_what_the_device_can_do(readings: list[FlowSample], limit: CounterLimits) -> None:
    for delta in energy_deltas(readings, limit):
        if limit.rated_kw is None or delta.method is CounterMethod.POWER:
            continue
        most_wh = round(limit.rated_kw * 1000) * 1.25 * (delta.end - delta.start).total_seconds() / 3600
        assert delta.energy_wh <= most_wh + limit.resolution_wh


@given(st.lists(st.tuples(st.integers(1, 4000), st.integers(0, 3000)), min_size=1, max_size=40), st.floats(0.5, 20))
def test_the_total_never_exceeds_the_rated_power_over_the_whole_time(
    steps: list[tuple[int, int]], rated_kw: float
) -> None:
    at, value, readings = START, 5_000_000, []
    for seconds, gain in steps:
        at, value = at + seconds * SECOND, value + gain
        readings.append(FlowSample(at, total_wh=value))
    total = sum(delta.energy_wh for delta in energy_deltas(readings, CounterLimits(rated_kw=rated_kw, resolution_wh=0)))
    elapsed_h = (readings[-1].at - readings[0].at).total_seconds() / 3600
    assert total <= round(rated_kw * 1000) * 1.25 * elapsed_h


@given(st.lists(st.tuples(st.integers(1, 3600), st.floats(0, 1)), min_size=1, max_size=60))
def test_a_plausible_counter_gives_exactly_its_difference(steps: list[tuple[int, float]]) -> None:
    at, value = START, 5_000_000
    readings = [FlowSample(at, total_wh=value)]
    for seconds, load in steps:
        at, value = at + seconds * SECOND, value + int(load * 10_000 * seconds / 3600)
        readings.append(FlowSample(at, total_wh=value))
    deltas = energy_deltas(readings, CounterLimits(rated_kw=10))
    assert sum(delta.energy_wh for delta in deltas) == readings[-1].total_wh - readings[0].total_wh  # type: ignore[operator]
    assert (deltas[0].start, deltas[-1].end) == (readings[0].at, readings[-1].at)
    assert all(before.end == after.start for before, after in itertools.pairwise(deltas))


@given(series, limits, st.lists(moments, max_size=30, unique=True))
def test_buckets_sum_to_the_accepted_total(
    readings: list[FlowSample], limit: CounterLimits, inner: list[datetime]
) -> None:
    edges = sorted({START, START + timedelta(days=3), *inner})
    deltas = energy_deltas(readings, limit)
    shares = [allocate(delta, edges) for delta in deltas]
    assert all(share >= 0 for row in shares for share in row)
    assert sum(map(sum, shares)) == sum(delta.energy_wh for delta in deltas)


@given(
    st.integers(0, 10**7), st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 10**6), st.integers(1, 10**6)
)
def test_finer_edges_split_the_same_shares(energy: int, span: int, first: int, second: int, third: int) -> None:
    delta = Delta(START, START + span * SECOND, energy)
    a, b, c = (START + offset * SECOND for offset in itertools.accumulate([first, second, third]))
    assert allocate(delta, [a, c]) == [sum(allocate(delta, [a, b, c]))]


points = st.lists(
    st.tuples(st.integers(0, 5_000), st.integers(0, 20_000)), max_size=30, unique_by=lambda pair: pair[0]
).map(lambda pairs: Points.of((unix_us(START) + 1_000_000 * second, value) for second, value in sorted(pairs)))


@given(
    st.builds(FlowSeries, totals=points, todays=points, powers=points),
    limits,
    st.integers(0, 5_000),
    st.integers(1, 900),
)
def test_what_is_left_out_cannot_reach_into_the_stretch(
    found: FlowSeries, limit: CounterLimits, offset: int, length: int
) -> None:
    start = unix_us(START) + offset * 1_000_000
    end = start + length * 1_000_000

    def inside(
        results: list[tuple[int, int, int, int, CounterMethod]],
    ) -> list[tuple[int, int, int, int, CounterMethod]]:
        return [result for result in results if result[0] < end and result[1] > start]

    assert inside(increments(found, limit, within=(start, end))) == inside(increments(found, limit))
