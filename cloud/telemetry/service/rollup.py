"""Rolling up: from dirty quarter-hours to the days and months that they change.

One call of `roll_up_site` is one transaction. What it writes is a function of the stored readings and the site's facts, so that it may
run twice, be killed half-way, or come late; the queue keeps what is not done.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import SYSTEM, Database
from cloud.telemetry.repository import archive, facts, queue, raw, rollups
from cloud.telemetry.repository.archive import ArchivedError
from cloud.telemetry.repository.queue import Mark
from cloud.telemetry.repository.rollups import DAYS, HOURS, MONTHS, QUARTER_HOURS, Level
from cloud.telemetry.rules.context import REACH, join_windows, utc_hour
from cloud.telemetry.rules.facts import FLOW_SOURCES, DeviceFacts, SiteFacts
from cloud.telemetry.rules.quarter import QuarterHour, device_hours
from cloud.telemetry.rules.site import site_quarter
from cloud.telemetry.rules.summary import Subject, Summary, summarise, summarise_days
from shared.periods import (
    HOUR,
    QUARTER_HOUR,
    Window,
    day_of,
    day_window,
    days_between,
    hour_window,
    month_window,
)

MARKS_PER_PASS = 480
"""A day of five devices, so that a site's own rows are computed once for it; some tenths of a second, so that live marks, which go
first, never wait long for back-fill."""

_MONTH_YEARS = range(2020, 2101)
"""The monthly table takes no other years; quarter-hours, hours and days before are kept all the same."""

Row = dict[str, Any]
Period = tuple[date | datetime, Window]
"""What a row of hours or days is filed under, and the time it stands for."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What a pass has made anew: devices and their stretches of time."""

    windows: Mapping[UUID, Sequence[Window]]

    @property
    def joined(self) -> list[Window]:
        """The stretches of all devices together."""
        return join_windows(window for windows in self.windows.values() for window in windows)

    @property
    def device_ids(self) -> list[UUID]:
        """The devices, in a stable order."""
        return sorted(self.windows)


async def roll_up_dirty(db: Database, limit: int, *, now: datetime) -> int:
    """Work through the queue once, a site at a time, each in its own transaction.

    Args:
        db: the database, as a role that walks all tenants.
        limit: sites to visit.
        now: written as `computed_at`.

    Returns:
        Marks settled; 0 means that nothing is left, or that others are at it.
    """
    async with db.transaction(SYSTEM) as conn:
        sites = await queue.waiting_sites(conn, limit)
    settled = 0
    for site_id in sites:
        async with db.transaction(SYSTEM) as conn:
            await make_room(conn, site_id)
        async with db.transaction(SYSTEM) as conn:
            settled += await roll_up_site(conn, site_id, now=now)
    return settled


async def make_room(conn: AsyncConnection, site_id: UUID, *, limit: int = MARKS_PER_PASS) -> None:
    """Make the partitions that the next pass over a site needs, where they are missing.

    In a transaction of its own before that pass: adding a partition locks the tables that it refers to, and ingest, which touches
    devices, would wait for the whole pass.
    """
    claimed = await queue.marks(conn, site_id, limit=limit)
    for month in sorted({mark.bucket.replace(day=1, hour=0, minute=0) for mark in claimed}):
        await rollups.ensure_partitions(conn, Window(month - REACH, month + timedelta(days=31) + REACH))


async def roll_up_site(conn: AsyncConnection, site_id: UUID, *, now: datetime, limit: int = MARKS_PER_PASS) -> int:
    """Compute what some of a site's marks have made wrong, on every level; `make_room` comes before, in a transaction of its own.

    Args:
        conn: a transaction of the system; the caller commits.
        site_id: whose queue.
        now: written as `computed_at`.
        limit: marks to start from.

    Returns:
        Marks dealt with: settled, or left to wait for the archive; 0 if there are none, or somebody else is rolling up this site.
    """
    if not await queue.try_lock_site(conn, site_id):
        return 0
    claimed = await queue.marks(conn, site_id, limit=limit)
    if not claimed:
        return 0
    site = await facts.site_facts(conn, site_id)
    settled = list(claimed) if site is None else await _recompute(conn, site, claimed, now=now)
    await queue.remove(conn, site_id, settled)
    return max(len(settled), len(claimed))


async def request_recompute(conn: AsyncConnection, site_id: UUID, window: Window, *, now: datetime) -> int:
    """Queue a stretch of time of all devices of a site, for instance after a meter event or a new rating.

    Returns:
        Devices queued.
    """
    site = await facts.site_facts(conn, site_id)
    if site is None:
        return 0
    whole = Window(utc_hour(window.start), utc_hour(window.end - timedelta(microseconds=1)) + HOUR)
    for device in site.devices:
        await queue.mark(
            conn, site_id=site_id, organization_id=site.organization_id, device_id=device.id, window=whole, at=now
        )
    return len(site.devices)


