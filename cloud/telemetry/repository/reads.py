"""Answers: series, days and what flows now. Each statement says whether it wants the site's row or a device's.

Series come as one row of arrays for each line: a point then costs a tenth of what a row of its own would.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import itemgetter
from typing import Any, cast
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.ingest.days.repository import readings
from cloud.ingest.rules import COUNTER_COLUMNS, RAW_COLUMNS, TEXT_COLUMNS
from cloud.telemetry.repository.arrays import moments_of
from cloud.telemetry.repository.rollups import DAYS, HOURS, MONTHS, Level
from cloud.telemetry.rules.channels import Stretch
from cloud.telemetry.rules.facts import Flow
from cloud.telemetry.rules.series import GaugeColumns, Resolution
from shared.enums import DeviceType
from shared.periods import Window
from shared.readings import Value


@dataclass(frozen=True, slots=True)
class AskedDevice:
    """What a question needs to know of a device: the key of its raw readings, and the seconds between two of them."""

    id: UUID
    number: int
    poll_interval_s: float


@dataclass(frozen=True, slots=True)
class RawColumns:
    """Stored values of one device, oldest first."""

    moments: Sequence[datetime]
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Slots:
    """What is known of one line's periods, in columns of equal length.

    Attributes:
        places: which periods, counted from 0, in no order; periods without a value need not be among them.
        values: energy, or mean.
        lows: lowest value of a gauge, where it is kept.
        highs: highest value.
    """

    places: Sequence[int]
    values: Sequence[float | None]
    lows: Sequence[float | None]
    highs: Sequence[float | None]


Wanted = Sequence[UUID]
"""Devices whose rows are wanted; none = the site's own row."""

_WHO = {True: "device_id = ANY ($2::uuid[])", False: "device_id IS NULL AND cardinality($2::uuid[]) = 0"}
"""With and without devices; spelled apart so that each finds its partial index."""


async def asked_devices(conn: AsyncConnection, site_id: UUID, device_ids: Wanted) -> list[AskedDevice]:
    """Those of the devices that the site has."""
    pg = await asyncpg_of(conn)
    statement = "SELECT id, number, poll_interval_s FROM devices WHERE site_id = $1 AND id = ANY ($2::uuid[])"
    return [AskedDevice(*record) for record in await pg.fetch(statement, site_id, device_ids)]


async def raw_points(
    conn: AsyncConnection, site_id: UUID, devices: Iterable[AskedDevice], *, metric: str, window: Window, limit: int
) -> dict[UUID | None, RawColumns]:
    """Stored values of one metric by device; at most `limit` in all."""
    ids = {device.number: device.id for device in devices}
    pg = await asyncpg_of(conn)
    column = RAW_COLUMNS.get(metric)
    value, has_it = (_plain(column), "$6::text IS NOT NULL") if column is not None else (_EXTRA_NUMBER, "extra ? $6")
    word = "NULL::text" if column is not None else "CASE jsonb_typeof(extra -> $6) WHEN 'string' THEN extra ->> $6 END"
    relation = _relation("device_number", "at", column or "extra", first="$3", last="$4")
    records = await pg.fetch(
        f"""
        SELECT device_number, array_agg(at), array_agg(value), array_agg(word), bool_or(word IS NOT NULL) FROM (
            SELECT device_number, at, {value} AS value, {word} AS word FROM ({relation}) AS stored
            WHERE {has_it} ORDER BY device_number, at LIMIT $5
        ) AS reading GROUP BY device_number
        """,  # noqa: S608 -- a column of our own
        site_id,
        list(ids),
        window.start,
        window.end,
        limit,
        metric,
    )
    return {
        ids[number]: RawColumns(moments, _either(values, words) if has_words else values)
        for number, moments, values, words, has_words in records
    }


def _relation(*columns: str, first: str, last: str) -> str:
    """Readings of the devices `$2`, as rows or packed, from one parameter up to the other."""
    moments = f"{first}::timestamptz", f"{last}::timestamptz"
    return readings(columns, device="= ANY ($2::integer[])", first=moments[0], last=moments[1], is_open_ended=True)


def _either(values: Iterable[Value], words: Iterable[str | None]) -> list[Value]:
    return [word if value is None else value for value, word in zip(values, words, strict=True)]


def _plain(expression: str) -> str:
    """A raw value, or an extreme of it, as it is shown; a gauge by way of text, which is its shortest decimal."""
    is_double = expression in COUNTER_COLUMNS or expression in TEXT_COLUMNS
    return expression if is_double else f"{expression}::text::double precision"


_EXTRA_NUMBER = "CASE jsonb_typeof(extra -> $6) WHEN 'number' THEN (extra ->> $6)::double precision END"


