"""The MQTT codec survives every payload, and wildcards are the broker library's."""

import json
from decimal import Decimal

from aiomqtt import Topic
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.mqtt_codec import PayloadError, bind, decode, matches
from edge_agent.profiles.load import ProfileLibrary

SENSOR = bind(ProfileLibrary().mqtt("irradiance_json"), {"topic_prefix": "p"})
LEVELS = st.sampled_from(["a", "b", "", "long level"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["poa_wm2", "module_temperature_c", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(payload=st.binary(max_size=60) | JSON.map(lambda document: json.dumps(document).encode()))
def test_every_payload_is_values_or_a_payload_error(payload: bytes) -> None:
    try:
        values = decode(SENSOR, "p/irradiance", payload).values
    except PayloadError as error:
        assert "p/irradiance" in str(error)  # noqa: PT017 - both ends are right, which one is up to the payload
        return
    assert set(values) <= {"irradiance_wm2.poa", "module_temperature_c"}
    assert all(value is None or isinstance(value, float) for value in values.values())


@given(tenths=st.integers(-400, 16000))
def test_decimals_stay_decimals(tenths: int) -> None:
    text = str(Decimal(tenths) / 10)
    values = decode(SENSOR, "p/irradiance", f'{{"poa_wm2": {text}}}'.encode()).values
    assert Decimal(repr(values["irradiance_wm2.poa"])) == Decimal(text)


@given(
    topic=st.lists(LEVELS, min_size=1, max_size=4),
    wanted=st.lists(LEVELS | st.just("+"), min_size=1, max_size=4),
    tail=st.booleans(),
)
def test_wildcards_are_those_of_mqtt(topic: list[str], wanted: list[str], tail: bool) -> None:
    name = "/".join(topic)
    topic_filter = "/".join([*wanted, "#"] if tail else wanted)
    if name and topic_filter:
        assert matches(topic_filter, name) == Topic(name).matches(topic_filter)
