"""Who may import whom and what."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.architecture.source import Module

# library -> where it may be imported. What is not listed here is left to the import contracts in pyproject.toml.
DOORS: dict[str, tuple[str, ...]] = {
    "pymodbus": ("edge_agent/drivers/modbus_server.py",),
    "serial": ("edge_agent/drivers/serial_line.py",),
    "aiomqtt": ("edge_agent/drivers/mqtt.py",),
    "paho": ("edge_agent/drivers/mqtt.py",),
    "httpx": ("edge_agent/uplink.py", "edge_agent/drivers/http.py", "cloud/demo/client.py"),
    "tenacity": ("edge_agent/uplink.py",),
    "sqlite_utils": ("edge_agent/store/*", "edge_agent/cli.py"),
    "reportlab": ("cloud/reports/render*",),
    "asyncpg": ("cloud/core/db.py", "cloud/core/bulk.py", "*/repository.py", "*/repository/*"),
    "alembic": ("cloud/core/migrate.py",),
    "dramatiq": ("cloud/core/jobs.py",),
    "jwt": ("cloud/auth/*",),
    "pwdlib": ("cloud/auth/*",),
    "cryptography": ("cloud/core/crypto.py", "cloud/auth/*"),
    "arro3": ("*/render.py",),
    "uuid_utils": ("cloud/core/ids.py",),
    "zstandard": ("cloud/web/bodies.py",),
}

SQL_FILES = (
    "*/repository.py",
    "*/repository/*",
    "*/tables.py",
    "cloud/core/db.py",
    "cloud/core/roles.py",
    "cloud/core/migrate.py",
)
# With these a statement begins; types (`Row`, `Select`) and errors are free.
SQL_WORDS = {"select", "insert", "update", "delete", "text", "exists", "union", "union_all", "func", "values", "cast"}


def strangers(modules: Iterable[Module], library: str, doors: tuple[str, ...]) -> list[str]:
    return [
        f"{module.name}:{line} imports {name}"
        for module in modules
        for line, name in module.imports
        if name.split(".")[0] == library and not any(fnmatch(module.name, door) for door in doors)
    ]


@pytest.mark.parametrize("library", sorted(DOORS))
def test_each_library_has_one_door(modules: list[Module], library: str) -> None:
    found = strangers(modules, library, DOORS[library])
    assert not found, "\n".join(found)


def test_a_second_door_would_be_seen() -> None:
    source = "def read():\n    from pymodbus.client import AsyncModbusTcpClient\n"
    module = Module(name="edge_agent/poller.py", text=source, tree=ast.parse(source))
    assert strangers([module], "pymodbus", DOORS["pymodbus"]) == [
        "edge_agent/poller.py:2 imports pymodbus.client",
    ]


def test_only_repositories_write_sql(modules: list[Module]) -> None:
    found = [
        f"{module.name}:{line} imports {name}"
        for module in modules
        for line, name in module.imported_names
        if name.startswith("sqlalchemy.")
        and name.rsplit(".", 1)[1] in SQL_WORDS
        and not any(fnmatch(module.name, allowed) for allowed in SQL_FILES)
    ]
    assert not found, "\n".join(found)


def test_import_contracts_hold(root: Path) -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache", "--no-logo"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_imports_stand_at_the_top_and_name_the_whole_path(modules: list[Module]) -> None:
    found = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = (part for part in ast.walk(node) if isinstance(part, ast.Import | ast.ImportFrom))
                found += [f"{module.name}:{part.lineno} imports inside {node.name}" for part in inner]
            elif isinstance(node, ast.ImportFrom) and node.level:
                found.append(f"{module.name}:{node.lineno} imports relatively")
    assert not found, "\n".join(found)
