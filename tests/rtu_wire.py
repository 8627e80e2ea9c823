"""A serial line for tests: a pseudo-terminal whose far end is a slave that misbehaves as told."""

import asyncio
import os
import random
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from edge_agent.drivers.modbus_frame import crc16, with_crc


def word(unit: int, address: int) -> int:
    """What a slave's register holds: differs from address to address and from unit to unit."""
    return (address * 7919 + unit * 104729 + 1) & 0xFFFF


def words(unit: int, address: int, count: int) -> list[int]:
    return [word(unit, position) for position in range(address, address + count)]


def read_frame(unit: int, address: int, count: int, *, function: int = 3) -> bytes:
    return with_crc(bytes((unit, function)) + address.to_bytes(2, "big") + count.to_bytes(2, "big"))


def answer_to(request: bytes) -> bytes:
    unit, function = request[0], request[1]
    address, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
    if address + count > 60_000:
        return with_crc(bytes((unit, function | 0x80, 2)))
    data = b"".join(each.to_bytes(2, "big") for each in words(unit, address, count))
    return with_crc(bytes((unit, function, len(data))) + data)


@dataclass
class Slaves:
    """All slaves of a line: they hear everything, and answer one question after the other.

    Attributes:
        units: that live.
        delay_s: how long the nth answer takes.
        spoil: what becomes of an answer's bytes on the line.
        heard: requests.
        byte_time_s: of the line; 0 for one without a pace.
    """

    units: set[int]
    delay_s: Callable[[int], float] = lambda _: 0.0
    spoil: Callable[[bytes], bytes] = lambda frame: frame
    byte_time_s: float = 0.0
    heard: list[bytes] = field(default_factory=list)
    write: Callable[[bytes], None] = lambda _: None
    _buffer: bytearray = field(default_factory=bytearray)
    _questions: "asyncio.Queue[bytes]" = field(default_factory=asyncio.Queue)

    def hear(self, data: bytes) -> None:
        """Only requests of 8 bytes are on this line, and they come whole."""
        self._buffer += data
        while len(self._buffer) >= 8:
            if crc16(self._buffer[:8]):
                del self._buffer[0]
                continue
            self._questions.put_nowait(bytes(self._buffer[:8]))
            del self._buffer[:8]

    async def run(self) -> None:
        while True:
            request = await self._questions.get()
            self.heard.append(request)
            if self.byte_time_s:
                await asyncio.sleep(len(request) * self.byte_time_s)
            if request[0] not in self.units:
                continue
            await asyncio.sleep(self.delay_s(len(self.heard)))
            frame = self.spoil(answer_to(request))
            if self.byte_time_s:
                await asyncio.sleep(len(frame) * self.byte_time_s)
            self.write(frame)


@dataclass
class Wire:
    """The far end of a port.

    Attributes:
        port: path for the master.
    """

    port: str
    far: int
    slaves: Slaves

    def say(self, data: bytes) -> None:
        """Bytes that the master hears."""
        os.write(self.far, data)

    def foreign(self, request: bytes) -> None:
        """Another master asks: our master and the slaves hear it."""
        self.say(request)
        self.slaves.hear(request)


@asynccontextmanager
async def wire(slaves: Slaves) -> AsyncIterator[Wire]:
    """A port with slaves at its far end."""
    far, near = os.openpty()
    tty.setraw(near)
    os.set_blocking(far, False)
    line = Wire(os.ttyname(near), far, slaves)
    slaves.write = line.say
    loop = asyncio.get_running_loop()
    loop.add_reader(far, lambda: slaves.hear(os.read(far, 4096)))
    task = asyncio.create_task(slaves.run())
    try:
        yield line
    finally:
        loop.remove_reader(far)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        os.close(far)
        os.close(near)


def noisy(share: float, *, seed: int = 7) -> Callable[[bytes], bytes]:
    """Flip a bit, lose a byte or add some, in this share of the answers."""
    dice = random.Random(seed)  # noqa: S311 -- the same disorder in every run

    def spoil(frame: bytes) -> bytes:
        if dice.random() >= share:
            return frame
        at = dice.randrange(len(frame))
        match dice.randrange(4):
            case 0:
                return frame[:at] + bytes((frame[at] ^ 1 << dice.randrange(8),)) + frame[at + 1 :]
            case 1:
                return frame[:at] + frame[at + 1 :]
            case 2:
                return dice.randbytes(dice.randrange(1, 12)) + frame
            case _:
                return frame[:at]

    return spoil
