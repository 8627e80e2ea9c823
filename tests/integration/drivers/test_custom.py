"""Custom devices as a plan names them: from the plan to values, over real sockets."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from edge_agent.clock import SystemClock
from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.factory import DriverFactory
from edge_agent.drivers.modbus import RegisterBus
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType, ProtocolType
from shared.wire import PlanDevice
from tests.captures import expected_of, holding_of
from tests.solarman_logger import SERIAL
from tests.solarman_logger import serve as serve_stick
from tests.sunspec_image import image, model_words
from tests.voltronic_inverter import Inverter, on_tcp

DEYE = "sunsynk_sg01lp1_3k6"


class Tap:
    """Counts what passes between a bus and its driver."""

    def __init__(self) -> None:
        self.reads = 0
        self.bus: RegisterBus

    def __call__(self, bus: RegisterBus) -> RegisterBus:
        self.bus = bus
        return self

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        self.reads += 1
        return await self.bus.read(unit, function, address=address, count=count)

    async def close(self) -> None:
        await self.bus.close()


def device(connection: dict[str, Any], *, device_type: DeviceType, profile: str) -> PlanDevice:
    return PlanDevice(
        id=UUID("0198c5c5-0000-7000-8000-0000000000aa"),
        name="north roof",
        device_type=device_type,
        protocol=ProtocolType.CUSTOM,
        profile=profile,
        connection=connection,
    )


def stick(port: int) -> dict[str, Any]:
    return {"driver": "solarman_v5", "host": "127.0.0.1", "port": port, "logger_serial": SERIAL, "timeout_seconds": 2}


async def read(factory: DriverFactory, one: PlanDevice) -> DeviceAnswer:
    driver = factory.build(one)
    try:
        return await driver.read()
    finally:
        await driver.close()


@pytest.mark.parametrize(
    ("device_type", "metric", "told", "factor"),
    [
        (DeviceType.INVERTER, "dc_power_kw", "pv_power_w", 1000),
        (DeviceType.INVERTER, "energy_total_kwh", "total_pv_kwh", 1),
        (DeviceType.BATTERY, "battery_power_kw", "battery_power_w_discharging", 1000),
        (DeviceType.METER, "grid_power_kw", "grid_ct_power_w_import", 1000),
    ],
)
async def test_a_register_profile_behind_a_stick_reads_a_recording(
    device_type: DeviceType, metric: str, told: str, factor: int
) -> None:
    async with serve_stick(holding_of(DEYE)) as logger:
        tap = Tap()
        factory = DriverFactory(clock=SystemClock(), tap=tap)
        answer = await read(factory, device(stick(logger.port), device_type=device_type, profile="deye_1p_hybrid"))
        await factory.close()
    assert answer.values[metric] == pytest.approx(expected_of(f"{DEYE}.expected")["values"][told] / factor)
    assert tap.reads == len(logger.asked) > 0


async def test_three_devices_behind_one_stick_use_one_connection() -> None:
    async with serve_stick(holding_of(DEYE)) as logger:
        factory = DriverFactory(clock=SystemClock())
        drivers = [
            factory.build(device(stick(logger.port), device_type=kind, profile="deye_1p_hybrid"))
            for kind in (DeviceType.INVERTER, DeviceType.BATTERY, DeviceType.METER)
        ]
        for driver in drivers:
            await driver.read()
        assert logger.connections == 1
        await factory.close()


async def test_sunspec_behind_a_stick() -> None:
    words = image(model_words(1, {}), model_words(103, {"W": Decimal(1500)}))
    async with serve_stick(words) as logger:
        factory = DriverFactory(clock=SystemClock())
        answer = await read(factory, device(stick(logger.port), device_type=DeviceType.INVERTER, profile="sunspec"))
        await factory.close()
    assert answer.values["ac_power_kw"] == 1.5


async def test_a_profile_that_is_not_known_or_has_nothing_for_the_device() -> None:
    factory = DriverFactory(clock=SystemClock())
    with pytest.raises(DriverError, match="north roof: profile = 'nobody'") as raised:
        factory.build(device(stick(1), device_type=DeviceType.INVERTER, profile="nobody"))
    assert raised.value.kind == "config"
    with pytest.raises(DriverError, match="device_type = 'weather_station' has no values"):
        factory.build(device(stick(1), device_type=DeviceType.WEATHER_STATION, profile="deye_1p_hybrid"))


async def test_a_voltronic_inverter_and_its_battery() -> None:
    async with on_tcp(Inverter()) as port:
        factory = DriverFactory(clock=SystemClock())
        where = {"driver": "voltronic_pi30", "host": "127.0.0.1", "port": port}
        inverter = await read(factory, device(where, device_type=DeviceType.INVERTER, profile="voltronic_pi30"))
        battery = await read(factory, device(where, device_type=DeviceType.BATTERY, profile="voltronic_pi30"))
        await factory.close()
    assert (inverter.values["dc_power_kw"], inverter.values["load_power_kw"]) == (1.905, 0.751)
    assert (battery.values["battery_power_kw"], battery.values["battery_soc_percent"]) == (-1.09, 83.0)


def test_an_unknown_driver_is_told_from_the_known() -> None:
    factory = DriverFactory(clock=SystemClock())
    with pytest.raises(
        DriverError, match=r"connection\.driver = 'wifi'; known are solarman_v5, voltronic_pi30"
    ) as raised:
        factory.build(device({"driver": "wifi"}, device_type=DeviceType.INVERTER, profile="x"))
    assert raised.value.kind == "config"
