"""Rows to test with, and the application's eyes to see them with."""

# ruff: noqa: S608 -- statements are put together from words of the test itself

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg


@dataclass(frozen=True)
class Tenant:
    """An organisation with its owner, one site and an inverter."""

    organization_id: UUID
    owner_id: UUID
    site_id: UUID
    device_id: UUID


async def become_app(
    connection: asyncpg.Connection, *organizations: UUID, sites: tuple[UUID, ...] = (), system: bool = False
) -> None:
    """Go on as the application, in a tenant context, until the transaction ends."""
    await connection.execute("SET LOCAL ROLE solarhub_app")
    await connection.execute("SELECT solarhub_set_context($1, $2, $3)", list(organizations), list(sites), system)


async def add_device(connection: asyncpg.Connection, tenant: Tenant, kind: str = "inverter", **columns: Any) -> UUID:
    values = {
        "id": uuid4(),
        "site_id": tenant.site_id,
        "organization_id": tenant.organization_id,
        "name": kind,
        "device_type": kind,
        "protocol": "modbus_tcp",
        **columns,
    }
    await insert(connection, "devices", **values)
    return values["id"]


async def insert(connection: asyncpg.Connection, table: str, **values: Any) -> None:
    """Insert one row; column names are the test's own."""
    places = ", ".join(f"${position}" for position in range(1, len(values) + 1))
    names = ", ".join(f'"{name}"' for name in values)
    await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *values.values())


async def add_tenant(connection: asyncpg.Connection, *, timezone: str = "Asia/Karachi") -> Tenant:
    tenant = Tenant(uuid4(), uuid4(), uuid4(), uuid4())
    await insert(connection, "users", id=tenant.owner_id, email=f"{tenant.owner_id}@example.pk", first_name="Owner")
    await insert(
        connection,
        "organizations",
        id=tenant.organization_id,
        owner_id=tenant.owner_id,
        name="Organisation",
        slug=str(tenant.organization_id),
    )
    await insert(
        connection,
        "organization_members",
        id=uuid4(),
        organization_id=tenant.organization_id,
        user_id=tenant.owner_id,
        role="owner",
    )
    await insert(
        connection,
        "sites",
        id=tenant.site_id,
        organization_id=tenant.organization_id,
        name="Site",
        timezone=timezone,
    )
    await add_device(connection, tenant, id=tenant.device_id)
    return tenant
