"""A device's connection, checked: what the plan says under `connection`, by protocol."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import DEFAULT_PORT

MQTT_PORT = 1883
MQTT_TLS_PORT = 8883

_Port = Annotated[int, Field(ge=1, le=65535)]
_Model = TypeVar("_Model", bound="Connection")


class Connection(BaseModel):
    """Frozen; names that this agent does not know are left alone, because a newer cloud may send more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ModbusConnection(Connection):
    """What all ways to a Modbus device have in common.

    Attributes:
        slave_id: Modbus unit id.
        timeout_seconds: for connecting, and for each answer until the device's own latency is known; None for the profile's.
        request_gap_seconds: silence between two requests; None for the profile's.
        unit_gap_seconds: more silence if the next request is another unit's.
        grid_sign: what a positive power means at a SunSpec meter; makers differ.
        invert_grid_sign: the same said as a correction: True turns the sign round.
        base_address: where a SunSpec device's chain starts, if at none of the usual places.
    """

    slave_id: int = Field(default=1, ge=0, le=255, validation_alias=AliasChoices("slave_id", "unit_id"))
    timeout_seconds: float | None = Field(default=None, gt=0, le=60)
    request_gap_seconds: float | None = Field(default=None, ge=0, le=5)
    unit_gap_seconds: float | None = Field(default=None, ge=0, le=5)
    grid_sign: Literal["+import", "+export"] = "+import"
    invert_grid_sign: bool = False
    base_address: int | None = Field(default=None, ge=0, le=65535)

    @property
    def has_inverted_grid_sign(self) -> bool:
        """Whether the device counts export as positive."""
        return self.invert_grid_sign != (self.grid_sign == "+export")


class ModbusTcpConnection(ModbusConnection):
    """`modbus_tcp`.

    Attributes:
        framer: `rtu` for a gateway that passes serial frames on as they are (RTU over TCP).
    """

    host: str = Field(min_length=1)
    port: _Port = DEFAULT_PORT
    framer: Literal["tcp", "rtu"] = "tcp"


class ModbusRtuConnection(ModbusConnection):
    """`modbus_rtu`: a serial line of this box. What is not given is the profile's, else 9600 8N1.

    Attributes:
        serial_port: path of the device file; one below `/dev/serial/by-id` stays when the adapter is plugged in again.
        baud_rate: bit/s.
    """

    serial_port: str = Field(min_length=1, validation_alias=AliasChoices("serial_port", "port"))
    baud_rate: int | None = Field(
        default=None, ge=300, le=1_000_000, validation_alias=AliasChoices("baud_rate", "baudrate")
    )
    parity: Literal["N", "E", "O"] | None = None
    stop_bits: Literal[1, 2] | None = Field(default=None, validation_alias=AliasChoices("stop_bits", "stopbits"))


class MqttConnection(Connection):
    """`mqtt`.

    Attributes:
        port: None for 1883, or 8883 with TLS.
        client_id: None for one made of the device's id.
        ca_file: certificates to trust; None for the system's.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    broker: str = Field(min_length=1, validation_alias=AliasChoices("broker", "host"))
    port: _Port | None = None
    topic_prefix: str = ""
    client_id: str | None = Field(default=None, min_length=1, max_length=128)
    username: str | None = None
    password: SecretStr | None = None
    use_tls: bool = False
    ca_file: str | None = None

    @property
    def names(self) -> dict[str, object]:
        """What may stand in a topic's braces: the prefix, and texts of the connection that this model does not know."""
        return {"topic_prefix": self.topic_prefix, **(self.model_extra or {})}


def parse_connection(model: type[_Model], source: dict[str, Any], *, device: str) -> _Model:
    """Check a connection.

    Raises:
        DriverError: `config`, naming device, field, value and what is wrong; a password is not repeated.
    """
    try:
        return model.model_validate(source)
    except ValidationError as error:
        findings = "; ".join(
            f"connection.{'.'.join(map(str, item['loc']))} = {_shown(item['loc'], item['input'], source)}: {item['msg']}"
            for item in error.errors()
        )
        raise DriverError(f"{device}: {findings}", retry=False, kind="config") from error


def _shown(place: tuple[int | str, ...], value: object, source: dict[str, Any]) -> str:
    if "password" in place:
        return "(hidden)"
    return "(missing)" if value is source or value == source else repr(value)
