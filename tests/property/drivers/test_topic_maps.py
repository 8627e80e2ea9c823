"""No shipped topic map can be upset by what is published, and nothing that is old is shown as new."""

import json

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.mqtt_codec import BoundMap, Decoded, PayloadError, bind, decode
from edge_agent.drivers.pushed import PushedValues
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.topics import PayloadFormat

LIBRARY = ProfileLibrary()
NAMES = {"topic_prefix": "p", "serial": "1", "node": "n", "power_path": "a.w", "ac_power": "m"}
MAPS = {name: bind(LIBRARY.mqtt(name), NAMES) for name in LIBRARY.mqtt_names()}
SPOKEN = [
    (bound, entry) for bound in MAPS.values() for entry in bound.entries if entry.format is not PayloadFormat.SPARKPLUG
]
SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
MAX_AGE_S = 30.0


@st.composite
def messages(draw: st.DrawFn) -> tuple[BoundMap, str, bytes]:
    """A message for one of the shipped maps: rubbish, or something odd at the very places that the map looks at."""
    bound, entry = draw(st.sampled_from(SPOKEN))
    topic = entry.topic.replace("+", "1").replace("#", "x")
    if draw(st.booleans()):
        return bound, topic, draw(st.binary(max_size=40))
    document: object = {}
    for value in entry.values:
        at: object = document
        for step in value.path[:-1]:
            at = at.setdefault(step, {}) if isinstance(at, dict) else None
        if isinstance(at, dict) and value.path:
            at[value.path[-1]] = draw(SCALARS | st.lists(SCALARS, max_size=2))
    for step in reversed(entry.root):
        document = {step: draw(st.sampled_from([document, json.dumps(document)]))}
    return bound, topic, json.dumps(document).encode()


@given(message=messages())
def test_every_message_is_values_or_a_payload_error(message: tuple[BoundMap, str, bytes]) -> None:
    bound, topic, payload = message
    try:
        decoded = decode(bound, topic, payload)
    except PayloadError as error:
        assert str(error).startswith(f"{topic}: ")  # noqa: PT017 - both ends are right, which one is up to the payload
        return
    known = {value.spec.metric for entry in bound.entries for value in entry.values}
    assert set(decoded.values) <= known
    assert all(value is None or isinstance(value, float | str) for value in decoded.values.values())


@given(
    said=st.lists(
        st.tuples(st.floats(0, 20), st.dictionaries(st.sampled_from("abc"), st.floats(-9, 9), max_size=3)), max_size=12
    ),
    assembly_s=st.sampled_from([0.0, 2.0]),
    wait=st.floats(0, 60),
)
def test_what_is_shown_was_said_lately(
    said: list[tuple[float, dict[str, float]]], assembly_s: float, wait: float
) -> None:
    pushed = PushedValues(max_age_s=MAX_AGE_S, assembly_s=assembly_s)
    now = 0.0
    heard: dict[str, list[tuple[float, float]]] = {}
    for pause, values in said:
        now += pause
        pushed.take(Decoded(values), now)
        for key, value in values.items():
            heard.setdefault(key, []).append((now, value))
    now += wait
    answer = pushed.answer(now)
    shown = dict(answer.values) if answer else {}
    for key, value in shown.items():
        lately = [number for at, number in heard[key] if now - at <= MAX_AGE_S]
        assert value in lately or (value is None and not lately) or (value is None and assembly_s)
    if not assembly_s:
        for key, numbers in heard.items():
            at, number = numbers[-1]
            assert shown.get(key) == (number if now - at <= MAX_AGE_S else None)
