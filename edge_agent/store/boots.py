"""When things happened: readings carry the boot's monotonic time, and one row per boot says which UTC time that is.

A box without a battery-backed clock starts in the past. Its readings are right in relation to each other from the first second on;
once a trusted clock says what time it is, one row is changed and every reading of the boot that has not been sent is dated anew.
"""

import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime

from edge_agent.clock import (
    Clock,
    VirtualClock,
    boot_identity,
    from_ms,
    is_synchronised,
    monotonic_ms,
    to_ms,
    wall_offset_ms,
)
from edge_agent.store.file import StoreFile
from shared.enums import TimeQuality

STEP_MS = 1000
"""A difference between wall clock and time line beyond this is a step, not drift."""

CLOUD_DOUBT_MS = 5000
"""The cloud's time is worth this much against a clock that was once synced."""

VOUCHED_FOR_MS = 3_600_000
"""How long a clock counts as synced after it was last vouched for."""

SLOWEST_ROUND_TRIP_MS = 2000
"""A cloud answer that took longer dates nothing: half of it is the error."""


SLOWEST_FIRST_ROUND_TRIP_MS = 10_000
"""Where nothing is known of the time, a few seconds of error are better than years."""


@dataclass(frozen=True, slots=True)
class Boot:
    """A stretch of monotonic time with one mapping to UTC."""

    boot_id: int
    identity: str
    offset_ms: int
    time_quality: TimeQuality

    def date(self, mono_ms: int) -> datetime:
        """UTC moment of a monotonic one."""
        return from_ms(self.offset_ms + mono_ms)


def _boot(row: tuple[int, str, int, str]) -> Boot:
    return Boot(boot_id=row[0], identity=row[1], offset_ms=row[2], time_quality=TimeQuality(row[3]))


def all_boots(connection: sqlite3.Connection) -> dict[int, Boot]:
    """Every boot that the store knows."""
    rows = connection.execute("SELECT boot_id, identity, offset_ms, time_quality FROM boots")
    return {row[0]: _boot(row) for row in rows}


def save_boot(connection: sqlite3.Connection, boot: Boot) -> None:
    """Insert or re-date one boot."""
    connection.execute(
        "INSERT INTO boots (boot_id, identity, offset_ms, time_quality) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (boot_id) DO UPDATE SET offset_ms = excluded.offset_ms, time_quality = excluded.time_quality",
        (boot.boot_id, boot.identity, boot.offset_ms, boot.time_quality.value),
    )


def _begin(connection: sqlite3.Connection, identity: str, offset_ms: int, quality: TimeQuality) -> Boot:
    cursor = connection.execute(
        "INSERT INTO boots (identity, offset_ms, time_quality) VALUES (?, ?, ?)", (identity, offset_ms, quality.value)
    )
    return Boot(cursor.lastrowid or 0, identity, offset_ms, quality)


def forget_unused_boots(connection: sqlite3.Connection, *, keep: int) -> None:
    """Delete boots of which no reading waits any more, except `keep`."""
    connection.execute(
        "DELETE FROM boots WHERE boot_id <> ? AND boot_id NOT IN (SELECT boot_id FROM outbox)"
        " AND boot_id NOT IN (SELECT boot_id FROM quarantine)",
        (keep,),
    )


