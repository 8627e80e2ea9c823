"""Batches on their way: what came, what is taken of it, and the answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.fleet.schemas import EdgeIdentity
from cloud.ingest.columns import QUARTER_HOUR_US, SortedBatch
from cloud.ingest.repository.batches import Contents
from cloud.ingest.repository.ledger import BatchSpan, Dirty, Entry, Stand
from cloud.ingest.repository.raw import NewRow
from cloud.ingest.rows import Rows
from cloud.ingest.rules import NEVER_IN_ROLLUPS, KnownDevice, Snapshot
from cloud.ingest.schemas import Batch
from shared.wire import BatchAck, RejectedReading


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


@dataclass(frozen=True, slots=True)
class Accepted:
    """A delivery that brings something new.

    Attributes:
        readings: that are new, sorted.
        devices: that they were judged by.
        stand: of the gateway once the batch is committed.
    """

    delivery: Delivery
    span: BatchSpan
    readings: SortedBatch
    devices: dict[UUID, KnownDevice]
    stand: Stand

    def entry(self, *, stored: int, flagged: int) -> Entry:
        """Its line in the ledger, given how many of its rows were not there before, and how many of those are flagged."""
        return Entry(
            self.delivery.edge,
            self.span,
            stored=stored,
            duplicates=len(self.readings) - stored,
            flagged=flagged,
            rejected=len(self.readings.rejected),
        )

    def arrived(self, entry: Entry) -> Arrived:
        """The answer, given its line in the ledger."""
        ack = BatchAck(
            acked_seq=entry.span.last_seq,
            stored=entry.stored,
            duplicates=entry.duplicates,
            flagged=entry.flagged,
            rejected=tuple(
                RejectedReading(
                    seq=reading.seq, device_id=reading.device_id, index=reading.index, reason=reading.reason
                )
                for reading in self.readings.rejected
            ),
            server_time=self.delivery.now,
        )
        return Arrived(ack, wrote=True)


def contents_of(accepted: Sequence[Accepted], rows: Rows, *, received_at: datetime) -> Contents:
    """What deliveries write of whose rows none is there yet."""
    return Contents(
        rows,
        snapshots=snapshots_of(accepted, rows),
        entries=[each.entry(stored=len(each.readings), flagged=each.readings.flagged) for each in accepted],
        dirty={  # a set: two gateways may bring readings of the same quarter-hour of the same device
            (each.delivery.edge.site_id, each.delivery.edge.organization_id, device_id, bucket)
            for each in accepted
            for device_id, bucket in each.readings.dirty
        },
        received_at=received_at,
    )


def snapshots_of(accepted: Sequence[Accepted], rows: Rows) -> list[tuple[EdgeIdentity, Snapshot]]:
    """The newest reading of each device with the gateway that brought it, in the order of device ids."""
    best: dict[UUID, tuple[EdgeIdentity, Snapshot]] = {}
    for each in accepted:
        for found in each.readings.snapshots(rows):
            present = best.get(found.device_id)  # two boxes may serve one site
            if present is None or found.at > present[1].at:
                best[found.device_id] = (each.delivery.edge, found)
    return [best[device_id] for device_id in sorted(best)]


def dirty_quarters(edge: EdgeIdentity, devices: Mapping[UUID, KnownDevice], fresh: Iterable[NewRow]) -> set[Dirty]:
    """The quarter-hours that rows enter which were not there before."""
    ids = {device.number: device.id for device in devices.values()}
    return {
        (edge.site_id, edge.organization_id, ids[row.device_number], row.at_us // QUARTER_HOUR_US * QUARTER_HOUR_US)
        for row in fresh
        if not row.quality & NEVER_IN_ROLLUPS
    }
