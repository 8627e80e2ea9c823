"""Servers that may be killed, and a home whose readings are worth keeping."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from cloud.core.db import Database
from cloud.core.migrate import upgrade
from cloud.core.roles import ensure_login_role, url_of_login
from cloud.embedded import EmbeddedPostgres, EmbeddedRedis, erase_postgres, launch_postgres, launch_redis
from edge_agent.drivers.simulated import SimulatedSite
from tests.integration.telemetry.home import Home, make_home
from tests.plants import make_plant


@dataclass
class Mortal:
    """A PostgreSQL of our own with its data on disk, which can be killed and comes back at the same address."""

    folder: Path
    server: EmbeddedPostgres

    @property
    def app_url(self) -> str:
        return url_of_login(self.server.admin_url, "chaos", password="chaos")

    def kill(self) -> None:
        """End the postmaster as a power cut would: no signal that it could answer."""
        os.kill(int((self.folder / "cluster/data/postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)

    def start_again(self) -> None:
        """The same data on the same port, after crash recovery."""
        self.server.close()
        self.server = launch_postgres(self.folder, port=self.server.port)


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    parent = Path(tempfile.mkdtemp(prefix="solarhub-chaos-"))
    parent.chmod(0o711)
    found = Mortal(parent / "postgres", launch_postgres(parent / "postgres"))
    yield found
    found.server.close()
    erase_postgres(found.folder)
    shutil.rmtree(parent)


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    server = launch_redis(tmp_path / "redis")
    yield server
    server.close()


@pytest.fixture
async def home(mortal: Mortal) -> AsyncIterator[Home]:
    await asyncio.to_thread(upgrade, mortal.server.admin_url, "head")
    await ensure_login_role(mortal.server.admin_url, "chaos", password="chaos")
    db = await Database.connect(mortal.app_url)
    yield await make_home(db, await make_plant(db, name="ali"), poll_s=300)
    await db.dispose()


@pytest.fixture(scope="session")
def roof() -> SimulatedSite:
    """The physics of the home, from the last of May 2026 on."""
    return SimulatedSite(31.52, 74.36, timezone="Asia/Karachi", commissioned=date(2026, 5, 31))
