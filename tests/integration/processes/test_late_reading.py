"""A reading that comes three months late: days and months on both sides of it are right within a minute, by real processes."""

import asyncio
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from cloud.core.db import SYSTEM
from shared.periods import day_of, day_window, zone_of
from tests.integration.processes.conftest import Agent, Cloud
from tests.integration.telemetry.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

LATE = timedelta(days=90)
RIGHT_WITHIN_S = 60.0
HOUR = timedelta(hours=1)
KARACHI = zone_of("Asia/Karachi")


def last_of_a_month() -> date:
    """The youngest last day of a month whose readings are at least 90 days late by now."""
    return day_of(datetime.now(UTC) - LATE - timedelta(days=1), KARACHI).replace(day=1) - timedelta(days=1)


async def shown(home: Home, day: date) -> tuple[int, ...] | None:
    """Wh of the day, of the day after it, and of their two months; None where one is missing."""
    following = day + timedelta(days=1)
    days = await home.rows(
        "SELECT energy_generated_kwh AS kwh FROM telemetry_daily_summary WHERE device_id IS NULL AND summary_date IN (:day, :after)"
        " ORDER BY summary_date",
        day=day,
        after=following,
    )
    months = await home.rows(
        "SELECT energy_generated_kwh AS kwh FROM telemetry_monthly_summary WHERE device_id IS NULL ORDER BY year, month"
    )
    found = [row["kwh"] for row in (*days, *months)]
    return None if len(found) != 4 or None in found else tuple(round(kwh * 1000) for kwh in found)


async def seconds_until(home: Home, day: date, expected: tuple[int, ...]) -> float:
    """How long it takes until days and months show this; fails after a minute."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(RIGHT_WITHIN_S):
            while (found := await shown(home, day)) != expected:  # noqa: ASYNC110 -- another process does it
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"after {RIGHT_WITHIN_S:.0f} s days and months show {found}, not {expected}")
    return time.monotonic() - started


@pytest.mark.parametrize("alone", ["worker", "scheduler"])
async def test_days_and_months_are_right_within_a_minute(cloud: Cloud, home: Home, agent: Agent, alone: str) -> None:
    """Either process does it without the other: the worker by the message after ingest, the scheduler by looking."""
    day = last_of_a_month()
    midnight = day_window(day, KARACHI).end
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(
            text("UPDATE devices SET commissioned_at = :since"), {"since": midnight - timedelta(days=30)}
        )
    async with cloud.api() as client, cloud.run(alone):
        for hours, kwh in ((-18, 100.0), (-12, 110.0), (12, 125.0), (18, 130.0)):
            await agent.send(client, home.string_id, midnight + hours * HOUR, energy_total_kwh=kwh)
        # What rose from noon to noon is shared by time.
        first = await seconds_until(home, day, (17_500, 12_500, 17_500, 12_500))
        await agent.send(client, home.string_id, midnight, energy_total_kwh=120.0)
        again = await seconds_until(home, day, (20_000, 10_000, 20_000, 10_000))
    print(f"{alone}: {first:.1f} s for four readings, {again:.1f} s for one in between")
    assert await home.rows("SELECT 1 FROM rollup_dirty") == []
