"""Shapes of devices and of the ways to reach them."""

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from cloud.core.crypto import mask_fields
from cloud.core.fields import Line, Name, Prose, Word, refuse_nulls
from cloud.core.shapes import OpenShape, Shape
from shared.enums import DeviceStatus, DeviceType, ProtocolType

Host = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9._:\[\]%-]+$")]
"""Name or address of a machine, without a scheme or a path."""

Port = Annotated[int, Field(ge=1, le=65_535)]
SlaveId = Annotated[int, Field(ge=0, le=255)]
Timeout = Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)]
RequestGap = Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)]
StoredSecret = Annotated[str, StringConstraints(max_length=4_000, pattern=r"^[^\x00-\x1f]*$")]
"""A password: in clear as it is sent, as ciphertext in the column, as `***` in answers."""

SECRET_FIELDS = frozenset({"password", "token"})
"""Keys of a connection that are never stored or returned in clear."""


class ModbusConnection(Shape):
    """What all ways to a Modbus device have in common.

    Attributes:
        slave_id: Modbus unit id.
        timeout_seconds: for connecting and for each answer; the profile's without it.
        request_gap_seconds: silence between two requests; the profile's without it.
        unit_gap_seconds: more silence if the next request is another unit's.
        grid_sign: what a positive power means at a SunSpec meter; makers differ.
        base_address: where a SunSpec device's chain starts, if at none of the usual places.
    """

    slave_id: SlaveId = 1
    timeout_seconds: Timeout | None = None
    request_gap_seconds: RequestGap | None = None
    unit_gap_seconds: RequestGap | None = None
    grid_sign: Literal["+import", "+export"] | None = None
    base_address: Annotated[int, Field(ge=0, le=65_535)] | None = None


class ModbusTcpConnection(ModbusConnection):
    """Modbus over TCP/IP.

    Attributes:
        framer: `rtu` for a gateway that passes serial frames on as they are (RTU over TCP).
    """

    host: Host
    port: Port = 502
    framer: Literal["tcp", "rtu"] = "tcp"


class ModbusRtuConnection(ModbusConnection):
    """Modbus over a serial line; what is not given is the profile's, else 9600 8N1."""

    serial_port: Annotated[Line, Field(min_length=1)]
    baud_rate: Annotated[int, Field(ge=300, le=921_600)] | None = None
    parity: Literal["N", "E", "O"] | None = None
    stop_bits: Literal[1, 2] | None = None


class MqttConnection(OpenShape):
    """MQTT: what is published below `topic_prefix`. Further texts and numbers fill the braces of the topic map's templates.

    Attributes:
        port: 1883, or 8883 with TLS, when it is not given.
        client_id: one made of the device's id when it is not given.
        ca_file: certificates to trust, on the box; the system's when it is not given.
    """

    __pydantic_extra__: dict[str, Line | int] = Field(init=False)

    broker: Host
    port: Port | None = None
    topic_prefix: Annotated[Line, Field(min_length=1, max_length=500)]
    client_id: Annotated[Line, Field(min_length=1, max_length=100)] | None = None
    username: Line | None = None
    password: StoredSecret | None = None
    use_tls: bool = False
    ca_file: Line | None = None

    @field_validator("topic_prefix")
    @classmethod
    def _no_wildcards(cls, value: str, info: ValidationInfo) -> str:
        if "#" in value or "+" in value or "\0" in value:
            raise ValueError(f"{info.field_name} is {value!r}; name one device's topics, without + and #")
        return value


class HttpConnection(OpenShape):
    """A device that answers HTTP on the site's network. Further texts and numbers fill the braces of the map's templates.

    Attributes:
        verify_tls: false takes any certificate; better is one of the next two.
        ca_file: certificates to trust, on the box; the system's when it is not given.
        tls_fingerprint: SHA-256 of the device's own certificate, in hexadecimal digits.
    """

    __pydantic_extra__: dict[str, Line | int] = Field(init=False)

    base_url: Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[^\s/]+(/\S*)?$")]
    timeout_seconds: Timeout | None = None
    username: Line | None = None
    password: StoredSecret | None = None
    token: StoredSecret | None = None
    verify_tls: bool = True
    ca_file: Line | None = None
    tls_fingerprint: Annotated[str, StringConstraints(pattern=r"^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$")] | None = None

    @field_validator("base_url")
    @classmethod
    def _no_credential(cls, value: str) -> str:
        if "@" in urlsplit(value).netloc:
            raise ValueError("base_url names a user; put it into username and password, which are stored encrypted")
        return value


class CustomConnection(OpenShape):
    """Anything else: the keys are the driver's own."""


Connection = ModbusTcpConnection | ModbusRtuConnection | MqttConnection | HttpConnection | CustomConnection

