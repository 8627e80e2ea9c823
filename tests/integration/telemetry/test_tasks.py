"""The job after ingest, and the sweeps."""

import asyncio
import functools
from datetime import UTC, date, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest

from cloud.core.db import SYSTEM, Database
from cloud.core.files import Files
from cloud.core.jobs import JobContext
from cloud.core.settings import Settings
from cloud.telemetry import tasks
from cloud.telemetry.repository import queue
from cloud.telemetry.service.rollup import roll_up_site
from edge_agent.drivers.simulated import SimulatedSite
from shared.periods import Window, day_window, zone_of
from tests.fakes import FakeJobs
from tests.integration.telemetry.home import Home, Sent, make_home, moments, observe
from tests.plants import make_plant

MORNING = Window(
    day_window(date(2026, 6, 1), zone_of("Asia/Karachi")).start + timedelta(hours=6),
    day_window(date(2026, 6, 1), zone_of("Asia/Karachi")).start + timedelta(hours=9),
)


def context_of(home: Home) -> JobContext:
    # The task looks at the database only.
    return JobContext(settings=cast(Settings, None), db=home.db, jobs=FakeJobs(), files=cast(Files, None))


async def send_morning(home: Home, roof: SimulatedSite) -> None:
    for at in moments(MORNING.start, MORNING.end, step=timedelta(minutes=15)):
        await home.send(observe(home, roof, at))


async def waiting(home: Home) -> int:
    async with home.db.transaction(SYSTEM) as conn:
        return len(await queue.marks(conn, home.site_id, limit=1_000))


async def test_the_job_settles_fresh_readings(home: Home, roof: SimulatedSite) -> None:
    home.arrival = MORNING.end
    await home.send(observe(home, roof, MORNING.end))
    context = context_of(home)
    await tasks.roll_up(context, site_id=str(home.site_id))
    assert await waiting(home) == 0
    assert cast(FakeJobs, context.jobs).sent == []


async def test_one_job_settles_several_sites(home: Home, roof: SimulatedSite) -> None:
    other = await make_home(home.db, await make_plant(home.db, name="other"))
    for each in (home, other):
        each.arrival = MORNING.end
        await each.send(observe(each, roof, MORNING.end))
    await tasks.roll_up_several(context_of(home), site_ids=f"{home.site_id},{other.site_id}")
    assert (await waiting(home), await waiting(other)) == (0, 0)


async def test_late_readings_are_left_to_a_job_that_lets_others_pass(home: Home, roof: SimulatedSite) -> None:
    await send_morning(home, roof)
    context, late = context_of(home), [(tasks.LATE_JOB, {"site_id": home.site_id})]
    sent = cast(FakeJobs, context.jobs).sent
    before = await waiting(home)
    await tasks.roll_up(context, site_id=str(home.site_id))
    assert (await waiting(home), sent) == (before, late)
    await tasks.roll_up_late(context, site_id=str(home.site_id))
    assert (await waiting(home), sent) == (0, late)
    truth = roof.counter_energy_wh(MORNING.start, MORNING.end)
    assert (await home.day(date(2026, 6, 1)))["energy_generated_kwh"] == truth.generated / 1000
    await tasks.roll_up_late(context, site_id=str(home.site_id))
    assert sent == late


async def test_a_late_job_makes_one_pass_while_a_fresh_reading_of_any_site_waits(
    home: Home, roof: SimulatedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "roll_up_site", functools.partial(roll_up_site, limit=5))
    await send_morning(home, roof)
    fresh = await make_home(home.db, await make_plant(home.db, name="fresh"))
    fresh.arrival = MORNING.end
    await fresh.send(observe(fresh, roof, MORNING.end))
    context, before = context_of(home), await waiting(home)
    await tasks.roll_up_late(context, site_id=str(home.site_id))
    left = await waiting(home)
    assert 0 < left < before
    assert cast(FakeJobs, context.jobs).names() == [tasks.LATE_JOB]
    await fresh.roll_up()
    await tasks.roll_up_late(context, site_id=str(home.site_id))
    assert await waiting(home) == 0


async def test_a_job_comes_again_while_somebody_else_is_at_the_site(home: Home, roof: SimulatedSite) -> None:
    home.arrival = MORNING.end
    async with home.db.transaction(SYSTEM) as other:
        assert await queue.try_lock_site(other, home.site_id)
        # The other one has looked at the queue before this reading came.
        await home.send(observe(home, roof, MORNING.end))
        job = asyncio.create_task(tasks.roll_up(context_of(home), site_id=str(home.site_id)))
        await asyncio.sleep(0.3)
        assert not job.done()
    await job
    assert await waiting(home) == 0


async def test_a_job_for_a_site_that_is_gone_ends(home: Home) -> None:
    await tasks.roll_up(context_of(home), site_id=str(UUID(int=1)))
    assert await waiting(home) == 0


async def test_a_long_queue_goes_on_in_the_sweep(
    home: Home, roof: SimulatedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "PASSES_PER_JOB", 0)
    await send_morning(home, roof)
    await tasks.roll_up(context_of(home), site_id=str(home.site_id))
    left = await waiting(home)
    assert left > 0
    assert await tasks.sweep(home.db) >= left
    assert await tasks.sweep(home.db) == 0


@pytest.mark.parametrize(("waited_s", "rounds"), [(0, 1), (60, 3)])
async def test_the_sweep_leaves_the_processor_to_workers_that_keep_up(
    home: Home, roof: SimulatedSite, monkeypatch: pytest.MonkeyPatch, waited_s: float, rounds: int
) -> None:
    """A mark of another site stands for fresh readings that workers are at, or that no worker is there for."""
    seen = []

    async def one_round(db: Database, limit: int, *, now: datetime) -> int:
        seen.append(limit)
        return 1

    monkeypatch.setattr(tasks, "roll_up_dirty", one_round)
    monkeypatch.setattr(tasks, "ROUNDS_PER_SWEEP", 3)
    home.arrival = datetime.now(UTC) - timedelta(seconds=waited_s)
    await home.send([Sent(home.string_id, home.arrival - timedelta(minutes=1), {"energy_total_kwh": 1.0})])
    assert await tasks.sweep(home.db) == rounds
    assert seen == [tasks.SITES_PER_SWEEP] * rounds


async def test_partitions_are_there_before_they_are_needed(home: Home) -> None:
    await tasks.make_partitions(home.db)
    names = {row["name"] for row in await home.rows("SELECT relname AS name FROM pg_class WHERE relispartition")}
    for month in {datetime.now(UTC), datetime.now(UTC) + tasks.AHEAD}:
        assert f"telemetry_quarter_hour_p{month:%Y%m}" in names
        assert f"telemetry_hourly_summary_p{month:%Y%m}" in names
    strays = await home.rows("SELECT sum(stray) AS n FROM solarhub_stray_rows()")
    assert strays == [{"n": 0}]


async def test_rollups_of_an_old_month_go_to_its_own_partition(home: Home, roof: SimulatedSite) -> None:
    await send_morning(home, roof)
    await home.roll_up()
    rows = await home.rows("SELECT DISTINCT tableoid::regclass::text AS name FROM telemetry_quarter_hour")
    assert rows == [{"name": "telemetry_quarter_hour_p202606"}]
