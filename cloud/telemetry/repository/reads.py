"""Answers: series, days and what flows now. Each statement says whether it wants the site's row or a device's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.devices.tables import Device
from cloud.ingest.rules import COUNTER_COLUMNS, RAW_COLUMNS, TEXT_COLUMNS
from cloud.telemetry.repository.rollups import DAYS, HOURS, MONTHS, Level
from cloud.telemetry.rules.context import UNUSABLE
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


Wanted = Sequence[UUID]
"""Devices whose rows are wanted; none = the site's own row."""

_WHO = {True: "device_id = ANY ($2::uuid[])", False: "device_id IS NULL AND cardinality($2::uuid[]) = 0"}
"""With and without devices; spelled apart so that each finds its partial index."""


async def poll_intervals_s(conn: AsyncConnection, site_id: UUID, device_ids: Wanted) -> dict[UUID, float]:
    """Seconds between two readings of each device that the site has."""
    statement = select(Device.id, Device.poll_interval_s).where(Device.site_id == site_id, Device.id.in_(device_ids))
    return {row.id: row.poll_interval_s for row in await conn.execute(statement)}


async def raw_points(
    conn: AsyncConnection, site_id: UUID, device_ids: Wanted, *, metric: str, window: Window, limit: int
) -> dict[UUID | None, list[RawPoint]]:
    """Stored values of one metric by device, oldest first; at most `limit` in all."""
    pg = await asyncpg_of(conn)
    column = RAW_COLUMNS.get(metric)
    value, has_it = (_plain(column), "$6::text IS NOT NULL") if column is not None else (_EXTRA_NUMBER, "extra ? $6")
    word = "NULL" if column is not None else "CASE jsonb_typeof(extra -> $6) WHEN 'string' THEN extra ->> $6 END"
    records = await pg.fetch(
        f"""
        SELECT d.id AS device_id, at, {value} AS value, {word} AS word
        FROM telemetry_readings AS r JOIN devices AS d ON d.site_id = r.site_id AND d.number = r.device_number
        WHERE d.site_id = $1 AND d.id = ANY ($2::uuid[]) AND at >= $3 AND at < $4 AND {has_it}
        ORDER BY device_id, at LIMIT $5
        """,  # noqa: S608 -- a column of our own
        site_id,
        device_ids,
        window.start,
        window.end,
        limit,
        metric,
    )
    found: dict[UUID | None, list[RawPoint]] = {}
    for device_id, at, number, text_value in records:
        found.setdefault(device_id, []).append((at, text_value if number is None else number))
    return found


def _plain(column: str) -> str:
    """A raw column as it is shown; a gauge by way of text, which is its shortest decimal."""
    return column if column in COUNTER_COLUMNS or column in TEXT_COLUMNS else f"{column}::text::double precision"


_EXTRA_NUMBER = "CASE jsonb_typeof(extra -> $6) WHEN 'number' THEN (extra ->> $6)::double precision END"


