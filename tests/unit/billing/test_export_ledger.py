"""Exports: the quarter's ledger by hours, net billing, and what the bill takes for granted."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.bill import price_bill, without_solar
from cloud.billing.rules.breakdown import bill_breakdown
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    Bill,
    BillingCase,
    ExportScheme,
    ExportTerms,
    LineKind,
    Plan,
)
from cloud.billing.rules.records import plan_of

D = Decimal
RATES = {"pricing_rule": "tou", "peak_rate_per_kwh": "40", "off_peak_rate_per_kwh": "30", "export_rate_per_kwh": "20"}
TOU = plan_of(RATES, code="tou", category="residential_tou", source="example")
FLAT = plan_of({"energy_charge_per_kwh": "30", "export_rate_per_kwh": "20"}, code="flat", category="x", source="e")


def _case(month: int, **changes: Any) -> BillingCase:
    given: dict[str, Any] = {"imported_kwh": D(300), "imported_peak_kwh": D(100), "disco_provider": "lesco"}
    given |= {"period_start": date(2026, month, 1), "period_end": date(2026, month, 28)}
    return BillingCase(**{**given, "export_scheme": ExportScheme.NET_METERING_2015, **changes})


def _units(bill: Bill) -> dict[str, Decimal]:
    return {portion.label: portion.units for portion in bill.portions}


def _credits(bill: Bill) -> list[tuple[Decimal | None, Decimal | None, str]]:
    return [(x.quantity, x.amount_pkr, x.formula) for x in bill.lines if x.kind is LineKind.EXPORT_CREDIT]


def test_a_quarter_of_a_time_of_use_home() -> None:
    """Surplus of peak hours stays one of peak hours, month after month, until the quarter is paid."""
    july = price_bill(TOU, _case(7, exported_kwh=D(350), exported_peak_kwh=D(110)))
    assert (_units(july), july.ledger_peak_kwh, july.ledger_kwh) == ({"off-peak": 0, "peak": 0}, 10, 40)
    brought = {"ledger_kwh": july.ledger_kwh, "ledger_peak_kwh": july.ledger_peak_kwh}
    august = price_bill(TOU, _case(8, exported_kwh=D(190), exported_peak_kwh=D(20), **brought))
    assert (_units(august), august.ledger_peak_kwh, august.ledger_kwh) == ({"off-peak": 0, "peak": 70}, 0, 10)
    assert august.total_pkr == D(2800)
    brought = {"ledger_kwh": august.ledger_kwh, "ledger_peak_kwh": august.ledger_peak_kwh}
    september = price_bill(TOU, _case(9, exported_kwh=D(320), exported_peak_kwh=D(105), **brought))
    assert _credits(september) == [(D(30), D("-600.00"), "- (5 peak + 25 off-peak) kWh × 20 PKR/kWh")]
    assert (september.ledger_peak_kwh, september.ledger_kwh) == (0, 0)


def test_an_off_peak_surplus_pays_no_peak_unit() -> None:
    bill = price_bill(TOU, _case(7, exported_kwh=D(500), ledger_kwh=D(100)))
    assert (_units(bill), bill.ledger_kwh) == ({"off-peak": 0, "peak": 100}, 400)
    bill = price_bill(TOU, _case(7, ledger_peak_kwh=D(150)))
    assert (_units(bill), bill.ledger_peak_kwh) == ({"off-peak": 200, "peak": 0}, 50)


def test_a_meter_without_hours_nets_unit_against_unit() -> None:
    """What is known of hours does not matter to a tariff that has none; what was brought forward counts whatever it was."""
    bill = price_bill(FLAT, _case(7, exported_kwh=D(250), ledger_kwh=D(20), ledger_peak_kwh=D(10)))
    assert (bill.billed_kwh, bill.ledger_kwh, bill.ledger_peak_kwh) == (20, 0, 0)
    bill = price_bill(FLAT, _case(7, exported_kwh=D(350), exported_peak_kwh=D(200)))
    assert (bill.billed_kwh, bill.ledger_kwh, bill.ledger_peak_kwh) == (0, 50, 0)
    assert bill_breakdown(bill)["surplus_kwh_carried"] == "50"


@pytest.mark.parametrize(("month", "paid"), [(month, month in {3, 6, 9, 12}) for month in range(1, 13)], ids=str)
def test_the_surplus_is_paid_at_the_quarter_s_end(month: int, paid: bool) -> None:
    bill = price_bill(FLAT, _case(month, exported_kwh=D(350)))
    assert bool(_credits(bill)) is paid
    assert bill.ledger_kwh == (0 if paid else 50)


def test_the_surplus_is_paid_at_the_rate_on_record() -> None:
    catalogue = read_catalogue()
    plan = next(p for p in catalogue.plans if p.category == "residential_unprotected" and p.effective_to is None).plan()
    case = _case(6, exported_kwh=D(400), sanctioned_load_kw=D(4), province="punjab")
    assert _credits(price_bill(plan, case, catalogue.adjustments)) == [
        (D(100), D("-2532.00"), "- 100 kWh × 25.32 PKR/kWh")
    ]


def _net_billing(**changes: Any) -> Bill:
    plan: Plan = plan_of({**RATES, "gst_percent": "18"}, code="tou", category="x", source="e")
    given = {"exported_kwh": D(600), **changes}
    return price_bill(plan, _case(9, export_scheme=ExportScheme.NET_BILLING_2026, **given))


def test_net_billing_credits_every_unit_and_nets_none() -> None:
    bill = _net_billing()
    assert bill.billed_kwh == 300
    assert _credits(bill) == [(D(600), D("-12000.00"), "- 600 kWh × 20 PKR/kWh")]
    assert bill.amount(LineKind.GST) == D("1800.00")
    assert bill.total_pkr == D("-200.00")
    assert bill.ledger_kwh == bill.ledger_peak_kwh == 0
    assert any("not limited to the bill" in words for words in bill.assumptions)


@pytest.mark.parametrize(
    ("capacity", "load", "warned"), [("10", "8", True), ("8", "8", False), (None, "8", False), ("10", None, False)]
)
def test_more_solar_than_the_sanctioned_load(capacity: str | None, load: str | None, warned: bool) -> None:
    bill = _net_billing(
        installed_capacity_kw=None if capacity is None else D(capacity),
        sanctioned_load_kw=None if load is None else D(load),
    )
    assert [w.code for w in bill.warnings] == (["capacity_above_sanctioned_load"] if warned else [])


def test_a_credit_that_may_not_exceed_the_bill() -> None:
    bill = _net_billing(export_terms=ExportTerms(credit_limited=True))
    assert _credits(bill) == [(D(600), D("-11800.00"), "- 600 kWh × 20 PKR/kWh, limited to the bill")]
    assert bill.total_pkr == 0
    assert any("the rest lapses" in words for words in bill.assumptions)
    small = _net_billing(export_terms=ExportTerms(credit_limited=True), exported_kwh=D(100))
    assert _credits(small) == [(D(100), D("-2000.00"), "- 100 kWh × 20 PKR/kWh")]


def test_levies_on_what_was_imported_or_on_what_is_left() -> None:
    surcharge = (Adjustment(AdjustmentKind.PHL, date(2026, 1, 1), None, "example", D(3)),)
    exported = {"exported_kwh": D(250)}
    left = price_bill(FLAT, _case(7, **exported), surcharge)
    imported = price_bill(FLAT, _case(7, **exported, export_terms=ExportTerms(levies_on_import=True)), surcharge)
    assert (left.amount(LineKind.SURCHARGE), imported.amount(LineKind.SURCHARGE)) == (D(150), D(900))
    assert left.amount(LineKind.ENERGY) == imported.amount(LineKind.ENERGY) == D(1500)
    assert left.assumptions != imported.assumptions
    billing = {**exported, "export_scheme": ExportScheme.NET_BILLING_2026}
    as_usual = price_bill(FLAT, _case(7, **billing, export_terms=ExportTerms(levies_on_import=True)), surcharge)
    assert as_usual.amount(LineKind.SURCHARGE) == D(900)


def test_without_solar_there_is_no_ledger() -> None:
    dark = without_solar(_case(9, ledger_kwh=D(5), ledger_peak_kwh=D(6), exported_kwh=D(7)), D(900))
    assert (dark.ledger_kwh, dark.ledger_peak_kwh, dark.exported_kwh, dark.exported_peak_kwh) == (0, 0, 0, 0)
