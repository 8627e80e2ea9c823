"""The Deye profiles read every register image as the `sunsynk` package does, wherever both know a value.

Nothing here is decoded by our own rules twice: the other side is the package's sensor tables, addresses and factors included.
"""

import importlib
import math
import random
import struct
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import SystemClock
from edge_agent.drivers.modbus_codec import decode
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import Profile, Row
from shared.enums import DeviceType
from shared.readings import Value
from tests.captures import holding_of
from tests.modbus_server import FakeBus

INVERTER, BATTERY, METER = DeviceType.INVERTER, DeviceType.BATTERY, DeviceType.METER
IMAGES = 10_000


class Platform(NamedTuple):
    """What is compared on one platform.

    Attributes:
        profile: name of ours.
        tables: the package's module.
        last: highest register of an image.
        fixed: registers that say what the device is, which both must agree on before anything else.
        at_most: highest words where one of the two reads more into a register: `sunsynk` knows no negative current of the inverter, and
            no types above 16 kW.
        never_zero: temperatures, where 0 is a missing sensor for us and -100 degrees for `sunsynk`.
        same: device type and metric -> the package's sensor and how many of its units are one of ours.
    """

    profile: str
    tables: str
    last: int
    fixed: Mapping[int, int]
    at_most: Mapping[int, int]
    never_zero: tuple[int, ...]
    same: Mapping[tuple[DeviceType, str], tuple[str, int]]


ONE_PHASE = Platform(
    profile="deye_1p_hybrid",
    tables="sunsynk.definitions",
    last=260,
    fixed={0: 3, 161: 0},
    at_most={17: 1, 164: 0x7FFF},
    never_zero=(90, 91, 182),
    same={
        (INVERTER, "rated_power_kw"): ("rated_power", 1000),
        (INVERTER, "grid_frequency_hz"): ("grid_frequency", 1),
        (INVERTER, "inverter_temperature_c.transformer"): ("dc_transformer_temperature", 1),
        (INVERTER, "inverter_temperature_c.heatsink"): ("radiator_temperature", 1),
        (INVERTER, "energy_total_kwh"): ("total_pv_energy", 1),
        (INVERTER, "energy_today_kwh"): ("day_pv_energy", 1),
        (INVERTER, "dc_voltage_v.pv1"): ("pv1_voltage", 1),
        (INVERTER, "dc_current_a.pv1"): ("pv1_current", 1),
        (INVERTER, "dc_power_kw.pv1"): ("pv1_power", 1000),
        (INVERTER, "dc_voltage_v.pv2"): ("pv2_voltage", 1),
        (INVERTER, "dc_current_a.pv2"): ("pv2_current", 1),
        (INVERTER, "dc_power_kw.pv2"): ("pv2_power", 1000),
        (INVERTER, "ac_voltage_v.l1"): ("inverter_voltage", 1),
        (INVERTER, "ac_current_a.l1"): ("inverter_current", 1),
        (INVERTER, "ac_power_kw"): ("inverter_power", 1000),
        (BATTERY, "battery_charge_energy_total_kwh"): ("total_battery_charge", 1),
        (BATTERY, "battery_discharge_energy_total_kwh"): ("total_battery_discharge", 1),
        (BATTERY, "battery_temperature_c"): ("battery_temperature", 1),
        (BATTERY, "battery_voltage_v"): ("battery_voltage", 1),
        (BATTERY, "battery_soc_percent"): ("battery_soc", 1),
        (BATTERY, "battery_power_kw"): ("battery_power", 1000),
        (BATTERY, "battery_current_a"): ("battery_current", 1),
        (METER, "grid_frequency_hz"): ("grid_frequency", 1),
        (METER, "grid_import_energy_today_kwh"): ("day_grid_import", 1),
        (METER, "grid_export_energy_today_kwh"): ("day_grid_export", 1),
        (METER, "grid_import_energy_total_kwh"): ("total_grid_import", 1),
        (METER, "grid_export_energy_total_kwh"): ("total_grid_export", 1),
        (METER, "load_energy_total_kwh"): ("total_load_energy", 1),
        (METER, "ac_voltage_v.l1"): ("grid_voltage", 1),
        (METER, "ac_current_a.l1"): ("grid_current", 1),
        (METER, "grid_power_kw"): ("grid_ct_power", 1000),
        (METER, "load_power_kw"): ("load_power", 1000),
    },
)

