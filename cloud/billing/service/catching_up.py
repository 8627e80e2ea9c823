"""Months that nobody has billed: from before the site was here, or while no scheduler ran."""

from datetime import datetime
from uuid import UUID

from cloud.billing.repository import runs
from cloud.billing.rules.metering.cycle import bill_period
from cloud.billing.rules.month import Month
from cloud.billing.schemas.runs import RunOut
from cloud.billing.service.monthly import bill_month, due_at
from cloud.billing.service.rate_book import RateBook
from cloud.core.db import SYSTEM, Database
from cloud.core.errors import NotFoundError, ValidationFailedError

MOST_MONTHS = 120


async def make_months(db: Database, site_id: UUID, *, first: Month, last: Month, now: datetime) -> list[RunOut]:
    """Make the automatic bills of a site's months that have none, the oldest first; workers may be at it too.

    A month that has its bill keeps it. One that was skipped is tried again.

    Args:
        db: the database.
        site_id: whose.
        first: month of the first bill.
        last: of the last one, included.
        now: the present moment.

    Returns:
        What became of each month, in order.

    Raises:
        NotFoundError: if there is no such site.
        ValidationFailedError: if the months are not in order, too many, or one of them is not over yet.
    """
    months = _months(first, last)
    async with db.transaction(SYSTEM) as conn:
        cycle = await runs.cycle_of(conn, site_id)
        if cycle is None:
            raise NotFoundError(f"There is no site {site_id}.")
        periods = [bill_period(month, cycle.reading_day) for month in months]
        planned = [(cycle, period, due_at(cycle, period)) for period in periods]
        for _, period, due in planned:
            if due > now:
                raise ValidationFailedError(
                    f"The bill of {period.month} covers {period.first} to {period.last} and can be made from {due:%Y-%m-%d %H:%M} UTC"
                    " on; name an earlier month as the last one."
                )
        await runs.plan_runs(conn, planned)
        await runs.take_up(conn, site_id, [month.first_day for month in months], now)
    rates = RateBook()
    for month in months:
        async with db.transaction(SYSTEM) as conn:
            await bill_month(conn, site_id, month.first_day, now=now, rates=rates)
    async with db.transaction(SYSTEM) as conn:
        found = [await runs.get_run(conn, site_id, month.first_day) for month in months]
    return [run for run in found if run is not None]


def _months(first: Month, last: Month) -> list[Month]:
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    if count < 1:
        raise ValidationFailedError(f"The last month, {last}, comes before the first, {first}.")
    if count > MOST_MONTHS:
        raise ValidationFailedError(f"{first} to {last} are {count} months; at most {MOST_MONTHS} are made at once.")
    return [last.back(back) for back in reversed(range(count))]
