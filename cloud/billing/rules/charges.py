"""Lines of the plan itself: energy, fixed charge, demand charge, meter rent."""

from decimal import Decimal

from cloud.billing.rules.errors import MissingInputError
from cloud.billing.rules.model import BillingCase, FixedBasis, Line, LineKind, Plan, RateStatus, SlabPortion
from cloud.billing.rules.money import ZERO, number_text, round_pkr
from cloud.billing.rules.slabs import slab_index, slab_label

ONE = Decimal(1)


def energy_lines(plan: Plan, portions: tuple[SlabPortion, ...]) -> tuple[Line, ...]:
    """One line for each portion of units."""
    return tuple(
        Line(
            kind=LineKind.ENERGY,
            label=f"Energy charge, {portion.label}" + ("" if plan.pricing_rule.value == "tou" else " kWh"),
            amount_pkr=portion.amount_pkr,
            quantity=portion.units,
            unit="kWh",
            rate=portion.rate,
            base="units billed",
            formula=f"{number_text(portion.units)} kWh × {number_text(portion.rate)} PKR/kWh",
            source=plan.source,
            status=plan.status,
        )
        for portion in portions
    )


def billing_demand_kw(plan: Plan, case: BillingCase) -> Decimal:
    """The kW that a demand-based fixed charge is on: the larger of MDI and a share of the sanctioned load.

    Raises:
        MissingInputError: if neither the demand nor the sanctioned load tells it.
    """
    floor_kw = None
    if plan.demand_share is not None and case.sanctioned_load_kw is not None:
        floor_kw = plan.demand_share * case.sanctioned_load_kw
    known = [kw for kw in (case.max_demand_kw, floor_kw) if kw is not None]
    if case.max_demand_kw is None or not known:
        raise MissingInputError(
            "max_demand_kw",
            f"tariff {plan.code} charges for billing demand; give the period's highest demand (max_demand_kw)",
        )
    return max(known)


def _fixed_quantity(plan: Plan, case: BillingCase) -> tuple[Decimal, str, str]:
    if plan.fixed_basis is FixedBasis.PER_CONSUMER:
        return ONE, "month", "per consumer"
    if plan.fixed_basis is FixedBasis.PER_KW_BILLING_DEMAND:
        return billing_demand_kw(plan, case), "kW", "billing demand"
    if case.sanctioned_load_kw is None:
        raise MissingInputError(
            "sanctioned_load_kw",
            f"tariff {plan.code} charges per kW of sanctioned load; set sanctioned_load_kw in the site's configuration",
        )
    return case.sanctioned_load_kw, "kW", "sanctioned load"


def _fixed_line(plan: Plan, rate: Decimal | None, quantity: Decimal, *, unit: str, base: str) -> Line:
    known = rate is not None
    return Line(
        kind=LineKind.FIXED,
        label="Fixed charge",
        amount_pkr=round_pkr(rate * quantity) if rate is not None else None,
        quantity=quantity,
        unit=unit,
        rate=rate,
        base=base,
        formula=f"{number_text(quantity)} {unit} × {number_text(rate)} PKR"
        if rate is not None
        else "rate not on record",
        source=plan.source,
        status=plan.status if known else RateStatus.PENDING,
    )


def fixed_lines(plan: Plan, case: BillingCase, units: Decimal) -> tuple[Line, ...]:
    """The fixed charge; none when the plan's record says 0.

    Raises:
        MissingInputError: if the sanctioned load or the demand is needed and absent.
    """
    rate, base_note = plan.fixed_charge, ""
    if plan.slab_fixed:
        index = slab_index(plan.slabs, units)
        rate, base_note = plan.slabs[index].fixed, f", slab {slab_label(plan.slabs, index)} kWh"
    if rate == ZERO:
        return ()
    quantity, unit, base = _fixed_quantity(plan, case)
    return (_fixed_line(plan, rate, quantity, unit=unit, base=base + base_note),)


def demand_lines(plan: Plan, case: BillingCase) -> tuple[Line, ...]:
    """A charge per kW of measured demand beside the fixed charge, where the plan has one and the demand was measured."""
    if plan.demand_charge_per_kw is None or case.max_demand_kw is None:
        return ()
    return (
        Line(
            kind=LineKind.DEMAND,
            label="Demand charge",
            amount_pkr=round_pkr(plan.demand_charge_per_kw * case.max_demand_kw),
            quantity=case.max_demand_kw,
            unit="kW",
            rate=plan.demand_charge_per_kw,
            base="highest demand of the period",
            formula=f"{number_text(case.max_demand_kw)} kW × {number_text(plan.demand_charge_per_kw)} PKR/kW",
            source=plan.source,
            status=plan.status,
        ),
    )


def meter_rent_lines(plan: Plan) -> tuple[Line, ...]:
    """Meter rent, where the plan has one."""
    if not plan.meter_rent:
        return ()
    return (
        Line(
            kind=LineKind.METER_RENT,
            label="Meter rent",
            amount_pkr=round_pkr(plan.meter_rent),
            quantity=ONE,
            unit="month",
            rate=plan.meter_rent,
            base="per meter",
            formula=f"1 month × {number_text(plan.meter_rent)} PKR",
            source=plan.source,
            status=plan.status,
        ),
    )
