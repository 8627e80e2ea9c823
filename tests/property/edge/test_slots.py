"""The grid of polls, and how long a silent device is left alone."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.poller import LONGEST_BACKOFF_S, PROBE_SHARE, USUAL_BACKOFF_S, backoff_s, next_slot_ms

moments = st.integers(0, 4_000_000_000_000)
intervals = st.integers(1, 3_600_000)


@given(moments, intervals)
def test_the_first_slot_is_on_the_grid_and_less_than_an_interval_away(now: int, interval: int) -> None:
    slot = next_slot_ms(now, interval, None)
    assert slot % interval == 0
    assert 0 <= slot - now < interval


@given(moments, intervals, st.lists(st.integers(0, 100_000), max_size=30))
def test_each_slot_is_served_once_and_missed_ones_are_skipped(now: int, interval: int, passes: list[int]) -> None:
    last = None
    for passed in passes:
        slot = next_slot_ms(now, interval, last)
        assert last is None or slot > last
        assert slot - now <= interval, "a slot is never put off by more than an interval"
        now, last = max(now + passed, slot), slot


@given(moments, intervals, st.integers(1, 10**12))
def test_a_clock_put_back_does_not_stop_the_polls(now: int, interval: int, back: int) -> None:
    last = next_slot_ms(now + back, interval, None)
    assert next_slot_ms(now, interval, last) - now <= 2 * interval


@given(st.integers(1, 1000), st.floats(0, 1000))
def test_a_silent_device_costs_at_most_its_share(failures: int, attempt_s: float) -> None:
    pause = backoff_s(failures, attempt_s)
    assert 2 <= pause <= LONGEST_BACKOFF_S
    assert pause >= min(attempt_s * PROBE_SHARE, LONGEST_BACKOFF_S)
    if attempt_s * PROBE_SHARE <= USUAL_BACKOFF_S:
        assert pause <= USUAL_BACKOFF_S, "one that is cheap to ask is back within a minute"


def test_the_pause_grows_and_is_none_after_an_answer() -> None:
    assert [backoff_s(failures, 0.0) for failures in range(8)] == [0, 2, 4, 8, 16, 32, 45, 45]
