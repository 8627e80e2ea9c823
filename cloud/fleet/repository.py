"""Gateways and claim codes in the database, and the rows that a plan is made of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.ids import new_id
from cloud.devices.tables import Device
from cloud.fleet.tables import ClaimCode, EdgeGateway
from cloud.sites.tables import Site
from shared.wire import AgentFacts, Heartbeat


async def add_claim_code(
    conn: AsyncConnection,
    *,
    site_id: UUID,
    organization_id: UUID,
    code_hash: str,
    expires_at: datetime,
    created_by: UUID,
) -> None:
    """Store the hash of a site's code."""
    await conn.execute(
        insert(ClaimCode).values(
            id=new_id(),
            site_id=site_id,
            organization_id=organization_id,
            code_hash=code_hash,
            expires_at=expires_at,
            created_by=created_by,
        )
    )


async def lock_claim_code(conn: AsyncConnection, code_hash: str) -> Row[Any] | None:
    """The code's row, locked so that of two boxes with one code the second finds it used."""
    statement = select(ClaimCode).where(ClaimCode.code_hash == code_hash).with_for_update()
    return (await conn.execute(statement)).one_or_none()


async def use_claim_code(conn: AsyncConnection, code_id: UUID, *, gateway_id: UUID, at: datetime) -> None:
    """Mark a code as used by a gateway."""
    await conn.execute(update(ClaimCode).where(ClaimCode.id == code_id).values(used_at=at, gateway_id=gateway_id))


async def add_gateway(
    conn: AsyncConnection, *, gateway_id: UUID, claim: Row[Any], credential_hash: str, facts: AgentFacts, at: datetime
) -> None:
    """Create the gateway of a claimed box."""
    await conn.execute(
        insert(EdgeGateway).values(
            id=gateway_id,
            site_id=claim.site_id,
            organization_id=claim.organization_id,
            name=facts.hostname,
            credential_hash=credential_hash,
            agent_version=facts.agent_version,
            agent_facts=facts.model_dump(mode="json"),
            last_seen_at=at,
        )
    )


async def gateway_by_id(conn: AsyncConnection, gateway_id: UUID) -> Row[Any] | None:
    """One gateway, revoked or not."""
    return (await conn.execute(select(EdgeGateway).where(EdgeGateway.id == gateway_id))).one_or_none()


async def gateways_of_site(conn: AsyncConnection, site_id: UUID) -> Sequence[Row[Any]]:
    """All gateways of a site, oldest first."""
    statement = select(EdgeGateway).where(EdgeGateway.site_id == site_id).order_by(EdgeGateway.id)
    return (await conn.execute(statement)).all()


async def revoke_gateway(conn: AsyncConnection, gateway_id: UUID, *, at: datetime) -> None:
    """End a credential now; a gateway that is revoked already keeps its first moment."""
    await conn.execute(
        update(EdgeGateway)
        .where(EdgeGateway.id == gateway_id)
        .values(
            revoked_at=func.coalesce(EdgeGateway.revoked_at, at),
            previous_credential_hash=None,
            previous_valid_until=None,
        )
    )


async def rotate_credential(
    conn: AsyncConnection, gateway_id: UUID, *, credential_hash: str, previous_valid_until: datetime
) -> None:
    """Put a new credential in place; the one before stays good for a while, until the agent has taken up the new one."""
    await conn.execute(
        update(EdgeGateway)
        .where(EdgeGateway.id == gateway_id)
        .values(
            previous_credential_hash=EdgeGateway.credential_hash,
            previous_valid_until=previous_valid_until,
            credential_hash=credential_hash,
        )
    )


async def record_heartbeat(conn: AsyncConnection, gateway_id: UUID, beat: Heartbeat, *, at: datetime) -> None:
    """Keep what an agent last said of itself."""
    await conn.execute(
        update(EdgeGateway)
        .where(EdgeGateway.id == gateway_id)
        .values(
            last_seen_at=at,
            agent_version=beat.facts.agent_version,
            agent_facts=beat.facts.model_dump(mode="json"),
            time_quality=beat.time_quality.value,
            applied_plan_revision=beat.plan_revision,
            buffer_state=beat.buffer.model_dump(mode="json"),
        )
    )


async def site_by_id(conn: AsyncConnection, site_id: UUID) -> Row[Any]:
    """The site of a gateway, which exists as long as the gateway does."""
    return (await conn.execute(select(Site).where(Site.id == site_id))).one()


async def devices_of_site(conn: AsyncConnection, site_id: UUID) -> Sequence[Row[Any]]:
    """Devices that the site's agent reads, in a stable order."""
    statement = select(Device).where(Device.site_id == site_id).order_by(Device.id)
    return (await conn.execute(statement)).all()
