"""Shapes of a device: how the agent reaches it, per protocol."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from cloud.core.fields import Line
from cloud.core.shapes import OpenShape, Shape
from shared.enums import ProtocolType

Host = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9._:\[\]%-]+$")]
"""Name or address of a machine, without a scheme or a path."""

Port = Annotated[int, Field(ge=1, le=65_535)]
SlaveId = Annotated[int, Field(ge=0, le=255)]
Timeout = Annotated[float, Field(gt=0, le=60)]
StoredSecret = Annotated[str, Field(max_length=4_000)]
"""A password: in clear as it is sent, as ciphertext in the column, as `***` in answers."""

SECRET_FIELDS = frozenset({"password", "token"})
"""Keys of a connection that are never stored or returned in clear."""


class ModbusTcpConnection(Shape):
    """Modbus over TCP/IP."""

    host: Host
    port: Port = 502
    slave_id: SlaveId = 1
    timeout_seconds: Timeout = 5


class ModbusRtuConnection(Shape):
    """Modbus over a serial line."""

    serial_port: Annotated[str, Field(min_length=1, max_length=255)]
    baud_rate: Annotated[int, Field(ge=300, le=921_600)] = 9_600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    slave_id: SlaveId = 1
    timeout_seconds: Timeout = 5


class MqttConnection(Shape):
    """MQTT: what is published below `topic_prefix`."""

    broker: Host
    port: Port = 1_883
    topic_prefix: Annotated[str, Field(min_length=1, max_length=500)]
    client_id: Annotated[Line, Field(max_length=100)] | None = None
    username: Line | None = None
    password: StoredSecret | None = None
    use_tls: bool = False

    @field_validator("topic_prefix")
    @classmethod
    def _no_wildcards(cls, value: str, info: ValidationInfo) -> str:
        if "#" in value or "+" in value or "\0" in value:
            raise ValueError(f"{info.field_name} is {value!r}; name one device's topics, without + and #")
        return value


class HttpConnection(Shape):
    """A device that answers HTTP on the site's network."""

    base_url: Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[^\s/]+(/\S*)?$")]
    timeout_seconds: Timeout = 5
    username: Line | None = None
    password: StoredSecret | None = None
    token: StoredSecret | None = None
    verify_tls: bool = True


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
