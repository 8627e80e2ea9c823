"""Computing days again on somebody's word: after a repaired rule, a new rating, a changed zone."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from cloud.core.db import SYSTEM, Database
from cloud.telemetry.repository import facts
from cloud.telemetry.service.rollup import make_room, request_recompute, roll_up_site
from shared.errors import SolarHubError
from shared.periods import Window, day_window


class UnknownSiteError(SolarHubError):
    """There is no such site."""


class BackwardsPeriodError(SolarHubError):
    """The period ends before it begins."""


@dataclass(frozen=True, slots=True)
class RecomputedDays:
    """What was asked for and what has been done.

    Attributes:
        window: the stretch of time, from local midnight to local midnight.
        devices: devices whose quarter-hours were queued.
        settled: quarter-hours computed here; workers that run may have taken the rest.
    """

    window: Window
    devices: int
    settled: int


async def recompute_days(db: Database, site_id: UUID, *, first: date, last: date, now: datetime) -> RecomputedDays:
    """Queue whole local days of a site, last one included, and work through its queue.

    Safe at any time, beside workers and ingest: the queue is theirs too, and what cannot be finished here stays in it.

    Raises:
        BackwardsPeriodError: if `last` is before `first`.
        UnknownSiteError: if the site does not exist.
    """
    if last < first:
        raise BackwardsPeriodError(f"the period from {first} to {last} ends before it begins; swap the two dates")
    async with db.transaction(SYSTEM) as conn:
        site = await facts.site_facts(conn, site_id)
        if site is None:
            raise UnknownSiteError(f"site {site_id} does not exist; `GET /api/v1/sites` lists the ids")
        window = Window(day_window(first, site.zone).start, day_window(last, site.zone).end)
        devices = await request_recompute(conn, site_id, window, now=now)
    settled, done = 0, 1
    while done:
        async with db.transaction(SYSTEM) as conn:
            await make_room(conn, site_id)
        async with db.transaction(SYSTEM) as conn:
            done = await roll_up_site(conn, site_id, now=now)
        settled += done
    return RecomputedDays(window, devices, settled)
