"""One bill's intervals to its units by period and tier and its highest demands.

Energy is counted in whole milliwatt-hours, as in `use`, which adds up years of arrays; a single bill needs no more than a walk through
its steps. Both give the same amounts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from cloud.billing.rules.errors import BillingError, RateUnknownError
from cloud.billing.rules.metering.energy import period_window
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month
from cloud.billing.rules.scheduled.schedule import (
    MINUTES_AN_HOUR,
    Metering,
    MonthUse,
    Schedule,
    TierSplit,
    TierUnits,
    Timetable,
)

QUARTER_MINUTES = 15
_DIGITS = 6
_SATURDAY = 5

Place = tuple[int, int, bool]
"""Month (1-12) and hour of a step in local time, and whether it is on a Saturday or Sunday."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A bill's local days cut into equal steps; a day on which clocks change has more or fewer.

    Attributes:
        minutes: length of a step; a part of an hour.
        moments: their beginnings, UTC.
        days: calendar days.
    """

    minutes: int
    moments: tuple[datetime, ...]
    places: tuple[Place, ...]
    days: int

    def periods(self, timetable: Timetable) -> list[int]:
        """Position of the period that rules each step."""
        tables = (timetable.weekday, timetable.weekend)
        return [tables[weekend][month - 1][hour] for month, hour, weekend in self.places]

    def stretch(self, minutes: int | None, *, what: str) -> int:
        """Steps in so many minutes; 1 when a step is not shorter.

        Raises:
            BillingError: names `what`, if the minutes are no multiple of a step.
        """
        if minutes is None or minutes <= self.minutes:
            return 1
        if minutes % self.minutes:
            raise BillingError(
                f"{what} is {minutes}, no multiple of the data's {self.minutes} minutes; give finer data"
            )
        return minutes // self.minutes


@lru_cache(maxsize=64)
def steps_of(first: date, last: date, *, zone: ZoneInfo, minutes: int) -> Steps:
    """The steps of the local days from `first` to `last`; kept for the next bill of the same days.

    Raises:
        BillingError: if steps of this length do not fill hours.
    """
    if minutes < 1 or MINUTES_AN_HOUR % minutes:
        raise BillingError(
            f"the intervals are of {minutes} minutes; a tariff by the hour takes 5, 10, 15, 20, 30 or 60"
        )
    window = period_window(first, last, zone)
    start, step = window.start.astimezone(UTC), timedelta(minutes=minutes)
    moments = tuple(start + n * step for n in range(int(window.seconds) // (minutes * 60)))
    local = [moment.astimezone(zone) for moment in moments]
    places = tuple((at.month, at.hour, at.weekday() >= _SATURDAY) for at in local)
    return Steps(minutes, moments, places, (last - first).days + 1)


def _whole(kwh: Decimal | None) -> int | None:
    return None if kwh is None else int(kwh.scaleb(_DIGITS).to_integral_value())


def kwh_of(count: int) -> Decimal:
    """Milliwatt-hours as kWh."""
    return Decimal(count).scaleb(-_DIGITS)


@dataclass(frozen=True, slots=True)
class Counted:
    """What the meters counted in each step, mWh; None = not measured in it."""

    imported: tuple[int | None, ...]
    exported: tuple[int | None, ...]
    consumed: tuple[int | None, ...]
    generated: tuple[int | None, ...]

    def knows(self, flow: str) -> bool:
        """Whether the flow was measured at all."""
        return any(count is not None for count in getattr(self, flow))


def counted(steps: Steps, intervals: Iterable[Interval], *, zone: ZoneInfo) -> Counted:
    """Put the intervals of the steps' days at their places; others are left out.

    Raises:
        BillingError: if an interval lies across two steps.
    """
    end = steps.moments[-1] + timedelta(minutes=steps.minutes)
    by_start = {item.start.astimezone(UTC): item for item in intervals}
    stray = sorted(at for at in by_start.keys() - set(steps.moments) if steps.moments[0] <= at < end)
    if stray:
        moment = stray[0].astimezone(zone).isoformat()
        raise BillingError(f"the interval at {moment} is not on a step of {steps.minutes} minutes; give whole steps")
    found = [by_start.get(moment) for moment in steps.moments]
    flows = (
        tuple(None if item is None else _whole(getattr(item, name)) for item in found)
        for name in ("imported_kwh", "exported_kwh", "consumed_kwh", "generated_kwh")
    )
    return Counted(*flows)


def _sums(flow: Sequence[int], size: int) -> list[int]:
    return list(flow) if size == 1 else [sum(flow[start : start + size]) for start in range(0, len(flow), size)]


def _netted(imported: Sequence[int], exported: Sequence[int], size: int) -> tuple[list[int], list[int]]:
    """Set the two flows against each other within each stretch; the rest stands in the stretch's first step."""
    net = [0] * len(imported)
    net[::size] = [bought - sold for bought, sold in zip(_sums(imported, size), _sums(exported, size), strict=True)]
    return [max(0, count) for count in net], [max(0, -count) for count in net]


