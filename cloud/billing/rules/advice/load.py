"""What another sanctioned load would have cost, from the highest demand of the past months."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from cloud.billing.rules.advice.advice import Advice, Priced, Severity, rupees
from cloud.billing.rules.advice.choice import load_refusal
from cloud.billing.rules.model import BillingCase, ExportScheme
from cloud.billing.rules.money import ZERO, number_text

ONE_KW = Decimal(1)
YEAR_MONTHS = 12
TENTH = Decimal("0.1")
NOT_KNOWN = "Not in the amount: what the company charges for changing the load, and its security deposit; they are not on record"
DEMAND_NOTE = "The demand is the highest mean of a quarter-hour of the site's readings; the company's meter may average over another time"


@dataclass(frozen=True, slots=True)
class LoadMonth:
    """A past bill: its case and the tariff that ruled it."""

    case: BillingCase
    priced: Priced


def cost_with_load(months: Sequence[LoadMonth], load_kw: Decimal) -> Decimal:
    """What the months' bills would be together with another sanctioned load.

    Raises:
        BillingError: if a bill cannot be priced.
    """
    return sum((m.priced.bill(replace(m.case, sanctioned_load_kw=load_kw)).total_pkr for m in months), ZERO)


def needed_load_kw(
    months: Sequence[LoadMonth], *, capacity_kw: Decimal | None, scheme: ExportScheme
) -> tuple[Decimal, Decimal]:
    """The smallest whole kW that covers the highest demand, and under net billing the solar capacity too.

    Returns:
        The load, and the highest demand, kW.

    Raises:
        ValueError: if no month has a demand.
    """
    highest = max(m.case.max_demand_kw for m in months if m.case.max_demand_kw is not None)
    least = highest
    if scheme is ExportScheme.NET_BILLING_2026 and capacity_kw is not None:
        least = max(highest, capacity_kw)
    return max(ONE_KW, least.to_integral_value(ROUND_CEILING)), highest


def _basis(months: Sequence[LoadMonth], load: Decimal, highest: Decimal, category: str) -> tuple[str, ...]:
    first, last = months[0].case, months[-1].case
    words = [
        (
            f"Highest demand {number_text(highest.quantize(TENTH))} kW in {len(months)} bill months, {first.period_start} to "
            f"{last.period_end}"
        ),
        "Whole bills with taxes, priced again with the other load; fixed charges stand on it",
    ]
    if len(months) < YEAR_MONTHS:
        words.append(f"Only {len(months)} of {YEAR_MONTHS} months have complete readings: a hotter month may need more")
    refusal = load_refusal(category, load)
    if refusal is not None:
        words.append(f"With {number_text(load)} kW the present tariff would no longer fit: {refusal.reason}")
    return (*words, DEMAND_NOTE, NOT_KNOWN)


def _words(load: Decimal, has: Decimal, cost: Decimal, span: str) -> tuple[str, Severity, str, str]:
    new, old = number_text(load), number_text(has)
    if load > has:
        return (
            "sanctioned_load_exceeded",
            Severity.WARNING,
            f"The demand was above the sanctioned load of {old} kW; {new} kW covers it and costs PKR {rupees(cost)} more {span}.",
            f"طلب منظور شدہ لوڈ {old} کلوواٹ سے زیادہ رہی؛ {new} کلوواٹ کافی ہوتا اور اس پر {rupees(cost)} روپے زیادہ لگتے۔",
        )
    if cost < 0:
        return (
            "sanctioned_load_high",
            Severity.NOTICE,
            f"{new} kW of sanctioned load would do instead of {old} kW: the bills would have been PKR {rupees(-cost)} lower {span}.",
            f"{new} کلوواٹ منظور شدہ لوڈ کافی ہوتا؛ {old} کلوواٹ کے بجائے اس سے بل {rupees(-cost)} روپے کم ہوتے۔",
        )
    return (
        "sanctioned_load_fits",
        Severity.INFO,
        f"Another sanctioned load would not have made the bills lower {span}.",
        "منظور شدہ لوڈ بدلنے سے بل کم نہ ہوتے۔",
    )


def load_advice(months: Sequence[LoadMonth], *, category: str, capacity_kw: Decimal | None) -> Advice | None:
    """What the smallest load that covers the demand would have cost.

    Args:
        months: past bills, oldest first; those without a demand are left out.
        category: that the connection is on.
        capacity_kw: of the solar system.

    Returns:
        None when no month has both a demand and a sanctioned load.

    Raises:
        BillingError: if a month cannot be priced.
    """
    known = [m for m in months if m.case.max_demand_kw is not None and m.case.sanctioned_load_kw is not None]
    if not known:
        return None
    case = known[-1].case
    has = case.sanctioned_load_kw
    if has is None:
        return None
    load, highest = needed_load_kw(known, capacity_kw=capacity_kw, scheme=case.export_scheme)
    cost = cost_with_load(known, load) - cost_with_load(known, has)
    span = f"over {len(known)} months" if len(known) > 1 else "in one month"
    code, severity, message, urdu = _words(load, has, cost, span)
    return Advice(
        code=code,
        severity=severity,
        message=message,
        message_ur=urdu,
        amount_pkr=cost if load > has else max(ZERO, -cost),
        amount_of=span,
        basis=_basis(known, load, highest, category),
        facts={
            "sanctioned_load_kw": number_text(has),
            "needed_load_kw": number_text(load),
            "highest_demand_kw": number_text(highest),
            "months": str(len(known)),
        },
    )
