"""Bills in the database."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.schemas.bills import BillOut, BillSummary
from cloud.billing.tables import BillingSimulation
from cloud.core.ids import new_id
from cloud.web.paging import Paging

_SUMMARY = tuple(getattr(BillingSimulation, name) for name in BillSummary.model_fields)
_BILL = tuple(getattr(BillingSimulation, name) for name in BillOut.model_fields)


# Statements that every bill sends are built once: putting one together costs more than asking it.
_ADD = insert(BillingSimulation.metadata.tables[BillingSimulation.__tablename__])
_SAME = (
    select(BillingSimulation.id)
    .where(
        BillingSimulation.site_id == bindparam("site_id"), BillingSimulation.content_hash == bindparam("content_hash")
    )
    .order_by(BillingSimulation.created_at.desc())
    .limit(1)
)
_LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=Text), 0)))


async def add_bill(conn: AsyncConnection, values: Mapping[str, Any]) -> UUID:
    """Store a bill."""
    bill_id = new_id()
    await conn.execute(_ADD, {"id": bill_id, **values})
    return bill_id


async def replace_bill(conn: AsyncConnection, former_id: UUID, values: Mapping[str, Any]) -> UUID:
    """Store a bill that takes the place of another: of the same period and readings, with other values. The former one stays."""
    table = BillingSimulation
    kept = [
        column for column in table.__table__.columns if column.name not in {"id", "created_at", "updated_at", "version"}
    ]
    row = (await conn.execute(select(*kept).where(table.id == former_id))).mappings().one()
    return await add_bill(conn, {**row, **values, "replaces_id": former_id})


async def same_bill(conn: AsyncConnection, site_id: UUID, content_hash: str) -> UUID | None:
    """A stored bill of the site with the same inputs and outputs."""
    asked = {"site_id": site_id, "content_hash": content_hash}
    found: UUID | None = (await conn.execute(_SAME, asked)).scalar_one_or_none()
    return found


async def lock_site_bills(conn: AsyncConnection, site_id: UUID) -> None:
    """Let one transaction at a time store bills of the site, so that the same bill asked for twice at once is stored once."""
    await conn.execute(_LOCK, {"name": f"bills {site_id}"})


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
