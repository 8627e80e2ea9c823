"""The monthly run and the bills that it made, in the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ARRAY, Date, any_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.rules.metering.cycle import BillPeriod
from cloud.billing.rules.month import Month
from cloud.billing.schemas.runs import RunOut
from cloud.billing.tables import BillingRun, BillingSimulation, TariffAdjustment, TariffPlan
from cloud.sites.tables import Site
from cloud.telemetry.tables import TelemetryDailySummary
from cloud.web.paging import Paging
from shared.enums import SiteStatus

LEASE = timedelta(minutes=15)
"""A claimed run that nobody finishes is due again after this."""
_RUN = tuple(getattr(BillingRun, name) for name in RunOut.model_fields)


@dataclass(frozen=True, slots=True)
class BilledMonth:
    """Units and demand of a month.

    Attributes:
        billed_kwh: after netting.
        consumed_kwh: had everything been bought.
    """

    month: Month
    billed_kwh: Decimal
    consumed_kwh: Decimal
    max_demand_kw: Decimal | None


# Statements that every bill sends are built once: putting one together costs more than asking it.
_BILLED_MONTHS = (
    select(
        BillingRun.bill_month,
        BillingSimulation.bill_breakdown["billed_kwh"].astext,
        BillingSimulation.energy_consumed_kwh,
        BillingSimulation.inputs["case"]["max_demand_kw"].astext,
    )
    .join(BillingSimulation, BillingSimulation.id == BillingRun.bill_id)
    .where(
        BillingRun.site_id == bindparam("site_id"),
        BillingRun.bill_month == any_(bindparam("months", type_=ARRAY(Date))),
        BillingSimulation.is_actual,
    )
)


async def billed_months(conn: AsyncConnection, site_id: UUID, months: Iterable[Month]) -> list[BilledMonth]:
    """Months whose automatic bill stands on complete readings."""
    asked = {"site_id": site_id, "months": [month.first_day for month in months]}
    return [
        BilledMonth(Month.of(month), Decimal(billed), consumed, None if demand is None else Decimal(demand))
        for month, billed, consumed, demand in await conn.execute(_BILLED_MONTHS, asked)
    ]


@dataclass(frozen=True, slots=True)
class SiteCycle:
    """When a site is billed."""

    site_id: UUID
    organization_id: UUID
    timezone: str
    reading_day: int | None


_CYCLE = select(Site.id, Site.organization_id, Site.timezone, Site.configuration["reading_day"].as_integer())


async def cycle_of(conn: AsyncConnection, site_id: UUID) -> SiteCycle | None:
    """When a site is billed; None if there is no such site."""
    row = (await conn.execute(_CYCLE.where(Site.id == site_id))).one_or_none()
    return None if row is None else SiteCycle(*row)


async def cycles(conn: AsyncConnection, *, after: UUID | None, limit: int) -> Sequence[SiteCycle]:
    """A page of the sites that are billed, by id."""
    statement = _CYCLE.where(Site.status != SiteStatus.DECOMMISSIONED).order_by(Site.id).limit(limit)
    if after is not None:
        statement = statement.where(Site.id > after)
    return [SiteCycle(*row) for row in await conn.execute(statement)]


async def plan_runs(conn: AsyncConnection, planned: Sequence[tuple[SiteCycle, BillPeriod, datetime]]) -> int:
    """Put down bills that are to be made, each with the moment from which it may be; those that stand there already stay.

    Returns:
        How many are new.
    """
    if not planned:
        return 0
    statement = (
        insert(BillingRun)
        .values(
            [
                {
                    "site_id": cycle.site_id,
                    "organization_id": cycle.organization_id,
                    "bill_month": period.month.first_day,
                    "period_start": period.first,
                    "period_end": period.last,
                    "due_at": due_at,
                }
                for cycle, period, due_at in planned
            ]
        )
        .on_conflict_do_nothing()
        .returning(BillingRun.site_id)
    )
    return len((await conn.execute(statement)).all())


async def take_up(conn: AsyncConnection, site_id: UUID, months: Sequence[date], now: datetime) -> None:
    """Make those of a site's months due again that were skipped."""
    run = BillingRun
    await conn.execute(
        update(run)
        .where(run.site_id == site_id, run.bill_month.in_(months), run.state == "skipped")
        .values(state="due", due_at=now)
    )


