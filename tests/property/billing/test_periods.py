"""What is true of any period: versions split and joined, pro-rated bills, leap years, every billing day."""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.errors import BillingError, RateUnknownError
from cloud.billing.rules.model import Adjustment, AdjustmentKind, Bill, BillingCase, LineKind, Plan
from cloud.billing.rules.money import PAISA
from cloud.billing.rules.month import Month
from cloud.billing.rules.stretches import MONTH_DAYS, stretches_of

CATALOGUE = read_catalogue()
PLANS = tuple(record.plan() for record in CATALOGUE.plans if record.effective_to is None)
HOMES = tuple(p for p in PLANS if p.category in {"residential_unprotected", "residential_protected"})
OLD, NEW = (
    p.plan() for p in CATALOGUE.plans if p.category == "residential_unprotected" and p.effective_from.year > 2024
)

units = st.decimals(min_value=0, max_value=200, places=2)
dates = st.dates(date(2026, 2, 12), date(2032, 12, 31))
A_DAY = timedelta(days=1)
TINY = Decimal("1e-20")


@st.composite
def periods(draw: st.DrawFn) -> tuple[date, date]:
    """Two readings of a meter on the same day of two months in a row, of any year and day 1-31."""
    billing_day = draw(st.integers(1, 31))
    year, month = draw(st.integers(2026, 2032)), draw(st.integers(3, 11))

    def reading(of: int) -> date:
        return date(year, of, min(billing_day, monthrange(year, of)[1]))

    return reading(month - 1) + A_DAY, reading(month)


@st.composite
def cases(draw: st.DrawFn) -> BillingCase:
    """A consumer with everything that any tariff asks for."""
    start, end = draw(periods())
    kwh = draw(units)
    return BillingCase(
        period_start=start,
        period_end=end,
        imported_kwh=kwh,
        imported_peak_kwh=kwh * draw(st.integers(0, 10)) / 10,
        disco_provider=draw(st.sampled_from(["kelectric", "lesco"])),
        province=draw(st.sampled_from(["sindh", "punjab"])),
        sanctioned_load_kw=draw(st.decimals(min_value=1, max_value=20, places=1)),
        max_demand_kw=draw(st.decimals(min_value=0, max_value=30, places=1)),
        billed_units=draw(st.dictionaries(st.sampled_from([Month(2026, m) for m in range(4, 9)]), units, max_size=5)),
        active_taxpayer=draw(st.booleans()),
    )


def _pieces(plan: Plan, case: BillingCase, cuts: Sequence[int]) -> list[Plan]:
    """The same rates as several versions that begin on days of the period."""
    starts = [None, *(case.period_start + timedelta(days=cut) for cut in sorted(set(cuts)) if cut < case.days)]
    ends = [*(start - A_DAY for start in starts[1:] if start is not None), None]
    return [replace(plan, effective_from=start, effective_to=end) for start, end in zip(starts, ends, strict=True)]


def _priced(plan: Plan | Sequence[Plan], case: BillingCase) -> Bill:
    return price_bill(plan, case, CATALOGUE.adjustments)


@given(st.sampled_from(PLANS), cases(), st.lists(st.integers(1, 40), max_size=4))
def test_splitting_without_a_change_and_joining_is_nothing(plan: Plan, case: BillingCase, cuts: list[int]) -> None:
    try:
        whole = _priced(plan, case)
    except BillingError as error:
        with pytest.raises(type(error)):
            _priced(_pieces(plan, case, cuts), case)
        return
    split = _priced(_pieces(plan, case, cuts), case)
    assert (split.portions, split.lines, split.total_pkr) == (whole.portions, whole.lines, whole.total_pkr)


@given(cases(), st.integers(1, 30))
def test_a_change_bills_every_unit_once_and_lies_between(case: BillingCase, cut: int) -> None:
    changed = case.period_start + timedelta(days=min(cut, case.days - 1))
    plans = [replace(OLD, effective_to=changed - A_DAY), replace(NEW, effective_from=changed)]
    bill = _priced(plans, case)
    assert abs(sum((portion.units for portion in bill.portions), Decimal(0)) - case.imported_kwh) < TINY
    old, new = (_priced(plan, case).amount(LineKind.ENERGY, LineKind.FIXED) for plan in (OLD, NEW))
    slack = PAISA * 2
    assert min(old, new) - slack <= bill.amount(LineKind.ENERGY, LineKind.FIXED) <= max(old, new) + slack


