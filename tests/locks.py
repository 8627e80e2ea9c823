"""Who waits for whom in PostgreSQL."""

import asyncio

import asyncpg


async def until_somebody_waits_for(pid: int, admin_url: str) -> None:
    """Wait until another backend is locked out by the one of this process id."""
    looking = await asyncpg.connect(admin_url)
    try:
        async with asyncio.timeout(20):
            while not await looking.fetchval(  # noqa: ASYNC110 -- PostgreSQL offers no event
                "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", pid
            ):
                await asyncio.sleep(0.02)
    finally:
        await looking.close()
