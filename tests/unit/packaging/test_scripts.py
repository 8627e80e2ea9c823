"""The set-up scripts on machines that lack something: what they install, and what they say when they may not."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NEEDED = ("bash", "dirname", "env")


class Machine:
    """A PATH with chosen programs only, and apt-get that writes down what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.asked = folder / "asked"
        for name in NEEDED:
            program = shutil.which(name)
            assert program
            (self.bin / name).symlink_to(program)

    def add(self, name: str, script: str = "exit 0") -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def add_apt(self, *, user: int) -> None:
        self.add("id", f"echo {user}")
        self.add("apt-get", f'echo "$DEBIAN_FRONTEND $*" >>"{self.asked}"')

    def run(self, script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "packaging" / script, *arguments],
            env={"PATH": str(self.bin), **environ},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_asked_for_what_is_there(machine: Machine) -> None:
    machine.add_apt(user=0)
    machine.add("solar-broker")
    done = machine.run("debian-packages.sh", "solar-broker=broker-package")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not machine.asked.exists()


def test_root_gets_the_missing_packages_and_no_others(machine: Machine) -> None:
    machine.add_apt(user=0)
    machine.add("solar-broker")
    done = machine.run(
        "debian-packages.sh", "solar-broker=broker-package", "solar-browser=browser-package", "solar-font"
    )
    assert done.returncode == 0, done.stderr
    update, install = machine.asked.read_text().splitlines()
    assert update.startswith("noninteractive ")
    assert update.endswith(" update")
    assert install.endswith(" install --no-install-recommends browser-package solar-font")


def test_anybody_else_is_told_what_to_install(machine: Machine) -> None:
    machine.add_apt(user=1000)
    done = machine.run("debian-packages.sh", "solar-broker=broker-package")
    assert done.returncode == 1
    assert "sudo apt-get install --no-install-recommends broker-package" in done.stderr
    assert not machine.asked.exists()


def test_a_system_without_apt_is_told_what_is_missing(machine: Machine) -> None:
    done = machine.run("debian-packages.sh", "solar-broker=broker-package")
    assert done.returncode == 1
    assert "broker-package" in done.stderr
    assert "no apt-get" in done.stderr


def test_a_failed_installation_fails(machine: Machine) -> None:
    machine.add("id", "echo 0")
    machine.add("apt-get", "exit 100")
    assert machine.run("debian-packages.sh", "solar-broker=broker-package").returncode == 100


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the scripts alone, so that no environment of the project is touched."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "packaging", folder / "packaging", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def set_up(checkout: Path, machine: Machine, **environ: str) -> subprocess.CompletedProcess[str]:
    script = os.path.relpath(checkout / "packaging" / "setup-environment.sh", ROOT / "packaging")
    return machine.run(script, **environ)


def test_an_old_python_is_named(checkout: Path, machine: Machine) -> None:
    machine.add("old-python", "exit 1")
    done = set_up(checkout, machine, PYTHON="old-python")
    assert done.returncode == 1
    assert "No Python 3.11 or newer" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_leads_to_its_package(checkout: Path, machine: Machine) -> None:
    """Debian's python3 can import venv but has no ensurepip before python3.x-venv is installed."""
    machine.add_apt(user=1000)
    machine.add("bare-python", 'case "$2" in *ensurepip*) exit 1;; *print*) echo python3.11-venv;; esac')
    done = set_up(checkout, machine, PYTHON="bare-python")
    assert done.returncode == 1
    assert "sudo apt-get install --no-install-recommends python3.11-venv" in done.stderr
    assert not (checkout / ".venv").exists()
