"""`solarhub tariffs list|show|diff|validate` on the product's data: no database is asked."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cloud.billing.catalogue import read_catalogue
from cloud.billing.presenting import sheet
from cloud.cli import app
from cloud.core.discos import DiscoProvider


def run(*words: str, code: int = 0) -> str:
    answer = CliRunner().invoke(app, ["tariffs", *words])
    assert answer.exit_code == code, answer.output
    return answer.output


def data(*words: str, code: int = 0) -> Any:
    return json.loads(run(*words, "--json", code=code))


def test_list_all() -> None:
    text = run("list")
    assert "residential_unprotected  standard  A-1(a) un-protected" in text
    assert "nothing on record for: commercial_a2 (A-2(b)), commercial_a3" in text
    listed = data("list")
    assert len(listed["tariffs"]) == 13
    assert {c["code"] for c in listed["without_rates"]} >= {"agricultural_tube_well", "electric_vehicle"}


def test_list_by_company_category_and_day() -> None:
    (found,) = data("list", "--company", "kelectric", "--category", "A-2(c)", "--on", "2026-09-01")["tariffs"]
    assert (found["category"], found["rates"]["peak_rate_per_kwh"]) == ("tou_commercial", "43.82")
    assert [t["category"] for t in data("list", "--category", "a-1(a)", "--on", "2026-09-01")["tariffs"]] == [
        "residential_protected",
        "residential_unprotected",
    ]
    assert data("list", "--on", "2023-06-30")["tariffs"] == []
    assert "no tariff on record fits" in run("list", "--on", "2023-06-30")


def test_an_unknown_category_names_the_known_ones() -> None:
    assert "'homes' is not known; known: agricultural_tube_well" in run("list", "--category", "homes", code=1)
    assert "several categories: residential_protected, residential_unprotected" in run("show", "A-1(a)", code=1)


def test_show_says_rates_source_and_what_goes_with_it() -> None:
    text = run("show", "residential_unprotected", "--on", "2026-09-20", "--company", "kelectric")
    assert "301-400      36.46    400" in text
    assert "verified: S.R.O. 279(I)/2026" in text
    assert "fca: 2.0581 PKR/kWh" in text
    assert "duty: 1.5 %, sindh" in text
    assert "punjab" not in text
    shown = data("show", "residential_unprotected", "--on", "2026-09-20", "--company", "kelectric")
    assert shown["nepra_code"] == "A-1(a)"
    assert {a["kind"] for a in shown["adjustments"]} >= {"fca", "qta", "phl", "duty", "gst", "municipal"}
    assert shown["gaps"] == ["any tariff of this category before 2023-07-01"]


def test_show_says_what_is_not_on_record() -> None:
    shown = data("show", "B-4", "--on", "2026-10-20")
    assert shown["unknown"] == ["the off-peak rate"]
    assert "the off-peak rate in this version" in shown["gaps"]
    assert "fca for the month 2026-08: a bill shows it as pending" in shown["gaps"]
    old = run("show", "residential_unprotected", "--on", "2024-08-01")
    assert "101-200      not on record  not on record" in old
    assert "the rate for 101-200 kWh in this version" in old


def test_show_of_a_category_without_rates_says_which_have_some() -> None:
    text = run("show", "agricultural_tube_well", "--on", "2026-10-20", code=1)
    assert "none is invented; on record that day: commercial_a1" in text
    assert "on record are 2023-07-01 to 2024-06-30" in run(
        "show", "residential_unprotected", "--on", "2020-01-01", code=1
    )


def test_lifeline_homes_are_told_what_they_do_not_pay() -> None:
    shown = data("show", "residential_lifeline", "--on", "2026-09-20")
    charged = {a["kind"]: a["charged"] for a in shown["adjustments"]}
    assert (charged["fca"], charged["phl"], charged["gst"]) == (False, False, True)
    assert "not charged in this category" in run("show", "residential_lifeline", "--on", "2026-09-20")


def test_diff_of_two_days() -> None:
    text = run("diff", "residential_unprotected", "2026-02-11", "2026-02-12")
    assert "rates.slabs.301-400.rate_per_kwh: 37.99 -> 36.46" in text
    assert "rates.fixed_basis: per_consumer -> per_kw_sanctioned" in text
    (found,) = data("diff", "residential_unprotected", "2026-02-11", "2026-02-12")
    assert {"field": "rates.slabs.> 700.rate_per_kwh", "old": "47.69", "new": "47.2"} in found["changes"]
    (same,) = data("diff", "residential_unprotected", "2026-03-01", "2026-03-02")
    assert (same["state"], same["changes"]) == ("the same", [])


@pytest.mark.parametrize("words", [("diff",), ("diff", "B-1"), ("diff", "B-1", "2026-03-01")])
def test_diff_says_what_it_needs(words: tuple[str, ...]) -> None:
    assert "give a category and two days, or --database alone" in run(*words, code=1)


def test_validate_the_programs_own_data() -> None:
    assert run("validate").strip() == "nothing is wrong"
    assert data("validate") == []


def test_validate_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[plans]]\ncode = "X"\n')
    text = run("validate", str(path), code=1)
    assert f"{path}, plans[0] X, source: is missing; add it" in text
    assert {f["field"] for f in data("validate", str(path), code=1)} >= {"source", "rates", "effective_from"}
    broken = tmp_path / "broken.toml"
    broken.write_text("[[plans")
    (finding,) = data("validate", str(broken), code=1)
    assert "is not TOML" in finding["message"]
    assert "not both" in run("validate", str(path), "--database", code=1)


def test_a_tariff_by_hours_says_where_its_table_is() -> None:
    old = read_catalogue()
    plan = next(plan for plan in old.plans if plan.category == "commercial_a1")
    by_hours = replace(plan, rates={"pricing_rule": "schedule", "schedule": {"periods": []}})
    found = sheet(replace(old, plans=(by_hours,)), "commercial_a1", company=DiscoProvider.LESCO, on=date(2026, 10, 1))
    assert "pricing rule: schedule (as the schedule of the tariff says)" in found.to_text()
    assert "--json prints it" in found.to_text()
