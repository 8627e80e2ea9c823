"""A site's bills over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Response

from cloud.auth.rules import Action
from cloud.billing.endpoints.ad_hoc import CASES_PER_MINUTE
from cloud.billing.repository import bills as stored
from cloud.billing.schemas.bills import BillCheck, BillIn, BillOut, BillSummary, SimulatedBill
from cloud.billing.service import stored_bills
from cloud.sites.deps import site_for
from cloud.sites.schemas import SiteOut
from cloud.web.deps import Conn, CurrentUser, Limits, Now, PageOf
from cloud.web.etags import set_etag
from cloud.web.paging import Page
from cloud.web.routing import API, api_router

router = api_router(tags=["billing"])


@router.post("/sites/{site_id}/bills", status_code=201)
async def create_bill(
    body: BillIn,
    site: Annotated[SiteOut, site_for(Action.BILL_CREATE)],
    conn: Conn,
    user: CurrentUser,
    *,
    now: Now,
    response: Response,
) -> BillOut:
    """Work out the bill of a period from the site's readings, with and without solar, and store it."""
    bill = await stored_bills.create_bill(conn, site, body, now=now, user_id=user.user_id)
    set_etag(response, bill.version)
    response.headers["Location"] = f"{API}/sites/{site.id}/bills/{bill.id}"
    return bill


@router.post("/sites/{site_id}/bills/simulate")
async def simulate_bill(
    body: BillIn,
    site: Annotated[SiteOut, site_for(Action.BILL_READ)],
    conn: Conn,
    user: CurrentUser,
    *,
    limits: Limits,
    now: Now,
) -> SimulatedBill:
    """The bill of a period from the site's readings, as it would be stored; the period may still be running. Nothing is stored."""
    await limits.take(CASES_PER_MINUTE, str(user.user_id))
    return await stored_bills.simulate_bill(conn, site, body, now=now)


@router.get("/sites/{site_id}/bills")
async def list_bills(
    site: Annotated[SiteOut, site_for(Action.BILL_READ)], conn: Conn, paging: PageOf
) -> Page[BillSummary]:
    """The site's bills, the newest first."""
    items, next_cursor = await stored.list_bills(conn, site.id, paging)
    return Page(items=list(items), next_cursor=next_cursor)


@router.get("/sites/{site_id}/bills/{bill_id}")
async def get_bill(
    bill_id: UUID, site: Annotated[SiteOut, site_for(Action.BILL_READ)], conn: Conn, *, response: Response
) -> BillOut:
    """One bill, with every line explained."""
    bill = await stored_bills.get_bill(conn, site, bill_id)
    set_etag(response, bill.version)
    return bill


@router.get("/sites/{site_id}/bills/{bill_id}/check")
async def check_bill(bill_id: UUID, site: Annotated[SiteOut, site_for(Action.BILL_READ)], conn: Conn) -> BillCheck:
    """Compute the bill again from its stored inputs: the same hash says that nothing about it has changed."""
    return await stored_bills.check_bill(conn, site, bill_id)
