"""Modbus endpoints: TCP, a serial line, a serial line behind a TCP gateway."""

from collections.abc import Callable
from typing import Literal

from edge_agent.drivers.line import TcpLine
from edge_agent.drivers.modbus_bus import DEFAULT_TIMEOUT_S, LineBus
from edge_agent.drivers.modbus_errors import DamagedAnswerError, RefusedAddressError, RegisterBus
from edge_agent.drivers.modbus_mbap import MbapStream
from edge_agent.drivers.modbus_rtu import RtuStream
from edge_agent.drivers.serial_line import SerialLine, SerialSettings

__all__ = [
    "DEFAULT_PORT",
    "DEFAULT_TIMEOUT_S",
    "DamagedAnswerError",
    "LineBus",
    "ModbusBus",
    "RefusedAddressError",
    "RegisterBus",
    "SerialBus",
    "SerialSettings",
]

DEFAULT_PORT = 502


class ModbusBus(LineBus):
    """A TCP endpoint.

    Args:
        host: name or address.
        port: usually 502.
        timeout_s: for connecting, and for each answer of a unit whose latency is not known yet.
        request_gap_s: silence after an answer before the next request.
        unit_gap_s: the same if the next request is another unit's.
        framer: `rtu` for a gateway that passes serial frames on as they are.
        clock: seconds in which silent units are left alone; None for real ones.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        request_gap_s: float = 0.0,
        unit_gap_s: float = 0.0,
        framer: Literal["tcp", "rtu"] = "tcp",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        super().__init__(
            TcpLine(host, port),
            RtuStream() if framer == "rtu" else MbapStream(),
            timeout_s=timeout_s,
            request_gap_s=request_gap_s,
            unit_gap_s=unit_gap_s,
            clock=clock,
        )


class SerialBus(LineBus):
    """A serial line of this machine (Modbus RTU).

    Args:
        settings: the port's.
        timeout_s: for each answer of a unit whose latency is not known yet, without the time on the wire.
        request_gap_s: silence after an answer before the next request; at least 3.5 characters are kept.
        unit_gap_s: the same if the next request is another unit's.
        clock: seconds in which silent units are left alone; None for real ones.
    """

    def __init__(
        self,
        settings: SerialSettings,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        request_gap_s: float = 0.0,
        unit_gap_s: float = 0.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(
            SerialLine(settings),
            RtuStream(),
            timeout_s=timeout_s,
            request_gap_s=request_gap_s,
            unit_gap_s=unit_gap_s,
            clock=clock,
        )
