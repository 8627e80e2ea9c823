"""The GoodWe profiles read what the `goodwe` package reads: recordings of real devices, and random register images.

The package prints a 0 or a -1 where the device says "not available" (0xFFFF); the profiles give no value there, and that is checked too.
"""

import json
import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
from goodwe.dt import DT
from goodwe.et import ET
from goodwe.inverter import Sensor
from goodwe.protocol import ProtocolResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import SystemClock
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RefusedAddressError
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType
from shared.readings import Value
from tests.captures import FOLDER
from tests.modbus_server import FakeBus

LIBRARY = ProfileLibrary()
NOT_AVAILABLE = 0xFFFF

# Our key -> the package's name, and how many of the package's units are one of ours.
Names = dict[str, tuple[str, float]]

DT_INVERTER: Names = {
    **{f"dc_voltage_v.pv{n}": (f"vpv{n}", 1) for n in (1, 2, 3, 4)},
    **{f"dc_current_a.pv{n}": (f"ipv{n}", 1) for n in (1, 2, 3, 4)},
    **{f"ac_voltage_v.l{n}": (f"vgrid{n}", 1) for n in (1, 2, 3)},
    **{f"ac_current_a.l{n}": (f"igrid{n}", 1) for n in (1, 2, 3)},
    "ac_voltage_v.l1_l2": ("vline1", 1),
    "ac_voltage_v.l2_l3": ("vline2", 1),
    "ac_voltage_v.l3_l1": ("vline3", 1),
    "grid_frequency_hz": ("fgrid1", 1),
    "ac_power_kw": ("total_inverter_power", 1000),
    "vendor_state_code": ("work_mode", 1),
    "ac_apparent_power_kva": ("apparent_power", 1000),
    "ac_reactive_power_kvar": ("reactive_power", 1000),
    "power_factor": ("power_factor", 1),
    "inverter_temperature_c": ("temperature", 1),
    "inverter_temperature_c.heatsink": ("temperature_heatsink", 1),
    "energy_today_kwh": ("e_day", 1),
    "energy_total_kwh": ("e_total", 1),
}
DT_ROUNDED: Names = {
    "dc_power_kw": ("ppv", 1000),
    **{f"dc_power_kw.pv{n}": (f"ppv{n}", 1000) for n in (1, 2, 3, 4)},
}
"""Products of voltage and current, which the package rounds to whole watts, each input before it is added."""

MILLI = frozenset({"grid_export_energy_total_kwh", "grid_import_energy_total_kwh"})
"""Floats in Wh, which the package rounds to whole ones."""

DT_METER: Names = {
    "grid_power_kw": ("meter_active_power", -1000),
    "grid_export_energy_total_kwh": ("meter_e_total_exp", 1),
    "grid_import_energy_total_kwh": ("meter_e_total_imp", 1),
}
ET_INVERTER: Names = {
    **{f"dc_voltage_v.pv{n}": (f"vpv{n}", 1) for n in (1, 2, 3, 4)},
    **{f"dc_current_a.pv{n}": (f"ipv{n}", 1) for n in (1, 2, 3, 4)},
    **{f"dc_power_kw.pv{n}": (f"ppv{n}", 1000) for n in (1, 2, 3, 4)},
    "dc_power_kw": ("ppv", 1000),
    **{f"ac_voltage_v.l{n}": (f"vgrid{n if n > 1 else ''}", 1) for n in (1, 2, 3)},
    **{f"ac_current_a.l{n}": (f"igrid{n if n > 1 else ''}", 1) for n in (1, 2, 3)},
    **{f"ac_power_kw.l{n}": (f"pgrid{n if n > 1 else ''}", 1000) for n in (1, 2, 3)},
    "grid_frequency_hz": ("fgrid", 1),
    "ac_power_kw": ("total_inverter_power", 1000),
    "ac_reactive_power_kvar": ("reactive_power", 1000),
    "ac_apparent_power_kva": ("apparent_power", 1000),
    **{f"backup_power_kw.l{n}": (f"backup_p{n}", 1000) for n in (1, 2, 3)},
    "backup_power_kw": ("backup_ptotal", 1000),
    "inverter_temperature_c.cabinet": ("temperature_air", 1),
    "inverter_temperature_c": ("temperature", 1),
    "vendor_state_code": ("work_mode", 1),
    "energy_total_kwh": ("e_total", 1),
    "energy_today_kwh": ("e_day", 1),
}
ET_BATTERY: Names = {
    "battery_voltage_v": ("vbattery1", 1),
    "battery_current_a": ("ibattery1", 1),
    "battery_power_kw": ("pbattery1", 1000),
    "vendor_state_code": ("battery_mode", 1),
    "battery_charge_energy_total_kwh": ("e_bat_charge_total", 1),
    "battery_discharge_energy_total_kwh": ("e_bat_discharge_total", 1),
    "battery_voltage_v.bat2": ("vbattery2", 1),
    "battery_current_a.bat2": ("ibattery2", 1),
    "battery_power_kw.bat2": ("pbattery2", 1000),
    "battery_temperature_c": ("battery_temperature", 1),
    "battery_soc_percent": ("battery_soc", 1),
    "battery_soh_percent": ("battery_soh", 1),
}
BAT2 = frozenset({"battery_voltage_v.bat2", "battery_current_a.bat2", "battery_power_kw.bat2"})

