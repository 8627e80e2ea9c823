"""What flows now."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.sites.schemas import SiteOut
from cloud.telemetry.render import DeviceNow, live_to_json
from cloud.telemetry.repository import reads
from cloud.telemetry.rules.live import Newest, flows_of
from shared.periods import day_of, day_window, zone_of


async def live(conn: AsyncConnection, site: SiteOut, *, now: datetime) -> tuple[bytes, str]:
    """The site's flows and devices as JSON, and an id that changes whenever what a viewer sees does."""
    records = await reads.newest_values(conn, site.id)
    zone = zone_of(site.timezone)
    today = day_window(day_of(records[0]["asked_at"] if records else now, zone), zone)
    flows = flows_of(list(map(Newest._make, reads.columns_of(records, Newest._fields))), today)
    arrived = max((record["received_at"] for record in records), default=None)
    stamp = 0 if arrived is None else round(arrived.timestamp() * 1_000_000)
    devices = [DeviceNow(*shown) for shown in reads.columns_of(records, DeviceNow.__struct_fields__)]
    body = live_to_json({"site_id": site.id, "at": now, **asdict(flows)}, devices)
    return body, f"{stamp}-{flows.devices_reporting}"
