"""What outlives its class leaves by way of a file, and comes back bit by bit."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from cloud.accounts.tables import Organization
from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.core.files import LocalFiles
from cloud.storage import service
from cloud.storage.render import from_parquet
from cloud.storage.rules import Kind, span_of
from cloud.storage.service import (
    ArchiveDamagedError,
    Moved,
    archive_days,
    archive_span,
    enforce_retention,
    pack_closed_days,
    restore_days,
    restore_span,
)
from cloud.telemetry.service.recompute import BackwardsPeriodError, UnknownSiteError
from tests.integration.storage.rows import all_readings, count, number_of, write
from tests.integration.storage.test_packing import DAY, MIDNIGHT, day_of_rows
from tests.plants import Plant, make_plant

NOW = datetime(2026, 9, 15, 3, tzinfo=UTC)
"""106 days after the readings."""

LATER = MIDNIGHT + timedelta(days=9)


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path)


async def seen(db: Database, plant: Plant) -> list[tuple[Any, ...]]:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        numbers = [await number_of(pg, plant.inverter_id), await number_of(pg, plant.meter_id)]
        return await all_readings(pg, plant.site_id, numbers, MIDNIGHT, LATER)


async def fill(db: Database, plant: Plant, *, days: int = 2) -> list[tuple[Any, ...]]:
    """Days of both devices, with everything that a reading can have."""
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        for device_id in (plant.inverter_id, plant.meter_id):
            number = await number_of(pg, device_id)
            for offset in range(days):
                rows = day_of_rows(plant, number, step_s=1800, start=MIDNIGHT + timedelta(days=offset))
                rows[3] |= {"quality": 512, "extra": '{"dc_voltage_v.pv1": 229.1}', "fault_codes": 'E1, "é"'}
                await write(pg, rows)
    return await seen(db, plant)


@pytest.fixture
async def before(db: Database, plant: Plant) -> list[tuple[Any, ...]]:
    return await fill(db, plant)


async def catalogue(db: Database) -> list[dict[str, Any]]:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        return [dict(row) for row in await pg.fetch("SELECT * FROM telemetry_archives ORDER BY kind, first_day")]


async def test_archived_and_restored_every_bit_is_the_same(
    db: Database, plant: Plant, files: LocalFiles, before: list[tuple[Any, ...]]
) -> None:
    last = DAY + timedelta(days=1)
    moved = await archive_days(db, files, plant.site_id, first=DAY, last=last, now=NOW)
    assert (moved.files, moved.rows) == (2, 192)
    assert await seen(db, plant) == []
    for entry in await catalogue(db):
        content = await files.get(entry["path"])
        assert len(content) == entry["size_bytes"]
        assert (entry["rows"], entry["layout"], entry["is_away"]) == (96, 1, True)
    assert (await restore_days(db, files, plant.site_id, first=DAY, last=last, now=NOW)).rows == 192
    assert await seen(db, plant) == before
    assert await count(db, "telemetry_readings") == 0
    assert [entry["is_away"] for entry in await catalogue(db)] == [False, False]


async def test_doing_it_again_changes_nothing(
    db: Database, plant: Plant, files: LocalFiles, before: list[tuple[Any, ...]]
) -> None:
    for expected in (1, 0):
        moved = await archive_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
        assert moved.files == expected
    path = (await catalogue(db))[0]["path"]
    for expected in (1, 0):
        assert (await restore_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)).files == expected
    await archive_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    assert [entry["path"] for entry in await catalogue(db)] == [path]
    assert len(await seen(db, plant)) == len(before) / 2


async def test_a_copy_can_be_written_without_dropping(
    db: Database, plant: Plant, files: LocalFiles, before: list[tuple[Any, ...]]
) -> None:
    await archive_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW, keep=True)
    assert await seen(db, plant) == before
    [entry] = await catalogue(db)
    assert entry["is_away"] is False
    table = from_parquet(await files.get(entry["path"]))
    assert set(table["device_id"]) == {str(plant.inverter_id), str(plant.meter_id)}
    assert table["at"][0] == MIDNIGHT + timedelta(milliseconds=37)
    assert table["operating_state"][0] == "running"
    assert "grid_power_kw" not in table


async def test_a_damaged_file_restores_nothing(
    db: Database, plant: Plant, files: LocalFiles, tmp_path: Path, before: list[tuple[Any, ...]]
) -> None:
    await archive_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    [entry] = await catalogue(db)
    content = (tmp_path / entry["path"]).read_bytes()
    (tmp_path / entry["path"]).write_bytes(content[:-1] + b"x")
    with pytest.raises(ArchiveDamagedError, match=entry["sha256"]):
        await restore_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    (tmp_path / entry["path"]).unlink()
    with pytest.raises(ArchiveDamagedError, match="is not in the file store"):
        await restore_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    assert len(await seen(db, plant)) == len(before) / 2
    (tmp_path / entry["path"]).write_bytes(content)
    await restore_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    assert await seen(db, plant) == before


async def test_a_full_disk_drops_nothing(
    db: Database, plant: Plant, before: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    class FullDisk(LocalFiles):
        async def get(self, path: str) -> bytes:
            return (await super().get(path))[:100]

    with pytest.raises(ArchiveDamagedError):
        await archive_days(db, FullDisk(tmp_path), plant.site_id, first=DAY, last=DAY, now=NOW)
    assert await seen(db, plant) == before
    assert await catalogue(db) == []


async def test_what_came_late_for_an_archived_day_is_kept_beside_the_file(
    db: Database, plant: Plant, files: LocalFiles, before: list[tuple[Any, ...]]
) -> None:
    await archive_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        number = await number_of(pg, plant.inverter_id)
        copy, new = day_of_rows(plant, number, step_s=1800)[:2]
        late = [copy | {"ac_power_kw": 1.0, "seq": 901}, new | {"at": MIDNIGHT + timedelta(seconds=5), "seq": 902}]
        await write(pg, late)
    await pack_closed_days(db, before=NOW.date(), now=NOW)
    moved = await archive_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    assert moved.rows == 97
    await restore_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    after = await seen(db, plant)
    assert set(before) < set(after)
    assert [row[4] for row in after if row not in before] == ["902"]
    [entry, *_] = await catalogue(db)
    assert len([path for path in (Path(files._root) / "archive").rglob("*.parquet") if path.is_file()]) == 1
    assert entry["rows"] == 97


async def settle(db: Database, plant: Plant, **settings: int) -> None:
    """An organisation's retention, in days."""
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(
            update(Organization)
            .where(Organization.id == plant.organization_id)
            .values(settings={"retention": settings})
        )