ET_CELLS: Names = {
    "battery_temperature_c.max": ("battery_max_cell_temp", 1),
    "battery_temperature_c.min": ("battery_min_cell_temp", 1),
    "battery_cell_voltage_max_v": ("battery_max_cell_voltage", 1),
    "battery_cell_voltage_min_v": ("battery_min_cell_voltage", 1),
}
MAY_BE_ZERO = frozenset(ET_CELLS)
"""0 in packs that do not tell: no value."""

ET_METER: Names = {
    "load_power_kw": ("load_ptotal", 1000),
    **{f"load_power_kw.l{n}": (f"load_p{n}", 1000) for n in (1, 2, 3)},
    "load_energy_total_kwh": ("e_load_total", 1),
    "grid_frequency_hz": ("meter_freq", 1),
    **{f"grid_power_kw.l{n}": (f"meter_active_power{n}", -1000) for n in (1, 2, 3)},
    "grid_power_kw": ("meter_active_power_total", -1000),
    "ac_reactive_power_kvar": ("meter_reactive_power_total", 1000),
    **{f"ac_voltage_v.l{n}": (f"meter_voltage{n}", 1) for n in (1, 2, 3)},
    **{f"ac_current_a.l{n}": (f"meter_current{n}", 1) for n in (1, 2, 3)},
    "grid_export_energy_total_kwh": ("meter_e_total_exp", 1),
    "grid_import_energy_total_kwh": ("meter_e_total_imp", 1),
}
NAMES: dict[str, dict[DeviceType, Names]] = {
    "goodwe_dt": {DeviceType.INVERTER: DT_INVERTER | DT_ROUNDED, DeviceType.METER: DT_METER},
    "goodwe_et": {
        DeviceType.INVERTER: ET_INVERTER,
        DeviceType.BATTERY: ET_BATTERY | ET_CELLS,
        DeviceType.METER: ET_METER,
    },
}
SENSORS: dict[str, tuple[Sensor, ...]] = {
    # Private names, because the package filters its sensors by type designation; here all of them are of interest.
    "goodwe_dt": (*DT._DT__all_sensors, *DT._DT__all_sensors_meter),
    "goodwe_et": (
        *ET._ET__all_sensors,
        *ET._ET__all_sensors_battery,
        *ET._ET__all_sensors_battery2_extended,
        *ET._ET__all_sensors_meter,
    ),
}


def words_of(sensor: Sensor) -> int:
    """Registers of a sensor; `size_` does not tell for all of them, their classes do."""
    kind = type(sensor).__name__
    if kind == "Energy8":
        return 4
    return 2 if kind in {"Float", "Long", "EnumBitmap4"} or kind.rstrip("SW").endswith("4") else 1


async def read(profile: str, device_type: DeviceType, bus: FakeBus) -> Mapping[str, Value]:
    driver = ProfileDriver(
        bus, 1, profile=LIBRARY.modbus(profile), device_type=device_type, clock=SystemClock(), rated_power_kw=None
    )
    return (await driver.read()).values


# --- recordings ---------------------------------------------------------------------------------------------------------------------


class RecordedBus(FakeBus):
    """A device that also refused some reads as a whole, though each register in them may answer alone."""

    illegal: frozenset[tuple[int, int]] = frozenset()

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        if (address, count) in self.illegal:
            raise RefusedAddressError(f"{address} x {count} was refused")
        return await super().read(unit, function, address=address, count=count)


