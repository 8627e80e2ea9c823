"""Tariffs over HTTP."""

from datetime import date
from typing import Annotated

from fastapi import Query

from cloud.auth.rules import Action
from cloud.auth.schemas import Scope
from cloud.billing.repository import tariffs as stored
from cloud.billing.schemas.tariffs import TariffOut
from cloud.core.discos import DiscoProvider
from cloud.web.deps import Conn, PageOf, allowed
from cloud.web.paging import Page
from cloud.web.routing import api_router

router = api_router(tags=["billing"])


@router.get("/tariffs")
async def list_tariffs(
    conn: Conn,
    paging: PageOf,
    _scope: Annotated[Scope, allowed(Action.TARIFF_READ)],
    *,
    disco_provider: Annotated[DiscoProvider | None, Query(description="Of this company only.")] = None,
    category: Annotated[str | None, Query(max_length=50, description="Of this category only.")] = None,
    on: Annotated[date | None, Query(description="In force on this day only.")] = None,
) -> Page[TariffOut]:
    """The tariffs on record, with the notification that each was taken from."""
    wanted = stored.TariffFilter(disco_provider=disco_provider, category=category, on=on)
    items, next_cursor = await stored.list_tariffs(conn, paging, wanted)
    return Page(items=list(items), next_cursor=next_cursor)
