"""Mistakes in tariff data are all found, each with its file, entry, field, value and the way out."""

import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from cloud.billing.catalogue import product_documents, read_catalogue
from cloud.billing.checking import Finding, check_documents, read_document
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import AdjustmentKind, RateStatus
from cloud.billing.schemas.entries import Kind, Status

PLAN = """
[[plans]]
code = "X-1"
name = "X-1"
category = "residential_unprotected"
variant = "standard"
effective_from = 2026-01-01
effective_to = 2026-06-30
source = "a test"
status = "verified"
supports_net_metering = true
supports_tou = false
[plans.rates]
pricing_rule = "single_slab"
slabs = [{ min_units = 0, max_units = 100, rate_per_kwh = "10" }, { min_units = 101, rate_per_kwh = "20" }]
"""
FCA = """
[[adjustments]]
kind = "fca"
effective_from = 2026-01-01
effective_to = 2026-01-31
rate = "1.5"
source = "a test"
status = "verified"
"""
CATEGORIES = {c.code: c.alias_of for c in read_catalogue().categories}


def found_in(*texts: str) -> tuple[Finding, ...]:
    documents = {f"{n}.toml": tomllib.loads(text) for n, text in enumerate(texts)}
    return check_documents(documents, known_categories=CATEGORIES)


def only(*texts: str) -> Finding:
    (finding,) = found_in(*texts)
    return finding


def test_the_products_own_data_is_sound() -> None:
    assert check_documents(product_documents(), known_categories={}) == ()


def test_a_sound_file_has_no_findings() -> None:
    assert found_in(PLAN + FCA) == ()


@pytest.mark.parametrize(
    ("old", "new", "field", "value", "words"),
    [
        ('source = "a test"', "", "source", None, "is missing; add it"),
        ('source = "a test"', 'source = ""', "source", "", "at least 1 character"),
        ('code = "X-1"', 'code = "X-1"\ncolour = "red"', "colour", "red", "not known; known: category, code"),
        ("status", "state", "state", "verified", "not known"),
        ('"verified"', '"rumoured"', "status", "rumoured", "'verified', 'derived' or 'estimated'"),
        ("2026-06-30", "2025-06-30", "", None, "effective_to 2025-06-30 is before effective_from 2026-01-01"),
        ("2026-01-01", '"soon"', "effective_from", "soon", "date"),
        ('"residential_unprotected"', '"homes"', "category", "homes", "not known; known: agricultural_tube_well"),
        ('"residential_unprotected"', '"commercial_b2"', "category", "commercial_b2", "write commercial_a2"),
        (
            "min_units = 101",
            "min_units = 102",
            "rates",
            None,
            "slabs[1].min_units is 102 after a slab that ends at 100",
        ),
        ('rate_per_kwh = "20"', 'rate_per_kwh = "-20"', "rates.slabs.1.rate_per_kwh", "-20", "greater than or equal"),
        ('rate_per_kwh = "20"', 'rate = "20"', "rates.slabs.1.rate", "20", "not known"),
        ('"single_slab"', '"magic"', "rates.pricing_rule", "magic", "'single_slab'"),
        ("[plans.rates]", "disco_providers = ['nesco']\n[plans.rates]", "disco_providers.0", "nesco", "'lesco'"),
    ],
)
def test_a_wrong_plan(old: str, new: str, field: str, value: str | None, words: str) -> None:
    findings = [f for f in found_in(PLAN.replace(old, new, 1)) if f.field == field]
    assert len(findings) == 1, found_in(PLAN.replace(old, new, 1))
    (finding,) = findings
    assert (finding.place, finding.value) == ("0.toml", value)
    assert finding.entry.startswith("plans[0]")
    assert words in finding.message
    assert finding.message in str(finding)


def test_rates_that_price_nothing() -> None:
    text = PLAN.partition("pricing_rule")[0] + "meter_rent = '25'\n"
    finding = only(text)
    assert (finding.field, finding.entry) == ("rates", "plans[0] X-1 from 2026-01-01")
    assert "no energy rate" in finding.message


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ('rate = "1.5"', "", "", "give either rate or bands"),
        ('rate = "1.5"', 'bands = [{ amount = "3" }]', "", "fca takes a rate"),
        ("2026-01-01", "2026-01-02", "", "whole months: 2026-01-01"),
        ("2026-01-31", "2026-01-30", "", "end on the month's last day"),
        ('"fca"', '"tax"', "kind", "'fca'"),
        ('"fca"', '"gst"\ncategories = ["homes"]', "categories", "not known"),
        ('"fca"', '"gst"\nprovinces = ["gilgit"]', "provinces.0", "'sindh'"),
        ('kind = "fca"\n', 'kind = "duty"\nnote = "x"\n', "note", "not known"),
    ],
)
def test_a_wrong_adjustment(old: str, new: str, field: str, words: str) -> None:
    finding = only(FCA.replace(old, new, 1))
    assert finding.entry.startswith("adjustments[0]")
    assert finding.field == field
    assert words in finding.message


