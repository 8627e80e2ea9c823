"""One batch, one transaction: rows, snapshot, ledger and dirty buckets, once."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.core.ids import new_id
from cloud.fleet.service import CredentialInvalidError
from cloud.fleet.tables import EdgeGateway
from cloud.ingest.deliveries import Arrived, Delivery
from cloud.ingest.memory import Memory
from cloud.ingest.schemas import Batch, Block, Flush, batch_of
from cloud.ingest.service import EpochSupersededError, SequenceGapError, take_batch, take_newest
from shared.enums import Quality, TimeQuality
from shared.wire import BatchAck, NewestReading
from tests.plants import NOW, Plant, gateway_of, make_plant, rows_of

EPOCH, OTHER_EPOCH = UUID(int=7), UUID(int=8)


def flush(seq: int, *blocks: Block, at: datetime = NOW, quality: TimeQuality = TimeQuality.SYNCED) -> Flush:
    return Flush(seq=seq, started_at=at, time_quality=quality, blocks=list(blocks))


def block(
    device_id: UUID, *powers: float | str | None, key: str = "ac_power_kw", flags: int = 0, step_s: int = 10
) -> Block:
    n = len(powers)
    return Block(
        device_id=device_id,
        offsets_ms=[i * step_s * 1000 for i in range(n)],
        quality=[flags] * n,
        values={key: list(powers)},
    )


def batch(*flushes: Flush, epoch: UUID = EPOCH) -> Batch:
    return batch_of(epoch, flushes)


async def take(db: Database, plant: Plant, sent: Batch, *, now: datetime = NOW + timedelta(minutes=1)) -> Arrived:
    async with db.transaction(plant.edge.context) as conn:
        return await take_batch(await asyncpg_of(conn), Delivery(plant.edge, sent, now), Memory())


async def test_a_batch_is_stored_and_acknowledged(db: Database, plant: Plant) -> None:
    arrived = await take(
        db,
        plant,
        batch(
            flush(1, block(plant.inverter_id, 1.0, None)), flush(2, block(plant.meter_id, -0.5, key="grid_power_kw"))
        ),
    )
    assert arrived == Arrived(
        BatchAck(acked_seq=2, stored=3, duplicates=0, flagged=0, server_time=NOW + timedelta(minutes=1)), wrote=True
    )
    raw = await rows_of(
        db,
        plant,
        "SELECT at, seq, quality, ac_power_kw, grid_power_kw FROM telemetry_readings ORDER BY at, seq",
    )
    assert [(row["seq"], row["ac_power_kw"], row["grid_power_kw"]) for row in raw] == [
        (1, 1.0, None),
        (2, None, -0.5),
        (1, None, None),
    ]
    ledger = await rows_of(db, plant, "SELECT first_seq, last_seq, stored, duplicates, rejected FROM ingest_batches")
    assert ledger == [{"first_seq": 1, "last_seq": 2, "stored": 3, "duplicates": 0, "rejected": 0}]
    snapshot = await rows_of(db, plant, "SELECT device_id, current_power_kw, timestamp FROM device_telemetry_snapshot")
    assert {row["device_id"]: row["current_power_kw"] for row in snapshot} == {
        plant.inverter_id: None,
        plant.meter_id: -0.5,
    }


async def test_a_repeat_changes_nothing_and_gets_the_same_sequence(db: Database, plant: Plant) -> None:
    sent = batch(
        flush(1, block(plant.inverter_id, 1.0)), flush(2, block(plant.inverter_id, 2.0), at=NOW + timedelta(seconds=30))
    )
    first = await take(db, plant, sent)
    await rows_of(db, plant, "SELECT 1")
    again = await take(db, plant, sent)
    assert (again.ack.acked_seq, again.ack.stored, again.wrote) == (first.ack.acked_seq, 0, False)
    assert len(await rows_of(db, plant, "SELECT 1 FROM ingest_batches")) == 1


async def test_a_lost_acknowledgement_and_a_longer_batch_store_only_what_is_new(db: Database, plant: Plant) -> None:
    one, two = (
        flush(1, block(plant.inverter_id, 1.0)),
        flush(2, block(plant.inverter_id, 2.0), at=NOW + timedelta(seconds=10)),
    )
    await take(db, plant, batch(one))
    arrived = await take(db, plant, batch(one, two))
    assert (arrived.ack.acked_seq, arrived.ack.stored, arrived.ack.duplicates) == (2, 1, 0)
    assert await rows_of(db, plant, "SELECT first_seq, last_seq FROM ingest_batches ORDER BY 1") == [
        {"first_seq": 1, "last_seq": 1},
        {"first_seq": 2, "last_seq": 2},
    ]


async def test_the_same_reading_in_a_new_flush_is_a_duplicate(db: Database, plant: Plant) -> None:
    await take(db, plant, batch(flush(1, block(plant.inverter_id, 1.0))))
    arrived = await take(db, plant, batch(flush(2, block(plant.inverter_id, 9.0))))
    assert (arrived.ack.acked_seq, arrived.ack.stored, arrived.ack.duplicates) == (2, 0, 1)
    assert await rows_of(db, plant, "SELECT ac_power_kw FROM telemetry_readings") == [{"ac_power_kw": 1.0}]


async def test_the_same_batch_twice_at_once_is_stored_once(db: Database, plant: Plant) -> None:
    sent = batch(*(flush(i, block(plant.inverter_id, 1.0), at=NOW + timedelta(seconds=i)) for i in range(1, 40)))
    results = await asyncio.gather(*(take(db, plant, sent) for _ in range(6)))
    assert sorted(result.ack.stored for result in results) == [0, 0, 0, 0, 0, 39]
    assert {result.ack.acked_seq for result in results} == {39}
    assert len(await rows_of(db, plant, "SELECT 1 FROM telemetry_readings")) == 39


async def test_a_gap_is_refused_with_the_expected_sequence(db: Database, plant: Plant) -> None:
    await take(db, plant, batch(flush(1, block(plant.inverter_id, 1.0))))
    with pytest.raises(SequenceGapError) as caught:
        await take(db, plant, batch(flush(3, block(plant.inverter_id, 1.0))))
    assert caught.value.extra == {"expected_seq": 2}
    assert (await gateway_of(db, plant)).acked_seq == 1


async def test_a_new_epoch_begins_again_and_the_old_one_is_refused(db: Database, plant: Plant) -> None:
    await take(db, plant, batch(flush(1, block(plant.inverter_id, 1.0))))
    arrived = await take(
        db, plant, batch(flush(1, block(plant.inverter_id, 2.0), at=NOW + timedelta(hours=1)), epoch=OTHER_EPOCH)
    )
    assert arrived.ack.acked_seq == 1
    with pytest.raises(EpochSupersededError):
        await take(db, plant, batch(flush(2, block(plant.inverter_id, 3.0)), epoch=EPOCH))
    gateway = await gateway_of(db, plant)
    assert (gateway.epoch, gateway.past_epochs, gateway.acked_seq) == (OTHER_EPOCH, [EPOCH], 1)


async def test_a_gateway_revoked_a_moment_ago_writes_nothing(db: Database, plant: Plant) -> None:
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(update(EdgeGateway).values(revoked_at=NOW))
    with pytest.raises(CredentialInvalidError):
        await take(db, plant, batch(flush(1, block(plant.inverter_id, 1.0))))
    assert await rows_of(db, plant, "SELECT 1 FROM telemetry_readings") == []


async def test_one_bad_reading_never_refuses_the_batch(db: Database, plant: Plant) -> None:
    stranger = new_id()
    other = await make_plant(db, name="sara")
    impossible = flush(2, block(plant.inverter_id, 5.0), at=datetime(1970, 1, 1, tzinfo=UTC))
    arrived = await take(
        db,
        plant,
        batch(flush(1, block(stranger, 1.0), block(plant.inverter_id, 2.0), block(other.inverter_id, 3.0)), impossible),
    )
    assert (arrived.ack.acked_seq, arrived.ack.stored) == (2, 1)
    assert [(r.seq, r.device_id, r.reason) for r in arrived.ack.rejected] == [
        (1, stranger, "device_unknown"),
        (1, other.inverter_id, "device_unknown"),
        (2, plant.inverter_id, "time_impossible"),
    ]
    kept = await rows_of(db, plant, "SELECT device_id, reason, body FROM quarantined_readings ORDER BY seq, device_id")
    assert {row["device_id"]: row["body"] for row in kept} == {
        stranger: {"ac_power_kw": 1.0},
        other.inverter_id: {"ac_power_kw": 3.0},
        plant.inverter_id: {"ac_power_kw": 5.0},
    }
    assert await rows_of(db, other, "SELECT 1 FROM telemetry_readings") == []


async def test_doubtful_readings_are_flagged_and_kept(db: Database, plant: Plant) -> None:
    now = NOW + timedelta(minutes=1)
    sent = batch(
        flush(1, block(plant.inverter_id, 99.0)),
        flush(2, block(plant.inverter_id, 1.0), at=now + timedelta(hours=1)),
        flush(3, block(plant.inverter_id, 1.0), at=datetime(2025, 12, 31, tzinfo=UTC)),
        flush(4, block(plant.inverter_id, 1.0), at=NOW + timedelta(seconds=5), quality=TimeQuality.UNKNOWN),
    )
    arrived = await take(db, plant, sent, now=now)
    assert (arrived.ack.stored, arrived.ack.flagged) == (4, 4)
    raw = await rows_of(db, plant, "SELECT seq, quality FROM telemetry_readings ORDER BY seq")
    assert [Quality(row["quality"]) for row in raw] == [
        Quality.OUT_OF_RANGE,
        Quality.FUTURE,
        Quality.BEFORE_DEVICE,
        Quality.TIME_UNCERTAIN,
    ]
    snapshot = await rows_of(db, plant, "SELECT timestamp FROM device_telemetry_snapshot")
    assert snapshot == [{"timestamp": NOW + timedelta(seconds=5)}]


async def test_an_older_reading_never_overwrites_the_snapshot(db: Database, plant: Plant) -> None:
    await take(db, plant, batch(flush(1, block(plant.inverter_id, 4.0))))
    await take(db, plant, batch(flush(2, block(plant.inverter_id, 1.0), at=NOW - timedelta(hours=2))))
    assert await rows_of(db, plant, "SELECT current_power_kw FROM device_telemetry_snapshot") == [
        {"current_power_kw": 4.0}
    ]


async def test_the_live_lane_feeds_the_snapshot_alone(db: Database, plant: Plant) -> None:
    readings = [
        NewestReading(device_id=plant.inverter_id, at=NOW, values={"ac_power_kw": 3.5, "operating_state": "producing"}),
        NewestReading(device_id=new_id(), at=NOW, values={"ac_power_kw": 1.0}),
    ]
    async with db.transaction(plant.edge.context) as conn:
        assert await take_newest(conn, plant.edge, readings, now=NOW)
        assert not await take_newest(conn, plant.edge, readings, now=NOW)
    assert await rows_of(
        db, plant, "SELECT device_id, current_power_kw, operating_state FROM device_telemetry_snapshot"
    ) == [{"device_id": plant.inverter_id, "current_power_kw": 3.5, "operating_state": "producing"}]
    assert await rows_of(db, plant, "SELECT 1 FROM telemetry_readings") == []
    assert await rows_of(db, plant, "SELECT status, last_seen_at FROM devices WHERE device_type = 'inverter'") == [
        {"status": "online", "last_seen_at": NOW}
    ]


def minutes(dirty: Sequence[dict[str, datetime]]) -> list[int]:
    return [int((row["bucket"] - NOW).total_seconds() // 60) for row in dirty]


async def test_new_readings_make_their_own_quarter_hours_dirty(db: Database, plant: Plant) -> None:
    bucket = "SELECT bucket, priority FROM rollup_dirty ORDER BY bucket"
    at = [NOW + timedelta(minutes=m) for m in (0, 1, 40, 100)]
    flushes = [flush(i, block(plant.inverter_id, 1.0), at=moment) for i, moment in enumerate(at, 1)]
    await take(db, plant, batch(*flushes), now=NOW + timedelta(minutes=101))
    dirty = await rows_of(db, plant, bucket)
    assert minutes(dirty) == [0, 30, 90]
    assert [row["priority"] for row in dirty] == [1, 0, 0]


async def test_readings_that_never_count_make_nothing_dirty(db: Database, plant: Plant) -> None:
    before = datetime(2025, 6, 1, tzinfo=UTC)
    ahead = NOW + timedelta(days=2)
    await take(
        db,
        plant,
        batch(
            flush(1, block(plant.inverter_id, 1.0), at=before),
            flush(2, block(plant.inverter_id, 1.0), at=ahead),
            flush(3, block(plant.inverter_id, 1.0, flags=int(Quality.LINK_DOWN))),
        ),
    )
    assert await rows_of(db, plant, "SELECT 1 FROM rollup_dirty") == []


async def test_a_second_mark_is_counted(db: Database, plant: Plant) -> None:
    for seq in (1, 2, 3):
        await take(db, plant, batch(flush(seq, block(plant.inverter_id, 1.0), at=NOW + timedelta(seconds=seq))))
    assert await rows_of(db, plant, "SELECT generation, priority FROM rollup_dirty") == [
        {"generation": 3, "priority": 0}
    ]


async def test_however_readings_are_batched_the_raw_rows_are_the_same(db: Database, plant: Plant) -> None:
    chance = random.Random(4)  # noqa: S311 -- a repeatable shuffle
    moments = [NOW + timedelta(seconds=10 * i) for i in range(60)]
    first, second = plant, await make_plant(db, name="sara")
    for target in (first, second):
        chance.shuffle(moments)
        seq = 1
        while seq <= len(moments):
            size = chance.randint(1, 9)
            flushes = [
                flush(seq + i, block(target.inverter_id, 1.5), at=at)
                for i, at in enumerate(moments[seq - 1 : seq - 1 + size])
            ]
            await take(db, target, batch(*flushes), now=NOW + timedelta(hours=1))
            seq += len(flushes)
    raw = "SELECT at, quality, ac_power_kw FROM telemetry_readings ORDER BY at"
    assert await rows_of(db, first, raw) == await rows_of(db, second, raw)
