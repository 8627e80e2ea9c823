"""Whole processes of the cloud, as systemd starts them, on a database and a Redis of their own, and a home whose agent talks to them."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from cloud.accounts.tables import OrganizationMember
from cloud.auth.service import Passwords
from cloud.auth.tables import User
from cloud.core.crypto import new_token, token_hash
from cloud.core.db import SYSTEM, Database
from cloud.demo.processes import Child, running
from cloud.embedded.process import free_port
from cloud.fleet.rules import CREDENTIAL_BYTES, Credential
from cloud.fleet.tables import EdgeGateway
from shared.readings import Value
from shared.wire import SCHEMA_VERSION
from tests.integration.telemetry.home import Home, make_home
from tests.plants import Plant

ROOT = Path(__file__).parents[3]
PASSWORD = "a password for tests"
READY_WITHIN_S = 60.0


@dataclass
class Cloud:
    """The settings that all processes share, and a folder for what they print."""

    environment: dict[str, str]
    folder: Path
    started: int = 0

    @asynccontextmanager
    async def run(self, *arguments: str, **settings: str) -> AsyncIterator[Child]:
        """`solarhub <arguments>` for the length of a block; `settings` are more of the environment."""
        self.started += 1
        name = f"{arguments[0]}-{self.started}"
        command = [sys.executable, "-m", "cloud", *arguments]
        others = {name: "" for name in os.environ if name.startswith("SOLARHUB_")}
        environment = {**others, **self.environment, **settings, "PYTHONPATH": str(ROOT)}
        async with running(name, command, folder=self.folder, environment=environment) as child:
            yield child

    @asynccontextmanager
    async def api(self, **settings: str) -> AsyncIterator["Client"]:
        """One API process that is ready, and a client of it."""
        port = free_port()
        async with (
            self.run("serve", "--port", str(port), **settings) as child,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
        ):
            async with asyncio.timeout(READY_WITHIN_S):
                while not await is_ready(http):
                    child.check()
                    await asyncio.sleep(0.05)
            yield Client(http, child)


async def is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@dataclass
class Client:
    """A person, and an agent, at one API process."""

    http: httpx.AsyncClient
    child: Child
    headers: dict[str, str] = field(default_factory=dict)

    async def log_in(self, email: str) -> None:
        answer = await self.http.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == httpx.codes.OK, answer.text
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def get(self, path: str, **params: str) -> Any:
        answer = await self.http.get(f"/api/v1{path}", headers=self.headers, params=params)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()


@dataclass
class Agent:
    """The gateway of the home: what it sends, to whichever process."""

    credential: str
    epoch: UUID
    seq: int = 0

    async def send(self, client: Client, device_id: UUID, at: datetime, **values: Value) -> None:
        """One reading, acknowledged."""
        self.seq += 1
        stretch = {
            "device_id": str(device_id),
            "seqs": [self.seq],
            "offsets_ms": [0],
            "quality": [0],
            "values": {key: [value] for key, value in values.items()},
        }
        body = {
            "schema_version": SCHEMA_VERSION,
            "epoch": str(self.epoch),
            "first_seq": self.seq,
            "last_seq": self.seq,
            "started_at": at.isoformat(),
            "stretches": [stretch],
        }
        headers = {"Authorization": f"Bearer {self.credential}"}
        answer = await client.http.post("/api/v1/edge/readings", json=body, headers=headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.json()["stored"] == 1, answer.text


async def with_password(db: Database, plant: Plant) -> str:
    """Let the plant's owner log in; returns the address."""
    email, hashed = "ali@example.com", await Passwords().hash(PASSWORD)
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(update(User).where(User.email == email).values(password_hash=hashed))
        await conn.execute(
            update(OrganizationMember)
            .where(OrganizationMember.organization_id == plant.organization_id)
            .values(invitation_accepted=True)
        )
    return email


async def with_credential(db: Database, plant: Plant) -> Agent:
    """Give the plant's gateway a credential."""
    credential = Credential(plant.edge.gateway_id, new_token(CREDENTIAL_BYTES))
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(
            update(EdgeGateway)
            .where(EdgeGateway.id == plant.edge.gateway_id)
            .values(credential_hash=token_hash(credential.secret))
        )
    return Agent(credential.text, UUID(int=7))


@pytest.fixture
async def home(db: Database, plant: Plant) -> Home:
    found = await make_home(db, plant, poll_s=60)
    found.arrival = datetime.now(UTC)
    return found


@pytest.fixture
async def email(db: Database, plant: Plant) -> str:
    return await with_password(db, plant)


@pytest.fixture
async def agent(db: Database, plant: Plant) -> Agent:
    return await with_credential(db, plant)


@pytest.fixture
def cloud(fresh_database: Any, fresh_redis: str, tmp_path: Path) -> Cloud:
    return Cloud(
        {
            "SOLARHUB_DATABASE_URL": fresh_database.app_url,
            "SOLARHUB_REDIS_URL": fresh_redis,
            "SOLARHUB_SECRET_KEY": base64.b64encode(bytes(range(32))).decode(),
            "SOLARHUB_FILES_DIR": str(tmp_path / "files"),
        },
        tmp_path,
    )
