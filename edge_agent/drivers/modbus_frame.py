"""What a Modbus master asks and what it may hear, as values. Pure.

Source: MODBUS Application Protocol Specification V1.1b3, MODBUS over Serial Line V1.02 (modbus.org).
"""

import struct
from dataclasses import dataclass
from typing import Protocol

from edge_agent.profiles.model import RegisterFunction

READ_HOLDING = 3
READ_INPUT = 4
WRITE_ONE = 6
WRITE_MANY = 16
CONFIRMATION = 5
"""Bytes of the PDU that confirms a write."""

EXCEPTION_BIT = 0x80
MAX_READ = 125

FUNCTION_CODES = {RegisterFunction.HOLDING: READ_HOLDING, RegisterFunction.INPUT: READ_INPUT}


@dataclass(frozen=True, slots=True)
class Question:
    """One request: to read registers, or to write some.

    Attributes:
        unit: Modbus unit id.
        function: code: 3 or 4 to read, 6 or 16 to write.
        address: first register, 0-based.
        count: registers.
        words: to write; None to read.
    """

    unit: int
    function: int
    address: int
    count: int
    words: tuple[int, ...] | None = None

    @property
    def pdu(self) -> bytes:
        """Function code and what follows it."""
        if self.words is None:
            return struct.pack(">BHH", self.function, self.address, self.count)
        data = struct.pack(f">{self.count}H", *self.words)
        if self.function == WRITE_ONE:
            return struct.pack(">BH", self.function, self.address) + data
        return struct.pack(">BHHB", self.function, self.address, self.count, len(data)) + data

    @property
    def reply_start(self) -> bytes:
        """What the right answer begins with, from the unit on: all but the registers read; a write is confirmed word for word."""
        if self.words is None:
            return bytes((self.unit, self.function, 2 * self.count))
        return bytes((self.unit,)) + self.pdu[:CONFIRMATION]

    @property
    def reply_data(self) -> int:
        """Bytes that follow `reply_start`."""
        return 0 if self.words is not None else 2 * self.count

    @property
    def shape(self) -> tuple[int, int]:
        """All that an answer without a transaction id repeats of its question beside the unit: function and number of registers."""
        return self.function, self.count


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the present question: its register bytes; none for a write."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """An exception answer.

    Attributes:
        code: of the exception.
        is_sure: False if it may as well belong to an earlier question.
    """

    code: int
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Late:
    """An answer to an earlier question; `asked_at` if it is known to which."""

    unit: int
    asked_at: float | None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A frame of another master, or an answer to it.

    Attributes:
        is_question: an answer to it is to be expected.
        is_rival: its answer could pass for the one that is waited for.
    """

    unit: int
    is_question: bool
    is_rival: bool = False


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer to the present question that is not what was asked; the text says why."""

    text: str


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that are no frame."""

    length: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The line was lost while an answer was waited for."""


Event = Answer | Refusal | Late | Foreign | Wrong | Noise


class Stream(Protocol):
    """Turns questions into bytes, and the bytes of a line into events. One question at a time.

    Attributes:
        must_echo: whether an answer is only taken with the transaction id of its question.
    """

    must_echo: bool

    @property
    def is_unsettled(self) -> bool:
        """Whether bytes wait that only silence on the line can explain."""
        ...

    @property
    def can_tell_late(self) -> bool:
        """Whether the line can be used on after a question without an answer."""
        ...

    def ask(self, question: Question, *, now: float) -> bytes:
        """The request's bytes; from now on its answer is waited for."""
        ...

    def give_up(self) -> None:
        """The present question is not waited for any longer; its answer may still come."""
        ...

    def feed(self, data: bytes, *, now: float) -> list[Event]:
        """Take what the line says."""
        ...

    def settle(self) -> list[Event]:
        """The line has been silent: what waits is all there is."""
        ...

    def forget(self) -> None:
        """The line was closed: drop what waits."""
        ...

    def is_owed(self, question: Question, *, now: float) -> bool:
        """Whether an answer that could pass for this question's may still be on its way."""
        ...


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(data: bytes | bytearray | memoryview) -> int:
    """CRC-16/MODBUS; 0 over a frame that ends in its own CRC."""
    crc = 0xFFFF
    table = _CRC_TABLE
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


def with_crc(body: bytes) -> bytes:
    """An RTU frame: unit, PDU, CRC (low byte first)."""
    return body + crc16(body).to_bytes(2, "little")
