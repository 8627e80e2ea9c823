"""The quarter-hours that bills stand on, in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.rules.metering.energy import QuarterHour
from cloud.telemetry.tables import EmissionFactor, TelemetryQuarterHour
from shared.periods import Window

QUARTER_S = 900


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
            table.imported_bridged_wh,
        )
        .where(
            table.site_id == site_id,
            table.device_id.is_(None),
            table.bucket >= window.start,
            table.bucket < window.end,
        )
        .order_by(table.bucket)
    )
    # All rows at once: a month has three thousand, and fetching them one by one costs more than reading them.
    return [QuarterHour._make(row) for row in (await conn.execute(statement)).all()]


@dataclass(frozen=True, slots=True)
class WindowTotals:
    """Sums over a window; None = not measured.

    Attributes:
        max_imported_wh: the largest import of a quarter-hour.
        covered_seconds: with readings, or bridged by the counter of the import.
    """

    consumed_wh: int | None
    imported_wh: int | None
    exported_wh: int | None
    max_imported_wh: int | None
    covered_seconds: int


async def window_totals(conn: AsyncConnection, site_id: UUID, window: Window) -> WindowTotals:
    """The site's energies in a window, added up in the database."""
    table = TelemetryQuarterHour
    statement = select(
        func.sum(table.consumed_wh),
        func.sum(table.imported_wh),
        func.sum(table.exported_wh),
        func.max(table.imported_wh),
        func.coalesce(func.sum(case((table.imported_bridged_wh > 0, QUARTER_S), else_=table.covered_seconds)), 0),
    ).where(
        table.site_id == site_id,
        table.device_id.is_(None),
        table.bucket >= window.start,
        table.bucket < window.end,
    )
    consumed, imported, exported, highest, covered = (await conn.execute(statement)).one()

    def whole(value: Decimal | int | None) -> int | None:
        return None if value is None else int(value)

    return WindowTotals(whole(consumed), whole(imported), whole(exported), highest, int(covered))


async def default_factor(conn: AsyncConnection, kind: str) -> Decimal:
    """Value of the default emission factor of a kind (`grid_electricity` in kg/kWh, `tree` in kg)."""
    statement = select(EmissionFactor.value).where(EmissionFactor.kind == kind, EmissionFactor.is_default)
    value: Decimal = (await conn.execute(statement)).scalar_one()
    return value
