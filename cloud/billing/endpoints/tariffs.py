"""Tariffs over HTTP."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from cloud.auth.rules import Action
from cloud.auth.schemas import Scope
from cloud.billing.repository import tariff_versions
from cloud.billing.repository import tariffs as stored
from cloud.billing.schemas.entries import CategoryOut, Kind, TariffPatch
from cloud.billing.schemas.tariff_answers import (
    AdjustmentBody,
    AdjustmentOut,
    AdjustmentPatch,
    AdjustmentSaved,
    TariffBody,
    TariffSaved,
    TariffVersion,
)
from cloud.billing.schemas.tariffs import TariffOut
from cloud.billing.service import adjustments
from cloud.billing.service import tariffs as service
from cloud.core.discos import DiscoProvider
from cloud.core.fields import Day
from cloud.web.deps import Conn, CurrentUser, PageOf, allowed
from cloud.web.etags import IfMatch, set_etag
from cloud.web.paging import Page
from cloud.web.routing import API, api_router

router = api_router(tags=["billing"])

Company = Annotated[DiscoProvider | None, Query(description="Of this company only.")]
Category = Annotated[str | None, Query(max_length=50, description="Of this category only.")]


@router.get("/tariffs")
async def list_tariffs(
    conn: Conn,
    paging: PageOf,
    _scope: Annotated[Scope, allowed(Action.TARIFF_READ)],
    *,
    disco_provider: Company = None,
    category: Category = None,
    on: Annotated[date | None, Query(description="In force on this day only.")] = None,
) -> Page[TariffOut]:
    """The tariffs on record, with the notification that each was taken from."""
    wanted = stored.TariffFilter(disco_provider=disco_provider, category=category, on=on)
    items, next_cursor = await stored.list_tariffs(conn, paging, wanted)
    return Page(items=list(items), next_cursor=next_cursor)


@router.post("/tariffs", status_code=201)
async def add_tariff(body: TariffBody, conn: Conn, user: CurrentUser, response: Response) -> TariffSaved:
    """Add a version of a tariff; for super administrators of the platform.

    It must not overlap another version of the same company, category and variant (409 names the one in the way). With `ends_previous`
    the version in force on `effective_from` ends the day before. Days that no version rules are accepted with a warning.
    """
    saved = await service.add_tariff(conn, user, body)
    set_etag(response, saved.version)
    response.headers["Location"] = f"{API}/tariffs/{saved.id}"
    return saved


@router.get("/tariffs/{tariff_id}")
async def get_tariff(
    tariff_id: UUID, conn: Conn, _scope: Annotated[Scope, allowed(Action.TARIFF_READ)], response: Response
) -> TariffVersion:
    """One version of a tariff."""
    found = await service.get_tariff(conn, tariff_id)
    set_etag(response, found.version)
    return found


@router.patch("/tariffs/{tariff_id}")
async def change_tariff(
    tariff_id: UUID, body: TariffPatch, version: IfMatch, *, conn: Conn, user: CurrentUser, response: Response
) -> TariffSaved:
    """End or correct a version of a tariff; for super administrators of the platform.

    New rates come with the source that they stand in. Bills that were stored keep the rates that they were made from.
    """
    saved = await service.change_tariff(conn, user, tariff_id, body, version=version)
    set_etag(response, saved.version)
    return saved


@router.get("/tariff-categories")
async def list_categories(conn: Conn, _scope: Annotated[Scope, allowed(Action.TARIFF_READ)]) -> Page[CategoryOut]:
    """All classes of consumers, those without rates on record too."""
    return Page(items=list(await stored.stored_categories(conn)))


@router.get("/tariff-adjustments")
async def list_adjustments(
    conn: Conn,
    paging: PageOf,
    _scope: Annotated[Scope, allowed(Action.TARIFF_READ)],
    *,
    kind: Annotated[Kind | None, Query(description="Of this kind only.")] = None,
    disco_provider: Annotated[
        DiscoProvider | None, Query(description="Those that may stand on this company's bills.")
    ] = None,
    category: Annotated[
        str | None, Query(max_length=50, description="Those that may stand on this category's bills.")
    ] = None,
    on: Annotated[
        Day | None, Query(description="In force on this day only; for fca, a day of the month of consumption.")
    ] = None,
) -> Page[AdjustmentOut]:
    """Dated rates beside the plans: FCA, QTA, surcharge, duty, taxes, fees, what exports earn."""
    wanted = tariff_versions.AdjustmentFilter(kind=kind, on=on, disco_provider=disco_provider, category=category)
    items, next_cursor = await tariff_versions.list_records(conn, paging, wanted)
    return Page(items=list(items), next_cursor=next_cursor)


@router.post("/tariff-adjustments", status_code=201)
async def add_adjustment(body: AdjustmentBody, conn: Conn, user: CurrentUser, response: Response) -> AdjustmentSaved:
    """Add a dated rate; for super administrators of the platform.

    It must not overlap a record of the same kind and scope (409 names the one in the way); with `ends_previous` that one ends the
    day before.
    """
    saved = await adjustments.add_adjustment(conn, user, body)
    set_etag(response, saved.version)
    response.headers["Location"] = f"{API}/tariff-adjustments/{saved.id}"
    return saved


@router.get("/tariff-adjustments/{record_id}")
async def get_adjustment(
    record_id: UUID, conn: Conn, _scope: Annotated[Scope, allowed(Action.TARIFF_READ)], response: Response
) -> AdjustmentOut:
    """One dated rate."""
    found = await adjustments.get_adjustment(conn, record_id)
    set_etag(response, found.version)
    return found


@router.patch("/tariff-adjustments/{record_id}")
async def change_adjustment(
    record_id: UUID, body: AdjustmentPatch, version: IfMatch, *, conn: Conn, user: CurrentUser, response: Response
) -> AdjustmentOut:
    """End or correct a dated rate; for super administrators of the platform. A new rate comes with its source."""
    saved = await adjustments.change_adjustment(conn, user, record_id, body, version=version)
    set_etag(response, saved.version)
    return saved
