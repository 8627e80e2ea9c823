"""Time-outs that adapt, and how long a silent unit is left alone."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.bus_health import (
    LONGEST_PAUSE_S,
    LONGEST_TIMEOUT_S,
    PROBE_SHARE,
    PROBE_TIMEOUT_S,
    SHORTEST_TIMEOUT_S,
    SILENT_AFTER,
    UnitHealth,
    pause_s,
)
from edge_agent.drivers.modbus_frame import MAX_READ, Question

latencies = st.floats(0.0001, 10)
configured = st.floats(0.01, 60)


@given(st.lists(latencies, min_size=1, max_size=50), configured)
def test_a_time_out_is_within_its_bounds(seen: list[float], configured_s: float) -> None:
    health = UnitHealth()
    assert health.timeout_s(configured_s) == configured_s
    for latency_s in seen:
        health.answered(latency_s)
        timeout_s = health.timeout_s(configured_s)
        assert min(SHORTEST_TIMEOUT_S, configured_s) <= timeout_s <= max(LONGEST_TIMEOUT_S, configured_s)
        assert timeout_s >= min(4 * latency_s, LONGEST_TIMEOUT_S), "what has just been seen is waited for"


@given(latencies, st.floats(0.0001, 10), configured)
def test_one_slow_answer_in_seven_is_still_waited_for(slow_s: float, quick_s: float, configured_s: float) -> None:
    health = UnitHealth()
    health.answered(max(slow_s, quick_s))
    for _ in range(6):
        health.answered(min(slow_s, quick_s))
    assert health.timeout_s(configured_s) >= min(max(slow_s, quick_s), LONGEST_TIMEOUT_S)


@given(st.integers(SILENT_AFTER, 10_000), st.floats(0, 100))
def test_a_silent_unit_costs_the_others_one_part_in_twenty(failures: int, cost_s: float) -> None:
    pause = pause_s(failures, cost_s)
    assert 0 < pause <= LONGEST_PAUSE_S
    assert cost_s / (cost_s + pause) <= 1.1 / PROBE_SHARE or pause == LONGEST_PAUSE_S


@given(st.integers(1, 300), configured)
def test_a_unit_that_comes_back_is_asked_within_a_minute(failures: int, configured_s: float) -> None:
    health, now = UnitHealth(), 0.0
    for _ in range(failures):
        cost_s = health.timeout_s(configured_s)
        now += cost_s
        health.missed(now=now, cost_s=cost_s)
        assert health.is_closed(now) == (health.failures >= SILENT_AFTER)
        now = max(now, health.closed_until)
    assert not health.is_closed(now)
    if health.failures > SILENT_AFTER:
        assert health.timeout_s(configured_s) <= PROBE_TIMEOUT_S
        assert health.closed_until - (now - health.timeout_s(configured_s)) <= 60
    health.answered(0.01)
    assert (health.failures, health.closed_until) == (0, 0.0)


def test_a_clock_that_was_put_back_closes_nobody_for_ever() -> None:
    health = UnitHealth(closed_until=1_000_000.0)
    assert not health.is_closed(5.0)


@given(st.integers(0, 65_535), st.integers(1, MAX_READ))
def test_a_probe_has_another_shape_and_stays_within_the_registers(address: int, count: int) -> None:
    count = min(count, 0x1_0000 - address)
    for probe in UnitHealth().probes(Question(1, 3, address, count)):
        assert probe.count != count
        assert probe.count >= 1
        assert probe.address + probe.count <= 0x1_0000


def test_a_probe_asks_first_what_was_answered_before() -> None:
    health = UnitHealth(answered_shapes={(4, 10): 700})
    assert next(iter(health.probes(Question(1, 3, 5, 2)))) == Question(1, 4, 700, 10)
