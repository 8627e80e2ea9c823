"""A bill as JSON: the schema's keys, the explained lines, and a hash over what went in and what came out."""

import hashlib
import json
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cloud.billing.rules.model import Bill, Line, LineKind
from cloud.billing.rules.money import HUNDRED, ZERO, money_text, number_text, round_pkr

TAX_KINDS = (LineKind.DUTY, LineKind.GST, LineKind.TV_FEE, LineKind.MUNICIPAL, LineKind.INCOME_TAX)
ONE_DECIMAL = Decimal("0.1")


def line_json(line: Line) -> dict[str, Any]:
    """One explained line; numbers as text, null where not known."""
    return {
        "kind": line.kind.value,
        "label": line.label,
        "quantity": None if line.quantity is None else number_text(round(line.quantity, 4)),
        "unit": line.unit,
        "rate": None if line.rate is None else number_text(line.rate),
        "base": line.base,
        "amount": None if line.amount_pkr is None else money_text(line.amount_pkr),
        "formula": line.formula,
        "source": line.source,
        "status": line.status.value,
    }


def bill_breakdown(bill: Bill) -> dict[str, Any]:
    """JSON of `billing_simulations.bill_breakdown`.

    Always true: `subtotal` = energy + fixed + meter rent + FPA + QTA + surcharges + demand - export credit; `total_taxes` = duty +
    GST + TV fee + municipal charge + income tax; `total_bill` = `subtotal` + `total_taxes`; the slabs' amounts add up to
    `energy_charges`. A pending line counts 0 and is named in `pending`.
    """
    taxes = bill.amount(*TAX_KINDS)
    return {
        "energy_charges": money_text(bill.amount(LineKind.ENERGY)),
        "slab_breakdown": [
            {
                "slab": portion.label,
                "units": number_text(portion.units),
                "rate": number_text(portion.rate),
                "amount": money_text(portion.amount_pkr),
            }
            for portion in bill.portions
        ],
        "fixed_charges": money_text(bill.amount(LineKind.FIXED)),
        "meter_rent": money_text(bill.amount(LineKind.METER_RENT)),
        "fuel_price_adjustment": money_text(bill.amount(LineKind.FPA)),
        "quarterly_tariff_adjustment": money_text(bill.amount(LineKind.QTA)),
        "surcharges": money_text(bill.amount(LineKind.SURCHARGE)),
        "electricity_duty": money_text(bill.amount(LineKind.DUTY)),
        "gst": money_text(bill.amount(LineKind.GST)),
        "tv_fee": money_text(bill.amount(LineKind.TV_FEE)),
        "municipal_charge": money_text(bill.amount(LineKind.MUNICIPAL)),
        "income_tax": money_text(bill.amount(LineKind.INCOME_TAX)),
        "export_credit": money_text(-bill.amount(LineKind.EXPORT_CREDIT)),
        "demand_charges": money_text(bill.amount(LineKind.DEMAND)),
        "subtotal": money_text(bill.total_pkr - taxes),
        "total_taxes": money_text(taxes),
        "total_bill": money_text(bill.total_pkr),
        "tariff": bill.plan_code,
        "bill_month": str(bill.bill_month),
        "billed_kwh": number_text(bill.billed_kwh),
        "pending": sorted({line.kind.value for line in bill.pending}),
        "assumptions": list(bill.assumptions),
        "surplus_kwh_carried": number_text(bill.ledger_kwh),
    }


def savings_breakdown(
    with_solar: Bill, without: Bill, *, generated_kwh: Decimal, co2_kg_per_kwh: Decimal, co2_kg_per_tree: Decimal
) -> dict[str, Any]:
    """JSON of `billing_simulations.savings_breakdown`.

    `total_savings` is the difference of the two bills; the income from exports is already inside it.

    Args:
        with_solar: the bill of the site.
        without: the bill had everything been taken from the grid.
        generated_kwh: solar energy of the period.
        co2_kg_per_kwh: emission factor.
        co2_kg_per_tree: CO2 that one tree stands for.
    """
    savings = without.total_pkr - with_solar.total_pkr
    percent = savings / without.total_pkr * HUNDRED if without.total_pkr > 0 else ZERO
    co2_kg = generated_kwh * co2_kg_per_kwh
    return {
        "bill_without_solar": money_text(without.total_pkr),
        "bill_with_solar": money_text(with_solar.total_pkr),
        "total_savings": money_text(savings),
        "savings_percent": f"{percent.quantize(ONE_DECIMAL, rounding=ROUND_HALF_UP):f}",
        "export_income": money_text(-with_solar.amount(LineKind.EXPORT_CREDIT)),
        "co2_avoided_kg": f"{round_pkr(co2_kg):f}",
        "trees_equivalent": f"{(co2_kg / co2_kg_per_tree).quantize(ONE_DECIMAL, rounding=ROUND_HALF_UP):f}",
    }


def fingerprint(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    """SHA-256 over everything that a bill was made from and the bill itself: the same input gives the same hash for ever."""
    document = json.dumps([inputs, outputs], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()
