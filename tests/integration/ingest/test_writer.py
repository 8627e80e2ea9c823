"""Batches of many gateways are committed in groups, and no batch is worse off for the company it is in."""

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
from structlog.testing import capture_logs

from cloud.core.bulk import BulkConnection, BulkLane
from cloud.core.db import SYSTEM, Database, DatabaseUnavailableError, asyncpg_of
from cloud.core.errors import OverloadedError
from cloud.core.ids import new_id
from cloud.fleet.service import CredentialInvalidError
from cloud.ingest import writer as writer_module
from cloud.ingest.columns import sort_batch
from cloud.ingest.deliveries import Arrived, Delivery
from cloud.ingest.memory import Memory
from cloud.ingest.repository import ledger, raw
from cloud.ingest.rows import Rows
from cloud.ingest.schemas import Batch, Block, Cell, Flush, batch_of
from cloud.ingest.service import SequenceGapError, take_batch
from cloud.ingest.writer import BatchWriter
from shared.enums import Quality, TimeQuality
from tests.conftest import FreshDatabase
from tests.locks import until_somebody_waits_for
from tests.plants import NOW, Plant, gateway_of, make_plant, rows_of

EPOCH = UUID(int=7)
LATER = NOW + timedelta(hours=1)
SECOND_MS = 1000


async def make_plants(db: Database, count: int) -> list[Plant]:
    return [await make_plant(db, name=f"owner{number}") for number in range(count)]


def block(device_id: UUID, *cells: Cell, key: str = "ac_power_kw", at_s: int = 0) -> Block:
    n = len(cells)
    return Block(device_id, [(at_s + i) * SECOND_MS for i in range(n)], [0] * n, {key: list(cells)})


def batch(*blocks: Block, seq: int = 1, epoch: UUID = EPOCH) -> Batch:
    """One flush."""
    return batch_of(epoch, [Flush(seq, NOW, TimeQuality.SYNCED, list(blocks))])


def delivery(plant: Plant, sent: Batch) -> Delivery:
    return Delivery(plant.edge, sent, LATER)


def power(plant: Plant, *cells: Cell, seq: int = 1, at_s: int = 0) -> Delivery:
    """Readings of the plant's inverter."""
    return delivery(plant, batch(block(plant.inverter_id, *cells, at_s=at_s), seq=seq))


@asynccontextmanager
async def held(db: Database, *plants: Plant) -> AsyncIterator[None]:
    """Keep batches of these plants from being written for the time being."""
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        await ledger.lock_ledgers(pg, [plant.edge.gateway_id for plant in plants])
        yield


Result = Arrived | BaseException


async def as_one_group(db: Database, writer: BatchWriter, deliveries: Sequence[Delivery]) -> list[Result]:
    """Write batches that gather behind as many others as are written at once."""
    before = [await make_plant(db, name=f"before{new_id()}") for _ in range(writer_module.GROUPS)]
    async with held(db, *before):
        first = [asyncio.create_task(writer.write(power(plant, *[1.0] * 1000))) for plant in before]
        await asyncio.sleep(0)
        rest = [asyncio.create_task(writer.write(each)) for each in deliveries]
        await asyncio.sleep(0)
    await asyncio.gather(*first)
    return await asyncio.gather(*rest, return_exceptions=True)


def acks(results: Sequence[Result]) -> list[tuple[int, int, int]]:
    """Acknowledged, stored, duplicates."""
    found = []
    for result in results:
        assert isinstance(result, Arrived), result
        found.append((result.ack.acked_seq, result.ack.stored, result.ack.duplicates))
    return found


async def transactions(db: Database, plants: Sequence[Plant]) -> int:
    """In how many transactions the batches of these plants were written."""
    async with db.transaction(SYSTEM) as conn:
        statement = text("SELECT count(DISTINCT xmin::text) FROM ingest_batches WHERE gateway_id = ANY (:ids)")
        found = await conn.execute(statement, {"ids": [plant.edge.gateway_id for plant in plants]})
        return int(found.scalar_one())


async def execute(db: Database, statement: str, **parameters: Any) -> None:
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(text(statement), parameters)


