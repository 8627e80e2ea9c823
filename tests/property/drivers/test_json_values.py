"""Every document is a value, nothing, or an error that names where; what is written out once is found again."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.http_codec import bind_requests, decode_answer
from edge_agent.drivers.json_values import ABSENT, PayloadError, at, steps_of
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType

LIBRARY = ProfileLibrary()
KEYS = st.sampled_from(
    ["Body", "Data", "Site", "P_Load", "0", "1", "Head", "Status", "Code", "Meter_Location_Current", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
METER = bind_requests(LIBRARY.http("fronius_solar_api"), {}, device_type=DeviceType.METER)
OK = {"Head": {"Status": {"Code": 0}}}
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@given(body=JSON, request=st.sampled_from(METER), is_ok=st.booleans())
def test_every_answer_is_values_or_a_payload_error(body: object, request: object, is_ok: bool) -> None:
    bound = next(known for known in METER if known is request)
    document = {"Body": body} | OK if is_ok else body
    try:
        values = decode_answer(bound, json.dumps(document).encode(), now=NOW)
    except PayloadError as error:
        assert bound.path in str(error)  # noqa: PT017 - both ends are right, which one is up to the answer
        return
    assert set(values) == set(bound.nothing)
    assert all(value is None or isinstance(value, float | str) for value in values.values())


@given(keys=st.lists(st.text("abc:_-9 ", min_size=1, max_size=5), min_size=1, max_size=5), value=st.integers())
def test_what_is_put_somewhere_is_found_there(keys: list[str], value: int) -> None:
    document: object = value
    for key in reversed(keys):
        document = {key: document}
    assert at(document, steps_of(".".join(keys), {}), "t") == value
    assert at(document, steps_of(".".join([*keys, "deeper"]), {}), "t") is ABSENT
