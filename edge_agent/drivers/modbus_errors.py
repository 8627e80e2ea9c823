"""What every register bus promises, and how it fails."""

from typing import Protocol

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus_frame import READ_HOLDING, READ_INPUT, Event, Foreign, Gone, Noise, Question, Wrong
from edge_agent.profiles.model import RegisterFunction

REFUSALS = (2, 3)
"""Exceptions that concern what was asked for: a register that does not exist, or a count that is too long or crosses a border."""

BEHIND_GATEWAY = (10, 11)
"""Exceptions by which a gateway says that the unit is silent."""

_FUNCTIONS = {READ_HOLDING: "holding", READ_INPUT: "input"}
_EXCEPTIONS = {
    1: "it does not know the function",
    2: "it has no such register",
    3: "it refuses the number of registers",
    4: "it failed while answering",
    5: "it needs longer",
    6: "it is busy",
    8: "its memory is damaged",
    10: "the gateway has no path to the unit; check the unit id and the gateway's routing",
    11: "the gateway got no answer from the unit; check the unit id, the serial line and whether the device is on",
}


class RefusedAddressError(DriverError):
    """The device answered exception 2 or 3: a register does not exist, or the request is too long; a smaller one may be answered."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry=False, kind="exception")


class DamagedAnswerError(DriverError):
    """Something came, but not the answer that was asked for."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry=True, kind="malformed")


class RegisterBus(Protocol):
    """Anything that reads registers: a TCP endpoint, a serial line."""

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        """Read `count` unsigned 16-bit registers.

        Raises:
            RefusedAddressError: on exceptions 2 and 3.
            DriverError: on anything else that is not the whole answer.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection; the next read opens it again."""
        ...


def refusal(what: str, code: int) -> DriverError:
    """The error of an exception answer."""
    message = f"{what}: the device answers exception {code}: {_EXCEPTIONS.get(code, 'a code of its maker')}"
    if code in REFUSALS:
        return RefusedAddressError(message)
    return DriverError(message, retry=True, kind="exception")


def describe(endpoint: str, question: Question) -> str:
    """What was asked of whom, for messages."""
    function = _FUNCTIONS.get(question.function, "write of holding")
    return f"{endpoint} unit {question.unit}, {function} {question.address}..{question.address + question.count - 1}"


def damage(what: str, question: Question, event: Event | Gone | None) -> DriverError | None:
    """The error of what came instead of an answer; None for what is not damage."""
    match event:
        case Wrong():
            return DamagedAnswerError(
                f"{what}: {event.text}, asked were function {question.function} and {question.count}; another master may share the line"
            )
        case Noise():
            return DamagedAnswerError(
                f"{what}: {event.length} bytes came that are no answer; check the line's cable, end resistors, baud rate and parity"
            )
        case Foreign():
            return DamagedAnswerError(
                f"{what}: another master asks unit {event.unit} on this line at the same time; a line has one master only"
            )
        case Gone():
            return DriverError(
                f"{what}: the connection was closed before an answer; the device may allow one client only, or what it sent was no Modbus",
                retry=True,
                kind="refused",
            )
        case _:
            return None


def broken(what: str, error: OSError) -> DriverError:
    """The line failed while it was written to."""
    return DriverError(f"{what}: the connection broke: {error}", retry=True, kind="refused")


def no_answer(what: str, waited_s: float) -> DriverError:
    """Nothing came in time."""
    return DriverError(
        f"{what}: no answer within {waited_s:.3g} s; check the unit id and whether the device is on",
        retry=True,
        kind="timeout",
    )


def left_alone(endpoint: str, question: Question, *, failures: int, again_s: float) -> DriverError:
    """The unit is silent, and no probe is due."""
    return DriverError(
        f"{endpoint} unit {question.unit} has not answered {failures} times in a row; it is asked again in {again_s:.0f} s; check the "
        "unit id and whether the device is on",
        retry=True,
        kind="timeout",
    )


def never_quiet(endpoint: str) -> DriverError:
    """There was no gap to ask in."""
    return DriverError(
        f"{endpoint}: somebody speaks on this line all the time; another master may poll it (a line has one master only), or its baud rate "
        "or parity is another one",
        retry=True,
        kind="malformed",
    )
