"""Versions of tariffs and dated records over HTTP: who may, what overlaps, what is warned of, who wins a race."""

import asyncio
import itertools
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, text

from cloud.billing.catalogue import read_catalogue
from cloud.billing.loading import load_tariffs
from cloud.billing.tables import TariffPlan
from cloud.core.db import SYSTEM
from cloud.core.ids import new_id
from shared.enums import OrgMemberRole, UserRole
from tests.integration.api.conftest import Person
from tests.integration.billing.conftest import Home

BODY: dict[str, Any] = {
    "disco_provider": "lesco",
    "category": "tou_commercial",
    "name": "A-2(c) commercial time of use",
    "effective_from": "2027-07-01",
    "rates": {"pricing_rule": "tou", "peak_rate_per_kwh": "44.00", "off_peak_rate_per_kwh": "36.00"},
    "supports_tou": True,
    "source": "a later notification",
    "status": "verified",
}
FCA: dict[str, Any] = {
    "kind": "fca",
    "effective_from": "2026-08-01",
    "effective_to": "2026-08-31",
    "rate": "1.25",
    "excluded_categories": ["residential_lifeline"],
    "source": "a later notification",
    "status": "verified",
}
PHL: dict[str, Any] = {
    "kind": "phl",
    "effective_from": "2027-01-01",
    "rate": "3.10",
    "source": "a later notification",
    "status": "verified",
}


@pytest.fixture
async def boss(home: Home) -> Person:
    return await home.api.person("boss@example.com", role=UserRole.SUPER_ADMIN)


async def current(home: Home, **wanted: str) -> dict[str, Any]:
    query = "&".join(f"{name}={value}" for name, value in wanted.items())
    (item,) = (await home.api.call("GET", f"/tariffs?{query}", home.owner)).json()["items"]
    return dict(item)


async def commercial(home: Home) -> dict[str, Any]:
    return await current(home, disco_provider="lesco", category="tou_commercial", on="2026-10-01")


async def end(home: Home, boss: Person, item: dict[str, Any], last: str | None) -> Any:
    read = await home.api.call("GET", f"/tariffs/{item['id']}", boss)
    return await home.api.call(
        "PATCH", f"/tariffs/{item['id']}", boss, if_match=read.headers["ETag"], json={"effective_to": last}
    )


# --- who may


