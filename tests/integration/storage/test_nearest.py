"""The last and first readings with a counter, whatever form their days have, and however far one has to look."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.core.files import LocalFiles
from cloud.ingest.days.repository import DeviceDay, pack_day
from cloud.storage.service import archive_days
from cloud.telemetry.repository.archive import ArchivedError
from cloud.telemetry.repository.raw import anchors_after, anchors_before
from cloud.telemetry.rules.context import UNUSABLE
from tests.integration.storage.rows import Row, number_of, write
from tests.plants import Plant

START = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 8
NOW = datetime(2026, 9, 1, tzinfo=UTC)


def some_readings(plant: Plant, number: int, dice: random.Random) -> list[Row]:
    """Few readings a day; some are unusable, some have no counter, and some days have none."""
    found = []
    for day in range(DAYS):
        for second in sorted(dice.sample(range(86_400), dice.choice([0, 1, 2, 5]))):
            found.append(
                {
                    "site_id": plant.site_id,
                    "device_number": number,
                    "at": START + timedelta(days=day, seconds=second),
                    "seq": len(found) + 1,
                    "quality": dice.choice([0, 0, 0, UNUSABLE & -UNUSABLE]),
                    "energy_total_kwh": dice.choice([None, 5.0, 5.0]),
                    "ac_power_kw": 1.0,
                }
            )
    return found


@pytest.mark.parametrize("seed", range(6))
async def test_found_as_if_all_were_rows(db: Database, plant: Plant, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 -- the same readings in every run
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        number = await number_of(pg, plant.inverter_id)
        rows = some_readings(plant, number, dice)
        await write(pg, rows)
        for offset in dice.sample(range(DAYS), DAYS // 2):
            day = DeviceDay(plant.site_id, plant.organization_id, number, (START + timedelta(days=offset)).date())
            await pack_day(pg, day, now=NOW)
        anchors = [row["at"] for row in rows if row["quality"] == 0 and row["energy_total_kwh"] is not None]
        moments = [START + timedelta(seconds=dice.randrange(DAYS * 86_400)) for _ in range(12)] + anchors[:3]
        for at in moments:
            count, reach = dice.choice([1, 4]), timedelta(days=dice.choice([1, 40]))
            before = [one for one in reversed(anchors) if at - reach <= one < at][:count]
            after = [one for one in anchors if at <= one <= at + reach][:count]
            assert await ask_before(conn, plant, at, reach=reach, count=count) == before
            assert await ask_after(conn, plant, at, reach=reach, count=count) == after


async def ask_before(
    conn: AsyncConnection, plant: Plant, at: datetime, *, reach: timedelta, count: int
) -> list[datetime]:
    return await anchors_before(conn, plant.site_id, plant.inverter_id, before=at, since=at - reach, count=count)


async def ask_after(
    conn: AsyncConnection, plant: Plant, at: datetime, *, reach: timedelta, count: int
) -> list[datetime]:
    return await anchors_after(conn, plant.site_id, plant.inverter_id, after=at, until=at + reach, count=count)


async def test_only_a_day_that_would_be_looked_into_is_asked_for(db: Database, plant: Plant, tmp_path: Path) -> None:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        number = await number_of(pg, plant.inverter_id)
        noons = [START + timedelta(days=day, hours=12) for day in range(DAYS)]
        rows = [
            {"site_id": plant.site_id, "device_number": number, "at": at, "seq": 1, "energy_total_kwh": 5.0}
            for at in noons
        ]
        await write(pg, rows)
    away = date(2026, 6, 3)
    await archive_days(db, LocalFiles(tmp_path), plant.site_id, first=away, last=away, now=NOW)
    week = timedelta(days=7)
    async with db.transaction(SYSTEM) as conn:
        assert await ask_before(conn, plant, noons[6], reach=week, count=3) == [noons[5], noons[4], noons[3]]
        assert await ask_after(conn, plant, noons[0], reach=week, count=2) == noons[:2]
        for ask, at in ((ask_before, noons[6]), (ask_after, noons[0])):
            with pytest.raises(ArchivedError) as caught:
                await ask(conn, plant, at, reach=week, count=4)
            assert caught.value.first <= away <= caught.value.last
        # Beyond the reach nothing is needed.
        assert await ask_before(conn, plant, noons[6], reach=timedelta(days=3), count=4) == [
            noons[5],
            noons[4],
            noons[3],
        ]
