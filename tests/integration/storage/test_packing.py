"""A packed day says the same as its rows, bit by bit, whoever asks and whatever comes in between."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.ingest.days.repository import (
    DeviceDay,
    PackingError,
    days_to_pack,
    lock_day,
    open_day,
    pack_day,
    readings,
    reopen_days,
)
from cloud.ingest.days.tables import MEASURED
from cloud.storage.service import clear_partitions, pack_closed_days
from tests.conftest import FreshDatabase
from tests.integration.storage.rows import Row, all_readings, all_rows, count, number_of, write
from tests.plants import Plant

DAY = date(2026, 6, 1)
MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 9, 3, tzinfo=UTC)
END = MIDNIGHT + timedelta(days=1)
READINGS = "telemetry_readings"

REAL_NAMES = sorted(name for name, kind in MEASURED.items() if type(kind).__name__ == "REAL")
DOUBLE_NAMES = sorted(name for name, kind in MEASURED.items() if type(kind).__name__ in {"Double", "DOUBLE_PRECISION"})

reading = st.fixed_dictionaries(
    {
        "received_at": st.integers(0, 10**12).map(lambda us: MIDNIGHT + timedelta(microseconds=us)),
        "seq": st.integers(1, 2**62),
        "quality": st.sampled_from([0, 0, 0, 1, 512, 32_767]),
    },
    optional={
        REAL_NAMES[0]: st.floats(width=32, allow_nan=False),
        REAL_NAMES[1]: st.none() | st.just(229.1) | st.just(-0.0),
        DOUBLE_NAMES[0]: st.floats(allow_nan=False),
        "operating_state": st.none() | st.sampled_from(["running", "", "NULL", 'a "b", {c}']),
        "fault_codes": st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20),
        "extra": st.none()
        | st.dictionaries(st.sampled_from(["a", "b.pv1"]), st.floats(-9, 9) | st.text("é{}\\", max_size=3)),
    },
)
moments = st.integers(0, 86_400 * 10**6 - 1).map(lambda us: MIDNIGHT + timedelta(microseconds=us))
irregular = st.lists(st.tuples(moments, reading), unique_by=lambda pair: pair[0], min_size=1, max_size=12)
regular = st.tuples(st.integers(1, 3600), st.lists(reading, min_size=1, max_size=20)).map(
    lambda drawn: [(MIDNIGHT + timedelta(seconds=place * drawn[0]), values) for place, values in enumerate(drawn[1])]
)


def rows_from(plant: Plant, number: int, drawn: list[tuple[datetime, dict[str, Any]]]) -> list[Row]:
    return [
        {
            "site_id": plant.site_id,
            "device_number": number,
            "at": at,
            **values,
            "extra": json.dumps(values["extra"]) if values.get("extra") is not None else None,
        }
        for at, values in drawn
    ]


@pytest.fixture
async def pg(db: Database) -> AsyncIterator[asyncpg.Connection]:
    async with db.transaction(SYSTEM) as conn:
        yield await asyncpg_of(conn)


@pytest.fixture
async def bare(fresh_database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees all rows and stands in no transaction."""
    connection = await asyncpg.connect(fresh_database.admin_url)
    yield connection
    await connection.close()


async def device_day(pg: asyncpg.Connection, plant: Plant, day: date = DAY) -> DeviceDay:
    return DeviceDay(plant.site_id, plant.organization_id, await number_of(pg, plant.inverter_id), day)


