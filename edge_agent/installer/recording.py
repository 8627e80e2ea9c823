"""What was asked of a device and what it answered: a bus that keeps a record of every read that passes through it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RegisterBus
from edge_agent.profiles.model import RegisterFunction

EXCEPTION = "exception"
"""Kind of the errors that are the device's own refusal."""

_SILENCE = "timeout"


@dataclass(frozen=True, slots=True)
class RegisterRead:
    """One request.

    Attributes:
        words: the answer; None where there was none.
        trouble: why there was none; "" where there was one.
        refused: whether the device itself said no, by a Modbus exception.
    """

    unit: int
    function: RegisterFunction
    address: int
    count: int
    words: tuple[int, ...] | None = None
    trouble: str = ""
    refused: bool = False


@dataclass
class ReadLog:
    """Every read of one session, over all buses."""

    reads: list[RegisterRead] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """Requests sent."""
        return len(self.reads)

    @property
    def exceptions(self) -> int:
        """Requests that the device refused."""
        return sum(read.refused for read in self.reads)

    def words_at(self, unit: int, function: RegisterFunction, *, addresses: Sequence[int]) -> tuple[int, ...] | None:
        """The newest words of some registers; None as soon as one was never read."""
        known: dict[int, int] = {}
        for read in self.reads:
            if (read.unit, read.function) == (unit, function) and read.words is not None:
                known |= dict(enumerate(read.words, start=read.address))
        return tuple(known[address] for address in addresses) if all(each in known for each in addresses) else None

    def has_heard(self, unit: int) -> bool:
        """Whether the unit has answered or refused anything."""
        return any(read.unit == unit and (read.words is not None or read.refused) for read in self.reads)

    def tap(self, bus: RegisterBus) -> RegisterBus:
        """A bus that reads through `bus` and writes down here."""
        return _RecordingBus(bus, self)


class _RecordingBus:
    """Asks a silent unit that has answered before once more: a lost frame is no silent device, and nobody polls again for an installer."""

    def __init__(self, bus: RegisterBus, log: ReadLog) -> None:
        self._bus = bus
        self._log = log

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        try:
            return await self._read_once(unit, function, address=address, count=count)
        except DriverError as error:
            if error.kind != _SILENCE or not self._log.has_heard(unit):
                raise
            return await self._read_once(unit, function, address=address, count=count)

    async def _read_once(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        try:
            words = await self._bus.read(unit, function, address=address, count=count)
        except DriverError as error:
            refused = error.kind == EXCEPTION
            self._log.reads.append(RegisterRead(unit, function, address, count, trouble=str(error), refused=refused))
            raise
        self._log.reads.append(RegisterRead(unit, function, address, count, words=tuple(words)))
        return words

    async def close(self) -> None:
        await self._bus.close()
