"""Every shipped topic map and HTTP map reads its samples: messages and answers as devices write them, the reading worked out by hand."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge_agent.drivers.http_codec import bind_requests, decode_answer
from edge_agent.drivers.mqtt_codec import bind, decode
from edge_agent.drivers.pushed import PushedValues
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType
from shared.metrics import metric_of
from shared.readings import Value

LIBRARY = ProfileLibrary()
FOLDER = Path(__file__).parent / "mappings"
CAPTURES = Path(__file__).parent / "captures"
MQTT = sorted((FOLDER / "mqtt").glob("*.json"))
HTTP = sorted((FOLDER / "http").glob("*.json"))
SPOKEN_BY_OTHERS = {"irradiance_json", "sparkplug_b"}
"""Samples stand beside the tests of the codecs."""


def sample(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    assert read["source"], "say where the sample comes from"
    return read


def map_name(path: Path) -> str:
    return path.stem.partition(".")[0]


def body_of(answer: object) -> bytes:
    """An answer written out, or the name of a recording."""
    if isinstance(answer, str) and answer.endswith(".json"):
        return (CAPTURES / answer).read_bytes()
    return json.dumps(answer).encode()


@pytest.mark.parametrize("path", MQTT, ids=lambda path: path.stem)
def test_messages_give_the_reading(path: Path) -> None:
    said = sample(path)
    device_type = DeviceType(said["device_type"])
    bound = bind(LIBRARY.mqtt(map_name(path)), said["names"], device_type=device_type)
    pushed = PushedValues(max_age_s=30.0)
    for topic, payload in said["messages"]:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        decoded = decode(bound, topic, text.encode(), now=moment(said))
        if decoded.is_online is None:
            assert pushed.take(decoded, 0.0) or said.get("silent"), f"{topic} says nothing"
        else:
            pushed.announce(topic, is_online=decoded.is_online, overrules=decoded.overrules)
    answer = pushed.answer(1.0)
    check(answer.values if answer else {}, said["values"], device_type)


@pytest.mark.parametrize("path", HTTP, ids=lambda path: path.stem)
def test_answers_give_the_reading(path: Path) -> None:
    said = sample(path)
    device_type = DeviceType(said["device_type"])
    requests = bind_requests(LIBRARY.http(map_name(path)), said["names"], device_type=device_type)
    assert {request.path for request in requests} == set(said["answers"])
    values: dict[str, Value] = {}
    for request in requests:
        found = decode_answer(request, body_of(said["answers"][request.path]), now=moment(said))
        values |= {key: value for key, value in found.items() if value is not None or key not in values}
    check(values, said["values"], device_type)


def moment(said: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(said.get("now", 1_790_000_000), UTC)


def check(values: Any, expected: dict[str, Value], device_type: DeviceType) -> None:
    assert set(values) == set(expected)
    for key, value in expected.items():
        assert values[key] == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value), key
        assert device_type in metric_of(key).device_types
        if isinstance(value, int | float):
            assert metric_of(key).is_sane(value)


def test_each_map_has_a_sample() -> None:
    assert {map_name(path) for path in MQTT} | SPOKEN_BY_OTHERS == set(LIBRARY.mqtt_names())
    assert {map_name(path) for path in HTTP} == set(LIBRARY.http_names())


@pytest.mark.parametrize("name", LIBRARY.http_names())
def test_each_http_map_is_sound(name: str) -> None:
    http_map = LIBRARY.http(name)
    assert http_map.name == name
    assert {metric_of(key).name for key in http_map.metrics}


@pytest.mark.parametrize(("kind", "paths"), [("mqtt", MQTT), ("http", HTTP)])
def test_directions_are_tried(kind: str, paths: list[Path]) -> None:
    """What the catalogue gives a direction has a sample with a value, so that a wrong sign would be seen."""
    directed = {"grid_power_kw", "battery_power_kw", "battery_current_a"}
    tried = {
        (map_name(path), key)
        for path in paths
        for key, value in sample(path)["values"].items()
        if value not in {None, 0}
    }
    for name in {map_name(path) for path in paths}:
        shipped = LIBRARY.mqtt(name) if kind == "mqtt" else LIBRARY.http(name)
        assert {(name, key) for key in shipped.metrics if key in directed} <= tried
