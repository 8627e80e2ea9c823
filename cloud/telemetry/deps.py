"""Connections for reads: the replica's where there is one, the request's own otherwise."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.rules import Action
from cloud.core.db import TenantContext
from cloud.sites.deps import site_for
from cloud.sites.schemas import SiteOut
from cloud.web.deps import Conn, CurrentUser, ServicesDep, context_of

ReadableSite = Annotated[SiteOut, site_for(Action.TELEMETRY_READ)]
"""Dependency: the path's site, whose telemetry the person may read. It is looked up on the primary, so a new site is there at once."""


async def _site_reads(site: ReadableSite, conn: Conn, services: ServicesDep) -> AsyncIterator[AsyncConnection]:
    if services.replica is None:
        yield conn
        return
    context = TenantContext(organization_ids=(site.organization_id,), site_ids=(site.id,))
    async with services.replica.transaction(context, otherwise=conn) as reads:
        yield reads


async def _portfolio_reads(user: CurrentUser, conn: Conn, services: ServicesDep) -> AsyncIterator[AsyncConnection]:
    if services.replica is None:
        yield conn
        return
    async with services.replica.transaction(context_of(user), otherwise=conn) as reads:
        yield reads


SiteReads = Annotated[AsyncConnection, Depends(_site_reads, scope="function")]
"""Dependency: a transaction that sees the path's site and its raw readings."""

PortfolioReads = Annotated[AsyncConnection, Depends(_portfolio_reads, scope="function")]
"""Dependency: a transaction that sees the person's organisations."""
