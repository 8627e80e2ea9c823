"""Where archived days and months are, what is due to leave, and what is wanted back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from cloud.ingest.days.repository import day_start
from cloud.storage.repository.rows import ROLLUPS
from cloud.storage.rules import LAYOUT, Kind, Span


@dataclass(frozen=True, slots=True)
class Catalogued:
    """What the catalogue says of a file."""

    span: Span
    path: str
    sha256: str
    size_bytes: int
    rows: int
    layout: int
    is_away: bool


async def entries(
    pg: asyncpg.Connection, site_id: UUID, *, first: date, last: date, kinds: Sequence[Kind] = tuple(Kind)
) -> list[Catalogued]:
    """Files that hold something of these days, oldest first."""
    records = await pg.fetch(
        """
        SELECT organization_id, kind, first_day, last_day, path, sha256, size_bytes, rows, layout, is_away FROM telemetry_archives
        WHERE site_id = $1 AND first_day <= $3 AND last_day >= $2 AND kind = ANY ($4) ORDER BY first_day, kind
        """,
        site_id,
        first,
        last,
        [kind.value for kind in kinds],
    )
    return [
        Catalogued(Span(site_id, organization_id, Kind(kind), first_day, last_day), *rest)
        for organization_id, kind, first_day, last_day, *rest in records
    ]


async def enter(pg: asyncpg.Connection, entry: Catalogued, *, now: datetime) -> None:
    """Write down where rows are; a file of the same days before it is forgotten."""
    await pg.execute(
        """
        INSERT INTO telemetry_archives (
            site_id, organization_id, kind, first_day, last_day, path, sha256, size_bytes, rows, layout, is_away, exported_at
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT (site_id, kind, first_day) DO UPDATE SET
            path = excluded.path, sha256 = excluded.sha256, size_bytes = excluded.size_bytes, rows = excluded.rows,
            layout = excluded.layout, is_away = excluded.is_away, exported_at = excluded.exported_at, keep_until = NULL
        """,
        entry.span.site_id,
        entry.span.organization_id,
        entry.span.kind.value,
        entry.span.first_day,
        entry.span.last_day,
        entry.path,
        entry.sha256,
        entry.size_bytes,
        entry.rows,
        LAYOUT,
        entry.is_away,
        now,
    )


async def came_back(pg: asyncpg.Connection, span: Span, *, keep_until: datetime) -> None:
    """Write down that a file's rows are in the database again."""
    await pg.execute(
        """
        UPDATE telemetry_archives SET is_away = false, keep_until = $4 WHERE site_id = $1 AND kind = $2 AND first_day = $3
        """,
        span.site_id,
        span.kind.value,
        span.first_day,
        keep_until,
    )


async def lock_rollups(pg: asyncpg.Connection, site_id: UUID) -> None:
    """Wait until nobody rolls up this site, and be the only one until the transaction ends."""
    await pg.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('telemetry roll-up ' || $1::uuid::text, 0))", site_id
    )


async def organizations(pg: asyncpg.Connection) -> list[tuple[UUID, dict[str, Any] | str]]:
    """Every organisation and its settings."""
    return [tuple(record) for record in await pg.fetch("SELECT id, settings FROM organizations ORDER BY id")]


_SETTLED = """
    NOT EXISTS (SELECT FROM rollup_dirty AS q WHERE q.site_id = t.site_id AND q.bucket < $2 + interval '{reach} days')
    AND NOT EXISTS (
        SELECT FROM telemetry_archives AS a
        WHERE a.site_id = t.site_id AND a.kind = '{kind}' AND a.first_day = t.first_day AND a.keep_until > $3
    )
"""
_REACH_DAYS = 42
"""Marks this near may be computed from what is about to leave: 40 days over which a gap is bridged, and the ends of days."""


