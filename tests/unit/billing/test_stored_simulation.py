"""The document of a simulation: read again, also when it was stored by an earlier version of the product."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.catalogue import Catalogue, PlanRecord, read_catalogue
from cloud.billing.rules import labels
from cloud.billing.rules.breakdown import fingerprint
from cloud.billing.rules.model import BillingCase, ExportScheme, ExportTerms
from cloud.billing.rules.month import Month
from cloud.billing.rules.simulation import case_json, case_of, inputs_json, simulate

D = Decimal
LATER_KEYS = (
    "ledger_peak_kwh",
    "installed_capacity_kw",
    "phases",
    "prorated",
    "demand_history_kw",
    "export_terms",
    "schedule_units",
    "schedule_demand_kw",
)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


def _record(record: PlanRecord) -> dict[str, Any]:
    return {
        "code": record.name,
        "category": record.category,
        "source": record.source,
        "status": record.status.value,
        "supports_tou": record.supports_tou,
        "rates": record.rates,
        "effective_from": record.effective_from,
        "effective_to": record.effective_to,
    }


def _records(catalogue: Catalogue, category: str) -> list[dict[str, Any]]:
    return [_record(p) for p in catalogue.plans if p.category == category and p.effective_from.year > 2024]


CASE = BillingCase(
    period_start=date(2026, 1, 24),
    period_end=date(2026, 2, 23),
    imported_kwh=D("345.5"),
    exported_kwh=D(20),
    disco_provider="kelectric",
    province="sindh",
    sanctioned_load_kw=D(4),
    max_demand_kw=D("3.2"),
    billed_units={Month(2025, 12): D(290)},
    export_scheme=ExportScheme.NET_METERING_2015,
    ledger_kwh=D(5),
    ledger_peak_kwh=D(3),
    phases=1,
    export_terms=ExportTerms(levies_on_import=True),
    demand_history_kw={Month(2026, 1): D("2.5")},
    installed_capacity_kw=D(5),
    schedule_units={"day": D(10)},
    schedule_demand_kw={"day": D(2)},
)


def _inputs(catalogue: Catalogue, case: BillingCase = CASE, **changes: Any) -> dict[str, Any]:
    first, *later = _records(catalogue, "residential_unprotected")
    given: dict[str, Any] = {
        "plan_record": first,
        "later_versions": later,
        "case": case,
        "adjustments": catalogue.adjustments,
        "consumed_kwh": D(600),
        "consumed_peak_kwh": None,
        "consumed_units": {Month(2025, 12): D(500)},
        "generated_kwh": D(280),
        "co2_kg_per_kwh": D("0.515"),
        "co2_kg_per_tree": D(60),
        "warnings": [{"code": "period_open", "message": "The period has not ended."}],
    }
    return inputs_json(**{**given, **changes})


def test_a_case_is_the_same_after_json() -> None:
    assert case_of(json.loads(json.dumps(case_json(CASE)))) == CASE


def test_the_versions_are_in_the_document(catalogue: Catalogue) -> None:
    stored = json.loads(json.dumps(_inputs(catalogue)))
    assert [record["effective_from"] for record in stored["later_versions"]] == ["2026-02-12"]
    made = simulate(stored)
    assert len(made.bill.portions) == 2
    assert len(made.without.portions) == 2
    assert made.content_hash == simulate(_inputs(catalogue)).content_hash


def test_a_document_of_an_earlier_version_is_read(catalogue: Catalogue) -> None:
    """Before, a document had one version of the tariff and fewer fields."""
    plain = BillingCase(date(2026, 8, 5), date(2026, 9, 4), D(262), "kelectric", sanctioned_load_kw=D(5))
    record = _records(catalogue, "residential_unprotected")[-1]
    stored = _inputs(catalogue, plain, plan_record=record, later_versions=None)
    new = simulate(stored)
    for key in LATER_KEYS:
        del stored["case"][key]
    del stored["later_versions"], stored["without_solar"]["versions"], stored["without_solar"]["max_demand_kw"]
    del stored["plan"]["effective_from"], stored["plan"]["effective_to"]
    old = simulate(stored)
    assert (old.bill, old.without, old.breakdown) == (new.bill, new.without, new.breakdown)


def test_the_hash_is_over_facts_not_words(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = _inputs(catalogue)
    first = simulate(inputs)
    reworded = {**inputs, "warnings": [{"code": "period_open", "message": "Still running."}]}
    assert simulate(reworded).content_hash == first.content_hash
    monkeypatch.setattr(labels, "FIXED", labels.Label("Standing charge", "کچھ اور"))
    again = simulate(inputs)
    assert "Standing charge" in {line["label"] for line in again.lines}
    assert again.content_hash == first.content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"consumed_kwh": D(601)},
        {"generated_kwh": D(281)},
        {"warnings": []},
        {"consumed_units": {Month(2025, 12): D(501)}},
        {"consumed_max_demand_kw": D(9)},
    ],
)
def test_another_fact_is_another_hash(catalogue: Catalogue, change: Mapping[str, Any]) -> None:
    assert simulate(_inputs(catalogue, **change)).content_hash != simulate(_inputs(catalogue)).content_hash


def test_a_changed_amount_is_another_hash(catalogue: Catalogue) -> None:
    made, inputs = simulate(_inputs(catalogue)), _inputs(catalogue)
    assert fingerprint(inputs, made.bill, made.without) == made.content_hash
    assert fingerprint(inputs, made.without, made.bill) != made.content_hash


def test_without_solar_a_home_may_be_on_another_tariff(catalogue: Catalogue) -> None:
    """180 units bought and 420 used: the panels keep the home protected."""
    case = BillingCase(date(2026, 9, 1), date(2026, 9, 30), D(180), "lesco", province="punjab", sanctioned_load_kw=D(2))
    protected = _records(catalogue, "residential_protected")[-1]
    unprotected = _records(catalogue, "residential_unprotected")[-1]
    given = {"plan_record": protected, "later_versions": None, "consumed_kwh": D(420)}
    made = simulate(_inputs(catalogue, case, **given, versions_without_solar=[unprotected]))
    assert made.breakdown["tariff"] == "A-1(a) protected"
    assert made.without.plan_code == "A-1(a) un-protected"
    assert [portion.label for portion in made.without.portions] == ["401-500"]
    assert D(made.savings["bill_without_solar"]) == made.without.total_pkr


def test_the_demand_without_solar(catalogue: Catalogue) -> None:
    case = BillingCase(
        date(2026, 9, 1),
        date(2026, 9, 30),
        D(600),
        "lesco",
        imported_peak_kwh=D(100),
        sanctioned_load_kw=D(8),
        max_demand_kw=D(5),
    )
    record = _records(catalogue, "residential_tou")[-1]
    given = {"plan_record": record, "later_versions": None, "consumed_kwh": D(900), "consumed_peak_kwh": D(100)}
    made = simulate(_inputs(catalogue, case, **given, consumed_max_demand_kw=D(7)))
    assert made.breakdown["fixed_charges"] == "3375.00"
    fixed = [line.quantity for line in made.without.lines if line.kind.value == "fixed"]
    assert fixed == [D(7)]
