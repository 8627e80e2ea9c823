"""`solarhub tariffs import-urdb`."""

import json
import tomllib
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cloud.billing.catalogue import parse_catalogue
from cloud.cli import app

EVENING = [[0] * 16 + [1] * 5 + [0] * 3] * 12
RATE: dict[str, Any] = {
    "label": "example-tou",
    "utility": "Example Utility",
    "name": "Time of use “B”\\",
    "startdate": 1704067200,
    "dgrules": "Net Billing Instantaneous",
    "energyratestructure": [[{"rate": 0.1, "sell": 0.04}], [{"rate": 0.25, "sell": 0.06}]],
    "energyweekdayschedule": EVENING,
    "energyweekendschedule": [[0] * 24] * 12,
    "flatdemandstructure": [[{"rate": 5}]],
    "flatdemandmonths": [0] * 12,
    "demandwindow": 15,
    "fixedchargefirstmeter": 12,
    "fixedchargeunits": "$/month",
    "voltageminimum": 120,
}


@pytest.fixture
def rate_file(tmp_path: Path) -> Path:
    file = tmp_path / "rate.json"
    file.write_text(json.dumps({"items": [RATE]}))
    return file


@pytest.fixture
def intervals_file(tmp_path: Path) -> Path:
    """June 2026, hourly: 1 kWh imported at night and in the evening, 2 kWh exported at noon."""
    lines = ["start,imported_kwh,exported_kwh,generated_kwh,consumed_kwh"]
    start = datetime(2026, 6, 1)  # noqa: DTZ001 -- local time, as a meter's export has it
    for hour in range(30 * 24):
        noon = 9 <= hour % 24 < 15
        lines.append(f"{start + timedelta(hours=hour)},{0 if noon else 1},{2 if noon else 0},{3 if noon else 0},1")
    file = tmp_path / "intervals.csv"
    file.write_text("\n".join(lines))
    return file


def run(*words: object, code: int = 0) -> str:
    answer = CliRunner().invoke(app, ["tariffs", "import-urdb", *map(str, words)])
    assert answer.exit_code == code, answer.output
    return answer.output


def test_plan_and_warnings_in_words(rate_file: Path) -> None:
    text = run(rate_file)
    assert "Example Utility: Time of use “B”\\, from 2024-01-01" in text
    assert "2 energy periods, 1 flat and 0 timed demand charges, net billing, in USD" in text
    assert "warning: voltageminimum: who may have the tariff is not checked" in text


def test_the_plan_is_written_as_tariff_data(rate_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.toml"
    assert f"written to {out}; it names no company: every one is meant" in run(rate_file, "--out", out)
    document = tomllib.loads(out.read_text())
    (plan,) = parse_catalogue([document]).plans
    assert plan.name == "Example Utility: Time of use “B”\\"
    assert plan.category == "imported"
    printed = json.loads(run(rate_file, "--json"))["plan"]
    assert printed.pop("effective_to") is None
    assert document["plans"] == [printed | {"effective_from": plan.effective_from}]
    validated = CliRunner().invoke(app, ["tariffs", "validate", str(out)])
    assert validated.output == "nothing is wrong\n"


def test_a_category_and_a_company_of_ours(rate_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.toml"
    text = run(rate_file, "--out", out, "--category", "general_services", "--company", "lesco", "--from", "2025-01-01")
    assert text.endswith(f"written to {out}\n")
    document = tomllib.loads(out.read_text())
    assert "categories" not in document or document["categories"] == []
    (plan,) = parse_catalogue([document]).plans
    assert (plan.category, plan.disco_providers, str(plan.effective_from)) == (
        "general_services",
        ("lesco",),
        "2025-01-01",
    )


def test_intervals_are_priced_with_it(rate_file: Path, intervals_file: Path) -> None:
    bills = json.loads(run(rate_file, "--price", intervals_file, "--zone", "America/Denver", "--json"))["bills"]
    (june,) = bills["months"]
    # 22 weekdays: 110 evening hours; 540 hours with import, 360 kWh exported outside the evening.
    assert [(line["label"], line["quantity"], line["amount"]) for line in june["lines"]] == [
        ("Energy charge, period 1", "430", "43.00"),
        ("Energy charge, period 2", "110", "27.50"),
        ("Demand charge", "1", "5.00"),
        ("Fixed charge", "1", "12.00"),
        ("Credit for exported units, period 1", "360", "-14.40"),
    ]
    assert (june["month"], june["total"], bills["total"], bills["currency"]) == ("2026-06", "73.10", "73.10", "USD")
    without = Decimal("61.00") + Decimal("27.50") + 5 + 12
    assert Decimal(bills["total_without_solar"]) == without
    assert Decimal(bills["total_savings"]) == without - Decimal("73.10")
    assert bills["assumptions"] == [
        "Demand is billed over 15 minutes and the data is of 60: the highest demand may be higher than the one that was billed here.",
        "Saturdays and Sundays are at weekend hours, holidays at those of their weekday.",
    ]


def test_bills_in_words(rate_file: Path, intervals_file: Path) -> None:
    text = run(rate_file, "--price", intervals_file, "--zone", "America/Denver")
    assert "    Energy charge, period 2: 110 kWh × 0.25 USD/kWh = 27.50" in text
    assert "total             73.10 USD" in text
    assert "without solar 105.50, saved 32.40" in text
    assert "assumed: Saturdays and Sundays" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:50] + lines[51:], "the interval at 2026-06-03T01:00:00+05:00 is missing"),
        (lambda lines: [*lines[:50], lines[50].split(",")[0] + ",,,,", *lines[51:]], "was not measured"),
        (
            lambda lines: [lines[0], *(line.replace(":00:00", ":30:00") for line in lines[1:])],
            "is not on a step of 60 minutes",
        ),
    ],
)
def test_data_with_holes_is_not_priced(rate_file: Path, intervals_file: Path, change: Any, words: str) -> None:
    intervals_file.write_text("\n".join(change(intervals_file.read_text().split("\n"))))
    assert words in run(rate_file, "--price", intervals_file, code=1)


def test_a_part_of_a_month_is_said_to_be_one(rate_file: Path, intervals_file: Path) -> None:
    lines = intervals_file.read_text().split("\n")
    intervals_file.write_text("\n".join(lines[: 1 + 48]))
    text = run(rate_file, "--price", intervals_file)
    assert (
        "assumed: 2026-06 is covered for 48 of 720 hours: its charges by month and day are those of the whole month."
        in text
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("missing.json",), "missing.json cannot be read"),
        (("RATE", "--price", "missing.csv"), "missing.csv cannot be read"),
        (("RATE", "--out", "/nowhere/plan.toml"), "/nowhere/plan.toml cannot be written"),
        (("RATE", "--label", "x"), "the file has 0"),
        (("RATE", "--price", "CSV", "--zone", "Moon/Sea"), "zone is 'Moon/Sea'"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    words: tuple[str, ...], told: str, rate_file: Path, intervals_file: Path
) -> None:
    files = {"RATE": str(rate_file), "CSV": str(intervals_file)}
    text = run(*(files.get(word, word) for word in words), code=1)
    assert text.startswith("solarhub: ")
    assert told in text
