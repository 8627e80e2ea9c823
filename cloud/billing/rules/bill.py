"""The whole bill, in the order in which the DISCOs print it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from cloud.billing.rules.adjustments import fca_lines, qta_lines, surcharge_lines
from cloud.billing.rules.charges import (
    demand_lines,
    energy_lines,
    energy_shares,
    fixed_lines,
    meter_rent_lines,
    minimum_lines,
    portions_of,
)
from cloud.billing.rules.demand import demand_warnings
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.export import Netting, assumptions_of, capacity_warnings, export_lines, levied_kwh, net_units
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
from cloud.billing.rules.provinces import wherever
from cloud.billing.rules.scheduled.case import schedule_charges
from cloud.billing.rules.slabs import slab_index
from cloud.billing.rules.stretches import Share, Stretch, period_assumptions, stretches_of
from cloud.billing.rules.taxes import income_tax_lines, municipal_lines, percent_lines, tv_fee_lines

CLIFF_SHARE = Decimal("0.05")
"""A slab's edge is worth a warning when the month's units are within 5 % below it."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What stays the same while a case is priced, at its own units or at a slab's edge.

    Attributes:
        stretches: versions of the tariff, oldest first; the last one's words rule whatever is not shared out by days.
    """

    stretches: tuple[Stretch, ...]
    case: BillingCase
    adjustments: tuple[Adjustment, ...]

    @property
    def plan(self) -> Plan:
        """The version in force on the period's last day."""
        return self.stretches[-1].plan


def _charge_lines(job: _Job, shares: Sequence[Share[SlabPortion]], netting: Netting) -> tuple[Line, ...]:
    energy = energy_lines(shares)
    energy_pkr = sum((line.amount_pkr or ZERO for line in energy), ZERO)
    return (
        *energy,
        *minimum_lines(job.stretches, job.case, energy_pkr),
        *fixed_lines(job.stretches, job.case, netting.billed_kwh),
        *demand_lines(job.stretches, job.case),
        *_levy_lines(job, levied_kwh(job.case, netting)),
    )


def _levy_lines(job: _Job, units: Decimal) -> tuple[Line, ...]:
    plan, case, adjustments = job.plan, job.case, job.adjustments
    return (
        *fca_lines(plan, case, adjustments, units),
        *qta_lines(plan, case, adjustments, units),
        *surcharge_lines(plan, case, adjustments, units),
        *meter_rent_lines(plan),
    )


def _with_taxes(job: _Job, charges: tuple[Line, ...], units: Decimal) -> tuple[Line, ...]:
    plan, case, adjustments = job.plan, job.case, job.adjustments
    lines = charges
    for kind in (AdjustmentKind.DUTY, AdjustmentKind.GST):
        lines += percent_lines(kind, plan, case=case, adjustments=adjustments, lines=lines)
    return (
        *lines,
        *municipal_lines(plan, case=case, adjustments=adjustments, units=units),
        *tv_fee_lines(plan, case=case, adjustments=adjustments),
        *income_tax_lines(plan, case=case, adjustments=adjustments, lines=lines),
    )


def _price(job: _Job, netting: Netting) -> Bill:
    units, case = netting.billed_kwh, job.case
    shares = energy_shares(job.stretches, units, peak_units=netting.billed_peak_kwh, days=case.days)
    taxed = _with_taxes(job, _charge_lines(job, shares, netting), units)
    payable = sum((line.amount_pkr for line in taxed if line.amount_pkr is not None), ZERO)
    credit, carried = export_lines(job.plan, case=case, adjustments=job.adjustments, netting=netting, payable=payable)
    return Bill(
        plan_code=job.plan.code,
        bill_month=case.month,
        billed_kwh=units,
        portions=portions_of(shares),
        lines=(*taxed, *credit),
        warnings=(),
        assumptions=(*period_assumptions(job.stretches, case), *assumptions_of(case)),
        ledger_kwh=carried.ledger_kwh,
        ledger_peak_kwh=carried.ledger_peak_kwh,
    )


