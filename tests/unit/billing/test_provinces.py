"""Electricity duty where the company's area lies in several provinces and the case names none."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.case_file.pricing import price_case
from cloud.billing.case_file.reading import read_case
from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    BillingCase,
    LineKind,
    Plan,
    PricingRule,
    RateStatus,
)
from cloud.billing.rules.provinces import PROVINCES, alike_everywhere

CATALOGUE = read_catalogue()
HOME: dict[str, Any] = {
    "disco": "IESCO",
    "category": "un-protected",
    "sanctioned_load_kw": 4,
    "bill_month": "2026-09",
    "units": 150,
    "history": {"2026-07": 150},
}
DAY = date(2026, 9, 30)
EVERYWHERE = Adjustment(
    AdjustmentKind.DUTY, date(2026, 2, 12), None, "a notice", Decimal("1.5"), provinces=frozenset(PROVINCES)
)
SINDH = replace(EVERYWHERE, provinces=frozenset({"sindh"}))
OTHERS = replace(EVERYWHERE, provinces=frozenset(PROVINCES) - {"sindh"}, status=RateStatus.DERIVED)


def test_a_rate_that_is_the_same_in_every_province_needs_none() -> None:
    # energy 150 × 28.91 = 4336.50; fixed 4 × 300 = 1200; FCA 150 × 2.0581 = 308.72; QTA 150 × 0.5194 = 77.91;
    # PHL 150 × 3.23 = 484.50; charges 6407.63; duty 1.5 % of 5207.63 = 78.11; sales tax 18 % of 6485.74 = 1167.43
    bill = price_case(read_case(HOME), CATALOGUE)
    duty = next(line for line in bill["lines"] if line["kind"] == "duty")
    assert (duty["amount"], duty["status"]) == ("78.11", "derived")
    assert duty["source"].startswith("the same in every province on record: ")
    assert bill["bill_breakdown"]["total_bill"] == "7653.17"
    assert bill["bill_breakdown"]["pending"] == []
    named = price_case(read_case({**HOME, "province": "punjab"}), CATALOGUE)
    assert named["bill_breakdown"]["total_bill"] == "7653.17"


def test_a_rate_of_the_case_for_one_province_leaves_it_open() -> None:
    own = {"kind": "duty", "effective_from": "2026-09-01", "rate": 2, "provinces": ["punjab"], "source": "own"}
    bill = price_case(read_case({**HOME, "adjustments": [own]}), CATALOGUE)
    assert bill["bill_breakdown"]["pending"] == ["duty"]
    given = price_case(read_case({**HOME, "rates_override": {"duty_percent": 2}}), CATALOGUE)
    assert next(line["amount"] for line in given["lines"] if line["kind"] == "duty") == "104.15"


def test_records_of_the_provinces_are_joined_at_the_least_trusted() -> None:
    (found,) = alike_everywhere((SINDH, OTHERS), day=DAY)
    assert (found.rate, found.provinces, found.status) == (Decimal("1.5"), frozenset(), RateStatus.DERIVED)


@pytest.mark.parametrize(
    "records",
    [
        (),
        (SINDH,),
        (SINDH, replace(OTHERS, rate=Decimal(2))),
        (SINDH, replace(OTHERS, effective_to=date(2026, 9, 29))),
        (SINDH, replace(OTHERS, disco_providers=frozenset({"lesco"}))),
        (SINDH, OTHERS, replace(SINDH, rate=Decimal(0), categories=frozenset({"residential_lifeline"}))),
        (SINDH, replace(OTHERS, kind=AdjustmentKind.GST)),
    ],
)
def test_what_differs_or_lacks_a_province_is_not_joined(records: tuple[Adjustment, ...]) -> None:
    assert alike_everywhere(records, day=DAY) == ()


def test_the_engine_takes_it_for_sites_too() -> None:
    """A site whose address names no province is priced as one in any of them, and its document says the same again."""
    plan = Plan(
        code="A-1",
        category="residential_unprotected",
        pricing_rule=PricingRule.FLAT,
        source="a notice",
        flat_rate=Decimal(10),
        expects=frozenset({AdjustmentKind.DUTY}),
    )
    case = BillingCase(
        period_start=date(2026, 9, 1),
        period_end=DAY,
        imported_kwh=Decimal(100),
        exported_kwh=Decimal(0),
        disco_provider="iesco",
    )
    for province in (None, "punjab"):
        bill = price_bill(plan, replace(case, province=province), (SINDH, OTHERS))
        assert (bill.amount(LineKind.DUTY), bill.pending) == (Decimal("15.00"), ())
    assert [line.kind for line in price_bill(plan, case, (SINDH,)).pending] == [LineKind.DUTY]
