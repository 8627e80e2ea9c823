"""Background work of billing: the monthly bills, and what days saved before there is one."""

from datetime import UTC, datetime

from cloud.billing.service import monthly, savings
from cloud.core.jobs import JobContext, Task
from cloud.core.log import get_logger

_log = get_logger(__name__)

BILL_JOB = "billing.bill_due"
SAVINGS_JOB = "billing.value_days"
MAX_JOBS = 4
"""So many jobs are asked for by a sweep; each asks for the next as long as bills are due."""


async def bill_due(context: JobContext) -> None:
    """Make some of the bills that are due, and ask for another run if there may be more."""
    made = await monthly.bill_due(context.db, datetime.now(UTC))
    if made == monthly.BATCH:
        await context.jobs.enqueue(BILL_JOB)
    _log.debug("billed", bills=made)


async def sweep_due(context: JobContext, now: datetime) -> int:
    """Put down the bills of periods that have ended, and wake workers for those that are due; the scheduler calls it.

    Returns:
        Bills that wait.
    """
    await monthly.plan_bills(context.db, now)
    waiting = await monthly.count_due(context.db, now)
    for _ in range(min(MAX_JOBS, -(-waiting // monthly.BATCH))):
        await context.jobs.enqueue(BILL_JOB)
    return waiting


async def sweep_changed(context: JobContext, now: datetime) -> int:
    """Let bills be made anew whose ground has changed; the scheduler calls it."""
    return await monthly.reopen_changed(context.db, now)


async def value_days(context: JobContext) -> None:
    """Value the days of some sites that have changed, and ask for another run if there may be more."""
    valued = await savings.value_stale(context.db, datetime.now(UTC))
    if valued == savings.BATCH:
        await context.jobs.enqueue(SAVINGS_JOB)
    _log.debug("days_valued", sites=valued)


async def sweep_days(context: JobContext, _now: datetime) -> int:
    """Wake a worker for the days that have changed; the scheduler calls it."""
    await context.jobs.enqueue(SAVINGS_JOB)
    return 0


TASKS = (
    Task(BILL_JOB, bill_due, in_background=True),
    Task(SAVINGS_JOB, value_days, in_background=True),
)
