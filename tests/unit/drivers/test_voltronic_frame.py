"""Frames of PI30, against frames that real inverters sent."""

import pytest

from edge_agent.drivers.voltronic_frame import FrameError, crc, decode, encode
from tests.voltronic_inverter import crc as crc_by_bits

# Published with mpp-solar, most of them from real inverters.
FRAMES = [
    b"(PI30\x9a\x0b\r",
    b"(9293333010501\xbb\x07\r",
    b"(S\xe5\xd9\r",
    b"(B\xe7\xc9\r",
    b"(NAK\x73\x73\r",
    b"(ACK\x39\x20\r",
    b"(VERFW:00072.70\x53\xa7\r",
    b"(00000100000000001000000000000000\x56\xa6\r",
    b"(EakxyDbjuvz\x2f\x29\r",
    b"(230.0 21.7 230.0 50.0 21.7 5000 4000 48.0 46.0 42.0 56.4 54.0 0 10 010 1 0 0 6 01 0 0 54.0 0 1\x6f\x7e\r",
    b"(120.0 25.0 120.0 60.0 25.0 3000 3000 48.0 46.0 44.0 58.4 54.4 2 30 060 1 2 0 9 01 0 6 54.0 0 1 000 0\x8f\xed\r",
    b"(000.0 00.0 230.0 49.9 0161 0119 003 460 57.50 012 100 0069 0014 103.8 57.45 00000 00110110 00 00 00856 010\x24\x8c\r",
    b"(227.2 50.0 230.3 50.0 0829 0751 010 447 54.50 020 083 0054 02.7 323.6 00.00 00000 00010110 00 00 00879 010\xf1\x8c\r",
    b"(00238800!J\r",
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame[1:11].decode("latin-1"))
def test_answers_of_real_inverters(frame: bytes) -> None:
    assert decode(frame[:-1]) == frame[1:-3].decode().rstrip()
    assert crc(frame[:-3]) == crc_by_bits(frame[:-3]) == frame[-3:-1]


def test_a_blank_at_the_end_is_cut() -> None:
    assert decode(b"(03.1 327.3 01026 \xc9\x8b") == "03.1 327.3 01026"


@pytest.mark.parametrize(
    ("command", "check"),
    [("QPI", "BEAC"), ("QPIGS", "B7A9"), ("QMOD", "49C1"), ("QPIRI", "F854"), ("QPIWS", "B4DA")],
)
def test_questions(command: str, check: str) -> None:
    assert encode(command) == command.encode() + bytes.fromhex(check) + b"\r"


def test_a_crc_never_holds_a_begin_or_an_end() -> None:
    """Every CRC byte that would be one is raised, and some are."""
    raised = 0
    for number in range(3000):
        data = f"(00{number:06}".encode()
        check = crc(data)
        assert check == crc_by_bits(data)
        assert not set(check) & {0x28, 0x0D, 0x0A}
        raised += bool(set(check) & {0x29, 0x0E, 0x0B})
        assert decode(data + check) == data[1:].decode()
    assert raised > 0


def test_what_holds_no_answer_is_none() -> None:
    assert decode(encode("QPIGS")[:-1]) is None
    assert decode(b"") is None
    assert decode(b"50.0 0829 0751\x11\x12") is None


def test_an_answer_behind_a_piece_of_another_is_found() -> None:
    assert decode(b"(227.2 50.0 23" + FRAMES[0][:-1]) == "PI30"
    assert decode(b"\x00\x00" + FRAMES[3][:-1]) == "B"


@pytest.mark.parametrize("frame", [b"(", b"(S", b"(S\xe5", b"(S\xe5\xd8", b"(L\xe5\xd9", b"(PI3\x9a\x0b"])
def test_a_damaged_answer_is_refused(frame: bytes) -> None:
    with pytest.raises(FrameError, match="cut off or has a wrong CRC"):
        decode(frame)


def test_bytes_beyond_ascii_are_refused() -> None:
    body = b"(\xff\xfe"
    with pytest.raises(FrameError, match="no text"):
        decode(body + crc(body))


def test_every_single_damaged_byte_is_seen() -> None:
    frame = FRAMES[11][:-1]
    for place in range(1, len(frame)):
        for flip in (0x01, 0x10, 0x80):
            damaged = bytearray(frame)
            damaged[place] ^= flip
            if damaged[place] != 0x28:
                with pytest.raises(FrameError):
                    decode(bytes(damaged))
