"""A Modbus TCP server whose registers are computed when they are asked for (pymodbus on the server's side).

One request sees one snapshot: the whole image is made once per request, so that a value of two words is never half old.
"""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.errors import EdgeError


class ServerAddressError(EdgeError):
    """The server could not listen on its address; choose another host or port."""


class RegisterServer:
    """Serves one unit's holding and input registers, read-only; other units are answered with exception 0x0B, as a gateway does.

    Args:
        host: address to listen on.
        port: TCP port; 0 takes a free one.
        unit: Modbus unit (1 to 247).
        first_address: address of the image's first word.
        image: makes the words, always equally many. Registers outside are answered with exception 2.
    """

    def __init__(
        self, host: str, port: int, *, unit: int, first_address: int, image: Callable[[], Sequence[int]]
    ) -> None:
        self.host = host
        self.port = port
        self.unit = unit
        self._first_address = first_address
        self._image = image
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        """Listen; `port` is the real one afterwards.

        Raises:
            ServerAddressError: if the address is taken or not of this machine.
        """
        words = list(self._image())
        data = SimData(self._first_address, values=words, datatype=DataType.REGISTERS, readonly=True)
        nobody = SimData(0, values=0, datatype=DataType.REGISTERS, count=65_536, readonly=True)
        server = ModbusTcpServer(
            [
                SimDevice(self.unit, simdata=[data], action=self._refresh),
                SimDevice(0, simdata=[nobody], action=_no_such_unit),
            ],
            address=(self.host, self.port),
        )
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise ServerAddressError(
                f"cannot listen on host {self.host!r}, port {self.port}: is another program there? Choose another port, or 0"
            ) from error
        self._server = server
        # A listening "transport" of pymodbus is asyncio's server object.
        self.port = cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection; may be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _refresh(
        self,
        _function: int,
        _start: int,
        _address: int,
        _count: int,
        registers: list[int],
        _new: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        words = self._image()
        registers[: len(words)] = words
        return None


async def _no_such_unit(
    _function: int,
    _start: int,
    _address: int,
    _count: int,
    _registers: list[int],
    _new: list[int] | list[bool] | None,
) -> ExcCodes | None:
    return ExcCodes.GATEWAY_NO_RESPONSE