def _by_period(flow: Sequence[int], periods: Sequence[int], count: int) -> tuple[Decimal, ...]:
    sums = [0] * count
    for mwh, period in zip(flow, periods, strict=True):
        sums[period] += mwh
    return tuple(kwh_of(total) for total in sums)


def _demands(schedule: Schedule, steps: Steps, imported: Sequence[int]) -> tuple[Decimal, tuple[Decimal, ...]]:
    """Highest demand of all steps and by demand period, kW."""
    window = schedule.demand_window_minutes or QUARTER_MINUTES
    size = steps.stretch(window, what="demand_window_minutes")
    energies = _sums(imported, size)
    per_hour = Decimal(MINUTES_AN_HOUR) / (steps.minutes * size)
    highest = [0] * len(schedule.demand)
    if schedule.demand_timetable is not None:
        for mwh, period in zip(energies, steps.periods(schedule.demand_timetable)[::size], strict=True):
            highest[period] = max(highest[period], mwh)
    return kwh_of(max(energies)) * per_hour, tuple(kwh_of(mwh) * per_hour for mwh in highest)


def _in_order(schedule: Schedule, use: MonthUse, flow: Sequence[int], periods: Sequence[int]) -> TierUnits:
    """Units by period and tier; each step falls into the tiers that the units have reached by then.

    Raises:
        RateUnknownError: if the units go above a highest tier that ends.
    """
    tops = schedule.tier_tops(use.month.month, days=use.days, peak_kw=use.peak_kw)
    edges = [_whole(top) for top in tops]
    found = [[0] * len(schedule.energy) for _ in tops]
    tier = total = 0
    for mwh, period in zip(flow, periods, strict=True):
        left = mwh
        while left:
            edge = edges[tier]
            part = left if edge is None else min(left, edge - total)
            found[tier][period] += part
            total, left = total + part, left - part
            tier += left > 0
            if tier == len(tops):
                raise RateUnknownError(_above(kwh_of(sum(flow)), use.month, tops[-1]))
    return tuple(
        tuple(kwh_of(row[index]) for row in found[: len(period.tiers)]) for index, period in enumerate(schedule.energy)
    )


def _above(units: Decimal, month: Month, top: Decimal | None) -> str:
    ends = "" if top is None else f" ({number_text(top)} kWh)"
    words = f"{number_text(units)} kWh of {month} is above the tariff's highest tier{ends}"
    return f"{words}; give the last tier no top, or its successor's rate"


def bill_use(
    schedule: Schedule, steps: Steps, *, month: Month, imported: Sequence[int], exported: Sequence[int]
) -> MonthUse:
    """Add up the steps of one bill, each in the hours of its own calendar month.

    Args:
        schedule: gives periods, tiers and demand periods; demand is over its window, else over a quarter-hour (longer steps: over these).
        steps: of the bill.
        month: the bill's.
        imported: mWh by step.
        exported: likewise.

    Raises:
        BillingError: if the data is too coarse or too fine for the tariff, or hours of two seasons have tiers of their own.
        RateUnknownError: if the units go above a highest tier that ends.
    """
    peak_kw, demand_kw = _demands(schedule, steps, imported)
    if schedule.netting_minutes is not None:
        size = steps.stretch(schedule.netting_minutes, what="netting_minutes")
        imported, exported = _netted(imported, exported, size)
    periods, columns = steps.periods(schedule.timetable), len(schedule.energy)
    use = MonthUse(
        month,
        _by_period(imported, periods, columns),
        _by_period(exported, periods, columns),
        peak_kw=peak_kw,
        demand_kw=demand_kw,
        period_days=steps.days,
    )
    schedule.check_use(use)
    if schedule.metering is Metering.NET_METERING or schedule.tier_split is TierSplit.PRORATED:
        return use
    return MonthUse(
        month,
        use.imported_kwh,
        use.exported_kwh,
        peak_kw=peak_kw,
        demand_kw=demand_kw,
        imported_tiers=_in_order(schedule, use, imported, periods),
        exported_tiers=_in_order(schedule, use, exported, periods),
        period_days=steps.days,
    )
