"""Modbus TCP frames. Pure.

The header names the transaction, so that an answer belongs to its question beyond doubt. Some gateways do not repeat it (always 0, or a
count of their own), some devices (GoodWe) write a wrong length into it; then the answer's own byte count decides, once the line is silent.
"""

import struct
from collections.abc import Iterator

from edge_agent.drivers.modbus_frame import (
    EXCEPTION_BIT,
    READ_HOLDING,
    READ_INPUT,
    Answer,
    Event,
    Late,
    Noise,
    Question,
    Refusal,
    Wrong,
)
from edge_agent.drivers.modbus_rtu import OWED_S

_HEADER = 6  # transaction, protocol, length: two bytes each
_SHORTEST = 9
_MAX_LENGTH = 254  # unit and PDU


class MbapStream:
    """The frames of one Modbus TCP connection.

    Attributes:
        must_echo: False for a gateway that does not repeat the transaction id.
        echoes: whether the other side has repeated one on this connection.
    """

    def __init__(self) -> None:
        self.must_echo = True
        self._buffer = bytearray()
        self._question: Question | None = None
        self._transaction = 0
        self._asked_at = 0.0
        self._expected = b""
        self._reply_start = b""
        self._length = 0
        self._owed: list[tuple[Question, float]] = []
        self._missed: dict[int, float] = {}
        self.echoes = False

    @property
    def is_unsettled(self) -> bool:
        """Whether bytes wait that only silence on the line can explain."""
        return bool(self._buffer)

    @property
    def can_tell_late(self) -> bool:
        """Whether an answer that comes late cannot be mistaken: the other side has repeated a transaction id, and no frame is torn."""
        return self.echoes and self.must_echo and not self._buffer

    def ask(self, question: Question, *, now: float) -> bytes:
        """The request's bytes; from now on its answer is waited for."""
        self._transaction = self._transaction % 0xFFFF + 1  # never 0: that is what those answer who do not repeat it
        self._buffer.clear()
        self._question, self._asked_at = question, now
        self._reply_start = question.reply_start
        size = len(self._reply_start) + question.reply_data
        self._length = _HEADER + size
        self._expected = struct.pack(">HHH", self._transaction, 0, size) + self._reply_start
        pdu = question.pdu
        return struct.pack(">HHHB", self._transaction, 0, 1 + len(pdu), question.unit) + pdu

    def give_up(self) -> None:
        """The present question is not waited for any longer."""
        if self._question is not None and not self.must_echo:
            self._owed.append((self._question, self._asked_at))
        elif self._question is not None:
            self._missed = {self._transaction: self._asked_at}
        self._question = None

    def is_owed(self, question: Question, *, now: float) -> bool:
        """Whether an answer that could pass for this question's may still be on its way: only without transaction ids."""
        if not self._owed or self.must_echo or question.words is not None:
            return False
        self._owed = [(owed, since) for owed, since in self._owed if 0 <= now - since < OWED_S]
        return any(owed.unit == question.unit and owed.shape == question.shape for owed, _ in self._owed)

    def forget(self) -> None:
        """The connection was closed. A gateway without transaction ids may give a late answer to the next connection."""
        self.give_up()
        self._buffer.clear()
        self._missed.clear()
        self.echoes = False

    def feed(self, data: bytes, *, now: float) -> list[Event]:  # noqa: ARG002 - RTU needs the time
        """Take what the line says."""
        if not self._buffer and len(data) == self._length and data.startswith(self._expected) and self._question:
            self.echoes = True
            return [self._accepted(data)]
        self._buffer += data
        return list(self._events())

    def settle(self) -> list[Event]:
        """The line has been silent: an answer whose header lies about its length is complete if its own byte count says so."""
        frame = bytes(self._buffer)
        if not frame or (len(frame) >= _SHORTEST and _is_sane(frame, _HEADER + int.from_bytes(frame[4:6], "big"))):
            return []  # a true beginning: the rest may be slow
        self._buffer.clear()
        asked = self._question
        if asked is None or len(frame) < _SHORTEST or frame[6] != asked.unit or not self._is_ours(frame):
            return [Noise(len(frame))]
        if self._is_reply(frame):
            return [self._accepted(frame)]
        return [self._wrong(frame)]

    def _events(self) -> Iterator[Event]:
        while len(self._buffer) >= _SHORTEST:
            size = _HEADER + int.from_bytes(self._buffer[4:6], "big")
            if not _is_sane(self._buffer, size) or len(self._buffer) < size:
                return
            frame = bytes(self._buffer[:size])
            del self._buffer[:size]
            yield self._judge(frame)

    def _is_ours(self, frame: bytes) -> bool:
        transaction = int.from_bytes(frame[:2], "big")
        if transaction == self._transaction:
            self.echoes = True
            return True
        # 0 is nobody's transaction: this gateway repeats none.
        return not self.must_echo or (transaction == 0 and not self.echoes)

    def _judge(self, frame: bytes) -> Event:
        asked = self._question
        if asked is None or not self._is_ours(frame) or frame[6] != asked.unit:
            return Late(frame[6], self._missed.pop(int.from_bytes(frame[:2], "big"), None))
        if frame[7] == asked.function | EXCEPTION_BIT:
            earlier = [owed for owed, _ in self._owed if owed.unit == asked.unit] if not self.must_echo else []
            self._question = None
            return Refusal(frame[8], is_sure=not earlier)
        if self._is_reply(frame):
            return self._accepted(frame)
        late = self._owed_answer(frame)
        return self._wrong(frame) if late is None else late

    def _is_reply(self, frame: bytes) -> bool:
        return len(frame) == self._length and frame.startswith(self._reply_start, _HEADER)

    def _owed_answer(self, frame: bytes) -> Late | None:
        if self.must_echo:
            return None
        for index, (owed, since) in enumerate(self._owed):
            if (owed.unit, owed.function, 2 * owed.count) == (frame[6], frame[7], frame[8]):
                del self._owed[index]
                return Late(owed.unit, since)
        return None

    def _accepted(self, frame: bytes) -> Answer:
        asked = self._question
        if self._owed and asked is not None:
            self._owed = [(owed, since) for owed, since in self._owed if owed.unit != asked.unit]
        self._question = None
        return Answer(frame[_HEADER + len(self._reply_start) :])

    @staticmethod
    def _wrong(frame: bytes) -> Wrong:
        return Wrong(f"the answer has function {frame[7]} and {(len(frame) - _SHORTEST) // 2} registers")


def _is_sane(buffer: bytes | bytearray, size: int) -> bool:
    """Whether header and byte count agree; a frame of another function is taken by its header."""
    if buffer[2:4] != b"\0\0" or not 3 <= size - _HEADER <= _MAX_LENGTH:
        return False
    return buffer[7] not in (READ_HOLDING, READ_INPUT) or size == _SHORTEST + buffer[8]
