"""A site's quarter-hours by the periods of a tariff by month and hour."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.repository import energy as store
from cloud.billing.rules.metering.energy import WH_PER_KWH, QuarterHour
from cloud.billing.rules.metering.gaps import days_to_learn_from, fill_gaps
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.model import BillingCase
from cloud.billing.rules.scheduled.metered import Metered, metered
from cloud.billing.rules.scheduled.records import schedule_of
from cloud.billing.schemas.tariffs import TariffOut
from cloud.billing.service.site_energy import window_of
from cloud.sites.schemas import SiteOut
from shared.periods import zone_of


def is_scheduled(version: TariffOut) -> bool:
    """Whether the version is one by month and hour."""
    return version.rates.get("schedule") is not None


def _kwh(wh: int | None) -> Decimal | None:
    return None if wh is None else Decimal(wh) / WH_PER_KWH


def _intervals(quarters: Iterable[QuarterHour]) -> list[Interval]:
    return [
        Interval(
            row.bucket,
            store.QUARTER_S,
            imported_kwh=_kwh(row.imported_wh),
            exported_kwh=_kwh(row.exported_wh),
            generated_kwh=_kwh(row.generated_wh),
            consumed_kwh=_kwh(row.consumed_wh),
        )
        for row in quarters
    ]


async def metered_site(
    conn: AsyncConnection, site: SiteOut, version: TariffOut, case: BillingCase, *, now: datetime
) -> Metered:
    """Divide the site's quarter-hours of the case's period by the hours of its tariff.

    Gaps of a period that has ended are estimated as on every bill; what nothing tells counts nothing.

    Args:
        conn: a transaction that sees the site.
        site: whose; its zone decides days and hours.
        version: of the tariff, with a schedule.
        case: without units by period.
        now: the present moment.

    Raises:
        BillingError: if the quarter-hours do not fit the tariff.
    """
    zone, window = zone_of(site.timezone), window_of(site, case.period_start, case.period_end)
    known = await store.site_quarter_hours(conn, site.id, days_to_learn_from(window, zone))
    quarters: Iterable[QuarterHour] = [row for row in known if row.bucket in window]
    if window.end <= now:
        quarters = fill_gaps(known, window=window, zone=zone, may_estimate=True).quarters
    return metered(schedule_of(version.rates["schedule"]), case, _intervals(quarters), zone=zone)
