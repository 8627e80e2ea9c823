"""What one kWh more or less is worth to a site in a month: its days get their savings before there is a bill.

A kWh that need not be bought is worth what it would have cost on the bill without solar, with the adjustments and taxes on it, at the
slope of the slab that holds the month's units. An exported kWh is worth what the bill with solar falls by, in the month that closes the
quarter: surplus units of net metering are paid then. The fuel charge of the month is left out: it is billed two months later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cloud.billing.rules.export import QUARTER_MONTHS
from cloud.billing.rules.kinds import ExportScheme
from cloud.billing.rules.model import Slab
from cloud.billing.rules.money import ZERO, number_text, round_pkr
from cloud.billing.rules.records import slabs_of
from cloud.billing.rules.simulation import Simulation, case_of, simulate
from cloud.billing.rules.slabs import slab_index

STEP_KWH = Decimal(100)
"""Far enough that the paisa to which lines are rounded does not matter; shorter only where a slab's edge is nearer."""
_PEAK, _OFF_PEAK = "peak", "off-peak"
"""As the bill names the portions of a time-of-use tariff."""
_RATE = Decimal("0.000001")
_ENERGIES = ("imported_kwh", "exported_kwh", "imported_peak_kwh", "exported_peak_kwh")
_CONSUMED = ("consumed_kwh", "consumed_peak_kwh")


@dataclass(frozen=True, slots=True)
class MarginalRates:
    """PKR/kWh. Where the tariff does not tell hours apart, the rates of peak hours are those of the others.

    Attributes:
        import_pkr: of a kWh that need not be bought, outside the peak hours.
        export_pkr: of an exported kWh, outside the peak hours.
    """

    import_pkr: Decimal
    import_peak_pkr: Decimal
    export_pkr: Decimal
    export_peak_pkr: Decimal


@dataclass(frozen=True, slots=True)
class Flows:
    """Energy of a stretch of time in kWh, and the part of it in peak hours.

    Attributes:
        avoided: consumed but not imported; negative where a battery was charged from the grid.
    """

    avoided: Decimal = ZERO
    avoided_peak: Decimal = ZERO
    exported: Decimal = ZERO
    exported_peak: Decimal = ZERO


def _scaled(value: str | None, factor: Decimal) -> str | None:
    return None if value is None else number_text(Decimal(value) * factor)


def scaled_inputs(inputs: Mapping[str, Any], factor: Decimal) -> dict[str, Any]:
    """A document of `simulation.inputs_json` with all energies multiplied: a period that has begun, as if it went on like this."""
    case, dark = inputs["case"], inputs["without_solar"]
    return {
        **inputs,
        "case": {**case, **{name: _scaled(case[name], factor) for name in _ENERGIES}},
        "without_solar": {**dark, **{name: _scaled(dark[name], factor) for name in _CONSUMED}},
    }


def _changed(record: Mapping[str, Any], names: tuple[str, ...], by: Decimal) -> dict[str, Any]:
    return {**record, **{name: number_text(Decimal(record[name]) + by) for name in names if record[name] is not None}}


def _step(slabs: tuple[Slab, ...], units: Decimal) -> Decimal:
    """A step that stays in the slab of the units, up or down."""
    if not slabs:
        return STEP_KWH
    index = slab_index(slabs, units)
    top = slabs[index].top_units
    bottom = (slabs[index - 1].top_units or ZERO) if index else ZERO
    room_up = STEP_KWH if top is None else top - units
    room_down = (units - bottom) / 2
    return min(STEP_KWH, room_up) if room_up >= room_down else -min(STEP_KWH, room_down)


def _rate(before: Decimal, after: Decimal, step: Decimal) -> Decimal:
    return ((after - before) / step).quantize(_RATE, rounding=ROUND_HALF_UP)


