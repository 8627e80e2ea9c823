"""A batch becomes rows, a snapshot, a ledger entry and dirty buckets, in the one transaction that it is given."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.bulk import BulkConnection
from cloud.core.db import asyncpg_of
from cloud.core.errors import ConflictError
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.service import CredentialInvalidError, is_good
from cloud.ingest import repository
from cloud.ingest.columns import KNOWN_BITS, SortedBatch, sort_batch
from cloud.ingest.repository import BatchSpan, LedgerState, Stored
from cloud.ingest.rules import SequenceStep, SequenceVerdict, newest, sequence_step, snapshot_of
from cloud.ingest.schemas import Batch
from shared.enums import Quality
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


async def take_batch(
    pg: BulkConnection, edge: EdgeIdentity, batch: Batch, *, now: datetime, proof: str | None = None
) -> Arrived:
    """Store a batch; the acknowledgement is true once the transaction is committed.

    Args:
        pg: a transaction with the gateway's context.
        edge: who sends it.
        batch: as decoded.
        now: the cloud's time.
        proof: hash of the credential's secret, where the gateway was recognised from memory and must be judged again.

    Raises:
        SequenceGapError: if flushes are missing before it.
        EpochSupersededError: if it comes from a store that the gateway has left.
        CredentialInvalidError: if the gateway was revoked a moment ago.
    """
    ledger = await repository.lock_ledger(pg, edge.gateway_id)
    if ledger.credential.revoked_at is not None or (proof is not None and not is_good(proof, ledger.credential, now)):
        raise CredentialInvalidError(challenge="Bearer")
    step = _step(batch, ledger)
    if step.verdict is SequenceVerdict.REPEAT:
        ack = BatchAck(acked_seq=step.acked_seq, stored=0, duplicates=batch.reading_count, flagged=0, server_time=now)
        return Arrived(ack, wrote=False)
    readings = sort_batch(batch, ledger.devices, now=now, after_seq=step.acked_seq)
    span = BatchSpan(batch.epoch, max(batch.first_seq, step.expected_seq), batch.last_seq)
    await repository.advance_gateway(pg, edge, epoch=span.epoch, acked_seq=span.last_seq, received_at=now)
    snapshots = readings.snapshots(now)
    if snapshots:
        await repository.show(pg, edge, snapshots, received_at=now)
    stored = await repository.store(pg, edge, readings, span, received_at=now)
    if readings.rejected:
        await repository.quarantine(pg, edge, readings.rejected, epoch=batch.epoch, received_at=now)
    return Arrived(_ack(span, readings, stored, now), wrote=True)


async def take_newest(
    conn: AsyncConnection, edge: EdgeIdentity, readings: Iterable[NewestReading], *, now: datetime
) -> bool:
    """Put the live lane's values into the snapshot; a device that is not the gateway's own is left out.

    Returns:
        Whether anything in the snapshot is new.
    """
    pg = await asyncpg_of(conn)
    devices = await repository.known_devices(pg, edge.site_id)
    found = [
        snapshot
        for reading in readings
        if (device := devices.get(reading.device_id))
        and (
            snapshot := snapshot_of(
                device, at=reading.at, quality=Quality(reading.quality & KNOWN_BITS), values=reading.values, now=now
            )
        )
    ]
    best = newest(found)
    return bool(best and await repository.show(pg, edge, best, received_at=now))


def _step(batch: Batch, ledger: LedgerState) -> SequenceStep:
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


def _ack(span: BatchSpan, readings: SortedBatch, stored: Stored, now: datetime) -> BatchAck:
    return BatchAck(
        acked_seq=span.last_seq,
        stored=stored.stored,
        duplicates=len(readings) - stored.stored,
        flagged=stored.flagged,
        rejected=tuple(
            RejectedReading(seq=reading.seq, device_id=reading.device_id, index=reading.index, reason=reading.reason)
            for reading in readings.rejected
        ),
        server_time=now,
    )
