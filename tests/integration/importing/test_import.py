"""A file of an earlier system becomes readings, once, under the rules of ingest."""

import asyncio
import csv
import io
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select, text, update

from cloud.core.bulk import BulkLane
from cloud.core.db import SYSTEM
from cloud.devices.tables import Device
from cloud.fleet.tables import EdgeGateway
from cloud.ingest.importing import service
from cloud.ingest.importing.errors import ImportRefusedError
from cloud.ingest.importing.mapping import parse_mapping
from cloud.ingest.importing.service import ImportRequest, ImportSummary, import_files
from cloud.sites.tables import Site
from cloud.storage.service import pack_closed_days
from shared.enums import Quality
from shared.periods import days_between
from tests.integration.importing.files import MAPPING, NOW, export, grid
from tests.integration.telemetry.home import Home, Sent


async def run(
    home: Home, bulk: BulkLane, files: Iterable[Path], *, mapping: str = MAPPING, **fields: Any
) -> ImportSummary:
    paths = tuple(files)
    request = ImportRequest(
        site_id=fields.pop("site_id", home.site_id),
        mapping=parse_mapping(mapping, name="m"),
        files=paths,
        rejects=fields.pop("rejects", paths[0].with_suffix(".rejects.csv")),
        **fields,
    )
    return await import_files(home.db, bulk, request, clock=lambda: NOW, tell=lambda line: None)


TABLES = ("telemetry_readings", "ingest_batches", "quarantined_readings", "rollup_dirty", "device_telemetry_snapshot")


