"""What the cloud takes as a device's connection, the agent understands in the same words."""

from typing import Any

import pytest

from cloud.devices.schemas import checked_connection
from edge_agent.drivers.connection import (
    Connection,
    ModbusRtuConnection,
    ModbusTcpConnection,
    MqttConnection,
    parse_connection,
)
from edge_agent.drivers.http_connection import HttpConnection
from shared.enums import ProtocolType

MODBUS = {
    "slave_id": 7,
    "timeout_seconds": 1.5,
    "request_gap_seconds": 0.05,
    "unit_gap_seconds": 0.2,
    "grid_sign": "+export",
    "base_address": 50_000,
}
EVERYTHING: list[tuple[ProtocolType, type[Connection], dict[str, Any]]] = [
    (ProtocolType.MODBUS_TCP, ModbusTcpConnection, {**MODBUS, "host": "10.0.0.7", "port": 1502, "framer": "rtu"}),
    (
        ProtocolType.MODBUS_RTU,
        ModbusRtuConnection,
        {**MODBUS, "serial_port": "/dev/ttyUSB0", "baud_rate": 19_200, "parity": "E", "stop_bits": 2},
    ),
    (
        ProtocolType.MQTT,
        MqttConnection,
        {
            "broker": "10.0.0.2",
            "port": 8883,
            "topic_prefix": "solar/roof",
            "client_id": "box",
            "username": "u",
            "use_tls": True,
        },
    ),
    (
        ProtocolType.HTTP,
        HttpConnection,
        {
            "base_url": "https://10.0.0.9/?inverter=2",
            "timeout_seconds": 4.0,
            "username": "u",
            "verify_tls": False,
            "tls_fingerprint": "ab" * 32,
        },
    ),
]


@pytest.mark.parametrize(("protocol", "model", "config"), EVERYTHING, ids=[str(case[0]) for case in EVERYTHING])
def test_every_word_arrives(protocol: ProtocolType, model: type[Connection], config: dict[str, Any]) -> None:
    stored = checked_connection(protocol, config)
    understood = parse_connection(model, stored, device="a device").model_dump()
    assert {name: understood[name] for name in config} == config


@pytest.mark.parametrize(("protocol", "model", "config"), EVERYTHING, ids=[str(case[0]) for case in EVERYTHING])
def test_what_is_left_out_is_left_to_the_agent(
    protocol: ProtocolType, model: type[Connection], config: dict[str, Any]
) -> None:
    least = {
        name: config[name] for name in ("host", "serial_port", "broker", "topic_prefix", "base_url") if name in config
    }
    stored = checked_connection(protocol, least)
    bare = parse_connection(model, least, device="a device").model_dump()
    assert parse_connection(model, stored, device="a device").model_dump() == bare


def test_a_credential_is_not_hidden_in_an_address() -> None:
    with pytest.raises(ValueError, match="put it into username and password"):
        checked_connection(ProtocolType.HTTP, {"base_url": "http://admin:secret@10.0.0.9/"})
