"""Modbus TCP servers for tests: one that answers from a register image, one that misbehaves as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from pymodbus.constants import ExcCodes
from pymodbus.datastore import ModbusDeviceContext, ModbusServerContext, ModbusSparseDataBlock
from pymodbus.server import ModbusTcpServer

from edge_agent.drivers import bus_health
from edge_agent.drivers.modbus import RefusedAddressError
from edge_agent.profiles.model import RegisterFunction

Image = Mapping[int, int]
Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

PATIENCE_S = 5.0
"""How long a client waits at least for a server that always answers."""


@asynccontextmanager
async def serve(
    holding: Image, *, unit: int = 1, registers_in: Image | None = None, port: int = 0
) -> AsyncIterator[int]:
    """Serve an image with pymodbus on a loopback port (0: a free one), which is yielded; a missing address answers exception 2.

    It always answers, from the very loop that asks: while the machine stalls, a client here must not take it for silent.
    """
    device = ModbusDeviceContext(
        hr=ModbusSparseDataBlock(dict(holding)), ir=ModbusSparseDataBlock(dict(registers_in or {0xFFFF: 0}))
    )
    server = ModbusTcpServer(ModbusServerContext({unit: device}, single=False), address=("127.0.0.1", port))
    await server.listen()
    try:
        with patch.object(bus_health, "SHORTEST_TIMEOUT_S", PATIENCE_S):
            yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


@asynccontextmanager
async def serve_raw(handler: Handler) -> AsyncIterator[int]:
    """Call `handler` with each request frame (MBAP and PDU) and the writer to answer it on."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(6)
                await handler(head + await reader.readexactly(int.from_bytes(head[4:6], "big")), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def answer(request: bytes, registers: list[int], *, count: int | None = None, tid: bytes | None = None) -> bytes:
    """A well-formed answer frame to a read request, with the registers given."""
    data = b"".join(register.to_bytes(2, "big") for register in registers)
    pdu = bytes([request[7], 2 * (len(registers) if count is None else count)]) + data
    return (tid or request[:2]) + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + request[6:7] + pdu


def exception(request: bytes, code: ExcCodes | int) -> bytes:
    """An exception answer frame."""
    return request[:2] + b"\0\0\0\3" + request[6:7] + bytes([request[7] | 0x80, int(code)])


@dataclass
class FakeBus:
    """A register bus in memory that refuses what is not in its image, and counts what it is asked."""

    holding: dict[int, int]
    registers_in: dict[int, int] = field(default_factory=dict)
    reads: list[tuple[int, RegisterFunction, int, int]] = field(default_factory=list)
    trouble: Exception | None = None

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        self.reads.append((unit, function, address, count))
        if self.trouble is not None:
            raise self.trouble
        image = self.holding if function is RegisterFunction.HOLDING else self.registers_in
        try:
            return [image[position] for position in range(address, address + count)]
        except KeyError as error:
            raise RefusedAddressError(f"no register {error}") from error

    async def close(self) -> None:
        self.reads.clear()
