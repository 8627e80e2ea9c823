"""Completeness by daylight as it stands in the tables of days and months."""

from datetime import date, timedelta

import pytest
from sqlalchemy import update

from cloud.core.db import SYSTEM
from cloud.sites.tables import Site
from shared.periods import day_window, zone_of
from tests.integration.telemetry.home import Home, Sent, moments

JUNE_21 = day_window(date(2026, 6, 21), zone_of("Asia/Karachi"))


async def test_inverters_that_sleep_at_night_are_complete_by_day(home: Home) -> None:
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(update(Site).values(latitude=31.52, longitude=74.36))
    noon = JUNE_21.start + timedelta(hours=12)
    at = moments(noon - timedelta(hours=7), noon, step=timedelta(minutes=5))  # from sunrise to noon
    await home.send([Sent(home.string_id, moment, {"ac_power_kw": 1.0}) for moment in at[:-1]])
    await home.roll_up()
    days = await home.rows(
        "SELECT device_id, data_completeness_percent AS whole, daylight_completeness_percent AS by_day"
        " FROM telemetry_daily_summary WHERE summary_date = '2026-06-21'"
    )
    by_device = {row["device_id"]: (row["whole"], row["by_day"]) for row in days}
    assert by_device[home.string_id] == (pytest.approx(100 * 7 / 24), 50)
    assert by_device[None] == (pytest.approx(100 * 7 / 24 / 5), 10)  # one of five devices was heard
    month = await home.month(2026, 6)
    assert 0 < month["daylight_completeness_percent"] < 10 / 29


async def test_without_coordinates_it_is_not_known(home: Home) -> None:
    await home.send([Sent(home.string_id, JUNE_21.start + timedelta(hours=8), {"ac_power_kw": 1.0})])
    await home.roll_up()
    day = await home.day(date(2026, 6, 21))
    assert (day["daylight_completeness_percent"], day["data_completeness_percent"] > 0) == (None, True)
