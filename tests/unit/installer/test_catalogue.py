"""Profiles as an installer lists, checks and begins them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli import app
from edge_agent.installer.catalogue import entries, findings, skeleton
from edge_agent.profiles.load import ProfileLibrary

SHIPPED = Path(__file__).parents[3] / "edge_agent" / "profiles" / "definitions"
FILLED = {
    'title = "" ': 'title = "Maker XY" ',
    "platforms = []": 'platforms = ["XY-5K"]',
    "# [[sources]]\n# title": "[[sources]]\ntitle",
    "# address = 100": "address = 100",
    '# unit = "W"': 'unit = "W"',
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["profiles", *map(str, arguments)])


def test_the_list_has_every_profile_and_what_it_is_for() -> None:
    listed = json.loads(run("list", "--json").stdout)
    library = ProfileLibrary()
    assert {(entry["kind"], entry["name"]) for entry in listed} >= {
        ("sunspec", "sunspec"),
        *(("modbus", name) for name in library.modbus_names()),
        *(("mqtt", name) for name in library.mqtt_names()),
    }
    (deye,) = [entry for entry in listed if entry["name"] == "deye_1p_hybrid"]
    assert "Inverex NitroX SP" in deye["sold_as"]
    assert deye["device_types"] == ["battery", "inverter", "meter"]
    assert deye["trouble"] is None


def test_a_profile_is_found_by_the_brand_on_its_case() -> None:
    found = {entry["name"] for entry in json.loads(run("list", "nitrox", "sp", "--json").stdout)}
    assert "deye_1p_hybrid" in found
    assert run("list", "nosuchbrand").stdout == ""
    assert "Inverex NitroX SP" in run("list", "NitroX").stdout


def test_a_broken_file_is_listed_with_its_trouble(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("format = 1\n")
    (broken,) = [entry for entry in entries(ProfileLibrary(tmp_path)) if entry.trouble]
    assert broken.name == "mine"
    assert "mine.toml" in broken.trouble
    assert run("lint", "--folder", tmp_path).exit_code == 1
    assert "BROKEN" in run("list", "--folder", tmp_path).stdout


@pytest.mark.parametrize("name", ["deye_1p_hybrid", "shelly_gen2_em"])
def test_one_profile_is_shown_whole(name: str) -> None:
    shown = json.loads(run("show", name, "--json").stdout)
    assert shown["name"] == name
    text = run("show", name).stdout
    assert all(source["title"] in text for source in shown["sources"])
    assert all(row["metric"] in text for row in shown.get("row", []) if "metric" in row)


@pytest.mark.parametrize(("name", "word"), [("nosuch", "deye_1p_hybrid"), ("sunspec", "device read")])
def test_what_cannot_be_shown_is_a_wrong_command(name: str, word: str) -> None:
    result = run("show", name, "--json")
    assert result.exit_code == 2
    assert word in json.loads(result.stderr)["error"]


def test_what_comes_with_the_agent_is_sound() -> None:
    result = run("lint", "--json")
    assert [entry for entry in json.loads(result.stdout) if entry["findings"]] == []
    assert result.exit_code == 0


def test_a_new_profile_lints_with_clear_findings_until_it_is_filled(tmp_path: Path) -> None:
    begun = json.loads(run("new", "maker_xy", "--out", tmp_path, "--json").stdout)
    path = tmp_path / "maker_xy.toml"
    assert begun["file"] == str(path)
    assert begun["findings"] == [
        "platforms is empty: name at least one",
        "sources is missing: add it",
        "row.1: give either address or addresses",
    ]
    linted = run("lint", path, "--json")
    assert linted.exit_code == 1
    assert json.loads(linted.stdout) == [{"profile": str(path), "findings": begun["findings"]}]
    left: list[list[str]] = []
    text = path.read_text()
    for blank, filled in FILLED.items():
        assert blank in text
        text = text.replace(blank, filled)
        path.write_text(text)
        left.append(findings(path))
    assert left[-2] == ["row.1: unit is missing: say what the device counts in (ac_power_kw is kept in kW)"]
    assert left[-1] == []
    assert run("lint", path).exit_code == 0
    assert ProfileLibrary(tmp_path).modbus("maker_xy").title == "Maker XY"


def test_an_empty_title_and_another_name_are_findings(tmp_path: Path) -> None:
    text = skeleton("one")
    for blank, filled in list(FILLED.items())[1:]:
        text = text.replace(blank, filled)
    path = tmp_path / "two.toml"
    path.write_text(text)
    first, second = findings(path)
    assert "title is empty" in first
    assert "'one'" in second
    assert "'two'" in second


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("format = ", ["TOML"]),
        (skeleton("x").replace('"high_first"', '"middle_first"'), ["word_order = 'middle_first'", "high_first"]),
        (skeleton("x").replace("max_gap", "max_gab"), ["bus.max_gab", "not permitted"]),
    ],
)
def test_a_finding_names_place_and_value(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    found = "; ".join(findings(path))
    assert [word for word in words if word not in found] == []


def test_topic_maps_are_checked_as_such(tmp_path: Path) -> None:
    (tmp_path / "mqtt").mkdir()
    path = tmp_path / "mqtt" / "shelly_gen2_em.toml"
    path.write_text((SHIPPED / "mqtt" / "shelly_gen2_em.toml").read_text())
    assert findings(path) == []
    path.write_text(path.read_text().replace("format = 1", "format = 2"))
    assert "format = 2" in findings(path)[0]


def test_nothing_is_overwritten_and_nothing_is_written_elsewhere(tmp_path: Path) -> None:
    assert run("new", "mine", "--out", tmp_path).exit_code == 0
    before = (tmp_path / "mine.toml").read_text()
    again = run("new", "mine", "--out", tmp_path)
    assert (again.exit_code, "there already" in again.stderr) == (2, True)
    assert (tmp_path / "mine.toml").read_text() == before
    for name in ("../mine", "Mine", "1mine", "mine.toml", ""):
        assert run("new", name, "--out", tmp_path).exit_code == 2
    assert run("new", "mine", "--out", tmp_path / "nosuch").exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.toml"]


def test_a_file_that_is_not_there_is_a_wrong_command(tmp_path: Path) -> None:
    result: Any = run("lint", tmp_path / "gone.toml", "--json")
    assert result.exit_code == 2
    assert "gone.toml" in json.loads(result.stderr)["error"]
