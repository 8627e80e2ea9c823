"""From SunSpec points to the metric catalogue. Pure.

Inverters: models 101-103 (integers with scale factors), 111-113 (floats), 160 (inputs), 120 (ratings). Meters: 201-204.
"""

from collections.abc import Mapping
from decimal import Decimal

from edge_agent.drivers.sunspec_models import DecodedModel, Point
from shared.enums import OperatingState, Quality
from shared.readings import Value

INVERTER_MODELS = (103, 102, 101, 113, 112, 111)
"""In the order of preference, should a device offer several."""
METER_MODELS = (203, 204, 202, 201)
INPUTS_MODEL = 160
RATINGS_MODEL = 120

MAX_PV_CHANNELS = 24

_STATES = {
    1: OperatingState.OFF,
    2: OperatingState.SLEEPING,
    3: OperatingState.STARTING,
    4: OperatingState.PRODUCING,
    5: OperatingState.PRODUCING_LIMITED,
    6: OperatingState.SHUTTING_DOWN,
    7: OperatingState.FAULT,
    8: OperatingState.STANDBY,
}
"""Point St of models 101-113."""

_KILO = Decimal("0.001")
_ONE = Decimal(1)

_INVERTER: dict[str, tuple[str, Decimal]] = {
    "W": ("ac_power_kw", _KILO),
    "VA": ("ac_apparent_power_kva", _KILO),
    "VAr": ("ac_reactive_power_kvar", _KILO),
    "Hz": ("grid_frequency_hz", _ONE),
    "WH": ("energy_total_kwh", _KILO),
    "DCW": ("dc_power_kw", _KILO),
    "DCV": ("dc_voltage_v", _ONE),
    "DCA": ("dc_current_a", _ONE),
    "TmpCab": ("inverter_temperature_c.cabinet", _ONE),
    "TmpSnk": ("inverter_temperature_c.heatsink", _ONE),
    "TmpTrns": ("inverter_temperature_c.transformer", _ONE),
    "TmpOt": ("inverter_temperature_c.other", _ONE),
}
_PHASES: dict[str, tuple[str, Decimal]] = {
    "A": ("ac_current_a", _ONE),
    "AphA": ("ac_current_a.l1", _ONE),
    "AphB": ("ac_current_a.l2", _ONE),
    "AphC": ("ac_current_a.l3", _ONE),
    "PhVphA": ("ac_voltage_v.l1", _ONE),
    "PhVphB": ("ac_voltage_v.l2", _ONE),
    "PhVphC": ("ac_voltage_v.l3", _ONE),
}
_METER: dict[str, tuple[str, Decimal]] = {
    "Hz": ("grid_frequency_hz", _ONE),
    "VA": ("ac_apparent_power_kva", _KILO),
    "VAR": ("ac_reactive_power_kvar", _KILO),
    "TotWhImp": ("grid_import_energy_total_kwh", _KILO),
    "TotWhImpPhA": ("grid_import_energy_total_kwh.l1", _KILO),
    "TotWhImpPhB": ("grid_import_energy_total_kwh.l2", _KILO),
    "TotWhImpPhC": ("grid_import_energy_total_kwh.l3", _KILO),
    "TotWhExp": ("grid_export_energy_total_kwh", _KILO),
    "TotWhExpPhA": ("grid_export_energy_total_kwh.l1", _KILO),
    "TotWhExpPhB": ("grid_export_energy_total_kwh.l2", _KILO),
    "TotWhExpPhC": ("grid_export_energy_total_kwh.l3", _KILO),
}
_GRID_POWER = {
    "W": "grid_power_kw",
    "WphA": "grid_power_kw.l1",
    "WphB": "grid_power_kw.l2",
    "WphC": "grid_power_kw.l3",
}
_INVERTER_ONLY = {
    "PPVphAB": ("ac_voltage_v.l1_l2", _ONE),
    "PPVphBC": ("ac_voltage_v.l2_l3", _ONE),
    "PPVphCA": ("ac_voltage_v.l3_l1", _ONE),
}
_METER_ONLY = {
    "PhVphAB": ("ac_voltage_v.l1_l2", _ONE),
    "PhVphBC": ("ac_voltage_v.l2_l3", _ONE),
    "PhVphCA": ("ac_voltage_v.l3_l1", _ONE),
}
_EVENTS = {"Evt1": "evt1", "Evt2": "evt2"} | {f"EvtVnd{n}": f"evtvnd{n}" for n in range(1, 5)}
_STORAGE_INPUTS = ("stcha", "stdischa")
"""Fronius hybrids name the battery's two directions so among the inputs of model 160."""


