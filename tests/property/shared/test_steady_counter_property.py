"""The short way through a steady counter gives what folding gives, or says that it cannot tell."""

from itertools import accumulate, pairwise

from hypothesis import event, given
from hypothesis import strategies as st

from shared.counter_fold import CounterLimits, fold_counter
from shared.steady_counter import SteadyCounter

SECOND = 1_000_000
QUARTER = 900 * SECOND

# Seconds and Wh to the next reading: polls with a little energy or none, and now and then something else.
plain = st.tuples(st.just(60), st.integers(0, 90))
still = st.tuples(st.just(60), st.just(0))
coarse = st.tuples(st.sampled_from([60, 61, 300]), st.sampled_from([0, 0, 0, 100, 1_000]))
odd = st.tuples(st.sampled_from([1, 60, 900, 5_400, 40_000]), st.sampled_from([0, 60, 9_000, -1, -400, -5_000]))
counters = st.tuples(
    st.sampled_from([plain, still, coarse]).flatmap(lambda kind: st.lists(kind, min_size=1, max_size=90)),
    st.lists(odd, max_size=2),
    st.sampled_from([plain, still, coarse]).flatmap(lambda kind: st.lists(kind, min_size=60, max_size=150)),
).map(lambda parts: [*parts[0], *parts[1], *parts[2]])
limits = st.builds(
    CounterLimits,
    rated_kw=st.sampled_from([None, 5.0, 50.0]),
    width_wh=st.sampled_from([None, None, 14_000]),
    resolution_wh=st.sampled_from([0, 1, 100]),
    max_gap_s=st.sampled_from([180.0, 2_700.0]),
)


def folded(
    moments: list[int], values: list[int], limit: CounterLimits, edges: list[int]
) -> tuple[list[int], bool, set[int]]:
    """Wh between the edges by folding, whether increments tell of all that time, and their flags."""
    spans = fold_counter(moments, values, limit)
    shares, covered, flags = [], 0, set()
    for left, right in pairwise(edges):
        share = 0
        for start, end, energy_wh, bits in spans:
            first, last = max(start, left), min(end, right)
            if first < last:
                covered += last - first
                flags.add(bits)
                share += energy_wh * (last - start) // (end - start) - energy_wh * (first - start) // (end - start)
        shares.append(share)
    return shares, covered == edges[-1] - edges[0], flags


@given(counters, limits, st.integers(0, 120), st.integers(100, 300), st.integers(-1, 3), st.integers(1, 3))
def test_it_is_the_fold_or_nothing(
    steps: list[tuple[int, int]], limit: CounterLimits, skipped: int, taken: int, quarter: int, quarters: int
) -> None:
    moments = list(accumulate((pause * SECOND for pause, _ in steps), initial=0))
    values = list(accumulate((rise for _, rise in steps), initial=10_000))
    counter = SteadyCounter.of(moments, values, limit)
    low = min(skipped, len(moments) - 1)
    high = min(low + taken, len(moments) - 1)
    start = moments[low] - moments[low] % QUARTER + quarter * QUARTER
    edges = [start + index * QUARTER for index in range(quarters + 1)]
    until = counter.until(edges, first=moments[low], last=moments[high])
    event("told" if until else "not told")
    if until is not None:
        shares = [after - before for before, after in pairwise(until)]
        seen = folded(moments[low : high + 1], values[low : high + 1], limit, edges)
        assert seen == (shares, True, {0})


@given(st.lists(st.integers(0, 80), min_size=200, max_size=260), st.integers(0, 3))
def test_a_counter_that_only_rises_is_told_of(rises: list[int], phase: int) -> None:
    moments = [index * 60 * SECOND for index in range(len(rises))]
    counter = SteadyCounter.of(moments, list(accumulate(rises)), CounterLimits(rated_kw=5.0))
    assert counter.runs == [(0, len(rises) - 1)]
    edges = [phase * QUARTER + index * QUARTER for index in range(5)]
    until = counter.until(edges, first=0, last=moments[-1])
    assert until is not None
    assert until == sorted(until)


def test_nothing_is_told_of_nothing() -> None:
    counter = SteadyCounter.of([], [], CounterLimits())
    assert counter.until([0, QUARTER], first=0, last=QUARTER) is None
    lonely = SteadyCounter.of([QUARTER], [5], CounterLimits())
    assert lonely.until([0, QUARTER], first=0, last=QUARTER) is None
