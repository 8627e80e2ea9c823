"""Packing closed days, opening them again, and reading rows and packed days as one relation.

Who packs, archives or restores a site's day holds its advisory lock alone; ingest, bringing readings for a day that may be packed, shares
it. So a day is seen as rows or as arrays, whole, and never as both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import asyncpg
from sqlalchemy.dialects import postgresql

from cloud.ingest.days.tables import MEASURED
from shared.counters import moment_of, unix_us
from shared.errors import SolarHubError

LATE = timedelta(days=1)
"""Readings of a day that ended longer ago are late: ingest calls `reopen_days` for them. Younger days are never packed."""

_DAY_US = 86_400_000_000
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_TYPES = {name: kind.compile(dialect=_DIALECT) for name, kind in MEASURED.items()}
_OFFSETS = ("received_offset_us", "at_offset_us", "seq_offset")
_LOCK_KEY = "hashtextextended('telemetry day ' || $1::uuid::text || ' ' || day::text, 0)"


class PackingError(SolarHubError):
    """A day could not be packed or opened without losing or doubling a reading; nothing was changed."""


@dataclass(frozen=True, slots=True)
class DeviceDay:
    """Readings of one device in one UTC day."""

    site_id: UUID
    organization_id: UUID
    device_number: int
    day: date


def day_start(day: date) -> datetime:
    """Midnight UTC at which a day begins."""
    return datetime.combine(day, time(), tzinfo=UTC)


def has_late(moments_us: Sequence[int], *, now: datetime) -> bool:
    """Whether some of these readings (microseconds of Unix time) are late: of days that may be packed."""
    return bool(moments_us) and min(moments_us) // _DAY_US < unix_us(now - LATE) // _DAY_US


def late_days(moments_us: Sequence[int], *, now: datetime) -> set[date]:
    """Days of late readings, which may be packed: what `reopen_days` is to be asked about.

    Args:
        moments_us: of the readings, in microseconds of Unix time.
        now: the cloud's time.
    """
    if not has_late(moments_us, now=now):  # as it nearly always is
        return set()
    never_packed = unix_us(now - LATE) // _DAY_US
    days = {at_us // _DAY_US for at_us in moments_us}
    return {moment_of(day * _DAY_US).date() for day in days if day < never_packed}


def _unfolded(columns: Iterable[str]) -> str:
    """FROM clause: packed days `d` with a row `u` for each reading; only the arrays that are asked for are looked at."""
    names = (*_OFFSETS, *columns)
    arrays, aliases = ", ".join(f"d.{name}" for name in names), ", ".join((*names, "place"))
    return f"telemetry_days AS d CROSS JOIN LATERAL unnest({arrays}) WITH ORDINALITY AS u ({aliases})"


_AT = "d.first_at + ((u.place - 1) * d.step_us + coalesce(u.at_offset_us, 0)) * interval '1 microsecond'"
_FRAME = {
    "site_id": "d.site_id",
    "device_number": "d.device_number",
    "at": _AT,
    "received_at": "d.first_received_at + u.received_offset_us * interval '1 microsecond'",
    "seq": "d.first_seq + (u.place - 1) * d.seq_step + coalesce(u.seq_offset, 0)",
    "quality": "coalesce(u.quality, 0)::smallint",
}


def _selected(columns: Sequence[str]) -> str:
    return ", ".join(f"{_FRAME[name]} AS {name}" if name in _FRAME else f"u.{name}" for name in columns)


def readings(columns: Sequence[str], *, device: str, first: str, last: str, is_open_ended: bool = False) -> str:
    """A relation of the readings of site `$1`, whether they are rows or packed: put it in parentheses behind FROM.

    Args:
        columns: columns of `telemetry_readings`, names of our own; the fewer, the faster packed days are read.
        device: what `device_number` must be, as in `= $2` or `= ANY ($2::integer[])`.
        first: first moment, a parameter of type timestamptz such as `$3::timestamptz`.
        last: last moment, likewise.
        is_open_ended: whether `last` itself is left out.
    """
    until = "<" if is_open_ended else "<="
    arrays = [name for name in columns if name not in _FRAME or name == "quality"]
    return f"""
        SELECT {", ".join(columns)} FROM telemetry_readings
        WHERE site_id = $1 AND device_number {device} AND at >= {first} AND at {until} {last}
        UNION ALL
        SELECT {", ".join(columns)} FROM (
            SELECT {_selected([*columns, *(("at",) if "at" not in columns else ())])} FROM {_unfolded(arrays)}
            WHERE d.site_id = $1 AND d.device_number {device}
                AND d.day >= ({first} AT TIME ZONE 'UTC')::date AND d.day <= ({last} AT TIME ZONE 'UTC')::date
        ) AS packed WHERE at >= {first} AND at {until} {last}
    """  # noqa: S608 -- our own column names


def nearest(
    condition: str,
    columns: Sequence[str],
    *,
    device: str,
    first: str,
    last: str,
    until: str,
    count: str,
    is_newest: bool,
) -> str:
    """A statement that gives one row: moments of the first or last readings of site `$1` that fulfil a condition, and what is in the way.

    Packed days are looked into one after the other, and only as far as rows leave something to find. The second column is the nearest
    day that would have to be looked into and is only in the archive; NULL if there is none.

    Args:
        condition: on `quality` and the columns.
        columns: columns of `telemetry_readings` that the condition needs.
        device: what `device_number` must be, as in `= $2`.
        first: first moment, a parameter of type timestamptz.
        last: last moment, likewise.
        until: `<=`, or `<` to leave `last` itself out.
        count: how many, a parameter.
        is_newest: the last ones, newest first; otherwise the first ones, oldest first.
    """
    order, end, further = ("DESC", "min", "<") if is_newest else ("ASC", "max", ">")
    low, high = ("furthest.at", last) if is_newest else (first, "furthest.at")
    nearest_end, furthest_end = (last, first) if is_newest else (first, last)
    between = f"at >= {first} AND at {until} {last}"
    return f"""
        WITH RECURSIVE as_rows AS MATERIALIZED (
            SELECT at FROM telemetry_readings WHERE site_id = $1 AND device_number {device} AND {between} AND {condition}
            ORDER BY at {order} LIMIT {count}
        ), furthest_row AS MATERIALIZED (
            SELECT CASE WHEN count(*) = {count} THEN {end}(at) ELSE {furthest_end} END AS at FROM as_rows
        ), walked (day, moments, missing) AS (
            SELECT ({nearest_end} AT TIME ZONE 'UTC')::date {"+" if is_newest else "-"} 1, array[]::timestamptz[], {count}
            UNION ALL
            SELECT d.day, told.moments, walked.missing - cardinality(told.moments)
            FROM walked CROSS JOIN furthest_row AS furthest CROSS JOIN LATERAL (
                SELECT * FROM telemetry_days
                WHERE site_id = $1 AND device_number {device} AND day {further} walked.day
                    AND day >= ({low} AT TIME ZONE 'UTC')::date AND day <= ({high} AT TIME ZONE 'UTC')::date
                ORDER BY day {order} LIMIT 1
            ) AS d CROSS JOIN LATERAL (
                SELECT array(
                    SELECT at FROM ({_one_day(columns)}) AS one WHERE {between} AND {condition} ORDER BY at {order} LIMIT {count}
                ) AS moments
            ) AS told WHERE walked.missing > 0
        ), found AS MATERIALIZED (
            SELECT at FROM (SELECT at FROM as_rows UNION ALL SELECT unnest(moments) FROM walked) AS both_forms
            ORDER BY at {order} LIMIT {count}
        ), furthest AS (
            SELECT CASE WHEN count(*) = {count} THEN {end}(at) ELSE {furthest_end} END AS at FROM found
        )
        SELECT array(SELECT at FROM found ORDER BY at {order}), (
            SELECT {"max" if is_newest else "min"}(first_day) FROM telemetry_archives, furthest
            WHERE site_id = $1 AND kind = 'raw' AND is_away
                AND first_day >= ({low} AT TIME ZONE 'UTC')::date AND first_day <= ({high} AT TIME ZONE 'UTC')::date
        )
    """  # noqa: S608 -- our own column names


def _one_day(columns: Sequence[str]) -> str:
    """Moments, quality and some columns of a packed day `d`."""
    names = (*_OFFSETS, "quality", *columns)
    return f"""
        SELECT {_AT} AS at, coalesce(u.quality, 0) AS quality, {", ".join(f"u.{name}" for name in columns)}
        FROM unnest({", ".join(f"d.{name}" for name in names)}) WITH ORDINALITY AS u ({", ".join((*names, "place"))})
    """  # noqa: S608 -- our own column names


_COLUMNS = ("site_id", "device_number", "at", "received_at", "seq", "quality", *MEASURED)

_PACK = f"""
WITH placed AS (
    SELECT r.*, row_number() OVER w - 1 AS place, (extract(epoch FROM at - $4::timestamptz) * 1000000)::bigint AS at_us,
        (extract(epoch FROM received_at - $4::timestamptz) * 1000000)::bigint AS received_us,
        seq - lag(seq) OVER w AS seq_difference, at - lag(at) OVER w AS difference
    FROM telemetry_readings AS r
    WHERE site_id = $1 AND device_number = $2 AND at >= $4 AND at < $4 + interval '1 day'
    WINDOW w AS (ORDER BY at)
), grid AS MATERIALIZED (
    SELECT min(at_us) AS at_us, min(received_us) AS received_us, (min(array[at_us, seq]))[2] AS seq,
        -- An agent counts by one; numbers from nowhere get no grid rather than one that runs out of bigint.
        CASE WHEN max(seq) - min(seq) <= 1000000000000000 AND abs(mode() WITHIN GROUP (ORDER BY seq_difference)) <= 1000000000
            THEN mode() WITHIN GROUP (ORDER BY seq_difference) ELSE 0 END AS seq_step,
        coalesce((extract(epoch FROM mode() WITHIN GROUP (ORDER BY difference)) * 1000000)::bigint, 0) AS step_us
    FROM placed
), ordered AS (
    SELECT placed.*, grid.step_us, grid.seq_step, placed.at_us - grid.at_us - place * grid.step_us AS at_offset_us,
        placed.received_us - grid.received_us AS received_offset_us,
        placed.seq - grid.seq - place * grid.seq_step AS seq_offset, grid.seq AS first_seq
    FROM placed CROSS JOIN grid ORDER BY place
)
INSERT INTO telemetry_days (
    site_id, device_number, day, organization_id, packed_at, readings, first_at, step_us, at_offset_us, first_received_at,
    received_offset_us, first_seq, seq_step, seq_offset, quality, {", ".join(MEASURED)}
)
SELECT $1, $2, $3, $5, $6, count(*), min(at), min(step_us),
    CASE WHEN bool_or(at_offset_us <> 0) THEN array_agg(at_offset_us) END, min(received_at), array_agg(received_offset_us),
    min(first_seq), min(seq_step), CASE WHEN bool_or(seq_offset <> 0) THEN array_agg(seq_offset) END,
    CASE WHEN bool_or(quality <> 0) THEN array_agg(quality::smallint) END,
    {", ".join(f"CASE WHEN count({name}) > 0 THEN array_agg({name}) END" for name in MEASURED)}
