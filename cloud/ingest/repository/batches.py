"""Everything that new batches write, in one statement."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from cloud.core.bulk import BulkConnection, numbered_after, parameter_count
from cloud.fleet.schemas import EdgeIdentity
from cloud.ingest.repository.ledger import FILE, MARK, BatchSpan, Dirty, Entry, file_parameters
from cloud.ingest.repository.raw import ColumnSet, insert_statement, row_parameters
from cloud.ingest.repository.snapshot import SHOW, show_parameters
from cloud.ingest.rows import Rows
from cloud.ingest.rules import Snapshot


async def store(
    pg: BulkConnection,
    rows: Rows,
    known: ColumnSet,
    *,
    snapshots: Sequence[tuple[EdgeIdentity, Snapshot]],
    entries: Sequence[Entry],
    dirty: Iterable[Dirty],
    received_at: datetime,
) -> None:
    """Show the newest values, insert raw rows of which none is there yet, write the ledger and mark quarter-hours.

    Raises:
        asyncpg.UniqueViolationError: if one is; then `raw.insert_missing` does it, in a new transaction.
        asyncpg.DataError: if a gauge is too near to nothing; so does that.
    """
    names = known.with_([*rows.columns, *(["extra"] if rows.extras else [])])
    steps: list[tuple[EdgeIdentity, BatchSpan]] = [(entry.edge, entry.span) for entry in entries]
    await pg.execute(
        _statement(names),
        *show_parameters(snapshots, steps, received_at=received_at),
        *file_parameters(entries, dirty, received_at=received_at),
        *row_parameters(rows, names, received_at=received_at),
    )


@lru_cache(maxsize=256)
def _statement(names: tuple[str, ...]) -> str:
    # PostgreSQL runs the last part first, and then those before it from the end: snapshots, rows, marks, as one batch alone does it.
    of_show, of_file = parameter_count(SHOW), parameter_count(FILE)
    filed, marked = (numbered_after(of_show, part) for part in (FILE, MARK))
    stored = numbered_after(of_show + of_file, insert_statement(names))
    return f"WITH filed AS ({filed}), marked AS ({marked}), stored AS ({stored}), {SHOW}"
