"""Importing files: portion by portion, each in a transaction of its own, so that an import that was cut off goes on where it stopped.

A file is known by its content, the mapping and the devices that are meant: `epoch` is made of them, and the ledger says which of its
portions are committed. The same file a second time therefore writes nothing at all; with another mapping it is another import, in which
readings that are there already stay as they are.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from cloud.core.bulk import BulkLane
from cloud.core.crypto import new_token, token_hash
from cloud.core.db import SYSTEM, Database, ensure_partitions
from cloud.fleet.schemas import EdgeIdentity
from cloud.ingest.importing import lane, repository
from cloud.ingest.importing.devices import Devices
from cloud.ingest.importing.errors import ImportRefusedError
from cloud.ingest.importing.lane import Portion, Taken
from cloud.ingest.importing.mapping import ImportMapping
from cloud.ingest.importing.readings import ImportedReading, check_columns, read_steps
from cloud.ingest.importing.rejects import Rejects
from cloud.ingest.importing.repository import COLLIDED, ImportSite
from cloud.ingest.importing.table import Table, content_hash
from cloud.ingest.rules import quarantine_reason

PORTION_READINGS = 2_000
"""Part of what a file's epoch is made of, since it decides what a portion is."""

_READER_VERSION = 1
"""Grows when the same file and mapping would give other readings."""

