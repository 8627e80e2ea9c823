"""Drivers by name: those that come with the agent, and those of other packages, however badly they behave."""

import asyncio
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edge_agent.drivers.base import DeviceAnswer, Driver, DriverError
from edge_agent.drivers.custom import CustomDrivers
from edge_agent.drivers.custom_plugin import PluginDriver
from edge_agent.drivers.modbus import RegisterBus
from edge_agent.drivers.solarman import SolarmanBus
from edge_agent.drivers.voltronic import VoltronicDriver
from shared.enums import DeviceType, ProtocolType, Quality
from shared.wire import PlanDevice
from tests.plugin_packages import CHARGER, install
from tests.unit.drivers.conftest import HandClock

STICK = {"driver": "solarman_v5", "host": "192.168.1.40", "logger_serial": 2_385_267_882}
PORT = {"driver": "voltronic_pi30", "serial_port": "/dev/serial/by-id/usb-1"}


def device(**fields: Any) -> PlanDevice:
    given: dict[str, Any] = {
        "id": UUID("0198c5c5-0000-7000-8000-0000000000aa"),
        "name": "north roof",
        "device_type": DeviceType.INVERTER,
        "protocol": ProtocolType.CUSTOM,
        "profile": "deye_1p_hybrid",
        "connection": STICK,
    }
    return PlanDevice.model_validate(given | fields)


class OverRegisters:
    """Remembers what it was to build on."""

    def __init__(self) -> None:
        self.built: list[tuple[PlanDevice, RegisterBus, int]] = []

    def __call__(self, device: PlanDevice, bus: RegisterBus, unit: int) -> Driver:
        self.built.append((device, bus, unit))
        return PluginDriver(Says({}), plugin="a register driver")


class Says:
    """A driver that says what it is told to."""

    def __init__(self, values: dict[str, Any] | Exception | None, *, on_close: Exception | None = None) -> None:
        self.values = values
        self.on_close = on_close

    async def read(self) -> DeviceAnswer:
        if isinstance(self.values, Exception):
            raise self.values
        return None if self.values is None else DeviceAnswer(self.values, Quality.PARTIAL)  # type: ignore[return-value]

    async def close(self) -> None:
        if self.on_close:
            raise self.on_close


@pytest.fixture
def registers() -> OverRegisters:
    return OverRegisters()


@pytest.fixture
def drivers(clock: HandClock, registers: OverRegisters) -> CustomDrivers:
    return CustomDrivers(clock=clock, over_registers=registers)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to install packages into."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def refusal(drivers: CustomDrivers, **fields: Any) -> str:
    with pytest.raises(DriverError) as raised:
        drivers.build(device(**fields))
    assert (raised.value.kind, raised.value.retry) == ("config", False)
    assert str(raised.value).startswith("north roof: ")
    return str(raised.value)


# --- those that come with the agent ---------------------------------------------------------------------------------------------------


def test_a_stick_is_a_register_bus_that_its_devices_share(drivers: CustomDrivers, registers: OverRegisters) -> None:
    drivers.build(device())
    drivers.build(device(device_type="battery", connection=STICK | {"slave_id": 3, "timeout_seconds": 20}))
    drivers.build(device(connection=STICK | {"logger_serial": 77, "unit_id": 2}))
    buses = [bus for _, bus, _ in registers.built]
    assert [unit for _, _, unit in registers.built] == [1, 3, 2]
    assert buses[0] is buses[1] is not buses[2]
    assert isinstance(buses[0], SolarmanBus)
    assert (buses[0].host, buses[0].port, buses[0].logger_serial) == ("192.168.1.40", 8899, 2_385_267_882)
    assert buses[0].timeout_s == 20


def test_a_voltronic_port_is_shared_by_inverter_and_battery(drivers: CustomDrivers) -> None:
    inverter = drivers.build(device(connection=PORT))
    battery = drivers.build(device(connection=PORT, device_type="battery"))
    bridged = drivers.build(device(connection={"driver": "voltronic_pi30", "host": "10.0.0.9", "port": 4001}))
    assert isinstance(inverter, VoltronicDriver)
    lines = [vars(driver)["_line"] for driver in (inverter, battery, bridged)]
    assert lines[0] is lines[1] is not lines[2]
    assert [line.name for line in lines[1:]] == ["/dev/serial/by-id/usb-1", "10.0.0.9:4001"]


