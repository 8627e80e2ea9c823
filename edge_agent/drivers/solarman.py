"""Solarman V5: Modbus through the Wi-Fi or LAN stick of a Deye, Sofar, Solis and many others (TCP 8899).

A register bus like a Modbus endpoint, so every register profile works through it. The stick goes on talking to its maker's cloud meanwhile:
its heartbeats and reports come in between, and answers to the cloud's questions can come out here. An answer is taken only if its sequence,
its logger, its unit, its function and its length are those of the request; after anything doubtful the connection is closed.

Heartbeats are not answered: the answer would carry a time that the stick takes over, and this box's clock may be wrong.
"""

import asyncio
import contextlib
import random
import struct
from collections.abc import Sequence

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus_errors import describe, refusal
from edge_agent.drivers.modbus_frame import FUNCTION_CODES, Answer, Question, Refusal
from edge_agent.drivers.solarman_frame import (
    HEAD_BYTES,
    RESPONSE,
    TAIL_BYTES,
    FrameError,
    Head,
    LoggerCode,
    LoggerRefusal,
    decode_answer,
    decode_head,
    encode_request,
    is_intact,
)
from edge_agent.profiles.model import RegisterFunction

DEFAULT_PORT = 8899
DEFAULT_TIMEOUT_S = 8.0
"""Sticks ask the inverter at 9600 baud between their own rounds: answers of five seconds are normal."""


class _ClosedError(Exception):
    """The stick hung up before it sent the first byte of an answer."""


