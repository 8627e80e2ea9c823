"""The systemd units start what exists, and may do no more than they need."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from cloud.cli import app as cloud_app
from edge_agent.cli import app as edge_app
from tests.architecture.source import ROOT

UNITS = sorted((ROOT / "systemd").glob("*.service"))
PROGRAMS = {"solarhub": cloud_app, "solarhub-edge": edge_app}
MOST_EXPOSURE = 2.0


def service(unit: Path) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)  # a directive may stand twice
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # directives keep their case
    parser.read(unit)
    return parser["Service"]


def test_there_is_a_unit_for_each_long_lived_program() -> None:
    assert [unit.stem for unit in UNITS] == [
        "solarhub-cloud-api",
        "solarhub-cloud-scheduler",
        "solarhub-cloud-worker",
        "solarhub-edge",
    ]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_that_exists(unit: Path) -> None:
    program, command = service(unit)["ExecStart"].split()
    assert Path(program).parent == Path("/opt/solarhub/bin")
    assert command in get_command(PROGRAMS[Path(program).name]).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_waits_for_readiness_and_comes_back(unit: Path) -> None:
    settings = service(unit)
    assert settings["Type"] == "notify"
    assert settings["Restart"] == "always"
    assert settings["User"] not in {"", "root"}
    assert settings["NoNewPrivileges"] == "yes"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_rated_safe_by_systemd(unit: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on this machine")
    command = [program, "security", "--offline=yes", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rating = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert rating, done.stdout + done.stderr
    assert float(rating[1]) < MOST_EXPOSURE, done.stdout


def test_the_agent_may_ask_about_its_clock_and_its_boot() -> None:
    """It reads adjtimex(2) and the boot id; the usual hardening forbids both."""
    text = next(unit for unit in UNITS if unit.stem == "solarhub-edge").read_text()
    assert "\nSystemCallFilter=adjtimex clock_adjtime\n" in text
    assert "\nProtectClock=" not in text
    assert "\nProcSubset=" not in text
