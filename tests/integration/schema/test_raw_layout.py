"""The step to raw readings with a short key, and back: every reading is there afterwards."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from cloud.core import migrate
from cloud.ingest.rules import COUNTER_COLUMNS, RAW_COLUMNS, TEXT_COLUMNS
from tests.conftest import FreshDatabase
from tests.integration.schema.rows import Tenant, add_device, add_tenant, insert

BEFORE, AFTER = "0012", "0013"
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
GAUGES = sorted({*RAW_COLUMNS.values()} - COUNTER_COLUMNS - TEXT_COLUMNS)
EXTREMES: dict[float, float | None] = {
    1e-50: 0.0,
    -1e-50: 0.0,
    1e300: None,
    math.inf: None,
    math.nan: None,
    3.4e38: 3.4e38,
    -3.4e38: -3.4e38,
}
"""Numbers that were never a gauge's, and what becomes of them."""

READ_ALL = """
    SELECT d.id AS device, to_jsonb(r) - '{device_id, device_number}'::text[] AS row
    FROM telemetry_readings AS r JOIN devices AS d ON d.site_id = r.site_id AND %s ORDER BY d.id, r.at
"""
BY_ID, BY_NUMBER = READ_ALL % "d.id = r.device_id", READ_ALL % "d.number = r.device_number"


@pytest.fixture
async def before(fresh_database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A database as it was, with a connection of its owner."""
    await to(fresh_database, BEFORE, down=True)
    connection = await asyncpg.connect(fresh_database.admin_url)
    yield connection
    await connection.close()


async def tenant_in(connection: asyncpg.Connection) -> Tenant:
    async with connection.transaction():
        return await add_tenant(connection)


async def to(database: FreshDatabase, revision: str, *, down: bool = False) -> None:
    step = migrate.downgrade if down else migrate.upgrade
    await asyncio.to_thread(step, database.admin_url, revision)


def decimal(number: int) -> float:
    """A number as a sensor tells it: up to seven digits."""
    return round((number * 7919 % 10_000_000) / 10 ** (number % 6), number % 6)


async def add_readings(connection: asyncpg.Connection, tenant: Tenant, *, shift: int = 0) -> None:
    """Of two devices on a few days, one of them in the future; every column is used."""
    meter = await add_device(connection, tenant, "meter")
    await connection.execute("SELECT solarhub_ensure_partitions('telemetry_readings', '2026-03-09', '2026-03-10')")
    days = [*(NOON + timedelta(days=day) for day in range(4)), datetime.now(UTC) + timedelta(days=40)]
    for number, at in enumerate(days, start=shift):
        for device_id in (tenant.device_id, meter):
            values: dict[str, Any] = {name: decimal(number * 40 + i) for i, name in enumerate(GAUGES)}
            values |= {name: 1_234_567.890_123 + number / 1024 + i for i, name in enumerate(sorted(COUNTER_COLUMNS))}
            if number % 2:
                values = {"ac_voltage_v": 229.1}
            await insert(
                connection,
                "telemetry_readings",
                site_id=tenant.site_id,
                device_id=device_id,
                at=at,
                received_at=at + timedelta(seconds=5),
                seq=2**40 + number,
                quality=(1 << number % 10),
                operating_state="running",
                fault_codes='F01 "x"',
                extra='{"dc_voltage_v.pv1": 380.5, "note": "شمسی"}',
                **values,
            )


async def test_every_reading_is_there_after_the_step_and_after_the_way_back(
    before: asyncpg.Connection, fresh_database: FreshDatabase
) -> None:
    for shift in (0, 5):
        await add_readings(before, await tenant_in(before), shift=shift)
    told = [dict(row) for row in await before.fetch(BY_ID)]
    assert len(told) == 20
    await to(fresh_database, AFTER)
    assert [dict(row) for row in await before.fetch(BY_NUMBER)] == told
    await to(fresh_database, BEFORE, down=True)
    assert [dict(row) for row in await before.fetch(BY_ID)] == told
    assert await before.fetchval("SELECT count(*) FROM telemetry_readings_default") == 4, "only what lies in the future"
    await to(fresh_database, "head")
    assert [dict(row) for row in await before.fetch(BY_NUMBER)] == told


async def test_a_gauge_that_its_column_cannot_hold_is_no_obstacle(
    before: asyncpg.Connection, fresh_database: FreshDatabase
) -> None:
    tenant = await tenant_in(before)
    for number, value in enumerate(EXTREMES):
        at = NOON + timedelta(seconds=number)
        row = {"site_id": tenant.site_id, "device_id": tenant.device_id, "at": at, "seq": 1}
        await insert(before, "telemetry_readings", **row, ac_power_kw=value, energy_total_kwh=1e-50)
    await to(fresh_database, AFTER)
    rows = await before.fetch("SELECT ac_power_kw::text, energy_total_kwh FROM telemetry_readings ORDER BY at")
    assert [row[0] and float(row[0]) for row in rows] == list(EXTREMES.values())
    assert {row["energy_total_kwh"] for row in rows} == {1e-50}, "a counter stays as it was"


async def test_the_table_is_as_guarded_as_before(before: asyncpg.Connection, fresh_database: FreshDatabase) -> None:
    tenant = await tenant_in(before)
    await add_readings(before, tenant)
    guard = """
        SELECT relrowsecurity, relforcerowsecurity, relacl::text, (
            SELECT count(*) FROM pg_policy WHERE polrelid = c.oid AND pg_get_expr(polqual, polrelid) = pg_get_expr(polwithcheck, polrelid)
        ) AS policies FROM pg_class AS c WHERE relname = 'telemetry_readings'
    """
    guarded = await before.fetchrow(guard)
    assert tuple(guarded)[:2] == (True, True)
    for revision, down in ((AFTER, False), (BEFORE, True)):
        await to(fresh_database, revision, down=down)
        assert await before.fetchrow(guard) == guarded


async def test_readings_of_no_device_stop_the_step_before_it_changes_anything(
    before: asyncpg.Connection, fresh_database: FreshDatabase
) -> None:
    tenant = await tenant_in(before)
    await add_readings(before, tenant)
    told = [dict(row) for row in await before.fetch("SELECT * FROM telemetry_readings ORDER BY device_id, at")]
    await before.execute("DELETE FROM devices WHERE id = $1", tenant.device_id)
    with pytest.raises(Exception, match="5 raw readings belong to no device"):
        await to(fresh_database, AFTER)
    assert await before.fetchval("SELECT version_num FROM alembic_version") == BEFORE
    assert [dict(row) for row in await before.fetch("SELECT * FROM telemetry_readings ORDER BY device_id, at")] == told
