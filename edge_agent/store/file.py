"""The SQLite file: one writer thread, one commit per flush, and a broken file set aside while the work goes on."""

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from edge_agent.errors import EdgeError
from edge_agent.store.salvage import salvage_outbox, salvage_tables
from edge_agent.store.schema import migrate

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

LOG = logging.getLogger(__name__)

FILE_NAME = "edge.db"
_PARTS = ("", "-wal", "-shm")
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_WAL_PAGES = 256
"""Pages (4 KiB) after which the log is written back into the file: keeps the log near 1 MiB."""


class StoreBusyError(EdgeError):
    """Another agent is using this store."""


class StoreError(EdgeError):
    """The store cannot be opened or written."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What happened when a broken file was set aside."""

    quarantined: Path
    reason: str
    salvaged: dict[str, int]


def is_broken(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged, as against a full disk or a busy lock."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in _BROKEN


def connect(path: Path) -> sqlite3.Connection:
    """Open for writing: autocommit outside of explicit transactions; a committed transaction survives a power cut."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_PAGES * 4096}")
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open beside a running agent, without being able to change anything.

    Everything that is read until the connection is closed is one moment of the file: of a flush that is committed meanwhile, nothing is
    seen. Without that, its number could be seen and its row not, and the agent would take it for one without readings.

    Raises:
        StoreError: if there is no such file.
    """
    if not path.is_file():
        raise StoreError(f"there is no store at {path}; run `solarhub-edge enrol` first, or set SOLARHUB_EDGE_DATA_DIR")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("BEGIN")
    return connection


class StoreFile:
    """Owns the file. Work is a function of a connection; all writing happens in one thread, reading in another.

    Attributes:
        path: of the database.
        rebuilt: set when a broken file was set aside since opening.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self.rebuilt: Rebuilt | None = None
        self._folder = folder
        self._lock: int | None = None
        self._writer: sqlite3.Connection | None = None
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-write")
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-read")
        self._on_rebuilt: list[Work[None]] = []
        self._after_rebuilt: list[Work[None]] = []

    def open(self) -> None:
        """Take the folder for this process, and open or create the file; blocks, so it is called before the loop is busy.

        Raises:
            StoreBusyError: if another process has it.
            StoreError: if the folder or the file cannot be used.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            self._open_or_rebuild()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise StoreError(
                f"the store {self.path} cannot be opened ({error}); check the disk and the folder's owner"
            ) from error

    def close(self) -> None:
        """Finish what is queued and release the file; may be called twice."""
        self._writing.shutdown(wait=True)
        self._reading.shutdown(wait=True)
        self._let_go()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def on_rebuilt(self, work: Work[None]) -> None:
        """Register what memory knows better than a broken file: written into the fresh one before its readings are."""
        self._on_rebuilt.append(work)

    def after_rebuilt(self, work: Work[None]) -> None:
        """Register who must look at the fresh file anew once everything that could be saved is in it."""
        self._after_rebuilt.append(work)

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one transaction, committed to the medium when this returns.

        A broken file is set aside, a new one built and the work done there.

        Raises:
            sqlite3.Error: anything else, such as a full disk; nothing of the work is kept.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writing, self.write_now, work)

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a read-only connection: sees the last commit, never waits for the writer.

        A broken file is set aside and a new one built, as in `write`: what is never written again may be broken, too.
        """
        loop = asyncio.get_running_loop()
        before = self.rebuilt
        try:
            return await loop.run_in_executor(self._reading, self._read, work)
        except sqlite3.DatabaseError as error:
            if not is_broken(error):
                raise
            await loop.run_in_executor(self._writing, self._rebuild_unless_done, str(error), before)
            return await loop.run_in_executor(self._reading, self._read, work)

    def write_now(self, work: Work[T]) -> T:
        """`write` for callers without a loop; only before the loop starts or from the writer's thread."""
        try:
            return self._transact(work)
        except sqlite3.DatabaseError as error:
            if not is_broken(error):
                raise
            self._rebuild(str(error))
            return self._transact(work)

    def _read(self, work: Work[T]) -> T:
        connection = connect_read_only(self.path)
        try:
            return work(connection)
        finally:
            connection.close()

    def _transact(self, work: Work[T]) -> T:
        if self._lock is None:
            raise StoreError(f"the store {self.path} is closed")
        if self._writer is None:
            self._open_or_rebuild()  # the last rebuilding failed, for want of space perhaps
        return _in_transaction(self._connection(), work)

    def _connection(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreError(f"the store {self.path} is closed")
        return self._writer

    def _take_lock(self) -> None:
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreBusyError(
                f"another agent uses {self._folder}; stop it first (`systemctl stop solarhub-edge`) or give another data folder"
            ) from None

    def _open_or_rebuild(self) -> None:
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if not is_broken(error):
                raise
            self._rebuild(str(error))

    def _open(self) -> None:
        created = not self.path.exists()
        self._writer = connect(self.path)
        if created:
            self.path.chmod(0o600)
        migrate(Database(self._writer))
        self._writer.execute(
            "SELECT count(*), sum(n) FROM outbox"
        ).fetchone()  # walks every row: damage shows here, not later

    def _rebuild_unless_done(self, reason: str, before: Rebuilt | None) -> None:
        if self.rebuilt is before:  # otherwise somebody else met the same damage first
            self._rebuild(reason)

    def _rebuild(self, reason: str) -> None:
        self._let_go()
        aside = self._set_aside()
        LOG.error("store_broken", extra={"reason": reason, "quarantined": str(aside)})
        try:
            self._open()
            salvaged = self._salvage(aside)
        except (OSError, sqlite3.Error):
            # Half a rebuilding would look like a whole one: the broken file comes back, and the next write begins anew.
            self._let_go()
            self._put_back(aside)
            raise
        self.rebuilt = Rebuilt(quarantined=aside, reason=reason, salvaged=salvaged)
        for notify in self._after_rebuilt:
            self._transact(notify)

    def _salvage(self, aside: Path) -> dict[str, int]:
        connection = self._connection()
        tables = _in_transaction(connection, lambda fresh: salvage_tables(aside, fresh))
        for work in self._on_rebuilt:
            _in_transaction(connection, work)
        return {**tables, **_in_transaction(connection, lambda fresh: salvage_outbox(aside, fresh))}

    def _let_go(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _set_aside(self) -> Path:
        number = 1
        while (aside := self.path.with_name(f"{FILE_NAME}.broken-{number}")).exists():
            number += 1
        self._move(self.path, aside)
        return aside

    def _put_back(self, aside: Path) -> None:
        for suffix in _PARTS:
            self.path.with_name(FILE_NAME + suffix).unlink(missing_ok=True)
        self._move(aside, self.path)

    @staticmethod
    def _move(source: Path, target: Path) -> None:
        for suffix in _PARTS:
            part = source.with_name(source.name + suffix)
            if part.exists():
                part.rename(target.with_name(target.name + suffix))


def _in_transaction(connection: sqlite3.Connection, work: Work[T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
