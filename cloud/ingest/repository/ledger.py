"""The gateways' sequences, the ledger of batches, the dirty queue, and quarantine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.bulk import BulkConnection, json_text, pg_array
from cloud.core.db import asyncpg_of
from cloud.core.ids import new_id
from cloud.fleet.schemas import EdgeIdentity, StoredCredential
from cloud.ingest.columns import QUARTER_HOUR_US
from cloud.ingest.rules import LIVE_AGE, KnownDevice, Quarantined, json_safe
from shared.counters import unix_us
from shared.enums import DeviceType

LIVE, BACKFILL = 0, 1
"""Priorities of the dirty queue: a flood of late readings never delays fresh ones."""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Where a gateway's sequence stands and whether it may still write.

    Attributes:
        plan_revision: grows whenever one of the site's devices changes.
        version: grows whenever the credential changes, or who the gateway is.
    """

    epoch: UUID | None
    acked_seq: int
    past_epochs: tuple[UUID, ...]
    credential: StoredCredential
    plan_revision: int
    version: int


@dataclass(frozen=True, slots=True)
class Stand:
    """How a gateway stood when its last batch was taken.

    Attributes:
        epoch: of its store.
        acked_seq: its last flush that this process knows of; another process may have taken later ones.
        version: of its row, see `LedgerState`.
        credential_hash: of its credential at that version.
    """

    epoch: UUID
    acked_seq: int
    version: int
    credential_hash: str


@dataclass(frozen=True, slots=True)
class BatchSpan:
    """Which flushes of a gateway a batch brings that were not there before."""

    epoch: UUID
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: whose batch, and what became of its readings."""

    edge: EdgeIdentity
    span: BatchSpan
    stored: int
    duplicates: int
    flagged: int
    rejected: int


async def lock_ledgers(pg: BulkConnection, gateway_ids: Sequence[UUID]) -> dict[UUID, LedgerState]:
    """Read where gateways stand; every other batch of them waits until this transaction ends."""
    rows = await pg.fetch(
        """
        SELECT id, epoch, acked_seq, past_epochs, credential_hash, previous_credential_hash, previous_valid_until, revoked_at,
               plan_revision, version
        FROM edge_gateways WHERE id = ANY ($1::text::uuid[]) ORDER BY id FOR UPDATE
        """,
        pg_array(gateway_ids),
    )
    return {
        gateway_id: LedgerState(epoch, acked_seq, tuple(past), StoredCredential(*credential), revision, version)
        for gateway_id, epoch, acked_seq, past, *credential, revision, version in rows
    }


async def known_devices(pg: BulkConnection, site_id: UUID) -> dict[UUID, KnownDevice]:
    """The site's devices, as far as readings must be judged by them."""
    rows = await pg.fetch(
        """
        SELECT id, number, coalesce(commissioned_at, created_at), rated_power_kw, device_type::text
        FROM devices WHERE site_id = $1
        """,
        site_id,
    )
    return {
        device_id: KnownDevice(device_id, number, since, rated_power_kw, DeviceType(device_type))
        for device_id, number, since, rated_power_kw, device_type in rows
    }


Dirty = tuple[UUID, UUID, UUID, int]
"""Site, organisation, device, and the start of a quarter-hour in microseconds of Unix time."""


async def file(pg: BulkConnection, entries: Sequence[Entry], dirty: Iterable[Dirty], *, received_at: datetime) -> None:
    """Write the ledger and mark quarter-hours to be computed again."""
    statement = f"WITH marked AS ({MARK}) {FILE}".format(when="true")
    await pg.execute(statement, *file_parameters(entries, dirty, received_at=received_at))


