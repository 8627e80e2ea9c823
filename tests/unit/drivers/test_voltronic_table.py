"""What PI30's answers mean, by published answers read by hand."""

import re

import pytest

from edge_agent.drivers.voltronic_table import (
    LOAD_ENERGY,
    LOAD_ENERGY_FIELDS,
    MODE,
    NO_TROUBLE,
    PROTOCOL_ID,
    PV_ENERGY,
    PV_ENERGY_FIELDS,
    RATINGS,
    RATINGS_FIELDS,
    SERIAL_NUMBER,
    STATES,
    STATUS,
    STATUS_2,
    STATUS_2_FIELDS,
    STATUS_FIELDS,
    WARNING_NAMES,
    WARNINGS,
    Query,
    battery_flow,
    charger_power,
    fault_codes,
    state_of,
    values_of,
)
from shared.enums import DeviceType, OperatingState
from shared.metrics import MetricKind, metric_of
from tests.voltronic_inverter import ANSWERS, MAX_STATUS, OLD_STATUS

BASE_STATUS = OLD_STATUS + " 00 00 00856 010"
QUERIES = (PROTOCOL_ID, SERIAL_NUMBER, MODE, WARNINGS, STATUS, STATUS_2, RATINGS, PV_ENERGY, LOAD_ENERGY)
INVERTER, BATTERY = STATUS_FIELDS[DeviceType.INVERTER], STATUS_FIELDS[DeviceType.BATTERY]


def with_field(status: str, place: int, text: str) -> str:
    fields = status.split()
    fields[place] = text
    return " ".join(fields)


def test_the_status_of_a_max() -> None:
    assert values_of(MAX_STATUS, INVERTER) == {
        "ac_voltage_v.l1": 227.2,
        "grid_frequency_hz": 50.0,
        "load_power_kw": 0.751,
        "inverter_temperature_c.heatsink": 54.0,
        "dc_current_a.pv1": 2.7,
        "dc_voltage_v.pv1": 323.6,
        "dc_power_kw.pv1": 0.879,
    }
    assert values_of(MAX_STATUS, BATTERY) | battery_flow(MAX_STATUS) == {
        "battery_voltage_v": 54.5,
        "battery_soc_percent": 83.0,
        "battery_current_a": -20.0,
        "battery_power_kw": -1.09,
    }
    assert charger_power(MAX_STATUS) == {}


def test_the_status_of_a_base_model_off_grid() -> None:
    """Its "PV current" flows into the battery: 14 A at 57.45 V are its 856 W rather than 14 A at the modules' 103.8 V."""
    values = values_of(BASE_STATUS, INVERTER)
    assert "dc_current_a.pv1" not in values
    assert values["dc_power_kw.pv1"] == 0.856
    assert values["dc_voltage_v.pv1"] == 103.8
    assert (values["ac_voltage_v.l1"], values["grid_frequency_hz"]) == (0.0, 0.0)


def test_the_status_of_old_firmware_has_no_power_of_the_modules() -> None:
    assert "dc_power_kw.pv1" not in values_of(OLD_STATUS, INVERTER)
    assert charger_power(OLD_STATUS) == {"dc_power_kw.pv1": 0.8043}
    assert charger_power(with_field(OLD_STATUS, 14, "--.-")) == {"dc_power_kw.pv1": None}


def test_discharging_is_positive() -> None:
    status = with_field(with_field(MAX_STATUS, 9, "000"), 15, "00013")
    assert battery_flow(status) == {"battery_current_a": 13.0, "battery_power_kw": 0.7085}


@pytest.mark.parametrize("place", [8, 9, 15])
def test_a_missing_number_is_none_and_never_zero(place: int) -> None:
    status = with_field(MAX_STATUS, place, "---")
    assert STATUS.shape.fullmatch(status)
    assert battery_flow(status)["battery_power_kw"] is None
    assert values_of(with_field(MAX_STATUS, 8, "--.-"), BATTERY)["battery_voltage_v"] is None


def test_the_second_tracker_the_ratings_and_the_counters() -> None:
    assert values_of(ANSWERS["QPIGS2"], STATUS_2_FIELDS) == {
        "dc_current_a.pv2": 3.1,
        "dc_voltage_v.pv2": 327.3,
        "dc_power_kw.pv2": 1.026,
    }
    assert values_of(ANSWERS["QPIRI"], RATINGS_FIELDS) == {"rated_power_kw": 8.0}
    assert values_of(ANSWERS["QET"], PV_ENERGY_FIELDS) == {"energy_total_kwh": 238.8}
    assert values_of(ANSWERS["QLT"], LOAD_ENERGY_FIELDS) == {"load_energy_total_kwh": 191.5}