class Recording:
    """A recorded device and what the package reads from it."""

    def __init__(self, name: str) -> None:
        dump = json.loads((FOLDER / f"{name}.dump.json").read_text())
        self.profile = "_".join(name.split("_")[:2])
        self.words = {int(address): word for address, word in dump["holding"].items()}
        self.has_meter = 36025 in self.words or 30195 in self.words
        self.illegal = frozenset((first, count) for first, count, _ in dump["illegal_reads"])
        self.said: dict[str, dict[str, Any]] = json.loads((FOLDER / f"{name}.expected.json").read_text())["values"]

    def bus(self) -> RecordedBus:
        bus = RecordedBus(dict(self.words))
        bus.illegal = self.illegal
        return bus

    def expected(self, name: str, factor: float) -> float | None:
        """The package's value in our unit; None where the device has no such registers or holds 0xFFFF in all of them."""
        said = self.said[name]
        first = said["register"]
        sensor = next((each for each in SENSORS[self.profile] if (each.id_, each.offset) == (name, first)), None)
        if sensor is not None and first:
            words = {self.words.get(first + position) for position in range(words_of(sensor))}
            if None in words or words == {NOT_AVAILABLE}:
                return None
        return None if said["value"] is None else said["value"] / factor


RECORDINGS = sorted(path.name.removesuffix(".dump.json") for path in FOLDER.glob("goodwe_*.dump.json"))


def is_equal(value: Value, expected: float | None, *, tolerance: float = 1e-9) -> bool:
    if not isinstance(value, float) or expected is None:
        return value is None and expected is None
    return math.isclose(value, expected, rel_tol=1e-7, abs_tol=tolerance)


def tolerance_of(profile: str, key: str) -> float:
    if profile == "goodwe_dt" and key in DT_ROUNDED:
        return 0.0005 * len(DT_ROUNDED)
    return 0.0005 if key in MILLI else 1e-9


def test_the_recordings_are_there() -> None:
    assert len(RECORDINGS) == 6


@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recording_reads_as_the_package_reads_it(name: str) -> None:
    recording = Recording(name)
    wrong: list[str] = []
    compared = 0
    for device_type, names in NAMES[recording.profile].items():
        if device_type is DeviceType.METER and not recording.has_meter:
            continue
        values = await read(recording.profile, device_type, recording.bus())
        for key, (other, factor) in names.items():
            if other not in recording.said:
                continue
            expected = recording.expected(other, factor)
            if key in MAY_BE_ZERO and expected == 0:
                expected = None
            compared += 1
            if not is_equal(values.get(key), expected, tolerance=tolerance_of(recording.profile, key)):
                wrong.append(f"{device_type.value} {key}: {values.get(key)!r}, {other} says {expected!r}")
    assert wrong == []
    assert compared >= 20


@pytest.mark.parametrize("name", RECORDINGS)
async def test_states_and_faults_of_a_recording(name: str) -> None:
    recording = Recording(name)
    values = await read(recording.profile, DeviceType.INVERTER, recording.bus())
    assert recording.said["work_mode_label"]["value"].startswith("Normal")
    assert values["operating_state"] == "producing"
    assert recording.said["error_codes"]["value"] == 0
    assert values["fault_codes"] == ""


async def test_leftovers_in_the_phases_of_a_single_phase_type_are_no_values() -> None:
    recording = Recording("goodwe_et_GEH10_1U_10_Test")
    assert recording.words[35126] == 1788, "178.8 V on a phase that is not there"
    values = await read("goodwe_et", DeviceType.INVERTER, recording.bus())
    assert values["ac_voltage_v.l1"] == 242.9
    assert not [key for key in values if key.endswith((".l2", ".l3"))]


async def test_without_a_meter_block_the_inverter_itself_tells_the_grid_power() -> None:
    recording = Recording("goodwe_et_GEH10_1U_10_Test")
    values = await read("goodwe_et", DeviceType.METER, recording.bus())
    assert recording.said["grid_in_out_label"]["value"] == "Exporting"
    assert values["grid_power_kw"] == -recording.said["active_power"]["value"] / 1000
    assert values["load_power_kw"] == recording.said["load_ptotal"]["value"] / 1000
    assert values["grid_export_energy_total_kwh"] is None


async def test_a_device_that_hides_its_rating_is_read_like_a_small_one() -> None:
    recording = Recording("goodwe_et_GEH10_1U_10_Test")
    shown = await read("goodwe_et", DeviceType.INVERTER, recording.bus())
    recording.words = {address: word for address, word in recording.words.items() if address >= 35100}
    hidden = await read("goodwe_et", DeviceType.INVERTER, recording.bus())
    assert hidden == {**shown, "rated_power_kw": None}
    assert hidden["ac_power_kw"] == 8.71


