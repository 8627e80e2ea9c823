"""The monthly run: planned, made, skipped with a reason, made anew; on a real database."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from cloud.billing import tasks
from cloud.billing.repository import runs
from cloud.billing.rules.month import Month
from cloud.billing.service import monthly
from cloud.billing.service.site_energy import history_of
from cloud.core.db import SYSTEM
from cloud.core.jobs import JobContext
from cloud.sites.repository import get_site
from tests.fakes import FakeJobs
from tests.integration.billing.conftest import Home, configure

FIRST, LAST = date(2026, 8, 5), date(2026, 9, 4)
PERIOD_ENDED = datetime(2026, 9, 4, 19, tzinfo=UTC)
"""Midnight in Karachi after the last day."""
SETTLED = PERIOD_ENDED + monthly.GRACE


async def _runs(home: Home) -> dict[str, dict[str, Any]]:
    answer = await home.api.call("GET", f"/sites/{home.site['id']}/bill-runs", home.owner)
    assert answer.status_code == 200, answer.text
    return {run["bill_month"]: run for run in answer.json()["items"]}


async def _bills(home: Home) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await home.api.call("GET", home.bills, home.owner)).json()["items"]
    return items


async def _execute(home: Home, statement: str, **values: Any) -> None:
    async with home.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(text(statement), values)


async def _day_row(home: Home, day: date, *, computed_at: datetime) -> None:
    await _execute(
        home,
        "INSERT INTO telemetry_daily_summary (site_id, organization_id, summary_date, algorithm_version, computed_at)"
        " VALUES (:site, :organization, :day, 1, :at)",
        site=UUID(home.site["id"]),
        organization=UUID(home.site["organization_id"]),
        day=day,
        at=computed_at,
    )


async def _ready(home: Home) -> None:
    """A site that is read on the 4th, with a complete period; nothing of it has changed since."""
    home.site = await configure(home.world, reading_day=4)
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    await _settled_ground(home)


async def _settled_ground(home: Home) -> None:
    """As if site and tariffs had been written long ago."""
    for table in ("sites", "tariff_plans", "tariff_adjustments"):
        await _execute(home, f"UPDATE {table} SET updated_at = '2026-01-01'")  # noqa: S608 -- our own tables


async def _plan_and_bill(home: Home, now: datetime) -> int:
    db = home.api.services.db
    await monthly.plan_bills(db, now)
    return await monthly.bill_due(db, now)


async def test_a_bill_is_made_when_its_period_has_ended_and_settled(home: Home) -> None:
    await _ready(home)
    await _plan_and_bill(home, SETTLED - timedelta(seconds=1))
    planned = (await _runs(home))["2026-09-01"]
    assert (planned["state"], planned["bill_id"]) == ("due", None)
    assert (planned["period_start"], planned["period_end"]) == ("2026-08-05", "2026-09-04")
    assert datetime.fromisoformat(planned["due_at"]) == SETTLED
    assert await _plan_and_bill(home, SETTLED) >= 1
    run = (await _runs(home))["2026-09-01"]
    assert (run["state"], run["reason"]) == ("billed", None)
    [bill] = await _bills(home)
    assert bill["id"] == run["bill_id"]
    assert (bill["is_automatic"], bill["is_actual"], bill["replaces_id"]) == (True, True, None)
    assert Decimal(bill["energy_imported_kwh"]) == 262


async def test_a_second_run_makes_nothing(home: Home) -> None:
    await _ready(home)
    db = home.api.services.db
    assert await monthly.plan_bills(db, SETTLED) >= 1
    assert await monthly.plan_bills(db, SETTLED) == 0
    await asyncio.gather(*(monthly.bill_due(db, SETTLED) for _ in range(3)))
    assert await monthly.count_due(db, SETTLED) == 0
    assert await monthly.bill_due(db, SETTLED) == 0
    assert await monthly.reopen_changed(db, SETTLED) == 0
    assert len(await _bills(home)) == 1


async def test_a_killed_run_is_due_again_after_its_lease(home: Home) -> None:
    await _ready(home)
    db = home.api.services.db
    await monthly.plan_bills(db, SETTLED)
    async with db.transaction(SYSTEM) as conn:
        claimed = await runs.claim(conn, SETTLED, limit=100)
    assert (UUID(home.site["id"]), date(2026, 9, 1)) in claimed
    assert await monthly.bill_due(db, SETTLED) == 0
    assert await monthly.bill_due(db, SETTLED + runs.LEASE) == len(claimed)
    assert len(await _bills(home)) == 1


async def test_a_bill_that_was_asked_for_is_the_automatic_one_too(home: Home) -> None:
    await _ready(home)
    asked = await home.api.call(
        "POST", home.bills, home.owner, json={"period_start": "2026-08-05", "period_end": "2026-09-04"}
    )
    await _plan_and_bill(home, SETTLED)
    assert (await _runs(home))["2026-09-01"]["bill_id"] == asked.json()["id"]
    assert len(await _bills(home)) == 1


async def test_what_is_missing_is_the_reason_and_comes_back_when_it_is_there(home: Home) -> None:
    home.site = await configure(home.world, reading_day=4, disco_provider=None)
    await _settled_ground(home)
    db = home.api.services.db
    await _plan_and_bill(home, SETTLED)
    run = (await _runs(home))["2026-09-01"]
    assert (run["state"], run["reason"], run["bill_id"]) == ("skipped", "billing_setup_missing", None)
    assert "configuration" in run["message"]
    assert await monthly.reopen_changed(db, SETTLED) == 0
    home.site = await configure(home.world, reading_day=4)
    await _execute(home, "UPDATE sites SET updated_at = :at", at=SETTLED + timedelta(hours=1))
    later = SETTLED + timedelta(hours=2)
    assert await monthly.reopen_changed(db, later) >= 1
    await monthly.bill_due(db, later)
    assert (await _runs(home))["2026-09-01"]["reason"] == "energy_missing"
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    await _day_row(home, LAST, computed_at=later + timedelta(hours=1))
    assert await monthly.reopen_changed(db, later + timedelta(hours=2)) == 0  # readings have not settled
    last = later + timedelta(hours=8)
    assert await monthly.reopen_changed(db, last) == 1
    await monthly.bill_due(db, last)
    run = (await _runs(home))["2026-09-01"]
    assert (run["state"], run["reason"], run["message"]) == ("billed", None, None)


async def test_readings_that_came_later_make_another_version(home: Home) -> None:
    await _ready(home)
    await _plan_and_bill(home, SETTLED)
    [first] = await _bills(home)
    db = home.api.services.db
    later = SETTLED + timedelta(days=3)
    await _execute(home, "UPDATE telemetry_quarter_hour SET imported_wh = imported_wh + 10")
    await _day_row(home, LAST, computed_at=later - timedelta(hours=7))
    assert await monthly.reopen_changed(db, later) == 1
    await monthly.bill_due(db, later)
    newest, oldest = await _bills(home)
    assert oldest == first
    assert newest["replaces_id"] == first["id"]
    assert newest["is_automatic"] is True
    assert Decimal(newest["energy_imported_kwh"]) == Decimal(262) + Decimal(31 * 96 * 10) / 1000
    assert (await _runs(home))["2026-09-01"]["bill_id"] == newest["id"]
    # Recomputed without any difference: nothing new.
    await _execute(home, "UPDATE telemetry_daily_summary SET computed_at = :at", at=later + timedelta(hours=1))
    again = later + timedelta(days=1)
    assert await monthly.reopen_changed(db, again) == 1
    await monthly.bill_due(db, again)
    assert len(await _bills(home)) == 2
    assert (await _runs(home))["2026-09-01"]["bill_id"] == newest["id"]


async def test_what_ended_long_ago_stays(home: Home) -> None:
    await _ready(home)
    await _plan_and_bill(home, SETTLED)
    later = SETTLED + timedelta(days=monthly.REMEMBERED_DAYS + 2)
    await _day_row(home, LAST, computed_at=later - timedelta(days=1))
    assert await monthly.reopen_changed(home.api.services.db, later) == 0


async def test_later_bills_go_by_the_months_own_bill(home: Home) -> None:
    home.site = await configure(home.world, reading_day=4)
    await home.quarters(date(2026, 6, 5), date(2026, 7, 4), imported_wh=608_000, consumed_wh=900_000)
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    await _plan_and_bill(home, datetime(2026, 7, 5, 12, tzinfo=UTC))
    [july] = await _bills(home)
    assert july["is_actual"] is True
    await _plan_and_bill(home, SETTLED)
    made = (await home.api.call("GET", f"{home.bills}/{(await _bills(home))[0]['id']}", home.owner)).json()
    assert made["bill_breakdown"]["total_bill"] == "14482.29"
    assert [warning["code"] for warning in made["warnings"]] == ["history_from_bill"]
    assert made["inputs"]["without_solar"]["billed_units"] == {"2026-07": "900"}
    async with home.api.services.db.transaction(SYSTEM) as conn:
        site = await get_site(conn, UUID(home.site["id"]))
        assert site is not None
        months = [Month(2026, 7), Month(2026, 8), Month(2026, 9)]
        history = await history_of(conn, site, months, told={}, told_without_solar={}, netted=False)
    assert set(history.demand_kw) == set(history.billed) == {Month(2026, 7), Month(2026, 9)}
    assert abs(history.demand_kw[Month(2026, 7)] - Decimal(608) / (30 * 24)) < Decimal("0.01")


async def test_jobs_are_asked_for_as_long_as_bills_wait(home: Home) -> None:
    await _ready(home)
    services = home.api.services
    jobs = FakeJobs()
    context = JobContext(settings=services.settings, db=services.db, jobs=jobs, files=services.files)
    waiting = await tasks.sweep_due(context, SETTLED)
    assert 1 <= waiting <= monthly.BATCH
    assert jobs.names() == [tasks.BILL_JOB]
    assert await monthly.bill_due(services.db, SETTLED) == waiting
    assert await tasks.sweep_due(context, SETTLED) == 0
    assert await tasks.sweep_changed(context, SETTLED) == 0
    await tasks.bill_due(context)
    assert jobs.names() == [tasks.BILL_JOB]


async def test_a_bill_that_fails_unexpectedly_does_not_keep_the_others_waiting(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _ready(home)
    made: list[UUID] = []
    usual = monthly.bill_month

    async def fails_once(conn: Any, site_id: UUID, month: date, **given: Any) -> None:
        made.append(site_id)
        if len(made) == 1:
            raise ZeroDivisionError
        await usual(conn, site_id, month, **given)

    monkeypatch.setattr(monthly, "bill_month", fails_once)
    db = home.api.services.db
    await monthly.plan_bills(db, SETTLED)
    waiting = await monthly.count_due(db, SETTLED)
    assert waiting > 1
    with pytest.raises(ZeroDivisionError):
        await monthly.bill_due(db, SETTLED)
    assert len(made) == waiting


def test_bills_of_a_site_stay_in_the_order_of_their_months() -> None:
    sites = [UUID(int=n) for n in range(5)]
    claimed = [(site, date(2026, month, 1)) for month in (7, 8, 9) for site in sites[: month - 4]]
    lanes = monthly.lanes_of(claimed)
    assert sorted(bill for lane in lanes for bill in lane) == sorted(claimed)
    assert max(map(len, lanes)) - min(map(len, lanes)) <= 3
    for site in sites:
        [months] = [found for lane in lanes if (found := [month for whose, month in lane if whose == site])]
        assert months == sorted(months)
