"""Rows on their way to files and back."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from cloud.ingest.days.tables import MEASURED
from cloud.storage.rules import FileColumn, Kind, Span
from cloud.telemetry.tables import TelemetryHourlySummary, TelemetryQuarterHour

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_AS_TEXT = ("UUID", "JSONB", "VARCHAR", "DATE")
"""Types that travel as text; the others as they are."""

ROLLUPS: Mapping[Kind, tuple[str, str]] = {
    Kind.QUARTER_HOURS: ("telemetry_quarter_hour", "bucket"),
    Kind.HOURS: ("telemetry_hourly_summary", "timestamp_hour"),
}
"""Table and moment of what is archived by month."""


def _types_of(table: object) -> dict[str, str]:
    if not isinstance(table, Table):
        raise TypeError(f"{table!r} is no table")
    return {column.name: column.type.compile(dialect=_DIALECT) for column in table.columns}


_ROLLUP_TYPES = {
    Kind.QUARTER_HOURS: _types_of(TelemetryQuarterHour.__table__),
    Kind.HOURS: _types_of(TelemetryHourlySummary.__table__),
}
_MEASURED_TYPES = {name: kind.compile(dialect=_DIALECT) for name, kind in MEASURED.items()}
_RAW_TYPES = {
    "device_id": "UUID",
    "device_number": "INTEGER",
    "at": "TIMESTAMP WITH TIME ZONE",
    "received_at": "TIMESTAMP WITH TIME ZONE",
    "seq": "BIGINT",
    "quality": "SMALLINT",
    **_MEASURED_TYPES,
}


def _travels_as(kind: str) -> str:
    return "TEXT" if kind.startswith(_AS_TEXT) else kind


async def raw_columns(pg: asyncpg.Connection, span: Span) -> dict[str, FileColumn]:
    """All readings of a site's packed day, by device and time; columns that nothing is in are left out."""
    arrays = ", ".join(
        f"d.{name}{'::text[]' if _travels_as(kind) == 'TEXT' else ''}" for name, kind in _MEASURED_TYPES.items()
    )
    records = await pg.fetch(
        f"""
        SELECT v.id::text, d.device_number, d.readings, d.first_at, d.step_us, d.at_offset_us, d.first_received_at,
            d.received_offset_us, d.first_seq, d.seq_step, d.seq_offset, d.quality, {arrays}
        FROM telemetry_days AS d LEFT JOIN devices AS v ON v.site_id = d.site_id AND v.number = d.device_number
        WHERE d.site_id = $1 AND d.day = $2 ORDER BY d.device_number
        """,  # noqa: S608 -- our own column names
        span.site_id,
        span.first_day,
    )
    columns: dict[str, list[Any]] = {name: [] for name in _RAW_TYPES}
    for record in records:
        for name, values in _frame(record).items():
            columns[name].extend(values)
        for name, array in zip(_MEASURED_TYPES, record[-len(_MEASURED_TYPES) :], strict=True):
            columns[name].extend(array if array is not None else [None] * record["readings"])
    return {
        name: FileColumn(_RAW_TYPES[name], values)
        for name, values in columns.items()
        if name not in _MEASURED_TYPES or values.count(None) != len(values)
    }