async def counts(home: Home) -> dict[str, int]:
    return {table: (await home.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"] for table in TABLES}  # noqa: S608


async def test_a_month_of_two_devices_gives_days_that_sum_to_the_counters(
    home: Home, bulk: BulkLane, tmp_path: Path
) -> None:
    at = grid(date(2026, 6, 1), date(2026, 6, 30))
    summary = await run(home, bulk, [export(tmp_path / "june.csv", at)])
    n = len(at)
    assert (summary.rows, summary.readings, summary.stored, summary.duplicates) == (n, 2 * n, 2 * n, 0)
    assert (summary.flagged, summary.quarantined, summary.rejected, summary.ignored) == (0, 0, 0, 0)
    assert (summary.first_at, summary.last_at) == (at[0], at[-1])
    assert summary.waiting_quarter_hours == 2 * n
    assert {row["priority"] for row in await home.rows("SELECT priority FROM rollup_dirty")} == {1}
    assert (await home.rows("SELECT sum(stray) AS n FROM solarhub_stray_rows()"))[0]["n"] == 0
    await home.roll_up(limit=480)
    days = [await home.day(day) for day in days_between(date(2026, 6, 1), date(2026, 6, 30))]
    assert [day["energy_generated_kwh"] for day in days] == [32.0] * 30
    assert [day["energy_imported_kwh"] for day in days] == [24.0] * 30
    assert (await home.month(2026, 6))["energy_generated_kwh"] == 960.0


async def test_the_same_file_again_writes_nothing(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    at = grid(date(2026, 6, 1), date(2026, 6, 15))
    path = export(tmp_path / "a.csv", at)
    await run(home, bulk, [path])
    before = await counts(home)
    assert before["ingest_batches"] == -(-2 * len(at) // service.PORTION_READINGS)
    again = await run(home, bulk, [path, path])
    assert (again.stored, again.duplicates) == (0, 4 * len(at))
    assert await counts(home) == before
    other_mapping = await run(home, bulk, [path], mapping=MAPPING.replace('"Wh"', '"kWh"'))
    assert (other_mapping.stored, other_mapping.duplicates) == (0, 2 * len(at))
    assert (await counts(home))["telemetry_readings"] == before["telemetry_readings"]


async def test_an_import_that_was_cut_off_goes_on(
    home: Home, bulk: BulkLane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = grid(date(2026, 6, 1), date(2026, 6, 30))
    path = export(tmp_path / "a.csv", at)
    take, steps = service.lane.take, []

    async def cut_off(pg: Any, source: Any, portion: Any, *, now: datetime) -> Any:
        steps.append(portion.step)
        taken = await take(pg, source, portion, now=now)
        if portion.step == 2:
            raise ConnectionError("the cable")  # before the commit
        return taken

    monkeypatch.setattr(service.lane, "take", cut_off)
    with pytest.raises(Exception, match="the cable"):
        await run(home, bulk, [path])
    monkeypatch.undo()
    assert steps == [1, 2]
    assert (await counts(home))["telemetry_readings"] == service.PORTION_READINGS
    summary = await run(home, bulk, [path])
    assert (summary.stored, summary.duplicates) == (2 * len(at) - service.PORTION_READINGS, service.PORTION_READINGS)
    assert (await counts(home))["telemetry_readings"] == 2 * len(at)


async def test_a_deadlock_is_tried_again(
    home: Home, bulk: BulkLane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, attempts = service.lane.take, []

    async def collide(pg: Any, source: Any, portion: Any, *, now: datetime) -> Any:
        attempts.append(portion.step)
        taken = await take(pg, source, portion, now=now)
        if len(attempts) < 3:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        return taken

    monkeypatch.setattr(service.lane, "take", collide)
    summary = await run(home, bulk, [export(tmp_path / "a.csv", grid(date(2026, 6, 1), date(2026, 6, 1)))])
    assert (attempts, summary.stored) == ([1, 1, 1], summary.readings)
    assert (await counts(home))["telemetry_readings"] == summary.readings


async def test_two_imports_of_one_file_at_once_store_it_once(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    path = export(tmp_path / "a.csv", grid(date(2026, 6, 1), date(2026, 6, 15)))
    both = await asyncio.gather(run(home, bulk, [path]), run(home, bulk, [path]))
    assert sum(each.stored for each in both) == (await counts(home))["telemetry_readings"] == both[0].readings


async def test_live_readings_stay_and_the_live_view_is_not_touched(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    at = grid(date(2026, 6, 1), date(2026, 6, 1))
    home.arrival = NOW
    await home.send([Sent(home.string_id, at[40], {"ac_power_kw": 1.25, "energy_total_kwh": 5008.0})])
    newest = await home.rows("SELECT * FROM device_telemetry_snapshot")
    devices = await home.rows("SELECT id, status, last_seen_at FROM devices ORDER BY id")
    box = await home.rows("SELECT epoch, acked_seq, past_epochs FROM edge_gateways WHERE revoked_at IS NULL")
    summary = await run(home, bulk, [export(tmp_path / "a.csv", at)])
    assert (summary.stored, summary.duplicates) == (2 * len(at) - 1, 1)
    kept = await home.rows("SELECT ac_power_kw FROM telemetry_readings WHERE at = :at AND ac_power_kw > 0", at=at[40])
    assert kept == [{"ac_power_kw": 1.25}]
    assert await home.rows("SELECT * FROM device_telemetry_snapshot") == newest
    assert await home.rows("SELECT id, status, last_seen_at FROM devices ORDER BY id") == devices
    assert await home.rows("SELECT epoch, acked_seq, past_epochs FROM edge_gateways WHERE revoked_at IS NULL") == box


async def test_days_that_are_packed_are_opened_for_what_is_new(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    at = grid(date(2026, 6, 1), date(2026, 6, 3))
    whole = export(tmp_path / "a.csv", at)
    heading, *lines = whole.read_text().splitlines(keepends=True)
    half = tmp_path / "b.csv"
    half.write_text(heading + "".join(lines[::2]))
    await run(home, bulk, [half])
    assert await pack_closed_days(home.db, before=date(2026, 6, 3), now=NOW) == 6  # three days of UTC, of two devices
    summary = await run(home, bulk, [whole])
    assert (summary.stored, summary.duplicates) == (len(at) - 1, len(at) + 1)
    rows = await home.rows("SELECT count(*) AS n, count(DISTINCT (device_number, at)) AS apart FROM telemetry_readings")
    packed = await home.rows("SELECT coalesce(sum(readings), 0) AS n FROM telemetry_days")
    assert (rows[0]["n"], rows[0]["apart"], packed[0]["n"]) == (2 * len(at), 2 * len(at), 0)


async def test_a_site_without_a_box_can_import(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(text("DELETE FROM edge_gateways"))
    await run(home, bulk, [export(tmp_path / "a.csv", grid(date(2026, 6, 1), date(2026, 6, 1)))])
    async with home.db.transaction(SYSTEM) as conn:
        [source] = (await conn.execute(select(EdgeGateway))).all()
    assert (source.name, source.site_id, source.last_seen_at) == ("Imported files", home.site_id, None)
    assert source.revoked_at is not None


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
async def test_days_on_which_the_clock_is_set(
    home: Home, bulk: BulkLane, tmp_path: Path, day: date, hours: int
) -> None:
    zone = "Europe/London"
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(update(Site).values(timezone=zone))
    at = grid(day, day, zone)
    path = export(tmp_path / "a.csv", at, zone=zone)
    request_now = datetime(2027, 1, 1, tzinfo=UTC)
    mapping = MAPPING.replace("Asia/Karachi", zone)
    refused = await import_files(
        home.db,
        bulk,
        ImportRequest(
            home.site_id,
            parse_mapping(mapping.replace("in_order", "reject"), name="m"),
            (path,),
            tmp_path / "rejects.csv",
            dry_run=True,
        ),
        clock=lambda: request_now,
        tell=lambda line: None,
    )
    assert refused.rejected == (8 if hours == 25 else 0)
    if hours == 25:
        assert "exists twice in Europe/London" in (tmp_path / "rejects.csv").read_text()
    summary = await import_files(
        home.db,
        bulk,
        ImportRequest(home.site_id, parse_mapping(mapping, name="m"), (path,), tmp_path / "rejects.csv"),
        clock=lambda: request_now,
        tell=lambda line: None,
    )
    assert (summary.rejected, summary.stored) == (0, 2 * (4 * hours + 1))
    await home.roll_up()
    row = await home.day(day)
    assert (row["energy_generated_kwh"], row["energy_imported_kwh"]) == (32.0, float(hours))


async def test_what_cannot_be_read_is_kept_to_be_mended(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "time,P,E,Import\n2026-06-01 12:00,1000,5000000,1000\n2026-06-01 12:15,fault,5000250,1000\n"
        '2026-06-01 25:00,1,2,3\n2026-06-01 12:30,"1,5",5000500,1000\n'
    )
    summary = await run(home, bulk, [path])
    assert (summary.rows, summary.stored, summary.rejected) == (4, 2, 3)
    assert summary.rejects_file is not None
    rejects = Path(summary.rejects_file)
    kept = rejects.read_text()  # noqa: ASYNC240 -- a few lines
    rows = list(csv.DictReader(io.StringIO(kept)))
    assert [(row["rejected_file"], row["rejected_line"], row["time"]) for row in rows] == [
        ("a.csv", "3", "2026-06-01 12:15"),
        ("a.csv", "4", "2026-06-01 25:00"),
        ("a.csv", "5", "2026-06-01 12:30"),
    ]
    assert rows[0]["rejected_reason"] == "'P' is 'fault', which is no number as this file writes them"
    mended = tmp_path / "mended.csv"
    mended.write_text(kept.replace("fault,5", "1000,5").replace("25:00", "11:45").replace("1,5", "1.5"))
    assert (await run(home, bulk, [mended])).stored == 6


async def test_the_rules_of_ingest_hold(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = ["1970-01-01 05:00,1,1,1", "2026-06-01 12:00,99000,5000000,1000", "2026-08-02 12:00,1,5000001,1000"]
    path.write_text("\n".join(["time,P,E,Import", *rows]))
    summary = await run(home, bulk, [path])
    assert (summary.readings, summary.stored, summary.flagged, summary.quarantined) == (6, 4, 3, 2)
    flags = await home.rows("SELECT quality FROM telemetry_readings WHERE ac_power_kw IS NOT NULL ORDER BY at")
    assert [Quality(row["quality"]) for row in flags] == [Quality.OUT_OF_RANGE, Quality.FUTURE]
    kept = await home.rows("SELECT reason, body FROM quarantined_readings WHERE body ? 'ac_power_kw'")
    assert kept == [{"reason": "time_impossible", "body": {"ac_power_kw": 0.001, "energy_total_kwh": 0.001}}]
    before = await counts(home)
    await run(home, bulk, [path])
    assert await counts(home) == before


async def test_readings_older_than_their_device_stop_the_import(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    path = export(tmp_path / "a.csv", grid(date(2025, 12, 1), date(2025, 12, 1)))
    for dry_run in (True, False):
        with pytest.raises(
            ImportRefusedError, match=r"line 2 of .*a\.csv' is of 2025-11-30T19:00:00.* 'string' was commissioned"
        ):
            await run(home, bulk, [path], dry_run=dry_run)
    assert (await counts(home))["telemetry_readings"] == 0
    kept = await run(home, bulk, [path], keep_early=True)
    assert kept.flagged == kept.stored == kept.readings
    assert (await counts(home))["rollup_dirty"] == 0
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(text("DELETE FROM telemetry_readings"))
        await conn.execute(text("DELETE FROM ingest_batches"))
        await conn.execute(update(Device).values(commissioned_at=datetime(2025, 1, 1, tzinfo=UTC)))
    right = await run(home, bulk, [path])
    assert (right.stored, right.flagged) == (right.readings, 0)


async def test_a_dry_run_stores_nothing(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    before = await counts(home)
    path = export(tmp_path / "a.csv", grid(date(2026, 6, 1), date(2026, 6, 1)))
    path.write_text(path.read_text() + "2026-06-02 12:00,99000,6000000,2000\n")
    summary = await run(home, bulk, [path], dry_run=True)
    assert (summary.dry_run, summary.stored, summary.flagged) == (True, summary.readings, 1)
    assert await counts(home) == before
    assert await home.rows("SELECT 1 FROM edge_gateways WHERE name = 'Imported files'") == []


async def test_a_wrong_file_is_refused_before_anything_is_written(home: Home, bulk: BulkLane, tmp_path: Path) -> None:
    good = export(tmp_path / "a.csv", grid(date(2026, 6, 1), date(2026, 6, 1)))
    wrong = tmp_path / "b.csv"
    wrong.write_text("time,Power\n")
    with pytest.raises(ImportRefusedError, match=r"b\.csv' has no column 'P'; its headings are 'time', 'Power'"):
        await run(home, bulk, [good, wrong])
    with pytest.raises(ImportRefusedError, match="the site has no device 'boiler'; it has 'battery'"):
        await run(home, bulk, [good], mapping=MAPPING.replace('"meter"', '"boiler"'))
    with pytest.raises(ImportRefusedError, match="site 00000000-0000-0000-0000-000000000001 does not exist"):
        await run(home, bulk, [good], site_id=UUID(int=1))
    with pytest.raises(ImportRefusedError, match=r"a\.csv' are one of the files to import"):
        await run(home, bulk, [good], rejects=tmp_path / "." / "a.csv")
    assert (await counts(home))["telemetry_readings"] == 0
