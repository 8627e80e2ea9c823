"""A home in a database of its own, and the lane by which readings come."""

from collections.abc import AsyncIterator

import pytest

from cloud.core.bulk import BulkLane
from cloud.core.db import Database
from tests.conftest import FreshDatabase
from tests.integration.telemetry.home import Home, make_home
from tests.plants import Plant


@pytest.fixture
async def bulk(fresh_database: FreshDatabase) -> AsyncIterator[BulkLane]:
    lane = BulkLane(fresh_database.app_url, connections=2, wait_timeout_s=5)
    yield lane
    await lane.close()


@pytest.fixture
async def home(db: Database, plant: Plant) -> Home:
    return await make_home(db, plant, poll_s=900)
