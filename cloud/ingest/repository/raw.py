"""Raw readings, in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from cloud.core.bulk import BulkConnection, json_text, pg_array
from cloud.ingest.repository.ledger import FILE, Dirty, Entry, file_parameters
from cloud.ingest.rows import Rows
from cloud.ingest.rules import COUNTER_COLUMNS, RAW_COLUMNS, TEXT_COLUMNS
from shared.counters import unix_us

_SMALLEST_REAL = 1e-37
"""PostgreSQL refuses what is nearer to nothing; as a gauge it is nothing."""


@dataclass(frozen=True, slots=True)
class NewRow:
    """What must be known of a row that was not there before: `at_us` in microseconds of Unix time."""

    device_number: int
    at_us: int
    quality: int


class ColumnSet:
    """The raw columns that readings have had so far: a statement names them all, so that few different ones are ever prepared."""

    def __init__(self) -> None:
        """None so far."""
        self._names: tuple[str, ...] = ()

    def with_(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names so far, and these; sorted. A name comes from `RAW_COLUMNS`, never from the wire."""
        if not set(names) <= set(self._names):
            self._names = tuple(sorted({*self._names, *names} & {*RAW_COLUMNS.values(), "extra"}))
        return self._names


async def store(
    pg: BulkConnection,
    rows: Rows,
    known: ColumnSet,
    *,
    entries: Sequence[Entry],
    dirty: Iterable[Dirty],
    received_at: datetime,
) -> None:
    """Insert raw rows of which none is there yet, write the ledger and mark quarter-hours, in one statement.

    Raises:
        asyncpg.UniqueViolationError: if one is; then `insert_missing` does it, in a new transaction.
        asyncpg.DataError: if a gauge is too near to nothing; so does that.
    """
    names = known.with_([*rows.columns, *(["extra"] if rows.extras else [])])
    before = file_parameters(entries, dirty, received_at=received_at)
    statement = f"WITH stored AS ({_insert_statement(names, len(before))}), {FILE}"
    await pg.execute(statement, *before, *_row_parameters(rows, names))


async def insert_missing(pg: BulkConnection, rows: Rows, *, received_at: datetime) -> list[NewRow]:
    """Insert the raw rows that are not there yet; one that is stays as it is.

    Returns:
        The new ones. They are told by RETURNING, never by a row count.
    """
    for name in rows.columns.keys() - TEXT_COLUMNS - COUNTER_COLUMNS:
        rows.columns[name] = [
            0.0 if isinstance(value, float) and abs(value) < _SMALLEST_REAL else value for value in rows.columns[name]
        ]
    names = tuple(sorted([*rows.columns, *(["extra"] if rows.extras else [])]))
    statement = f"{_insert_statement(names, 1)} ON CONFLICT DO NOTHING RETURNING device_number, at, quality"
    records = await pg.fetch(statement, received_at, *_row_parameters(rows, names))
    return [NewRow(number, unix_us(at), quality) for number, at, quality in records]


def _row_parameters(rows: Rows, names: Sequence[str]) -> list[Any]:
    parameters: list[Any] = [
        pg_array(rows.site_ids),
        pg_array(rows.device_numbers),
        pg_array(rows.moments_us),
        pg_array(rows.seqs),
        pg_array(rows.qualities),
    ]
    for name in names:
        if name == "extra":
            parameters.append(json_text([rows.extras.get(row) for row in range(len(rows))] if rows.extras else []))
        else:
            write = json_text if name in TEXT_COLUMNS else pg_array
            parameters.append(write(rows.columns.get(name, [])))
    return parameters


@lru_cache(maxsize=256)
def _insert_statement(names: tuple[str, ...], before: int) -> str:
    """INSERT of rows whose parameters follow `before` others, the first of which is the time of receipt."""
    # Sets in a SELECT list are read side by side, the shorter ones filled with NULL; in FROM each would be stored first.
    sites, devices, moments, seqs, qualities = range(before + 1, before + 6)
    sources = "".join(f", {_source(name, position)} AS {name}" for position, name in enumerate(names, start=before + 6))
    listed = "".join(f", {name}" for name in names)
    taken = "".join(f", {'nullif(extra, $$null$$::jsonb)' if name == 'extra' else name}" for name in names)
    return f"""
        INSERT INTO telemetry_readings (received_at, site_id, device_number, at, seq, quality{listed})
        SELECT $1, site_id, device_number, timestamptz 'epoch' + at_us * interval '1 microsecond', seq, quality{taken}
        FROM (
            SELECT unnest(${sites}::text::uuid[]) AS site_id, unnest(${devices}::text::integer[]) AS device_number,
                unnest(${moments}::text::bigint[]) AS at_us, unnest(${seqs}::text::bigint[]) AS seq,
                unnest(${qualities}::text::smallint[]) AS quality{sources}
        ) AS rows
    """  # noqa: S608 -- see `ColumnSet`


def _source(name: str, position: int) -> str:
    if name == "extra":
        return f"jsonb_array_elements(${position}::text::jsonb)"
    if name in TEXT_COLUMNS:
        return f"jsonb_array_elements_text(${position}::text::jsonb)"
    return f"unnest(${position}::text::{'double precision' if name in COUNTER_COLUMNS else 'real'}[])"
