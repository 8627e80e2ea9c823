"""The Sparkplug decoder survives every payload and reads every number that can be written."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.json_values import PayloadError
from edge_agent.drivers.sparkplug import SparkplugNode, decode_payload
from tests.sparkplug_bytes import metric, payload


@given(content=st.binary(max_size=80), kind=st.sampled_from(["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"]))
def test_every_payload_is_news_or_a_payload_error(content: bytes, kind: str) -> None:
    node = SparkplugNode()
    node.take("NBIRTH", "", payload(metric("m", alias=1, datatype=3, integer=1)), "t")
    try:
        news = node.take(kind, "", content, "where")
    except PayloadError as error:
        assert str(error).startswith("where: ")  # noqa: PT017 - both ends are right, which one is up to the payload
        return
    assert all(value is None or isinstance(value, int | float | str | bool) for value in news.values.values())


@given(value=st.integers(-(2**31), 2**31 - 1), seq=st.integers(0, 255), name=st.text(min_size=1, max_size=200))
def test_signed_integers(value: int, seq: int, name: str) -> None:
    content = payload(metric(name, datatype=3, integer=value & 0xFFFF_FFFF), seq=seq)
    assert decode_payload(content, "t").seq == seq
    assert SparkplugNode().take("NBIRTH", "", content, "t").values == {name: value}


@given(value=st.floats(allow_nan=False))
def test_doubles(value: float) -> None:
    assert SparkplugNode().take("NBIRTH", "", payload(metric("m", datatype=10, double=value)), "t").values == {
        "m": value
    }


@given(cut=st.integers(0, 40), flips=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4))
def test_torn_payloads(cut: int, flips: list[tuple[int, int]]) -> None:
    content = bytearray(payload(metric("AC/Power", alias=1, datatype=3, integer=1500)))
    for at, byte in flips:
        if at < len(content):
            content[at] = byte
    torn = bytes(content[: len(content) - cut])
    try:
        assert all(isinstance(found.name, str) for found in decode_payload(torn, "t").metrics)
    except PayloadError as error:
        assert str(error).startswith("t: ")  # noqa: PT017 - both ends are right
