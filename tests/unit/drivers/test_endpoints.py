"""Endpoints of the plan: shared buses, settings from the connection or the profile, statistics."""

from typing import Any

import pytest

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.connection import ModbusRtuConnection, ModbusTcpConnection, parse_connection
from edge_agent.drivers.endpoints import Endpoints, serial_settings
from edge_agent.drivers.modbus import ModbusBus, SerialBus
from edge_agent.drivers.modbus_plan import NETWORK
from edge_agent.drivers.serial_line import SerialSettings
from edge_agent.profiles.load import ProfileLibrary

PROFILE = ProfileLibrary().modbus("deye_1p_hybrid")


def tcp(**fields: Any) -> ModbusTcpConnection:
    return ModbusTcpConnection.model_validate({"host": "Logger.lan"} | fields)


def rtu(**fields: Any) -> ModbusRtuConnection:
    return ModbusRtuConnection.model_validate({"serial_port": "/dev/ttyUSB0"} | fields)


@pytest.fixture
def endpoints() -> Endpoints:
    return Endpoints(lambda: 0.0)


def test_one_bus_for_each_endpoint(endpoints: Endpoints) -> None:
    bus = endpoints.bus(tcp(), profile=None)
    assert isinstance(bus, ModbusBus)
    assert endpoints.bus(tcp(host="logger.LAN", slave_id=7), profile=PROFILE) is bus
    assert endpoints.bus(tcp(framer="rtu"), profile=None) is not bus
    line = endpoints.bus(rtu(), profile=None)
    assert isinstance(line, SerialBus)
    assert endpoints.bus(rtu(slave_id=2), profile=None) is line
    assert endpoints.bus(rtu(baud_rate=19_200), profile=None) is not line


def test_the_more_careful_wish_holds(endpoints: Endpoints) -> None:
    bus = endpoints.bus(tcp(timeout_seconds=1, request_gap_seconds=0.2), profile=None)
    endpoints.bus(tcp(timeout_seconds=4, request_gap_seconds=0.1, unit_gap_seconds=0.3), profile=None)
    assert (bus.timeout_s, bus.request_gap_s, bus.unit_gap_s) == (4, 0.2, 0.3)


def test_what_the_profile_knows_of_its_connection(endpoints: Endpoints) -> None:
    hints = PROFILE.connection.model_copy(update={"no_transaction_id": True, "single_client": True})
    bus = endpoints.bus(tcp(), profile=PROFILE.model_copy(update={"connection": hints}))
    assert vars(bus)["_stream"].must_echo is False
    assert vars(bus)["_line"].reopen_after_s >= 1


def test_settings_are_the_connections_then_the_profiles_then_the_usual_ones() -> None:
    assert serial_settings(rtu(), None) == SerialSettings("/dev/ttyUSB0", 9600, "N", 1)
    hints = PROFILE.connection.model_copy(update={"default_baud": 4800, "parity": "E", "stop_bits": 2})
    profile = PROFILE.model_copy(update={"connection": hints})
    assert serial_settings(rtu(), profile) == SerialSettings("/dev/ttyUSB0", 4800, "E", 2)
    given = rtu(baud_rate=115_200, parity="O", stop_bits=1)
    assert serial_settings(given, profile) == SerialSettings("/dev/ttyUSB0", 115_200, "O", 1)
    assert serial_settings(given, profile).text == "115200 8O1"


@pytest.mark.parametrize(
    "names",
    [
        {"serial_port": "/dev/a", "baud_rate": 19_200, "stop_bits": 2, "slave_id": 5},
        {"port": "/dev/a", "baudrate": 19_200, "stopbits": 2, "unit_id": 5},
    ],
)
def test_names_of_a_serial_connection(names: dict[str, Any]) -> None:
    connection = parse_connection(ModbusRtuConnection, names, device="meter")
    assert (connection.serial_port, connection.baud_rate, connection.stop_bits, connection.slave_id) == (
        "/dev/a",
        19_200,
        2,
        5,
    )


def test_a_wrong_parity_is_named() -> None:
    with pytest.raises(DriverError, match=r"meter: connection\.parity = 'X'"):
        parse_connection(ModbusRtuConnection, {"serial_port": "/dev/a", "parity": "X"}, device="meter")


def test_what_a_request_costs(endpoints: Endpoints) -> None:
    assert endpoints.link(tcp(), profile=PROFILE) == NETWORK
    slow, fast = (endpoints.link(rtu(baud_rate=baud), profile=PROFILE) for baud in (9600, 115_200))
    assert slow.register_s == pytest.approx(20 / 9600)
    assert slow.request_s > fast.request_s
    with_parity = endpoints.link(rtu(parity="E"), profile=PROFILE)
    assert with_parity.register_s == pytest.approx(22 / 9600)


async def test_figures_and_closing(endpoints: Endpoints) -> None:
    endpoints.bus(rtu(), profile=None)
    figures = endpoints.statistics()["/dev/ttyUSB0"]
    assert figures["requests"] == figures["silent_units"] == figures["slowest_latency_s"] == 0
    await endpoints.close()
    await endpoints.close()
    assert endpoints.statistics() == {}
