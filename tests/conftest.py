"""Servers and databases for the whole suite: real ones, started on demand, gone at the end.

A pytest process (each worker of xdist is one) has at most one PostgreSQL and one Redis of its own. Name servers in
``SOLARHUB_TEST_DATABASE_URL`` (a superuser's URL) and ``SOLARHUB_TEST_REDIS_URL`` to use those instead, or another
PostgreSQL's programs in ``SOLARHUB_TEST_POSTGRES_BIN`` (such as ``/usr/lib/postgresql/15/bin``).
"""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import hypothesis
import pytest
from redis.asyncio import Redis

from cloud.core.migrate import upgrade
from cloud.core.roles import ensure_login_role, url_of_login
from cloud.embedded import erase_postgres, launch_postgres, launch_redis

# A busy machine is not a slow function; the seed that failed is printed, so that it can be run again.
hypothesis.settings.register_profile("suite", deadline=None, print_blob=True)
hypothesis.settings.register_profile("fast", deadline=None, print_blob=True, max_examples=10)  # make check
hypothesis.settings.load_profile("suite")

MIGRATION_LOCK = 0x50_1A_12  # advisory: the cluster-wide role of two workers' migrations on one server


class FreshDatabase(NamedTuple):
    """A migrated database of one's own: ``admin_url`` may everything, ``app_url`` what the application may."""

    admin_url: str
    app_url: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the servers its fixtures need, so that ``-m postgres`` cannot miss one."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if "postgres_admin_url" in names:
            item.add_marker(pytest.mark.postgres)
        if "redis_url" in names:
            item.add_marker(pytest.mark.redis)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """A folder outside the checkout that the account of PostgreSQL may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="solarhub-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_admin_url(servers_folder: Path) -> Iterator[str]:
    """URL of a superuser of a running PostgreSQL."""
    named = os.environ.get("SOLARHUB_TEST_DATABASE_URL")
    if named:
        yield named
        return
    programs = os.environ.get("SOLARHUB_TEST_POSTGRES_BIN")
    folder = servers_folder / "postgres"
    server = launch_postgres(folder, durable=False, binaries=Path(programs) if programs else None)
    yield server.admin_url
    server.close()
    erase_postgres(folder)


@pytest.fixture(scope="session")
def redis_url(servers_folder: Path) -> Iterator[str]:
    """URL of a running Redis; what earlier tests left there may still be in it (see ``fresh_redis``)."""
    named = os.environ.get("SOLARHUB_TEST_REDIS_URL")
    if named:
        yield named
        return
    server = launch_redis(servers_folder / "redis")
    yield server.url
    server.close()


@pytest.fixture
async def fresh_redis(redis_url: str) -> str:
    """URL of the running Redis, emptied."""
    async with Redis.from_url(redis_url) as client:
        await client.flushdb()
    return redis_url


@pytest.fixture(scope="session")
def database_template(postgres_admin_url: str) -> Iterator[str]:
    """Name of a database at the newest migration, to be copied, never connected to."""
    name = f"solarhub_template_{secrets.token_hex(4)}"
    _in_thread(_create_template(postgres_admin_url, name))
    yield name
    _in_thread(_execute(postgres_admin_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def app_login(postgres_admin_url: str, database_template: str) -> Iterator[tuple[str, str]]:
    """Name and password of a login role that may what the application may."""
    name, password = f"solarhub_test_{secrets.token_hex(4)}", secrets.token_hex(16)
    _in_thread(ensure_login_role(postgres_admin_url, name, password=password))
    yield name, password
    _in_thread(_execute(postgres_admin_url, f'DROP ROLE "{name}"'))


@pytest.fixture(scope="session")
async def make_database(
    postgres_admin_url: str, database_template: str, app_login: tuple[str, str]
) -> AsyncIterator[Callable[[], Awaitable[FreshDatabase]]]:
    """A function that copies the template; for a fixture of wider scope than ``fresh_database``."""
    made: list[str] = []

    async def make() -> FreshDatabase:
        name = f"solarhub_test_{secrets.token_hex(6)}"
        await _execute(postgres_admin_url, f'CREATE DATABASE "{name}" TEMPLATE "{database_template}"')
        made.append(name)
        admin_url = _in_database(postgres_admin_url, name)
        user, password = app_login
        return FreshDatabase(admin_url=admin_url, app_url=url_of_login(admin_url, user, password=password))

    yield make
    for name in made:
        await _execute(postgres_admin_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
async def fresh_database(
    make_database: Callable[[], Awaitable[FreshDatabase]], postgres_admin_url: str
) -> AsyncIterator[FreshDatabase]:
    """A migrated, otherwise empty database for one test."""
    database = await make_database()
    yield database
    name = urlsplit(database.admin_url).path.lstrip("/")
    await _execute(postgres_admin_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _create_template(admin_url: str, name: str) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        await connection.execute(f'CREATE DATABASE "{name}"')
        await asyncio.to_thread(upgrade, _in_database(admin_url, name))
    finally:
        await connection.close()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _in_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` on a loop of its own: a session fixture may be asked for by a test that is no coroutine."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(asyncio.run, work).result()


def _in_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
