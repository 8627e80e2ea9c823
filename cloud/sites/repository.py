"""Sites in the database."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, false, func, insert, select, update
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.schemas import Scope
from cloud.auth.scope import scoped
from cloud.core.ids import new_id
from cloud.sites.schemas import SiteFilter, SiteOut, SiteSort
from cloud.sites.tables import Site
from cloud.web.paging import Paging
from shared.enums import SiteStatus

_SITE = (
    Site.id,
    Site.organization_id,
    Site.name,
    Site.description,
    Site.status,
    Site.address,
    Site.latitude,
    Site.longitude,
    Site.timezone,
    Site.configuration,
    Site.version,
    Site.created_at,
    Site.updated_at,
)


async def list_sites(
    conn: AsyncConnection, scope: Scope, paging: Paging, *, wanted: SiteFilter, sort: SiteSort
) -> tuple[Sequence[SiteOut], str | None]:
    """A page of the sites in scope."""
    statement = scoped(select(*_SITE), Site.organization_id, scope)
    if wanted.organization_id is not None:
        statement = statement.where(Site.organization_id == wanted.organization_id)
    if wanted.status is None:
        statement = statement.where(Site.status != SiteStatus.DECOMMISSIONED)
    else:
        statement = statement.where(Site.status == wanted.status)
    if wanted.name_contains is not None:
        statement = statement.where(Site.name.icontains(wanted.name_contains, autoescape=True))
    by_name = sort in {SiteSort.NAME, SiteSort.NAME_DESC}
    keys = (Site.name, Site.id) if by_name else (Site.id,)
    page = paging.apply(statement, *keys, descending=sort.startswith("-"))
    sites = [SiteOut.model_validate(row) for row in await conn.execute(page)]
    return paging.split(sites, key=lambda site: (site.name, site.id) if by_name else (site.id,))


async def get_site(conn: AsyncConnection, site_id: UUID) -> SiteOut | None:
    """One site of those that the transaction sees."""
    found = (await conn.execute(select(*_SITE).where(Site.id == site_id))).one_or_none()
    return None if found is None else SiteOut.model_validate(found)


# Built once: nearly every request begins with it.
_ENTER = select(*_SITE, func.solarhub_set_context(array([Site.organization_id]), array([Site.id]), false())).where(
    Site.id == bindparam("site_id")
)


async def enter_site(conn: AsyncConnection, site_id: UUID) -> SiteOut | None:
    """One site of those that the transaction sees; from then on it sees that site's organisation and its raw readings only.

    Looking the site up and narrowing the context is one statement: the context changes with the row that is found.
    """
    found = (await conn.execute(_ENTER, {"site_id": site_id})).one_or_none()
    return None if found is None else SiteOut.model_validate(found)


async def add_site(conn: AsyncConnection, values: Mapping[str, Any]) -> UUID:
    """A new site."""
    site_id = new_id()
    await conn.execute(insert(Site).values(id=site_id, **values))
    return site_id


async def change_site(conn: AsyncConnection, site_id: UUID, *, version: int, values: Mapping[str, Any]) -> bool:
    """Change fields if the version is still this one."""
    statement = update(Site).where(Site.id == site_id, Site.version == version).values(**values).returning(Site.id)
    return (await conn.execute(statement)).scalar_one_or_none() is not None
