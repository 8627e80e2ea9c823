"""Sparkplug B: known bytes, and what a host makes of births, data and deaths."""

import pytest

from edge_agent.drivers.json_values import PayloadError
from edge_agent.drivers.mqtt_codec import bind, decode_sparkplug
from edge_agent.drivers.pushed import PushedValues
from edge_agent.drivers.sparkplug import News, SparkplugNode, decode_payload, rebirth_request
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType
from tests.sparkplug_bytes import metric, payload

NAMES = {"topic_prefix": "roof", "node": "box", "device": "inv1", "ac_power": "AC/Power", "energy_total": "AC/Energy"}
NBIRTH = payload(metric("bdSeq", datatype=8, long=5), seq=0)
DBIRTH = payload(
    metric("AC/Power", alias=1, datatype=3, integer=1500), metric("AC/Energy", alias=2, datatype=10, double=12.5), seq=1
)


def born() -> SparkplugNode:
    node = SparkplugNode()
    node.take("NBIRTH", "", NBIRTH, "t")
    node.take("DBIRTH", "inv1", DBIRTH, "t")
    return node


def test_a_payload_of_known_bytes() -> None:
    # timestamp 5, metric {name "p", datatype 9, float 1.5}, seq 255
    content = bytes.fromhex("0805120a0a01702009650000c03f18ff01")
    decoded = decode_payload(content, "t")
    assert decoded.seq == 255
    assert [(found.name, found.value) for found in decoded.metrics] == [("p", 1.5)]


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (metric("m", datatype=3, integer=0xFFFF_FF38), -200),
        (metric("m", datatype=1, integer=0xFF), -1),
        (metric("m", datatype=2, integer=0xFFFF_8000), -32768),
        (metric("m", datatype=4, long=2**64 - 7), -7),
        (metric("m", datatype=7, integer=0xFFFF_FFFF), 4_294_967_295),
        (metric("m", datatype=8, long=2**63), 2**63),
        (metric("m", datatype=9, single=0.5), 0.5),
        (metric("m", datatype=10, double=-0.1), -0.1),
        (metric("m", datatype=11, flag=True), True),
        (metric("m", datatype=12, text="run"), "run"),
        (metric("m", datatype=3, is_null=True), None),
        (metric("m", datatype=16), None),
    ],
)
def test_values(content: bytes, value: object) -> None:
    news = SparkplugNode().take("NBIRTH", "", payload(content), "t")
    assert news.values == {"m": value}
    assert type(news.values["m"]) is type(value)


def test_data_by_alias_takes_name_and_kind_from_the_birth() -> None:
    news = born().take("DDATA", "inv1", payload(metric(alias=1, integer=0xFFFF_FFFF), seq=2), "t")
    assert news == News({"AC/Power": -1})


def test_data_without_a_birth_asks_for_one() -> None:
    assert SparkplugNode().take("DDATA", "inv1", payload(metric(alias=1, integer=5), seq=2), "t").needs_birth


@pytest.mark.parametrize(
    ("kind", "device", "said"),
    [
        ("DDATA", "inv1", payload(metric(alias=1, integer=5), seq=3)),
        ("DDATA", "inv1", payload(metric(alias=9, integer=5), seq=2)),
        ("DDATA", "inv2", payload(metric(alias=1, integer=5), seq=2)),
        ("DDATA", "inv1", payload(metric(alias=1, integer=5), seq=None)),
    ],
)
def test_what_was_missed_asks_for_a_birth(kind: str, device: str, said: bytes) -> None:
    assert born().take(kind, device, said, "t").needs_birth


def test_the_sequence_goes_round() -> None:
    node = born()
    for seq in range(2, 600):
        assert not node.take("NDATA", "", payload(seq=seq % 256), "t").needs_birth


def test_deaths() -> None:
    node = born()
    assert node.take("NDEATH", "", payload(metric("bdSeq", long=4), seq=None), "t") == News()
    assert node.take("DDEATH", "inv1", payload(seq=2), "t").is_online is False
    assert node.take("DDATA", "inv1", payload(metric(alias=1, integer=5), seq=3), "t").needs_birth
    node = born()
    dead = node.take("NDEATH", "", payload(metric("bdSeq", long=5), seq=None), "t")
    assert (dead.is_online, dead.starts_over) == (False, True)
    assert node.take("DDATA", "inv1", payload(metric(alias=1, integer=5), seq=2), "t").needs_birth


def test_what_was_measured_before_is_not_the_present() -> None:
    said = payload(metric(alias=1, integer=5, is_historical=True), metric(alias=2, double=12.75), seq=2)
    assert born().take("DDATA", "inv1", said, "t").values == {"AC/Energy": 12.75}


def test_commands_and_states_say_nothing() -> None:
    assert SparkplugNode().take("NCMD", "", rebirth_request(), "t") == News()


def test_the_request_for_a_birth_is_a_payload() -> None:
    assert rebirth_request() == bytes.fromhex("121a0a144e6f646520436f6e74726f6c2f52656269727468200b7001")
    [asked] = decode_payload(rebirth_request(), "t").metrics
    assert (asked.name, asked.value) == ("Node Control/Rebirth", True)


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"\x12\x05\x0a", b"\x0b", b"\x12\x02\x65\x00", bytes([0x18]) + b"\xff" * 11, b"\x12\x03\x0a\x01\xff"],
)
def test_what_is_no_payload_is_refused(content: bytes) -> None:
    with pytest.raises(PayloadError, match="no Sparkplug B payload"):
        decode_payload(content, "t")


def test_the_map_reads_one_device_of_the_node() -> None:
    bound = bind(ProfileLibrary().mqtt("sparkplug_b"), NAMES, device_type=DeviceType.INVERTER)
    assert bound.filters == ("spBv1.0/roof/+/box/#",)
    node, pushed = SparkplugNode(), PushedValues(max_age_s=30.0)

    def hear(kind: str, device: str, said: bytes, at: float) -> None:
        topic = f"spBv1.0/roof/{kind}/box" + (f"/{device}" if device else "")
        decoded, news = decode_sparkplug(bound, topic, said, node=node)
        if decoded.is_online is not None:
            pushed.announce("s", is_online=decoded.is_online, overrules=True)
        if news.starts_over:
            pushed.forget_unchanged()
        pushed.take(decoded, at)

    hear("NBIRTH", "", NBIRTH, 0)
    hear("DBIRTH", "inv1", DBIRTH, 0)
    hear("DDATA", "inv1", payload(metric(alias=1, integer=2500), seq=2), 20)
    answer = pushed.answer(45)
    assert answer
    assert answer.values == {"ac_power_kw": 2.5, "energy_total_kwh": 12.5}
    hear("DDATA", "inv2", payload(metric(alias=1, integer=9), seq=4), 46)
    assert pushed.answer(46) is None, "a message was missed: nobody knows what it said"
    hear("NBIRTH", "", NBIRTH, 47)
    assert pushed.answer(47) is None
    hear("DBIRTH", "inv1", DBIRTH, 48)
    assert pushed.answer(48)
    hear("NDEATH", "", payload(metric("bdSeq", long=5), seq=None), 49)
    assert pushed.answer(49) is None
    assert pushed.absence
