"""What the suite's own fixtures promise."""

import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import asyncpg
import pytest
from pytest_socket import SocketConnectBlockedError
from redis.asyncio import Redis

from tests.conftest import FreshDatabase

MakeDatabase = Callable[[], Awaitable[FreshDatabase]]


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_fresh_database_is_migrated_and_has_no_tenant(fresh_database: FreshDatabase) -> None:
    assert await fetch(fresh_database.admin_url, "SELECT count(*) FROM alembic_version") == 1
    assert await fetch(fresh_database.admin_url, "SELECT count(*) FROM organizations") == 0


async def test_the_application_logs_in_without_privileges(fresh_database: FreshDatabase) -> None:
    query = "SELECT rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
    assert await fetch(fresh_database.app_url, query) is False
    assert await fetch(fresh_database.app_url, "SELECT pg_has_role('solarhub_app', 'member')") is True


async def test_databases_share_nothing(make_database: MakeDatabase) -> None:
    first, second = await make_database(), await make_database()
    await fetch(first.admin_url, "CREATE TABLE roof AS SELECT 10 AS kw")
    assert await fetch(first.admin_url, "SELECT to_regclass('roof') IS NOT NULL") is True
    assert await fetch(second.admin_url, "SELECT to_regclass('roof') IS NOT NULL") is False


def test_a_plain_function_can_ask_for_a_database(fresh_database: FreshDatabase) -> None:
    admin, app = (urlsplit(url) for url in fresh_database)
    assert admin.path == app.path
    assert admin.username != app.username


def test_the_fixtures_mark_the_tests(
    request: pytest.FixtureRequest, fresh_database: FreshDatabase, fresh_redis: str
) -> None:
    assert {"postgres", "redis"} <= {mark.name for mark in request.node.iter_markers()}


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_fresh_redis_is_empty(fresh_redis: str, turn: int) -> None:
    async with Redis.from_url(fresh_redis) as client:
        assert await client.dbsize() == 0
        await client.set("turn", turn)


def test_no_test_reaches_the_world() -> None:
    with socket.socket() as world, pytest.warns(UserWarning, match="allowed"), pytest.raises(SocketConnectBlockedError):
        world.connect(("192.0.2.1", 80))  # an address that documentation may use and nobody has


def test_loopback_and_unix_sockets_are_open() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        left.sendall(b"roof")
        assert right.recv(4) == b"roof"
