"""Every profile that is shipped is sound, sourced, and reads its recording."""

import pytest

from edge_agent.clock import SystemClock
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.profiles.lint import lint
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import ProfileQuality
from shared.enums import DeviceType
from shared.metrics import metric_of
from tests.captures import expected_of, holding_of
from tests.modbus_server import FakeBus

LIBRARY = ProfileLibrary()


@pytest.mark.parametrize("name", LIBRARY.modbus_names())
def test_each_modbus_profile_is_sound(name: str) -> None:
    profile = LIBRARY.modbus(name)
    assert lint(profile) == []
    assert profile.name == name
    if profile.quality is not ProfileQuality.DRAFT:
        assert len(profile.sources) >= 2


@pytest.mark.parametrize("name", LIBRARY.mqtt_names())
def test_each_topic_map_is_sound(name: str) -> None:
    topic_map = LIBRARY.mqtt(name)
    assert topic_map.name == name
    assert {metric_of(key).name for key in topic_map.metrics}


def test_the_promised_profiles_are_there() -> None:
    assert "deye_1p_hybrid" in LIBRARY.modbus_names()
    assert {"irradiance_json", "shelly_gen2_em"} <= set(LIBRARY.mqtt_names())


@pytest.mark.parametrize("name", LIBRARY.modbus_names())
def test_no_energy_is_read_for_two_device_types(name: str) -> None:
    profile = LIBRARY.modbus(name)
    for row in profile.rows:
        if row.metric and row.catalogue.unit == "kWh":
            assert len(row.read_for) == 1, f"{row.metric} would be counted once per device"


DEYE_EXPECTED = {
    DeviceType.INVERTER: {
        "rated_power_kw": 3.6,
        "operating_state": "producing",
        "vendor_state_code": 2.0,
        "fault_codes": "",
        "energy_total_kwh": 13025.2,
        "energy_today_kwh": 0.3,
        "dc_power_kw.pv1": 0.517,
        "dc_power_kw.pv2": 0.0,
        "dc_power_kw": 0.517,
        "dc_voltage_v.pv1": 304.1,
        "dc_current_a.pv1": 1.7,
        "ac_power_kw": 0.539,
        "ac_voltage_v.l1": 240.7,
        "grid_frequency_hz": 50.13,
        "inverter_temperature_c.transformer": 32.3,
        "inverter_temperature_c.heatsink": 34.6,
    },
    DeviceType.BATTERY: {
        "battery_soc_percent": 21.0,
        "battery_voltage_v": 52.54,
        "battery_power_kw": 0.114,
        "battery_current_a": 2.18,
        "battery_temperature_c": 21.1,
        "battery_charge_energy_total_kwh": 5254.3,
        "battery_discharge_energy_total_kwh": 4291.1,
    },
    DeviceType.METER: {
        "grid_power_kw": 0.02,
        "load_power_kw": 0.559,
        "grid_import_energy_total_kwh": 14007.6,
        "grid_export_energy_total_kwh": 2504.5,
        "load_energy_total_kwh": 21540.0,
    },
}


@pytest.mark.parametrize("device_type", list(DEYE_EXPECTED))
async def test_deye_reads_its_recording(device_type: DeviceType) -> None:
    driver = ProfileDriver(
        FakeBus(holding_of("sunsynk_sg01lp1_3k6")),
        1,
        profile=LIBRARY.modbus("deye_1p_hybrid"),
        device_type=device_type,
        clock=SystemClock(),
    )
    values = (await driver.read()).values
    assert {key: values[key] for key in DEYE_EXPECTED[device_type]} == DEYE_EXPECTED[device_type]
    assert all(value is not None for value in values.values())


def test_the_expected_deye_values_are_the_recordings() -> None:
    """The table above says the same as the file of the recording, in the catalogue's units."""
    said = expected_of("sunsynk_sg01lp1_3k6.expected")["values"]
    inverter, battery, meter = DEYE_EXPECTED.values()
    assert inverter["rated_power_kw"] == said["rated_power_w"] / 1000
    assert inverter["energy_total_kwh"] == said["total_pv_kwh"]
    assert inverter["dc_power_kw"] == said["pv_power_w"] / 1000
    assert inverter["ac_power_kw"] == said["inverter_power_w"] / 1000
    assert inverter["fault_codes"] == "".join(said["faults"])
    assert battery["battery_soc_percent"] == said["battery_soc"]
    assert battery["battery_voltage_v"] == said["battery_voltage"]
    assert battery["battery_power_kw"] == said["battery_power_w_discharging"] / 1000
    assert battery["battery_charge_energy_total_kwh"] == said["total_battery_charge_kwh"]
    assert battery["battery_discharge_energy_total_kwh"] == said["total_battery_discharge_kwh"]
    assert meter["grid_power_kw"] == said["grid_ct_power_w_import"] / 1000
    assert meter["load_power_kw"] == said["load_power_w"] / 1000
    assert meter["grid_import_energy_total_kwh"] == said["total_grid_import_kwh"]
    assert meter["grid_export_energy_total_kwh"] == said["total_grid_export_kwh"]
    assert meter["load_energy_total_kwh"] == said["total_load_kwh"]
