"""Tariffs in the database: loaded twice is once, corrected where the data changed, listed by page."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from sqlalchemy import func, insert, select, update

from cloud.billing.catalogue import read_catalogue
from cloud.billing.loading import load_tariffs
from cloud.billing.repository.tariffs import adjustment_records
from cloud.billing.rules.records import adjustment_of
from cloud.billing.tables import TariffPlan
from cloud.core.db import NOBODY, Database
from cloud.core.ids import new_id
from tests.integration.billing.conftest import Home


async def test_loading_twice_is_once(db: Database) -> None:
    async with db.transaction(NOBODY) as conn:
        first = await load_tariffs(conn)
    async with db.transaction(NOBODY) as conn:
        second = await load_tariffs(conn)
        count = (await conn.execute(select(func.count()).select_from(TariffPlan))).scalar_one()
    assert first.plans_added == count == second.plans_unchanged
    assert first.adjustments_added == second.adjustments_unchanged
    assert (second.plans_added, second.plans_changed, second.adjustments_added, second.adjustments_changed) == (
        0,
        0,
        0,
        0,
    )


async def test_what_is_loaded_is_what_the_files_say(db: Database) -> None:
    async with db.transaction(NOBODY) as conn:
        await load_tariffs(conn)
        stored = [adjustment_of(record) for record in await adjustment_records(conn)]
    wanted = {
        (
            a.kind,
            a.effective_from,
            a.effective_to,
            a.rate,
            a.bands,
            a.categories,
            a.excluded_categories,
            a.disco_providers,
        )
        for a in read_catalogue().adjustments
    }
    assert {
        (
            a.kind,
            a.effective_from,
            a.effective_to,
            a.rate,
            a.bands,
            a.categories,
            a.excluded_categories,
            a.disco_providers,
        )
        for a in stored
    } == wanted
    assert {p for a in stored for p in a.provinces} == {p for a in read_catalogue().adjustments for p in a.provinces}


async def test_a_new_version_ends_the_one_before(db: Database) -> None:
    data = read_catalogue()
    old = next(p for p in data.plans if p.category == "residential_unprotected" and p.effective_to is None)
    async with db.transaction(NOBODY) as conn:
        await load_tariffs(conn)
    ended = replace(old, effective_to=date(2027, 6, 30))
    follower = replace(old, effective_from=date(2027, 7, 1), source="a later notification")
    plans = tuple(ended if p is old else p for p in data.plans)
    async with db.transaction(NOBODY) as conn:
        changed = await load_tariffs(conn, replace(data, plans=(*plans, follower)))
    assert (changed.plans_changed, changed.plans_added) == (12, 12)


async def test_corrected_by_hand_is_corrected_back_and_own_plans_stay(db: Database) -> None:
    async with db.transaction(NOBODY) as conn:
        await load_tariffs(conn)
        await conn.execute(update(TariffPlan).where(TariffPlan.disco_provider == "lesco").values(source="hearsay"))
        own = {
            "id": new_id(),
            "disco_provider": "lesco",
            "category": "residential_unprotected",
            "variant": "own",
            "effective_from": date(2026, 1, 1),
            "rates": {"energy_charge_per_kwh": "1"},
        }
        await conn.execute(insert(TariffPlan).values(own))
        again = await load_tariffs(conn)
        kept = (await conn.execute(select(TariffPlan.rates).where(TariffPlan.variant == "own"))).scalar_one()
    assert again.plans_changed == len(read_catalogue().plans)
    assert Decimal(kept["energy_charge_per_kwh"]) == 1


async def test_listed_by_company_category_and_day(home: Home) -> None:
    query = "/tariffs?disco_provider=lesco&category=residential_unprotected&on=2026-10-01"
    items = (await home.api.call("GET", query, home.owner)).json()["items"]
    assert [(i["name"], i["source"], i["effective_from"]) for i in items] == [
        ("A-1(a) un-protected", "S.R.O. 279(I)/2026", "2026-02-12")
    ]
    assert items[0]["rates"]["slabs"][2]["rate_per_kwh"] == "33.10"
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await home.api.call("GET", f"/tariffs?limit=50{cursor}", home.owner)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) == 12 * len(read_catalogue().plans)
