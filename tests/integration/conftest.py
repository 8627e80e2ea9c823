"""A plant in a database of its own."""

from collections.abc import AsyncIterator

import pytest

from cloud.core.db import Database
from tests.conftest import FreshDatabase
from tests.plants import Plant, make_plant


@pytest.fixture
async def db(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    database = await Database.connect(fresh_database.app_url)
    yield database
    await database.dispose()


@pytest.fixture
async def plant(db: Database) -> Plant:
    return await make_plant(db, name="ali")
