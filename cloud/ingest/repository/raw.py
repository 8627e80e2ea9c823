"""Raw readings, in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from cloud.core.bulk import BulkConnection, json_text, pg_array
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

    def of(self, rows: Rows) -> tuple[str, ...]:
        """The names so far, and those of the columns that rows have."""
        return self.with_([*rows.columns, *(["extra"] if rows.extras else [])])


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
    statement = f"{insert_statement(names)} ON CONFLICT DO NOTHING RETURNING device_number, at, quality"
    records = await pg.fetch(statement, *row_parameters(rows, names, received_at=received_at))
    return [NewRow(number, unix_us(at), quality) for number, at, quality in records]


def row_parameters(rows: Rows, names: Sequence[str], *, received_at: datetime) -> list[Any]:
    """The parameters of `insert_statement`."""
    parameters: list[Any] = [
        received_at,
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
def insert_statement(names: tuple[str, ...], *, when: str = "true") -> str:
    """INSERT of rows that have these columns, under a condition; its parameters are those of `row_parameters`."""
    # Sets in a SELECT list are read side by side, the shorter ones filled with NULL; in FROM each would be stored first.
    sources = "".join(f", {_source(name, position)} AS {name}" for position, name in enumerate(names, start=7))
    listed = "".join(f", {name}" for name in names)
    taken = "".join(f", {'nullif(extra, $$null$$::jsonb)' if name == 'extra' else name}" for name in names)
    return f"""
        INSERT INTO telemetry_readings (received_at, site_id, device_number, at, seq, quality{listed})
        SELECT $1, site_id, device_number, timestamptz 'epoch' + at_us * interval '1 microsecond', seq, quality{taken}
        FROM (
            SELECT unnest($2::text::uuid[]) AS site_id, unnest($3::text::integer[]) AS device_number,
                unnest($4::text::bigint[]) AS at_us, unnest($5::text::bigint[]) AS seq,
                unnest($6::text::smallint[]) AS quality{sources}
            WHERE {when}
        ) AS rows
    """  # noqa: S608 -- see `ColumnSet`


def _source(name: str, position: int) -> str:
    if name == "extra":
        return f"jsonb_array_elements(${position}::text::jsonb)"
    if name in TEXT_COLUMNS:
        return f"jsonb_array_elements_text(${position}::text::jsonb)"
    return f"unnest(${position}::text::{'double precision' if name in COUNTER_COLUMNS else 'real'}[])"
