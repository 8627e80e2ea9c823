"""Background jobs behind one door: a name and ids go out after the commit, a worker runs the task of that name.

The database is the truth and the queue a signal. Every job can be found again from a row (a dirty bucket, a pending report), and the
scheduler's sweeps do so: a lost message costs time, never data. Tasks are safe to run twice.

A domain lists its tasks in `tasks.py`:

    async def roll_up(context: JobContext, *, site_id: str) -> None: ...

    TASKS = (Task("telemetry.roll_up", roll_up),)

and `cloud/worker.py` registers all of them. A producer only needs the name: `after_commit.add("telemetry.roll_up", site_id=site_id)`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import dramatiq
import dramatiq.errors
import redis
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import (
    AgeLimit,
    AsyncIO,
    CurrentMessage,
    Middleware,
    MiddlewareError,
    Retries,
    ShutdownNotifications,
    TimeLimit,
)

from cloud.core.log import get_logger
from shared.errors import SolarHubError

if TYPE_CHECKING:
    from cloud.core.db import Database
    from cloud.core.files import Files
    from cloud.core.settings import Settings

_log = get_logger(__name__)

JobValue = str | int | UUID
"""What a job may carry: ids and small numbers. Whatever else the task needs, it reads from the database."""

QUEUE = "solarhub"
BACKGROUND_QUEUE = "solarhub_background"
"""Of a queue the worker takes a handful of messages at a time, in order: what is urgent must not stand behind what is not."""

_BACKGROUND_PRIORITY = 10  # Dramatiq's default is 0, and smaller goes first
_MINUTE_MS = 60_000
_REDIS_TIMEOUT_S = 2.0
_PAUSE_S = 5.0
_LOOK_EVERY_MS = (
    200  # An idle worker looks for messages this often; the library's second would be most of a live value's delay.
)
# Of a million commands, how many also look for messages of dead workers. The library's default (1,000) leaves a small
# installation waiting for minutes; the look-up is one cheap script.
_MAINTENANCE_CHANCE = 20_000
_HEARTBEAT_TIMEOUT_MS = 30_000


class Jobs(Protocol):
    """Where finished transactions leave work for the workers."""

    async def enqueue(self, name: str, **ids: JobValue) -> None:
        """Ask for one run of the task of that name. Never raises for a broken queue: the sweeps find the work."""
        ...


class PendingJobs:
    """Jobs asked for within a transaction; `flush` sends them once it is committed. A request that fails sends none."""

    def __init__(self) -> None:
        """Empty."""
        self._jobs: list[tuple[str, dict[str, JobValue]]] = []

    def add(self, name: str, **ids: JobValue) -> None:
        """Remember a job; the same one twice is one."""
        if (name, ids) not in self._jobs:
            self._jobs.append((name, ids))

    async def flush(self, jobs: Jobs) -> None:
        """Send everything; call it after the commit."""
        waiting, self._jobs = self._jobs, []
        for name, ids in waiting:
            await jobs.enqueue(name, **ids)


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a task may use; one per worker process."""

    settings: "Settings"
    db: "Database"
    jobs: Jobs
    files: "Files"


TaskFunction = Callable[..., Awaitable[None]]
"""`async def task(context: JobContext, *, site_id: str) -> None`: ids arrive as text or numbers."""


@dataclass(frozen=True, slots=True)
class Task:
    """A function that the worker runs by name.

    Attributes:
        name: `<domain>.<verb>`; a part of the running system, as messages with it may be waiting.
        run: see `TaskFunction`.
        max_retries: runs after a failure, with growing delays (15 s to 10 min); then the sweeps take over.
        time_limit_s: after this a run is interrupted and counts as failed.
        in_background: it starts only while no other task waits, and each worker runs one such task at a time. Keep its runs short: one
            that has started goes on.
    """

    name: str
    run: TaskFunction
    max_retries: int = 3
    time_limit_s: float = 300.0
    in_background: bool = False


