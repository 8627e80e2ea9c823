"""Frames of Solarman V5, against frames of real loggers that users have published and against another implementation."""

import pytest
from pysolarmanv5 import PySolarmanV5Async
from umodbus.client.serial import rtu

from edge_agent.drivers.modbus_frame import Answer, Question, Refusal, crc16, with_crc
from edge_agent.drivers.solarman_frame import (
    HEAD_BYTES,
    FrameError,
    LoggerCode,
    LoggerRefusal,
    decode_answer,
    decode_head,
    encode_request,
    is_intact,
)

SERIAL = 0x8E2C4CAA
ASKED = Question(unit=1, function=3, address=0x00AA, count=1)
# Two exchanges and a heartbeat of a Deye's stick (issue 19 of pysolarmanv5).
SENT = bytes.fromhex("a5170010459700aa4c2c8e0200000000000000000000000000000103 00aa0001a42a3215")
RECEIVED = bytes.fromhex("a5150010 15976caa4c2c8e0201b6a60f001b270000537607630103 02010a39d3ed15")
HEARTBEAT = bytes.fromhex("a501001047976daa4c2c8e000c15")
# No answer from the inverter (issue 6), and the answer of another logger than the one asked (issue 14).
SILENT = bytes.fromhex("a510001015000d55b1eb8a020175b80600c202000021eb84620500ae15")
STRANGER = bytes.fromhex("a510001015000437 5c79f20201f36d04006400000000000000 06000815")


def told(*registers: int) -> Answer:
    return Answer(b"".join(register.to_bytes(2, "big") for register in registers))


def payload(frame: bytes) -> bytes:
    return frame[HEAD_BYTES:-2]


def test_a_request_is_the_one_that_a_real_logger_answered() -> None:
    assert encode_request(ASKED, sequence=0x97, logger_serial=SERIAL) == SENT


def test_the_answer_of_a_real_logger() -> None:
    head = decode_head(RECEIVED[:HEAD_BYTES])
    assert (head.control, head.sequence, head.logger_serial) == (0x1510, 0x6C97, SERIAL)
    assert head.payload_bytes == len(payload(RECEIVED))
    assert is_intact(RECEIVED[:HEAD_BYTES], RECEIVED[HEAD_BYTES:])
    assert decode_answer(payload(RECEIVED), ASKED) == told(266)


def test_a_heartbeat_of_a_real_logger_is_whole_and_no_response() -> None:
    head = decode_head(HEARTBEAT[:HEAD_BYTES])
    assert (head.control, head.sequence & 0xFF, head.payload_bytes) == (0x4710, 0x97, 1)
    assert is_intact(HEARTBEAT[:HEAD_BYTES], HEARTBEAT[HEAD_BYTES:])


@pytest.mark.parametrize(
    ("frame", "code"), [(SILENT, LoggerCode.NO_ANSWER), (STRANGER, LoggerCode.WRONG_SERIAL)], ids=["silent", "stranger"]
)
def test_a_logger_that_has_no_modbus_frame_to_give(frame: bytes, code: LoggerCode) -> None:
    asked = Question(unit=1, function=4, address=0x80FE, count=6)
    assert is_intact(frame[:HEAD_BYTES], frame[HEAD_BYTES:])
    assert decode_answer(payload(frame), asked) == LoggerRefusal(code)


def test_an_answer_without_a_modbus_frame_at_all() -> None:
    assert decode_answer(payload(SILENT)[:14], ASKED) == LoggerRefusal(LoggerCode.UNKNOWN)


@pytest.mark.parametrize("sequence", [0, 1, 0x7F, 0xFF])
@pytest.mark.parametrize("function", [3, 4])
@pytest.mark.parametrize(("address", "count"), [(0, 1), (500, 125), (65535, 1)])
def test_requests_equal_those_of_another_implementation(sequence: int, function: int, address: int, count: int) -> None:
    other = PySolarmanV5Async("127.0.0.1", SERIAL, mb_slave_id=7)
    other.sequence_number = (sequence - 1) & 0xFF
    build = rtu.read_holding_registers if function == 3 else rtu.read_input_registers
    inner = build(7, address, count)
    asked = Question(unit=7, function=function, address=address, count=count)
    assert encode_request(asked, sequence=sequence, logger_serial=SERIAL) == other._v5_frame_encoder(inner)


