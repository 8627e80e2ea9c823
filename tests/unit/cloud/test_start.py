"""`solarhub` starts quickly: a command imports what it needs, when it is run, and help says the same as ever."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from cloud.billing.case_file.examples import example_json
from cloud.billing.finance_file import example_json as finance_json
from cloud.cli import app
from cloud.core.lazy import Later, LazyCommand, LazyGroup, part

# What takes long to import, and what only an installation needs: nothing of it prices a case.
HEAVY = (
    "alembic",
    "asyncpg",
    "cloud.auth",
    "cloud.core.db",
    "cloud.core.settings",
    "cloud.main",
    "cloud.reports",
    "cloud.telemetry",
    "cloud.web",
    "dramatiq",
    "fastapi",
    "numpy",
    "pydantic_settings",
    "redis",
    "reportlab",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
)
# A new interpreter runs the commands one after the other, and tells what was imported after each.
RUN = """
import contextlib, io, json, sys
from cloud.cli import app
told = []
for words in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            app(words, prog_name="solarhub")
        except SystemExit as leave:
            told.append({"words": words, "code": leave.code, "out": out.getvalue(), "modules": sorted(sys.modules)})
json.dump(told, sys.stdout)
"""
RATE = {
    "label": "flat",
    "utility": "Example Utility",
    "name": "Flat",
    "startdate": 1704067200,
    "energyratestructure": [[{"rate": 0.1}]],
    "energyweekdayschedule": [[0] * 24] * 12,
    "energyweekendschedule": [[0] * 24] * 12,
}


def strangers(modules: list[str]) -> list[str]:
    return [name for name in modules if any(name == heavy or name.startswith(f"{heavy}.") for heavy in HEAVY)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("start")
    files = {"case": example_json(), "question": finance_json(), "rate": json.dumps(RATE)}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    commands = [
        ["--version"],
        ["tariffs", "import-urdb", str(folder / "rate")],
        ["finance", "--file", str(folder / "question")],
        ["bill", "--example"],
        ["bill", "--file", str(folder / "case"), "--json"],
        ["bill", "--file", str(folder / "case")],
        ["tariffs", "list"],
        ["tariffs", "show", "residential_unprotected", "--on", "2026-09-20"],
        ["tariffs", "diff", "residential_unprotected", "2026-01-20", "2026-09-20"],
        ["tariffs", "validate"],
        ["tariffs", "--help"],
        ["--help"],
    ]
    # Without settings: none of these commands may ask for an installation.
    env = {name: value for name, value in os.environ.items() if not name.startswith("SOLARHUB_")}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(commands),
        env=env | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert [run["words"] for run in told] == commands
    return told


def test_they_answer_without_an_installation(runs: list[dict[str, Any]]) -> None:
    for run in runs:
        assert run["code"] == 0, run["words"]
        assert run["out"], run["words"]
    assert json.loads(runs[4]["out"])["bill_breakdown"]["energy_charges"]


def test_what_needs_no_installation_imports_none(runs: list[dict[str, Any]]) -> None:
    for run in runs:
        assert strangers(run["modules"]) == [], run["words"]


def test_the_version_alone_imports_no_command(runs: list[dict[str, Any]]) -> None:
    assert [name for name in runs[0]["modules"] if name.startswith("cloud.")] == [
        "cloud.cli",
        "cloud.core",
        "cloud.core.lazy",
    ]


def test_a_heavy_import_would_be_seen() -> None:
    assert strangers(["cloud.webs", "cloud.web.services", "json", "sqlalchemy"]) == ["cloud.web.services", "sqlalchemy"]


def stand_ins(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, LazyCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, LazyCommand):
            yield " ".join((*path, name)), command
            loaded = command.load()
            if hasattr(loaded, "commands"):
                yield from stand_ins(loaded, (*path, name))


def test_each_line_of_help_is_the_commands_own() -> None:
    found = dict(stand_ins(get_command(app)))
    assert {"bill", "serve", "tariffs", "tariffs validate", "telemetry", "db"} <= found.keys()
    for words, command in found.items():
        loaded = command.load()
        assert not isinstance(loaded, LazyCommand), words
        assert loaded.name == command.name == words.split()[-1]
        first = inspect.cleandoc(loaded.help or "").partition("\n\n")[0]
        assert command.help == first, words


def test_all_commands_are_there_in_order() -> None:
    assert [words for words, _ in stand_ins(get_command(app))] == [
        "serve",
        "worker",
        "scheduler",
        "migrate",
        "create-admin",
        "new-secret-key",
        "demo",
        "finance",
        "bill",
        "bills",
        "tariffs",
        "tariffs load",
        "tariffs list",
        "tariffs show",
        "tariffs diff",
        "tariffs validate",
        "tariffs import-urdb",
        "telemetry",
        "db",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tarifs"], "No such command 'tarifs'. Did you mean 'tariffs'?"),
        (["tariffs", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["bill", "--fil", "x"], "No such option: --fil"),
        (["db", "scale", "more"], "Got unexpected extra argument(s) (more)"),
    ],
)
def test_a_misspelt_command_is_refused_as_ever(words: list[str], message: str) -> None:
    answer = CliRunner().invoke(app, words, env={"COLUMNS": "200", "TERM": "dumb"})
    assert answer.exit_code == 2
    assert message in answer.output


def test_the_command_line_names_the_whole_command() -> None:
    answer = CliRunner().invoke(app, ["tariffs", "show", "--help"], prog_name="solarhub", env={"COLUMNS": "200"})
    assert answer.exit_code == 0
    assert "Usage: solarhub tariffs show [OPTIONS] " in answer.output


@pytest.mark.parametrize(
    ("typed", "position", "expected"),
    [
        ("solarhub ta", 1, ["tariffs"]),
        ("solarhub tariffs l", 2, ["load", "list"]),
        ("solarhub bill --la", 2, ["--language"]),
        ("solarhub bill --language u", 3, ["ur"]),
        ("solarhub telemetry re", 2, ["recompute", "restore"]),
    ],
)
def test_names_and_options_are_completed(typed: str, position: int, expected: list[str]) -> None:
    env = {"_SOLARHUB_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(position)}
    assert CliRunner().invoke(app, [], prog_name="solarhub", env=env).output.split() == expected


def test_a_place_that_is_not_there_is_told() -> None:
    with pytest.raises(ImportError, match=r"cloud\.cli\.nowhere"):
        part("cloud.cli.nowhere:bill")
    with pytest.raises(AttributeError, match="nothing"):
        part("cloud.billing.commands.bill:nothing")


class Family(LazyGroup):
    later = (
        Later("dump", "json:dumps_nothing", "Not there."),
        Later("key", "cloud.cli.secret_key:new_secret_key", "Print a key."),
    )


def test_a_group_lists_what_it_cannot_import_and_runs_what_it_can() -> None:
    family = typer.Typer(cls=Family, add_completion=False)
    family.callback()(lambda: None)
    assert "Not there." in CliRunner().invoke(family, ["--help"]).output
    assert len(CliRunner().invoke(family, ["key"]).output.strip()) == 44  # 32 bytes in base64
    assert isinstance(CliRunner().invoke(family, ["dump"]).exception, AttributeError)
