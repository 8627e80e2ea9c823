"""Batches become rows, snapshots, ledger entries and dirty buckets, in the one transaction that they are given."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.bulk import BulkConnection
from cloud.core.db import TenantContext, asyncpg_of
from cloud.core.errors import CloudError, ConflictError
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.service import CredentialInvalidError, is_good
from cloud.ingest.columns import KNOWN_BITS, sort_batch
from cloud.ingest.days.repository import has_late, late_days, reopen_days
from cloud.ingest.deliveries import Accepted, Arrived, Delivery, contents_of, dirty_quarters, snapshots_of
from cloud.ingest.memory import Memory
from cloud.ingest.repository import batches, ledger, raw, snapshot
from cloud.ingest.repository.ledger import BatchSpan, LedgerState, Stand
from cloud.ingest.rows import Rows
from cloud.ingest.rules import KnownDevice, SequenceStep, SequenceVerdict, newest, sequence_step, snapshot_of
from cloud.ingest.schemas import Batch
from shared.enums import Quality
from shared.wire import BatchAck, NewestReading

Outcome = Arrived | BaseException
"""A refusal of one batch is no failure of those that are written with it."""


class SequenceGapError(ConflictError):
    """Flushes before this batch have not arrived; send from `expected_seq` on."""

    code = "sequence_gap"


class EpochSupersededError(ConflictError):
    """This gateway has gone on with another store: two boxes share one identity, or an old card image was put back."""

    code = "epoch_superseded"


async def take_batches_in_turn(
    pg: BulkConnection, deliveries: Sequence[Delivery], memory: Memory, *, context: TenantContext
) -> list[Arrived] | None:
    """Store batches that come as was to be expected, in one statement, which is a transaction by itself.

    Each begins where its gateway stands, shows the credential that was good last time, and brings nothing late or strange; the devices
    of its site are as remembered. The statement itself looks whether all this is still true.

    Args:
        pg: a connection without a transaction.
        deliveries: of different gateways.
        memory: of this process.
        context: of all their gateways.

    Returns:
        What came of each, committed; None, and nothing was written, if one of them wants `take_new_batches`.

    Raises:
        asyncpg.PostgresError: if one of them needs `take_batch`; nothing was written then.
    """
    rows, received_at = Rows(), max(delivery.now for delivery in deliveries)
    expected = [
        found
        for delivery in deliveries
        if (found := memory.expected(delivery.edge.gateway_id, delivery.batch, delivery.proof))
        and not any(has_late(stretch.moments_us, now=received_at) for stretch in delivery.batch.stretches)
    ]
    if len(expected) < len(deliveries):
        return None
    accepted = [
        _accepted(delivery, found.devices, rows, stand=found.turn.stand)
        for delivery, found in zip(deliveries, expected, strict=True)
    ]
    rows.fill()
    if any(each.readings.rejected for each in accepted):
        return None
    contents = contents_of(accepted, rows, received_at=received_at)
    turns = [found.turn for found in expected]
    has_come = await batches.store_in_turn(pg, contents, memory.columns, context=context, turns=turns)
    for each in accepted:
        memory.note(each.delivery.edge.gateway_id, each.stand if has_come else None)
    if not has_come:
        return None
    return [each.arrived(entry) for each, entry in zip(accepted, contents.entries, strict=True)]


async def take_new_batches(pg: BulkConnection, deliveries: Sequence[Delivery], memory: Memory) -> list[Outcome]:
    """Store batches of different gateways, in the expectation that none of their readings is there yet.

    Returns:
        For each delivery in order what came of it, true once the transaction is committed.

    Raises:
        asyncpg.PostgresError: if one of them needs `take_batch`; nothing was written then.
    """
    rows, received_at = Rows(), max(delivery.now for delivery in deliveries)
    outcomes = await _judged(pg, deliveries, rows, memory)
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    if not accepted:
        return [outcome for outcome in outcomes if not isinstance(outcome, Accepted)]
    await _open_days(pg, accepted, rows, now=received_at)
    contents = contents_of(accepted, rows, received_at=received_at)
    await batches.store(pg, contents, memory.columns)
    await _quarantine(pg, accepted, received_at=received_at)
    for each in accepted:
        memory.note(each.delivery.edge.gateway_id, None if each.readings.rejected else each.stand)
    entries = iter(contents.entries)
    return [outcome.arrived(next(entries)) if isinstance(outcome, Accepted) else outcome for outcome in outcomes]


async def take_batch(pg: BulkConnection, delivery: Delivery, memory: Memory) -> Arrived:
    """Store one batch, whatever is there already; the acknowledgement is true once the transaction is committed.

    Args:
        pg: a transaction with the gateway's context.
        delivery: what came.
        memory: of this process.

    Raises:
        SequenceGapError: if flushes are missing before it.
        EpochSupersededError: if it comes from a store that the gateway has left.
        CredentialInvalidError: if the gateway was revoked a moment ago.
    """
    rows = Rows()
    [outcome] = await _judged(pg, [delivery], rows, memory)
    if isinstance(outcome, CloudError):
        raise outcome
    if isinstance(outcome, Arrived):
        return outcome
    step = (delivery.edge, outcome.span)
    await snapshot.show(pg, snapshots_of([outcome], rows), steps=[step], received_at=delivery.now)
    await _open_days(pg, [outcome], rows, now=delivery.now)
    fresh = await raw.insert_missing(pg, rows, received_at=delivery.now)
    dirty = dirty_quarters(delivery.edge, outcome.devices, fresh)
    entry = outcome.entry(stored=len(fresh), flagged=sum(1 for row in fresh if row.quality))
    await ledger.file(pg, [entry], dirty, received_at=delivery.now)
    await _quarantine(pg, [outcome], received_at=delivery.now)
    return outcome.arrived(entry)


async def _judged(
    pg: BulkConnection, deliveries: Sequence[Delivery], rows: Rows, memory: Memory
) -> list[Arrived | CloudError | Accepted]:
    """Lock every gateway, refuse what must be, answer what is there already, and sort the rest into `rows`."""
    states = await ledger.lock_ledgers(pg, [delivery.edge.gateway_id for delivery in deliveries])
    outcomes: list[Arrived | CloudError | Accepted] = []
    for delivery in deliveries:
        try:
            outcomes.append(await _judge(pg, delivery, states.get(delivery.edge.gateway_id), rows, memory=memory))
        except CloudError as refusal:
            outcomes.append(refusal)
    rows.fill()
    return outcomes


async def _judge(
    pg: BulkConnection, delivery: Delivery, state: LedgerState | None, rows: Rows, *, memory: Memory
) -> Arrived | Accepted:
    edge, batch, now = delivery.edge, delivery.batch, delivery.now
    memory.note(edge.gateway_id, None)
    if (
        state is None
        or state.credential.revoked_at is not None
        or (delivery.proof is not None and not is_good(delivery.proof, state.credential, now))
    ):
        raise CredentialInvalidError(challenge="Bearer")
    step = _step(batch, state)
    if step.verdict is SequenceVerdict.REPEAT:
        ack = BatchAck(acked_seq=step.acked_seq, stored=0, duplicates=batch.reading_count, flagged=0, server_time=now)
        return Arrived(ack, wrote=False)
    devices = await memory.devices_of(pg, edge, state.plan_revision)
    stand = Stand(batch.epoch, step.acked_seq, state.version, state.credential.credential_hash)
    return _accepted(delivery, devices, rows, stand=stand)


def _accepted(delivery: Delivery, devices: dict[UUID, KnownDevice], rows: Rows, *, stand: Stand) -> Accepted:
    """Sort what a batch brings to a gateway that stands so."""
    batch, now = delivery.batch, delivery.now
    readings = sort_batch(batch, devices, site_id=delivery.edge.site_id, now=now, into=rows, after_seq=stand.acked_seq)
    span = BatchSpan(batch.epoch, max(batch.first_seq, stand.acked_seq + 1), batch.last_seq)
    return Accepted(delivery, span, readings, devices, replace(stand, acked_seq=batch.last_seq))


async def _open_days(pg: BulkConnection, accepted: Sequence[Accepted], rows: Rows, *, now: datetime) -> None:
    """Turn packed days back into rows where readings are about to be added to them."""
    found: dict[UUID, set[date]] = {}
    for each in accepted:
        days = late_days(rows.moments_us[each.readings.first_row : each.readings.end_row], now=now)
        if days:
            found.setdefault(each.delivery.edge.site_id, set()).update(days)
    for site_id, days in sorted(found.items()):
        await reopen_days(pg, site_id, days, device_numbers=sorted({*rows.device_numbers}))


async def _quarantine(pg: BulkConnection, accepted: Sequence[Accepted], *, received_at: datetime) -> None:
    for each in accepted:
        if each.readings.rejected:
            edge, rejected = each.delivery.edge, each.readings.rejected
            await ledger.quarantine(pg, edge, rejected, epoch=each.span.epoch, received_at=received_at)


async def take_newest(
    conn: AsyncConnection, edge: EdgeIdentity, readings: Iterable[NewestReading], *, now: datetime
) -> bool:
    """Put the live lane's values into the snapshot; a device that is not the gateway's own is left out.

    Returns:
        Whether anything in the snapshot is new.
    """
    pg = await asyncpg_of(conn)
    devices = await ledger.known_devices(pg, edge.site_id)
    found = [
        known
        for reading in readings
        if (device := devices.get(reading.device_id))
        and (
            known := snapshot_of(
                device, at=reading.at, quality=Quality(reading.quality & KNOWN_BITS), values=reading.values, now=now
            )
        )
    ]
    best = [(edge, each) for each in newest(found)]
    return bool(best and await snapshot.show(pg, best, received_at=now))


def _step(batch: Batch, state: LedgerState) -> SequenceStep:
    step = sequence_step(
        epoch=batch.epoch,
        first_seq=batch.first_seq,
        last_seq=batch.last_seq,
        current_epoch=state.epoch,
        acked_seq=state.acked_seq,
        former_epoch=batch.epoch in state.past_epochs,
    )
    if step.verdict is SequenceVerdict.GAP:
        raise SequenceGapError(
            f"The batch begins with {batch.first_seq}; send from {step.expected_seq} on.",
            extra={"expected_seq": step.expected_seq},
        )
    if step.verdict is SequenceVerdict.SUPERSEDED:
        raise EpochSupersededError(extra={"epoch": str(batch.epoch), "current_epoch": str(state.epoch)})
    return step
