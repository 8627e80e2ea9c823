"""Solarman V5 frames: every request is another implementation's, every answer comes back, no damage is believed."""

from hypothesis import given
from hypothesis import strategies as st
from pysolarmanv5 import PySolarmanV5Async
from umodbus.client.serial import rtu
from umodbus.client.serial.redundancy_check import get_crc

from edge_agent.drivers.modbus_frame import Answer, Question, Refusal, crc16
from edge_agent.drivers.solarman_frame import (
    HEAD_BYTES,
    FrameError,
    LoggerRefusal,
    decode_answer,
    decode_head,
    encode_request,
    is_intact,
)
from tests.solarman_logger import exception, registers, response

WORDS = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125)
FUNCTIONS = st.sampled_from([3, 4])
UNITS = st.integers(1, 247)
SERIALS = st.integers(1, 0xFFFF_FFFF)


def told(words: list[int]) -> Answer:
    return Answer(b"".join(word.to_bytes(2, "big") for word in words))


@given(st.binary(max_size=256))
def test_the_crc_is_that_of_another_implementation(data: bytes) -> None:
    assert crc16(data).to_bytes(2, "little") == bytes(get_crc(data))


@given(UNITS, FUNCTIONS, st.integers(0, 0xFF80), st.integers(1, 125), st.integers(0, 255), SERIALS)
def test_a_request_is_that_of_another_implementation(
    unit: int, function: int, address: int, count: int, sequence: int, serial: int
) -> None:
    other = PySolarmanV5Async("127.0.0.1", serial)
    other.sequence_number = (sequence - 1) & 0xFF
    build = rtu.read_holding_registers if function == 3 else rtu.read_input_registers
    asked = Question(unit=unit, function=function, address=address, count=count)
    ours = encode_request(asked, sequence=sequence, logger_serial=serial)
    assert ours == other._v5_frame_encoder(build(unit, address, count))
    head = decode_head(ours[:HEAD_BYTES])
    assert (head.sequence, head.logger_serial, head.payload_bytes) == (sequence, serial, len(ours) - HEAD_BYTES - 2)
    assert is_intact(ours[:HEAD_BYTES], ours[HEAD_BYTES:])


@given(UNITS, FUNCTIONS, WORDS, st.booleans())
def test_what_was_answered_comes_back(unit: int, function: int, words: list[int], is_crc_doubled: bool) -> None:
    asked = Question(unit=unit, function=function, address=0, count=len(words))
    frame = response(registers(unit, function, words) + (b"\0\0" if is_crc_doubled else b""), sequence=1)
    assert decode_answer(frame[HEAD_BYTES:-2], asked) == told(words)


@given(UNITS, FUNCTIONS, st.integers(1, 255))
def test_an_exception_comes_back(unit: int, function: int, code: int) -> None:
    asked = Question(unit=unit, function=function, address=0, count=1)
    frame = response(exception(unit, function, code), sequence=1)
    assert decode_answer(frame[HEAD_BYTES:-2], asked) == Refusal(code)


@given(UNITS, FUNCTIONS, WORDS, st.integers(1, 125), UNITS, FUNCTIONS)
def test_an_answer_to_another_question_is_never_taken(
    unit: int, function: int, words: list[int], count: int, other_unit: int, other_function: int
) -> None:
    asked = Question(unit=other_unit, function=other_function, address=0, count=count)
    frame = response(registers(unit, function, words), sequence=1)
    try:
        taken = decode_answer(frame[HEAD_BYTES:-2], asked)
    except FrameError:
        taken = None
    is_ours = (unit, function, len(words)) == (other_unit, other_function, count)
    assert taken == (told(words) if is_ours else None)


@given(WORDS, st.data())
def test_damage_within_the_modbus_frame_is_never_believed(words: list[int], data: st.DataObject) -> None:
    good = registers(1, 3, words)
    place = data.draw(st.integers(0, len(good) - 1))
    bad = good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))]) + good[place + 1 :]
    asked = Question(unit=1, function=3, address=0, count=len(words))
    try:
        taken = decode_answer(response(bad, sequence=1)[HEAD_BYTES:-2], asked)
    except FrameError:
        taken = None
    assert taken is None


@given(st.binary(max_size=300))
def test_any_payload_is_an_answer_or_an_error(payload: bytes) -> None:
    asked = Question(unit=1, function=3, address=0, count=1)
    try:
        taken = decode_answer(payload, asked)
    except FrameError:
        return
    assert isinstance(taken, LoggerRefusal)
