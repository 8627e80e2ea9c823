"""A PostgreSQL and a Redis of our own, for the demo, development and tests.

Production names real servers in ``SOLARHUB_DATABASE_URL`` and ``SOLARHUB_REDIS_URL``; then nothing here is started.
Otherwise both servers run from the binaries of the extra ``embedded``, listen on a free port of 127.0.0.1 only, ask for
a generated password, and end with the process that started them, even when that one is killed.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cloud.embedded.postgres import EmbeddedPostgres, erase_postgres, launch_postgres, start_postgres
from cloud.embedded.process import EmbeddedServerError
from cloud.embedded.redis_server import EmbeddedRedis, launch_redis, start_redis

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedRedis",
    "EmbeddedServerError",
    "Services",
    "erase_postgres",
    "launch_postgres",
    "launch_redis",
    "start_postgres",
    "start_redis",
    "start_services",
]


@dataclass(frozen=True, slots=True)
class Services:
    """The database and Redis to use: those named in the environment, or embedded ones.

    Attributes:
        admin_database_url: URL of the role that migrates and makes login roles.
        database_url: URL of the application's own role; None when the server is embedded, so that its starter makes
            the role.
        redis_url: URL of Redis.
        postgres: The embedded server, if there is one.
        redis: The embedded server, if there is one.
    """

    admin_database_url: str
    database_url: str | None
    redis_url: str
    postgres: EmbeddedPostgres | None
    redis: EmbeddedRedis | None

    async def stop(self) -> None:
        """Stop what we started; servers named in the environment are left alone."""
        if self.redis is not None:
            await self.redis.stop()
        if self.postgres is not None:
            await self.postgres.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.stop()


async def start_services(folder: Path, *, environ: Mapping[str, str], durable: bool = True) -> Services:
    """Resolve the servers to use; start embedded ones in ``folder`` where the environment names none.

    Args:
        folder: Home of the embedded servers' data, logs and passwords; made where missing.
        environ: Usually ``os.environ``: ``SOLARHUB_DATABASE_URL``, ``SOLARHUB_ADMIN_DATABASE_URL`` (the former when
            missing), ``SOLARHUB_REDIS_URL``.
        durable: False gives up safety against a power cut for speed.

    Raises:
        EmbeddedServerError: A server did not start; what had started is stopped again.
    """
    database_url = environ.get("SOLARHUB_DATABASE_URL") or None
    admin_url = environ.get("SOLARHUB_ADMIN_DATABASE_URL") or database_url
    redis_url = environ.get("SOLARHUB_REDIS_URL")
    postgres = redis = None
    async with AsyncExitStack() as undo:
        if not admin_url:
            postgres = await start_postgres(folder / "postgres", durable=durable)
            undo.push_async_callback(postgres.stop)
            admin_url = postgres.admin_url
        if not redis_url:
            redis = await start_redis(folder / "redis")
            redis_url = redis.url
        undo.pop_all()
    return Services(
        admin_database_url=admin_url,
        database_url=database_url,
        redis_url=redis_url,
        postgres=postgres,
        redis=redis,
    )
