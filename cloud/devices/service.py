"""What may happen to devices. A changed device changes the plan of its site's agent, which the fleet computes from these rows."""

from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.rules import Action, authorize
from cloud.auth.schemas import Principal
from cloud.core.crypto import SecretBox
from cloud.core.errors import ConflictError, NotFoundError, ValidationFailedError
from cloud.core.ids import new_id
from cloud.devices import repository
from cloud.devices.schemas import SECRET_FIELDS, DeviceIn, DeviceOut, DevicePatch, checked_connection
from cloud.sites.service import get_site
from cloud.web.etags import stale

__all__ = ["SECRET_FIELDS", "change_device", "create_device", "delete_device", "get_device", "secret_context"]


def secret_context(device_id: UUID) -> str:
    """What a device's secrets are bound to: `box.open_fields(config, SECRET_FIELDS, context=secret_context(id))`."""
    return f"devices.{device_id}"


async def get_device(
    conn: AsyncConnection, user: Principal, device_id: UUID, action: Action = Action.DEVICE_READ
) -> DeviceOut:
    """A device on which the person may do this; its secrets are ciphertext.

    Raises:
        NotFoundError: if there is none, or it belongs to somebody else.
        ForbiddenError: if the role does not include the action.
    """
    found = await repository.get_device(conn, device_id)
    if found is None:
        raise NotFoundError("There is no such device.")
    authorize(user, action, found.organization_id)
    return found


async def create_device(conn: AsyncConnection, user: Principal, body: DeviceIn, *, box: SecretBox) -> DeviceOut:
    """A new device on a site of the person.

    Raises:
        ConflictError: `serial_number_taken`.
    """
    site = await get_site(conn, user, body.site_id, Action.DEVICE_WRITE)
    device_id = new_id()
    values = body.model_dump(exclude={"connection_config"})
    values["organization_id"] = site.organization_id
    values["connection_config"] = box.seal_fields(
        body.connection_config, SECRET_FIELDS, context=secret_context(device_id)
    )
    try:
        await repository.add_device(conn, device_id, values)
    except IntegrityError as error:
        raise _serial_taken(body.serial_number) from error
    return await _fresh(conn, device_id)


async def change_device(
    conn: AsyncConnection, user: Principal, device_id: UUID, body: DevicePatch, *, version: int, box: SecretBox
) -> DeviceOut:
    """Change what the body names.

    Raises:
        PreconditionFailedError: if the version is not the present one.
        ValidationFailedError: if protocol and connection do not fit each other.
        ConflictError: `serial_number_taken`.
    """
    current = await get_device(conn, user, device_id, Action.DEVICE_WRITE)
    if current.version != version:
        raise stale(current.version)
    values = body.model_dump(exclude_unset=True)
    if "connection_config" in values or "protocol" in values:
        values["connection_config"] = _new_connection(current, body, box)
    try:
        if values and not await repository.change_device(conn, device_id, version=version, values=values):
            raise stale(current.version)
    except IntegrityError as error:
        raise _serial_taken(body.serial_number) from error
    return await _fresh(conn, device_id)


async def delete_device(conn: AsyncConnection, user: Principal, device_id: UUID, *, version: int) -> None:
    """Delete a device that was never heard of.

    Raises:
        ConflictError: `device_has_readings`: bills and totals stand on them.
    """
    current = await get_device(conn, user, device_id, Action.DEVICE_WRITE)
    if current.version != version:
        raise stale(current.version)
    has_readings = ConflictError(
        'The device has delivered readings, which bills and totals stand on; to stop reading it, set its profile to "".',
        code="device_has_readings",
    )
    if current.last_seen_at is not None:
        raise has_readings
    try:
        deleted = await repository.delete_device(conn, device_id, version=version)
    except IntegrityError as error:
        raise has_readings from error
    if not deleted:
        raise stale(current.version)


def _new_connection(current: DeviceOut, body: DevicePatch, box: SecretBox) -> dict[str, Any]:
    protocol = body.protocol or current.protocol
    if body.connection_config is None:
        if protocol is current.protocol:
            return current.connection_config
        raise _connection_problem(f"send the connection_config for {protocol.value} together with the new protocol")
    try:
        given = checked_connection(protocol, body.connection_config)
    except ValueError as error:
        raise _connection_problem(str(error)) from None
    return box.seal_fields(given, SECRET_FIELDS, context=secret_context(current.id), stored=current.connection_config)


def _connection_problem(message: str) -> ValidationFailedError:
    return ValidationFailedError(errors=[{"field": "connection_config", "message": message}])


async def _fresh(conn: AsyncConnection, device_id: UUID) -> DeviceOut:
    found = await repository.get_device(conn, device_id)
    if found is None:
        raise NotFoundError("The device was removed meanwhile.")
    return found


def _serial_taken(serial_number: str | None) -> ConflictError:
    return ConflictError(
        f"A device with the serial number {serial_number!r} exists already; a device that moved to another site gives its number"
        " up first (set it to null there).",
        code="serial_number_taken",
    )
