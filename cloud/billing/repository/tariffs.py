"""Tariffs in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.schemas.entries import CategoryOut
from cloud.billing.schemas.tariffs import TariffOut
from cloud.billing.tables import TariffAdjustment, TariffCategory, TariffPlan
from cloud.core.discos import DiscoProvider
from cloud.core.ids import new_id
from cloud.web.paging import Paging

_PLAN = tuple(getattr(TariffPlan, name) for name in TariffOut.model_fields)


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
        TariffPlan.origin,
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
        TariffAdjustment.origin,
    )
    rows = (await conn.execute(select(*columns))).mappings()
    return {(r["kind"], r["scope"], r["consumers"], r["effective_from"]): dict(r) for r in rows}


async def stored_categories(conn: AsyncConnection) -> Sequence[CategoryOut]:
    """Every category, with whether any plan is on record for it."""
    plans = select(TariffPlan.category).where(TariffPlan.category == TariffCategory.code).exists()
    statement = select(
        TariffCategory.code,
        TariffCategory.name,
        TariffCategory.nepra_code,
        TariffCategory.alias_of,
        plans.label("has_plans"),
    ).order_by(TariffCategory.code)
    return [CategoryOut.model_validate(row) for row in await conn.execute(statement)]


async def lock_tariffs(conn: AsyncConnection) -> None:
    """Let one transaction at a time decide about the tariff data as a whole; it ends with the transaction."""
    await conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("tariffs", 0))))


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
