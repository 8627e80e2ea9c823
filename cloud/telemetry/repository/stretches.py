"""Stretches of raw readings, many devices and hours in one statement.

The short way to what a roll-up needs; `repository.raw` is the long one, which looks as far as it has to, one device at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Float
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.ingest.days.repository import readings
from cloud.ingest.tables import TelemetryReading
from cloud.telemetry.repository.arrays import floats_of, moments_of
from cloud.telemetry.rules.context import REACH, Asked, Stretch, Timeline
from cloud.telemetry.rules.quarter import PLANE_OF_ARRAY
from shared.counters import unix_us

NUMERIC_COLUMNS = tuple(column.name for column in TelemetryReading.__table__.columns if isinstance(column.type, Float))
"""Columns of the raw table that hold numbers."""

_REACH_US = REACH // timedelta(microseconds=1)
_KEYS = (*NUMERIC_COLUMNS, PLANE_OF_ARRAY)
_integers = msgspec.json.Decoder(list[int])


_RELATION = readings(
    ("at", "quality", *NUMERIC_COLUMNS, "extra"), device="= device.number", first="asked.first", last="asked.last"
)
_PLANE = f"""CASE jsonb_typeof(extra -> '{PLANE_OF_ARRAY}') WHEN 'number'
    THEN (extra ->> '{PLANE_OF_ARRAY}')::double precision END"""


def _exists(rows: str, days: str) -> str:
    """Whether a device has readings in some time, or may have: of a packed day this is not looked at more closely."""
    return f"""(
        EXISTS (SELECT FROM telemetry_readings WHERE site_id = $1 AND device_number = device.number AND {rows})
        OR EXISTS (SELECT FROM telemetry_days WHERE site_id = $1 AND device_number = device.number AND {days})
    )"""  # noqa: S608 -- conditions of our own


_UTC_DAY = "({} AT TIME ZONE 'UTC')::date"
_FIRST_DAY, _LAST_DAY = _UTC_DAY.format("asked.first"), _UTC_DAY.format("asked.last")
_OLDEST_DAY, _NEWEST_DAY = (
    _UTC_DAY.format("(asked.first - $5::interval)"),
    _UTC_DAY.format("(asked.last + $5::interval)"),
)
_EARLIER = _exists(
    "at < asked.first AND at >= asked.first - $5::interval", f"day <= {_FIRST_DAY} AND day >= {_OLDEST_DAY}"
)
_LATER = _exists("at > asked.last AND at <= asked.last + $5::interval", f"day >= {_LAST_DAY} AND day <= {_NEWEST_DAY}")

# The rows come in order as a rule, since the index and the partitions have it; sorting them once more would cost as much as reading them.
_STRETCHES = f"""
SELECT asked.place, {_EARLIER} AS has_earlier, {_LATER} AS has_later, EXISTS (
    SELECT FROM telemetry_archives WHERE site_id = $1 AND is_away
        AND first_day <= {_NEWEST_DAY} AND last_day >= {_OLDEST_DAY}
) AS is_away, told.*
FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) WITH ORDINALITY AS asked (device_id, first, last, place)
JOIN devices AS device ON device.site_id = $1 AND device.id = asked.device_id
CROSS JOIN LATERAL (
    SELECT array_send(array_agg(at)) AS moments, CASE WHEN bool_or(quality <> 0) THEN json_agg(quality)::text END AS quality,
        {", ".join(f"json_agg({name})::text AS {name}" for name in NUMERIC_COLUMNS)},
        CASE WHEN count(extra) > 0 THEN json_agg({_PLANE})::text END AS plane_of_array
    FROM ({_RELATION}) AS reading
) AS told
"""  # noqa: S608 -- our own column names


@dataclass(frozen=True, slots=True)
class Near:
    """A stretch of a device, and whether it may be trusted to be all there is.

    Attributes:
        is_away: readings of that time or near it, or what was made of them, are only in the archive.
    """

    stretch: Stretch
    is_away: bool


async def stretches(conn: AsyncConnection, site_id: UUID, asked: Sequence[Asked]) -> list[Stretch | None]:
    """Readings of stretches of time, in the order asked for.

    Returns:
        None for a stretch near which something is only in the archive, and for a device that the site does not have.
    """
    return [None if one is None or one.is_away else one.stretch for one in await near(conn, site_id, asked)]


async def near(conn: AsyncConnection, site_id: UUID, asked: Sequence[Asked]) -> list[Near | None]:
    """The same, whatever is in the archive; None for a device that the site does not have."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        _STRETCHES,
        site_id,
        [one.device_id for one in asked],
        [one.first for one in asked],
        [one.last for one in asked],
        REACH,
    )
    found: list[Near | None] = [None] * len(asked)
    for place, has_earlier, has_later, is_away, *columns in records:
        one = asked[place - 1]
        first, last = unix_us(one.first), unix_us(one.last)
        known_from = first if has_earlier else first - _REACH_US
        known_until = last if has_later else last + _REACH_US
        found[place - 1] = Near(Stretch(_timeline(*columns), known_from, known_until), is_away)
    return found


def _timeline(packed: bytes | None, quality: str | None, *columns: str | None) -> Timeline:
    if packed is None:
        return Timeline((), (), {}, ())
    moments = moments_of(packed)
    nothing = "[" + ", ".join(["null"] * len(moments)) + "]"
    told = {
        key: floats_of(column)
        for key, column in zip(_KEYS, columns, strict=True)
        if column is not None and column != nothing
    }
    bits = [0] * len(moments) if quality is None else _integers.decode(quality)
    if moments != sorted(moments):
        order = sorted(range(len(moments)), key=moments.__getitem__)
        moments, bits = _sorted(moments, order), _sorted(bits, order)
        told = {key: _sorted(column, order) for key, column in told.items()}
    return Timeline.of_columns(moments, bits, told)


def _sorted(column: Sequence[Any], order: Sequence[int]) -> list[Any]:
    return [column[place] for place in order]
