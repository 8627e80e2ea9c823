"""Billing demand: the kW that a demand-based fixed charge is on."""

from dataclasses import dataclass
from decimal import Decimal

from cloud.billing.rules.errors import MissingInputError
from cloud.billing.rules.model import BillingCase, BillWarning, FixedBasis, Plan
from cloud.billing.rules.money import HUNDRED, number_text
from cloud.billing.rules.month import Month

_WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True)
class BillingDemand:
    """The largest of the period's highest demand and its floors.

    Attributes:
        kw: what is billed.
        words: which of them it is.
        missing: fields of the case that could have raised it and are not known.
    """

    kw: Decimal
    words: str
    missing: tuple[str, ...]


def history_months(plan: Plan, bill_month: Month) -> tuple[Month, ...]:
    """Months before the bill's whose highest demand bears on it; youngest first."""
    return tuple(bill_month.back(back) for back in range(1, plan.demand_history_months + 1))


def _share_words(share: Decimal) -> str:
    return "" if share == _WHOLE else f"{number_text(share * HUNDRED)} % of "


def _floors(plan: Plan, case: BillingCase) -> list[tuple[Decimal, str]]:
    found = []
    if plan.demand_share is not None and case.sanctioned_load_kw is not None:
        words = f"{_share_words(plan.demand_share)}the sanctioned load of {number_text(case.sanctioned_load_kw)} kW"
        found.append((plan.demand_share * case.sanctioned_load_kw, words))
    share = _WHOLE if plan.demand_history_share is None else plan.demand_history_share
    for month in history_months(plan, case.month):
        past_kw = case.demand_history_kw.get(month)
        if past_kw is not None:
            found.append((share * past_kw, f"{_share_words(share)}the {number_text(past_kw)} kW of {month}"))
    return found


def _missing(plan: Plan, case: BillingCase) -> tuple[str, ...]:
    missing = [] if case.max_demand_kw is not None else ["max_demand_kw"]
    if plan.demand_share is not None and case.sanctioned_load_kw is None:
        missing.append("sanctioned_load_kw")
    unknown = [str(m) for m in history_months(plan, case.month) if m not in case.demand_history_kw]
    if unknown:
        missing.append(f"demand_history_kw for {', '.join(sorted(unknown))}")
    return tuple(missing)


def billing_demand(plan: Plan, case: BillingCase) -> BillingDemand:
    """The larger of MDI, a share of the sanctioned load, and a share of the highest demand of earlier months.

    Raises:
        MissingInputError: if none of them is known.
    """
    found = _floors(plan, case)
    if case.max_demand_kw is not None:
        found.insert(0, (case.max_demand_kw, "the period's highest demand"))
    if not found:
        raise MissingInputError(
            "max_demand_kw",
            f"tariff {plan.code} charges for billing demand; give the period's highest demand (max_demand_kw)",
        )
    kw, words = max(found, key=lambda item: item[0])
    return BillingDemand(kw, words, _missing(plan, case))


def demand_warnings(plan: Plan, case: BillingCase) -> tuple[BillWarning, ...]:
    """What could raise the billing demand and is not known."""
    if plan.fixed_basis is not FixedBasis.PER_KW_BILLING_DEMAND or plan.fixed_charge == 0:
        return ()
    demand = billing_demand(plan, case)
    if not demand.missing:
        return ()
    message = (
        f"The fixed charge is on {number_text(demand.kw)} kW ({demand.words}) and may be higher: "
        f"give {' and '.join(demand.missing)}."
    )
    return (BillWarning("billing_demand_incomplete", message),)