async def test_each_organisation_has_its_own_class(db: Database, plant: Plant, files: LocalFiles) -> None:
    other = await make_plant(db, name="sara")
    await settle(db, other, raw_days=106)
    for one in (plant, other):
        await fill(db, one)
    await pack_closed_days(db, before=NOW.date(), now=NOW)
    moved = await enforce_retention(db, files, now=NOW)
    assert moved.files == 2
    assert await seen(db, plant) == []
    assert len(await seen(db, other)) == 192
    assert (await enforce_retention(db, files, now=NOW)) == Moved()
    await settle(db, other, raw_days=105)
    assert (await enforce_retention(db, files, now=NOW)).files == 1


async def test_what_waits_to_be_computed_or_was_asked_for_stays(db: Database, plant: Plant, files: LocalFiles) -> None:
    await fill(db, plant)
    await pack_closed_days(db, before=NOW.date(), now=NOW)
    async with db.transaction(SYSTEM) as conn:
        await (await asyncpg_of(conn)).execute(
            "INSERT INTO rollup_dirty (site_id, organization_id, device_id, bucket) VALUES ($1, $2, $3, '2026-07-20')",
            plant.site_id,
            plant.organization_id,
            plant.inverter_id,
        )
    assert (await enforce_retention(db, files, now=NOW)).files == 0
    async with db.transaction(SYSTEM) as conn:
        await (await asyncpg_of(conn)).execute("DELETE FROM rollup_dirty")
    assert (await enforce_retention(db, files, now=NOW)).files == 2
    await restore_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    assert (await enforce_retention(db, files, now=NOW)).files == 0
    assert (await enforce_retention(db, files, now=NOW + service.RESTORED_FOR)).files == 1


async def quarters_and_hours(db: Database) -> list[list[tuple[Any, ...]]]:
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        found = []
        for table, moment in (("telemetry_quarter_hour", "bucket"), ("telemetry_hourly_summary", "timestamp_hour")):
            rows = await pg.fetch(f"SELECT t::text FROM {table} AS t ORDER BY {moment}, device_id NULLS FIRST")  # noqa: S608
            found.append([tuple(row) for row in rows])
        return found


