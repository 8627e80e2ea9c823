"""What an import must know of a site, who it is in the ledger, and how far it has come."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.bulk import BulkConnection
from cloud.devices.tables import Device
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.tables import EdgeGateway
from cloud.ingest.importing.devices import SiteDevice
from cloud.ingest.tables import RollupDirty
from cloud.sites.tables import Site

COLLIDED = (asyncpg.TransactionRollbackError,)
"""Two writers waited for each other and PostgreSQL chose one: it may simply try again."""


@dataclass(frozen=True, slots=True)
class ImportSite:
    """A site that readings are imported for."""

    id: UUID
    organization_id: UUID
    devices: tuple[SiteDevice, ...]


async def import_site(conn: AsyncConnection, site_id: UUID) -> ImportSite | None:
    """A site and its devices; None if there is no such site."""
    site = (await conn.execute(select(Site.id, Site.organization_id).where(Site.id == site_id))).one_or_none()
    if site is None:
        return None
    since = func.coalesce(Device.commissioned_at, Device.created_at)
    statement = select(Device.id, Device.name, Device.serial_number, since).where(Device.site_id == site_id)
    devices = tuple(SiteDevice(*row) for row in await conn.execute(statement.order_by(Device.name, Device.id)))
    return ImportSite(site.id, site.organization_id, devices)


async def ensure_source(conn: AsyncConnection, source: EdgeIdentity, *, credential_hash: str) -> None:
    """Make the gateway under which a site's imports stand in the ledger, revoked from the start; if it is there, leave it.

    Args:
        conn: a transaction with the site's context.
        source: whose id is to be used.
        credential_hash: of a secret that nobody knows.
    """
    statement = insert(EdgeGateway).values(
        id=source.gateway_id,
        site_id=source.site_id,
        organization_id=source.organization_id,
        name="Imported files",
        credential_hash=credential_hash,
        revoked_at=func.now(),
    )
    await conn.execute(statement.on_conflict_do_nothing(index_elements=[EdgeGateway.id]))


async def waiting_quarter_hours(conn: AsyncConnection, site_id: UUID) -> int:
    """Quarter-hours of a site's devices that wait to be computed."""
    return (await conn.scalar(select(func.count()).select_from(RollupDirty).where(RollupDirty.site_id == site_id))) or 0


async def last_step(pg: BulkConnection, source: EdgeIdentity, epoch: UUID) -> int:
    """The last step of a file that is committed; 0 before the first."""
    last: int | None = await pg.fetchval(
        "SELECT max(last_seq) FROM ingest_batches WHERE site_id = $1 AND gateway_id = $2 AND epoch = $3",
        source.site_id,
        source.gateway_id,
        epoch,
    )
    return last or 0
