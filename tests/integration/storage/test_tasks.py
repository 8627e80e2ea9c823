"""What the scheduler does, in the order in which it does it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.core.files import LocalFiles
from cloud.core.jobs import JobContext
from cloud.core.settings import Settings, load_settings
from cloud.scheduler import SWEEPS
from cloud.storage import tasks
from cloud.storage.service import archive_days
from tests.fakes import FakeJobs
from tests.integration.storage.rows import count
from tests.integration.storage.test_archives import fill, seen, settle
from tests.integration.storage.test_packing import DAY, MIDNIGHT
from tests.plants import Plant


@pytest.fixture
def context(db: Database, tmp_path: Path) -> JobContext:
    settings = load_settings(
        {
            "database_url": "postgresql://a@b/c",
            "redis_url": "redis://a",
            "secret_key": "A" * 43 + "=",
            "pack_after_days": 3,
        }
    )
    return JobContext(settings=settings, db=db, jobs=FakeJobs(), files=LocalFiles(tmp_path))


async def test_a_day_is_packed_when_it_is_old_enough_archived_at_the_end_of_its_class_and_recalled_when_wanted(
    context: JobContext, plant: Plant
) -> None:
    before = await fill(context.db, plant)
    assert await tasks.pack(context, MIDNIGHT + timedelta(days=3, hours=23)) == 0
    assert await tasks.pack(context, MIDNIGHT + timedelta(days=4)) == 2
    assert await count(context.db, "telemetry_readings") == 96
    assert await tasks.pack(context, MIDNIGHT + timedelta(days=5)) == 2
    assert await tasks.retain(context, MIDNIGHT + timedelta(days=91)) == 1
    assert await seen(context.db, plant) == [row for row in before if row[2] >= "2026-06-02"]
    async with context.db.transaction(SYSTEM) as conn:
        await (await asyncpg_of(conn)).execute(
            "INSERT INTO archive_recalls (site_id, kind, first_day, organization_id, wanted_at)"
            " SELECT site_id, kind, first_day, organization_id, now() FROM telemetry_archives"
        )
    assert await tasks.recall(context, MIDNIGHT + timedelta(days=91)) == 1
    assert await seen(context.db, plant) == before
    assert await count(context.db, "archive_recalls") == 0


async def test_an_archive_that_cannot_be_written_holds_no_other_up(context: JobContext, plant: Plant) -> None:
    """Readings came late for an archived day, and its file is gone: that day stays, all others leave."""
    await fill(context.db, plant)
    now = MIDNIGHT + timedelta(days=200)
    await archive_days(context.db, context.files, plant.site_id, first=DAY, last=DAY, now=now)
    async with context.db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        await context.files.delete(await pg.fetchval("SELECT path FROM telemetry_archives"))
        await pg.execute(
            "INSERT INTO telemetry_readings (site_id, device_number, at, seq) SELECT site_id, number, $1, 7 FROM devices LIMIT 1",
            MIDNIGHT,
        )
    await tasks.pack(context, now)
    assert await tasks.retain(context, now) == 1
    left = await seen(context.db, plant)
    assert [row[4] for row in left] == ["7"]
    assert await tasks.retain(context, now) == 0


async def test_without_parquet_nothing_is_dropped(
    context: JobContext, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await fill(context.db, plant)
    now = MIDNIGHT + timedelta(days=200)
    await tasks.pack(context, now)
    monkeypatch.setattr(tasks, "CAN_PARQUET", False)
    assert await tasks.retain(context, now) == 0
    assert await seen(context.db, plant) == before


async def test_emptied_partitions_of_rollups_are_dropped(context: JobContext, plant: Plant) -> None:
    month = date(2024, 1, 1)
    await settle(context.db, plant, quarter_hour_days=731, hour_days=731)
    async with context.db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        await pg.fetchval("SELECT solarhub_ensure_partitions('telemetry_quarter_hour', $1, $1)", month)
        await pg.execute(
            "INSERT INTO telemetry_quarter_hour (site_id, organization_id, bucket, algorithm_version) VALUES ($1, $2, $3, 1)",
            plant.site_id,
            plant.organization_id,
            datetime(2024, 1, 31, tzinfo=UTC),
        )
    exists = "SELECT to_regclass('telemetry_quarter_hour_p202401') IS NOT NULL"
    for now, expected in ((datetime(2026, 1, 31, 3, tzinfo=UTC), True), (datetime(2026, 2, 1, 3, tzinfo=UTC), False)):
        await tasks.retain(context, now)
        async with context.db.transaction(SYSTEM) as conn:
            assert await (await asyncpg_of(conn)).fetchval(exists) is expected
    assert await count(context.db, "telemetry_archives") == 1


def test_the_scheduler_runs_them_all() -> None:
    assert {sweep.run for sweep in SWEEPS} >= {tasks.pack, tasks.retain, tasks.recall}
    assert Settings.model_fields["pack_after_days"].default == 2
