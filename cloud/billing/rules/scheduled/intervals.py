"""A scheduled tariff on a meter's intervals: the months' bills, and what had to be taken for granted."""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import numpy as np

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.scheduled.bill import ScheduledBills, Terms, price_months
from cloud.billing.rules.scheduled.metered import assumed_of
from cloud.billing.rules.scheduled.schedule import Metering, MonthUse, Schedule, TierSplit
from cloud.billing.rules.scheduled.use import Calendar, aggregate, intervals_calendar

_HOURS_A_DAY = 24
_CLOCK_CHANGE_HOURS = 1


def _flow(intervals: Sequence[Interval], name: str, *, zone: ZoneInfo) -> list[float]:
    values = []
    for interval in intervals:
        kwh = getattr(interval, name)
        if kwh is None:
            start = interval.start.astimezone(zone).isoformat()
            raise BillingError(f"{name} of {start} was not measured; a scheduled tariff is priced from gapless data")
        values.append(float(kwh))
    return values


def _is_told(intervals: Sequence[Interval], name: str) -> bool:
    return any(getattr(interval, name) is not None for interval in intervals)


def _incomplete_months(calendar: Calendar) -> Iterator[str]:
    intervals = np.bincount(calendar.slots, minlength=len(calendar.months))
    for month, count in zip(calendar.months, intervals, strict=True):
        hours, of_hours = int(count) / calendar.per_hour, monthrange(month.year, month.month)[1] * _HOURS_A_DAY
        if hours < of_hours - _CLOCK_CHANGE_HOURS:
            yield f"{month} is covered for {hours:g} of {of_hours} hours: its charges by month and day are those of the whole month."


def _assumptions(schedule: Schedule, calendar: Calendar) -> Iterator[str]:
    yield from _incomplete_months(calendar)
    yield from assumed_of(schedule, calendar.minutes)
    if schedule.metering is Metering.NET_METERING:
        yield "Net metering: nothing was brought forward into the first month."
    elif schedule.tier_split is TierSplit.IN_ORDER and any(len(period.tiers) > 1 for period in schedule.energy):
        yield "Tiers are filled in the order of the hours."
    if schedule.minimum_per_year and not _has_whole_year(calendar):
        yield "No calendar year is complete: its minimum charge is left out."


def _has_whole_year(calendar: Calendar) -> bool:
    years = [month.year for month in calendar.months]
    return any(years.count(year) == 12 for year in set(years))


def _use(schedule: Schedule, calendar: Calendar, intervals: Sequence[Interval], zone: ZoneInfo) -> tuple[MonthUse, ...]:
    two_meters = schedule.metering is Metering.BUY_ALL_SELL_ALL
    bought, sold = ("consumed_kwh", "generated_kwh") if two_meters else ("imported_kwh", "exported_kwh")
    return aggregate(
        schedule,
        calendar,
        imported_kwh=_flow(intervals, bought, zone=zone),
        exported_kwh=_flow(intervals, sold, zone=zone) if two_meters or _is_told(intervals, sold) else None,
    )


def price_intervals(
    schedule: Schedule, intervals: Sequence[Interval], *, zone: ZoneInfo, terms: Terms
) -> ScheduledBills:
    """Price what a meter counted.

    Args:
        schedule: the tariff.
        intervals: in order of time, gapless, from a full local hour on.
        zone: of the meter.
        terms: of the lines.

    Raises:
        BillingError: if an interval is missing or was not measured.
        RateUnknownError: if units or a demand go above a highest tier that ends.
    """
    calendar = intervals_calendar(intervals, zone=zone)
    use = _use(schedule, calendar, intervals, zone)
    without = None
    if _is_told(intervals, "consumed_kwh"):
        dark = aggregate(schedule, calendar, imported_kwh=_flow(intervals, "consumed_kwh", zone=zone))
        without = price_months(schedule, dark, terms=terms)
    return ScheduledBills(price_months(schedule, use, terms=terms), without, tuple(_assumptions(schedule, calendar)))
