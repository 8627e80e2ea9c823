"""Going down behind packed days loses nothing: they become rows, and what is only in files stops the way."""

import asyncio

import asyncpg
import pytest

from cloud.core.migrate import downgrade, upgrade
from cloud.ingest.days.repository import pack_day
from tests.conftest import FreshDatabase
from tests.integration.storage.rows import all_rows, number_of, write
from tests.integration.storage.test_packing import NOW, day_of_rows, device_day
from tests.plants import Plant

BEFORE = "0013"


async def test_packed_days_are_rows_again_below(fresh_database: FreshDatabase, plant: Plant) -> None:
    pg = await asyncpg.connect(fresh_database.admin_url)
    rows = day_of_rows(plant, await number_of(pg, plant.inverter_id), step_s=1800)
    rows[3] |= {"quality": 512, "extra": '{"dc_voltage_v.pv1": 229.1}', "fault_codes": 'E1, "é"'}
    await write(pg, rows)
    before = await all_rows(pg)
    await pack_day(pg, await device_day(pg, plant), now=NOW)
    await asyncio.to_thread(downgrade, fresh_database.admin_url, BEFORE)
    assert await all_rows(pg) == before
    await asyncio.to_thread(upgrade, fresh_database.admin_url)
    assert await all_rows(pg) == before
    await pg.close()


async def test_archived_days_stop_the_way_down(fresh_database: FreshDatabase, plant: Plant) -> None:
    pg = await asyncpg.connect(fresh_database.admin_url)
    await pg.execute(
        "INSERT INTO telemetry_archives (site_id, kind, first_day, last_day, organization_id, path, sha256, size_bytes, rows, layout,"
        " is_away, exported_at) VALUES ($1, 'raw', '2026-06-01', '2026-06-01', $2, 'p', '0', 1, 1, 1, true, now())",
        plant.site_id,
        plant.organization_id,
    )
    with pytest.raises(Exception, match="archived readings would be lost"):
        await asyncio.to_thread(downgrade, fresh_database.admin_url, BEFORE)
    assert await pg.fetchval("SELECT count(*) FROM telemetry_archives") == 1
    await pg.close()
