"""`solarhub tariffs load`."""

import asyncio
import base64
from typing import Any

import pytest
from typer.testing import CliRunner

from cloud.billing.catalogue import read_catalogue
from cloud.cli import app


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


async def test_an_unreachable_database_is_one_sentence(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    monkeypatch.setenv("SOLARHUB_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/none")
    monkeypatch.setenv("SOLARHUB_REDIS_URL", redis_url)
    monkeypatch.setenv("SOLARHUB_SECRET_KEY", base64.b64encode(bytes(32)).decode())
    answer = await asyncio.to_thread(CliRunner().invoke, app, ["tariffs", "load"])
    assert answer.exit_code == 1
    assert "127.0.0.1:1" in answer.output
    assert "secret" not in answer.output
    assert "Traceback" not in answer.output