@pytest.mark.parametrize(
    ("kind", "rate", "words"),
    [("gst", "180", "per cent"), ("phl", "-1", "0 or more"), ("municipal", "20", "municipal takes bands")],
)
def test_a_rate_that_its_kind_does_not_take(kind: str, rate: str, words: str) -> None:
    assert words in only(FCA.replace('"fca"', f'"{kind}"').replace("1.5", rate)).message


def test_bands_rise() -> None:
    text = FCA.replace('"fca"', '"municipal"')
    assert not found_in(text.replace('rate = "1.5"', 'bands = [{ top = "200", amount = "20" }, { amount = "40" }]'))
    falling = text.replace('rate = "1.5"', 'bands = [{ top = "200" }, { top = "100" }]')
    assert "bands[1].top is 100 after 200" in only(falling).message
    closed = text.replace('rate = "1.5"', 'bands = [{ amount = "1" }, { top = "100" }]')
    assert "only the last one has no top" in only(closed).message


def later(start: str, end: str = "") -> str:
    text = PLAN.replace("effective_from = 2026-01-01", f"effective_from = {start}")
    return text.replace("effective_to = 2026-06-30", f"effective_to = {end}" if end else "")


def test_versions_in_two_files_may_not_overlap() -> None:
    finding = only(PLAN, later("2026-06-30"))
    assert finding.place == "1.toml"
    assert "together with 0.toml, plans[0] X-1 from 2026-01-01 (2026-01-01 to 2026-06-30)" in finding.message
    assert "end that one the day before" in finding.message
    assert not found_in(PLAN, later("2026-07-01"))


def test_an_overlap_at_one_company_names_it() -> None:
    here = later("2026-06-30").replace("[plans.rates]", "disco_providers = ['lesco']\n[plans.rates]")
    assert only(PLAN, here).message.endswith("(lesco)")
    elsewhere = PLAN.replace("[plans.rates]", "disco_providers = ['fesco']\n[plans.rates]")
    assert not found_in(elsewhere, here)


def test_a_gap_is_told_unless_it_is_explained() -> None:
    finding = only(PLAN, later("2026-08-01"))
    assert "nothing is on record from 2026-07-01 to 2026-07-31" in finding.message
    assert "gap_before" in finding.message
    explained = later("2026-08-01").replace("[plans.rates]", 'gap_before = "not published"\n[plans.rates]')
    assert not found_in(PLAN, explained)


def test_adjustments_overlap_and_pause() -> None:
    twice = only(FCA + FCA)
    assert "in force together with" in twice.message
    march = FCA.replace("2026-01-01", "2026-03-01").replace("2026-01-31", "2026-03-31")
    assert "nothing is on record from 2026-02-01 to 2026-02-28" in only(FCA + march).message
    assert not found_in(FCA + FCA.replace("[[adjustments]]", "[[adjustments]]\nprovinces = ['sindh']"))


def test_unknown_tables_and_a_single_table_where_a_list_is_meant() -> None:
    assert only("[[tariffs]]\ncode = 1").message.startswith(
        "the table is not known; known: adjustments, categories, plans"
    )
    assert "plans[0]" in found_in(PLAN.replace("[[plans]]", "[plans]").replace('source = "a test"', ""))[0].entry


def test_all_mistakes_at_once() -> None:
    text = (
        PLAN.replace('source = "a test"', "").replace("min_units = 101", "min_units = 90").replace('"verified"', '"x"')
    )
    assert {f.field for f in found_in(text)} == {"source", "rates", "status"}


@pytest.mark.parametrize(("content", "words"), [(b"plans = [", "is not TOML"), (b"\xff", "cannot be read")])
def test_a_file_that_is_none(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(BillingError, match=words):
        read_document(path)
    with pytest.raises(BillingError, match="cannot be read"):
        read_document(tmp_path / "none.toml")


def test_the_words_are_the_engines() -> None:
    assert set(get_args(Kind)) == set(AdjustmentKind)
    assert set(get_args(Status)) == set(RateStatus) - {RateStatus.PENDING}


def test_findings_as_json() -> None:
    data: dict[str, Any] = only(PLAN.replace('"verified"', '"x"')).to_json()
    assert data["place"] == "0.toml"
    assert data["field"] == "status"
    assert data["value"] == "x"
