"""The site of the path, for every endpoint below `/sites/{site_id}`."""

from typing import Any
from uuid import UUID

from fastapi import Depends

from cloud.auth.rules import Action
from cloud.sites.schemas import SiteOut
from cloud.sites.service import enter_site
from cloud.web.deps import Conn, CurrentUser


def site_for(action: Action) -> Any:  # noqa: ANN401 -- FastAPI's marker
    """Say what is going to be done with the path's site.

    `site: Annotated[SiteOut, site_for(Action.TELEMETRY_READ)]` is the site of `{site_id}`; the answer is 404 for a site of strangers,
    403 for a role without the action. From there on the request's transaction sees this site's organisation and its raw readings only.
    """

    async def site(site_id: UUID, conn: Conn, user: CurrentUser) -> SiteOut:
        return await enter_site(conn, user, site_id, action)

    return Depends(site)
