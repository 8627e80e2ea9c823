"""A bill's own way from intervals to units, against the way of many months at once that PySAM is held against."""

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.billing.rules.bill import price_bill, without_solar
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.model import BillingCase, Line, Plan, RateStatus
from cloud.billing.rules.month import Month
from cloud.billing.rules.records import plan_of
from cloud.billing.rules.scheduled.bill import Terms
from cloud.billing.rules.scheduled.intervals import price_intervals
from cloud.billing.rules.scheduled.metered import metered, shared_out
from cloud.billing.rules.scheduled.records import schedule_json
from cloud.billing.rules.scheduled.schedule import Metering, Schedule, Timetable
from tests.property.billing.scheduled_years import Site, net_billing_tariffs, net_metering_tariffs, sites

ZONES = st.sampled_from([ZoneInfo("Asia/Karachi"), ZoneInfo("America/Denver"), ZoneInfo("Europe/Berlin")])
MONTHS = max(5, settings().max_examples // 10)
"""A month of intervals takes a while to draw and to price in two ways."""
TERMS = Terms(source="drawn", status=RateStatus.DERIVED)


def _kwh(value: float) -> Decimal:
    return Decimal(str(round(value, 4)))


def _month_of(site: Site, month: int, zone: ZoneInfo) -> list[Interval]:
    """The site's intervals of a month of 2026, with all hours that the clocks show twice and none that they leave out."""
    start = datetime.combine(date(2026, month, 1), time(), zone).astimezone(UTC)
    following = date(2026 + month // 12, month % 12 + 1, 1)
    end = datetime.combine(following, time(), zone).astimezone(UTC)
    step = timedelta(hours=1) / site.per_hour
    intervals = []
    for n in range(int((end - start) / step)):
        load, made = (_kwh(float(flow[n]) / site.per_hour) for flow in (site.load_kw, site.generation_kw))
        intervals.append(
            Interval(
                start + n * step,
                int(step.total_seconds()),
                imported_kwh=max(Decimal(0), load - made),
                exported_kwh=max(Decimal(0), made - load),
                generated_kwh=made,
                consumed_kwh=load,
            )
        )
    return intervals


def _case(month: int) -> BillingCase:
    last = monthrange(2026, month)[1]
    return BillingCase(
        period_start=date(2026, month, 1),
        period_end=date(2026, month, last),
        imported_kwh=Decimal(0),
        exported_kwh=Decimal(0),
        disco_provider="lesco",
    )


def _plan(schedule: Schedule) -> Plan:
    rates = {"pricing_rule": "schedule", "schedule": schedule_json(schedule)}
    return plan_of(rates, code="drawn", category="imported", source="drawn", status=RateStatus.DERIVED)


def _sorted(lines: Iterable[Line]) -> list[Line]:
    """A bill has its credits at its end, a month of a year before what makes up its minimum."""
    return sorted(lines, key=lambda line: (line.kind, line.label))


@settings(max_examples=2 * MONTHS)
@given(st.one_of(net_billing_tariffs(), net_metering_tariffs()), sites(), st.integers(1, 12), ZONES)
def test_a_metered_case_is_the_month_that_its_intervals_are(
    schedule: Schedule, site: Site, month: int, zone: ZoneInfo
) -> None:
    one_month = replace(schedule, minimum_per_year=Decimal(0))
    intervals = _month_of(site, month, zone)
    asked = price_intervals(one_month, intervals, zone=zone, terms=TERMS)
    made = metered(one_month, _case(month), intervals, zone=zone)
    assert _sorted(price_bill(_plan(one_month), made.case).lines) == _sorted(asked.months[0].lines)
    dark = replace(
        without_solar(made.case, made.consumed_kwh, consumed_units=made.consumed_units),
        max_demand_kw=made.consumed_max_demand_kw,
        schedule_demand_kw=made.consumed_demand_kw,
    )
    assert asked.without_solar is not None
    assert _sorted(price_bill(_plan(one_month), dark).lines) == _sorted(asked.without_solar[0].lines)


@settings(max_examples=MONTHS)
@given(net_billing_tariffs(), sites(), st.integers(1, 12))
def test_two_meters_buy_the_use_and_sell_the_generation(schedule: Schedule, site: Site, month: int) -> None:
    two_meters = replace(schedule, metering=Metering.BUY_ALL_SELL_ALL, minimum_per_year=Decimal(0))
    zone = ZoneInfo("Asia/Karachi")
    intervals = _month_of(site, month, zone)
    made = metered(two_meters, _case(month), intervals, zone=zone)
    asked = price_intervals(two_meters, intervals, zone=zone, terms=TERMS)
    assert _sorted(price_bill(_plan(two_meters), made.case).lines) == _sorted(asked.months[0].lines)


@settings(max_examples=MONTHS)
@given(net_billing_tariffs(), sites(), st.integers(2, 28), st.sets(st.integers(0, 600), max_size=20))
def test_a_gap_counts_as_nothing_and_units_stay_whole(schedule: Schedule, site: Site, day: int, gaps: set[int]) -> None:
    """From any reading day; a period of two seasons is priced where both have the same tiers."""
    same_tiers = replace(schedule, energy=schedule.energy[:1], timetable=_only_first(schedule))
    zone = ZoneInfo("Asia/Karachi")
    intervals = [item for n, item in enumerate(_month_of(site, 5, zone)) if n not in gaps]
    case = replace(_case(5), period_start=date(2026, 5, day), period_end=date(2026, 6, day - 1))
    inside = [item for item in intervals if item.start.astimezone(zone).date() >= case.period_start]
    made = metered(same_tiers, case, intervals, zone=zone)
    total = sum((item.imported_kwh or Decimal(0) for item in inside), Decimal(0))
    assert made.case.imported_kwh == total == sum(made.case.schedule_units.values()) - made.case.exported_kwh
    assert made.case.month == Month(2026, 6)


def _only_first(schedule: Schedule) -> Timetable:
    never = tuple((0,) * 24 for _ in range(12))
    return replace(schedule.timetable, weekday=never, weekend=never)


units = st.integers(0, 10**9).map(lambda count: Decimal(count).scaleb(-3))


@given(units, st.dictionaries(st.sampled_from("abcd"), units, min_size=1))
def test_what_is_shared_out_adds_up(total: Decimal, by_period: dict[str, Decimal]) -> None:
    shares = shared_out(total, by_period)
    assert sum(shares.values()) == total
    assert shares.keys() == by_period.keys()
    assert all(kwh >= 0 for kwh in shares.values())
