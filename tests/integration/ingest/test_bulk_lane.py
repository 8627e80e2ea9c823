"""The hot path's own connections: whose rows they see, and what happens when there are too few."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from cloud.core.bulk import BulkLane
from cloud.core.db import NOBODY, SYSTEM, Database, DatabaseBusyError, DatabaseUnavailableError
from cloud.core.errors import ConflictError, OverloadedError
from tests.conftest import FreshDatabase
from tests.plants import Plant, make_plant

COUNT_SITES = "SELECT count(*) FROM sites"


@pytest.fixture
async def lane(fresh_database: FreshDatabase) -> AsyncIterator[BulkLane]:
    lane = BulkLane(fresh_database.app_url, connections=1, wait_timeout_s=0.2, waiting_per_connection=1)
    yield lane
    await lane.close()


async def test_a_transaction_sees_its_context_and_the_next_one_nothing_of_it(
    lane: BulkLane, db: Database, plant: Plant
) -> None:
    await make_plant(db, name="sara")
    seen = []
    for context in (SYSTEM, plant.edge.context, NOBODY):
        async with lane.transaction(context) as pg:
            seen.append(await pg.fetchval(COUNT_SITES))
    assert seen == [2, 1, 0]


async def test_an_exception_rolls_back_and_the_connection_goes_on(lane: BulkLane, plant: Plant) -> None:
    async def change_and_fail() -> None:
        async with lane.transaction(plant.edge.context) as pg:
            await pg.execute("UPDATE sites SET name = 'changed'")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        await change_and_fail()
    async with lane.transaction(plant.edge.context) as pg:
        assert await pg.fetchval("SELECT name FROM sites") == "ali's roof"


@pytest.mark.parametrize("error", [ConflictError("a gap"), None])
async def test_a_refusal_is_rolled_back_without_an_alarm(
    lane: BulkLane, plant: Plant, caplog: pytest.LogCaptureFixture, error: Exception | None
) -> None:
    """None: the database itself refuses."""

    async def change_and_refuse() -> None:
        async with lane.transaction(plant.edge.context) as pg:
            await pg.execute("UPDATE sites SET name = 'changed'")
            if error is not None:
                raise error
            await pg.execute("SELECT 1 / 0")

    with pytest.raises((ConflictError, asyncpg.DivisionByZeroError)):
        await change_and_refuse()
    async with lane.transaction(plant.edge.context) as pg:
        assert await pg.fetchval("SELECT name FROM sites") == "ali's roof"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_cancelled_transaction_is_rolled_back(lane: BulkLane, plant: Plant) -> None:
    async def change_and_wait() -> None:
        async with lane.transaction(plant.edge.context) as pg:
            await pg.execute("UPDATE sites SET name = 'changed'")
            await pg.execute("SELECT pg_sleep(30)")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(change_and_wait(), 0.2)
    async with lane.transaction(plant.edge.context) as pg:
        assert await pg.fetchval("SELECT name FROM sites") == "ali's roof"


async def test_who_waits_too_long_is_told_to_come_back(lane: BulkLane) -> None:
    async with lane.transaction(NOBODY):
        with pytest.raises(DatabaseBusyError):
            await lane.transaction(NOBODY).__aenter__()
    async with lane.transaction(NOBODY) as pg:
        assert await pg.fetchval("SELECT 1") == 1


async def test_when_as_many_wait_as_may_the_next_is_refused_at_once(lane: BulkLane) -> None:
    async with AsyncExitStack() as held:
        await held.enter_async_context(lane.transaction(NOBODY))
        waiting = asyncio.ensure_future(lane.transaction(NOBODY).__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as caught:
            lane.check_room()
        assert int(caught.value.headers["Retry-After"]) >= 1
        with pytest.raises(OverloadedError):
            await lane.transaction(NOBODY).__aenter__()
        with pytest.raises(DatabaseBusyError):
            await waiting
    assert not lane.is_full


async def test_a_server_that_is_away_is_named_without_the_password() -> None:
    lane = BulkLane("postgresql://app:hidden@127.0.0.1:1/none", connections=1, wait_timeout_s=1)
    with pytest.raises(DatabaseUnavailableError) as caught:
        await lane.transaction(NOBODY).__aenter__()
    assert "127.0.0.1:1" in str(caught.value)
    assert "hidden" not in str(caught.value)
    await lane.close()


async def test_a_connection_that_is_cut_is_replaced(lane: BulkLane) -> None:
    async def cut() -> None:
        async with lane.transaction(NOBODY) as pg:
            await pg.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseUnavailableError):
        await cut()
    async with lane.transaction(NOBODY) as pg:
        assert await pg.fetchval("SELECT 1") == 1
