"""From a year of intervals to each month's units by period and tier, and its highest demand.

Energy is counted in whole milliwatt-hours, so that sums are exact in any order; an interval is rounded to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cloud.billing.rules.errors import BillingError, RateUnknownError
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month
from cloud.billing.rules.scheduled.schedule import (
    HOURS_A_DAY,
    MINUTES_AN_HOUR,
    Metering,
    MonthUse,
    Schedule,
    TierSplit,
    TierUnits,
    Timetable,
)

MWH_PER_KWH = 10**6
"""Milliwatt-hours."""
_DIGITS = 6
_NO_TOP = 2**62
_SATURDAY = 5

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """Whole local days cut into equal intervals.

    Attributes:
        months: in order; each is a bill.
        slots: position in `months` of each interval.
        seasons: calendar month of each interval, 0-11.
        hours: hour of the day of each interval, 0-23.
        weekends: whether each interval is on a Saturday or Sunday.
        per_hour: intervals in an hour.
    """

    months: tuple[Month, ...]
    slots: Ints
    seasons: Ints
    hours: Ints
    weekends: Ints
    per_hour: int

    @property
    def minutes(self) -> int:
        """Length of an interval."""
        return MINUTES_AN_HOUR // self.per_hour


def days_calendar(first: date, days: int, *, per_hour: int) -> Calendar:
    """The calendar of some days of 24 hours; local standard time where clocks change.

    Args:
        first: the first day.
        days: how many.
        per_hour: intervals in an hour; a whole number of minutes each.

    Raises:
        BillingError: if there is no such calendar.
    """
    if days < 1 or per_hour < 1 or MINUTES_AN_HOUR % per_hour:
        raise BillingError(
            f"{days} days of {per_hour} intervals an hour is no calendar; give 1 day or more, and 1, 2, 4, 12 or 60"
        )
    dates = [first + timedelta(days=offset) for offset in range(days)]
    months = tuple(dict.fromkeys(Month.of(day) for day in dates))
    position = {month: index for index, month in enumerate(months)}
    per_day = HOURS_A_DAY * per_hour
    return Calendar(
        months=months,
        slots=np.repeat(np.array([position[Month.of(day)] for day in dates], dtype=np.int64), per_day),
        seasons=np.repeat(np.array([day.month - 1 for day in dates], dtype=np.int64), per_day),
        hours=np.tile(np.repeat(np.arange(HOURS_A_DAY, dtype=np.int64), per_hour), days),
        weekends=np.repeat(np.array([day.weekday() >= _SATURDAY for day in dates], dtype=np.int64), per_day),
        per_hour=per_hour,
    )


def year_calendar(year: int, *, per_hour: int) -> Calendar:
    """The calendar of a year: 8,760 hours, 8,784 in a leap year."""
    first = date(year, 1, 1)
    return days_calendar(first, (date(year + 1, 1, 1) - first).days, per_hour=per_hour)


def intervals_calendar(intervals: Sequence[Interval], *, zone: ZoneInfo) -> Calendar:
    """The calendar of a meter's intervals.

    Args:
        intervals: in order of time, without a gap, from a full local hour on.
        zone: of the meter.

    Raises:
        BillingError: names the first moment that is missing.
    """
    step = timedelta(seconds=intervals[0].seconds)
    for earlier, later in pairwise(intervals):
        if later.start - earlier.start != step:
            missing = (earlier.start + step).astimezone(zone).isoformat()
            raise BillingError(f"the interval at {missing} is missing; a scheduled tariff is priced from gapless data")
    local = [interval.start.astimezone(zone) for interval in intervals]
    per_hour = int(timedelta(hours=1) / step)
    if local[0].minute or len(intervals) % per_hour:
        raise BillingError(f"the intervals begin at {local[0].isoformat()} or end inside an hour; give whole hours")
    bills = [Month(at.year, at.month) for at in local]
    months = tuple(dict.fromkeys(bills))
    position = {month: index for index, month in enumerate(months)}
    return Calendar(
        months=months,
        slots=np.array([position[month] for month in bills], dtype=np.int64),
        seasons=np.array([at.month - 1 for at in local], dtype=np.int64),
        hours=np.array([at.hour for at in local], dtype=np.int64),
        weekends=np.array([at.weekday() >= _SATURDAY for at in local], dtype=np.int64),
        per_hour=per_hour,
    )


def flows(metering: Metering, *, load_kwh: ArrayLike, generation_kwh: ArrayLike) -> tuple[Floats, Floats]:
    """What the meters of a site count, by interval: bought and sold kWh.

    With one meter, load and generation are set against each other in each interval; with two they are not.
    """
    load = np.asarray(load_kwh, dtype=np.float64)
    generation = np.asarray(generation_kwh, dtype=np.float64)
    if metering is Metering.BUY_ALL_SELL_ALL:
        return load, generation
    return np.maximum(load - generation, 0.0), np.maximum(generation - load, 0.0)


def _whole(name: str, values: ArrayLike, calendar: Calendar) -> Ints:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != calendar.slots.shape:
        raise BillingError(
            f"{name} has {array.size} values; {calendar.months[0]} to {calendar.months[-1]} has {calendar.slots.size} intervals of "
            f"{calendar.minutes} minutes (a leap year has a day more)"
        )
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        index = int(np.argmax(wrong))
        raise BillingError(
            f"{name}[{index}] is {array[index]}; the kWh of an interval are a number from 0 up, none missing"
        )
    return np.rint(array * MWH_PER_KWH).astype(np.int64)


def _stretch(minutes: int | None, calendar: Calendar, *, what: str) -> int:
    """Intervals in a stretch of so many minutes; 1 when the stretch is not longer than an interval."""
    if minutes is None or minutes <= calendar.minutes:
        return 1
    if minutes % calendar.minutes:
        raise BillingError(f"{what} is {minutes}, no multiple of the data's {calendar.minutes}; give finer data")
    return minutes // calendar.minutes


def _netted(imported: Ints, exported: Ints, size: int) -> tuple[Ints, Ints]:
    """Set the two flows against each other within each stretch; the rest stands in the stretch's first interval."""
    if size == 1:
        net = imported - exported
        return np.maximum(net, 0), np.maximum(-net, 0)
    sums = (imported - exported).reshape(-1, size).sum(axis=1)
    net = np.zeros_like(imported)
    net[::size] = sums
    return np.maximum(net, 0), np.maximum(-net, 0)


