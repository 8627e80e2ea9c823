"""Known answers of the MQTT codec."""

import json
from typing import Any

import pytest

from edge_agent.drivers.mqtt_codec import BoundMap, PayloadError, TemplateError, bind, decode, matches
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.topics import TopicMap

LIBRARY = ProfileLibrary()
NAMES = {"topic_prefix": "site/roof"}


def bound(*entries: dict[str, Any], device_type: str = "meter") -> BoundMap:
    source = {
        "format": 1,
        "name": "m",
        "title": "m",
        "quality": "draft",
        "for": [device_type],
        "sources": [{"title": "a manual"}],
        "availability": {"topic": "{topic_prefix}/there", "online": "yes", "offline": "no"},
        "topic": list(entries),
    }
    return bind(TopicMap.model_validate(source), NAMES)


def one(path: str = "", topic: str = "{topic_prefix}/x", **fields: Any) -> dict[str, Any]:
    value = {"metric": "grid_power_kw", "unit": "W", "path": path} | fields
    return {"topic": topic, "format": "json" if path else "number", "value": [value]}


def test_irradiance() -> None:
    sensor = bind(LIBRARY.mqtt("irradiance_json"), NAMES)
    assert sensor.filters == ("site/roof/irradiance", "site/roof/status")
    message = b'{"poa_wm2": 812.4, "module_temperature_c": 47.3, "at": "2026-06-21T07:00:00Z"}'
    assert decode(sensor, "site/roof/irradiance", message).values == {
        "irradiance_wm2.poa": 812.4,
        "module_temperature_c": 47.3,
    }
    assert decode(sensor, "site/roof/irradiance", b'{"poa_wm2": null}').values == {"irradiance_wm2.poa": None}
    assert decode(sensor, "site/roof/status", b"offline").is_online is False
    assert decode(sensor, "site/roof/status", b"online").is_online is True


def test_shelly() -> None:
    meter = bind(LIBRARY.mqtt("shelly_gen2_em"), {"topic_prefix": "shellypro3em-1"})
    power = {"id": 0, "total_act_power": -456.7, "a_act_power": -400.1, "a_voltage": 231.2, "a_pf": 0.98}
    assert decode(meter, "shellypro3em-1/status/em:0", json.dumps(power).encode()).values == {
        "grid_power_kw": -0.4567,
        "grid_power_kw.l1": -0.4001,
        "ac_voltage_v.l1": 231.2,
        "power_factor.l1": 0.98,
    }
    energy = b'{"id":0,"total_act":12345.67,"total_act_ret":0}'
    assert decode(meter, "shellypro3em-1/status/emdata:0", energy).values == {
        "grid_import_energy_total_kwh": 12.34567,
        "grid_export_energy_total_kwh": 0.0,
    }


@pytest.mark.parametrize(
    ("path", "payload", "value"),
    [
        ("a", '{"a": 1500}', 1.5),
        ("a.b", '{"a": {"b": 1500}}', 1.5),
        ("a.0", '{"a": [1500, 2]}', 1.5),
        ("a.1", '{"a": [1500, 2000]}', 2.0),
        ("a.0", '{"a": 1500}', 1.5),
        ("0.a", '[{"a": 1500}]', 1.5),
        ("a", '{"a": "1500"}', 1.5),
        ("a", '{"a": " 1.5e3 "}', 1.5),
        ("a", '{"a": null}', None),
        ("a", '{"a": "unavailable"}', None),
        ("a", '{"a": ""}', None),
        ("a", '{"a": NaN}', None),
        ("a", '{"a": "-inf"}', None),
        ("a", '{"a": 1e400}', None),
        ("a", "", None),
        ("", "1500", 1.5),
        ("", " 1500.0\n", 1.5),
        ("", "", None),
        ("", "nan", None),
    ],
)
def test_numbers(path: str, payload: str, value: float | None) -> None:
    assert decode(bound(one(path)), "site/roof/x", payload.encode()).values == {"grid_power_kw": value}


