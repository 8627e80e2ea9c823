"""Versions of tariffs and dated records as an administrator keeps them, one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.schemas.tariff_answers import AdjustmentOut, TariffVersion
from cloud.billing.tables import TariffAdjustment, TariffPlan
from cloud.core.discos import DiscoProvider
from cloud.core.ids import new_id
from cloud.web.paging import Paging

_VERSION = tuple(getattr(TariffPlan, name) for name in TariffVersion.model_fields)
_RECORD = (
    TariffAdjustment.id,
    TariffAdjustment.kind,
    TariffAdjustment.effective_from,
    TariffAdjustment.effective_to,
    TariffAdjustment.rate,
    TariffAdjustment.unit,
    TariffAdjustment.parameters,
    TariffAdjustment.source,
    TariffAdjustment.status,
    TariffAdjustment.origin,
    TariffAdjustment.version,
)


@dataclass(frozen=True, slots=True)
class AdjustmentFilter:
    """Which dated records are asked for.

    Attributes:
        on: in force on that day.
        disco_provider: those that this company's bills may carry.
        category: those that bills of this category may carry.
    """

    kind: str | None = None
    on: date | None = None
    disco_provider: DiscoProvider | None = None
    category: str | None = None


async def get_version(conn: AsyncConnection, tariff_id: UUID) -> TariffVersion | None:
    """One version of a tariff."""
    row = (await conn.execute(select(*_VERSION).where(TariffPlan.id == tariff_id))).one_or_none()
    return None if row is None else TariffVersion.model_validate(row)


async def versions_of(
    conn: AsyncConnection, disco_provider: DiscoProvider, category: str, variant: str
) -> list[TariffVersion]:
    """All versions of one tariff at one company, oldest first."""
    statement = (
        select(*_VERSION)
        .where(
            TariffPlan.disco_provider == disco_provider, TariffPlan.category == category, TariffPlan.variant == variant
        )
        .order_by(TariffPlan.effective_from)
    )
    return [TariffVersion.model_validate(row) for row in await conn.execute(statement)]


async def add_version(conn: AsyncConnection, values: Mapping[str, Any]) -> UUID:
    """A new version of a tariff."""
    tariff_id = new_id()
    await conn.execute(insert(TariffPlan).values(id=tariff_id, **values))
    return tariff_id


async def change_version(conn: AsyncConnection, tariff_id: UUID, *, version: int, values: Mapping[str, Any]) -> bool:
    """Change fields of a tariff's version if the row is still the one that was read."""
    table = TariffPlan
    statement = (
        update(table).where(table.id == tariff_id, table.version == version).values(**values).returning(table.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


def _record(row: Mapping[Any, Any]) -> AdjustmentOut:
    values = {str(name): value for name, value in row.items()}
    return AdjustmentOut.model_validate({**values.pop("parameters"), **values})


async def list_records(
    conn: AsyncConnection, paging: Paging, wanted: AdjustmentFilter
) -> tuple[Sequence[AdjustmentOut], str | None]:
    """A page of the dated records, by kind and date."""
    table = TariffAdjustment
    statement = select(*_RECORD)
    if wanted.kind is not None:
        statement = statement.where(table.kind == wanted.kind)
    if wanted.on is not None:
        statement = statement.where(
            table.effective_from <= wanted.on, or_(table.effective_to.is_(None), table.effective_to >= wanted.on)
        )
    for field, value in (("disco_providers", wanted.disco_provider), ("categories", wanted.category)):
        if value is not None:
            named = not_(table.parameters.has_key(field))
            statement = statement.where(or_(named, table.parameters.contains({field: [str(value)]})))
    keys = (table.kind, table.effective_from, table.id)
    rows = [_record(row) for row in (await conn.execute(paging.apply(statement, *keys))).mappings()]
    return paging.split(rows, key=lambda row: (row.kind, row.effective_from, row.id))


async def records_of(conn: AsyncConnection, kind: str) -> list[AdjustmentOut]:
    """All dated records of a kind, oldest first."""
    statement = select(*_RECORD).where(TariffAdjustment.kind == kind).order_by(TariffAdjustment.effective_from)
    return [_record(row) for row in (await conn.execute(statement)).mappings()]


async def get_record(conn: AsyncConnection, record_id: UUID) -> AdjustmentOut | None:
    """One dated record."""
    row = (await conn.execute(select(*_RECORD).where(TariffAdjustment.id == record_id))).mappings().one_or_none()
    return None if row is None else _record(row)


async def add_record(conn: AsyncConnection, values: Mapping[str, Any]) -> UUID:
    """A new dated record."""
    record_id = new_id()
    await conn.execute(insert(TariffAdjustment).values(id=record_id, **values))
    return record_id


async def change_record(conn: AsyncConnection, record_id: UUID, *, version: int, values: Mapping[str, Any]) -> bool:
    """Change fields of a dated record if the row is still the one that was read."""
    table = TariffAdjustment
    statement = (
        update(table).where(table.id == record_id, table.version == version).values(**values).returning(table.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def end_record(conn: AsyncConnection, record_id: UUID, *, last: date) -> None:
    """Let a dated record end."""
    await conn.execute(update(TariffAdjustment).where(TariffAdjustment.id == record_id).values(effective_to=last))
