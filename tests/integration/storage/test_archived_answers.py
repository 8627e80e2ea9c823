"""An answer whose values are in the archive says so, instead of looking like a device that was silent."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from cloud.core.db import SYSTEM, Database
from cloud.core.files import LocalFiles
from cloud.sites.schemas import SiteOut
from cloud.sites.tables import Site
from cloud.storage.service import archive_days, restore_days
from cloud.telemetry.answers import ArchivedDays, Span
from cloud.telemetry.rules.series import Resolution
from cloud.telemetry.service.reading import Question, series
from shared.periods import Window
from tests.integration.storage.test_archives import fill
from tests.integration.storage.test_packing import DAY, MIDNIGHT
from tests.plants import Plant

NOW = datetime(2026, 9, 15, 3, tzinfo=UTC)
TWO_DAYS = Window(MIDNIGHT, MIDNIGHT + timedelta(days=2))
AROUND_MIDNIGHT = Window(MIDNIGHT + timedelta(hours=18), MIDNIGHT + timedelta(hours=30))
AWAY = [ArchivedDays(DAY, DAY + timedelta(days=1))]


async def asked(db: Database, plant: Plant, metric: str, resolution: Resolution, *, of_site: bool = False) -> Span:
    devices = () if of_site else (plant.inverter_id,)
    window = AROUND_MIDNIGHT if resolution is Resolution.RAW else TWO_DAYS
    async with db.transaction(SYSTEM) as conn:
        row = (await conn.execute(select(Site).where(Site.id == plant.site_id))).mappings().one()
        answer = await series(conn, SiteOut.model_validate(row), Question((metric,), devices, window, resolution))
    return answer.asked


async def test_raw_readings_in_the_archive_are_told_from_silence(db: Database, plant: Plant, tmp_path: Path) -> None:
    await fill(db, plant)
    here = await asked(db, plant, "ac_power_kw", Resolution.RAW)
    assert len(here.lines[0].values) == 24
    assert here.archived == []
    last = DAY + timedelta(days=1)
    await archive_days(db, LocalFiles(tmp_path), plant.site_id, first=DAY, last=last, now=NOW)
    for metric, resolution in (("ac_power_kw", Resolution.RAW), ("dc_voltage_v.pv1", Resolution.HOUR)):
        away = await asked(db, plant, metric, resolution)
        assert not any(away.lines[0].values)
        assert away.archived == AWAY
    await restore_days(db, LocalFiles(tmp_path), plant.site_id, first=DAY, last=DAY, now=NOW)
    half = await asked(db, plant, "ac_power_kw", Resolution.RAW)
    assert len(half.lines[0].values) == 12
    assert half.archived == [ArchivedDays(last, last)]


async def test_what_is_kept_for_ever_is_never_said_to_be_away(db: Database, plant: Plant, tmp_path: Path) -> None:
    await fill(db, plant)
    await archive_days(db, LocalFiles(tmp_path), plant.site_id, first=DAY, last=DAY + timedelta(days=1), now=NOW)
    for resolution in (Resolution.DAY, Resolution.MONTH, Resolution.HOUR):
        # Hours stay for five years: the raw readings behind them are away, these are not.
        assert (await asked(db, plant, "energy_generated_kwh", resolution, of_site=True)).archived == []
