"""A year of intervals, added up once to the units of its bills.

Everything that depends on the calendar alone (the site's days, the company's peak hours, the bills' periods) is worked out once for a
place and kept; a site's arrays are then added up in a few passes. Energies are whole numbers throughout: nothing is lost in a sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.cycle import bill_period
from cloud.billing.rules.metering.tou import is_peak
from cloud.billing.rules.month import Month
from shared.periods import day_window

IntArray = NDArray[np.int64]
Period = tuple[date, date]
"""First and last day of a bill, both inclusive."""

MICRO = 1_000_000
"""Units of a bill are counted in millionths of a kWh (mWh), demand in millionths of a kW (mW)."""
MINUTES_PER_DAY = 1440
LARGEST_YEAR_WH = 10**12
"""Sums stay far within 64 bits below this."""
_DAY = timedelta(days=1)


class BillUnits(NamedTuple):
    """Units of one bill: millionths of a kWh, and of a kW.

    Attributes:
        imported: taken from the grid.
        imported_peak: part of it in peak hours.
        exported: given to the grid.
        exported_peak: part of it in peak hours.
        demand: highest mean import of an interval.
    """

    imported: int
    imported_peak: int
    exported: int
    exported_peak: int
    demand: int


@dataclass(frozen=True, slots=True)
class AnnualUnits:
    """Units of each bill of a year.

    Attributes:
        periods: the bills' periods, in order.
        with_solar: as the site's meter counted them.
        without_solar: had everything that was used been taken from the grid.
    """

    periods: tuple[Period, ...]
    with_solar: tuple[BillUnits, ...]
    without_solar: tuple[BillUnits, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Marks:
    """Moments of the year as places in an array of intervals.

    Attributes:
        index: intervals that have ended at the moment.
        within: the interval that holds it, and `rest` its seconds before the moment; None when every moment ends an interval.
    """

    index: IntArray
    within: IntArray
    rest: IntArray | None


@dataclass(frozen=True, slots=True, eq=False)
class YearCalendar:
    """Where bills begin and end and where peak hours lie, in an array of equal intervals.

    Attributes:
        periods: the bills' periods; each begins on the day after the one before.
        intervals: length that the arrays must have.
        step_minutes: length of an interval.
    """

    periods: tuple[Period, ...]
    intervals: int
    step_minutes: int
    _edges: _Marks
    _first_intervals: IntArray
    _peak_starts: _Marks
    _peak_ends: _Marks
    _peak_offsets: IntArray


def monthly_periods(year: int, *, reading_day: int | None = None) -> tuple[Period, ...]:
    """Periods of the bills of January to December.

    Args:
        year: of the bills.
        reading_day: day of the month on which the meter is read; None = the periods are calendar months.

    Raises:
        BillingError: if there is no such day.
    """
    bills = (bill_period(Month(year, month), reading_day) for month in range(1, 13))
    return tuple((bill.first, bill.last) for bill in bills)


@lru_cache(maxsize=256)
def _peak_minutes(month: int, disco_provider: str) -> tuple[tuple[int, int], ...]:
    """Stretches of peak hours in a day of the month, [start, end) in minutes of the local day."""
    midnight = datetime(2026, month, 1, tzinfo=UTC)  # the zone plays no part: the rule reads the clock's face
    minutes = range(MINUTES_PER_DAY)
    stretches = groupby(minutes, key=lambda minute: is_peak(midnight + timedelta(minutes=minute), disco_provider))
    peaks = [list(group) for peak, group in stretches if peak]
    return tuple((group[0], group[-1] + 1) for group in peaks)


def _moment(day: date, minute: int, zone: ZoneInfo) -> int:
    """Seconds of the epoch at a minute of the local day."""
    local = datetime.combine(day, time.min) + timedelta(minutes=minute)
    return round(local.replace(tzinfo=zone).timestamp())


def _marks(moments: Sequence[int], *, step_s: int, intervals: int) -> _Marks:
    seconds = np.array(moments, dtype=np.int64)
    index, rest = seconds // step_s, seconds % step_s
    return _Marks(index, np.minimum(index, intervals - 1), rest if rest.any() else None)


def _checked(periods: tuple[Period, ...], step_minutes: int) -> None:
    if not periods or 60 % step_minutes:
        raise BillingError(
            f"{len(periods)} periods of intervals of {step_minutes} minutes; give one period or more, and intervals that fill an hour"
        )
    for first, last in periods:
        if last < first:
            raise BillingError(f"a period ends on {last}, before its first day {first}")
    for before, after in pairwise(periods):
        if after[0] != before[1] + _DAY:
            raise BillingError(
                f"a period begins on {after[0]}; the one before ends on {before[1]}: leave no day between them"
            )


@lru_cache(maxsize=64)
def year_calendar(
    periods: tuple[Period, ...], *, zone: ZoneInfo, disco_provider: str, step_minutes: int = 60
) -> YearCalendar:
    """Prepare the calendar of a place; kept for the next site there.

    An interval that the edge of peak hours cuts counts on both sides by its minutes.

    Args:
        periods: of the bills, without a gap; the arrays begin at the first one's local midnight and end at the last one's.
        zone: of the site.
        disco_provider: decides the peak hours.
        step_minutes: length of an interval; fills an hour.

    Raises:
        BillingError: if the periods leave a gap, or the intervals do not fill them.
    """
    _checked(periods, step_minutes)
    step_s = step_minutes * 60
    origin = round(day_window(periods[0][0], zone).start.timestamp())
    edges = [round(day_window(first, zone).start.timestamp()) - origin for first, _ in periods]
    edges.append(round(day_window(periods[-1][1], zone).end.timestamp()) - origin)
    intervals, left = divmod(edges[-1], step_s)
    if left:
        raise BillingError(
            f"intervals of {step_minutes} minutes do not fill the time from {periods[0][0]} to {periods[-1][1]}"
        )
    starts: list[int] = []
    ends: list[int] = []
    offsets = [0]
    for first, last in periods:
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
            for begin, end in _peak_minutes(day.month, disco_provider):
                starts.append(_moment(day, begin, zone) - origin)
                ends.append(_moment(day, end, zone) - origin)
        offsets.append(len(starts))
    edge_marks = _marks(edges, step_s=step_s, intervals=intervals)
    # The interval that a period's edge cuts counts for the demand of the period in which it begins.
    begun = edge_marks.index if edge_marks.rest is None else edge_marks.index + (edge_marks.rest > 0)
    return YearCalendar(
        periods=periods,
        intervals=intervals,
        step_minutes=step_minutes,
        _edges=edge_marks,
        _first_intervals=begun[:-1],
        _peak_starts=_marks(starts, step_s=step_s, intervals=intervals),
        _peak_ends=_marks(ends, step_s=step_s, intervals=intervals),
        _peak_offsets=np.array(offsets, dtype=np.int64),
    )


def watt_hours(kwh: NDArray[np.float64]) -> IntArray:
    """Energies of intervals in whole Wh, as meters and roll-ups hold them.

    Raises:
        BillingError: if a value is not a number.
    """
    rounded = np.rint(kwh * 1000)
    if not np.isfinite(rounded).all():
        raise BillingError("an interval's energy is not a number; fill the gaps, or bill the periods that are complete")
    return rounded.astype(np.int64)


def _sums_at(marks: _Marks, sums: IntArray, flow: IntArray, step_s: int) -> IntArray:
    """Energy before each moment, in Wh times the seconds of an interval."""
    whole: IntArray = sums[marks.index] * step_s
    return whole if marks.rest is None else whole + flow[marks.within] * marks.rest


def _micro(energy: IntArray, step_s: int) -> list[int]:
    """From Wh times seconds of an interval to millionths of a kWh, half up."""
    return [int(value) for value in ((energy * 2000 + step_s) // (2 * step_s)).tolist()]


def _flow_units(calendar: YearCalendar, flow: IntArray, name: str) -> tuple[list[int], list[int]]:
    """All units of each period, and those of peak hours; millionths of a kWh."""
    if flow.shape != (calendar.intervals,):
        raise BillingError(
            f"{name} has the shape {flow.shape}; the periods have {calendar.intervals} intervals of {calendar.step_minutes} minutes"
        )
    step_s = calendar.step_minutes * 60
    sums = np.empty(calendar.intervals + 1, dtype=np.int64)
    sums[0] = 0
    np.cumsum(flow, out=sums[1:])
    if flow.min() < 0 or sums[-1] > LARGEST_YEAR_WH:
        raise BillingError(
            f"{name} has an interval of {flow.min()} Wh and a sum of {sums[-1]} Wh; give energies of one site, 0 or more"
        )
    total = np.diff(_sums_at(calendar._edges, sums, flow, step_s))
    starts = _sums_at(calendar._peak_starts, sums, flow, step_s)
    peak = np.concatenate((sums[:1], np.cumsum(_sums_at(calendar._peak_ends, sums, flow, step_s) - starts)))
    by_period = np.diff(peak[calendar._peak_offsets])
    return _micro(total, step_s), _micro(by_period, step_s)


def _demands(calendar: YearCalendar, flow: IntArray) -> list[int]:
    """Highest mean power of an interval in each period, millionths of a kW."""
    highest = np.maximum.reduceat(flow, calendar._first_intervals)
    return [int(wh) * 1000 * (60 // calendar.step_minutes) for wh in highest.tolist()]


def annual_units(
    calendar: YearCalendar, *, imported_wh: IntArray, exported_wh: IntArray, consumed_wh: IntArray
) -> AnnualUnits:
    """Add up a site's year.

    Args:
        calendar: of the site's place.
        imported_wh: int64, one value for each interval of the calendar.
        exported_wh: the same.
        consumed_wh: what the site used; without solar all of it comes from the grid.

    Raises:
        BillingError: if an array has another length, or a negative energy.
    """
    imported, imported_peak = _flow_units(calendar, imported_wh, "imported_wh")
    exported, exported_peak = _flow_units(calendar, exported_wh, "exported_wh")
    consumed, consumed_peak = _flow_units(calendar, consumed_wh, "consumed_wh")
    nothing = [0] * len(consumed)
    real = zip(imported, imported_peak, exported, exported_peak, _demands(calendar, imported_wh), strict=True)
    dark = zip(consumed, consumed_peak, nothing, nothing, _demands(calendar, consumed_wh), strict=True)
    return AnnualUnits(
        calendar.periods,
        tuple(BillUnits._make(units) for units in real),
        tuple(BillUnits._make(units) for units in dark),
    )


def decimal_units(micro: int) -> Decimal:
    """From millionths to kWh or kW."""
    return Decimal(micro).scaleb(-6)
