"""A bill as JSON: the schema's keys, the explained lines, and a hash over what went in and what came out."""

import hashlib
import json
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cloud.billing.rules.labels import urdu_of
from cloud.billing.rules.model import Bill, Line, LineKind
from cloud.billing.rules.money import HUNDRED, ZERO, money_text, number_text, round_pkr

TAX_KINDS = (LineKind.DUTY, LineKind.GST, LineKind.TV_FEE, LineKind.MUNICIPAL, LineKind.INCOME_TAX)
UNIT_PLACES = 4
"""Decimals of a quantity in JSON; a share by calendar days has more."""
ONE_DECIMAL = Decimal("0.1")


def line_json(line: Line) -> dict[str, Any]:
    """One explained line; numbers as text, null where not known."""
    return {
        "kind": line.kind.value,
        "label": line.label,
        "label_ur": line.label_ur or urdu_of(line.kind),
        "quantity": None if line.quantity is None else number_text(round(line.quantity, UNIT_PLACES)),
        "unit": line.unit,
        "rate": None if line.rate is None else number_text(line.rate),
        "base": line.base,
        "amount": None if line.amount_pkr is None else money_text(line.amount_pkr),
        "formula": line.formula,
        "source": line.source,
        "status": line.status.value,
    }


def _slab_rows(bill: Bill) -> list[dict[str, str]]:
    rows = [
        {
            "slab": portion.label,
            "units": number_text(round(portion.units, UNIT_PLACES)),
            "rate": number_text(portion.rate),
            "amount": money_text(portion.amount_pkr),
        }
        for portion in bill.portions
    ]
    minimum = bill.amount(LineKind.MINIMUM)
    if minimum:
        rows.append({"slab": "minimum charge", "units": "0", "rate": "0", "amount": money_text(minimum)})
    return rows


def bill_breakdown(bill: Bill) -> dict[str, Any]:
    """JSON of `billing_simulations.bill_breakdown`.

    Always true: `subtotal` = energy + fixed + meter rent + FPA + QTA + surcharges + demand - export credit; `total_taxes` = duty +
    GST + TV fee + municipal charge + income tax; `total_bill` = `subtotal` + `total_taxes`; the slabs' amounts add up to
    `energy_charges`. A minimum charge is part of `energy_charges` and a row of its own, without units, among the slabs. A pending line
    counts 0 and is named in `pending`.
    """
    amounts, total = bill.amounts, bill.total_pkr
    taxes = sum([amounts[kind] for kind in TAX_KINDS], ZERO)
    return {
        "energy_charges": money_text(amounts[LineKind.ENERGY] + amounts[LineKind.MINIMUM]),
        "slab_breakdown": _slab_rows(bill),
        "minimum_charge": money_text(amounts[LineKind.MINIMUM]),
        "fixed_charges": money_text(amounts[LineKind.FIXED]),
        "meter_rent": money_text(amounts[LineKind.METER_RENT]),
        "fuel_price_adjustment": money_text(amounts[LineKind.FPA]),
        "quarterly_tariff_adjustment": money_text(amounts[LineKind.QTA]),
        "surcharges": money_text(amounts[LineKind.SURCHARGE]),
        "electricity_duty": money_text(amounts[LineKind.DUTY]),
        "gst": money_text(amounts[LineKind.GST]),
        "tv_fee": money_text(amounts[LineKind.TV_FEE]),
        "municipal_charge": money_text(amounts[LineKind.MUNICIPAL]),
        "income_tax": money_text(amounts[LineKind.INCOME_TAX]),
        "export_credit": money_text(-amounts[LineKind.EXPORT_CREDIT]),
        "demand_charges": money_text(amounts[LineKind.DEMAND]),
        "subtotal": money_text(total - taxes),
        "total_taxes": money_text(taxes),
        "total_bill": money_text(total),
        "tariff": bill.plan_code,
        "bill_month": str(bill.bill_month),
        "billed_kwh": number_text(bill.billed_kwh),
        "pending": sorted({line.kind.value for line in bill.pending}),
        "assumptions": list(bill.assumptions),
        "surplus_kwh_carried": number_text(bill.ledger_kwh),
        "surplus_peak_kwh_carried": number_text(bill.ledger_peak_kwh),
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
    paid, spared = with_solar.total_pkr, without.total_pkr
    savings = spared - paid
    percent = savings / spared * HUNDRED if spared > 0 else ZERO
    co2_kg = generated_kwh * co2_kg_per_kwh
    return {
        "bill_without_solar": money_text(spared),
        "bill_with_solar": money_text(paid),
        "total_savings": money_text(savings),
        "savings_percent": f"{percent.quantize(ONE_DECIMAL, rounding=ROUND_HALF_UP):f}",
        "export_income": money_text(-with_solar.amount(LineKind.EXPORT_CREDIT)),
        "co2_avoided_kg": f"{round_pkr(co2_kg):f}",
        "trees_equivalent": f"{(co2_kg / co2_kg_per_tree).quantize(ONE_DECIMAL, rounding=ROUND_HALF_UP):f}",
    }


def outcome(bill: Bill) -> dict[str, Any]:
    """What a bill says without its wording: kinds, quantities, rates, amounts and statuses, as JSON."""
    return {
        "lines": [
            [
                line.kind.value,
                None if line.quantity is None else number_text(round(line.quantity, UNIT_PLACES)),
                None if line.rate is None else number_text(line.rate),
                None if line.amount_pkr is None else money_text(line.amount_pkr),
                line.status.value,
            ]
            for line in bill.lines
        ],
        "total": money_text(bill.total_pkr),
        "surplus": [number_text(bill.ledger_kwh), number_text(bill.ledger_peak_kwh)],
    }


def fingerprint(inputs: Mapping[str, Any], *bills: Bill) -> str:
    """SHA-256 over what a bill was made from and what came out: the same input gives the same hash for ever.

    Wording is left out: a label or a warning that is put better later does not make another bill.

    Args:
        inputs: as `simulation.inputs_json` makes them; of its warnings only the codes count.
        bills: with solar and without.
    """
    facts = {**inputs, "warnings": sorted(warning["code"] for warning in inputs.get("warnings") or ())}
    document = json.dumps(
        [facts, [outcome(bill) for bill in bills]], sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    return hashlib.sha256(document.encode()).hexdigest()
