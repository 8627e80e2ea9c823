"""Schedules: what is refused, how months add up and follow each other, calendars and their edges."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cloud.billing.rules.errors import BillingError, RateUnknownError
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.model import LineKind
from cloud.billing.rules.month import Month
from cloud.billing.rules.scheduled.bill import ScheduledMonth, Terms, price_month, price_months
from cloud.billing.rules.scheduled.intervals import price_intervals
from cloud.billing.rules.scheduled.records import schedule_of
from cloud.billing.rules.scheduled.schedule import (
    Metering,
    MonthUse,
    RatePeriod,
    Schedule,
    Tier,
    TierSplit,
    TierUnit,
    Timetable,
    one_period,
)
from cloud.billing.rules.scheduled.use import Calendar, aggregate, days_calendar, intervals_calendar, year_calendar

D = Decimal
TERMS = Terms(source="rate book")
ANY = RatePeriod("any", (Tier(None, D("0.2")),))
FLAT = Schedule(energy=(ANY,), timetable=one_period())


def use(month: int, imported: int, exported: int = 0, *, year: int = 2026) -> MonthUse:
    return MonthUse(Month(year, month), (D(imported),), (D(exported),))


def totals(months: tuple[ScheduledMonth, ...]) -> list[Decimal]:
    return [month.total for month in months]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: RatePeriod("", (Tier(None, D(1)),)), "period name ''"),
        (lambda: RatePeriod("a/b", (Tier(None, D(1)),)), "period name 'a/b'"),
        (lambda: RatePeriod("a", ()), "period a has no tiers"),
        (lambda: RatePeriod("a", (Tier(None, D(1)), Tier(None, D(1)))), "tier 1 has no top and is not the last"),
        (lambda: RatePeriod("a", (Tier(D(5), D(1)), Tier(D(5), D(1)))), "tier 2 ends at 5, not above 5"),
        (lambda: RatePeriod("a", (Tier(D(0), D(1)),)), "tier 1 ends at 0, not above 0"),
        (lambda: Timetable(((0,) * 24,) * 11, ((0,) * 24,) * 12), "the weekday timetable"),
        (lambda: Timetable(((0,) * 24,) * 12, ((0,) * 25,) * 12), "the weekend timetable"),
        (lambda: replace(FLAT, energy=()), "energy has no periods"),
        (lambda: replace(FLAT, energy=(ANY, ANY)), "two energy periods are called any"),
        (
            lambda: replace(FLAT, timetable=Timetable(((1,) * 24,) * 12, ((0,) * 24,) * 12)),
            "names period 1; there are 1",
        ),
        (lambda: replace(FLAT, timetable=Timetable(((-1,) * 24,) * 12, ((0,) * 24,) * 12)), "names period -1"),
        (lambda: replace(FLAT, demand=(ANY,)), "demand_timetable is missing"),
        (lambda: replace(FLAT, demand_timetable=one_period()), "demand has no periods"),
        (lambda: replace(FLAT, flat_demand=(ANY,)), "flat_demand_months has 0 entries"),
        (lambda: replace(FLAT, flat_demand=(ANY,), flat_demand_months=(1,) * 12), "flat_demand_months names period 1"),
        (lambda: replace(FLAT, demand_window_minutes=7), "demand_window_minutes is 7"),
        (lambda: replace(FLAT, netting_minutes=0), "netting_minutes is 0"),
        (lambda: replace(FLAT, true_up_month=13), "true_up_month is 13"),
    ],
)
def test_what_cannot_be_priced_is_refused(build: Any, words: str) -> None:
    with pytest.raises(BillingError, match=words):
        build()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([], r"schedule is \[\]; write an object"),
        ({"enery": []}, "schedule has the key 'enery'"),
        ({"energy": "x"}, "energy is 'x'; write a list"),
        ({"energy": [{"name": "a", "tier": []}]}, r"energy\[0\] has the key 'tier'"),
        ({"energy": [{"name": "a", "tiers": [{"top": "5"}]}]}, r"energy\[0\].tiers\[0\].rate is missing"),
        ({"energy": [{"name": "a", "tiers": [{"rate": "five"}]}]}, r"energy\[0\].tiers\[0\].rate is 'five'"),
        ({"energy": [{"name": "a", "tiers": [{"rate": "NaN"}]}]}, "write a finite number"),
        ({"energy": [{"name": "a", "tiers": [{"rate": "1"}]}], "weekday": [[0] * 24] * 12}, "weekend is missing"),
        ({"energy": [{"name": n, "tiers": [{"rate": "1"}]} for n in "ab"]}, "weekday and weekend are missing"),
        (
            {"energy": [{"name": "a", "tiers": [{"rate": "1"}]}], "weekday": [["0"] * 24] * 12, "weekend": []},
            r"weekday\[0\]\[0\] is '0'",
        ),
        (
            {"energy": [{"name": "a", "tiers": [{"rate": "1"}]}], "metering": "barter"},
            "metering is 'barter'; known: net_billing",
        ),
        (
            {"energy": [{"name": "a", "tiers": [{"rate": "1"}]}], "true_up_month": "12"},
            "true_up_month is '12'; write a whole",
        ),
        ({"energy": [{"name": "a", "tiers": [{"rate": "1"}]}], "true_up_month": True}, "true_up_month is True"),
    ],
)
def test_a_record_that_is_wrong_is_named(record: Any, words: str) -> None:
    with pytest.raises(BillingError, match=words):
        schedule_of(record)


def test_a_leap_year_has_its_day() -> None:
    assert year_calendar(2028, per_hour=1).slots.size == 8784
    assert year_calendar(2026, per_hour=4).slots.size == 35_040
    daily = replace(FLAT, fixed_per_day=D(1))
    uses = aggregate(daily, year_calendar(2028, per_hour=1), imported_kwh=np.ones(8784))
    assert uses[1].imported_kwh == (D(29 * 24),)
    assert price_months(daily, uses, terms=TERMS)[1].total == D(29) + D("139.20")


def test_weekends_are_saturdays_and_sundays() -> None:
    calendar = days_calendar(date(2026, 8, 1), 7, per_hour=1)  # a Saturday
    assert calendar.weekends.reshape(7, 24).all(axis=1).tolist() == [True, True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.ones(8784), "imported_kwh has 8784 values; 2026-01 to 2026-12 has 8760 intervals of 60 minutes"),
        (np.full(8760, np.nan), r"imported_kwh\[0\] is nan"),
        (np.array([1.0] * 8759 + [-0.1]), r"imported_kwh\[8759\] is -0.1"),
        (np.array([1.0, np.inf] + [1.0] * 8758), r"imported_kwh\[1\] is inf"),
    ],
)
def test_data_that_is_no_year_is_refused(values: Any, words: str) -> None:
    with pytest.raises(BillingError, match=words):
        aggregate(FLAT, year_calendar(2026, per_hour=1), imported_kwh=values)


@pytest.mark.parametrize(("days", "per_hour"), [(0, 1), (1, 0), (1, 7)])
def test_no_such_calendar(days: int, per_hour: int) -> None:
    with pytest.raises(BillingError, match="is no calendar"):
        days_calendar(date(2026, 1, 1), days, per_hour=per_hour)


def test_tiers_fill_in_the_order_of_the_hours() -> None:
    matrix = ((0,) * 12 + (1,) * 12,) * 12
    tiered = Schedule(
        energy=(
            RatePeriod("morning", (Tier(D(30), D(1)), Tier(None, D(2)))),
            RatePeriod("evening", (Tier(D(30), D(3)), Tier(None, D(4)))),
        ),
        timetable=Timetable(matrix, matrix),
    )
    calendar = days_calendar(date(2026, 3, 2), 2, per_hour=1)
    (march,) = aggregate(tiered, calendar, imported_kwh=np.ones(48))
    # Day 1: 12 + 12, day 2: six more are below 30, the rest above.
    assert march.imported_tiers == ((D(18), D(6)), (D(12), D(12)))
    (apart,) = aggregate(replace(tiered, tier_split=TierSplit.PRORATED), calendar, imported_kwh=np.ones(48))
    lines = price_month(tiered, apart, terms=TERMS).lines
    assert [line.quantity for line in lines] == [D(15), D(9), D(15), D(9)]


@pytest.mark.parametrize(
    ("unit", "top", "expected"),
    [(TierUnit.KWH, D(100), D(100)), (TierUnit.KWH_PER_DAY, D(2), D(62)), (TierUnit.KWH_PER_KW, D(40), D(120)),
     (TierUnit.KWH_PER_KW_PER_DAY, D("0.5"), D("46.5"))],
)  # fmt: skip
def test_tops_of_tiers(unit: TierUnit, top: Decimal, expected: Decimal) -> None:
    tiered = replace(FLAT, energy=(RatePeriod("any", (Tier(top, D(1)), Tier(None, D(2)))),), tier_unit=unit)
    assert tiered.tier_tops(3, days=31, peak_kw=D(3)) == (expected, None)


def test_above_a_last_tier_that_ends() -> None:
    ends = replace(FLAT, energy=(RatePeriod("any", (Tier(D(20), D(1), D(1)),)),))
    calendar = days_calendar(date(2026, 3, 1), 1, per_hour=1)
    with pytest.raises(RateUnknownError, match="24 kWh of 2026-03 is above the tariff's highest tier \\(20 kWh\\)"):
        aggregate(ends, calendar, imported_kwh=np.ones(24))
    with pytest.raises(RateUnknownError, match="24 kWh of 2026-03"):
        aggregate(ends, calendar, imported_kwh=np.zeros(24), exported_kwh=np.ones(24))


def test_demand_is_a_mean_over_its_window() -> None:
    calendar = days_calendar(date(2026, 3, 1), 1, per_hour=4)
    kwh = np.zeros(96)
    kwh[4], kwh[5] = 3.0, 1.0
    peak = replace(FLAT, demand=(ANY,), demand_timetable=one_period())
    for minutes, kw in ((None, D(12)), (15, D(12)), (30, D(8)), (60, D(4)), (5, D(12))):
        (march,) = aggregate(replace(peak, demand_window_minutes=minutes), calendar, imported_kwh=kwh)
        assert (march.peak_kw, march.demand_kw) == (kw, (kw,))
    with pytest.raises(BillingError, match="demand_window_minutes is 20, no multiple of the data's 15"):
        aggregate(replace(peak, demand_window_minutes=20), calendar, imported_kwh=kwh)


def test_netting_within_the_hour() -> None:
    calendar = days_calendar(date(2026, 3, 1), 1, per_hour=2)
    bought, sold = np.tile([1.0, 0.0], 24), np.tile([0.0, 1.5], 24)
    (apart,) = aggregate(FLAT, calendar, imported_kwh=bought, exported_kwh=sold)
    (hourly,) = aggregate(replace(FLAT, netting_minutes=60), calendar, imported_kwh=bought, exported_kwh=sold)
    assert (apart.imported_kwh, apart.exported_kwh) == ((D(24),), (D(36),))
    assert (hourly.imported_kwh, hourly.exported_kwh) == ((D(0),), (D(12),))
    assert hourly.peak_kw == apart.peak_kw == D(2)  # demand is what the meter saw
    (same,) = aggregate(replace(FLAT, netting_minutes=30), calendar, imported_kwh=bought + sold, exported_kwh=sold)
    assert (same.imported_kwh, same.exported_kwh) == ((D(24),), (D(0),))


def test_net_metering_carries_on_and_is_paid_at_the_years_end() -> None:
    net = replace(FLAT, metering=Metering.NET_METERING, year_end_sell_rate=D("0.05"))
    months = price_months(
        net, [use(10, 100, 150), use(11, 80, 40), use(12, 10, 60), use(1, 30, year=2027)], terms=TERMS
    )
    # 50 over, of which November takes 40; 10 + 50 are left in December and paid; January begins anew.
    assert totals(months) == [D(0), D(0), D("-3.00"), D("6.00")]
    assert [month.carried_kwh for month in months] == [(D(50),), (D(10),), (D(0),), (D(0),)]
    unpaid = price_months(replace(net, year_end_sell_rate=D(0)), [use(12, 10, 60)], terms=TERMS)
    assert (unpaid[0].lines, unpaid[0].carried_kwh) == ((), (D(0),))


def test_a_surplus_goes_on_to_the_period_of_the_same_hours() -> None:
    summer, winter = (0,) * 12 + (1,) * 12, (2,) * 24
    weekday = (*[winter] * 5, *[summer] * 3, *[winter] * 4)
    weekend = (*[winter] * 5, *[(3,) * 24] * 3, *[winter] * 4)
    table = Timetable(weekday, weekend)
    assert table.periods_of(7) == (0, 1, 3)
    assert (table.successor(1, 7), table.successor(1, 8), table.successor(3, 8), table.successor(2, 5)) == (1, 2, 2, 0)
    with pytest.raises(BillingError, match="energy period 1 does not occur in month 1"):
        Timetable(weekday, weekend).successor(0, 1)


def test_minimum_of_the_year_is_made_up_in_december() -> None:
    least = replace(FLAT, minimum_per_year=D(300))
    months = price_months(least, [use(month, 100) for month in range(1, 13)], terms=TERMS)
    assert totals(months) == [D(20)] * 11 + [D(80)]
    assert months[-1].lines[-1].kind is LineKind.MINIMUM
    assert months[-1].lines[-1].formula == "300 - 240 PKR"
    part = price_months(least, [use(month, 100) for month in range(2, 13)], terms=TERMS)
    assert totals(part) == [D(20)] * 11


def test_rounding_is_half_up_or_off() -> None:
    odd = replace(FLAT, energy=(RatePeriod("any", (Tier(None, D("0.125")),)),))
    assert price_month(odd, use(3, 1), terms=TERMS).total == D("0.13")
    assert price_month(odd, use(3, 1), terms=Terms("x", rounding=None)).total == D("0.125")


def _hours(start: datetime, count: int) -> tuple[Interval, ...]:
    return tuple(Interval(start + timedelta(hours=n), 3600, D(1), D(0), D(2), D(3)) for n in range(count))


def test_clocks_that_change_make_no_gap() -> None:
    zone = ZoneInfo("America/Denver")
    start = datetime(2026, 3, 1, tzinfo=zone).astimezone(ZoneInfo("UTC"))
    march = intervals_calendar(_hours(start, 31 * 24 - 1), zone=zone)
    assert march.months == (Month(2026, 3),)
    assert np.bincount(march.hours).tolist() == [31, 31, 30, *[31] * 21]
    bills = price_intervals(FLAT, _hours(start, 31 * 24 - 1), zone=zone, terms=TERMS)
    assert bills.assumptions == ()
    assert bills.total == D("148.60")
    assert bills.total_without_solar == D("445.80")


def test_intervals_begin_at_a_full_hour() -> None:
    zone = ZoneInfo("Asia/Karachi")
    start = datetime(2026, 3, 1, 0, 30, tzinfo=zone)
    with pytest.raises(BillingError, match="give whole hours"):
        intervals_calendar(_hours(start, 5), zone=zone)


def test_two_meters_are_priced_apart() -> None:
    both = replace(FLAT, energy=(RatePeriod("any", (Tier(None, D(1), D("0.5")),)),), metering=Metering.BUY_ALL_SELL_ALL)
    zone = ZoneInfo("Asia/Karachi")
    bills = price_intervals(both, _hours(datetime(2026, 3, 1, tzinfo=zone), 24), zone=zone, terms=TERMS)
    assert bills.total == D(72) - D(24)
    assert bills.total_without_solar == D(72)


def test_what_is_taken_for_granted_is_said() -> None:
    tiered = RatePeriod("any", (Tier(D(5), D(1)), Tier(None, D(2))))
    zone = ZoneInfo("Asia/Karachi")
    hours = _hours(datetime(2026, 3, 1, tzinfo=zone), 24)
    said = price_intervals(
        replace(FLAT, energy=(tiered,), minimum_per_year=D(9)), hours, zone=zone, terms=TERMS
    ).assumptions
    assert said == (
        "2026-03 is covered for 24 of 744 hours: its charges by month and day are those of the whole month.",
        "Tiers are filled in the order of the hours.",
        "No calendar year is complete: its minimum charge is left out.",
    )
    net = price_intervals(replace(FLAT, metering=Metering.NET_METERING), hours, zone=zone, terms=TERMS)
    assert net.assumptions[-1] == "Net metering: nothing was brought forward into the first month."
    only_imported = tuple(replace(hour, consumed_kwh=None) for hour in hours)
    assert price_intervals(FLAT, only_imported, zone=zone, terms=TERMS).without_solar is None


def test_a_calendar_knows_the_length_of_its_intervals() -> None:
    calendar: Calendar = days_calendar(date(2026, 1, 31), 2, per_hour=12)
    assert calendar.minutes == 5
    assert calendar.months == (Month(2026, 1), Month(2026, 2))
    assert np.bincount(calendar.slots).tolist() == [288, 288]
