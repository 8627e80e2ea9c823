"""Killed in the middle: nothing is lost, nothing is doubled, and nobody has to help."""

import asyncio
import base64
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError

from cloud.core.db import DRIVER_ERRORS
from cloud.core.jobs import RedisJobs, make_broker
from cloud.embedded import EmbeddedRedis
from edge_agent.drivers.simulated import SimulatedSite
from shared.errors import SolarHubError
from shared.periods import day_window, zone_of
from tests.chaos.conftest import Mortal
from tests.integration.telemetry.home import Home, Sent, in_batches, moments, observe

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(300)]

CUT: tuple[type[Exception], ...] = (SolarHubError, SQLAlchemyError, OSError, *DRIVER_ERRORS)
"""What a transaction ends with when its server dies."""

START = day_window(date(2026, 6, 1), zone_of("Asia/Karachi")).start


def readings_of(home: Home, roof: SimulatedSite, *, days: int) -> list[Sent]:
    step, end = timedelta(minutes=5), START + days * timedelta(days=1)
    found = [sent for at in moments(START, end, step=step) for sent in observe(home, roof, at)]
    random.Random(1).shuffle(found)  # noqa: S311 -- the same disorder in every run
    return found


async def counted(home: Home) -> int:
    """Readings in whichever form they are kept: as rows, packed, or in an archive; the scheduler also packs and archives."""
    (row,) = await home.rows(
        """
        SELECT (SELECT count(*) FROM telemetry_readings)
             + (SELECT coalesce(sum(readings), 0) FROM telemetry_days)
             + (SELECT coalesce(sum(rows), 0) FROM telemetry_archives WHERE kind = 'raw' AND is_away) AS n
        """
    )
    return int(row["n"])


async def dirty(home: Home) -> int:
    (row,) = await home.rows("SELECT count(*) AS n FROM rollup_dirty")
    return int(row["n"])


async def calm_result(home: Home, readings: Sequence[Sent]) -> dict[str, str]:
    """What comes out when nothing breaks; the home forgets it again."""
    for batch in in_batches(readings, [1000] * 20):
        await home.send(batch)
    await home.roll_up(limit=10_000)
    assert await counted(home) == len(readings)
    expected = await home.fingerprint()
    await home.forget()
    return expected


async def send_all(home: Home, batches: Sequence[Sequence[Sent]]) -> int:
    """As an agent does: the same batch with the same numbers until it is acknowledged; returns how often it was cut."""
    cuts = 0
    for batch in batches:
        first = home.next_seq
        while True:
            try:
                await home.send(batch)
                break
            except CUT:
                cuts, home.next_seq = cuts + 1, first
                await asyncio.sleep(0.1)
    return cuts


async def keep_rolling_up(home: Home, stop: asyncio.Event) -> int:
    """As a worker does; returns how often it was cut."""
    cuts = 0
    while not stop.is_set():
        try:
            await home.roll_up(limit=60, passes=1)
        except CUT:
            cuts += 1
            await asyncio.sleep(0.1)
    return cuts


async def test_postgresql_killed_during_ingest_and_roll_up(home: Home, roof: SimulatedSite, mortal: Mortal) -> None:
    readings = readings_of(home, roof, days=1)
    expected = await calm_result(home, readings)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        sender = group.create_task(send_all(home, in_batches(readings, [40] * 60)))
        roller = group.create_task(keep_rolling_up(home, stop))
        for _ in range(2):
            await until(lambda: anybody_rolls_up(home))
            mortal.kill()
            await asyncio.to_thread(mortal.start_again)
        await sender
        stop.set()
    assert sender.result() + roller.result() >= 2
    await home.roll_up()
    assert await counted(home) == len(readings)
    assert await home.fingerprint() == expected


async def until(condition: Callable[[], Awaitable[bool]], *, longest_s: float = 90) -> None:
    async with asyncio.timeout(longest_s):
        while not await condition():  # noqa: ASYNC110 -- the event happens in another process
            await asyncio.sleep(0.005)


async def anybody_rolls_up(home: Home) -> bool:
    """Whether a roll-up is in the middle of its transaction: it holds the site's lock."""
    try:
        return bool(await home.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"))
    except CUT:
        return False


@asynccontextmanager
async def process(command: str, environment: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`solarhub <command>`, killed at the end if it still runs."""
    with log.open("ab") as output:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cloud", command, env=environment, stdout=output, stderr=output
        )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGKILL)
        await started.wait()


async def test_worker_scheduler_and_redis_killed_in_the_middle(
    home: Home, roof: SimulatedSite, mortal: Mortal, mortal_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    readings = readings_of(home, roof, days=3)
    expected = await calm_result(home, readings)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SOLARHUB_")},
        "SOLARHUB_DATABASE_URL": mortal.app_url,
        "SOLARHUB_REDIS_URL": mortal_redis.url,
        "SOLARHUB_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
        "SOLARHUB_FILES_DIR": str(tmp_path),
    }
    await send_all(home, in_batches(readings, [1000] * 20))
    waiting = await dirty(home)
    async with process("worker", environment, tmp_path / "worker.log") as worker:
        jobs = RedisJobs(make_broker(mortal_redis.url))
        await jobs.enqueue("telemetry.roll_up", site_id=home.site_id)
        await until(lambda: anybody_rolls_up(home))
        worker.send_signal(signal.SIGKILL)
    async with Redis.from_url(mortal_redis.url) as client:
        os.kill((await client.info("server"))["process_id"], signal.SIGKILL)
    await jobs.enqueue("telemetry.roll_up", site_id=home.site_id)
    jobs.close()
    assert 0 < await dirty(home) <= waiting
    async with process("scheduler", environment, tmp_path / "scheduler.log") as scheduler:
        await until(lambda: anybody_rolls_up(home))
        scheduler.send_signal(signal.SIGKILL)
    assert await dirty(home) > 0
    async with process("scheduler", environment, tmp_path / "scheduler.log"):
        await until(lambda: nothing_waits(home))
    assert await counted(home) == len(readings)
    assert await home.fingerprint() == expected


async def nothing_waits(home: Home) -> bool:
    await asyncio.sleep(0.2)
    return await dirty(home) == 0
