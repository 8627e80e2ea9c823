"""The one statement that stores a batch marks and counts what the rules say, and text that a database refuses harms nobody."""

from datetime import timedelta

from cloud.core.db import Database, asyncpg_of
from cloud.core.ids import new_id
from cloud.ingest.columns import sort_batch
from cloud.ingest.deliveries import Delivery
from cloud.ingest.memory import Memory
from cloud.ingest.repository.ledger import known_devices
from cloud.ingest.rows import Rows
from cloud.ingest.rules import RawRow, dirty_buckets
from cloud.ingest.schemas import Batch, Block, Flush, batch_of
from cloud.ingest.service import take_batch
from shared.counters import moment_of
from shared.enums import Quality, TimeQuality
from tests.plants import NOW, Plant, rows_of

LATER = NOW + timedelta(minutes=1)
MINUTE_MS = 60_000


def spread(plant: Plant) -> Batch:
    """Readings from a future date to long ago, good and silent ones, of two devices."""
    minutes = [0, -1, -14, -16, -31, -59, -60, -61, -75, -76, -90, -500, 30]
    flags = [0, int(Quality.LINK_DOWN), int(Quality.PARTIAL)]
    blocks = [
        Block(
            device_id=device,
            offsets_ms=[minute * MINUTE_MS + shift for minute in minutes],
            quality=[flags[n % len(flags)] for n in range(len(minutes))],
            values={"ac_power_kw": [99.0 if n == 3 else 1.0 for n in range(len(minutes))]},
        )
        for shift, device in enumerate((plant.inverter_id, plant.meter_id))
    ]
    return batch_of(new_id(), [Flush(1, NOW, TimeQuality.SYNCED, blocks)])


async def test_marks_and_counts_are_those_of_the_rules(db: Database, plant: Plant) -> None:
    batch = spread(plant)
    async with db.transaction(plant.edge.context) as conn:
        pg = await asyncpg_of(conn)
        known = await known_devices(pg, plant.site_id)
        readings = Rows()
        sort_batch(batch, known, site_id=plant.site_id, now=LATER, into=readings)
        arrived = await take_batch(pg, Delivery(plant.edge, batch, LATER), Memory())
    ids = {device.number: device.id for device in known.values()}
    rows = [
        RawRow(ids[number], moment_of(at_us), 1, Quality(quality), {}, {})
        for number, at_us, quality in zip(readings.device_numbers, readings.moments_us, readings.qualities, strict=True)
    ]
    found = await rows_of(db, plant, "SELECT device_id, bucket, priority FROM rollup_dirty ORDER BY 1, 2")
    assert [(row["device_id"], row["bucket"], row["priority"] == 0) for row in found] == [
        (dirty.device_id, dirty.bucket, dirty.is_live) for dirty in dirty_buckets(rows, now=LATER)
    ]
    assert {row["priority"] for row in found} == {0, 1}
    assert (arrived.ack.stored, arrived.ack.flagged) == (len(rows), sum(bool(row.quality) for row in rows))


async def test_text_that_a_database_refuses_is_kept_visibly(db: Database, plant: Plant) -> None:
    words = ["a\0b", "x" * 33, "running"]
    block = Block(
        device_id=plant.inverter_id,
        offsets_ms=[0, 1000, 2000],
        quality=[0, 0, 0],
        values={"operating_state": list(words), "fault_codes": list(words), "note": list(words)},
    )
    strange = Block(device_id=new_id(), offsets_ms=[0], quality=[0], values={"note": ["a\0b"]})
    batch = batch_of(new_id(), [Flush(1, NOW, TimeQuality.SYNCED, [block, strange])])
    async with db.transaction(plant.edge.context) as conn:
        arrived = await take_batch(await asyncpg_of(conn), Delivery(plant.edge, batch, LATER), Memory())
    assert (arrived.ack.stored, arrived.ack.flagged, len(arrived.ack.rejected)) == (3, 2, 1)
    raw = await rows_of(db, plant, "SELECT operating_state, fault_codes, extra FROM telemetry_readings ORDER BY at")
    assert [(row["operating_state"], row["fault_codes"]) for row in raw] == [
        (None, None),
        (None, "x" * 33),
        ("running", "running"),
    ]
    assert raw[0]["extra"] == dict.fromkeys(("operating_state", "fault_codes", "note"), "a�b")
    kept = await rows_of(db, plant, "SELECT body FROM quarantined_readings")
    assert kept == [{"body": {"note": "a�b"}}]