async def due(
    pg: asyncpg.Connection, organization_id: UUID, kind: Kind, *, before: date, now: datetime, limit: int
) -> list[tuple[UUID, date]]:
    """Sites and first days of what lies before a day and may go: nothing near it waits to be computed, nobody asked to keep it."""
    if kind is Kind.RAW:
        table, first_day, is_old = "telemetry_days", "day", "day < ($2 AT TIME ZONE 'UTC')::date"
    else:
        table, moment = ROLLUPS[kind]
        first_day, is_old = f"date_trunc('month', {moment} AT TIME ZONE 'UTC')::date", f"{moment} < $2"
    # By way of the sites, whose index the old days are found with.
    old = f"""
        SELECT DISTINCT s.id AS site_id, {first_day} AS first_day FROM sites AS s JOIN {table} AS kept ON kept.site_id = s.id
        WHERE s.organization_id = $1 AND {is_old}
    """  # noqa: S608 -- our own names
    records = await pg.fetch(
        f"""
        SELECT site_id, first_day FROM ({old}) AS t WHERE {_SETTLED.format(reach=_REACH_DAYS, kind=kind.value)}
        ORDER BY first_day, site_id LIMIT $4
        """,  # noqa: S608 -- our own names
        organization_id,
        day_start(before),
        now,
        limit,
    )
    return [tuple(record) for record in records]


async def organization_of(pg: asyncpg.Connection, site_id: UUID) -> UUID | None:
    """Whose site it is."""
    found: UUID | None = await pg.fetchval("SELECT organization_id FROM sites WHERE id = $1", site_id)
    return found


async def raw_days_of(pg: asyncpg.Connection, site_id: UUID, *, first: date, last: date) -> list[date]:
    """Days of which a site has readings in the database, as rows or packed."""
    records = await pg.fetch(
        """
        SELECT day FROM telemetry_days WHERE site_id = $1 AND day BETWEEN $2 AND $3
        UNION
        SELECT day::date FROM generate_series($2::timestamp, $3::timestamp, interval '1 day') AS day
        WHERE EXISTS (
            SELECT FROM devices AS d JOIN telemetry_readings AS r ON r.site_id = d.site_id AND r.device_number = d.number
            WHERE d.site_id = $1 AND r.at >= day AT TIME ZONE 'UTC' AND r.at < (day + interval '1 day') AT TIME ZONE 'UTC'
        )
        ORDER BY day
        """,
        site_id,
        first,
        last,
    )
    return [record["day"] for record in records]


async def devices_with_rows(pg: asyncpg.Connection, span: Span) -> list[int]:
    """Devices of which readings of this day are rows."""
    records = await pg.fetch(
        """
        SELECT d.number FROM devices AS d WHERE d.site_id = $1 AND EXISTS (
            SELECT FROM telemetry_readings AS r
            WHERE r.site_id = d.site_id AND r.device_number = d.number AND r.at >= $2 AND r.at < $3
        ) ORDER BY d.number
        """,
        span.site_id,
        span.start,
        span.end,
    )
    return [record["number"] for record in records]


async def recalls(pg: asyncpg.Connection, *, limit: int) -> list[tuple[UUID, Kind, date]]:
    """What waiting roll-ups need from files, longest wait first."""
    records = await pg.fetch(
        "SELECT site_id, kind, first_day FROM archive_recalls ORDER BY wanted_at, site_id, first_day LIMIT $1", limit
    )
    return [(site_id, Kind(kind), first_day) for site_id, kind, first_day in records]


async def recall_done(pg: asyncpg.Connection, site_id: UUID, kind: Kind, first_day: date) -> None:
    """Forget a recall; with a site's last one its waiting marks go on."""
    await pg.execute(
        "DELETE FROM archive_recalls WHERE site_id = $1 AND kind = $2 AND first_day = $3",
        site_id,
        kind.value,
        first_day,
    )
    await pg.execute(
        """
        UPDATE rollup_dirty SET priority = 1 WHERE site_id = $1 AND priority = 9
            AND NOT EXISTS (SELECT FROM archive_recalls AS r WHERE r.site_id = $1)
        """,
        site_id,
    )


async def clear_partition(pg: asyncpg.Connection, table: str, first_day: date, *, for_good: bool) -> bool:
    """Give the space of an emptied partition back; False if it is not empty, or already given back."""
    cleared: bool = await pg.fetchval("SELECT solarhub_clear_partition($1, $2, $3)", table, first_day, for_good)
    return cleared


async def oldest_partitions(pg: asyncpg.Connection, table: str, *, before: date) -> list[date]:
    """First days of a table's partitions that begin before a day, oldest first."""
    records = await pg.fetch(
        "SELECT day FROM solarhub_partition_days($1) AS day WHERE day < $2 ORDER BY day", table, before
    )
    return [record["day"] for record in records]
