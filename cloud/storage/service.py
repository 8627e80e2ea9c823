"""Packing closed days, archiving what has outlived its class, and bringing it back.

Each step is one transaction: a file is written and read back before the rows that it holds are deleted, and what is killed half-way has
changed nothing, or is done again by the next run.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from cloud.accounts.schemas import OrganizationSettings, Retention
from cloud.core.bulk import BulkConnection
from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.core.errors import NotFoundError
from cloud.core.files import Files
from cloud.core.log import get_logger
from cloud.ingest.days import repository as packing
from cloud.ingest.days.repository import DeviceDay
from cloud.storage import rules
from cloud.storage.render import from_parquet, to_parquet
from cloud.storage.repository import catalogue, rows
from cloud.storage.repository.catalogue import Catalogued
from cloud.storage.rules import LAYOUT, FileColumn, Kind, Span, span_of
from cloud.telemetry.service.recompute import BackwardsPeriodError, UnknownSiteError
from shared.errors import SolarHubError

_log = get_logger(__name__)

RESTORED_FOR = timedelta(days=7)
"""What somebody asked for stays in the database so long before retention looks at it again."""

RECALLED_FOR = timedelta(hours=1)
"""What a roll-up needed may go again as soon as nothing near it waits."""

SPANS_PER_ROUND = 500
DEVICE_DAYS_PER_ROUND = 5_000
RECALLS_PER_ROUND = 200


class ArchiveDamagedError(SolarHubError):
    """A file in the store is missing, or is not the one that was written; the rows cannot be brought back from it."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What has been archived or restored.

    Attributes:
        files: files written or read.
        rows: rows in them.
        size_bytes: of the files.
    """

    files: int = 0
    rows: int = 0
    size_bytes: int = 0

    def and_all(self, entries: Iterable[Catalogued]) -> "Moved":
        """More files."""
        moved = self
        for entry in entries:
            moved = Moved(moved.files + 1, moved.rows + entry.rows, moved.size_bytes + entry.size_bytes)
        return moved


async def pack_closed_days(db: Database, *, before: date, now: datetime, limit: int = DEVICE_DAYS_PER_ROUND) -> int:
    """Pack every device's days before a day; each device-day is a transaction of its own.

    Returns:
        Device-days packed.
    """
    packed = 0
    while True:
        async with db.transaction(SYSTEM) as conn:
            due = await packing.days_to_pack(await asyncpg_of(conn), before=before, limit=limit)
        if not due:
            return packed
        for which in due:
            async with db.transaction(SYSTEM) as conn:
                pg = await asyncpg_of(conn)
                await packing.lock_day(pg, which.site_id, which.day)
                await packing.pack_day(pg, which, now=now)
            packed += 1


async def clear_partitions(db: Database, table: str, *, before: date, gone_before: date) -> int:
    """Give back the space of a table's emptied partitions that begin before a day; those before `gone_before` go altogether.

    Returns:
        Partitions cleared.
    """
    cleared = 0
    async with db.transaction(SYSTEM) as conn:
        firsts = await catalogue.oldest_partitions(await asyncpg_of(conn), table, before=before)
    for first in firsts:
        async with db.transaction(SYSTEM) as conn:
            pg = await asyncpg_of(conn)
            cleared += await catalogue.clear_partition(pg, table, first, for_good=first < gone_before)
    return cleared


async def enforce_retention(db: Database, files: Files, *, now: datetime) -> Moved:
    """Archive and drop what has outlived its organisation's classes; what cannot be archived stays, and holds nothing else up."""
    moved = Moved()
    async with db.transaction(SYSTEM) as conn:
        organizations = await catalogue.organizations(await asyncpg_of(conn))
    for organization_id, settings in organizations:
        retention = retention_of(settings)
        for kind in Kind:
            before = rules.first_kept(retention, kind, now.date())
            moved = moved.and_all(await _archive_due(db, files, organization_id, kind, before=before, now=now))
    return moved


async def _archive_due(
    db: Database, files: Files, organization_id: UUID, kind: Kind, *, before: date, now: datetime
) -> list[Catalogued]:
    written: list[Catalogued] = []
    failed: set[Span] = set()
    while True:
        async with db.transaction(SYSTEM) as conn:
            pg = await asyncpg_of(conn)
            due = await catalogue.due(
                pg, organization_id, kind, before=before, now=now, limit=SPANS_PER_ROUND + len(failed)
            )
        spans = [span_of(site_id, organization_id, kind, first_day) for site_id, first_day in due]
        left = [span for span in spans if span not in failed]
        if not left:
            return written
        for span in left:
            try:
                entry = await archive_span(db, files, span, now=now)
            except (ArchiveDamagedError, packing.PackingError) as error:
                _log.error("archiving_failed", site_id=str(span.site_id), day=str(span.first_day), error=str(error))
                entry = None
            if entry is None:
                failed.add(span)
            else:
                written.append(entry)


