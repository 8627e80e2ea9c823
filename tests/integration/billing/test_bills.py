"""Bills over HTTP, on quarter-hours in a real database."""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from shared.enums import OrgMemberRole
from tests.integration.billing.conftest import Home, configure

PERIOD = {"period_start": "2026-08-05", "period_end": "2026-09-04"}
FIRST, LAST = date(2026, 8, 5), date(2026, 9, 4)


async def _bill(home: Home, **body: Any) -> Any:
    return await home.api.call("POST", home.bills, home.owner, json={**PERIOD, **body})


async def _create(home: Home, **body: Any) -> dict[str, Any]:
    answer = await _bill(home, **body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_anonymous(home: Home) -> None:
    for method, path in (("GET", home.bills), ("POST", home.bills), ("GET", "/tariffs")):
        answer = await home.api.call(method, path, json=PERIOD if method == "POST" else None)
        assert answer.status_code == 401


async def test_other_organisation(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    made = await _create(home)
    stranger = home.world.stranger
    for method, path in (
        ("GET", home.bills),
        ("POST", home.bills),
        ("GET", f"{home.bills}/{made['id']}"),
        ("GET", f"{home.bills}/{made['id']}/check"),
    ):
        answer = await home.api.call(method, path, stranger, json=PERIOD if method == "POST" else None)
        assert answer.status_code == 404
    other = f"/sites/{home.world.other_site['id']}/bills/{made['id']}"
    assert (await home.api.call("GET", other, stranger)).status_code == 404


async def test_installer_sees_no_money(home: Home) -> None:
    installer = await home.api.member(home.world.organization_id, "installer@example.com", OrgMemberRole.INSTALLER)
    assert (await home.api.call("GET", home.bills, installer)).status_code == 403
    viewer = await home.api.member(home.world.organization_id, "viewer@example.com", OrgMemberRole.VIEWER)
    assert (await home.api.call("GET", home.bills, viewer)).status_code == 200
    assert (await home.api.call("POST", home.bills, viewer, json=PERIOD)).status_code == 403


async def test_a_real_bill_from_quarter_hours(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=900_000, generated_wh=700_000, exported_wh=62_000)
    made = await _create(home, units_history={"2026-07": "608"})
    assert made["bill_breakdown"]["total_bill"] == "14482.29"
    assert made["estimated_bill_pkr"] == "14482.29"
    assert made["bill_breakdown"]["energy_charges"] == "8672.20"
    assert Decimal(made["energy_imported_kwh"]) == 262
    assert made["coverage_percent"] == 100.0
    assert made["is_actual"] is True
    savings = made["savings_breakdown"]
    assert savings["bill_with_solar"] == "14482.29"
    assert Decimal(savings["total_savings"]) == Decimal(savings["bill_without_solar"]) - Decimal("14482.29")
    assert savings["co2_avoided_kg"] == "360.50"
    assert made["estimated_savings_pkr"] == savings["total_savings"]
    kinds = [line["kind"] for line in made["lines"]]
    assert kinds == ["energy", "fixed", "fpa", "qta", "qta", "surcharge", "duty", "gst", "municipal"]
    assert all(line["source"] and line["formula"] and line["status"] == "verified" for line in made["lines"])


async def test_a_bill_can_be_looked_at_without_being_stored(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=900_000, generated_wh=700_000, exported_wh=62_000)
    body = {**PERIOD, "units_history": {"2026-07": "608"}}
    viewer = await home.api.member(home.world.organization_id, "viewer@example.com", OrgMemberRole.VIEWER)
    answer = await home.api.call("POST", f"{home.bills}/simulate", viewer, json=body)
    assert answer.status_code == 200, answer.text
    assert (await home.api.call("GET", home.bills, home.owner)).json()["items"] == []
    stored = await _create(home, units_history={"2026-07": "608"})
    seen = answer.json()
    energies = {name for name in seen if name.startswith("energy_")}
    assert {name: Decimal(seen[name]) for name in energies} == {name: Decimal(stored[name]) for name in energies}
    assert {name: seen[name] for name in seen.keys() - energies} == {
        name: stored[name] for name in seen.keys() - energies
    }
    assert stored["estimated_bill_pkr"] == seen["bill_breakdown"]["total_bill"]
    assert (await home.api.call("POST", f"{home.bills}/simulate", home.world.stranger, json=body)).status_code == 404


async def test_a_stored_bill_computes_to_the_same_hash(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_345, consumed_wh=262_345)
    made = await _create(home)
    check = await home.api.call("GET", f"{home.bills}/{made['id']}/check", home.owner)
    assert check.json() == {"content_hash": made["content_hash"], "stored_hash": made["content_hash"], "same": True}


async def test_the_same_bill_is_stored_once(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    first, second = await asyncio.gather(_create(home), _create(home))
    assert first["id"] == second["id"]
    other = await _create(home, units_history={"2026-07": "100"})
    listed = await home.api.call("GET", home.bills, home.owner)
    assert [item["id"] for item in listed.json()["items"]] == [other["id"], first["id"]]


async def test_lists_go_by_cursor(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    made = [(await _create(home, units_history={"2026-07": str(n)}))["id"] for n in range(3)]
    page = (await home.api.call("GET", f"{home.bills}?limit=2", home.owner)).json()
    rest = (await home.api.call("GET", f"{home.bills}?limit=2&cursor={page['next_cursor']}", home.owner)).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None


async def test_the_fuel_month_is_read_from_the_site_when_it_is_complete(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    await home.quarters(date(2026, 7, 1), date(2026, 7, 31), imported_wh=608_000, consumed_wh=900_000)
    made = await _create(home)
    assert made["bill_breakdown"]["total_bill"] == "14482.29"
    assert [w["code"] for w in made["warnings"]] == ["history_from_readings"]
    assert made["inputs"]["without_solar"]["billed_units"] == {"2026-07": "900"}


async def test_an_unknown_fuel_month_is_pending(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    await home.quarters(date(2026, 7, 1), date(2026, 7, 31), imported_wh=608_000, covered_seconds=800)
    made = await _create(home)
    assert made["bill_breakdown"]["pending"] == ["fpa"]
    assert next(line for line in made["lines"] if line["kind"] == "fpa")["amount"] is None
    assert "line_pending" in [w["code"] for w in made["warnings"]]


async def test_days_begin_at_local_midnight(home: Home) -> None:
    await home.quarters(date(2026, 8, 4), date(2026, 8, 4), imported_wh=50_000, consumed_wh=50_000)
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    await home.quarters(date(2026, 9, 5), date(2026, 9, 5), imported_wh=50_000, consumed_wh=50_000)
    assert Decimal((await _create(home))["energy_imported_kwh"]) == 262


async def test_thin_readings_and_an_open_period_are_said(home: Home) -> None:
    await home.quarters(
        date(2026, 10, 1), date(2026, 10, 10), imported_wh=60_000, generated_wh=80_000, exported_wh=30_000
    )
    made = await _create(home, period_start="2026-10-01", period_end="2026-10-31")
    assert made["is_actual"] is False
    assert made["coverage_percent"] == pytest.approx(10 / 31 * 100)
    codes = {w["code"] for w in made["warnings"]}
    assert codes >= {"period_open", "readings_incomplete", "consumption_estimated"}
    assert Decimal(made["energy_consumed_kwh"]) == 110


async def test_export_is_credited_by_the_contract(home: Home) -> None:
    home.site = await configure(home.world, net_metering_enabled=True, installation_date="2026-03-01")
    await home.quarters(
        FIRST, LAST, imported_wh=262_000, consumed_wh=500_000, generated_wh=400_000, exported_wh=100_000
    )
    made = await _create(home, units_history={"2026-07": "608"})
    assert made["bill_breakdown"]["export_credit"] == "813.00"
    assert made["bill_breakdown"]["total_bill"] == str(Decimal("14482.29") - 813)
    assert made["savings_breakdown"]["export_income"] == "813.00"
    assert made["bill_breakdown"]["assumptions"]
    assert "export_scheme_assumed" in {w["code"] for w in made["warnings"]}
    netted = await _create(home, units_history={"2026-07": "608"}, export_scheme="net_metering_2015")
    assert netted["bill_breakdown"]["billed_kwh"] == "162"


async def test_a_time_of_use_tariff_splits_by_peak_hours(home: Home) -> None:
    home.site = await configure(home.world, tariff_category="tou_commercial", sanctioned_load_kw=60.0)
    await home.quarters(FIRST, LAST, imported_wh=2_976_000, consumed_wh=2_976_000)
    made = await _create(home)
    slabs = {p["slab"]: Decimal(p["units"]) for p in made["bill_breakdown"]["slab_breakdown"]}
    assert slabs == {"off-peak": Decimal(2480), "peak": Decimal(496)}
    fixed = next(line for line in made["lines"] if line["kind"] == "fixed")
    assert (fixed["quantity"], fixed["base"]) == ("15", "billing demand: 25 % of the sanctioned load of 60 kW")


async def test_a_protected_home_that_used_too_much_is_billed_as_unprotected(home: Home) -> None:
    home.site = await configure(home.world, tariff_category="residential_protected")
    await home.quarters(FIRST, LAST, imported_wh=150_000, consumed_wh=150_000)
    kept = await _create(home, units_history={f"2026-{m:02d}": "150" for m in range(3, 9)})
    assert kept["bill_breakdown"]["tariff"] == "A-1(a) protected"
    lost = await _create(home, units_history={"2026-06": "201"})
    assert lost["bill_breakdown"]["tariff"] == "A-1(a) un-protected"
    assert "category_lost" in {w["code"] for w in lost["warnings"]}


@pytest.mark.parametrize(
    ("changes", "body", "code"),
    [
        ({"disco_provider": None}, {}, "billing_setup_missing"),
        ({"sanctioned_load_kw": None}, {}, "billing_setup_missing"),
        ({"tariff_category": "agricultural_tube_well"}, {}, "tariff_missing"),
        ({"tariff_category": "palace"}, {}, "tariff_missing"),
        ({}, {"period_start": "2022-01-01", "period_end": "2022-01-31"}, "energy_missing"),
        ({}, {"period_start": "2026-12-01", "period_end": "2026-12-31"}, "period_not_started"),
        ({}, {"period_start": "2026-09-05", "period_end": "2026-09-04"}, "validation_failed"),
        ({}, {"period_start": "2026-01-01", "period_end": "2026-09-04"}, "validation_failed"),
        ({}, {"units_history": {"July": "3"}}, "validation_failed"),
        ({}, {"units_history": {"2026-07": "-3"}}, "validation_failed"),
        ({"tariff_category": "industrial_b4"}, {}, "tariff_rate_unknown"),
    ],
)
async def test_what_is_missing_is_named(home: Home, changes: dict[str, Any], body: dict[str, Any], code: str) -> None:
    if changes:
        home.site = await configure(home.world, **changes)
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    answer = await _bill(home, **body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code
    assert answer.json()["detail"]
    assert (await home.api.call("GET", home.bills, home.owner)).json()["items"] == []


async def test_no_tariff_on_record_for_the_day(home: Home) -> None:
    home.site = await configure(home.world, tariff_category="commercial_a1")
    await home.quarters(date(2026, 1, 1), date(2026, 1, 31), imported_wh=262_000, consumed_wh=262_000)
    answer = await _bill(home, period_start="2026-01-01", period_end="2026-01-31")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "tariff_missing")
    assert problem["missing"] == {"disco_provider": "kelectric", "category": "commercial_a1", "on": "2026-01-31"}
    assert problem["errors"][0]["field"] == "configuration.tariff_category"


async def test_a_tariff_that_changes_inside_the_period_is_said(home: Home) -> None:
    await home.quarters(date(2026, 2, 1), date(2026, 2, 28), imported_wh=150_000, consumed_wh=150_000)
    made = await _create(home, period_start="2026-02-01", period_end="2026-02-28")
    assert "tariff_changed" in {w["code"] for w in made["warnings"]}
    # No fixed charge until 11 February; from the 12th 300 per kW, for 17 of 28 days.
    assert made["bill_breakdown"]["fixed_charges"] == "910.71"
    assert [v["effective_from"] for v in made["inputs"]["later_versions"]] == ["2026-02-12"]
    check = await home.api.call("GET", f"{home.bills}/{made['id']}/check", home.owner)
    assert check.json()["same"] is True


async def test_a_repeated_request_answers_the_same(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    answers = [await home.api.call("POST", home.bills, home.owner, json=PERIOD, key="bill-1") for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["Location"].endswith(answers[0].json()["id"])
