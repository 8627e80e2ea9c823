"""A plant in a database of its own."""

from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from cloud.core.db import Database
from tests.plants import Plant, make_plant


class _Fresh(Protocol):
    app_url: str


@pytest.fixture
async def db(fresh_database: _Fresh) -> AsyncIterator[Database]:
    database = await Database.connect(fresh_database.app_url)
    yield database
    await database.dispose()


@pytest.fixture
async def plant(db: Database) -> Plant:
    return await make_plant(db, name="ali")