async def powers(db: Database, plant: Plant) -> list[float | None]:
    rows = await rows_of(db, plant, "SELECT ac_power_kw FROM telemetry_readings ORDER BY at")
    return [row["ac_power_kw"] for row in rows]


# --- the same rows as one by one


STRANGER = UUID(int=404)


def any_batch(plant: Plant, seed: int, seq: int, *, others: tuple[UUID, ...]) -> Batch:
    """Good readings, doubtful ones and bad ones of both devices and of others."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable
    flushes = []
    for number in range(seq, seq + chance.randint(1, 3)):
        blocks = []
        for device_id in (plant.inverter_id, plant.meter_id, *others):
            n = chance.randint(0, 3)
            if n:
                offsets = [number * 600_000 + i * 10_000 for i in range(n)]
                values: dict[str, list[Cell]] = {
                    "ac_power_kw": [chance.choice([1.5, 99.0, None, "high"]) for _ in range(n)],
                    "energy_total_kwh": [100.0 + number + i / 8 for i in range(n)],
                    "operating_state": [chance.choice(["running", "x" * 40, 'say "no" \\\n', None]) for _ in range(n)],
                    "acme_x": [chance.choice([1.0, "word", None]) for _ in range(n)],
                }
                kept = chance.sample(sorted(values), chance.randint(1, 4))
                quality = [chance.choice([0, int(Quality.LINK_DOWN)]) for _ in range(n)]
                blocks.append(Block(device_id, offsets, quality, {key: values[key] for key in kept}))
        flushes.append(Flush(number, NOW, chance.choice(list(TimeQuality)), blocks))
    return batch_of(EPOCH, flushes)


READ_BACK = (
    """
    SELECT d.device_type, to_jsonb(r) - '{site_id, device_number}'::text[] AS row
    FROM telemetry_readings AS r JOIN devices AS d ON d.number = r.device_number ORDER BY d.device_type, r.at
    """,
    """
    SELECT d.device_type, to_jsonb(s) - '{site_id, organization_id, device_id, created_at, updated_at}'::text[] AS row
    FROM device_telemetry_snapshot AS s JOIN devices AS d ON d.id = s.device_id ORDER BY 1
    """,
    "SELECT first_seq, last_seq, stored, duplicates, flagged, rejected, received_at FROM ingest_batches ORDER BY first_seq",
    "SELECT d.device_type, bucket, priority, generation FROM rollup_dirty JOIN devices AS d ON d.id = device_id ORDER BY 1, 2",
    "SELECT seq, block_index, device_id, at, reason, body FROM quarantined_readings ORDER BY seq, block_index, at",
    "SELECT status, last_seen_at FROM devices ORDER BY device_type",
    "SELECT acked_seq, epoch, past_epochs, last_seen_at FROM edge_gateways",
)


@pytest.mark.parametrize("others", [(STRANGER,), ()], ids=["with rejected readings", "in turn"])
async def test_many_gateways_at_once_give_the_same_rows_as_one_by_one(
    db: Database, writer: BatchWriter, others: tuple[UUID, ...]
) -> None:
    together, alone = await make_plants(db, 6), [await make_plant(db, name=f"alone{number}") for number in range(6)]
    seqs = [1] * 6
    memory = Memory()
    for turn in range(4):
        sent, same = (
            [any_batch(plant, turn * 10 + i, seqs[i], others=others) for i, plant in enumerate(plants)]
            for plants in (together, alone)
        )
        arrived = await asyncio.gather(
            *(writer.write(delivery(plant, each)) for plant, each in zip(together, sent, strict=True))
        )
        for i, (plant, each) in enumerate(zip(alone, same, strict=True)):
            async with db.transaction(plant.edge.context) as conn:
                expected = await take_batch(await asyncpg_of(conn), delivery(plant, each), memory)
            ids = {together[i].inverter_id: plant.inverter_id, together[i].meter_id: plant.meter_id}
            rejected = tuple(
                reading.model_copy(update={"device_id": ids.get(reading.device_id, reading.device_id)})
                for reading in arrived[i].ack.rejected
            )
            assert arrived[i].ack.model_copy(update={"rejected": rejected}) == expected.ack
        seqs = [each.last_seq + 1 for each in sent]
    for one, other in zip(together, alone, strict=True):
        for statement in READ_BACK:
            rows = await rows_of(db, one, statement)
            assert rows == await rows_of(db, other, statement), statement
            assert rows or (not others and "quarantined" in statement), statement


async def test_what_waits_is_committed_together(db: Database, writer: BatchWriter) -> None:
    plants = await make_plants(db, 12)
    results = await as_one_group(db, writer, [power(plant, 1.0, 2.0) for plant in plants])
    assert acks(results) == [(1, 2, 0)] * 12
    assert await transactions(db, plants) == 1
    for plant in plants:
        assert await powers(db, plant) == [1.0, 2.0]


async def test_a_batch_that_comes_alone_is_written_at_once(db: Database, writer: BatchWriter, plant: Plant) -> None:
    for seq in (1, 2):
        assert (await writer.write(power(plant, 1.0, seq=seq, at_s=seq))).ack.acked_seq == seq
    assert await transactions(db, [plant]) == 2


async def test_a_group_has_an_end(db: Database, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "READINGS_PER_GROUP", 4)
    plants = await make_plants(db, 6)
    results = await as_one_group(db, writer, [power(plant, 1.0, 2.0) for plant in plants])
    assert acks(results) == [(1, 2, 0)] * 6
    assert await transactions(db, plants) == 3


async def test_two_gateways_of_one_site_in_a_group(db: Database, writer: BatchWriter, plant: Plant) -> None:
    second = await another_gateway(db, plant)
    results = await as_one_group(db, writer, [power(second, 2.0, at_s=10), power(plant, 1.0)])
    assert acks(results) == [(1, 1, 0), (1, 1, 0)]
    assert await transactions(db, [plant, second]) == 1
    assert await powers(db, plant) == [1.0, 2.0]
    shown = await rows_of(db, plant, "SELECT current_power_kw, timestamp FROM device_telemetry_snapshot")
    assert shown == [{"current_power_kw": 2.0, "timestamp": NOW + timedelta(seconds=10)}]


async def another_gateway(db: Database, plant: Plant) -> Plant:
    edge = replace(plant.edge, gateway_id=new_id())
    await execute(
        db,
        "INSERT INTO edge_gateways (id, site_id, organization_id, credential_hash) VALUES (:id, :site, :organization, 'x')",
        id=edge.gateway_id,
        site=plant.site_id,
        organization=plant.organization_id,
    )
    return replace(plant, edge=edge)


# --- one that cannot go as the others


async def test_a_duplicate_reading_hurts_no_other_batch_of_its_group(db: Database, writer: BatchWriter) -> None:
    plants = await make_plants(db, 4)
    await writer.write(power(plants[1], 1.0))
    again = power(plants[1], 9.0, 2.0, seq=2)
    with capture_logs() as logs:
        results = await as_one_group(
            db, writer, [power(plants[0], 1.0), again, power(plants[2], 1.0), power(plants[3], 1.0)]
        )
    assert [log["reason"] for log in logs if log["event"] == "batches_written_alone"] == ["UniqueViolationError"]
    assert acks(results) == [(1, 1, 0), (2, 1, 1), (1, 1, 0), (1, 1, 0)]
    assert [await powers(db, plant) for plant in plants] == [[1.0], [1.0, 2.0], [1.0], [1.0]]


async def test_the_same_reading_twice_in_one_batch_is_stored_once(
    db: Database, writer: BatchWriter, plant: Plant
) -> None:
    twice = batch(block(plant.inverter_id, 1.0), block(plant.inverter_id, 2.0))
    assert acks([await writer.write(delivery(plant, twice))]) == [(1, 1, 1)]
    assert await powers(db, plant) == [1.0]


async def test_the_same_reading_of_two_gateways_is_stored_once(db: Database, writer: BatchWriter, plant: Plant) -> None:
    second = await another_gateway(db, plant)
    results = await as_one_group(db, writer, [power(plant, 1.0), power(second, 2.0)])
    assert acks(results) == [(1, 1, 0), (1, 0, 1)]
    assert await powers(db, plant) == [1.0]


async def test_a_number_too_near_to_nothing_is_nothing_and_hurts_no_other(db: Database, writer: BatchWriter) -> None:
    plants = await make_plants(db, 3)
    tiny = batch(
        block(plants[1].inverter_id, 1e-50, -1e-50, 2.5), block(plants[1].meter_id, 1e-50, key="energy_total_kwh")
    )
    results = await as_one_group(db, writer, [power(plants[0], 1.0), delivery(plants[1], tiny), power(plants[2], 1.0)])
    assert acks(results) == [(1, 1, 0), (1, 4, 0), (1, 1, 0)]
    inverter = "SELECT ac_power_kw FROM telemetry_readings WHERE energy_total_kwh IS NULL ORDER BY at"
    assert await rows_of(db, plants[1], inverter) == [{"ac_power_kw": kw} for kw in (0.0, 0.0, 2.5)]
    counter = "SELECT energy_total_kwh FROM telemetry_readings WHERE energy_total_kwh IS NOT NULL"
    assert await rows_of(db, plants[1], counter) == [{"energy_total_kwh": 1e-50}], "a counter has all its digits"


async def test_a_deadlock_hurts_nobody(db: Database, writer: BatchWriter, fresh_database: FreshDatabase) -> None:
    plants = await make_plants(db, 3)
    for plant in plants:
        await writer.write(power(plant, 1.0))
    other = await asyncpg.connect(fresh_database.admin_url)
    try:
        await other.execute("SET deadlock_timeout = '1min'; BEGIN")
        # The group holds the gateways when it asks for the snapshots; this one asks the other way round.
        await other.execute(
            "SELECT FROM device_telemetry_snapshot WHERE device_id = $1 FOR UPDATE", plants[1].inverter_id
        )
        writing = asyncio.create_task(as_one_group(db, writer, [power(plant, 2.0, seq=2, at_s=10) for plant in plants]))
        await until_somebody_waits_for(other.get_server_pid(), fresh_database.admin_url)
        with capture_logs() as logs:
            await other.execute("SELECT FROM edge_gateways WHERE id = $1 FOR UPDATE", plants[0].edge.gateway_id)
            await other.execute("COMMIT")
            results = await writing
    finally:
        await other.close()
    assert [log["reason"] for log in logs if log["event"] == "batches_written_alone"] == ["DeadlockDetectedError"]
    assert acks(results) == [(2, 1, 0)] * 3
    assert [await powers(db, plant) for plant in plants] == [[1.0, 2.0]] * 3


async def test_somebody_who_edits_a_device_is_not_waited_for(
    db: Database, lane: BulkLane, fresh_database: FreshDatabase
) -> None:
    [plant] = await make_plants(db, 1)
    editing = await asyncpg.connect(fresh_database.admin_url)
    change = (
        "UPDATE devices SET rated_power_kw = 7 WHERE id = $1"  # its trigger gives the gateway's plan a new revision
    )
    try:
        async with lane.transaction(plant.edge.context) as pg:
            await ledger.lock_ledgers(pg, [plant.edge.gateway_id])
            edit = asyncio.create_task(editing.execute(change, plant.inverter_id))
            await until_somebody_waits_for(pg.get_server_pid(), fresh_database.admin_url)
            # The edit holds the device and waits for the gateway; to wait for the device here would be a deadlock.
            async with asyncio.timeout(10):
                await take_batch(pg, power(plant, 1.0), Memory())
        await edit
        assert await powers(db, plant) == [1.0]
        async with lane.transaction(plant.edge.context) as pg:
            await take_batch(pg, power(plant, 2.0, seq=2, at_s=10), Memory())
    finally:
        await editing.close()
    told = "SELECT rated_power_kw, status::text, last_seen_at IS NOT NULL AS heard FROM devices WHERE device_type = 'inverter'"
    assert await rows_of(db, plant, told) == [{"rated_power_kw": 7.0, "status": "online", "heard": True}]


@pytest.mark.parametrize("error", [asyncpg.DataError("no"), asyncpg.DeadlockDetectedError("no"), ValueError("no")])
async def test_a_batch_that_fails_alone_too_fails_alone(
    db: Database, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    plants = await make_plants(db, 4)
    await writer.write(power(plants[0], 1.0))

    async def take_unless_second(pg: BulkConnection, each: Delivery, memory: Memory) -> Arrived:
        if each.edge == plants[1].edge:
            raise error
        return await take_batch(pg, each, memory)

    monkeypatch.setattr(writer_module, "take_batch", take_unless_second)
    repeated = power(plants[0], 1.0, seq=2)  # does not go with the others
    results = await as_one_group(db, writer, [repeated, *(power(plant, 1.0) for plant in plants[1:])])
    assert results[1] is error
    assert acks([results[0], *results[2:]]) == [(2, 0, 1), (1, 1, 0), (1, 1, 0)]
    assert [await powers(db, plant) for plant in plants] == [[1.0], [], [1.0], [1.0]]


async def test_a_gap_and_a_revoked_gateway_are_refused_alone(db: Database, writer: BatchWriter) -> None:
    plants = await make_plants(db, 5)
    await execute(db, "UPDATE edge_gateways SET revoked_at = now() WHERE id = :id", id=plants[1].edge.gateway_id)
    unknown = replace(plants[4], edge=replace(plants[4].edge, gateway_id=new_id()))
    sent = [power(plants[0], 1.0), power(plants[1], 1.0), power(plants[2], 1.0, seq=3), power(plants[3], 1.0)]
    results = await as_one_group(db, writer, [*sent, power(unknown, 1.0)])
    assert acks([results[0], results[3]]) == [(1, 1, 0)] * 2
    assert isinstance(results[1], CredentialInvalidError)
    assert isinstance(results[4], CredentialInvalidError)
    assert isinstance(results[2], SequenceGapError)
    assert results[2].extra == {"expected_seq": 1}
    assert await transactions(db, plants) == 1
    assert [await powers(db, plant) for plant in plants] == [[1.0], [], [], [1.0], []]


async def test_a_repeat_among_new_ones_is_answered_and_not_written(db: Database, writer: BatchWriter) -> None:
    plants = await make_plants(db, 2)
    await writer.write(power(plants[0], 1.0))
    first, second = await as_one_group(db, writer, [power(plants[0], 1.0), power(plants[1], 1.0)])
    assert acks([first, second]) == [(1, 0, 1), (1, 1, 0)]
    assert isinstance(first, Arrived)
    assert not first.wrote
    assert len(await rows_of(db, plants[0], "SELECT 1 FROM ingest_batches")) == 1


# --- order, room, and callers that go away


async def test_a_gateway_that_is_being_written_waits_in_either_line(
    db: Database, writer: BatchWriter, plant: Plant
) -> None:
    bulky = writer_module.BULKY + 1
    async with held(db, plant):
        first = asyncio.create_task(writer.write(power(plant, *[1.0] * bulky)))
        await asyncio.sleep(0)
        second = asyncio.create_task(writer.write(power(plant, 1.0, seq=2, at_s=7200)))
        await asyncio.sleep(0.05)
        assert not second.done()
    assert acks(await asyncio.gather(first, second)) == [(1, bulky, 0), (2, 1, 0)]


async def test_batches_of_one_gateway_at_once_keep_their_order(db: Database, writer: BatchWriter) -> None:
    plants = await make_plants(db, 3)
    sent = [power(plant, float(seq), seq=seq, at_s=seq) for seq in range(1, 6) for plant in plants]
    results = await as_one_group(db, writer, sent)
    assert acks(results) == [(seq, 1, 0) for seq in range(1, 6) for _ in plants]
    assert await transactions(db, plants) == 5, "one of each gateway in a transaction"
    assert [await powers(db, plant) for plant in plants] == [[1.0, 2.0, 3.0, 4.0, 5.0]] * 3


async def test_what_a_full_group_left_behind_goes_before_what_came_later(
    db: Database, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "READINGS_PER_GROUP", 2)
    one, other = await make_plants(db, 2)
    # The second of the one waits for the first, and the group is full before its third is looked at.
    sent = [power(one, 1.0), power(one, 2.0, seq=2, at_s=2), power(other, 1.0), power(one, 3.0, seq=3, at_s=3)]
    assert acks(await as_one_group(db, writer, sent)) == [(1, 1, 0), (2, 1, 0), (1, 1, 0), (3, 1, 0)]
    assert await powers(db, one) == [1.0, 2.0, 3.0]


async def test_who_goes_away_before_is_not_written(db: Database, writer: BatchWriter) -> None:
    gone, stays, *before = await make_plants(db, 2 + writer_module.GROUPS)
    async with held(db, *before):
        first = [asyncio.create_task(writer.write(power(plant, *[1.0] * 1000))) for plant in before]
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(writer.write(power(plant, 1.0))) for plant in (gone, stays)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*first)
    assert (await waiting[1]).ack.stored == 1
    assert waiting[0].cancelled()
    assert await powers(db, gone) == []
    assert (await gateway_of(db, gone)).acked_seq == 0


async def test_who_goes_away_while_it_is_written_stops_nobody(db: Database, writer: BatchWriter) -> None:
    gone, stays = await make_plants(db, 2)
    async with held(db, gone):
        tasks = [asyncio.create_task(writer.write(power(plant, 1.0))) for plant in (gone, stays)]
        await asyncio.sleep(0.05)
        tasks[0].cancel()
        await asyncio.sleep(0)
        assert tasks[0].cancelled()
    assert (await tasks[1]).ack.stored == 1
    await writer.close()
    assert await powers(db, gone) == [1.0], "what it began is finished, and a repeat changes nothing"
    assert acks([await writer.write(power(gone, 1.0))]) == [(1, 0, 1)]


async def test_when_as_many_wait_as_may_the_next_is_told_to_come_back(
    db: Database, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "WAITING", 2)
    *plants, late = await make_plants(db, writer_module.GROUPS + 3)
    busy = plants[: writer_module.GROUPS]
    async with held(db, *busy):
        tasks = [asyncio.create_task(writer.write(power(plant, *[1.0] * 1000))) for plant in plants]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as caught:
            writer.check_room()
        assert int(caught.value.headers["Retry-After"]) >= 1
        with pytest.raises(OverloadedError):
            await writer.write(power(late, 1.0))
    assert acks(await asyncio.gather(*tasks)) == [(1, 1000, 0)] * len(plants)
    writer.check_room()
    assert (await writer.write(power(late, 1.0))).ack.stored == 1


async def test_close_waits_for_what_is_being_written(db: Database, writer: BatchWriter) -> None:
    plants = await make_plants(db, 5)
    tasks = [asyncio.create_task(writer.write(power(plant, 1.0))) for plant in plants]
    await asyncio.sleep(0)
    await writer.close()
    assert [await powers(db, plant) for plant in plants] == [[1.0]] * 5
    assert acks(await asyncio.gather(*tasks)) == [(1, 1, 0)] * 5


async def test_a_server_that_is_away_is_told_to_every_caller_and_loses_nothing(db: Database, plant: Plant) -> None:
    lane = BulkLane("postgresql://app:hidden@127.0.0.1:1/none", connections=2, wait_timeout_s=1)
    writer = BatchWriter(lane)
    second = await make_plant(db, name="second")
    sent = [power(plant, 1.0), power(second, 1.0), power(plant, 2.0, seq=2)]
    results = await asyncio.gather(*(writer.write(each) for each in sent), return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailableError] * 3
    await writer.close()
    await lane.close()


async def test_a_connection_that_is_cut_commits_nothing_and_the_next_try_all(db: Database, writer: BatchWriter) -> None:
    plants = await make_plants(db, 3)
    async with held(db, plants[1]):
        tasks = [asyncio.create_task(writer.write(power(plant, 1.0))) for plant in plants]
        await asyncio.sleep(0.1)
        await execute(
            db,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'solarhub-bulk'",
        )
        await asyncio.sleep(0.1)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(result, DatabaseUnavailableError) for result in results)
    for plant, result in zip(plants, results, strict=True):
        assert await powers(db, plant) == ([1.0] if isinstance(result, Arrived) else [])
    again = await asyncio.gather(*(writer.write(power(plant, 1.0)) for plant in plants))
    assert [each.ack.acked_seq for each in again] == [1] * 3
    assert [await powers(db, plant) for plant in plants] == [[1.0]] * 3


# --- whose rows


async def test_a_gateway_never_writes_anothers_site_whoever_is_in_its_group(db: Database, writer: BatchWriter) -> None:
    ali, sara = await make_plants(db, 2)
    foreign = delivery(ali, batch(block(sara.inverter_id, 66.0), block(ali.inverter_id, 1.0)))
    mixed, own = await as_one_group(db, writer, [foreign, power(sara, 2.0, at_s=10)])
    assert acks([mixed, own]) == [(1, 1, 0), (1, 1, 0)]
    assert isinstance(mixed, Arrived)
    assert [(each.device_id, each.reason) for each in mixed.ack.rejected] == [(sara.inverter_id, "device_unknown")]
    assert await powers(db, ali) == [1.0]
    assert await powers(db, sara) == [2.0]
    kept = "SELECT site_id, device_id FROM quarantined_readings"
    assert await rows_of(db, ali, kept) == [{"site_id": ali.site_id, "device_id": sara.inverter_id}]
    assert await rows_of(db, sara, kept) == []


async def test_the_database_refuses_rows_of_a_site_that_is_not_the_contexts(db: Database, lane: BulkLane) -> None:
    ali, sara = await make_plants(db, 2)
    async with db.transaction(SYSTEM) as conn:
        devices = await ledger.known_devices(await asyncpg_of(conn), sara.site_id)
    rows = Rows()
    sort_batch(power(sara, 1.0).batch, devices, site_id=sara.site_id, now=LATER, into=rows)
    rows.fill()

    async def write_for(plant: Plant) -> None:
        async with lane.transaction(plant.edge.context) as pg:
            await raw.insert_missing(pg, rows, received_at=LATER)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await write_for(ali)
    await write_for(sara)
    assert await powers(db, sara) == [1.0]


# --- what is remembered of devices


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("rated_power_kw = 200", Quality.GOOD),
        ("commissioned_at = '2026-06-02 00:00+00'", Quality.BEFORE_DEVICE | Quality.OUT_OF_RANGE),
    ],
)
async def test_a_changed_device_is_judged_as_it_is_now(
    db: Database, writer: BatchWriter, plant: Plant, change: str, expected: Quality
) -> None:
    await writer.write(power(plant, 99.0))
    before = (await gateway_of(db, plant)).plan_revision
    await execute(db, f"UPDATE devices SET {change} WHERE id = :id", id=plant.inverter_id)  # noqa: S608 -- from the list above
    assert (await gateway_of(db, plant)).plan_revision > before
    await writer.write(power(plant, 99.0, seq=2, at_s=10))
    rows = await rows_of(db, plant, "SELECT quality FROM telemetry_readings ORDER BY at")
    assert [Quality(row["quality"]) for row in rows] == [Quality.OUT_OF_RANGE, expected]


async def test_a_device_that_is_added_is_known_and_one_that_is_removed_is_not(
    db: Database, writer: BatchWriter, plant: Plant
) -> None:
    added = new_id()
    both = [block(added, 1.0), block(plant.inverter_id, 2.0)]
    first = await writer.write(delivery(plant, batch(*both)))
    assert [each.device_id for each in first.ack.rejected] == [added]
    await execute(
        db,
        "INSERT INTO devices (id, site_id, organization_id, name, device_type, protocol, profile, commissioned_at)"
        " SELECT :id, site_id, organization_id, 'new', 'sensor', protocol, profile, commissioned_at FROM devices WHERE id = :like",
        id=added,
        like=plant.inverter_id,
    )
    second = await writer.write(delivery(plant, batch(block(added, 1.0, at_s=10), seq=2)))
    assert (second.ack.stored, second.ack.rejected) == (1, ())
    await execute(db, "DELETE FROM devices WHERE id = :id", id=added)
    third = await writer.write(delivery(plant, batch(block(added, 1.0, at_s=20), seq=3)))
    assert [each.reason for each in third.ack.rejected] == ["device_unknown"]


async def test_what_changes_nothing_for_ingest_is_not_asked_for_again(
    db: Database, writer: BatchWriter, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def known_devices(pg: BulkConnection, site_id: UUID) -> dict[UUID, Any]:
        asked.append(site_id)
        return await ask(pg, site_id)

    ask = ledger.known_devices
    monkeypatch.setattr(ledger, "known_devices", known_devices)
    for seq in (1, 2, 3):
        await writer.write(power(plant, 1.0, seq=seq, at_s=seq))
        await execute(db, "UPDATE devices SET last_error = 'x' WHERE id = :id", id=plant.inverter_id)
    assert asked == [plant.site_id]
