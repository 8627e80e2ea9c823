"""What flows now."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.telemetry.repository import reads
from cloud.telemetry.schemas import Live, LiveDevice


async def live(conn: AsyncConnection, site_id: UUID, *, now: datetime) -> tuple[Live, str]:
    """The site's flows and devices, and an id that changes whenever what a viewer sees does."""
    flows = await reads.live_flows(conn, site_id)
    devices = await reads.live_devices(conn, site_id)
    view = Live(
        site_id=site_id,
        at=now,
        pv_power_kw=flows["total_power_kw"],
        grid_power_kw=flows["grid_power_kw"],
        battery_power_kw=flows["battery_power_kw"],
        load_power_kw=flows["load_power_kw"],
        battery_soc_percent=flows["battery_soc_percent"],
        energy_today_kwh=flows["total_energy_today_kwh"],
        devices_reporting=flows["devices_reporting"],
        devices_stale=flows["devices_stale"],
        oldest_reading_at=flows["oldest_reading_at"],
        newest_reading_at=flows["newest_reading_at"],
        devices=[LiveDevice.model_validate(device) for device in devices],
    )
    newest = max((device["received_at"] for device in devices), default=None)
    stamp = 0 if newest is None else round(newest.timestamp() * 1_000_000)
    return view, f"{stamp}-{view.devices_reporting}"
