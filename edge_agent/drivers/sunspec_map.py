"""From SunSpec points to the metric catalogue: inverters and meters. Pure.

Inverters: models 101-103 (integers with scale factors), 111-113 (floats) and 701, with the inputs of 160 or 714, the ratings of 120 or
702, the insulation of 122 and the limit of 123 or 704. Meters: 201-204 (integers) and 211-214 (floats).
"""

from collections.abc import Mapping
from decimal import Decimal

from edge_agent.drivers.sunspec_controls import LIMIT_MODELS, limit_state
from edge_agent.drivers.sunspec_dc import INPUTS_MODEL, PORTS_MODEL, DcInput, dc_inputs
from edge_agent.drivers.sunspec_models import DecodedModel, Point
from edge_agent.drivers.sunspec_points import KILO, ONE, Models, Table, codes, first, mapped, number, ratio, total
from shared.enums import OperatingState, Quality
from shared.readings import Value

INVERTER_MODELS = (103, 102, 101, 113, 112, 111, 701)
"""In the order of preference, should a device offer several: a counter must not change its source when a device is updated."""
METER_MODELS = (203, 204, 202, 201, 213, 214, 212, 211)
DC_MODELS = (INPUTS_MODEL, PORTS_MODEL)
RATINGS_MODELS = (120, 702)
STATUS_MODEL = 122

MAX_PV_CHANNELS = 24

_DER_MODEL = 701

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
"""Point St of models 101-113. Point InvSt of model 701 names the same states from 0 on."""

_MEGOHM = Decimal("0.000001")

_INVERTER: Table = {
    "W": ("ac_power_kw", KILO),
    "VA": ("ac_apparent_power_kva", KILO),
    "VAr": ("ac_reactive_power_kvar", KILO),
    "Hz": ("grid_frequency_hz", ONE),
    "WH": ("energy_total_kwh", KILO),
    "DCW": ("dc_power_kw", KILO),
    "DCV": ("dc_voltage_v", ONE),
    "DCA": ("dc_current_a", ONE),
}
_TEMPERATURES: Table = {
    "TmpCab": ("inverter_temperature_c.cabinet", ONE),
    "TmpSnk": ("inverter_temperature_c.heatsink", ONE),
    "TmpTrns": ("inverter_temperature_c.transformer", ONE),
    "TmpOt": ("inverter_temperature_c.other", ONE),
}
_PHASES: Table = {
    "A": ("ac_current_a", ONE),
    "AphA": ("ac_current_a.l1", ONE),
    "AphB": ("ac_current_a.l2", ONE),
    "AphC": ("ac_current_a.l3", ONE),
    "PhVphA": ("ac_voltage_v.l1", ONE),
    "PhVphB": ("ac_voltage_v.l2", ONE),
    "PhVphC": ("ac_voltage_v.l3", ONE),
}
_BETWEEN_PHASES: Table = {
    "PPVphAB": ("ac_voltage_v.l1_l2", ONE),
    "PPVphBC": ("ac_voltage_v.l2_l3", ONE),
    "PPVphCA": ("ac_voltage_v.l3_l1", ONE),
}
_DER: Table = {
    "W": ("ac_power_kw", KILO),
    "VA": ("ac_apparent_power_kva", KILO),
    "Var": ("ac_reactive_power_kvar", KILO),
    "Hz": ("grid_frequency_hz", ONE),
    "A": ("ac_current_a", ONE),
    "TotWhInj": ("energy_total_kwh", KILO),
    "VL1L2": ("ac_voltage_v.l1_l2", ONE),
    "VL2L3": ("ac_voltage_v.l2_l3", ONE),
    "VL3L1": ("ac_voltage_v.l3_l1", ONE),
    **{f"WL{n}": (f"ac_power_kw.l{n}", KILO) for n in (1, 2, 3)},
    **{f"VAL{n}": (f"ac_apparent_power_kva.l{n}", KILO) for n in (1, 2, 3)},
    **{f"VarL{n}": (f"ac_reactive_power_kvar.l{n}", KILO) for n in (1, 2, 3)},
    **{f"AL{n}": (f"ac_current_a.l{n}", ONE) for n in (1, 2, 3)},
    **{f"VL{n}": (f"ac_voltage_v.l{n}", ONE) for n in (1, 2, 3)},
}
_METER: Table = {
    "Hz": ("grid_frequency_hz", ONE),
    "VA": ("ac_apparent_power_kva", KILO),
    "VAphA": ("ac_apparent_power_kva.l1", KILO),
    "VAphB": ("ac_apparent_power_kva.l2", KILO),
    "VAphC": ("ac_apparent_power_kva.l3", KILO),
    "VAR": ("ac_reactive_power_kvar", KILO),
    "VARphA": ("ac_reactive_power_kvar.l1", KILO),
    "VARphB": ("ac_reactive_power_kvar.l2", KILO),
    "VARphC": ("ac_reactive_power_kvar.l3", KILO),
    "TotWhImp": ("grid_import_energy_total_kwh", KILO),
    "TotWhImpPhA": ("grid_import_energy_total_kwh.l1", KILO),
    "TotWhImpPhB": ("grid_import_energy_total_kwh.l2", KILO),
    "TotWhImpPhC": ("grid_import_energy_total_kwh.l3", KILO),
    "TotWhExp": ("grid_export_energy_total_kwh", KILO),
    "TotWhExpPhA": ("grid_export_energy_total_kwh.l1", KILO),
    "TotWhExpPhB": ("grid_export_energy_total_kwh.l2", KILO),
    "TotWhExpPhC": ("grid_export_energy_total_kwh.l3", KILO),
    # Models 202-204 name the voltages between phases so, 201 and 211-214 as the inverters do.
    "PhVphAB": ("ac_voltage_v.l1_l2", ONE),
    "PhVphBC": ("ac_voltage_v.l2_l3", ONE),
    "PhVphCA": ("ac_voltage_v.l3_l1", ONE),
}
_GRID_POWER = {
    "W": "grid_power_kw",
    "WphA": "grid_power_kw.l1",
    "WphB": "grid_power_kw.l2",
    "WphC": "grid_power_kw.l3",
}
_POWER_FACTORS = {
    "PF": "power_factor",
    **{f"PFph{phase}": f"power_factor.l{n}" for n, phase in enumerate("ABC", start=1)},
    **{f"PFL{n}": f"power_factor.l{n}" for n in (1, 2, 3)},
}
_EVENTS = {"Evt1": "evt1", "Evt2": "evt2"} | {f"EvtVnd{n}": f"evtvnd{n}" for n in range(1, 5)} | {"Alrm": "alrm"}


