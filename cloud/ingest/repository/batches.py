"""Everything that new batches write, in one statement."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from cloud.core.bulk import BulkConnection, numbered_after, parameter_count, pg_array
from cloud.core.db import TenantContext
from cloud.fleet.schemas import EdgeIdentity
from cloud.ingest.repository.ledger import FILE, MARK, Dirty, Entry, Stand, file_parameters
from cloud.ingest.repository.raw import ColumnSet, insert_statement, row_parameters
from cloud.ingest.repository.snapshot import HEAR, SHOW, show_parameters
from cloud.ingest.rows import Rows
from cloud.ingest.rules import Snapshot


@dataclass(frozen=True, slots=True)
class Contents:
    """What batches of several gateways write.

    Attributes:
        rows: of which none is expected to be there yet.
        snapshots: with the gateway that brought each; in the order of device ids, a device once.
        entries: of the ledger, one for each batch.
        dirty: quarter-hours to compute.
    """

    rows: Rows
    snapshots: Sequence[tuple[EdgeIdentity, Snapshot]]
    entries: Sequence[Entry]
    dirty: Collection[Dirty]
    received_at: datetime

    def parameters(self, names: tuple[str, ...]) -> list[Any]:
        """Those of `HEAR`, `FILE` and the rows, one after the other."""
        steps = [(entry.edge, entry.span) for entry in self.entries]
        return [
            *show_parameters(self.snapshots, steps, received_at=self.received_at),
            *file_parameters(self.entries, self.dirty, received_at=self.received_at),
            *row_parameters(self.rows, names, received_at=self.received_at),
        ]


@dataclass(frozen=True, slots=True)
class Turn:
    """How a gateway must stand for its batch to be taken without a closer look.

    Attributes:
        stand: before the batch.
        plan_revision: of the devices by which its readings were judged.
    """

    gateway_id: UUID
    stand: Stand
    plan_revision: int


async def store(pg: BulkConnection, contents: Contents, known: ColumnSet) -> None:
    """Show the newest values, insert raw rows, write the ledger and mark quarter-hours; the gateways are locked.

    Raises:
        asyncpg.UniqueViolationError: if a row is there already; then `raw.insert_missing` does it, in a new transaction.
        asyncpg.DataError: if a gauge is too near to nothing; so does that.
    """
    names = known.of(contents.rows)
    await pg.execute(_store_statement(names), *contents.parameters(names))


async def store_in_turn(
    pg: BulkConnection, contents: Contents, known: ColumnSet, *, context: TenantContext, turns: Sequence[Turn]
) -> bool:
    """Do the same in a statement that is a transaction by itself, and locks the gateways first.

    Args:
        pg: a connection without a transaction.
        contents: of batches that were judged by what is remembered of their gateways.
        known: columns.
        context: whose rows the statement sees.
        turns: what is remembered, of each gateway.

    Returns:
        Whether all of it is true; if not, nothing was written.

    Raises:
        asyncpg.UniqueViolationError, asyncpg.DataError: see `store`; nothing was written.
    """
    names = known.of(contents.rows)
    parameters = [
        pg_array(context.organization_ids),
        pg_array(context.site_ids),
        pg_array([turn.gateway_id for turn in turns]),
        pg_array([turn.stand.epoch for turn in turns]),
        pg_array([turn.stand.acked_seq for turn in turns]),
        pg_array([turn.stand.version for turn in turns]),
        pg_array([turn.plan_revision for turn in turns]),
    ]
    taken: bool = await pg.fetchval(_turn_statement(names), *parameters, *contents.parameters(names))
    return taken


# The gateways are read for each row of `context`, so not before it is set; every other part waits for `turn`. A gateway that somebody is
# changing is waited for, and judged as it became.
_TURN = """
    context AS MATERIALIZED (
        SELECT 1 AS settings FROM solarhub_set_context($1::text::uuid[], $2::text::uuid[], FALSE)
    ), turn AS MATERIALIZED (
        SELECT count(*) = cardinality($3::text::uuid[]) AS has_come
        FROM context CROSS JOIN LATERAL (
            SELECT g.id
            FROM unnest($3::text::uuid[], $4::text::uuid[], $5::text::bigint[], $6::text::integer[], $7::text::bigint[])
                AS expected (id, epoch, acked_seq, version, plan_revision)
            JOIN edge_gateways AS g USING (id, epoch, acked_seq, version, plan_revision)
            WHERE context.settings = 1
            ORDER BY g.id FOR UPDATE OF g
        ) AS found
    )
"""
_HAS_COME = "(SELECT has_come FROM turn)"


@lru_cache(maxsize=256)
def _store_statement(names: tuple[str, ...]) -> str:
    return f"WITH {_writing(names, when='true')} {SHOW}"


@lru_cache(maxsize=256)
def _turn_statement(names: tuple[str, ...]) -> str:
    writing = numbered_after(parameter_count(_TURN), f"{_writing(names, when=_HAS_COME)}, shown AS ({SHOW})")
    return f"WITH {_TURN}, {writing} SELECT has_come FROM turn"  # noqa: S608 -- parts of this package, see `ColumnSet`


def _writing(names: tuple[str, ...], *, when: str) -> str:
    # PostgreSQL runs the last part first, and then those before it from the end: gateways, snapshots, rows, marks, as for a batch alone.
    of_show, of_file = parameter_count(HEAR), parameter_count(FILE)
    filed, marked = (numbered_after(of_show, part.format(when=when)) for part in (FILE, MARK))
    stored = numbered_after(of_show + of_file, insert_statement(names, when=when))
    return f"filed AS ({filed}), marked AS ({marked}), stored AS ({stored}), {HEAR.format(when=when)}"