_ATTEMPTS = 5
_PROGRESS_EVERY_S = 5.0
_PROGRESS_ROWS = 1_000
_TOKEN_BYTES = 32
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What somebody asks for.

    Attributes:
        rejects: where rows go that cannot be read.
        dry_run: read and judge everything, write nothing but the rejects.
        keep_early: store readings from before their device was commissioned, flagged and outside energy.
    """

    site_id: UUID
    mapping: ImportMapping
    files: tuple[Path, ...]
    rejects: Path
    dry_run: bool = False
    keep_early: bool = False


@dataclass(slots=True)
class ImportSummary:
    """What came of it.

    Attributes:
        rows: rows read, headings left out.
        ignored: rows that the mapping leaves out.
        rejected: rows that could not be read.
        readings: made of the other rows.
        stored: readings new in the database; of a dry run those that the rules would take.
        duplicates: readings of moments for which the device has one already.
        flagged: stored readings with a quality flag.
        quarantined: readings whose time is impossible.
        waiting_quarter_hours: of the site that workers will compute.
    """

    dry_run: bool
    files: int = 0
    rows: int = 0
    ignored: int = 0
    rejected: int = 0
    readings: int = 0
    stored: int = 0
    duplicates: int = 0
    flagged: int = 0
    quarantined: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    waiting_quarter_hours: int = 0
    rejects_file: str | None = None

    def add(self, readings: Sequence[ImportedReading], taken: Taken) -> None:
        """Count a portion."""
        self.readings += len(readings)
        self.stored += taken.stored
        self.duplicates += taken.duplicates
        self.flagged += taken.flagged
        self.quarantined += taken.quarantined
        moments = [reading.at for reading in readings]
        self.first_at = min([*moments, *([self.first_at] if self.first_at else [])])
        self.last_at = max([*moments, *([self.last_at] if self.last_at else [])])

    def to_text(self) -> str:
        """For people, in a few lines."""
        first, last = (at.isoformat() if at else "-" for at in (self.first_at, self.last_at))
        stored = "would be stored" if self.dry_run else "stored"
        lines = [
            f"{self.files} files, {self.rows} rows: {self.readings} readings from {first} to {last}",
            f"{self.stored} {stored} ({self.flagged} flagged), {self.duplicates} there already, {self.quarantined} quarantined",
            f"{self.rejected} rows rejected" + (f", see {self.rejects_file}" if self.rejects_file else ""),
        ]
        if self.ignored:
            lines.append(f"{self.ignored} rows left out, as the mapping says")
        if self.waiting_quarter_hours:
            lines.append(f"{self.waiting_quarter_hours} quarter-hours wait for the workers to compute their energy")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """For a machine."""
        moments = {"first_at": self.first_at, "last_at": self.last_at}
        return asdict(self) | {name: at.isoformat() if at else None for name, at in moments.items()}


async def import_files(
    db: Database,
    bulk: BulkLane,
    request: ImportRequest,
    *,
    clock: Callable[[], datetime],
    tell: Callable[[str], None],
) -> ImportSummary:
    """Import files into a site.

    Args:
        db: for the site's facts and partitions.
        bulk: for the readings.
        request: what is asked for.
        clock: the present moment, aware, UTC.
        tell: shown to whoever waits, a line at a time.

    Raises:
        ImportRefusedError: if a file, the mapping or the site does not fit; portions before are committed, and the same command goes on
            behind them.
    """
    if request.rejects.resolve() in {path.resolve() for path in request.files}:
        raise ImportRefusedError(
            f"the rejects {str(request.rejects)!r} are one of the files to import, which would be overwritten; name others with --rejects"
        )
    async with db.transaction(SYSTEM) as conn:
        site = await repository.import_site(conn, request.site_id)
    if site is None:
        raise ImportRefusedError(
            f"site {request.site_id} does not exist; its id stands in the address of the site's page"
        )
    devices = Devices(site.devices)
    for path in request.files:
        with Table(path, request.mapping.file) as table:
            check_columns(table, request.mapping, devices)
    run = _Run(db, bulk, request, site, devices, clock=clock, tell=tell)
    with Rejects(request.rejects, request.mapping.file) as rejects:
        await run.begin()
        for path in request.files:
            await run.take_file(path, rejects)
    return await run.finish(rejects)


@dataclass(slots=True)
class _Progress:
    """Says now and then how far a file has been read."""

    tell: Callable[[str], None]
    rows: int = 0
    told_at: float = field(default_factory=time.monotonic)

    def note(self, table: Table) -> None:
        self.rows += 1
        if self.rows % _PROGRESS_ROWS == 0 and time.monotonic() - self.told_at >= _PROGRESS_EVERY_S:
            self.told_at = time.monotonic()
            percent = 100 * table.position_bytes // max(1, table.size_bytes)
            self.tell(f"{table.path.name}: {self.rows} rows, {percent} %")


class _Run:
    """One import while it goes on."""

    def __init__(
        self,
        db: Database,
        bulk: BulkLane,
        request: ImportRequest,
        site: ImportSite,
        devices: Devices,
        *,
        clock: Callable[[], datetime],
        tell: Callable[[str], None],
    ) -> None:
        self._db = db
        self._bulk = bulk
        self._request = request
        self._devices = devices
        self._clock = clock
        self._tell = tell
        self._source = EdgeIdentity(uuid5(site.id, "imported files"), site.id, site.organization_id, plan_revision=0)
        self._days_made: set[date] = set()
        self._summary = ImportSummary(dry_run=request.dry_run)

    async def begin(self) -> None:
        if not self._request.dry_run:
            async with self._db.transaction(self._source.context) as conn:
                secret = token_hash(new_token(_TOKEN_BYTES))
                await repository.ensure_source(conn, self._source, credential_hash=secret)

    async def take_file(self, path: Path, rejects: Rejects) -> None:
        mapping, summary = self._request.mapping, self._summary
        epoch = file_epoch(self._source.gateway_id, content_hash(path), mapping, self._devices)
        progress, step, waiting = _Progress(self._tell), 0, list[ImportedReading]()
        with Table(path, mapping.file) as table:
            for read in read_steps(table, mapping, self._devices):
                progress.note(table)
                summary.rows += read.rows
                summary.ignored += read.ignored
                if read.rejected:
                    rejects.add(read.rejected, file=path, heading=table.heading)
                waiting += read.readings
                while len(waiting) >= PORTION_READINGS:
                    step += 1
                    await self._take(path, Portion(epoch, step, waiting[:PORTION_READINGS]))
                    waiting = waiting[PORTION_READINGS:]
        if waiting:
            await self._take(path, Portion(epoch, step + 1, waiting))
        summary.files += 1
        self._tell(f"{path.name}: read to its end")

    async def finish(self, rejects: Rejects) -> ImportSummary:
        self._summary.rejected = rejects.count
        self._summary.rejects_file = str(rejects.path) if rejects.count else None
        if not self._request.dry_run:
            async with self._db.transaction(self._source.context) as conn:
                self._summary.waiting_quarter_hours = await repository.waiting_quarter_hours(conn, self._source.site_id)
        return self._summary

    async def _take(self, path: Path, portion: Portion) -> None:
        now = self._clock()
        self._check_not_early(path, portion, now)
        if self._request.dry_run:
            async with self._bulk.transaction(self._source.context) as pg:
                taken = await lane.judge(pg, self._source, portion, now=now)
        else:
            await self._make_partitions(portion, now)
            taken = await self._write(portion, now)
        self._summary.add(portion.readings, taken)

    async def _write(self, portion: Portion, now: datetime) -> Taken:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._write_once(portion, now)
            except COLLIDED as error:
                self._tell(f"tried again, as another writer was in the way: {error}")
        return await self._write_once(portion, now)

    async def _write_once(self, portion: Portion, now: datetime) -> Taken:
        async with self._bulk.transaction(self._source.context) as pg:
            return await lane.take(pg, self._source, portion, now=now)

    def _check_not_early(self, path: Path, portion: Portion, now: datetime) -> None:
        if self._request.keep_early:
            return
        for reading in portion.readings:
            device = self._devices.of_id(reading.device_id)
            possible = quarantine_reason(reading.at, known=True, now=now) is None
            if possible and reading.at < device.commissioned_at:
                raise ImportRefusedError(
                    f"line {reading.line} of {str(path)!r} is of {reading.at.isoformat()}, before the device {device.name!r} was"
                    f" commissioned ({device.commissioned_at.isoformat()}): it would never count as energy. Set the device's"
                    " commissioned_at to the day on which it was installed and run the same command again, or keep such"
                    " readings outside energy with --keep-early"
                )

    async def _make_partitions(self, portion: Portion, now: datetime) -> None:
        """Make the days' partitions that are missing, in a transaction of its own: it must not wait for that of the readings."""
        possible = {
            reading.at.date()
            for reading in portion.readings
            if quarantine_reason(reading.at, known=True, now=now) is None
        }
        for first, last in _runs(possible - self._days_made):
            async with self._db.transaction(self._source.context) as conn:
                await ensure_partitions(conn, "telemetry_readings", first=first, last=last)
        self._days_made |= possible


def _runs(days: Iterable[date]) -> list[tuple[date, date]]:
    """First and last of each row of days without a hole; a portion is too small to hold more than the database makes at once."""
    runs: list[tuple[date, date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][1] == _DAY and (day - runs[-1][0]).days < 365:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def file_epoch(source_id: UUID, content: bytes, mapping: ImportMapping, devices: Devices) -> UUID:
    """What a file is known by in the ledger: the same content, mapping and devices are the same import.

    Args:
        source_id: under which the site's imports stand.
        content: hash of the file.
        mapping: how it is read.
        devices: of the site: where a name may mean another device than before, it is another import.
    """
    meant = sorted((ref, str(devices.find(ref).id)) for ref in mapping.device_refs)
    if mapping.device and mapping.device.column:
        meant += devices.names
    form = [_READER_VERSION, PORTION_READINGS, mapping.model_dump(mode="json"), meant]
    digest = hashlib.sha256(content + json.dumps(form, sort_keys=True).encode())
    return uuid5(source_id, digest.hexdigest())
