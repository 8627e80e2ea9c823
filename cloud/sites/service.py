"""What may happen to sites."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.rules import Action, authorize
from cloud.auth.schemas import Principal
from cloud.core.errors import NotFoundError
from cloud.sites import repository
from cloud.sites.schemas import SiteIn, SiteOut, SitePatch
from cloud.web.etags import stale
from shared.enums import SiteStatus

_JSON_FIELDS = {"address", "configuration"}


async def get_site(conn: AsyncConnection, user: Principal, site_id: UUID, action: Action = Action.SITE_READ) -> SiteOut:
    """A site on which the person may do this.

    Raises:
        NotFoundError: if there is none, or it belongs to somebody else.
        ForbiddenError: if the role does not include the action.
    """
    return _allowed(await repository.get_site(conn, site_id), user, action)


async def enter_site(conn: AsyncConnection, user: Principal, site_id: UUID, action: Action) -> SiteOut:
    """A site on which the person may do this; from then on the transaction sees its organisation and its raw readings only.

    Raises:
        NotFoundError: if there is none, or it belongs to somebody else.
        ForbiddenError: if the role does not include the action.
    """
    return _allowed(await repository.enter_site(conn, site_id), user, action)


async def create_site(conn: AsyncConnection, user: Principal, body: SiteIn) -> SiteOut:
    """A new site of an organisation of the person."""
    authorize(user, Action.SITE_CREATE, body.organization_id)
    return await _fresh(conn, await repository.add_site(conn, _columns(body)))


async def change_site(
    conn: AsyncConnection, user: Principal, site_id: UUID, body: SitePatch, *, version: int
) -> SiteOut:
    """Change what the body names.

    Raises:
        PreconditionFailedError: if the version is not the present one.
    """
    current = await get_site(conn, user, site_id, Action.SITE_UPDATE)
    values = _columns(body)
    if values.get("status") is SiteStatus.DECOMMISSIONED:
        authorize(user, Action.SITE_DELETE, current.organization_id)
    if current.version != version:
        raise stale(current.version)
    if values and not await repository.change_site(conn, site_id, version=version, values=values):
        raise stale(current.version)
    return await _fresh(conn, site_id)


async def decommission_site(conn: AsyncConnection, user: Principal, site_id: UUID, *, version: int) -> None:
    """Take a site out of operation for good; its readings and bills stay (see the README's decisions)."""
    current = await get_site(conn, user, site_id, Action.SITE_DELETE)
    if current.version != version or not await repository.change_site(
        conn, site_id, version=version, values={"status": SiteStatus.DECOMMISSIONED}
    ):
        raise stale(current.version)


def _allowed(found: SiteOut | None, user: Principal, action: Action) -> SiteOut:
    if found is None:
        raise NotFoundError("There is no such site.")
    authorize(user, action, found.organization_id)
    return found


async def _fresh(conn: AsyncConnection, site_id: UUID) -> SiteOut:
    found = await repository.get_site(conn, site_id)
    if found is None:
        raise NotFoundError("The site was removed meanwhile.")
    return found


def _columns(body: BaseModel) -> dict[str, Any]:
    """A body's fields as column values; documents as JSON."""
    given = body.model_dump(exclude_unset=isinstance(body, SitePatch))
    documents = body.model_dump(mode="json", include=_JSON_FIELDS & set(given))
    return {**given, **documents}
