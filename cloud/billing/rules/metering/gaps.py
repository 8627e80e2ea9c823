"""Quarter-hours that nobody measured: where they are, and what stands in for them.

Three kinds of quarter-hours enter a bill. Most are measured. Where readings were missing and the counter was known on both sides, the
roll-up has spread the difference over the gap ("bridged"): its sum is measured, its course is not. Where no counter tells, the
quarter-hour is missing: it takes the mean of the same quarter-hour of the same kind of day (Monday to Friday, or Saturday and Sunday) in
the nearest complete days before and after, not farther than `REACH_DAYS` from it. Where there is no such day, nothing is put in its place.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from cloud.billing.rules.metering.energy import QuarterHour, buckets_of
from shared.periods import QUARTER_HOUR, Window, day_of, day_window

REACH_DAYS = 28
NEAREST_DAYS = 4
"""The mean is of so many days at most."""
METHOD = (
    f"Mean of the same quarter-hour in the nearest complete days of the same kind (Monday to Friday, or Saturday and Sunday), at most"
    f" {NEAREST_DAYS} days and not farther than {REACH_DAYS} days away."
)
_SATURDAY = 5
_FLOWS = ("imported_wh", "exported_wh", "consumed_wh", "generated_wh")


class GapKind(StrEnum):
    """What is known about a stretch without readings."""

    BRIDGED = "bridged"
    """The counter was known on both sides: the sum is measured, spread by time."""
    ESTIMATED = "estimated"
    """Taken from other days."""
    UNKNOWN = "unknown"
    """Not in the bill."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of quarter-hours of one kind.

    Attributes:
        window: from its first moment to the first after it, UTC.
        imported_wh: what the bill counts for it.
    """

    kind: GapKind
    window: Window
    imported_wh: int


@dataclass(frozen=True, slots=True)
class Filled:
    """Quarter-hours of a window with what stands in for the missing ones.

    Attributes:
        quarters: in order of time; a missing quarter-hour without a substitute is not among them.
        gaps: in order of time.
    """

    quarters: tuple[QuarterHour, ...]
    gaps: tuple[Gap, ...]

    def imported_wh(self, kind: GapKind) -> int:
        """What the gaps of a kind add to the import."""
        return sum(gap.imported_wh for gap in self.gaps if gap.kind is kind)

    def quarter_hours(self, kind: GapKind) -> int:
        """How many quarter-hours the gaps of a kind have."""
        return sum(int(gap.window.seconds) for gap in self.gaps if gap.kind is kind) // int(
            QUARTER_HOUR.total_seconds()
        )


@dataclass(frozen=True, slots=True)
class _Days:
    """Complete days to learn from: their quarter-hours by local time."""

    flows: tuple[str, ...]
    known: Mapping[date, Mapping[time, QuarterHour]]

    def like(self, day: date) -> list[date]:
        """The nearest of the day's kind; of two that are as near, the earlier."""
        weekend = day.weekday() >= _SATURDAY
        near = [
            other
            for other in self.known
            if (other.weekday() >= _SATURDAY) is weekend and abs((other - day).days) <= REACH_DAYS
        ]
        return sorted(near, key=lambda other: (abs((other - day).days), other))[:NEAREST_DAYS]


_NOTHING = _Days((), {})


def has_missing(quarters: Iterable[QuarterHour], window: Window) -> bool:
    """Whether nobody knows the import of some quarter-hour of the window."""
    known = {row.bucket for row in quarters if row.imported_wh is not None}
    return not known.issuperset(buckets_of(window))


def _complete_days(rows: Mapping[datetime, QuarterHour], zone: ZoneInfo) -> _Days:
    flows = tuple(name for name in _FLOWS if any(getattr(row, name) is not None for row in rows.values()))
    if "imported_wh" not in flows:
        return _NOTHING
    days: defaultdict[date, list[QuarterHour]] = defaultdict(list)
    for bucket, row in rows.items():
        if not row.imported_bridged_wh and all(getattr(row, name) is not None for name in flows):
            days[day_of(bucket, zone)].append(row)
    return _Days(
        flows,
        {
            day: {row.bucket.astimezone(zone).time(): row for row in found}
            for day, found in days.items()
            if len(found) * QUARTER_HOUR >= _length(day, zone)
        },
    )


