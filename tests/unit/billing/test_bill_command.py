"""`solarhub bill`: a case in, a bill out, without a database; what is wrong is one sentence and status 1."""

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cloud.billing.case_file.explain import explained_bill
from cloud.billing.case_file.pricing import price_case
from cloud.billing.case_file.reading import read_case
from cloud.billing.case_file.shape import EXAMPLE
from cloud.billing.catalogue import read_catalogue
from cloud.cli import app
from cloud.core.text import Language
from tests.architecture.source import ROOT

KNOWN: list[tuple[dict[str, Any], str]] = [
    (dict(EXAMPLE), "14096.48"),
    (
        {
            "disco": "KE",
            "category": "A-1(a)",
            "load_kw": "4",
            "previous_reading_date": "23 JUN 26",
            "reading_date": "23 JUL 26",
            "units": 254.0,
            "history": {"May-2026": 302},
        },
        "12261.76",
    ),
    (
        {
            "disco_provider": "kelectric",
            "tariff_category": "residential_unprotected",
            "sanctioned_load_kw": 5,
            "from": "2026-08-05",
            "to": "2026-09-04",
            "imported_kwh": "262",
            "units_history": {"2026-07": 608},
        },
        "14482.29",
    ),
    (
        {
            "disco": "lesco",
            "tariff": "A-2(c)",
            "sanctioned_load_kw": 60,
            "mdi_kw": 38,
            "bill_month": "2026-09",
            "off_peak_units": 6200,
            "peak_units": 1150,
            "history": {"2026-07": 7000},
            "rates_override": {"duty_percent": 0},
        },
        "472402.34",
    ),
]


def _run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, ["bill", *arguments], input=text)


