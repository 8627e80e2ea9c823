"""The same readings, packed, archived or a year late, give byte-equal rollups."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.core.files import LocalFiles
from cloud.ingest.days.repository import reopen_days
from cloud.storage.service import archive_days, enforce_retention, pack_closed_days, serve_recalls
from cloud.telemetry.service.recompute import recompute_days
from edge_agent.drivers.simulated import SimulatedSite
from tests.integration.storage.rows import count
from tests.integration.telemetry.home import Home, Sent, make_home, moments, observe
from tests.plants import Plant

START = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 4
LATE = datetime(2027, 9, 1, 3, tzinfo=UTC)
"""Fifteen months after the readings."""


@pytest.fixture(scope="session")
def roof() -> SimulatedSite:
    return SimulatedSite(31.52, 74.36, timezone="Asia/Karachi", commissioned=date(2026, 5, 31))


@pytest.fixture
async def home(db: Database, plant: Plant) -> Home:
    return await make_home(db, plant, poll_s=1800)


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path)


def four_days(home: Home, roof: SimulatedSite) -> list[Sent]:
    end = START + timedelta(days=DAYS) - timedelta(minutes=30)
    return [sent for at in moments(START, end, step=timedelta(minutes=30)) for sent in observe(home, roof, at)]


def is_hidden(home: Home, sent: Sent) -> bool:
    """What comes late: one reading of the meter in the night, and an hour of the string inverter at a day's end."""
    night = START + timedelta(days=2, hours=21)
    evening = START + timedelta(days=3, hours=11)
    return (sent.device_id == home.meter_id and sent.at == night) or (
        sent.device_id == home.string_id and evening <= sent.at < evening + timedelta(hours=1)
    )


async def on_time(home: Home, roof: SimulatedSite) -> dict[str, str]:
    """The rollups of readings that all came on time; afterwards nothing has been heard."""
    await home.send(four_days(home, roof))
    await home.roll_up(limit=2_000)
    expected = await home.fingerprint()
    await home.forget()
    return expected


async def reopen(home: Home, readings: list[Sent]) -> None:
    """What ingest does ahead of a batch with readings of days that may be packed."""
    async with home.db.transaction(SYSTEM) as conn:
        await reopen_days(await asyncpg_of(conn), home.site_id, {sent.at.date() for sent in readings})


async def test_rollups_are_computed_again_from_packed_days(home: Home, roof: SimulatedSite) -> None:
    await home.send(four_days(home, roof))
    await home.roll_up(limit=2_000)
    expected = await home.fingerprint()
    assert await pack_closed_days(home.db, before=date(2026, 6, 4), now=LATE) == 15
    async with home.db.transaction(SYSTEM) as conn:
        await (await asyncpg_of(conn)).execute("DELETE FROM telemetry_quarter_hour")
    await recompute_days(home.db, home.site_id, first=date(2026, 6, 1), last=date(2026, 6, 6), now=LATE)
    assert await home.fingerprint() == expected


async def test_a_late_reading_for_a_packed_day_counts_as_if_on_time(home: Home, roof: SimulatedSite) -> None:
    expected = await on_time(home, roof)
    readings = four_days(home, roof)
    late = [sent for sent in readings if is_hidden(home, sent)]
    assert len(late) == 3
    await home.send(sent for sent in readings if not is_hidden(home, sent))
    await home.roll_up(limit=2_000)
    assert await home.fingerprint() != expected
    await pack_closed_days(home.db, before=date(2026, 6, 9), now=LATE)
    await reopen(home, late)
    await home.send(late)
    await home.roll_up(limit=2_000)
    assert await home.fingerprint() == expected
    await pack_closed_days(home.db, before=date(2026, 6, 9), now=LATE)
    assert await count(home.db, "telemetry_readings") == 0


async def settle(home: Home, files: LocalFiles) -> int:
    """What workers and scheduler do until nothing is left; returns how often something had to be brought back."""
    for rounds in range(12):
        await home.roll_up(limit=2_000)
        if await serve_recalls(home.db, files, now=LATE) == 0:
            return rounds
    raise AssertionError("recalls do not come to an end")


@pytest.mark.parametrize("months_late", [15, 31])
async def test_a_late_reading_for_an_archived_day_counts_as_if_on_time(
    home: Home, roof: SimulatedSite, files: LocalFiles, months_late: int
) -> None:
    """After 15 months the raw readings are away; after 31 the quarter-hours of the month as well."""
    now = LATE if months_late == 15 else LATE + timedelta(days=500)
    expected = await on_time(home, roof)
    readings = four_days(home, roof)
    late = [sent for sent in readings if is_hidden(home, sent)]
    await home.send(sent for sent in readings if not is_hidden(home, sent))
    await home.roll_up(limit=2_000)
    await pack_closed_days(home.db, before=date(2026, 6, 9), now=now)
    moved = await enforce_retention(home.db, files, now=now)
    assert moved.files == (4 if months_late == 15 else 5)
    assert await count(home.db, "telemetry_days") == 0
    await reopen(home, late)
    await home.send(late)
    assert 1 <= await settle(home, files) <= 6
    assert await count(home.db, "rollup_dirty") == 0
    assert await home.fingerprint() == expected
    await pack_closed_days(home.db, before=date(2026, 6, 9), now=now)
    assert (await enforce_retention(home.db, files, now=now + timedelta(hours=2))).files >= 2
    assert await count(home.db, "telemetry_days") == 0


async def test_a_live_reading_waits_for_no_archive(home: Home, roof: SimulatedSite, files: LocalFiles) -> None:
    await home.send(four_days(home, roof))
    await home.roll_up(limit=2_000)
    await archive_days(home.db, files, home.site_id, first=date(2026, 6, 1), last=date(2026, 6, 2), now=LATE)
    late = [Sent(home.string_id, START + timedelta(hours=5, minutes=3), {"ac_power_kw": 1.0})]
    await home.send([*late, *observe(home, roof, START + timedelta(days=DAYS))])
    before = await count(home.db, "rollup_dirty")
    await home.roll_up(limit=2_000)
    assert before > 1
    assert await count(home.db, "rollup_dirty") == 1
    assert await count(home.db, "archive_recalls") == 2
    assert await serve_recalls(home.db, files, now=LATE) == 2
    await settle(home, files)
    assert await count(home.db, "rollup_dirty") == 0


def every_file(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.parquet")}


async def test_a_damaged_archive_computes_nothing_from_the_rest(
    home: Home, roof: SimulatedSite, files: LocalFiles, tmp_path: Path
) -> None:
    await home.send(four_days(home, roof))
    await home.roll_up(limit=2_000)
    expected = await home.fingerprint()
    await archive_days(home.db, files, home.site_id, first=date(2026, 6, 1), last=date(2026, 6, 5), now=LATE)
    content = every_file(tmp_path)
    for path in content:
        path.write_bytes(b"PAR1")
    await home.send([Sent(home.string_id, START + timedelta(hours=5, minutes=3), {"ac_power_kw": 1.0})])
    await home.roll_up(limit=2_000)
    assert await serve_recalls(home.db, files, now=LATE) == 0
    await home.roll_up(limit=2_000)
    assert await home.fingerprint() == expected
    assert await count(home.db, "rollup_dirty") == 1
    for path, right in content.items():
        path.write_bytes(right)
    await settle(home, files)
    assert await count(home.db, "rollup_dirty") == 0