@pytest.mark.parametrize("payload", ['{"b": 1}', "{}", '{"a": {}}', '{"a": [1]}', "[]", '{"a": {"b": {}}}'])
def test_what_a_message_does_not_carry_is_unchanged(payload: str) -> None:
    assert decode(bound(one("a.b.c")), "site/roof/x", payload.encode()).values == {}


def test_a_position_beyond_the_array_is_unchanged() -> None:
    assert decode(bound(one("a.3")), "site/roof/x", b'{"a": [1]}').values == {}


def test_sign_scale_and_offset() -> None:
    entry = one("a", scale=0.1, offset=-100, sign=-1)
    assert decode(bound(entry), "site/roof/x", b'{"a": 1323}').values == {"grid_power_kw": -0.0323}


def test_no_binary_residue() -> None:
    entry = one("a", metric="grid_import_energy_total_kwh", unit="Wh")
    assert decode(bound(entry), "site/roof/x", b'{"a": 1300100.1}').values == {
        "grid_import_energy_total_kwh": 1300.1001
    }


def test_states() -> None:
    entry = {
        "topic": "{topic_prefix}/x",
        "value": [{"metric": "operating_state", "path": "s", "states": {"run": "producing", "3": "fault"}}],
    }
    inverter = bound(entry, device_type="inverter")
    for word, state in (('"run"', "producing"), ("3", "fault"), ('"odd"', "unknown"), ("null", None)):
        assert decode(inverter, "site/roof/x", f'{{"s": {word}}}'.encode()).values == {"operating_state": state}


@pytest.mark.parametrize(
    ("path", "payload", "words"),
    [
        ("a", b"{", "is no JSON"),
        ("a", b"\xff\xfe\xff", "is no JSON"),
        ("a", b"5", "neither an object nor an array"),
        ("a", b'{"a": true}', "is True, expected a number"),
        ("a", b'{"a": {"b": 1}}', "expected a number"),
        ("a", b'{"a": "many"}', "'many', expected a number"),
        ("a", b'{"a": 1e9999999}', "too large"),
        ("", b"many", "at the payload is 'many'"),
        ("a", b'{"a":' + b"[" * 100_000, "is no JSON|nested too deeply"),
        ("a", b" " * 1_000_001, "1000001 bytes, more than 1000000"),
        ("", b"7" * 1_000_001, "1000001 bytes, more than 1000000"),
    ],
)
def test_what_is_no_message_is_refused(path: str, payload: bytes, words: str) -> None:
    with pytest.raises(PayloadError, match=words) as caught:
        decode(bound(one(path)), "site/roof/x", payload)
    assert str(caught.value).startswith("site/roof/x: ")
    assert len(str(caught.value)) < 400


def test_an_availability_of_another_language_is_refused() -> None:
    with pytest.raises(PayloadError, match="is neither 'yes' nor 'no'"):
        decode(bound(one("a")), "site/roof/there", b"online")


def test_another_topic_says_nothing() -> None:
    assert decode(bound(one("a")), "site/other/x", b"rubbish").values == {}


@pytest.mark.parametrize("value", [None, "", "/", "a/+/b", "a/#", "a\0b"])
def test_a_prefix_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(TemplateError, match="topic_prefix is"):
        bind(LIBRARY.mqtt("irradiance_json"), {"topic_prefix": value})


@pytest.mark.parametrize(
    ("topic_filter", "topic", "fits"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("+/+", "a/b", True),
        ("+", "a/b", False),
        ("a/+", "a", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("#", "a/b", True),
        ("a/b", "a/c", False),
        ("a/b/c", "a/b", False),
        ("a", "a/b", False),
        ("+/b", "/b", True),
    ],
)
def test_wildcards(topic_filter: str, topic: str, fits: bool) -> None:
    assert matches(topic_filter, topic) is fits


def test_a_connection_that_names_nothing_to_read_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"give at least one of current_path, dc_power_path, energy_path"):
        bind(LIBRARY.mqtt("json_mqtt"), NAMES)
