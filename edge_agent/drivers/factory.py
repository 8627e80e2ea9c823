"""From a device of the plan to its driver; endpoints are shared."""

from collections.abc import Callable
from uuid import UUID

from edge_agent.clock import Clock
from edge_agent.drivers.base import Driver, DriverError
from edge_agent.drivers.connection import (
    MQTT_PORT,
    MQTT_TLS_PORT,
    ModbusTcpConnection,
    MqttConnection,
    parse_connection,
)
from edge_agent.drivers.modbus import DEFAULT_TIMEOUT_S, ModbusBus, RegisterBus
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.drivers.modbus_refusals import NoNotes, Notes
from edge_agent.drivers.mqtt import BrokerAddress, MqttDriver
from edge_agent.drivers.mqtt_codec import TemplateError, bind
from edge_agent.drivers.sunspec import BASES, DEVICE_TYPES, SunSpecDriver
from edge_agent.errors import ConfigError
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import Profile
from edge_agent.profiles.topics import TopicMap
from shared.enums import DeviceType, ProtocolType
from shared.wire import PlanDevice

SUNSPEC = "sunspec"
"""Profile name that stands for discovery instead of a file."""

BusTap = Callable[[RegisterBus], RegisterBus]
"""Wraps a bus, so that its reads pass through the wrapper."""


class DriverFactory:
    """Builds drivers and owns what they share.

    Args:
        clock: of the agent.
        profiles: the files to use; None for those that come with the agent.
        tap: stands between every register bus and the drivers that use it: how an installer's tools see what was asked and answered.
        notes: by device id, keep over a restart which registers a device has refused; None keeps them in memory only.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        profiles: ProfileLibrary | None = None,
        tap: BusTap | None = None,
        notes: Callable[[UUID], Notes] | None = None,
    ) -> None:
        self._clock = clock
        self._tap = tap
        self._notes = notes or (lambda _: NoNotes())
        self._profiles = profiles or ProfileLibrary()
        self._buses: dict[tuple[str, int], ModbusBus] = {}

    def build(self, device: PlanDevice) -> Driver:
        """A driver for one device; opens nothing yet.

        Raises:
            DriverError: `config`, never to be retried, naming the device, the field, the value and what is known.
        """
        match device.protocol:
            case ProtocolType.MODBUS_TCP:
                return self._modbus_driver(device)
            case ProtocolType.MQTT:
                return self._mqtt_driver(device)
            case _:
                raise _config_error(
                    device,
                    f"protocol = {device.protocol.value!r} is not read by this version of the agent; known are "
                    f"{ProtocolType.MODBUS_TCP.value}, {ProtocolType.MQTT.value}",
                )

    async def close(self) -> None:
        """Close the shared connections; drivers are closed by their owner. May be called twice."""
        buses, self._buses = self._buses, {}
        for bus in buses.values():
            await bus.close()

    def _modbus_driver(self, device: PlanDevice) -> Driver:
        connection = parse_connection(ModbusTcpConnection, device.connection, device=device.name)
        if device.profile == SUNSPEC:
            _check_type(device, DEVICE_TYPES)
            return SunSpecDriver(
                self._bus(connection, timeout_s=DEFAULT_TIMEOUT_S, request_gap_s=0.0),
                connection.slave_id,
                device_type=device.device_type,
                invert_grid_sign=connection.has_inverted_grid_sign,
                bases=BASES if connection.base_address is None else (connection.base_address,),
            )
        profile = self._modbus_profile(device)
        _check_type(device, profile.device_types)
        return ProfileDriver(
            self._bus(connection, timeout_s=profile.bus.timeout_s, request_gap_s=profile.bus.request_gap_s),
            connection.slave_id,
            profile=profile,
            device_type=device.device_type,
            clock=self._clock,
            rated_power_kw=device.rated_power_kw,
            notes=self._notes(device.id),
        )

    def _mqtt_driver(self, device: PlanDevice) -> Driver:
        connection = parse_connection(MqttConnection, device.connection, device=device.name)
        topic_map = self._topic_map(device)
        _check_type(device, topic_map.read_for)
        try:
            topics = bind(topic_map, connection.names)
        except TemplateError as error:
            raise _config_error(device, f"connection: {error}") from error
        client_id = connection.client_id or f"solarhub-{device.id.hex[-12:]}"
        address = BrokerAddress(
            broker=connection.broker,
            port=connection.port or (MQTT_TLS_PORT if connection.use_tls else MQTT_PORT),
            client_id=client_id,
            username=connection.username,
            password=connection.password.get_secret_value() if connection.password else None,
            use_tls=connection.use_tls,
            ca_file=connection.ca_file,
        )
        return MqttDriver(
            address,
            topics,
            poll_interval_s=device.poll_interval_s,
            clock=self._clock,
            status_topic=f"solarhub/{client_id}/status",
        )

    def _bus(self, connection: ModbusTcpConnection, *, timeout_s: float, request_gap_s: float) -> RegisterBus:
        if connection.timeout_seconds is not None:
            timeout_s = connection.timeout_seconds
        if connection.request_gap_seconds is not None:
            request_gap_s = connection.request_gap_seconds
        key = (connection.host.lower(), connection.port)
        if key in self._buses:
            self._buses[key].widen(timeout_s=timeout_s, request_gap_s=request_gap_s)
        else:
            self._buses[key] = ModbusBus(
                connection.host, connection.port, timeout_s=timeout_s, request_gap_s=request_gap_s
            )
        bus = self._buses[key]
        return self._tap(bus) if self._tap else bus

    def _modbus_profile(self, device: PlanDevice) -> Profile:
        try:
            return self._profiles.modbus(device.profile)
        except ConfigError as error:
            raise _config_error(device, f"profile = {device.profile!r}: {error}; or {SUNSPEC!r}") from error

    def _topic_map(self, device: PlanDevice) -> TopicMap:
        try:
            return self._profiles.mqtt(device.profile)
        except ConfigError as error:
            raise _config_error(device, f"profile = {device.profile!r}: {error}") from error


def _check_type(device: PlanDevice, known: tuple[DeviceType, ...]) -> None:
    if device.device_type not in known:
        raise _config_error(
            device,
            f"device_type = {device.device_type.value!r} has no values in profile {device.profile!r}; it has them for "
            f"{', '.join(known)}",
        )


def _config_error(device: PlanDevice, message: str) -> DriverError:
    return DriverError(f"{device.name}: {message}", retry=False, kind="config")
