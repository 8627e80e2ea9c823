"""One migrated database for all tests of the schema; what a test writes is rolled back."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from tests.conftest import FreshDatabase
from tests.integration.schema.rows import Tenant, add_tenant


@pytest.fixture(scope="session")
async def schema_database(make_database: Callable[[], Awaitable[FreshDatabase]]) -> FreshDatabase:
    return await make_database()


@pytest.fixture
async def owner(schema_database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the owner, who sees everything, in a transaction that is rolled back."""
    connection = await asyncpg.connect(schema_database.admin_url)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture
async def tenant(owner: asyncpg.Connection) -> Tenant:
    return await add_tenant(owner)


@pytest.fixture
async def stranger(owner: asyncpg.Connection) -> Tenant:
    return await add_tenant(owner)