def inverter_values(models: Models) -> tuple[dict[str, Value], Quality]:
    """Values of an inverter, from what was read of it.

    Returns:
        Values of the models that are there, and `Quality.DERIVED` if the PV power had to be added up from the inputs.
    """
    values: dict[str, Value] = {}
    main = first(models, *INVERTER_MODELS)
    if main is not None:
        values |= _main_values(main)
    inputs = dc_inputs(models)
    values["fault_codes"] = codes(_event_fields(models, main, inputs))
    values |= _pv_values(inputs)
    quality = Quality.GOOD
    pv_power = _pv_power(models, inputs, own=main.points.get("DCW") if main is not None else None)
    if pv_power is not None:
        values["dc_power_kw"], quality = pv_power
    return values | rating_values(models) | _setting_values(models), quality


def meter_values(models: Models, *, invert_sign: bool) -> tuple[dict[str, Value], Quality]:
    """Values of a meter.

    Args:
        models: what was read.
        invert_sign: True for a device that counts export as positive power; energies are named by direction and stay as they are.
    """
    main = first(models, *METER_MODELS)
    if main is None:
        return {}, Quality.GOOD
    sign = -ONE if invert_sign else ONE
    values = mapped(main.points, {**_METER, **_PHASES, **_BETWEEN_PHASES})
    values |= mapped(main.points, {name: (key, KILO * sign) for name, key in _GRID_POWER.items()})
    values |= _power_factors(main.points)
    values["fault_codes"] = codes({"evt": main.points.get("Evt")})
    return values, Quality.GOOD


