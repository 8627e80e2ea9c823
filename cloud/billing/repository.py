"""Tariffs, bills, and the quarter-hours that bills stand on, in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.rules.energy import QuarterHour
from cloud.billing.schemas import BillOut, BillSummary, TariffOut
from cloud.billing.tables import BillingSimulation, TariffAdjustment, TariffCategory, TariffPlan
from cloud.core.discos import DiscoProvider
from cloud.core.ids import new_id
from cloud.telemetry.tables import EmissionFactor, TelemetryQuarterHour
from cloud.web.paging import Paging
from shared.periods import Window

_PLAN = tuple(getattr(TariffPlan, name) for name in TariffOut.model_fields)
_SUMMARY = tuple(getattr(BillingSimulation, name) for name in BillSummary.model_fields)
_BILL = tuple(getattr(BillingSimulation, name) for name in BillOut.model_fields)


@dataclass(frozen=True, slots=True)
class TariffFilter:
    """Which tariffs are asked for.

    Attributes:
        on: in force on that day.
    """

    disco_provider: DiscoProvider | None = None
    category: str | None = None
    on: date | None = None


async def list_tariffs(
    conn: AsyncConnection, paging: Paging, wanted: TariffFilter
) -> tuple[Sequence[TariffOut], str | None]:
    """A page of the tariffs, by company, category and date."""
    statement = select(*_PLAN)
    if wanted.disco_provider is not None:
        statement = statement.where(TariffPlan.disco_provider == wanted.disco_provider)
    if wanted.category is not None:
        statement = statement.where(TariffPlan.category == wanted.category)
    if wanted.on is not None:
        statement = statement.where(
            TariffPlan.effective_from <= wanted.on,
            or_(TariffPlan.effective_to.is_(None), TariffPlan.effective_to >= wanted.on),
        )
    keys = (TariffPlan.disco_provider, TariffPlan.category, TariffPlan.effective_from, TariffPlan.id)
    rows = [TariffOut.model_validate(row) for row in await conn.execute(paging.apply(statement, *keys))]
    return paging.split(rows, key=lambda row: (row.disco_provider.value, row.category, row.effective_from, row.id))


async def category_code(conn: AsyncConnection, name: str) -> str | None:
    """The category that a name stands for (an alias leads to its category); None for an unknown one."""
    statement = select(TariffCategory.code, TariffCategory.alias_of).where(TariffCategory.code == name)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else row.alias_of or row.code


async def plans_of(
    conn: AsyncConnection, disco_provider: DiscoProvider, category: str, *, first: date, last: date
) -> Sequence[TariffOut]:
    """Standard plans in force on any day of the period, the latest first."""
    statement = (
        select(*_PLAN)
        .where(
            TariffPlan.disco_provider == disco_provider,
            TariffPlan.category == category,
            TariffPlan.variant == "standard",
            TariffPlan.effective_from <= last,
            or_(TariffPlan.effective_to.is_(None), TariffPlan.effective_to >= first),
        )
        .order_by(TariffPlan.effective_from.desc())
    )
    return [TariffOut.model_validate(row) for row in await conn.execute(statement)]


async def categories_with_plans(conn: AsyncConnection, disco_provider: DiscoProvider) -> list[str]:
    """Categories for which the company has any plan."""
    statement = (
        select(TariffPlan.category)
        .where(TariffPlan.disco_provider == disco_provider)
        .distinct()
        .order_by(TariffPlan.category)
    )
    return list((await conn.execute(statement)).scalars())


async def adjustment_records(conn: AsyncConnection) -> list[dict[str, Any]]:
    """Every dated record, in the form of the tariff data."""
    columns = (
        TariffAdjustment.kind,
        TariffAdjustment.effective_from,
        TariffAdjustment.effective_to,
        TariffAdjustment.rate,
        TariffAdjustment.parameters,
        TariffAdjustment.source,
        TariffAdjustment.status,
    )
    rows = await conn.execute(select(*columns).order_by(TariffAdjustment.kind, TariffAdjustment.effective_from))
    return [
        {
            **row.parameters,
            "kind": row.kind,
            "effective_from": row.effective_from,
            "effective_to": row.effective_to,
            "rate": row.rate,
            "source": row.source,
            "status": row.status,
        }
        for row in rows
    ]


async def stored_plans(conn: AsyncConnection) -> dict[tuple[str, str, str, date], Mapping[str, Any]]:
    """All plans by company, category, variant and first day."""
    columns = (
        TariffPlan.id,
        TariffPlan.disco_provider,
        TariffPlan.category,
        TariffPlan.variant,
        TariffPlan.name,
        TariffPlan.effective_from,
        TariffPlan.effective_to,
        TariffPlan.rates,
        TariffPlan.supports_net_metering,
        TariffPlan.supports_tou,
        TariffPlan.source,
        TariffPlan.status,
    )
    rows = (await conn.execute(select(*columns))).mappings()
    return {(r["disco_provider"], r["category"], r["variant"], r["effective_from"]): dict(r) for r in rows}


async def stored_adjustments(conn: AsyncConnection) -> dict[tuple[str, str, str, date], Mapping[str, Any]]:
    """All dated records by kind, scope, consumers and first day."""
    columns = (
        TariffAdjustment.id,
        TariffAdjustment.kind,
        TariffAdjustment.scope,
        TariffAdjustment.consumers,
        TariffAdjustment.effective_from,
        TariffAdjustment.effective_to,
        TariffAdjustment.rate,
        TariffAdjustment.unit,
        TariffAdjustment.parameters,
        TariffAdjustment.source,
        TariffAdjustment.status,
    )
    rows = (await conn.execute(select(*columns))).mappings()
    return {(r["kind"], r["scope"], r["consumers"], r["effective_from"]): dict(r) for r in rows}


async def add_plans(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """New versions of tariffs."""
    if rows:
        await conn.execute(insert(TariffPlan), [{"id": new_id(), **row} for row in rows])


async def change_plan(conn: AsyncConnection, plan_id: UUID, values: Mapping[str, Any]) -> None:
    """Correct a version of a tariff."""
    await conn.execute(update(TariffPlan).where(TariffPlan.id == plan_id).values(**values))


async def add_adjustments(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """New dated records."""
    if rows:
        await conn.execute(insert(TariffAdjustment), [{"id": new_id(), **row} for row in rows])


async def change_adjustment(conn: AsyncConnection, record_id: UUID, values: Mapping[str, Any]) -> None:
    """Correct a dated record."""
    await conn.execute(update(TariffAdjustment).where(TariffAdjustment.id == record_id).values(**values))


async def site_quarter_hours(conn: AsyncConnection, site_id: UUID, window: Window) -> Sequence[QuarterHour]:
    """The site's own quarter-hours (not its devices') that begin in the window."""
    table = TelemetryQuarterHour
    statement = (
        select(
            table.bucket,
            table.generated_wh,
            table.consumed_wh,
            table.imported_wh,
            table.exported_wh,
            table.covered_seconds,
        )
        .where(
            table.site_id == site_id,
            table.device_id.is_(None),
            table.bucket >= window.start,
            table.bucket < window.end,
        )
        .order_by(table.bucket)
    )
    return [QuarterHour(*row) for row in await conn.execute(statement)]


@dataclass(frozen=True, slots=True)
class WindowTotals:
    """Sums over a window; None = not measured."""

    consumed_wh: int | None
    imported_wh: int | None
    exported_wh: int | None
    covered_seconds: int


async def window_totals(conn: AsyncConnection, site_id: UUID, window: Window) -> WindowTotals:
    """The site's energies in a window, added up in the database."""
    table = TelemetryQuarterHour
    statement = select(
        func.sum(table.consumed_wh),
        func.sum(table.imported_wh),
        func.sum(table.exported_wh),
        func.coalesce(func.sum(table.covered_seconds), 0),
    ).where(
        table.site_id == site_id,
        table.device_id.is_(None),
        table.bucket >= window.start,
        table.bucket < window.end,
    )
    consumed, imported, exported, covered = (await conn.execute(statement)).one()

    def whole(value: Decimal | int | None) -> int | None:
        return None if value is None else int(value)

    return WindowTotals(whole(consumed), whole(imported), whole(exported), int(covered))