class SolarmanBus:
    """One data logger.

    Args:
        host: name or address of the stick.
        port: usually 8899.
        logger_serial: printed on the stick; not the inverter's serial number.
        timeout_s: for connecting and for each answer.
        request_gap_s: silence after an answer before the next request.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        logger_serial: int,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        request_gap_s: float = 0.0,
    ) -> None:
        self.host = host
        self.port = port
        self.logger_serial = logger_serial
        self.timeout_s = timeout_s
        self.request_gap_s = request_gap_s
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._sequence = random.randrange(256)  # noqa: S311  tells requests apart, also across a restart; no secret
        self._quiet_until = 0.0

    def widen(self, *, timeout_s: float, request_gap_s: float) -> None:
        """Another device shares the logger: the slower wish of the two holds for both."""
        self.timeout_s = max(self.timeout_s, timeout_s)
        self.request_gap_s = max(self.request_gap_s, request_gap_s)

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        """Read `count` unsigned 16-bit registers of one unit; waits its turn.

        Raises:
            RefusedAddressError: on exception 2; the connection stays open.
            DriverError: `refused` if the logger cannot be reached or hangs up, `timeout` if there is no answer, `identity` if another
                logger answers, `exception` on another exception answer, `malformed` if the answer is not the one asked for.
        """
        data = await self._in_turn(Question(unit, FUNCTION_CODES[function], address, count))
        return list(struct.unpack(f">{count}H", data))

    async def write(self, unit: int, *, address: int, words: Sequence[int], function_code: int) -> None:
        """Write holding registers with function 6 (one) or 16 (several). Asked once: after an error, read what the device holds.

        Raises:
            RefusedAddressError: on exception 2.
            DriverError: on anything but the device's confirmation, as `read`.
        """
        await self._in_turn(Question(unit, function_code, address, len(words), tuple(words)))

    async def _in_turn(self, question: Question) -> bytes:
        what = describe(self._name, question)
        async with self._lock:
            keep = False
            try:
                answer = await self._ask(question, what=what)
                keep = True
            finally:
                # Also when the caller gave up waiting: the answer may still be on its way.
                if not keep:
                    self._disconnect()
                self._quiet_until = asyncio.get_running_loop().time() + self.request_gap_s
        match answer:
            case Answer():
                return answer.data
            case Refusal():
                raise refusal(what, answer.code)
            case LoggerRefusal():
                raise self._refused_by_logger(answer.code, what=what)

    async def close(self) -> None:
        """Close the connection; the next read opens it again."""
        async with self._lock:
            self._disconnect()

    @property
    def _name(self) -> str:
        return f"{self.host}:{self.port} logger {self.logger_serial}"

    async def _ask(self, question: Question, *, what: str) -> Answer | Refusal | LoggerRefusal:
        was_open = self._streams is not None
        try:
            return await self._ask_once(question, what=what)
        except _ClosedError:
            self._disconnect()
            if not was_open or question.words is not None:
                raise self._hung_up(what) from None
        # The stick had closed a connection on which nothing was asked for a while, as they do: once more on a new one.
        try:
            return await self._ask_once(question, what=what)
        except _ClosedError:
            raise self._hung_up(what) from None

    async def _ask_once(self, question: Question, *, what: str) -> Answer | Refusal | LoggerRefusal:
        reader, writer = await self._connected()
        await self._keep_gap()
        self._sequence = (self._sequence + 1) & 0xFF
        try:
            async with asyncio.timeout(self.timeout_s):
                writer.write(encode_request(question, sequence=self._sequence, logger_serial=self.logger_serial))
                await writer.drain()
                payload = await self._payload(reader)
            return decode_answer(payload, question)
        except TimeoutError as error:
            raise DriverError(
                f"{what}: no answer within {self.timeout_s:g} s; check connection.logger_serial (printed on the stick, it is not the "
                "inverter's) and whether the inverter is on",
                retry=True,
                kind="timeout",
            ) from error
        except FrameError as error:
            raise DriverError(f"{what}: {error}", retry=True, kind="malformed") from error
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                raise _ClosedError from error
            raise DriverError(
                f"{what}: the connection was closed within an answer, after {error.partial.hex(' ')}",
                retry=True,
                kind="refused",
            ) from error
        except OSError as error:
            raise _ClosedError from error

    async def _payload(self, reader: asyncio.StreamReader) -> bytes:
        """The payload of the frame that answers the present request; everything else that comes is passed over.

        Raises:
            FrameError: if what comes is no frame, or the answer is damaged.
            DriverError: `identity` if another logger answers.
        """
        while True:
            raw = await reader.readexactly(HEAD_BYTES)
            head = decode_head(raw)
            rest = await reader.readexactly(head.payload_bytes + TAIL_BYTES)
            intact = is_intact(raw, rest)
            if head.control != RESPONSE or head.sequence & 0xFF != self._sequence:
                continue  # heartbeat, handshake, report, or the late answer to an earlier request
            if not intact:
                raise FrameError("the answer's checksum is wrong")
            self._check_logger(head)
            return rest[:-TAIL_BYTES]

    def _check_logger(self, head: Head) -> None:
        if head.logger_serial != self.logger_serial:
            raise DriverError(
                f"{self.host}:{self.port} is logger {head.logger_serial}, not {self.logger_serial}; correct connection.logger_serial "
                "or the address",
                retry=False,
                kind="identity",
            )

    def _refused_by_logger(self, code: LoggerCode, *, what: str) -> DriverError:
        if code is LoggerCode.WRONG_SERIAL:
            return DriverError(
                f"{what}: the logger does not know this serial number; correct connection.logger_serial (printed on the stick)",
                retry=False,
                kind="identity",
            )
        return DriverError(
            f"{what}: the logger answers without data, so it heard nothing from the inverter; check the unit id, the profile and "
            "whether the inverter is on",
            retry=True,
            kind="timeout",
        )

    def _hung_up(self, what: str) -> DriverError:
        return DriverError(
            f"{what}: the logger closed the connection before an answer; check connection.logger_serial and whether another client "
            "holds its only connection",
            retry=True,
            kind="refused",
        )

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and not self._streams[0].at_eof():
            return self._streams
        self._disconnect()
        try:
            async with asyncio.timeout(self.timeout_s):
                self._streams = await asyncio.open_connection(self.host, self.port)
        except UnicodeError as error:
            raise DriverError(
                f"host {self.host!r} cannot be the name of a machine ({error}); correct the address",
                retry=False,
                kind="config",
            ) from error
        except OSError as error:  # TimeoutError is one
            raise DriverError(
                f"{self._name} takes no connection within {self.timeout_s:g} s ({_why(error)}); check the address, the Wi-Fi "
                "and whether another client holds its only connection",
                retry=True,
                kind="refused",
            ) from error
        return self._streams

    def _disconnect(self) -> None:
        if self._streams is not None:
            (_, writer), self._streams = self._streams, None
            with contextlib.suppress(OSError):  # it is being thrown away; what it still had to say is of no use
                writer.close()

    async def _keep_gap(self) -> None:
        wait = self._quiet_until - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)


def _why(error: OSError) -> str:
    return str(error) or "time-out"