def day_of_rows(plant: Plant, number: int, *, step_s: int = 300, start: datetime = MIDNIGHT) -> list[Row]:
    """A day as a steady device sends it."""
    return [
        {
            "site_id": plant.site_id,
            "device_number": number,
            "at": start + timedelta(seconds=place * step_s, milliseconds=37),
            "received_at": start + timedelta(seconds=place * step_s + 1, microseconds=place * 7919 % 10**6),
            "seq": place + 1,
            "quality": 0,
            "ac_power_kw": 229.1 + place % 7,
            "energy_total_kwh": 1000 + place * 0.01,
            "operating_state": "running",
        }
        for place in range(86_400 // step_s)
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(drawn=irregular | regular)
async def test_packed_and_opened_again_every_bit_is_the_same(
    bare: asyncpg.Connection, plant: Plant, drawn: list[tuple[datetime, dict[str, Any]]]
) -> None:
    transaction = bare.transaction()
    await transaction.start()
    try:
        which = await device_day(bare, plant)
        await write(bare, rows_from(plant, which.device_number, drawn))
        before = await all_rows(bare)
        assert await pack_day(bare, which, now=NOW) == len(drawn)
        assert await all_rows(bare) == []
        assert await all_readings(bare, plant.site_id, [which.device_number], MIDNIGHT, END) == before
        assert await open_day(bare, plant.site_id, DAY) == 1
        assert await all_rows(bare) == before
        assert await bare.fetchval("SELECT count(*) FROM telemetry_days") == 0
    finally:
        await transaction.rollback()


async def test_a_steady_day_keeps_nothing_but_its_values(pg: asyncpg.Connection, plant: Plant) -> None:
    which = await device_day(pg, plant)
    await write(pg, day_of_rows(plant, which.device_number))
    await pack_day(pg, which, now=NOW)
    day = dict(await pg.fetchrow("SELECT * FROM telemetry_days"))
    assert (day["readings"], day["step_us"], day["seq_step"]) == (288, 300_000_000, 1)
    kept = {name for name in ("at_offset_us", "seq_offset", "quality", *MEASURED) if day[name] is not None}
    assert kept == {"ac_power_kw", "energy_total_kwh", "operating_state"}


async def test_part_of_a_day_is_read_from_rows_and_packed_days_alike(pg: asyncpg.Connection, plant: Plant) -> None:
    number = await number_of(pg, plant.inverter_id)
    for days in range(3):
        await write(pg, day_of_rows(plant, number, start=MIDNIGHT + timedelta(days=days)))
    first, last = MIDNIGHT + timedelta(hours=22), MIDNIGHT + timedelta(days=2, hours=1, milliseconds=37)
    before = await all_readings(pg, plant.site_id, [number], first, last)
    await pack_day(pg, await device_day(pg, plant, DAY + timedelta(days=1)), now=NOW)
    assert await all_readings(pg, plant.site_id, [number], first, last) == before
    ended = readings(["seq"], device="= $2", first="$3::timestamptz", last="$4::timestamptz", is_open_ended=True)
    counted = f"SELECT count(*) FROM ({ended}) AS r"  # noqa: S608 -- the relation above
    assert await pg.fetchval(counted, plant.site_id, number, first, last) == len(before) - 1


async def test_the_system_packs_what_is_old_enough_and_nothing_else(db: Database, plant: Plant) -> None:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        numbers = [await number_of(pg, plant.inverter_id), await number_of(pg, plant.meter_id)]
        for number in numbers:
            for days in range(4):
                await write(pg, day_of_rows(plant, number, step_s=3600, start=MIDNIGHT + timedelta(days=days)))
        before = await all_readings(pg, plant.site_id, numbers, MIDNIGHT, END + timedelta(days=9))
    assert await pack_closed_days(db, before=DAY + timedelta(days=3), now=NOW) == 6
    assert await pack_closed_days(db, before=DAY + timedelta(days=3), now=NOW) == 0
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        assert await pg.fetchval("SELECT min(at) FROM telemetry_readings") > MIDNIGHT + timedelta(days=3)
        assert await all_readings(pg, plant.site_id, numbers, MIDNIGHT, END + timedelta(days=9)) == before


async def test_a_late_reading_opens_its_day_and_is_packed_with_it(db: Database, plant: Plant) -> None:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        which = await device_day(pg, plant)
        whole = day_of_rows(plant, which.device_number)
        await write(pg, whole)
        expected = await all_rows(pg)
        await pg.execute("DELETE FROM telemetry_readings WHERE seq = 100")
        await pack_day(pg, which, now=NOW)
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        assert await reopen_days(pg, plant.site_id, {DAY, DAY + timedelta(days=1)}) == 1
        await write(pg, [row for row in whole if row["seq"] == 100])
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        assert await days_to_pack(pg, before=DAY + timedelta(days=1), limit=9) == [which]
        assert await all_rows(pg) == expected
    assert await pack_closed_days(db, before=DAY + timedelta(days=1), now=NOW) == 1
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        assert await all_readings(pg, plant.site_id, [which.device_number], MIDNIGHT, END) == expected


async def test_only_the_named_devices_are_opened(pg: asyncpg.Connection, plant: Plant) -> None:
    inverter, meter = await number_of(pg, plant.inverter_id), await number_of(pg, plant.meter_id)
    for number in (inverter, meter):
        await write(pg, day_of_rows(plant, number, step_s=3600))
        await pack_day(pg, DeviceDay(plant.site_id, plant.organization_id, number, DAY), now=NOW)
    assert await reopen_days(pg, plant.site_id, [DAY], device_numbers=[meter]) == 1
    assert await pg.fetch("SELECT DISTINCT device_number FROM telemetry_readings") == [(meter,)]
    assert await reopen_days(pg, plant.site_id, []) == 0


async def test_a_packer_waits_for_a_late_batch_and_takes_it_along(db: Database, plant: Plant) -> None:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        which = await device_day(pg, plant)
        whole = day_of_rows(plant, which.device_number, step_s=3600)
        await write(pg, whole[:-1])
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        await reopen_days(pg, plant.site_id, [DAY])
        packing = asyncio.create_task(pack_closed_days(db, before=DAY + timedelta(days=1), now=NOW))
        await asyncio.sleep(0.3)
        assert not packing.done()
        await write(pg, whole[-1:])
    assert await packing == 1
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        assert [row[4] for row in await all_readings(pg, plant.site_id, [which.device_number], MIDNIGHT, END)] == [
            str(seq) for seq in range(1, 25)
        ]
    assert await count(db, "telemetry_readings") == 0


async def test_a_batch_that_skips_the_lock_is_noticed_and_nothing_is_lost(
    db: Database, plant: Plant, bare: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        which = await device_day(pg, plant)
        whole = day_of_rows(plant, which.device_number, step_s=3600)
        await write(pg, whole[:-1])

    class Interrupted:
        """A connection on which somebody else writes right after the day was read."""

        def __init__(self, pg: asyncpg.Connection) -> None:
            self.execute = pg.execute
            self._pg = pg

        async def fetchval(self, statement: str, *values: Any) -> Any:
            if "DELETE" in statement:
                await write(bare, whole[-1:])
            return await self._pg.fetchval(statement, *values)

    with pytest.raises(PackingError, match=r"23 readings .* but 24 were"):
        async with db.transaction(SYSTEM) as conn:
            await pack_day(Interrupted(await asyncpg_of(conn)), which, now=NOW)
    assert await count(db, "telemetry_readings") == 24
    assert await count(db, "telemetry_days") == 0


async def test_killed_in_the_middle_nothing_is_lost_or_doubled(db: Database, plant: Plant) -> None:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        which = await device_day(pg, plant)
        await write(pg, day_of_rows(plant, which.device_number, step_s=3600))
        before = await all_rows(pg)

    async def killed() -> None:
        async with db.transaction(SYSTEM) as conn:
            pg = await asyncpg_of(conn)
            await lock_day(pg, plant.site_id, DAY)
            await pack_day(pg, which, now=NOW)
            await pg.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises((asyncpg.PostgresError, DBAPIError)):
        await killed()
    async with db.transaction(SYSTEM) as conn:
        assert await all_rows(await asyncpg_of(conn)) == before
    assert await pack_closed_days(db, before=DAY + timedelta(days=1), now=NOW) == 1


async def test_an_emptied_partition_gives_its_space_back_and_later_goes(
    db: Database, plant: Plant, bare: asyncpg.Connection
) -> None:
    await bare.fetchval("SELECT solarhub_ensure_partitions('telemetry_readings', $1, $2)", DAY, DAY + timedelta(days=1))
    number = await number_of(bare, plant.inverter_id)
    for days in range(2):
        await write(bare, day_of_rows(plant, number, step_s=3600, start=MIDNIGHT + timedelta(days=days)))
    second = DAY + timedelta(days=1)
    await pack_closed_days(db, before=second, now=NOW)
    assert await clear_partitions(db, READINGS, before=second, gone_before=DAY) == 1
    assert await bare.fetchval("SELECT pg_relation_size('telemetry_readings_p20260601')") == 0
    assert await clear_partitions(db, READINGS, before=second, gone_before=DAY) == 0
    assert await clear_partitions(db, READINGS, before=NOW.date(), gone_before=NOW.date()) == 1
    assert await bare.fetchval("SELECT to_regclass('telemetry_readings_p20260601')") is None
    assert await bare.fetchval("SELECT count(*) FROM telemetry_readings_p20260602") == 24


async def test_a_tenant_sees_packed_days_of_its_own(db: Database, plant: Plant, bare: asyncpg.Connection) -> None:
    which = await device_day(bare, plant)
    await write(bare, day_of_rows(plant, which.device_number, step_s=3600))
    await pack_closed_days(db, before=NOW.date(), now=NOW)
    async with db.transaction(plant.edge.context) as conn:
        pg = await asyncpg_of(conn)
        assert len(await all_readings(pg, plant.site_id, [which.device_number], MIDNIGHT, END)) == 24


async def test_packers_ingest_and_readers_at_once_see_every_reading_once(db: Database, plant: Plant) -> None:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        numbers = [await number_of(pg, plant.inverter_id), await number_of(pg, plant.meter_id)]
        whole = [row for number in numbers for row in day_of_rows(plant, number)]
        early, late = [row for row in whole if row["seq"] % 3], [row for row in whole if not row["seq"] % 3]
        await write(pg, early)
    done = asyncio.Event()

    async def ingest() -> None:
        for first in range(0, len(late), 24):
            async with db.transaction(plant.edge.context) as conn:
                pg = await asyncpg_of(conn)
                await reopen_days(pg, plant.site_id, [DAY])
                await write(pg, late[first : first + 24])
        done.set()

    async def pack() -> None:
        while not done.is_set():
            await pack_closed_days(db, before=DAY + timedelta(days=1), now=NOW)

    async def read() -> int:
        seen = 0
        while not done.is_set():
            async with db.transaction(SYSTEM) as conn:
                found = await all_readings(await asyncpg_of(conn), plant.site_id, numbers, MIDNIGHT, END)
            assert len(found) == len({(row[1], row[2]) for row in found})
            assert len(early) <= len(found) <= len(whole)
            assert len(found) >= seen
            seen = len(found)
        return seen

    await asyncio.gather(ingest(), pack(), pack(), read(), read())
    await pack_closed_days(db, before=DAY + timedelta(days=1), now=NOW)
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        assert len(await all_readings(pg, plant.site_id, numbers, MIDNIGHT, END)) == len(whole)
        assert await pg.fetchval("SELECT sum(readings) FROM telemetry_days") == len(whole)
