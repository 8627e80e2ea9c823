"""Saves what can be read of a broken store file."""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_agent.store.payload import decode

_ROWS = (
    ("boots", ("boot_id", "identity", "offset_ms", "time_quality")),
    ("counters", ("name", "value")),
    ("state", ("key", "value")),
    ("plan", ("id", "revision", "applied_ms", "body")),
    ("newest", ("device_id", "at_ms", "quality", "link_up", "answered_ms", "body")),
    ("watches", ("rule_id", "device_id", "body")),
    ("alerts", ("rule_id", "device_id", "body")),
    ("alert_outbox", ("position", "body")),
    ("quarantine", ("id", "seq", "boot_id", "mono_start", "n", "reason", "payload")),
    ("events", ("id", "at_ms", "kind", "detail")),
)
"""Copied as they are. The outbox is numbered anew, the minute ring is not worth the risk."""

MOST_MISSES = 20_000
"""Numbers in a row that cannot be read, after which nothing more is expected behind them."""

_KEPT_FRESH = ("state", "epoch"), ("counters", "acked_seq")
"""A rebuilt file is a new life of the store: its own epoch, its own sequence."""


def salvage_tables(broken: Path, target: sqlite3.Connection) -> dict[str, int]:
    """Copy every row but the readings into a fresh, migrated store, within the caller's transaction.

    Returns:
        Rows saved per table, and `tables_broken_off`.
    """
    saved: dict[str, int] = {}
    with closing(sqlite3.connect(broken)) as source:
        for table, columns in _ROWS:
            reader = _Reader(source, f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608  names from the table above
            marks = ", ".join("?" * len(columns))
            insert = f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  as above
            count = sum(_copy(target, insert, row) for row in reader if (table, row[0]) not in _KEPT_FRESH)
            saved[table] = saved.get(table, 0) + count
            saved["tables_broken_off"] = saved.get("tables_broken_off", 0) + reader.broke_off
    return {table: count for table, count in saved.items() if count}


def salvage_outbox(broken: Path, target: sqlite3.Connection) -> dict[str, int]:
    """Copy the readings that wait, numbered from 1; those that cannot be read or dated go to the quarantine table.

    Returns:
        `flushes` and `readings` saved, `flushes_set_aside`, and `outbox_broken_off` (1 if any row could not be read).
    """
    boots = {row[0] for row in target.execute("SELECT boot_id FROM boots")}
    saved = {"flushes": 0, "readings": 0, "flushes_set_aside": 0, "outbox_broken_off": 0}
    with closing(sqlite3.connect(broken)) as source:
        reader = _OutboxReader(source)
        for boot_id, mono_start, n, payload, seq in reader:
            reason = "boot_unknown" if boot_id not in boots else _fault(mono_start, n, payload)
            if reason is None:
                insert = "INSERT INTO outbox (boot_id, mono_start, n, payload) VALUES (?, ?, ?, ?)"
                saved["flushes"] += _copy(target, insert, (boot_id, mono_start, n, payload))
                saved["readings"] += n
            else:
                insert = (
                    "INSERT INTO quarantine (boot_id, mono_start, n, payload, seq, reason) VALUES (?, ?, ?, ?, ?, ?)"
                )
                saved["flushes_set_aside"] += _copy(target, insert, (boot_id, mono_start, n, payload, seq, reason))
        saved["outbox_broken_off"] = int(reader.broke_off)
    return saved


def _fault(mono_start: object, n: object, payload: object) -> str | None:
    """Why a row cannot be trusted, or None."""
    if not isinstance(mono_start, int) or not isinstance(n, int) or not isinstance(payload, bytes):
        return "fields_damaged"
    try:
        samples = decode(mono_start, payload)
    except (ValueError, KeyError, TypeError, IndexError, zlib.error):
        return "payload_damaged"
    return None if len(samples) == n else "count_differs"


class _Reader:
    """Rows of a query up to the first that cannot be read."""

    def __init__(self, source: sqlite3.Connection, query: str) -> None:
        self._source = source
        self._query = query
        self.broke_off = False

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._source.execute(self._query)
        except sqlite3.DatabaseError:
            self.broke_off = True


class _OutboxReader:
    """Every row of the outbox that can be read, past those that cannot: one rotten page must not cost what lies behind it."""

    def __init__(self, source: sqlite3.Connection) -> None:
        self._source = source
        self.broke_off = False

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        query = "SELECT boot_id, mono_start, n, payload, seq FROM outbox WHERE seq > ? ORDER BY seq"
        after = misses = 0
        while misses < MOST_MISSES:
            try:
                for row in self._source.execute(query, (after,)):
                    after, misses = row[4], 0
                    yield row
            except sqlite3.DatabaseError as error:
                self.broke_off = True
                if (getattr(error, "sqlite_errorcode", 0) & 0xFF) != sqlite3.SQLITE_CORRUPT:
                    return  # no database at all, or no such table: nothing lies behind it
                after, misses = after + 1, misses + 1
            else:
                return


def _copy(target: sqlite3.Connection, insert: str, row: tuple[Any, ...]) -> int:
    try:
        target.execute(insert, row)
    except (sqlite3.IntegrityError, sqlite3.InterfaceError):
        return 0  # a damaged row: a missing or an impossible field
    return 1
