"""Quarter-hours and summaries as they are stored. A row that would stay the same is not written again.

Rows travel by column (see `repository.arrays`): a level of a site's day is one statement with one text for each column.
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter, itemgetter
from types import GenericAlias
from typing import Any, get_type_hints
from uuid import UUID

import msgspec
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from cloud.core.db import Base, asyncpg_of
from cloud.telemetry.repository.arrays import array_literal, json_literal
from cloud.telemetry.rules.facts import ALGORITHM_VERSION, SiteFacts
from cloud.telemetry.rules.quarter import SUMMED, QuarterHour, Told
from cloud.telemetry.rules.summary import Summary
from cloud.telemetry.tables import (
    TelemetryDailySummary,
    TelemetryHourlySummary,
    TelemetryMonthlySummary,
    TelemetryQuarterHour,
)
from shared.periods import Window

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

Key = tuple[UUID | None, *tuple[Any, ...]]
"""Whose row of which period: the device (None = the whole site) and the period's columns."""


@dataclass(frozen=True, slots=True)
class Level:
    """One rollup table.

    Attributes:
        table: its name.
        period: the columns that say which period a row is of.
        numbers: the columns that the rules fill in.
        types: SQL type of each of these columns.
        has_zone: whether it says whose midnights bound the period.
        rows: what a row of it is to the rules.
    """

    table: str
    period: tuple[str, ...]
    numbers: tuple[str, ...]
    types: Mapping[str, str]
    has_zone: bool
    rows: type[QuarterHour | Summary]

    @classmethod
    def of(cls, model: type[Base], *period: str, rows: type[QuarterHour | Summary]) -> "Level":
        """From the table and the dataclass of its numbers."""
        columns = {column.name: column for column in model.__table__.columns}
        known = {field.name for field in dataclasses.fields(rows)}
        numbers = tuple(name for name in columns if name in known and name not in period)
        types = {name: _type_of(columns[name].type) for name in (*period, *numbers)}
        table = model.__table__
        return cls(
            table.name if isinstance(table, Table) else "",
            period,
            numbers,
            types,
            has_zone="timezone" in columns,
            rows=rows,
        )


def _type_of(kind: TypeEngine[Any]) -> str:
    return "jsonb" if isinstance(kind, JSONB) else kind.compile(dialect=_DIALECT)


QUARTER_HOURS = Level.of(TelemetryQuarterHour, "bucket", rows=QuarterHour)
HOURS = Level.of(TelemetryHourlySummary, "timestamp_hour", rows=Summary)
DAYS = Level.of(TelemetryDailySummary, "summary_date", rows=Summary)
MONTHS = Level.of(TelemetryMonthlySummary, "year", "month", rows=Summary)

_PARTITIONED = (QUARTER_HOURS, HOURS)
_APART = timedelta(days=2)


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
    conn: AsyncConnection,
    level: Level,
    rows: Sequence[tuple[Key, QuarterHour | Summary]],
    *,
    gone: Collection[Key],
    site: SiteFacts,
    computed_at: datetime,
) -> None:
    """Insert or replace rows of one level, and delete those that the readings no longer give.

    Args:
        conn: the transaction.
        level: which table.
        rows: whose and of which period, and the numbers.
        gone: rows to delete where they are.
        site: whose they are.
        computed_at: written where a number changed.
    """
    pg = await asyncpg_of(conn)
    for is_site in (False, True):
        told = [(key, row) for key, row in rows if (key[0] is None) is is_site]
        deleted = [key for key in gone if (key[0] is None) is is_site]
        for together in _close(deleted, level):
            ids = array_literal([key for key in {key[0] for key in together} if key is not None])
            keys = _literals(len(level.period) + 1, together)
            ends = str(together[0][1]), str(together[-1][1])
            await pg.execute(_DELETES[level.table, is_site], site.id, ids, *ends, *keys)
        if told:
            await pg.execute(
                _UPSERTS[level.table, is_site],
                site.id,
                site.organization_id,
                computed_at,
                *([site.zone.key] if level.has_zone else []),
                *_columns(level, told),
            )


