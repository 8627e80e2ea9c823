"""Partitions are made ahead by a function that the application may call and that can do nothing else."""

# ruff: noqa: S608 -- statements are put together from words of the test itself

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import FreshDatabase
from tests.integration.schema.rows import Tenant, become_app, insert

DAY = date(2031, 3, 30)
ENSURE = "SELECT solarhub_ensure_partitions($1, $2, $3)"


async def _partition_of(owner: asyncpg.Connection, table: str) -> list[str]:
    return [row["name"] for row in await owner.fetch(f"SELECT tableoid::regclass::text AS name FROM {table}")]


@pytest.mark.parametrize(
    ("parent", "last_day", "made"),
    [
        ("telemetry_readings", date(2031, 4, 2), 4),
        ("telemetry_quarter_hour", date(2031, 4, 2), 2),
        ("telemetry_hourly_summary", date(2032, 1, 1), 11),
    ],
)
async def test_the_application_makes_what_is_missing_and_no_more(
    owner: asyncpg.Connection, parent: str, last_day: date, made: int
) -> None:
    await become_app(owner)
    assert await owner.fetchval(ENSURE, parent, DAY, last_day) == made
    assert await owner.fetchval(ENSURE, parent, DAY, last_day) == 0


@pytest.mark.parametrize(
    "parent", ["sites", "telemetry_daily_summary", "nonsense", "telemetry_readings; DROP TABLE sites"]
)
async def test_other_tables_are_refused(owner: asyncpg.Connection, parent: str) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="no partitions"):
        await owner.fetchval(ENSURE, parent, DAY, DAY)


@pytest.mark.parametrize(
    ("first", "last"), [(DAY, date(2031, 3, 29)), (DAY, date(2034, 1, 1)), (None, DAY), (DAY, None)]
)
async def test_senseless_spans_are_refused(owner: asyncpg.Connection, first: date | None, last: date | None) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="cannot be made"):
        await owner.fetchval(ENSURE, "telemetry_readings", first, last)


async def _read(owner: asyncpg.Connection, tenant: Tenant, at: datetime) -> None:
    await insert(owner, "telemetry_readings", site_id=tenant.site_id, device_number=1, at=at, seq=1)


async def test_days_are_utc_and_half_open(owner: asyncpg.Connection, tenant: Tenant) -> None:
    await owner.execute("SET LOCAL timezone = 'Asia/Karachi'")
    await owner.fetchval(ENSURE, "telemetry_readings", DAY, date(2031, 3, 31))
    midnight = datetime(2031, 3, 31, tzinfo=UTC)
    await _read(owner, tenant, midnight)
    await _read(owner, tenant, midnight.replace(day=30, hour=23, minute=59))
    assert sorted(await _partition_of(owner, "telemetry_readings")) == [
        "telemetry_readings_p20310330",
        "telemetry_readings_p20310331",
    ]


async def test_a_reading_without_a_partition_is_kept_seen_and_moved(owner: asyncpg.Connection, tenant: Tenant) -> None:
    at = datetime(2031, 3, 30, 12, tzinfo=UTC)
    await _read(owner, tenant, at)
    assert await _partition_of(owner, "telemetry_readings") == ["telemetry_readings_default"]
    stray = {row["parent"]: row["stray"] for row in await owner.fetch("SELECT * FROM solarhub_stray_rows()")}
    assert stray == {"telemetry_readings": 1, "telemetry_quarter_hour": 0, "telemetry_hourly_summary": 0}
    await become_app(owner)
    await owner.fetchval(ENSURE, "telemetry_readings", DAY, DAY)
    assert await owner.fetchval("SELECT sum(stray) FROM solarhub_stray_rows()") == 0
    await owner.execute("RESET ROLE")
    assert await _partition_of(owner, "telemetry_readings") == ["telemetry_readings_p20310330"]
    with pytest.raises(asyncpg.UniqueViolationError):
        await _read(owner, tenant, at)


