"""Frames of Voltronic's ASCII protocols (PI30 and kin); pure.

A question is `command, CRC, CR`, an answer `(fields, CRC, CR`. The CRC is CRC-16/XMODEM of everything before it, high byte first; a byte
of it that would be `(`, LF or CR is one higher, so neither an answer's beginning nor its end can lie within a CRC.

Source: RS232 protocol document of the Axpert series; frames published with mpp-solar 0.16.
"""

import binascii

END = b"\r"
START = b"("
_RESERVED = b"(\r\n"
_CRC_BYTES = 2


class FrameError(Exception):
    """An answer that arrived damaged."""


def crc(data: bytes) -> bytes:
    """The two CRC bytes of a command, or of an answer from its `(` on."""
    plain = binascii.crc_hqx(data, 0).to_bytes(_CRC_BYTES, "big")
    return bytes(byte + (byte in _RESERVED) for byte in plain)


def encode(command: str) -> bytes:
    """A question as it travels."""
    data = command.encode("ascii")
    return data + crc(data) + END


def decode(line: bytes) -> str | None:
    """The text of an answer, without `(` and CRC; trailing blanks are cut.

    Args:
        line: what came before a CR.

    Returns:
        None if no answer begins within the line: an echo of the question, or the tail of something cut off.

    Raises:
        FrameError: if the CRC is wrong or the text is none.
    """
    begin = line.rfind(START)  # an answer that was cut off may stand before a whole one
    if begin < 0:
        return None
    frame = line[begin:]
    body, check = frame[:-_CRC_BYTES], frame[-_CRC_BYTES:]
    if len(frame) <= _CRC_BYTES or crc(body) != check:
        raise FrameError(f"the answer {frame!r} is cut off or has a wrong CRC")
    if not body.isascii():
        raise FrameError(f"the answer {frame!r} is no text")
    return body[1:].decode("ascii").rstrip()
