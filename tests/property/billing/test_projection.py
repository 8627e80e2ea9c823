"""What holds for every year of bills."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.model import Adjustment, ExportScheme
from cloud.billing.rules.month import Month
from cloud.billing.rules.outlook.held_rates import RECURRING, held_adjustments
from cloud.billing.rules.outlook.notes import trust_of
from cloud.billing.rules.outlook.profile import Basis, MeasuredMonth, Quarter, YearOutlook, month_energy, moved
from cloud.billing.rules.outlook.projection import Connection, Rates, YearBefore, months_from, project_year
from cloud.billing.rules.outlook.sun import clear_day_shares

CATALOGUE = read_catalogue()
PLANS = {
    record.category: [r.plan() for r in CATALOGUE.plans if r.category == record.category] for record in CATALOGUE.plans
}
RATES = Rates(PLANS, CATALOGUE.adjustments)
HOME = Connection("lesco", "residential_unprotected", "punjab", sanctioned_load_kw=Decimal(5), phases=3)
STEP = Decimal("0.002")

watt_hours = st.integers(0, 5_000).map(Decimal)


def plain(slot: int, generated: Decimal, consumed: Decimal) -> Quarter:
    over = generated - consumed
    return Quarter(slot, generated, consumed, max(Decimal(0), -over), max(Decimal(0), over))


quarters = st.builds(plain, st.integers(0, 95), watt_hours, watt_hours)
dark_quarters = st.builds(plain, st.integers(0, 95), st.just(Decimal(0)), watt_hours)
months = st.builds(Month, st.integers(2024, 2027), st.integers(1, 12))


def measured(rows: st.SearchStrategy[Quarter]) -> st.SearchStrategy[MeasuredMonth]:
    return st.builds(MeasuredMonth, months, st.lists(rows, min_size=1, max_size=8).map(tuple), st.just(100.0))


yields = st.lists(st.integers(60, 180).map(Decimal), min_size=12, max_size=12)
outlooks = st.builds(
    YearOutlook,
    st.lists(measured(quarters), min_size=1, max_size=4),
    st.sampled_from(["lesco", "kelectric"]),
    yield_kwh_per_kwp=st.none() | yields,
    consumption_kwh=st.none() | st.lists(st.integers(0, 900).map(Decimal), min_size=12, max_size=12),
)


@given(quarters, watt_hours, watt_hours)
def test_import_less_export_moves_by_what_changed(quarter: Quarter, generated: Decimal, consumed: Decimal) -> None:
    other = moved(quarter, generated_wh=generated, consumed_wh=consumed)
    assert other.imported_wh - other.exported_wh == consumed - generated
    assert other.imported_wh >= 0
    assert other.exported_wh >= 0
    same = moved(other, generated_wh=generated, consumed_wh=consumed)
    assert same == other


@given(months, outlooks)
def test_what_is_used_is_what_is_bought_and_generated_less_what_is_given(month: Month, outlook: YearOutlook) -> None:
    energy = month_energy(month, outlook)
    balance = energy.imported_kwh + energy.generated_kwh - energy.exported_kwh
    assert abs(balance - energy.consumed_kwh) <= STEP
    assert 0 <= energy.imported_peak_kwh <= energy.imported_kwh
    assert 0 <= energy.exported_peak_kwh <= energy.exported_kwh
    assert 0 <= energy.consumed_peak_kwh <= energy.consumed_kwh
    assert energy.basis in {energy.consumption_basis, energy.generation_basis}
    if outlook.consumption_kwh is not None and energy.consumption_basis is Basis.SCALED:
        assert abs(energy.consumed_kwh - outlook.consumption_kwh[month.month - 1]) <= STEP


@given(months, st.lists(measured(dark_quarters), min_size=1, max_size=3), yields, st.integers(1, 20))
def test_a_larger_system_never_buys_more(
    month: Month, known: list[MeasuredMonth], kwh: list[Decimal], kwp: int
) -> None:
    zone = ZoneInfo("Asia/Karachi")
    shares = {m.month: clear_day_shares(m, latitude=31.5, longitude=74.3, zone=zone) for m in months_from(month)}
    outlook = YearOutlook(known, "lesco", yield_kwh_per_kwp=kwh, system_kwp=Decimal(kwp), day_shares=shares)
    small, large = (month_energy(month, replace(outlook, system_kwp=Decimal(size))) for size in (kwp, 2 * kwp))
    assert large.imported_kwh <= small.imported_kwh
    assert large.exported_kwh >= small.exported_kwh
    assert large.consumed_kwh == small.consumed_kwh
    # The day's quarter-hours that no measured row stands for carry their share of the sun, too.
    assert large.generated_kwh <= 2 * kwp * kwh[month.month - 1] + STEP


@settings(max_examples=min(25, settings().max_examples), deadline=None)
@given(
    st.lists(measured(dark_quarters), min_size=1, max_size=3),
    months.filter(lambda m: (m.year, m.month) >= (2026, 3)),
    st.sampled_from(ExportScheme),
)
def test_without_solar_both_rows_of_bills_are_the_same(
    known: list[MeasuredMonth], first: Month, scheme: ExportScheme
) -> None:
    connection = replace(HOME, export_scheme=scheme)
    done = project_year(first, YearOutlook(known, "lesco"), connection=connection, before=YearBefore(), rates=RATES)
    assert [m.with_solar.total_pkr for m in done.months] == [m.without_solar.total_pkr for m in done.months]
    assert done.savings_pkr == done.export_income_pkr == 0
    assert [m.energy.month for m in done.months] == list(months_from(first))
    assert sum(done.count(basis) for basis in Basis) == 12
    assert trust_of(done).note


@settings(max_examples=min(25, settings().max_examples), deadline=None)
@given(outlooks, st.sampled_from(ExportScheme), st.integers(0, 400).map(Decimal))
def test_a_year_adds_up_and_no_surplus_is_lost(outlook: YearOutlook, scheme: ExportScheme, brought: Decimal) -> None:
    metered = scheme is ExportScheme.NET_METERING_2015
    before = YearBefore(ledger_kwh=brought if metered else Decimal(0))
    connection = replace(HOME, export_scheme=scheme)
    done = project_year(Month(2026, 10), outlook, connection=connection, before=before, rates=RATES)
    assert done.savings_pkr == sum(m.savings_pkr for m in done.months)
    assert done.without_solar_pkr - done.with_solar_pkr == done.savings_pkr
    assert done.export_income_pkr == sum(m.export_income_pkr for m in done.months)
    if not metered:
        assert done.ledger_kwh == 0
        return
    paid = sum(
        line.quantity or Decimal(0) for m in done.months for line in m.with_solar.lines if line.kind == "export_credit"
    )
    billed = sum(m.with_solar.billed_kwh for m in done.months)
    given_away = done.energy_kwh("exported") + before.ledger_kwh - paid - done.ledger_kwh
    assert given_away == done.energy_kwh("imported") - billed


@given(st.lists(st.sampled_from(CATALOGUE.adjustments), unique=True), st.integers(0, 1_000))
def test_every_recurring_rate_goes_on(records: list[Adjustment], days: int) -> None:
    held = held_adjustments(records)
    assert held[: len(records)] == tuple(records)
    for record in records:
        if record.kind in RECURRING and record.effective_to is not None:
            day = record.effective_to + timedelta(days=1 + days)
            assert any(
                other.kind is record.kind and other.covers(day)
                for other in held
                if other.effective_from > record.effective_from
            ) or day <= max(r.effective_to or date.max for r in records if r.kind is record.kind)