class Timeline:
    """The current boot, and what it takes to believe a clock.

    Attributes:
        boot: the mapping in force for new readings.
    """

    def __init__(self, store: StoreFile, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._identity = boot_identity(clock)
        self._takes_cloud_time = not isinstance(clock, VirtualClock)  # the cloud keeps real time
        self._vouched_ms: int | None = None
        synced = is_synchronised(clock)
        measured = wall_offset_ms(clock)
        self.boot = store.write_now(lambda connection: self._resume(connection, measured, synced=synced))
        store.on_rebuilt(lambda connection: save_boot(connection, self.boot))

    def now(self) -> datetime:
        """Best known UTC time; unlike the wall clock it does not jump because somebody set it."""
        return self.boot.date(monotonic_ms(self._clock))

    @property
    def is_trusted(self) -> bool:
        """Whether readings may be sent without being dated anew first."""
        return self.boot.time_quality is not TimeQuality.UNKNOWN

    def _resume(self, connection: sqlite3.Connection, measured: int, *, synced: bool) -> Boot:
        row = connection.execute(
            "SELECT boot_id, identity, offset_ms, time_quality FROM boots WHERE identity = ? ORDER BY boot_id DESC LIMIT 1",
            (self._identity,),
        ).fetchone()
        boot = _boot(row) if row else None
        if boot is None:
            boot = _begin(connection, self._identity, measured, TimeQuality.SYNCED if synced else TimeQuality.UNKNOWN)
        forget_unused_boots(connection, keep=boot.boot_id)
        return boot

    async def check_wall_clock(self) -> str | None:
        """Compare with the operating system's clock.

        Returns:
            What changed (`redated`, `stepped`, `synced`, `held`), or None.
        """
        return await self._judge(wall_offset_ms(self._clock), synced=is_synchronised(self._clock))

    async def _judge(self, measured: int, *, synced: bool) -> str | None:
        boot = self.boot
        if synced:
            self._vouched_ms = monotonic_ms(self._clock)
        moved = abs(measured - boot.offset_ms) > STEP_MS
        match boot.time_quality, synced:
            case TimeQuality.UNKNOWN, True:
                return await self._redate(measured, TimeQuality.SYNCED)
            case TimeQuality.UNKNOWN, False:
                # Nobody vouches for either clock; the newer setting is more likely somebody's correction.
                return await self._redate(measured, TimeQuality.UNKNOWN) if moved else None
            case _, True if moved:
                return await self._begin_segment(measured)
            case TimeQuality.HELD, True:
                return await self._save(replace(boot, time_quality=TimeQuality.SYNCED), "synced")
            case TimeQuality.SYNCED, False if not self._was_vouched_lately():
                return await self._save(replace(boot, time_quality=TimeQuality.HELD), "held")
            case _:
                return None  # an unvouched change of the wall clock does not move a time line that was once right

    async def hear_cloud(self, server_time: datetime, *, asked_mono_ms: int, answered_mono_ms: int) -> str | None:
        """Compare with the time in a cloud answer; used where the operating system vouches for nothing.

        Returns:
            What changed (`redated`, `stepped`, `synced`), or None.
        """
        limit_ms = SLOWEST_ROUND_TRIP_MS if self.is_trusted else SLOWEST_FIRST_ROUND_TRIP_MS
        if not self._takes_cloud_time or answered_mono_ms - asked_mono_ms > limit_ms:
            return None
        measured = to_ms(server_time) - (asked_mono_ms + answered_mono_ms) // 2
        difference = abs(measured - self.boot.offset_ms)
        if difference <= CLOUD_DOUBT_MS:
            self._vouched_ms = answered_mono_ms
        match self.boot.time_quality:
            case TimeQuality.UNKNOWN:
                self._vouched_ms = answered_mono_ms
                return await self._redate(measured if difference > STEP_MS else self.boot.offset_ms, TimeQuality.SYNCED)
            case TimeQuality.HELD if difference > CLOUD_DOUBT_MS:
                return await self._begin_segment(measured)
            case TimeQuality.HELD:
                return await self._save(replace(self.boot, time_quality=TimeQuality.SYNCED), "synced")
            case _:
                return None

    def _was_vouched_lately(self) -> bool:
        return self._vouched_ms is not None and monotonic_ms(self._clock) - self._vouched_ms < VOUCHED_FOR_MS

    async def _redate(self, offset_ms: int, quality: TimeQuality) -> str:
        return await self._save(replace(self.boot, offset_ms=offset_ms, time_quality=quality), "redated")

    async def _save(self, boot: Boot, what: str) -> str:
        await self._store.write(lambda connection: save_boot(connection, boot))
        self.boot = boot
        return what

    async def _begin_segment(self, offset_ms: int) -> str:
        """Date what follows by the new mapping; what was measured under the old one was dated by a clock trusted then."""
        self.boot = await self._store.write(
            lambda connection: _begin(connection, self._identity, offset_ms, TimeQuality.SYNCED)
        )
        return "stepped"
