"""A Solarman V5 data logger for tests: answers from a register image, and misbehaves as told. Written from the protocol's framing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from umodbus.client.serial.redundancy_check import get_crc

SERIAL = 2_385_267_882

Image = Mapping[int, int]


def frame(control: int, payload: bytes, *, sequence: int, serial: int = SERIAL) -> bytes:
    """Any frame of a logger: control code, sequence and serial as they travel, little-endian."""
    body = len(payload).to_bytes(2, "little") + control.to_bytes(2, "little") + sequence.to_bytes(2, "little")
    body += serial.to_bytes(4, "little") + payload
    return b"\xa5" + body + bytes([sum(body) % 256]) + b"\x15"


def response(rtu: bytes, *, sequence: int, serial: int = SERIAL) -> bytes:
    """An answer that carries a Modbus RTU frame, with the times of a real one."""
    times = bytes.fromhex("b6a60f00 1b270000 53760763")
    return frame(0x1510, b"\x02\x01" + times + rtu, sequence=sequence, serial=serial)


def heartbeat(sequence: int, *, serial: int = SERIAL) -> bytes:
    return frame(0x4710, b"\0", sequence=sequence, serial=serial)


def handshake(sequence: int, *, serial: int = SERIAL) -> bytes:
    return frame(
        0x4110, b"\x02" + bytes(13) + b"LSW3_14_FFFF_1.0.57".ljust(60, b"\0"), sequence=sequence, serial=serial
    )


def registers(unit: int, function: int, values: list[int]) -> bytes:
    """A Modbus RTU answer with its CRC."""
    body = bytes([unit, function, 2 * len(values)]) + b"".join(value.to_bytes(2, "big") for value in values)
    return body + bytes(get_crc(body))


def exception(unit: int, function: int, code: int) -> bytes:
    body = bytes([unit, function | 0x80, code])
    return body + bytes(get_crc(body))


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    raw: bytes

    @property
    def sequence(self) -> int:
        return int.from_bytes(self.raw[5:7], "little")

    @property
    def serial(self) -> int:
        return int.from_bytes(self.raw[7:11], "little")

    @property
    def rtu(self) -> bytes:
        return self.raw[26:-2]

    @property
    def unit(self) -> int:
        return self.rtu[0]

    @property
    def function(self) -> int:
        return self.rtu[1]

    @property
    def address(self) -> int:
        return int.from_bytes(self.rtu[2:4], "big")

    @property
    def count(self) -> int:
        return int.from_bytes(self.rtu[4:6], "big")


Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Logger:
    """What happened at a logger that is served."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    count: int = 0

    def next_sequence(self, asked: Asked) -> int:
        """The request's low byte, and the logger's own count above it."""
        self.count = (self.count + 1) & 0xFF
        return (asked.sequence & 0xFF) | self.count << 8

    def answer(self, asked: Asked, image: Image) -> bytes:
        """What a well-behaved logger says: registers, exception 2, or two bytes where no inverter answered or the serial is wrong."""
        sequence = self.next_sequence(asked)
        if asked.serial != SERIAL:
            return response(b"\x06\0", sequence=sequence)
        if asked.unit != 1:
            return response(b"\x05\0", sequence=sequence)
        wanted = range(asked.address, asked.address + asked.count)
        if any(address not in image for address in wanted):
            return response(exception(1, asked.function, 2), sequence=sequence)
        return response(registers(1, asked.function, [image[address] for address in wanted]), sequence=sequence)


@asynccontextmanager
async def serve(image: Image, *, handler: Handler | None = None) -> AsyncIterator[Logger]:
    """Serve an image as unit 1 of logger `SERIAL` on a free loopback port; or let `handler` answer."""
    logger = Logger()

    async def well(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(logger.answer(asked, image))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        logger.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readexactly(11)
                asked = Asked(head + await reader.readexactly(int.from_bytes(head[1:3], "little") + 2))
                assert asked.raw[-2] == sum(asked.raw[1:-2]) % 256
                logger.asked.append(asked)
                await (handler or well)(asked, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    logger.port = server.sockets[0].getsockname()[1]
    try:
        yield logger
    finally:
        server.close()
        await server.wait_closed()
