"""The SQL of the outbox: functions of a connection, each called within one transaction."""

import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from pydantic import TypeAdapter, ValidationError

from edge_agent.store.boots import Boot, all_boots
from edge_agent.store.file import StoreError
from edge_agent.store.payload import Encoded, Sample, decode, encode, inflate
from edge_agent.store.thinning import thin
from shared.wire import Block, Flush

READINGS_TOTAL = "readings_total"
"""Readings ever committed."""

READINGS_THINNED = "readings_thinned"
"""Readings that thinning has merged into others."""

ACKED_SEQ = "acked_seq"
"""Every flush up to here is in the cloud, and deleted."""

FLUSH_OVERHEAD_BYTES = 160
"""JSON around the blocks of one flush, rounded up."""

MAX_EMPTY_FLUSHES = 2_000
"""Empty flushes sent in one batch where thinning has left a stretch of numbers without rows."""

_BLOCKS = TypeAdapter(tuple[Block, ...])


class DamagedRowError(StoreError):
    """One row's bytes changed on the medium without the database noticing.

    Attributes:
        seq: the row's number; it is to be set aside.
    """

    def __init__(self, seq: int) -> None:
        super().__init__(f"flush {seq} cannot be read; it is kept in the table `quarantine`")
        self.seq = seq


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits.

    Attributes:
        flushes: by number, thinned ones included, because each still has to be acknowledged.
        used_bytes: pages of the file in use; what the quota is held against.
    """

    readings: int
    flushes: int
    acked_seq: int
    last_seq: int
    used_bytes: int


def counter(connection: sqlite3.Connection, name: str) -> int:
    """A durable counter; 0 if it was never written."""
    row = connection.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def set_counter(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Overwrite a durable counter."""
    connection.execute(
        "INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def epoch_of(connection: sqlite3.Connection) -> UUID:
    """This life of the store."""
    row = connection.execute("SELECT value FROM state WHERE key = 'epoch'").fetchone()
    return UUID(row[0])


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file's pages that hold something."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def last_seq(connection: sqlite3.Connection) -> int:
    """The highest number ever given out in this epoch."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return max(int(row[0]) if row else 0, counter(connection, ACKED_SEQ))


def depth(connection: sqlite3.Connection) -> Depth:
    """Count what waits; walks the outbox, so it is called on opening and by `status`, not per flush."""
    readings = connection.execute("SELECT coalesce(sum(n), 0) FROM outbox").fetchone()[0]
    acked, last = counter(connection, ACKED_SEQ), last_seq(connection)
    return Depth(
        readings=int(readings), flushes=last - acked, acked_seq=acked, last_seq=last, used_bytes=used_bytes(connection)
    )


def oldest_at(connection: sqlite3.Connection) -> datetime | None:
    """When the oldest waiting flush began."""
    row = connection.execute("SELECT boot_id, mono_start FROM outbox ORDER BY seq LIMIT 1").fetchone()
    return all_boots(connection)[row[0]].date(row[1]) if row else None


def insert(connection: sqlite3.Connection, boot_id: int, encoded: Encoded) -> int:
    """Add one flush and count its readings.

    Returns:
        Its number.
    """
    cursor = connection.execute(
        "INSERT INTO outbox (boot_id, mono_start, n, payload) VALUES (?, ?, ?, ?)",
        (boot_id, encoded.mono_start, encoded.n, encoded.payload),
    )
    set_counter(connection, READINGS_TOTAL, counter(connection, READINGS_TOTAL) + encoded.n)
    return cursor.lastrowid or 0


def peek(connection: sqlite3.Connection, *, max_readings: int, max_bytes: int) -> list[Flush]:
    """The oldest flushes that wait, without a hole: a number whose readings were merged into a later one travels empty.

    At least one flush is returned if any waits, however large it is.

    Raises:
        DamagedRowError: if the oldest row cannot be read.
    """
    boots = all_boots(connection)
    flushes: list[Flush] = []
    seq, readings, size, empty = counter(connection, ACKED_SEQ) + 1, 0, 0, 0
    for row_seq, boot_id, mono_start, n, payload in connection.execute(
        "SELECT seq, boot_id, mono_start, n, payload FROM outbox WHERE seq >= ? ORDER BY seq", (seq,)
    ):
        boot = boots[boot_id]
        while seq < row_seq and empty < MAX_EMPTY_FLUSHES and size + FLUSH_OVERHEAD_BYTES <= max_bytes:
            flushes.append(_flush(seq, boot, mono_start, b"[]"))
            seq, size, empty = seq + 1, size + FLUSH_OVERHEAD_BYTES, empty + 1
        if seq < row_seq:
            return flushes
        try:
            text = inflate(payload)
            flush = _flush(seq, boot, mono_start, text)
        except (zlib.error, ValidationError) as error:
            if flushes:
                return flushes
            raise DamagedRowError(seq) from error
        readings, size = readings + n, size + len(text) + FLUSH_OVERHEAD_BYTES
        if flushes and (readings > max_readings or size > max_bytes):
            return flushes
        flushes.append(flush)
        seq += 1
    last = last_seq(connection)
    while flushes and seq <= last and empty < MAX_EMPTY_FLUSHES:  # the newest rows may have gone to quarantine
        flushes.append(flushes[-1].model_copy(update={"seq": seq, "blocks": ()}))
        seq, empty = seq + 1, empty + 1
    return flushes


def _flush(seq: int, boot: Boot, mono_start: int, blocks: bytes) -> Flush:
    return Flush(
        seq=seq, started_at=boot.date(mono_start), time_quality=boot.time_quality, blocks=_BLOCKS.validate_json(blocks)
    )


def acknowledge(connection: sqlite3.Connection, seq: int) -> int:
    """Delete every flush up to and including `seq`; a number never given out, or an older one, changes nothing beyond that.

    Returns:
        The number of readings that left.
    """
    seq = min(seq, last_seq(connection))
    if seq <= counter(connection, ACKED_SEQ):
        return 0
    gone = connection.execute("SELECT coalesce(sum(n), 0) FROM outbox WHERE seq <= ?", (seq,)).fetchone()[0]
    connection.execute("DELETE FROM outbox WHERE seq <= ?", (seq,))
    set_counter(connection, ACKED_SEQ, seq)
    return int(gone)


def set_aside(connection: sqlite3.Connection, seq: int, reason: str) -> int:
    """Move one flush that the cloud refuses into the quarantine table; its number then travels empty.

    Returns:
        The number of readings that left the outbox.
    """
    row = connection.execute("SELECT n FROM outbox WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        return 0
    connection.execute(
        "INSERT INTO quarantine (seq, boot_id, mono_start, n, reason, payload)"
        " SELECT seq, boot_id, mono_start, n, ?, payload FROM outbox WHERE seq = ?",
        (reason, seq),
    )
    connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,))
    return int(row[0])


def begin_epoch(connection: sqlite3.Connection) -> UUID:
    """Start a new life: what waits is numbered from 1 again, in the same order.

    Used when the cloud no longer has what this store deleted as acknowledged (it was restored from a backup), or has numbers that
    this store never gave out (this card is a copy). Readings are never doubled: the cloud knows them by device and moment.
    """
    rows = connection.execute("SELECT boot_id, mono_start, n, payload FROM outbox ORDER BY seq").fetchall()
    connection.execute("DELETE FROM outbox")
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'outbox'")
    connection.executemany("INSERT INTO outbox (boot_id, mono_start, n, payload) VALUES (?, ?, ?, ?)", rows)
    set_counter(connection, ACKED_SEQ, 0)
    epoch = uuid4()
    connection.execute("UPDATE state SET value = ? WHERE key = 'epoch'", (str(epoch),))
    return epoch


def thin_rows(
    connection: sqlite3.Connection, rows: Sequence[tuple[int, int, bytes]], boot: Boot, *, bucket_ms: int
) -> int:
    """Replace rows (seq, mono_start, payload) of one boot, in order, by one row that bears the last one's number.

    Returns:
        By how many the waiting readings became fewer: merged into others, or set aside with a damaged row.
    """
    before: list[Sample] = []
    readable: list[int] = []
    lost = 0
    for seq, mono_start, payload in rows:
        try:
            before += decode(mono_start, payload)
        except (zlib.error, ValueError, KeyError, TypeError, IndexError):
            lost += set_aside(connection, seq, "payload_damaged")
        else:
            readable.append(seq)
    if not before:
        return lost
    after = thin(before, bucket_ms=bucket_ms, offset_ms=boot.offset_ms)
    encoded = encode(after)
    connection.execute("DELETE FROM outbox WHERE seq >= ? AND seq < ?", (readable[0], readable[-1]))
    connection.execute(
        "UPDATE outbox SET mono_start = ?, n = ?, payload = ? WHERE seq = ?",
        (encoded.mono_start, encoded.n, encoded.payload, readable[-1]),
    )
    merged = len(before) - len(after)
    set_counter(connection, READINGS_THINNED, counter(connection, READINGS_THINNED) + merged)
    return merged + lost


def rows_of_one_boot(
    connection: sqlite3.Connection, *, after_seq: int, before_seq: int, max_readings: int
) -> tuple[int, list[tuple[int, int, bytes]]]:
    """The oldest rows between two numbers (both exclusive) that belong to one boot.

    Returns:
        (boot_id, [(seq, mono_start, payload)]); an empty list if there are none.
    """
    rows: list[tuple[int, int, bytes]] = []
    boot: int | None = None
    readings = 0
    query: Iterable[tuple[int, int, int, int, bytes]] = connection.execute(
        "SELECT seq, boot_id, mono_start, n, payload FROM outbox WHERE seq > ? AND seq < ? ORDER BY seq",
        (after_seq, before_seq),
    )
    for seq, boot_id, mono_start, n, payload in query:
        readings += n
        if boot not in (None, boot_id) or (rows and readings > max_readings):
            break
        boot = boot_id
        rows.append((seq, mono_start, payload))
    return boot or 0, rows