def retention_of(settings: Mapping[str, Any] | str) -> Retention:
    """The classes in an organisation's settings."""
    if isinstance(settings, str):
        return OrganizationSettings.model_validate_json(settings).retention
    return OrganizationSettings.model_validate(settings).retention


async def archive_days(
    db: Database, files: Files, site_id: UUID, *, first: date, last: date, now: datetime, keep: bool = False
) -> Moved:
    """Archive the readings of a site's UTC days, both included; days that are away already stay as they are.

    Args:
        db: the database.
        files: where the files go.
        site_id: the site.
        first: first day.
        last: last day.
        now: the present moment.
        keep: leave the readings in the database as well.

    Raises:
        BackwardsPeriodError: if `last` is before `first`.
        UnknownSiteError: if the site does not exist.
    """
    _check_period(first, last)
    organization_id = await _organization_of(db, site_id)
    async with db.transaction(SYSTEM) as conn:
        days = await catalogue.raw_days_of(await asyncpg_of(conn), site_id, first=first, last=last)
    moved = Moved()
    for day in days:
        span = span_of(site_id, organization_id, Kind.RAW, day)
        entry = await archive_span(db, files, span, now=now, keep=keep)
        moved = moved if entry is None else moved.and_all([entry])
    return moved


async def restore_days(db: Database, files: Files, site_id: UUID, *, first: date, last: date, now: datetime) -> Moved:
    """Bring back everything of a site's UTC days that is away: readings, quarter-hours and hours.

    Raises:
        BackwardsPeriodError: if `last` is before `first`.
        UnknownSiteError: if the site does not exist.
        ArchiveDamagedError: if a file is missing or not the one that was written.
    """
    _check_period(first, last)
    await _organization_of(db, site_id)
    async with db.transaction(SYSTEM) as conn:
        found = await catalogue.entries(await asyncpg_of(conn), site_id, first=first, last=last)
    moved = Moved()
    for entry in found:
        if await restore_span(db, files, entry.span, now=now, keep_until=now + RESTORED_FOR):
            moved = moved.and_all([entry])
    return moved


async def archive_span(
    db: Database, files: Files, span: Span, *, now: datetime, keep: bool = False
) -> Catalogued | None:
    """Write a span's file, read it back, and only then delete the rows.

    Returns:
        The catalogue's entry; None if there was nothing in the database.
    """
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        await _lock(pg, span)
        former = await _entry(pg, span)
        if former is not None and former.is_away and await _has_rows(pg, span):
            await _put_back(pg, span, await _content(files, former), now=now)
        columns = await _collect(pg, span, now=now)
        count = len(next(iter(columns.values())).values)
        if count == 0:
            return None
        entry = await _write(files, span, columns, rows_in=count, is_away=not keep)
        await catalogue.enter(pg, entry, now=now)
        if not keep:
            dropped = await (rows.drop_raw(pg, span) if span.kind is Kind.RAW else rows.drop_rollup(pg, span))
            if dropped != count:
                raise packing.PackingError(
                    f"{span.kind.value} of site {span.site_id} from {span.first_day}: {count} rows were archived, but {dropped} were"
                    " there to be dropped; nothing was changed, it will be tried again"
                )
    if former is not None and former.path != entry.path:
        await files.delete(former.path)
    _log.info("archived", site_id=str(span.site_id), kind=span.kind.value, day=str(span.first_day), rows=count)
    return entry


async def restore_span(db: Database, files: Files, span: Span, *, now: datetime, keep_until: datetime) -> bool:
    """Bring a span's rows back; False if they are not away.

    Raises:
        ArchiveDamagedError: if the file is missing or not the one that was written.
    """
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        await _lock(pg, span)
        entry = await _entry(pg, span)
        if entry is None or not entry.is_away:
            return False
        await _put_back(pg, span, await _content(files, entry), now=now)
        await catalogue.came_back(pg, span, keep_until=keep_until)
    _log.info("restored", site_id=str(span.site_id), kind=span.kind.value, day=str(span.first_day), rows=entry.rows)
    return True


