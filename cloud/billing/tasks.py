"""Background work of billing: the monthly bills."""

from datetime import UTC, datetime

from cloud.billing.service import monthly
from cloud.core.jobs import JobContext, Task
from cloud.core.log import get_logger

_log = get_logger(__name__)

BILL_JOB = "billing.bill_due"
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


TASKS = (Task(BILL_JOB, bill_due, in_background=True),)
