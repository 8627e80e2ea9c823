"""Energies of one site."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import Query

from cloud.telemetry.deps import ReadableSite, SiteReads
from cloud.telemetry.schemas import Energy, SiteSummary
from cloud.telemetry.service import portfolio, reading
from cloud.web.deps import Now
from cloud.web.routing import api_router
from shared.periods import day_of, zone_of

router = api_router("/sites/{site_id}", tags=["telemetry"])

DEFAULT_DAYS = 30


@router.get("/energy")
async def read_energy(
    site: ReadableSite,
    conn: SiteReads,
    now: Now,
    *,
    first: Annotated[
        date | None, Query(alias="from", description="First local day; 30 days up to `to` if absent.")
    ] = None,
    last: Annotated[date | None, Query(alias="to", description="Last local day; today if absent.")] = None,
) -> Energy:
    """The site's local days, with their yields; a day without data has nulls."""
    last_day = last or day_of(now, zone_of(site.timezone))
    first_day = first or last_day - timedelta(days=DEFAULT_DAYS - 1)
    return await reading.energy(conn, site, first=first_day, last=last_day)


@router.get("/summary")
async def read_summary(site: ReadableSite, conn: SiteReads, now: Now) -> SiteSummary:
    """Where the energy came from and went: today, this month, this year and since the beginning, by the site's calendar."""
    return await portfolio.site_summary(conn, site, now=now)