@pytest.fixture
async def computed(db: Database, plant: Plant) -> list[list[tuple[Any, ...]]]:
    """Two months of a few quarter-hours and hours."""
    async with db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        for table, moment, extra in (
            ("telemetry_quarter_hour", "bucket", "generated_wh, metrics"),
            ("telemetry_hourly_summary", "timestamp_hour", "energy_generated_kwh, performance_ratio_reason"),
        ):
            values = '41, \'{"a": {"mean": 229.1}}\'' if moment == "bucket" else "0.1, 'no irradiance'"
            await pg.execute(
                f"INSERT INTO {table} (site_id, organization_id, device_id, {moment}, algorithm_version, {extra})"  # noqa: S608
                f" SELECT $1, $2, d, at, 1, {values} FROM unnest(ARRAY[$3::uuid, NULL]) AS d,"
                " generate_series('2024-01-30 00:00Z'::timestamptz, '2024-02-02 00:00Z', interval '1 hour') AS at",
                plant.site_id,
                plant.organization_id,
                plant.inverter_id,
            )
    return await quarters_and_hours(db)


async def test_quarter_hours_and_hours_leave_by_the_month_and_come_back(
    db: Database, plant: Plant, files: LocalFiles, computed: list[list[tuple[Any, ...]]]
) -> None:
    await settle(db, plant, quarter_hour_days=731, hour_days=731)
    assert (await enforce_retention(db, files, now=datetime(2026, 1, 31, tzinfo=UTC))).files == 0
    assert (await enforce_retention(db, files, now=datetime(2026, 2, 28, tzinfo=UTC))).files == 2
    assert [len(rows) for rows in await quarters_and_hours(db)] == [50, 50]
    assert (await enforce_retention(db, files, now=NOW)).files == 2
    assert await quarters_and_hours(db) == [[], []]
    assert [(entry["kind"], entry["first_day"], entry["last_day"].day) for entry in await catalogue(db)] == [
        ("hours", date(2024, 1, 1), 31),
        ("hours", date(2024, 2, 1), 29),
        ("quarter_hours", date(2024, 1, 1), 31),
        ("quarter_hours", date(2024, 2, 1), 29),
    ]
    days = {"first": date(2024, 1, 31), "last": date(2024, 2, 1)}
    assert (await restore_days(db, files, plant.site_id, **days, now=NOW)).files == 4
    assert await quarters_and_hours(db) == computed


async def test_killed_between_file_and_commit_the_next_run_does_it(
    db: Database, plant: Plant, files: LocalFiles, before: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_args: Any, **_kwargs: Any) -> int:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(service.rows, "drop_raw", killed)
        with pytest.raises(RuntimeError, match="killed"):
            await archive_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    assert await seen(db, plant) == before
    assert await catalogue(db) == []
    await archive_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    span = span_of(plant.site_id, plant.organization_id, Kind.RAW, DAY)
    with monkeypatch.context() as patch:
        patch.setattr(service.catalogue, "came_back", killed)
        with pytest.raises(RuntimeError, match="killed"):
            await restore_span(db, files, span, now=NOW, keep_until=NOW)
    assert len(await seen(db, plant)) == len(before) / 2
    assert await restore_span(db, files, span, now=NOW, keep_until=NOW)
    assert await seen(db, plant) == before


async def test_two_at_once_archive_once(
    db: Database, plant: Plant, files: LocalFiles, before: list[tuple[Any, ...]]
) -> None:
    span = span_of(plant.site_id, plant.organization_id, Kind.RAW, DAY)
    entries = await asyncio.gather(*(archive_span(db, files, span, now=NOW) for _ in range(3)))
    assert [entry is None for entry in sorted(entries, key=lambda entry: entry is None)] == [False, True, True]
    await restore_days(db, files, plant.site_id, first=DAY, last=DAY, now=NOW)
    assert await seen(db, plant) == before


async def test_an_unknown_site_is_said(db: Database, files: LocalFiles) -> None:
    with pytest.raises(UnknownSiteError, match="does not exist"):
        await restore_days(db, files, uuid4(), first=DAY, last=DAY, now=NOW)
    with pytest.raises(BackwardsPeriodError, match="swap the two dates"):
        await archive_days(db, files, uuid4(), first=DAY, last=DAY - timedelta(days=1), now=NOW)
