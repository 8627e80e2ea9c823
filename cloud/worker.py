"""The worker process: runs the tasks that requests and sweeps asked for."""

import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType

from cloud.billing.tasks import TASKS as BILLING_TASKS
from cloud.core.db import Database
from cloud.core.files import LocalFiles
from cloud.core.jobs import JobContext, RedisJobs, Task, make_broker, make_worker
from cloud.core.log import get_logger
from cloud.core.notify import notify_systemd
from cloud.core.settings import Settings
from cloud.reports.tasks import TASKS as REPORT_TASKS
from cloud.telemetry.tasks import TASKS as TELEMETRY_TASKS

_log = get_logger(__name__)

TASKS: tuple[Task, ...] = (
    *TELEMETRY_TASKS,
    *BILLING_TASKS,
    *REPORT_TASKS,
)
"""Everything that may be asked for; one line per domain."""

_STOP_MS = 30_000


def context_opener(settings: Settings) -> Callable[[], Awaitable[JobContext]]:
    """A function that opens the process's database, files and queue."""

    async def open_context() -> JobContext:
        db = await Database.connect(
            settings.database_url.get_secret_value(),
            pool_size=settings.db_pool_size,
            max_overflow=settings.db_max_overflow,
            pool_timeout_s=settings.db_pool_timeout_s,
        )
        background = [task.name for task in TASKS if task.in_background]
        jobs = RedisJobs(make_broker(settings.redis_url.get_secret_value()), background=background)
        return JobContext(settings=settings, db=db, jobs=jobs, files=LocalFiles(settings.files_dir))

    return open_context


async def close_context(context: JobContext) -> None:
    """Close what `context_opener` opened."""
    if isinstance(context.jobs, RedisJobs):
        context.jobs.close()
    await context.db.dispose()


def run_worker(settings: Settings, *, threads: int = 4) -> None:
    """Work until SIGTERM or SIGINT, then finish the running tasks; what is left goes back to the queue.

    Raises:
        DatabaseUnavailableError: if the database cannot be opened at the start.
    """
    worker = make_worker(
        settings.redis_url.get_secret_value(),
        TASKS,
        open_context=context_opener(settings),
        close_context=close_context,
        threads=threads,
    )
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    worker.start()
    notify_systemd("READY=1")
    _log.info("worker_ready", tasks=[task.name for task in TASKS], threads=threads)
    stop.wait()
    notify_systemd("STOPPING=1")
    worker.stop(timeout=_STOP_MS)
    _log.info("worker_stopped")