def file_parameters(entries: Sequence[Entry], dirty: Iterable[Dirty], *, received_at: datetime) -> list[Any]:
    """The parameters of `MARK` and `FILE`; marks in the order of sites, devices and time, as every writer locks them."""
    marks = sorted(dirty)
    live_from = unix_us(received_at - LIVE_AGE) - QUARTER_HOUR_US
    return [
        received_at,
        *(pg_array([mark[place] for mark in marks]) for place in range(4)),
        pg_array([LIVE if bucket >= live_from else BACKFILL for *_, bucket in marks]),
        pg_array([entry.edge.site_id for entry in entries]),
        pg_array([entry.edge.gateway_id for entry in entries]),
        pg_array([entry.edge.organization_id for entry in entries]),
        pg_array([entry.span.epoch for entry in entries]),
        pg_array([entry.span.first_seq for entry in entries]),
        pg_array([entry.span.last_seq for entry in entries]),
        pg_array([entry.stored for entry in entries]),
        pg_array([entry.duplicates for entry in entries]),
        pg_array([entry.flagged for entry in entries]),
        pg_array([entry.rejected for entry in entries]),
    ]


MARK = """
        INSERT INTO rollup_dirty AS queue (site_id, organization_id, device_id, bucket, priority, marked_at)
        SELECT site_id, organization_id, device_id, timestamptz 'epoch' + bucket_us * interval '1 microsecond', priority, $1
        FROM unnest($2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::bigint[], $6::text::smallint[])
            AS rows (site_id, organization_id, device_id, bucket_us, priority)
        WHERE {when}
        ON CONFLICT (site_id, device_id, bucket) DO UPDATE SET
            generation = queue.generation + 1, priority = least(queue.priority, excluded.priority)
"""

FILE = """
    INSERT INTO ingest_batches (
        received_at, site_id, gateway_id, organization_id, epoch, first_seq, last_seq, stored, duplicates, flagged, rejected
    )
    SELECT $1, rows.* FROM unnest(
        $7::text::uuid[], $8::text::uuid[], $9::text::uuid[], $10::text::uuid[], $11::text::bigint[], $12::text::bigint[],
        $13::text::integer[], $14::text::integer[], $15::text::integer[], $16::text::integer[]
    ) AS rows
    WHERE {when}
"""


async def quarantine(
    pg: BulkConnection, edge: EdgeIdentity, rejected: Sequence[Quarantined], *, epoch: UUID, received_at: datetime
) -> None:
    """Keep readings that cannot be rows, as they came."""
    await pg.executemany(
        """
        INSERT INTO quarantined_readings (
            id, site_id, gateway_id, organization_id, epoch, seq, block_index, device_id, at, reason, body, received_at
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        [
            (
                new_id(),
                edge.site_id,
                edge.gateway_id,
                edge.organization_id,
                epoch,
                reading.seq,
                reading.index,
                reading.device_id,
                reading.at,
                reading.reason,
                json_text({key: json_safe(value) for key, value in reading.values.items()}),
                received_at,
            )
            for reading in rejected
        ],
    )


@dataclass(frozen=True, slots=True)
class SiteCounts:
    """What has arrived of a site.

    Attributes:
        readings: in the database, as rows or packed.
        duplicates: readings that arrived again in another flush and were not stored twice.
        quarantined: readings that could not be rows.
        dirty: quarter-hours of devices that wait to be computed.
    """

    readings: int
    duplicates: int
    quarantined: int
    dirty: int


async def site_counts(conn: AsyncConnection, site_id: UUID) -> SiteCounts:
    """Count what has arrived of a site: exact, so for one site and its support, not for a dashboard."""
    pg = await asyncpg_of(conn)
    record = await pg.fetchrow(
        """
        SELECT (SELECT count(*) FROM telemetry_readings WHERE site_id = $1)
                   + (SELECT coalesce(sum(readings), 0) FROM telemetry_days WHERE site_id = $1) AS readings,
               (SELECT coalesce(sum(duplicates), 0) FROM ingest_batches WHERE site_id = $1) AS duplicates,
               (SELECT count(*) FROM quarantined_readings WHERE site_id = $1) AS quarantined,
               (SELECT count(*) FROM rollup_dirty WHERE site_id = $1) AS dirty
        """,
        site_id,
    )
    return SiteCounts(**dict(record))
