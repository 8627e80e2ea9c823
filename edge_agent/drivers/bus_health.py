"""What a bus has learnt of its units, and what it counts. Pure: time is given."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.drivers.modbus_frame import MAX_READ, Question

TIMEOUT_LATENCIES = 4
"""A unit that has answered may take this many times as long as it usually does."""

SHORTEST_TIMEOUT_S = 0.5
LONGEST_TIMEOUT_S = 5.0
FORGETTING = 0.05
"""Share by which the remembered latency goes towards a shorter one; a longer one is remembered at once."""

SILENT_AFTER = 3
"""Time-outs in a row from which on a unit is left alone between probes."""

FIRST_PAUSE_S = 2.0
USUAL_PAUSE_S = 45.0
LONGEST_PAUSE_S = 300.0
PROBE_SHARE = 20
"""Probing a silent unit may take one part in so many of the bus's time."""

PROBE_TIMEOUT_S = USUAL_PAUSE_S / PROBE_SHARE
"""What can be spent on a probe that comes as often as it must for a unit to be heard within a minute."""

_KEPT_WAIT = 0.9
"""Whoever asks in the same rhythm must not find the unit closed by a hair."""


@dataclass(slots=True)
class BusCounts:
    """What happened on a bus since the start.

    Attributes:
        requests: sent.
        answers: whole answers, exceptions not included.
        exceptions: exception answers.
        timeouts: requests without an answer in time.
        late: answers that came after their time.
        damaged: frames that were none: CRC errors, noise.
        wrong: answers that were not what was asked.
        foreign: frames of another master.
        probes: questions that only made sure that no late answer is on its way.
        spared: requests that were not sent because the unit is silent.
        opened: times the line was opened.
    """

    requests: int = 0
    answers: int = 0
    exceptions: int = 0
    timeouts: int = 0
    late: int = 0
    damaged: int = 0
    wrong: int = 0
    foreign: int = 0
    probes: int = 0
    spared: int = 0
    opened: int = 0


@dataclass(slots=True)
class UnitHealth:
    """One unit of a bus.

    Attributes:
        latency_s: remembered latency, without the time on the wire; None until it has answered.
        failures: time-outs in a row.
        closed_until: moment before which it is not asked again.
    """

    latency_s: float | None = None
    failures: int = 0
    closed_until: float = 0.0
    answered_shapes: dict[tuple[int, int], int] = field(default_factory=dict)
    """An address that was answered, by function and count: what a probe can ask."""

    def probes(self, question: Question) -> Iterator[Question]:
        """What else this unit can be asked: what it has answered before, then about the same with another number of registers."""
        for (function, count), address in self.answered_shapes.items():
            yield Question(question.unit, function, address, count)
        for step in (-1, 1, -2, 2, -3, 3, -4, 4):
            count = question.count + step
            if 1 <= count <= min(MAX_READ, 0x1_0000 - question.address):
                yield Question(question.unit, question.function, question.address, count)

    def timeout_s(self, configured_s: float) -> float:
        """How long to wait for the next answer."""
        if self.latency_s is None:
            timeout_s = configured_s
        else:
            learned_s = TIMEOUT_LATENCIES * self.latency_s
            lowest_s, highest_s = min(SHORTEST_TIMEOUT_S, configured_s), max(LONGEST_TIMEOUT_S, configured_s)
            timeout_s = min(max(learned_s, lowest_s), highest_s)
        return min(timeout_s, PROBE_TIMEOUT_S) if self.failures >= SILENT_AFTER else timeout_s

    def answered(self, latency_s: float) -> None:
        """It answered after so long."""
        self.failures = 0
        self.closed_until = 0.0
        self.learn(latency_s)

    def learn(self, latency_s: float) -> None:
        """Remember a latency, be it of an answer that came too late; below 0 for a line that is faster than it says."""
        latency_s = max(0.0, latency_s)
        before = self.latency_s
        if before is None or latency_s >= before:
            self.latency_s = latency_s
        else:
            self.latency_s = before + FORGETTING * (latency_s - before)

    def missed(self, *, now: float, cost_s: float) -> None:
        """It did not answer, which took so much of the bus's time."""
        self.failures += 1
        if self.failures >= SILENT_AFTER:
            self.closed_until = now + pause_s(self.failures, cost_s)

    def is_closed(self, now: float) -> bool:
        """Whether it is to be left alone. A clock that was put back must not close it for longer than ever meant."""
        return now < self.closed_until <= now + LONGEST_PAUSE_S


def pause_s(failures: int, cost_s: float) -> float:
    """How long to leave a unit alone after so many time-outs in a row, the last of which cost this much of the bus's time (s)."""
    growing = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 30), USUAL_PAUSE_S)
    return min(max(growing * _KEPT_WAIT, cost_s * PROBE_SHARE * _KEPT_WAIT), LONGEST_PAUSE_S)
