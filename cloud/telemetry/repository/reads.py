"""Answers: series, days and what flows now. Each statement says whether it wants the site's row or a device's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.devices.tables import Device
from cloud.ingest.rules import RAW_COLUMNS
from cloud.telemetry.repository.rollups import DAYS, HOURS, MONTHS, Level
from cloud.telemetry.rules.facts import Flow
from cloud.telemetry.rules.series import GaugeColumns, Resolution
from shared.periods import Window
from shared.readings import Value

RawPoint = tuple[datetime, Value]


@dataclass(frozen=True, slots=True)
class Slot:
    """Aggregate of one period: `index` counts the periods from 0."""

    index: int
    value: float | None
    low: float | None = None
    high: float | None = None


async def poll_interval_s(conn: AsyncConnection, site_id: UUID, device_id: UUID) -> float | None:
    """Seconds between two readings of a device; None if the site has no such device."""
    statement = select(Device.poll_interval_s).where(Device.site_id == site_id, Device.id == device_id)
    found: float | None = (await conn.execute(statement)).scalar_one_or_none()
    return found


async def raw_points(
    conn: AsyncConnection, site_id: UUID, device_id: UUID, *, metric: str, window: Window, limit: int
) -> list[RawPoint]:
    """A device's stored values of one metric, oldest first."""
    pg = await asyncpg_of(conn)
    column = RAW_COLUMNS.get(metric)
    if column is not None:
        statement = f"""
            SELECT at, {column} AS value FROM telemetry_readings
            WHERE site_id = $1 AND device_id = $2 AND at >= $3 AND at < $4 ORDER BY at LIMIT $5
            """  # noqa: S608 -- a column of our own
        arguments: tuple[Any, ...] = ()
    else:
        statement = """
            SELECT at, CASE jsonb_typeof(extra -> $6) WHEN 'number' THEN (extra ->> $6)::double precision END AS value,
                CASE jsonb_typeof(extra -> $6) WHEN 'string' THEN extra ->> $6 END AS word
            FROM telemetry_readings
            WHERE site_id = $1 AND device_id = $2 AND at >= $3 AND at < $4 AND extra ? $6 ORDER BY at LIMIT $5
            """
        arguments = (metric,)
    records = await pg.fetch(statement, site_id, device_id, window.start, window.end, limit, *arguments)
    if column is not None:
        return [(record["at"], record["value"]) for record in records]
    return [(record["at"], record["word"] if record["value"] is None else record["value"]) for record in records]


async def gauge_slots(
    conn: AsyncConnection, site_id: UUID, device_id: UUID | None, *, columns: GaugeColumns, edges: Sequence[datetime]
) -> list[Slot]:
    """Mean, minimum and maximum of a gauge in each period between edges; periods without a value are left out."""
    key = columns.key or ""
    mean, low, high = columns.mean or "NULL", columns.low or "NULL", columns.high or "NULL"
    if columns.key is not None:
        mean, low, high = (f"(metrics -> $5 ->> '{part}')::double precision" for part in ("mean", "min", "max"))
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        WITH quarter AS (
            SELECT width_bucket(bucket, $3::timestamptz[]) AS slot, greatest(covered_seconds, irradiation_covered_seconds, 1) AS weight,
                {mean} AS mean, {low} AS low, {high} AS high
            FROM telemetry_quarter_hour
            WHERE site_id = $1 AND device_id IS NOT DISTINCT FROM $2 AND bucket >= $4 AND bucket < $6 AND $5::text IS NOT NULL
        )
        SELECT slot, sum(mean * weight) / sum(weight) AS mean, min(low) AS low, max(high) AS high
        FROM quarter WHERE mean IS NOT NULL GROUP BY slot ORDER BY slot
        """,  # noqa: S608 -- columns of our own
        site_id,
        device_id,
        list(edges),
        edges[0],
        key,
        edges[-1],
    )
    return [Slot(record["slot"] - 1, record["mean"], record["low"], record["high"]) for record in records]


async def energy_quarters(
    conn: AsyncConnection, site_id: UUID, device_id: UUID | None, *, flow: Flow, edges: Sequence[datetime]
) -> list[Slot]:
    """Energy (kWh) of one flow in each quarter-hour."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT width_bucket(bucket, $3::timestamptz[]) AS slot, {flow.value}_wh AS wh FROM telemetry_quarter_hour
        WHERE site_id = $1 AND device_id IS NOT DISTINCT FROM $2 AND bucket >= $4 AND bucket < $5 ORDER BY bucket
        """,  # noqa: S608 -- a column of our own
        site_id,
        device_id,
        list(edges),
        edges[0],
        edges[-1],
    )
    return [Slot(record["slot"] - 1, None if record["wh"] is None else record["wh"] / 1000) for record in records]


_LEVELS: dict[Resolution, Level] = {Resolution.HOUR: HOURS, Resolution.DAY: DAYS, Resolution.MONTH: MONTHS}


async def energy_summaries(
    conn: AsyncConnection,
    site_id: UUID,
    device_id: UUID | None,
    *,
    flow: Flow,
    resolution: Resolution,
    first: Any,  # noqa: ANN401 -- a moment, a date or (year, month), by the level
    last: Any,  # noqa: ANN401 -- likewise
) -> dict[Any, float | None]:
    """Energy (kWh) of one flow by hour, day or month, keyed as the table files it."""
    level = _LEVELS[resolution]
    key = level.period[0] if len(level.period) == 1 else f"make_date({', '.join(level.period)}, 1)"
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT {key} AS key, energy_{flow.value}_kwh AS kwh FROM {level.table}
        WHERE site_id = $1 AND device_id IS NOT DISTINCT FROM $2 AND {key} >= $3 AND {key} <= $4
        """,  # noqa: S608 -- names of our own
        site_id,
        device_id,
        first,
        last,
    )
    return {record["key"]: record["kwh"] for record in records}


async def site_days(conn: AsyncConnection, site_id: UUID, *, first: date, last: date) -> list[dict[str, Any]]:
    """The site's day rows, in order."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        """
        SELECT * FROM telemetry_daily_summary
        WHERE site_id = $1 AND device_id IS NULL AND summary_date >= $2 AND summary_date <= $3 ORDER BY summary_date
        """,
        site_id,
        first,
        last,
    )
    return [dict(record) for record in records]


async def live_flows(conn: AsyncConnection, site_id: UUID) -> dict[str, Any]:
    """What flows now, summed by role over the devices that report."""
    statement = text("SELECT * FROM v_site_telemetry_live WHERE site_id = :site_id")
    return dict((await conn.execute(statement, {"site_id": site_id})).mappings().one())


async def live_devices(conn: AsyncConnection, site_id: UUID) -> list[dict[str, Any]]:
    """The newest values of each device."""
    statement = text(
        """
        SELECT s.device_id, d.name, d.device_type, s.timestamp AS at, s.quality, s.current_power_kw AS power_kw,
            s.battery_soc_percent, s.operating_state, s.received_at,
            greatest(0, extract(epoch FROM now() - s.timestamp))::double precision AS age_s,
            s.timestamp < now() - make_interval(secs => 3 * d.poll_interval_s) AS is_stale
        FROM device_telemetry_snapshot s JOIN devices d ON d.site_id = s.site_id AND d.id = s.device_id
        WHERE s.site_id = :site_id ORDER BY d.device_type, d.name, s.device_id
        """
    )
    return [dict(row) for row in (await conn.execute(statement, {"site_id": site_id})).mappings()]
