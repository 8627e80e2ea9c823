"""A site's tariffs compared, and advice on its bill, over HTTP."""

from typing import Annotated

from fastapi import Query

from cloud.auth.rules import Action
from cloud.billing.schemas.comparison import ComparisonIn, ComparisonOut, ComparisonQuery, SiteAdviceOut
from cloud.billing.service.advice import advise
from cloud.billing.service.comparison import compare_site_tariffs
from cloud.core.fields import Day
from cloud.sites.deps import site_for
from cloud.sites.schemas import SiteOut
from cloud.web.deps import Conn, Now
from cloud.web.routing import api_router

router = api_router(tags=["billing"])


@router.get("/sites/{site_id}/bills/compare-tariffs")
async def compare_tariffs(
    query: Annotated[ComparisonQuery, Query()],
    site: Annotated[SiteOut, site_for(Action.BILL_READ)],
    conn: Conn,
    now: Now,
) -> ComparisonOut:
    """What the site's units would have cost on each tariff that it may choose, with and without solar; nothing is stored."""
    return await compare_site_tariffs(conn, site, ComparisonIn(**query.model_dump()), now=now)


@router.post("/sites/{site_id}/bills/compare-tariffs")
async def compare_tariffs_with(
    body: ComparisonIn, site: Annotated[SiteOut, site_for(Action.BILL_READ)], conn: Conn, now: Now
) -> ComparisonOut:
    """The same, with units of earlier months that the readings do not tell; nothing is stored."""
    return await compare_site_tariffs(conn, site, body, now=now)


@router.get("/sites/{site_id}/bills/advice")
async def bill_advice(
    site: Annotated[SiteOut, site_for(Action.BILL_READ)],
    conn: Conn,
    now: Now,
    *,
    on: Annotated[Day | None, Query(description="A day of the period that is asked about; without it today.")] = None,
) -> SiteAdviceOut:
    """Slab edges ahead, protected status, sanctioned load and exports: what to know about the running bill."""
    return await advise(conn, site, on=on, now=now)
