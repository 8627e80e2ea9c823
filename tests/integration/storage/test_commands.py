"""`solarhub telemetry archive` and `restore`, and `solarhub db scale`."""

import asyncio
import base64
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cloud.cli import app
from cloud.core import start
from cloud.core.db import Database
from tests.conftest import FreshDatabase
from tests.integration.storage.test_archives import fill, seen
from tests.plants import Plant


@pytest.fixture(autouse=True)
def _settings(fresh_database: FreshDatabase, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLARHUB_DATABASE_URL", fresh_database.app_url)
    monkeypatch.setenv("SOLARHUB_ADMIN_DATABASE_URL", fresh_database.admin_url)
    monkeypatch.setenv("SOLARHUB_REDIS_URL", redis_url)
    monkeypatch.setenv("SOLARHUB_SECRET_KEY", base64.b64encode(bytes(32)).decode())
    monkeypatch.setenv("SOLARHUB_FILES_DIR", str(tmp_path))
    # Loggers would go on writing to the runner's stderr, which is closed after each command.
    monkeypatch.setattr(start, "configure_logging", lambda **_: None)


async def run(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, list(words))


async def test_a_days_readings_go_to_a_file_and_come_back(db: Database, plant: Plant, tmp_path: Path) -> None:
    before = await fill(db, plant)
    days = ["--site", str(plant.site_id), "--from", "2026-06-01", "--to", "2026-06-02"]
    kept = await run("telemetry", "archive", *days, "--keep")
    assert "2 days archived: 192 readings" in kept.output
    assert await seen(db, plant) == before
    await run("telemetry", "archive", *days)
    assert await seen(db, plant) == []
    assert "2 files restored: 192 rows" in (await run("telemetry", "restore", *days)).output
    assert await seen(db, plant) == before
    again = await run("telemetry", "restore", *days)
    assert (again.exit_code, "0 files restored" in again.output) == (0, True)


async def test_a_damaged_file_is_one_sentence(db: Database, plant: Plant, tmp_path: Path) -> None:
    await fill(db, plant, days=1)
    days = ["--site", str(plant.site_id), "--from", "2026-06-01", "--to", "2026-06-01"]
    await run("telemetry", "archive", *days)
    await asyncio.to_thread(damage, tmp_path)
    answer = await run("telemetry", "restore", *days)
    assert answer.exit_code == 1
    assert "put it back from a backup of SOLARHUB_FILES_DIR" in answer.output
    assert "Traceback" not in answer.output


def damage(folder: Path) -> None:
    for path in folder.rglob("*.parquet"):
        path.write_bytes(b"PAR1")


@pytest.mark.parametrize("mode", ["timescale", "citus"])
async def test_scale_is_refused_here_and_shown_on_request(mode: str) -> None:
    refused = await run("db", "scale", f"--{mode}")
    assert refused.exit_code == 1
    assert "Nothing was changed" in refused.output
    shown = await run("db", "scale", f"--{mode}", "--dry-run")
    assert shown.exit_code == 0
    assert shown.output.startswith("CREATE EXTENSION IF NOT EXISTS")
    assert shown.output.rstrip().endswith(";")


@pytest.mark.parametrize("words", [[], ["--timescale", "--citus"]])
async def test_one_engine_is_chosen(words: list[str]) -> None:
    answer = await run("db", "scale", *words)
    assert (answer.exit_code, "choose one" in answer.output) == (1, True)