FROM ordered HAVING count(*) > 0
RETURNING readings
"""  # noqa: S608 -- our own column names

_UNPACK = f"""
INSERT INTO telemetry_readings ({", ".join(_COLUMNS)})
SELECT {_selected(_COLUMNS)} FROM {_unfolded(("quality", *MEASURED))}
WHERE d.site_id = $1 AND d.device_number = $2 AND d.day = $3
ON CONFLICT DO NOTHING
"""  # noqa: S608 -- our own column names


async def lock_day(pg: asyncpg.Connection, site_id: UUID, day: date) -> None:
    """Be the only one to change the form of a site's day until the transaction ends."""
    await pg.execute(f"SELECT pg_advisory_xact_lock({_LOCK_KEY}) FROM (SELECT $2::date AS day) AS one", site_id, day)  # noqa: S608


async def reopen_days(
    pg: asyncpg.Connection, site_id: UUID, days: Iterable[date], *, device_numbers: Sequence[int] | None = None
) -> int:
    """Turn packed days back into rows, before readings are added to them; until the transaction ends nobody packs these days.

    Call it for days that ended more than `LATE` ago. It is one look at two indexes where nothing is packed.

    Args:
        pg: a transaction that sees the site.
        site_id: the site.
        days: UTC days of the readings that are about to be written.
        device_numbers: of the devices that these belong to; None = all.

    Returns:
        Device-days that were opened.
    """
    ordered = sorted(set(days))
    if not ordered:
        return 0
    await pg.execute(
        f"SELECT pg_advisory_xact_lock_shared({_LOCK_KEY}) FROM unnest($2::date[]) AS day",  # noqa: S608 -- a constant
        site_id,
        ordered,
    )
    return await _open(pg, site_id, ordered, device_numbers)


