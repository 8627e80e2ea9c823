"""A batch becomes rows, a snapshot, a ledger entry and dirty buckets, in the one transaction that it is given."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.errors import ConflictError
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.service import CredentialInvalidError
from cloud.ingest import repository
from cloud.ingest.repository import LedgerEntry, LedgerState
from cloud.ingest.rules import (
    KnownDevice,
    Quarantined,
    RawRow,
    SequenceStep,
    SequenceVerdict,
    Snapshot,
    dirty_buckets,
    newest,
    quarantine_reason,
    raw_row,
    sequence_step,
    snapshot_of,
)
from cloud.ingest.schemas import Batch, Block, Flush
from shared.enums import Quality, TimeQuality
from shared.readings import Value
from shared.wire import BatchAck, NewestReading, RejectedReading


class SequenceGapError(ConflictError):
    """Flushes before this batch have not arrived; send from `expected_seq` on."""

    code = "sequence_gap"


class EpochSupersededError(ConflictError):
    """This gateway has gone on with another store: two boxes share one identity, or an old card image was put back."""

    code = "epoch_superseded"


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came of a batch.

    Attributes:
        ack: the answer.
        wrote: False for a repeat, which changes nothing.
    """

    ack: BatchAck
    wrote: bool


@dataclass(frozen=True, slots=True)
class _Arriving:
    """One reading of a batch, taken out of its columns."""

    flush: Flush
    block: Block
    index: int
    device: KnownDevice | None
    at: datetime | None

    @property
    def values(self) -> dict[str, Value]:
        return {key: column[self.index] for key, column in self.block.values.items()}

    @property
    def quality(self) -> Quality:
        flags = Quality(self.block.quality[self.index] & _KNOWN_BITS)
        uncertain = self.flush.time_quality is TimeQuality.UNKNOWN
        return flags | (Quality.TIME_UNCERTAIN if uncertain else Quality.GOOD)


_KNOWN_BITS = int(~Quality.GOOD)


async def take_batch(conn: AsyncConnection, edge: EdgeIdentity, batch: Batch, *, now: datetime) -> Arrived:
    """Store a batch; the acknowledgement is true once the transaction is committed.

    Raises:
        SequenceGapError: if flushes are missing before it.
        EpochSupersededError: if it comes from a store that the gateway has left.
        CredentialInvalidError: if the gateway was revoked a moment ago.
    """
    ledger = await repository.lock_ledger(conn, edge.gateway_id)
    step = _step(batch, ledger)
    if step.verdict is SequenceVerdict.REPEAT:
        ack = BatchAck(acked_seq=step.acked_seq, stored=0, duplicates=batch.reading_count, flagged=0, server_time=now)
        return Arrived(ack, wrote=False)
    devices = await repository.known_devices(conn, edge.site_id)
    fresh = [flush for flush in batch.flushes if flush.seq > step.acked_seq]
    rows: list[RawRow] = []
    rejected: list[Quarantined] = []
    snapshots: list[Snapshot] = []
    for reading in _readings(fresh, devices):
        _sort(reading, now, rows=rows, rejected=rejected, snapshots=snapshots)
    new = await _write(conn, edge, rows, snapshots, now)
    if rejected:
        await repository.quarantine(conn, edge, rejected, epoch=batch.epoch, received_at=now)
    flagged = sum(bool(row.quality) for row in rows if (row.device_id, row.at) in new)
    entry = LedgerEntry(fresh[0].seq, batch.last_seq, len(new), len(rows) - len(new), flagged, len(rejected))
    await repository.advance_ledger(conn, edge, entry, epoch=batch.epoch, received_at=now)
    return Arrived(_ack(entry, rejected, now), wrote=True)


