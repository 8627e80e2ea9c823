"""From SunSpec points to the metric catalogue: batteries. Pure.

A battery system speaks models 802 and 803 (with 804 for each string and 805 for each module), a hybrid inverter with a battery speaks 713
and the storage ports of 714, or the older 124 with the storage inputs of 160. What several of them say is taken from the first in this
order.

Signs: the models leave the direction of 802 W and A open. Where the device says that it charges or discharges (ChaSt), the direction is
taken from there; else a positive number is taken as discharging, as batteries are seen to send it. Ports and inputs count what goes into
the inverter as positive.
"""

from collections.abc import Mapping
from decimal import Decimal

from edge_agent.drivers.sunspec_dc import DcInput, dc_inputs
from edge_agent.drivers.sunspec_models import DecodedModel, Point
from edge_agent.drivers.sunspec_points import KILO, ONE, Models, Table, codes, first, mapped, number, total
from shared.enums import OperatingState, Quality
from shared.readings import Value

BASE_MODEL = 802
BANK_MODEL = 803
STRING_MODEL = 804
MODULE_MODEL = 805
CAPACITY_MODEL = 713
BASIC_MODEL = 124
BATTERY_MODELS = (BASE_MODEL, CAPACITY_MODEL, BASIC_MODEL, BANK_MODEL, STRING_MODEL, MODULE_MODEL)
"""Each of them says enough for a reading, in the order of preference."""

MAX_CHANNELS = 8

_DISCHARGING, _CHARGING, _HOLDING = 3, 4, 6
_ACTIVITIES = {
    1: OperatingState.OFF,
    2: OperatingState.STANDBY,  # empty
    _DISCHARGING: OperatingState.PRODUCING,
    _CHARGING: OperatingState.CHARGING_ONLY,
    5: OperatingState.STANDBY,  # full
    _HOLDING: OperatingState.STANDBY,
    7: OperatingState.STANDBY,  # testing
}
"""Point ChaSt of models 802 and 124."""

_STATES = {
    1: OperatingState.OFF,
    2: OperatingState.STARTING,
    4: OperatingState.STANDBY,
    5: OperatingState.STANDBY,  # protects itself against an extreme state of charge
    6: OperatingState.SHUTTING_DOWN,
    99: OperatingState.FAULT,
}
"""Point State of model 802; 3 is "connected", which says nothing about what it does."""
_CONNECTED = 3

_BASE: Table = {
    "SoC": ("battery_soc_percent", ONE),
    "SoH": ("battery_soh_percent", ONE),
    "NCyc": ("battery_cycles_total", ONE),
    "V": ("battery_voltage_v", ONE),
    "CellVMin": ("battery_cell_voltage_min_v", ONE),
    "CellVMax": ("battery_cell_voltage_max_v", ONE),
}
_BANK: Table = {
    "ModTmpAvg": ("battery_temperature_c", ONE),
    "ModTmpMin": ("battery_temperature_c.min", ONE),
    "ModTmpMax": ("battery_temperature_c.max", ONE),
}
_MODULE_TEMPERATURES: Table = {
    "CellTmpAvg": ("battery_temperature_c", ONE),
    "CellTmpMin": ("battery_temperature_c.min", ONE),
    "CellTmpMax": ("battery_temperature_c.max", ONE),
}
_BASIC: Table = {"ChaState": ("battery_soc_percent", ONE), "InBatV": ("battery_voltage_v", ONE)}
_CAPACITY: Table = {"SoC": ("battery_soc_percent", ONE), "SoH": ("battery_soh_percent", ONE)}
_EVENTS = {"Evt1": "evt1", "Evt2": "evt2", "EvtVnd1": "evtvnd1", "EvtVnd2": "evtvnd2"}


def battery_values(models: Models) -> tuple[dict[str, Value], Quality]:
    """Values of a battery, from what was read of it.

    Returns:
        Values of the models that are there, and `Quality.DERIVED` if several inputs of an inverter had to be put together.
    """
    values: dict[str, Value] = {}
    base, bank, basic = first(models, BASE_MODEL), first(models, BANK_MODEL), first(models, BASIC_MODEL)
    if base is not None:
        _fill(values, _base_values(base))
    if bank is not None:
        _fill(values, mapped(bank.points, _BANK) | _string_channels(bank))
    _fill(values, _parts_values(models, STRING_MODEL, {**_BASE, **_BANK}))
    _fill(values, _parts_values(models, MODULE_MODEL, {**_BASE, **_MODULE_TEMPERATURES}))
    capacity = first(models, CAPACITY_MODEL)
    if capacity is not None:
        _fill(values, mapped(capacity.points, _CAPACITY) | _capacity_state(capacity))
    if basic is not None:
        _fill(values, mapped(basic.points, _BASIC) | {"vendor_state_code": number(basic.points["ChaSt"])})
    storage = tuple(each for each in dc_inputs(models) if each.is_storage)
    from_inputs = {key: value for key, value in _input_values(storage).items() if values.get(key) is None}
    _fill(values, from_inputs)
    if basic is not None:
        _fill(values, {"operating_state": _activity(basic.points["ChaSt"], values.get("battery_power_kw"))})
    _fill(values, {"fault_codes": codes(_event_fields(models, storage))})
    is_derived = len(storage) > 1 and any(value is not None for value in from_inputs.values())
    return values, Quality.DERIVED if is_derived else Quality.GOOD


def _fill(values: dict[str, Value], more: Mapping[str, Value]) -> None:
    """Add what nobody has said so far."""
    for key, value in more.items():
        if values.get(key) is None:
            values[key] = value


