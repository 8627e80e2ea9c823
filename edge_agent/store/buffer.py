"""Readings on their way to the cloud: gathered in memory, committed as one row per flush, deleted when acknowledged."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from edge_agent.clock import to_ms
from edge_agent.store import outbox
from edge_agent.store.boots import Boot, Timeline, all_boots
from edge_agent.store.file import StoreFile
from edge_agent.store.minutes import MinuteRing, Row, save_minutes
from edge_agent.store.newest import save_newest
from edge_agent.store.outbox import Depth
from edge_agent.store.payload import Sample, encode
from edge_agent.store.state import record_event
from shared.enums import Quality
from shared.readings import Reading
from shared.wire import Flush

LOG = logging.getLogger(__name__)

T = TypeVar("T")

THIN_LEVELS_MS = (60_000, 900_000, 3_600_000)
"""Buckets, finest first; a coarser one is used only on what the finer one has been through."""

THIN_ABOVE = 0.9
THIN_DOWN_TO = 0.85
"""Shares of the quota at which thinning begins and ends."""

RAW_FLUSHES_KEPT = 60
"""The newest flushes stay raw: they are being sent or looked at."""

THIN_READINGS = 1_500
"""Readings taken together in one thinning step: the resulting row must fit into a batch."""

MAX_THIN_STEPS = 50
"""Per flush, so that the next flush does not wait long; the rest follows after the next one."""

LOG_RESERVE_BYTES = 2_000_000
"""Of the quota, for SQLite's write-ahead log beside the file."""

MAX_WAITING = 50_000
"""Readings kept in memory while the medium cannot be written."""

MAX_FLUSH_READINGS = 500
"""Readings in one row: what gathered during an outage of the medium must still fit into a batch."""

MAX_MINUTES_WAITING = 20_000
"""Finished minutes kept in memory while the medium cannot be written."""

READINGS_UNSTORED = "readings_unstored"
"""Readings that could not be kept at all: the disk was full and nothing was left to thin."""

Write = Callable[[sqlite3.Connection], None]


@dataclass(slots=True)
class _Pending:
    """What the next flush commits."""

    samples: list[tuple[Boot, Sample]] = field(default_factory=list)
    newest: dict[UUID, Reading] = field(default_factory=dict)
    minutes: list[Row] = field(default_factory=list)
    writes: dict[object, Write] = field(default_factory=dict)
    unstored: int = 0

    def __bool__(self) -> bool:
        return bool(self.samples or self.writes or self.minutes)

    def stage(self, key: object, write: Write) -> None:
        self.writes.pop(key, None)  # the newer one takes its place at the end
        self.writes[key] = write

    def followed_by(self, later: "_Pending") -> "_Pending":
        """Both, with what is newer in force."""
        both = _Pending(
            samples=self.samples + later.samples,
            newest={**self.newest, **later.newest},
            minutes=(self.minutes + later.minutes)[-MAX_MINUTES_WAITING:],
            writes=dict(self.writes),
            unstored=self.unstored + later.unstored,
        )
        for key, write in later.writes.items():
            both.stage(key, write)
        return both


