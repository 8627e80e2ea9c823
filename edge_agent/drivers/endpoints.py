"""The Modbus endpoints of a box: one bus for each, shared by the devices behind it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

from edge_agent.drivers.connection import ModbusConnection, ModbusRtuConnection, ModbusTcpConnection
from edge_agent.drivers.modbus import DEFAULT_TIMEOUT_S, LineBus, ModbusBus, SerialBus, SerialSettings
from edge_agent.drivers.modbus_plan import NETWORK, Link, serial_link
from edge_agent.profiles.model import Profile

_Key = tuple[str, int, str] | SerialSettings


class Endpoints:
    """Buses by endpoint.

    Args:
        now: seconds in which silent units are left alone.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buses: dict[_Key, LineBus] = {}

    def bus(self, connection: ModbusConnection, *, profile: Profile | None) -> LineBus:
        """The bus of a device; opens nothing yet. What the devices of one endpoint want differently, the most careful wish decides.

        Args:
            connection: of the device.
            profile: of the device; None for one that is discovered.
        """
        timeout_s, gap_s = DEFAULT_TIMEOUT_S, 0.0
        if profile is not None:
            timeout_s, gap_s = profile.bus.timeout_s, profile.bus.request_gap_s
        if connection.timeout_seconds is not None:
            timeout_s = connection.timeout_seconds
        if connection.request_gap_seconds is not None:
            gap_s = connection.request_gap_seconds
        bus = self._open_or_shared(connection, profile, timeout_s=timeout_s, request_gap_s=gap_s)
        bus.widen(
            timeout_s=timeout_s,
            request_gap_s=gap_s,
            unit_gap_s=connection.unit_gap_seconds or 0.0,
            has_transactions=profile is None or not profile.connection.no_transaction_id,
            is_single_client=profile is not None and profile.connection.single_client,
        )
        return bus

    def link(self, connection: ModbusConnection, *, profile: Profile) -> Link:
        """What a request costs there."""
        if not isinstance(connection, ModbusRtuConnection):
            return NETWORK
        settings = serial_settings(connection, profile)
        gap_s = connection.request_gap_seconds or profile.bus.request_gap_s
        return serial_link(
            settings.baud_rate, character_bits=round(settings.byte_time_s * settings.baud_rate), request_gap_s=gap_s
        )

    def statistics(self) -> Mapping[str, Mapping[str, float]]:
        """By endpoint: what was counted since the start, requests that wait now, units that are silent now, the slowest unit's latency."""
        return {bus.name: _figures(bus) for bus in self._buses.values()}

    async def close(self) -> None:
        """Close every bus; may be called twice."""
        buses, self._buses = self._buses, {}
        for bus in buses.values():
            await bus.close()

    def _open_or_shared(
        self, connection: ModbusConnection, profile: Profile | None, *, timeout_s: float, request_gap_s: float
    ) -> LineBus:
        key, make = self._plan(connection, profile, timeout_s=timeout_s, request_gap_s=request_gap_s)
        if key not in self._buses:
            self._buses[key] = make()
        return self._buses[key]

    def _plan(
        self, connection: ModbusConnection, profile: Profile | None, *, timeout_s: float, request_gap_s: float
    ) -> tuple[_Key, Callable[[], LineBus]]:
        if isinstance(connection, ModbusTcpConnection):
            host, port, framer = connection.host, connection.port, connection.framer
            return (host.lower(), port, framer), lambda: ModbusBus(
                host, port, timeout_s=timeout_s, request_gap_s=request_gap_s, framer=framer, clock=self._now
            )
        if isinstance(connection, ModbusRtuConnection):
            settings = serial_settings(connection, profile)
            return settings, lambda: SerialBus(
                settings, timeout_s=timeout_s, request_gap_s=request_gap_s, clock=self._now
            )
        raise TypeError(f"{type(connection).__name__} is no connection of a Modbus endpoint")


def serial_settings(connection: ModbusRtuConnection, profile: Profile | None) -> SerialSettings:
    """What the connection says, else what the profile's maker ships, else 9600 8N1."""
    hints = profile.connection if profile is not None else None
    usual = SerialSettings(connection.serial_port)
    return SerialSettings(
        connection.serial_port,
        connection.baud_rate or (hints and hints.default_baud) or usual.baud_rate,
        connection.parity or (hints and hints.parity) or usual.parity,
        connection.stop_bits or (hints and hints.stop_bits) or usual.stop_bits,
    )


def _figures(bus: LineBus) -> dict[str, float]:
    units: Iterable[float] = [unit.latency_s for unit in bus.units.values() if unit.latency_s is not None]
    return asdict(bus.counts) | {
        "waiting": bus.waiting,
        "silent_units": sum(unit.failures > 0 for unit in bus.units.values()),
        "slowest_latency_s": max(units, default=0.0),
    }
