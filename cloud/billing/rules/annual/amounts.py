"""Amounts of a prepared period: whole numbers in, whole paisa out."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

from cloud.billing.rules.annual.prepared import PER_CENT, PER_UNIT, SHARE, PreparedBand, PreparedBill, rounded
from cloud.billing.rules.annual.units import BillUnits
from cloud.billing.rules.model import ExportScheme, LineKind, PricingRule

# A member of an enumeration takes longer to reach by its class than the arithmetic of a line; Python 3.12 mended that.
_ENERGY = LineKind.ENERGY
_MINIMUM = LineKind.MINIMUM
_FIXED = LineKind.FIXED
_DEMAND = LineKind.DEMAND
_FPA = LineKind.FPA
_METER_RENT = LineKind.METER_RENT
_DUTY = LineKind.DUTY
_GST = LineKind.GST
_MUNICIPAL = LineKind.MUNICIPAL
_TV_FEE = LineKind.TV_FEE
_INCOME_TAX = LineKind.INCOME_TAX
_EXPORT_CREDIT = LineKind.EXPORT_CREDIT
_TOU = PricingRule.TOU
_FLAT = PricingRule.FLAT
_SINGLE_SLAB = PricingRule.SINGLE_SLAB
_ONE_PREVIOUS = PricingRule.ONE_PREVIOUS
_NET_METERING = ExportScheme.NET_METERING_2015

Amount = tuple[LineKind, int | None]
"""One line's kind and paisa; None while pending."""


class Surplus(NamedTuple):
    """Units carried under net metering, millionths of a kWh.

    Attributes:
        off_peak: or of all hours, where the plan does not tell them apart.
        peak: of peak hours.
    """

    off_peak: int = 0
    peak: int = 0


NO_SURPLUS = Surplus()


class BillAmounts(NamedTuple):
    """What a bill comes to.

    Attributes:
        lines: in the order of the bill.
        total: paisa; pending lines left out.
        billed: units that the tariff was applied to, millionths of a kWh.
        surplus: carried to the next bill.
    """

    lines: tuple[Amount, ...]
    total: int
    billed: int
    surplus: Surplus


class _Netted(NamedTuple):
    billed: int
    billed_peak: int
    surplus: Surplus


def _netted(bill: PreparedBill, units: BillUnits, brought: Surplus) -> _Netted:
    if bill.plan.scheme is not _NET_METERING:
        return _Netted(units.imported, units.imported_peak, NO_SURPLUS)
    if bill.plan.rule is not _TOU:
        balance = units.imported - units.exported - brought.off_peak - brought.peak
        return _Netted(max(0, balance), 0, Surplus(max(0, -balance)))
    peak = units.imported_peak - units.exported_peak - brought.peak
    off_peak = units.imported - units.imported_peak - (units.exported - units.exported_peak) - brought.off_peak
    billed_peak = max(0, peak)
    return _Netted(billed_peak + max(0, off_peak), billed_peak, Surplus(max(0, -off_peak), max(0, -peak)))


def _line(kind: LineKind, rate: int | None, units: int) -> Amount:
    return kind, None if rate is None else rounded(rate * units, PER_UNIT)


def _slab_parts(bill: PreparedBill, units: int, index: int) -> list[tuple[int | None, int]]:
    """Rate and units of each portion."""
    edges = [0, *bill.plan.tops[:index], units]
    first = 0
    if bill.plan.rule is _ONE_PREVIOUS:
        first = max(0, index - 1)
        edges[first] = 0
    return [(bill.plan.rates[k], edges[k + 1] - edges[k]) for k in range(first, index + 1)]


def _energy(bill: PreparedBill, units: int, peak: int, *, slab: int) -> list[Amount] | None:
    """The energy lines; None when a rate that they need is not on record."""
    rates = bill.plan.rates
    if bill.plan.rule is _TOU:
        parts = [(rates[0], units - peak), (rates[1], peak)]
    elif bill.plan.rule is _FLAT or bill.plan.rule is _SINGLE_SLAB:
        parts = [(rates[slab], units)]
    else:
        parts = _slab_parts(bill, units, slab)
    lines: list[Amount] = []
    for rate, part in parts:
        if rate is None:
            return None
        lines.append((_ENERGY, rounded(rate * part, PER_UNIT)))
    return lines


def _fixed(bill: PreparedBill, demand: int, past: Mapping[int, int], *, slab: int) -> list[Amount]:
    rate = bill.plan.fixed[slab if len(bill.plan.fixed) > 1 else 0]
    if rate == 0:
        return []
    if rate is None or bill.plan.fixed_quantity is not None:
        return [_line(_FIXED, rate, bill.plan.fixed_quantity or 0)]
    highest = max((past[month] for month in bill.demand_months if month in past), default=0)
    billed = max(demand * SHARE, bill.plan.least_demand, highest * bill.plan.past_share)
    return [(_FIXED, rounded(rate * billed, PER_UNIT * SHARE))]


