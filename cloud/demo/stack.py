"""Everything that the demo runs in: servers, migrated database, API, worker, scheduler, broker, and the site's internet line."""

import asyncio
import base64
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cloud.auth.service import Passwords, make_super_admin
from cloud.billing.loading import load_tariffs
from cloud.core.db import SYSTEM, Database
from cloud.core.migrate import upgrade
from cloud.core.roles import ensure_login_role, url_of_login
from cloud.demo.client import CloudClient
from cloud.demo.processes import Child, program, running
from cloud.demo.uplink import Uplink
from cloud.embedded import Services, erase_postgres, start_services
from cloud.embedded.process import free_port
from cloud.web.services import utc_now
from shared.errors import SolarHubError

APP_LOGIN = "solarhub_demo"
ADMIN_EMAIL = "owner@demo.solarhub.example"

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.2


class DemoError(SolarHubError):
    """The demo could not go on; the message says which part, and what its log says."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The running cloud, before any site is in it.

    Attributes:
        folder: logs, files and the agent's data.
        environment: settings of the cloud's processes.
        api_url: of the API itself, as people use it.
        uplink: through which the agent reaches the API.
        broker_port: of the site's MQTT broker on loopback.
        password: of `ADMIN_EMAIL`, made for this run.
        client: logged in as `ADMIN_EMAIL`.
        db: the application's own view of the database, to count what has arrived.
        children: processes that must stay up.
    """

    folder: Path
    environment: dict[str, str]
    api_url: str
    uplink: Uplink
    broker_port: int
    password: str
    client: CloudClient
    db: Database
    children: list[Child] = field(default_factory=list)

    def check(self) -> None:
        """Raise if a process has ended that should not have."""
        for child in self.children:
            child.check()


@asynccontextmanager
async def emptied(folder: Path) -> AsyncIterator[None]:
    """A folder without what a run before left in it; at the end its database is erased, logs and reports stay."""
    await asyncio.to_thread(_empty, folder)
    try:
        yield
    finally:
        await asyncio.to_thread(erase_postgres, folder / "postgres")


def _empty(folder: Path) -> None:
    if folder.exists():
        erase_postgres(folder / "postgres")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


@asynccontextmanager
async def running_stack(folder: Path, *, durable: bool) -> AsyncIterator[Stack]:
    """Start the cloud in a folder and end it with the block.

    Args:
        folder: for the embedded database, logs and files.
        durable: False for a run whose database is thrown away.

    Raises:
        DemoError: if a part does not come up.
        SolarHubError: if a program or a server is missing, with what to install.
    """
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(await start_services(folder, environ=os.environ, durable=durable))
        environment = await _prepare(servers, folder)
        password = secrets.token_urlsafe(12)
        port, broker_port = free_port(), free_port()
        environment["SOLARHUB_PUBLIC_URL"] = url = f"http://127.0.0.1:{port}"
        children = [
            await stack.enter_async_context(running(name, command, folder=folder, environment=environment))
            for name, command in (
                ("api", [program("solarhub"), "serve", "--port", str(port)]),
                ("worker", [program("solarhub"), "worker"]),
                ("scheduler", [program("solarhub"), "scheduler"]),
                ("mosquitto", _broker_command(folder, broker_port)),
            )
        ]
        db = await Database.connect(environment["SOLARHUB_DATABASE_URL"], pool_size=1)
        stack.push_async_callback(db.dispose)
        await _fill(db, password)
        ready = Stack(
            folder=folder,
            environment=environment,
            api_url=url,
            uplink=await stack.enter_async_context(Uplink(port)),
            broker_port=broker_port,
            password=password,
            client=await stack.enter_async_context(CloudClient(url)),
            db=db,
            children=children,
        )
        await _until_ready(ready)
        await ready.client.log_in(ADMIN_EMAIL, password)
        yield ready


async def _prepare(servers: Services, folder: Path) -> dict[str, str]:
    """Migrate the database and make the application's login; returns the cloud's settings."""
    await asyncio.to_thread(upgrade, servers.admin_database_url)
    database_url = servers.database_url
    if database_url is None:
        app_password = secrets.token_urlsafe(24)
        await ensure_login_role(servers.admin_database_url, APP_LOGIN, password=app_password)
        database_url = url_of_login(servers.admin_database_url, APP_LOGIN, password=app_password)
    return {
        "SOLARHUB_DATABASE_URL": database_url,
        "SOLARHUB_ADMIN_DATABASE_URL": servers.admin_database_url,
        "SOLARHUB_REDIS_URL": servers.redis_url,
        "SOLARHUB_SECRET_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "SOLARHUB_FILES_DIR": str(folder / "files"),
    }


async def _fill(db: Database, password: str) -> None:
    """What `solarhub tariffs load` and `solarhub create-admin` do, without two more processes on a small machine."""
    async with db.transaction(SYSTEM) as conn:
        await load_tariffs(conn)
        await make_super_admin(
            conn, Passwords(), email=ADMIN_EMAIL, password=password, names=("Demo", "Owner"), now=utc_now()
        )


async def _until_ready(stack: Stack) -> None:
    for _ in range(int(_READY_SECONDS / _POLL_SECONDS)):
        stack.check()
        if await stack.client.is_ready():
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise DemoError(
        f"the API did not get ready within {_READY_SECONDS:.0f} s; the end of its log:\n{stack.children[0].log_tail()}"
    )


def _broker_command(folder: Path, port: int) -> list[str]:
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise SolarHubError("mosquitto is missing; install it: apt-get install mosquitto (or run `make demo`)")
    settings = folder / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\n", encoding="utf-8"
    )
    return [found, "-c", str(settings)]
