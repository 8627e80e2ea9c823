"""RTU frames: whatever is delayed, lost, damaged or another's, an accepted answer is the one to the question."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.modbus_frame import Answer, Question, Refusal, crc16, with_crc
from edge_agent.drivers.modbus_rtu import OWED_S, RtuStream
from tests.rtu_wire import answer_to, words

UNITS, COUNTS = (1, 2), (1, 2, 3)
ADDRESSES = st.integers(0, 400) | st.integers(
    0x300, 0x3FF
)  # the latter: questions as long as an answer of three bytes would be
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(UNITS), ADDRESSES, st.sampled_from(COUNTS)),
        st.tuples(st.just("foreign"), st.sampled_from(UNITS), ADDRESSES, st.sampled_from(COUNTS)),
        st.tuples(st.just("overtaken"), st.sampled_from(UNITS), ADDRESSES, st.sampled_from(COUNTS)),
        st.tuples(st.just("answer"), st.sampled_from(UNITS)),
        st.tuples(
            st.just("hold back"),
        ),
        st.tuples(st.just("lose"), st.sampled_from(UNITS)),
        st.tuples(st.just("damage"), st.sampled_from(UNITS), st.integers(0, 6)),
        st.tuples(
            st.just("give up"),
        ),
        st.tuples(
            st.just("reopen"),
        ),
    ),
    max_size=60,
)


def registers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


class Line:
    """Slaves that answer in the order in which they are asked, as late as the steps say.

    What is held back is heard together with what comes after it, as by a busy box.
    """

    def __init__(self) -> None:
        self.stream = RtuStream()
        self.asked: Question | None = None
        self.waiting: dict[int, deque[bytes]] = {unit: deque() for unit in UNITS}
        self.now = 0.0
        self.accepted = 0
        self.request = b""
        self.held: bytearray | None = None

    def step(self, *step: object) -> None:
        self.now += 0.001
        match step:
            case ("ask", int(unit), int(address), int(count)):
                self.ask(Question(unit, 3, address, count))
            case ("foreign", int(unit), int(address), int(count)):
                frame = with_crc(bytes((unit, 3)) + address.to_bytes(2, "big") + count.to_bytes(2, "big"))
                self.waiting[unit].append(frame)
                self.hear(frame)
            case ("overtaken", int(unit), int(address), int(count)):  # asked before our question, heard after it
                frame = with_crc(bytes((unit, 3)) + address.to_bytes(2, "big") + count.to_bytes(2, "big"))
                queue = self.waiting[unit]
                is_waiting = self.asked is not None and any(each is self.request for each in queue)
                queue.insert(
                    next(at for at, each in enumerate(queue) if each is self.request) if is_waiting else len(queue),
                    frame,
                )
                self.hear(frame)
            case ("hold back",):
                self.release()
                self.held = bytearray()
            case ("answer", int(unit)) if self.waiting[unit]:
                self.hear(answer_to(self.waiting[unit].popleft()))
            case ("lose", int(unit)) if self.waiting[unit]:
                self.waiting[unit].popleft()
            case ("damage", int(unit), int(at)) if self.waiting[unit]:
                frame = bytearray(answer_to(self.waiting[unit].popleft()))
                frame[at % len(frame)] ^= 0x10
                self.hear(bytes(frame))
                self.release()
                self.stream.settle()
                self.give_up()
            case ("give up",):
                self.give_up()
            case ("reopen",):
                self.give_up()
                self.stream.forget()

    def ask(self, question: Question) -> None:
        self.release()
        if self.asked is None and not self.stream.is_unsettled and not self.stream.is_owed(question, now=self.now):
            self.asked = question
            self.request = self.stream.ask(question, now=self.now)
            self.waiting[question.unit].append(self.request)

    def give_up(self) -> None:
        self.stream.give_up()
        self.asked = None

    def hear(self, data: bytes) -> None:
        if self.held is None:
            self.feed(data)
            return
        self.held += data
        if len(self.held) > len(data):
            self.release()

    def release(self) -> None:
        held, self.held = self.held, None
        if held:
            self.feed(bytes(held))

    def feed(self, data: bytes) -> None:
        for event in self.stream.feed(data, now=self.now):
            if isinstance(event, Answer):
                assert self.asked is not None
                assert registers(event.data) == words(self.asked.unit, self.asked.address, self.asked.count)
                self.asked = None
                self.accepted += 1
            elif getattr(event, "is_rival", False) or isinstance(event, Refusal):
                self.give_up()


@given(steps)
def test_an_accepted_answer_is_the_right_one(story: list[tuple[object, ...]]) -> None:
    line = Line()
    for step in story:
        line.step(*step)


@given(st.lists(st.integers(1, 9), max_size=5), st.integers(0, 400), st.sampled_from(COUNTS))
def test_an_answer_in_pieces_is_the_answer(cuts: list[int], address: int, count: int) -> None:
    stream = RtuStream()
    frame = answer_to(stream.ask(Question(1, 3, address, count), now=0.0))
    events = []
    for cut in cuts:
        events += stream.feed(frame[:cut], now=0.0)
        frame = frame[cut:]
    events += stream.feed(frame, now=0.0) if frame else []
    assert [type(event) for event in events] == [Answer]


@given(st.binary(max_size=80))
def test_noise_is_no_answer(data: bytes) -> None:
    stream = RtuStream()
    stream.ask(Question(1, 3, 7, 2), now=0.0)
    if crc16(data):
        assert not any(isinstance(event, Answer) for event in stream.feed(data[:7], now=0.0))


@given(st.binary(max_size=40))
def test_the_crc_of_a_frame_with_its_crc_is_nothing(data: bytes) -> None:
    assert crc16(with_crc(data)) == 0


def test_the_crc_of_the_standard() -> None:
    assert crc16(b"\x02\x07") == 0x1241  # MODBUS over Serial Line V1.02, appendix B


def test_the_story_test_does_accept_answers() -> None:
    line = Line()
    for step in (("ask", 1, 5, 2), ("answer", 1), ("ask", 1, 6, 2), ("give up",), ("ask", 1, 7, 2), ("ask", 1, 8, 3)):
        line.step(*step)
    assert line.asked == Question(1, 3, 8, 3), "the same shape is not asked while its answer is owed"
    line.step("answer", 1)
    line.step("answer", 1)
    line.step("ask", 1, 9, 2)
    line.step("answer", 1)
    assert line.accepted == 3


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(
            (("ask", 1, 5, 2), ("overtaken", 1, 7, 2), ("answer", 1), ("ask", 1, 9, 2), ("answer", 1)),
            id="asked before ours and heard after it",
        ),
        pytest.param(
            (("ask", 1, 5, 2), ("hold back",), ("foreign", 1, 7, 2), ("answer", 1), ("ask", 1, 9, 2), ("answer", 1)),
            id="heard together with an answer",
        ),
        pytest.param(
            (("foreign", 1, 0x3E0, 2), ("ask", 1, 9, 2), ("answer", 1)),
            id="as long as an answer of three bytes would be",
        ),
    ],
)
def test_a_rivals_answer_is_never_ours(story: tuple[tuple[object, ...], ...]) -> None:
    line = Line()
    for step in story:
        line.step(*step)
    assert line.accepted == 0
    line.step("answer", 1)
    for step in (("ask", 1, 20, 3), ("answer", 1), ("ask", 1, 30, 2), ("answer", 1)):
        line.step(*step)
    assert line.accepted == 2


def test_a_debt_is_not_for_ever() -> None:
    stream = RtuStream()
    question = Question(1, 3, 5, 2)
    stream.ask(question, now=0.0)
    stream.give_up()
    assert stream.is_owed(question, now=OWED_S - 1)
    assert not stream.is_owed(question, now=OWED_S + 1)
