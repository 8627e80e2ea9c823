"""Bills as the company printed them, in the database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Date, any_, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.repository.runs import BilledMonth
from cloud.billing.rules.month import Month
from cloud.billing.schemas.actual import ActualBill
from cloud.billing.tables import BillingRun, BillingSimulation
from cloud.web.paging import Paging

_BILL = tuple(getattr(BillingSimulation, name) for name in ActualBill.model_fields)
_ENTERED = BillingSimulation.origin == "entered"


# Built once: every bill asks it.
_ENTERED_MONTHS = (
    select(
        BillingSimulation.period_end,
        BillingSimulation.bill_breakdown["billed_kwh"].astext,
        BillingSimulation.energy_consumed_kwh,
        BillingSimulation.inputs["case"]["max_demand_kw"].astext,
    )
    .where(
        BillingSimulation.site_id == bindparam("site_id"),
        _ENTERED,
        func.date_trunc("month", BillingSimulation.period_end) == any_(bindparam("months", type_=ARRAY(Date))),
    )
    .order_by(BillingSimulation.period_end)
)


async def entered_months(conn: AsyncConnection, site_id: UUID, months: Iterable[Month]) -> list[BilledMonth]:
    """Units and demand of the months whose paper bill was entered; a bill belongs to the month of its last day."""
    asked = {"site_id": site_id, "months": [month.first_day for month in months]}
    return [
        BilledMonth(Month.of(day), Decimal(billed), consumed, None if demand is None else Decimal(demand))
        for day, billed, consumed, demand in await conn.execute(_ENTERED_MONTHS, asked)
    ]


async def get_entered(conn: AsyncConnection, site_id: UUID, bill_id: UUID) -> ActualBill | None:
    """One entered bill of the site."""
    bill = BillingSimulation
    statement = select(*_BILL).where(bill.id == bill_id, bill.site_id == site_id, _ENTERED)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else ActualBill.model_validate(row)


async def list_entered(conn: AsyncConnection, site_id: UUID, paging: Paging) -> tuple[Sequence[ActualBill], str | None]:
    """A page of the site's entered bills, the latest period first."""
    bill = BillingSimulation
    statement = paging.apply(
        select(*_BILL).where(bill.site_id == site_id, _ENTERED), bill.period_end, bill.id, descending=True
    )
    rows = [ActualBill.model_validate(row) for row in await conn.execute(statement)]
    return paging.split(rows, key=lambda row: (row.period_end, row.id))


async def overlapping(
    conn: AsyncConnection, site_id: UUID, first: date, last: date, *, but: UUID | None
) -> tuple[UUID, date, date] | None:
    """An entered bill of the site that shares a day with the period: its id and period.

    Args:
        conn: a transaction that sees the site.
        site_id: whose.
        first: first day.
        last: last day.
        but: a bill that does not count: the one that is changed.
    """
    bill = BillingSimulation
    statement = (
        select(bill.id, bill.period_start, bill.period_end)
        .where(bill.site_id == site_id, _ENTERED, bill.period_start <= last, bill.period_end >= first)
        .order_by(bill.period_start)
        .limit(1)
    )
    if but is not None:
        statement = statement.where(bill.id != but)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


async def change_entered(
    conn: AsyncConnection, site_id: UUID, bill_id: UUID, *, version: int, values: Mapping[str, Any]
) -> bool:
    """Change an entered bill if its version is still this one."""
    bill = BillingSimulation
    statement = (
        update(bill)
        .where(bill.id == bill_id, bill.site_id == site_id, _ENTERED, bill.version == version)
        .values(**values)
        .returning(bill.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def delete_entered(conn: AsyncConnection, site_id: UUID, bill_id: UUID, *, version: int) -> bool:
    """Delete an entered bill if its version is still this one."""
    bill = BillingSimulation
    statement = (
        delete(bill)
        .where(bill.id == bill_id, bill.site_id == site_id, _ENTERED, bill.version == version)
        .returning(bill.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def make_runs_due(conn: AsyncConnection, site_id: UUID, months: Iterable[Month], at: datetime) -> None:
    """Let the automatic bills of months that were settled be made again."""
    run = BillingRun
    days = [month.first_day for month in months]
    statement = (
        update(run)
        .where(run.site_id == site_id, run.bill_month.in_(days), run.state != "due")
        .values(state="due", due_at=at)
    )
    await conn.execute(statement)