async def open_day(pg: asyncpg.Connection, site_id: UUID, day: date) -> int:
    """Turn a packed day back into rows; `lock_day` comes first.

    Returns:
        Device-days that were opened.
    """
    return await _open(pg, site_id, [day], None)


async def _open(
    pg: asyncpg.Connection, site_id: UUID, days: Sequence[date], device_numbers: Sequence[int] | None
) -> int:
    packed = await pg.fetch(
        """
        SELECT device_number, day, readings FROM telemetry_days
        WHERE site_id = $1 AND day = ANY ($2::date[]) AND ($3::integer[] IS NULL OR device_number = ANY ($3))
        ORDER BY device_number, day FOR UPDATE
        """,
        site_id,
        days,
        device_numbers,
    )
    for device_number, day, _ in packed:
        await _unpack(pg, site_id, device_number, day)
    return len(packed)


async def _unpack(pg: asyncpg.Connection, site_id: UUID, device_number: int, day: date) -> None:
    await pg.execute(_UNPACK, site_id, device_number, day)
    await pg.execute(
        "DELETE FROM telemetry_days WHERE site_id = $1 AND device_number = $2 AND day = $3", site_id, device_number, day
    )


async def days_to_pack(pg: asyncpg.Connection, *, before: date, limit: int) -> list[DeviceDay]:
    """For each device the oldest day that still is rows and lies before a day; oldest first."""
    records = await pg.fetch(
        """
        SELECT site_id, organization_id, number, (oldest AT TIME ZONE 'UTC')::date AS day FROM (
            SELECT d.site_id, d.organization_id, d.number, (
                SELECT min(r.at) FROM telemetry_readings AS r
                WHERE r.site_id = d.site_id AND r.device_number = d.number AND r.at < $1
            ) AS oldest FROM devices AS d
        ) AS device WHERE oldest IS NOT NULL ORDER BY day, site_id, number LIMIT $2
        """,
        day_start(before),
        limit,
    )
    return [DeviceDay(*record) for record in records]


