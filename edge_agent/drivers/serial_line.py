"""A serial port: the only module that knows pyserial, which opens and sets it; bytes go past it, by the event loop.

Name ports by `/dev/serial/by-id/...`: that path stays when the adapter is plugged in again and gets another number.
"""

import asyncio
import contextlib
import os
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import serial

from edge_agent.drivers.base import DriverError

CHARACTER_TIMES = 3.5
"""Silence that ends a frame (MODBUS over Serial Line V1.02, 2.5.1.1)."""

SHORTEST_FRAME_GAP_S = 0.00175
"""The same standard: above 19,200 baud it does not shrink any more."""

SHORTEST_QUIET_S = 0.05
"""USB adapters hand over what they have every 16 ms, and a busy box looks later: less silence may lie within a frame."""

_READ_SIZE = 4096
_DATA_BITS = 8


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How a port is set.

    Attributes:
        port: path of the device file.
        baud_rate: bit/s.
    """

    port: str
    baud_rate: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1

    @property
    def byte_time_s(self) -> float:
        """One character on the wire: start bit, eight data bits, parity, stop bits."""
        return (1 + _DATA_BITS + (self.parity != "N") + self.stop_bits) / self.baud_rate

    @property
    def text(self) -> str:
        """Such as `9600 8N1`."""
        return f"{self.baud_rate} {_DATA_BITS}{self.parity}{self.stop_bits}"


class SerialLine:
    """A serial port of this machine, held exclusively while it is open.

    Args:
        settings: the port's.
    """

    def __init__(self, settings: SerialSettings) -> None:
        self.settings = settings
        self.name = settings.port
        self.byte_time_s = settings.byte_time_s
        self.frame_gap_s = max(SHORTEST_FRAME_GAP_S, CHARACTER_TIMES * settings.byte_time_s)
        self.quiet_s = max(SHORTEST_QUIET_S, self.frame_gap_s)
        self.reopen_after_s = 0.0
        self.on_bytes: Callable[[bytes], None] = lambda _: None
        self.on_lost: Callable[[], None] = lambda: None
        self._port: serial.Serial | None = None

    @property
    def is_open(self) -> bool:
        """Whether the port is held."""
        return self._port is not None

    async def open(self, *, timeout_s: float) -> None:  # noqa: ARG002 - a port opens at once or not at all
        """Open and set the port; what came before is dropped.

        Raises:
            DriverError: `refused`, naming the port and what to do.
        """
        if self._port is not None:
            return
        settings = self.settings
        try:
            port = serial.Serial(
                settings.port,
                settings.baud_rate,
                parity=settings.parity,
                stopbits=settings.stop_bits,
                timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as error:  # the last: a setting that the adapter refuses
            raise self._refused(error) from error
        # An FTDI adapter then hands over what came every millisecond; others cannot, and need not.
        with contextlib.suppress(OSError, ValueError, NotImplementedError):
            port.set_low_latency_mode(True)
        try:
            os.set_blocking(port.fileno(), False)
            asyncio.get_running_loop().add_reader(port.fileno(), self._read)
        except OSError as error:
            port.close()
            raise self._refused(error) from error
        self._port = port

    def write(self, data: bytes) -> None:
        """Send bytes; what has come in until now is heard first, so that it cannot be taken for the answer.

        Raises:
            OSError: if the adapter is gone, or takes no bytes.
        """
        self._read()
        if self._port is None:
            raise ConnectionResetError("the adapter is gone")
        written = os.write(self._port.fileno(), data)
        if written != len(data):
            raise BlockingIOError(f"the port took {written} of {len(data)} bytes; is the adapter stuck?")

    def close(self) -> None:
        """Let go of the port; may be called twice."""
        port, self._port = self._port, None
        if port is not None:
            asyncio.get_running_loop().remove_reader(port.fileno())
            with contextlib.suppress(OSError):
                port.close()

    def _read(self) -> None:
        if self._port is None:
            return
        try:
            data = os.read(self._port.fileno(), _READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._lose()
            return
        if data:
            self.on_bytes(data)
        elif self._is_gone():
            self._lose()

    def _is_gone(self) -> bool:
        """Nothing to read means unplugged if the path has gone too; some drivers only say "nothing" on a spurious wake."""
        return not Path(self.settings.port).exists()

    def _lose(self) -> None:
        self.close()
        self.on_lost()

    def _refused(self, error: Exception) -> DriverError:
        if not Path(self.settings.port).exists():
            advice = "there is no such port; is the adapter plugged in? List them with `ls /dev/serial/by-id`"
        elif isinstance(error, PermissionError) or "ermission" in str(error):
            advice = "this user may not open it; add it to the group `dialout`"
        else:
            advice = "another program may hold it, or it cannot be set like this"
        return DriverError(
            f"serial port {self.settings.port} ({self.settings.text}): {advice} ({error})", retry=True, kind="refused"
        )
