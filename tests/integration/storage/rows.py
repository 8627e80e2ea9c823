"""Readings written straight into the table, and the table's whole content to compare with."""

# ruff: noqa: S608 -- statements are put together from names of the tables themselves

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.ingest.days.repository import readings
from cloud.ingest.days.tables import MEASURED

COLUMNS = ("site_id", "device_number", "at", "received_at", "seq", "quality", *MEASURED)
Row = dict[str, Any]


async def write(pg: asyncpg.Connection, rows: Sequence[Row]) -> None:
    """Insert rows; columns that a row does not name are NULL."""
    names = sorted({name for row in rows for name in row})
    places = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    await pg.executemany(
        f"INSERT INTO telemetry_readings ({', '.join(names)}) VALUES ({places})",
        [[row.get(name) for name in names] for row in rows],
    )


async def all_rows(pg: asyncpg.Connection) -> list[tuple[Any, ...]]:
    """Everything in the table of rows, as text: what is equal here is equal bit by bit."""
    names = ", ".join(f"{name}::text" for name in COLUMNS)
    return [tuple(record) for record in await pg.fetch(f"SELECT {names} FROM telemetry_readings ORDER BY 2, 3")]


async def all_readings(
    pg: asyncpg.Connection, site_id: UUID, numbers: Sequence[int], first: datetime, last: datetime
) -> list[tuple[Any, ...]]:
    """The same of rows and packed days together."""
    relation = readings(COLUMNS, device="= ANY ($2::integer[])", first="$3::timestamptz", last="$4::timestamptz")
    names = ", ".join(f"{name}::text" for name in COLUMNS)
    records = await pg.fetch(f"SELECT {names} FROM ({relation}) AS r ORDER BY 2, 3", site_id, numbers, first, last)
    return [tuple(record) for record in records]


async def number_of(pg: asyncpg.Connection, device_id: UUID) -> int:
    found: int = await pg.fetchval("SELECT number FROM devices WHERE id = $1", device_id)
    return found


async def count(db: Database, table: str) -> int:
    async with db.transaction(SYSTEM) as conn:
        found: int = await (await asyncpg_of(conn)).fetchval(f"SELECT count(*) FROM {table}")
    return found
