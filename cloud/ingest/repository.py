"""Raw readings, the snapshot, the batch ledger, quarantine and the dirty queue: all SQL of ingest.

Literal SQL on the asyncpg connection: one statement per table and batch, arrays in, nothing looped. Whether a row was new is told by
RETURNING, never by a row count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.core.ids import new_id
from cloud.devices.tables import Device
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.tables import EdgeGateway
from cloud.ingest.rules import TEXT_COLUMNS, DirtyBucket, KnownDevice, Quarantined, RawRow, Snapshot, columns_in
from shared.enums import DeviceStatus

_to_json = msgspec.json.Encoder().encode

LIVE, BACKFILL = 0, 1
"""Priorities of the dirty queue: a flood of late readings never delays fresh ones."""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Where a gateway's sequence stands, and whether it may still write."""

    epoch: UUID | None
    acked_seq: int
    past_epochs: tuple[UUID, ...]
    revoked: bool


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Sums of one committed batch."""

    first_seq: int
    last_seq: int
    stored: int
    duplicates: int
    flagged: int
    rejected: int


async def lock_ledger(conn: AsyncConnection, gateway_id: UUID) -> LedgerState:
    """Read where a gateway stands and keep every other batch of it waiting until this transaction ends."""
    statement = (
        select(EdgeGateway.epoch, EdgeGateway.acked_seq, EdgeGateway.past_epochs, EdgeGateway.revoked_at)
        .where(EdgeGateway.id == gateway_id)
        .with_for_update()
    )
    row = (await conn.execute(statement)).one()
    return LedgerState(row.epoch, row.acked_seq, tuple(row.past_epochs), row.revoked_at is not None)


async def known_devices(conn: AsyncConnection, site_id: UUID) -> dict[UUID, KnownDevice]:
    """The site's devices, as far as readings must be judged by them."""
    statement = select(
        Device.id, Device.commissioned_at, Device.created_at, Device.rated_power_kw, Device.device_type
    ).where(Device.site_id == site_id)
    return {
        row.id: KnownDevice(row.id, row.commissioned_at or row.created_at, row.rated_power_kw, row.device_type)
        for row in await conn.execute(statement)
    }


async def insert_raw(
    conn: AsyncConnection, *, site_id: UUID, rows: Sequence[RawRow], received_at: datetime
) -> set[tuple[UUID, datetime]]:
    """Insert raw rows; one that is there already stays as it is.

    Returns:
        Device and moment of each row that was new.
    """
    if not rows:
        return set()
    columns = columns_in(rows)
    # Column names come from RAW_COLUMNS, never from the wire; the values travel as parameters.
    names = ["device_id", "at", "seq", "quality", *columns, "extra"]
    types = ["uuid", "timestamptz", "bigint", "integer"]
    types += ["text" if column in TEXT_COLUMNS else "double precision" for column in columns]
    types += ["jsonb"]
    arrays = ", ".join(f"${position}::{kind}[]" for position, kind in enumerate(types, start=3))
    statement = (
        f"INSERT INTO telemetry_readings (site_id, received_at, {', '.join(names)})"  # noqa: S608 -- see above
        f" SELECT $1, $2, rows.* FROM unnest({arrays}) AS rows ON CONFLICT DO NOTHING RETURNING device_id, at"
    )
    values: list[list[object]] = [
        [row.device_id for row in rows],
        [row.at for row in rows],
        [row.seq for row in rows],
        [int(row.quality) for row in rows],
        *([row.columns.get(column) for row in rows] for column in columns),  # type: ignore[list-item]  # lists are invariant
        [_to_json(row.extra).decode() if row.extra else None for row in rows],
    ]
    pg = await asyncpg_of(conn)
    return {(record["device_id"], record["at"]) for record in await pg.fetch(statement, site_id, received_at, *values)}


async def upsert_snapshots(
    conn: AsyncConnection, edge: EdgeIdentity, snapshots: Sequence[Snapshot], *, received_at: datetime
) -> list[UUID]:
    """Put newer values in place of older ones, never the reverse.

    Returns:
        Devices whose snapshot is new.
    """
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        """
        INSERT INTO device_telemetry_snapshot AS snapshot (
            site_id, organization_id, received_at, updated_at, device_id, "timestamp", quality, current_power_kw, pv_power_kw,
            grid_power_kw, load_power_kw, battery_power_kw, battery_soc_percent, energy_today_kwh, operating_state, raw_data
        )
        SELECT $1, $2, $3, $3, rows.* FROM unnest(
            $4::uuid[], $5::timestamptz[], $6::integer[], $7::double precision[], $8::double precision[],
            $9::double precision[], $10::double precision[], $11::double precision[], $12::double precision[],
            $13::double precision[], $14::text[], $15::jsonb[]
        ) AS rows
        ON CONFLICT (site_id, device_id) DO UPDATE SET
            received_at = excluded.received_at, updated_at = excluded.updated_at, "timestamp" = excluded."timestamp",
            quality = excluded.quality, current_power_kw = excluded.current_power_kw, pv_power_kw = excluded.pv_power_kw,
            grid_power_kw = excluded.grid_power_kw, load_power_kw = excluded.load_power_kw,
            battery_power_kw = excluded.battery_power_kw, battery_soc_percent = excluded.battery_soc_percent,
            energy_today_kwh = excluded.energy_today_kwh, operating_state = excluded.operating_state,
            raw_data = excluded.raw_data
        WHERE excluded."timestamp" > snapshot."timestamp"
        RETURNING device_id
        """,
        edge.site_id,
        edge.organization_id,
        received_at,
        [snapshot.device_id for snapshot in snapshots],
        [snapshot.at for snapshot in snapshots],
        [int(snapshot.quality) for snapshot in snapshots],
        [snapshot.current_power_kw for snapshot in snapshots],
        *(
            [snapshot.number(metric) for snapshot in snapshots]
            for metric in (
                "dc_power_kw",
                "grid_power_kw",
                "load_power_kw",
                "battery_power_kw",
                "battery_soc_percent",
                "energy_today_kwh",
            )
        ),
        [snapshot.operating_state for snapshot in snapshots],
        [_to_json(snapshot.values).decode() for snapshot in snapshots],
    )
    return [record["device_id"] for record in records]


