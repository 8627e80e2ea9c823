"""What flows now."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.telemetry.render import live_to_json
from cloud.telemetry.repository import reads


async def live(conn: AsyncConnection, site_id: UUID, *, now: datetime) -> tuple[bytes, str]:
    """The site's flows and devices as JSON, and an id that changes whenever what a viewer sees does."""
    flows = await reads.live_flows(conn, site_id)
    devices = await reads.live_devices(conn, site_id)
    arrived: datetime | None = flows.pop("newest_arrival")
    stamp = 0 if arrived is None else round(arrived.timestamp() * 1_000_000)
    body = live_to_json({"site_id": site_id, "at": now, **flows}, devices)
    return body, f"{stamp}-{flows['devices_reporting']}"
