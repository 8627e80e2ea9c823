"""What carries a bus's bytes: a TCP connection. A serial port is in `serial_line`."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from edge_agent.drivers.base import DriverError


class Line(Protocol):
    """Carries bytes both ways; opened and closed any number of times.

    Attributes:
        name: for messages.
        on_bytes: called with what comes in.
        on_lost: called when the other side or the adapter is gone; not called by `close`.
        byte_time_s: how long a byte is on the wire; 0 where that does not count.
        frame_gap_s: silence between two frames.
        quiet_s: silence after which nothing more of a frame will come.
        reopen_after_s: how long the other side needs to notice that the line was closed; one with a single connection refuses the next
            until then.
    """

    name: str
    on_bytes: Callable[[bytes], None]
    on_lost: Callable[[], None]
    byte_time_s: float
    frame_gap_s: float
    quiet_s: float
    reopen_after_s: float

    @property
    def is_open(self) -> bool:
        """Whether bytes can be written."""
        ...

    async def open(self, *, timeout_s: float) -> None:
        """Open it; does nothing if it is open.

        Raises:
            DriverError: `refused` if it cannot be opened now, `config` if it never can.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            OSError: if the line is gone.
        """
        ...

    def close(self) -> None:
        """Close it; may be called twice."""
        ...


def _ignore_bytes(_: bytes) -> None:
    """Nobody listens yet."""


def _ignore_loss() -> None:
    """Nobody listens yet."""


class TcpLine:
    """A TCP connection.

    Args:
        host: name or address.
        port: TCP port.
    """

    byte_time_s = 0.0
    frame_gap_s = 0.0
    quiet_s = 0.05

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.name = f"{host}:{port}"
        self.on_bytes: Callable[[bytes], None] = _ignore_bytes
        self.on_lost: Callable[[], None] = _ignore_loss
        self.reopen_after_s = 0.0
        self._closed_at: float | None = None
        self._connection: _Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        return self._connection is not None

    async def open(self, *, timeout_s: float) -> None:
        """Connect.

        Raises:
            DriverError: `refused` if nobody answers there, `config` if the host cannot be a name.
        """
        if self._connection is not None:
            return
        loop = asyncio.get_running_loop()
        if self._closed_at is not None and (wait := self._closed_at + self.reopen_after_s - loop.time()) > 0:
            await asyncio.sleep(wait)
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(lambda: _Connection(self), self.host, self.port)
        except UnicodeError as error:
            raise DriverError(
                f"host {self.host!r} cannot be the name of a machine ({error}); correct the address",
                retry=False,
                kind="config",
            ) from error
        except (OSError, TimeoutError) as error:
            raise DriverError(
                f"{self.name} takes no connection within {timeout_s:g} s; check the address, the cable and whether another Modbus "
                f"client holds the only connection ({error})",
                retry=True,
                kind="refused",
            ) from error
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            OSError: if the connection is gone.
        """
        if self._connection is None:
            raise ConnectionResetError("the connection is closed")
        self._connection.transport.write(data)

    def close(self) -> None:
        """Close at once, without waiting for what was not sent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.line = None
            connection.transport.abort()
            self._closed_at = asyncio.get_running_loop().time()

    def lost(self) -> None:
        """The other side hung up."""
        self.close()
        self.on_lost()


class _Connection(asyncio.Protocol):
    """One connection; `line` is None once the line has closed it."""

    def __init__(self, line: TcpLine) -> None:
        self.line: TcpLine | None = line
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.line is not None:
            self.line.on_bytes(data)

    def eof_received(self) -> bool:
        return False  # nobody answers on a half-closed connection: asyncio closes the other half

    def connection_lost(self, _: Exception | None) -> None:
        if self.line is not None:
            self.line.lost()