@dataclass(frozen=True, slots=True)
class _Held:
    """Marks of a stretch of time that wait for the archive."""

    device_id: UUID
    window: Window
    missing: ArchivedError


@dataclass(slots=True)
class _Pass:
    """What a pass can compute now, and what has to wait.

    Attributes:
        windows: device -> whole hours to compute anew, with the marks inside them as they were before anything was read.
        held: what needs readings that are away.
    """

    windows: dict[UUID, dict[Window, list[Mark]]]
    held: list[_Held]

    @property
    def recomputed(self) -> Recomputed:
        """What is left to compute."""
        return Recomputed({device_id: list(windows) for device_id, windows in self.windows.items() if windows})

    def settled_of(self, claimed: Sequence[Mark]) -> list[Mark]:
        """Marks that are settled: the claimed ones that need not wait, and all others inside what was computed."""
        inside = [mark for windows in self.windows.values() for marks in windows.values() for mark in marks]
        return list(dict.fromkeys([*(mark for mark in claimed if not self._waits(mark)), *inside]))

    def _waits(self, mark: Mark) -> bool:
        return any(
            held.device_id == mark.device_id and held.window.start <= mark.bucket < held.window.end
            for held in self.held
        )


async def _recompute(conn: AsyncConnection, site: SiteFacts, claimed: Sequence[Mark], *, now: datetime) -> list[Mark]:
    """Recompute all levels; returns every mark that this settles, also those beyond the claimed ones.

    What needs readings that are only in the archive is not computed from the rest: its marks wait until they are back.
    """
    this = await _plan(conn, site, claimed)
    for device in site.devices:
        for window in list(this.windows.get(device.id, ())):
            try:
                await _save_device(conn, site, device, window, now=now)
            except ArchivedError as error:
                del this.windows[device.id][window]
                this.held.append(_Held(device.id, window, error))
    recomputed = this.recomputed
    for window in recomputed.joined:
        await _save_site(conn, site, window, now=now)
    await _save_summaries(conn, site, recomputed, now=now)
    for held in this.held:
        await archive.recall(conn, site.id, held.device_id, held.window, missing=held.missing, now=now)
    return this.settled_of(claimed)


async def _plan(conn: AsyncConnection, site: SiteFacts, claimed: Sequence[Mark]) -> _Pass:
    this = _Pass({}, [])
    for device in site.devices:
        marked = (Window(mark.bucket, mark.bucket + QUARTER_HOUR) for mark in claimed if mark.device_id == device.id)
        affected = []
        for dirty in join_windows(marked):
            try:
                affected.append(await _affected(conn, site, device, dirty))
            except ArchivedError as error:
                this.held.append(_Held(device.id, dirty, error))
        this.windows[device.id] = {
            window: await queue.marks_within(conn, site.id, device.id, window) for window in join_windows(affected)
        }
    return this


async def _affected(conn: AsyncConnection, site: SiteFacts, device: DeviceFacts, dirty: Window) -> Window:
    """Whole hours of UTC in which a device's numbers may have changed; their days' quarter-hours are all in the database."""
    straddle = timedelta(seconds=device.max_gap_s)
    reach = await raw.affected_by(
        conn, site.id, device.id, dirty, straddle=straddle, has_counters=device.device_type in FLOW_SOURCES
    )
    window = Window(utc_hour(reach.start), utc_hour(reach.end) + HOUR)
    days = _whole_days(window, site)
    await archive.refuse_away(conn, site.id, first=days.start, last=days.end, kind="quarter_hours")
    return window


def _whole_days(window: Window, site: SiteFacts) -> Window:
    first, last = day_of(window.start, site.zone), day_of(window.end - QUARTER_HOUR, site.zone)
    return Window(day_window(first, site.zone).start, day_window(last, site.zone).end)


async def _save_device(
    conn: AsyncConnection, site: SiteFacts, device: DeviceFacts, window: Window, *, now: datetime
) -> None:
    straddle = timedelta(seconds=device.max_gap_s)
    has_counters = device.device_type in FLOW_SOURCES
    timeline = await raw.context_of(conn, site.id, device.id, window, straddle=straddle, has_counters=has_counters)
    rows = device_hours(timeline, window, device, site)
    await _save_quarters(conn, site, device.id, window, rows, now=now)


async def _save_site(conn: AsyncConnection, site: SiteFacts, window: Window, *, now: datetime) -> None:
    by_bucket = await rollups.device_quarters(conn, site.id, window)
    rows = [site_quarter(bucket, devices, site) for bucket, devices in by_bucket.items()]
    await _save_quarters(conn, site, None, window, rows, now=now)


