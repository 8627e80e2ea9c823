"""A paper bill as the schema's JSON: its own amounts, and the computed ones for kinds that were not entered."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cloud.billing.rules.breakdown import TAX_KINDS
from cloud.billing.rules.model import Bill, LineKind, RateStatus
from cloud.billing.rules.money import ZERO, money_text, number_text
from cloud.billing.rules.paper.difference import EnteredBill, amounts_of

RATE_PLACES = Decimal("0.0001")
PERCENT_PLACES = Decimal("0.1")

KEYS: Mapping[str, LineKind] = {
    "minimum_charge": LineKind.MINIMUM,
    "fixed_charges": LineKind.FIXED,
    "meter_rent": LineKind.METER_RENT,
    "fuel_price_adjustment": LineKind.FPA,
    "quarterly_tariff_adjustment": LineKind.QTA,
    "surcharges": LineKind.SURCHARGE,
    "electricity_duty": LineKind.DUTY,
    "gst": LineKind.GST,
    "tv_fee": LineKind.TV_FEE,
    "municipal_charge": LineKind.MUNICIPAL,
    "income_tax": LineKind.INCOME_TAX,
    "demand_charges": LineKind.DEMAND,
}


def _amounts(entered: EnteredBill, computed: Bill) -> dict[LineKind, Decimal]:
    ours = {kind: amount for kind, amount in amounts_of(computed).items() if amount is not None}
    if LineKind.ENERGY in entered.amounts:
        # A printed energy charge has been lifted to the floor already.
        ours.pop(LineKind.MINIMUM, None)
    return {**ours, **entered.amounts}


def _slabs(entered: EnteredBill, computed: Bill, breakdown: Mapping[str, Any]) -> list[dict[str, str]]:
    printed = entered.amounts.get(LineKind.ENERGY)
    if printed is None or printed == computed.amount(LineKind.ENERGY):
        return list(breakdown["slab_breakdown"])
    units = computed.billed_kwh
    rate = (printed / units).quantize(RATE_PLACES) if units else ZERO
    return [
        {"slab": "as printed", "units": number_text(units), "rate": number_text(rate), "amount": money_text(printed)}
    ]


def printed_breakdown(entered: EnteredBill, computed: Bill, breakdown: Mapping[str, Any]) -> dict[str, Any]:
    """JSON of `billing_simulations.bill_breakdown` for a paper bill.

    `total_bill` = `subtotal` + `total_taxes` as always; `printed_total` is what the paper says, `other_amounts` what it holds beside
    the period's own charges, and `computed_kinds` names the kinds that were not entered and stand in as computed.

    Args:
        entered: the paper bill.
        computed: from the same units.
        breakdown: JSON of the computed bill: gives the keys that a paper bill does not have.
    """
    amounts = _amounts(entered, computed)
    taxes = sum((amount for kind, amount in amounts.items() if kind in TAX_KINDS), ZERO)
    total = sum(amounts.values(), ZERO)
    return {
        **breakdown,
        **{key: money_text(amounts.get(kind, ZERO)) for key, kind in KEYS.items()},
        "energy_charges": money_text(amounts.get(LineKind.ENERGY, ZERO) + amounts.get(LineKind.MINIMUM, ZERO)),
        "slab_breakdown": _slabs(entered, computed, breakdown),
        "export_credit": money_text(-amounts.get(LineKind.EXPORT_CREDIT, ZERO)),
        "subtotal": money_text(total - taxes),
        "total_taxes": money_text(taxes),
        "total_bill": money_text(total),
        "printed_total": money_text(entered.total_pkr),
        "other_amounts": money_text(entered.other_pkr),
        "computed_kinds": sorted(kind.value for kind in amounts if kind not in entered.amounts),
        # A kind that was entered is known, whatever is still pending here.
        "pending": sorted(kind for kind in breakdown["pending"] if LineKind(kind) not in entered.amounts),
    }


def printed_savings(entered: EnteredBill, savings: Mapping[str, Any]) -> dict[str, Any]:
    """JSON of `billing_simulations.savings_breakdown`: the bill without solar, worked out, less the paper's own amount."""
    without = Decimal(savings["bill_without_solar"])
    saved = without - entered.own_pkr
    percent = saved / without * 100 if without > 0 else ZERO
    credit = entered.amounts.get(LineKind.EXPORT_CREDIT)
    return {
        **savings,
        "bill_with_solar": money_text(entered.own_pkr),
        "total_savings": money_text(saved),
        "savings_percent": f"{percent.quantize(PERCENT_PLACES, rounding=ROUND_HALF_UP):f}",
        "export_income": savings["export_income"] if credit is None else money_text(-credit),
    }


def printed_line(kind: LineKind, amount_pkr: Decimal, label: str) -> dict[str, Any]:
    """A line of the paper as a stored line; what the paper does not say is null or empty."""
    return {
        "kind": kind.value,
        "label": label or kind.value.replace("_", " ").capitalize(),
        "label_ur": "",
        "quantity": None,
        "unit": "PKR",
        "rate": None,
        "base": "as printed",
        "amount": money_text(amount_pkr),
        "formula": "as printed",
        "source": "the company's paper bill",
        "status": RateStatus.VERIFIED.value,
    }
