"""Twenty thousand late readings of many sites wait for a worker: live readings go first, whenever they come, and nothing is lost."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from cloud.core.db import Database
from cloud.core.jobs import RedisJobs, make_broker
from cloud.ingest.bell import ROLL_UP_JOB
from shared.periods import QUARTER_HOUR, quarter_hour_floor
from tests.integration.processes.conftest import Cloud
from tests.integration.telemetry.home import Home, Sent, make_home
from tests.plants import make_plant

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FLOODED_SITES = 10
LATE_READINGS = 2_000
"""Of each site, one in each quarter-hour, so that every one is a mark in the queue."""

LIVE_ROUNDS = 5
LIVE_WITHIN_S = 60.0
"""On a busy machine; what is asserted is who comes first."""


def late_counter(home: Home, end: datetime) -> list[Sent]:
    """A counter that has risen by 1 kWh in every quarter-hour, in no order."""
    sent = [
        Sent(home.string_id, end - back * QUARTER_HOUR, {"energy_total_kwh": 10_000.0 - back})
        for back in range(LATE_READINGS)
    ]
    random.Random(1).shuffle(sent)  # noqa: S311 -- the same disorder in every run
    return sent


async def waiting(home: Home) -> tuple[int, int]:
    """Marks of this home, and of all the others."""
    (row,) = await home.rows(
        "SELECT count(*) FILTER (WHERE site_id = :site) AS here, count(*) FILTER (WHERE site_id <> :site) AS elsewhere"
        " FROM rollup_dirty",
        site=home.site_id,
    )
    return row["here"], row["elsewhere"]


async def settled(home: Home) -> int:
    """Wait until nothing of this home waits; returns how many marks of others still do."""
    async with asyncio.timeout(LIVE_WITHIN_S):
        while True:
            here, elsewhere = await waiting(home)
            if not here:
                return elsewhere
            await asyncio.sleep(0.02)


async def test_live_readings_overtake_a_flood(cloud: Cloud, db: Database, home: Home, fresh_redis: str) -> None:
    now = datetime.now(UTC)
    end = quarter_hour_floor(now) - timedelta(days=90)
    flooded = [
        await make_home(db, await make_plant(db, name=f"flood{number}"), poll_s=900) for number in range(FLOODED_SITES)
    ]
    jobs = RedisJobs(make_broker(fresh_redis))
    for one in flooded:
        one.arrival = now
        await home.rows("UPDATE devices SET commissioned_at = :since RETURNING 1", since=end - timedelta(days=60))
        await one.send(late_counter(one, end))
        await jobs.enqueue(ROLL_UP_JOB, site_id=one.site_id)
    flood = (await waiting(home))[1]
    assert flood == FLOODED_SITES * LATE_READINGS
    left, took_s = [flood], []
    async with cloud.run("worker"):
        await left_at_most(home, flood - 1)
        for number in range(LIVE_ROUNDS):
            at = home.arrival = datetime.now(UTC)
            await home.send([Sent(home.string_id, at, {"energy_total_kwh": 500 + number / 1000, "ac_power_kw": 1.0})])
            assert await home.rows("SELECT DISTINCT priority FROM rollup_dirty WHERE site_id = :s", s=home.site_id) == [
                {"priority": 0}
            ]
            started = time.monotonic()
            await jobs.enqueue(ROLL_UP_JOB, site_id=home.site_id)
            left.append(await settled(home))
            took_s.append(round(time.monotonic() - started, 2))
        print(f"late quarter-hours that still waited when live ones were done: {left}; live ones waited for {took_s} s")
        assert left[-1] > 0, "the flood was over before the live readings: make it larger"
        assert left[1] > flood / 2
        await left_at_most(home, 0)
    jobs.close()
    totals = await home.rows(
        "SELECT site_id, round(sum(energy_generated_kwh)::numeric, 3) AS kwh FROM telemetry_daily_summary"
        " WHERE device_id IS NULL AND site_id <> :s GROUP BY site_id",
        s=home.site_id,
    )
    assert {row["site_id"]: row["kwh"] for row in totals} == {one.site_id: LATE_READINGS - 1 for one in flooded}


async def left_at_most(home: Home, marks: int) -> None:
    async with asyncio.timeout(240):
        while (await waiting(home))[1] > marks:  # noqa: ASYNC110 -- another process works them off
            await asyncio.sleep(0.05)
