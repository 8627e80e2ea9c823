"""The ledger of exported units in the database."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.rules.ledger import LedgerEntry, Moves
from cloud.billing.schemas.runs import LedgerOut
from cloud.billing.tables import ExportLedgerEntry
from cloud.web.paging import Paging

_ENTRY = tuple(getattr(ExportLedgerEntry, name) for name in LedgerOut.model_fields)


# Built once: every bill asks it.
_OF_MONTH = select(*_ENTRY).where(
    ExportLedgerEntry.site_id == bindparam("site_id"), ExportLedgerEntry.bill_month == bindparam("month")
)


async def ledger_of_month(conn: AsyncConnection, site_id: UUID, month: date) -> LedgerOut | None:
    """The entry of a month."""
    row = (await conn.execute(_OF_MONTH, {"site_id": site_id, "month": month})).one_or_none()
    return None if row is None else LedgerOut.model_validate(row)


async def list_ledger(conn: AsyncConnection, site_id: UUID, paging: Paging) -> tuple[Sequence[LedgerOut], str | None]:
    """A page of the site's ledger, the newest month first."""
    table = ExportLedgerEntry
    statement = paging.apply(select(*_ENTRY).where(table.site_id == site_id), table.bill_month, descending=True)
    rows = [LedgerOut.model_validate(row) for row in await conn.execute(statement)]
    return paging.split(rows, key=lambda row: (row.bill_month,))


def _columns(prefix: str, moves: Moves) -> dict[str, Any]:
    return {f"{prefix}_{move}_kwh": getattr(moves, move) for move in Moves.__dataclass_fields__}


def _put() -> Insert:
    statement = insert(ExportLedgerEntry.metadata.tables[ExportLedgerEntry.__tablename__])
    moves = (f"{prefix}_{move}_kwh" for prefix in ("peak", "off_peak") for move in Moves.__dataclass_fields__)
    changed = {
        name: statement.excluded[name] for name in ("period_start", "period_end", "bill_id", "computed_at", *moves)
    }
    return statement.on_conflict_do_update(index_elements=["site_id", "bill_month"], set_=changed)


_PUT = _put()


async def put_ledger(conn: AsyncConnection, key: dict[str, Any], entry: LedgerEntry, *, at: datetime) -> None:
    """Write the entry of a month; the bill that was worked out last counts.

    Args:
        conn: the transaction that stores the bill.
        key: site_id, organization_id, bill_month, period_start, period_end, bill_id.
        entry: the moves.
        at: the present moment.
    """
    values = {**_columns("peak", entry.peak), **_columns("off_peak", entry.off_peak), "computed_at": at}
    await conn.execute(_PUT, {**key, **values})
