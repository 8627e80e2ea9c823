"""A site's monthly run, ledger and savings over HTTP."""

from typing import Annotated

from cloud.auth.rules import Action
from cloud.billing.repository import ledger, runs, savings
from cloud.billing.schemas.runs import LedgerOut, RunOut, SavingsOut
from cloud.sites.deps import site_for
from cloud.sites.schemas import SiteOut
from cloud.web.deps import Conn, PageOf
from cloud.web.paging import Page
from cloud.web.routing import api_router

router = api_router(tags=["billing"])


@router.get("/sites/{site_id}/bill-runs")
async def list_bill_runs(
    site: Annotated[SiteOut, site_for(Action.BILL_READ)], conn: Conn, paging: PageOf
) -> Page[RunOut]:
    """The site's automatic bills month by month, the newest first: due, made, or why there is none."""
    items, next_cursor = await runs.list_runs(conn, site.id, paging)
    return Page(items=list(items), next_cursor=next_cursor)


@router.get("/sites/{site_id}/export-ledger")
async def list_export_ledger(
    site: Annotated[SiteOut, site_for(Action.BILL_READ)], conn: Conn, paging: PageOf
) -> Page[LedgerOut]:
    """Surplus units of net metering month by month, the newest first: brought forward, added, used, paid, carried."""
    items, next_cursor = await ledger.list_ledger(conn, site.id, paging)
    return Page(items=list(items), next_cursor=next_cursor)


@router.get("/sites/{site_id}/savings-rates")
async def list_savings_rates(
    site: Annotated[SiteOut, site_for(Action.BILL_READ)], conn: Conn, paging: PageOf
) -> Page[SavingsOut]:
    """What a kWh is worth month by month, the newest first, and what the days' savings add up to beside the bill's."""
    items, next_cursor = await savings.list_rates(conn, site.id, paging)
    return Page(items=list(items), next_cursor=next_cursor)
