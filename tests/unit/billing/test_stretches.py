"""A tariff that changes inside the period, and the first and last bills of a connection."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.catalogue import Catalogue, read_catalogue
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import Bill, BillingCase, LineKind, Plan, RateStatus
from cloud.billing.rules.records import plan_of

D = Decimal
PERIOD = {"period_start": date(2026, 1, 24), "period_end": date(2026, 2, 23)}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


def _versions(catalogue: Catalogue, category: str) -> list[Plan]:
    return [p.plan() for p in catalogue.plans if p.category == category]


def _case(units: str, **changes: Any) -> BillingCase:
    given: dict[str, Any] = {**PERIOD, "imported_kwh": D(units), "disco_provider": "lesco", "sanctioned_load_kw": D(4)}
    return BillingCase(**{**given, **changes})


def _amounts(bill: Bill, kind: LineKind) -> list[str]:
    return [str(line.amount_pkr) for line in bill.lines if line.kind is kind]


def test_units_and_fixed_charge_by_calendar_days(catalogue: Catalogue) -> None:
    """345 units, 24 Jan - 23 Feb 2026: 19 days at 37.99 and 200 a consumer, 12 days at 36.46 and 400 a kW."""
    bill = price_bill(_versions(catalogue, "residential_unprotected"), _case("345"))
    assert _amounts(bill, LineKind.ENERGY) == ["8033.05", "4869.17"]
    assert _amounts(bill, LineKind.FIXED) == ["122.58", "619.35"]
    energy = [line for line in bill.lines if line.kind is LineKind.ENERGY]
    assert [line.formula for line in energy] == [
        "345 kWh × 19/31 days × 37.99 PKR/kWh",
        "345 kWh × 12/31 days × 36.46 PKR/kWh",
    ]
    assert [line.status for line in energy] == [RateStatus.DERIVED, RateStatus.VERIFIED]
    assert energy[1].source == "S.R.O. 279(I)/2026"
    assert bill.assumptions[0].startswith("The tariff changed on 2026-02-12, inside the period")


def test_the_slab_is_that_of_the_whole_period_s_units(catalogue: Catalogue) -> None:
    """Each version's share of 345 units alone would lie in a lower slab."""
    bill = price_bill(_versions(catalogue, "residential_unprotected"), _case("345"))
    assert {portion.label for portion in bill.portions} == {"301-400"}
    assert round(sum(portion.units for portion in bill.portions), 12) == D(345)


@pytest.mark.parametrize("cut", [date(2026, 1, 25), date(2026, 2, 1), date(2026, 2, 23)])
def test_joining_two_equal_versions(catalogue: Catalogue, cut: date) -> None:
    whole = _versions(catalogue, "residential_unprotected")[-1]
    halves = [
        replace(whole, effective_from=date(2025, 1, 1), effective_to=date.fromordinal(cut.toordinal() - 1)),
        replace(whole, effective_from=cut),
    ]
    joined, split = price_bill(whole, _case("345")), price_bill(halves, _case("345"))
    assert split.portions == joined.portions
    assert split.lines == joined.lines
    assert split.total_pkr == joined.total_pkr


def test_peak_and_off_peak_each_by_days() -> None:
    source = {"category": "tou_commercial", "source": "example"}
    rates = {"pricing_rule": "tou", "peak_rate_per_kwh": "40", "off_peak_rate_per_kwh": "30"}
    old = plan_of(rates, code="old", **source, effective_to=date(2026, 2, 11))
    new = plan_of({**rates, "peak_rate_per_kwh": "50"}, code="new", **source, effective_from=date(2026, 2, 12))
    bill = price_bill([new, old], _case("620", imported_peak_kwh=D(310)))
    assert [(p.label, p.units, p.rate, p.amount_pkr) for p in bill.portions] == [
        ("off-peak", D(310), D(30), D("9300.00")),
        ("peak", D(190), D(40), D("7600.00")),
        ("peak", D(120), D(50), D("6000.00")),
    ]
    assert bill.plan_code == "new"


def test_one_version_rules_the_whole_period_whatever_its_dates(catalogue: Catalogue) -> None:
    last = _versions(catalogue, "residential_unprotected")[-1]
    assert price_bill([last], _case("345")) == price_bill(last, _case("345"))
    assert price_bill(last, _case("345")).assumptions == ()


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        ([(None, date(2026, 2, 1)), (date(2026, 2, 3), None)], "without gap or overlap"),
        ([(None, date(2026, 2, 5)), (date(2026, 2, 3), None)], "without gap or overlap"),
        ([(date(2026, 1, 25), date(2026, 2, 5)), (date(2026, 2, 6), None)], "2026-01-24, the period's first day"),
        ([(None, date(2026, 2, 5)), (date(2026, 2, 6), date(2026, 2, 20))], "2026-02-21 and after"),
        ([(date(2020, 1, 1), date(2020, 2, 5)), (date(2027, 2, 6), None)], "no tariff version is given"),
        ([], "no tariff version is given"),
    ],
)
def test_versions_that_leave_a_day_out_are_refused(dates: list[tuple[date | None, date | None]], words: str) -> None:
    plans = [
        plan_of(
            {"energy_charge_per_kwh": "30"},
            code="flat",
            category="x",
            source="example",
            effective_from=first,
            effective_to=last,
        )
        for first, last in dates
    ]
    with pytest.raises(BillingError, match=words):
        price_bill(plans, _case("100"))


def test_a_first_bill_has_its_slabs_and_fixed_charge_by_days(catalogue: Catalogue) -> None:
    """12 of 30 days: the slab up to 300 units ends at 120; 130 units fall into that of 301-400."""
    plan = _versions(catalogue, "residential_unprotected")[-1]
    days = {"period_start": date(2026, 6, 12), "period_end": date(2026, 6, 23)}
    below, above = (price_bill(plan, _case(kwh, prorated=True, **days)) for kwh in ("120", "130"))
    assert [(p.label, p.rate) for p in below.portions] == [("201-300", D("33.10"))]
    assert [(p.label, p.rate, p.amount_pkr) for p in above.portions] == [("301-400", D("36.46"), D("4739.80"))]
    fixed = next(line for line in above.lines if line.kind is LineKind.FIXED)
    assert (fixed.amount_pkr, fixed.formula) == (D("640.00"), "4 kW × 12/30 days × 400 PKR")
    assert above.assumptions[0].startswith("First or last bill of a connection")
    whole = price_bill(plan, _case("130", **days))
    assert [p.label for p in whole.portions] == ["101-200"]


def test_a_first_bill_of_a_protected_home_loses_no_unit(catalogue: Catalogue) -> None:
    plan = _versions(catalogue, "residential_protected")[-1]
    days = {"period_start": date(2026, 6, 17), "period_end": date(2026, 6, 23)}
    bill = price_bill(plan, _case("40", prorated=True, **days))
    assert [(p.label, p.units) for p in bill.portions] == [("1-100", D("23.334")), ("101-200", D("16.666"))]


def test_a_pro_rated_bill_across_a_change(catalogue: Catalogue) -> None:
    bill = price_bill(
        _versions(catalogue, "residential_unprotected"),
        _case("130", prorated=True, period_start=date(2026, 2, 6), period_end=date(2026, 2, 17)),
    )
    assert _amounts(bill, LineKind.ENERGY) == ["2469.35", "2369.90"]
    assert _amounts(bill, LineKind.FIXED) == ["40.00", "320.00"]
    assert len(bill.assumptions) == 2