def _close(keys: Collection[Key], level: Level) -> list[list[Key]]:
    """Keys in order of time, cut where much lies between them: all rows between the ends of a part are looked at."""
    parts: list[list[Key]] = []
    for key in sorted(keys, key=itemgetter(slice(1, None))):
        if parts and (level is MONTHS or key[1] - parts[-1][-1][1] <= _APART):
            parts[-1].append(key)
        else:
            parts.append([key])
    return parts


def _literals(width: int, keys: Iterable[Sequence[Any]]) -> list[str]:
    """A text for each column of keys."""
    columns = list(zip(*keys, strict=True))
    return [array_literal(column) for column in columns] if columns else ["{}"] * width


def _columns(level: Level, told: Sequence[tuple[Key, QuarterHour | Summary]]) -> list[str]:
    numbers = list(zip(*map(attrgetter(*level.numbers), (row for _, row in told)), strict=True))
    texts = [
        json_literal(column) if level.types[name] == "jsonb" else array_literal(column)
        for name, column in zip(level.numbers, numbers, strict=True)
    ]
    return [*_literals(len(level.period) + 1, (key for key, _ in told)), *texts]


def _delete(level: Level, *, is_site: bool) -> str:
    """Parameters: site, devices, first and last value of the period's first column, and keys by column.

    Devices and both ends are there so that only these rows are looked at, in these partitions.
    """
    keys = ("device_id", *level.period)
    types = {"device_id": "uuid"} | dict(level.types)
    gone = ", ".join(_array(f"${position}", types[name]) for position, name in enumerate(keys, start=5))
    compared = level.period if is_site else keys
    first, kind = level.period[0], types[level.period[0]]
    scope = "device_id IS NULL AND $2::text IS NOT NULL" if is_site else "device_id = ANY ($2::text::uuid[])"
    return f"""
        DELETE FROM {level.table}
        WHERE site_id = $1 AND {scope} AND {first} >= $3::text::{kind} AND {first} <= $4::text::{kind}
            AND ({", ".join(compared)}) IN (SELECT {", ".join(compared)} FROM unnest({gone}) AS gone ({", ".join(keys)}))
    """  # noqa: S608 -- columns of our own tables


def _upsert(level: Level, *, is_site: bool) -> str:
    """Parameters: site, organisation, moment, the zone where the level has one, then keys and numbers by column."""
    keys = ("device_id", *level.period)
    types = {"device_id": "uuid"} | dict(level.types)
    zone = {"timezone": "$4"} if level.has_zone else {}
    columns = (*keys, *level.numbers)
    told = ", ".join(_array(f"${position}", types[name]) for position, name in enumerate(columns, start=4 + len(zone)))
    numbers = (*level.numbers, *zone, "algorithm_version")
    stamps = ("computed_at",) if level is QUARTER_HOURS else ("computed_at", "updated_at")
    given = {"site_id": "$1", "organization_id": "$2", "algorithm_version": str(ALGORITHM_VERSION), **zone}
    given |= dict.fromkeys(stamps, "$3")
    inserted = ("site_id", "organization_id", *keys, *numbers, *stamps)
    before, after = (", ".join(f"{row}.{name}" for name in numbers) for row in ("stored", "excluded"))
    return f"""
        INSERT INTO {level.table} AS stored ({", ".join(inserted)})
        SELECT {", ".join(given.get(name, f"told.{name}") for name in inserted)}
        FROM unnest({told}) AS told ({", ".join(columns)})
        ON CONFLICT (site_id, {"" if is_site else "device_id, "}{", ".join(level.period)})
            WHERE device_id IS {"" if is_site else "NOT "}NULL
        DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in (*numbers, *stamps))}
        WHERE ({before}) IS DISTINCT FROM ({after})
    """  # noqa: S608 -- columns of our own tables; the rows travel as parameters


def _array(parameter: str, kind: str) -> str:
    if kind == "jsonb":
        return f"ARRAY(SELECT nullif(one, 'null') FROM jsonb_array_elements({parameter}::text::jsonb) AS one)"  # noqa: S608 -- $n
    return f"{parameter}::text::{kind}[]"


