"""Cells become values in the units of the catalogue."""

import math

import pytest

from cloud.ingest.importing.cells import cell_reader
from cloud.ingest.importing.errors import UnreadableError
from cloud.ingest.importing.mapping import FileForm, ValueForm
from cloud.ingest.importing.units import UnknownUnitError, conversion
from shared.metrics import METRICS, MetricKind
from shared.readings import Value

GERMAN = FileForm(delimiter=";", decimal=",", thousands=".")


def value_of(text: str, metric: str = "ac_power_kw", *, file: FileForm | None = None, **fields: object) -> Value:
    value = ValueForm.model_validate({"source": "x", "metric": metric, **fields})
    return cell_reader(value, file or FileForm())(text)


@pytest.mark.parametrize(
    ("text", "metric", "fields", "expected"),
    [
        ("1500", "ac_power_kw", {"unit": "W"}, 1.5),
        ("1234.5", "ac_power_kw", {"unit": "W"}, 1.2345),
        ("0.1", "ac_power_kw", {"unit": "MW"}, 100.0),
        ("12345678", "energy_total_kwh", {"unit": "Wh"}, 12345.678),
        ("1.5", "energy_total_kwh", {"unit": "MWh"}, 1500.0),
        ("3.6", "energy_total_kwh", {"unit": "MJ"}, 1.0),
        ("212", "inverter_temperature_c", {"unit": "°F"}, 100.0),
        ("273.15", "ambient_temperature_c", {"unit": "K"}, 0.0),
        ("25.5", "module_temperature_c", {"unit": "°C"}, 25.5),
        ("0.95", "battery_soc_percent", {"unit": "1"}, 95.0),
        ("36", "wind_speed_ms", {"unit": "km/h"}, 10.0),
        ("0.8", "irradiance_wm2.poa", {"unit": "kW/m²"}, 800.0),
        ("2301", "ac_voltage_v.l1", {"scale": "0.1"}, 230.1),
        ("400", "inverter_temperature_c", {"scale": "0.1", "offset": "-40"}, 0.0),
        ("750", "grid_power_kw", {"unit": "W", "sign": -1}, -0.75),
        ("0", "grid_power_kw", {"unit": "W", "sign": -1}, 0.0),
        ("65535", "ac_power_kw", {"sentinels": ["65535"]}, None),
        ("65535.0", "ac_power_kw", {"sentinels": ["65535"]}, None),
        ("-0.5e1", "grid_power_kw", {}, -5.0),
        (".5", "ac_power_kw", {}, 0.5),
        ("5.", "ac_power_kw", {}, 5.0),
    ],
)
def test_numbers(text: str, metric: str, fields: dict[str, object], expected: float | None) -> None:
    found = value_of(text, metric, **fields)
    assert found == expected
    assert not isinstance(found, float) or math.copysign(1, found) == math.copysign(1, expected or 0)


@pytest.mark.parametrize(
    ("text", "expected"), [("1,5", 1.5), ("1.234,5", 1234.5), ("1234,5", 1234.5), ("12.345.678", 12345678.0)]
)
def test_decimal_commas_and_thousands(text: str, expected: float) -> None:
    assert value_of(text, "energy_total_kwh", file=GERMAN) == expected


@pytest.mark.parametrize("text", ["", "-", "NA", "n/a", "NaN", "null", "--"])
def test_words_for_nothing(text: str) -> None:
    assert value_of(text) is None


def test_other_words_for_nothing() -> None:
    assert value_of("kein Wert", file=FileForm(missing=("Kein Wert",))) is None
    with pytest.raises(UnreadableError, match="is '-', which is no number"):
        value_of("-", file=FileForm(missing=("Kein Wert",)))


@pytest.mark.parametrize("text", ["1,5", "one", "1_000", "inf", "1 5", "0x10", "1e9999", "१२", "1" * 90, "1\x00"])
def test_what_is_no_number_is_said(text: str) -> None:
    with pytest.raises(UnreadableError, match="'x' is "):
        value_of(text)


@pytest.mark.parametrize("text", ["1.5", "1.23,4", "1.2345", "1,2,3", ".123,4"])
def test_thousands_only_where_they_belong(text: str) -> None:
    with pytest.raises(UnreadableError, match="no number as this file writes them"):
        value_of(text, file=GERMAN)


def test_a_number_beyond_all_numbers() -> None:
    with pytest.raises(UnreadableError, match="beyond every number"):
        value_of("9e999")


def test_states_are_translated_or_refused() -> None:
    words = {"Normal": "producing", "512": "producing", "Standby": "standby"}
    assert value_of("Normal", "operating_state", words=words) == "producing"
    assert value_of("fault", "operating_state", words=words) == "fault"
    with pytest.raises(UnreadableError, match="'x' is 'Derating': add it to the words"):
        value_of("Derating", "operating_state", words=words)
    assert value_of("E031,E101", "fault_codes") == "E031,E101"
    assert value_of("3", "fault_codes", words={"3": "F03"}) == "F03"
    assert value_of("-", "operating_state", words=words) is None


def test_every_metric_can_be_told_in_its_own_unit() -> None:
    told = [metric for metric in METRICS.values() if metric.kind is not MetricKind.ATTRIBUTE]
    assert all(conversion(metric.unit, to=metric.unit).is_identity for metric in told)


@pytest.mark.parametrize(("unit", "to"), [("mW", "kW"), ("kW", "kWh"), ("", "kW"), ("degF", "kWh")])
def test_units_that_do_not_fit(unit: str, to: str) -> None:
    with pytest.raises(UnknownUnitError, match=f"{unit!r} does not become {to!r}; write one of {to}"):
        conversion(unit, to=to)
