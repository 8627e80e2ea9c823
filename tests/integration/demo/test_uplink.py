"""The demo's line carries bytes both ways, breaks at a cut and comes back on the same port."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cloud.demo.uplink import Uplink


async def _shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
    except ConnectionError:
        pass  # the line was cut under it, which is what these tests are about
    finally:
        writer.close()


@pytest.fixture
async def shouting_port() -> AsyncIterator[int]:
    async with await asyncio.start_server(_shout, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _say(port: int, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_bytes_go_both_ways(shouting_port: int) -> None:
    async with Uplink(shouting_port) as line:
        assert await _say(line.port, b"reading\n" * 20_000) == b"READING\n" * 20_000


async def test_a_cut_breaks_open_connections_and_refuses_new_ones(shouting_port: int) -> None:
    async with Uplink(shouting_port) as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(b"one\n")
        assert await reader.readline() == b"ONE\n"
        await line.cut()
        assert not line.is_up
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await _say(line.port, b"two\n")


async def test_a_mended_line_has_its_old_port(shouting_port: int) -> None:
    async with Uplink(shouting_port) as line:
        port = line.port
        await line.cut()
        await line.cut()
        await line.mend()
        assert line.port == port
        assert await _say(port, b"three\n") == b"THREE\n"


async def test_a_cloud_that_is_not_there_resets_the_connection() -> None:
    async with await asyncio.start_server(_shout, "127.0.0.1", 0) as server:
        free_port = server.sockets[0].getsockname()[1]
    async with Uplink(free_port) as line:
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            assert line.is_up
        writer.close()
