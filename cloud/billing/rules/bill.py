"""The whole bill, in the order in which the DISCOs print it."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from cloud.billing.rules.adjustments import fca_lines, qta_lines, surcharge_lines
from cloud.billing.rules.charges import demand_lines, energy_lines, fixed_lines, meter_rent_lines
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.export import Netting, assumptions_of, export_lines, net_units
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    Bill,
    BillingCase,
    BillWarning,
    Line,
    Plan,
    PricingRule,
    SlabPortion,
)
from cloud.billing.rules.money import ZERO, number_text
from cloud.billing.rules.slabs import energy_portions, slab_index
from cloud.billing.rules.taxes import income_tax_lines, municipal_lines, percent_lines, tv_fee_lines

CLIFF_SHARE = Decimal("0.05")
"""A slab's edge is worth a warning when the month's units are within 5 % below it."""


def _charge_lines(
    plan: Plan,
    case: BillingCase,
    *,
    adjustments: Sequence[Adjustment],
    portions: tuple[SlabPortion, ...],
    units: Decimal,
) -> tuple[Line, ...]:
    return (
        *energy_lines(plan, portions),
        *fixed_lines(plan, case, units),
        *demand_lines(plan, case),
        *fca_lines(plan, case, adjustments, units),
        *qta_lines(plan, case, adjustments, units),
        *surcharge_lines(plan, case, adjustments, units),
        *meter_rent_lines(plan),
    )


def _with_taxes(
    plan: Plan, case: BillingCase, *, adjustments: Sequence[Adjustment], charges: tuple[Line, ...], units: Decimal
) -> tuple[Line, ...]:
    lines = charges
    for kind in (AdjustmentKind.DUTY, AdjustmentKind.GST):
        lines += percent_lines(kind, plan, case=case, adjustments=adjustments, lines=lines)
    return (
        *lines,
        *municipal_lines(plan, case=case, adjustments=adjustments, units=units),
        *tv_fee_lines(plan, case=case, adjustments=adjustments),
        *income_tax_lines(plan, case=case, adjustments=adjustments, lines=lines),
    )


def _price(plan: Plan, case: BillingCase, adjustments: Sequence[Adjustment], netting: Netting) -> Bill:
    units = netting.billed_kwh
    portions = energy_portions(plan, units, peak_units=netting.billed_peak_kwh)
    charges = _charge_lines(plan, case, adjustments=adjustments, portions=portions, units=units)
    taxed = _with_taxes(plan, case, adjustments=adjustments, charges=charges, units=units)
    credit, ledger_kwh = export_lines(plan, case=case, adjustments=adjustments, netting=netting)
    return Bill(
        plan_code=plan.code,
        bill_month=case.month,
        billed_kwh=units,
        portions=portions,
        lines=(*taxed, *credit),
        warnings=(),
        assumptions=assumptions_of(case),
        ledger_kwh=ledger_kwh,
    )


def _pending_warnings(bill: Bill) -> tuple[BillWarning, ...]:
    return tuple(
        BillWarning("line_pending", f"{line.label} is not in the total: {line.formula}.") for line in bill.pending
    )


def _cliff_warnings(
    plan: Plan, case: BillingCase, *, adjustments: Sequence[Adjustment], netting: Netting
) -> tuple[BillWarning, ...]:
    if plan.pricing_rule not in {PricingRule.SINGLE_SLAB, PricingRule.ONE_PREVIOUS}:
        return ()
    units = netting.billed_kwh
    index = slab_index(plan.slabs, units)
    top = plan.slabs[index].top_units
    if top is None or index + 1 >= len(plan.slabs) or units < top * (1 - CLIFF_SHARE):
        return ()
    at_edge = _price(plan, case, adjustments, replace(netting, billed_kwh=top))
    over_edge = _price(plan, case, adjustments, replace(netting, billed_kwh=top + 1))
    step = over_edge.total_pkr - at_edge.total_pkr
    message = (
        f"{number_text(top - units)} kWh below a slab's edge: the kWh after {number_text(top)} raises the bill by "
        f"PKR {step:,.0f}."
    )
    return (BillWarning("slab_cliff", message),)


def price_bill(plan: Plan, case: BillingCase, adjustments: Sequence[Adjustment] = ()) -> Bill:
    """Price one period.

    Args:
        plan: the tariff version in force.
        case: place, period and units.
        adjustments: dated records; those out of time or place are ignored.

    Returns:
        The bill with explained lines, warnings and stated assumptions. Line amounts are rounded half up to the paisa and the
        total is their sum.

    Raises:
        MissingInputError: if the plan needs a value that the case lacks.
        RateUnknownError: if a rate is not on record.
        BillingError: if the case cannot be priced by the plan.
    """
    netting = net_units(case)
    bill = _price(plan, case, adjustments, netting)
    warnings = _pending_warnings(bill)
    try:
        warnings += _cliff_warnings(plan, case, adjustments=adjustments, netting=netting)
    except BillingError:
        # The unit over the edge has no rate on record: the bill stands, only the comparison cannot be made.
        warnings += (BillWarning("slab_cliff_unknown", "The tariff has no rate on record above this slab's edge."),)
    return replace(bill, warnings=warnings)


def without_solar(case: BillingCase, consumed_kwh: Decimal, *, consumed_peak_kwh: Decimal | None = None) -> BillingCase:
    """The same site and period with everything that was consumed taken from the grid.

    Args:
        case: with solar.
        consumed_kwh: what the site used, kWh.
        consumed_peak_kwh: part of it in peak hours.
    """
    return replace(
        case,
        imported_kwh=consumed_kwh,
        imported_peak_kwh=consumed_peak_kwh,
        exported_kwh=ZERO,
        exported_peak_kwh=ZERO,
        ledger_kwh=ZERO,
    )
