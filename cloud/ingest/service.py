"""Batches become rows, snapshots, ledger entries and dirty buckets, in the one transaction that they are given."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.bulk import BulkConnection
from cloud.core.db import asyncpg_of
from cloud.core.errors import CloudError, ConflictError
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.service import CredentialInvalidError, is_good
from cloud.ingest.columns import KNOWN_BITS, QUARTER_HOUR_US, SortedBatch, sort_batch
from cloud.ingest.days.repository import late_days, reopen_days
from cloud.ingest.repository import batches, ledger, raw, snapshot
from cloud.ingest.repository.ledger import BatchSpan, Dirty, Entry, LedgerState
from cloud.ingest.repository.raw import ColumnSet, NewRow
from cloud.ingest.rows import Rows
from cloud.ingest.rules import (
    NEVER_IN_ROLLUPS,
    KnownDevice,
    SequenceStep,
    SequenceVerdict,
    Snapshot,
    newest,
    sequence_step,
    snapshot_of,
)
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
class Delivery:
    """A batch that has come, and from whom.

    Attributes:
        now: the cloud's time when it came.
        proof: hash of the credential's secret, where the gateway was recognised from memory and must be judged again.
    """

    edge: EdgeIdentity
    batch: Batch
    now: datetime
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came of a batch.

    Attributes:
        ack: the answer.
        wrote: False for a repeat, which changes nothing.
    """

    ack: BatchAck
    wrote: bool


_REMEMBERED_GATEWAYS = 20_000

Outcome = Arrived | BaseException
"""A refusal of one batch is no failure of those that are written with it."""


