"""Background work of telemetry: rolling up after ingest, and the sweep that finds what no message told of."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cloud.core.db import SYSTEM, Database
from cloud.core.jobs import JobContext, Task
from cloud.core.log import get_logger
from cloud.telemetry.repository import queue
from cloud.telemetry.repository.rollups import ensure_partitions
from cloud.telemetry.service.rollup import make_room, roll_up_dirty, roll_up_site
from shared.periods import Window

_log = get_logger(__name__)

SITES_PER_SWEEP = 50
PASSES_PER_JOB = 50
"""After so many passes a job ends and leaves the worker to other sites; the sweep goes on with the rest."""

OTHERS_TAKE_S = 0.1
"""How long a pass of somebody else is given before the site is looked at again."""

LATE_PASSES_PER_JOB = 10
"""Some seconds of a quiet worker, then another site's turn."""

LATE_JOB = "telemetry.roll_up_late"

ROUNDS_PER_SWEEP = 20
"""So much of a long queue is worked off at once where no worker is at it; the next sweep goes on."""

WORKERS_TAKE = timedelta(seconds=5)
"""Fresh readings that have waited longer than this have no worker, or one that does not keep up."""

AHEAD = timedelta(days=45)
"""Partitions exist this long before they are needed, so that a scheduler that stands still for weeks does no harm."""


async def roll_up(context: JobContext, *, site_id: str) -> None:
    """Settle what a site's fresh readings have made wrong; what came late is left to a job that lets every site's fresh readings pass."""
    site, settled = UUID(site_id), 0
    for _ in range(PASSES_PER_JOB):
        urgency = await _most_urgent(context.db, site)
        if urgency is None:
            break
        if urgency > 0:
            await context.jobs.enqueue(LATE_JOB, site_id=site)
            break
        done = await _pass(context.db, site)
        settled += done
        if done == 0:
            # Somebody else is at this site, and may have begun before these readings came.
            await asyncio.sleep(OTHERS_TAKE_S)
    _log.debug("rolled_up", site_id=site_id, marks=settled)


async def roll_up_several(context: JobContext, *, site_ids: str) -> None:
    """`roll_up` of sites whose readings came at the same time, one after the other; their ids with commas between."""
    for site_id in site_ids.split(","):
        await roll_up(context, site_id=site_id)


async def roll_up_late(context: JobContext, *, site_id: str) -> None:
    """A pass over a site's queue, and more while no fresh reading of any site waits; what is left goes behind what others have left."""
    site, settled = UUID(site_id), 0
    for _ in range(LATE_PASSES_PER_JOB):
        done = await _pass(context.db, site)
        settled += done
        if done == 0 or await _oldest_live(context.db) is not None:
            break
    if done and await _most_urgent(context.db, site) is not None:
        await context.jobs.enqueue(LATE_JOB, site_id=site)
    _log.debug("rolled_up_late", site_id=site_id, marks=settled)


async def _oldest_live(db: Database) -> datetime | None:
    async with db.transaction(SYSTEM) as conn:
        return await queue.oldest_live(conn)


async def _most_urgent(db: Database, site_id: UUID) -> int | None:
    async with db.transaction(SYSTEM) as conn:
        return await queue.most_urgent(conn, site_id)


async def _pass(db: Database, site_id: UUID) -> int:
    async with db.transaction(SYSTEM) as conn:
        await make_room(conn, site_id)
    async with db.transaction(SYSTEM) as conn:
        return await roll_up_site(conn, site_id, now=datetime.now(UTC))


async def sweep(db: Database) -> int:
    """Roll up every site that has waited; the scheduler calls it, several may at once.

    One round over the sites. More of them while nobody's fresh readings are being worked at, or while they wait for so long that no worker
    seems to be there: a scheduler on the workers' machine must not take their processor from them.

    Returns:
        Marks settled.
    """
    settled = 0
    for _ in range(ROUNDS_PER_SWEEP):
        done = await roll_up_dirty(db, SITES_PER_SWEEP, now=datetime.now(UTC))
        settled += done
        if done == 0:
            break
        fresh_since = await _oldest_live(db)
        if fresh_since is not None and datetime.now(UTC) - fresh_since < WORKERS_TAKE:
            break
    return settled


async def make_partitions(db: Database) -> None:
    """Make this and the coming month's partitions of the rollup tables."""
    now = datetime.now(UTC)
    async with db.transaction(SYSTEM) as conn:
        await ensure_partitions(conn, Window(now, now + AHEAD))


TASKS = (
    Task("telemetry.roll_up", roll_up),
    Task("telemetry.roll_up_several", roll_up_several),
    Task(LATE_JOB, roll_up_late, in_background=True),
)
