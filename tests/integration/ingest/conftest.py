"""The bulk lane of an API process, and its writer."""

from collections.abc import AsyncIterator

import pytest

from cloud.core.bulk import BulkLane
from cloud.ingest.writer import BatchWriter
from tests.conftest import FreshDatabase


@pytest.fixture
async def lane(fresh_database: FreshDatabase) -> AsyncIterator[BulkLane]:
    lane = BulkLane(fresh_database.app_url, connections=4, wait_timeout_s=10)
    yield lane
    await lane.close()


@pytest.fixture
async def writer(lane: BulkLane) -> AsyncIterator[BatchWriter]:
    writer = BatchWriter(lane)
    yield writer
    await writer.close()