class Buffer:
    """The outbox with its numbers at hand.

    Attributes:
        depth: what waits, as of the last commit.
        readings_total: readings ever committed.
    """

    def __init__(self, store: StoreFile, timeline: Timeline, *, quota_bytes: int) -> None:
        self._store = store
        self._timeline = timeline
        self._quota = quota_bytes - LOG_RESERVE_BYTES
        self._pending = _Pending()
        self._minutes = MinuteRing()
        self._committed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._full = False
        self.depth = Depth(0, 0, 0, 0, 0)
        self.readings_total = 0
        self._epoch: UUID | None = None
        store.write_now(self._load)
        store.after_rebuilt(self._load)

    @property
    def epoch(self) -> UUID:
        """This life of the store."""
        if self._epoch is None:
            raise RuntimeError("the epoch is read when the buffer is built")
        return self._epoch

    def _load(self, connection: sqlite3.Connection) -> None:
        self.depth = outbox.depth(connection)
        # A rebuilt file may have lost the count; what was counted stays counted.
        self.readings_total = max(self.readings_total, outbox.counter(connection, outbox.READINGS_TOTAL))
        outbox.set_counter(connection, outbox.READINGS_TOTAL, self.readings_total)
        self._epoch = outbox.epoch_of(connection)

    def append(self, reading: Reading, *, mono_ms: int, boot: Boot) -> None:
        """Take a reading for the next flush; does not wait.

        Args:
            reading: dated by `boot.date(mono_ms)`.
            mono_ms: its moment on the monotonic clock.
            boot: the mapping that dated it.

        Raises:
            TypeError: if a value is none of number, word and None; one such reading would spoil the whole flush.
        """
        for key, value in reading.values.items():
            if not isinstance(value, (int, float, str, type(None))):
                raise TypeError(f"device {reading.device_id}: {key} is {value!r}; a value is a number, a word or None")
        if len(self._pending.samples) >= MAX_WAITING:
            self._pending.samples.pop(0)
            self._pending.unstored += 1
        sample = Sample(reading.device_id, mono_ms, dict(reading.values), reading.quality)
        self._pending.samples.append((boot, sample))
        self._pending.newest[reading.device_id] = reading
        if not reading.quality & Quality.LINK_DOWN:
            self._minutes.add(reading.device_id, reading.at, reading.values)

    def stage(self, write: Write, *, key: object = None) -> None:
        """Have something written in the same transaction as the next flush: it is kept or lost with the readings.

        Args:
            write: what is to be written.
            key: names what it writes: of several with one key only the last is of interest, so that a medium that cannot be written
                for a week does not fill the memory. None for one that must not be left out.
        """
        self._pending.stage(object() if key is None else key, write)

    async def flush(self) -> int:
        """Commit what was taken since the last flush; when this returns it survives a power cut.

        Returns:
            Readings committed.

        Raises:
            sqlite3.Error: if the medium cannot be written; everything is kept in memory for the next attempt.
        """
        return await _to_the_end(self._flush())

    async def _flush(self) -> int:
        async with self._writing:
            pending, self._pending = self._pending, _Pending()
            pending.minutes += self._minutes.take_done()
            if not pending:
                return 0
            is_committed = False
            try:
                count, total, depth = await self._store.write(lambda connection: self._commit(connection, pending))
                is_committed = True
            finally:
                if not is_committed:  # for whatever reason: a reading is never given up with an error
                    self._pending = pending.followed_by(self._pending)
            self.readings_total, self.depth = total, depth
            if self.depth.used_bytes > self._quota * THIN_ABOVE:
                await self._thin()
        self._committed.set()  # wakes everybody who waits now; later ones wait for the next flush
        self._committed = asyncio.Event()
        return count

    def _commit(self, connection: sqlite3.Connection, pending: _Pending) -> tuple[int, int, Depth]:
        by_boot: dict[int, list[Sample]] = {}
        for boot, sample in pending.samples:
            by_boot.setdefault(boot.boot_id, []).append(sample)
        count, last = 0, self.depth.last_seq
        unstored = pending.unstored + (len(pending.samples) if self._full else 0)
        if unstored:
            _count_unstored(connection, unstored, at_ms=to_ms(self._timeline.now()))
        for boot_id, samples in by_boot.items() if not self._full else ():
            for start in range(0, len(samples), MAX_FLUSH_READINGS):
                row = samples[start : start + MAX_FLUSH_READINGS]
                last = outbox.insert(connection, boot_id, encode(row))
                count += len(row)
        save_newest(connection, pending.newest.values())
        save_minutes(connection, pending.minutes)
        for write in pending.writes.values():
            write(connection)
        total = outbox.counter(connection, outbox.READINGS_TOTAL)
        return count, total, self._depth(connection, change=count, last_seq=last)

    def _depth(self, connection: sqlite3.Connection, *, change: int, last_seq: int | None = None) -> Depth:
        """The depth after a transaction that changed the number of waiting readings; in force once it is committed."""
        acked = outbox.counter(connection, outbox.ACKED_SEQ)
        last = self.depth.last_seq if last_seq is None else last_seq
        readings, used = self.depth.readings + change, outbox.used_bytes(connection)
        return Depth(readings=readings, flushes=last - acked, acked_seq=acked, last_seq=last, used_bytes=used)

    async def _change(self, work: Callable[[sqlite3.Connection], int]) -> int:
        """Run work that returns by how much it changed the number of waiting readings."""
        return await _to_the_end(self._change_now(work))

    async def _change_now(self, work: Callable[[sqlite3.Connection], int]) -> int:

        def with_depth(connection: sqlite3.Connection) -> tuple[int, Depth]:
            change = work(connection)
            return change, self._depth(connection, change=change)

        async with self._writing:
            change, self.depth = await self._store.write(with_depth)
        return change

    async def wait_for_commit(self) -> None:
        """Return when the next flush has committed something."""
        await self._committed.wait()

    async def peek(self, *, max_readings: int, max_bytes: int) -> list[Flush]:
        """The oldest waiting flushes, at least one if any waits, without a hole in their numbers.

        A row that cannot be read is moved to the quarantine table and its number travels empty.
        """
        while True:
            try:
                return await self._store.read(
                    lambda connection: outbox.peek(connection, max_readings=max_readings, max_bytes=max_bytes)
                )
            except outbox.DamagedRowError as error:
                await self.set_aside(error.seq, "payload_damaged")

    async def ack(self, seq: int, *, also: Write | None = None) -> None:
        """Delete what the cloud has committed: every flush up to and including `seq`.

        Args:
            seq: as acknowledged.
            also: written in the same transaction.
        """

        def work(connection: sqlite3.Connection) -> int:
            if also is not None:
                also(connection)
            return -outbox.acknowledge(connection, seq)

        await self._change(work)
        if self.depth.used_bytes < self._quota * THIN_ABOVE:
            self._full = False

    async def set_aside(self, seq: int, reason: str) -> None:
        """Keep a flush that the cloud refuses in the quarantine table, so that the next ones can go."""
        at_ms = to_ms(self._timeline.now())

        def work(connection: sqlite3.Connection) -> int:
            gone = outbox.set_aside(connection, seq, reason)
            record_event(connection, at_ms, "flush_quarantined", {"seq": seq, "readings": gone, "reason": reason})
            return -gone

        await self._change(work)

    async def begin_epoch(self, reason: str) -> None:
        """Number what waits from 1 again, under a new epoch."""
        at_ms = to_ms(self._timeline.now())

        def work(connection: sqlite3.Connection) -> None:
            epoch = outbox.begin_epoch(connection)
            for level in THIN_LEVELS_MS:
                outbox.set_counter(connection, _through(level), 0)
            record_event(connection, at_ms, "epoch_begun", {"epoch": str(epoch), "reason": reason})
            self._load(connection)

        async def begin() -> None:
            async with self._writing:
                await self._store.write(work)

        await _to_the_end(begin())

    async def _thin(self) -> None:
        """Thin the oldest readings until the quota is kept, a step per transaction; nothing is thinned without an event."""
        merged = steps = 0
        while self.depth.used_bytes > self._quota * THIN_DOWN_TO and steps < MAX_THIN_STEPS:
            change, self.depth = await self._store.write(self._thin_step)
            if change is None:
                break
            merged, steps = merged - change, steps + 1
        self._full = self.depth.used_bytes > self._quota
        at_ms = to_ms(self._timeline.now())
        detail = {"readings_merged": merged, "steps": steps, "used_bytes": self.depth.used_bytes, "full": self._full}
        if merged or self._full:
            await self._store.write(lambda connection: record_event(connection, at_ms, "thinned", detail))

    def _thin_step(self, connection: sqlite3.Connection) -> tuple[int | None, Depth]:
        """Thin one stretch at the finest level that has one.

        Returns:
            Change in the number of waiting readings, None if nothing is left to thin; and the depth after it.
        """
        before = self.depth.last_seq - RAW_FLUSHES_KEPT
        for level in THIN_LEVELS_MS:
            through = outbox.counter(connection, _through(level))
            boot_id, rows = outbox.rows_of_one_boot(
                connection, after_seq=through, before_seq=before, max_readings=THIN_READINGS
            )
            if rows:
                change = -outbox.thin_rows(connection, rows, all_boots(connection)[boot_id], bucket_ms=level)
                outbox.set_counter(connection, _through(level), rows[-1][0])
                return change, self._depth(connection, change=change)
            before = through + 1
        return None, self.depth


def _through(level_ms: int) -> str:
    return f"thinned_{level_ms}_through_seq"


def _count_unstored(connection: sqlite3.Connection, count: int, *, at_ms: int) -> None:
    total = outbox.counter(connection, READINGS_UNSTORED) + count
    outbox.set_counter(connection, READINGS_UNSTORED, total)
    if total == count or total // 10_000 != (total - count) // 10_000:
        record_event(connection, at_ms, "readings_unstored", {"total": total})


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await work that a cancellation must not tear apart: a commit happens in another thread and is not called back.

    What has been begun is finished, with its consequences in memory, before the cancellation goes on its way.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.warning("write_failed", extra={"error": str(error)})
        raise
