"""What the worker does for reports."""

from uuid import UUID

from cloud.core.jobs import JobContext, Task
from cloud.reports.service import GENERATE, generate
from cloud.web.services import utc_now


async def generate_report(context: JobContext, *, report_id: str) -> None:
    """Make one report."""
    await generate(context, UUID(report_id), now=utc_now())


TASKS = (Task(GENERATE, generate_report, time_limit_s=240.0),)
