"""Real and constructed bills again, by the prepared way: the same totals to the paisa."""

from datetime import date
from decimal import Decimal

import pytest

from cloud.billing.catalogue import Catalogue, read_catalogue
from cloud.billing.rules.annual.amounts import BillAmounts
from cloud.billing.rules.annual.bills import annual_amounts, prepare_tariff
from cloud.billing.rules.annual.units import BillUnits
from cloud.billing.rules.annual.year import BillsBefore, BillYear, SiteTerms
from cloud.billing.rules.errors import MissingInputError
from cloud.billing.rules.model import ExportScheme, LineKind, Plan
from cloud.billing.rules.month import Month

D = Decimal
KARACHI_HOME = SiteTerms("kelectric", "sindh", D(4))
KWH = 10**6


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


def plan_of_day(catalogue: Catalogue, category: str, day: date) -> Plan:
    return next(p for p in catalogue.plans if p.category == category and p.in_force(day)).plan()


def amounts_of(
    catalogue: Catalogue, terms: SiteTerms, period: tuple[date, date], kwh: int, *, fuel_kwh: dict[Month, Decimal]
) -> BillAmounts:
    plan = plan_of_day(catalogue, "residential_unprotected", period[1])
    tariff = prepare_tariff((plan,), BillYear(terms, periods=(period,), adjustments=catalogue.adjustments))
    assert tariff.bills[0] is not None
    units = BillUnits(kwh * KWH, 0, 0, 0, 0)
    return annual_amounts(tariff, (units,), before=BillsBefore(billed_units=fuel_kwh))[0]


@pytest.mark.parametrize(
    ("period", "kwh", "load_kw", "fuel", "total"),
    [
        ((date(2026, 5, 24), date(2026, 6, 23)), 289, 4, {Month(2026, 4): D(216)}, 1409648),
        ((date(2026, 6, 24), date(2026, 7, 23)), 254, 4, {Month(2026, 5): D(302)}, 1226176),
        ((date(2026, 8, 5), date(2026, 9, 4)), 262, 5, {Month(2026, 7): D(608)}, 1448229),
    ],
)
def test_real_bills(
    catalogue: Catalogue, period: tuple[date, date], kwh: int, load_kw: int, fuel: dict[Month, Decimal], total: int
) -> None:
    made = amounts_of(catalogue, SiteTerms("kelectric", "sindh", D(load_kw)), period, kwh, fuel_kwh=fuel)
    assert (made.total, made.billed) == (total, kwh * KWH)


def test_a_fuel_charge_that_is_not_known_is_pending(catalogue: Catalogue) -> None:
    made = amounts_of(catalogue, KARACHI_HOME, (date(2026, 8, 5), date(2026, 9, 4)), 262, fuel_kwh={})
    assert [kind for kind, paisa in made.lines if paisa is None] == [LineKind.FPA]
    assert made.total == sum(paisa for _, paisa in made.lines if paisa is not None)


def test_a_quarter_s_surplus_is_carried_and_paid(catalogue: Catalogue) -> None:
    plan = plan_of_day(catalogue, "residential_unprotected", date(2026, 4, 30))
    terms = SiteTerms("lesco", "punjab", D(5), export_scheme=ExportScheme.NET_METERING_2015)
    periods = tuple((date(2026, month, 1), date(2026, month, days)) for month, days in ((4, 30), (5, 31), (6, 30)))
    tariff = prepare_tariff((plan,), BillYear(terms, periods=periods, adjustments=catalogue.adjustments))
    made = annual_amounts(tariff, [BillUnits(200 * KWH, 50 * KWH, 300 * KWH, 0, 0)] * 3)
    assert [bill.billed for bill in made] == [0, 0, 0]
    assert [bill.surplus.off_peak for bill in made] == [100 * KWH, 200 * KWH, 0]
    paid = [paisa for kind, paisa in made[2].lines if kind is LineKind.EXPORT_CREDIT]
    assert paid == [-300 * 2532]


def test_what_is_missing_is_named_as_in_a_full_bill(catalogue: Catalogue) -> None:
    plan = plan_of_day(catalogue, "residential_unprotected", date(2026, 6, 30))
    year = BillYear(SiteTerms("lesco", "punjab"), periods=((date(2026, 6, 1), date(2026, 6, 30)),))
    with pytest.raises(MissingInputError, match="sanctioned_load_kw"):
        annual_amounts(prepare_tariff((plan,), year), [BillUnits(200 * KWH, 0, 0, 0, 0)])