def test_a_frame_that_another_implementation_takes_is_taken_alike() -> None:
    other = PySolarmanV5Async("127.0.0.1", SERIAL)
    other.sequence_number = 0x97
    inner = bytes(other._v5_frame_decoder(RECEIVED))
    assert decode_answer(payload(RECEIVED), ASKED) == told(*rtu.parse_response_adu(inner, SENT[26:-2]))


def with_rtu(rtu_frame: bytes) -> bytes:
    return payload(RECEIVED)[:14] + rtu_frame


def test_a_crc_taken_twice_is_taken_off() -> None:
    frame = with_crc(bytes.fromhex("010302010a"))
    assert crc16(frame) == 0
    assert decode_answer(with_rtu(frame + b"\0\0"), ASKED) == told(266)


def test_registers_that_look_like_a_crc_are_registers() -> None:
    body = bytes.fromhex("010304010a")
    frame = with_crc(with_crc(body))
    assert frame.endswith(b"\0\0")
    two = Question(unit=1, function=3, address=0x00AA, count=2)
    assert decode_answer(with_rtu(frame), two) == told(266, int.from_bytes(with_crc(body)[-2:], "big"))


def test_an_exception_of_the_inverter() -> None:
    assert decode_answer(with_rtu(with_crc(bytes([1, 0x83, 2]))), ASKED) == Refusal(2)
    assert decode_answer(with_rtu(with_crc(bytes([1, 0x83, 2])) + b"\0\0"), ASKED) == Refusal(2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("020302010a", "another master"),
        ("010402010a", "another master"),
        ("01840a", "another master"),
        ("010304010a010b", "another master"),
        ("010300", "another master"),
    ],
    ids=["unit", "function", "exception of another function", "too many registers", "no registers"],
)
def test_an_answer_to_another_question_is_refused(body: str, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode_answer(with_rtu(with_crc(bytes.fromhex(body))), ASKED)


@pytest.mark.parametrize("words", [(7,), (1, 2, 3)])
def test_a_write_is_that_of_another_implementation_and_is_confirmed_word_for_word(words: tuple[int, ...]) -> None:
    function = 6 if len(words) == 1 else 16
    other = PySolarmanV5Async("127.0.0.1", SERIAL)
    other.sequence_number = 4
    inner = rtu.write_single_register(1, 40, words[0]) if function == 6 else rtu.write_multiple_registers(1, 40, words)
    write = Question(1, function, 40, len(words), words)
    assert encode_request(write, sequence=5, logger_serial=SERIAL) == other._v5_frame_encoder(inner)
    confirmed = with_crc(inner[:6])
    assert decode_answer(with_rtu(confirmed), write) == Answer(b"")
    assert decode_answer(with_rtu(confirmed + b"\0\0"), write) == Answer(b"")
    elsewhere = with_crc(inner[:3] + bytes([inner[3] + 1]) + inner[4:6])
    with pytest.raises(FrameError, match="another master"):
        decode_answer(with_rtu(elsewhere), write)


@pytest.mark.parametrize(
    "rtu_frame",
    [b"\1\3\2\1\x0a\0\1", with_crc(bytes.fromhex("010302010a"))[:-1], with_crc(bytes.fromhex("010302010a")) + b"\1\2"],
    ids=["crc", "cut", "tail"],
)
def test_a_damaged_modbus_frame_is_refused(rtu_frame: bytes) -> None:
    with pytest.raises(FrameError, match="wrong CRC"):
        decode_answer(with_rtu(rtu_frame), ASKED)


def test_what_the_logger_says_of_itself_is_no_answer_of_the_inverter() -> None:
    with pytest.raises(FrameError, match="frame type 01"):
        decode_answer(b"\1" + payload(RECEIVED)[1:], ASKED)
    with pytest.raises(FrameError, match="missing"):
        decode_answer(b"", ASKED)


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(FrameError, match="beginning"):
        decode_head(b"HTTP/1.1 40")
    with pytest.raises(FrameError, match="beginning"):
        decode_head(b"\xa5\xff\xff" + RECEIVED[3:HEAD_BYTES])
    with pytest.raises(FrameError, match="ends with 0x16"):
        is_intact(RECEIVED[:HEAD_BYTES], RECEIVED[HEAD_BYTES:-1] + b"\x16")


def test_a_flipped_bit_is_seen() -> None:
    for place in range(1, len(RECEIVED) - 1):
        damaged = bytearray(RECEIVED)
        damaged[place] ^= 0x10
        assert not is_intact(bytes(damaged[:HEAD_BYTES]), bytes(damaged[HEAD_BYTES:])), place