async def channel_stretches(
    conn: AsyncConnection, site_id: UUID, devices: Iterable[AskedDevice], *, metric: str, window: Window
) -> dict[UUID, list[Stretch]]:
    """A channel's readings of every UTC day that a window touches, by device.

    A packed day comes as the arrays that it is: unfolding forty thousand readings in the database takes ten times as long as reading
    them here.
    """
    ids = {device.number: device.id for device in devices}
    column = RAW_COLUMNS.get(metric)
    pg = await asyncpg_of(conn)
    asked = site_id, list(ids), window.start, window.end, metric
    if column is not None:
        statement = _STRETCHES.format(rows="json_agg(value)", value=column, days=f"to_json(d.{column})", array=column)
        return _by_device(await pg.fetch(statement, *asked), ids)
    try:
        return _by_device(await pg.fetch(_EXTRA_STRETCHES, *asked), ids)
    except msgspec.DecodeError:  # a word among the numbers, which is told apart at twice the price
        return _by_device(await pg.fetch(_MIXED_STRETCHES, *asked), ids)


_STRETCHES = """
SELECT d.device_number, d.readings, ({days})::text, d.quality, NULL::bytea, (extract(epoch FROM d.first_at) * 1000000)::bigint, d.step_us,
    d.at_offset_us
FROM telemetry_days AS d
WHERE d.site_id = $1 AND d.device_number = ANY ($2::integer[]) AND d.day >= ($3::timestamptz AT TIME ZONE 'UTC')::date
    AND d.day <= ($4::timestamptz AT TIME ZONE 'UTC')::date AND d.{array} IS NOT NULL AND $5::text IS NOT NULL
UNION ALL
SELECT device_number, count(*)::integer, ({rows})::text, CASE WHEN bool_or(quality <> 0) THEN array_agg(quality) END,
    array_send(array_agg(at)), NULL, NULL, NULL
FROM (
    SELECT device_number, at, quality, {value} AS value FROM telemetry_readings
    WHERE site_id = $1 AND device_number = ANY ($2::integer[]) AND at >= $3 AND at < $4 ORDER BY device_number, at
) AS reading GROUP BY device_number
"""
_JOINED = "'[' || string_agg(coalesce({}, 'null'), ',') || ']'"
_EXTRA_STRETCHES, _MIXED_STRETCHES = (
    _STRETCHES.format(
        rows=_JOINED.format("value"),
        value=value.format("extra"),
        days=f"SELECT {_JOINED.format(value.format('one'))} FROM (SELECT unnest(d.extra) AS one) AS each",  # noqa: S608 -- expressions of our own
        array="extra",
    )
    for value in ("{} ->> $5", "({} -> $5)::text")
)

_floats = msgspec.json.Decoder(list[float | None])


def _by_device(records: Iterable[asyncpg.Record], ids: Mapping[int, UUID]) -> dict[UUID, list[Stretch]]:
    found: dict[UUID, list[Stretch]] = {}
    for number, count, values, quality, moments, *grid in records:
        numbers = _numbers(values)
        if len(numbers) != count:
            raise msgspec.DecodeError("a word looks like several numbers")
        places = moments_of(moments) if moments is not None else _grid_moments(len(numbers), *grid)
        found.setdefault(ids[number], []).append(Stretch(places, numbers, quality))
    return found


def _numbers(column: str) -> list[float | None]:
    """Numbers of a JSON array; a word among them is none."""
    try:
        return _floats.decode(column)
    except msgspec.ValidationError:
        return [value if type(value) in {int, float} else None for value in msgspec.json.decode(column)]


def _grid_moments(count: int, first_us: int, step_us: int, offsets_us: Sequence[int] | None) -> Sequence[int]:
    """Moments of a packed day: an even grid, and how far each reading is from its place on it."""
    grid = range(first_us, first_us + count * step_us, step_us) if count > 1 else [first_us]
    return grid if offsets_us is None else [at + offset for at, offset in zip(grid, offsets_us, strict=True)]


