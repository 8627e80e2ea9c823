"""Paper bills entered, kept and compared, in a real database."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from cloud.billing.tables import BillingRun
from cloud.core.db import SYSTEM
from shared.enums import OrgMemberRole
from tests.integration.billing.conftest import Home, configure

FIRST, LAST = date(2026, 8, 5), date(2026, 9, 4)
# K-Electric, 5 August to 4 September 2026; the fuel charge is on July's 608 units.
PAPER: dict[str, Any] = {
    "period_start": "2026-08-05",
    "period_end": "2026-09-04",
    "units_kwh": "262",
    "total_pkr": "14482.29",
    "reference": "0400001234567",
    "due_date": "2026-09-24",
    "lines": [
        {"kind": "energy", "amount_pkr": "8672.20", "label": "Energy charges"},
        {"kind": "fixed", "amount_pkr": "1750.00"},
        {"kind": "fpa", "amount_pkr": "1251.32"},
        {"kind": "qta", "amount_pkr": "-453.12"},
        {"kind": "qta", "amount_pkr": "17.56"},
        {"kind": "surcharge", "amount_pkr": "846.26"},
        {"kind": "duty", "amount_pkr": "155.01"},
        {"kind": "gst", "amount_pkr": "2203.06"},
        {"kind": "municipal", "amount_pkr": "40.00"},
    ],
}
JULY = {"period_start": "2026-07-05", "period_end": "2026-08-04", "units_kwh": "410", "total_pkr": "20000.00"}


def _path(home: Home, *parts: str) -> str:
    return "/".join([home.bills, "actual", *parts])


async def _enter(home: Home, **changes: Any) -> dict[str, Any]:
    answer = await home.api.call("POST", _path(home), home.owner, json={**PAPER, **changes})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"].endswith(f"/bills/actual/{answer.json()['id']}")
    made: dict[str, Any] = answer.json()
    return made


def _line(made: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(line for line in made["difference"]["lines"] if line["kind"] == kind)
    return found


async def _july(home: Home) -> None:
    """608 units billed for July: of the bill that ends on 31 July."""
    body = {"period_start": "2026-07-01", "period_end": "2026-07-31", "units_kwh": "608", "total_pkr": "31000.00"}
    answer = await home.api.call("POST", _path(home), home.owner, json=body)
    assert answer.status_code == 201, answer.text


async def test_anonymous_and_other_organisations(home: Home) -> None:
    made = await _enter(home)
    stranger = home.world.stranger
    for method, path, body in (
        ("POST", _path(home), PAPER),
        ("GET", _path(home), None),
        ("GET", _path(home, made["id"]), None),
        ("GET", _path(home, made["id"], "difference"), None),
        ("PATCH", _path(home, made["id"]), {"total_pkr": "1"}),
        ("DELETE", _path(home, made["id"]), None),
    ):
        match = {"if_match": '"1"'} if method in {"PATCH", "DELETE"} else {}
        assert (await home.api.call(method, path, json=body, **match)).status_code == 401
        assert (await home.api.call(method, path, stranger, json=body, **match)).status_code == 404
    other = f"/sites/{home.world.other_site['id']}/bills/actual/{made['id']}"
    assert (await home.api.call("GET", other, stranger)).status_code == 404


async def test_who_may_only_look_does_not_enter(home: Home) -> None:
    viewer = await home.api.member(home.world.organization_id, "viewer@example.com", OrgMemberRole.VIEWER)
    assert (await home.api.call("POST", _path(home), viewer, json=PAPER)).status_code == 403
    assert (await home.api.call("GET", _path(home), viewer)).status_code == 200


async def test_a_real_bill_agrees_to_the_paisa(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=900_000, generated_wh=638_000)
    await _july(home)
    made = await _enter(home)
    assert (made["origin"], made["is_actual"], made["reference"]) == ("entered", True, "0400001234567")
    assert made["estimated_bill_pkr"] == made["bill_breakdown"]["total_bill"] == "14482.29"
    difference = made["difference"]
    assert difference["total_difference_pkr"] == "0.00"
    assert difference["total_reason"] is None
    assert {line["difference_pkr"] for line in difference["lines"]} == {"0.00"}
    assert difference["from_readings_total_pkr"] == "14482.29"
    assert difference["units"] == {
        "entered_kwh": "262",
        "measured_kwh": "262",
        "difference_kwh": "0",
        "percent": "0.0",
        "is_notable": False,
        "coverage_percent": 100.0,
    }
    # July's 608 units came from the other entered bill.
    codes = {warning["code"] for warning in difference["warnings"]}
    assert "history_from_entered_bill" in codes
    assert "history_from_readings" not in codes
    compared = await home.api.call("GET", f"{home.bills}/{made['compared_to']}", home.owner)
    assert (compared.json()["origin"], compared.json()["estimated_bill_pkr"]) == ("simulated", "14482.29")
    savings = made["savings_breakdown"]
    assert Decimal(savings["total_savings"]) == Decimal(savings["bill_without_solar"]) - Decimal("14482.29")
    assert made["estimated_savings_pkr"] == savings["total_savings"]


async def test_the_bill_is_in_the_site_s_list_and_can_be_checked(home: Home) -> None:
    made = await _enter(home)
    listed = (await home.api.call("GET", home.bills, home.owner)).json()["items"]
    assert [(item["id"], item["origin"]) for item in listed] == [(made["id"], "entered")]
    check = await home.api.call("GET", f"{home.bills}/{made['id']}/check", home.owner)
    assert check.json()["same"] is True
    entered = (await home.api.call("GET", _path(home), home.owner)).json()["items"]
    assert [item["id"] for item in entered] == [made["id"]]


async def test_differences_say_why(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=271_000, consumed_wh=271_000)
    await _july(home)
    lines = [dict(line) for line in PAPER["lines"]]
    lines[0]["amount_pkr"] = "8970.10"  # 271 kWh, as the site's meter has it
    lines[2]["amount_pkr"] = "456.18"  # June's rate
    lines[6]["amount_pkr"] = "0.00"
    made = await _enter(home, lines=lines, total_pkr="15000.00")
    assert _line(made, "energy")["difference_pkr"] == "297.90"
    assert "the site's readings" in _line(made, "energy")["reason"]["words"]
    assert _line(made, "energy")["from_readings_pkr"] == "8970.10"
    assert _line(made, "fpa")["reason"]["code"] == "fca_of_another_month"
    assert _line(made, "duty")["reason"]["code"] == "not_charged"
    assert made["difference"]["total_reason"]["code"] == "beside_the_lines"
    units = made["difference"]["units"]
    assert (units["difference_kwh"], units["percent"], units["is_notable"]) == ("-9", "-3.3", True)


async def test_a_bill_without_readings_is_compared_by_its_own_units(home: Home) -> None:
    made = await _enter(home)
    assert made["compared_to"] is None
    assert made["coverage_percent"] is None
    assert made["difference"]["pending"] == ["fpa"]
    assert made["difference"]["units"]["measured_kwh"] is None
    fpa = _line(made, "fpa")
    assert (fpa["computed_pkr"], fpa["difference_pkr"]) == (None, None)
    assert made["bill_breakdown"]["pending"] == []
    await _july(home)
    later = await home.api.call("GET", _path(home, made["id"], "difference"), home.owner)
    assert later.json()["pending"] == []
    assert later.json()["total_difference_pkr"] == "0.00"


async def test_a_total_with_arrears(home: Home) -> None:
    await _july(home)
    made = await _enter(home, total_pkr="20482.29", other_pkr="6000.00", lines=[])
    assert made["estimated_bill_pkr"] == "14482.29"
    assert made["bill_breakdown"]["printed_total"] == "20482.29"
    assert made["difference"]["total_difference_pkr"] == "0.00"


async def test_entered_units_are_history_for_later_bills(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    await home.quarters(date(2026, 7, 1), date(2026, 7, 31), imported_wh=500_000, consumed_wh=500_000)
    body = {"period_start": "2026-08-05", "period_end": "2026-09-04"}
    before = await home.api.call("POST", home.bills, home.owner, json=body)
    assert "history_from_readings" in {w["code"] for w in before.json()["warnings"]}
    await _july(home)
    after = await home.api.call("POST", home.bills, home.owner, json=body)
    assert after.json()["estimated_bill_pkr"] == "14482.29"
    assert "history_from_entered_bill" in {w["code"] for w in after.json()["warnings"]}
    assert after.json()["inputs"]["case"]["billed_units"] == {"2026-07": "608"}


async def test_settled_automatic_bills_of_later_months_are_made_again(home: Home) -> None:
    site = {"site_id": UUID(home.site["id"]), "organization_id": UUID(home.site["organization_id"])}
    now = home.api.clock()
    runs = [
        {**site, "bill_month": date(2026, month, 1), "period_start": date(2026, month, 1), "state": state, "due_at": now,
         "period_end": date(2026, month, 28), "reason": "energy_missing" if state == "skipped" else None}
        for month, state in ((6, "skipped"), (7, "skipped"), (9, "skipped"), (10, "due"))
    ]  # fmt: skip
    async with home.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(insert(BillingRun), runs)
    await _july(home)
    async with home.api.services.db.transaction(SYSTEM) as conn:
        rows = await conn.execute(select(BillingRun.bill_month, BillingRun.state).order_by(BillingRun.bill_month))
        states = {row.bill_month.month: row.state for row in rows}
    assert states == {6: "skipped", 7: "due", 9: "due", 10: "due"}


async def test_a_day_is_billed_once(home: Home) -> None:
    made = await _enter(home)
    again = await home.api.call("POST", _path(home), home.owner, json={**JULY, "period_end": "2026-08-05"})
    problem = again.json()
    assert (again.status_code, problem["code"], problem["bill_id"]) == (409, "actual_bill_overlaps", made["id"])
    assert (await home.api.call("POST", _path(home), home.owner, json=JULY)).status_code == 201


async def test_a_correction(home: Home) -> None:
    made = await _enter(home)
    path = _path(home, made["id"])
    assert (await home.api.call("PATCH", path, home.owner, json={"total_pkr": "14500.00"})).status_code == 428
    tag = (await home.api.call("GET", path, home.owner)).headers["ETag"]
    changed = await home.api.call(
        "PATCH", path, home.owner, if_match=tag, json={"total_pkr": "14500.00", "reference": None}
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["estimated_bill_pkr"], changed.json()["reference"]) == ("14500.00", None)
    assert changed.json()["entered"]["lines"] == made["entered"]["lines"]
    assert changed.json()["content_hash"] != made["content_hash"]
    stale = await home.api.call("PATCH", path, home.owner, if_match=tag, json={"total_pkr": "1.00"})
    assert stale.status_code == 412
    new_tag = changed.headers["ETag"]
    wrong = await home.api.call("PATCH", path, home.owner, if_match=new_tag, json={"period_start": "2026-09-30"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "validation_failed")
    null = await home.api.call("PATCH", path, home.owner, if_match=new_tag, json={"total_pkr": None})
    assert null.status_code == 422


async def test_a_deletion(home: Home) -> None:
    made = await _enter(home)
    path = _path(home, made["id"])
    assert (await home.api.call("DELETE", path, home.owner, if_match='"7"')).status_code == 412
    assert (await home.api.call("DELETE", path, home.owner, if_match=f'"{made["version"]}"')).status_code == 204
    assert (await home.api.call("GET", path, home.owner)).status_code == 404
    assert (await home.api.call("DELETE", path, home.owner, if_match='"1"')).status_code == 404
    await _enter(home)


async def test_a_simulated_bill_is_not_an_entered_one(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    body = {"period_start": "2026-08-05", "period_end": "2026-09-04"}
    bill = (await home.api.call("POST", home.bills, home.owner, json=body)).json()
    for method in ("GET", "DELETE"):
        answer = await home.api.call(method, _path(home, bill["id"]), home.owner, if_match='"1"')
        assert answer.status_code == 404


async def test_time_of_use_goes_by_the_paper_s_peak_units(home: Home) -> None:
    home.site = await configure(home.world, tariff_category="tou_commercial", sanctioned_load_kw=60.0)
    paper = {**JULY, "units_kwh": "1000", "peak_units_kwh": "100", "max_demand_kw": "20"}
    made = await home.api.call("POST", _path(home), home.owner, json=paper)
    assert made.status_code == 201, made.text
    slabs = {row["slab"]: row["units"] for row in made.json()["bill_breakdown"]["slab_breakdown"]}
    assert slabs == {"off-peak": "900", "peak": "100"}
    fixed = next(line for line in made.json()["difference"]["lines"] if line["kind"] == "fixed")
    assert fixed["computed_pkr"] == "25000.00"
    unknown = {**PAPER, "lines": []}
    refused = await home.api.call("POST", _path(home), home.owner, json=unknown)
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"period_end": "2026-08-01"}, "validation_failed"),
        ({"period_end": "2027-01-01"}, "validation_failed"),
        ({"period_end": "2026-10-31", "due_date": None}, "period_not_over"),
        ({"units_kwh": "-1"}, "validation_failed"),
        ({"peak_units_kwh": "300"}, "validation_failed"),
        ({"total_pkr": "1.234"}, "validation_failed"),
        ({"due_date": "2026-09-01"}, "validation_failed"),
        ({"lines": [{"kind": "bribe", "amount_pkr": "1"}]}, "validation_failed"),
        ({"nonsense": 1}, "validation_failed"),
    ],
)
async def test_what_is_no_bill_is_refused(home: Home, changes: dict[str, Any], code: str) -> None:
    answer = await home.api.call("POST", _path(home), home.owner, json={**PAPER, **changes})
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
