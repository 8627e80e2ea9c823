"""The newest values of each device."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from cloud.core.bulk import BulkConnection, json_text, pg_array
from cloud.fleet.schemas import EdgeIdentity
from cloud.ingest.repository.ledger import BatchSpan
from cloud.ingest.rules import Snapshot
from shared.enums import DeviceStatus

_SNAPSHOT_METRICS = (
    "dc_power_kw",
    "grid_power_kw",
    "load_power_kw",
    "battery_power_kw",
    "battery_soc_percent",
    "energy_today_kwh",
)
"""In the order of the snapshot's columns from `pv_power_kw` on."""


async def show(
    pg: BulkConnection,
    snapshots: Sequence[tuple[EdgeIdentity, Snapshot]],
    *,
    steps: Sequence[tuple[EdgeIdentity, BatchSpan]] = (),
    received_at: datetime,
) -> list[UUID]:
    """Put newer values in place of older ones, never the reverse, and say that devices and gateways were heard.

    A device's own row is written on a change of its status, and otherwise at most once a minute. A gateway's acknowledged sequence
    moves to the end of what it brought; a new epoch closes the one before.

    Args:
        pg: the transaction.
        snapshots: with the gateway that brought each; in the order of device ids, a device once.
        steps: what each gateway brought.
        received_at: the cloud's time.

    Returns:
        Devices whose snapshot is new.
    """
    records = await pg.fetch(
        f"WITH {HEAR.format(when='true')} {SHOW}", *show_parameters(snapshots, steps, received_at=received_at)
    )
    return [record["device_id"] for record in records]


def show_parameters(
    snapshots: Sequence[tuple[EdgeIdentity, Snapshot]],
    steps: Sequence[tuple[EdgeIdentity, BatchSpan]],
    *,
    received_at: datetime,
) -> list[Any]:
    """The parameters of `HEAR` and `SHOW`; see `show`."""
    found = [snapshot for _, snapshot in snapshots]
    return [
        DeviceStatus.ONLINE.value,
        received_at,
        pg_array([edge.site_id for edge, _ in snapshots]),
        pg_array([edge.organization_id for edge, _ in snapshots]),
        pg_array([snapshot.device_id for snapshot in found]),
        pg_array([snapshot.at for snapshot in found]),
        pg_array([int(snapshot.quality) for snapshot in found]),
        pg_array([snapshot.current_power_kw for snapshot in found]),
        *(pg_array([snapshot.number(metric) for snapshot in found]) for metric in _SNAPSHOT_METRICS),
        json_text([snapshot.operating_state for snapshot in found]),
        json_text([snapshot.values for snapshot in found]),
        pg_array([edge.gateway_id for edge, _ in steps]),
        pg_array([span.epoch for _, span in steps]),
        pg_array([span.last_seq for _, span in steps]),
    ]


HEAR = """new AS MATERIALIZED (
        SELECT unnest($3::text::uuid[]) AS site_id, unnest($4::text::uuid[]) AS organization_id, unnest($5::text::uuid[]) AS device_id,
            unnest($6::text::timestamptz[]) AS "timestamp", unnest($7::text::integer[]) AS quality,
            unnest($8::text::double precision[]) AS current_power_kw, unnest($9::text::double precision[]) AS pv_power_kw,
            unnest($10::text::double precision[]) AS grid_power_kw, unnest($11::text::double precision[]) AS load_power_kw,
            unnest($12::text::double precision[]) AS battery_power_kw, unnest($13::text::double precision[]) AS battery_soc_percent,
            unnest($14::text::double precision[]) AS energy_today_kwh, jsonb_array_elements_text($15::text::jsonb) AS operating_state,
            jsonb_array_elements($16::text::jsonb) AS raw_data
        WHERE {when}
    ), advanced AS (
        UPDATE edge_gateways AS g SET
            past_epochs = CASE WHEN g.epoch IS DISTINCT FROM step.epoch AND g.epoch IS NOT NULL
                               THEN array_append(g.past_epochs, g.epoch) ELSE g.past_epochs END,
            epoch_started_at = CASE WHEN g.epoch IS DISTINCT FROM step.epoch THEN $2 ELSE g.epoch_started_at END,
            epoch = step.epoch, acked_seq = step.acked_seq, last_seen_at = $2
        FROM unnest($17::text::uuid[], $18::text::uuid[], $19::text::bigint[]) AS step (id, epoch, acked_seq)
        WHERE g.id = step.id AND {when}
    ), heard AS (
        -- A device that somebody is editing is passed over until next time: that transaction will want the gateway, which is locked here.
        UPDATE devices AS d SET status = $1::text::device_status, last_seen_at = $2, last_error = NULL
        FROM (
            SELECT d.id FROM devices AS d JOIN new ON new.site_id = d.site_id AND new.device_id = d.id
            WHERE d.status <> 'maintenance' AND (
                d.status <> $1::text::device_status OR d.last_seen_at IS NULL
                OR d.last_seen_at < $2::timestamptz - interval '1 minute'
            )
            FOR NO KEY UPDATE OF d SKIP LOCKED
        ) AS told WHERE d.id = told.id
    )
"""
"""What batches say of gateways and devices, `when` they are to be taken: the parts of a statement before `SHOW`."""

SHOW = """
    INSERT INTO device_telemetry_snapshot AS snapshot (
        received_at, updated_at, site_id, organization_id, device_id, "timestamp", quality, current_power_kw, pv_power_kw,
        grid_power_kw, load_power_kw, battery_power_kw, battery_soc_percent, energy_today_kwh, operating_state, raw_data
    )
    SELECT $2, $2, new.* FROM new
    ON CONFLICT (site_id, device_id) DO UPDATE SET
        received_at = excluded.received_at, updated_at = excluded.updated_at, "timestamp" = excluded."timestamp",
        quality = excluded.quality, current_power_kw = excluded.current_power_kw, pv_power_kw = excluded.pv_power_kw,
        grid_power_kw = excluded.grid_power_kw, load_power_kw = excluded.load_power_kw,
        battery_power_kw = excluded.battery_power_kw, battery_soc_percent = excluded.battery_soc_percent,
        energy_today_kwh = excluded.energy_today_kwh, operating_state = excluded.operating_state, raw_data = excluded.raw_data
    WHERE excluded."timestamp" > snapshot."timestamp"
    RETURNING device_id
"""
