"""Frames of Solarman V5 data loggers, and the Modbus RTU frame inside; pure.

A frame is `A5, payload length, control code, sequence, logger serial, payload, checksum, 15`, little-endian; the Modbus frame at the end of
the payload is big-endian with its own CRC. The logger echoes the sequence's low byte; its high byte is the logger's own count.

Source: the protocol description of pysolarmanv5 and frames that its users have published with its issues 6, 14, 19 and 62.
"""

from dataclasses import dataclass
from enum import StrEnum

from edge_agent.drivers.modbus_frame import (
    CONFIRMATION,
    EXCEPTION_BIT,
    READ_HOLDING,
    READ_INPUT,
    Answer,
    Question,
    Refusal,
    crc16,
    with_crc,
)

START = 0xA5
END = 0x15
HEAD_BYTES = 11
TAIL_BYTES = 2
REQUEST = 0x4510
RESPONSE = 0x1510

_INVERTER = 0x02
_REQUEST_PREFIX = bytes([_INVERTER]) + bytes(14)
_RESPONSE_PREFIX_BYTES = 14
_SHORTEST_RTU = 5  # unit, function, exception or byte count, CRC
_CONFIRMED_RTU = 1 + CONFIRMATION + 2
MAX_PAYLOAD_BYTES = 1024
"""Longer than any frame that was ever seen: 14 bytes and a Modbus frame of at most 256, or some hundred bytes of a report."""


class FrameError(Exception):
    """Bytes that are no frame, or not the frame that was asked for."""


class LoggerCode(StrEnum):
    """What a logger says in two bytes instead of a Modbus frame."""

    NO_ANSWER = "05"
    """The device behind the logger did not answer."""
    WRONG_SERIAL = "06"
    """The request named another logger."""
    UNKNOWN = "--"


@dataclass(frozen=True, slots=True)
class Head:
    """The first eleven bytes.

    Attributes:
        payload_bytes: length of the payload.
        control: what kind of frame.
        sequence: low byte is echoed, high byte is the logger's count.
        logger_serial: of the logger that sent it.
    """

    payload_bytes: int
    control: int
    sequence: int
    logger_serial: int


@dataclass(frozen=True, slots=True)
class LoggerRefusal:
    """An answer without a Modbus frame: the logger's own word."""

    code: LoggerCode


def encode_request(question: Question, *, sequence: int, logger_serial: int) -> bytes:
    """A frame that carries a Modbus request.

    Args:
        question: what is asked of the device behind the logger.
        sequence: 0 to 255; the answer bears it.
        logger_serial: of the logger, not of the inverter.
    """
    rtu = with_crc(bytes((question.unit,)) + question.pdu)
    return _frame(REQUEST, _REQUEST_PREFIX + rtu, sequence=sequence, logger_serial=logger_serial)


def _frame(control: int, payload: bytes, *, sequence: int, logger_serial: int) -> bytes:
    inside = b"".join(
        (
            len(payload).to_bytes(2, "little"),
            control.to_bytes(2, "little"),
            sequence.to_bytes(2, "little"),
            logger_serial.to_bytes(4, "little"),
            payload,
        )
    )
    return bytes([START]) + inside + bytes([sum(inside) & 0xFF, END])


def decode_head(head: bytes) -> Head:
    """Take the first eleven bytes apart.

    Raises:
        FrameError: if no frame begins like this.
    """
    size = int.from_bytes(head[1:3], "little")
    if head[0] != START or size > MAX_PAYLOAD_BYTES:
        raise FrameError(f"{head.hex(' ')} is not the beginning of a Solarman V5 frame")
    return Head(
        payload_bytes=size,
        control=int.from_bytes(head[3:5], "little"),
        sequence=int.from_bytes(head[5:7], "little"),
        logger_serial=int.from_bytes(head[7:11], "little"),
    )


def is_intact(head: bytes, rest: bytes) -> bool:
    """Whether the checksum of a frame is right.

    Args:
        head: the first eleven bytes.
        rest: payload, checksum and end byte.

    Raises:
        FrameError: if the frame does not end where its length says: then nothing after it can be trusted either.
    """
    if rest[-1] != END:
        raise FrameError(f"a Solarman V5 frame ends with {rest[-1]:#04x} instead of {END:#04x}")
    return (sum(head[1:]) + sum(rest[:-TAIL_BYTES])) & 0xFF == rest[-2]


def decode_answer(payload: bytes, question: Question) -> Answer | Refusal | LoggerRefusal:
    """What the payload of a response says to a question.

    Returns:
        The registers' bytes, or who refused and why.

    Raises:
        FrameError: if it answers anything but this question: another unit, function or number of registers, or a wrong CRC.
    """
    if not payload or payload[0] != _INVERTER:
        raise FrameError(f"the answer is not from the inverter: frame type {payload[:1].hex() or '(missing)'}")
    rtu = payload[_RESPONSE_PREFIX_BYTES:]
    if len(rtu) < _SHORTEST_RTU:
        return LoggerRefusal(_logger_code(rtu))
    body = _without_crc(rtu)
    if body[:2] == bytes((question.unit, question.function | EXCEPTION_BIT)):
        return Refusal(body[2])
    start = question.reply_start
    if not body.startswith(start) or len(body) != len(start) + question.reply_data:
        raise FrameError(
            f"the answer begins with {body[: len(start)].hex(' ')} and has {len(body)} bytes; expected were {start.hex(' ')} and "
            f"{len(start) + question.reply_data}; another master may use the logger"
        )
    return Answer(body[len(start) :])


def _logger_code(rtu: bytes) -> LoggerCode:
    try:
        return LoggerCode(rtu[:1].hex())
    except ValueError:
        return LoggerCode.UNKNOWN


def _without_crc(rtu: bytes) -> bytes:
    """The Modbus frame without its CRC.

    Some loggers take the frame's CRC once more over frame and CRC, which always comes out as two zeros, and append that too.
    """
    size = _SHORTEST_RTU if rtu[1] & EXCEPTION_BIT else _CONFIRMED_RTU
    if rtu[1] in {READ_HOLDING, READ_INPUT}:
        size = _SHORTEST_RTU + rtu[2]
    frame, rest = rtu[:size], rtu[size:]
    if len(frame) < size or rest not in {b"", b"\0\0"} or crc16(frame) != 0:
        raise FrameError(f"the Modbus frame {rtu.hex(' ')} is incomplete or has a wrong CRC")
    return frame[:-2]