async def take_newest(
    conn: AsyncConnection, edge: EdgeIdentity, readings: Iterable[NewestReading], *, now: datetime
) -> bool:
    """Put the live lane's values into the snapshot; a device that is not the gateway's own is left out.

    Returns:
        Whether anything in the snapshot is new.
    """
    devices = await repository.known_devices(conn, edge.site_id)
    found = [
        snapshot
        for reading in readings
        if (device := devices.get(reading.device_id))
        and (
            snapshot := snapshot_of(
                device, at=reading.at, quality=Quality(reading.quality & _KNOWN_BITS), values=reading.values, now=now
            )
        )
    ]
    return bool(await _show(conn, edge, found, now))


def _step(batch: Batch, ledger: LedgerState) -> SequenceStep:
    if ledger.revoked:
        raise CredentialInvalidError(challenge="Bearer")
    step = sequence_step(
        epoch=batch.epoch,
        first_seq=batch.first_seq,
        last_seq=batch.last_seq,
        current_epoch=ledger.epoch,
        acked_seq=ledger.acked_seq,
        former_epoch=batch.epoch in ledger.past_epochs,
    )
    if step.verdict is SequenceVerdict.GAP:
        raise SequenceGapError(
            f"The batch begins with {batch.first_seq}; send from {step.expected_seq} on.",
            extra={"expected_seq": step.expected_seq},
        )
    if step.verdict is SequenceVerdict.SUPERSEDED:
        raise EpochSupersededError(extra={"epoch": str(batch.epoch), "current_epoch": str(ledger.epoch)})
    return step


def _readings(flushes: Iterable[Flush], devices: dict[UUID, KnownDevice]) -> Iterator[_Arriving]:
    for flush in flushes:
        for block in flush.blocks:
            device = devices.get(block.device_id)
            for index, offset_ms in enumerate(block.offsets_ms):
                try:
                    at = flush.started_at + timedelta(milliseconds=offset_ms)
                except OverflowError:
                    at = None
                yield _Arriving(flush, block, index, device, at)


def _sort(
    reading: _Arriving, now: datetime, *, rows: list[RawRow], rejected: list[Quarantined], snapshots: list[Snapshot]
) -> None:
    reason = quarantine_reason(reading.at, known=reading.device is not None, now=now)
    values = reading.values
    if reason is not None or reading.device is None or reading.at is None:
        rejected.append(
            Quarantined(
                reading.block.device_id,
                reading.flush.seq,
                reading.index,
                reading.at,
                reason or "device_unknown",
                values,
            )
        )
        return
    quality, at = reading.quality, reading.at
    rows.append(raw_row(reading.device, at=at, seq=reading.flush.seq, quality=quality, values=values, now=now))
    snapshot = snapshot_of(reading.device, at=at, quality=quality, values=values, now=now)
    if snapshot is not None:
        snapshots.append(snapshot)


async def _write(
    conn: AsyncConnection, edge: EdgeIdentity, rows: list[RawRow], snapshots: list[Snapshot], now: datetime
) -> set[tuple[UUID, datetime]]:
    await _show(conn, edge, snapshots, now)
    new = await repository.insert_raw(conn, site_id=edge.site_id, rows=rows, received_at=now)
    found = dirty_buckets((row for row in rows if (row.device_id, row.at) in new), now=now)
    if found:
        await repository.mark_dirty(conn, edge, found, at=now)
    return new


async def _show(conn: AsyncConnection, edge: EdgeIdentity, found: Iterable[Snapshot], now: datetime) -> list[UUID]:
    best = newest(found)
    if not best:
        return []
    await repository.touch_devices(
        conn, site_id=edge.site_id, device_ids=[snapshot.device_id for snapshot in best], at=now
    )
    return await repository.upsert_snapshots(conn, edge, best, received_at=now)


def _ack(entry: LedgerEntry, rejected: Iterable[Quarantined], now: datetime) -> BatchAck:
    return BatchAck(
        acked_seq=entry.last_seq,
        stored=entry.stored,
        duplicates=entry.duplicates,
        flagged=entry.flagged,
        rejected=tuple(
            RejectedReading(seq=reading.seq, device_id=reading.device_id, index=reading.index, reason=reading.reason)
            for reading in rejected
        ),
        server_time=now,
    )