def _periods(timetable: Timetable, calendar: Calendar) -> Ints:
    table = np.array([timetable.weekday, timetable.weekend], dtype=np.int64)
    found: Ints = table[calendar.weekends, calendar.seasons, calendar.hours]
    return found


def _sums(flow: Ints, cells: Ints, *, rows: int, columns: int) -> Ints:
    # The weights are whole numbers below 2**53, which float64 adds without loss.
    sums = np.bincount(cells, weights=flow, minlength=rows * columns)
    return np.rint(sums).astype(np.int64).reshape(rows, columns)


def _kwh(count: int | np.int64) -> Decimal:
    return Decimal(int(count)).scaleb(-_DIGITS)


def _row(counts: Ints) -> tuple[Decimal, ...]:
    return tuple(_kwh(count) for count in counts)


def _month_in_order(flow: Ints, periods: Ints, *, edges: Sequence[int], columns: int) -> Ints:
    """A month's units by tier and period; `edges` are the tiers' tops, the first 0.

    An interval that reaches over an edge is in two tiers (or more); all others are whole in one.
    """
    after = np.cumsum(flow)
    found = np.zeros((len(edges) - 1, columns), dtype=np.int64)
    for tier, (low, high) in enumerate(pairwise(edges)):
        first, last = (int(place) for place in np.searchsorted(after, (low, high), side="right"))
        if first < last:
            found[tier] = np.bincount(periods[first:last], weights=flow[first:last], minlength=columns)
            found[tier, periods[first]] -= max(0, low - int(after[first] - flow[first]))
        if last < flow.size:
            found[tier, periods[last]] += high - max(low, int(after[last] - flow[last]))
    return found


def _edges(schedule: Schedule, use: MonthUse) -> list[int]:
    tops = schedule.tier_tops(use.month.month, days=use.days, peak_kw=use.peak_kw)
    return [0, *(_NO_TOP if top is None else int((top * MWH_PER_KWH).to_integral_value()) for top in tops)]


def _check_complete(schedule: Schedule, use: MonthUse, tiers: Sequence[tuple[Decimal, ...]], total: Decimal) -> None:
    if sum(map(sum, tiers)) != total:
        top = schedule.tier_tops(use.month.month, days=use.days, peak_kw=use.peak_kw)[-1]
        raise RateUnknownError(
            f"{number_text(total)} kWh of {use.month} is above the tariff's highest tier"
            f"{'' if top is None else f' ({number_text(top)} kWh)'}; give the last tier no top, or its successor's rate"
        )


