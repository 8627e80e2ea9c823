"""A cloud to measure: embedded PostgreSQL and Redis in a temporary folder, the application's login, and an API process."""

import asyncio
import base64
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cloud.core.migrate import upgrade
from cloud.core.roles import ensure_login_role, url_of_login
from cloud.demo.processes import Child, program, running
from cloud.embedded import erase_postgres, start_services
from cloud.embedded.process import free_port

_READY_SECONDS = 60
_LOGIN = "solarhub_bench"


@dataclass(frozen=True, slots=True)
class Hub:
    """Where the servers are, and the settings of the cloud's processes."""

    folder: Path
    admin_url: str
    app_url: str
    redis_url: str
    environment: dict[str, str]


@asynccontextmanager
async def running_hub() -> AsyncIterator[Hub]:
    """A migrated, empty, durable database and a Redis for the length of a block; nothing of it is left behind."""
    with tempfile.TemporaryDirectory(prefix="solarhub-bench-") as name:
        folder = Path(name)
        async with _erased(folder), await start_services(folder, environ={}, durable=True) as servers:
            await asyncio.to_thread(upgrade, servers.admin_database_url)
            password = secrets.token_urlsafe(24)
            await ensure_login_role(servers.admin_database_url, _LOGIN, password=password)
            app_url = url_of_login(servers.admin_database_url, _LOGIN, password=password)
            environment = {
                "SOLARHUB_DATABASE_URL": app_url,
                "SOLARHUB_ADMIN_DATABASE_URL": servers.admin_database_url,
                "SOLARHUB_REDIS_URL": servers.redis_url,
                "SOLARHUB_SECRET_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
                "SOLARHUB_FILES_DIR": str(folder / "files"),
            }
            yield Hub(folder, servers.admin_database_url, app_url, servers.redis_url, environment)


@asynccontextmanager
async def _erased(folder: Path) -> AsyncIterator[None]:
    """Run by root, the database may lie outside the folder: it is erased with it."""
    try:
        yield
    finally:
        await asyncio.to_thread(erase_postgres, folder / "postgres")


@asynccontextmanager
async def running_api(hub: Hub) -> AsyncIterator[tuple[Child, int]]:
    """One API worker process that is ready to serve, and its port on 127.0.0.1."""
    port = free_port()
    command = [program("solarhub"), "serve", "--port", str(port)]
    async with running("api", command, folder=hub.folder, environment=hub.environment) as child:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            for _ in range(_READY_SECONDS * 10):
                child.check()
                if await _is_ready(http):
                    break
                await asyncio.sleep(0.1)
            else:
                raise TimeoutError(f"the API was not ready within {_READY_SECONDS} s:\n{child.log_tail()}")
        yield child, port


async def _is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
