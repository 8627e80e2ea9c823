"""Function 43/14: what is whole is read, what is not is waited for, and nothing else is believed."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.modbus_frame import with_crc
from edge_agent.installer.address import parse_address
from edge_agent.installer.identification import Framing, ask_identity, identity_in, request_of
from tests.modbus_server import exception, serve_raw

NAMES = ("manufacturer", "model", "version")
texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
framings = st.sampled_from(["tcp", "rtu"])


def answer(unit: int, said: list[str], *, framing: Framing) -> bytes:
    objects = b"".join(bytes((number, len(text))) + text.encode() for number, text in enumerate(said))
    pdu = bytes((0x2B, 0x0E, 1, 1, 0, 0, len(said))) + objects
    if framing == "rtu":
        return with_crc(bytes((unit,)) + pdu)
    return request_of(unit, framing="tcp")[:4] + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit,)) + pdu


@given(st.integers(1, 247), st.lists(texts, min_size=1, max_size=3), framings)
def test_a_whole_answer_is_read_and_every_beginning_of_it_is_waited_for(
    unit: int, said: list[str], framing: Framing
) -> None:
    frame = answer(unit, said, framing=framing)
    assert identity_in(frame, unit, framing=framing) == dict(zip(NAMES, said, strict=False))
    for length in range(len(frame)):
        assert identity_in(frame[:length], unit, framing=framing) is None
    assert identity_in(frame, unit + 1, framing=framing) is None


@given(st.binary(max_size=80), st.integers(1, 247))
def test_bytes_on_a_serial_line_that_are_no_answer_are_not_believed(data: bytes, unit: int) -> None:
    assert identity_in(data, unit, framing="rtu") is None


@given(st.integers(1, 247), texts, st.data())
def test_one_wrong_bit_on_a_serial_line_is_seen(unit: int, text: str, data: st.DataObject) -> None:
    frame = bytearray(answer(unit, [text], framing="rtu"))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= 1 << data.draw(st.integers(0, 7))
    assert identity_in(bytes(frame), unit, framing="rtu") is None


def test_the_requests_are_those_of_the_specification() -> None:
    assert request_of(0x11, framing="tcp")[4:] == bytes.fromhex("0005 11 2b0e0100")
    assert request_of(1, framing="rtu") == bytes.fromhex("01 2b0e0100 7077")


@pytest.mark.parametrize("said", [["ACME"], ["ACME", "XY-5K", "V1.2"]])
async def test_a_device_on_a_socket(said: list[str]) -> None:
    async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request[6], said, framing="tcp") if request[7] == 0x2B else exception(request, 2))

    async with serve_raw(talk) as port:
        found = await ask_identity(parse_address(f"tcp://127.0.0.1:{port}"), 9, timeout_s=2)
    assert found == dict(zip(NAMES, said, strict=False))


async def test_a_device_that_does_not_know_it_or_is_gone_is_not_named() -> None:
    async def refuse(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(exception(request, 1))

    async with serve_raw(refuse) as port:
        assert await ask_identity(parse_address(f"tcp://127.0.0.1:{port}"), 1, timeout_s=0.2) == {}
    assert await ask_identity(parse_address(f"tcp://127.0.0.1:{port}"), 1, timeout_s=0.2) == {}
    assert await ask_identity(parse_address("rtu:///dev/nosuch"), 1, timeout_s=0.2) == {}
    assert await ask_identity(parse_address("v5://127.0.0.1?serial=1"), 1, timeout_s=0.2) == {}
