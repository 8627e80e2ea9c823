"""From the plan to drivers: shared endpoints, and wrong plans named."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.connection import ModbusTcpConnection, MqttConnection
from edge_agent.drivers.factory import DriverFactory
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.drivers.mqtt import MqttDriver
from edge_agent.drivers.sunspec import SunSpecDriver
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType, ProtocolType
from shared.wire import PlanDevice
from tests.modbus_server import serve
from tests.sunspec_image import image, model_words
from tests.unit.drivers.conftest import HandClock


def device(**fields: Any) -> PlanDevice:
    given: dict[str, Any] = {
        "id": UUID("0198c5c5-0000-7000-8000-0000000000aa"),
        "name": "north roof",
        "device_type": DeviceType.INVERTER,
        "protocol": ProtocolType.MODBUS_TCP,
        "profile": "deye_1p_hybrid",
        "connection": {"host": "127.0.0.1", "port": 1502, "slave_id": 1},
    }
    return PlanDevice.model_validate(given | fields)


@pytest.fixture
def factory(clock: HandClock) -> DriverFactory:
    return DriverFactory(clock=clock)


def test_each_kind(factory: DriverFactory) -> None:
    assert isinstance(factory.build(device()), ProfileDriver)
    assert isinstance(factory.build(device(profile="sunspec")), SunSpecDriver)
    sensor = device(
        device_type="sensor",
        protocol="mqtt",
        profile="irradiance_json",
        connection={"broker": "b", "topic_prefix": "p", "password": "x", "username": "y"},
    )
    assert isinstance(factory.build(sensor), MqttDriver)


def test_devices_behind_one_endpoint_share_it(factory: DriverFactory) -> None:
    drivers = [factory.build(device(device_type=kind)) for kind in ("inverter", "battery", "meter")]
    other = factory.build(device(connection={"host": "127.0.0.1", "port": 1503}))
    buses = {id(vars(driver)["_bus"]) for driver in drivers}
    assert len(buses) == 1
    assert id(vars(other)["_bus"]) not in buses


def refusal(factory: DriverFactory, **fields: Any) -> str:
    with pytest.raises(DriverError) as caught:
        factory.build(device(**fields))
    assert (caught.value.kind, caught.value.retry) == ("config", False)
    assert str(caught.value).startswith("north roof: ")
    return str(caught.value)


MQTT = {"device_type": "sensor", "protocol": "mqtt", "profile": "irradiance_json"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"profile": "deye"}, ["profile = 'deye'", "deye_1p_hybrid", "sunspec"]),
        ({"protocol": "http"}, ["profile = 'deye_1p_hybrid'", "HTTP map", "fronius_solar_api"]),
        ({"device_type": "sensor"}, ["device_type = 'sensor'", "battery, inverter, meter"]),
        ({"device_type": "gateway", "profile": "sunspec"}, ["device_type = 'gateway'", "inverter, meter, battery"]),
        ({"connection": {}}, ["connection.host = (missing)", "required"]),
        ({"connection": {"host": "h", "port": 70000}}, ["connection.port = 70000", "65535"]),
        ({"connection": {"host": "h", "slave_id": "x"}}, ["connection.slave_id = 'x'"]),
        ({"connection": {"host": "h", "grid_sign": "import"}}, ["connection.grid_sign = 'import'", "'+import'"]),
        ({"connection": {"host": "h", "timeout_seconds": 0}}, ["connection.timeout_seconds = 0"]),
        (MQTT | {"connection": {"broker": "b"}}, ["connection: topic_prefix is ''", "without + and #"]),
        (MQTT | {"connection": {"topic_prefix": "p"}}, ["connection.broker = (missing)"]),
        (MQTT | {"profile": "tasmota", "connection": {"broker": "b"}}, ["profile = 'tasmota'", "irradiance_json"]),
        (MQTT | {"device_type": "meter", "connection": {"broker": "b"}}, ["device_type = 'meter'", "sensor"]),
    ],
)
def test_a_wrong_plan_says_what_is_wrong(factory: DriverFactory, fields: dict[str, Any], words: list[str]) -> None:
    said = refusal(factory, **fields)
    for word in words:
        assert word in said


def test_a_password_is_not_repeated(factory: DriverFactory) -> None:
    said = refusal(factory, **MQTT, connection={"broker": "b", "topic_prefix": "p", "password": ["hush"]})
    assert "connection.password" in said
    assert "hush" not in said


def test_a_broken_profile_stops_only_its_devices(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "broken.toml").write_text("format = [")
    factory = DriverFactory(clock=clock, profiles=ProfileLibrary(tmp_path))
    assert "broken.toml is no TOML" in refusal(factory, profile="broken")
    assert isinstance(factory.build(device()), ProfileDriver)


@pytest.mark.parametrize(
    ("fields", "inverted"),
    [
        ({}, False),
        ({"grid_sign": "+export"}, True),
        ({"invert_grid_sign": True}, True),
        ({"grid_sign": "+export", "invert_grid_sign": True}, False),
    ],
)
def test_the_sign_of_a_meter(fields: dict[str, Any], inverted: bool) -> None:
    assert ModbusTcpConnection.model_validate({"host": "h"} | fields).has_inverted_grid_sign is inverted


def test_the_schemas_names_are_understood() -> None:
    modbus = ModbusTcpConnection.model_validate(
        {"host": "192.168.1.100", "port": 502, "slave_id": 3, "timeout_seconds": 5}
    )
    assert (modbus.slave_id, modbus.timeout_seconds) == (3, 5)
    mqtt = MqttConnection.model_validate(
        {"broker": "b", "topic_prefix": "solar/site1", "use_tls": False, "serial": "S1"}
    )
    assert mqtt.names == {"topic_prefix": "solar/site1", "serial": "S1"}


async def test_three_devices_over_one_socket(clock: HandClock) -> None:
    chain = image(model_words(1, {}), model_words(103, {"W": 100}), model_words(203, {"W": -50}))
    async with serve(chain) as port:
        factory = DriverFactory(clock=clock)
        connection = {"host": "127.0.0.1", "port": port}
        inverter = factory.build(device(profile="sunspec", connection=connection))
        meter = factory.build(
            device(profile="sunspec", device_type="meter", connection=connection | {"grid_sign": "+export"})
        )
        assert (await inverter.read()).values["ac_power_kw"] == 0.1
        assert (await meter.read()).values["grid_power_kw"] == 0.05
        await factory.close()
        await factory.close()
