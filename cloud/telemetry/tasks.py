"""Background work of telemetry: rolling up after ingest, and the sweep that finds what no message told of."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from cloud.core.db import SYSTEM, Database
from cloud.core.jobs import JobContext, Task
from cloud.core.log import get_logger
from cloud.telemetry.repository.rollups import ensure_partitions
from cloud.telemetry.service.rollup import make_room, roll_up_dirty, roll_up_site
from shared.periods import Window

_log = get_logger(__name__)

SITES_PER_SWEEP = 50
PASSES_PER_JOB = 50
"""After so many passes a job ends and leaves the worker to other sites; the sweep goes on with the rest."""

ROUNDS_PER_SWEEP = 20
"""So much of a long queue is worked off at once where no worker is at it; the next sweep goes on."""

AHEAD = timedelta(days=45)
"""Partitions exist this long before they are needed, so that a scheduler that stands still for weeks does no harm."""


async def roll_up(context: JobContext, *, site_id: str) -> None:
    """Settle what a site's readings have made wrong."""
    settled = 0
    for _ in range(PASSES_PER_JOB):
        async with context.db.transaction(SYSTEM) as conn:
            await make_room(conn, UUID(site_id))
        async with context.db.transaction(SYSTEM) as conn:
            done = await roll_up_site(conn, UUID(site_id), now=datetime.now(UTC))
        settled += done
        if done == 0:
            break
    _log.debug("rolled_up", site_id=site_id, marks=settled)


async def sweep(db: Database) -> int:
    """Roll up every site that has waited; the scheduler calls it, several may at once.

    Returns:
        Marks settled.
    """
    settled = 0
    for _ in range(ROUNDS_PER_SWEEP):
        done = await roll_up_dirty(db, SITES_PER_SWEEP, now=datetime.now(UTC))
        settled += done
        if done == 0:
            break
    return settled


async def make_partitions(db: Database) -> None:
    """Make this and the coming month's partitions of the rollup tables."""
    now = datetime.now(UTC)
    async with db.transaction(SYSTEM) as conn:
        await ensure_partitions(conn, Window(now, now + AHEAD))


TASKS = (Task("telemetry.roll_up", roll_up),)