async def gauge_slots(
    conn: AsyncConnection, site_id: UUID, device_ids: Wanted, *, columns: GaugeColumns, edges: Sequence[datetime]
) -> dict[UUID | None, Slots]:
    """Mean, minimum and maximum of a gauge in each period between edges; periods without a value are left out."""
    key = columns.key or ""
    mean, low, high = columns.mean or "NULL", columns.low or "NULL", columns.high or "NULL"
    if columns.key is not None:
        mean, low, high = (f"(metrics -> $5 ->> '{part}')" for part in ("mean", "min", "max"))
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT device_id, array_agg(slot - 1), array_agg(mean), array_agg(low), array_agg(high) FROM (
            SELECT device_id, slot, sum(mean * weight) / sum(weight) AS mean, min(low) AS low, max(high) AS high FROM (
                SELECT device_id, width_bucket(bucket, $3::timestamptz[]) AS slot,
                    greatest(covered_seconds, irradiation_covered_seconds, 1) AS weight, {mean}::double precision AS mean,
                    {low}::double precision AS low, {high}::double precision AS high
                FROM telemetry_quarter_hour
                WHERE site_id = $1 AND {_WHO[bool(device_ids)]} AND bucket >= $4 AND bucket < $6 AND $5::text IS NOT NULL
            ) AS quarter WHERE mean IS NOT NULL GROUP BY device_id, slot
        ) AS period GROUP BY device_id
        """,  # noqa: S608 -- columns of our own
        site_id,
        device_ids,
        list(edges),
        edges[0],
        key,
        edges[-1],
    )
    return {device_id: Slots(*columns) for device_id, *columns in records}


async def energy_quarters(
    conn: AsyncConnection, site_id: UUID, device_ids: Wanted, *, flow: Flow, edges: Sequence[datetime]
) -> dict[UUID | None, Slots]:
    """Energy (kWh) of one flow in each quarter-hour."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT device_id, array_agg((extract(epoch FROM bucket - $3)::integer) / {_QUARTER_HOUR_S}),
            array_agg({flow.value}_wh / 1000.0::double precision)
        FROM telemetry_quarter_hour
        WHERE site_id = $1 AND {_WHO[bool(device_ids)]} AND bucket >= $3 AND bucket < $4 GROUP BY device_id
        """,  # noqa: S608 -- a column of our own
        site_id,
        device_ids,
        edges[0],
        edges[-1],
    )
    return {device_id: _energies(places, kwh) for device_id, places, kwh in records}


_QUARTER_HOUR_S = 900


def _energies(places: Sequence[int], kwh: Sequence[float | None]) -> Slots:
    nothing = [None] * len(places)
    return Slots(places, kwh, nothing, nothing)


_LEVELS: dict[Resolution, Level] = {Resolution.HOUR: HOURS, Resolution.DAY: DAYS, Resolution.MONTH: MONTHS}


async def energy_summaries(
    conn: AsyncConnection,
    site_id: UUID,
    device_ids: Wanted,
    *,
    flow: Flow,
    resolution: Resolution,
    keys: Sequence[date],
) -> dict[UUID | None, Slots]:
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
    # Moments travel and are looked up as seconds: as what they are, both take ten times as long.
    is_hour = resolution is Resolution.HOUR
    told = f"extract(epoch FROM {key})::bigint" if is_hour else key
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT device_id, array_agg({told}), array_agg(energy_{flow.value}_kwh) FROM {level.table}
        WHERE site_id = $1 AND {_WHO[bool(device_ids)]} AND {key} >= $3 AND {key} <= $4 GROUP BY device_id
        """,  # noqa: S608 -- names of our own
        site_id,
        device_ids,
        keys[0],
        keys[-1],
    )
    wanted: Sequence[object] = (
        [int(moment.timestamp()) for moment in cast("Sequence[datetime]", keys)] if is_hour else keys
    )
    found: dict[UUID | None, Slots] = {}
    for device_id, periods, kwh in records:
        known = dict(zip(periods, kwh, strict=True))
        found[device_id] = _energies(range(len(keys)), [known.get(key) for key in wanted])
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


async def newest_values(conn: AsyncConnection, site_id: UUID) -> list[asyncpg.Record]:
    """The newest values of each device, by type and name; `asked_at` is when that was, `received_at` when they came in."""
    pg = await asyncpg_of(conn)
    records: list[asyncpg.Record] = await pg.fetch(NEWEST, site_id)
    # Here and not in the database, which takes longer for it.
    return sorted(records, key=_by_type_and_name)


def columns_of(records: Sequence[asyncpg.Record], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """These columns of each record: by their places, since a name would be looked up anew in every record."""
    places = list(records[0].keys()) if records else list(names)
    return map(itemgetter(*map(places.index, names)), records)


_TYPES = {kind.value: place for place, kind in enumerate(DeviceType)}


def _by_type_and_name(record: asyncpg.Record) -> tuple[int, str, str]:
    device_id, name, device_type = record[:3]
    return _TYPES[device_type], name, device_id


# Identifiers and types as text: they go into an answer as they are.
NEWEST = """
SELECT s.device_id::text AS device_id, d.name, d.device_type::text AS device_type, s.timestamp AS at,
    greatest(0, extract(epoch FROM now() - s.timestamp))::double precision AS age_s,
    s.timestamp < now() - make_interval(secs => 3 * d.poll_interval_s) AS is_stale,
    s.current_power_kw AS power_kw, s.battery_soc_percent, s.operating_state, s.quality,
    s.pv_power_kw, s.grid_power_kw, s.battery_power_kw, s.load_power_kw, s.energy_today_kwh, s.received_at, now() AS asked_at
FROM device_telemetry_snapshot s JOIN devices d ON d.site_id = s.site_id AND d.id = s.device_id
WHERE s.site_id = $1
"""
