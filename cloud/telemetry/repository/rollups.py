"""Quarter-hours and summaries as they are stored. A row that would stay the same is not written again."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import Base, asyncpg_of
from cloud.telemetry.rules.facts import ALGORITHM_VERSION, SiteFacts
from cloud.telemetry.rules.quarter import QuarterHour
from cloud.telemetry.rules.summary import Summary
from cloud.telemetry.tables import (
    TelemetryDailySummary,
    TelemetryHourlySummary,
    TelemetryMonthlySummary,
    TelemetryQuarterHour,
)
from shared.periods import Window

_to_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Level:
    """One rollup table.

    Attributes:
        table: its name.
        period: the columns that say which period a row is of.
        columns: the columns that the rules fill in.
    """

    table: str
    period: tuple[str, ...]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, model: type[Base], *period: str, rows: type[QuarterHour | Summary]) -> "Level":
        """From the table and the dataclass of its numbers."""
        table = model.__table__
        known = {field.name for field in dataclasses.fields(rows)} | {"timezone"}
        columns = tuple(column.name for column in table.columns if column.name in known and column.name not in period)
        return cls(table.name if isinstance(table, Table) else "", period, columns)


QUARTER_HOURS = Level.of(TelemetryQuarterHour, "bucket", rows=QuarterHour)
HOURS = Level.of(TelemetryHourlySummary, "timestamp_hour", rows=Summary)
DAYS = Level.of(TelemetryDailySummary, "summary_date", rows=Summary)
MONTHS = Level.of(TelemetryMonthlySummary, "year", "month", rows=Summary)

_PARTITIONED = (QUARTER_HOURS, HOURS)


async def ensure_partitions(conn: AsyncConnection, window: Window) -> None:
    """Make the month partitions that rollups of this window need, where they are missing."""
    pg = await asyncpg_of(conn)
    for level in _PARTITIONED:
        await pg.execute(
            "SELECT solarhub_ensure_partitions($1, $2::date, $3::date)",
            level.table,
            window.start.date(),
            window.end.date(),
        )


async def save(
    conn: AsyncConnection, level: Level, rows: Iterable[Mapping[str, Any]], *, site: SiteFacts, computed_at: datetime
) -> None:
    """Insert or replace rows of one level.

    Args:
        conn: the transaction.
        level: which table.
        rows: period columns and numbers by column name, and `device_id` (None = the site's own row).
        site: whose they are.
        computed_at: written where a number changed.
    """
    common = {
        "site_id": site.id,
        "organization_id": site.organization_id,
        "computed_at": computed_at,
        "updated_at": computed_at,
        "algorithm_version": ALGORITHM_VERSION,
    }
    by_scope: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for row in rows:
        by_scope[row["device_id"] is None].append({**row, **common})
    pg = await asyncpg_of(conn)
    for is_site, scoped in by_scope.items():
        if scoped:
            await pg.execute(_upsert(level, is_site=is_site), _to_json(scoped).decode())


def _upsert(level: Level, *, is_site: bool) -> str:
    scope = ("site_id",) if is_site else ("site_id", "device_id")
    predicate = "device_id IS NULL" if is_site else "device_id IS NOT NULL"
    numbers = (*level.columns, "algorithm_version")
    stamps = ("computed_at",) if level is QUARTER_HOURS else ("computed_at", "updated_at")
    inserted = ("site_id", "device_id", "organization_id", *level.period, *numbers, *stamps)
    changes = ", ".join(f"{column} = excluded.{column}" for column in (*numbers, *stamps))
    before = ", ".join(f"stored.{column}" for column in numbers)
    after = ", ".join(f"excluded.{column}" for column in numbers)
    # Every name in the statement is a column of our own tables; the rows travel as one parameter.
    return (
        f"INSERT INTO {level.table} AS stored ({', '.join(inserted)})"  # noqa: S608 -- see above
        f" SELECT {', '.join(inserted)} FROM jsonb_populate_recordset(NULL::{level.table}, $1::jsonb)"
        f" ON CONFLICT ({', '.join((*scope, *level.period))}) WHERE {predicate} DO UPDATE SET {changes}"
        f" WHERE ({before}) IS DISTINCT FROM ({after})"
    )


async def remove_other_buckets(
    conn: AsyncConnection, site_id: UUID, device_id: UUID | None, window: Window, *, kept: Sequence[datetime]
) -> None:
    """Delete the quarter-hours of a window that the readings no longer give."""
    pg = await asyncpg_of(conn)
    await pg.execute(
        """
        DELETE FROM telemetry_quarter_hour
        WHERE site_id = $1 AND device_id IS NOT DISTINCT FROM $2 AND bucket >= $3 AND bucket < $4 AND bucket <> ALL ($5::timestamptz[])
        """,
        site_id,
        device_id,
        window.start,
        window.end,
        list(kept),
    )


async def device_quarters(
    conn: AsyncConnection, site_id: UUID, window: Window
) -> dict[datetime, dict[UUID, QuarterHour]]:
    """The devices' quarter-hours of a window: bucket -> device -> row, without the metrics that only the device has."""
    names = tuple(name for name in QUARTER_HOURS.columns if name != "metrics")
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT device_id, bucket, {", ".join(names)} FROM telemetry_quarter_hour
        WHERE site_id = $1 AND device_id IS NOT NULL AND bucket >= $2 AND bucket < $3 ORDER BY bucket, device_id
        """,  # noqa: S608 -- our own column names
        site_id,
        window.start,
        window.end,
    )
    found: dict[datetime, dict[UUID, QuarterHour]] = {}
    for record in records:
        found.setdefault(record["bucket"], {})[record["device_id"]] = _quarter(record, names)
    return found


_SUMMED = tuple(
    name
    for name in QUARTER_HOURS.columns
    if name.endswith(("_wh", "_wh_m2", "_seconds"))
    or name in {"power_mean_kw", "power_max_kw", "irradiance_mean_wm2", "battery_soc_last_percent", "n_valid", "flags"}
)
"""What hours and days are made of."""


async def quarters_of(
    conn: AsyncConnection, site_id: UUID, device_ids: Sequence[UUID], window: Window
) -> dict[UUID | None, list[QuarterHour]]:
    """Quarter-hours of the site (key None) and of some of its devices, in order, with what summaries are made of."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT device_id, bucket, {", ".join(_SUMMED)} FROM telemetry_quarter_hour
        WHERE site_id = $1 AND bucket >= $2 AND bucket < $3 AND (device_id IS NULL OR device_id = ANY ($4::uuid[])) ORDER BY bucket
        """,  # noqa: S608 -- our own column names
        site_id,
        window.start,
        window.end,
        list(device_ids),
    )
    found: dict[UUID | None, list[QuarterHour]] = {}
    for record in records:
        found.setdefault(record["device_id"], []).append(_quarter(record, _SUMMED))
    return found


def _quarter(record: Mapping[str, Any], names: Iterable[str]) -> QuarterHour:
    return QuarterHour(bucket=record["bucket"], **{name: record[name] for name in names})


async def days_of(
    conn: AsyncConnection, site_id: UUID, device_ids: Sequence[UUID], *, first: date, last: date
) -> dict[UUID | None, list[tuple[date, Summary]]]:
    """Day rows of the site (key None) and of some of its devices, in order."""
    names = tuple(name for name in DAYS.columns if name != "timezone")
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT device_id, summary_date, {", ".join(names)} FROM telemetry_daily_summary
        WHERE site_id = $1 AND summary_date >= $2 AND summary_date <= $3 AND (device_id IS NULL OR device_id = ANY ($4::uuid[]))
        ORDER BY summary_date
        """,  # noqa: S608 -- our own column names
        site_id,
        first,
        last,
        list(device_ids),
    )
    found: dict[UUID | None, list[tuple[date, Summary]]] = {}
    for record in records:
        day = Summary(**{name: record[name] for name in names})
        found.setdefault(record["device_id"], []).append((record["summary_date"], day))
    return found


async def remove_other_summaries(
    conn: AsyncConnection,
    level: Level,
    site_id: UUID,
    device_ids: Sequence[UUID],
    *,
    periods: Sequence[Sequence[Any]],
    kept: Sequence[Mapping[str, Any]],
) -> None:
    """Delete the rows of these periods that are not among the kept ones."""
    staying = {(row["device_id"], *(row[name] for name in level.period)) for row in kept}
    gone = [
        (device_id, *period)
        for device_id in (None, *device_ids)
        for period in periods
        if (device_id, *period) not in staying
    ]
    if not gone:
        return
    matches = " AND ".join(f"{name} = ${position}" for position, name in enumerate(level.period, start=3))
    pg = await asyncpg_of(conn)
    await pg.executemany(
        f"DELETE FROM {level.table} WHERE site_id = $1 AND device_id IS NOT DISTINCT FROM $2 AND {matches}",  # noqa: S608 -- ours
        [(site_id, *values) for values in gone],
    )
