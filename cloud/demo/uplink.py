"""The site's internet line: a TCP relay between the agent and the cloud that can be cut and mended."""

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 65_536


class Uplink:
    """Relays loopback connections to the API.

    While cut, the port is closed and open connections are reset: the agent sees what it would see when a router loses its line.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        """Listening port on 127.0.0.1; the same before and after a cut."""

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    @property
    def is_up(self) -> bool:
        """Whether connections are taken."""
        return self._server is not None

    async def mend(self) -> None:
        """Open the line, on the port that it had before if it had one."""
        if self._server is None:
            self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Close the port and break every open connection."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is always served inside a task")
        self._tasks.add(task)
        try:
            await self._join(reader, writer)
        except OSError:
            _reset(writer)  # the cloud is not there: the agent sees its connection reset, as through any router
        except asyncio.CancelledError:
            _reset(writer)  # the line was cut: cancelled by cut() alone, which waits for the end of this task
        finally:
            self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(_copy(reader, far_writer))
                both_ways.create_task(_copy(far_reader, writer))
        except ExceptionGroup as broken:
            raise ConnectionResetError from broken.split(OSError)[0]
        finally:
            far_writer.close()
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset: an orderly end would tell the peer more than a cut line can."""
    connection: socket.socket = writer.get_extra_info("socket")
    if connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