def rating_values(models: Models) -> dict[str, Value]:
    """Values of the ratings."""
    model = first(models, *RATINGS_MODELS)
    return (
        {}
        if model is None
        else mapped(model.points, {"WRtg": ("rated_power_kw", KILO), "WMaxRtg": ("rated_power_kw", KILO)})
    )


def _main_values(main: DecodedModel) -> dict[str, Value]:
    points = main.points
    is_der = main.definition.id == _DER_MODEL
    values = mapped(points, _DER if is_der else {**_INVERTER, **_PHASES, **_BETWEEN_PHASES})
    temperatures = mapped(points, _TEMPERATURES)
    values |= temperatures | _power_factors(points)
    values["inverter_temperature_c"] = max((t for t in temperatures.values() if isinstance(t, float)), default=None)
    values["operating_state"] = _der_state(points) if is_der else _state(points.get("St"))
    own_code = points.get("InvSt") if is_der else points.get("St")
    vendor_code = points.get("StVnd")
    values["vendor_state_code"] = number(own_code if vendor_code is None else vendor_code)
    return values


def _power_factors(points: Mapping[str, Point]) -> dict[str, Value]:
    return {key: ratio(points[name]) for name, key in _POWER_FACTORS.items() if name in points}


def _state(code: Point, *, lowest: int = 1) -> str | None:
    if not isinstance(code, Decimal):
        return None
    return _STATES.get(int(code) - lowest + 1, OperatingState.UNKNOWN).value


def _der_state(points: Mapping[str, Point]) -> str | None:
    """InvSt where the device has it; else St, which knows only on and off."""
    if points.get("InvSt") is not None:
        return _state(points["InvSt"], lowest=0)
    match points.get("St"):
        case None:
            return None
        case 0:
            return OperatingState.OFF.value
        case 1:
            power = points.get("W")
            is_producing = isinstance(power, Decimal) and power > 0
            return (OperatingState.PRODUCING if is_producing else OperatingState.STANDBY).value
        case _:
            return OperatingState.UNKNOWN.value


def _event_fields(models: Models, main: DecodedModel | None, inputs: tuple[DcInput, ...]) -> dict[str, Point]:
    fields = {short: main.points.get(name) for name, short in _EVENTS.items()} if main is not None else {}
    modules = first(models, INPUTS_MODEL)
    if modules is not None:
        fields["inputs"] = modules.points["Evt"]
    return fields | {each.name: each.alarms for each in inputs if not each.is_storage}


def _pv_values(inputs: tuple[DcInput, ...]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    pv_inputs = [each for each in inputs if each.is_pv]
    for channel, each in enumerate(pv_inputs[:MAX_PV_CHANNELS], start=1):
        values[f"dc_power_kw.pv{channel}"] = number(each.power, KILO)
        values[f"dc_voltage_v.pv{channel}"] = number(each.voltage)
        values[f"dc_current_a.pv{channel}"] = number(each.current)
    return values


def _pv_power(models: Models, inputs: tuple[DcInput, ...], *, own: Point) -> tuple[float | None, Quality] | None:
    """The PV total (kW), where the inputs know it better than the inverter's own DC power; None where they do not.

    A battery on the same DC side is counted in the inverter's own figure, so that only the sum of the PV inputs is PV power.
    """
    if not inputs:
        return None
    added_up = number(total(each.power for each in inputs if each.is_pv), KILO)
    derived = added_up, Quality.GOOD if added_up is None else Quality.DERIVED
    if not all(each.is_pv for each in inputs):
        return derived
    if own is not None:
        return None
    ports = first(models, PORTS_MODEL)
    said = number(ports.points["DCW"], KILO) if ports is not None else None
    return derived if said is None else (said, Quality.GOOD)


def _setting_values(models: Models) -> dict[str, Value]:
    values: dict[str, Value] = {}
    status = first(models, STATUS_MODEL)
    if status is not None:
        values["insulation_resistance_mohm"] = number(status.points["Ris"], _MEGOHM)
    limit = first(models, *LIMIT_MODELS)
    if limit is not None:
        values["active_power_limit_percent"] = number(limit_state(limit).effective_percent)
    return values
