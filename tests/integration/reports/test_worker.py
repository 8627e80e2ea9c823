"""A report through Dramatiq on a real Redis."""

import asyncio

from cloud.core.jobs import RedisJobs, make_broker, make_worker
from cloud.reports.service import GENERATE
from cloud.worker import TASKS, close_context, context_opener
from tests.integration.reports.conftest import Reporter

DEADLINE_S = 60


async def test_the_worker_makes_the_report(reporter: Reporter) -> None:
    made = await reporter.ask()
    settings = reporter.context.settings
    url = settings.redis_url.get_secret_value()
    worker = make_worker(url, TASKS, open_context=context_opener(settings), close_context=close_context, threads=1)
    await asyncio.to_thread(worker.start)
    jobs = RedisJobs(make_broker(url))
    try:
        for _ in range(2):
            await jobs.enqueue(GENERATE, report_id=made["id"])
        async with asyncio.timeout(DEADLINE_S):
            while (await reporter.read(made["id"]))["status"] != "completed":  # noqa: ASYNC110 -- the database is what is waited for
                await asyncio.sleep(0.1)
    finally:
        jobs.close()
        await asyncio.to_thread(worker.stop)
    assert (await reporter.read(made["id"]))["attempts"] == 1
    assert len(reporter.stored_files()) == 1