async def test_a_string_inverter_without_a_meter_says_that_it_has_no_such_registers() -> None:
    recording = Recording("goodwe_dt_GW8K_DT_Test")
    with pytest.raises(DriverError, match="none of the registers"):
        await read("goodwe_dt", DeviceType.METER, recording.bus())


# --- random register images ---------------------------------------------------------------------------------------------------------

SPANS = {"goodwe_dt": range(30000, 30300), "goodwe_et": range(35000, 37100)}


class Window:
    """What `ProtocolResponse` wants to know of the request: where an address lies in the answer."""

    def __init__(self, first: int) -> None:
        self.first = first

    def trim_response(self, raw: bytes) -> bytes:
        return raw

    def get_offset(self, address: int) -> int:
        return 2 * (address - self.first)


def package_says(profile: str, words: Mapping[int, int]) -> dict[str, Any]:
    raw = b"".join(word.to_bytes(2, "big") for word in words.values())
    answer = ProtocolResponse(raw, Window(min(words)))
    wanted = {other for names in NAMES[profile].values() for other, _ in names.values()}
    return {sensor.id_: sensor.read(answer) for sensor in SENSORS[profile] if sensor.id_ in wanted}


RATED_W = 35001


def has_second_battery(words: Mapping[int, int]) -> bool:
    return words[RATED_W] >= 25_000 and words[35266] > 0


RANGES = {
    "Voltage": (0, 9000),
    "CellVoltage": (1, 4500),
    "Current": (0, 990),
    "CurrentS": (-990, 990),
    "Frequency": (4500, 5500),
    "PowerS": (-32000, 32000),
    "Power4": (0, 32000),
    "Power4S": (-40000, 40000),
    "Apparent": (-32000, 32000),
    "Reactive": (-32000, 32000),
    "Apparent4": (0, 40000),
    "Reactive4": (-40000, 40000),
    "Temp": (1, 900),
    "Energy": (0, 60000),
    "Energy4": (0, 2**31),
    "Energy4W": (0, 2**31),
    "Energy8": (0, 10**11),
    "Decimal": (-1000, 1000),
    "Integer": (0, 5),
}
"""Sane raw numbers of the package's kinds of sensors."""


def image_of(profile: str, chance: random.Random) -> dict[int, int]:
    """A register image in which every sensor has a sane number; none is -1, which is the word for "not available".

    Registers that are not described hold 0, as the devices answer them.
    """
    words = dict.fromkeys(SPANS[profile], 0)
    if profile == "goodwe_et":
        words[RATED_W] = chance.choice((6000, 10_000, 25_000, 50_000))
    for sensor in SENSORS[profile]:
        kind = type(sensor).__name__
        if kind not in RANGES or not sensor.offset:
            continue
        count = words_of(sensor)
        number = chance.randint(*RANGES[kind])
        number = 0 if number == -1 else number
        words |= _spread(sensor.offset, number, count=count)
        if profile == "goodwe_et" and kind in {"PowerS", "Apparent", "Reactive"}:
            # These are lower words of two; some firmware extends the sign into the upper one, some of smaller types does not.
            extends = words[RATED_W] == 50_000 or chance.random() < 0.5
            words[sensor.offset - 1] = NOT_AVAILABLE if number < 0 and extends else 0
    return words


def _spread(address: int, number: int, *, count: int) -> dict[int, int]:
    raw = number % (1 << 16 * count)
    return {address + position: raw >> 16 * (count - 1 - position) & 0xFFFF for position in range(count)}


@given(seed=st.integers(min_value=0, max_value=2**32))
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("profile", NAMES)
async def test_random_images_read_as_the_package_reads_them(profile: str, seed: int) -> None:
    words = image_of(profile, random.Random(seed))  # noqa: S311 - test data
    said = package_says(profile, words)
    wrong: list[str] = []
    for device_type, names in NAMES[profile].items():
        values = await read(profile, device_type, FakeBus(words))
        for key, (other, factor) in names.items():
            if key in BAT2 and not has_second_battery(words):
                assert key not in values
            elif not is_equal(values.get(key), said[other] / factor, tolerance=tolerance_of(profile, key)):
                wrong.append(f"{device_type.value} {key}: {values.get(key)!r}, {other} says {said[other] / factor!r}")
    assert wrong == []
