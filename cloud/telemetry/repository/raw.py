"""What decides about an hour, found in raw readings however far away it is: the long way, one device at a time.

The short one, which is enough where a device was heard all the time, is `repository.stretches`.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.ingest.days.repository import nearest
from cloud.telemetry.repository.archive import found, refuse_away
from cloud.telemetry.repository.stretches import near
from cloud.telemetry.rules.context import BASES, LOOK_BACK, REACH, UNUSABLE, Asked, Timeline
from cloud.telemetry.rules.facts import COUNTERS
from shared.periods import Window

_DEVICE = "= (SELECT number FROM devices WHERE site_id = $1 AND id = $2)"


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


async def readings_between(
    conn: AsyncConnection, site_id: UUID, device_id: UUID, *, first: datetime, last: datetime
) -> Timeline:
    """A device's readings of a stretch of time, both ends included.

    Raises:
        ArchivedError: if some of that time is only in the archive.
    """
    await refuse_away(conn, site_id, first=first, last=last)
    (loaded,) = await near(conn, site_id, [Asked(device_id, first, last)])
    return Timeline((), (), {}, ()) if loaded is None else loaded.stretch.timeline


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