CONNECTIONS: dict[ProtocolType, type[Connection]] = {
    ProtocolType.MODBUS_TCP: ModbusTcpConnection,
    ProtocolType.MODBUS_RTU: ModbusRtuConnection,
    ProtocolType.MQTT: MqttConnection,
    ProtocolType.HTTP: HttpConnection,
    ProtocolType.CUSTOM: CustomConnection,
}
"""Shape of `devices.connection_config` for each protocol."""


def connection_of(protocol: ProtocolType, config: dict[str, Any]) -> Connection:
    """Check a `connection_config` against its protocol.

    Raises:
        pydantic.ValidationError: names each wrong key.
    """
    return CONNECTIONS[protocol].model_validate(config)


def checked_connection(protocol: ProtocolType, config: dict[str, JsonValue]) -> dict[str, Any]:
    """A connection as it is stored (secrets still in clear).

    Raises:
        ValueError: naming every wrong key, for a model validator to report.
    """
    try:
        return connection_of(protocol, config).to_json()
    except ValidationError as error:
        wrong = "; ".join(
            f"connection_config.{'.'.join(map(str, problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise ValueError(f"{wrong} (protocol {protocol.value})") from None


Profile = Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9_.\-]*$")]
PollInterval = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]
RatedPowerKw = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
Config = Annotated[dict[str, JsonValue], Field(description="As the protocol needs it; secrets are answered as `***`.")]
Metadata = Annotated[dict[Word, Line | int | float | bool | None], Field(max_length=50)]

_EXAMPLE: JsonDict = {
    "site_id": "01980a5c-6f0b-7c3e-9f5e-0d7a4b2f8c12",
    "name": "Inverter on the roof",
    "device_type": "inverter",
    "protocol": "modbus_tcp",
    "connection_config": {"host": "192.168.1.100", "port": 502, "slave_id": 1, "timeout_seconds": 5},
    "profile": "sunspec",
    "poll_interval_s": 10,
    "rated_power_kw": 5.0,
    "serial_number": "SN-0001",
}


class DeviceIn(BaseModel):
    """A new device.

    Attributes:
        profile: name of the agent's register profile or topic map, or `sunspec`; empty for a device that is not read.
        commissioned_at: readings before it are flagged and count for nothing.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    site_id: UUID
    name: Name
    description: Prose | None = None
    device_type: DeviceType
    manufacturer: Word | None = None
    model: Word | None = None
    serial_number: Word | None = None
    firmware_version: Annotated[Word, Field(max_length=50)] | None = None
    protocol: ProtocolType
    connection_config: Config
    profile: Profile = ""
    poll_interval_s: PollInterval = 10.0
    rated_power_kw: RatedPowerKw | None = None
    commissioned_at: AwareDatetime | None = None
    metadata: Metadata = Field(default_factory=dict)

    @model_validator(mode="after")
    def _connection_fits_protocol(self) -> Self:
        self.connection_config = checked_connection(self.protocol, self.connection_config)
        return self


class DevicePatch(BaseModel):
    """What is to change. Fields that are left out stay; `connection_config` and `metadata` are replaced as a whole.

    A secret that is sent back as `***` stays what it is. The site stays: a device that moves is a new device there.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Inverter 1", "poll_interval_s": 30}}
    )

    name: Name | None = None
    description: Prose | None = None
    device_type: DeviceType | None = None
    manufacturer: Word | None = None
    model: Word | None = None
    serial_number: Word | None = None
    firmware_version: Annotated[Word, Field(max_length=50)] | None = None
    protocol: ProtocolType | None = None
    connection_config: Config | None = None
    profile: Profile | None = None
    poll_interval_s: PollInterval | None = None
    rated_power_kw: RatedPowerKw | None = None
    commissioned_at: AwareDatetime | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _required_fields_stay(self) -> Self:
        return refuse_nulls(
            self, "name", "device_type", "protocol", "connection_config", "profile", "poll_interval_s", "metadata"
        )


class DeviceOut(BaseModel):
    """A device; secrets of its connection read `***`."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: UUID
    organization_id: UUID
    site_id: UUID
    name: str
    description: str | None
    device_type: DeviceType
    manufacturer: str | None
    model: str | None
    serial_number: str | None
    firmware_version: str | None
    protocol: ProtocolType
    connection_config: dict[str, JsonValue]
    profile: str
    poll_interval_s: float
    rated_power_kw: float | None
    commissioned_at: AwareDatetime | None
    status: DeviceStatus
    last_seen_at: AwareDatetime | None
    last_error: str | None
    metadata: dict[str, JsonValue]
    version: int
    created_at: AwareDatetime
    updated_at: AwareDatetime

    def masked(self) -> "DeviceOut":
        """For an answer: without ciphertext."""
        return self.model_copy(update={"connection_config": mask_fields(self.connection_config, SECRET_FIELDS)})


class DeviceFilter(BaseModel):
    """Which devices are asked for."""

    model_config = ConfigDict(frozen=True)

    site_id: UUID | None = None
    device_type: DeviceType | None = None
    status: DeviceStatus | None = None