async def pack_day(pg: asyncpg.Connection, which: DeviceDay, *, now: datetime) -> int:
    """Pack one device's day, in a transaction of its own; `lock_day` comes first.

    A day that is packed already is opened before, so what came since goes in with it; where nothing came, nothing is done.

    Returns:
        Readings packed.

    Raises:
        PackingError: if a row came or went meanwhile; the transaction must roll back.
    """
    start = day_start(which.day)
    has_rows = await pg.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM telemetry_readings WHERE site_id = $1 AND device_number = $2 AND at >= $3 AND at < $4
        )
        """,
        which.site_id,
        which.device_number,
        start,
        start + timedelta(days=1),
    )
    if not has_rows:
        return 0
    await _unpack(pg, which.site_id, which.device_number, which.day)
    packed = await pg.fetchval(_PACK, which.site_id, which.device_number, which.day, start, which.organization_id, now)
    removed = await pg.fetchval(
        """
        WITH gone AS (
            DELETE FROM telemetry_readings WHERE site_id = $1 AND device_number = $2 AND at >= $3 AND at < $4 RETURNING 1
        ) SELECT count(*) FROM gone
        """,
        which.site_id,
        which.device_number,
        start,
        start + timedelta(days=1),
    )
    if removed != (packed or 0):
        raise PackingError(
            f"device {which.device_number} of site {which.site_id}: {packed} readings of {which.day} were packed, but {removed} were"
            " there to be removed; somebody writes late readings without `reopen_days`: it will be tried again"
        )
    return int(packed or 0)
