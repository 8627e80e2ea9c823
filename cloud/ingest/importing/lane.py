"""The one way from imported readings into the tables: the rules and statements of ingest, without what only a live box needs.

An import writes raw rows, the ledger, quarantine and the dirty queue. It does not touch the newest values nor the devices' status: it says
what was, not what is.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.core.bulk import BulkConnection
from cloud.fleet.schemas import EdgeIdentity
from cloud.ingest.columns import SortedBatch, sort_batch
from cloud.ingest.days.repository import late_days, reopen_days
from cloud.ingest.deliveries import dirty_quarters
from cloud.ingest.importing import repository
from cloud.ingest.importing.readings import ImportedReading
from cloud.ingest.repository import ledger, raw
from cloud.ingest.repository.ledger import BatchSpan, Entry
from cloud.ingest.rows import Rows
from cloud.ingest.rules import KnownDevice
from cloud.ingest.schemas import Batch, Stretch
from shared.counters import unix_us


@dataclass(frozen=True, slots=True)
class Portion:
    """Some of a file's readings, written in one transaction.

    Attributes:
        epoch: of the file and its mapping.
        step: counts a file's portions from 1.
    """

    epoch: UUID
    step: int
    readings: Sequence[ImportedReading]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a portion's readings."""

    stored: int = 0
    duplicates: int = 0
    flagged: int = 0
    quarantined: int = 0


async def take(pg: BulkConnection, source: EdgeIdentity, portion: Portion, *, now: datetime) -> Taken:
    """Store a portion, unless it is there already.

    Args:
        pg: a transaction with the site's context.
        source: under which the site's imports stand in the ledger.
        portion: the readings.
        now: the cloud's time.
    """
    await ledger.lock_ledgers(pg, [source.gateway_id])
    if portion.step <= await repository.last_step(pg, source, portion.epoch):
        return Taken(duplicates=len(portion.readings))
    devices = await ledger.known_devices(pg, source.site_id)
    rows, readings = _sorted(source, portion, devices, now)
    days = late_days(rows.moments_us, now=now)
    await reopen_days(pg, source.site_id, days, device_numbers=sorted({*rows.device_numbers}))
    fresh = await raw.insert_missing(pg, rows, received_at=now)
    dirty = dirty_quarters(source, devices, fresh)
    entry = Entry(
        source,
        BatchSpan(portion.epoch, portion.step, portion.step),
        stored=len(fresh),
        duplicates=len(readings) - len(fresh),
        flagged=sum(1 for row in fresh if row.quality),
        rejected=len(readings.rejected),
    )
    await ledger.file(pg, [entry], dirty, received_at=now)
    if readings.rejected:
        await ledger.quarantine(pg, source, readings.rejected, epoch=portion.epoch, received_at=now)
    return Taken(entry.stored, entry.duplicates, entry.flagged, entry.rejected)


async def judge(pg: BulkConnection, source: EdgeIdentity, portion: Portion, *, now: datetime) -> Taken:
    """Say what the rules make of a portion, and write nothing; what is there already counts as `stored`."""
    devices = await ledger.known_devices(pg, source.site_id)
    _, readings = _sorted(source, portion, devices, now)
    return Taken(stored=len(readings), flagged=readings.flagged, quarantined=len(readings.rejected))


def _sorted(
    source: EdgeIdentity, portion: Portion, devices: Mapping[UUID, KnownDevice], now: datetime
) -> tuple[Rows, SortedBatch]:
    batch = Batch(portion.epoch, portion.step, portion.step, _stretches(portion))
    rows = Rows()
    readings = sort_batch(batch, devices, site_id=source.site_id, now=now, into=rows)
    rows.fill()
    return rows, readings


def _stretches(portion: Portion) -> list[Stretch]:
    """The readings of each device with the same metrics, column by column."""
    alike: dict[tuple[UUID, tuple[str, ...]], list[ImportedReading]] = defaultdict(list)
    for reading in portion.readings:
        alike[reading.device_id, tuple(reading.values)].append(reading)
    return [
        Stretch(
            device_id=device_id,
            seqs=[portion.step] * len(readings),
            moments_us=[unix_us(reading.at) for reading in readings],
            quality=[0] * len(readings),
            values={key: [reading.values[key] for reading in readings] for key in keys},
        )
        for (device_id, keys), readings in alike.items()
    ]
