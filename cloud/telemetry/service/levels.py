"""From the devices' quarter-hours to the site's, and on to hours, days and months."""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.telemetry.repository import rollups
from cloud.telemetry.repository.rollups import DAYS, HOURS, MONTHS, QUARTER_HOURS, Key, Level
from cloud.telemetry.rules.context import join_windows
from cloud.telemetry.rules.facts import SiteFacts
from cloud.telemetry.rules.quarter import QuarterHour, Told, told_of
from cloud.telemetry.rules.site import site_quarters
from cloud.telemetry.rules.summary import Subject, Summary, summarise_days, summarise_told
from cloud.telemetry.service.pieces import Computed, whole_days
from shared.periods import (
    QUARTER_HOUR,
    Window,
    day_of,
    day_window,
    days_between,
    hour_window,
    month_window,
    quarter_hours,
)

_MONTH_YEARS = range(2020, 2101)
"""The monthly table takes no other years; quarter-hours, hours and days before are kept all the same."""

Period = tuple[date | datetime, Window]
"""What a row of hours or days is filed under, and the time it stands for."""

Rows = Mapping[UUID | None, Mapping[datetime, QuarterHour]]
"""Device (None = the site) -> its quarter-hours."""


async def save_levels(conn: AsyncConnection, site: SiteFacts, computed: Computed, *, now: datetime) -> None:
    """Write what has been computed of the devices, and everything above it."""
    joined = computed.joined
    rows: dict[UUID | None, Mapping[datetime, QuarterHour]] = dict(computed.rows.items())
    rows[None] = {row.bucket: row for window in joined for row in await _site_rows(conn, site, computed, window)}
    windows: dict[UUID | None, Sequence[Window]] = dict(computed.windows.items())
    windows[None] = joined
    await _save_quarters(conn, site, windows, rows, now=now)
    subjects: dict[UUID | None, Subject] = {None: Subject.of_site(site)}
    subjects |= {device.id: Subject.of_device(site, device) for device in site.devices if device.id in windows}
    months: set[tuple[int, int]] = set()
    for whole in join_windows(whole_days(window, site) for window in joined):
        days = list(days_between(day_of(whole.start, site.zone), day_of(whole.end - QUARTER_HOUR, site.zone)))
        quarters = await _quarters(conn, site, windows, rows, whole)
        hours = _hours((window for window in joined if window.overlaps(whole)), whole, site)
        await _save_periods(conn, HOURS, site, subjects, quarters, periods=hours, now=now)
        by_day: list[Period] = [(day, day_window(day, site.zone)) for day in days]
        await _save_periods(conn, DAYS, site, subjects, quarters, periods=by_day, now=now)
        months |= {(day.year, day.month) for day in days}
    for year, month in sorted(months):
        if year in _MONTH_YEARS:
            await _save_month(conn, site, subjects, year, month, now=now)


async def _site_rows(conn: AsyncConnection, site: SiteFacts, computed: Computed, window: Window) -> list[QuarterHour]:
    """The site's quarter-hours of a window, from those just computed and from those that other devices have stored."""
    known = [device_id for device_id, windows in computed.windows.items() if window in windows]
    by_bucket: dict[datetime, dict[UUID, QuarterHour]] = {}
    if len(known) < len(site.devices):
        stored = await rollups.device_quarters(conn, site.id, window, without=known)
        for device_id, rows in stored.items():
            for row in rows:
                if not computed.holds(device_id, row.bucket):
                    by_bucket.setdefault(row.bucket, {})[device_id] = row
    for device_id, mine in computed.rows.items():
        for bucket, row in mine.items():
            if bucket in window:
                by_bucket.setdefault(bucket, {})[device_id] = row
    return site_quarters(dict(sorted(by_bucket.items())), site)


async def _save_quarters(
    conn: AsyncConnection,
    site: SiteFacts,
    windows: Mapping[UUID | None, Sequence[Window]],
    rows: Rows,
    *,
    now: datetime,
) -> None:
    told: list[tuple[Key, QuarterHour | Summary]] = [
        ((device_id, bucket), row) for device_id, mine in rows.items() for bucket, row in mine.items()
    ]
    gone = [
        (device_id, bucket)
        for device_id, mine in windows.items()
        for window in mine
        for bucket in quarter_hours(window)
        if bucket not in rows.get(device_id, {})
    ]
    await rollups.save(conn, QUARTER_HOURS, told, gone=gone, site=site, computed_at=now)


async def _quarters(
    conn: AsyncConnection,
    site: SiteFacts,
    windows: Mapping[UUID | None, Sequence[Window]],
    rows: Rows,
    whole: Window,
) -> dict[UUID | None, list[Told]]:
    """All quarter-hours of whole days: those just computed, and of the time around them those that are stored."""
    stored = await rollups.quarters_of(conn, site.id, [key for key in windows if key is not None], whole)
    found = {}
    for device_id, mine in windows.items():
        kept = stored.get(device_id, [])
        for window in mine:
            kept = [told for told in kept if not window.start <= told[0] < window.end]
        kept += [told_of(row) for bucket, row in rows.get(device_id, {}).items() if whole.start <= bucket < whole.end]
        found[device_id] = sorted(kept, key=_bucket)
    return found


_bucket = itemgetter(0)


def _hours(windows: Iterable[Window], whole: Window, site: SiteFacts) -> list[Period]:
    """The site's hours that share time with windows, and with whole days of it."""
    found: dict[datetime, Window] = {}
    for window in windows:
        start = hour_window(max(window.start, whole.start), site.zone).start
        while start < min(window.end, whole.end):
            found[start] = hour_window(start, site.zone)
            start = found[start].end
    return sorted(found.items())


async def _save_periods(
    conn: AsyncConnection,
    level: Level,
    site: SiteFacts,
    subjects: Mapping[UUID | None, Subject],
    quarters: Mapping[UUID | None, Sequence[Told]],
    *,
    periods: Sequence[Period],
    now: datetime,
) -> None:
    """Hours or days of each subject that has quarter-hours in them."""
    told: list[tuple[Key, QuarterHour | Summary]] = []
    gone: list[Key] = []
    for device_id, subject in subjects.items():
        mine = quarters[device_id]
        buckets = list(map(_bucket, mine))
        for key, window in periods:
            inside = mine[bisect.bisect_left(buckets, window.start) : bisect.bisect_left(buckets, window.end)]
            if inside:
                told.append(((device_id, key), summarise_told(inside, window, subject)))
            else:
                gone.append((device_id, key))
    await rollups.save(conn, level, told, gone=gone, site=site, computed_at=now)


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
    first, last = day_of(window.start, site.zone), day_of(window.end - QUARTER_HOUR, site.zone)
    device_ids = [device_id for device_id in subjects if device_id is not None]
    days = await rollups.days_of(conn, site.id, device_ids, first=first, last=last)
    windows = {day: day_window(day, site.zone) for mine in days.values() for day in mine}
    told: list[tuple[Key, QuarterHour | Summary]] = []
    for device_id, mine in days.items():
        day_windows = [windows[day] for day in mine]
        summary = summarise_days(list(mine.values()), window, subjects[device_id], day_windows=day_windows)
        told.append(((device_id, year, month), summary))
    gone = [(device_id, year, month) for device_id in subjects if device_id not in days]
    await rollups.save(conn, MONTHS, told, gone=gone, site=site, computed_at=now)
