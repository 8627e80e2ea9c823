"""What the answers of PI30 mean, as data; pure.

PI30 is spoken by the Axpert family and what is sold of it in Pakistan: Inverex Veyron, AEROX and Axpert King, Knox Krypton and Xenon,
Tesla-PV Infini, Crown Micro Xavier and Elego, Fronus PV. Draft: from documents and published frames, not compared at a device of ours.

What it does not tell: the power taken from the grid, and in the base protocol any energy; the cloud then integrates the powers.
Signs: discharging is positive.

Sources: RS232 protocol document of the Axpert series (HS/MS/MSX, MAX); mpp-solar 0.16 (protocols pi30, pi30max).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from shared.enums import DeviceType, OperatingState
from shared.readings import Value

PROTOCOL = "PI30"
NAK = "NAK"

_NUMBER = r"-?\d+(?:\.\d+)?"
_FIELD = rf"(?:{_NUMBER}|[-.]+)"
"""A number, or dashes where there is none."""

MILLI = Decimal("0.001")
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Query:
    """A command and the shape of its answers, which differ so far that none is taken for another's.

    Attributes:
        command: as it is sent.
        shape: matches the whole answer.
    """

    command: str
    shape: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Field:
    """One place of an answer.

    Attributes:
        place: 0-based position among the fields.
        metric: of the catalogue, with its channel.
        factor: turns the device's unit into the catalogue's.
        needs_point: read only where it is written with a decimal point, see `STATUS_FIELDS`.
    """

    place: int
    metric: str
    factor: Decimal = ONE
    needs_point: bool = False


PROTOCOL_ID = Query("QPI", re.compile(r"PI\d{2,3}"))
SERIAL_NUMBER = Query("QID", re.compile(r"[0-9A-Z]{9,30}"))
MODE = Query("QMOD", re.compile(r"[A-Z]"))
WARNINGS = Query("QPIWS", re.compile(r"[01]{30,64}"))
STATUS = Query("QPIGS", re.compile(rf"{_FIELD}(?: {_FIELD}){{15}} [01]{{8}}(?: \S+)*"))
STATUS_2 = Query("QPIGS2", re.compile(rf"{_FIELD} {_FIELD} {_FIELD}"))
RATINGS = Query("QPIRI", re.compile(rf"{_FIELD}(?: {_FIELD}){{11}}(?: \S+){{4}} \d(?: \S+){{4,}}"))
PV_ENERGY = Query("QET", re.compile(r"\d{8}"))
LOAD_ENERGY = Query("QLT", re.compile(r"\d{8}"))

STATUS_FIELDS: Mapping[DeviceType, tuple[Field, ...]] = {
    DeviceType.INVERTER: (
        Field(0, "ac_voltage_v.l1"),
        Field(1, "grid_frequency_hz"),
        Field(5, "load_power_kw", MILLI),
        Field(11, "inverter_temperature_c.heatsink"),
        # Older documents have the charger's current into the battery here, in whole amperes; newer ones the modules' own, with a tenth.
        Field(12, "dc_current_a.pv1", needs_point=True),
        Field(13, "dc_voltage_v.pv1"),
        Field(19, "dc_power_kw.pv1", MILLI),
    ),
    DeviceType.BATTERY: (
        Field(8, "battery_voltage_v"),
        Field(10, "battery_soc_percent"),
    ),
}
"""QPIGS. The energy side of each device type is its own, so that two devices on one inverter never count the same twice."""

STATUS_2_FIELDS = (
    Field(0, "dc_current_a.pv2"),
    Field(1, "dc_voltage_v.pv2"),
    Field(2, "dc_power_kw.pv2", MILLI),
)
RATINGS_FIELDS = (Field(6, "rated_power_kw", MILLI),)
PV_ENERGY_FIELDS = (Field(0, "energy_total_kwh", MILLI),)
LOAD_ENERGY_FIELDS = (Field(0, "load_energy_total_kwh", MILLI),)

_GRID_VOLTAGE, _CHARGER_CURRENT, _CHARGER_BATTERY_VOLTAGE, _PV_POWER = 0, 12, 14, 19
_BATTERY_VOLTAGE, _CHARGE_CURRENT, _DISCHARGE_CURRENT, _FLAGS = 8, 9, 15, 16
_CHARGING_FLAG = 5
"""Bit 2 of b7..b0, counted from the left."""

GRID_PRESENT_V = Decimal(90)
"""Below it there is no grid to speak of: the lowest input that these inverters accept."""

STATES: Mapping[str, OperatingState] = {
    "P": OperatingState.STARTING,
    "S": OperatingState.STANDBY,
    "L": OperatingState.PRODUCING,
    "B": OperatingState.OFF_GRID,
    "F": OperatingState.FAULT,
    "H": OperatingState.SLEEPING,
    "Y": OperatingState.STANDBY,
    "D": OperatingState.OFF,
}
"""QMOD: power on, standby, line, battery, fault, power saving, bypass, shut down. `state_of` looks closer at three of them."""

CODE_PREFIX = "voltronic_pi30:"
WARNING_NAMES: Mapping[int, str] = {
    1: "inverter_fault",
    2: "bus_over",
    3: "bus_under",
    4: "bus_soft_fail",
    5: "line_fail_warning",
    6: "output_short",
    7: "inverter_voltage_low",
    8: "inverter_voltage_high",
    9: "over_temperature",
    10: "fan_locked",
    11: "battery_voltage_high",
    12: "battery_low_alarm",
    14: "battery_under_shutdown",
    15: "battery_derating",
    16: "overload",
    17: "eeprom_fault",
    18: "inverter_over_current",
    19: "inverter_soft_fail",
    20: "self_test_fail",
    21: "output_dc_over_voltage",
    22: "battery_open",
    23: "current_sensor_fail",
    24: "battery_short",
    25: "power_limit",
    26: "pv_voltage_high",
    27: "mppt_overload_fault",
    28: "mppt_overload_warning",
    29: "battery_too_low_to_charge",
}
"""QPIWS, by position from the left."""

NO_TROUBLE = frozenset({0, 35})
"""No modules' voltage (every night), and a battery that is being equalised."""


