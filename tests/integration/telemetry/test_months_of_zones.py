"""Whole months in many zones, through ingest and roll-up: days, hours and month sum to what the counter rose.

PostgreSQL's own zone database says here which readings are of which day.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from cloud.core.db import SYSTEM, Database
from shared.periods import QUARTER_HOUR, month_window, zone_of
from tests.integration.telemetry.home import Home, Sent, make_home, moments
from tests.plants import Plant

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Months:
    """Months of a zone, the time between two readings (a part of its offset from UTC), and the days that were not 24 hours long."""

    zone: str
    months: tuple[tuple[int, int], ...]
    step: timedelta
    changed: dict[date, float]


PLACES = (
    Months("Asia/Karachi", ((2026, 6),), HOUR, {}),
    Months("Asia/Kathmandu", ((2026, 2),), QUARTER_HOUR, {}),
    Months("Asia/Kolkata", ((2024, 2),), HOUR / 2, {}),
    Months("Europe/London", ((2026, 3), (2026, 10)), HOUR, {date(2026, 3, 29): 23, date(2026, 10, 25): 25}),
    Months("America/New_York", ((2025, 3), (2025, 11)), HOUR, {date(2025, 3, 9): 23, date(2025, 11, 2): 25}),
    Months("Australia/Lord_Howe", ((2026, 4), (2026, 10)), HOUR / 2, {date(2026, 4, 5): 24.5, date(2026, 10, 4): 23.5}),
    Months("America/St_Johns", ((2026, 3), (2026, 11)), HOUR / 2, {date(2026, 3, 8): 23, date(2026, 11, 1): 25}),
    Months("America/Sao_Paulo", ((2026, 1),), HOUR, {}),
    Months("Pacific/Chatham", ((2026, 4), (2025, 9)), QUARTER_HOUR, {date(2026, 4, 5): 25, date(2025, 9, 28): 23}),
    Months("Pacific/Apia", ((2021, 4),), HOUR, {date(2021, 4, 4): 25}),
    Months("Africa/Cairo", ((2024, 4), (2024, 10)), HOUR, {date(2024, 4, 26): 23, date(2024, 10, 31): 25}),
)

RAW_DAYS = """
    SELECT day, round(sum(rise) * 1000)::bigint AS wh, count(*) * CAST(:step_s AS integer) / 3600.0 AS hours
    FROM (
        SELECT max((at AT TIME ZONE :zone)::date) OVER (ORDER BY at) AS day,
               (lead(energy_total_kwh) OVER (ORDER BY at) - energy_total_kwh)::numeric AS rise
        FROM telemetry_readings WHERE site_id = :site AND at >= :start AND at <= :end
    ) AS rises
    WHERE rise IS NOT NULL GROUP BY day ORDER BY day
"""
HOURS = """
    SELECT round(sum(energy_generated_kwh::numeric) * 1000)::bigint AS wh, count(*) AS n FROM telemetry_hourly_summary
    WHERE site_id = :site AND device_id IS NULL AND timestamp_hour >= :start AND timestamp_hour < :end
"""
DAYS = """
    SELECT summary_date AS day, device_id, round(energy_generated_kwh::numeric * 1000)::bigint AS wh, sample_count,
           expected_count, data_completeness_percent
    FROM telemetry_daily_summary WHERE site_id = :site AND summary_date >= :first AND summary_date <= :last ORDER BY summary_date
"""


async def counter_of(home: Home, place: Months) -> None:
    """Months of a counter that rises by 1 to 1,000 Wh in a quarter-hour."""
    zone, steps_per_quarter = zone_of(place.zone), place.step / QUARTER_HOUR
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(
            text("UPDATE devices SET commissioned_at = :since"), {"since": datetime(2020, 1, 1, tzinfo=UTC)}
        )
    total_wh, number = 5_000_000, 0
    for month in sorted(place.months):
        window, sent = month_window(*month, zone), []
        for at in moments(window.start, window.end, step=place.step):
            sent.append(Sent(home.string_id, at, {"energy_total_kwh": total_wh / 1000}))
            total_wh += round((1 + number * 7_919 % 1_000) * steps_per_quarter)
            number += 1
        await home.send(sent)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.zone)
async def test_days_hours_and_months_hold_what_the_counter_rose(db: Database, plant: Plant, place: Months) -> None:
    home = await make_home(db, plant, timezone=place.zone, poll_s=place.step.total_seconds())
    await counter_of(home, place)
    await home.roll_up()
    site, step_s = home.site_id, int(place.step.total_seconds())
    found: dict[date, float] = {}
    for year, month in place.months:
        window = month_window(year, month, zone_of(place.zone))
        between = {"site": site, "start": window.start, "end": window.end}
        raw = await home.rows(RAW_DAYS, **between, zone=place.zone, step_s=step_s)
        days = {row["day"]: row["wh"] for row in raw}
        found |= {row["day"]: float(row["hours"]) for row in raw}
        assert {(day.year, day.month) for day in days} == {(year, month)}
        rows = await home.rows(DAYS, site=site, first=min(days), last=max(days))
        for whose in (None, home.string_id):
            assert {row["day"]: row["wh"] for row in rows if row["device_id"] == whose} == days
        readings = {row["day"]: row["sample_count"] for row in rows if row["device_id"] == home.string_id}
        assert readings == {row["day"]: round(row["hours"] * 3600 / step_s) for row in raw}
        whole = await home.rows(HOURS, **between)
        assert whole == [{"wh": sum(days.values()), "n": sum(-(-found[day] // 1) for day in days)}]
        assert round((await home.month(year, month))["energy_generated_kwh"] * 1000) == sum(days.values())
    assert {day: hours for day, hours in found.items() if hours != 24} == place.changed