def _length(day: date, zone: ZoneInfo) -> timedelta:
    window = day_window(day, zone)
    return window.end - window.start


def _estimate(bucket: datetime, at: time, near: Sequence[date], days: _Days) -> QuarterHour | None:
    known = [days.known[day][at] for day in near if at in days.known[day]]
    if not known:
        return None
    means = {name: round(sum(getattr(row, name) for row in known) / len(known)) for name in days.flows}
    return QuarterHour(
        bucket=bucket,
        generated_wh=means.get("generated_wh"),
        consumed_wh=means.get("consumed_wh"),
        imported_wh=means.get("imported_wh"),
        exported_wh=means.get("exported_wh"),
        covered_seconds=0,
    )


def _stretches(found: Sequence[tuple[datetime, GapKind, int]]) -> tuple[Gap, ...]:
    gaps: list[Gap] = []
    for bucket, kind, imported_wh in found:
        last = gaps[-1] if gaps else None
        if last is not None and last.kind is kind and last.window.end == bucket:
            gaps[-1] = Gap(kind, Window(last.window.start, bucket + QUARTER_HOUR), last.imported_wh + imported_wh)
        else:
            gaps.append(Gap(kind, Window(bucket, bucket + QUARTER_HOUR), imported_wh))
    return tuple(gaps)


def days_to_learn_from(window: Window, zone: ZoneInfo) -> Window:
    """The window with the days around it that an estimate may look at."""
    first, last = day_of(window.start, zone), day_of(window.end - QUARTER_HOUR, zone)
    reach = timedelta(days=REACH_DAYS)
    return Window(day_window(first - reach, zone).start, day_window(last + reach, zone).end)


def fill_gaps(quarters: Iterable[QuarterHour], *, window: Window, zone: ZoneInfo, may_estimate: bool) -> Filled:
    """Find the gaps of a window, and put estimates where there is something to learn from.

    Args:
        quarters: of the window and, to learn from, of the days around it (see `days_to_learn_from`); measured ones.
        window: of the bill, as far as it is past.
        zone: of the site: its days and times of day.
        may_estimate: False = gaps are only shown; while a period is open its readings may still come.

    Returns:
        The window's quarter-hours. A measured one stays as it is.
    """
    rows = {row.bucket: row for row in quarters}
    buckets = buckets_of(window)
    missing = [bucket for bucket in buckets if bucket not in rows or rows[bucket].imported_wh is None]
    if not missing:
        measured = tuple([rows[bucket] for bucket in buckets])
        bridged = [
            (row.bucket, GapKind.BRIDGED, row.imported_bridged_wh) for row in measured if row.imported_bridged_wh
        ]
        return Filled(measured, _stretches(bridged))
    days = _complete_days(rows, zone) if may_estimate else _NOTHING
    near = {day: days.like(day) for day in {day_of(bucket, zone) for bucket in missing}}
    kept: list[QuarterHour] = []
    found: list[tuple[datetime, GapKind, int]] = []
    for bucket in buckets:
        row = rows.get(bucket)
        if row is not None and row.imported_wh is not None:
            kept.append(row)
            if row.imported_bridged_wh:
                found.append((bucket, GapKind.BRIDGED, row.imported_bridged_wh))
            continue
        estimate = _estimate(bucket, bucket.astimezone(zone).time(), near[day_of(bucket, zone)], days)
        if estimate is None:
            found.append((bucket, GapKind.UNKNOWN, 0))
            kept += [row] if row is not None else []
        else:
            found.append((bucket, GapKind.ESTIMATED, estimate.imported_wh or 0))
            kept.append(_merged(row, estimate))
    return Filled(tuple(kept), _stretches(found))


def _merged(row: QuarterHour | None, estimate: QuarterHour) -> QuarterHour:
    """What was measured of other flows stays; the rest is estimated."""
    if row is None:
        return estimate

    def known(measured: int | None, estimated: int | None) -> int | None:
        return estimated if measured is None else measured

    return QuarterHour(
        bucket=row.bucket,
        generated_wh=known(row.generated_wh, estimate.generated_wh),
        consumed_wh=known(row.consumed_wh, estimate.consumed_wh),
        imported_wh=estimate.imported_wh,
        exported_wh=known(row.exported_wh, estimate.exported_wh),
        covered_seconds=row.covered_seconds,
    )
