"""The whole product as a new user meets it: one day end to end, and the live demo until Ctrl-C."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from pypdf import PdfReader

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(420)]

SOLARHUB = Path(sys.executable).with_name("solarhub")
LAHORE = ZoneInfo("Asia/Karachi")


def run_demo(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(SOLARHUB), "demo", *arguments, "--folder", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)


def processes_with(word: str) -> list[str]:
    """Command lines of processes that name the folder of this run: what the demo should have ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the two looks
        if word in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    ended = run_demo("--day", "--json", folder=tmp_path_factory.mktemp("demo"))
    assert ended.returncode == 0, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


def test_nothing_is_missing_and_nothing_doubled(day: dict[str, Any]) -> None:
    assert day["readings_polled"] > 4_000
    assert day["readings_in_cloud"] == day["readings_polled"]
    assert (day["missing"], day["duplicates"]) == (0, 0)


def test_the_energies_are_those_of_the_counters_to_the_last_digit(day: dict[str, Any]) -> None:
    assert day["cloud_energy_kwh"] == day["true_energy_kwh"]
    flows = day["cloud_energy_kwh"]
    assert flows["generated"] > 10
    sources = flows["generated"] + flows["imported"] + flows["discharged"]
    assert sources == pytest.approx(flows["consumed"] + flows["exported"] + flows["charged"], abs=1e-9)


def test_every_level_has_its_buckets(day: dict[str, Any]) -> None:
    # Five devices and the site itself. Some quarter-hours are missing where the agent was dead, and one more begins at midnight.
    buckets = day["buckets"]
    assert 6 * 80 <= buckets["quarter_hour"] <= 6 * 98
    assert 6 * 22 <= buckets["hour"] <= 6 * 26
    assert 6 <= buckets["day"] <= 12
    assert 6 <= buckets["month"] <= 12


def test_the_edges_alert_keeps_its_true_time_and_the_cloud_heard_the_silence(day: dict[str, Any]) -> None:
    alerts = {alert["title"]: alert for alert in day["alerts"]}
    edge, cloud = alerts["Grid voltage high"], alerts["Nothing heard"]
    assert (edge["source"], edge["status"], cloud["source"], cloud["status"]) == (
        "edge",
        "resolved",
        "cloud",
        "resolved",
    )
    began = datetime.fromisoformat(edge["triggered_at"]).astimezone(LAHORE)
    ended = datetime.fromisoformat(edge["resolved_at"]).astimezone(LAHORE)
    assert began.date().isoformat() == day["day"]
    # From 13:10 to 13:50. A second in which this machine stands still is a quarter of an hour of that day.
    assert (13, 10) <= (began.hour, began.minute) < (13, 45)
    assert (13, 50) <= (ended.hour, ended.minute) < (14, 30)


def test_there_is_a_bill_and_a_report(day: dict[str, Any]) -> None:
    assert float(day["bill_total_pkr"]) > 0
    path = Path(day["report"]["path"])
    assert path.stat().st_size == day["report"]["size_bytes"]
    words = " ".join(page.extract_text() for page in PdfReader(path).pages)
    assert "Performance summary" in words
    assert f"{day['cloud_energy_kwh']['generated']:.1f}" in words


async def test_the_live_demo_shows_its_pages_and_ends_cleanly(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(str(SOLARHUB), "demo", "--folder", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(180):
            while "Ctrl-C" not in (line := (await process.stdout.readline()).decode()):
                assert line, "".join(lines)
                lines.append(line)
        addresses = [word for line in lines for word in line.split() if word.startswith("http://127.0.0.1")]
        async with httpx.AsyncClient() as http:
            for address in addresses:
                answer = await http.get(address)
                assert (answer.status_code, "text/html" in answer.headers["content-type"]) == (200, True), address
        assert len(addresses) == 2
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, rest.decode()
    assert "everything has ended" in rest.decode()
    assert processes_with(str(tmp_path)) == []


async def test_a_day_that_is_ended_early_leaves_nothing_running(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(str(SOLARHUB), "demo", "--day", "--folder", str(tmp_path)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(120):
        assert b"cloud is up" in await process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode not in {0, -signal.SIGTERM}
    assert processes_with(str(tmp_path)) == []
