"""The monthly run of bills by one worker process, `solarhub worker`, with a real Redis and a real, durable PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import text

from cloud.billing.service.monthly import count_due, plan_bills
from cloud.billing.tasks import BILL_JOB
from cloud.core.db import SYSTEM, Database
from cloud.core.jobs import RedisJobs, make_broker
from cloud.demo.processes import Child, program, running
from tests.bench.support.cpu import parent_of, process_cpu_s, server_cpu_s
from tests.bench.support.homes import AFTER, BILLED, make_homes, size_of
from tests.bench.support.hub import Hub, running_hub

MADE = """
SELECT count(*) AS bills, count(*) FILTER (WHERE b.is_actual AND b.bill_breakdown -> 'pending' = '[]') AS whole,
    count(DISTINCT b.estimated_bill_pkr) AS totals
FROM billing_runs r JOIN billing_simulations b ON b.id = r.bill_id WHERE r.bill_month = :month AND r.state = 'billed'
"""
_LOOK_EVERY_S = 0.25
_START_S = 60


async def worker_figures(sites: int) -> dict[str, float]:
    """The monthly run as the worker makes it: jobs of fifty bills, each bill in a transaction of its own."""
    async with running_hub() as hub:
        db = await Database.connect(hub.app_url)
        started = time.perf_counter()
        rows = await make_homes(hub, db, sites)
        homes_made_s = time.perf_counter() - started
        postmaster, database_bytes = await _server(hub)
        print(f"{sites:,} sites with {rows:,} quarter-hours made in {homes_made_s:.0f} s", flush=True)
        if (planned := await plan_bills(db, AFTER)) != sites:
            raise RuntimeError(f"{planned} bills were planned for {sites} sites")
        async with _worker(hub) as child:
            cpu, database_cpu, started = process_cpu_s(child.process.pid), server_cpu_s(postmaster), time.perf_counter()
            await _work_off(hub, db, child)
            taken, cpu = time.perf_counter() - started, process_cpu_s(child.process.pid) - cpu
            database_cpu = server_cpu_s(postmaster) - database_cpu
        await _check(db, sites)
        await db.dispose()
    print(f"{sites:,} monthly bills by one worker in {taken:.1f} s", flush=True)
    return {
        "worker_sites": sites,
        "quarter_hours": rows,
        "homes_made_s": round(homes_made_s, 1),
        "database_gb": round(database_bytes / 1e9, 2),
        "bills_made_s": round(taken, 1),
        "bills_per_s_worker": round(sites / taken, 1),
        "cpu_s_per_1000_bills": round(cpu / sites * 1000, 2),
        "database_cpu_s_per_1000_bills": round(database_cpu / sites * 1000, 2),
    }


@asynccontextmanager
async def _worker(hub: Hub) -> AsyncIterator[Child]:
    """A worker process that is ready for jobs."""
    async with running(
        "worker", [program("solarhub"), "worker"], folder=hub.folder, environment=hub.environment
    ) as child:
        for _ in range(round(_START_S / _LOOK_EVERY_S)):
            child.check()
            if "worker_ready" in child.log_tail():
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        else:
            raise TimeoutError(f"the worker was not ready within {_START_S} s:\n{child.log_tail()}")
        yield child


async def _work_off(hub: Hub, db: Database, child: Child) -> None:
    """Wake the worker as the scheduler does, and wait until no bill is due; each of its jobs asks for the next."""
    jobs = RedisJobs(make_broker(hub.redis_url), background=[BILL_JOB])
    await jobs.enqueue(BILL_JOB)
    jobs.close()
    while await count_due(db, AFTER):
        child.check()
        await asyncio.sleep(_LOOK_EVERY_S)


async def _check(db: Database, sites: int) -> None:
    """Every site has its bill, from complete readings and with no line pending, and the bills are not one and the same."""
    async with db.transaction(SYSTEM) as conn:
        made = (await conn.execute(text(MADE), {"month": BILLED})).one()
    if (made.bills, made.whole) != (sites, sites) or made.totals < sites / 2:
        raise RuntimeError(
            f"{made.bills} bills for {sites} sites, {made.whole} of them whole, with {made.totals} different totals"
        )


async def _server(hub: Hub) -> tuple[int, int]:
    """PostgreSQL's first process, and the bytes of the database."""
    conn = await asyncpg.connect(hub.admin_url)
    try:
        return parent_of(await conn.fetchval("SELECT pg_backend_pid()")), await size_of(conn)
    finally:
        await conn.close()