THREE_PHASE = Platform(
    profile="deye_3p_hybrid",
    tables="sunsynk.definitions3ph",
    last=700,
    fixed={0: 5},
    at_most={21: 4},
    never_zero=(540, 541, 586),
    same={
        (INVERTER, "rated_power_kw"): ("rated_power", 1000),
        (INVERTER, "grid_frequency_hz"): ("grid_frequency", 1),
        (INVERTER, "inverter_temperature_c.transformer"): ("dc_transformer_temperature", 1),
        (INVERTER, "inverter_temperature_c.heatsink"): ("radiator_temperature", 1),
        (INVERTER, "energy_total_kwh"): ("total_pv_energy", 1),
        (INVERTER, "energy_today_kwh"): ("day_pv_energy", 1),
        (INVERTER, "dc_voltage_v.pv1"): ("pv1_voltage", 1),
        (INVERTER, "dc_current_a.pv1"): ("pv1_current", 1),
        (INVERTER, "dc_power_kw.pv1"): ("pv1_power", 1000),
        (INVERTER, "dc_voltage_v.pv4"): ("pv4_voltage", 1),
        (INVERTER, "dc_current_a.pv4"): ("pv4_current", 1),
        (INVERTER, "dc_power_kw.pv4"): ("pv4_power", 1000),
        (INVERTER, "ac_voltage_v.l1"): ("inverter_voltage", 1),
        (INVERTER, "ac_power_kw"): ("inverter_power", 1000),
        (INVERTER, "ac_power_kw.l1"): ("inverter_l1_power", 1000),
        (INVERTER, "ac_power_kw.l2"): ("inverter_l2_power", 1000),
        (INVERTER, "ac_power_kw.l3"): ("inverter_l3_power", 1000),
        (BATTERY, "battery_charge_energy_total_kwh"): ("total_battery_charge", 1),
        (BATTERY, "battery_discharge_energy_total_kwh"): ("total_battery_discharge", 1),
        (BATTERY, "battery_temperature_c"): ("battery_temperature", 1),
        (BATTERY, "battery_voltage_v"): ("battery_voltage", 1),
        (BATTERY, "battery_soc_percent"): ("battery_soc", 1),
        (BATTERY, "battery_power_kw"): ("battery_power", 1000),
        (BATTERY, "battery_current_a"): ("battery_current", 1),
        (METER, "grid_import_energy_today_kwh"): ("day_grid_import", 1),
        (METER, "grid_export_energy_today_kwh"): ("day_grid_export", 1),
        (METER, "grid_import_energy_total_kwh"): ("total_grid_import", 1),
        (METER, "grid_export_energy_total_kwh"): ("total_grid_export", 1),
        (METER, "load_energy_total_kwh"): ("total_load_energy", 1),
        (METER, "ac_voltage_v.l3"): ("grid_voltage", 1),
        (METER, "grid_power_kw"): ("grid_power", 1000),
        (METER, "grid_power_kw.l1"): ("grid_l1_power", 1000),
        (METER, "grid_power_kw.l2"): ("grid_l2_power", 1000),
        (METER, "grid_power_kw.l3"): ("grid_l3_power", 1000),
        (METER, "load_power_kw"): ("load_power", 1000),
        (METER, "load_power_kw.l1"): ("load_l1_power", 1000),
        (METER, "load_power_kw.l2"): ("load_l2_power", 1000),
        (METER, "load_power_kw.l3"): ("load_l3_power", 1000),
    },
)

PROFILES = {platform.profile: ProfileLibrary().modbus(platform.profile) for platform in (ONE_PHASE, THREE_PHASE)}
PLATFORMS = pytest.mark.parametrize("platform", [ONE_PHASE, THREE_PHASE], ids=["one_phase", "three_phase"])


@pytest.fixture(scope="module", autouse=True)
def _mqtt_entity() -> Iterator[None]:
    """`sunsynk` takes two texts from `mqtt_entity`, a client for home automation that nothing here uses and that is not installed."""
    utils = ModuleType("mqtt_entity.utils")
    utils.__dict__.update(BOOL_ON="ON", BOOL_OFF="OFF")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "mqtt_entity", ModuleType("mqtt_entity"))
        patch.setitem(sys.modules, "mqtt_entity.utils", utils)
        yield


def sensors_of(platform: Platform) -> dict[str, Any]:
    return dict(importlib.import_module(platform.tables).SENSORS.all)


def said(sensor: Any, image: Mapping[int, int]) -> Any:
    return sensor.reg_to_value(tuple(image[address] for address in sensor.address))


