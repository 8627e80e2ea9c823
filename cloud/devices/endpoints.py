"""Devices over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from cloud.auth.rules import Action
from cloud.auth.schemas import Scope
from cloud.devices import repository, service
from cloud.devices.schemas import DeviceFilter, DeviceIn, DeviceOut, DevicePatch
from cloud.sites.service import get_site
from cloud.web.deps import Conn, CurrentUser, PageOf, ServicesDep, allowed
from cloud.web.etags import IfMatch, set_etag
from cloud.web.paging import Page
from cloud.web.routing import API, api_router
from shared.enums import DeviceStatus, DeviceType

router = api_router("/devices", tags=["devices"])


@router.get("")
async def list_devices(
    conn: Conn,
    user: CurrentUser,
    scope: Annotated[Scope, allowed(Action.DEVICE_READ)],
    paging: PageOf,
    *,
    site_id: Annotated[UUID | None, Query(description="Devices of this site only.")] = None,
    device_type: DeviceType | None = None,
    status: DeviceStatus | None = None,
) -> Page[DeviceOut]:
    """The devices that the person may see, oldest first."""
    if site_id is not None:
        await get_site(conn, user, site_id, Action.DEVICE_READ)
    wanted = DeviceFilter(site_id=site_id, device_type=device_type, status=status)
    items, next_cursor = await repository.list_devices(conn, scope, paging, wanted=wanted)
    return Page(items=[device.masked() for device in items], next_cursor=next_cursor)


@router.post("", status_code=201)
async def create_device(
    body: DeviceIn, conn: Conn, user: CurrentUser, services: ServicesDep, response: Response
) -> DeviceOut:
    """A new device; the site's agent reads it from its next plan on."""
    created = await service.create_device(conn, user, body, box=services.secrets)
    set_etag(response, created.version)
    response.headers["Location"] = f"{API}/devices/{created.id}"
    return created.masked()


@router.get("/{device_id}")
async def get_device(device_id: UUID, conn: Conn, user: CurrentUser, response: Response) -> DeviceOut:
    """One device."""
    found = await service.get_device(conn, user, device_id)
    set_etag(response, found.version)
    return found.masked()


@router.patch("/{device_id}")
async def change_device(
    device_id: UUID,
    body: DevicePatch,
    version: IfMatch,
    *,
    conn: Conn,
    user: CurrentUser,
    services: ServicesDep,
    response: Response,
) -> DeviceOut:
    """Change the fields that the body names."""
    changed = await service.change_device(conn, user, device_id, body, version=version, box=services.secrets)
    set_etag(response, changed.version)
    return changed.masked()


@router.delete("/{device_id}", status_code=204)
async def delete_device(device_id: UUID, version: IfMatch, conn: Conn, user: CurrentUser) -> None:
    """Delete a device that never delivered a reading."""
    await service.delete_device(conn, user, device_id, version=version)
