"""Protocol `custom`: drivers chosen by name, `connection.driver`.

`solarman_v5` and `voltronic_pi30` come with the agent; any other name is looked for among the installed plug-ins.
"""

from typing import Any, Protocol

from pydantic import AliasChoices, Field

from edge_agent.clock import Clock
from edge_agent.drivers.base import Driver, DriverError
from edge_agent.drivers.connection import Connection, parse_connection
from edge_agent.drivers.custom_plugin import Plugins
from edge_agent.drivers.line import Line, TcpLine
from edge_agent.drivers.modbus import RegisterBus
from edge_agent.drivers.serial_line import SerialLine, SerialSettings
from edge_agent.drivers.solarman import DEFAULT_PORT, DEFAULT_TIMEOUT_S, SolarmanBus
from edge_agent.drivers.voltronic import DEVICE_TYPES, VoltronicDriver
from edge_agent.drivers.voltronic_line import DEFAULT_TIMEOUT_S as VOLTRONIC_TIMEOUT_S
from edge_agent.drivers.voltronic_line import VoltronicLine
from shared.wire import PlanDevice

SOLARMAN_V5 = "solarman_v5"
VOLTRONIC_PI30 = "voltronic_pi30"
BUILT_IN = (SOLARMAN_V5, VOLTRONIC_PI30)

VOLTRONIC_BAUD = 2400


class SolarmanConnection(Connection):
    """`custom` with `driver = "solarman_v5"`.

    Attributes:
        logger_serial: printed on the stick; not the inverter's serial number.
        slave_id: Modbus unit id of the inverter behind the stick.
        timeout_seconds: for connecting and for each answer.
        request_gap_seconds: silence between two requests.
    """

    host: str = Field(min_length=1)
    port: int = Field(default=DEFAULT_PORT, ge=1, le=65535)
    logger_serial: int = Field(ge=1, le=0xFFFF_FFFF)
    slave_id: int = Field(default=1, ge=0, le=255, validation_alias=AliasChoices("slave_id", "unit_id"))
    timeout_seconds: float = Field(default=DEFAULT_TIMEOUT_S, gt=0, le=60)
    request_gap_seconds: float = Field(default=0.0, ge=0, le=5)


class _VoltronicConnection(Connection):
    timeout_seconds: float = Field(default=VOLTRONIC_TIMEOUT_S, gt=0, le=60)
    serial_number: str | None = Field(default=None, pattern=r"^[0-9A-Z]{9,30}$")


class VoltronicSerialConnection(_VoltronicConnection):
    """`custom` with `driver = "voltronic_pi30"` and `serial_port`.

    Attributes:
        serial_port: path, best one of `/dev/serial/by-id`.
        serial_number: if given, an inverter with another one (QID) is refused.
    """

    serial_port: str = Field(min_length=1)
    baud_rate: int = Field(default=VOLTRONIC_BAUD, ge=300, le=921_600)


class VoltronicTcpConnection(_VoltronicConnection):
    """`custom` with `driver = "voltronic_pi30"` behind a serial bridge, which is set to 2400 8N1 itself."""

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)


class OverRegisters(Protocol):
    """Builds a driver that reads a device over a register bus, by the device's profile."""

    def __call__(self, device: PlanDevice, bus: RegisterBus, unit: int) -> Driver:
        """The driver of one device.

        Raises:
            DriverError: `config` if there is no such profile, or it has nothing for this device type.
        """
        ...


class CustomDrivers:
    """Builds the drivers of protocol `custom`, and owns what they share: a stick or a port that is several devices of the plan.

    Args:
        clock: of the agent.
        over_registers: for those that carry Modbus registers.
        plugins: of other packages; None for the installed ones.
    """

    def __init__(self, *, clock: Clock, over_registers: OverRegisters, plugins: Plugins | None = None) -> None:
        self._clock = clock
        self._over_registers = over_registers
        self._plugins = plugins
        self._sticks: dict[tuple[str, int, int], SolarmanBus] = {}
        self._ports: dict[str, VoltronicLine] = {}

    def build(self, device: PlanDevice) -> Driver:
        """A driver for one device; opens nothing yet.

        Raises:
            DriverError: `config`, naming the device, the field, the value and what is known; or a plug-in's own.
        """
        name = device.connection.get("driver")
        if name == SOLARMAN_V5:
            return self._solarman(device)
        if name == VOLTRONIC_PI30:
            return self._voltronic(device)
        plugins = self._plugins = self._plugins or Plugins()
        if not isinstance(name, str) or name not in plugins.names():
            known = ", ".join((*BUILT_IN, *plugins.names()))
            given = "(missing)" if name is None else repr(name)
            raise _config_error(
                device, f"connection.driver = {given}; known are {known}; install the package that brings another one"
            )
        return plugins.build(name, device, clock=self._clock)

    async def close(self) -> None:
        """Close the shared connections; drivers are closed by their owner. May be called twice."""
        sticks, self._sticks = self._sticks, {}
        ports, self._ports = self._ports, {}
        for stick in sticks.values():
            await stick.close()
        for port in ports.values():
            await port.close()

    def _solarman(self, device: PlanDevice) -> Driver:
        connection = parse_connection(SolarmanConnection, device.connection, device=device.name)
        key = (connection.host.lower(), connection.port, connection.logger_serial)
        stick = self._sticks.get(key)
        if stick is None:
            stick = self._sticks[key] = SolarmanBus(
                connection.host,
                connection.port,
                logger_serial=connection.logger_serial,
                timeout_s=connection.timeout_seconds,
                request_gap_s=connection.request_gap_seconds,
            )
        stick.widen(timeout_s=connection.timeout_seconds, request_gap_s=connection.request_gap_seconds)
        return self._over_registers(device, stick, connection.slave_id)

    def _voltronic(self, device: PlanDevice) -> Driver:
        if device.device_type not in DEVICE_TYPES:
            raise _config_error(
                device,
                f"device_type = {device.device_type.value!r} has no values in {VOLTRONIC_PI30}; it has them for "
                f"{', '.join(DEVICE_TYPES)}",
            )
        connection, line = _voltronic_line(device)
        port = self._ports.setdefault(line.name, VoltronicLine(line, timeout_s=connection.timeout_seconds))
        port.widen(timeout_s=connection.timeout_seconds)
        return VoltronicDriver(
            port,
            device_type=device.device_type,
            clock=self._clock,
            serial_number=connection.serial_number,
            rated_power_kw=device.rated_power_kw,
        )


def _voltronic_line(device: PlanDevice) -> tuple[_VoltronicConnection, Line]:
    """What carries the bytes; opens nothing yet."""
    source: dict[str, Any] = device.connection
    if "serial_port" in source:
        wired = parse_connection(VoltronicSerialConnection, source, device=device.name)
        return wired, SerialLine(SerialSettings(wired.serial_port, wired.baud_rate))
    if "host" not in source:
        raise _config_error(
            device,
            "connection has neither serial_port (such as /dev/serial/by-id/...) nor host and port of a serial bridge",
        )
    bridged = parse_connection(VoltronicTcpConnection, source, device=device.name)
    return bridged, TcpLine(bridged.host, bridged.port)


def _config_error(device: PlanDevice, message: str) -> DriverError:
    return DriverError(f"{device.name}: {message}", retry=False, kind="config")
