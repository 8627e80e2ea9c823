"""`solarhub tariffs` and `solarhub migrate`, on a database."""

import asyncio
import base64
import json
from datetime import date
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import insert
from typer.testing import CliRunner

from cloud.billing.catalogue import read_catalogue
from cloud.billing.tables import TariffPlan
from cloud.billing.tariff_rows import plan_rows
from cloud.cli import app
from cloud.core.db import NOBODY, Database
from cloud.core.ids import new_id


async def test_loads_and_says_what_changed(
    fresh_database: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLARHUB_DATABASE_URL", fresh_database.app_url)
    monkeypatch.setenv("SOLARHUB_REDIS_URL", redis_url)
    monkeypatch.setenv("SOLARHUB_SECRET_KEY", base64.b64encode(bytes(32)).decode())
    plans = 12 * len(read_catalogue().plans)
    first, second = [await asyncio.to_thread(CliRunner().invoke, app, ["tariffs", "load"]) for _ in range(2)]
    assert first.exit_code == 0, first.output
    assert f"plans added: {plans}, plans changed: 0, plans unchanged: 0" in first.output
    assert f"plans added: 0, plans changed: 0, plans unchanged: {plans}" in second.output


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def environment(fresh_database: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLARHUB_DATABASE_URL", fresh_database.app_url)
    monkeypatch.setenv("SOLARHUB_ADMIN_DATABASE_URL", fresh_database.admin_url)
    monkeypatch.setenv("SOLARHUB_REDIS_URL", redis_url)
    monkeypatch.setenv("SOLARHUB_SECRET_KEY", base64.b64encode(bytes(32)).decode())


@pytest.mark.usefixtures("environment")
async def test_migrating_brings_the_tariffs() -> None:
    plans = 12 * len(read_catalogue().plans)
    empty = await asyncio.to_thread(run, "tariffs", "diff", "--database")
    assert "at all companies: not in the database" in empty.output
    migrated = await asyncio.to_thread(run, "migrate")
    assert migrated.exit_code == 0, migrated.output
    assert f"plans added: {plans}" in migrated.output
    assert "plans added: 0" in (await asyncio.to_thread(run, "tariffs", "load")).output
    assert (await asyncio.to_thread(run, "tariffs", "diff", "--database")).output.strip() == "no difference"
    validated = await asyncio.to_thread(run, "tariffs", "validate", "--database")
    assert (validated.exit_code, validated.output.strip()) == (0, "nothing is wrong")
    shown = await asyncio.to_thread(run, "tariffs", "show", "A-2(c)", "--database", "--on", "2026-10-01", "--json")
    assert json.loads(shown.output)["rates"]["peak_rate_per_kwh"] == "43.82"
    listed = await asyncio.to_thread(run, "tariffs", "list", "--database", "--category", "A-2(c)")
    assert "all        2026-02-12" in listed.output


@pytest.mark.usefixtures("environment")
async def test_what_is_in_the_way_is_told(fresh_database: Any) -> None:
    db = await Database.connect(fresh_database.app_url)
    record = next(plan for plan in read_catalogue().plans if plan.category == "commercial_a1")
    (row,) = [row for key, row in plan_rows(record) if key[0] == "lesco"]
    async with db.transaction(NOBODY) as conn:
        await conn.execute(insert(TariffPlan).values({**row, "id": new_id(), "effective_from": date(2026, 1, 1)}))
    await db.dispose()
    loaded = await asyncio.to_thread(run, "tariffs", "load")
    assert loaded.exit_code == 1
    assert "lesco, commercial_a1 from 2026-02-12 is not loaded" in loaded.output


async def test_an_unreachable_database_is_one_sentence(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    monkeypatch.setenv("SOLARHUB_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/none")
    monkeypatch.setenv("SOLARHUB_REDIS_URL", redis_url)
    monkeypatch.setenv("SOLARHUB_SECRET_KEY", base64.b64encode(bytes(32)).decode())
    answer = await asyncio.to_thread(CliRunner().invoke, app, ["tariffs", "load"])
    assert answer.exit_code == 1
    assert "127.0.0.1:1" in answer.output
    assert "secret" not in answer.output
    assert "Traceback" not in answer.output