@given(cases(), st.lists(st.integers(1, 40), max_size=4))
def test_the_days_of_the_versions_are_those_of_the_period(case: BillingCase, cuts: list[int]) -> None:
    stretches = stretches_of(_pieces(NEW, case, cuts), case)
    assert sum(stretch.days for stretch in stretches) == case.days
    assert all(stretch.days > 0 for stretch in stretches)


@given(st.sampled_from(HOMES), cases())
def test_thirty_days_pro_rated_are_a_whole_month(plan: Plan, case: BillingCase) -> None:
    month = replace(case, period_end=case.period_start + timedelta(days=MONTH_DAYS - 1))
    assert _priced(plan, replace(month, prorated=True)).lines == _priced(plan, month).lines


@given(st.sampled_from(HOMES), cases(), st.integers(1, 29))
def test_a_part_of_a_month_bills_every_unit_once(plan: Plan, case: BillingCase, days: int) -> None:
    kwh = case.imported_kwh * days / MONTH_DAYS
    part = replace(
        case,
        period_end=case.period_start + timedelta(days=days - 1),
        imported_kwh=kwh,
        imported_peak_kwh=None,
        prorated=True,
    )
    bill = _priced(plan, part)
    assert abs(sum((portion.units for portion in bill.portions), Decimal(0)) - kwh) < TINY
    whole = _priced(plan, replace(case, imported_peak_kwh=None))
    fixed, month_fixed = bill.amount(LineKind.FIXED), whole.amount(LineKind.FIXED)
    assert fixed <= month_fixed * days / MONTH_DAYS + PAISA
    labels = {portion.label for portion in bill.portions} | {portion.label for portion in whole.portions}
    assert labels <= {"1-100", "101-200"}


@given(st.sampled_from(PLANS), cases())
def test_any_billing_day_of_any_year_has_a_bill_that_adds_up(plan: Plan, case: BillingCase) -> None:
    assert 28 <= case.days <= 33
    try:
        bill = _priced(plan, case)
    except RateUnknownError:
        return  # B-4's off-peak rate, and protected homes above 200 units, are not on record
    assert bill.total_pkr == sum(line.amount_pkr for line in bill.lines if line.amount_pkr is not None)
    quarterly = [line for line in bill.lines if line.kind is LineKind.QTA]
    shared = sum((line.quantity or Decimal(0) for line in quarterly), Decimal(0))
    assert not quarterly or abs(shared - bill.billed_kwh) < TINY


@pytest.mark.parametrize(("year", "days"), [(2027, 28), (2028, 29), (2032, 29)])
def test_february_of_leap_years(year: int, days: int) -> None:
    record = Adjustment(AdjustmentKind.QTA, date(year, 2, days), None, "last day", Decimal(1))
    case = BillingCase(
        date(year, 2, 1), date(year, 3, 1) - A_DAY, Decimal(days * 10), "lesco", sanctioned_load_kw=Decimal(4)
    )
    assert case.days == days
    lines = [line for line in price_bill(NEW, case, [record]).lines if line.kind is LineKind.QTA]
    assert [line.amount_pkr for line in lines] == [Decimal("10.00"), None], "the last day of the month has ten units"


@given(st.sampled_from(HOMES), cases(), units, units)
def test_a_home_s_whole_bill_never_falls_when_units_rise(
    plan: Plan, case: BillingCase, first: Decimal, second: Decimal
) -> None:
    base = replace(case, imported_peak_kwh=None)
    scale = 1 if plan.category == "residential_protected" else 5
    low, high = sorted((first * scale, second * scale))
    cheap, dear = (_priced(plan, replace(base, imported_kwh=kwh)) for kwh in (low, high))
    assert cheap.total_pkr <= dear.total_pkr


@given(st.sampled_from(HOMES), cases(), st.sampled_from([100, 200, 300, 400, 500, 600, 700]))
def test_the_step_over_an_edge_is_upward(plan: Plan, case: BillingCase, edge: int) -> None:
    if plan.category == "residential_protected" and edge > 100:
        return
    base = replace(case, imported_peak_kwh=None)
    below, at, over = (
        _priced(plan, replace(base, imported_kwh=edge + step)).total_pkr
        for step in (Decimal("-0.01"), Decimal(0), Decimal("0.01"))
    )
    assert below <= at <= over
