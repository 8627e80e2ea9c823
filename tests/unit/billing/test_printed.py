"""A paper bill in the schema's keys."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.breakdown import bill_breakdown
from cloud.billing.rules.model import BillingCase, LineKind
from cloud.billing.rules.month import Month
from cloud.billing.rules.paper.difference import EnteredBill, entered_of
from cloud.billing.rules.paper.printed import printed_breakdown, printed_line, printed_savings
from cloud.billing.schemas.actual import LineKindName
from cloud.billing.schemas.bills import BillBreakdown

D = Decimal
CATALOGUE = read_catalogue()
HOME = next(p for p in CATALOGUE.plans if p.category == "residential_unprotected" and p.effective_to is None).plan()
REAL = BillingCase(
    date(2026, 8, 5),
    date(2026, 9, 4),
    D(262),
    "kelectric",
    province="sindh",
    sanctioned_load_kw=D(5),
    billed_units={Month(2026, 7): D(608)},
)
BILL = price_bill(HOME, REAL, CATALOGUE.adjustments)
OWN = bill_breakdown(BILL)

amounts = st.dictionaries(st.sampled_from(LineKind), st.decimals(-5000, 50000, places=2))


def test_lines_can_be_of_every_kind() -> None:
    assert set(get_args(LineKindName)) == set(LineKind)


def test_a_bill_printed_as_computed_has_the_computed_breakdown() -> None:
    made = printed_breakdown(entered_of(BILL), BILL, OWN)
    assert {key: made[key] for key in OWN} == OWN
    assert (made["printed_total"], made["other_amounts"], made["computed_kinds"]) == ("14482.29", "0.00", [])


def test_a_total_alone_keeps_the_computed_lines_and_says_so() -> None:
    made = printed_breakdown(EnteredBill(D(262), D("15000"), other_pkr=D(500)), BILL, OWN)
    assert made["total_bill"] == "14482.29"
    assert (made["printed_total"], made["other_amounts"]) == ("15000.00", "500.00")
    assert made["computed_kinds"] == sorted({line.kind.value for line in BILL.lines})


@settings(max_examples=50)
@given(amounts)
def test_the_identities_hold_whatever_is_printed(printed: dict[LineKind, Decimal]) -> None:
    made = printed_breakdown(EnteredBill(D(262), D(1), printed), BILL, OWN)
    BillBreakdown.model_validate(made)
    d: dict[str, Any] = {k: D(v) for k, v in made.items() if isinstance(v, str) and k not in {"tariff", "bill_month"}}
    assert sum(D(row["amount"]) for row in made["slab_breakdown"]) + d["minimum_charge"] == d["energy_charges"]
    assert d["total_taxes"] == d["electricity_duty"] + d["gst"] + d["tv_fee"] + d["municipal_charge"] + d["income_tax"]
    charges = ("energy_charges", "fixed_charges", "meter_rent", "fuel_price_adjustment", "quarterly_tariff_adjustment")
    assert d["subtotal"] == sum(d[n] for n in (*charges, "surcharges", "demand_charges")) - d["export_credit"]
    assert d["total_bill"] == d["subtotal"] + d["total_taxes"]


def test_a_pending_kind_that_is_printed_is_known() -> None:
    bill = price_bill(HOME, replace(REAL, billed_units={}), CATALOGUE.adjustments)
    own = bill_breakdown(bill)
    assert own["pending"] == ["fpa"]
    entered = EnteredBill(D(262), D(1), {LineKind.FPA: D("1251.32")})
    made = printed_breakdown(entered, bill, own)
    assert (made["pending"], made["fuel_price_adjustment"]) == ([], "1251.32")


def test_a_printed_energy_charge_of_other_units_is_one_row() -> None:
    made = printed_breakdown(EnteredBill(D(262), D(1), {LineKind.ENERGY: D("8800.00")}), BILL, OWN)
    assert made["slab_breakdown"] == [{"slab": "as printed", "units": "262", "rate": "33.5878", "amount": "8800.00"}]


@pytest.mark.parametrize(("without", "percent"), [("30000.00", "51.7"), ("0.00", "0.0")])
def test_savings_are_against_the_paper(without: str, percent: str) -> None:
    savings = {"bill_without_solar": without, "bill_with_solar": "1", "total_savings": "1", "export_income": "813.00"}
    entered = EnteredBill(D(262), D("14982.29"), {LineKind.EXPORT_CREDIT: D("-700")}, D(500))
    made = printed_savings(entered, savings)
    assert made["bill_with_solar"] == "14482.29"
    assert D(made["total_savings"]) == D(without) - D("14482.29")
    assert (made["savings_percent"], made["export_income"]) == (percent, "700.00")


def test_a_printed_line_says_that_it_is_printed() -> None:
    line = printed_line(LineKind.FPA, D("1.5"), "")
    assert (line["label"], line["amount"], line["formula"]) == ("Fpa", "1.50", "as printed")
    assert printed_line(LineKind.FPA, D(1), "F.P.A. of July")["label"] == "F.P.A. of July"
