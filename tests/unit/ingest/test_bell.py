"""The bell sounds at once, then gathers; a ring is never forgotten."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self, cast
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway

from cloud.ingest.bell import ROLL_UP_JOB, Bell, live_channel
from tests.fakes import FakeJobs

AT = datetime(2026, 6, 1, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)


class Channels:
    """Stands for Redis: a pipeline that remembers what was published."""

    def __init__(self, *, away: bool = False) -> None:
        self.published: list[str] = []
        self._away = away

    def pipeline(self, **_: Any) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def publish(self, channel: str, _: str) -> None:
        self.published.append(channel)

    async def execute(self) -> None:
        if self._away:
            raise RedisAway("away")


def bell_of(jobs: FakeJobs, channels: Channels, quiet_s: float) -> Bell:
    return Bell(jobs, cast("Redis", channels), quiet_s=quiet_s)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- the fakes offer no event to wait for
            await asyncio.sleep(0.005)


async def test_the_first_ring_sounds_at_once_and_many_soon_after_are_one() -> None:
    jobs, channels = FakeJobs(), Channels()
    bell = bell_of(jobs, channels, 0.05)
    bell.ring(ONE, AT)
    await until(lambda: len(jobs.sent) == 1)
    for _ in range(5):
        bell.ring(ONE, AT)
        bell.ring(TWO, AT)
    assert len(jobs.sent) == 1
    await until(lambda: len(jobs.sent) == 3)
    await bell.close()
    assert sorted(ids["site_id"].int for _, ids in jobs.sent if isinstance(ids["site_id"], UUID)) == [1, 1, 2]
    assert {name for name, _ in jobs.sent} == {ROLL_UP_JOB}
    assert sorted(channels.published) == sorted([live_channel(ONE), live_channel(ONE), live_channel(TWO)])


async def test_what_waits_sounds_when_the_process_ends() -> None:
    jobs = FakeJobs()
    bell = bell_of(jobs, Channels(), 60)
    bell.ring(ONE, AT)
    await until(lambda: len(jobs.sent) == 1)
    bell.ring(TWO, AT)
    await bell.close()
    assert jobs.sent[-1] == (ROLL_UP_JOB, {"site_id": TWO})


async def test_views_alone_ask_for_no_roll_up() -> None:
    jobs, channels = FakeJobs(), Channels()
    bell = bell_of(jobs, channels, 0.01)
    bell.ring(ONE, AT, roll_up=False)
    await bell.close()
    assert (jobs.sent, channels.published) == ([], [live_channel(ONE)])


async def test_a_redis_that_is_away_stops_no_roll_up() -> None:
    jobs = FakeJobs()
    bell = bell_of(jobs, Channels(away=True), 0.01)
    bell.ring(ONE, AT)
    await until(lambda: len(jobs.sent) == 1)
    bell.ring(TWO, AT)
    await until(lambda: len(jobs.sent) == 2)
    await bell.close()