def _write(folder: Path, case: dict[str, Any]) -> str:
    file = folder / "case.json"
    file.write_text(json.dumps(case), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(("case", "total"), KNOWN, ids=[total for _, total in KNOWN])
def test_known_bills(tmp_path: Path, case: dict[str, Any], total: str) -> None:
    answer = _run("--file", _write(tmp_path, case), "--json")
    assert json.loads(answer.output)["bill_breakdown"]["total_bill"] == total


@pytest.mark.slow  # starting the whole program takes seconds
@pytest.mark.parametrize(("case", "total"), KNOWN, ids=[total for _, total in KNOWN])
def test_known_bills_as_a_program_of_its_own(tmp_path: Path, case: dict[str, Any], total: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOLARHUB_")}
    done = subprocess.run(
        [sys.executable, "-m", "cloud", "bill", "--file", _write(tmp_path, case), "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    answer = json.loads(done.stdout)
    assert answer["bill_breakdown"]["total_bill"] == total
    assert {"bill_breakdown", "savings_breakdown", "lines", "warnings", "assumptions", "tariff", "content_hash"} <= set(
        answer
    )
    assert done.stderr == b""


def test_standard_input() -> None:
    answer = _run("--file", "-", "--json", text=json.dumps(EXAMPLE))
    assert json.loads(answer.output)["bill_breakdown"]["total_bill"] == "14096.48"


def test_the_example_prices(tmp_path: Path) -> None:
    printed = _run("--example").output
    answer = _run("--file", "-", "--json", text=printed)
    assert json.loads(answer.output)["bill_breakdown"]["total_bill"] == "14096.48"


def test_the_schema_is_one_of_json_schema() -> None:
    schema = json.loads(_run("--schema").output)
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(json.loads(_run("--example").output)) <= set(schema["properties"])


def test_a_csv_beside_the_case(tmp_path: Path) -> None:
    rows = ["timestamp,import_kwh", "2026-09-01 17:00,1.5", "2026-09-01 17:30,1.0", "2026-09-01 18:00,2.0"]
    (tmp_path / "june.csv").write_text("\n".join(rows), encoding="utf-8")
    case = {"disco": "lesco", "category": "A-2(c)", "load_kw": 8, "bill_month": "2026-09", "interval_csv": "june.csv"}
    answer = json.loads(_run("--file", _write(tmp_path, case), "--json").output)
    assert (answer["case"]["imported_kwh"], answer["case"]["imported_peak_kwh"]) == ("4.5", "2")


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ({**EXAMPLE, "unitz": 3}, "solarhub: unitz is not a field of the case; did you mean units"),
        (
            {**EXAMPLE, "disco_provider": "LESKO"},
            'solarhub: disco_provider is "LESKO", which is no company known here (did you mean lesco?)',
        ),
        ({**EXAMPLE, "interval_csv": "no.csv"}, "solarhub: interval_csv is "),
    ],
)
def test_what_is_wrong_is_one_sentence_and_status_one(tmp_path: Path, case: dict[str, Any], sentence: str) -> None:
    answer = _run("--file", _write(tmp_path, case), "--json")
    assert answer.exit_code == 1
    assert answer.output.startswith(sentence)
    assert answer.output.count("\n") == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = _run("--file", str(tmp_path / "none.json"))
    assert (missing.exit_code, missing.output.endswith("(No such file or directory); name a file that exists\n")) == (
        1,
        True,
    )
    binary = tmp_path / "case.json"
    binary.write_bytes(b"\xff\xfe{}")
    assert "is not UTF-8 text; save it as UTF-8" in _run("--file", str(binary)).output
    assert "name the case: --file case.json" in _run().output
    assert "--json stands beside --explain; choose one" in _run("--file", "-", "--json", "--explain", text="{}").output


# --- as a person reads it -----------------------------------------------------------------------------------------------------------


def _explained(case: dict[str, Any], language: Language = Language.EN) -> str:
    return explained_bill(price_case(read_case(case), read_catalogue()), language)


def test_a_bill_in_columns() -> None:
    told = _explained(dict(EXAMPLE))
    lines = told.splitlines()
    assert lines[0] == "ELECTRICITY BILL: kelectric, A-1(a) un-protected"
    assert lines[1] == "24 May 2026 - 23 Jun 2026 (31 days), bill month 2026-06"
    amounts = [line for line in lines if re.search(r"  -?[\d,]+\.\d\d$", line) and not line.startswith("    ")]
    assert len({len(line) for line in amounts}) == 1, "one column of amounts"
    order = [
        "Energy charge",
        "Fixed charge",
        "Fuel charge",
        "Quarterly",
        "PHL",
        "Electricity duty",
        "General sales tax",
        "Municipal",
        "TOTAL",
    ]
    places = [told.index(words) for words in order]
    assert places == sorted(places)
    assert "289 kWh × 23/31 days × -1.9857 PKR/kWh  [S.R.O. 953(I)/2026]" in told
    assert re.search(r"^Electricity charges +11,756\.92$", told, re.MULTILINE)
    assert re.search(r"^TOTAL \(PKR\) +14,096\.48$", told, re.MULTILINE)


def test_every_line_is_told_with_its_formula() -> None:
    case = {
        **EXAMPLE,
        "exported_kwh": 10,
        "generated_kwh": 100,
        "export_scheme": "net_billing",
        "units": 320,
        "active_taxpayer": "non_filer",
    }
    result = price_case(read_case(case), read_catalogue())
    told = explained_bill(result, Language.EN)
    assert all(line["label"] in told and line["formula"] in told for line in result["lines"])
    assert all(warning["message"] in told for warning in result["warnings"])
    assert all(words in told for words in result["assumptions"])
    assert "With and without solar" in told


def test_what_is_pending_is_said() -> None:
    told = _explained({**EXAMPLE, "history": None})
    assert re.search(r"^  Fuel charge adjustment, 2026-04 +not known yet$", told, re.MULTILINE)
    assert "The total leaves out what is not known yet: Fuel charge adjustment, 2026-04." in told


def test_a_surplus_is_carried() -> None:
    case = {
        **EXAMPLE,
        "exported_kwh": 400,
        "generated_kwh": 500,
        "export_scheme": "net_metering",
        "period_end": "2026-07-23",
        "period_start": "2026-06-24",
    }
    assert re.search(r"^Surplus carried forward +111 kWh$", _explained(case), re.MULTILINE)


def test_urdu_labels(tmp_path: Path) -> None:
    told = _run("--file", _write(tmp_path, dict(EXAMPLE)), "--explain", "--language", "ur").output
    assert "بجلی کا بل" in told
    assert "جنرل سیلز ٹیکس" in told
    assert "14,096.48" in told
    assert "General sales tax" not in told


def test_sections_add_up_to_the_total() -> None:
    told = _explained(dict(EXAMPLE)).splitlines()
    sums = [
        Decimal(line.split()[-1].replace(",", ""))
        for line in told
        if re.match(r"(Electricity charges|Taxes|Other charges) +-?\d", line)
    ]
    assert sum(sums) == Decimal("14096.48")
