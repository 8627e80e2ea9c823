"""What stands in a JSON document: paths, conditions, units, stamps."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from edge_agent.drivers.json_values import (
    ABSENT,
    PayloadError,
    StaleError,
    TemplateError,
    at,
    bind_stamp,
    bind_values,
    check_age,
    document_of,
    steps_of,
    value_at,
)
from edge_agent.profiles.mapped import MappedValue, Stamp
from shared.enums import DeviceType

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
METERS = {
    "meters": [
        {"serial": "11", "role": "grid", "w": 100},
        {"serial": "22", "role": "pv", "w": -200},
        {"serial": "33", "role": "pv", "w": 300},
        7,
    ],
    "one": {"x9": {"w": 5}},
    "none": {},
}


def value(document: Any, names: dict[str, object] | None = None, **fields: Any) -> Any:
    spec = MappedValue.model_validate({"metric": "grid_power_kw", "unit": "W", "path": "w"} | fields)
    [bound] = bind_values([spec], names or {}, device_type=None)
    return value_at(bound, document_of(json.dumps(document), "where"), "where", is_partial=False)


@pytest.mark.parametrize(
    ("path", "names", "found"),
    [
        ("meters.[role=grid].w", {}, 100),
        ("meters.[role=pv&serial=22].w", {}, -200),
        ("meters.[serial={serial}].w", {"serial": 33}, 300),
        ("meters.[role=none].w", {}, ABSENT),
        ("meters.[role=grid&serial=22].w", {}, ABSENT),
        ("one.{id?}.w", {}, 5),
        ("one.{id?}.w", {"id": "x9"}, 5),
        ("one.{id?}.w", {"id": "x8"}, ABSENT),
        ("one.[w=5].w", {}, 5),
        ("none.{id?}.w", {}, ABSENT),
        ("meters.0.w", {}, 100),
        ("meters.4.w", {}, ABSENT),
        ("meters.3.0", {}, 7),
        ("meters.3.1", {}, ABSENT),
        ("one.x9.w.{id?}", {}, ABSENT),
    ],
)
def test_paths(path: str, names: dict[str, object], found: object) -> None:
    assert at(METERS, steps_of(path, names), "t") == found


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("meters.{id?}.w", "4 things stand where one is wanted.*say which in connection.id"),
        ("meters.[serial={serial?}].w", "3 things stand where one is wanted.*say which in connection.serial"),
        ("meters.[role=pv].w", "2 things.*the map has to say more"),
    ],
)
def test_several_where_one_is_wanted_are_refused(path: str, words: str) -> None:
    with pytest.raises(PayloadError, match=words):
        at(METERS, steps_of(path, {}), "t")


@pytest.mark.parametrize("given", [None, "", "a]b", "[", "*"])
def test_a_name_that_would_change_a_path_is_refused(given: object) -> None:
    with pytest.raises(TemplateError, match="serial is"):
        steps_of("meters.[serial={serial}].w", {"serial": given})


def test_a_value_whose_whole_path_was_left_open_is_not_asked_for() -> None:
    specs = [MappedValue.model_validate({"metric": "grid_power_kw", "unit": "W", "path": "{power_path?}"})]
    assert bind_values(specs, {}, device_type=None) == ()
    [bound] = bind_values(specs, {"power_path": "a.b"}, device_type=None)
    assert bound.path == ("a", "b")


def test_a_device_type_gets_its_own_values() -> None:
    spec = MappedValue.model_validate({"metric": "grid_power_kw", "unit": "W", "path": "w", "for": ["meter"]})
    assert bind_values([spec], {}, device_type=DeviceType.INVERTER) == ()
    assert len(bind_values([spec], {}, device_type=DeviceType.METER)) == 1


@pytest.mark.parametrize(
    ("condition", "document", "holds"),
    [
        ({"any_of": [0]}, {"c": 0}, True),
        ({"any_of": [0]}, {"c": 0.0}, True),
        ({"any_of": [0]}, {"c": False}, False),
        ({"any_of": [0]}, {"c": "0"}, False),
        ({"any_of": [0]}, {"c": None}, False),
        ({"any_of": [0]}, {}, False),
        ({"any_of": [True]}, {"c": True}, True),
        ({"any_of": [True]}, {"c": 1}, False),
        ({"any_of": ["load", "unknown"]}, {"c": "load"}, True),
        ({"above": 0}, {"c": 1}, True),
        ({"above": 0}, {"c": 0.0}, False),
        ({"above": 0}, {"c": True}, False),
        ({"above": 0}, {"c": "1"}, False),
        ({"count": 1}, {"c": {"a": 5}}, True),
        ({"count": 1}, {"c": [1, 2]}, False),
        ({"count": 1}, {"c": 1}, False),
    ],
)
def test_conditions(condition: dict[str, Any], document: dict[str, Any], holds: bool) -> None:
    found = value({"w": 1500} | document, only_if={"path": "c"} | condition)
    assert found == (1.5 if holds else ABSENT)


def test_what_is_counted_in_it_is_subtracted() -> None:
    energy = {"metric": "grid_import_energy_total_kwh", "unit": "Wh", "path": "total", "minus": "back"}
    assert value({"total": 1000, "back": 250}, **energy) == 0.75
    assert value({"total": 1000}, **energy) == 1.0
    assert value({"total": 1000, "back": None}, **energy) is None
    assert value({"total": None, "back": 3}, **energy) is None
    assert value({"back": 3}, **energy) is ABSENT
    [bound] = bind_values([MappedValue.model_validate(energy)], {}, device_type=None)
    assert value_at(bound, {"total": 1000}, "t", is_partial=True) is ABSENT


def test_the_unit_is_the_messages() -> None:
    assert value({"w": 1.5, "u": "kW"}, unit_path="u") == 1.5
    assert value({"w": 1500, "u": "W"}, unit_path="u") == 1.5
    assert value({"w": 1500}, unit_path="u") == 1.5
    with pytest.raises(PayloadError, match=r"comes in 'VA'.*cannot become 'kW'"):
        value({"w": 1500, "u": "VA"}, unit_path="u")


def test_zero_may_be_missing() -> None:
    assert value({"w": 0}) == 0.0
    assert value({"w": 0}, zero_is_missing=True) is None


@pytest.mark.parametrize(
    ("raw", "codes"), [(0, ""), ("0", ""), ("", ""), (523, "maker:523"), ("E07", "maker:E07"), (None, None)]
)
def test_fault_codes(raw: object, codes: str | None) -> None:
    assert value({"w": raw}, metric="fault_codes", unit=None, code_prefix="maker:") == codes


@pytest.mark.parametrize(
    ("stamp", "document", "is_fresh"),
    [
        ({"format": "unix_s"}, {"t": NOW.timestamp() - 60}, True),
        ({"format": "unix_s"}, {"t": NOW.timestamp() - 61}, False),
        ({"format": "unix_s"}, {"t": NOW.timestamp() + 3600}, True),
        ({"format": "unix_ms"}, {"t": (NOW.timestamp() - 61) * 1000}, False),
        ({"format": "iso"}, {"t": "2026-06-01T17:00:00+05:00"}, True),
        ({"format": "iso"}, {"t": "2026-06-01T11:00:00Z"}, False),
        ({"format": "age_s"}, {"t": 60}, True),
        ({"format": "age_s"}, {"t": 61}, False),
        ({"format": "unix_s"}, {"t": None}, True),
        ({"format": "unix_s"}, {}, True),
        ({"format": "unix_s", "now_path": "n"}, {"t": 1_000_000, "n": "1970-01-12T13:47:00+00:00"}, True),
        ({"format": "unix_s", "now_path": "n"}, {"t": 1_000_000, "n": "1970-01-12T13:48:00+00:00"}, False),
        ({"format": "unix_s", "now_path": "n"}, {"t": NOW.timestamp() - 61}, False),
    ],
)
def test_stamps(stamp: dict[str, Any], document: dict[str, Any], is_fresh: bool) -> None:
    bound = bind_stamp(Stamp.model_validate({"path": "t", "max_age_s": 60} | stamp), {})
    if is_fresh:
        check_age(bound, document, "t", now=NOW)
        return
    with pytest.raises(StaleError, match="old by their own stamp"):
        check_age(bound, document, "t", now=NOW)


@pytest.mark.parametrize(
    ("stamp", "raw", "words"),
    [
        ("iso", "2026-06-01T11:00:00", "has no offset"),
        ("iso", "noon", "is no time"),
        ("unix_s", "noon", "expected a number"),
        ("unix_s", 1e300, "is no time"),
        ("age_s", "long", "expected seconds"),
        ("age_s", True, "expected seconds"),
    ],
)
def test_a_stamp_that_is_none_is_refused(stamp: str, raw: object, words: str) -> None:
    bound = bind_stamp(Stamp.model_validate({"path": "t", "max_age_s": 60, "format": stamp}), {})
    with pytest.raises(PayloadError, match=words) as caught:
        check_age(bound, document_of(json.dumps({"t": raw}), "t"), "t", now=NOW)
    assert not isinstance(caught.value, StaleError)