def random_image(platform: Platform, chance: random.Random) -> dict[int, int]:
    """Any words at all, but for what the platform's notes exclude."""
    count = platform.last + 1
    image = dict(enumerate(struct.unpack(f"<{count}H", chance.randbytes(2 * count)))) | dict(platform.fixed)
    image |= {address: chance.randint(0, highest) for address, highest in platform.at_most.items()}
    return image | {address: chance.randint(1, 0xFFFF) for address in platform.never_zero}


def row_of(profile: Profile, device_type: DeviceType, metric: str, *, image: Mapping[int, int]) -> Row:
    """The row that gives a metric on this device."""
    (row,) = (
        each
        for each in profile.rows_for(device_type)
        if each.metric == metric and all(condition.holds(image[condition.address]) for condition in each.when)
    )
    return row


async def read(platform: Platform, device_type: DeviceType, image: dict[int, int]) -> dict[str, Value]:
    driver = ProfileDriver(
        FakeBus(image), 1, profile=PROFILES[platform.profile], device_type=device_type, clock=SystemClock()
    )
    return dict((await driver.read()).values)


async def read_all(platform: Platform, image: dict[int, int]) -> dict[tuple[DeviceType, str], Value]:
    return {
        (device_type, key): value
        for device_type in (INVERTER, BATTERY, METER)
        for key, value in (await read(platform, device_type, image)).items()
    }


def theirs_of(platform: Platform, image: dict[int, int]) -> dict[tuple[DeviceType, str], float]:
    sensors = sensors_of(platform)
    return {key: said(sensors[name], image) / units for key, (name, units) in platform.same.items()}


def is_alike(ours: Value, theirs: float) -> bool:
    """The package multiplies binary fractions, we decimal ones: equal but for the last bit."""
    return isinstance(ours, float) and math.isclose(ours, theirs, rel_tol=1e-12)


@pytest.mark.slow
@PLATFORMS
def test_ten_thousand_images_decode_alike(platform: Platform) -> None:
    sensors, profile = sensors_of(platform), PROFILES[platform.profile]
    chance = random.Random(platform.profile)  # noqa: S311 - any images will do, the same ones each time
    first = random_image(platform, chance)
    pairs = [
        (row_of(profile, device_type, metric, image=first), sensors[name], units)
        for (device_type, metric), (name, units) in platform.same.items()
    ]
    for _ in range(IMAGES):
        image = random_image(platform, chance)
        for row, sensor, units in pairs:
            ours = decode(row, [image[address] for address in row.words], order=profile.order_of(row))
            theirs = said(sensor, image) / units
            assert is_alike(ours, theirs), f"{row.metric} from {row.words}: {ours} is not {theirs}"


@PLATFORMS
@given(seed=st.integers(0, 2**32))
async def test_whole_readings_are_alike(platform: Platform, seed: int) -> None:
    image = random_image(platform, random.Random(seed))  # noqa: S311 - no secret
    values = await read_all(platform, image)
    assert [key for key, theirs in theirs_of(platform, image).items() if not is_alike(values[key], theirs)] == []


@PLATFORMS
@given(seed=st.integers(0, 2**32))
async def test_the_same_faults_are_told(platform: Platform, seed: int) -> None:
    sensor = sensors_of(platform)["fault"]
    image = random_image(platform, random.Random(seed))  # noqa: S311 - no secret
    codes = (await read(platform, INVERTER, image))["fault_codes"]
    # The package writes F01 and adds a text, which it looks up wrongly; the numbers are right.
    theirs = {int(fault.split()[0].removeprefix("F")) for fault in said(sensor, image).split(", ")}
    assert {int(code.removeprefix("deye_hybrid:F")) for code in str(codes).split()} == theirs


async def test_the_recording_is_read_alike() -> None:
    image = holding_of("sunsynk_sg01lp1_3k6")
    values = await read_all(ONE_PHASE, image)
    assert [key for key, theirs in theirs_of(ONE_PHASE, image).items() if not is_alike(values[key], theirs)] == []
    assert said(sensors_of(ONE_PHASE)["overall_state"], image) == "ok"
    assert values[INVERTER, "operating_state"] == "producing"


@PLATFORMS
def test_everything_that_both_know_is_compared(platform: Platform) -> None:
    """Of the package's sensors whose registers we read, only those stay out that are no values of ours."""
    ours = {row.words for row in PROFILES[platform.profile].rows}
    compared = {name for name, _ in platform.same.values()} | {"fault", "overall_state", "device_type", "sd_status"}
    both = {name for name, sensor in sensors_of(platform).items() if tuple(sensor.address) in ours}
    assert both - compared <= {
        f"pv{number}_{quantity}" for number in (2, 3) for quantity in ("power", "voltage", "current")
    }
