"""Asks a Voltronic inverter, one command at a time, over whatever carries its bytes.

An answer does not say which command it belongs to. What rules out an answer to an earlier command is order: the inverter answers one
after the other. So after anything but a clean answer, and before the first command, it is asked for its protocol; only once that answer,
which has a shape of its own, has come, nothing earlier can be on its way any more.
"""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.line import Line
from edge_agent.drivers.voltronic_frame import END, FrameError, decode, encode
from edge_agent.drivers.voltronic_table import NAK, PROTOCOL, PROTOCOL_ID, Query

DEFAULT_TIMEOUT_S = 3.0
"""An answer of 110 characters takes half a second at 2400 baud, and the inverter up to a second before it."""

SHARED_FOR_S = 1.0
"""Two devices of the plan that are one inverter get one answer, if they ask within this time."""

_ATTEMPTS = 2
_LONGEST_LINE = 1024


class NakError(DriverError):
    """The inverter does not know the command."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry=True, kind="exception")


@dataclass(slots=True)
class _Told:
    """An answer, when it came and who has had it."""

    text: str
    at: float
    takers: set[Hashable] = field(default_factory=set)


class VoltronicLine:
    """One inverter's port, shared by the devices of the plan that are this inverter.

    Args:
        line: a serial port, or a TCP connection to one.
        timeout_s: for each answer.
    """

    def __init__(self, line: Line, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self.name = line.name
        self.timeout_s = timeout_s
        self._line = line
        line.on_bytes = self._take
        line.on_lost = self._lose
        self._lock = asyncio.Lock()
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._is_lost = False
        self._is_clean = False
        self._probes_owed = 0
        self._told: dict[str, _Told] = {}

    def widen(self, *, timeout_s: float) -> None:
        """Another device shares the line: the slower wish of the two holds for both."""
        self.timeout_s = max(self.timeout_s, timeout_s)

    async def ask(self, query: Query, *, taker: Hashable) -> str:
        """Ask one command; waits its turn.

        Args:
            query: the command and the shape of its answer.
            taker: who asks; never gets the same answer twice.

        Returns:
            The answer's text.

        Raises:
            NakError: if the inverter does not know the command.
            DriverError: `refused` if the port cannot be opened, `timeout`, `malformed` if the answer is damaged twice in a row, `identity`
                if the device speaks another protocol.
        """
        async with self._lock:
            told = self._told.get(query.command)
            now = asyncio.get_running_loop().time()
            if told is None or now - told.at > SHARED_FOR_S or taker in told.takers:
                told = _Told(await self._ask(query), asyncio.get_running_loop().time())
                self._told[query.command] = told
            told.takers.add(taker)
            return told.text

    async def close(self) -> None:
        """Let go of the port; the next command opens it again."""
        async with self._lock:
            self._line.close()
            self._is_clean = False

    async def _ask(self, query: Query) -> str:
        for attempt in range(1, _ATTEMPTS + 1):
            await self._open()
            try:
                if not self._is_clean:
                    await self._settle()
                return await self._exchange(query)
            except FrameError as error:
                if attempt == _ATTEMPTS:
                    raise DriverError(
                        f"{self.name}, {query.command}: {error}; check the cable, its length and the baud rate (2400)",
                        retry=True,
                        kind="malformed",
                    ) from error
            except OSError as error:
                self._line.close()
                raise DriverError(
                    f"{self.name}, {query.command}: the port is gone: {error}; is the adapter plugged in?",
                    retry=True,
                    kind="refused",
                ) from error
        raise AssertionError("the last attempt returns or raises")

    async def _open(self) -> None:
        if not self._line.is_open:
            self._is_lost = self._is_clean = False
            await self._line.open(timeout_s=self.timeout_s)

    async def _exchange(self, query: Query) -> str:
        """Ask once, on a line on which no answer is outstanding."""
        self._is_clean = False  # also when the caller gives up waiting
        self._buffer.clear()
        self._line.write(encode(query.command))
        try:
            async with asyncio.timeout(self.timeout_s):
                text = await self._next()
                while text != NAK and query.shape.fullmatch(text) is None:
                    if PROTOCOL_ID.shape.fullmatch(text):
                        self._probes_owed = max(0, self._probes_owed - 1)
                    text = await self._next()
        except TimeoutError as error:
            raise self._silent(query.command) from error
        self._is_clean = True
        if text == NAK:
            raise NakError(f"{self.name}: the inverter does not know {query.command}")
        return text

    async def _settle(self) -> None:
        """Wait until nothing earlier can be answered any more: until every question for the protocol has had its answer.

        Raises:
            DriverError: `timeout` if there is none, `identity` if it is another protocol.
        """
        self._buffer.clear()
        self._line.write(encode(PROTOCOL_ID.command))
        self._probes_owed += 1
        protocol = ""
        while self._probes_owed > 0:
            try:
                async with asyncio.timeout(self.timeout_s):
                    text = await self._next_intact()
            except TimeoutError as error:
                if not protocol:
                    raise self._silent(PROTOCOL_ID.command) from error
                self._probes_owed = 0  # the line has been silent for so long: earlier answers were lost
                break
            if PROTOCOL_ID.shape.fullmatch(text):
                protocol = text
                self._probes_owed -= 1
        if protocol != PROTOCOL:
            raise DriverError(
                f"{self.name}: the inverter speaks {protocol}, not {PROTOCOL}; this driver cannot read it",
                retry=False,
                kind="identity",
            )
        self._is_clean = True

    async def _next_intact(self) -> str:
        while True:
            try:
                return await self._next()
            except FrameError:
                continue  # damaged, and not what is waited for

    async def _next(self) -> str:
        """The text of the next answer, whatever it answers.

        Raises:
            FrameError: if it is damaged.
            ConnectionResetError: if the port goes away.
        """
        while True:
            end = self._buffer.find(END)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                text = decode(line)
                if text is not None:
                    return text
                continue
            if self._is_lost:
                raise ConnectionResetError("the other side closed it")
            self._news.clear()
            await self._news.wait()

    def _take(self, data: bytes) -> None:
        self._buffer += data
        del self._buffer[:-_LONGEST_LINE]  # noise without an end must not fill the memory
        self._news.set()

    def _lose(self) -> None:
        self._is_lost = True
        self._is_clean = False
        self._news.set()

    def _silent(self, command: str) -> DriverError:
        return DriverError(
            f"{self.name}: no answer to {command} within {self.timeout_s:g} s; check that the inverter is on, the cable (RS232, not the "
            "battery's port) and the baud rate (2400)",
            retry=True,
            kind="timeout",
        )
