"""Modbus TCP frames: transaction ids, those who do not repeat them, headers that lie about their length."""

import pytest

from edge_agent.drivers.modbus_frame import Answer, Event, Late, Noise, Question, Refusal, Wrong
from edge_agent.drivers.modbus_mbap import MbapStream

QUESTION = Question(1, 3, 10, 2)


def reply(request: bytes, pdu: bytes, *, transaction: int | None = None, length: int | None = None) -> bytes:
    head = request[:2] if transaction is None else transaction.to_bytes(2, "big")
    return head + b"\0\0" + (len(pdu) + 1 if length is None else length).to_bytes(2, "big") + request[6:7] + pdu


GOOD = b"\x03\x04\0\x07\0\x08"
DATA = b"\0\x07\0\x08"


def hear(stream: MbapStream, *data: bytes) -> list[Event]:
    return [event for piece in data for event in stream.feed(piece, now=0.0)]


def test_an_answer_whole_and_in_pieces() -> None:
    stream = MbapStream()
    request = stream.ask(QUESTION, now=0.0)
    assert request[2:] == b"\0\0\0\6\1\3\0\x0a\0\2"
    assert hear(stream, reply(request, GOOD)) == [Answer(DATA)]
    frame = reply(stream.ask(QUESTION, now=0.0), GOOD)
    assert hear(stream, frame[:3], frame[3:10], frame[10:]) == [Answer(DATA)]
    assert stream.echoes


def test_a_late_answer_before_the_right_one() -> None:
    stream = MbapStream()
    first = stream.ask(QUESTION, now=0.0)
    stream.give_up()
    second = stream.ask(QUESTION, now=1.0)
    late, right = reply(first, b"\x03\x04\0\0\0\0"), reply(second, GOOD)
    assert hear(stream, late + right) == [Late(1, 0.0), Answer(DATA)]
    assert not stream.is_owed(QUESTION, now=1.0)


def test_after_an_echo_zero_is_somebody_elses() -> None:
    stream = MbapStream()
    assert hear(stream, reply(stream.ask(QUESTION, now=0.0), GOOD)) == [Answer(DATA)]
    assert hear(stream, reply(stream.ask(QUESTION, now=0.0), GOOD, transaction=0)) == [Late(1, None)]


def test_a_gateway_that_repeats_none() -> None:
    stream = MbapStream()
    request = stream.ask(QUESTION, now=0.0)
    assert hear(stream, reply(request, GOOD, transaction=0)) == [Answer(DATA)]
    assert not stream.can_tell_late
    assert hear(stream, reply(stream.ask(QUESTION, now=0.0), GOOD, transaction=4711)) == [Late(1, None)]


def test_a_gateway_that_counts_its_own_is_treated_like_a_serial_line() -> None:
    stream = MbapStream()
    stream.must_echo = False
    request = stream.ask(QUESTION, now=0.0)
    stream.give_up()
    assert stream.is_owed(QUESTION, now=1.0)
    assert not stream.is_owed(QUESTION, now=100.0)
    stream.give_up()
    request = stream.ask(QUESTION, now=200.0)
    stream.give_up()
    other = Question(1, 3, 10, 3)
    request = stream.ask(other, now=201.0)
    assert hear(stream, reply(request, GOOD, transaction=9)) == [Late(1, 200.0)]
    assert hear(stream, reply(request, b"\x03\x06\0\1\0\2\0\3", transaction=9)) == [Answer(b"\0\1\0\2\0\3")]


@pytest.mark.parametrize("length", [0, 1, 4, 9, 200, 0xFFFF])
def test_a_wrong_length_in_the_header_is_settled_by_silence(length: int) -> None:
    stream = MbapStream()
    request = stream.ask(QUESTION, now=0.0)
    assert hear(stream, reply(request, GOOD, length=length)) == []
    assert stream.is_unsettled
    assert stream.settle() == [Answer(DATA)]
    assert not stream.is_unsettled


@pytest.mark.parametrize("pdu", [GOOD[:-1], GOOD + b"\0", b"\x03\x02\0\7", b"\x04\x04\0\7\0\7"])
def test_what_is_not_what_was_asked_is_no_answer(pdu: bytes) -> None:
    for length in (None, 3):
        stream = MbapStream()
        frame = reply(stream.ask(QUESTION, now=0.0), pdu, length=length)
        events = hear(stream, frame) + stream.settle()
        assert not any(isinstance(event, Answer) for event in events)
        assert any(isinstance(event, Wrong | Noise) for event in events)


def test_half_an_answer_is_waited_for() -> None:
    stream = MbapStream()
    frame = reply(stream.ask(QUESTION, now=0.0), GOOD)
    assert hear(stream, frame[:10]) == []
    assert stream.settle() == []
    assert not stream.can_tell_late, "a torn frame: the connection cannot be used on"
    assert hear(stream, frame[10:]) == [Answer(DATA)]


def test_exceptions_and_writes() -> None:
    stream = MbapStream()
    assert hear(stream, reply(stream.ask(QUESTION, now=0.0), b"\x83\x02")) == [Refusal(2)]
    one = Question(1, 6, 500, 1, (7,))
    request = stream.ask(one, now=0.0)
    assert request[6:] == b"\1\6\1\xf4\0\7"
    assert hear(stream, reply(request, request[7:])) == [Answer(b"")]
    many = Question(1, 16, 500, 2, (7, 8))
    request = stream.ask(many, now=0.0)
    assert request[4:6] == b"\0\x0b"
    assert request[6:] == b"\1\x10\1\xf4\0\2\4\0\7\0\x08"
    assert hear(stream, reply(request, request[7:12])) == [Answer(b"")]
    request = stream.ask(one, now=0.0)
    assert [type(event) for event in hear(stream, reply(request, b"\6\1\xf4\0\x09"))] == [Wrong]


def test_what_comes_from_another_unit_is_not_listened_to() -> None:
    stream = MbapStream()
    frame = bytearray(reply(stream.ask(QUESTION, now=0.0), GOOD))
    frame[6] = 9
    assert hear(stream, bytes(frame)) == [Late(9, None)]


def test_a_transaction_is_never_zero() -> None:
    stream = MbapStream()
    seen = {int.from_bytes(stream.ask(QUESTION, now=0.0)[:2], "big") for _ in range(0x1_0010)}
    assert seen == set(range(1, 0x1_0000))
