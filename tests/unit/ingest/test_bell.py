"""The bell sounds at once, then gathers; a ring is never forgotten."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self, cast
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway

from cloud.ingest.bell import ROLL_UP_JOB, ROLL_UP_SEVERAL_JOB, SITES_PER_JOB, Bell, live_channel
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
    assert jobs.sent == [(ROLL_UP_JOB, {"site_id": ONE})]
    await until(lambda: len(jobs.sent) == 2)
    await bell.close()
    name, ids = jobs.sent[1]
    assert name == ROLL_UP_SEVERAL_JOB
    assert sorted(str(ids["site_ids"]).split(",")) == [str(ONE), str(TWO)]
    assert sorted(channels.published) == sorted([live_channel(ONE), live_channel(ONE), live_channel(TWO)])


async def test_sites_that_ring_together_share_messages_up_to_a_number() -> None:
    jobs = FakeJobs()
    bell = bell_of(jobs, Channels(), 60)
    bell.ring(ONE, AT)
    await until(lambda: len(jobs.sent) == 1)
    sites = {UUID(int=number) for number in range(2 * SITES_PER_JOB + 1)}
    for site in sites:
        bell.ring(site, AT)
    await bell.close()
    assert jobs.names()[1:] == [ROLL_UP_SEVERAL_JOB, ROLL_UP_SEVERAL_JOB, ROLL_UP_JOB]
    told = [str(site) for _, ids in jobs.sent[1:] for each in ids.values() for site in str(each).split(",")]
    assert sorted(told) == sorted(str(site) for site in sites)


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
