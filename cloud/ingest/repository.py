"""Raw readings, the snapshot, the batch ledger, quarantine and the dirty queue: all SQL of ingest.

Literal SQL on asyncpg's connection: few statements per batch, arrays in, nothing looped. Whether a row was new is told by RETURNING, never
by a row count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.bulk import BulkConnection
from cloud.core.db import asyncpg_of
from cloud.core.ids import new_id
from cloud.fleet.schemas import EdgeIdentity, StoredCredential
from cloud.ingest.columns import SortedBatch
from cloud.ingest.rules import (
    LIVE_AGE,
    NEVER_IN_ROLLUPS,
    TEXT_COLUMNS,
    KnownDevice,
    Quarantined,
    Snapshot,
    json_safe,
)
from shared.enums import DeviceStatus, DeviceType

_to_json = msgspec.json.Encoder().encode

LIVE, BACKFILL = 0, 1
"""Priorities of the dirty queue: a flood of late readings never delays fresh ones."""


_SNAPSHOT_METRICS = (
    "dc_power_kw",
    "grid_power_kw",
    "load_power_kw",
    "battery_power_kw",
    "battery_soc_percent",
    "energy_today_kwh",
)
"""In the order of the snapshot's columns from `pv_power_kw` on."""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Where a gateway's sequence stands, whether it may still write, and for which devices."""

    epoch: UUID | None
    acked_seq: int
    past_epochs: tuple[UUID, ...]
    credential: StoredCredential
    devices: Mapping[UUID, KnownDevice]


@dataclass(frozen=True, slots=True)
class BatchSpan:
    """Which flushes of a gateway a batch brings that were not there before."""

    epoch: UUID
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch's rows: new ones, and how many of these carry a flag."""

    stored: int
    flagged: int


async def lock_ledger(pg: BulkConnection, gateway_id: UUID) -> LedgerState:
    """Read where a gateway stands and which devices are its own; every other batch of it waits until this transaction ends."""
    rows = await pg.fetch(
        """
        SELECT g.epoch, g.acked_seq, g.past_epochs, g.credential_hash, g.previous_credential_hash, g.previous_valid_until,
               g.revoked_at, d.id, coalesce(d.commissioned_at, d.created_at) AS since, d.rated_power_kw, d.device_type::text
        FROM edge_gateways AS g LEFT JOIN devices AS d ON d.site_id = g.site_id
        WHERE g.id = $1
        FOR UPDATE OF g
        """,
        gateway_id,
    )
    first = rows[0]
    credential = StoredCredential(
        first["credential_hash"], first["previous_credential_hash"], first["previous_valid_until"], first["revoked_at"]
    )
    devices = {
        device_id: KnownDevice(device_id, since, rated_power_kw, DeviceType(device_type))
        for *_, device_id, since, rated_power_kw, device_type in rows
        if device_id is not None
    }
    return LedgerState(first["epoch"], first["acked_seq"], tuple(first["past_epochs"]), credential, devices)


async def known_devices(pg: BulkConnection, site_id: UUID) -> dict[UUID, KnownDevice]:
    """The site's devices, as far as readings must be judged by them."""
    rows = await pg.fetch(
        """
        SELECT id, coalesce(commissioned_at, created_at), rated_power_kw, device_type::text FROM devices WHERE site_id = $1
        """,
        site_id,
    )
    return {
        device_id: KnownDevice(device_id, since, rated_power_kw, DeviceType(device_type))
        for device_id, since, rated_power_kw, device_type in rows
    }


async def advance_gateway(
    pg: BulkConnection, edge: EdgeIdentity, *, epoch: UUID, acked_seq: int, received_at: datetime
) -> None:
    """Move a gateway's acknowledged sequence; a new epoch closes the one before."""
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
        acked_seq,
        received_at,
    )


