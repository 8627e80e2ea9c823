"""Boxes that may send: a site with inverters and a gateway whose credential is known."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, update

from cloud.core.crypto import new_token, token_hash
from cloud.core.db import SYSTEM, Database
from cloud.core.ids import new_id
from cloud.devices.tables import Device
from cloud.fleet.rules import CREDENTIAL_BYTES, Credential
from cloud.fleet.tables import EdgeGateway
from shared.enums import DeviceType, ProtocolType
from tests.plants import Plant, make_plant

DEVICES = 5


@dataclass(frozen=True)
class Enrolled:
    """A site's plant, its inverters, and the headers of a batch from its box."""

    plant: Plant
    devices: list[UUID]
    headers: dict[str, str]


async def enrol(db: Database, name: str, since: datetime) -> Enrolled:
    """Make a site, its gateway and five inverters that have been there since a moment."""
    plant = await make_plant(db, name=name)
    credential = Credential(plant.edge.gateway_id, new_token(CREDENTIAL_BYTES))
    devices = [new_id() for _ in range(DEVICES)]
    rows = [
        {
            "id": device,
            "site_id": plant.site_id,
            "organization_id": plant.organization_id,
            "name": f"inverter {number}",
            "device_type": DeviceType.INVERTER,
            "protocol": ProtocolType.MODBUS_TCP,
            "profile": "sunspec",
            "rated_power_kw": 5.0,
            "poll_interval_s": 10.0,
            "commissioned_at": since,
        }
        for number, device in enumerate(devices)
    ]
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(
            update(EdgeGateway)
            .where(EdgeGateway.id == plant.edge.gateway_id)
            .values(credential_hash=token_hash(credential.secret))
        )
        await conn.execute(insert(Device), rows)
    headers = {
        "Authorization": f"Bearer {credential.text}",
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
    }
    return Enrolled(plant, devices, headers)
