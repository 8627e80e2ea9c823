"""Lines of the plan itself: energy, minimum, fixed charge, demand charge, meter rent."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from cloud.billing.rules import labels
from cloud.billing.rules.demand import billing_demand
from cloud.billing.rules.errors import MissingInputError
from cloud.billing.rules.model import BillingCase, FixedBasis, Line, LineKind, Plan, RateStatus, SlabPortion
from cloud.billing.rules.money import ZERO, money_text, number_text, round_pkr
from cloud.billing.rules.slabs import energy_portions, slab_index, slab_label
from cloud.billing.rules.stretches import Share, Stretch, least_trusted, month_days, shares_of

ONE = Decimal(1)


class _Term(NamedTuple):
    """A monthly charge: rate (None = not on record) times quantity."""

    rate: Decimal | None
    quantity: Decimal
    unit: str
    base: str
    is_complete: bool = True


def energy_shares(
    stretches: Sequence[Stretch], units: Decimal, *, peak_units: Decimal | None, days: int
) -> tuple[Share[SlabPortion], ...]:
    """Every version's portions of the whole period's units, each with the days for which it counts.

    Args:
        stretches: of the period.
        units: kWh billed.
        peak_units: part of them in peak hours.
        days: of the period.
    """
    pairs = (
        (portion, stretch)
        for stretch in stretches
        for portion in energy_portions(stretch.plan, units, peak_units=peak_units)
    )
    return shares_of(pairs, of_days=days)


def portions_of(shares: Sequence[Share[SlabPortion]]) -> tuple[SlabPortion, ...]:
    """The portions as they are billed: units and amount of the share's days."""
    return tuple(
        share.value
        if share.is_whole
        else SlabPortion(
            share.value.label,
            share.of(share.value.units),
            share.value.rate,
            round_pkr(share.of(share.value.units * share.value.rate)),
        )
        for share in shares
    )


def energy_lines(shares: Sequence[Share[SlabPortion]]) -> tuple[Line, ...]:
    """One line for each portion of units."""
    lines = []
    for share, portion in zip(shares, portions_of(shares), strict=True):
        label = labels.energy(portion.label)
        lines.append(
            Line(
                kind=LineKind.ENERGY,
                label=label.en,
                amount_pkr=portion.amount_pkr,
                quantity=portion.units,
                unit="kWh",
                rate=portion.rate,
                base="units billed" if share.is_whole else "units billed, split by calendar days",
                formula=f"{number_text(share.value.units)} kWh{share.words} × {number_text(portion.rate)} PKR/kWh",
                source=share.source,
                status=share.status,
                label_ur=label.ur,
            )
        )
    return tuple(lines)


def _floor(plan: Plan, case: BillingCase) -> Decimal | None:
    per_kw = plan.minimum_charge_per_kw
    if not per_kw:
        return plan.minimum_charge
    if case.sanctioned_load_kw is None:
        raise MissingInputError(
            "sanctioned_load_kw",
            f"tariff {plan.code} has a minimum charge per kW of sanctioned load; give sanctioned_load_kw",
        )
    return max(plan.minimum_charge or ZERO, per_kw * case.sanctioned_load_kw)


def minimum_lines(stretches: Sequence[Stretch], case: BillingCase, energy_pkr: Decimal) -> tuple[Line, ...]:
    """What lifts the energy charge to the tariff's floor; none when it lies above, or there is no floor.

    Args:
        stretches: of the period.
        case: gives the sanctioned load.
        energy_pkr: the energy charge.

    Raises:
        MissingInputError: if the floor is per kW and the sanctioned load is not known.
    """
    floors = [(_floor(item.plan, case), item) for item in stretches]
    if not any(floor for floor, _ in floors):
        return ()
    shares = shares_of(floors, of_days=month_days(case))
    known = [(share, share.value) for share in shares if share.value is not None]
    floor_pkr = round_pkr(sum((share.of(value) for share, value in known), ZERO))
    if floor_pkr <= energy_pkr:
        return ()
    words = " + ".join(f"{number_text(value)} PKR{share.words}" for share, value in known)
    last = stretches[-1].plan
    return (
        Line(
            kind=LineKind.MINIMUM,
            label=labels.MINIMUM.en,
            amount_pkr=floor_pkr - energy_pkr,
            quantity=ONE,
            unit="month",
            rate=floor_pkr,
            base="what the energy charge lacks to the tariff's floor",
            formula=f"{words} - {money_text(energy_pkr)} PKR",
            source=last.source,
            status=last.status,
            label_ur=labels.MINIMUM.ur,
        ),
    )


