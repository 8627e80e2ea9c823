"""All sites that a person may see."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import Query, Response

from cloud.auth.rules import Action
from cloud.auth.schemas import Scope
from cloud.telemetry.deps import PortfolioReads
from cloud.telemetry.schemas import PortfolioEnergy, PortfolioSite, Summary
from cloud.telemetry.service import portfolio
from cloud.web.deps import Now, PageOf, allowed
from cloud.web.paging import Page
from cloud.web.routing import api_router

router = api_router("/portfolio", tags=["portfolio"])

ReadableScope = Annotated[Scope, allowed(Action.TELEMETRY_READ)]

DEFAULT_DAYS = 30


@router.get("", response_model=Page[PortfolioSite])
async def read_portfolio(scope: ReadableScope, conn: PortfolioReads, paging: PageOf, now: Now) -> Response:
    """The sites by name, each at a glance: power now, energies of its day and month, open alerts, silent devices."""
    page = await portfolio.page(conn, scope, paging, now=now)
    return Response(page.model_dump_json(), media_type="application/json")


@router.get("/summary")
async def read_portfolio_summary(scope: ReadableScope, conn: PortfolioReads, now: Now) -> Summary:
    """All sites together: today, this month, this year and since the beginning, each site by its own calendar."""
    return await portfolio.summary(conn, scope, now=now)


@router.get("/energy", response_model=PortfolioEnergy)
async def read_portfolio_energy(
    scope: ReadableScope,
    conn: PortfolioReads,
    now: Now,
    *,
    first: Annotated[date | None, Query(alias="from", description="First day; 30 days up to `to` if absent.")] = None,
    last: Annotated[date | None, Query(alias="to", description="Last day; today (UTC) if absent.")] = None,
) -> Response:
    """Days of all sites together; each site's day is its own local day, a day without data has nulls."""
    last_day = last or now.date()
    first_day = first or last_day - timedelta(days=DEFAULT_DAYS - 1)
    days = await portfolio.energy(conn, scope, first=first_day, last=last_day)
    return Response(days.model_dump_json(), media_type="application/json")