def _demands(schedule: Schedule, calendar: Calendar, imported: Ints) -> tuple[list[Decimal], list[tuple[Decimal, ...]]]:
    """Highest demand by month, and by month and demand period, kW."""
    size = _stretch(schedule.demand_window_minutes, calendar, what="demand_window_minutes")
    energy = imported.reshape(-1, size).sum(axis=1)
    per_hour = Decimal(calendar.per_hour) / size
    # Months follow each other, so that each is one stretch of the intervals.
    starts = np.searchsorted(calendar.slots[::size], np.arange(len(calendar.months)))
    peaks = np.maximum.reduceat(energy, starts)
    by_period = np.zeros((len(starts), len(schedule.demand)), dtype=np.int64)
    if schedule.demand_timetable is not None:
        periods = _periods(schedule.demand_timetable, calendar)[::size]
        for position in range(len(schedule.demand)):
            by_period[:, position] = np.maximum.reduceat(np.where(periods == position, energy, 0), starts)
    return (
        [_kwh(peak) * per_hour for peak in peaks],
        [tuple(_kwh(peak) * per_hour for peak in row) for row in by_period],
    )


def _tiers_of(
    schedule: Schedule, flow: Ints, periods: Ints, *, sums: Ints, slots: Ints, uses: Sequence[MonthUse]
) -> list[TierUnits]:
    """By month: units by period and tier."""
    columns = len(schedule.energy)
    bounds = np.searchsorted(slots, np.arange(len(uses) + 1))
    found: list[TierUnits] = []
    for use, (start, end) in zip(uses, pairwise(bounds), strict=True):
        edges = _edges(schedule, use)
        if edges == [0, _NO_TOP]:
            counts = sums[len(found)][np.newaxis]  # one tier without a top
        else:
            counts = _month_in_order(flow[start:end], periods[start:end], edges=edges, columns=columns)
        found.append(tuple(_row(counts[: len(period.tiers), index]) for index, period in enumerate(schedule.energy)))
    return found


def _with_tiers(schedule: Schedule, use: MonthUse, bought: TierUnits, sold: TierUnits) -> MonthUse:
    _check_complete(schedule, use, bought, sum(use.imported_kwh, Decimal(0)))
    _check_complete(schedule, use, sold, sum(use.exported_kwh, Decimal(0)))
    return replace(use, imported_tiers=bought, exported_tiers=sold)


def aggregate(
    schedule: Schedule, calendar: Calendar, *, imported_kwh: ArrayLike, exported_kwh: ArrayLike | None = None
) -> tuple[MonthUse, ...]:
    """Add up intervals.

    Args:
        schedule: gives periods, tiers and demand periods.
        calendar: of the intervals.
        imported_kwh: by interval; the load itself without solar, and where everything is bought and everything sold (see `flows`).
        exported_kwh: by interval; None = nothing.

    Returns:
        One entry for each month of the calendar.

    Raises:
        BillingError: if a value is missing or the data is coarser or finer than the tariff can take.
        RateUnknownError: if a month's units go above a highest tier that ends.
    """
    imported = _whole("imported_kwh", imported_kwh, calendar)
    exported = np.zeros_like(imported) if exported_kwh is None else _whole("exported_kwh", exported_kwh, calendar)
    peaks, demands = _demands(schedule, calendar, imported)
    if schedule.netting_minutes is not None:
        size = _stretch(schedule.netting_minutes, calendar, what="netting_minutes")
        imported, exported = _netted(imported, exported, size)
    rows, columns = len(calendar.months), len(schedule.energy)
    periods = _periods(schedule.timetable, calendar)
    cells = calendar.slots * columns + periods
    bought = _sums(imported, cells, rows=rows, columns=columns)
    sold = _sums(exported, cells, rows=rows, columns=columns)
    uses = [
        MonthUse(month, _row(bought[row]), _row(sold[row]), peak_kw=peaks[row], demand_kw=demands[row])
        for row, month in enumerate(calendar.months)
    ]
    for use in uses:
        schedule.check_use(use)
    if schedule.metering is Metering.NET_METERING or schedule.tier_split is TierSplit.PRORATED:
        return tuple(uses)
    bought_tiers = _tiers_of(schedule, imported, periods, sums=bought, slots=calendar.slots, uses=uses)
    sold_tiers = _tiers_of(schedule, exported, periods, sums=sold, slots=calendar.slots, uses=uses)
    return tuple(_with_tiers(schedule, use, *tiers) for use, *tiers in zip(uses, bought_tiers, sold_tiers, strict=True))