async def touch_devices(conn: AsyncConnection, *, site_id: UUID, device_ids: Sequence[UUID], at: datetime) -> None:
    """Say that devices were heard: on a change of status, and otherwise at most once a minute."""
    pg = await asyncpg_of(conn)
    await pg.execute(
        """
        UPDATE devices SET status = $4::device_status, last_seen_at = $3::timestamptz, last_error = NULL
        WHERE site_id = $1 AND id = ANY ($2::uuid[]) AND status <> 'maintenance'
          AND (status <> $4::device_status OR last_seen_at IS NULL OR last_seen_at < $3::timestamptz - interval '1 minute')
        """,
        site_id,
        list(device_ids),
        at,
        DeviceStatus.ONLINE.value,
    )


async def mark_dirty(conn: AsyncConnection, edge: EdgeIdentity, found: Sequence[DirtyBucket], *, at: datetime) -> None:
    """Queue the quarter-hours that new readings fall into; the roll-up finds by itself what a counter's step changes beyond."""
    pg = await asyncpg_of(conn)
    await pg.execute(
        """
        INSERT INTO rollup_dirty AS queue (site_id, organization_id, device_id, bucket, priority, marked_at)
        SELECT $1, $2, dirty.device_id, dirty.bucket, dirty.priority, $6
        FROM unnest($3::uuid[], $4::timestamptz[], $5::integer[]) AS dirty (device_id, bucket, priority)
        ON CONFLICT (site_id, device_id, bucket) DO UPDATE SET
            generation = queue.generation + 1, priority = least(queue.priority, excluded.priority)
        """,
        edge.site_id,
        edge.organization_id,
        [dirty.device_id for dirty in found],
        [dirty.bucket for dirty in found],
        [LIVE if dirty.is_live else BACKFILL for dirty in found],
        at,
    )


async def quarantine(
    conn: AsyncConnection, edge: EdgeIdentity, rejected: Sequence[Quarantined], *, epoch: UUID, received_at: datetime
) -> None:
    """Keep readings that cannot be rows, as they came."""
    pg = await asyncpg_of(conn)
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
                _to_json(reading.values).decode(),
                received_at,
            )
            for reading in rejected
        ],
    )


async def advance_ledger(
    conn: AsyncConnection, edge: EdgeIdentity, entry: LedgerEntry, *, epoch: UUID, received_at: datetime
) -> None:
    """Write a batch into the ledger and move the gateway's acknowledged sequence; a new epoch closes the one before."""
    pg = await asyncpg_of(conn)
    await pg.execute(
        """
        UPDATE edge_gateways SET
            past_epochs = CASE WHEN epoch IS DISTINCT FROM $2 AND epoch IS NOT NULL
                               THEN array_append(past_epochs, epoch) ELSE past_epochs END,
            epoch_started_at = CASE WHEN epoch IS DISTINCT FROM $2 THEN $4 ELSE epoch_started_at END,
            epoch = $2, acked_seq = $3, last_seen_at = $4
        WHERE id = $1
        """,
        edge.gateway_id,
        epoch,
        entry.last_seq,
        received_at,
    )
    await pg.execute(
        """
        INSERT INTO ingest_batches (
            site_id, gateway_id, organization_id, epoch, first_seq, last_seq, stored, duplicates, flagged, rejected, received_at
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        edge.site_id,
        edge.gateway_id,
        edge.organization_id,
        epoch,
        entry.first_seq,
        entry.last_seq,
        entry.stored,
        entry.duplicates,
        entry.flagged,
        entry.rejected,
        received_at,
    )


@dataclass(frozen=True, slots=True)
class SiteCounts:
    """What has arrived of a site.

    Attributes:
        readings: raw rows.
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
        SELECT (SELECT count(*) FROM telemetry_readings WHERE site_id = $1) AS readings,
               (SELECT coalesce(sum(duplicates), 0) FROM ingest_batches WHERE site_id = $1) AS duplicates,
               (SELECT count(*) FROM quarantined_readings WHERE site_id = $1) AS quarantined,
               (SELECT count(*) FROM rollup_dirty WHERE site_id = $1) AS dirty
        """,
        site_id,
    )
    return SiteCounts(**dict(record))
