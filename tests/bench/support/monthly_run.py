"""The monthly run of bills against a real and durable PostgreSQL, by one worker in this process."""

import time

import asyncpg
from sqlalchemy import text

from cloud.billing.service.monthly import bill_due, plan_bills
from cloud.core.db import SYSTEM, Database
from tests.bench.support.cpu import parent_of, server_cpu_s
from tests.bench.support.homes import AFTER, make_homes
from tests.bench.support.hub import Hub, running_hub


async def worker_figures(sites: int) -> dict[str, float]:
    """The monthly run as the worker makes it, against a real database: each site's bill in a transaction of its own."""
    async with running_hub() as hub:
        db = await Database.connect(hub.app_url)
        started = time.perf_counter()
        rows = await make_homes(hub, db, sites)
        print(f"{sites:,} sites with {rows:,} quarter-hours made in {time.perf_counter() - started:.0f} s", flush=True)
        postmaster = await postmaster_of(hub)
        if (planned := await plan_bills(db, AFTER)) != sites:
            raise RuntimeError(f"{planned} bills were planned for {sites} sites")
        started, cpu, database_cpu = time.perf_counter(), time.process_time(), server_cpu_s(postmaster)
        while await bill_due(db, AFTER):
            pass
        taken, cpu = time.perf_counter() - started, time.process_time() - cpu
        database_cpu = server_cpu_s(postmaster) - database_cpu
        async with db.transaction(SYSTEM) as conn:
            made = await conn.scalar(
                text("SELECT count(*) FROM billing_simulations WHERE estimated_bill_pkr IS NOT NULL")
            )
        await db.dispose()
    if made != sites:
        raise RuntimeError(f"{made} bills were made for {sites} sites")
    print(f"{sites:,} monthly bills by one worker in {taken:.1f} s", flush=True)
    return {
        "worker_sites": sites,
        "bills_per_s_worker": round(sites / taken, 1),
        "cpu_s_per_1000_bills": round(cpu / sites * 1000, 2),
        "database_cpu_s_per_1000_bills": round(database_cpu / sites * 1000, 2),
    }


async def postmaster_of(hub: Hub) -> int:
    """PostgreSQL's first process."""
    conn = await asyncpg.connect(hub.admin_url)
    try:
        return parent_of(await conn.fetchval("SELECT pg_backend_pid()"))
    finally:
        await conn.close()
