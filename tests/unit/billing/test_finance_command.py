"""`solarhub finance`: the question, the answer, and what is wrong with a question."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cloud.billing.schemas.finance import FinanceCase
from cloud.cli import app

PLAIN: dict[str, Any] = {
    "capex_pkr": 100000,
    "opex_percent": 0,
    "degradation_percent": 0,
    "discount_rate_percent": 10,
    "life_years": 3,
    "first_year": {"saved_pkr": 50000, "generated_kwh": 1000},
}
MONTHS = [
    {"month": f"2026-{n:02d}", "without_solar_pkr": "9000.50", "with_solar_pkr": "-500.25", "export_income_pkr": 100}
    for n in range(1, 13)
]


def run(*words: str, stdin: str | None = None) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["finance", *words], input=stdin)
    return answer.exit_code, answer.output


def ask(question: object) -> tuple[int, str]:
    return run("--file", "-", "--json", stdin=question if isinstance(question, str) else json.dumps(question))


def answer_of(question: object) -> dict[str, Any]:
    code, output = ask(question)
    assert code == 0, output
    answer: dict[str, Any] = json.loads(output)
    return answer


def test_a_plain_question_is_answered_as_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(PLAIN))
    code, output = run("--file", str(file), "--json")
    assert code == 0, output
    answer = json.loads(output)
    assert answer["project"]["npv_pkr"] == "24342.60"
    assert answer["project"]["irr"] == {"percent": "23.3752", "candidates": ["23.3752"], "note": ""}
    assert answer["project"]["payback"] == {"years": "2.00", "months": 24, "is_lasting": True}
    assert answer["lcoe_pkr_per_kwh"] == "40.2115"
    assert answer["owner"] is None
    assert [year["flow_pkr"] for year in answer["years"]] == ["-100000.00", "50000.00", "50000.00", "50000.00"]
    assert answer["years"][0]["replacement_pkr"] == "0.00"


def test_twelve_pairs_of_bills_make_a_year() -> None:
    question = {name: value for name, value in PLAIN.items() if name != "first_year"}
    answer = answer_of({**question, "bills": MONTHS})
    assert answer["years"][1]["export_income_pkr"] == "1200.00"
    assert answer["years"][1]["flow_pkr"] == str(12 * Decimal("9500.75"))
    basis = {item["name"]: item["basis"] for item in answer["stands_on"]}
    assert basis["first_year.saved_pkr"] == "given: sum of twelve months' bills"


def test_what_was_given_and_what_is_assumed_is_told_apart() -> None:
    question = {"capex_pkr": 100000, "first_year": {"saved_pkr": 1}, "discount_rate_percent": 12}
    basis = {item["name"]: item["basis"] for item in answer_of(question)["stands_on"]}
    assert basis["discount_rate_percent"] == "given"
    assert basis["life_years"].startswith("assumption")


def test_the_example_is_a_question_and_fits_the_schema() -> None:
    code, example = run("--example")
    assert code == 0
    answer = answer_of(example)
    assert answer["owner"] is not None
    assert answer["project"]["irr"]["percent"] is not None
    code, schema = run("--schema")
    assert code == 0
    assert set(json.loads(schema)["properties"]) == set(FinanceCase.model_fields)
    assert set(json.loads(example)) <= set(json.loads(schema)["properties"])


def test_every_field_of_the_terms_is_described() -> None:
    properties = json.loads(run("--schema")[1])["properties"]
    silent = {name for name, value in properties.items() if "description" not in value}
    assert silent <= {"loan", "first_year", "bills"}


def test_told_as_a_person_reads_it() -> None:
    code, text = run("--file", "-", stdin=run("--example")[1])
    assert code == 0
    for words in ("The system", "payback", "The owner's money", "A kWh of the system costs PKR", "Stands on", "Jordan"):
        assert words in text
    assert len([line for line in text.splitlines() if line[:4].strip().isdigit()]) == 26
    hopeless = run("--file", "-", stdin=json.dumps({**PLAIN, "first_year": {"saved_pkr": -1}}))[1]
    assert "not within the life" in hopeless
    assert "no internal rate" in hopeless
    assert "Notes" in hopeless


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capex_pkr": 0}, "capex_pkr is 0; it should be greater than or equal to 1"),
        ({"capex_pkr": "much"}, "capex_pkr is much"),
        ({"capex": 5}, "capex is not a field here; known: capex_pkr"),
        ({"loan": {"principal_pkr": 1, "rate_percent": 1, "year": 2}}, "loan.years is missing"),
        ({"loan": {"principal_pkr": 1, "rate_percent": 1, "years": 2, "rate": 3}}, "known: rate_percent"),
        ({"loan": {"principal_pkr": 100001, "rate_percent": 1, "years": 2}}, "loan.principal_pkr is 100001"),
        ({"loan": 5}, "loan is 5"),
        ({"first_year": {"saved_pkr": float("nan")}}, "first_year.saved_pkr is nan"),
        ({"bills": MONTHS}, "either first_year or bills"),
        ({"first_year": None}, "either first_year or bills"),
        ({"first_year": None, "bills": MONTHS[:11]}, "bills holds 11 different months"),
        ({"inverter_replacement_pkr": 1}, "inverter_replacement_year is 12; it lies in the life of 3 years"),
    ],
)
def test_what_is_wrong_is_one_sentence(changes: dict[str, Any], words: str) -> None:
    code, output = ask({**PLAIN, **changes})
    assert code == 1
    assert words in output
    assert output.startswith("solarhub: ")
    assert output.count("\n") == 1


def test_a_missing_price_a_text_that_is_no_json_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "capex_pkr is missing" in ask({"first_year": {"saved_pkr": 1}})[1]
    assert "line 1, column 2" in ask("{'")[1]
    assert "not a JSON object" in ask([1])[1]
    code, output = run("--file", str(tmp_path / "none.json"))
    assert (code, "cannot be read" in output) == (1, True)
    code, output = run()
    assert (code, "name the question" in output) == (1, True)


def test_numbers_keep_their_digits() -> None:
    question = json.dumps({**PLAIN, "first_year": None}).replace("null", '{"saved_pkr": 50000.10}')
    assert answer_of(question)["years"][1]["saved_pkr"] == "50000.10"
