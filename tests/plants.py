"""An organisation with a site, two devices and a gateway, written straight into a database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text

from cloud.accounts.tables import Organization, OrganizationMember
from cloud.auth.tables import User
from cloud.core.crypto import token_hash
from cloud.core.db import SYSTEM, Database, TenantContext
from cloud.core.ids import new_id
from cloud.devices.tables import Device
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.tables import EdgeGateway
from cloud.sites.tables import Site
from shared.enums import DeviceType, OrgMemberRole, ProtocolType

NOW = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Plant:
    """What the tests talk about."""

    organization_id: UUID
    site_id: UUID
    inverter_id: UUID
    meter_id: UUID
    edge: EdgeIdentity


async def make_plant(db: Database, *, name: str) -> Plant:
    user_id, organization_id, site_id, inverter_id, meter_id, gateway_id = (new_id() for _ in range(6))
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(
            insert(User).values(id=user_id, email=f"{name}@example.com", first_name=name, last_name="Owner")
        )
        await conn.execute(insert(Organization).values(id=organization_id, name=name, slug=name, owner_id=user_id))
        await conn.execute(
            insert(OrganizationMember).values(
                id=new_id(), organization_id=organization_id, user_id=user_id, role=OrgMemberRole.OWNER, joined_at=NOW
            )
        )
        await conn.execute(insert(Site).values(id=site_id, organization_id=organization_id, name=f"{name}'s roof"))
        for device_id, kind, rated in ((inverter_id, DeviceType.INVERTER, 5.0), (meter_id, DeviceType.METER, None)):
            await conn.execute(
                insert(Device).values(
                    id=device_id,
                    site_id=site_id,
                    organization_id=organization_id,
                    name=kind.value,
                    device_type=kind,
                    protocol=ProtocolType.MODBUS_TCP,
                    profile="sunspec",
                    rated_power_kw=rated,
                    commissioned_at=datetime(2026, 1, 1, tzinfo=UTC),
                )
            )
        await conn.execute(
            insert(EdgeGateway).values(
                id=gateway_id,
                site_id=site_id,
                organization_id=organization_id,
                credential_hash=token_hash(f"{name}-secret"),
            )
        )
    edge = EdgeIdentity(gateway_id=gateway_id, site_id=site_id, organization_id=organization_id, plan_revision=1)
    return Plant(organization_id, site_id, inverter_id, meter_id, edge)


async def rows_of(db: Database, plant: Plant, statement: str) -> list[dict[str, Any]]:
    context = TenantContext(organization_ids=(plant.organization_id,), site_ids=(plant.site_id,))
    async with db.transaction(context) as conn:
        return [dict(row._mapping) for row in await conn.execute(text(statement))]


async def gateway_of(db: Database, plant: Plant) -> Any:
    async with db.transaction(SYSTEM) as conn:
        return (await conn.execute(select(EdgeGateway).where(EdgeGateway.id == plant.edge.gateway_id))).one()