async def channel_slots(
    conn: AsyncConnection, site_id: UUID, device_ids: Wanted, *, metric: str, edges: Sequence[datetime]
) -> dict[UUID | None, list[Slot]]:
    """Plain mean, minimum and maximum of a channel's usable raw readings in each period between edges."""
    column = RAW_COLUMNS.get(metric)
    value = _plain(column) if column is not None else _EXTRA_NUMBER
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        WITH reading AS (
            SELECT d.id AS device_id, width_bucket(at, $3::timestamptz[]) AS slot, {value} AS value
            FROM telemetry_readings AS r JOIN devices AS d ON d.site_id = r.site_id AND d.number = r.device_number
            WHERE d.site_id = $1 AND d.id = ANY ($2::uuid[]) AND at >= $4 AND at < $5
                AND quality & {UNUSABLE} = 0 AND $6::text IS NOT NULL
        )
        SELECT device_id, slot, avg(value) AS mean, min(value) AS low, max(value) AS high
        FROM reading WHERE value IS NOT NULL GROUP BY device_id, slot
        """,  # noqa: S608 -- a column of our own
        site_id,
        device_ids,
        list(edges),
        edges[0],
        edges[-1],
        metric,
    )
    return _by_device(records)


async def gauge_slots(
    conn: AsyncConnection, site_id: UUID, device_ids: Wanted, *, columns: GaugeColumns, edges: Sequence[datetime]
) -> dict[UUID | None, list[Slot]]:
    """Mean, minimum and maximum of a gauge in each period between edges; periods without a value are left out."""
    key = columns.key or ""
    mean, low, high = columns.mean or "NULL", columns.low or "NULL", columns.high or "NULL"
    if columns.key is not None:
        mean, low, high = (f"(metrics -> $5 ->> '{part}')::double precision" for part in ("mean", "min", "max"))
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        WITH quarter AS (
            SELECT device_id, width_bucket(bucket, $3::timestamptz[]) AS slot,
                greatest(covered_seconds, irradiation_covered_seconds, 1) AS weight,
                {mean} AS mean, {low} AS low, {high} AS high
            FROM telemetry_quarter_hour
            WHERE site_id = $1 AND {_WHO[bool(device_ids)]} AND bucket >= $4 AND bucket < $6 AND $5::text IS NOT NULL
        )
        SELECT device_id, slot, sum(mean * weight) / sum(weight) AS mean, min(low) AS low, max(high) AS high
        FROM quarter WHERE mean IS NOT NULL GROUP BY device_id, slot
        """,  # noqa: S608 -- columns of our own
        site_id,
        device_ids,
        list(edges),
        edges[0],
        key,
        edges[-1],
    )
    return _by_device(records)


async def energy_quarters(
    conn: AsyncConnection, site_id: UUID, device_ids: Wanted, *, flow: Flow, edges: Sequence[datetime]
) -> dict[UUID | None, list[Slot]]:
    """Energy (kWh) of one flow in each quarter-hour."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT device_id, width_bucket(bucket, $3::timestamptz[]) AS slot, {flow.value}_wh / 1000.0::double precision AS kwh,
            NULL AS low, NULL AS high
        FROM telemetry_quarter_hour
        WHERE site_id = $1 AND {_WHO[bool(device_ids)]} AND bucket >= $4 AND bucket < $5
        """,  # noqa: S608 -- a column of our own
        site_id,
        device_ids,
        list(edges),
        edges[0],
        edges[-1],
    )
    return _by_device(records)


_LEVELS: dict[Resolution, Level] = {Resolution.HOUR: HOURS, Resolution.DAY: DAYS, Resolution.MONTH: MONTHS}


async def energy_summaries(
    conn: AsyncConnection,
    site_id: UUID,
    device_ids: Wanted,
    *,
    flow: Flow,
    resolution: Resolution,
    keys: Sequence[date],
) -> dict[UUID | None, list[Slot]]:
    """Energy (kWh) of one flow by hour, day or month.

    Args:
        conn: the transaction.
        site_id: the site.
        device_ids: devices; none = the site's own row.
        flow: which energy.
        resolution: hour, day or month.
        keys: each period as the table files it, in order: a moment, a day, or a month's first day.
    """
    level = _LEVELS[resolution]
    key = level.period[0] if len(level.period) == 1 else f"make_date({', '.join(level.period)}, 1)"
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT device_id, {key} AS key, energy_{flow.value}_kwh AS kwh FROM {level.table}
        WHERE site_id = $1 AND {_WHO[bool(device_ids)]} AND {key} >= $3 AND {key} <= $4
        """,  # noqa: S608 -- names of our own
        site_id,
        device_ids,
        keys[0],
        keys[-1],
    )
    places = {place: index for index, place in enumerate(keys)}
    found: dict[UUID | None, list[Slot]] = {}
    for device_id, at, kwh in records:
        if at in places:
            found.setdefault(device_id, []).append(Slot(places[at], kwh))
    return found


def _by_device(
    records: Iterable[tuple[UUID | None, int, float | None, float | None, float | None]],
) -> dict[UUID | None, list[Slot]]:
    """Slots from rows of device, slot counted from 1, value, lowest and highest."""
    found: dict[UUID | None, list[Slot]] = {}
    for device_id, slot, value, low, high in records:
        found.setdefault(device_id, []).append(Slot(slot - 1, value, low, high))
    return found


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