def inverter_values(model: DecodedModel, inputs: DecodedModel | None) -> tuple[dict[str, Value], Quality]:
    """Values of an inverter (models 101-113), with its inputs (model 160) where the device has them.

    Returns:
        Values, and `Quality.DERIVED` if the PV power had to be added up from the inputs.
    """
    points = model.points
    values = _mapped(points, _INVERTER | _PHASES | _INVERTER_ONLY)
    values["power_factor"] = _power_factor(points.get("PF"))
    values["inverter_temperature_c"] = _hottest(values)
    values["operating_state"] = _state(points.get("St"))
    vendor_state = points.get("StVnd")
    values["vendor_state_code"] = _number(vendor_state if vendor_state is not None else points.get("St"))
    values["fault_codes"] = _fault_codes(points)
    quality = Quality.GOOD
    if inputs is not None:
        own = _input_values(inputs)
        values |= own
        if own.get("dc_power_kw") is not None:
            quality = Quality.DERIVED
    return values, quality


def meter_values(model: DecodedModel, *, invert_sign: bool) -> dict[str, Value]:
    """Values of a meter (models 201-204).

    Args:
        model: the meter's.
        invert_sign: True for a device that counts export as positive power; energies are named by direction and stay as they are.
    """
    sign = Decimal(-1) if invert_sign else _ONE
    values = _mapped(model.points, _METER | _PHASES | _METER_ONLY)
    values |= _mapped(model.points, {name: (key, _KILO * sign) for name, key in _GRID_POWER.items()})
    values["power_factor"] = _power_factor(model.points.get("PF"))
    return values


def rating_values(model: DecodedModel) -> dict[str, Value]:
    """Values of the ratings (model 120)."""
    return _mapped(model.points, {"WRtg": ("rated_power_kw", _KILO)})


def _number(point: Point, factor: Decimal = _ONE) -> float | None:
    return float(point * factor) + 0.0 if isinstance(point, Decimal) else None  # + 0.0: a negated zero is a zero


def _mapped(points: Mapping[str, Point], table: Mapping[str, tuple[str, Decimal]]) -> dict[str, Value]:
    return {key: _number(points[name], factor) for name, (key, factor) in table.items() if name in points}


def _power_factor(point: Point) -> float | None:
    """The models say percent, but devices are seen that send the ratio itself: a magnitude up to 1 is taken as the ratio."""
    if not isinstance(point, Decimal):
        return None
    return _number(point, _ONE if abs(point) <= 1 else Decimal("0.01"))


def _hottest(values: Mapping[str, Value]) -> float | None:
    given = [
        value for key, value in values.items() if key.startswith("inverter_temperature_c.") and isinstance(value, float)
    ]
    return max(given, default=None)


def _state(point: Point) -> str | None:
    return _STATES.get(int(point), OperatingState.UNKNOWN).value if isinstance(point, Decimal) else None


def _fault_codes(points: Mapping[str, Point]) -> str | None:
    """Codes such as `sunspec:evt1.3`, separated by spaces; empty is "no fault", None is "does not say"."""
    fields = {short: points.get(name) for name, short in _EVENTS.items()}
    if all(field is None for field in fields.values()):
        return None
    return " ".join(
        f"sunspec:{short}.{bit}"
        for short, field in fields.items()
        if isinstance(field, Decimal)
        for bit in range(32)
        if int(field) >> bit & 1
    )


def _is_storage(module: Mapping[str, Point]) -> bool:
    return str(module.get("IDStr") or "").lower().replace(" ", "").startswith(_STORAGE_INPUTS)


def _input_values(inputs: DecodedModel) -> dict[str, Value]:
    """Values per PV input; with a battery on the same DC side also the PV total, because point DCW then counts both."""
    number_of_modules = inputs.points.get("N")
    count = int(number_of_modules) if isinstance(number_of_modules, Decimal) else len(inputs.repeated)
    modules = inputs.repeated[:count]
    pv_modules = [module for module in modules if not _is_storage(module)][:MAX_PV_CHANNELS]
    values: dict[str, Value] = {}
    for number, module in enumerate(pv_modules, start=1):
        values[f"dc_power_kw.pv{number}"] = _number(module["DCW"], _KILO)
        values[f"dc_voltage_v.pv{number}"] = _number(module["DCV"])
        values[f"dc_current_a.pv{number}"] = _number(module["DCA"])
    if len(pv_modules) < len(modules):
        powers = [module["DCW"] for module in pv_modules]
        known = [power for power in powers if isinstance(power, Decimal)]
        values["dc_power_kw"] = _number(sum(known, Decimal(0)), _KILO) if len(known) == len(powers) else None
    return values
