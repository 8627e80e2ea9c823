"""How many rollup rows a site has, per level."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.telemetry.tables import (
    TelemetryDailySummary,
    TelemetryHourlySummary,
    TelemetryMonthlySummary,
    TelemetryQuarterHour,
)


@dataclass(frozen=True, slots=True)
class BucketCounts:
    """Rollup rows of a site, of the site itself and of its devices together."""

    quarter_hour: int
    hour: int
    day: int
    month: int


async def bucket_counts(conn: AsyncConnection, site_id: UUID) -> BucketCounts:
    """Count a site's rollup rows: exact, so for one site and its support, not for a dashboard."""
    quarter_hour, hour, day, month = [
        (await conn.execute(select(func.count()).select_from(table).where(table.site_id == site_id))).scalar_one()
        for table in (TelemetryQuarterHour, TelemetryHourlySummary, TelemetryDailySummary, TelemetryMonthlySummary)
    ]
    return BucketCounts(quarter_hour, hour, day, month)
