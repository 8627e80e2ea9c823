"""Rolling up: from dirty quarter-hours to the days and months that they change.

One call of `roll_up_site` is one transaction. What it writes is a function of the stored readings and the site's facts, so that it may
run twice, be killed half-way, or come late; the queue keeps what is not done.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import SYSTEM, Database
from cloud.telemetry.repository import archive, facts, queue, rollups
from cloud.telemetry.repository.queue import Mark
from cloud.telemetry.rules.context import REACH, utc_hour
from cloud.telemetry.rules.facts import SiteFacts
from cloud.telemetry.service.levels import save_levels
from cloud.telemetry.service.pieces import compute, errands
from shared.periods import HOUR, QUARTER_HOUR, Window

MARKS_PER_PASS = 960
"""Two days of five devices, so that what a pass costs beside them is shared by many; some tenths of a second, so that live marks, which
go first, never wait long for back-fill."""


async def roll_up_dirty(db: Database, limit: int, *, now: datetime) -> int:
    """Work through the queue once, a site at a time, each in its own transaction.

    Args:
        db: the database, as a role that walks all tenants.
        limit: sites to visit.
        now: written as `computed_at`.

    Returns:
        Marks settled; 0 means that nothing is left, or that others are at it.
    """
    async with db.transaction(SYSTEM) as conn:
        sites = await queue.waiting_sites(conn, limit)
    settled = 0
    for site_id in sites:
        async with db.transaction(SYSTEM) as conn:
            await make_room(conn, site_id)
        async with db.transaction(SYSTEM) as conn:
            settled += await roll_up_site(conn, site_id, now=now)
    return settled


async def make_room(conn: AsyncConnection, site_id: UUID, *, limit: int = MARKS_PER_PASS) -> None:
    """Make the partitions that the next pass over a site needs, where they are missing.

    In a transaction of its own before that pass: adding a partition locks the tables that it refers to, and ingest, which touches
    devices, would wait for the whole pass.
    """
    for month in await queue.months(conn, site_id, limit=limit):
        await rollups.ensure_partitions(conn, Window(month - REACH, month + timedelta(days=31) + REACH))


async def roll_up_site(conn: AsyncConnection, site_id: UUID, *, now: datetime, limit: int = MARKS_PER_PASS) -> int:
    """Compute what some of a site's marks have made wrong, on every level; `make_room` comes before, in a transaction of its own.

    Args:
        conn: a transaction of the system; the caller commits.
        site_id: whose queue.
        now: written as `computed_at`.
        limit: marks to start from.

    Returns:
        Marks dealt with: settled, or left to wait for the archive; 0 if there are none, or somebody else is rolling up this site.
    """
    if not await queue.try_lock_site(conn, site_id):
        return 0
    claimed = await queue.marks(conn, site_id, limit=limit)
    if not claimed:
        return 0
    site = await facts.site_facts(conn, site_id)
    settled = list(claimed) if site is None else await _recompute(conn, site, claimed, limit=limit, now=now)
    await queue.remove(conn, site_id, settled)
    return max(len(settled), len(claimed))


async def request_recompute(conn: AsyncConnection, site_id: UUID, window: Window, *, now: datetime) -> int:
    """Queue a stretch of time of all devices of a site, for instance after a meter event or a new rating.

    Returns:
        Devices queued.
    """
    site = await facts.site_facts(conn, site_id)
    if site is None:
        return 0
    whole = Window(utc_hour(window.start), utc_hour(window.end - timedelta(microseconds=1)) + HOUR)
    for device in site.devices:
        await queue.mark(
            conn, site_id=site_id, organization_id=site.organization_id, device_id=device.id, window=whole, at=now
        )
    return len(site.devices)


async def _recompute(
    conn: AsyncConnection, site: SiteFacts, claimed: Sequence[Mark], *, limit: int, now: datetime
) -> list[Mark]:
    """Recompute all levels; returns every mark that this settles, also those beyond the claimed ones.

    What needs readings that are only in the archive is not computed from the rest: its marks wait until they are back.
    """
    dirty: dict[UUID, list[Window]] = {}
    for mark in claimed:
        dirty.setdefault(mark.device_id, []).append(Window(mark.bucket, mark.bucket + QUARTER_HOUR))
    wanted = errands(site, dirty)
    # Marks are looked at before readings: what comes in between has a mark of its own, or another generation, and stays in the queue.
    near = claimed if len(claimed) < limit else await queue.marks_near(conn, site.id, [one.asked for one in wanted])
    computed = await compute(conn, site, wanted)
    await save_levels(conn, site, computed, now=now)
    for held in computed.held:
        await archive.recall(conn, site.id, held.device_id, held.window, missing=held.missing, now=now)
    settled = [mark for mark in claimed if not computed.waits(mark.device_id, mark.bucket)]
    settled += [mark for mark in near if computed.holds(mark.device_id, mark.bucket)]
    return list(dict.fromkeys(settled))
