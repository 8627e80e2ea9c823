"""Tasks in the background: one at a time, and never before another one."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from cloud.core.db import Database
from cloud.core.files import Files
from cloud.core.jobs import JobContext, RedisJobs, Task, make_broker, make_worker
from cloud.core.settings import Settings
from tests.fakes import FakeJobs

BACKGROUND, URGENT = "test.background", "test.urgent"
WITHIN_S = 20.0


@asynccontextmanager
async def working(redis_url: str, namespace: str, tasks: list[Task]) -> AsyncIterator[None]:
    """A worker with four threads; its tasks use no database."""

    async def opened() -> JobContext:
        return JobContext(
            settings=cast(Settings, None), db=cast(Database, None), jobs=FakeJobs(), files=cast(Files, None)
        )

    async def closed(_context: JobContext) -> None:
        """There is nothing to close."""

    worker = make_worker(redis_url, tasks, open_context=opened, close_context=closed, threads=4, namespace=namespace)
    worker.start()
    try:
        yield
    finally:
        await asyncio.to_thread(worker.stop)
        worker.broker.client.close()  # type: ignore[attr-defined]  # it is a RedisBroker


async def until_length(order: list[str], length: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(order) < length:  # noqa: ASYNC110 -- the worker has a loop of its own
            await asyncio.sleep(0.01)


@pytest.mark.timeout(60)
async def test_one_at_a_time_and_urgent_tasks_pass(redis_url: str) -> None:
    order: list[str] = []
    at_once = [0, 0]

    async def late(_context: JobContext, *, number: int) -> None:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0.1)
        order.append(f"late {number}")
        at_once[0] -= 1

    async def urgent(_context: JobContext, *, number: int) -> None:
        order.append(f"urgent {number}")

    namespace = f"test-{secrets.token_hex(4)}"
    jobs = RedisJobs(make_broker(redis_url, namespace=namespace), background=[BACKGROUND])
    for number in range(20):
        await jobs.enqueue(BACKGROUND, number=number)
    async with working(redis_url, namespace, [Task(BACKGROUND, late, in_background=True), Task(URGENT, urgent)]):
        await until_length(order, 2)
        for number in range(5):
            await jobs.enqueue(URGENT, number=number)
        await until_length(order, 25)
    jobs.close()
    assert at_once[1] == 1
    assert [name for name in order if name.startswith("late")] == [f"late {number}" for number in range(20)]
    last_urgent = max(order.index(f"urgent {number}") for number in range(5))
    assert last_urgent < 20, order
