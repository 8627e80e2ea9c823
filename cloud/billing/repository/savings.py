"""What days are worth, in the database: billing fills a column of telemetry's summaries that roll-ups leave alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Double, cast, func, literal, or_, select, true, update, values
from sqlalchemy import column as sql_column
from sqlalchemy import types as sql_types
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.schemas.runs import SavingsOut
from cloud.billing.tables import BillingRun, BillingSimulation, SavingsRate
from cloud.sites.tables import Site
from cloud.telemetry.tables import TelemetryDailySummary, TelemetryMonthlySummary
from cloud.web.paging import Paging
from shared.enums import SiteStatus

_SAVINGS = tuple(getattr(SavingsRate, name) for name in SavingsOut.model_fields if name != "difference_pkr")


async def stale_sites(conn: AsyncConnection, *, since: date, limit: int) -> list[UUID]:
    """Sites with days that were computed, or bills that were made, after their days were valued; the longest neglected first."""
    day, rate, run = TelemetryDailySummary, SavingsRate, BillingRun
    days = (
        select(func.max(day.computed_at).label("at"))
        .where(day.site_id == Site.id, day.device_id.is_(None), day.summary_date >= since)
        .lateral("days")
    )
    valued = select(func.max(rate.computed_at).label("at")).where(rate.site_id == Site.id).lateral("valued")
    bills = (
        select(func.max(run.settled_at).label("at"))
        .where(run.site_id == Site.id, run.period_end >= since, run.bill_id.is_not(None))
        .lateral("bills")
    )
    statement = (
        select(Site.id)
        .join(days, true())
        .join(valued, true())
        .join(bills, true())
        .where(
            Site.status != SiteStatus.DECOMMISSIONED,
            days.c.at.is_not(None),
            or_(valued.c.at.is_(None), days.c.at > valued.c.at, bills.c.at > valued.c.at),
        )
        .order_by(valued.c.at.nulls_first(), Site.id)
        .limit(limit)
    )
    return list((await conn.execute(statement)).scalars())


async def try_lock_savings(conn: AsyncConnection, site_id: UUID) -> bool:
    """Whether nobody else values the site's days at the moment; until the transaction ends nobody will."""
    statement = select(func.pg_try_advisory_xact_lock(func.hashtextextended(f"savings {site_id}", 0)))
    return bool((await conn.execute(statement)).scalar_one())


@dataclass(frozen=True, slots=True)
class MonthBill:
    """The automatic bill of a month."""

    id: UUID
    savings_pkr: Decimal | None
    inputs: Mapping[str, Any]


async def month_bill(conn: AsyncConnection, site_id: UUID, month: date) -> MonthBill | None:
    """The automatic bill that counts for a month."""
    bill, run = BillingSimulation, BillingRun
    statement = (
        select(bill.id, bill.estimated_savings_pkr, bill.inputs)
        .join(run, run.bill_id == bill.id)
        .where(run.site_id == site_id, run.bill_month == month)
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else MonthBill(*row)


async def rates_of_month(conn: AsyncConnection, site_id: UUID, month: date) -> SavingsOut | None:
    """The rates of a month."""
    table = SavingsRate
    statement = select(*_SAVINGS).where(table.site_id == site_id, table.bill_month == month)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else SavingsOut.model_validate(row)


async def list_rates(conn: AsyncConnection, site_id: UUID, paging: Paging) -> tuple[Sequence[SavingsOut], str | None]:
    """A page of the site's rates, the newest month first."""
    statement = paging.apply(
        select(*_SAVINGS).where(SavingsRate.site_id == site_id), SavingsRate.bill_month, descending=True
    )
    rows = [SavingsOut.model_validate(row) for row in await conn.execute(statement)]
    return paging.split(rows, key=lambda row: (row.bill_month,))


async def put_rates(conn: AsyncConnection, key: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """Write the rates of a month: `key` is site_id, organization_id, bill_month."""
    statement = (
        insert(SavingsRate)
        .values(**key, **told)
        .on_conflict_do_update(index_elements=["site_id", "bill_month"], set_=dict(told))
    )
    await conn.execute(statement)


async def days_computed_after(
    conn: AsyncConnection, site_id: UUID, first: date, last: date, *, after: datetime | None
) -> list[date]:
    """Days of the site that were computed after a moment; None = all that there are."""
    day = TelemetryDailySummary
    statement = (
        select(day.summary_date)
        .where(day.site_id == site_id, day.device_id.is_(None), day.summary_date >= first, day.summary_date <= last)
        .order_by(day.summary_date)
    )
    if after is not None:
        statement = statement.where(day.computed_at > after)
    return list((await conn.execute(statement)).scalars())


async def value_days(conn: AsyncConnection, site_id: UUID, savings: Mapping[date, Decimal | None]) -> None:
    """Write what days saved, PKR; None = not known. A row that says so already is left alone."""
    if not savings:
        return
    day = TelemetryDailySummary
    told = values(sql_column("day", sql_types.Date), sql_column("pkr", sql_types.Numeric), name="told").data(
        list(savings.items())
    )
    pkr = cast(told.c.pkr, Double)
    statement = (
        update(day)
        .where(
            day.site_id == site_id,
            day.device_id.is_(None),
            day.summary_date == told.c.day,
            day.estimated_savings_pkr.is_distinct_from(pkr),
        )
        .values(estimated_savings_pkr=pkr)
    )
    await conn.execute(statement)


async def value_months(conn: AsyncConnection, site_id: UUID, months: Iterable[tuple[int, int]]) -> None:
    """Write what calendar months saved: the sum of their days; months are (year, month)."""
    day, month = TelemetryDailySummary, TelemetryMonthlySummary
    for year, number in sorted(set(months)):
        following = date(year + number // 12, number % 12 + 1, 1)
        total = (
            select(func.round(cast(func.sum(day.estimated_savings_pkr), sql_types.Numeric), 2))
            .where(
                day.site_id == site_id,
                day.device_id.is_(None),
                day.summary_date >= date(year, number, 1),
                day.summary_date < following,
            )
            .scalar_subquery()
        )
        statement = (
            update(month)
            .where(
                month.site_id == site_id,
                month.device_id.is_(None),
                month.year == year,
                month.month == number,
                month.estimated_savings_pkr.is_distinct_from(cast(total, Double)),
            )
            .values(estimated_savings_pkr=cast(total, Double))
        )
        await conn.execute(statement)


async def days_total(conn: AsyncConnection, site_id: UUID, first: date, last: date) -> Decimal | None:
    """Sum of what the days saved, PKR; None = none is known."""
    day = TelemetryDailySummary
    total = func.round(cast(func.sum(day.estimated_savings_pkr), sql_types.Numeric), literal(2))
    statement = select(total).where(
        day.site_id == site_id, day.device_id.is_(None), day.summary_date >= first, day.summary_date <= last
    )
    found: Decimal | None = (await conn.execute(statement)).scalar_one()
    return found
