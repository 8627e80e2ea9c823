"""The quarter-hours that bills stand on, in the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.rules.metering.energy import EnergySums, QuarterHour
from cloud.core.db import asyncpg_of
from cloud.telemetry.tables import EmissionFactor
from shared.periods import Window

QUARTER_S = 900

_OF_SITE = "FROM telemetry_quarter_hour WHERE site_id = $1 AND device_id IS NULL AND bucket >= $2 AND bucket < $3"
# As columns: a month has three thousand rows, and fetching them one by one costs more than reading them.
_COLUMNS = f"""
SELECT array_agg(bucket), array_agg(generated_wh), array_agg(consumed_wh), array_agg(imported_wh), array_agg(exported_wh),
    array_agg(covered_seconds), array_agg(imported_bridged_wh)
FROM (SELECT * {_OF_SITE} ORDER BY bucket) AS quarter_hour
"""  # noqa: S608 -- our own columns
# A moment lies in peak hours if it has passed an odd number of the edges, which are the starts and ends of the peak hours in turns.
_SUMS = f"""
SELECT sum(generated_wh)::bigint, sum(consumed_wh)::bigint, sum(imported_wh)::bigint, sum(exported_wh)::bigint,
    sum(CASE WHEN is_peak THEN imported_wh WHEN imported_wh IS NOT NULL THEN 0 END)::bigint,
    sum(CASE WHEN is_peak THEN exported_wh WHEN exported_wh IS NOT NULL THEN 0 END)::bigint,
    sum(CASE WHEN is_peak THEN consumed_wh WHEN consumed_wh IS NOT NULL THEN 0 END)::bigint,
    max(imported_wh), max(consumed_wh), coalesce(sum(covered_seconds), 0),
    count(imported_wh), count(*) FILTER (WHERE imported_bridged_wh <> 0),
    coalesce(sum(CASE WHEN imported_bridged_wh > 0 THEN {QUARTER_S} ELSE covered_seconds END), 0)
FROM (SELECT *, width_bucket(bucket, $4::timestamptz[]) % 2 = 1 AS is_peak {_OF_SITE}) AS quarter_hour
"""  # noqa: S608 -- our own columns


async def site_quarter_hours(conn: AsyncConnection, site_id: UUID, window: Window) -> Sequence[QuarterHour]:
    """The site's own quarter-hours (not its devices') that begin in the window, in order."""
    pg = await asyncpg_of(conn)
    columns = await pg.fetchrow(_COLUMNS, site_id, window.start, window.end)
    if columns[0] is None:
        return []
    return list(map(QuarterHour._make, zip(*columns, strict=True)))


@dataclass(frozen=True, slots=True)
class WindowSums:
    """What a window's quarter-hours add up to.

    Attributes:
        imported: quarter-hours whose import is known.
        bridged: those that hold import which was spread over a gap between two readings of the counter.
        known_seconds: with readings, or bridged by the counter of the import.
    """

    energy: EnergySums
    imported: int
    bridged: int
    known_seconds: int


async def window_sums(conn: AsyncConnection, site_id: UUID, window: Window, peak: Iterable[Window] = ()) -> WindowSums:
    """The site's energies in a window, added up in the database: whole watt-hours, so nothing is lost on the way.

    Args:
        conn: a transaction that sees the site.
        site_id: whose.
        window: of quarter-hours that begin in it.
        peak: the peak hours in it, in order and apart from each other.
    """
    edges = [edge for stretch in peak for edge in (stretch.start, stretch.end)]
    pg = await asyncpg_of(conn)
    *sums, imported, bridged, known_seconds = await pg.fetchrow(_SUMS, site_id, window.start, window.end, edges)
    return WindowSums(EnergySums(*sums), imported, bridged, known_seconds)


_FACTOR = select(EmissionFactor.value).where(EmissionFactor.kind == bindparam("kind"), EmissionFactor.is_default)


async def default_factor(conn: AsyncConnection, kind: str) -> Decimal:
    """Value of the default emission factor of a kind (`grid_electricity` in kg/kWh, `tree` in kg)."""
    value: Decimal = (await conn.execute(_FACTOR, {"kind": kind})).scalar_one()
    return value
