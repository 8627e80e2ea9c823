"""Bills worked out by hand from the notified rates, line by line, through the command.

`worked_bills.json` holds each case with its arithmetic (`worked`), the amounts by kind of line, and the total. Rates: S.R.O.
279(I)/2026 and the dated records of FCA, QTA and the debt service surcharge (PHL).
"""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cloud.cli import app

WORKED: list[dict[str, Any]] = json.loads(Path(__file__).with_name("worked_bills.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("bill", WORKED, ids=[bill["name"] for bill in WORKED])
def test_bill_by_hand(bill: dict[str, Any]) -> None:
    answer = CliRunner().invoke(app, ["bill", "--file", "-", "--json"], input=json.dumps(bill["case"]))
    assert answer.exit_code == 0, answer.output
    made = json.loads(answer.stdout)
    found: dict[str, list[str]] = {}
    for line in made["lines"]:
        if line["amount"] is not None:
            found.setdefault(line["kind"], []).append(line["amount"])
    assert found == bill["lines"]
    assert made["bill_breakdown"]["total_bill"] == bill["total"]
