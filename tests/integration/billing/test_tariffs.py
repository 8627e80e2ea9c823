"""Tariffs in the database: loaded twice is once, corrected where the data changed, listed by page."""

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.catalogue import Catalogue, read_catalogue
from cloud.billing.checking import check_documents
from cloud.billing.loading import load_tariffs, stored_catalogue, stored_document
from cloud.billing.presenting import differences
from cloud.billing.repository.tariffs import adjustment_records
from cloud.billing.rules.records import adjustment_of
from cloud.billing.tables import TariffAdjustment, TariffPlan
from cloud.billing.tariff_rows import plan_rows
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


def follower_of(data: Catalogue, start: date) -> dict[str, Any]:
    """A version of this installation's own at LESCO, after the product's one for homes."""
    old = next(p for p in data.plans if p.category == "residential_unprotected" and p.effective_to is None)
    (row,) = [row for key, row in plan_rows(old) if key[0] == "lesco"]
    return {**row, "id": new_id(), "effective_from": start, "source": "our own", "origin": "own"}


async def homes(conn: AsyncConnection) -> list[tuple[date, date | None, str]]:
    table = TariffPlan
    statement = (
        select(table.effective_from, table.effective_to, table.source)
        .where(table.disco_provider == "lesco", table.category == "residential_unprotected")
        .order_by(table.effective_from)
    )
    return [tuple(row) for row in await conn.execute(statement)]


async def test_a_version_of_ones_own_keeps_its_place(db: Database) -> None:
    """Ended by hand for an own version: the next load neither opens the product's version again nor fails."""
    data = read_catalogue()
    start = date(2027, 1, 1)
    async with db.transaction(NOBODY) as conn:
        await load_tariffs(conn)
        ended = update(TariffPlan).where(
            TariffPlan.disco_provider == "lesco",
            TariffPlan.category == "residential_unprotected",
            TariffPlan.effective_to.is_(None),
        )
        await conn.execute(ended.values(effective_to=date(2026, 12, 31)))
        await conn.execute(insert(TariffPlan).values(follower_of(data, start)))
        again = await load_tariffs(conn)
        assert (again.plans_added, again.plans_changed, again.in_the_way) == (0, 0, ())
        assert (await homes(conn))[-2:] == [
            (date(2026, 2, 12), date(2026, 12, 31), "S.R.O. 279(I)/2026"),
            (start, None, "our own"),
        ]


async def test_a_later_version_of_the_program_does_not_push_an_own_one_aside(db: Database) -> None:
    data = read_catalogue()
    old = next(p for p in data.plans if p.category == "residential_unprotected" and p.effective_to is None)
    async with db.transaction(NOBODY) as conn:
        await conn.execute(insert(TariffPlan).values(follower_of(data, date(2027, 1, 1))))
        first = await load_tariffs(conn)
        assert first.in_the_way == ()
        assert (await homes(conn))[-2][1] == date(2026, 12, 31)
        ended = replace(old, effective_to=date(2027, 6, 30))
        later = replace(old, effective_from=date(2027, 7, 1), source="a later notification")
        plans = tuple(ended if p is old else p for p in data.plans)
        second = await load_tariffs(conn, replace(data, plans=(*plans, later)))
        assert second.plans_added == 11
        (words,) = second.in_the_way
        assert "lesco, residential_unprotected from 2027-07-01 is not loaded" in words
        assert "end that one the day before" in second.to_text()


async def test_corrected_in_this_installation_stays_corrected(db: Database) -> None:
    async with db.transaction(NOBODY) as conn:
        await load_tariffs(conn)
        mine = update(TariffPlan).where(TariffPlan.disco_provider == "lesco", TariffPlan.category == "industrial_b4")
        await conn.execute(mine.values(source="a corrigendum", origin="own"))
        phl = update(TariffAdjustment).where(TariffAdjustment.kind == "phl")
        await conn.execute(phl.values(rate=Decimal("3.1"), origin="own"))
        again = await load_tariffs(conn)
        assert (again.plans_kept, again.plans_changed) == (1, 0)
        assert (again.adjustments_kept, again.adjustments_changed) == (1, 0)
        kept = select(TariffAdjustment.rate).where(TariffAdjustment.kind == "phl")
        assert await conn.scalar(kept) == Decimal("3.1")


async def test_an_own_record_of_another_scope_does_not_end_the_programs(db: Database) -> None:
    async with db.transaction(NOBODY) as conn:
        await load_tariffs(conn)
        own = {"kind": "phl", "effective_from": date(2027, 1, 1), "rate": Decimal(1), "source": "our own"}
        places = {"parameters": {"disco_providers": ["fesco", "lesco"]}, "scope": "fesco+lesco"}
        await conn.execute(insert(TariffAdjustment).values(id=new_id(), **own, **places))
        assert (await load_tariffs(conn)).adjustments_changed == 0
        await conn.execute(insert(TariffAdjustment).values(id=new_id(), **own))
        assert (await load_tariffs(conn)).adjustments_changed == 1
        ends = select(TariffAdjustment.effective_to).where(
            TariffAdjustment.kind == "phl", TariffAdjustment.effective_from == date(2026, 2, 12)
        )
        assert await conn.scalar(ends) == date(2026, 12, 31)


async def test_two_loads_at_once_are_one(db: Database) -> None:
    async def load() -> int:
        async with db.transaction(NOBODY) as conn:
            return (await load_tariffs(conn)).plans_added

    assert sorted(await asyncio.gather(load(), load())) == [0, 12 * len(read_catalogue().plans)]


async def test_what_is_stored_reads_as_what_the_files_say(db: Database) -> None:
    async with db.transaction(NOBODY) as conn:
        await load_tariffs(conn)
        stored, document = await stored_catalogue(conn), await stored_document(conn)
        assert differences(read_catalogue(), stored) == ()
        assert check_documents({"database": document}, known_categories={}) == ()
        assert len(stored.plans) == len(read_catalogue().plans)
        await conn.execute(update(TariffPlan).where(TariffPlan.disco_provider == "lesco").values(source=""))
        changed = differences(read_catalogue(), await stored_catalogue(conn))
        assert len(changed) == len(read_catalogue().plans)
        assert changed[0].to_text().endswith("source: no longer given (was S.R.O. 279(I)/2026)")
        findings = check_documents({"database": await stored_document(conn)}, known_categories={})
        assert {f.field for f in findings} == {"source"}


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
