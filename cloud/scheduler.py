"""The scheduler process: finds work that is due in the database, again and again.

Every job that a request asks for can also be found here, from a row: what a lost message or a killed worker left undone is done
by the next sweep. Two schedulers may run: due rows are claimed with SKIP LOCKED, and unique keys make doing something twice once.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from cloud.alerts.service import sweep_no_data
from cloud.auth.service import sweep_expired_sessions
from cloud.billing import tasks as billing_tasks
from cloud.core.db import DRIVER_ERRORS, SYSTEM, ensure_partitions
from cloud.core.jobs import JobContext
from cloud.core.log import get_logger
from cloud.core.notify import notify_systemd
from cloud.core.settings import Settings
from cloud.reports.service import sweep_expired, sweep_waiting
from cloud.storage import tasks as storage_tasks
from cloud.telemetry import tasks as telemetry_tasks
from cloud.telemetry.service.fleet_days import keep_fleet_days
from cloud.web.idempotency import sweep_old_keys
from cloud.web.services import utc_now
from cloud.worker import close_context, context_opener
from shared.errors import SolarHubError

_log = get_logger(__name__)

RAW_PARTITIONS_AHEAD = timedelta(days=14)
"""A scheduler that stands still for two weeks does no harm."""

# What may be over at the next run. Anything else is a mistake in the program: the process ends with it, and is started again.
_PASSING: tuple[type[Exception], ...] = (SolarHubError, SQLAlchemyError, OSError, *DRIVER_ERRORS)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Something that is looked for regularly.

    Attributes:
        name: `<domain>.<what>`.
        every_s: seconds from the end of one run to the start of the next.
        run: does what is due at a moment and returns how much there was.
    """

    name: str
    every_s: float
    run: Callable[[JobContext, datetime], Awaitable[int]]


async def _old_idempotency_keys(context: JobContext, now: datetime) -> int:
    return await sweep_old_keys(context.db, now)


async def _expired_sessions(context: JobContext, now: datetime) -> int:
    return await sweep_expired_sessions(context.db, now)


async def _partitions(context: JobContext, now: datetime) -> int:
    """Make day and month partitions before the first row needs them; a row without one would go to the DEFAULT partition."""
    first, last = (now - storage_tasks.PARTITIONS_BEHIND).date(), (now + RAW_PARTITIONS_AHEAD).date()
    async with context.db.transaction(SYSTEM) as conn:
        made = await ensure_partitions(conn, "telemetry_readings", first=first, last=last)
    await telemetry_tasks.make_partitions(context.db)
    return made


async def _dirty_buckets(context: JobContext, _now: datetime) -> int:
    return await telemetry_tasks.sweep(context.db)


async def _fleet_days(context: JobContext, _now: datetime) -> int:
    return await keep_fleet_days(context.db)


async def _silent_devices(context: JobContext, now: datetime) -> int:
    swept = await sweep_no_data(context.db, now)
    return swept.opened + swept.resolved


SWEEPS: tuple[Sweep, ...] = (
    Sweep("web.old_idempotency_keys", 3_600, _old_idempotency_keys),
    Sweep("auth.expired_sessions", 3_600, _expired_sessions),
    Sweep("telemetry.partitions", 3_600, _partitions),
    Sweep("telemetry.dirty_buckets", 10, _dirty_buckets),
    Sweep("telemetry.fleet_days", 60, _fleet_days),
    Sweep("storage.recalls", 10, storage_tasks.recall),
    Sweep("storage.closed_days", 3_600, storage_tasks.pack),
    Sweep("storage.retention", 3_600, storage_tasks.retain),
    Sweep("alerts.silent_devices", 2, _silent_devices),
    Sweep("billing.due", 600, billing_tasks.sweep_due),
    Sweep("billing.changed", 3_600, billing_tasks.sweep_changed),
    Sweep("billing.days", 1_800, billing_tasks.sweep_days),
    Sweep("reports.waiting", 30, sweep_waiting),
    Sweep("reports.expired", 3_600, sweep_expired),
)
"""All of them; one line each."""


async def sweep_once(sweep: Sweep, context: JobContext, now: datetime) -> int | None:
    """Run one sweep; None if it failed, which is logged: the next run finds the same work."""
    try:
        found = await sweep.run(context, now)
    except _PASSING as error:
        _log.error("sweep_failed", sweep=sweep.name, error=str(error), kind=type(error).__name__)
        return None
    if found:
        _log.info("swept", sweep=sweep.name, found=found)
    return found


async def _sweep_forever(sweep: Sweep, context: JobContext, clock: Callable[[], datetime], stop: asyncio.Event) -> None:
    while not stop.is_set():
        await sweep_once(sweep, context, clock())
        try:
            await asyncio.wait_for(stop.wait(), timeout=sweep.every_s)
        except TimeoutError:
            continue


async def run_scheduler(
    settings: Settings,
    *,
    stop: asyncio.Event | None = None,
    sweeps: tuple[Sweep, ...] = SWEEPS,
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """Sweep until `stop` is set, or SIGTERM or SIGINT arrives.

    Args:
        settings: of this process.
        stop: ends it from within the program; without it the signals do.
        sweeps: what to look for.
        clock: the present moment, aware, UTC.

    Raises:
        DatabaseUnavailableError: if the database cannot be opened at the start; later failures are logged and tried again.
    """
    ended = stop or asyncio.Event()
    async with AsyncExitStack() as stack:
        context = await context_opener(settings)()
        stack.push_async_callback(close_context, context)
        if stop is None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, ended.set)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for sweep in sweeps:
            group.create_task(_sweep_forever(sweep, context, clock, ended))
        notify_systemd("READY=1")
        _log.info("scheduler_ready", sweeps=[sweep.name for sweep in sweeps])
    _log.info("scheduler_stopped")
