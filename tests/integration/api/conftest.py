"""A running API on a real database and Redis, two organisations that know nothing of each other, and a person for every role."""

import base64
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from cloud.accounts import repository as organizations
from cloud.auth import repository as accounts
from cloud.auth.service import Passwords
from cloud.core.db import SYSTEM
from cloud.core.settings import Settings, load_settings
from cloud.main import attach, create_app
from cloud.web.services import Services, open_services
from shared.enums import OrgMemberRole, UserRole
from tests.fakes import FakeJobs

PASSWORD = "a password for tests"
START = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)


class Clock:
    """The API's time; tests move it."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **delta: float) -> None:
        self.at += timedelta(**delta)


@dataclass
class Person:
    id: UUID
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Api:
    """A client of the API, with shorthands."""

    def __init__(
        self, app: FastAPI, services: Services, http: httpx.AsyncClient, clock: Clock, password_hash: str
    ) -> None:
        self.app = app
        self.services = services
        self.http = http
        self.clock = clock
        self._password_hash = password_hash

    @property
    def jobs(self) -> FakeJobs:
        assert isinstance(self.services.jobs, FakeJobs)
        return self.services.jobs

    async def person(self, email: str, *, role: UserRole = UserRole.VIEWER) -> Person:
        async with self.services.db.transaction(SYSTEM) as conn:
            user_id = await accounts.add_account(
                conn, email=email, password_hash=self._password_hash, first_name=email.partition("@")[0], role=role
            )
        assert user_id is not None
        return Person(user_id, email, self.services.tokens.issue(user_id, self.clock()))

    async def organization(self, owner: Person, slug: str) -> UUID:
        async with self.services.db.transaction(SYSTEM) as conn:
            return await organizations.add_organization(
                conn,
                owner_id=owner.id,
                now=self.clock(),
                values={"name": slug.title(), "slug": slug, "settings": {}},
            )

    async def member(self, organization_id: UUID, email: str, role: OrgMemberRole) -> Person:
        person = await self.person(email)
        async with self.services.db.transaction(SYSTEM) as conn:
            await organizations.add_member(
                conn,
                organization_id=organization_id,
                user_id=person.id,
                role=role,
                invited_by=person.id,
                joined_at=self.clock(),
            )
        return person

    async def call(
        self,
        method: str,
        path: str,
        person: Person | None = None,
        *,
        json: Any = None,
        if_match: str | None = None,
        key: str | None = None,
        **kwargs: Any,
    ) -> httpx.Response:
        headers = {**(person.headers if person else {}), **kwargs.pop("headers", {})}
        if if_match is not None:
            headers["If-Match"] = if_match
        if key is not None:
            headers["Idempotency-Key"] = key
        body = {} if json is None else {"json": json}
        return await self.http.request(method, f"/api/v1{path}", headers=headers, **body, **kwargs)


@dataclass
class World:
    """Two organisations with a site and a device each."""

    api: Api
    owner: Person
    organization_id: UUID
    site: dict[str, Any]
    device: dict[str, Any]
    stranger: Person
    other_organization_id: UUID
    other_site: dict[str, Any]
    other_device: dict[str, Any]


KEPT_TABLES = {"alembic_version", "tariff_categories", "tariff_plans", "tariff_adjustments", "emission_factors"}


@pytest.fixture(scope="session")
async def shared_database(make_database: Callable[[], Awaitable[Any]]) -> Any:
    return await make_database()


@pytest.fixture
async def fresh_database(shared_database: Any) -> Any:
    """One database for all tests of this folder, emptied before each: copying the template takes longer than most tests."""
    conn = await asyncpg.connect(shared_database.admin_url)
    try:
        tables = await conn.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace ORDER BY relname"
        )
        await conn.execute("SET session_replication_role = replica")  # foreign keys and triggers sleep
        empty = [f'DELETE FROM "{row[0]}"' for row in tables if row[0] not in KEPT_TABLES]  # noqa: S608 -- our own tables
        await conn.execute(";".join(empty))
    finally:
        await conn.close()
    return shared_database


@pytest.fixture
def api_settings(fresh_database: Any, fresh_redis: str, tmp_path: Path) -> Settings:
    return load_settings(
        {
            "database_url": fresh_database.app_url,
            "admin_database_url": fresh_database.admin_url,
            "redis_url": fresh_redis,
            "secret_key": base64.b64encode(bytes(range(32))).decode(),
            "files_dir": tmp_path / "files",
            "db_pool_size": 2,
            "login_attempts": 3,
        }
    )


@pytest.fixture(scope="session")
async def password_hash() -> str:
    # One hash for everybody: each costs a tenth of a second.
    return await Passwords().hash(PASSWORD)


@pytest.fixture
async def api(api_settings: Settings, password_hash: str) -> AsyncIterator[Api]:
    clock = Clock()
    app = create_app(api_settings, clock=clock)
    async with open_services(api_settings, clock=clock) as opened:
        services = dataclasses.replace(opened, jobs=FakeJobs())
        attach(app, services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield Api(app, services, http, clock, password_hash)
        await app.state.bell.close()


MakePlant = Callable[[Person, UUID, str], Awaitable[tuple[dict[str, Any], dict[str, Any]]]]


@pytest.fixture
def make_plant(api: Api) -> MakePlant:
    async def make(owner: Person, organization_id: UUID, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        site = await api.call(
            "POST", "/sites", owner, json={"organization_id": str(organization_id), "name": f"Site {name}"}
        )
        assert site.status_code == 201, site.text
        device = await api.call(
            "POST",
            "/devices",
            owner,
            json={
                "site_id": site.json()["id"],
                "name": f"Inverter {name}",
                "device_type": "inverter",
                "protocol": "modbus_tcp",
                "connection_config": {"host": "192.168.1.100"},
                "profile": "sunspec",
                "serial_number": f"SN-{name}",
            },
        )
        assert device.status_code == 201, device.text
        return site.json(), device.json()

    return make


@pytest.fixture
async def world(api: Api, make_plant: MakePlant) -> World:
    owner, stranger = await api.person("owner@example.com"), await api.person("stranger@example.com")
    own, other = await api.organization(owner, "chenab"), await api.organization(stranger, "jhelum")
    site, device = await make_plant(owner, own, "one")
    other_site, other_device = await make_plant(stranger, other, "two")
    return World(api, owner, own, site, device, stranger, other, other_site, other_device)
