"""Organisations."""

from typing import Annotated
from uuid import UUID

from fastapi import Response

from cloud.accounts import repository, service
from cloud.accounts.schemas import OrganizationIn, OrganizationOut, OrganizationPatch
from cloud.auth.rules import Action
from cloud.auth.schemas import Scope
from cloud.web.deps import Conn, CurrentUser, Now, PageOf, SystemConn, allowed
from cloud.web.etags import IfMatch, set_etag
from cloud.web.paging import Page
from cloud.web.routing import API, api_router

router = api_router("/organizations", tags=["organizations"])


@router.get("")
async def list_organizations(
    conn: Conn, scope: Annotated[Scope, allowed(Action.ORGANIZATION_READ)], paging: PageOf
) -> Page[OrganizationOut]:
    """The person's organisations, oldest first."""
    items, next_cursor = await repository.list_organizations(conn, scope, paging)
    return Page(items=list(items), next_cursor=next_cursor)


@router.post("", status_code=201)
async def create_organization(
    body: OrganizationIn, conn: SystemConn, user: CurrentUser, now: Now, response: Response
) -> OrganizationOut:
    """A new organisation; its creator becomes the owner."""
    created = await service.create_organization(conn, user, body, now=now)
    set_etag(response, created.version)
    response.headers["Location"] = f"{API}/organizations/{created.id}"
    return created


@router.get("/{organization_id}")
async def get_organization(organization_id: UUID, conn: Conn, user: CurrentUser, response: Response) -> OrganizationOut:
    """One organisation."""
    found = await service.get_organization(conn, user, organization_id)
    set_etag(response, found.version)
    return found


@router.patch("/{organization_id}")
async def change_organization(
    organization_id: UUID,
    body: OrganizationPatch,
    version: IfMatch,
    *,
    conn: Conn,
    user: CurrentUser,
    response: Response,
) -> OrganizationOut:
    """Change the fields that the body names."""
    changed = await service.change_organization(conn, user, organization_id, body, version=version)
    set_etag(response, changed.version)
    return changed


@router.delete("/{organization_id}", status_code=204)
async def delete_organization(organization_id: UUID, version: IfMatch, conn: Conn, user: CurrentUser) -> None:
    """Delete an organisation that has no sites; owners only."""
    await service.delete_organization(conn, user, organization_id, version=version)
