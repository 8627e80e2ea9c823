"""Modbus TCP: the only module that knows pymodbus.

One connection per endpoint, shared by every device behind it, one request at a time. A wrong number is worse than none: nothing is
retried on the same connection, and after anything but a clean answer the connection is closed, so that a late answer can never be taken
for the answer to a later request.

Time-outs and gaps are real seconds, whatever clock the agent runs on: a socket does not know of a simulated day.
"""

import asyncio
import logging
from typing import Protocol

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from edge_agent.drivers.base import DriverError
from edge_agent.profiles.model import RegisterFunction

DEFAULT_PORT = 502
DEFAULT_TIMEOUT_S = 3.0

_FUNCTION_CODES = {RegisterFunction.HOLDING: 3, RegisterFunction.INPUT: 4}
_ILLEGAL_ADDRESS = 2
_EXCEPTIONS = {
    1: "it does not know the function",
    2: "it has no such register",
    3: "it refuses the number of registers",
    4: "it failed while answering",
    5: "it needs longer",
    6: "it is busy",
    8: "its memory is damaged",
    10: "the gateway has no path to the unit; check the unit id and the gateway's routing",
    11: "the gateway got no answer from the unit; check the unit id, the serial line and whether the device is on",
}

# pymodbus logs each time-out as an error, with frames; a sleeping inverter would fill the journal, and every failure reaches the poller
# as a DriverError anyway.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class RefusedAddressError(DriverError):
    """The device answered exception 2: at least one of the registers does not exist."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry=False, kind="exception")


class RegisterBus(Protocol):
    """Anything that reads registers: a TCP endpoint, a serial line."""

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        """Read `count` unsigned 16-bit registers.

        Raises:
            RefusedAddressError: on exception 2.
            DriverError: on anything else that is not the whole answer.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection; the next read opens it again."""
        ...


class ModbusBus:
    """A Modbus TCP endpoint.

    Args:
        host: name or address.
        port: usually 502.
        timeout_s: for connecting and for each answer.
        request_gap_s: silence after an answer before the next request.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        request_gap_s: float = 0.0,
    ) -> None:
        self.host = host
        self.port = port
        self.timeout_s = timeout_s
        self.request_gap_s = request_gap_s
        self._client: AsyncModbusTcpClient | None = None
        self._lock = asyncio.Lock()
        self._quiet_until = 0.0
        self._asking = False

    def widen(self, *, timeout_s: float, request_gap_s: float) -> None:
        """Another device shares the endpoint: the slower wish of the two holds for both."""
        self.timeout_s = max(self.timeout_s, timeout_s)
        self.request_gap_s = max(self.request_gap_s, request_gap_s)

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        """Read `count` unsigned 16-bit registers of one unit; waits its turn.

        Raises:
            RefusedAddressError: on exception 2; the connection stays open.
            DriverError: `refused` if the endpoint cannot be reached, `timeout`, `exception` on another exception answer, `malformed` if
                the answer is not the one asked for.
        """
        what = f"{self.host}:{self.port} unit {unit}, {function.value} {address}..{address + count - 1}"
        async with self._lock:
            client = await self._connected()
            await self._keep_gap()
            keep = False
            self._asking = True
            try:
                answer = await self._ask(client, unit, function, address=address, count=count, what=what)
                keep = answer.isError() or _is_whole(answer, function, count=count)
            finally:
                self._asking = False
                # Also when the caller gave up waiting: the answer may still be on its way.
                if not keep:
                    self._disconnect()
                self._quiet_until = asyncio.get_running_loop().time() + self.request_gap_s
        return _registers(answer, function, count=count, what=what)

    async def close(self) -> None:
        """Close the connection; the next read opens it again."""
        async with self._lock:
            self._disconnect()

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        self._disconnect()
        client = AsyncModbusTcpClient(
            self.host,
            port=self.port,
            timeout=self.timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_connect=self._on_connection,
        )
        try:
            is_connected = await client.connect()
        except UnicodeError as error:
            raise DriverError(
                f"host {self.host!r} cannot be the name of a machine ({error}); correct the address",
                retry=False,
                kind="config",
            ) from error
        if not is_connected:
            client.close()
            raise DriverError(
                f"{self.host}:{self.port} takes no connection within {self.timeout_s:g} s; check the address, the cable and whether "
                "another Modbus client holds the only connection",
                retry=True,
                kind="refused",
            )
        self._client = client
        return client

    def _on_connection(self, is_open: bool) -> None:
        """Fail the pending request as soon as the other side hangs up, instead of at its time-out."""
        if is_open or self._client is None or not self._asking:
            return
        pending = self._client.ctx.response_future
        if not pending.done():
            pending.set_exception(ConnectionResetError("the connection was closed"))

    def _disconnect(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            client.close()

    async def _keep_gap(self) -> None:
        wait = self._quiet_until - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)

    async def _ask(
        self,
        client: AsyncModbusTcpClient,
        unit: int,
        function: RegisterFunction,
        *,
        address: int,
        count: int,
        what: str,
    ) -> ModbusPDU:
        ask = client.read_holding_registers if function is RegisterFunction.HOLDING else client.read_input_registers
        try:
            return await ask(address, count=count, device_id=unit)
        except ConnectionResetError as error:
            raise DriverError(
                f"{what}: the connection was closed before an answer; the device may allow one client only, or what it sent was no Modbus",
                retry=True,
                kind="refused",
            ) from error
        except ModbusException as error:
            raise DriverError(
                f"{what}: no answer within {self.timeout_s:g} s; check the unit id and whether the device is on ({error})",
                retry=True,
                kind="timeout",
            ) from error
        except OSError as error:
            raise DriverError(f"{what}: the connection broke: {error}", retry=True, kind="refused") from error


def _is_whole(answer: ModbusPDU, function: RegisterFunction, *, count: int) -> bool:
    return answer.function_code == _FUNCTION_CODES[function] and len(answer.registers) == count


def _registers(answer: ModbusPDU, function: RegisterFunction, *, count: int, what: str) -> list[int]:
    """The registers of an answer that is complete.

    Raises:
        DriverError: see `ModbusBus.read`.
    """
    if answer.isError():
        code = answer.exception_code
        message = f"{what}: the device answers exception {code}: {_EXCEPTIONS.get(code, 'a code of its maker')}"
        if code == _ILLEGAL_ADDRESS:
            raise RefusedAddressError(message)
        raise DriverError(message, retry=True, kind="exception")
    if not _is_whole(answer, function, count=count):
        raise DriverError(
            f"{what}: the answer has function {answer.function_code} and {len(answer.registers)} registers, asked were function "
            f"{_FUNCTION_CODES[function]} and {count}; another master may share the line",
            retry=True,
            kind="malformed",
        )
    return list(answer.registers)
