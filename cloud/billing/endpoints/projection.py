"""A site's year ahead and its system as an investment, over HTTP."""

from typing import Annotated

from fastapi import Query

from cloud.auth.rules import Action
from cloud.billing.schemas.projection import MonthText, ProjectionIn, ProjectionOut, SiteFinanceIn, SiteFinanceOut
from cloud.billing.service import projection as service
from cloud.sites.deps import site_for
from cloud.sites.schemas import SiteOut
from cloud.web.deps import Conn, Now
from cloud.web.routing import api_router

router = api_router(tags=["billing"])


@router.get("/sites/{site_id}/bills/projection")
async def get_projection(
    site: Annotated[SiteOut, site_for(Action.BILL_READ)],
    conn: Conn,
    *,
    now: Now,
    first_month: Annotated[
        MonthText | None,
        Query(alias="from", description="Month of the first bill; without it the month after this one."),
    ] = None,
) -> ProjectionOut:
    """Twelve bills to come, with and without solar, from the site's measured months and the rates on record."""
    return await service.project_site(conn, site, ProjectionIn(first_month=first_month), now=now)


@router.post("/sites/{site_id}/bills/projection")
async def make_projection(
    body: ProjectionIn, site: Annotated[SiteOut, site_for(Action.BILL_READ)], conn: Conn, *, now: Now
) -> ProjectionOut:
    """The same with what the site cannot tell: a system that is not there yet, consumption from paper bills, earlier units."""
    return await service.project_site(conn, site, body, now=now)


@router.post("/sites/{site_id}/finance")
async def judge_site(
    body: SiteFinanceIn, site: Annotated[SiteOut, site_for(Action.BILL_READ)], conn: Conn, *, now: Now
) -> SiteFinanceOut:
    """Payback, net present value, internal rate and cost of a kWh of the site's system, or of one that is not there yet.

    The first year's savings are those of the projection; every assumption is stated with its origin.
    """
    return await service.judge_site(conn, site, body, now=now)