def number_at(fields: Sequence[str], place: int) -> Decimal | None:
    """The number at a place; None if there is no such field, or no number in it."""
    text = fields[place] if place < len(fields) else ""
    return Decimal(text) if re.fullmatch(_NUMBER, text) else None


def values_of(answer: str, table: Sequence[Field]) -> dict[str, Value]:
    """The values of an answer whose places are in a table; a field that the firmware does not send gives no value at all."""
    fields = answer.split()
    values: dict[str, Value] = {}
    for field in table:
        if field.place >= len(fields) or (field.needs_point and "." not in fields[field.place]):
            continue
        number = number_at(fields, field.place)
        values[field.metric] = None if number is None else float(number * field.factor)
    return values


def battery_flow(status: str) -> dict[str, Value]:
    """Current (A) and power (kW) of the battery, discharging positive, from QPIGS."""
    fields = status.split()
    charge, discharge = number_at(fields, _CHARGE_CURRENT), number_at(fields, _DISCHARGE_CURRENT)
    voltage = number_at(fields, _BATTERY_VOLTAGE)
    current = None if charge is None or discharge is None else discharge - charge
    power = None if current is None or voltage is None else voltage * current * MILLI
    return {
        "battery_current_a": None if current is None else float(current),
        "battery_power_kw": None if power is None else float(power),
    }


def charger_power(status: str) -> dict[str, Value]:
    """The modules' power (kW) where the firmware does not send it: what the charger brings to the battery's terminals, from QPIGS.

    Nothing where the firmware sends the power itself.
    """
    fields = status.split()
    if len(fields) > _PV_POWER:
        return {}
    current, voltage = number_at(fields, _CHARGER_CURRENT), number_at(fields, _CHARGER_BATTERY_VOLTAGE)
    return {"dc_power_kw.pv1": None if current is None or voltage is None else float(current * voltage * MILLI)}


def state_of(mode: str, status: str) -> OperatingState:
    """The canonical state, from QMOD and QPIGS.

    With battery priority, "battery mode" is the rule while the grid is there too: that is not off grid. In line mode at night the loads
    are on the grid and nothing is produced. In standby the charger may be at work.
    """
    fields = status.split()
    pv = number_at(fields, _PV_POWER if len(fields) > _PV_POWER else _CHARGER_CURRENT)
    if mode == "L" and pv == 0:
        return OperatingState.STANDBY
    grid_v = number_at(fields, _GRID_VOLTAGE)
    if mode == "B" and grid_v is not None and grid_v >= GRID_PRESENT_V:
        return OperatingState.PRODUCING
    if mode == "S" and fields[_FLAGS][_CHARGING_FLAG] == "1":
        return OperatingState.CHARGING_ONLY
    return STATES.get(mode, OperatingState.UNKNOWN)


def fault_codes(warnings: str) -> str:
    """The flags of QPIWS that are set, separated by blanks; an empty text is "no fault"."""
    places = (place for place, flag in enumerate(warnings) if flag == "1" and place not in NO_TROUBLE)
    return " ".join(CODE_PREFIX + WARNING_NAMES.get(place, f"bit{place}") for place in places)
