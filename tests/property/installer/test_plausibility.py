"""Numbers that agree pass; numbers that contradict each other are named."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_agent.installer.plausibility import (
    BRIGHT_DEG,
    DARK_DEG,
    FLOOR_KW,
    SIGN_FLOOR_KW,
    Finding,
    Place,
    Verdict,
    judge,
    worst,
)
from shared.enums import DeviceType
from shared.readings import Value
from shared.sun import sun_position

LAHORE = Place(31.52, 74.36)
NOON = datetime(2026, 6, 1, 7, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 1, 19, tzinfo=UTC)

kilowatts = st.floats(0, 100, allow_nan=False).map(lambda power: round(power, 3))
signed = st.floats(-100, 100, allow_nan=False).map(lambda power: round(power, 3))
moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants bounds without a zone


def verdicts(values: dict[str, Value], check: str, *, at: datetime = NOON, place: Place | None = None) -> set[Verdict]:
    return {each.verdict for each in judge({DeviceType.INVERTER: values}, at=at, place=place) if each.check == check}


@given(st.floats(0.01, 400, allow_nan=False))
def test_a_grid_has_45_to_65_hertz(frequency: float) -> None:
    sound = {Verdict.OK} if 45 <= frequency <= 65 else {Verdict.WRONG}
    assert verdicts({"grid_frequency_hz": frequency}, "frequency") == sound


@given(st.tuples(signed, signed, signed), st.sampled_from(["ac_power_kw", "grid_power_kw", "load_power_kw"]))
def test_phases_that_add_up_are_right_whatever_their_signs(phases: tuple[float, float, float], metric: str) -> None:
    values: dict[str, Value] = {f"{metric}.l{n}": power for n, power in enumerate(phases, start=1)}
    assert verdicts(values | {metric: sum(phases)}, "phases") == {Verdict.OK}


@given(st.tuples(kilowatts, kilowatts, kilowatts), st.sampled_from([10.0, 0.1, -1.0]))
def test_a_total_of_another_scale_or_sign_is_wrong(phases: tuple[float, float, float], factor: float) -> None:
    total = sum(phases)
    assume(total > 2 * FLOOR_KW)
    values: dict[str, Value] = {f"ac_power_kw.l{n}": power for n, power in enumerate(phases, start=1)}
    assert verdicts(values | {"ac_power_kw": total * factor}, "phases") == {Verdict.WRONG}


@given(st.floats(100, 1000), st.floats(0, 40), st.floats(-0.1, 0.1))
def test_volts_times_amperes_within_a_tenth(volts: float, amperes: float, error: float) -> None:
    power = volts * amperes / 1000 * (1 + error * 0.99)
    values: dict[str, Value] = {"dc_power_kw.pv1": power, "dc_voltage_v.pv1": volts, "dc_current_a.pv1": amperes}
    assert verdicts(values, "pv_power") == {Verdict.OK}


@given(st.floats(100, 1000), st.floats(2, 40), st.sampled_from([0.1, 10.0, 0.5, 2.0]))
def test_a_power_of_another_scale_is_wrong(volts: float, amperes: float, factor: float) -> None:
    power = volts * amperes / 1000 * factor
    values: dict[str, Value] = {"dc_power_kw.pv2": power, "dc_voltage_v.pv2": volts, "dc_current_a.pv2": amperes}
    assert verdicts(values, "pv_power") == {Verdict.WRONG}


@given(moments, kilowatts)
def test_pv_power_follows_the_sun(at: datetime, power: float) -> None:
    elevation = sun_position(LAHORE.latitude, LAHORE.longitude, at=at).elevation_deg
    if elevation < DARK_DEG and power > FLOOR_KW:
        expected = Verdict.WRONG
    elif elevation > BRIGHT_DEG and power == 0:
        expected = Verdict.DOUBTFUL
    else:
        expected = Verdict.OK
    assert verdicts({"dc_power_kw": power}, "night", at=at, place=LAHORE) == {expected}
    assert verdicts({"dc_power_kw": power}, "night", at=at) == {Verdict.NOT_CHECKED}


def sign(given_kw: float, grid_kw: float, load_kw: float | None = None) -> Verdict:
    meter: dict[str, Value] = {"grid_power_kw": grid_kw}
    if load_kw is not None:
        meter["load_power_kw"] = load_kw
    parts = {DeviceType.INVERTER: {"ac_power_kw": given_kw}, DeviceType.METER: meter}
    (found,) = [each for each in judge(parts, at=NOON) if each.check == "meter_sign"]
    return found.verdict


@given(kilowatts, kilowatts)
def test_a_meter_that_is_right_is_never_called_wrong(given_kw: float, load_kw: float) -> None:
    grid = load_kw - given_kw
    assert sign(given_kw, grid) is not Verdict.WRONG
    expected = Verdict.NOT_CHECKED if abs(grid) < SIGN_FLOOR_KW else Verdict.OK
    assert sign(given_kw, grid, load_kw) is expected


@given(kilowatts, kilowatts)
def test_a_turned_meter_is_found_where_the_load_is_known(given_kw: float, load_kw: float) -> None:
    grid = load_kw - given_kw
    assume(abs(grid) > max(SIGN_FLOOR_KW, 0.2 * given_kw))
    assert sign(given_kw, -grid, load_kw) is Verdict.WRONG


@given(st.floats(0.3, 50))
def test_a_turned_meter_is_found_at_night_without_the_load(import_kw: float) -> None:
    assert sign(0.0, -import_kw) is Verdict.WRONG
    assert sign(0.0, import_kw) is Verdict.NOT_CHECKED


@given(st.floats(0.2, 20), st.floats(40, 500))
def test_the_battery_has_one_direction(power: float, volts: float) -> None:
    current = power * 1000 / volts
    right: dict[str, Value] = {"battery_power_kw": power, "battery_voltage_v": volts, "battery_current_a": current}
    turned = right | {"battery_current_a": -current}
    assert verdicts(right, "battery_power") == {Verdict.OK}
    assume(2 * power > max(FLOOR_KW, 0.2 * power, 0.1 * volts / 1000))
    assert verdicts(turned, "battery_power") == {Verdict.WRONG}


@given(
    st.dictionaries(st.sampled_from(["ac_power_kw", "dc_power_kw", "grid_frequency_hz", "operating_state"]), st.none())
)
def test_nothing_available_is_wrong_and_never_fails(values: dict[str, Value]) -> None:
    findings = judge({DeviceType.INVERTER: values}, at=NOON, place=LAHORE)
    assert worst(findings) is Verdict.WRONG
    assert {each.check for each in findings} == {"answers"}


@given(st.lists(st.sampled_from(Verdict)))
def test_the_worst_counts(given_verdicts: list[Verdict]) -> None:
    order = [Verdict.NOT_CHECKED, Verdict.OK, Verdict.DOUBTFUL, Verdict.WRONG]
    findings = tuple(Finding("x", verdict, "") for verdict in given_verdicts)
    assert worst(findings) is order[max((order.index(verdict) for verdict in given_verdicts), default=0)]


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [("battery_soc_percent", 640.0, "640"), ("dc_voltage_v.pv1", 6553.5, "6553.5"), ("dc_power_kw", -3.0, "-3")],
)
def test_a_value_that_cannot_be_is_named(key: str, value: float, word: str) -> None:
    findings = judge({DeviceType.INVERTER: {key: value, "rated_power_kw": 10.0}}, at=NOON)
    (found,) = [each for each in findings if each.check == "range"]
    assert found.verdict is Verdict.WRONG
    assert word in found.reason
    assert key in found.reason


@pytest.mark.parametrize(
    ("volts", "verdict"), [(230.0, Verdict.OK), (60.0, Verdict.DOUBTFUL), (23.0, Verdict.WRONG), (400.0, Verdict.WRONG)]
)
def test_the_voltage_of_a_phase(volts: float, verdict: Verdict) -> None:
    assert verdicts({"ac_voltage_v.l1": volts, "ac_voltage_v.l2": 0.0, "ac_voltage_v.l3": None}, "voltage") == {verdict}


def test_the_same_night_an_hour_after_dusk_and_in_another_place() -> None:
    values: dict[str, Value] = {"dc_power_kw": 3.0}
    assert verdicts(values, "night", at=MIDNIGHT, place=LAHORE) == {Verdict.WRONG}
    assert verdicts(values, "night", at=MIDNIGHT, place=Place(34.0, -118.0)) == {Verdict.OK}
    assert verdicts(values, "night", at=MIDNIGHT - timedelta(hours=12), place=LAHORE) == {Verdict.OK}


@given(st.floats(12.6, 500))
def test_a_power_beyond_the_rating_is_to_be_looked_at(power: float) -> None:
    values: dict[str, Value] = {"ac_power_kw": power, "rated_power_kw": 10.0}
    assert verdicts(values, "range") == {Verdict.DOUBTFUL}
    assert verdicts({"ac_power_kw": power}, "range") == set()


@given(st.floats(200, 900), st.floats(1, 20))
def test_the_power_of_a_tracker_told_at_its_other_string_is_to_be_looked_at(volts: float, amperes: float) -> None:
    values: dict[str, Value] = {
        "dc_voltage_v.pv1": volts,
        "dc_current_a.pv1": amperes,
        "dc_power_kw.pv1": 0.0,
        "dc_voltage_v.pv2": volts,
        "dc_current_a.pv2": 0.0,
        "dc_power_kw.pv2": volts * amperes / 1000,
    }
    assert verdicts(values, "pv_power") == {Verdict.DOUBTFUL}


def test_phases_of_a_load_that_do_not_add_up_are_to_be_looked_at() -> None:
    phases: dict[str, Value] = {f"load_power_kw.l{n}": 1.0 for n in (1, 2, 3)}
    assert verdicts(phases | {"load_power_kw": 2.0}, "phases") == {Verdict.DOUBTFUL}