async def test_only_a_super_administrator_adds(home: Home) -> None:
    manager = await home.api.member(home.world.organization_id, "m@example.com", OrgMemberRole.MANAGER)
    people = (home.owner, home.world.stranger, manager, await home.api.person("nobody@example.com"))
    requests = [("/tariffs", BODY), ("/tariff-adjustments", FCA)]
    for path, body in requests:
        assert (await home.api.call("POST", path, json=body)).status_code == 401
    for person, (path, body) in itertools.product(people, requests):
        answer = await home.api.call("POST", path, person, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "super administrator of the platform" in answer.json()["detail"]


async def test_only_a_super_administrator_changes(home: Home) -> None:
    item = await commercial(home)
    answer = await home.api.call(
        "PATCH", f"/tariffs/{item['id']}", home.owner, if_match='"1"', json={"effective_to": "2027-06-30"}
    )
    assert answer.status_code == 403
    assert (await commercial(home))["effective_to"] is None


async def test_an_installer_sees_no_tariffs(home: Home) -> None:
    fitter = await home.api.member(home.world.organization_id, "f@example.com", OrgMemberRole.INSTALLER)
    for path in ("/tariffs", f"/tariffs/{uuid4()}", "/tariff-categories", "/tariff-adjustments"):
        assert (await home.api.call("GET", path, fitter)).status_code == 403
        assert (await home.api.call("GET", path)).status_code == 401


async def test_an_unknown_tariff(home: Home, boss: Person) -> None:
    assert (await home.api.call("GET", f"/tariffs/{uuid4()}", home.owner)).status_code == 404
    answer = await home.api.call("PATCH", f"/tariffs/{uuid4()}", boss, if_match='"1"', json={})
    assert answer.status_code == 404


# --- adding a version


async def test_a_new_version_ends_the_one_before_when_asked(home: Home, boss: Person) -> None:
    old = await commercial(home)
    answer = await home.api.call("POST", "/tariffs", boss, json={**BODY, "ends_previous": True})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["ended"] == old["id"]
    assert made["warnings"] == []
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Location"] == f"/api/v1/tariffs/{made['id']}"
    ended = (await home.api.call("GET", f"/tariffs/{old['id']}", home.owner)).json()
    assert (ended["effective_to"], ended["version"]) == ("2027-06-30", 2)
    read = await home.api.call("GET", f"/tariffs/{made['id']}", home.owner)
    assert read.json()["rates"] == {**BODY["rates"], "slabs": []}
    there = await current(home, disco_provider="lesco", category="tou_commercial", on="2027-07-01")
    assert there["id"] == made["id"]


async def test_an_overlap_names_the_version_in_the_way(home: Home, boss: Person) -> None:
    old = await commercial(home)
    answer = await home.api.call("POST", "/tariffs", boss, json=BODY)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "tariff_overlap")
    assert problem["in_the_way"]["id"] == old["id"]
    assert problem["in_the_way"]["source"] == "S.R.O. 279(I)/2026"
    assert "send ends_previous, or end it on 2027-06-30" in problem["detail"]
    same_day = {**BODY, "effective_from": "2026-02-12", "ends_previous": True}
    assert "correct that version" in (await home.api.call("POST", "/tariffs", boss, json=same_day)).json()["detail"]
    early = {**BODY, "effective_from": "2025-01-01"}
    assert "end on 2026-02-11" in (await home.api.call("POST", "/tariffs", boss, json=early)).json()["detail"]
    assert (await commercial(home))["effective_to"] is None


async def test_a_gap_is_accepted_with_a_warning(home: Home, boss: Person) -> None:
    early = {**BODY, "effective_from": "2025-07-01", "effective_to": "2025-12-31"}
    made = (await home.api.call("POST", "/tariffs", boss, json=early)).json()
    (warning,) = made["warnings"]
    assert warning["code"] == "gap_after"
    assert "from 2026-01-01 to 2026-02-11" in warning["message"]
    assert (await end(home, boss, await commercial(home), "2027-05-31")).status_code == 200
    later = (await home.api.call("POST", "/tariffs", boss, json=BODY)).json()
    assert [w["code"] for w in later["warnings"]] == ["gap_before"]
    assert "from 2027-06-01 to 2027-06-30" in later["warnings"][0]["message"]


async def test_other_companies_and_variants_are_not_in_the_way(home: Home, boss: Person) -> None:
    own = {**BODY, "effective_from": "2026-02-12", "variant": "special"}
    assert (await home.api.call("POST", "/tariffs", boss, json=own)).status_code == 201


async def test_a_rate_that_is_left_out_is_told(home: Home, boss: Person) -> None:
    body = {**BODY, "ends_previous": True, "rates": {"pricing_rule": "tou", "peak_rate_per_kwh": "44"}}
    (warning,) = (await home.api.call("POST", "/tariffs", boss, json=body)).json()["warnings"]
    assert warning == {
        "code": "rate_unknown",
        "message": "The off-peak rate is not given: a bill that needs it cannot be made.",
    }


WRONG_VERSIONS: list[tuple[dict[str, Any], str]] = [
    ({"category": "homes"}, "category"),
    ({"category": "commercial_b2"}, "category"),
    ({"disco_provider": "nesco"}, "disco_provider"),
    ({"source": ""}, "source"),
    ({"status": "pending"}, "status"),
    ({"effective_from": "2027-02-30"}, "effective_from"),
    ({"effective_to": "2027-06-30"}, ""),
    ({"rates": {"meter_rent": "1"}}, "rates"),
    ({"rates": {"energy_charge_per_kwh": "-1"}}, "rates.energy_charge_per_kwh"),
    ({"rates": {"energy_charge": "1"}}, "rates.energy_charge"),
    ({"colour": "red"}, "colour"),
]