def _fixed_term(plan: Plan, case: BillingCase, units: Decimal) -> _Term | None:
    rate, note = plan.fixed_charge, ""
    if plan.slab_fixed:
        index = slab_index(plan.slabs, units)
        rate, note = plan.slabs[index].fixed, f", slab {slab_label(plan.slabs, index)} kWh"
    if rate == ZERO:
        return None
    if plan.fixed_basis is FixedBasis.PER_CONSUMER:
        return _Term(rate, ONE, "month", f"per consumer{note}")
    if plan.fixed_basis is FixedBasis.PER_KW_BILLING_DEMAND:
        demand = billing_demand(plan, case)
        return _Term(rate, demand.kw, "kW", f"billing demand: {demand.words}{note}", not demand.missing)
    if case.sanctioned_load_kw is None:
        raise MissingInputError(
            "sanctioned_load_kw",
            f"tariff {plan.code} charges per kW of sanctioned load; set sanctioned_load_kw in the site's configuration",
        )
    return _Term(rate, case.sanctioned_load_kw, "kW", f"sanctioned load{note}")


def _monthly_line(kind: LineKind, label: labels.Label, share: Share[_Term]) -> Line:
    term = share.value
    status = share.status if term.is_complete else least_trusted(share.status, RateStatus.ESTIMATED)
    known = term.rate is not None
    formula = f"{number_text(term.quantity)} {term.unit}{share.words} × "
    return Line(
        kind=kind,
        label=label.en,
        amount_pkr=None if term.rate is None else round_pkr(share.of(term.rate * term.quantity)),
        quantity=term.quantity,
        unit=term.unit,
        rate=term.rate,
        base=term.base,
        formula="rate not on record" if term.rate is None else f"{formula}{number_text(term.rate)} PKR",
        source=share.source,
        status=status if known else RateStatus.PENDING,
        label_ur=label.ur,
    )


def fixed_lines(stretches: Sequence[Stretch], case: BillingCase, units: Decimal) -> tuple[Line, ...]:
    """The fixed charge, each version's by its days; none where the plan's record says 0.

    Raises:
        MissingInputError: if the sanctioned load or the demand is needed and absent.
    """
    found = ((_fixed_term(item.plan, case, units), item) for item in stretches)
    pairs = ((term, item) for term, item in found if term is not None)
    shares = shares_of(pairs, of_days=month_days(case))
    return tuple(_monthly_line(LineKind.FIXED, labels.FIXED, share) for share in shares)


def demand_lines(stretches: Sequence[Stretch], case: BillingCase) -> tuple[Line, ...]:
    """A charge per kW of measured demand beside the fixed charge, where the plan has one and the demand was measured."""
    demand_kw = case.max_demand_kw
    if demand_kw is None:
        return ()
    pairs = (
        (_Term(item.plan.demand_charge_per_kw, demand_kw, "kW", "highest demand of the period"), item)
        for item in stretches
        if item.plan.demand_charge_per_kw is not None
    )
    shares = shares_of(pairs, of_days=month_days(case))
    return tuple(_monthly_line(LineKind.DEMAND, labels.DEMAND, share) for share in shares)


def meter_rent_lines(plan: Plan) -> tuple[Line, ...]:
    """Meter rent, where the plan has one."""
    if not plan.meter_rent:
        return ()
    share = Share(_Term(plan.meter_rent, ONE, "month", "per meter"), 1, 1, plan.source, plan.status)
    return (_monthly_line(LineKind.METER_RENT, labels.METER_RENT, share),)