def _frame(record: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """What every reading has, from a packed day's grid."""
    count = record["readings"]
    nothing = [0] * count
    at_offsets, seq_offsets = record["at_offset_us"] or nothing, record["seq_offset"] or nothing
    first_at, first_received = record["first_at"], record["first_received_at"]
    return {
        "device_id": [record["id"]] * count,
        "device_number": [record["device_number"]] * count,
        "at": [
            first_at + timedelta(microseconds=place * record["step_us"] + off) for place, off in enumerate(at_offsets)
        ],
        "received_at": [first_received + timedelta(microseconds=off) for off in record["received_offset_us"]],
        "seq": [record["first_seq"] + place * record["seq_step"] + off for place, off in enumerate(seq_offsets)],
        "quality": record["quality"] or nothing,
    }


async def drop_raw(pg: asyncpg.Connection, span: Span) -> int:
    """Delete a packed day; returns how many readings were in it."""
    gone = await pg.fetch(
        "DELETE FROM telemetry_days WHERE site_id = $1 AND day = $2 RETURNING readings", span.site_id, span.first_day
    )
    return sum(record["readings"] for record in gone)


async def rollup_columns(pg: asyncpg.Connection, span: Span) -> dict[str, FileColumn]:
    """A site's quarter-hours or hours of a month, all columns."""
    table, moment = ROLLUPS[span.kind]
    types = _ROLLUP_TYPES[span.kind]
    names = ", ".join(f"{name}::text" if _travels_as(kind) == "TEXT" else name for name, kind in types.items())
    records = await pg.fetch(
        f"SELECT {names} FROM {table} WHERE site_id = $1 AND {moment} >= $2 AND {moment} < $3"  # noqa: S608 -- our own names
        f" ORDER BY {moment}, device_id NULLS FIRST",
        span.site_id,
        span.start,
        span.end,
    )
    columns = list(zip(*records, strict=True)) or [()] * len(types)
    return {name: FileColumn(kind, values) for (name, kind), values in zip(types.items(), columns, strict=True)}


async def drop_rollup(pg: asyncpg.Connection, span: Span) -> int:
    """Delete a site's quarter-hours or hours of a month; returns how many there were."""
    table, moment = ROLLUPS[span.kind]
    gone: int = await pg.fetchval(
        f"""
        WITH gone AS (DELETE FROM {table} WHERE site_id = $1 AND {moment} >= $2 AND {moment} < $3 RETURNING 1)
        SELECT count(*) FROM gone
        """,  # noqa: S608 -- our own names
        span.site_id,
        span.start,
        span.end,
    )
    return gone


async def put_back_raw(pg: asyncpg.Connection, span: Span, columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """Make a file's readings rows again; where a late copy of one stands, the older one takes its place.

    Returns:
        Devices whose day has rows now.
    """
    numbers = await _numbers_now(pg, span, columns)
    written = [name for name in ("at", "received_at", "seq", "quality", *_MEASURED_TYPES) if name in columns]
    arrays = ", ".join(f"${place}::{_travels_as(_RAW_TYPES[name])}[]" for place, name in enumerate(written, start=3))
    values = [columns[name] for name in written]
    await pg.execute(
        """
        DELETE FROM telemetry_readings AS r USING unnest($2::integer[], $3::timestamptz[]) AS u (device_number, at)
        WHERE r.site_id = $1 AND r.device_number = u.device_number AND r.at = u.at
        """,
        span.site_id,
        numbers,
        columns["at"],
    )
    await pg.execute(
        f"""
        INSERT INTO telemetry_readings (site_id, device_number, {", ".join(written)})
        SELECT $1, u.device_number, {", ".join(f"u.{name}::{_RAW_TYPES[name]}" for name in written)}
        FROM unnest($2::integer[], {arrays}) AS u (device_number, {", ".join(written)})
        """,  # noqa: S608 -- our own column names
        span.site_id,
        numbers,
        *values,
    )
    return sorted(set(numbers))


async def _numbers_now(pg: asyncpg.Connection, span: Span, columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """The devices' short keys, which a database that was itself restored may have given anew."""
    records = await pg.fetch("SELECT id::text, number FROM devices WHERE site_id = $1", span.site_id)
    known = {record["id"]: record["number"] for record in records}
    return [
        known.get(device, number) for device, number in zip(columns["device_id"], columns["device_number"], strict=True)
    ]


async def put_back_rollup(pg: asyncpg.Connection, span: Span, columns: Mapping[str, Sequence[Any]]) -> None:
    """Insert a file's quarter-hours or hours; what has been computed since stays."""
    table, _ = ROLLUPS[span.kind]
    types = {name: kind for name, kind in _ROLLUP_TYPES[span.kind].items() if name in columns}
    arrays = ", ".join(f"${place}::{_travels_as(kind)}[]" for place, kind in enumerate(types.values(), start=1))
    await pg.execute(
        f"""
        INSERT INTO {table} ({", ".join(types)})
        SELECT {", ".join(f"u.{name}::{kind}" for name, kind in types.items())}
        FROM unnest({arrays}) AS u ({", ".join(types)}) ON CONFLICT DO NOTHING
        """,  # noqa: S608 -- our own names
        *(columns[name] for name in types),
    )