_LEVELS = [(level, is_site) for level in (QUARTER_HOURS, HOURS, DAYS, MONTHS) for is_site in (True, False)]
_UPSERTS = {(level.table, is_site): _upsert(level, is_site=is_site) for level, is_site in _LEVELS}
_DELETES = {(level.table, is_site): _delete(level, is_site=is_site) for level, is_site in _LEVELS}

_SITE_COLUMNS = tuple(name for name in QUARTER_HOURS.numbers if name != "metrics")
"""What the site's quarter-hours are made of: all but the metrics that only the device has."""


def _select(level: Level, names: Sequence[str], condition: str) -> str:
    """One row for each device, each column as JSON."""
    columns = ", ".join(f"json_agg({name})::text" for name in (*level.period, *names))
    return f"SELECT device_id, {columns} FROM {level.table} WHERE site_id = $1 AND {condition} GROUP BY device_id"  # noqa: S608 -- ours


_IN_WINDOWS = """device_id IS NOT NULL AND device_id <> ALL ($4::uuid[]) AND bucket >= $2 AND bucket < $3"""
_OF_DEVICES = "(device_id IS NULL OR device_id = ANY ($4::uuid[]))"
_DEVICE_QUARTERS = _select(QUARTER_HOURS, _SITE_COLUMNS, _IN_WINDOWS)
_QUARTERS = _select(QUARTER_HOURS, SUMMED[1:], f"bucket >= $2 AND bucket < $3 AND {_OF_DEVICES}")
_DAYS = _select(DAYS, DAYS.numbers, f"summary_date >= $2 AND summary_date <= $3 AND {_OF_DEVICES}")


def _decoders(level: Level) -> dict[str, msgspec.json.Decoder[Any]]:
    hints: dict[str, Any] = {"summary_date": date} | get_type_hints(level.rows)
    return {name: msgspec.json.Decoder(GenericAlias(list, (hints[name],))) for name in (*level.period, *level.numbers)}


_DECODERS = {level.table: _decoders(level) for level in (QUARTER_HOURS, DAYS)}


def _rows(level: Level, names: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """First column of the period and the named fields of each row, in order of the period."""
    decoders = _DECODERS[level.table]
    known = [decoders[name].decode(column) for name, column in zip((*level.period, *names), columns, strict=True)]
    for period, *numbers in sorted(zip(*known, strict=True), key=itemgetter(0)):
        yield period, dict(zip(names, numbers, strict=True))


async def device_quarters(
    conn: AsyncConnection, site_id: UUID, window: Window, *, without: Collection[UUID]
) -> dict[UUID, list[QuarterHour]]:
    """The quarter-hours of a window of all devices but some, without the metrics that only the device has."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(_DEVICE_QUARTERS, site_id, window.start, window.end, list(without))
    return {
        device_id: [QuarterHour(at, **told) for at, told in _rows(QUARTER_HOURS, _SITE_COLUMNS, columns)]
        for device_id, *columns in records
    }


async def quarters_of(
    conn: AsyncConnection, site_id: UUID, device_ids: Collection[UUID], window: Window
) -> dict[UUID | None, list[Told]]:
    """Quarter-hours of the site (key None) and of some of its devices, in no order, as summaries are made of them."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(_QUARTERS, site_id, window.start, window.end, list(device_ids))
    decoders = [_DECODERS[QUARTER_HOURS.table][name] for name in SUMMED]
    return {
        device_id: list(
            zip(*(decoder.decode(told) for decoder, told in zip(decoders, columns, strict=True)), strict=True)
        )
        for device_id, *columns in records
    }


async def days_of(
    conn: AsyncConnection, site_id: UUID, device_ids: Collection[UUID], *, first: date, last: date
) -> dict[UUID | None, dict[date, Summary]]:
    """Day rows of the site (key None) and of some of its devices, in order."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(_DAYS, site_id, first, last, list(device_ids))
    return {
        device_id: {day: Summary(**told) for day, told in _rows(DAYS, DAYS.numbers, columns)}
        for device_id, *columns in records
    }