async def show(
    pg: BulkConnection, edge: EdgeIdentity, snapshots: Sequence[Snapshot], *, received_at: datetime
) -> list[UUID]:
    """Put newer values in place of older ones, never the reverse, and say that the devices were heard.

    A device's own row is written on a change of its status, and otherwise at most once a minute.

    Returns:
        Devices whose snapshot is new.
    """
    records = await pg.fetch(
        """
        WITH heard AS (
            UPDATE devices SET status = $16::device_status, last_seen_at = $3::timestamptz, last_error = NULL
            WHERE site_id = $1 AND id = ANY ($4::uuid[]) AND status <> 'maintenance'
              AND (status <> $16::device_status OR last_seen_at IS NULL
                   OR last_seen_at < $3::timestamptz - interval '1 minute')
        )
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
        *([snapshot.number(metric) for snapshot in snapshots] for metric in _SNAPSHOT_METRICS),
        [snapshot.operating_state for snapshot in snapshots],
        [_to_json(snapshot.values).decode() for snapshot in snapshots],
        DeviceStatus.ONLINE.value,
    )
    return [record["device_id"] for record in records]


async def store(
    pg: BulkConnection, edge: EdgeIdentity, readings: SortedBatch, span: BatchSpan, *, received_at: datetime
) -> Stored:
    """Insert raw rows, mark the quarter-hours of those that are new, and write the ledger, in one statement.

    A row that is there already stays as it is. The statement means what `rules.dirty_buckets` says.
    """
    # A stable order makes the same metrics the same statement, which the connection keeps prepared. Names come from RAW_COLUMNS, never
    # from the wire; the values travel as parameters.
    names = sorted(readings.columns)
    extras = [_to_json(extra).decode() if (extra := readings.extras.get(row)) else None for row in range(len(readings))]
    record = await pg.fetchrow(
        _store_statement(tuple(names)),
        edge.site_id,
        received_at,
        edge.organization_id,
        edge.gateway_id,
        span.epoch,
        span.first_seq,
        span.last_seq,
        len(readings),
        len(readings.rejected),
        int(NEVER_IN_ROLLUPS),
        received_at - LIVE_AGE,
        readings.device_ids,
        readings.moments,
        readings.seqs,
        readings.qualities,
        extras,
        *(readings.columns[name] for name in names),
    )
    return Stored(record["stored"], record["flagged"])


@lru_cache(maxsize=256)
def _store_statement(columns: tuple[str, ...]) -> str:
    fixed = {"device_id": "uuid", "at": "timestamptz", "seq": "bigint", "quality": "integer", "extra": "jsonb"}
    types = fixed | {column: "text" if column in TEXT_COLUMNS else "double precision" for column in columns}
    arrays = ", ".join(f"${position}::{kind}[]" for position, kind in enumerate(types.values(), start=12))
    return f"""
        WITH fresh AS (
            INSERT INTO telemetry_readings (site_id, received_at, {", ".join(types)})
            SELECT $1, $2, rows.* FROM unnest({arrays}) AS rows
            ON CONFLICT DO NOTHING
            RETURNING device_id, at, quality
        ), counted AS (
            SELECT count(*)::integer AS stored, (count(*) FILTER (WHERE quality <> 0))::integer AS flagged FROM fresh
        ), touched AS (
            SELECT DISTINCT device_id, date_bin('15 minutes', at, timestamptz '2000-01-01 00:00+00') AS bucket
            FROM fresh WHERE quality & $10 = 0
            ORDER BY device_id, bucket
        ), marked AS (
            INSERT INTO rollup_dirty AS queue (site_id, organization_id, device_id, bucket, priority, marked_at)
            SELECT $1, $3, device_id, bucket,
                   CASE WHEN bucket + interval '15 minutes' >= $11::timestamptz THEN {LIVE} ELSE {BACKFILL} END, $2
            FROM touched
            ON CONFLICT (site_id, device_id, bucket) DO UPDATE SET
                generation = queue.generation + 1, priority = least(queue.priority, excluded.priority)
        ), entered AS (
            INSERT INTO ingest_batches (
                site_id, gateway_id, organization_id, epoch, first_seq, last_seq, stored, duplicates, flagged, rejected, received_at
            )
            SELECT $1, $4, $3, $5, $6, $7, stored, $8 - stored, flagged, $9, $2 FROM counted
        )
        SELECT stored, flagged FROM counted
    """  # noqa: S608 -- see `store`


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
                _to_json({key: json_safe(value) for key, value in reading.values.items()}).decode(),
                received_at,
            )
            for reading in rejected
        ],
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
