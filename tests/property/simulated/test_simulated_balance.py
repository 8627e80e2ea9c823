"""Whatever the stretch of time: sources equal sinks, counters never fall, the battery stays within its limits."""

import itertools
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.simulated import SimulatedSite
from edge_agent.drivers.simulated_plant import (
    BATTERY_LOW,
    BATTERY_W,
    FULL_MJ,
    HYBRID_AC_W,
    STEPS_PER_DAY,
    STRING_AC_W,
    Carry,
    Counters,
    Sky,
    simulate_day,
)
from edge_agent.drivers.simulated_registers import grid_phases_w, thirds

SITE = SimulatedSite(31.52, 74.36, timezone="Asia/Karachi", commissioned=date(2026, 7, 15))
SPAN_MS = 3 * 86_400_000
moments_ms = st.integers(0, SPAN_MS - 1)

SITE.prepare(SITE.start + timedelta(days=2))


@given(a=moments_ms, b=moments_ms)
def test_energy_balances_exactly_between_any_two_milliseconds(a: int, b: int) -> None:
    start, end = (SITE.start + timedelta(milliseconds=ms) for ms in sorted((a, b)))
    flow = SITE.true_energy_mj(start, end)
    assert flow.generated + flow.imported + flow.discharged == flow.consumed + flow.exported + flow.charged
    assert min(flow.generated, flow.imported, flow.discharged, flow.consumed, flow.exported, flow.charged) >= 0


@given(cuts=st.lists(moments_ms, min_size=3, max_size=6, unique=True).map(sorted))
def test_parts_of_a_stretch_add_up_to_the_whole(cuts: list[int]) -> None:
    moments = [SITE.start + timedelta(milliseconds=ms) for ms in cuts]
    parts = [SITE.counter_energy_wh(a, b) for a, b in itertools.pairwise(moments)]
    whole = SITE.counter_energy_wh(moments[0], moments[-1])
    assert sum(part.generated for part in parts) == whole.generated
    assert sum(part.consumed for part in parts) == whole.consumed


@given(a=moments_ms, b=moments_ms)
def test_shown_energy_is_the_true_energy_but_for_the_last_digits(a: int, b: int) -> None:
    start, end = (SITE.start + timedelta(milliseconds=ms) for ms in sorted((a, b)))
    shown, true = SITE.counter_energy_wh(start, end), SITE.true_energy_mj(start, end)
    assert abs(shown.generated - true.generated / 3_600_000) < 101  # 1 Wh of one counter and 100 Wh of the other
    assert abs(shown.imported - true.imported / 3_600_000) < 1
    assert abs(shown.charged - true.charged / 3_600_000) < 100
    assert abs(shown.consumed - true.consumed / 3_600_000) < 101 + 2 + 200


@given(ms=moments_ms)
def test_powers_stay_within_the_ratings_and_balance(ms: int) -> None:
    state = SITE.at(SITE.start + timedelta(milliseconds=ms))
    power = state.powers
    assert power.load == power.string_ac + power.pv1 + power.pv2 + power.battery + power.grid
    assert 0 <= power.string_ac <= STRING_AC_W
    assert abs(power.hybrid_ac) <= HYBRID_AC_W
    assert abs(power.battery) <= BATTERY_W
    assert 100 * BATTERY_LOW <= state.charge_stored_percent <= 100
    assert sum(grid_phases_w(state)) == power.grid


@given(
    load_w=st.integers(0, 12_000),
    poa=st.floats(0, 1400),
    stored=st.integers(int(FULL_MJ * BATTERY_LOW), FULL_MJ),
)
def test_any_sky_and_any_load_balance_and_respect_the_battery(load_w: int, poa: float, stored: int) -> None:
    sky = [Sky(poa, 25.0)] * 20
    day = simulate_day(Carry(Counters(), stored), sky=sky, load_w=[load_w] * 20)
    for power in day.powers:
        assert power.load == power.string_ac + power.pv1 + power.pv2 + power.battery + power.grid
        assert abs(power.hybrid_ac) <= HYBRID_AC_W
        assert not (power.battery > 0 and power.grid < 0), "never sells what it took from the battery"
        if (
            power.battery < 0 < power.grid
        ):  # what its AC side cannot pass on goes into the battery, while the grid helps out
            assert power.hybrid_ac == HYBRID_AC_W, "never charges from the grid"
    assert all(FULL_MJ * BATTERY_LOW <= level <= FULL_MJ for level in day.stored_mj)


@given(stored=st.integers(int(FULL_MJ * BATTERY_LOW), FULL_MJ))
def test_the_battery_gives_back_no_more_than_nine_tenths(stored: int) -> None:
    dark, bright = [Sky(0.0, 25.0)] * 400, [Sky(900.0, 25.0)] * 400
    day = simulate_day(Carry(Counters(), stored), sky=bright + dark, load_w=[600] * 800)
    end = day.end
    kept = end.stored_mj - stored
    assert end.counters.discharged * 1000 <= 950 * (end.counters.charged * 0.95 - kept) + 1e6


@given(watts=st.integers(-20_000, 20_000))
def test_thirds_add_up(watts: int) -> None:
    assert sum(thirds(watts)) == watts


def test_three_days_have_all_their_steps() -> None:
    assert SPAN_MS == 3 * STEPS_PER_DAY * 10_000
