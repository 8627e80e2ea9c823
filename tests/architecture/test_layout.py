"""Folders and files: what stands where, and what must not."""

import os
import re
import tomllib
from pathlib import Path

import pytest

PACKAGES = ("shared", "edge_agent", "cloud")
FOLDERS = (*PACKAGES, "migrations", "packaging", "systemd", "tests")
NO_PACKAGES = ("migrations", "packaging", "systemd", "tests")
GRAB_BAGS = re.compile(r"(utils?|helpers?|misc|common|managers?|base_\w+)\.py")


def test_the_top_level_is_what_it_is_meant_to_be(root: Path) -> None:
    ours = {
        path.name
        for path in root.iterdir()
        if path.is_dir() and not path.name.startswith((".", "__")) and path.name not in {"dist", "build"}
    }
    assert ours == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_explains_itself(root: Path, folder: str) -> None:
    text = (root / folder / "README.md").read_text()
    assert len(text.splitlines()) >= 5


@pytest.mark.parametrize("folder", NO_PACKAGES)
def test_folders_that_would_shadow_a_package_are_none(root: Path, folder: str) -> None:
    found = {path.relative_to(root).as_posix() for path in (root / folder).rglob("__init__.py")}
    # A library in the virtual environment brings a package `tests`, and a package comes before a mere folder.
    assert not found - {"tests/__init__.py"}, "\n".join(sorted(found))


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_folder_can_be_imported(root: Path, package: str) -> None:
    """A folder without ``__init__.py`` imports too, but the linters and the import contracts walk past it."""
    folders = {path.parent for path in (root / package).rglob("*.py")}
    assert [str(folder.relative_to(root)) for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_a_grab_bag(root: Path, package: str) -> None:
    assert [str(path) for path in (root / package).rglob("*.py") if GRAB_BAGS.fullmatch(path.name)] == []


def test_scripts_can_be_run(root: Path) -> None:
    scripts = [root / ".ci" / "run", *(root / "packaging").glob("*.sh")]
    assert len(scripts) > 2
    for script in scripts:
        assert os.access(script, os.X_OK), script
        assert script.read_text().startswith("#!/usr/bin/env bash\n"), script
        assert "\nset -euo pipefail\n" in script.read_text(), script


def test_commands_and_extras_are_the_promised_ones(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"solarhub": "cloud.cli:app", "solarhub-edge": "edge_agent.cli:app"}
    assert set(project["optional-dependencies"]) == {"edge", "cloud", "embedded", "parquet"}


def test_what_git_ignores_is_not_part_of_the_source(root: Path) -> None:
    ignored = (root / ".gitignore").read_text().split()
    assert {".venv/", ".demo/", "__pycache__/"} <= set(ignored)
