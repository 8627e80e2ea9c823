"""`solarhub telemetry import`."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.cli import app
from tests.conftest import FreshDatabase
from tests.integration.importing.files import MAPPING, export, grid
from tests.integration.telemetry.home import Home


def environment(database: FreshDatabase) -> dict[str, str]:
    return {
        "SOLARHUB_DATABASE_URL": database.app_url,
        "SOLARHUB_REDIS_URL": "redis://127.0.0.1:1/0",
        "SOLARHUB_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
    }


async def test_the_command_as_a_process(home: Home, fresh_database: FreshDatabase, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    export(folder / "1.csv", grid(date(2026, 6, 1), date(2026, 6, 1)))
    export(folder / "2.CSV", grid(date(2026, 6, 3), date(2026, 6, 3)))
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(MAPPING)
    command = [sys.executable, "-m", "cloud", "telemetry", "import", "--site", str(home.site_id), "--map", str(mapping)]
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, "--json", str(folder)],
        env=os.environ | environment(fresh_database) | {"PYTHONPATH": str(Path.cwd())},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["files"], result["stored"], result["rejects_file"]) == (2, 4 * 97, None)
    assert result["first_at"] == "2026-05-31T19:00:00+00:00"
    assert "1.csv: read to its end" in done.stderr
    assert not (tmp_path / "import-rejects.csv").exists()


async def test_the_command_explains_itself(
    home: Home, fresh_database: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(fresh_database).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    mapping, data = tmp_path / "mapping.toml", tmp_path / "a.csv"
    mapping.write_text(MAPPING)
    data.write_text("time,P,E,Import\n2026-06-01 12:00,1000,5000000,1000\nTotal,,,\n")
    arguments = ["telemetry", "import", "--site", str(home.site_id), "--map", str(mapping)]
    done = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, str(data)])
    assert done.exit_code == 0, done.output
    assert "1 files, 2 rows: 2 readings from 2026-06-01T07:00:00+00:00 to 2026-06-01T07:00:00+00:00" in done.stdout
    assert (
        "2 stored (0 flagged), 0 there already, 0 quarantined\n1 rows rejected, see import-rejects.csv\n" in done.stdout
    )
    assert "2 quarter-hours wait for the workers" in done.stdout
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    for paths, said in (([nothing], "has no file whose name ends with .csv"), ([tmp_path / "b.csv"], "No such file")):
        refused = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, *map(str, paths)])
        assert (refused.exit_code, said in refused.stderr) == (1, True), refused.output