async def test_what_is_shared_is_closed_once(drivers: CustomDrivers) -> None:
    drivers.build(device())
    drivers.build(device(connection=PORT))
    await drivers.close()
    await drivers.close()


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ({"driver": "solarman_v5", "host": "h"}, "connection.logger_serial = (missing)"),
        (STICK | {"logger_serial": "SN-17"}, "connection.logger_serial = 'SN-17'"),
        (STICK | {"logger_serial": 2**32}, "connection.logger_serial = 4294967296"),
        ({"driver": "solarman_v5", "logger_serial": 5}, "connection.host = (missing)"),
        (STICK | {"port": 0}, "connection.port = 0"),
        ({"driver": "voltronic_pi30"}, "neither serial_port (such as /dev/serial/by-id/...) nor host and port"),
        ({"driver": "voltronic_pi30", "host": "h"}, "connection.port = (missing)"),
        (PORT | {"baud_rate": 12}, "connection.baud_rate = 12"),
        (PORT | {"serial_number": "?"}, "connection.serial_number = '?'"),
    ],
)
def test_a_wrong_connection_is_named(drivers: CustomDrivers, connection: dict[str, Any], said: str) -> None:
    assert said in refusal(drivers, connection=connection)


def test_a_voltronic_meter_does_not_exist(drivers: CustomDrivers) -> None:
    message = refusal(drivers, connection=PORT, device_type="meter")
    assert "device_type = 'meter' has no values in voltronic_pi30; it has them for inverter, battery" in message


@pytest.mark.parametrize(("name", "given"), [({"driver": "acme"}, "'acme'"), ({}, "(missing)"), ({"driver": 7}, "7")])
def test_an_unknown_name_lists_the_known(
    drivers: CustomDrivers, packages: Path, name: dict[str, Any], given: str
) -> None:
    install(packages, "other-driver", CHARGER, other="build")
    message = refusal(drivers, connection=name)
    assert f"connection.driver = {given}; known are solarman_v5, voltronic_pi30, other;" in message


# --- those of other packages ----------------------------------------------------------------------------------------------------------


async def test_a_plug_in_reads_a_device(drivers: CustomDrivers, packages: Path, clock: HandClock) -> None:
    install(packages, "acme-charger", CHARGER, acme="build")
    meter = packages / "watts"
    driver = drivers.build(device(connection={"driver": "acme", "path": str(meter)}, device_type="meter"))
    with pytest.raises(DriverError, match="watts is not there") as raised:
        await driver.read()
    assert (raised.value.kind, raised.value.retry) == ("refused", True)
    meter.write_text("1250")
    assert await driver.read() == DeviceAnswer({"load_power_kw": 1.25, "ac_voltage_v.l1": 230.0})
    own = vars(driver)["_driver"]
    assert own.clock is clock
    await driver.close()
    assert own.is_closed


def test_a_plug_in_says_itself_what_is_wrong_with_a_connection(drivers: CustomDrivers, packages: Path) -> None:
    install(packages, "acme-charger", CHARGER, acme="build")
    assert refusal(drivers, connection={"driver": "acme"}) == "north roof: connection.path is missing"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("def build(:", "SyntaxError"),
        ("other = 1", "AttributeError"),
    ],
)
def test_a_plug_in_that_cannot_be_imported_is_named(
    drivers: CustomDrivers, packages: Path, source: str, said: str
) -> None:
    install(packages, "bad-plugin", source, bad="build")
    message = refusal(drivers, connection={"driver": "bad"})
    assert "plug-in 'bad' (bad_plugin:build, of bad-plugin 1.2) cannot be loaded: " in message
    assert said in message


def test_a_bad_plug_in_does_not_disturb_the_others(drivers: CustomDrivers, packages: Path) -> None:
    install(packages, "bad-plugin", "1 / 0", bad="build")
    install(packages, "acme-charger", CHARGER, acme="build")
    refusal(drivers, connection={"driver": "bad"})
    assert isinstance(drivers.build(device(connection={"driver": "acme", "path": "x"})), PluginDriver)
    assert isinstance(drivers.build(device(connection=PORT)), VoltronicDriver)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("build = 7", "names int, which cannot be called"),
        ("def build(connection, device, clock):\n    return object()", "built object, which has no `read` and `close`"),
        (
            "def build(connection, device, clock):\n    return connection['host']",
            "cannot build a driver: KeyError: 'host'",
        ),
        ("def build():\n    return 1", "cannot build a driver: TypeError"),
    ],
)
def test_a_plug_in_that_builds_nothing_is_named(drivers: CustomDrivers, packages: Path, source: str, said: str) -> None:
    install(packages, "odd-plugin", source, odd="build")
    message = refusal(drivers, connection={"driver": "odd"})
    assert "plug-in 'odd'" in message
    assert said in message