async def test_rollups_move_too_and_keep_their_keys(owner: asyncpg.Connection, tenant: Tenant) -> None:
    row = {"site_id": tenant.site_id, "organization_id": tenant.organization_id, "algorithm_version": 1}
    noon = datetime(2031, 3, 30, 12, tzinfo=UTC)
    await insert(owner, "telemetry_hourly_summary", **row, timestamp_hour=noon, energy_generated_kwh=1.5)
    await owner.fetchval(ENSURE, "telemetry_hourly_summary", DAY, DAY)
    assert await _partition_of(owner, "telemetry_hourly_summary") == ["telemetry_hourly_summary_p203103"]
    await owner.execute("UPDATE telemetry_hourly_summary SET energy_generated_kwh = 2")
    assert await owner.fetchval("SELECT version FROM telemetry_hourly_summary") == 2
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(owner, "telemetry_hourly_summary", **row, timestamp_hour=noon)


async def test_two_workers_that_make_the_same_day_both_succeed(
    make_database: Callable[[], Awaitable[FreshDatabase]],
) -> None:
    database = await make_database()
    connections = [await asyncpg.connect(database.app_url) for _ in range(4)]
    try:
        made: list[Any] = await asyncio.gather(
            *(each.fetchval(ENSURE, "telemetry_readings", DAY, date(2031, 4, 2)) for each in connections)
        )
    finally:
        for each in connections:
            await each.close()
    assert sum(made) == 4


async def test_writers_are_not_locked_out_while_a_partition_is_made(
    make_database: Callable[[], Awaitable[FreshDatabase]],
) -> None:
    """One transaction holds a new partition uncommitted; another writes to an existing one without waiting."""
    database = await make_database()
    maker, writer = [await asyncpg.connect(database.admin_url) for _ in range(2)]
    try:
        await maker.fetchval(ENSURE, "telemetry_readings", DAY, DAY)
        transaction = maker.transaction()
        await transaction.start()
        await maker.fetchval(ENSURE, "telemetry_readings", date(2031, 3, 31), date(2031, 3, 31))
        await writer.execute("SET lock_timeout = '2s'")
        at = datetime(2031, 3, 30, 12, tzinfo=UTC)
        await insert(writer, "telemetry_readings", site_id=uuid4(), device_number=1, at=at, seq=1)
        await transaction.commit()
        assert await maker.fetchval("SELECT count(*) FROM telemetry_readings") == 1
    finally:
        await maker.close()
        await writer.close()


FOR_GOOD = (True,)
CLEAR = "SELECT solarhub_clear_partition($1, $2, $3)"


@pytest.mark.parametrize("for_good", [False, True])
async def test_only_an_empty_partition_is_cleared(owner: asyncpg.Connection, tenant: Tenant, for_good: bool) -> None:
    await become_app(owner)
    await owner.fetchval(ENSURE, "telemetry_readings", DAY, DAY)
    await owner.execute("RESET ROLE")
    await _read(owner, tenant, datetime(2031, 3, 30, 12, tzinfo=UTC))
    await become_app(owner)
    assert await owner.fetchval(CLEAR, "telemetry_readings", DAY, for_good) is False
    await owner.execute("RESET ROLE")
    await owner.execute("DELETE FROM telemetry_readings")
    await become_app(owner)
    assert await owner.fetchval(CLEAR, "telemetry_readings", DAY, for_good) is True
    assert await owner.fetchval(CLEAR, "telemetry_readings", DAY, for_good) is False
    gone = await owner.fetchval("SELECT to_regclass('telemetry_readings_p20310330') IS NULL")
    assert gone is for_good


@pytest.mark.parametrize("parent", ["sites", "telemetry_days", "telemetry_readings; DROP TABLE sites"])
async def test_no_other_table_is_cleared(owner: asyncpg.Connection, parent: str) -> None:
    await become_app(owner, system=True)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="no partitions"):
        await owner.fetchval(CLEAR, parent, DAY, *FOR_GOOD)


async def test_a_busy_table_is_not_waited_for(schema_database: FreshDatabase) -> None:
    reader, maker = await asyncpg.connect(schema_database.admin_url), await asyncpg.connect(schema_database.app_url)
    day = date(2031, 5, 1)
    try:
        await maker.fetchval(ENSURE, "telemetry_quarter_hour", day, day)
        async with reader.transaction():
            await reader.fetchval("SELECT count(*) FROM telemetry_quarter_hour")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await maker.fetchval(CLEAR, "telemetry_quarter_hour", day, *FOR_GOOD)
        assert await maker.fetchval(CLEAR, "telemetry_quarter_hour", day, *FOR_GOOD) is True
    finally:
        await reader.close()
        await maker.close()
