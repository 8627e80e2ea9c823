"""Recordings of real devices, served over real sockets and read as the agent reads them."""

from typing import Any
from uuid import UUID

import pytest

from edge_agent.clock import SystemClock
from edge_agent.drivers.factory import DriverFactory
from shared.enums import DeviceType, ProtocolType, Quality
from shared.readings import Value
from shared.wire import PlanDevice
from tests.captures import expected_of, holding_of
from tests.modbus_server import serve


async def read(
    capture: str, *, profile: str, device_type: DeviceType, unit: int = 1
) -> tuple[dict[str, Value], Quality]:
    async with serve(holding_of(capture), unit=unit) as port:
        factory = DriverFactory(clock=SystemClock())
        driver = factory.build(
            PlanDevice(
                id=UUID("0198c5c5-0000-7000-8000-0000000000aa"),
                name=capture,
                device_type=device_type,
                protocol=ProtocolType.MODBUS_TCP,
                profile=profile,
                connection={"host": "127.0.0.1", "port": port, "slave_id": unit},
            )
        )
        first = await driver.read()
        again = await driver.read()
        assert dict(again.values).items() <= dict(first.values).items(), "a standing device says the same twice"
        await driver.close()
        await factory.close()
        return dict(first.values), first.quality


DEYE = {
    "rated_power_kw": ("rated_power_w", 1000),
    "energy_total_kwh": ("total_pv_kwh", 1),
    "dc_power_kw": ("pv_power_w", 1000),
    "ac_power_kw": ("inverter_power_w", 1000),
    "battery_soc_percent": ("battery_soc", 1),
    "battery_voltage_v": ("battery_voltage", 1),
    "battery_power_kw": ("battery_power_w_discharging", 1000),
    "battery_charge_energy_total_kwh": ("total_battery_charge_kwh", 1),
    "battery_discharge_energy_total_kwh": ("total_battery_discharge_kwh", 1),
    "grid_power_kw": ("grid_ct_power_w_import", 1000),
    "load_power_kw": ("load_power_w", 1000),
    "grid_import_energy_total_kwh": ("total_grid_import_kwh", 1),
    "grid_export_energy_total_kwh": ("total_grid_export_kwh", 1),
    "load_energy_total_kwh": ("total_load_kwh", 1),
}


@pytest.mark.parametrize("unit", [1, 7])
async def test_deye(unit: int) -> None:
    said = expected_of("sunsynk_sg01lp1_3k6.expected")["values"]
    values: dict[str, Value] = {}
    for device_type in (DeviceType.INVERTER, DeviceType.BATTERY, DeviceType.METER):
        own, quality = await read("sunsynk_sg01lp1_3k6", profile="deye_1p_hybrid", device_type=device_type, unit=unit)
        assert not quality & (Quality.PARTIAL | Quality.OUT_OF_RANGE)
        values |= own
    assert {key: values[key] for key in DEYE} == {key: said[name] / divisor for key, (name, divisor) in DEYE.items()}
    assert values["operating_state"] == "producing"
    assert values["fault_codes"] == ""


async def test_kaco() -> None:
    models: dict[str, Any] = expected_of("kaco_blueplanet_86tl3_producing.expected_pysunspec2")["models"]
    points = {name: point["value"] for name, point in models["103:0"]["points"].items()}
    values, quality = await read("kaco_blueplanet_86tl3_producing", profile="sunspec", device_type=DeviceType.INVERTER)
    assert quality == Quality.GOOD
    assert (values["ac_power_kw"], values["dc_power_kw"]) == (points["W"] / 1000, points["DCW"] / 1000)
    assert values["energy_total_kwh"] == points["WH"] / 1000
    assert values["grid_frequency_hz"] == points["Hz"]
    assert [values[f"dc_power_kw.pv{n}"] for n in (1, 2)] == [
        module["DCW"]["value"] / 1000 for module in models["160:0"]["points"]["#module"]
    ]
