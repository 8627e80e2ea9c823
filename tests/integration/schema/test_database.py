"""The door to PostgreSQL: transactions, the tenant context in them, and clear words when there is no way in."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.accounts.tables import Organization, OrganizationMember
from cloud.auth.tables import User
from cloud.core.db import (
    NOBODY,
    SYSTEM,
    Database,
    DatabaseBusyError,
    DatabaseUnavailableError,
    PrivilegedRoleError,
    TenantContext,
    asyncpg_of,
)
from cloud.core.engine import DatabaseUrlError
from cloud.devices.tables import Device
from cloud.sites.tables import Site
from shared.enums import DeviceStatus, DeviceType, OrgMemberRole, ProtocolType
from tests.conftest import FreshDatabase


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    database = await Database.connect(fresh_database.app_url)
    yield database
    await database.dispose()


async def _add_organization(conn: AsyncConnection, organization_id: UUID) -> UUID:
    """Add an organisation with its owner and one site, as the application does; gives the site."""
    owner_id, site_id = uuid4(), uuid4()
    await conn.execute(insert(User).values(id=owner_id, email=f"{owner_id}@example.pk", first_name="Owner"))
    await conn.execute(
        insert(Organization).values(
            id=organization_id, owner_id=owner_id, name="Organisation", slug=str(organization_id)
        )
    )
    await conn.execute(
        insert(OrganizationMember).values(
            id=uuid4(), organization_id=organization_id, user_id=owner_id, role=OrgMemberRole.OWNER
        )
    )
    await conn.execute(insert(Site).values(id=site_id, organization_id=organization_id, name="Roof"))
    return site_id


async def test_what_is_written_in_a_context_is_seen_in_it_and_in_no_other(database: Database) -> None:
    organization_id = uuid4()
    context = TenantContext(organization_ids=(organization_id,))
    async with database.transaction(context) as conn:
        site_id = await _add_organization(conn, organization_id)
    sites = select(Site.id).where(Site.id == site_id)
    seen = {}
    for name, other in {
        "own": context,
        "system": SYSTEM,
        "nobody": NOBODY,
        "stranger": TenantContext((uuid4(),)),
    }.items():
        async with database.transaction(other) as conn:
            seen[name] = (await conn.execute(sites)).scalars().all()
    assert seen == {"own": [site_id], "system": [site_id], "nobody": [], "stranger": []}


async def _add_and_fail(database: Database) -> None:
    async with database.transaction(SYSTEM) as conn:
        await _add_organization(conn, uuid4())
        raise RuntimeError("halfway")


async def test_an_exception_rolls_back(database: Database) -> None:
    with pytest.raises(RuntimeError, match="halfway"):
        await _add_and_fail(database)
    async with database.transaction(SYSTEM) as conn:
        assert (await conn.execute(select(Organization))).all() == []


async def test_a_context_does_not_leak_through_the_pool(fresh_database: FreshDatabase) -> None:
    database = await Database.connect(fresh_database.app_url, pool_size=1, max_overflow=0)
    async with database.transaction(SYSTEM) as conn:
        await _add_organization(conn, uuid4())
        backend = await conn.scalar(text("SELECT pg_backend_pid()"))
    async with database.plain_transaction() as conn:
        assert await conn.scalar(text("SELECT pg_backend_pid()")) == backend
        assert (await conn.execute(select(Site))).all() == []
    await database.dispose()


async def test_rows_come_back_typed(database: Database) -> None:
    organization_id, device_id = uuid4(), uuid4()
    async with database.transaction(TenantContext((organization_id,))) as conn:
        site_id = await _add_organization(conn, organization_id)
        device = {
            "id": device_id,
            "site_id": site_id,
            "organization_id": organization_id,
            "name": "Inverter",
            "device_type": DeviceType.INVERTER,
            "protocol": ProtocolType.MODBUS_TCP,
            "connection_config": {"host": "10.0.0.5"},
            "metadata": {"roof": "south"},
        }
        await conn.execute(insert(Device).values(device))
        row = (await conn.execute(select(Device).where(Device.id == device_id))).one()
        await conn.execute(update(Device).where(Device.id == device_id).values(status=DeviceStatus.ONLINE))
    assert (row.device_type, row.status) == (DeviceType.INVERTER, DeviceStatus.UNKNOWN)
    assert (row.connection_config, row.metadata) == ({"host": "10.0.0.5"}, {"roof": "south"})
    assert row.created_at.tzinfo is not None


async def test_hot_paths_share_the_transaction_and_its_context(database: Database) -> None:
    organization_id = uuid4()
    async with database.transaction(TenantContext((organization_id,))) as conn:
        await _add_organization(conn, organization_id)
        raw = await asyncpg_of(conn)
        assert await raw.fetchval("SELECT count(*) FROM sites") == 1
        assert await raw.fetchval("SELECT $1::jsonb", '{"a": 1}') == {"a": 1}


async def test_a_superuser_is_refused_unless_meant(fresh_database: FreshDatabase) -> None:
    with pytest.raises(PrivilegedRoleError, match="SOLARHUB_ADMIN_DATABASE_URL"):
        await Database.connect(fresh_database.admin_url)
    database = await Database.connect(fresh_database.admin_url, allow_privileged=True)
    await database.ping()
    await database.dispose()


async def test_a_role_that_bypasses_policies_is_refused(fresh_database: FreshDatabase) -> None:
    name = f"bypass_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(fresh_database.admin_url)
    try:
        await admin.execute(f"CREATE ROLE {name} LOGIN BYPASSRLS PASSWORD 'x'")
        url = make_url(fresh_database.admin_url).set(username=name, password="x").render_as_string(hide_password=False)
        with pytest.raises(PrivilegedRoleError, match="bypass row-level security"):
            await Database.connect(url)
    finally:
        await admin.execute(f"DROP ROLE {name}")
        await admin.close()


async def test_a_full_pool_is_busy_and_not_broken(fresh_database: FreshDatabase) -> None:
    database = await Database.connect(fresh_database.app_url, pool_size=1, max_overflow=0, pool_timeout_s=0.1)
    async with database.transaction(SYSTEM):
        with pytest.raises(DatabaseBusyError, match="pool size") as failure:
            await database.ping()
    assert failure.value.status == 503
    assert "Retry-After" in failure.value.headers
    await database.ping()
    await database.dispose()


async def _end_connections(fresh_database: FreshDatabase) -> None:
    """As a restart of the server does."""
    admin = await asyncpg.connect(fresh_database.admin_url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await admin.close()


async def _backend(database: Database) -> int:
    async with database.transaction(SYSTEM) as conn:
        await asyncio.sleep(0.05)  # so that the others take connections of their own
        return int(await conn.scalar(text("SELECT pg_backend_pid()")) or 0)


async def test_connections_that_the_server_ended_are_replaced(
    fresh_database: FreshDatabase, database: Database
) -> None:
    before = set(await asyncio.gather(*(_backend(database) for _ in range(4))))
    assert len(before) == 4
    await _end_connections(fresh_database)
    after = set(await asyncio.gather(*(_backend(database) for _ in range(4))))
    assert len(after) == 4
    assert not before & after


async def test_a_ping_and_a_read_alone_survive_connections_that_the_server_ended(
    fresh_database: FreshDatabase, database: Database
) -> None:
    async def one(conn: AsyncConnection) -> int:
        return int(await conn.scalar(text("SELECT 1")) or 0)

    for _ in range(3):
        assert await database.read_alone(one) == 1
        await _end_connections(fresh_database)
        await database.ping()
        await _end_connections(fresh_database)


async def test_what_the_caller_sent_is_not_sent_twice(fresh_database: FreshDatabase, database: Database) -> None:
    entered = []

    async def work() -> None:
        async with database.transaction(SYSTEM) as conn:
            entered.append(conn)
            await _end_connections(fresh_database)
            await conn.execute(text("SELECT 1"))

    with pytest.raises(DBAPIError):
        await work()
    assert len(entered) == 1
    await database.ping()


async def test_a_read_alone_leaves_no_transaction_behind(fresh_database: FreshDatabase) -> None:
    database = await Database.connect(fresh_database.app_url, pool_size=1, max_overflow=0)

    async def look(conn: AsyncConnection) -> tuple[int, bool]:
        driver = await asyncpg_of(conn)
        return int(await conn.scalar(text("SELECT pg_backend_pid()")) or 0), driver.is_in_transaction()

    backend, is_open = await database.read_alone(look)
    assert not is_open
    async with database.transaction(SYSTEM) as conn:
        assert await conn.scalar(text("SELECT pg_backend_pid()")) == backend
        assert (await asyncpg_of(conn)).is_in_transaction(), "the next one has transactions as ever"
    await database.dispose()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"port": 1}, "127.0.0.1:1"),
        ({"database": "no_such_database"}, "no_such_database"),
        ({"password": "wrong-secret"}, "password"),
        ({"username": "nobody_known"}, "nobody_known"),
    ],
)
async def test_an_unreachable_database_is_named_without_its_password(
    fresh_database: FreshDatabase, change: dict[str, object], named: str
) -> None:
    url = make_url(fresh_database.app_url)
    wrong = url.set(**change)  # type: ignore[arg-type]  # each case changes another field
    with pytest.raises(DatabaseUnavailableError, match=named) as failure:
        await Database.connect(wrong.render_as_string(hide_password=False))
    message = str(failure.value)
    assert "SOLARHUB_DATABASE_URL" in message
    assert str(wrong.password) not in message
    assert str(url.host) not in failure.value.detail, "a caller of the API learns nothing of our network"


@pytest.mark.parametrize("url", ["mysql://user:hunter2@127.0.0.1/db", "sqlite:///x.db", "not an address", ""])
async def test_an_address_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUrlError, match="postgresql://user:password@host") as failure:
        await Database.connect(url)
    assert "hunter2" not in str(failure.value)
