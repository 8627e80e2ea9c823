"""Bills as the company printed them, over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Response

from cloud.auth.rules import Action
from cloud.billing.repository import actual as stored
from cloud.billing.schemas.actual import ActualBill, ActualBillIn, ActualBillOut, ActualBillPatch, DifferenceOut
from cloud.billing.service import actual
from cloud.sites.deps import site_for
from cloud.sites.schemas import SiteOut
from cloud.web.deps import Conn, CurrentUser, Now, PageOf
from cloud.web.etags import IfMatch, set_etag
from cloud.web.paging import Page
from cloud.web.routing import API, api_router

router = api_router("/sites/{site_id}/bills/actual", tags=["billing"])

Reader = Annotated[SiteOut, site_for(Action.BILL_READ)]
Writer = Annotated[SiteOut, site_for(Action.BILL_CREATE)]


@router.post("", status_code=201)
async def enter_bill(
    body: ActualBillIn, site: Writer, conn: Conn, user: CurrentUser, *, now: Now, response: Response
) -> ActualBillOut:
    """Enter the company's paper bill; it is compared, line by line, with the one worked out from its units and the readings."""
    bill = await actual.enter_bill(conn, site, body, now=now, user_id=user.user_id)
    set_etag(response, bill.version)
    response.headers["Location"] = f"{API}/sites/{site.id}/bills/actual/{bill.id}"
    return bill


@router.get("")
async def list_entered_bills(site: Reader, conn: Conn, paging: PageOf) -> Page[ActualBill]:
    """The site's entered bills, the latest period first."""
    items, next_cursor = await stored.list_entered(conn, site.id, paging)
    return Page(items=list(items), next_cursor=next_cursor)


@router.get("/{bill_id}")
async def get_entered_bill(bill_id: UUID, site: Reader, conn: Conn, *, now: Now, response: Response) -> ActualBillOut:
    """An entered bill with its difference to what is worked out now."""
    bill = await actual.get_entered_bill(conn, site, bill_id, now=now)
    set_etag(response, bill.version)
    return bill


@router.get("/{bill_id}/difference")
async def get_difference(bill_id: UUID, site: Reader, conn: Conn, now: Now) -> DifferenceOut:
    """What differs between the paper and the bill worked out from its units now, and why."""
    return (await actual.get_entered_bill(conn, site, bill_id, now=now)).difference


@router.patch("/{bill_id}")
async def change_entered_bill(
    bill_id: UUID,
    body: ActualBillPatch,
    site: Writer,
    version: IfMatch,
    *,
    conn: Conn,
    user: CurrentUser,
    now: Now,
    response: Response,
) -> ActualBillOut:
    """Correct the fields that the body names."""
    bill = await actual.change_entered_bill(conn, site, bill_id, body, version=version, now=now, user_id=user.user_id)
    set_etag(response, bill.version)
    return bill


@router.delete("/{bill_id}", status_code=204)
async def delete_entered_bill(bill_id: UUID, site: Writer, version: IfMatch, *, conn: Conn, now: Now) -> None:
    """Delete an entered bill; the bill that it was compared with stays."""
    await actual.delete_entered_bill(conn, site, bill_id, version=version, now=now)
