"""POST /bills/simulate: a case priced by the tariffs of the database, for anybody who may see tariffs."""

import json
from typing import Any

from sqlalchemy import text

from cloud.billing.case_file.pricing import price_case
from cloud.billing.case_file.reading import read_case
from cloud.billing.case_file.shape import EXAMPLE
from cloud.billing.catalogue import read_catalogue
from cloud.core.db import SYSTEM
from shared.enums import OrgMemberRole
from tests.integration.billing.conftest import Home
from tests.unit.billing.test_seed_tariff import RATES

PATH = "/bills/simulate"
SHOP = {
    "disco": "lesco",
    "category": "A-2(c)",
    "sanctioned_load_kw": 60,
    "mdi": 38,
    "bill_month": "2026-09",
    "off_peak_units": 6200,
    "peak_units": 1150,
    "history": {"2026-07": 7000},
    "rates_override": {"duty_percent": 0},
}


async def _price(home: Home, case: dict[str, Any]) -> Any:
    return await home.api.call("POST", PATH, home.owner, json=case)


async def test_anonymous(home: Home) -> None:
    assert (await home.api.call("POST", PATH, json=dict(EXAMPLE))).status_code == 401


async def test_who_sees_no_money_sees_no_tariffs(home: Home) -> None:
    installer = await home.api.member(home.world.organization_id, "installer@example.com", OrgMemberRole.INSTALLER)
    assert (await home.api.call("POST", PATH, installer, json=dict(EXAMPLE))).status_code == 403
    assert (await home.api.call("POST", PATH, home.world.stranger, json=dict(EXAMPLE))).status_code == 200


KNOWN: list[tuple[dict[str, Any], str]] = [
    (dict(EXAMPLE), "14096.48"),
    (SHOP, "472402.34"),
    ({"rates": RATES, "units": 300, "bill_month": "2026-01"}, "5470.91"),
]


async def test_the_answer_is_the_command_s(home: Home) -> None:
    for case, total in KNOWN:
        answer = await _price(home, case)
        assert answer.status_code == 200, answer.text
        priced = answer.json()
        command = price_case(read_case(case), read_catalogue())
        assert priced["bill_breakdown"]["total_bill"] == total
        assert set(priced) == set(command)
        for key in ("lines", "warnings", "assumptions", "case", "savings_breakdown"):
            assert priced[key] == command[key]


async def test_the_database_s_tariffs_count(home: Home) -> None:
    async with home.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(text("UPDATE tariff_adjustments SET rate = 17 WHERE kind = 'gst'"))
    answer = await _price(home, dict(EXAMPLE))
    assert {line["rate"] for line in answer.json()["lines"] if line["kind"] == "gst"} == {"17"}


async def test_all_versions_inside_the_period(home: Home) -> None:
    answer = await _price(home, {**EXAMPLE, "period_start": "2026-02-01", "period_end": "2026-02-28", "units": 600})
    versions = [version["effective_from"] for version in answer.json()["tariff"]["versions"]]
    assert versions == ["2025-07-01", "2026-02-12"]


async def test_a_home_without_its_panels_is_on_another_tariff(home: Home) -> None:
    low = {f"2026-{month:02}": 150 for month in range(3, 9)}
    case = {
        **EXAMPLE,
        "period_start": "2026-09-01",
        "period_end": "2026-09-30",
        "units": 150,
        "consumed_kwh": 600,
        "history": low,
    }
    answer = (await _price(home, case)).json()
    assert answer["tariff"]["category"] == "residential_protected"
    dark = (await _price(home, {**case, "units": 600})).json()
    assert answer["savings_breakdown"]["bill_without_solar"] == dark["bill_breakdown"]["total_bill"]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"unitz": 5}, "unitz", "unitz is not a field of the case; did you mean units"),
    ({"imported_kwh": 5}, "imported_kwh", "two names of the same field"),
    ({"units": "many"}, "units", "valid decimal"),
    ({"rates": {"gst_percent": 200}, "category": None}, "rates.gst_percent", "less than or equal to 100"),
    ({"interval_csv": "/etc/passwd"}, "interval_csv", "the name of a file; send the file's text"),
    ({"disco_provider": "nobody"}, "disco_provider", "write one of lesco"),
    ({"category": "A-2(b)"}, "category", "on record for that day: commercial_a1"),
    ({"sanctioned_load_kw": None}, "sanctioned_load_kw", "is missing"),
    ({"exported_kwh": 5, "export_scheme": None}, "export_scheme", "write net_metering_2015"),
    ({"period_end": "2026-05-01"}, "period_end", "before period_start"),
]


async def test_a_wrong_field_is_named(home: Home) -> None:
    for changes, field, words in WRONG:
        answer = await _price(home, {**EXAMPLE, **changes})
        assert answer.status_code == 422, answer.text
        problem = answer.json()["errors"][0]
        assert problem["field"] == field
        assert words in problem["message"]


async def test_an_unknown_rate_is_said(home: Home) -> None:
    answer = await _price(home, {**SHOP, "category": "B-4"})
    assert (answer.status_code, answer.json()["code"]) == (422, "tariff_rate_unknown")
    assert answer.json()["errors"][0]["field"] == "tariff"


async def test_intervals_in_the_body(home: Home) -> None:
    rows = "timestamp,import_kwh\n2026-09-01 17:30,1\n2026-09-01 18:00,2\n"
    case = {**SHOP, "mdi": None, "off_peak_units": None, "peak_units": None, "interval_csv": rows}
    answer = await _price(home, case)
    assert answer.json()["case"]["imported_peak_kwh"] == "2"


async def test_text_that_no_answer_can_show_is_refused(home: Home) -> None:
    for name in ("\0", "\ud800", "x" * 400, "two\nlines"):
        for case in ({"tariff": {"rates": RATES, "name": name}}, {name: 5}, {"category": name}):
            body = json.dumps({"units": 300, "bill_month": "2026-01", "disco": "lesco", **case})
            answer = await home.api.call(
                "POST", PATH, home.owner, content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 422, answer.text


async def test_too_many_cases_a_minute(home: Home) -> None:
    answers = [(await _price(home, {})).status_code for _ in range(61)]
    assert set(answers[:60]) == {422}
    assert answers[60] == 429


async def test_the_api_s_description_has_the_case(home: Home) -> None:
    document = home.api.app.openapi()
    schema = document["components"]["schemas"]["CaseFile"]
    assert {"units", "imported_kwh", "period", "tariff"} <= set(schema["properties"])
    assert schema["example"] == dict(EXAMPLE)
