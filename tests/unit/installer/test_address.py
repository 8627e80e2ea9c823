"""What an installer types, and the connection that it becomes."""

from typing import Any

import pytest

from cloud.devices.schemas import connection_of
from edge_agent.installer.address import EXAMPLES, AddressError, parse_address
from shared.enums import ProtocolType


@pytest.mark.parametrize(
    ("url", "protocol", "connection"),
    [
        ("tcp://10.0.0.5", "modbus_tcp", {"host": "10.0.0.5", "port": 502, "slave_id": 3}),
        ("tcp://[fe80::1]:1502/", "modbus_tcp", {"host": "fe80::1", "port": 1502, "slave_id": 3}),
        (
            "tcp://logger.lan:502?timeout=5&gap=0.1&base=0&grid_sign=+export",
            "modbus_tcp",
            {
                "host": "logger.lan",
                "port": 502,
                "slave_id": 3,
                "timeout_seconds": 5.0,
                "request_gap_seconds": 0.1,
                "base_address": 0,
                "grid_sign": "+export",
            },
        ),
        ("rtutcp://10.0.0.6:4196", "modbus_tcp", {"host": "10.0.0.6", "port": 4196, "slave_id": 3, "framer": "rtu"}),
        ("rtu:///dev/ttyUSB0", "modbus_rtu", {"serial_port": "/dev/ttyUSB0", "slave_id": 3}),
        (
            "rtu:///dev/serial/by-id/usb-1?baud=19200&parity=E&stopbits=2",
            "modbus_rtu",
            {
                "serial_port": "/dev/serial/by-id/usb-1",
                "slave_id": 3,
                "baud_rate": 19200,
                "parity": "E",
                "stop_bits": 2,
            },
        ),
        (
            "v5://10.0.0.7?serial=2712345678",
            "custom",
            {
                "driver": "solarman_v5",
                "host": "10.0.0.7",
                "port": 8899,
                "logger_serial": 2712345678,
                "slave_id": 3,
            },
        ),
        (
            "mqtt://roof:p%40ss@10.0.0.2:1884/solar/roof?device=shelly",
            "mqtt",
            {
                "broker": "10.0.0.2",
                "port": 1884,
                "topic_prefix": "solar/roof",
                "username": "roof",
                "password": "p@ss",
                "device": "shelly",
            },
        ),
        ("mqtts://broker/x", "mqtt", {"broker": "broker", "use_tls": True, "topic_prefix": "x"}),
        ("http://10.0.0.8/", "http", {"base_url": "http://10.0.0.8"}),
        (
            "http://10.0.0.8/?inverter=2&timeout=3",
            "http",
            {"base_url": "http://10.0.0.8/?inverter=2", "timeout_seconds": 3.0},
        ),
        (
            "https://me:secret@envoy.lan:8443/api?token=abc&timeout=4",
            "http",
            {
                "base_url": "https://envoy.lan:8443/api",
                "username": "me",
                "password": "secret",
                "token": "abc",
                "timeout_seconds": 4.0,
            },
        ),
        (
            "pi30:///dev/ttyUSB1?baud=2400",
            "custom",
            {"driver": "voltronic_pi30", "serial_port": "/dev/ttyUSB1", "baud_rate": 2400},
        ),
        ("pi30://10.0.0.9:4196", "custom", {"driver": "voltronic_pi30", "host": "10.0.0.9", "port": 4196}),
    ],
)
def test_each_kind(url: str, protocol: str, connection: dict[str, Any]) -> None:
    address = parse_address(url, unit=3)
    assert (address.protocol.value, dict(address.connection)) == (protocol, connection)


@pytest.mark.parametrize("url", [url for url in EXAMPLES if not url.startswith("rtutcp")])
def test_the_examples_are_connections_that_the_cloud_accepts(url: str) -> None:
    address = parse_address(url)
    connection_of(address.protocol, dict(address.connection))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("10.0.0.5:502", ["10.0.0.5:502", "tcp://"]),
        ("ftp://10.0.0.5", ["ftp://10.0.0.5", "rtu://"]),
        ("tcp://", ["host", "missing"]),
        ("tcp:/10.0.0.5", ["host", "missing"]),
        ("tcp://10.0.0.5:99999", ["99999", "tcp://192"]),
        ("tcp://10.0.0.5/dev", ["/dev", "leave it out"]),
        ("tcp://10.0.0.5?speed=1", ["speed", "timeout"]),
        ("tcp://10.0.0.5?timeout=fast", ["timeout", "fast"]),
        ("rtu://ttyUSB0", ["ttyUSB0", "three slashes"]),
        ("rtu:///dev/ttyUSB0?parity=X", ["parity", "X", "N or E or O"]),
        ("rtu:///dev/ttyUSB0?stopbits=3", ["stopbits", "3"]),
        ("v5://10.0.0.7", ["logger_serial", "--logger-serial"]),
        ("pi30://10.0.0.9", ["port", "serial bridge"]),
        ("mqtt:///solar", ["host", "mqtt://"]),
    ],
)
def test_what_is_wrong_is_named(url: str, words: list[str]) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(url)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("url", ["mqtt://me:hunter2@broker/x", "http://me:hunter2@box?token=hunter2"])
def test_a_secret_is_never_shown(url: str) -> None:
    address = parse_address(url)
    assert "hunter2" in str(dict(address.connection))
    assert "hunter2" not in address.shown
    assert "hunter2" not in repr(address)


def test_a_secret_is_not_shown_when_something_else_is_wrong() -> None:
    with pytest.raises(AddressError, match="broker") as caught:
        parse_address("mqtt://me:hunter2@broker:x")
    assert "hunter2" not in str(caught.value)


def test_the_unit_can_be_changed_where_there_are_units() -> None:
    assert parse_address("tcp://a", unit=1).with_unit(9).connection["slave_id"] == 9
    broker = parse_address("mqtt://a/x")
    assert broker.with_unit(9) is broker
    assert not broker.has_units


def test_the_serial_number_of_a_logger_may_be_an_option_of_the_command() -> None:
    address = parse_address("v5://10.0.0.7", logger_serial=17)
    assert address.connection["logger_serial"] == 17
    assert address.protocol is ProtocolType.CUSTOM