def _charges(bill: PreparedBill, units: BillUnits, levied: int, *, fuel_units: int | None) -> list[Amount]:
    """Demand charge, adjustments and meter rent."""
    lines: list[Amount] = []
    if bill.plan.demand_rate is not None:
        lines.append(_line(_DEMAND, bill.plan.demand_rate, units.demand))
    if bill.fuel is not None:
        basis = fuel_units if bill.fuel.on_its_month else levied
        lines.append((_FPA, None) if basis is None else _line(_FPA, bill.fuel.rate, basis))
    for kind, rate, days in bill.daily:
        if rate is None or days == bill.days:
            lines.append(_line(kind, rate, levied))
        else:
            lines.append((kind, rounded(rate * levied * days, PER_UNIT * bill.days)))
    if bill.plan.meter_rent:
        lines.append((_METER_RENT, bill.plan.meter_rent))
    return lines


def _base(lines: list[Amount], kinds: frozenset[LineKind]) -> int:
    return sum([amount for kind, amount in lines if amount and kind in kinds])


def _percent_of(lines: list[Amount], kinds: frozenset[LineKind], percent: int | None) -> int | None:
    return None if percent is None else rounded(_base(lines, kinds) * percent, PER_CENT)


def _band(bands: tuple[PreparedBand, ...], value: int) -> PreparedBand | None:
    for band in bands:
        if band.top is None or value <= band.top:
            return band
    return None


def _add_taxes(lines: list[Amount], bill: PreparedBill, billed: int) -> None:
    plan = bill.plan
    if bill.duty is not None:
        lines.append((_DUTY, _percent_of(lines, plan.duty_base, bill.duty.value)))
    if bill.gst is not None:
        lines.append((_GST, _percent_of(lines, plan.gst_base, bill.gst.value)))
    if bill.municipal is not None:
        band = _band(bill.municipal, billed)
        if band is None or band.amount:
            lines.append((_MUNICIPAL, None if band is None else band.amount))
    if bill.tv_fee:
        lines.append((_TV_FEE, bill.tv_fee))
    if bill.income_tax is not None:
        base = _base(lines, plan.income_tax_base)
        band = _band(bill.income_tax, base)
        if band is not None and (band.amount or band.percent):
            part = band.amount * PER_CENT + (base - band.above) * band.percent
            lines.append((_INCOME_TAX, rounded(part, PER_CENT)))


def _add_credit(lines: list[Amount], bill: PreparedBill, units: BillUnits, surplus: Surplus) -> Surplus:
    """The credit line, and what is carried on."""
    if bill.export is None:
        return surplus
    netted = bill.plan.scheme is _NET_METERING
    if netted and not bill.closes_quarter:
        return surplus
    paid = surplus.off_peak + surplus.peak if netted else units.exported
    if paid:
        rate = bill.export.value
        credit = None if rate is None else rounded(rate * paid, PER_UNIT)
        if credit is not None and bill.plan.credit_limited:
            payable = sum([amount for _, amount in lines if amount])
            credit = credit if credit <= payable else max(0, payable)
        lines.append((_EXPORT_CREDIT, None if credit is None else -credit))
    return NO_SURPLUS


def bill_amounts(
    bill: PreparedBill, units: BillUnits, *, billed: Mapping[int, int], demands: Mapping[int, int], brought: Surplus
) -> BillAmounts | None:
    """Price one period.

    Args:
        bill: the period, made ready.
        units: of the period.
        billed: units billed for earlier months, millionths of a kWh; by `month_number`.
        demands: highest demand of earlier months, millionths of a kW; likewise.
        brought: surplus from the bill before.

    Returns:
        None when a rate that the units need is not on record; `price_bill` says which.
    """
    netted = _netted(bill, units, brought)
    slab = bisect_left(bill.plan.tops, netted.billed)
    if bill.plan.tops and slab >= len(bill.plan.rates):
        return None
    lines = _energy(bill, netted.billed, netted.billed_peak, slab=slab)
    if lines is None:
        return None
    if bill.plan.least_energy:
        lack = bill.plan.least_energy - sum([amount or 0 for _, amount in lines])
        if lack > 0:
            lines.append((_MINIMUM, lack))
    lines += _fixed(bill, units.demand, demands, slab=slab)
    levied = units.imported if bill.plan.levies_on_import else netted.billed
    lines += _charges(bill, units, levied, fuel_units=billed.get(bill.fuel_month))
    _add_taxes(lines, bill, netted.billed)
    surplus = _add_credit(lines, bill, units, netted.surplus)
    total = sum([amount for _, amount in lines if amount])
    return BillAmounts(tuple(lines), total, netted.billed, surplus)
