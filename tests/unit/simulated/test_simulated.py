"""The simulated site: states by the hour, events, counters as the devices show them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from edge_agent.drivers.simulated import OVERVOLTAGE_V, SimulatedSite, SimulationError
from edge_agent.drivers.simulated_plant import FULL_MJ, STEPS_PER_DAY, Carry, Counters, Sky, StringState, simulate_day
from shared.enums import OperatingState


def build(commissioned: date = date(2026, 7, 15), seed: int = 1) -> SimulatedSite:
    return SimulatedSite(31.52, 74.36, timezone="Asia/Karachi", commissioned=commissioned, seed=seed)


@pytest.fixture(scope="module")
def site() -> SimulatedSite:
    return build()


def local(site: SimulatedSite, hour: float) -> datetime:
    return site.start + timedelta(hours=hour)


def test_commissioning_is_the_local_midnight(site: SimulatedSite) -> None:
    assert site.start == datetime(2026, 7, 14, 19, tzinfo=UTC)


def test_a_moment_before_commissioning_is_refused_with_both_moments(site: SimulatedSite) -> None:
    with pytest.raises(SimulationError, match=r"2026-07-14T18:59:59\+00:00.*2026-07-14T19:00:00\+00:00"):
        site.at(site.start - timedelta(seconds=1))


def test_the_string_inverter_sleeps_at_night_starts_and_produces(site: SimulatedSite) -> None:
    day = [site.at(local(site, minute / 60)).string_state for minute in range(1440)]
    assert day[2 * 60] is OperatingState.SLEEPING
    assert day[12 * 60] is OperatingState.PRODUCING
    assert day[23 * 60] is OperatingState.SLEEPING
    first = day.index(OperatingState.STARTING)
    assert 5 * 60 < first < 6 * 60
    assert day[first + 3] is OperatingState.PRODUCING


def test_nothing_comes_from_the_roof_at_night(site: SimulatedSite) -> None:
    state = site.at(local(site, 1))
    assert state.poa_wm2 == 0
    assert (state.powers.string_ac, state.powers.pv1, state.powers.pv2) == (0, 0, 0)


def test_the_string_inverter_clips_at_its_rating_in_more_light_than_it_can_take() -> None:
    day = simulate_day(Carry(Counters(), FULL_MJ), sky=[Sky(1300.0, 5.0)] * 20, load_w=[500] * 20)
    assert (day.states[-1], day.powers[-1].string_ac) == (StringState.LIMITED, 5000)
    assert day.powers[-1].hybrid_ac == 5000
    assert day.powers[-1].string_dc1 + day.powers[-1].string_dc2 < 5.0 * 1300


def test_the_battery_fills_by_day_and_empties_in_the_evening(site: SimulatedSite) -> None:
    charge = [site.at(local(site, hour)).charge_stored_percent for hour in (6, 13, 22)]
    assert charge[0] == pytest.approx(15, abs=1)
    assert charge[1] > 95
    assert charge[2] < 60


def test_the_street_has_262_volts_for_forty_minutes_at_ten_past_one(site: SimulatedSite) -> None:
    begin = local(site, 13 + 10 / 60)
    inside = [site.at(begin + timedelta(seconds=s)).voltage_v for s in (0, 1_200, 2_399)]
    outside = [site.at(begin + timedelta(seconds=s)).voltage_v for s in (-1, 2_400)]
    assert all(abs(volt - OVERVOLTAGE_V) <= 0.3 for phases in inside for volt in phases)
    assert all(volt < 250 for phases in outside for volt in phases)


def test_every_day_has_its_overvoltage(site: SimulatedSite) -> None:
    assert max(site.at(local(site, 24 + 13 + 15 / 60)).voltage_v) > 260


def test_counters_begin_used_and_at_different_readings(site: SimulatedSite) -> None:
    first = site.device_counters(site.start)
    assert first.string_wh == 12_345_678
    assert first.hybrid_pv_wh == 12_345_600
    assert first.meter_import_wh % 1000 != 0


def test_counters_are_shown_in_their_resolution(site: SimulatedSite) -> None:
    shown = site.device_counters(local(site, 13.777))
    assert shown.hybrid_pv_wh % 100 == 0
    assert shown.hybrid_charge_wh % 100 == 0
    assert shown.string_wh % 100 != 0 or shown.meter_export_wh % 100 != 0


def test_a_midday_counter_is_what_the_steps_before_add_up_to(site: SimulatedSite) -> None:
    energy_ws = sum(site.at(site.start + timedelta(seconds=10 * n)).powers.string_ac * 10 for n in range(12 * 360))
    shown = site.device_counters(local(site, 12)).string_wh - site.device_counters(site.start).string_wh
    assert shown == energy_ws // 3600


def test_a_days_energy_is_plausible_for_ten_kilowatts_in_july(site: SimulatedSite) -> None:
    energy = site.counter_energy_wh(site.start, local(site, 24))
    assert 25_000 < energy.generated < 60_000
    assert 20_000 < energy.consumed < 50_000
    assert energy.imported > 1000
    assert energy.exported > 1000


def test_the_devices_day_begins_at_zero_again(site: SimulatedSite) -> None:
    assert site.at(local(site, 23.99)).today.hybrid_pv_wh > 10_000
    assert site.at(local(site, 24)).today.hybrid_pv_wh == 0


def test_the_past_is_the_same_in_another_process_and_after_being_forgotten() -> None:
    one, two = build(), build()
    moment = local(one, 10.5)
    before = one.at(moment)
    one.prepare(local(one, 24 * 6))  # the first day is no longer kept
    assert one.at(moment) == before == two.at(moment)


def test_the_seed_changes_the_day() -> None:
    assert build(seed=2).at(local(build(), 11)) != build(seed=1).at(local(build(), 11))


def test_a_day_has_all_its_steps(site: SimulatedSite) -> None:
    assert STEPS_PER_DAY == 8640
    last = site.at(local(site, 24) - timedelta(milliseconds=1))
    assert last.at < local(site, 24)
