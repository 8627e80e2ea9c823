"""The queue of dirty quarter-hours.

A worker looks at marks without locking them, computes, and at the end of its transaction takes away those whose generation has not changed
meanwhile. So ingest never waits for a worker, and a mark made while the worker was computing stays. Two workers never compute the same
site at once: an advisory lock per site keeps them apart, since both would write the same day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.telemetry.repository.archive import WAITS_FOR_ARCHIVE
from cloud.telemetry.rules.context import Asked
from shared.periods import Window


@dataclass(frozen=True, slots=True)
class Mark:
    """One dirty quarter-hour, as it was when looked at."""

    device_id: UUID
    bucket: datetime
    generation: int


async def waiting_sites(conn: AsyncConnection, limit: int) -> list[UUID]:
    """Sites with dirty quarter-hours: live ones first, then those that wait longest."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        """
        SELECT site_id FROM rollup_dirty WHERE priority < $2
        GROUP BY site_id ORDER BY min(priority), min(marked_at), site_id LIMIT $1
        """,
        limit,
        WAITS_FOR_ARCHIVE,
    )
    return [record["site_id"] for record in records]


async def most_urgent(conn: AsyncConnection, site_id: UUID) -> int | None:
    """Priority of a site's most urgent mark (0 = live); None if nothing waits that can be computed."""
    pg = await asyncpg_of(conn)
    priority: int | None = await pg.fetchval(
        "SELECT min(priority) FROM rollup_dirty WHERE site_id = $1 AND priority < $2", site_id, WAITS_FOR_ARCHIVE
    )
    return priority


async def oldest_live(conn: AsyncConnection) -> datetime | None:
    """Since when a fresh reading of any site waits; None if none does."""
    pg = await asyncpg_of(conn)
    since: datetime | None = await pg.fetchval(
        "SELECT marked_at FROM rollup_dirty WHERE priority = 0 ORDER BY marked_at LIMIT 1"
    )
    return since


async def try_lock_site(conn: AsyncConnection, site_id: UUID) -> bool:
    """Be the only one to roll up this site until the transaction ends; False if somebody else is.

    The transaction's statements are few, long and always the same, and their arrays tell the planner nothing: each is planned once for a
    connection. Planning them anew would take as long as executing them.
    """
    pg = await asyncpg_of(conn)
    locked, *_ = await pg.fetchrow(
        """
        SELECT pg_try_advisory_xact_lock(hashtextextended('telemetry roll-up ' || $1::uuid::text, 0)),
            set_config('plan_cache_mode', 'force_generic_plan', true), set_config('jit', 'off', true)
        """,
        site_id,
    )
    return bool(locked)


async def marks(conn: AsyncConnection, site_id: UUID, *, limit: int) -> list[Mark]:
    """Dirty quarter-hours of a site: live before back-fill, then by device and time."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        """
        SELECT device_id, bucket, generation FROM rollup_dirty WHERE site_id = $1 AND priority < $3
        ORDER BY priority, device_id, bucket LIMIT $2
        """,
        site_id,
        limit,
        WAITS_FOR_ARCHIVE,
    )
    return [Mark(*record) for record in records]


async def months(conn: AsyncConnection, site_id: UUID, *, limit: int) -> list[datetime]:
    """Starts of the months (UTC) that the marks given by `marks` lie in."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        """
        SELECT DISTINCT date_trunc('month', bucket, 'UTC') FROM (
            SELECT bucket FROM rollup_dirty WHERE site_id = $1 AND priority < $3
            ORDER BY priority, device_id, bucket LIMIT $2
        ) AS claimed ORDER BY 1
        """,
        site_id,
        limit,
        WAITS_FOR_ARCHIVE,
    )
    return [record[0] for record in records]


async def marks_near(conn: AsyncConnection, site_id: UUID, stretches: Sequence[Asked]) -> list[Mark]:
    """All dirty quarter-hours of devices in stretches of time."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        """
        SELECT dirty.device_id, bucket, generation
        FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS near (device_id, first, last)
        JOIN rollup_dirty AS dirty ON dirty.site_id = $1 AND dirty.device_id = near.device_id AND bucket BETWEEN first AND last
        """,
        site_id,
        [near.device_id for near in stretches],
        [near.first for near in stretches],
        [near.last for near in stretches],
    )
    return [Mark(*record) for record in records]


async def remove(conn: AsyncConnection, site_id: UUID, done: Sequence[Mark]) -> None:
    """Take marks away, unless they were made again since; call it last, so that ingest waits for no longer than the commit."""
    pg = await asyncpg_of(conn)
    await pg.execute(
        """
        WITH claimed AS MATERIALIZED (
            SELECT queue.device_id, queue.bucket FROM rollup_dirty queue
            JOIN unnest($2::uuid[], $3::timestamptz[], $4::bigint[]) AS seen (device_id, bucket, generation)
              ON queue.device_id = seen.device_id AND queue.bucket = seen.bucket AND queue.generation = seen.generation
            WHERE queue.site_id = $1
            FOR UPDATE OF queue SKIP LOCKED
        )
        DELETE FROM rollup_dirty queue USING claimed
        WHERE queue.site_id = $1 AND queue.device_id = claimed.device_id AND queue.bucket = claimed.bucket
        """,
        site_id,
        [mark.device_id for mark in done],
        [mark.bucket for mark in done],
        [mark.generation for mark in done],
    )


async def mark(
    conn: AsyncConnection, *, site_id: UUID, organization_id: UUID, device_id: UUID, window: Window, at: datetime
) -> None:
    """Queue every quarter-hour of a window, as back-fill."""
    pg = await asyncpg_of(conn)
    await pg.execute(
        """
        INSERT INTO rollup_dirty AS queue (site_id, organization_id, device_id, bucket, priority, marked_at)
        SELECT $1, $2, $3, bucket, 1, $6
        FROM generate_series($4::timestamptz, $5::timestamptz - interval '1 second', interval '15 minutes') AS bucket
        ON CONFLICT (site_id, device_id, bucket) DO UPDATE SET generation = queue.generation + 1
        """,
        site_id,
        organization_id,
        device_id,
        window.start,
        window.end,
        at,
    )