async def default_factor(conn: AsyncConnection, kind: str) -> Decimal:
    """Value of the default emission factor of a kind (`grid_electricity` in kg/kWh, `tree` in kg)."""
    statement = select(EmissionFactor.value).where(EmissionFactor.kind == kind, EmissionFactor.is_default)
    value: Decimal = (await conn.execute(statement)).scalar_one()
    return value


async def add_bill(conn: AsyncConnection, values: Mapping[str, Any]) -> UUID:
    """Store a bill."""
    bill_id = new_id()
    await conn.execute(insert(BillingSimulation).values(id=bill_id, **values))
    return bill_id


async def same_bill(conn: AsyncConnection, site_id: UUID, content_hash: str) -> UUID | None:
    """A stored bill of the site with the same inputs and outputs."""
    table = BillingSimulation
    statement = (
        select(table.id)
        .where(table.site_id == site_id, table.content_hash == content_hash)
        .order_by(table.created_at.desc())
        .limit(1)
    )
    found: UUID | None = (await conn.execute(statement)).scalar_one_or_none()
    return found


async def lock_site_bills(conn: AsyncConnection, site_id: UUID) -> None:
    """Let one transaction at a time store bills of the site, so that the same bill asked for twice at once is stored once."""
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"bills {site_id}", 0))))


async def get_bill(conn: AsyncConnection, site_id: UUID, bill_id: UUID) -> BillOut | None:
    """One bill of the site."""
    table = BillingSimulation
    row = (await conn.execute(select(*_BILL).where(table.id == bill_id, table.site_id == site_id))).one_or_none()
    return None if row is None else BillOut.model_validate(row)


async def list_bills(conn: AsyncConnection, site_id: UUID, paging: Paging) -> tuple[Sequence[BillSummary], str | None]:
    """A page of the site's bills, the newest first."""
    table = BillingSimulation
    statement = paging.apply(
        select(*_SUMMARY).where(table.site_id == site_id), table.created_at, table.id, descending=True
    )
    rows = [BillSummary.model_validate(row) for row in await conn.execute(statement)]
    return paging.split(rows, key=lambda row: (row.created_at, row.id))


async def latest_bill(conn: AsyncConnection, site_id: UUID, first: date, last: date) -> BillOut | None:
    """The newest bill of exactly this period."""
    table = BillingSimulation
    statement = (
        select(*_BILL)
        .where(table.site_id == site_id, table.period_start == first, table.period_end == last)
        .order_by(table.created_at.desc(), table.id.desc())
        .limit(1)
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else BillOut.model_validate(row)
