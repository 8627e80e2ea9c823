"""Savings of days in telemetry's summaries, from the bill's rates; on a real database."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from cloud.billing import tasks
from cloud.billing.service import monthly, savings
from cloud.core.db import SYSTEM
from cloud.core.jobs import JobContext
from cloud.telemetry.repository.rollups import DAYS, MONTHS
from shared.periods import days_between
from tests.fakes import FakeJobs
from tests.integration.billing.conftest import Home, configure

FIRST, LAST = date(2026, 8, 1), date(2026, 8, 31)
COMPUTED = datetime(2026, 9, 1, tzinfo=UTC)
NOW = datetime(2026, 9, 2, 6, tzinfo=UTC)


async def _fetch(home: Home, statement: str, **values: Any) -> list[Any]:
    async with home.api.services.db.transaction(SYSTEM) as conn:
        found = await conn.execute(text(statement), values)
        return list(found) if found.returns_rows else []


async def _summaries(home: Home, first: date, last: date, *, computed_at: datetime = COMPUTED) -> None:
    scope = {"site": UUID(home.site["id"]), "organization": UUID(home.site["organization_id"]), "at": computed_at}
    for day in days_between(first, last):
        await _fetch(
            home,
            "INSERT INTO telemetry_daily_summary (site_id, organization_id, summary_date, algorithm_version, computed_at)"
            " VALUES (:site, :organization, :day, 1, :at)",
            day=day,
            **scope,
        )
    for year, month in sorted({(day.year, day.month) for day in days_between(first, last)}):
        await _fetch(
            home,
            "INSERT INTO telemetry_monthly_summary (site_id, organization_id, year, month, algorithm_version, computed_at)"
            " VALUES (:site, :organization, :year, :month, 1, :at)",
            year=year,
            month=month,
            **scope,
        )


async def _days(home: Home) -> dict[date, float | None]:
    rows = await _fetch(home, "SELECT summary_date, estimated_savings_pkr FROM telemetry_daily_summary ORDER BY 1")
    return {row[0]: row[1] for row in rows}


async def _month(home: Home, month: int) -> float | None:
    [row] = await _fetch(
        home, "SELECT estimated_savings_pkr FROM telemetry_monthly_summary WHERE month = :month", month=month
    )
    value: float | None = row[0]
    return value


async def _rates(home: Home) -> dict[str, dict[str, Any]]:
    answer = await home.api.call("GET", f"/sites/{home.site['id']}/savings-rates", home.owner)
    assert answer.status_code == 200, answer.text
    return {rate["bill_month"]: rate for rate in answer.json()["items"]}


async def _sunny(home: Home, first: date = FIRST, last: date = LAST) -> None:
    """Each day the site uses 30 kWh, buys 10 and exports 6, evenly."""
    days = (last - first).days + 1
    await home.quarters(
        first,
        last,
        consumed_wh=days * 30_000,
        imported_wh=days * 10_000,
        exported_wh=days * 6_000,
        generated_wh=days * 26_000,
    )


async def _commercial(home: Home, **changes: Any) -> None:
    home.site = await configure(
        home.world,
        tariff_category="tou_commercial",
        net_metering_enabled=True,
        installation_date="2026-03-01",
        **changes,
    )


async def test_a_month_with_a_bill_is_valued_by_it_and_reconciled(home: Home) -> None:
    await _commercial(home)
    await _sunny(home)
    await _summaries(home, FIRST, LAST)
    db = home.api.services.db
    await monthly.plan_bills(db, NOW)
    await monthly.bill_due(db, NOW)
    assert await savings.value_stale(db, NOW) == 1
    rate = (await _rates(home))["2026-08-01"]
    assert rate["reason"] is None
    assert Decimal(rate["import_peak_pkr_per_kwh"]) > Decimal(rate["import_pkr_per_kwh"]) > 35
    assert abs(Decimal(rate["export_pkr_per_kwh"]) - Decimal("8.13")) < Decimal("0.01")
    # 20 kWh a day were not bought, a sixth of them in peak hours; 6 kWh were given.
    peak, rest = Decimal(rate["import_peak_pkr_per_kwh"]), Decimal(rate["import_pkr_per_kwh"])
    a_day = 20 * (peak * 4 + rest * 20) / 24 + 6 * Decimal(rate["export_pkr_per_kwh"])
    days = await _days(home)
    assert all(value is not None and abs(Decimal(str(value)) - a_day) < 1 for value in days.values())
    total = sum(Decimal(str(value)) for value in days.values())
    assert Decimal(rate["days_savings_pkr"]) == total
    assert await _month(home, 8) == float(total)
    bill = (await home.api.call("GET", f"{home.bills}/{rate['bill_id']}", home.owner)).json()
    assert rate["bill_savings_pkr"] == bill["savings_breakdown"]["total_savings"]
    assert Decimal(rate["difference_pkr"]) == Decimal(rate["bill_savings_pkr"]) - total
    assert await savings.value_stale(db, NOW) == 0


async def test_the_running_month_goes_by_what_was_measured_so_far(home: Home) -> None:
    await _commercial(home)
    await _sunny(home, date(2026, 9, 1), date(2026, 9, 10))
    await _summaries(home, date(2026, 9, 1), date(2026, 9, 10))
    db = home.api.services.db
    now = datetime(2026, 9, 10, 20, tzinfo=UTC)
    assert await savings.value_stale(db, now) == 1
    rate = (await _rates(home))["2026-09-01"]
    assert (rate["bill_id"], rate["bill_savings_pkr"], rate["difference_pkr"]) == (None, None, None)
    days = await _days(home)
    assert len(days) == 10
    assert all(value for value in days.values())
    assert await savings.value_stale(db, now) == 0
    # One day was rolled up again, on the same day: it alone is valued again, by the same rates.
    await _fetch(home, "UPDATE telemetry_quarter_hour SET imported_wh = 0 WHERE bucket >= '2026-09-10'")
    await _fetch(
        home,
        "UPDATE telemetry_daily_summary SET computed_at = :at WHERE summary_date = '2026-09-10'",
        at=now + timedelta(minutes=10),
    )
    assert await savings.value_stale(db, now + timedelta(minutes=30)) == 1
    again = await _days(home)
    assert {day for day in days if again[day] != days[day]} == {date(2026, 9, 10)}
    assert (await _rates(home))["2026-09-01"]["import_pkr_per_kwh"] == rate["import_pkr_per_kwh"]


async def test_a_site_that_cannot_be_billed_says_why(home: Home) -> None:
    home.site = await configure(home.world, tariff_category=None)
    await _sunny(home, date(2026, 9, 1), date(2026, 9, 10))
    await _summaries(home, date(2026, 9, 1), date(2026, 9, 10))
    db = home.api.services.db
    now = datetime(2026, 9, 10, 20, tzinfo=UTC)
    assert await savings.value_stale(db, now) == 1
    rate = (await _rates(home))["2026-09-01"]
    assert (rate["reason"], rate["import_pkr_per_kwh"], rate["days_savings_pkr"]) == (
        "billing_setup_missing",
        None,
        None,
    )
    assert set((await _days(home)).values()) == {None}
    assert await savings.value_stale(db, now) == 0


async def test_a_bill_that_is_made_later_values_its_days_again(home: Home) -> None:
    await _commercial(home)
    await _sunny(home)
    await _summaries(home, FIRST, LAST)
    db = home.api.services.db
    during = datetime(2026, 8, 31, 18, tzinfo=UTC)
    await _fetch(home, "UPDATE telemetry_daily_summary SET computed_at = :at", at=during - timedelta(hours=1))
    assert await savings.value_stale(db, during) == 1
    assert (await _rates(home))["2026-08-01"]["bill_id"] is None
    await monthly.plan_bills(db, NOW)
    await monthly.bill_due(db, NOW)
    later = NOW + timedelta(minutes=30)
    assert await savings.value_stale(db, later) == 1
    rate = (await _rates(home))["2026-08-01"]
    assert rate["bill_id"] is not None
    assert rate["difference_pkr"] is not None
    assert await savings.value_stale(db, later) == 0


async def test_the_view_shows_them_and_others_do_not_see_them(home: Home) -> None:
    await _commercial(home)
    await _sunny(home, date(2026, 9, 1), date(2026, 9, 10))
    await _summaries(home, date(2026, 9, 1), date(2026, 9, 10))
    services = home.api.services
    jobs = FakeJobs()
    context = JobContext(settings=services.settings, db=services.db, jobs=jobs, files=services.files)
    assert await tasks.sweep_days(context, NOW) == 0
    assert jobs.names() == [tasks.SAVINGS_JOB]
    await savings.value_stale(services.db, datetime(2026, 9, 10, 20, tzinfo=UTC))
    address = f"/sites/{home.site['id']}/savings-rates"
    assert (await home.api.call("GET", address)).status_code == 401
    assert (await home.api.call("GET", address, home.world.stranger)).status_code == 404


def test_roll_ups_leave_the_column_alone() -> None:
    assert all("estimated_savings_pkr" not in level.numbers for level in (DAYS, MONTHS))