class RedisJobs:
    """`Jobs` on Redis, as Dramatiq messages."""

    def __init__(
        self, broker: RedisBroker, *, background: Iterable[str] = (), now: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is connected yet.

        Args:
            broker: see `make_broker`.
            background: names of the tasks that wait for all others.
            now: seconds that only grow.
        """
        self._broker = broker
        self._background = frozenset(background)
        self._now = now
        self._away_until = 0.0

    async def enqueue(self, name: str, **ids: JobValue) -> None:
        """Send the message from a thread, as Dramatiq's client blocks.

        After a failure nothing is sent for `_PAUSE_S`: with a Redis that hangs, every request would wait for its time-out.
        """
        if self._now() < self._away_until:
            return
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=BACKGROUND_QUEUE if name in self._background else QUEUE,
            actor_name=name,
            args=(),
            kwargs={key: str(value) if isinstance(value, UUID) else value for key, value in ids.items()},
            options={},
        )
        try:
            await asyncio.to_thread(self._broker.enqueue, message)
        except (redis.RedisError, dramatiq.errors.BrokerConnectionError) as error:
            self._away_until = self._now() + _PAUSE_S
            _log.warning(
                "job_not_sent", job=name, ids=ids, error=str(error), way_out="the scheduler's sweep will find it"
            )

    def close(self) -> None:
        """Close the connections to Redis."""
        self._broker.client.close()


@dataclass
class _ContextHolder(Middleware):
    """Opens the process's database and files on the worker's event loop, and closes them there."""

    open_context: Callable[[], Awaitable[JobContext]]
    close_context: Callable[[JobContext], Awaitable[None]]
    context: JobContext | None = field(default=None, init=False)

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002 -- dramatiq's signature
        loop = get_event_loop_thread()
        if loop is None:
            raise MiddlewareError("the AsyncIO middleware must come before this one")
        try:
            self.context = loop.run_coroutine(self.open_context())
        except SolarHubError as error:
            # Dramatiq logs and forgets other exceptions here, and would start a worker without a database.
            raise MiddlewareError(str(error)) from error

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002 -- as above
        loop = get_event_loop_thread()
        if loop is not None and self.context is not None:
            loop.run_coroutine(self.close_context(self.context))
            self.context = None


class _Broker(RedisBroker):
    """Hands out one background message at a time.

    A task that has started competes with all others for the worker's processor, whatever its priority was.
    """

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> dramatiq.Consumer:
        """As the library's; what is prefetched includes what is being worked on."""
        return super().consume(queue_name, 1 if queue_name == BACKGROUND_QUEUE else prefetch, timeout)


def make_broker(redis_url: str, *, namespace: str = "solarhub", middleware: Iterable[Middleware] = ()) -> RedisBroker:
    """A Dramatiq broker on Redis with short time-outs; it connects when first used."""
    pool = redis.ConnectionPool.from_url(
        redis_url, socket_connect_timeout=_REDIS_TIMEOUT_S, socket_timeout=_REDIS_TIMEOUT_S, health_check_interval=30
    )
    broker = _Broker(  # type: ignore[no-untyped-call]  # dramatiq leaves this constructor untyped
        client=redis.Redis.from_pool(pool),  # which closes with the client
        namespace=namespace,
        maintenance_chance=_MAINTENANCE_CHANCE,
        heartbeat_timeout=_HEARTBEAT_TIMEOUT_MS,
        middleware=[
            AgeLimit(),
            TimeLimit(),
            ShutdownNotifications(),
            Retries(min_backoff=15_000, max_backoff=10 * _MINUTE_MS),
            CurrentMessage(),
            *middleware,
        ],
    )
    for queue in (QUEUE, BACKGROUND_QUEUE):
        broker.declare_queue(queue)
    return broker


def make_worker(
    redis_url: str,
    tasks: Iterable[Task],
    *,
    open_context: Callable[[], Awaitable[JobContext]],
    close_context: Callable[[JobContext], Awaitable[None]],
    threads: int = 4,
    namespace: str = "solarhub",
) -> dramatiq.Worker:
    """A worker of this process for these tasks; `start()` it, `stop()` it.

    Args:
        redis_url: the broker.
        tasks: everything that may arrive.
        open_context: makes the process's one `JobContext`, on the worker's event loop.
        close_context: ends it, there too.
        threads: tasks that run at once.
        namespace: prefix of the keys in Redis; the producer's must be the same.
    """
    holder = _ContextHolder(open_context, close_context)
    broker = make_broker(redis_url, namespace=namespace, middleware=[AsyncIO(), holder])
    for task in tasks:
        declare = dramatiq.actor(
            actor_name=task.name,
            queue_name=BACKGROUND_QUEUE if task.in_background else QUEUE,
            priority=_BACKGROUND_PRIORITY if task.in_background else 0,
            broker=broker,
            max_retries=task.max_retries,
            time_limit=int(task.time_limit_s * 1000),
        )
        declare(_with_context(task, holder))
    return dramatiq.Worker(broker, worker_threads=threads, worker_timeout=_LOOK_EVERY_MS)


def _with_context(task: Task, holder: _ContextHolder) -> Callable[..., Awaitable[None]]:
    async def run(**ids: JobValue) -> None:
        if holder.context is None:
            raise RuntimeError(f"task {task.name} was started before the worker's database was open")
        await task.run(holder.context, **ids)

    return run
