"""The tables of the store and how older files become newer ones."""

from collections.abc import Callable
from uuid import uuid4

from sqlite_utils import Database

_TABLES = """
CREATE TABLE boots (
    boot_id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL,
    offset_ms INTEGER NOT NULL,
    time_quality TEXT NOT NULL
);
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    boot_id INTEGER NOT NULL,
    mono_start INTEGER NOT NULL,
    n INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    seq INTEGER NOT NULL,
    boot_id INTEGER NOT NULL,
    mono_start INTEGER NOT NULL,
    n INTEGER NOT NULL,
    reason TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE newest (
    device_id TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    quality INTEGER NOT NULL,
    link_up INTEGER NOT NULL,
    answered_ms INTEGER,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE minute (
    device_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    minute INTEGER NOT NULL,
    mean REAL NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    PRIMARY KEY (minute, device_id, metric)
) WITHOUT ROWID;
CREATE TABLE day_start (
    device_id TEXT NOT NULL, metric TEXT NOT NULL, day TEXT NOT NULL, kwh REAL, PRIMARY KEY (device_id, metric)
) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE plan (id INTEGER PRIMARY KEY AUTOINCREMENT, revision INTEGER NOT NULL, applied_ms INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE watches (
    rule_id TEXT NOT NULL, device_id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (rule_id, device_id)
) WITHOUT ROWID;
CREATE TABLE alerts (
    rule_id TEXT NOT NULL, device_id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (rule_id, device_id)
) WITHOUT ROWID;
CREATE TABLE alert_outbox (position INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
"""


def _first_tables(db: Database) -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            db.execute(statement)
    db.execute("INSERT INTO state (key, value) VALUES ('epoch', ?)", [str(uuid4())])


MIGRATIONS: tuple[tuple[str, Callable[[Database], None]], ...] = (("0001_first_tables", _first_tables),)
"""In order, never changed once released, only added to: a file of any age is brought up to date on opening."""


def migrate(db: Database) -> list[str]:
    """Bring a store file up to date, each step in its own transaction.

    A step that this version does not know was applied by a newer agent before a roll-back; steps only add, so it is left alone.

    Returns:
        The names of the steps applied now.
    """
    db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY) WITHOUT ROWID")
    done = {row[0] for row in db.execute("SELECT name FROM migrations").fetchall()}
    applied = []
    for name, step in MIGRATIONS:
        if name in done:
            continue
        db.execute("BEGIN IMMEDIATE")
        try:
            step(db)
            db.execute("INSERT INTO migrations (name) VALUES (?)", [name])
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        applied.append(name)
    return applied
