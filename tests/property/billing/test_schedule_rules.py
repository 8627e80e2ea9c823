"""What holds for every scheduled tariff and every year."""

import tomllib
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.model import BillingCase, Plan, PricingRule, RateStatus
from cloud.billing.rules.scheduled.bill import Terms, net_units, price_months, prorated
from cloud.billing.rules.scheduled.case import case_demand_kw, case_units
from cloud.billing.rules.scheduled.records import schedule_json, schedule_of
from cloud.billing.rules.scheduled.schedule import Metering, MonthUse, Schedule
from cloud.billing.rules.scheduled.use import aggregate, days_calendar, flows, year_calendar
from cloud.billing.toml_text import toml_text
from tests.property.billing.scheduled_years import (
    UNROUNDED,
    YEAR,
    Site,
    net_billing_tariffs,
    net_metering_tariffs,
    sites,
)

FEWER = settings(max_examples=max(10, settings().max_examples // 2))  # a year each
ROUNDED = Terms(source="drawn")
tariffs = st.one_of(net_billing_tariffs(), net_metering_tariffs())
units = st.integers(0, 10**10).map(lambda count: Decimal(count).scaleb(-6))
tops = st.sets(st.integers(1, 5000).map(Decimal), max_size=4).map(lambda found: [*sorted(found), None])


def year_of(schedule: Schedule, site: Site) -> tuple[MonthUse, ...]:
    bought, sold = flows(
        schedule.metering,
        load_kwh=site.load_kw / site.per_hour,
        generation_kwh=site.generation_kw / site.per_hour,
    )
    return aggregate(schedule, year_calendar(YEAR, per_hour=site.per_hour), imported_kwh=bought, exported_kwh=sold)


@given(st.lists(units, min_size=1, max_size=5), tops)
def test_no_unit_is_billed_twice_or_not_at_all(kwh: list[Decimal], edges: list[Decimal | None]) -> None:
    shared = prorated(kwh, edges)
    assert [sum(parts) for parts in shared] == kwh
    assert all(part >= 0 for parts in shared for part in parts)
    for tier, top in enumerate(edges):
        below = sum(sum(parts[: tier + 1]) for parts in shared)
        assert top is None or below <= top + len(kwh) * Decimal("0.000001")


@FEWER
@given(net_billing_tariffs(), sites())
def test_tiers_in_order_add_up_to_what_was_metered(schedule: Schedule, site: Site) -> None:
    metered = np.rint(np.maximum(site.load_kw - site.generation_kw, 0) / site.per_hour * 1e6).sum()
    uses = year_of(schedule, site)
    assert sum(sum(use.imported_kwh) for use in uses) == Decimal(int(metered)).scaleb(-6)
    for use in uses:
        assert use.imported_tiers is not None
        assert use.exported_tiers is not None
        assert tuple(map(sum, use.imported_tiers)) == use.imported_kwh
        assert tuple(map(sum, use.exported_tiers)) == use.exported_kwh


@FEWER
@given(tariffs, sites())
def test_a_month_is_the_same_alone_and_in_its_year(schedule: Schedule, site: Site) -> None:
    uses = year_of(schedule, site)
    start = 31 * 24 * site.per_hour
    february = slice(start, start + 28 * 24 * site.per_hour)
    bought, sold = flows(
        schedule.metering,
        load_kwh=site.load_kw[february] / site.per_hour,
        generation_kwh=site.generation_kw[february] / site.per_hour,
    )
    alone = days_calendar(date(YEAR, 2, 1), 28, per_hour=site.per_hour)
    assert aggregate(schedule, alone, imported_kwh=bought, exported_kwh=sold) == uses[1:2]


@FEWER
@given(tariffs, sites())
def test_rounding_moves_a_line_by_half_a_paisa_at_most(schedule: Schedule, site: Site) -> None:
    uses = year_of(schedule, site)
    rounded, exact = (price_months(schedule, uses, terms=terms) for terms in (ROUNDED, UNROUNDED))
    for month, other in zip(rounded, exact, strict=True):
        # A minimum is made up from rounded lines, and takes their rounding away again.
        assert abs(month.total - other.total) <= Decimal("0.005") * (len(month.lines) + 1) * (
            12 if schedule.minimum_per_year else 1
        )
        assert all(line.amount_pkr == round(line.amount_pkr or Decimal(0), 2) for line in month.lines)


@FEWER
@given(tariffs, sites())
def test_without_generation_with_is_without(schedule: Schedule, site: Site) -> None:
    dark = Site(site.load_kw, np.zeros_like(site.load_kw), site.per_hour)
    calendar = year_calendar(YEAR, per_hour=site.per_hour)
    load_only = aggregate(schedule, calendar, imported_kwh=site.load_kw / site.per_hour)
    assert year_of(schedule, dark) == load_only


@FEWER
@given(tariffs, sites(), st.integers(0, 11))
def test_a_stored_plan_prices_a_month_as_the_schedule_does(schedule: Schedule, site: Site, month: int) -> None:
    use = year_of(schedule, site)[month]
    expected = price_months(schedule, [use], terms=Terms("drawn", RateStatus.VERIFIED))[0]
    plan = Plan("drawn", "imported", PricingRule.SCHEDULE, "drawn", schedule=schedule)
    case = BillingCase(
        period_start=use.month.first_day,
        period_end=date(YEAR, month + 1, use.days),
        imported_kwh=sum(use.imported_kwh, Decimal(0)),
        exported_kwh=sum(use.exported_kwh, Decimal(0)),
        disco_provider="lesco",
        max_demand_kw=use.peak_kw,
        schedule_units=case_units(schedule, use),
        schedule_demand_kw=case_demand_kw(schedule, use),
    )
    bill = price_bill(plan, case)
    assert bill.total_pkr == expected.total
    assert bill.ledger_kwh == sum(expected.carried_kwh)
    billed = sum(use.imported_kwh)
    if schedule.metering is Metering.NET_METERING:
        billed = sum(net_units(use, [Decimal(0)] * len(schedule.energy))[0])
    assert bill.billed_kwh == billed


@FEWER
@given(tariffs)
def test_a_schedule_is_the_same_after_json_and_toml(schedule: Schedule) -> None:
    record = schedule_json(schedule)
    assert schedule_of(record) == schedule
    document = {"plans": [{"code": "drawn", "rates": {"schedule": record}}]}
    assert tomllib.loads(toml_text(document)) == document


words = st.text(max_size=20)
values = st.recursive(
    st.one_of(words, st.integers(-(2**53), 2**53), st.booleans(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(words, values, max_size=4), st.integers(0, 5))
def test_what_is_written_as_toml_is_read_back(document: dict[str, Any], depth: int) -> None:
    assert tomllib.loads(toml_text(document, depth=depth)) == document