async def serve_recalls(db: Database, files: Files, *, now: datetime, limit: int = RECALLS_PER_ROUND) -> int:
    """Bring back what waiting roll-ups need. A damaged file keeps its own marks waiting and nobody else's.

    Returns:
        Recalls served.
    """
    served = 0
    async with db.transaction(SYSTEM) as conn:
        wanted = await catalogue.recalls(await asyncpg_of(conn), limit=limit)
    for site_id, kind, first_day in wanted:
        organization_id = await _organization_of(db, site_id)
        span = span_of(site_id, organization_id, kind, first_day)
        try:
            await restore_span(db, files, span, now=now, keep_until=now + RECALLED_FOR)
        except ArchiveDamagedError as error:
            _log.error("recall_failed", site_id=str(site_id), day=str(first_day), error=str(error))
            continue
        async with db.transaction(SYSTEM) as conn:
            await catalogue.recall_done(await asyncpg_of(conn), site_id, kind, first_day)
        served += 1
    return served


def _check_period(first: date, last: date) -> None:
    if last < first:
        raise BackwardsPeriodError(f"the period from {first} to {last} ends before it begins; swap the two dates")


async def _organization_of(db: Database, site_id: UUID) -> UUID:
    async with db.transaction(SYSTEM) as conn:
        found = await catalogue.organization_of(await asyncpg_of(conn), site_id)
    if found is None:
        raise UnknownSiteError(f"site {site_id} does not exist; `GET /api/v1/sites` lists the ids")
    return found


async def _lock(pg: BulkConnection, span: Span) -> None:
    """Nobody rolls this site up, and no reading is added to the day, until the transaction ends."""
    await catalogue.lock_rollups(pg, span.site_id)
    if span.kind is Kind.RAW:
        await packing.lock_day(pg, span.site_id, span.first_day)


async def _entry(pg: BulkConnection, span: Span) -> Catalogued | None:
    found = await catalogue.entries(pg, span.site_id, first=span.first_day, last=span.first_day, kinds=(span.kind,))
    return found[0] if found else None


async def _has_rows(pg: BulkConnection, span: Span) -> bool:
    if span.kind is Kind.RAW:
        return bool(await catalogue.raw_days_of(pg, span.site_id, first=span.first_day, last=span.last_day))
    columns = await rows.rollup_columns(pg, span)
    return any(column.values for column in columns.values())


async def _collect(pg: BulkConnection, span: Span, *, now: datetime) -> dict[str, FileColumn]:
    if span.kind is not Kind.RAW:
        return await rows.rollup_columns(pg, span)
    await _pack(pg, span, await catalogue.devices_with_rows(pg, span), now=now)
    return await rows.raw_columns(pg, span)


async def _pack(pg: BulkConnection, span: Span, numbers: Sequence[int], *, now: datetime) -> None:
    for number in numbers:
        await packing.pack_day(pg, DeviceDay(span.site_id, span.organization_id, number, span.first_day), now=now)


async def _write(
    files: Files, span: Span, columns: Mapping[str, FileColumn], *, rows_in: int, is_away: bool
) -> Catalogued:
    about = {
        "layout": str(LAYOUT),
        "kind": span.kind.value,
        "site_id": str(span.site_id),
        "first_day": str(span.first_day),
        "last_day": str(span.last_day),
    }
    content = await asyncio.to_thread(to_parquet, columns, about=about)
    stored = await files.put(rules.path_of(span, hashlib.sha256(content).hexdigest()), content)
    entry = Catalogued(span, stored.path, stored.sha256, stored.size_bytes, rows_in, LAYOUT, is_away)
    await _content(files, entry)
    return entry


async def _content(files: Files, entry: Catalogued) -> bytes:
    """A file that is what it was when it was written."""
    try:
        content = await files.get(entry.path)
    except NotFoundError as error:
        raise ArchiveDamagedError(
            f"{entry.path} is not in the file store; put it back from a backup of SOLARHUB_FILES_DIR (sha256 {entry.sha256})"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise ArchiveDamagedError(
            f"{entry.path} has sha256 {found}, but {entry.sha256} was written; put it back from a backup of SOLARHUB_FILES_DIR"
        )
    if entry.layout > LAYOUT:
        raise ArchiveDamagedError(
            f"{entry.path} has layout {entry.layout}, and this program knows layouts up to {LAYOUT}; upgrade Solar Hub first"
        )
    return content


async def _put_back(pg: BulkConnection, span: Span, content: bytes, *, now: datetime) -> None:
    columns = await asyncio.to_thread(from_parquet, content)
    if span.kind is not Kind.RAW:
        await rows.put_back_rollup(pg, span, columns)
        return
    # What came late since is rows or packed; together with the file's readings it is packed again.
    await packing.open_day(pg, span.site_id, span.first_day)
    await rows.put_back_raw(pg, span, columns)
    await _pack(pg, span, await catalogue.devices_with_rows(pg, span), now=now)
