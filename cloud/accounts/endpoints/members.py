"""Members and invitations."""

from datetime import timedelta
from uuid import UUID

from fastapi import Response

from cloud.accounts import repository, service
from cloud.accounts.schemas import AcceptIn, InvitedOut, MemberIn, MemberOut, MemberPatch
from cloud.auth.rules import Action, authorize
from cloud.core.crypto import token_hash
from cloud.web.deps import Conn, CurrentUser, Limits, Now, PageOf, ServicesDep, SystemConn
from cloud.web.etags import IfMatch, set_etag
from cloud.web.limits import Rate
from cloud.web.paging import Page
from cloud.web.routing import API, api_router

router = api_router(tags=["members"])

_WINDOW_S = int(timedelta(minutes=15).total_seconds())
_ACCEPTS = Rate("invitation", 20, _WINDOW_S)
_TRIES = Rate("invitation-token", 5, _WINDOW_S)


@router.get("/organizations/{organization_id}/members")
async def list_members(organization_id: UUID, conn: Conn, user: CurrentUser, paging: PageOf) -> Page[MemberOut]:
    """Members and invited people, oldest first."""
    authorize(user, Action.MEMBER_READ, organization_id)
    items, next_cursor = await repository.list_members(conn, organization_id, paging)
    return Page(items=list(items), next_cursor=next_cursor)


@router.post("/organizations/{organization_id}/members", status_code=201)
async def add_member(
    organization_id: UUID, body: MemberIn, conn: SystemConn, *, user: CurrentUser, now: Now, response: Response
) -> InvitedOut:
    """Invite somebody, valid for 7 days and for one use.

    The invitation's token is in this answer and nowhere else: hand it to the person, who accepts with the password of their account,
    or opens one.
    """
    member, token = await service.invite(conn, user, organization_id, body, now=now)
    set_etag(response, member.version)
    response.headers["Location"] = f"{API}/organizations/{organization_id}/members/{member.id}"
    return InvitedOut(**member.model_dump(), invitation_token=token)


@router.get("/organizations/{organization_id}/members/{member_id}")
async def get_member(
    organization_id: UUID, member_id: UUID, conn: Conn, user: CurrentUser, response: Response
) -> MemberOut:
    """One member."""
    found = await service.get_member(conn, user, organization_id, member_id)
    set_etag(response, found.version)
    return found


@router.patch("/organizations/{organization_id}/members/{member_id}")
async def change_member(
    organization_id: UUID,
    member_id: UUID,
    body: MemberPatch,
    *,
    version: IfMatch,
    conn: Conn,
    user: CurrentUser,
    response: Response,
) -> MemberOut:
    """Give a member another role."""
    changed = await service.change_role(conn, user, organization_id, member_id, role=body.role, version=version)
    set_etag(response, changed.version)
    return changed


@router.delete("/organizations/{organization_id}/members/{member_id}", status_code=204)
async def remove_member(
    organization_id: UUID, member_id: UUID, version: IfMatch, conn: Conn, user: CurrentUser
) -> None:
    """End a membership; everybody may end their own."""
    await service.remove_member(conn, user, organization_id, member_id, version=version)


@router.post("/invitations/accept", status_code=204)
async def accept_invitation(body: AcceptIn, services: ServicesDep, limits: Limits, now: Now) -> None:
    """Join with the token of an invitation: with the account's password, or with one and a name for a new account."""
    await limits.take(_ACCEPTS, limits.address)
    # Whoever made the invitation has its token, and could guess passwords with it from everywhere.
    await limits.take(_TRIES, token_hash(body.token.get_secret_value()))
    await service.accept_invitation(services.db, services.passwords, body, now=now)
