"""A Voltronic inverter that speaks PI30, behind a pseudo-terminal or a TCP serial bridge. Written from the protocol document."""

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MAX_STATUS = (
    "227.2 50.0 230.3 50.0 0829 0751 010 447 54.50 020 083 0054 02.7 323.6 00.00 00000 00010110 00 00 00879 010"
)
OLD_STATUS = "000.0 00.0 230.0 49.9 0161 0119 003 460 57.50 012 100 0069 0014 103.8 57.45 00000 00110110"
ANSWERS = {
    "QPI": "PI30",
    "QID": "92932004102443",
    "QMOD": "B",
    "QPIGS": MAX_STATUS,
    "QPIGS2": "03.1 327.3 01026",
    "QPIWS": "00000100000000001000000000000000",
    "QPIRI": "230.0 34.7 230.0 50.0 34.7 8000 8000 48.0 48.0 42.0 54.0 52.5 2 010 030 1 2 2 9 01 0 0 50.0 0 1 480 0 070",
    "QET": "00238800",
    "QLT": "00191500",
}
"""Answers of real inverters, as published."""


def crc(data: bytes) -> bytes:
    """CRC-16/XMODEM, bit by bit; `(`, CR and LF one higher."""
    register = 0
    for byte in data:
        for bit in range(8):
            feedback = (register >> 15 & 1) ^ (byte >> (7 - bit) & 1)
            register = (register << 1 & 0xFFFF) ^ (0x1021 if feedback else 0)
    high, low = register >> 8, register & 0xFF
    return bytes(byte + 1 if byte in {0x28, 0x0D, 0x0A} else byte for byte in (high, low))


def framed(text: str) -> bytes:
    """An answer as it travels."""
    body = b"(" + text.encode("ascii")
    return body + crc(body) + b"\r"


@dataclass(frozen=True)
class Reply:
    """What goes out for a command, in order: bytes, or seconds to wait."""

    parts: tuple[bytes | float, ...]


@dataclass
class Inverter:
    """Answers its commands one after the other, as told.

    Attributes:
        answers: by command; an unknown one gets NAK.
        trouble: called with the command and its number (from 1); None for the usual answer.
    """

    answers: dict[str, str] = field(default_factory=lambda: dict(ANSWERS))
    trouble: Callable[[str, int], Reply | None] = lambda _, __: None
    heard: list[str] = field(default_factory=list)

    def reply(self, command: str) -> Reply:
        self.heard.append(command)
        special = self.trouble(command, len(self.heard))
        return special or Reply((framed(self.answers.get(command, "NAK")),))

    def usual(self, command: str) -> bytes:
        return framed(self.answers.get(command, "NAK"))

    async def serve(self, receive: Callable[[], "asyncio.Future[bytes]"], send: Callable[[bytes], None]) -> None:
        """Take questions apart and answer them in their order until cancelled or closed."""
        buffer = bytearray()
        while True:
            while b"\r" not in buffer:
                data = await receive()
                if not data:
                    return
                buffer += data
            end = buffer.index(b"\r")
            question = bytes(buffer[:end])
            del buffer[: end + 1]
            command = question[:-2]
            parts = self.reply(command.decode()).parts if crc(command) == question[-2:] else (framed("NAK"),)
            for part in parts:
                if isinstance(part, bytes):
                    send(part)
                else:
                    await asyncio.sleep(part)


@asynccontextmanager
async def on_pty(inverter: Inverter) -> AsyncIterator[str]:
    """Serve on a pseudo-terminal; yields the path of its other end."""
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    loop.add_reader(ours, lambda: arrived.put_nowait(os.read(ours, 4096)))
    serving = asyncio.create_task(
        inverter.serve(lambda: asyncio.ensure_future(arrived.get()), lambda data: _send(ours, data))
    )
    try:
        yield os.ttyname(theirs)
    finally:
        loop.remove_reader(ours)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        os.close(ours)
        os.close(theirs)


def _send(terminal: int, data: bytes) -> None:
    assert os.write(terminal, data) == len(data)


@asynccontextmanager
async def on_tcp(inverter: Inverter) -> AsyncIterator[int]:
    """Serve behind a TCP serial bridge; yields its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await inverter.serve(lambda: asyncio.ensure_future(reader.read(256)), writer.write)
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
