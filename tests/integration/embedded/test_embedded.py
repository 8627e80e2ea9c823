"""The embedded servers: they start, keep what they must, refuse what they must, and never outlive their starter."""

import contextlib
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from cloud.embedded import (
    EmbeddedServerError,
    erase_postgres,
    launch_postgres,
    launch_redis,
    start_postgres,
    start_redis,
    start_services,
)
from cloud.embedded import postgres as postgres_module
from cloud.embedded import redis_server as redis_module

ROOT = Path(__file__).parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")


@pytest.fixture
def folder(servers_folder: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that the server's account can reach."""
    path = servers_folder / f"server-{request.node.name[:40]}-{time.monotonic_ns()}"
    yield path
    erase_postgres(path)


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_dead(pid: int, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while alive(pid):
        assert time.monotonic() < deadline, f"pid {pid} still runs"
        time.sleep(0.05)


def postmaster_pid(folder: Path) -> int:
    return int((folder / "cluster" / "data" / "postmaster.pid").read_text().split("\n", 1)[0])


async def test_postgres_keeps_its_data_and_its_password_over_a_restart(folder: Path) -> None:
    first = await start_postgres(folder)
    await fetch(first.admin_url, "CREATE TABLE roof (kw int)")
    await fetch(first.admin_url, "INSERT INTO roof VALUES (10)")
    await first.stop()

    second = await start_postgres(folder)
    try:
        assert await fetch(second.admin_url, "SELECT kw FROM roof") == 10
        assert urlsplit(second.admin_url).password == urlsplit(first.admin_url).password
    finally:
        await second.stop()


async def test_postgres_asks_for_the_password_and_listens_on_loopback_only(folder: Path) -> None:
    server = await start_postgres(folder, durable=False)
    try:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await fetch(f"postgresql://postgres:wrong@127.0.0.1:{server.port}/postgres", "SELECT 1")
        assert await fetch(server.admin_url, "SHOW listen_addresses") == "127.0.0.1"
        assert await fetch(server.admin_url, "SHOW unix_socket_directories") == ""
        assert await fetch(server.admin_url, "SHOW password_encryption") == "scram-sha-256"
    finally:
        await server.stop()


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
async def test_postgres_is_durable_unless_told_otherwise(folder: Path, durable: bool, fsync: str) -> None:
    server = await start_postgres(folder, durable=durable)
    try:
        assert await fetch(server.admin_url, "SHOW fsync") == fsync
        assert await fetch(server.admin_url, "SHOW full_page_writes") == fsync
    finally:
        await server.stop()


async def test_postgres_folds_letters_beyond_ascii(postgres_admin_url: str) -> None:
    assert await fetch(postgres_admin_url, "SELECT lower('ÄLI@Ж.pk')") == "äli@ж.pk"


def test_secrets_are_readable_by_their_owner_only(folder: Path) -> None:
    server = launch_postgres(folder / "pg", durable=False)
    redis = launch_redis(folder / "redis")
    try:
        for path in (folder / "pg" / "password", folder / "redis" / "redis.conf"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not list(folder.rglob("password.once"))
        commands = command_lines()
        for url in (server.admin_url, redis.url):
            password = urlsplit(url).password
            assert password
            assert not [command for command in commands if password.encode() in command]
    finally:
        redis.close()
        server.close()


def command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended, or is none of our business
            found.append(path.read_bytes())
    return found


async def test_a_second_process_is_refused_by_name_of_the_folder(folder: Path) -> None:
    server = await start_postgres(folder, durable=False)
    try:
        with pytest.raises(EmbeddedServerError, match="another process uses this folder") as error:
            await start_postgres(folder)
        assert str(folder) in str(error.value)
        assert await fetch(server.admin_url, "SELECT 1") == 1
    finally:
        await server.stop()


async def test_a_stale_pid_file_of_a_living_stranger_does_not_stop_the_start(folder: Path) -> None:
    (await start_postgres(folder)).close()
    data = folder / "cluster" / "data"
    pid_file = data / "postmaster.pid"
    # After a reboot the old pid may belong to anything: here, to this very test.
    pid_file.write_text(f"{os.getpid()}\n{data}\n1\n5432\n\n127.0.0.1\n\nready   \n")
    os.chown(pid_file, data.stat().st_uid, data.stat().st_gid)

    server = await start_postgres(folder)
    try:
        assert await fetch(server.admin_url, "SELECT 1") == 1
    finally:
        await server.stop()


async def test_data_survives_a_server_killed_by_the_kernel(folder: Path) -> None:
    server = await start_postgres(folder)
    await fetch(server.admin_url, "CREATE TABLE roof AS SELECT 10 AS kw")
    pid = postmaster_pid(folder)
    os.kill(pid, signal.SIGKILL)
    wait_until_dead(pid)
    assert (folder / "cluster" / "data" / "postmaster.pid").exists()
    server.close()

    again = await start_postgres(folder)
    try:
        assert await fetch(again.admin_url, "SELECT kw FROM roof") == 10
    finally:
        await again.stop()


STARTER = """
import sys, time
from pathlib import Path
from cloud.embedded import launch_postgres, launch_redis
folder = Path(sys.argv[1])
postgres, redis = launch_postgres(folder, durable=False), launch_redis(folder / "redis")
print((folder / "cluster/data/postmaster.pid").read_text().split()[0], redis.url, flush=True)
time.sleep(600)
"""


def test_servers_end_with_a_starter_that_is_killed(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid, redis_url = starter.stdout.readline().decode().split()
        assert alive(int(pid))
        starter.kill()
    wait_until_dead(int(pid))
    port = urlsplit(redis_url).port
    assert port
    deadline = time.monotonic() + 10
    while port_answers(port):
        assert time.monotonic() < deadline, "Redis still answers"
        time.sleep(0.05)
    launch_postgres(folder, durable=False).close()


def port_answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("launch", [launch_postgres, launch_redis])
def test_a_taken_port_is_named(folder: Path, launch: object) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(EmbeddedServerError, match=f"port {port} is taken") as error:
            launch(folder, port=port)  # type: ignore[operator]
    assert "ends with:" in str(error.value)
    launch_again = launch(folder)  # type: ignore[operator]
    launch_again.close()


@pytest.mark.parametrize(
    ("module", "launch", "url"),
    [
        (postgres_module, launch_postgres, "SOLARHUB_DATABASE_URL"),
        (redis_module, launch_redis, "SOLARHUB_REDIS_URL"),
    ],
)
def test_missing_programs_are_explained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: object, launch: object, url: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EmbeddedServerError, match="extra 'embedded'") as error:
        launch(folder)  # type: ignore[operator]
    assert url in str(error.value)


def test_a_folder_without_programs_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="no initdb and postgres") as error:
        launch_postgres(folder, binaries=tmp_path)
    assert str(tmp_path) in str(error.value)


def test_data_of_another_version_is_refused_and_kept(folder: Path) -> None:
    launch_postgres(folder, durable=False).close()
    version = folder / "cluster" / "data" / "PG_VERSION"
    original = version.read_text()
    version.write_text("12\n")
    with pytest.raises(EmbeddedServerError, match="the data is of PostgreSQL 12"):
        launch_postgres(folder)
    version.write_text(original)
    launch_postgres(folder, durable=False).close()


def test_a_lost_password_is_explained(folder: Path) -> None:
    launch_postgres(folder, durable=False).close()
    (folder / "password").unlink()
    with pytest.raises(EmbeddedServerError, match="password"):
        launch_postgres(folder)


def test_a_broken_setting_shows_the_servers_own_words(folder: Path) -> None:
    launch_postgres(folder, durable=False).close()
    with (folder / "cluster" / "data" / "postgresql.conf").open("a") as settings:
        settings.write("shared_buffers = 'a roof'\n")
    with pytest.raises(EmbeddedServerError, match="ended while starting") as error:
        launch_postgres(folder)
    assert "shared_buffers" in str(error.value)


def test_a_half_made_cluster_is_made_anew(folder: Path) -> None:
    launch_postgres(folder, durable=False).close()
    data = folder / "cluster" / "data"
    data.rename(data.with_name("data.draft"))
    (data.with_name("data.draft") / "PG_VERSION").unlink()
    launch_postgres(folder, durable=False).close()
    assert not data.with_name("data.draft").exists()


def test_a_file_in_the_folders_place_is_explained(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for launch in (launch_postgres, launch_redis):
        with pytest.raises(EmbeddedServerError, match="name another folder"):
            launch(tmp_path / "taken")


async def test_redis_asks_for_its_password(folder: Path) -> None:
    server = await start_redis(folder)
    try:
        async with Redis.from_url(server.url) as client:
            await client.set("roof", 10)
            assert await client.get("roof") == b"10"
            assert (await client.config_get("appendonly"))["appendonly"] == "no"
        async with Redis.from_url(f"redis://:wrong@127.0.0.1:{server.port}/0") as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.ping()
    finally:
        await server.stop()


async def test_services_named_in_the_environment_are_used_and_nothing_starts(
    folder: Path, servers_folder: Path
) -> None:
    environ = {"SOLARHUB_DATABASE_URL": "postgresql://app@db/hub", "SOLARHUB_REDIS_URL": "redis://cache/0"}
    async with await start_services(folder, environ=environ) as services:
        assert services.database_url == services.admin_database_url == "postgresql://app@db/hub"
        assert services.redis_url == "redis://cache/0"
        assert services.postgres is None
        assert services.redis is None
    assert folder.name not in names_in(servers_folder)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_services_start_what_the_environment_does_not_name(folder: Path) -> None:
    environ = {
        "SOLARHUB_ADMIN_DATABASE_URL": "postgresql://owner@db/hub",
        "SOLARHUB_DATABASE_URL": "postgresql://app@db/hub",
    }
    async with await start_services(folder, environ=environ) as services:
        assert services.admin_database_url == "postgresql://owner@db/hub"
        assert services.redis is not None
        async with Redis.from_url(services.redis_url) as client:
            assert await client.ping()
        pid = services.redis.port
    assert not port_answers(pid)


@pytest.fixture
def blocked_redis(folder: Path) -> None:
    folder.mkdir()
    (folder / "redis").write_text("a file where a folder belongs")


async def test_services_stop_the_database_when_redis_does_not_start(folder: Path, blocked_redis: None) -> None:
    with pytest.raises(EmbeddedServerError):
        await start_services(folder, environ={}, durable=False)
    assert not (folder / "postgres" / "cluster" / "data" / "postmaster.pid").exists()
    erase_postgres(folder / "postgres")


def test_ending_twice_is_ending_once(folder: Path) -> None:
    server = launch_postgres(folder, durable=False)
    server.close()
    server.close()
    assert not port_answers(server.port)


def test_erasing_what_is_in_use_is_refused(folder: Path) -> None:
    server = launch_postgres(folder, durable=False)
    with pytest.raises(EmbeddedServerError, match="another process uses"):
        erase_postgres(folder)
    server.close()
    erase_postgres(folder)
    assert not folder.exists()
    erase_postgres(folder)


@as_root
def test_root_runs_the_server_as_somebody_else(folder: Path) -> None:
    server = launch_postgres(folder, durable=False)
    try:
        assert owner_of(postmaster_pid(folder)) in {"postgres", "nobody"}
        status = Path(f"/proc/{postmaster_pid(folder)}/status").read_text()
        assert "\nGroups:\t \n" in status or "\nGroups:\t\n" in status
    finally:
        server.close()


@as_root
async def test_a_system_without_the_user_postgres_takes_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = [entry for entry in pwd.getpwall() if entry.pw_name != "postgres"]
    monkeypatch.setattr(pwd, "getpwall", lambda: known)
    server = await start_postgres(folder, durable=False)
    monkeypatch.undo()
    try:
        assert owner_of(postmaster_pid(folder)) == "nobody"
    finally:
        await server.stop()
    # The data's owner decides from now on, whoever exists.
    server = await start_postgres(folder, durable=False)
    try:
        assert owner_of(postmaster_pid(folder)) == "nobody"
    finally:
        await server.stop()


def owner_of(pid: int) -> str:
    return pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name


@as_root
async def test_root_may_keep_its_folder_where_the_server_cannot_go(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    server = await start_postgres(private / "postgres", durable=False)
    try:
        assert await fetch(server.admin_url, "SELECT 1") == 1
        elsewhere = (private / "postgres" / "cluster").resolve()
        assert elsewhere.is_relative_to(postgres_module.STATE_DIR)
        assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    finally:
        await server.stop()
    (await start_postgres(private / "postgres", durable=False)).close()
    erase_postgres(private / "postgres")
    assert not elsewhere.exists()


@as_root
async def test_root_may_keep_its_virtual_environment_where_the_server_cannot_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch, servers_folder: Path
) -> None:
    real = postgres_module._can_reach
    monkeypatch.setattr(
        postgres_module, "_can_reach", lambda path, account: path.name != "postgres" and real(path, account)
    )
    state = servers_folder / f"state-{time.monotonic_ns()}"
    monkeypatch.setattr(postgres_module, "STATE_DIR", state)
    server = await start_postgres(folder, durable=False)
    try:
        program = program_of(postmaster_pid(folder))
        assert program.is_relative_to(state)
        assert await fetch(server.admin_url, "SELECT 1") == 1
        assert [path.name for path in state.iterdir()] == [program.relative_to(state).parts[0]]
    finally:
        await server.stop()


def program_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").readlink()


@as_root
def test_a_system_without_an_account_to_become_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwall", lambda: [pwd.getpwuid(0)])
    with pytest.raises(EmbeddedServerError, match="neither the user 'postgres' nor 'nobody'"):
        launch_postgres(folder)


@as_user
def test_another_users_folder_is_explained(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    try:
        with pytest.raises(EmbeddedServerError, match="run as the folder's owner"):
            launch_redis(closed)
    finally:
        closed.chmod(0o700)