async def claim(conn: AsyncConnection, now: datetime, *, limit: int) -> Sequence[tuple[UUID, date]]:
    """Take due runs, the oldest months first; they stay due, but not before the lease ends."""
    run = BillingRun
    due = (
        select(run.site_id, run.bill_month)
        .where(run.state == "due", run.due_at <= now)
        .order_by(run.bill_month, run.due_at, run.site_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
        .prefix_with("MATERIALIZED")
    )
    statement = (
        update(run)
        .where(run.site_id == due.c.site_id, run.bill_month == due.c.bill_month)
        .values(due_at=now + LEASE, attempts=run.attempts + 1)
        .returning(run.site_id, run.bill_month)
    )
    rows = [(site_id, month) for site_id, month in await conn.execute(statement)]
    return sorted(rows, key=lambda row: (row[1], row[0]))


async def count_due(conn: AsyncConnection, now: datetime) -> int:
    """How many runs wait."""
    statement = select(func.count()).where(BillingRun.state == "due", BillingRun.due_at <= now)
    return int((await conn.execute(statement)).scalar_one())


_OF_MONTH = select(*_RUN).where(BillingRun.site_id == bindparam("site_id"), BillingRun.bill_month == bindparam("month"))


async def get_run(conn: AsyncConnection, site_id: UUID, month: date) -> RunOut | None:
    """The run of a month."""
    row = (await conn.execute(_OF_MONTH, {"site_id": site_id, "month": month})).one_or_none()
    return None if row is None else RunOut.model_validate(row)


async def list_runs(conn: AsyncConnection, site_id: UUID, paging: Paging) -> tuple[Sequence[RunOut], str | None]:
    """A page of the site's runs, the newest month first."""
    statement = paging.apply(select(*_RUN).where(BillingRun.site_id == site_id), BillingRun.bill_month, descending=True)
    rows = [RunOut.model_validate(row) for row in await conn.execute(statement)]
    return paging.split(rows, key=lambda row: (row.bill_month,))


_SETTLE = (
    update(BillingRun)
    .where(BillingRun.site_id == bindparam("of_site"), BillingRun.bill_month == bindparam("of_month"))
    .values(
        state=bindparam("state"),
        settled_at=bindparam("settled_at"),
        reason=bindparam("reason"),
        message=bindparam("message"),
        bill_id=func.coalesce(bindparam("new_bill_id", type_=BillingRun.bill_id.type), BillingRun.bill_id),
    )
)


async def settle(
    conn: AsyncConnection,
    site_id: UUID,
    month: date,
    *,
    at: datetime,
    bill_id: UUID | None = None,
    reason: str | None = None,
    message: str | None = None,
) -> None:
    """Say how a run ended: with a bill, or with the reason why there is none. A bill that was made before stays named.

    Args:
        conn: the transaction that stores the bill.
        site_id: whose.
        month: its first day.
        at: from when on the readings were looked at; later ones make it due again.
        bill_id: the bill that counts.
        reason: for programs.
        message: for people.
    """
    values = {
        "of_site": site_id,
        "of_month": month,
        "state": "skipped" if bill_id is None else "billed",
        "settled_at": at,
        "reason": reason,
        "message": message,
        "new_bill_id": bill_id,
    }
    await conn.execute(_SETTLE, values)


async def follow(conn: AsyncConnection, site_id: UUID, former_id: UUID, bill_id: UUID) -> None:
    """Let the run that made a bill name the one that took its place."""
    run = BillingRun
    await conn.execute(update(run).where(run.site_id == site_id, run.bill_id == former_id).values(bill_id=bill_id))


async def reopen(conn: AsyncConnection, *, since: date, now: datetime, grace: timedelta) -> int:
    """Make settled runs due again whose ground has changed: readings, the site's set-up, or the tariffs.

    Args:
        conn: a transaction of the system.
        since: only of periods that end on this day or later.
        now: the present moment.
        grace: readings are left to settle for so long after they changed.

    Returns:
        How many.
    """
    run, day = BillingRun, TelemetryDailySummary
    readings = (
        select(func.max(day.computed_at))
        .where(
            day.site_id == run.site_id,
            day.device_id.is_(None),
            day.summary_date >= run.period_start,
            day.summary_date <= run.period_end,
        )
        .scalar_subquery()
    )
    set_up = select(Site.updated_at).where(Site.id == run.site_id).scalar_subquery()
    rates = func.greatest(
        select(func.max(TariffPlan.updated_at)).scalar_subquery(),
        select(func.max(TariffAdjustment.updated_at)).scalar_subquery(),
    )
    statement = (
        update(run)
        .where(
            run.state != "due",
            run.period_end >= since,
            or_(
                (readings > run.settled_at) & (readings <= now - grace),
                set_up > run.settled_at,
                rates > run.settled_at,
            ),
        )
        .values(state="due", due_at=now)
        .returning(run.site_id)
    )
    return len((await conn.execute(statement)).all())
