"""Raw readings, as the rules need them. All access of telemetry to the raw table is here."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import REAL, Float
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.ingest.days.repository import nearest, readings
from cloud.ingest.tables import TelemetryReading
from cloud.telemetry.repository.archive import found, refuse_away
from cloud.telemetry.rules.context import BASES, LOOK_BACK, REACH, UNUSABLE, Timeline
from cloud.telemetry.rules.facts import COUNTERS
from cloud.telemetry.rules.quarter import PLANE_OF_ARRAY
from shared.counters import unix_us
from shared.periods import Window

NUMERIC_COLUMNS = tuple(column.name for column in TelemetryReading.__table__.columns if isinstance(column.type, Float))
"""Columns of the raw table that hold numbers."""

_GAUGES = frozenset(column.name for column in TelemetryReading.__table__.columns if isinstance(column.type, REAL))

_DEVICE = "= (SELECT number FROM devices WHERE site_id = $1 AND id = $2)"


def as_double(column: str) -> str:
    """A raw column as SQL of double precision: of a gauge the shortest decimal, by way of text (229.1, not 229.10000610351562)."""
    return f"{column}::text::double precision AS {column}" if column in _GAUGES else column


_MICROSECOND = timedelta(microseconds=1)
_ANCHOR = f"quality & {UNUSABLE} = 0 AND num_nonnulls({', '.join(COUNTERS)}) > 0"
_MOMENT_3, _MOMENT_4 = "$3::timestamptz", "$4::timestamptz"
_ANCHORS_BEFORE = nearest(
    _ANCHOR, COUNTERS, device=_DEVICE, first=_MOMENT_4, last=_MOMENT_3, until="<", count="$5::integer", is_newest=True
)
_ANCHORS_AFTER = nearest(
    _ANCHOR, COUNTERS, device=_DEVICE, first=_MOMENT_3, last=_MOMENT_4, until="<=", count="$5::integer", is_newest=False
)


async def anchors_before(
    conn: AsyncConnection, site_id: UUID, device_id: UUID, *, before: datetime, since: datetime, count: int
) -> list[datetime]:
    """Moments of the last readings with a counter, newest first.

    Raises:
        ArchivedError: if readings that could be among them are only in the archive.
    """
    pg = await asyncpg_of(conn)
    moments, away = await pg.fetchrow(_ANCHORS_BEFORE, site_id, device_id, before, since, count)
    return found(moments, away)


async def anchors_after(
    conn: AsyncConnection, site_id: UUID, device_id: UUID, *, after: datetime, until: datetime, count: int
) -> list[datetime]:
    """Moments of the first readings with a counter at or after a moment, oldest first.

    Raises:
        ArchivedError: if readings that could be among them are only in the archive.
    """
    pg = await asyncpg_of(conn)
    moments, away = await pg.fetchrow(_ANCHORS_AFTER, site_id, device_id, after, until, count)
    return found(moments, away)


_RELATION = readings(("at", "quality", *NUMERIC_COLUMNS, "extra"), device=_DEVICE, first=_MOMENT_3, last=_MOMENT_4)
_READINGS = f"""
SELECT at, quality, {", ".join(as_double(name) for name in NUMERIC_COLUMNS)},
    CASE jsonb_typeof(extra -> '{PLANE_OF_ARRAY}') WHEN 'number'
        THEN (extra ->> '{PLANE_OF_ARRAY}')::double precision END AS plane_of_array
FROM ({_RELATION}) AS reading ORDER BY at
"""  # noqa: S608 -- our own column names


async def readings_between(
    conn: AsyncConnection, site_id: UUID, device_id: UUID, *, first: datetime, last: datetime
) -> Timeline:
    """A device's readings of a stretch of time, both ends included.

    Raises:
        ArchivedError: if some of that time is only in the archive.
    """
    await refuse_away(conn, site_id, first=first, last=last)
    pg = await asyncpg_of(conn)
    records = await pg.fetch(_READINGS, site_id, device_id, first, last)
    if not records:
        return Timeline((), (), {}, ())
    moments, quality, *columns = zip(*records, strict=True)
    told = {
        key: column
        for key, column in zip((*NUMERIC_COLUMNS, PLANE_OF_ARRAY), columns, strict=True)
        if column.count(None) != len(column)
    }
    return Timeline.of_columns([unix_us(at) for at in moments], quality, told)


async def context_of(
    conn: AsyncConnection, site_id: UUID, device_id: UUID, window: Window, *, straddle: timedelta, has_counters: bool
) -> Timeline:
    """Every reading that decides about the hours of a window (see `rules.context`)."""
    first, last = window.start - straddle, window.end + straddle
    if has_counters:
        since = window.start - REACH
        newest = await anchors_before(conn, site_id, device_id, before=window.start, since=since, count=1)
        if newest:
            start = newest[0] - LOOK_BACK
            bases = await anchors_before(conn, site_id, device_id, before=start, since=since, count=BASES)
            first = min(first, start, *bases)
        until = window.end + REACH
        settled = window.end + LOOK_BACK
        following = await anchors_after(conn, site_id, device_id, after=settled, until=until, count=BASES)
        last = max([last, settled, *following])
    return await readings_between(conn, site_id, device_id, first=first, last=last)


async def affected_by(
    conn: AsyncConnection, site_id: UUID, device_id: UUID, dirty: Window, *, straddle: timedelta, has_counters: bool
) -> Window:
    """The stretch of time in which numbers may change because readings inside `dirty` did.

    The reverse of `context_of`: an hour is affected if a reading of `dirty` is in its context.
    """
    first, last = dirty.start - straddle, dirty.end + straddle
    if has_counters:
        earlier = await anchors_before(
            conn, site_id, device_id, before=dirty.start, since=dirty.start - REACH, count=BASES
        )
        first = min(first, *(at - LOOK_BACK for at in (dirty.start, *earlier)))
        later = await anchors_after(conn, site_id, device_id, after=dirty.end, until=dirty.end + REACH, count=BASES)
        last = max([last, *later])
        if len(later) == BASES:
            # An hour is out of reach once BASES anchors and LOOK_BACK lie between it and the change.
            settled = later[-1] + LOOK_BACK
            beyond = await anchors_after(
                conn, site_id, device_id, after=settled + _MICROSECOND, until=settled + REACH, count=1
            )
            last = max([last, settled, *beyond])
    return Window(first, last)
