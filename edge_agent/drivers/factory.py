"""From a device of the plan to its driver; endpoints are shared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from edge_agent.clock import Clock
from edge_agent.drivers.base import Driver, DriverError
from edge_agent.drivers.connection import (
    MQTT_PORT,
    MQTT_TLS_PORT,
    ModbusConnection,
    ModbusRtuConnection,
    ModbusTcpConnection,
    MqttConnection,
    parse_connection,
)
from edge_agent.drivers.custom import CustomDrivers
from edge_agent.drivers.endpoints import Endpoints
from edge_agent.drivers.http_connection import HttpEndpoints
from edge_agent.drivers.modbus import LineBus, RegisterBus
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.drivers.modbus_refusals import NoNotes, Notes
from edge_agent.drivers.mqtt import BrokerAddress, MqttDriver
from edge_agent.drivers.mqtt_codec import TemplateError, bind
from edge_agent.drivers.sunspec import DEVICE_TYPES, SunSpecDriver, bases_with
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


_MODBUS = (ProtocolType.MODBUS_TCP, ProtocolType.MODBUS_RTU)


@dataclass(frozen=True, slots=True)
class ModbusEndpoint:
    """Where the registers of a device are; `profile` is None for a SunSpec device."""

    bus: LineBus
    connection: ModbusConnection
    profile: Profile | None


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
        self._endpoints = Endpoints(clock.monotonic)
        self._http = HttpEndpoints()
        self._custom = CustomDrivers(clock=clock, over_registers=self._over_registers)

    def build(self, device: PlanDevice) -> Driver:
        """A driver for one device; opens nothing yet.

        Raises:
            DriverError: `config`, never to be retried, naming the device, the field, the value and what is known.
        """
        match device.protocol:
            case ProtocolType.MODBUS_TCP | ProtocolType.MODBUS_RTU:
                return self._modbus_driver(device)
            case ProtocolType.MQTT:
                return self._mqtt_driver(device)
            case ProtocolType.HTTP:
                return self._http_driver(device)
            case ProtocolType.CUSTOM:
                return self._custom.build(device)
            case _:
                raise _config_error(
                    device,
                    f"protocol = {device.protocol.value!r} is not read by this version of the agent; known are "
                    f"{ProtocolType.MODBUS_TCP.value}, {ProtocolType.MQTT.value}, {ProtocolType.HTTP.value}, "
                    f"{ProtocolType.CUSTOM.value}",
                )

    async def close(self) -> None:
        """Close the shared connections; drivers are closed by their owner. May be called twice."""
        await self._http.close()
        await self._custom.close()
        await self._endpoints.close()

    def statistics(self) -> Mapping[str, Mapping[str, float]]:
        """What was counted on each Modbus endpoint; see `edge_agent.drivers.endpoints`."""
        return self._endpoints.statistics()

    def modbus(self, device: PlanDevice) -> ModbusEndpoint:
        """Where the registers of a Modbus device are; the endpoint is shared with its driver.

        Raises:
            DriverError: `config`, if it is no Modbus device, or is described wrongly.
        """
        if device.protocol not in _MODBUS:
            raise _config_error(
                device, f"protocol = {device.protocol.value!r} has no Modbus registers that could be written"
            )
        is_serial = device.protocol is ProtocolType.MODBUS_RTU
        connection = parse_connection(
            ModbusRtuConnection if is_serial else ModbusTcpConnection, device.connection, device=device.name
        )
        profile = None if device.profile == SUNSPEC else self._modbus_profile(device)
        _check_type(device, DEVICE_TYPES if profile is None else profile.device_types)
        return ModbusEndpoint(self._endpoints.bus(connection, profile=profile), connection, profile)

    def _modbus_driver(self, device: PlanDevice) -> Driver:
        endpoint = self.modbus(device)
        connection, profile = endpoint.connection, endpoint.profile
        bus = self._tap(endpoint.bus) if self._tap else endpoint.bus
        if profile is None:
            return SunSpecDriver(
                bus,
                connection.slave_id,
                device_type=device.device_type,
                invert_grid_sign=connection.has_inverted_grid_sign,
                bases=bases_with(connection.base_address),
            )
        return ProfileDriver(
            bus,
            connection.slave_id,
            profile=profile,
            device_type=device.device_type,
            clock=self._clock,
            rated_power_kw=device.rated_power_kw,
            link=self._endpoints.link(connection, profile=profile),
            notes=self._notes(device.id),
        )

    def _over_registers(self, device: PlanDevice, bus: RegisterBus, unit: int) -> Driver:
        """A driver over a bus that another protocol carries, such as a data logger's."""
        tapped = self._tap(bus) if self._tap else bus
        if device.profile == SUNSPEC:
            _check_type(device, DEVICE_TYPES)
            return SunSpecDriver(tapped, unit, device_type=device.device_type)
        profile = self._modbus_profile(device)
        _check_type(device, profile.device_types)
        return ProfileDriver(
            tapped,
            unit,
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
            topics = bind(topic_map, connection.names, device_type=device.device_type)
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

    def _http_driver(self, device: PlanDevice) -> Driver:
        try:
            http_map = self._profiles.http(device.profile)
        except ConfigError as error:
            raise _config_error(device, f"profile = {device.profile!r}: {error}") from error
        _check_type(device, http_map.read_for)
        return self._http.driver(device, http_map, clock=self._clock)

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