@pytest.mark.parametrize(
    "ratings",
    [
        "230.0 21.7 230.0 50.0 21.7 5000 4000 48.0 46.0 42.0 56.4 54.0 0 10 010 1 0 0 6 01 0 0 54.0 0 1",
        "120.0 25.0 120.0 60.0 25.0 3000 3000 48.0 46.0 44.0 58.4 54.4 2 30 060 1 2 0 9 01 0 6 54.0 0 1 000 0",
        "230.0 13.0 230.0 50.0 13.0 3000 2400 24.0 23.0 21.0 28.2 27.0 0 30 50 0 2 1 - 01 1 0 26.0 0 0",
        "230.0 21.7 230.0 50.0 21.7 5000 5000 48.0 47.0 46.5 57.6 57.6 5 30 080 0 1 2 1 01 0 0 52.0 0 1",
    ],
)
def test_ratings_of_other_models_have_the_shape(ratings: str) -> None:
    assert [query for query in QUERIES if query.shape.fullmatch(ratings)] == [RATINGS]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.command)
def test_no_answer_passes_for_the_answer_to_another_command(query: Query) -> None:
    """Only the two counters are of one shape: there the order of the answers decides."""
    alike = {"QET": {"QET", "QLT"}, "QLT": {"QET", "QLT"}}.get(query.command, {query.command})
    answer = ANSWERS[query.command]
    assert {other.command for other in QUERIES if other.shape.fullmatch(answer)} == alike


@pytest.mark.parametrize("status", [MAX_STATUS, BASE_STATUS, OLD_STATUS, MAX_STATUS + " 0 00 0123"])
def test_a_status_cut_short_has_not_its_shape(status: str) -> None:
    assert STATUS.shape.fullmatch(status)
    assert not STATUS.shape.fullmatch(" ".join(status.split()[:16]))
    assert not STATUS.shape.fullmatch(status.replace(" ", "", 1))


@pytest.mark.parametrize(
    ("mode", "status", "state"),
    [
        ("P", MAX_STATUS, OperatingState.STARTING),
        ("S", MAX_STATUS, OperatingState.CHARGING_ONLY),
        ("S", with_field(MAX_STATUS, 16, "00010000"), OperatingState.STANDBY),
        ("L", MAX_STATUS, OperatingState.PRODUCING),
        ("L", with_field(MAX_STATUS, 19, "00000"), OperatingState.STANDBY),
        ("L", OLD_STATUS, OperatingState.PRODUCING),
        ("L", with_field(OLD_STATUS, 12, "0000"), OperatingState.STANDBY),
        ("L", with_field(MAX_STATUS, 19, "-----"), OperatingState.PRODUCING),
        ("B", MAX_STATUS, OperatingState.PRODUCING),
        ("B", BASE_STATUS, OperatingState.OFF_GRID),
        ("B", with_field(MAX_STATUS, 0, "---.-"), OperatingState.OFF_GRID),
        ("F", MAX_STATUS, OperatingState.FAULT),
        ("H", MAX_STATUS, OperatingState.SLEEPING),
        ("Y", MAX_STATUS, OperatingState.STANDBY),
        ("D", MAX_STATUS, OperatingState.OFF),
        ("Z", MAX_STATUS, OperatingState.UNKNOWN),
    ],
)
def test_states(mode: str, status: str, state: OperatingState) -> None:
    assert state_of(mode, status) is state


def test_warnings_become_codes() -> None:
    assert fault_codes("00000100000000001000000000000000") == "voltronic_pi30:line_fail_warning voltronic_pi30:overload"
    assert fault_codes("0" * 36) == ""
    assert fault_codes("1" + "0" * 34 + "1") == ""
    assert fault_codes("0" * 13 + "1" + "0" * 20) == "voltronic_pi30:bit13"


def test_each_warning_has_its_own_place() -> None:
    for place, name in WARNING_NAMES.items():
        flags = "".join("1" if place == here else "0" for here in range(36))
        assert fault_codes(flags) == f"voltronic_pi30:{name}"
    assert not NO_TROUBLE & WARNING_NAMES.keys()
    assert len(set(WARNING_NAMES.values())) == len(WARNING_NAMES)


def test_every_metric_is_in_the_catalogue_and_fits_its_device() -> None:
    tables = {**STATUS_FIELDS}
    tables[DeviceType.INVERTER] += (*STATUS_2_FIELDS, *RATINGS_FIELDS, *PV_ENERGY_FIELDS, *LOAD_ENERGY_FIELDS)
    for device_type, table in tables.items():
        assert len({field.metric for field in table}) == len(table)
        for field in table:
            metric = metric_of(field.metric)
            assert device_type in metric.device_types, field.metric
            assert (str(field.factor) == "0.001") == (metric.unit in {"kW", "kWh"}), field.metric


def test_no_energy_or_power_belongs_to_two_device_types() -> None:
    told = [{field.metric for field in table} for table in STATUS_FIELDS.values()]
    assert not told[0] & told[1]
    assert all(metric_of(f.metric).kind is MetricKind.COUNTER for f in (*PV_ENERGY_FIELDS, *LOAD_ENERGY_FIELDS))


def test_states_are_single_letters() -> None:
    assert all(re.fullmatch(r"[A-Z]", letter) for letter in STATES)