async def _save_quarters(
    conn: AsyncConnection,
    site: SiteFacts,
    device_id: UUID | None,
    window: Window,
    rows: Sequence[QuarterHour],
    *,
    now: datetime,
) -> None:
    kept = [row.bucket for row in rows]
    await rollups.remove_other_buckets(conn, site.id, device_id, window, kept=kept)
    values = [
        {"device_id": device_id, "bucket": row.bucket, **{name: getattr(row, name) for name in QUARTER_HOURS.columns}}
        for row in rows
    ]
    await rollups.save(conn, QUARTER_HOURS, values, site=site, computed_at=now)


async def _save_summaries(conn: AsyncConnection, site: SiteFacts, recomputed: Recomputed, *, now: datetime) -> None:
    """Hours, days and months that the windows touch, for the site and for the devices."""
    device_ids = recomputed.device_ids
    subjects: dict[UUID | None, Subject] = {None: Subject.of_site(site)}
    for device in site.devices:
        if device.id in recomputed.windows:
            subjects[device.id] = Subject.of_device(site, device)
    months: set[tuple[int, int]] = set()
    for window in recomputed.joined:
        first, last = day_of(window.start, site.zone), day_of(window.end - QUARTER_HOUR, site.zone)
        whole = Window(day_window(first, site.zone).start, day_window(last, site.zone).end)
        quarters = await rollups.quarters_of(conn, site.id, device_ids, whole)
        hours = list(_hours(window, site))
        days: list[Period] = [(day, day_window(day, site.zone)) for day in days_between(first, last)]
        for level, periods in ((HOURS, hours), (DAYS, days)):
            rows = _periods(quarters, periods, subjects, level)
            keys = [(key,) for key, _ in periods]
            await _replace(conn, level, site, device_ids=device_ids, periods=keys, rows=rows, now=now)
        months |= {(day.year, day.month) for day in days_between(first, last)}
    for year, month in sorted(months):
        if year in _MONTH_YEARS:
            await _save_month(conn, site, subjects, year, month, now=now)


def _hours(window: Window, site: SiteFacts) -> Iterable[Period]:
    """The site's hours that share time with a window."""
    start = hour_window(window.start, site.zone).start
    while start < window.end:
        hour = hour_window(start, site.zone)
        yield start, hour
        start = hour.end


def _periods(
    quarters: Mapping[UUID | None, Sequence[QuarterHour]],
    periods: Sequence[Period],
    subjects: Mapping[UUID | None, Subject],
    level: Level,
) -> list[Row]:
    """Rows of hours or days, for each subject that has quarter-hours in them."""
    rows = []
    for device_id, subject in subjects.items():
        mine = quarters.get(device_id, ())
        buckets = [row.bucket for row in mine]
        for key, window in periods:
            inside = mine[bisect.bisect_left(buckets, window.start) : bisect.bisect_left(buckets, window.end)]
            if inside:
                rows.append(_row(level, device_id, (key,), summarise(inside, window, subject), subject))
    return rows


async def _save_month(
    conn: AsyncConnection,
    site: SiteFacts,
    subjects: Mapping[UUID | None, Subject],
    year: int,
    month: int,
    *,
    now: datetime,
) -> None:
    window = month_window(year, month, site.zone)
    device_ids = [device_id for device_id in subjects if device_id is not None]
    days = await rollups.days_of(
        conn,
        site.id,
        device_ids,
        first=day_of(window.start, site.zone),
        last=day_of(window.end - QUARTER_HOUR, site.zone),
    )
    rows = []
    for device_id, subject in subjects.items():
        told = days.get(device_id, ())
        if told:
            spans = [day_window(day, site.zone) for day, _ in told]
            summary = summarise_days([row for _, row in told], window, subject, day_windows=spans)
            rows.append(_row(MONTHS, device_id, (year, month), summary, subject))
    await _replace(conn, MONTHS, site, device_ids=device_ids, periods=[(year, month)], rows=rows, now=now)


def _row(level: Level, device_id: UUID | None, period: Sequence[Any], summary: Summary, subject: Subject) -> Row:
    numbers = {name: subject.site.zone.key if name == "timezone" else getattr(summary, name) for name in level.columns}
    return {"device_id": device_id, **dict(zip(level.period, period, strict=True)), **numbers}


async def _replace(
    conn: AsyncConnection,
    level: Level,
    site: SiteFacts,
    *,
    device_ids: Sequence[UUID],
    periods: Sequence[Sequence[Any]],
    rows: Sequence[Row],
    now: datetime,
) -> None:
    await rollups.remove_other_summaries(conn, level, site.id, device_ids, periods=periods, kept=rows)
    await rollups.save(conn, level, rows, site=site, computed_at=now)
