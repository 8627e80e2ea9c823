"""A series is the same, point by point, whether the days in it are rows, packed, or some of either."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.storage.service import pack_closed_days
from cloud.telemetry.repository.reads import asked_devices, channel_stretches, raw_points
from cloud.telemetry.rules.channels import period_values
from shared.counters import unix_us
from shared.periods import Window
from tests.integration.storage.rows import number_of, write
from tests.integration.storage.test_packing import DAY, MIDNIGHT, day_of_rows
from tests.plants import Plant

NOW = datetime(2026, 6, 9, tzinfo=UTC)
WINDOW = Window(MIDNIGHT + timedelta(hours=20, milliseconds=37), MIDNIGHT + timedelta(days=2, hours=3))


async def series(db: Database, plant: Plant, metric: str, *, limit: int = 5_000) -> dict[Any, Any]:
    async with db.transaction(SYSTEM) as conn:
        devices = await asked_devices(conn, plant.site_id, [plant.inverter_id, plant.meter_id])
        points = await raw_points(conn, plant.site_id, devices, metric=metric, window=WINDOW, limit=limit)
        edges = [WINDOW.start + timedelta(minutes=15 * place) for place in range(125)]
        window = Window(edges[0], edges[-1])
        stretches = await channel_stretches(conn, plant.site_id, devices, metric=metric, window=window)
        moments = [unix_us(edge) for edge in edges]
        return {
            "points": points,
            "slots": {device_id: period_values(found, moments) for device_id, found in stretches.items()},
        }


@pytest.mark.parametrize(
    ("metric", "limit"),
    [("ac_power_kw", 5_000), ("ac_power_kw", 100), ("energy_total_kwh", 5_000), ("dc_voltage_v.pv1", 5_000)],
)
async def test_rows_and_packed_days_answer_alike(db: Database, plant: Plant, metric: str, limit: int) -> None:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        for device_id in (plant.inverter_id, plant.meter_id):
            number = await number_of(pg, device_id)
            for days in range(3):
                rows = day_of_rows(plant, number, start=MIDNIGHT + timedelta(days=days))
                for place, row in enumerate(rows):
                    row |= {"extra": f'{{"dc_voltage_v.pv1": {380.1 + place % 9}}}', "quality": 512 * (place % 11 == 0)}
                await write(pg, rows)
    before = await series(db, plant, metric, limit=limit)
    assert sum(len(one.values) for one in before["points"].values()) == min(limit, 2 * 372)
    assert len(before["slots"]) == 2
    assert all(len(slots.places) == 124 for slots in before["slots"].values())
    for until in (DAY + timedelta(days=1), date(2026, 6, 9)):
        assert await pack_closed_days(db, before=until, now=NOW) > 0
        assert await series(db, plant, metric, limit=limit) == before


@pytest.mark.parametrize("word", ['"off, \\"really\\""', '"nan"', '"1,2"', '"1,[2"'])
async def test_a_word_among_numbers_is_left_out_packed_or_not(db: Database, plant: Plant, word: str) -> None:
    told = ["380.5", word, "381.5", "null", "true"]
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        number = await number_of(pg, plant.inverter_id)
        rows = day_of_rows(plant, number, start=MIDNIGHT)
        for place, row in enumerate(rows):
            row |= {"extra": f'{{"dc_voltage_v.pv1": {told[place % len(told)]}}}', "quality": 0}
        await write(pg, rows)
    before = await series(db, plant, "dc_voltage_v.pv1")
    slots = before["slots"][plant.inverter_id]
    assert {*slots.lows, *slots.highs} == {380.5, 381.5}
    assert await pack_closed_days(db, before=DAY + timedelta(days=1), now=NOW) > 0
    assert (await series(db, plant, "dc_voltage_v.pv1"))["slots"] == before["slots"]
