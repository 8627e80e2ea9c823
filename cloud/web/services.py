"""What an API process opens once and every request uses."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from redis.asyncio import Redis

from cloud.auth.service import AccessTokens, Passwords
from cloud.core.bulk import BulkLane
from cloud.core.crypto import SecretBox
from cloud.core.db import Database
from cloud.core.files import Files, LocalFiles
from cloud.core.jobs import Jobs, RedisJobs, make_broker
from cloud.core.replica import Replica
from cloud.core.settings import Settings
from cloud.web.limits import Limiter, RedisLimiter
from cloud.web.paging import CursorSigner

_REDIS_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a process opens once; `app.state.services`.

    Attributes:
        bulk: connections of its own for the hot path of ingest.
        clock: the present moment, aware, UTC.
        replica: answers reads of telemetry, where the settings name one.
    """

    settings: Settings
    db: Database
    bulk: BulkLane
    redis: Redis
    jobs: Jobs
    files: Files
    limiter: Limiter
    tokens: AccessTokens
    passwords: Passwords
    secrets: SecretBox
    cursors: CursorSigner
    clock: Callable[[], datetime]
    replica: Replica | None = None


def utc_now() -> datetime:
    """The present moment, aware, UTC."""
    return datetime.now(UTC)


async def open_database(settings: Settings) -> Database:
    """The database as the settings name it.

    Raises:
        DatabaseUnavailableError: if it does not answer.
        PrivilegedRoleError: if the login could bypass row-level security.
    """
    return await Database.connect(
        settings.database_url.get_secret_value(),
        pool_size=settings.db_pool_size,
        max_overflow=settings.db_max_overflow,
        pool_timeout_s=settings.db_pool_timeout_s,
    )


async def open_replica(settings: Settings) -> Replica | None:
    """The replica as the settings name it; it may be away.

    Raises:
        DatabaseUrlError: if its address is not one of PostgreSQL.
        PrivilegedRoleError: if the login could bypass row-level security.
    """
    if settings.read_database_url is None:
        return None
    replica = Replica(
        settings.read_database_url.get_secret_value(),
        pool_size=settings.db_pool_size,
        max_overflow=settings.db_max_overflow,
        pool_timeout_s=settings.db_pool_timeout_s,
    )
    await replica.open()
    return replica


def open_bulk_lane(settings: Settings) -> BulkLane:
    """As many connections as the pool keeps open; made when first used."""
    return BulkLane(
        settings.database_url.get_secret_value(),
        connections=settings.db_pool_size,
        wait_timeout_s=settings.db_pool_timeout_s,
    )


def open_redis(settings: Settings) -> Redis:
    """A client with short time-outs; it connects when first used, and Redis may be away."""
    return Redis.from_url(
        settings.redis_url.get_secret_value(), socket_connect_timeout=_REDIS_TIMEOUT_S, socket_timeout=_REDIS_TIMEOUT_S
    )


@asynccontextmanager
async def open_services(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Services]:
    """Open everything, and close it at the end."""
    async with AsyncExitStack() as stack:
        db = await open_database(settings)
        stack.push_async_callback(db.dispose)
        replica = await open_replica(settings)
        if replica is not None:
            stack.push_async_callback(replica.dispose)
        bulk = open_bulk_lane(settings)
        stack.push_async_callback(bulk.close)
        redis = open_redis(settings)
        stack.push_async_callback(redis.aclose)
        jobs = RedisJobs(make_broker(settings.redis_url.get_secret_value()))
        stack.callback(jobs.close)
        yield Services(
            settings=settings,
            db=db,
            bulk=bulk,
            redis=redis,
            jobs=jobs,
            files=LocalFiles(settings.files_dir),
            limiter=RedisLimiter(redis),
            tokens=AccessTokens.from_settings(settings),
            passwords=Passwords(),
            secrets=SecretBox(settings.secret_key_bytes),
            cursors=CursorSigner(settings.secret_key_bytes),
            clock=clock,
            replica=replica,
        )
