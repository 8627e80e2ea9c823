"""Sites over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from cloud.auth.rules import Action, authorize
from cloud.auth.schemas import Scope
from cloud.core.fields import Line
from cloud.sites import repository, service
from cloud.sites.deps import site_for
from cloud.sites.schemas import SiteFilter, SiteIn, SiteOut, SitePatch, SiteSort
from cloud.web.deps import Conn, CurrentUser, PageOf, allowed
from cloud.web.etags import IfMatch, set_etag
from cloud.web.paging import Page
from cloud.web.routing import API, api_router
from shared.enums import SiteStatus

router = api_router("/sites", tags=["sites"])


@router.get("")
async def list_sites(
    conn: Conn,
    user: CurrentUser,
    scope: Annotated[Scope, allowed(Action.SITE_READ)],
    paging: PageOf,
    *,
    organization_id: Annotated[UUID | None, Query(description="Sites of this organisation only.")] = None,
    status: Annotated[
        SiteStatus | None, Query(description="These only; without it all but decommissioned sites.")
    ] = None,
    name_contains: Annotated[Line | None, Query(description="Part of the name, in any case.")] = None,
    sort: SiteSort = SiteSort.CREATED,
) -> Page[SiteOut]:
    """The sites that the person may see."""
    if organization_id is not None:
        authorize(user, Action.SITE_READ, organization_id)
    wanted = SiteFilter(organization_id=organization_id, status=status, name_contains=name_contains)
    items, next_cursor = await repository.list_sites(conn, scope, paging, wanted=wanted, sort=sort)
    return Page(items=list(items), next_cursor=next_cursor)


@router.post("", status_code=201)
async def create_site(body: SiteIn, conn: Conn, user: CurrentUser, response: Response) -> SiteOut:
    """A new site."""
    created = await service.create_site(conn, user, body)
    set_etag(response, created.version)
    response.headers["Location"] = f"{API}/sites/{created.id}"
    return created


@router.get("/{site_id}")
async def get_site(site: Annotated[SiteOut, site_for(Action.SITE_READ)], response: Response) -> SiteOut:
    """One site."""
    set_etag(response, site.version)
    return site


@router.patch("/{site_id}")
async def change_site(
    site_id: UUID, body: SitePatch, version: IfMatch, *, conn: Conn, user: CurrentUser, response: Response
) -> SiteOut:
    """Change the fields that the body names."""
    changed = await service.change_site(conn, user, site_id, body, version=version)
    set_etag(response, changed.version)
    return changed


@router.delete("/{site_id}", status_code=204)
async def decommission_site(site_id: UUID, version: IfMatch, conn: Conn, user: CurrentUser) -> None:
    """Decommission a site: it leaves the lists and keeps its devices, readings, alerts and bills."""
    await service.decommission_site(conn, user, site_id, version=version)