class Memory:
    """What one process remembers between transactions, to ask less: the devices of each gateway's site, and the raw columns in use.

    Devices are as remembered while the gateway's plan, whose row is locked, has the same revision: every change of a device gives it a
    new one.
    """

    def __init__(self) -> None:
        """Empty."""
        self.columns = ColumnSet()
        self._devices: OrderedDict[UUID, tuple[int, dict[UUID, KnownDevice]]] = OrderedDict()

    async def devices_of(self, pg: BulkConnection, edge: EdgeIdentity, revision: int) -> dict[UUID, KnownDevice]:
        """The site's devices by id."""
        known = self._devices.get(edge.gateway_id)
        if known is None or known[0] != revision:
            known = self._devices[edge.gateway_id] = (revision, await ledger.known_devices(pg, edge.site_id))
            self._devices.move_to_end(edge.gateway_id)
            if len(self._devices) > _REMEMBERED_GATEWAYS:
                self._devices.popitem(last=False)
        return known[1]


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A delivery that brings something new."""

    delivery: Delivery
    span: BatchSpan
    readings: SortedBatch
    devices: dict[UUID, KnownDevice]


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
    await snapshot.show(pg, _snapshots([outcome], rows), steps=[step], received_at=delivery.now)
    await _open_days(pg, [outcome], rows, now=delivery.now)
    fresh = await raw.insert_missing(pg, rows, received_at=delivery.now)
    dirty = dirty_quarters(delivery.edge, outcome.devices, fresh)
    entry = _entry(outcome, stored=len(fresh), flagged=sum(1 for row in fresh if row.quality))
    await ledger.file(pg, [entry], dirty, received_at=delivery.now)
    await _quarantine(pg, [outcome], received_at=delivery.now)
    return _arrived(outcome, entry)


async def take_new_batches(pg: BulkConnection, deliveries: Sequence[Delivery], memory: Memory) -> list[Outcome]:
    """Store batches of different gateways, in the expectation that none of their readings is there yet.

    Returns:
        For each delivery in order what came of it, true once the transaction is committed.

    Raises:
        asyncpg.PostgresError: if one of them needs `take_batch`; nothing was written then.
    """
    rows, received_at = Rows(), max(delivery.now for delivery in deliveries)
    outcomes = await _judged(pg, deliveries, rows, memory)
    accepted = [outcome for outcome in outcomes if isinstance(outcome, _Accepted)]
    if not accepted:
        return [outcome for outcome in outcomes if not isinstance(outcome, _Accepted)]
    await _open_days(pg, accepted, rows, now=received_at)
    entries = [_entry(each, stored=len(each.readings), flagged=each.readings.flagged) for each in accepted]
    dirty = {  # a set: two gateways may bring readings of the same quarter-hour of the same device
        (each.delivery.edge.site_id, each.delivery.edge.organization_id, device_id, bucket)
        for each in accepted
        for device_id, bucket in each.readings.dirty
    }
    snapshots = _snapshots(accepted, rows)
    await batches.store(
        pg, rows, memory.columns, snapshots=snapshots, entries=entries, dirty=dirty, received_at=received_at
    )
    await _quarantine(pg, accepted, received_at=received_at)
    written = iter(zip(accepted, entries, strict=True))
    return [_arrived(*next(written)) if isinstance(outcome, _Accepted) else outcome for outcome in outcomes]


async def _judged(
    pg: BulkConnection, deliveries: Sequence[Delivery], rows: Rows, memory: Memory
) -> list[Arrived | CloudError | _Accepted]:
    """Lock every gateway, refuse what must be, answer what is there already, and sort the rest into `rows`."""
    states = await ledger.lock_ledgers(pg, [delivery.edge.gateway_id for delivery in deliveries])
    outcomes: list[Arrived | CloudError | _Accepted] = []
    for delivery in deliveries:
        try:
            outcomes.append(await _judge(pg, delivery, states.get(delivery.edge.gateway_id), rows, memory=memory))
        except CloudError as refusal:
            outcomes.append(refusal)
    rows.fill()
    return outcomes


async def _judge(
    pg: BulkConnection, delivery: Delivery, state: LedgerState | None, rows: Rows, *, memory: Memory
) -> Arrived | _Accepted:
    edge, batch, now = delivery.edge, delivery.batch, delivery.now
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
    readings = sort_batch(batch, devices, site_id=edge.site_id, now=now, into=rows, after_seq=step.acked_seq)
    span = BatchSpan(batch.epoch, max(batch.first_seq, step.expected_seq), batch.last_seq)
    return _Accepted(delivery, span, readings, devices)


def _snapshots(accepted: Sequence[_Accepted], rows: Rows) -> list[tuple[EdgeIdentity, Snapshot]]:
    """The newest reading of each device with the gateway that brought it, in the order of device ids."""
    best: dict[UUID, tuple[EdgeIdentity, Snapshot]] = {}
    for each in accepted:
        for found in each.readings.snapshots(rows):
            present = best.get(found.device_id)  # two boxes may serve one site
            if present is None or found.at > present[1].at:
                best[found.device_id] = (each.delivery.edge, found)
    return [best[device_id] for device_id in sorted(best)]


async def _open_days(pg: BulkConnection, accepted: Sequence[_Accepted], rows: Rows, *, now: datetime) -> None:
    """Turn packed days back into rows where readings are about to be added to them."""
    found: dict[UUID, set[date]] = {}
    for each in accepted:
        days = late_days(rows.moments_us[each.readings.first_row : each.readings.end_row], now=now)
        if days:
            found.setdefault(each.delivery.edge.site_id, set()).update(days)
    for site_id, days in sorted(found.items()):
        await reopen_days(pg, site_id, days, device_numbers=sorted({*rows.device_numbers}))


async def _quarantine(pg: BulkConnection, accepted: Sequence[_Accepted], *, received_at: datetime) -> None:
    for each in accepted:
        if each.readings.rejected:
            edge, rejected = each.delivery.edge, each.readings.rejected
            await ledger.quarantine(pg, edge, rejected, epoch=each.span.epoch, received_at=received_at)


def dirty_quarters(edge: EdgeIdentity, devices: Mapping[UUID, KnownDevice], fresh: Iterable[NewRow]) -> set[Dirty]:
    """The quarter-hours that rows enter which were not there before."""
    ids = {device.number: device.id for device in devices.values()}
    return {
        (edge.site_id, edge.organization_id, ids[row.device_number], row.at_us // QUARTER_HOUR_US * QUARTER_HOUR_US)
        for row in fresh
        if not row.quality & NEVER_IN_ROLLUPS
    }


def _entry(accepted: _Accepted, *, stored: int, flagged: int) -> Entry:
    readings = accepted.readings
    return Entry(
        accepted.delivery.edge,
        accepted.span,
        stored=stored,
        duplicates=len(readings) - stored,
        flagged=flagged,
        rejected=len(readings.rejected),
    )


def _arrived(accepted: _Accepted, entry: Entry) -> Arrived:
    ack = BatchAck(
        acked_seq=entry.span.last_seq,
        stored=entry.stored,
        duplicates=entry.duplicates,
        flagged=entry.flagged,
        rejected=tuple(
            RejectedReading(seq=reading.seq, device_id=reading.device_id, index=reading.index, reason=reading.reason)
            for reading in accepted.readings.rejected
        ),
        server_time=accepted.delivery.now,
    )
    return Arrived(ack, wrote=True)


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
