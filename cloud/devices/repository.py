"""Devices in the database."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.schemas import Scope
from cloud.auth.scope import scoped
from cloud.devices.schemas import DeviceFilter, DeviceOut
from cloud.devices.tables import Device
from cloud.web.paging import Paging

_DEVICE = (
    Device.id,
    Device.organization_id,
    Device.site_id,
    Device.name,
    Device.description,
    Device.device_type,
    Device.manufacturer,
    Device.model,
    Device.serial_number,
    Device.firmware_version,
    Device.protocol,
    Device.connection_config,
    Device.profile,
    Device.poll_interval_s,
    Device.rated_power_kw,
    Device.commissioned_at,
    Device.status,
    Device.last_seen_at,
    Device.last_error,
    Device.metadata_.label("metadata"),
    Device.version,
    Device.created_at,
    Device.updated_at,
)


async def list_devices(
    conn: AsyncConnection, scope: Scope, paging: Paging, *, wanted: DeviceFilter
) -> tuple[Sequence[DeviceOut], str | None]:
    """A page of the devices in scope, oldest first."""
    statement = scoped(select(*_DEVICE), Device.organization_id, scope)
    if wanted.site_id is not None:
        statement = statement.where(Device.site_id == wanted.site_id)
    if wanted.device_type is not None:
        statement = statement.where(Device.device_type == wanted.device_type)
    if wanted.status is not None:
        statement = statement.where(Device.status == wanted.status)
    page = paging.apply(statement, Device.id)
    devices = [DeviceOut.model_validate(row) for row in await conn.execute(page)]
    return paging.split(devices, key=lambda device: (device.id,))


async def get_device(conn: AsyncConnection, device_id: UUID) -> DeviceOut | None:
    """One device of those that the transaction sees; its secrets are ciphertext."""
    found = (await conn.execute(select(*_DEVICE).where(Device.id == device_id))).one_or_none()
    return None if found is None else DeviceOut.model_validate(found)


async def add_device(conn: AsyncConnection, device_id: UUID, values: Mapping[str, Any]) -> None:
    """A new device, under an id that its secrets were encrypted for."""
    await conn.execute(insert(Device).values(_renamed({"id": device_id, **values})))


async def change_device(conn: AsyncConnection, device_id: UUID, *, version: int, values: Mapping[str, Any]) -> bool:
    """Change fields if the version is still this one."""
    statement = (
        update(Device)
        .where(Device.id == device_id, Device.version == version)
        .values(_renamed(values))
        .returning(Device.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def delete_device(conn: AsyncConnection, device_id: UUID, *, version: int) -> bool:
    """Delete it if the version is still this one and it was never heard of."""
    statement = (
        delete(Device)
        .where(Device.id == device_id, Device.version == version, Device.last_seen_at.is_(None))
        .returning(Device.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """`metadata` is a word of SQLAlchemy's own, so the attribute has another name."""
    return {"metadata_" if name == "metadata" else name: value for name, value in values.items()}
