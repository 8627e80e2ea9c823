"""Small batches do not wait behind back-fill."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.ingest.deliveries import Delivery
from cloud.ingest.repository import ledger
from cloud.ingest.schemas import Block, Flush, batch_of
from cloud.ingest.writer import BULKY, BatchWriter
from shared.enums import TimeQuality
from tests.plants import NOW, Plant, make_plant


def readings_of(plant: Plant, count: int) -> Delivery:
    """One flush of so many seconds."""
    block = Block(plant.inverter_id, [i * 1000 for i in range(count)], [0] * count, {"ac_power_kw": [1.0] * count})
    batch = batch_of(UUID(int=7), [Flush(1, NOW, TimeQuality.SYNCED, [block])])
    return Delivery(plant.edge, batch, NOW + timedelta(hours=1))


async def test_small_batches_pass_back_fill(db: Database, writer: BatchWriter) -> None:
    """However much back-fill waits, and although the database is busy with some of it."""
    plants = [await make_plant(db, name=f"owner{number}") for number in range(10)]
    *returned, fresh, another = plants
    async with AsyncExitStack() as stack:
        conn = await stack.enter_async_context(db.transaction(SYSTEM))
        # The back-fill that is being written cannot end.
        await ledger.lock_ledgers(await asyncpg_of(conn), [plant.edge.gateway_id for plant in returned])
        bulky = [asyncio.create_task(writer.write(readings_of(plant, BULKY + 1))) for plant in returned]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(20):
            for plant in (fresh, another):
                assert (await writer.write(readings_of(plant, 5))).ack.stored == 5
        assert not any(task.done() for task in bulky)
    arrived = await asyncio.gather(*bulky)
    assert [each.ack.stored for each in arrived] == [BULKY + 1] * len(returned)