def test_a_name_that_two_packages_offer_is_refused(drivers: CustomDrivers, packages: Path) -> None:
    install(packages, "acme-charger", CHARGER, acme="build")
    install(packages, "acme-fork", CHARGER, acme="build")
    message = refusal(drivers, connection={"driver": "acme", "path": "x"})
    assert "offered twice" in message
    assert "acme-charger 1.2" in message
    assert "acme-fork 1.2" in message


def test_a_plug_in_cannot_take_the_place_of_a_driver_that_comes_with_the_agent(
    drivers: CustomDrivers, packages: Path
) -> None:
    install(packages, "cuckoo", "1 / 0", voltronic_pi30="build")
    assert isinstance(drivers.build(device(connection=PORT)), VoltronicDriver)


def test_a_plug_in_cannot_change_the_plan(drivers: CustomDrivers, packages: Path) -> None:
    source = (
        "def build(connection, device, clock):\n    connection.clear()\n    raise ValueError(len(device.connection))"
    )
    install(packages, "eraser", source, eraser="build")
    assert "ValueError: 2" in refusal(drivers, connection={"driver": "eraser", "host": "h"})


# --- what a plug-in's driver says -----------------------------------------------------------------------------------------------------


async def malformed(values: Any) -> str:
    with pytest.raises(DriverError) as raised:
        await PluginDriver(Says(values), plugin="plug-in 'x'").read()
    assert (raised.value.kind, raised.value.retry) == ("malformed", True)
    assert str(raised.value).startswith("plug-in 'x'")
    return str(raised.value)


async def test_values_are_taken_as_they_are() -> None:
    values = {"ac_power_kw": 1, "dc_voltage_v.pv1": 2.5, "operating_state": "producing", "grid_power_kw": None}
    answer = await PluginDriver(Says(values), plugin="x").read()
    assert answer == DeviceAnswer(values, Quality.PARTIAL)
    assert type(answer.values["ac_power_kw"]) is float


async def test_any_failure_bears_the_plug_ins_name() -> None:
    assert await malformed(ZeroDivisionError("by zero")) == "plug-in 'x' failed: ZeroDivisionError: by zero"
    assert await malformed(TimeoutError()) == "plug-in 'x' failed: TimeoutError: "


async def test_an_error_of_ours_is_left_as_it_is() -> None:
    with pytest.raises(DriverError, match=r"^asleep$") as raised:
        await PluginDriver(Says(DriverError("asleep", retry=True, kind="timeout")), plugin="x").read()
    assert raised.value.kind == "timeout"


async def test_what_is_no_answer_is_refused() -> None:
    assert await malformed(None) == "plug-in 'x': gave NoneType instead of a DeviceAnswer"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, b"1", [1.0]])
async def test_what_is_no_value_is_refused(value: object) -> None:
    assert f"gave ac_power_kw = {value!r}" in await malformed({"ac_power_kw": value})


async def test_an_unknown_metric_is_refused() -> None:
    assert "metric 'power' is not in the catalogue" in await malformed({"power": 1.0})
    assert "has no channel 'l9'" in await malformed({"ac_voltage_v.l9": 1.0})


async def test_a_cancelled_read_stays_cancelled() -> None:
    class Stuck(Says):
        async def read(self) -> DeviceAnswer:
            await asyncio.sleep(60)
            raise AssertionError

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await PluginDriver(Stuck({}), plugin="x").read()


async def test_a_plug_in_that_cannot_close_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await PluginDriver(Says({}, on_close=OSError("stuck")), plugin="plug-in 'x'").close()
    assert [record.message for record in caplog.records] == ["plugin_not_closed"]
    assert "OSError: stuck" in vars(caplog.records[0])["error"]


# --- the example of the documentation -------------------------------------------------------------------------------------------------


def example() -> str:
    readme = (Path(__file__).parents[3] / "edge_agent" / "drivers" / "README.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    return str(block)


async def test_the_documented_plug_in_works(drivers: CustomDrivers, packages: Path) -> None:
    install(packages, "solarhub-w1", example(), w1_thermometer="build")
    sensor = packages / "temperature"
    connection = {"driver": "w1_thermometer", "file": str(sensor)}
    driver = drivers.build(device(connection=connection, device_type="sensor"))
    with pytest.raises(DriverError, match="is the sensor connected"):
        await driver.read()
    sensor.write_text("31437\n")
    assert await driver.read() == DeviceAnswer({"ambient_temperature_c": 31.437})
    await driver.close()
    assert "connection.file = None" in refusal(drivers, connection={"driver": "w1_thermometer"})
