"""RTU frames, which carry no transaction id. Pure.

An RTU answer says who answers, which function and how many registers, and nothing of the address. An answer that comes late would pass
for the answer to a later question of the same shape. What rules this out is not time but order: a slave answers its questions one after
the other. So every question that went unanswered is remembered as *owed*; while an answer is owed, no question of the same unit and shape
is sent (`RtuStream.is_owed`), and once the unit has answered a question of another shape, the earlier one will not be answered any more.
A foreign master's questions are owed answers, too. One that is heard while ours waits may have reached the slave before it or after it: a
busy box hears late. So order is kept as places in the line of questions, not as times, and nothing counts as settled that only may be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.drivers.modbus_frame import (
    EXCEPTION_BIT,
    READ_HOLDING,
    READ_INPUT,
    WRITE_ONE,
    Answer,
    Event,
    Foreign,
    Late,
    Noise,
    Question,
    Refusal,
    Wrong,
    crc16,
    with_crc,
)

OWED_S = 30.0
"""After which an answer that never came is not expected any more. No slave is known to think longer than some seconds."""

MAX_LEADING_NOISE = 2
"""Bytes that a line makes when its direction turns round; more before an answer are damage."""

_READS = (1, 2, READ_HOLDING, READ_INPUT)
_WORD_READS = (READ_HOLDING, READ_INPUT)
_FIXED = (5, 6)
_WRITES_OF_MANY = (15, 16)
_REQUEST_LENGTH = 8
_REFUSAL_LENGTH = 5
_FRAMING_LENGTH = 5  # unit, function, byte count, CRC
_MAX_FRAME = 256
_CRC_LENGTH = 2


@dataclass(frozen=True, slots=True)
class _Owed:
    """A question without an answer: it was the first at the earliest, the last at the latest, by place in the line of questions."""

    unit: int
    shape: tuple[int, int]
    asked_at: float
    first: int
    last: int
    is_ours: bool

    def is_settled_by(self, answered: "_Owed") -> bool:
        """Whether nothing can follow for this one once the other is answered: a unit answers in order."""
        return self is answered or (self.unit == answered.unit and self.last < answered.first)


class RtuStream:
    """The frames of one serial line, whatever carries its bytes.

    Attributes:
        must_echo: always False: there is no transaction id.
    """

    def __init__(self) -> None:
        self.must_echo = False
        self._buffer = bytearray()
        self._question: Question | None = None
        self._asked_at = 0.0
        self._place = 0  # of the present question; another master's stand at odd places, between ours
        self._echo = b""
        self._prefix = b""
        self._length = 0
        self._owed: list[_Owed] = []

    @property
    def is_unsettled(self) -> bool:
        """Whether bytes wait that only silence on the line can explain."""
        return bool(self._buffer)

    @property
    def can_tell_late(self) -> bool:
        """Always: what is owed is remembered."""
        return True

    def ask(self, question: Question, *, now: float) -> bytes:
        """The request's bytes; from now on its answer is waited for."""
        self._buffer.clear()
        self._question, self._asked_at = question, now
        self._place += 2
        self._prefix = question.reply_start
        self._length = len(self._prefix) + question.reply_data + _CRC_LENGTH
        request = with_crc(bytes((question.unit,)) + question.pdu)
        self._echo = b"" if question.function == WRITE_ONE else request  # its confirmation looks like its echo
        return request

    def give_up(self) -> None:
        """The present question is owed an answer from now on."""
        if self._question is not None:
            self._owed.append(self._present(self._question))
            self._question = None

    def _present(self, question: Question) -> _Owed:
        return _Owed(question.unit, question.shape, self._asked_at, self._place, self._place, is_ours=True)

    def is_owed(self, question: Question, *, now: float) -> bool:
        """Whether an answer that could pass for this question's may still be on its way."""
        if not self._owed or question.words is not None:
            return False  # a write is confirmed word for word
        self._owed = [owed for owed in self._owed if 0 <= now - owed.asked_at < OWED_S]
        return any(owed.unit == question.unit and owed.shape == question.shape for owed in self._owed)

    def forget(self) -> None:
        """Drop what waits. What is owed stays: an adapter or a gateway may keep it for whoever opens the line next."""
        self.give_up()
        self._buffer.clear()

    def feed(self, data: bytes, *, now: float) -> list[Event]:
        """Take what the line says."""
        if not self._buffer and self._question is not None and self._is_reply(data):
            return [self._accepted(data)]
        self._buffer += data
        return list(self._events(now))

    def settle(self) -> list[Event]:
        """The line has been silent: what waits is no frame."""
        length = len(self._buffer)
        self._buffer.clear()
        if length > MAX_LEADING_NOISE:
            self.give_up()
        return [Noise(length)] if length else []

    def _events(self, now: float) -> Iterator[Event]:
        while self._buffer:
            if self._echo and self._is_echo():
                if len(self._buffer) < len(self._echo):
                    return
                del self._buffer[: len(self._echo)]
                self._echo = b""
                continue
            event = self._next_event(now)
            if event is None:
                return
            yield event

    def _is_echo(self) -> bool:
        """Whether an adapter plays our own question back to us: only the first bytes after it can be that."""
        if self._question is None:
            self._echo = b""
            return False
        return bytes(self._buffer[: len(self._echo)]) == self._echo[: len(self._buffer)] and len(self._buffer) > 2

    def _next_event(self, now: float) -> Event | None:
        for length in _lengths(self._buffer):
            if length <= len(self._buffer) and not crc16(memoryview(self._buffer)[:length]):
                frame = bytes(self._buffer[:length])
                del self._buffer[:length]
                return self._judge(frame, now)
        return self._behind_noise()

    def _behind_noise(self) -> Event | None:
        """The expected answer behind a byte or two of noise."""
        if self._question is None:
            return None
        for start in range(1, MAX_LEADING_NOISE + 1):
            frame = bytes(self._buffer[start:])
            if self._is_reply(frame):
                self._buffer.clear()
                return self._accepted(frame)
        return None

    def _is_reply(self, frame: bytes) -> bool:
        return len(frame) == self._length and frame.startswith(self._prefix) and not crc16(frame)

    def _judge(self, frame: bytes, now: float) -> Event:
        if self._question is not None and self._is_reply(frame):
            return self._accepted(frame)
        unit, function = frame[0], frame[1]
        if function & EXCEPTION_BIT:
            return self._refusal(unit, function & ~EXCEPTION_BIT, frame[2])
        if (
            function in _READS and len(frame) != _REQUEST_LENGTH
        ):  # no word answer has that length: its byte count is even
            return self._answer(frame)
        late = next((owed for owed in self._owed if (owed.unit, owed.shape[0]) == (unit, function)), None)
        if late is not None and late.is_ours and function not in _READS:
            self._settle([late])
            return Late(unit, late.asked_at)
        return self._foreign(unit, (function, int.from_bytes(frame[4:6], "big")), now)

    def _foreign(self, unit: int, shape: tuple[int, int], now: float) -> Foreign:
        asked = self._question
        if shape[0] in _READS:
            first = self._place + 1 if asked is None else self._place - 1
            self._owed.append(_Owed(unit, shape, now, first, self._place + 1, is_ours=False))
        is_rival = asked is not None and asked.unit == unit and asked.shape == shape
        if is_rival:
            self.give_up()
        return Foreign(unit, is_question=True, is_rival=is_rival)

    def _answer(self, frame: bytes) -> Event:
        unit, shape = frame[0], (frame[1], frame[2] // 2)
        asked = self._question
        candidates = [owed for owed in self._owed if owed.unit == unit and owed.shape == shape]
        if candidates:
            self._settle(candidates)
            return Late(unit, candidates[0].asked_at) if candidates[0].is_ours else Foreign(unit, is_question=False)
        if asked is not None and asked.unit == unit:
            self.give_up()
            return Wrong(f"the answer has function {shape[0]} and {shape[1]} registers")
        return Late(unit, None)

    def _accepted(self, frame: bytes) -> Answer:
        if self._question is not None:
            self._settle([self._present(self._question)])
            self._question = None
        return Answer(frame[len(self._prefix) : -_CRC_LENGTH])

    def _settle(self, candidates: Sequence[_Owed]) -> None:
        """One of these was answered: drop what will not be answered any more, whichever it was."""
        if self._owed and candidates:
            self._owed = [
                owed for owed in self._owed if not all(owed.is_settled_by(candidate) for candidate in candidates)
            ]

    def _refusal(self, unit: int, function: int, code: int) -> Event:
        candidates = [owed for owed in self._owed if owed.unit == unit and owed.shape[0] == function]
        asked = self._question
        if asked is None or asked.unit != unit or asked.function != function:
            self._settle(candidates)
            return Late(unit, candidates[0].asked_at if candidates else None)
        if not candidates:
            self._question = None
            return Refusal(code)
        self._settle([*candidates, self._present(asked)])  # it belongs to an earlier question or to this one
        self.give_up()
        return Refusal(code, is_sure=False)


def _lengths(buffer: bytearray) -> tuple[int, ...]:
    """How long a frame that begins like this may be: as an answer, as a question; () if nothing begins like this."""
    if len(buffer) < 4:
        return ()
    function = buffer[1]
    if function & EXCEPTION_BIT:
        return (_REFUSAL_LENGTH,)
    if function in _READS:
        is_answer = buffer[2] > 0 and not (function in _WORD_READS and buffer[2] % 2)
        return (_FRAMING_LENGTH + buffer[2], _REQUEST_LENGTH) if is_answer else (_REQUEST_LENGTH,)
    if function in _FIXED:
        return (_REQUEST_LENGTH,)
    if function in _WRITES_OF_MANY:
        longest = 9 + buffer[6] if len(buffer) > 6 else _MAX_FRAME
        return (_REQUEST_LENGTH, longest)
    return ()