async def test_wrong_fields_are_named(home: Home, boss: Person) -> None:
    for change, field in WRONG_VERSIONS:
        answer = await home.api.call("POST", "/tariffs", boss, json={**BODY, **change})
        assert answer.status_code == 422, answer.text
        assert field in {e["field"].removeprefix("body") for e in answer.json()["errors"]}, answer.text


async def test_sent_twice_happens_once(home: Home, boss: Person) -> None:
    body = {**BODY, "ends_previous": True}
    first, second = [await home.api.call("POST", "/tariffs", boss, json=body, key="one") for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"


async def test_a_race_has_one_winner(home: Home, boss: Person) -> None:
    body = {**BODY, "variant": "special"}
    answers = await asyncio.gather(*(home.api.call("POST", "/tariffs", boss, json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    made = next(answer.json() for answer in answers if answer.status_code == 201)
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["in_the_way"]["id"] == made["id"]


async def test_the_constraint_has_the_last_word(home: Home, boss: Person) -> None:
    """The other version is not committed when the request looks, and is when it writes."""
    db, mine = home.api.services.db, new_id()
    async with db.transaction(SYSTEM) as conn:
        row = {name: BODY[name] for name in ("disco_provider", "category", "name", "rates", "source", "status")}
        row |= {"id": mine, "variant": "special", "effective_from": date(2026, 1, 1)}
        await conn.execute(insert(TariffPlan).values(row))
        request = asyncio.create_task(home.api.call("POST", "/tariffs", boss, json={**BODY, "variant": "special"}))
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        for _ in range(200):
            if await conn.scalar(waiting):
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("the request did not wait for the other transaction")
    answer = await request
    assert (answer.status_code, answer.json()["code"]) == (409, "tariff_overlap")
    assert answer.json()["in_the_way"]["id"] == str(mine)


# --- changing a version


async def test_a_version_is_ended_and_opened_again(home: Home, boss: Person) -> None:
    item = await commercial(home)
    answer = await end(home, boss, item, "2027-06-30")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"2"'
    assert answer.json()["effective_to"] == "2027-06-30"
    assert (await end(home, boss, item, None)).json()["effective_to"] is None


async def test_a_version_may_not_grow_over_the_next(home: Home, boss: Person) -> None:
    made = (await home.api.call("POST", "/tariffs", boss, json={**BODY, "ends_previous": True})).json()
    old = await current(home, disco_provider="lesco", category="tou_commercial", on="2027-06-30")
    answer = await end(home, boss, old, "2027-07-01")
    assert (answer.status_code, answer.json()["in_the_way"]["id"]) == (409, made["id"])
    assert "let yours end on 2027-06-30" in answer.json()["detail"]
    shrunk = await end(home, boss, old, "2027-06-29")
    assert [w["code"] for w in shrunk.json()["warnings"]] == ["gap_after"]
    assert (await end(home, boss, old, "2026-01-01")).json()["errors"][0]["field"] == "effective_to"


async def test_a_correction_names_its_source(home: Home, boss: Person) -> None:
    path = f"/tariffs/{(await current(home, disco_provider='lesco', category='industrial_b4'))['id']}"
    rates = {**(await home.api.call("GET", path, boss)).json()["rates"], "off_peak_rate_per_kwh": "22.96"}
    refused = await home.api.call("PATCH", path, boss, if_match='"1"', json={"rates": rates})
    assert refused.status_code == 422
    assert "rates were sent without source" in refused.text
    body = {"rates": rates, "source": "the notification's corrigendum", "status": "verified"}
    corrected = await home.api.call("PATCH", path, boss, if_match='"1"', json=body)
    assert (corrected.json()["rates"]["off_peak_rate_per_kwh"], corrected.json()["warnings"]) == ("22.96", [])


async def test_etags(home: Home, boss: Person) -> None:
    path = f"/tariffs/{(await commercial(home))['id']}"
    assert (await home.api.call("PATCH", path, boss, json={})).status_code == 428
    assert (await home.api.call("PATCH", path, boss, if_match='"7"', json={})).status_code == 412
    same = await home.api.call("PATCH", path, boss, if_match='"1"', json={})
    assert (same.status_code, same.headers["ETag"]) == (200, '"1"')
    assert (await home.api.call("PATCH", path, boss, if_match='"1"', json={"name": None})).status_code == 422


# --- dated records


async def test_a_fuel_charge_is_added_and_listed(home: Home, boss: Person) -> None:
    answer = await home.api.call("POST", "/tariff-adjustments", boss, json=FCA)
    assert answer.status_code == 201, answer.text
    listed = (await home.api.call("GET", "/tariff-adjustments?kind=fca&on=2026-08-10", home.owner)).json()["items"]
    assert [(i["id"], i["rate"], i["excluded_categories"]) for i in listed] == [
        (answer.json()["id"], "1.250000", ["residential_lifeline"])
    ]


async def test_a_record_in_the_way_is_named_or_ended(home: Home, boss: Person) -> None:
    refused = await home.api.call("POST", "/tariff-adjustments", boss, json=PHL)
    assert (refused.status_code, refused.json()["code"]) == (409, "tariff_adjustment_overlap")
    assert "send ends_previous, or end it on 2026-12-31" in refused.json()["detail"]
    made = await home.api.call("POST", "/tariff-adjustments", boss, json={**PHL, "ends_previous": True})
    assert made.json()["ended"] == refused.json()["in_the_way"]["id"]
    items = (await home.api.call("GET", "/tariff-adjustments?kind=phl", home.owner)).json()["items"]
    assert [(i["effective_from"], i["effective_to"]) for i in items] == [
        ("2026-02-12", "2026-12-31"),
        ("2027-01-01", None),
    ]


async def test_a_record_is_corrected_and_ended(home: Home, boss: Person) -> None:
    made = await home.api.call("POST", "/tariff-adjustments", boss, json=FCA)
    path = made.headers["Location"].removeprefix("/api/v1")

    async def patch(body: dict[str, Any], version: int, person: Person = boss) -> Any:
        return await home.api.call("PATCH", path, person, if_match=f'"{version}"', json=body)

    assert (await patch({"rate": "1.26"}, 1)).status_code == 422
    assert (await patch({"rate": "1.26", "source": "x"}, 1, home.owner)).status_code == 403
    corrected = await patch({"rate": "1.26", "source": "a corrigendum"}, 1)
    assert (corrected.json()["rate"], corrected.headers["ETag"], corrected.json()["origin"]) == (
        "1.260000",
        '"2"',
        "own",
    )
    assert (await patch({}, 1)).status_code == 412
    assert "whole months" in (await patch({"effective_to": "2026-08-30"}, 2)).text
    july = (await home.api.call("GET", "/tariff-adjustments?kind=fca&on=2026-07-10", boss)).json()["items"][0]
    grown = await home.api.call(
        "PATCH", f"/tariff-adjustments/{july['id']}", boss, if_match='"1"', json={"effective_to": "2026-08-31"}
    )
    assert (grown.status_code, grown.json()["in_the_way"]["id"]) == (409, made.json()["id"])
    read = await home.api.call("GET", path, home.owner)
    assert (read.json()["source"], read.headers["ETag"]) == ("a corrigendum", '"2"')


async def test_what_was_corrected_here_outlives_the_programs_data(home: Home, boss: Person) -> None:
    item = await commercial(home)
    assert (await home.api.call("GET", f"/tariffs/{item['id']}", boss)).json()["origin"] == "product"
    await home.api.call("POST", "/tariffs", boss, json={**BODY, "ends_previous": True})
    await home.api.call("POST", "/tariff-adjustments", boss, json={**PHL, "ends_previous": True})
    async with home.api.services.db.transaction(SYSTEM) as conn:
        loaded = await load_tariffs(conn)
    assert (loaded.plans_changed, loaded.adjustments_changed, loaded.in_the_way) == (0, 0, ())
    ended = (await home.api.call("GET", f"/tariffs/{item['id']}", boss)).json()
    assert (ended["origin"], ended["effective_to"]) == ("product", "2027-06-30")
    renamed = await home.api.call("PATCH", f"/tariffs/{item['id']}", boss, if_match='"2"', json={"name": "ours"})
    assert renamed.json()["origin"] == "own"
    async with home.api.services.db.transaction(SYSTEM) as conn:
        assert (await load_tariffs(conn)).plans_kept == 1


async def test_two_at_once_add_one(home: Home, boss: Person) -> None:
    answers = await asyncio.gather(*(home.api.call("POST", "/tariff-adjustments", boss, json=FCA) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


WRONG_RECORDS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "tax"}, "kind"),
    ({"categories": ["homes"]}, "categories"),
    ({"provinces": ["sindh", "punjab"]}, "provinces"),
    ({"rate": None}, ""),
    ({"effective_from": "2026-08-02"}, ""),
    ({"rate": "1.23456789"}, "rate"),
]


async def test_wrong_records_are_named(home: Home, boss: Person) -> None:
    for change, field in WRONG_RECORDS:
        answer = await home.api.call("POST", "/tariff-adjustments", boss, json={**FCA, **change})
        assert answer.status_code == 422, answer.text
        assert field in {e["field"].removeprefix("body") for e in answer.json()["errors"]}, answer.text


async def test_records_by_company_and_category(home: Home) -> None:
    def kinds(answer: Any) -> set[str]:
        return {item["kind"] for item in answer.json()["items"]}

    lesco = kinds(await home.api.call("GET", "/tariff-adjustments?disco_provider=lesco&on=2026-07-01", home.owner))
    karachi = kinds(
        await home.api.call("GET", "/tariff-adjustments?disco_provider=kelectric&on=2026-07-01", home.owner)
    )
    assert karachi - lesco == {"municipal"}
    shops = await home.api.call("GET", "/tariff-adjustments?category=tou_commercial&kind=income_tax", home.owner)
    (tax,) = shops.json()["items"]
    assert tax["bands"][2] == {"top": None, "amount": "1950", "percent": "12", "above": "20000"}
    pages = await home.api.call("GET", "/tariff-adjustments?limit=2", home.owner)
    rest = await home.api.call("GET", f"/tariff-adjustments?limit=200&cursor={pages.json()['next_cursor']}", home.owner)
    ids = [item["id"] for answer in (pages, rest) for item in answer.json()["items"]]
    assert len(ids) == len(set(ids)) > 10


async def test_categories_with_and_without_rates(home: Home) -> None:
    items = (await home.api.call("GET", "/tariff-categories", home.owner)).json()["items"]
    found = {item["code"]: item for item in items}
    assert found["tou_commercial"] == {
        "code": "tou_commercial",
        "name": "Commercial, time of use",
        "nepra_code": "A-2(c)",
        "alias_of": None,
        "has_plans": True,
    }
    assert found["agricultural_tube_well"]["has_plans"] is False
    assert found["commercial_b2"]["alias_of"] == "commercial_a2"
    # What the files say of categories is what the database says.
    assert {(c.code, c.name, c.nepra_code, c.alias_of) for c in read_catalogue().categories} == {
        (item["code"], item["name"], item["nepra_code"], item["alias_of"]) for item in items
    }


async def test_an_added_fuel_charge_is_on_the_next_bill(home: Home, boss: Person) -> None:
    await home.quarters(date(2026, 9, 5), date(2026, 10, 4), imported_wh=262_000, consumed_wh=262_000)
    body = {"period_start": "2026-09-05", "period_end": "2026-10-04", "units_history": {"2026-08": "300"}}
    before = (await home.api.call("POST", home.bills, home.owner, json=body)).json()
    await home.api.call("POST", "/tariff-adjustments", boss, json=FCA)
    after = (await home.api.call("POST", home.bills, home.owner, json=body)).json()
    (pending,) = [line for line in before["lines"] if line["kind"] == "fpa"]
    (charged,) = [line for line in after["lines"] if line["kind"] == "fpa"]
    assert (pending["status"], pending["amount"]) == ("pending", None)
    assert charged["amount"] == "375.00"
