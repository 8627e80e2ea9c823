"""What topic maps and HTTP maps may say, and how a wrong one is refused."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.errors import ConfigError
from edge_agent.profiles.load import ProfileLibrary, UnknownProfileError
from edge_agent.profiles.mapped import unroll
from edge_agent.profiles.requests import HttpMap
from edge_agent.profiles.topics import TopicMap

VALUE = {"path": "a", "metric": "grid_power_kw", "unit": "W"}


def head(**fields: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "name": "m",
        "title": "m",
        "quality": "draft",
        "for": ["meter"],
        "sources": [{"title": "a manual"}],
    } | fields


def http(*values: dict[str, Any], **request: Any) -> HttpMap:
    return HttpMap.model_validate(head(request=[{"path": "/x", "value": list(values)} | request]))


def topics(*values: dict[str, Any], **topic: Any) -> TopicMap:
    return TopicMap.model_validate(head(topic=[{"topic": "x", "value": list(values)} | topic]))


def test_what_is_said_once_for_several_is_written_out() -> None:
    assert unroll([{"each": {"n": [1, 2]}, "path": "p{n}", "only_if": {"path": "{n}.{other}"}}, {"path": "q"}]) == [
        {"path": "p1", "only_if": {"path": "1.{other}"}},
        {"path": "p2", "only_if": {"path": "2.{other}"}},
        {"path": "q"},
    ]
    assert unroll([{"each": {"a": ["x", "y"], "b": [1, 2]}, "path": "{a}{b}"}]) == [
        {"path": "x1"},
        {"path": "x2"},
        {"path": "y1"},
        {"path": "y2"},
    ]
    assert unroll("rubbish") == "rubbish"
    phases = http({"each": {"n": ["1", "2", "3"]}, "path": "p{n}", "metric": "grid_power_kw.l{n}", "unit": "W"})
    assert phases.metrics == ("grid_power_kw.l1", "grid_power_kw.l2", "grid_power_kw.l3")


def test_names_of_the_connection() -> None:
    request = {"path": "/api/{serial}", "value": [VALUE | {"path": "{id?}.{channel}.w"}]}
    read = HttpMap.model_validate(head(request=[request], defaults={"channel": "0"}))
    assert read.placeholders == {"serial"}
    assert read.open_names == {"id", "channel"}
    spoken = TopicMap.model_validate(
        head(
            topic=[{"topic": "{topic_prefix}/{id?}", "root": "{section}", "value": [VALUE]}],
            request=[{"topic": "{topic_prefix}/ask", "payload": '{"from":"{who}"}'}],
        )
    )
    assert spoken.placeholders == {"topic_prefix", "section", "who"}
    assert spoken.open_names == {"id"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (VALUE | {"path": "a..b"}, "'a..b' is no path"),
        (VALUE | {"path": "a.[b"}, "is no path"),
        (VALUE | {"path": "a.[b]"}, r"\[b\] picks nothing"),
        (VALUE | {"minus": ".b"}, "is no path"),
        (VALUE | {"only_if": {"path": "b"}}, "one of any_of, above and count"),
        (VALUE | {"only_if": {"path": "b", "above": 0, "any_of": [1]}}, "one of any_of, above and count"),
        (VALUE | {"code_prefix": "x"}, "code_prefix and fault_codes belong together"),
        (VALUE | {"metric": "fault_codes"}, "code_prefix and fault_codes belong together"),
        (VALUE | {"for": ["inverter"]}, "is for inverter, but the map is for meter"),
        (VALUE | {"metric": "battery_power_kw"}, "battery_power_kw does not exist for meter"),
        (VALUE | {"pth": "b"}, "Extra inputs"),
    ],
)
def test_a_wrong_value_is_refused(value: dict[str, Any], words: str) -> None:
    for make in (http, topics):
        with pytest.raises(ValidationError, match=words):
            make(value)


def test_a_key_is_given_once_unless_a_condition_tells_two_apart() -> None:
    with pytest.raises(ValidationError, match="grid_power_kw is given 2 times"):
        http(VALUE, VALUE | {"path": "b"})
    twins = [VALUE | {"only_if": {"path": "c", "any_of": [word]}} for word in (0, 1)]
    assert http(*twins).metrics == ("grid_power_kw",)


def test_another_topic_may_repeat_a_key_if_it_says_so() -> None:
    again = {"topic": "y", "value": [VALUE]}
    with pytest.raises(ValidationError, match="2 times"):
        TopicMap.model_validate(head(topic=[{"topic": "x", "value": [VALUE]}, again]))
    read = TopicMap.model_validate(head(topic=[{"topic": "x", "value": [VALUE]}, again | {"repeats": True}]))
    assert len(read.entries) == 2


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ({"format": "number", "value": [VALUE | {"path": ""}], "root": "a"}, "belong to JSON, not to a number"),
        ({"format": "number", "value": [VALUE | {"path": "", "minus": "b"}]}, "belong to JSON, not to a number"),
        ({"format": "sparkplug", "partial": True}, "belong to JSON, not to a sparkplug"),
        ({"device": "x"}, "device belongs to Sparkplug"),
        ({"stamp": {"path": "t", "max_age_s": 0}}, "greater than 0"),
        ({"stamp": {"path": "t", "max_age_s": 9, "format": "age_s", "now_path": "n"}}, "not compared"),
    ],
)
def test_a_wrong_topic_is_refused(topic: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        topics(VALUE, **topic)


@pytest.mark.parametrize("path", ["x", "/a b", "/a#b", ""])
def test_a_wrong_request_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="path"):
        http(VALUE, path=path)
    with pytest.raises(ValidationError, match="has no path"):
        http(VALUE | {"path": ""})


def test_a_sites_own_http_map_comes_first(tmp_path: Path) -> None:
    (tmp_path / "http").mkdir()
    (tmp_path / "http" / "own.toml").write_text(
        'format = 1\nname = "own"\ntitle = "Ours"\nquality = "draft"\nfor = ["meter"]\nsources = [{ title = "a manual" }]\n'
        '[[request]]\npath = "/x"\nvalue = [{ path = "a", metric = "grid_power_kw", unit = "W" }]\n'
    )
    library = ProfileLibrary(tmp_path)
    assert library.http("own").title == "Ours"
    assert {"own", "fronius_solar_api"} <= set(library.http_names())
    with pytest.raises(UnknownProfileError, match="HTTP map 'sun' is not known"):
        library.http("sun")
    (tmp_path / "http" / "other.toml").write_text((tmp_path / "http" / "own.toml").read_text())
    with pytest.raises(ConfigError, match=r"other\.toml: name = 'own'"):
        library.http("other")