def _base_values(base: DecodedModel) -> dict[str, Value]:
    points = base.points
    status = points["ChaSt"]
    power = number(_directed(points["W"], status), KILO)
    own_state = points["StateVnd"]
    return mapped(points, _BASE) | {
        "battery_power_kw": power,
        "battery_current_a": number(_directed(points["A"], status)),
        "operating_state": _base_state(points["State"], status, power),
        "vendor_state_code": number(points["State"] if own_state is None else own_state),
    }


def _directed(point: Point, status: Point) -> Point:
    """A power or current with the sign of what the battery says it does."""
    if not isinstance(point, Decimal):
        return None
    if status == _DISCHARGING:
        return abs(point)
    return -abs(point) if status == _CHARGING else point


def _base_state(state: Point, status: Point, power: float | None) -> str | None:
    if not isinstance(state, Decimal):
        return _activity(status, power)
    if state == _CONNECTED:
        return _activity(status, power) or OperatingState.STANDBY.value
    return _STATES.get(int(state), OperatingState.UNKNOWN).value


def _activity(status: Point, power: Value) -> str | None:
    """What a battery does, from its charge status, or from the sign of its power (discharging is positive)."""
    if isinstance(status, Decimal):
        return _ACTIVITIES.get(int(status), OperatingState.UNKNOWN).value
    if not isinstance(power, float):
        return None
    return _ACTIVITIES[_DISCHARGING if power > 0 else _CHARGING if power < 0 else _HOLDING].value


def _capacity_state(capacity: DecodedModel) -> dict[str, Value]:
    """Model 713 says whether the storage is well, not what it does."""
    status = capacity.points["Sta"]
    is_broken = isinstance(status, Decimal) and int(status) == 2
    return {
        "vendor_state_code": number(status),
        "operating_state": OperatingState.FAULT.value if is_broken else None,
    }


def _string_channels(bank: DecodedModel) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for channel, string in enumerate(bank.repeated("string")[:MAX_CHANNELS], start=1):
        values[f"battery_soc_percent.bat{channel}"] = number(string["StrSoC"])
        values[f"battery_current_a.bat{channel}"] = number(string["StrA"])
        values[f"battery_temperature_c.bat{channel}"] = number(string["StrModTmpAvg"])
    return values


def _parts_values(models: Models, model_id: int, table: Table) -> dict[str, Value]:
    """Values of the strings or modules of which each has its own model; a single one is the whole battery."""
    parts = models.get(model_id, ())
    if len(parts) == 1:
        return mapped(parts[0].points, table) | (
            {"battery_current_a": number(parts[0].points["A"])} if "A" in parts[0].points else {}
        )
    values: dict[str, Value] = {}
    for channel, part in enumerate(parts[:MAX_CHANNELS], start=1):
        values[f"battery_soc_percent.bat{channel}"] = number(part.points["SoC"])
        values[f"battery_voltage_v.bat{channel}"] = number(part.points["V"])
        if "A" in part.points:
            values[f"battery_current_a.bat{channel}"] = number(part.points["A"])
    values |= _extremes(parts_values=[mapped(part.points, table) for part in parts])
    return values


def _extremes(*, parts_values: list[dict[str, Value]]) -> dict[str, Value]:
    """The lowest and the highest of several parts; only if all of them say theirs."""
    values: dict[str, Value] = {}
    for key, pick in (
        ("battery_cell_voltage_min_v", min),
        ("battery_cell_voltage_max_v", max),
        ("battery_temperature_c.min", min),
        ("battery_temperature_c.max", max),
    ):
        said = [value for part in parts_values if isinstance(value := part.get(key), float)]
        if parts_values and len(said) == len(parts_values):
            values[key] = pick(said)
    return values


def _input_values(storage: tuple[DcInput, ...]) -> dict[str, Value]:
    """What an inverter measures where its battery hangs."""
    if not storage:
        return {}
    signed = [each.power * each.direction if isinstance(each.power, Decimal) else None for each in storage]
    currents = [each.current * each.direction if isinstance(each.current, Decimal) else None for each in storage]
    voltages = [each.voltage for each in storage if isinstance(each.voltage, Decimal)]
    values: dict[str, Value] = {
        "battery_power_kw": number(total(signed), KILO),
        "battery_current_a": number(total(currents)),
        "battery_voltage_v": number(max(voltages, default=None)),  # the idle direction shows 0
        "battery_discharge_energy_total_kwh": number(_energy(storage, direction=1), KILO),
        "battery_charge_energy_total_kwh": number(_energy(storage, direction=-1), KILO),
    }
    temperatures = [each.temperature for each in storage if isinstance(each.temperature, Decimal)]
    if temperatures:
        values["battery_temperature_c"] = number(max(temperatures))
    return values


def _energy(storage: tuple[DcInput, ...], *, direction: int) -> Decimal | None:
    """Wh discharged (1) or charged (-1): of the inputs that count this direction."""
    is_one_way = any(each.direction < 0 for each in storage)
    counting = [each for each in storage if not is_one_way or each.direction == direction]
    return total(each.injected if direction > 0 else each.absorbed for each in counting)


def _event_fields(models: Models, storage: tuple[DcInput, ...]) -> dict[str, Point]:
    base = first(models, BASE_MODEL)
    fields = {short: base.points[name] for name, short in _EVENTS.items()} if base is not None else {}
    bank = first(models, BANK_MODEL)
    for number_, string in enumerate(bank.repeated("string") if bank is not None else (), start=1):
        fields[f"string{number_}.evt1"] = string["StrEvt1"]
    for number_, part in enumerate(models.get(STRING_MODEL, ()), start=1):
        fields.setdefault(f"string{number_}.evt1", part.points["Evt1"])
    return fields | {each.name: each.alarms for each in storage}