def _price_schedule(job: _Job) -> Bill:
    if len(job.stretches) > 1:
        case = job.case
        raise BillingError(
            f"tariff {job.plan.code} changes on {job.plan.effective_from}, inside the period {case.period_start} to {case.period_end}, and"
            " is priced by a schedule; price the days before and after apart"
        )
    priced = schedule_charges(job.plan, job.case)
    units = priced.billed_kwh
    taxed = _with_taxes(job, (*priced.charges, *_levy_lines(job, units)), units)
    return Bill(
        plan_code=job.plan.code,
        bill_month=job.case.month,
        billed_kwh=units,
        portions=priced.portions,
        lines=(*taxed, *priced.credits),
        warnings=(),
        assumptions=priced.assumptions,
        ledger_kwh=priced.carried_kwh,
    )


def _pending_warnings(bill: Bill) -> tuple[BillWarning, ...]:
    return tuple(
        BillWarning("line_pending", f"{line.label} is not in the total: {line.formula}.") for line in bill.pending
    )


def _cliff_warnings(job: _Job, netting: Netting) -> tuple[BillWarning, ...]:
    plan, units = job.plan, netting.billed_kwh
    if plan.pricing_rule not in {PricingRule.SINGLE_SLAB, PricingRule.ONE_PREVIOUS}:
        return ()
    index = slab_index(plan.slabs, units)
    top = plan.slabs[index].top_units
    if top is None or index + 1 >= len(plan.slabs) or units < top * (1 - CLIFF_SHARE):
        return ()
    try:
        at_edge = _price(job, replace(netting, billed_kwh=top))
        over_edge = _price(job, replace(netting, billed_kwh=top + 1))
    except BillingError:
        # The unit over the edge has no rate on record: the bill stands, only the comparison cannot be made.
        return (BillWarning("slab_cliff_unknown", "The tariff has no rate on record above this slab's edge."),)
    step = over_edge.total_pkr - at_edge.total_pkr
    message = (
        f"{number_text(top - units)} kWh below a slab's edge: the kWh after {number_text(top)} raises the bill by "
        f"PKR {step:,.0f}."
    )
    return (BillWarning("slab_cliff", message),)


def price_bill(plan: Plan | Sequence[Plan], case: BillingCase, adjustments: Sequence[Adjustment] = ()) -> Bill:
    """Price one period.

    Args:
        plan: the tariff version in force; or all versions in force inside the period, each with its dates: units, fixed charges and
            minimum are split by calendar days, the slab is found by the whole period's units, everything else is by the last version.
        case: place, period and units.
        adjustments: dated records; those out of time or place are ignored.

    Returns:
        The bill with explained lines, warnings and stated assumptions. Line amounts are rounded half up to the paisa and the
        total is their sum.

    Raises:
        MissingInputError: if the plan needs a value that the case lacks.
        RateUnknownError: if a rate is not on record.
        BillingError: if the case cannot be priced by the plan, or the versions leave a day of the period out.
    """
    job = _Job(stretches_of(plan, case), case, wherever(adjustments, case))
    netting = net_units(case, by_hours=any(item.plan.pricing_rule is PricingRule.TOU for item in job.stretches))
    by_schedule = any(item.plan.pricing_rule is PricingRule.SCHEDULE for item in job.stretches)
    bill = _price_schedule(job) if by_schedule else _price(job, netting)
    warnings = (
        *_pending_warnings(bill),
        *demand_warnings(job.plan, case),
        *capacity_warnings(case),
        *_cliff_warnings(job, netting),
    )
    return replace(bill, warnings=warnings)


def without_solar(
    case: BillingCase,
    consumed_kwh: Decimal,
    *,
    consumed_peak_kwh: Decimal | None = None,
    consumed_units: Mapping[str, Decimal] | None = None,
) -> BillingCase:
    """The same site and period with everything that was consumed taken from the grid.

    Args:
        case: with solar.
        consumed_kwh: what the site used, kWh.
        consumed_peak_kwh: part of it in peak hours.
        consumed_units: the same by period of a scheduled tariff.
    """
    return replace(
        case,
        imported_kwh=consumed_kwh,
        imported_peak_kwh=consumed_peak_kwh,
        exported_kwh=ZERO,
        exported_peak_kwh=ZERO,
        ledger_kwh=ZERO,
        ledger_peak_kwh=ZERO,
        schedule_units=consumed_units or {},
    )
