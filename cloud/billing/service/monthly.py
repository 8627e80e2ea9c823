"""The automatic bill of each site and month: planned when its period has ended, made when its readings have settled."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.repository import runs
from cloud.billing.rules.metering.cycle import BillPeriod, latest_ended
from cloud.billing.rules.metering.energy import period_window
from cloud.billing.schemas.bills import BillIn
from cloud.billing.service.rate_book import RateBook
from cloud.billing.service.stored_bills import store_automatic_bill, work_out_alone
from cloud.core.db import SYSTEM, Database
from cloud.core.errors import ValidationFailedError
from cloud.core.log import get_logger
from cloud.core.turns import each_alone
from cloud.sites.repository import enter_site
from shared.periods import day_of, zone_of

_log = get_logger(__name__)

GRACE = timedelta(hours=6)
"""Boxes that were away for a moment have sent their readings by then, and these are rolled up."""

BATCH = 50
"""Bills that one job makes: some seconds of a worker, then another job's turn."""

LANES = 2
"""Bills at work at once: while the database answers for one, the other is worked out."""

SITES_PER_PAGE = 1_000
REMEMBERED_DAYS = 92
"""Readings and rates that change make a bill anew when its period ended no longer ago than this: a quarter of net metering."""


async def plan_bills(db: Database, now: datetime) -> int:
    """Put down the bill of every site whose period has ended and stands nowhere yet.

    Returns:
        How many are new.
    """
    planned, after = 0, None
    while True:
        async with db.transaction(SYSTEM) as conn:
            page = await runs.cycles(conn, after=after, limit=SITES_PER_PAGE)
            planned += await runs.plan_runs(conn, [(cycle, *_due(cycle, now)) for cycle in page])
        if len(page) < SITES_PER_PAGE:
            return planned
        after = page[-1].site_id


def _due(cycle: runs.SiteCycle, now: datetime) -> tuple[BillPeriod, datetime]:
    zone = zone_of(cycle.timezone)
    period = latest_ended(day_of(now, zone), cycle.reading_day)
    return period, due_at(cycle, period)


def due_at(cycle: runs.SiteCycle, period: BillPeriod) -> datetime:
    """When the bill of a period may be made."""
    return period_window(period.first, period.last, zone_of(cycle.timezone)).end + GRACE


async def reopen_changed(db: Database, now: datetime) -> int:
    """Let bills be made anew whose readings, set-up or rates have changed since.

    Returns:
        How many.
    """
    async with db.transaction(SYSTEM) as conn:
        return await runs.reopen(conn, since=now.date() - timedelta(days=REMEMBERED_DAYS), now=now, grace=GRACE)


async def count_due(db: Database, now: datetime) -> int:
    """How many bills wait to be made."""
    async with db.transaction(SYSTEM) as conn:
        return await runs.count_due(conn, now)


async def bill_due(db: Database, now: datetime, *, limit: int = BATCH) -> int:
    """Claim due bills, oldest months first, and make each in a transaction of its own; several workers may at once.

    Args:
        db: the database.
        now: the present moment.
        limit: most of them.

    Returns:
        How many were claimed; fewer than the limit = nothing is left.
    """
    async with db.transaction(SYSTEM) as conn:
        claimed = await runs.claim(conn, now, limit=limit)
    rates = RateBook()
    lanes = [
        each_alone(_bill_in_transaction(db, site_id, month, now=now, rates=rates) for site_id, month in lane)
        for lane in lanes_of(claimed)
    ]
    for outcome in await asyncio.gather(*lanes, return_exceptions=True):
        if outcome is not None:
            raise outcome
    return len(claimed)


def lanes_of(claimed: Sequence[tuple[UUID, date]]) -> list[list[tuple[UUID, date]]]:
    """Share bills out so that those of one site stay in the order of their months: one brings its surplus to the next."""
    lanes: list[list[tuple[UUID, date]]] = [[] for _ in range(LANES)]
    lane_of: dict[UUID, int] = {}
    for site_id, month in claimed:
        lanes[lane_of.setdefault(site_id, len(lane_of) % LANES)].append((site_id, month))
    return lanes


async def _bill_in_transaction(db: Database, site_id: UUID, month: date, *, now: datetime, rates: RateBook) -> None:
    async with db.transaction(SYSTEM) as conn:
        await bill_month(conn, site_id, month, now=now, rates=rates)


async def bill_month(conn: AsyncConnection, site_id: UUID, month: date, *, now: datetime, rates: RateBook) -> None:
    """Make the automatic bill of a site and month, or put down why there is none. Made twice, it is stored once.

    Args:
        conn: a transaction of the system; it sees nothing but the site afterwards.
        site_id: whose.
        month: first day of the bill's month.
        now: the present moment.
        rates: of the batch.
    """
    site = await enter_site(conn, site_id)
    run = await runs.get_run(conn, site_id, month)
    if site is None or run is None or run.state != "due":
        return
    body = BillIn(period_start=run.period_start, period_end=run.period_end)
    try:
        made = await work_out_alone(conn, site, body, now=now, rates=rates)
    except ValidationFailedError as error:
        await runs.settle(conn, site_id, month, at=now, reason=error.code, message=error.detail)
        _log.info("bill_skipped", site_id=str(site_id), month=f"{month:%Y-%m}", reason=error.code)
        return
    bill_id = await store_automatic_bill(conn, site, body, made, now=now, former_id=run.bill_id)
    await runs.settle(conn, site_id, month, at=now, bill_id=bill_id)