def _import_rate(inputs: Mapping[str, Any], base: Simulation, *, in_peak: bool) -> Decimal:
    dark = inputs["without_solar"]
    slabs = _slabs_without_solar(inputs)
    step = _step(slabs, base.without.billed_kwh)
    after = _changed(dark, _CONSUMED if in_peak else _CONSUMED[:1], step)
    if slabs and after["consumed_peak_kwh"] is not None:
        after["consumed_peak_kwh"] = "0"  # slabs do not look at hours, and the part must not become more than the whole
    return _rate(base.without.total_pkr, simulate({**inputs, "without_solar": after}).without.total_pkr, step)


def _slabs_without_solar(inputs: Mapping[str, Any]) -> tuple[Slab, ...]:
    records = inputs["without_solar"].get("versions") or [inputs["plan"], *(inputs.get("later_versions") or ())]
    return slabs_of(records[-1]["rates"])


def _export_step(inputs: Mapping[str, Any], base: Simulation, *, in_peak: bool) -> Decimal:
    """A step up that does not turn billed units into a surplus, nor leaves their slab."""
    units = base.bill.billed_kwh
    if inputs["case"]["export_scheme"] != ExportScheme.NET_METERING_2015:
        return STEP_KWH
    hours = {portion.label: portion.units for portion in base.bill.portions}
    if set(hours) & {_PEAK, _OFF_PEAK}:
        units = hours.get(_PEAK if in_peak else _OFF_PEAK, ZERO)
    slabs = slabs_of(([inputs["plan"], *(inputs.get("later_versions") or ())])[-1]["rates"])
    index = slab_index(slabs, units) if slabs else 0
    bottom = (slabs[index - 1].top_units or ZERO) if index else ZERO
    return min(STEP_KWH, (units - bottom) / 2) if units > bottom else STEP_KWH


def _export_rate(inputs: Mapping[str, Any], base: Simulation, *, in_peak: bool) -> Decimal:
    names = ("exported_kwh", "exported_peak_kwh") if in_peak else ("exported_kwh",)
    step = _export_step(inputs, base, in_peak=in_peak)
    after = simulate({**inputs, "case": _changed(inputs["case"], names, step)})
    return -_rate(base.bill.total_pkr, after.bill.total_pkr, step)


def _at_quarters_end(inputs: Mapping[str, Any]) -> dict[str, Any]:
    month = case_of(inputs["case"]).month
    closing = month.back(-(-month.month % QUARTER_MONTHS))
    return {**inputs, "case": {**inputs["case"], "bill_month": str(closing)}}


def as_measured_in(inputs: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A document with the energies of another one: a period that has only just begun, as if it became like the one before."""
    case, dark = inputs["case"], inputs["without_solar"]
    return {
        **inputs,
        "case": {**case, **{name: other["case"][name] for name in _ENERGIES}},
        "without_solar": {**dark, **{name: other["without_solar"][name] for name in _CONSUMED}},
    }


def marginal_rates(inputs: Mapping[str, Any]) -> MarginalRates:
    """The rates of a month.

    Args:
        inputs: of its bill, see `simulation.inputs_json`; of a period that has just begun, see `scaled_inputs`.

    Raises:
        BillingError: if the tariff lacks a rate, or the case a value.
    """
    base = simulate(inputs)
    has_peak = inputs["without_solar"]["consumed_peak_kwh"] is not None and not _slabs_without_solar(inputs)
    off_peak = _import_rate(inputs, base, in_peak=False)
    peak = _import_rate(inputs, base, in_peak=True) if has_peak else off_peak
    if inputs["case"]["export_scheme"] == ExportScheme.NONE:
        return MarginalRates(off_peak, peak, ZERO, ZERO)
    closing = _at_quarters_end(inputs)
    paid = simulate(closing)
    return MarginalRates(
        off_peak, peak, _export_rate(closing, paid, in_peak=False), _export_rate(closing, paid, in_peak=True)
    )


def savings_of(flows: Flows, rates: MarginalRates) -> Decimal:
    """What a stretch of time saved, PKR."""
    return round_pkr(
        (flows.avoided - flows.avoided_peak) * rates.import_pkr
        + flows.avoided_peak * rates.import_peak_pkr
        + (flows.exported - flows.exported_peak) * rates.export_pkr
        + flows.exported_peak * rates.export_peak_pkr
    )
