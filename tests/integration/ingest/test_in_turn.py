"""Batches that come as was to be expected are stored in one statement, which looks for itself whether what is remembered is still true."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from cloud.core.bulk import BulkConnection, BulkLane
from cloud.core.crypto import token_hash
from cloud.core.db import SYSTEM, Database, TenantContext
from cloud.core.ids import new_id
from cloud.fleet.service import CredentialInvalidError
from cloud.ingest import writer as writer_module
from cloud.ingest.deliveries import Arrived, Delivery
from cloud.ingest.memory import Memory
from cloud.ingest.schemas import Batch, Block, Flush, batch_of
from cloud.ingest.service import Outcome, take_batches_in_turn, take_new_batches
from cloud.ingest.writer import BatchWriter
from shared.enums import TimeQuality
from tests.conftest import FreshDatabase
from tests.locks import until_somebody_waits_for
from tests.plants import NOW, Plant, gateway_of, make_plant, rows_of

EPOCH = UUID(int=7)
LATER = NOW + timedelta(hours=1)


def batch(plant: Plant, seq: int, *, kw: float = 1.0, epoch: UUID = EPOCH) -> Batch:
    """One flush with one reading of the inverter, ten seconds after the one before."""
    block = Block(plant.inverter_id, [seq * 10_000], [0], {"ac_power_kw": [kw]})
    return batch_of(epoch, [Flush(seq, NOW, TimeQuality.SYNCED, [block])])


def delivery(plant: Plant, seq: int, *, proof: str | None = None, **how: Any) -> Delivery:
    return Delivery(plant.edge, batch(plant, seq, **how), LATER, proof)


def context_of(plants: list[Plant]) -> TenantContext:
    return TenantContext(
        organization_ids=tuple(plant.organization_id for plant in plants),
        site_ids=tuple(plant.site_id for plant in plants),
    )


async def begin(lane: BulkLane, plants: list[Plant], memory: Memory) -> None:
    """The first flush of each, after which the gateways are known."""
    async with lane.transaction(context_of(plants)) as pg:
        await take_new_batches(pg, [delivery(plant, 1) for plant in plants], memory)


async def in_turn(
    lane: BulkLane, deliveries: list[Delivery], memory: Memory, *, context: TenantContext
) -> list[Arrived] | None:
    async with lane.connection() as pg:
        return await take_batches_in_turn(pg, deliveries, memory, context=context)


async def execute(db: Database, statement: str, **parameters: Any) -> None:
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(text(statement), parameters)


async def stored(db: Database, plant: Plant) -> list[tuple[int, float]]:
    rows = await rows_of(db, plant, "SELECT seq, ac_power_kw FROM telemetry_readings ORDER BY at")
    return [(row["seq"], row["ac_power_kw"]) for row in rows]


async def test_the_next_batches_of_known_gateways(db: Database, lane: BulkLane) -> None:
    plants, memory = [await make_plant(db, name=f"owner{n}") for n in range(3)], Memory()
    await begin(lane, plants, memory)
    for seq in (2, 3):
        sent = [delivery(plant, seq, kw=seq) for plant in plants]
        arrived = await in_turn(lane, sent, memory, context=context_of(plants))
        assert arrived is not None
        assert [(each.ack.acked_seq, each.ack.stored, each.wrote) for each in arrived] == [(seq, 1, True)] * 3
    for plant in plants:
        assert await stored(db, plant) == [(1, 1.0), (2, 2.0), (3, 3.0)]
        assert (await gateway_of(db, plant)).acked_seq == 3
        ledger = await rows_of(db, plant, "SELECT first_seq, last_seq, stored FROM ingest_batches ORDER BY first_seq")
        assert [tuple(row.values()) for row in ledger] == [(seq, seq, 1) for seq in (1, 2, 3)]
        shown = await rows_of(db, plant, "SELECT current_power_kw FROM device_telemetry_snapshot")
        assert shown == [{"current_power_kw": 3.0}]
        assert await rows_of(db, plant, "SELECT generation FROM rollup_dirty") == [{"generation": 3}]


CHANGES = {
    "another process took the batch": "UPDATE edge_gateways SET acked_seq = 2 WHERE id = :gateway",
    "the store is another one": "UPDATE edge_gateways SET epoch = gen_random_uuid() WHERE id = :gateway",
    "revoked": "UPDATE edge_gateways SET revoked_at = now() WHERE id = :gateway",
    "another credential": "UPDATE edge_gateways SET credential_hash = 'x' WHERE id = :gateway",
    "a device changed": "UPDATE devices SET rated_power_kw = 0.1 WHERE site_id = :site",
    "the gateway is gone": "UPDATE edge_gateways SET id = gen_random_uuid() WHERE id = :gateway",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_nothing_is_written_when_one_gateway_is_not_as_remembered(
    db: Database, lane: BulkLane, change: str
) -> None:
    plants, memory = [await make_plant(db, name=f"owner{n}") for n in range(2)], Memory()
    await begin(lane, plants, memory)
    await execute(db, "DELETE FROM ingest_batches")
    parameters = {"gateway": plants[1].edge.gateway_id, "site": plants[1].site_id}
    await execute(db, change, **{name: value for name, value in parameters.items() if f":{name}" in change})
    sent = [delivery(plant, 2) for plant in plants]
    for _ in range(2):  # asked once, and then known to want a closer look
        assert await in_turn(lane, sent, memory, context=context_of(plants)) is None
    assert [await stored(db, plant) for plant in plants] == [[(1, 1.0)]] * 2
    assert (await gateway_of(db, plants[0])).acked_seq == 1
    for plant in plants:
        assert await rows_of(db, plant, "SELECT 1 FROM ingest_batches") == []
        assert await rows_of(db, plant, "SELECT generation FROM rollup_dirty") == [{"generation": 1}]
        shown = await rows_of(db, plant, "SELECT timestamp FROM device_telemetry_snapshot")
        assert shown == [{"timestamp": NOW + timedelta(seconds=10)}]


@pytest.mark.parametrize(
    "what",
    [
        {"seq": 1},
        {"seq": 3},
        {"seq": 2, "epoch": UUID(int=8)},
        {"seq": 2, "proof": token_hash("somebody else's secret")},
    ],
    ids=["a repeat", "a gap", "another store", "another credential"],
)
async def test_what_does_not_follow_wants_a_closer_look(
    db: Database, lane: BulkLane, plant: Plant, what: dict[str, Any]
) -> None:
    memory = Memory()
    await begin(lane, [plant], memory)
    assert await in_turn(lane, [delivery(plant, **what)], memory, context=context_of([plant])) is None
    assert await stored(db, plant) == [(1, 1.0)]


async def test_late_and_unknown_readings_want_a_closer_look(lane: BulkLane, plant: Plant) -> None:
    memory = Memory()
    await begin(lane, [plant], memory)
    late = Block(plant.inverter_id, [-40 * 86_400_000], [0], {"ac_power_kw": [1.0]})
    impossible = Block(plant.inverter_id, [-(10**17)], [0], {"ac_power_kw": [1.0]})
    strange = Block(UUID(int=404), [0], [0], {"ac_power_kw": [1.0]})
    for block in (late, impossible, strange):
        sent = Delivery(plant.edge, batch_of(EPOCH, [Flush(2, NOW, TimeQuality.SYNCED, [block])]), LATER)
        assert await in_turn(lane, [sent], memory, context=context_of([plant])) is None


async def test_the_credential_of_last_time_is_recognised(db: Database, lane: BulkLane, plant: Plant) -> None:
    memory = Memory()
    await begin(lane, [plant], memory)
    proof = (await gateway_of(db, plant)).credential_hash
    assert await in_turn(lane, [delivery(plant, 2, proof=proof)], memory, context=context_of([plant]))


async def test_it_sees_only_the_rows_of_its_context(db: Database, lane: BulkLane, plant: Plant) -> None:
    memory = Memory()
    await begin(lane, [plant], memory)
    strangers = TenantContext(organization_ids=(new_id(),), site_ids=(new_id(),))
    assert await in_turn(lane, [delivery(plant, 2)], memory, context=strangers) is None
    assert await stored(db, plant) == [(1, 1.0)]
    async with lane.connection() as pg:
        assert await pg.fetchval("SELECT count(*) FROM edge_gateways") == 0, "a context ends with its statement"


@asynccontextmanager
async def changing(admin_url: str, statement: str, *parameters: object) -> AsyncIterator[int]:
    """A transaction of somebody else that has changed something and commits at the end of the block; its process id."""
    conn = await asyncpg.connect(admin_url)
    try:
        async with conn.transaction():
            await conn.execute(statement, *parameters)
            yield conn.get_server_pid()
    finally:
        await conn.close()


@pytest.mark.parametrize(
    ("change", "is_in_turn"),
    [("agent_version = '9.9'", True), ("acked_seq = 2", False), ("revoked_at = now()", False)],
)
async def test_what_is_being_changed_is_waited_for_and_judged_as_it_became(
    db: Database, lane: BulkLane, plant: Plant, fresh_database: FreshDatabase, *, change: str, is_in_turn: bool
) -> None:
    memory = Memory()
    await begin(lane, [plant], memory)
    statement = f"UPDATE edge_gateways SET {change} WHERE id = $1"  # noqa: S608 -- from above
    async with changing(fresh_database.admin_url, statement, plant.edge.gateway_id) as pid:
        writing = asyncio.create_task(in_turn(lane, [delivery(plant, 2)], memory, context=context_of([plant])))
        await until_somebody_waits_for(pid, fresh_database.admin_url)
    arrived = await writing
    assert (arrived is not None) == is_in_turn
    gateway = await gateway_of(db, plant)
    assert gateway.acked_seq == (1 if "revoked" in change else 2)
    assert gateway.agent_version == ("9.9" if is_in_turn else None)
    assert await stored(db, plant) == ([(1, 1.0), (2, 1.0)] if is_in_turn else [(1, 1.0)])


async def test_the_writer_looks_closer_only_where_it_must(
    db: Database, writer: BatchWriter, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    async def look(pg: BulkConnection, deliveries: Sequence[Delivery], memory: Memory) -> Sequence[Outcome]:
        looked.append([each.batch.first_seq for each in deliveries])
        return await take_new_batches(pg, deliveries, memory)

    monkeypatch.setattr(writer_module, "take_new_batches", look)
    for seq in (1, 2, 3, 3, 4, 5):
        assert (await writer.write(delivery(plant, seq))).ack.acked_seq == seq
    assert looked == [[1], [3], [4]], "the first, the repeat, and the one after it"
    assert [seq for seq, _ in await stored(db, plant)] == [1, 2, 3, 4, 5]


async def test_a_revoked_gateway_is_refused_and_the_others_are_served(db: Database, writer: BatchWriter) -> None:
    plants = [await make_plant(db, name=f"owner{n}") for n in range(3)]
    for seq in (1, 2):
        await asyncio.gather(*(writer.write(delivery(plant, seq)) for plant in plants))
    await execute(db, "UPDATE edge_gateways SET revoked_at = now() WHERE id = :id", id=plants[1].edge.gateway_id)
    results = await asyncio.gather(*(writer.write(delivery(plant, 3)) for plant in plants), return_exceptions=True)
    assert isinstance(results[1], CredentialInvalidError)
    assert [len(await stored(db, plant)) for plant in plants] == [3, 2, 3]


async def test_a_new_rating_holds_for_the_next_batch(db: Database, writer: BatchWriter, plant: Plant) -> None:
    flagged = []
    for seq, rated_kw in ((1, 5.0), (2, 5.0), (3, 0.1), (4, 0.1)):
        await execute(db, "UPDATE devices SET rated_power_kw = :kw WHERE id = :id", kw=rated_kw, id=plant.inverter_id)
        flagged.append((await writer.write(delivery(plant, seq))).ack.flagged)
    assert flagged == [0, 0, 1, 1]


async def test_two_processes_with_the_same_gateways_store_each_reading_once(
    db: Database, writer: BatchWriter, fresh_database: FreshDatabase
) -> None:
    """Whichever process a box comes to, and even if it asks both at once."""
    other = BulkLane(fresh_database.app_url, connections=4, wait_timeout_s=10)
    writers = [writer, BatchWriter(other)]
    plants = [await make_plant(db, name=f"owner{n}") for n in range(5)]
    chance = random.Random(4)  # noqa: S311 -- repeatable
    flushes = 25

    async def live(plant: Plant) -> None:
        for seq in range(1, flushes + 1):
            asked = chance.choice([[0], [1], [0, 1], [1, 1]])
            arrived = await asyncio.gather(*(writers[process].write(delivery(plant, seq)) for process in asked))
            assert [each.ack.acked_seq for each in arrived] == [seq] * len(asked)
            assert sum(each.ack.stored for each in arrived) == 1

    await asyncio.gather(*(live(plant) for plant in plants))
    for plant in plants:
        assert await stored(db, plant) == [(seq, 1.0) for seq in range(1, flushes + 1)]
        [count] = await rows_of(db, plant, "SELECT count(*), sum(stored) AS stored FROM ingest_batches")
        assert (count["count"], count["stored"]) == (flushes, flushes)
    await writers[1].close()
    await other.close()


async def test_another_gateway_of_the_site_is_not_this_one(db: Database, lane: BulkLane, plant: Plant) -> None:
    memory = Memory()
    await begin(lane, [plant], memory)
    second = replace(plant, edge=replace(plant.edge, gateway_id=new_id()))
    assert await in_turn(lane, [delivery(second, 2)], memory, context=context_of([plant])) is None
