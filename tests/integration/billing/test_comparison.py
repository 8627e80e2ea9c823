"""Tariffs compared, and advice, on quarter-hours in a real database."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.enums import OrgMemberRole
from tests.integration.billing.conftest import Home, configure

FIRST, LAST = date(2026, 8, 1), date(2026, 8, 31)
PERIOD = {"period_start": "2026-08-01", "period_end": "2026-08-31"}


def _path(home: Home) -> str:
    return f"{home.bills}/compare-tariffs"


async def _compared(home: Home, **body: Any) -> dict[str, Any]:
    answer = await home.api.call("POST", _path(home), home.owner, json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def _advice(home: Home, query: str = "") -> dict[str, Any]:
    answer = await home.api.call("GET", f"{home.bills}/advice{query}", home.owner)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _by_category(made: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    return {item["category"]: item for item in made[name]}


async def test_anonymous_and_other_organisations(home: Home) -> None:
    for method, path in (("GET", _path(home)), ("POST", _path(home)), ("GET", f"{home.bills}/advice")):
        body = {} if method == "POST" else None
        assert (await home.api.call(method, path, json=body)).status_code == 401
        assert (await home.api.call(method, path, home.world.stranger, json=body)).status_code == 404


async def test_who_sees_bills_compares_them(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=310_000, consumed_wh=310_000)
    viewer = await home.api.member(home.world.organization_id, "viewer@example.com", OrgMemberRole.VIEWER)
    assert (await home.api.call("POST", _path(home), viewer, json=PERIOD)).status_code == 200
    installer = await home.api.member(home.world.organization_id, "installer@example.com", OrgMemberRole.INSTALLER)
    assert (await home.api.call("POST", _path(home), installer, json=PERIOD)).status_code == 403


async def test_a_home_of_five_kilowatts(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=310_000, consumed_wh=900_000, generated_wh=590_000)
    made = await _compared(home, **PERIOD, units_history={"2026-06": "250"})
    choices = _by_category(made, "choices")
    assert set(choices) == {"residential_unprotected", "residential_tou"}
    present = choices["residential_unprotected"]
    assert (made["present"], present["is_present"], present["difference_pkr"]) == (
        "residential_unprotected",
        True,
        "0.00",
    )
    bill = await home.api.call("POST", home.bills, home.owner, json={**PERIOD, "units_history": {"2026-06": "250"}})
    assert present["total_pkr"] == bill.json()["estimated_bill_pkr"] == made["present_total_pkr"]
    assert present["savings_pkr"] == bill.json()["estimated_savings_pkr"]
    totals = [Decimal(choice["total_pkr"]) for choice in made["choices"]]
    assert totals == sorted(totals)
    assert Decimal(made["saving_pkr"]) == Decimal(made["present_total_pkr"]) - totals[0]
    refused = _by_category(made, "refused")
    assert refused["residential_lifeline"]["code"] == "load_too_large"
    assert (
        refused["residential_protected"]["reason"] == "For homes that stay within 200 kWh a month; 250 kWh in 2026-06."
    )
    parts = ("energy_pkr", "fixed_pkr", "adjustments_pkr", "taxes_pkr")
    assert (
        sum(Decimal(present[name]) for name in parts) - Decimal(present["export_credit_pkr"])
        == totals[[c["category"] for c in made["choices"]].index("residential_unprotected")]
    )


async def test_another_load_is_compared_with_what_is_paid_now(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=310_000, consumed_wh=310_000)
    as_it_is = await _compared(home, **PERIOD)
    smaller = await _compared(home, **PERIOD, sanctioned_load_kw="4")
    assert smaller["sanctioned_load_kw"] == "4"
    assert smaller["present_total_pkr"] == as_it_is["present_total_pkr"]
    present = _by_category(smaller, "choices")["residential_unprotected"]
    # One kW at 400 PKR of the slab of 301-400 kWh, with 18 % sales tax.
    assert present["difference_pkr"] == "-472.00"
    assert _by_category(smaller, "refused")["residential_tou"]["code"] == "load_too_small"


async def test_the_last_complete_months(home: Home) -> None:
    for month, days in ((7, 31), (8, 31), (9, 30)):
        await home.quarters(date(2026, month, 1), date(2026, month, days), imported_wh=300_000, consumed_wh=600_000)
    answer = await home.api.call("GET", f"{_path(home)}?months=5", home.owner)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert [p["period_end"] for p in made["periods"]] == ["2026-07-31", "2026-08-31", "2026-09-30"]
    assert [item["what"] for item in made["left_out"]] == ["2026-05-01/2026-05-31", "2026-06-01/2026-06-30"]
    assert {item["code"] for item in made["left_out"]} == {"energy_missing"}
    present = _by_category(made, "choices")["residential_unprotected"]
    assert sum(Decimal(total) for total in present["bills_pkr"]) == Decimal(present["total_pkr"])
    alone = await home.api.call("GET", _path(home), home.owner)
    assert [p["period_end"] for p in alone.json()["periods"]] == ["2026-09-30"]


async def test_a_month_without_a_meter_of_consumption_is_compared(home: Home) -> None:
    # An hour is missing on the last day, and nobody measured what the home used.
    await home.quarters(date(2026, 9, 1), date(2026, 9, 29), imported_wh=290_000, generated_wh=290_000)
    await home.quarters(
        date(2026, 9, 30), date(2026, 9, 30), imported_wh=10_000, generated_wh=10_000, covered_seconds=870
    )
    answer = await home.api.call("GET", _path(home), home.owner)
    assert answer.status_code == 200, answer.text
    assert answer.json()["periods"] == [{"period_start": "2026-09-01", "period_end": "2026-09-30", "billed_kwh": "300"}]
    assert any("consumption was not measured" in words for words in answer.json()["assumptions"])


async def test_thin_months_are_left_out(home: Home) -> None:
    await home.quarters(
        date(2026, 9, 1), date(2026, 9, 20), imported_wh=200_000, consumed_wh=200_000, covered_seconds=300
    )
    answer = await home.api.call("GET", _path(home), home.owner)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "energy_missing")
    assert "2026-09-01/2026-09-30" in problem["detail"]


async def test_a_shop_may_choose_by_its_load(home: Home) -> None:
    home.site = await configure(home.world, tariff_category="commercial_a1", sanctioned_load_kw=4.0)
    await home.quarters(FIRST, LAST, imported_wh=744_000, consumed_wh=744_000)
    made = await _compared(home, **PERIOD)
    assert set(_by_category(made, "choices")) == {"commercial_a1", "tou_commercial"}
    refused = _by_category(made, "refused")
    assert (refused["commercial_a2"]["code"], refused["commercial_a3"]["code"]) == ("load_too_small", "load_too_small")
    bigger = await _compared(home, **PERIOD, sanctioned_load_kw="60")
    # The present tariff is priced whatever the limits say; A-2(b) has no rate on record.
    assert _by_category(bigger, "refused")["commercial_a2"]["code"] == "not_on_record"


async def test_a_protected_home_is_priced_month_by_month(home: Home) -> None:
    home.site = await configure(home.world, tariff_category="residential_protected", sanctioned_load_kw=2.0)
    await home.quarters(FIRST, LAST, imported_wh=150_000, consumed_wh=400_000, generated_wh=250_000)
    history = {f"2026-{month:02d}": "150" for month in range(2, 8)}
    made = await _compared(home, **PERIOD, units_history=history)
    assert made["best"] == "residential_protected"
    present = _by_category(made, "choices")["residential_protected"]
    bill = await home.api.call("POST", home.bills, home.owner, json={**PERIOD, "units_history": history})
    assert bill.json()["bill_breakdown"]["tariff"] == "A-1(a) protected"
    assert present["total_pkr"] == bill.json()["estimated_bill_pkr"]
    assert present["without_solar_pkr"] == bill.json()["savings_breakdown"]["bill_without_solar"]
    lost = await _compared(home, **PERIOD, units_history={**history, "2026-05": "300"})
    dearer = _by_category(lost, "choices")["residential_protected"]
    assert Decimal(dearer["total_pkr"]) == Decimal(
        _by_category(lost, "choices")["residential_unprotected"]["total_pkr"]
    )


@pytest.mark.parametrize(
    "body",
    [
        {"period_start": "2026-08-01"},
        {**PERIOD, "months": 3},
        {"months": 0},
        {"months": 25},
        {"period_start": "2026-08-31", "period_end": "2026-08-01"},
        {"sanctioned_load_kw": "0"},
        {"nonsense": 1},
    ],
)
async def test_what_cannot_be_compared_is_refused(home: Home, body: dict[str, Any]) -> None:
    answer = await home.api.call("POST", _path(home), home.owner, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    query = "&".join(f"{name}={value}" for name, value in body.items())
    assert (await home.api.call("GET", f"{_path(home)}?{query}", home.owner)).status_code == 422


def _at(home: Home, at: datetime) -> None:
    home.api.clock.at = at
    home.owner.token = home.api.services.tokens.issue(home.owner.id, at)


async def test_advice_on_a_running_month(home: Home) -> None:
    # Twenty days of October at 9 kWh: 180 so far, 279 at the end: 200 will be crossed, 300 is within sight of it.
    _at(home, datetime(2026, 10, 20, 19, 0, tzinfo=UTC))
    await home.quarters(date(2026, 10, 1), date(2026, 10, 20), imported_wh=180_000, consumed_wh=180_000)
    made = await _advice(home)
    assert (made["period_start"], made["period_end"]) == ("2026-10-01", "2026-10-31")
    assert (made["billed_kwh"], made["expected_kwh"], made["as_of_days"]) == ("180", "279.0", "20.00")
    (edge,) = [item for item in made["advice"] if item["code"] == "slab_cliff"]
    assert edge["severity"] == "warning"
    assert edge["facts"] == {
        "edge_kwh": "200",
        "left_kwh": "20",
        "next_kwh_pkr": edge["amount_pkr"],
        "expected_kwh": "279",
        "reached_on": "2026-10-23",
    }
    assert "20 kWh are left until 2026-10-31" in edge["message"]
    assert edge["message_ur"]
    assert edge["basis"][0].startswith("A-1(a) un-protected (S.R.O. 279(I)/2026)")
    assert made["standing"] is None
    assert {item["code"] for item in made["left_out"]} >= {"readings_incomplete", "energy_missing"}


async def test_advice_on_a_protected_home(home: Home) -> None:
    home.site = await configure(home.world, tariff_category="residential_protected", sanctioned_load_kw=2.0)
    for month, days in ((4, 30), (5, 31), (6, 30), (7, 31), (8, 31), (9, 30)):
        await home.quarters(date(2026, month, 1), date(2026, month, days), imported_wh=150_000, consumed_wh=150_000)
    _at(home, datetime(2026, 10, 15, 19, 0, tzinfo=UTC))
    await home.quarters(date(2026, 10, 1), date(2026, 10, 15), imported_wh=120_000, consumed_wh=120_000)
    made = await _advice(home)
    standing = made["standing"]
    assert (standing["holds"], standing["left_kwh"], standing["months_to_go"]) == (True, "80", 0)
    assert [month["within"] for month in standing["months"]] == [True] * 6
    status = next(item for item in made["advice"] if item["code"] == "protected_status")
    assert status["severity"] == "warning"
    assert Decimal(status["amount_pkr"]) > 10_000
    assert status["amount_of"] == "over 6 months"
    load = next(item for item in made["advice"] if item["code"].startswith("sanctioned_load"))
    assert load["facts"]["months"] == "6"
    over = await _advice(home, "?on=2026-07-10")
    assert (over["period_start"], over["as_of_days"]) == ("2026-07-01", "31.00")


async def test_advice_says_what_the_past_months_say_about_the_load(home: Home) -> None:
    home.site = await configure(
        home.world, sanctioned_load_kw=12.0, net_metering_enabled=True, installation_date="2026-03-01"
    )
    for month, days in ((7, 31), (8, 31), (9, 30)):
        await home.quarters(
            date(2026, month, 1), date(2026, month, days), imported_wh=320_000, consumed_wh=500_000, exported_wh=400_000,
            generated_wh=580_000,
        )  # fmt: skip
    made = await _advice(home, "?on=2026-09-15")
    load = next(item for item in made["advice"] if item["code"] == "sanctioned_load_high")
    # Net billing holds it at the 10 kW of the panels; two of twelve months before September have readings.
    assert (load["facts"]["needed_load_kw"], load["facts"]["months"]) == ("10", "2")
    assert load["amount_pkr"] == str(2 * 2 * Decimal(400) * Decimal("1.18"))
    assert any("Only 2 of 12 months" in words for words in load["basis"])
    assert "use_at_home" in {item["code"] for item in made["advice"]}


async def test_advice_goes_by_the_reading_day(home: Home) -> None:
    home.site = await configure(home.world, reading_day=4)
    await home.quarters(date(2026, 8, 5), date(2026, 9, 4), imported_wh=205_000, consumed_wh=205_000)
    made = await _advice(home, "?on=2026-09-04")
    assert (made["period_start"], made["period_end"]) == ("2026-08-05", "2026-09-04")
    passed = next(item for item in made["advice"] if item["code"] == "slab_edge_passed")
    assert passed["amount_of"] == "the 5 kWh above 200"


async def test_advice_needs_readings(home: Home) -> None:
    answer = await home.api.call("GET", f"{home.bills}/advice", home.owner)
    assert (answer.status_code, answer.json()["code"]) == (422, "energy_missing")
    later = await home.api.call("GET", f"{home.bills}/advice?on=2027-03-01", home.owner)
    assert (later.status_code, later.json()["code"]) == (422, "period_not_started")
