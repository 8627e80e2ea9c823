"""A site's year ahead and its system as an investment over HTTP, on quarter-hours in a real database."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from shared.enums import OrgMemberRole
from tests.integration.billing.conftest import Home, configure

YIELDS = [95, 105, 140, 150, 160, 150, 135, 135, 140, 130, 100, 90]
TERMS = {"capex_pkr": "1200000", "discount_rate_percent": "14"}


def projection(home: Home) -> str:
    return f"{home.bills}/projection"


def finance(home: Home) -> str:
    return f"/sites/{home.site['id']}/finance"


async def place(home: Home) -> None:
    """Tell where the site lies, so that the sun's height is known there."""
    path = f"/sites/{home.site['id']}"
    current = await home.api.call("GET", path, home.owner)
    answer = await home.api.call(
        "PATCH", path, home.owner, if_match=current.headers["ETag"], json={"latitude": 24.86, "longitude": 67.0}
    )
    assert answer.status_code == 200, answer.text


async def ask(home: Home, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await home.api.call("POST", path, home.owner, json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def august_and_september(home: Home) -> None:
    """300 kWh bought in August, 270 in September, nothing generated."""
    await home.quarters(date(2026, 8, 1), date(2026, 8, 31), imported_wh=300_000, consumed_wh=300_000)
    await home.quarters(date(2026, 9, 1), date(2026, 9, 30), imported_wh=270_000, consumed_wh=270_000)


async def test_anonymous(home: Home) -> None:
    assert (await home.api.call("GET", projection(home))).status_code == 401
    assert (await home.api.call("POST", projection(home), json={})).status_code == 401
    assert (await home.api.call("POST", finance(home), json=TERMS)).status_code == 401


async def test_other_organisation(home: Home) -> None:
    await august_and_september(home)
    stranger = home.world.stranger
    assert (await home.api.call("GET", projection(home), stranger)).status_code == 404
    assert (await home.api.call("POST", projection(home), stranger, json={})).status_code == 404
    assert (await home.api.call("POST", finance(home), stranger, json=TERMS)).status_code == 404


async def test_who_sees_no_money_sees_no_projection(home: Home) -> None:
    await august_and_september(home)
    organization = home.world.organization_id
    installer = await home.api.member(organization, "installer@example.com", OrgMemberRole.INSTALLER)
    viewer = await home.api.member(organization, "viewer@example.com", OrgMemberRole.VIEWER)
    for method, path, body in (("GET", projection(home), None), ("POST", finance(home), TERMS)):
        assert (await home.api.call(method, path, installer, json=body)).status_code == 403
        assert (await home.api.call(method, path, viewer, json=body)).status_code == 200


async def test_a_year_from_two_measured_months(home: Home) -> None:
    await august_and_september(home)
    answer = await home.api.call("GET", f"{projection(home)}?from=2026-12", home.owner)
    assert answer.status_code == 200, answer.text
    year = answer.json()
    assert (year["first_month"], year["last_month"]) == ("2026-12", "2027-11")
    bases = {month["month"]: (month["basis"], month["stands_on"]) for month in year["months"]}
    assert bases["2027-08"] == ("measured", "2026-08")
    assert bases["2027-09"] == ("measured", "2026-09")
    assert bases["2026-12"] == ("assumed", "2026-09")
    assert Decimal(year["months"][0]["energy"]["consumed_kwh"]) == 279
    august = next(month for month in year["months"] if month["month"] == "2027-08")
    # 300 kWh at 33.10, as the bill of an August of 300 kWh by the tariff that is in force.
    assert august["with_solar"]["breakdown"]["energy_charges"] == "9930.00"
    assert august["with_solar"]["breakdown"]["tariff"] == "A-1(a) un-protected"
    assert set(august["estimated_lines"]) >= {"fpa", "qta"}
    assert august["with_solar"]["lines"] is None
    assert year["confidence"]["level"] == "low"
    assert "2 measured, 0 scaled, 10 assumed" in year["confidence"]["note"]
    totals = year["totals"]
    assert totals["savings_pkr"] == "0.00"
    assert Decimal(totals["with_solar_pkr"]) == sum(Decimal(m["with_solar"]["total_pkr"]) for m in year["months"])
    assert any("nearest measured month" in text for text in year["assumptions"])


async def test_without_a_month_it_begins_with_the_next_one(home: Home) -> None:
    await august_and_september(home)
    year = (await home.api.call("GET", projection(home), home.owner)).json()
    assert year["first_month"] == "2026-11"
    fuel = next(m for m in year["months"] if m["month"] == "2026-11")["with_solar"]
    assert Decimal(fuel["breakdown"]["fuel_price_adjustment"]) == (Decimal(270) * Decimal("2.0581")).quantize(
        Decimal("0.01")
    )


async def test_earlier_units_come_from_the_request_first(home: Home) -> None:
    await august_and_september(home)
    told = {"units_history": {"2026-09": "100"}, "units_history_without_solar": {"2026-09": "250"}}
    year = await ask(home, projection(home), {"from": "2026-11", "lines": True, **told})
    lines = year["months"][0]["with_solar"]["lines"]
    assert next(line for line in lines if line["kind"] == "fpa")["quantity"] == "100"
    dark = year["months"][0]["without_solar"]["lines"]
    assert next(line for line in dark if line["kind"] == "fpa")["quantity"] == "250"
    assert any("2026-10" in text for text in year["assumptions"])


async def test_measured_solar_is_credited_and_saves(home: Home) -> None:
    home.site = await configure(
        home.world, net_metering_enabled=True, installation_date="2026-08-01", monthly_yield_kwh_per_kwp=YIELDS
    )
    await home.quarters(date(2026, 7, 1), date(2026, 7, 31), imported_wh=900_000, consumed_wh=900_000)
    await home.quarters(
        date(2026, 8, 1), date(2026, 8, 31), imported_wh=100_000, consumed_wh=400_000, generated_wh=500_000, exported_wh=200_000
    )  # fmt: skip
    year = await ask(home, projection(home), {"from": "2027-07"})
    july, august, september = year["months"][:3]
    assert (august["basis"], july["basis"]) == ("measured", "assumed")
    # July before the installation is no July of this site any more.
    assert july["stands_on"] == "2026-08"
    assert july["generation_basis"] == "scaled"
    assert Decimal(july["energy"]["generated_kwh"]) == 500
    assert abs(Decimal(september["energy"]["generated_kwh"]) - 500 * Decimal(140) / 135) < Decimal("0.01")
    assert august["with_solar"]["breakdown"]["export_credit"] == "1626.00"
    assert year["export_scheme"] == "net_billing_2026"
    assert "export_scheme_assumed" in {warning["code"] for warning in year["warnings"]}
    assert Decimal(year["totals"]["savings_pkr"]) > Decimal(year["totals"]["export_income_pkr"]) > 0


async def test_a_system_that_is_not_there_yet(home: Home) -> None:
    await place(home)
    await august_and_september(home)
    body = {"system_kwp": "3", "monthly_yield_kwh_per_kwp": YIELDS, "export_scheme": "net_billing_2026"}
    year = await ask(home, projection(home), body)
    assert abs(Decimal(year["totals"]["generated_kwh"]) - 3 * sum(YIELDS)) < 1
    assert {month["generation_basis"] for month in year["months"]} == {"scaled"}
    for month in year["months"]:
        energy = {name: Decimal(value) for name, value in month["energy"].items()}
        balance = energy["imported_kwh"] + energy["generated_kwh"] - energy["exported_kwh"]
        assert abs(balance - energy["consumed_kwh"]) < Decimal("0.01")
    # Use is even over the day here: a third and more of it falls into daylight, the night is bought.
    assert Decimal(year["totals"]["imported_kwh"]) > Decimal(year["totals"]["consumed_kwh"]) * Decimal("0.4")
    assert Decimal(year["totals"]["savings_pkr"]) > 0
    assert any("height of the sun" in text for text in year["assumptions"])


async def test_a_site_without_readings_by_its_paper_bills(home: Home) -> None:
    year = await ask(home, projection(home), {"monthly_consumption_kwh": [300] * 12})
    assert Decimal(year["totals"]["consumed_kwh"]) == 3600
    assert year["confidence"]["level"] == "low"
    assert {month["stands_on"] for month in year["months"]} == {None}


async def test_the_system_as_an_investment(home: Home) -> None:
    await place(home)
    await august_and_september(home)
    wanted = {"system_kwp": "3", "monthly_yield_kwh_per_kwp": YIELDS, "export_scheme": "net_billing_2026"}
    year = await ask(home, projection(home), wanted)
    answer = await ask(home, finance(home), {**TERMS, "life_years": 20, "projection": wanted})
    assert answer["projection"]["totals"] == year["totals"]
    assert "months" not in answer["projection"]
    result = answer["finance"]
    first = result["years"][1]
    saved = Decimal(first["saved_pkr"]) + Decimal(first["export_income_pkr"])
    assert saved == Decimal(year["totals"]["savings_pkr"])
    assert first["export_income_pkr"] == year["totals"]["export_income_pkr"]
    assert len(result["years"]) == 21
    assert result["years"][0]["flow_pkr"] == "-1200000.00"
    basis = {item["name"]: item["basis"] for item in result["stands_on"]}
    assert basis["life_years"] == "given"
    assert basis["degradation_percent"].startswith("median of measured systems")
    assert basis["first_year.saved_pkr"] == "projection of 2026-11 to 2027-10"
    assert Decimal(result["lcoe_pkr_per_kwh"]) > 0


@pytest.mark.parametrize(
    ("changes", "body", "code", "field"),
    [
        ({"disco_provider": None}, {}, "billing_setup_missing", "configuration.disco_provider"),
        ({"sanctioned_load_kw": None}, {}, "billing_setup_missing", "configuration.sanctioned_load_kw"),
        ({"tariff_category": "agricultural_tube_well"}, {}, "tariff_missing", "configuration.tariff_category"),
        ({"tariff_category": "palace"}, {}, "tariff_missing", "configuration.tariff_category"),
        ({"tariff_category": "commercial_a1"}, {"from": "2026-01"}, "tariff_missing", "configuration.tariff_category"),
        ({"tariff_category": "industrial_b4"}, {}, "tariff_rate_unknown", None),
        ({}, {"from": "2028-11"}, "validation_failed", "from"),
        ({}, {"from": "December"}, "validation_failed", "from"),
        ({}, {"system_kwp": "3"}, "billing_setup_missing", "configuration.monthly_yield_kwh_per_kwp"),
        ({}, {"system_kwp": "3", "monthly_yield_kwh_per_kwp": YIELDS}, "billing_setup_missing", "latitude"),
        ({}, {"monthly_yield_kwh_per_kwp": YIELDS[:11]}, "validation_failed", "monthly_yield_kwh_per_kwp"),
        ({}, {"system_kwp": "-1"}, "validation_failed", "system_kwp"),
        ({}, {"kwp": "1"}, "validation_failed", "kwp"),
    ],
)
async def test_what_is_missing_is_named(
    home: Home, changes: dict[str, Any], body: dict[str, Any], code: str, field: str | None
) -> None:
    if changes:
        home.site = await configure(home.world, **changes)
    await august_and_september(home)
    answer = await home.api.call("POST", projection(home), home.owner, json=body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] == code
    assert problem["detail"]
    if field is not None:
        assert field in {error["field"] for error in problem["errors"]}


async def test_nothing_measured_is_said_with_the_way_out(home: Home) -> None:
    answer = await home.api.call("GET", projection(home), home.owner)
    assert answer.status_code == 422
    assert answer.json()["code"] == "energy_missing"
    assert answer.json()["errors"][0]["field"] == "monthly_consumption_kwh"


async def test_terms_that_contradict_each_other(home: Home) -> None:
    await august_and_september(home)
    loan = {"principal_pkr": "1300000", "rate_percent": "10", "years": 5}
    answer = await home.api.call("POST", finance(home), home.owner, json={**TERMS, "loan": loan})
    assert answer.status_code == 422
    assert answer.json()["code"] == "bill_not_possible"
    assert "loan.principal_pkr is 1300000" in answer.json()["detail"]


async def test_a_savings_of_nothing_is_no_investment(home: Home) -> None:
    await august_and_september(home)
    result = (await ask(home, finance(home), TERMS))["finance"]
    assert result["project"]["payback"] is None
    assert result["lcoe_pkr_per_kwh"] is None
    assert "The bills of the first year are not lower with solar." in result["notes"]


async def test_it_goes_on_where_the_last_bill_ended(home: Home) -> None:
    home.site = await configure(home.world, net_metering_enabled=True, installation_date="2025-03-01")
    flows = {"imported_wh": 100_000, "consumed_wh": 400_000, "generated_wh": 600_000, "exported_wh": 300_000}
    await home.quarters(date(2026, 8, 1), date(2026, 8, 31), **flows)
    period = {"period_start": "2026-08-01", "period_end": "2026-08-31"}
    made = await home.api.call("POST", home.bills, home.owner, json=period)
    assert made.status_code == 201, made.text
    year = await ask(home, projection(home), {"from": "2026-09"})
    september = year["months"][0]["with_solar"]["breakdown"]
    # 200 kWh of August and as much again of September itself: nothing is billed, the quarter ends and pays them.
    assert september["billed_kwh"] == "0"
    exported, imported = (Decimal(year["months"][0]["energy"][f"{flow}ed_kwh"]) for flow in ("export", "import"))
    paid = (200 + exported - imported) * Decimal("25.32")
    assert Decimal(september["export_credit"]) == paid.quantize(Decimal("0.01"))
    assert "history_from_readings" in {warning["code"] for warning in year["warnings"]}
    told = await ask(home, projection(home), {"from": "2026-09", "surplus_kwh_brought_forward": "0"})
    less = Decimal(september["export_credit"]) - Decimal(told["months"][0]["with_solar"]["breakdown"]["export_credit"])
    assert less == Decimal("5064.00")
