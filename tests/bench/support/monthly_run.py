"""The monthly run of bills against a real and durable PostgreSQL, by one worker in this process."""

import time

import asyncpg
from sqlalchemy import text

from cloud.billing.service.monthly import bill_due, plan_bills
from cloud.core.db import SYSTEM, Database
from tests.bench.support.cpu import parent_of, server_cpu_s
from tests.bench.support.homes import AFTER, BILLED, make_homes, size_of
from tests.bench.support.hub import Hub, running_hub

MADE = """
SELECT count(*) AS bills, count(*) FILTER (WHERE b.is_actual AND b.bill_breakdown -> 'pending' = '[]') AS whole,
    count(DISTINCT b.estimated_bill_pkr) AS totals
FROM billing_runs r JOIN billing_simulations b ON b.id = r.bill_id WHERE r.bill_month = :month AND r.state = 'billed'
"""


async def worker_figures(sites: int) -> dict[str, float]:
    """The monthly run as the worker makes it, against a real database: each site's bill in a transaction of its own."""
    async with running_hub() as hub:
        db = await Database.connect(hub.app_url)
        started = time.perf_counter()
        rows = await make_homes(hub, db, sites)
        homes_made_s = time.perf_counter() - started
        postmaster, database_bytes = await _server(hub)
        print(f"{sites:,} sites with {rows:,} quarter-hours made in {homes_made_s:.0f} s", flush=True)
        if (planned := await plan_bills(db, AFTER)) != sites:
            raise RuntimeError(f"{planned} bills were planned for {sites} sites")
        started, cpu, database_cpu = time.perf_counter(), time.process_time(), server_cpu_s(postmaster)
        while await bill_due(db, AFTER):
            pass
        taken, cpu = time.perf_counter() - started, time.process_time() - cpu
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
