"""The DC side of SunSpec inverters: inputs of model 160 and ports of model 714 in one shape. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from edge_agent.drivers.sunspec_models import DecodedModel, Point
from edge_agent.drivers.sunspec_points import Models

INPUTS_MODEL = 160
PORTS_MODEL = 714

_CHARGING, _DISCHARGING = "stcha", "stdischa"
"""Fronius hybrids name the battery's two directions so among the inputs of model 160."""

_PORT_PV, _PORT_STORAGE = 0, 1


@dataclass(frozen=True, slots=True)
class DcInput:
    """One input or port.

    Attributes:
        is_pv: PV modules hang on it, or nobody says what does.
        is_storage: a battery hangs on it.
        direction: 1 where a positive power goes into the inverter, -1 where it goes into the battery.
        name: short word for fault codes.
        power: W.
        voltage: V.
        current: A.
        injected: Wh that went into the inverter.
        absorbed: Wh that came out of it.
        temperature: degrees Celsius.
        alarms: bit field.
    """

    is_pv: bool
    is_storage: bool
    direction: int
    name: str
    power: Point
    voltage: Point
    current: Point
    injected: Point
    absorbed: Point
    temperature: Point
    alarms: Point


def dc_inputs(models: Models) -> tuple[DcInput, ...]:
    """Inputs of model 160, else ports of model 714, in the device's order; empty if the device has neither."""
    if models.get(INPUTS_MODEL):
        return _inputs(models[INPUTS_MODEL][0])
    if models.get(PORTS_MODEL):
        return _ports(models[PORTS_MODEL][0])
    return ()


def _inputs(model: DecodedModel) -> tuple[DcInput, ...]:
    modules = model.repeated("module")
    said = model.points.get("N")
    inputs: list[DcInput] = []
    for number, module in enumerate(modules[: int(said)] if isinstance(said, Decimal) else modules, start=1):
        title = str(module["IDStr"] or "").lower().replace(" ", "")
        is_charging, is_discharging = title.startswith(_CHARGING), title.startswith(_DISCHARGING)
        energy = module["DCWH"]
        inputs.append(
            DcInput(
                is_pv=not (is_charging or is_discharging),
                is_storage=is_charging or is_discharging,
                direction=-1 if is_charging else 1,
                name=f"input{number}",
                power=module["DCW"],
                voltage=module["DCV"],
                current=module["DCA"],
                injected=None if is_charging else energy,
                absorbed=energy if is_charging else None,
                temperature=module["Tmp"],
                alarms=module["DCEvt"],
            )
        )
    return tuple(inputs)


def _ports(model: DecodedModel) -> tuple[DcInput, ...]:
    return tuple(
        DcInput(
            is_pv=port["PrtTyp"] in (None, _PORT_PV),
            is_storage=port["PrtTyp"] == _PORT_STORAGE,
            direction=1,
            name=f"port{number}",
            power=port["DCW"],
            voltage=port["DCV"],
            current=port["DCA"],
            injected=port["DCWhInj"],
            absorbed=port["DCWhAbs"],
            temperature=port["Tmp"],
            alarms=port["DCAlrm"],
        )
        for number, port in enumerate(model.repeated("Prt"), start=1)
    )
