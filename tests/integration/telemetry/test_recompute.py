"""`solarhub telemetry recompute`: days again from their readings."""

import asyncio
import base64
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cloud.cli import app
from cloud.core.db import SYSTEM
from cloud.telemetry.service.recompute import BackwardsPeriodError, UnknownSiteError, recompute_days
from edge_agent.drivers.simulated import SimulatedSite
from shared.periods import day_window, zone_of
from tests.conftest import FreshDatabase
from tests.integration.telemetry.home import ARRIVAL, Home, moments, observe

JUNE_1 = day_window(date(2026, 6, 1), zone_of("Asia/Karachi"))


async def a_morning(home: Home, roof: SimulatedSite) -> dict[str, str]:
    start = JUNE_1.start + timedelta(hours=6)
    await home.send(
        [
            sent
            for at in moments(start, start + timedelta(hours=5), step=timedelta(minutes=5))
            for sent in observe(home, roof, at)
        ]
    )
    await home.roll_up()
    return await home.fingerprint()


async def test_damaged_rollups_come_back_to_the_last_byte(home: Home, roof: SimulatedSite) -> None:
    expected = await a_morning(home, roof)
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(
            text("UPDATE telemetry_quarter_hour SET generated_wh = 7, metrics = NULL WHERE device_id IS NOT NULL")
        )
        await conn.execute(text("DELETE FROM telemetry_quarter_hour WHERE device_id IS NULL"))
        await conn.execute(text("DELETE FROM telemetry_hourly_summary"))
        await conn.execute(text("UPDATE telemetry_daily_summary SET energy_generated_kwh = 1000"))
        await conn.execute(text("DELETE FROM telemetry_monthly_summary"))
    done = await recompute_days(home.db, home.site_id, first=date(2026, 6, 1), last=date(2026, 6, 1), now=ARRIVAL)
    assert (done.window, done.devices) == (JUNE_1, 5)
    assert done.settled >= 5 * 96
    assert await home.fingerprint() == expected
    assert await home.rows("SELECT 1 FROM rollup_dirty") == []


async def test_days_without_readings_stay_empty(home: Home) -> None:
    await recompute_days(home.db, home.site_id, first=date(2026, 6, 1), last=date(2026, 6, 2), now=ARRIVAL)
    assert await home.rows("SELECT 1 FROM telemetry_quarter_hour") == []
    assert await home.rows("SELECT 1 FROM rollup_dirty") == []


async def test_what_cannot_be_done_is_said(home: Home) -> None:
    with pytest.raises(BackwardsPeriodError, match="2026-06-02 to 2026-06-01"):
        await recompute_days(home.db, home.site_id, first=date(2026, 6, 2), last=date(2026, 6, 1), now=ARRIVAL)
    with pytest.raises(UnknownSiteError, match="00000001"):
        await recompute_days(home.db, UUID(int=1), first=date(2026, 6, 1), last=date(2026, 6, 1), now=ARRIVAL)


async def test_the_command(
    home: Home, roof: SimulatedSite, fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await a_morning(home, roof)
    monkeypatch.setenv("SOLARHUB_DATABASE_URL", fresh_database.app_url)
    monkeypatch.setenv("SOLARHUB_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("SOLARHUB_SECRET_KEY", base64.b64encode(bytes(32)).decode())
    period = ["--from", "2026-06-01", "--to", "2026-06-01"]
    arguments = ["telemetry", "recompute", "--site"]
    done = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, str(home.site_id), *period])
    assert (done.exit_code, done.output.split(":")[0].startswith("5 devices from 2026-05-31T19")) == (0, True), (
        done.output
    )
    assert await home.fingerprint() == expected
    unknown = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, str(UUID(int=1)), *period])
    assert unknown.exit_code == 1
    assert "does not exist" in unknown.output
