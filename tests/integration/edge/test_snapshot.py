"""What is read from the store is one moment of it, whatever is committed meanwhile."""

import sqlite3
from pathlib import Path

from edge_agent.store import outbox
from edge_agent.store.file import FILE_NAME, StoreFile, connect_read_only


def add_row_beside(path: Path) -> None:
    """Commit a flush as the writer does, while somebody reads."""
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO outbox (boot_id, mono_start, n, payload) VALUES (1, 0, 1, x'00')")
    connection.close()


def test_a_flush_committed_while_the_outbox_is_read_is_not_half_seen(tmp_path: Path) -> None:
    """Seen in the last number but not among the rows, it would travel empty, be acknowledged, and be deleted unsent."""
    store = StoreFile(tmp_path)
    store.open()
    store.close()
    path = tmp_path / FILE_NAME
    connection = connect_read_only(path)
    rows = connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
    last = outbox.last_seq(connection)
    add_row_beside(path)
    assert connection.execute("SELECT count(*) FROM outbox").fetchone()[0] == rows
    assert outbox.last_seq(connection) == last
    connection.close()
    later = connect_read_only(path)
    assert outbox.last_seq(later) == last + 1
    later.close()
