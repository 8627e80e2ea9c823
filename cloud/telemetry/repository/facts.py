"""What the rules must know of a site: its configuration, devices, recorded meter events and the emission factors in force."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.devices.tables import Device
from cloud.sites.tables import Site
from cloud.telemetry.rules.facts import COUNTERS, DeviceFacts, Factors, SiteFacts
from cloud.telemetry.tables import EmissionFactor, MeterEvent
from shared.counters import MeterEvent as CounterEvent
from shared.periods import zone_of

WIDTHS_KEY = "counter_widths_kwh"
"""Of a device's `metadata`: counter metric -> value (kWh) at which its register starts again at zero."""


async def site_facts(conn: AsyncConnection, site_id: UUID) -> SiteFacts | None:
    """Everything about a site that decides about its numbers; None if it is gone."""
    site = (
        await conn.execute(
            select(
                Site.id, Site.organization_id, Site.timezone, Site.latitude, Site.longitude, Site.configuration
            ).where(Site.id == site_id)
        )
    ).one_or_none()
    if site is None:
        return None
    configuration: Mapping[str, Any] = site.configuration
    return SiteFacts(
        id=site.id,
        organization_id=site.organization_id,
        zone=zone_of(site.timezone),
        devices=await _devices(conn, site_id),
        factors=await _factors(conn),
        dc_capacity_kw=_positive(configuration.get("system_capacity_kw")),
        ac_capacity_kw=_positive(configuration.get("inverter_capacity_kw")),
        sanctioned_load_kw=_positive(configuration.get("sanctioned_load_kw")),
        grid_connected=configuration.get("grid_connected") is not False,
        latitude=site.latitude,
        longitude=site.longitude,
        monthly_yield=_twelve(configuration.get("monthly_yield_kwh_per_kwp")),
    )


async def _devices(conn: AsyncConnection, site_id: UUID) -> tuple[DeviceFacts, ...]:
    events = await _events(conn, site_id)
    statement = (
        select(
            Device.id,
            Device.device_type,
            Device.poll_interval_s,
            Device.rated_power_kw,
            Device.commissioned_at,
            Device.created_at,
            Device.metadata_,
        )
        .where(Device.site_id == site_id)
        .order_by(Device.id)
    )
    return tuple(
        DeviceFacts(
            id=row.id,
            device_type=row.device_type,
            poll_interval_s=row.poll_interval_s,
            rated_power_kw=row.rated_power_kw,
            commissioned_at=row.commissioned_at or row.created_at,
            widths_wh=_widths(row.metadata),
            events=events.get(row.id, {}),
        )
        for row in await conn.execute(statement)
    )


async def _events(conn: AsyncConnection, site_id: UUID) -> dict[UUID, dict[str, tuple[CounterEvent, ...]]]:
    statement = (
        select(MeterEvent.device_id, MeterEvent.metric, MeterEvent.at, MeterEvent.last_wh, MeterEvent.first_wh)
        .where(MeterEvent.site_id == site_id)
        .order_by(MeterEvent.at)
    )
    found: dict[UUID, dict[str, tuple[CounterEvent, ...]]] = defaultdict(dict)
    for row in await conn.execute(statement):
        event = CounterEvent(row.at, final_wh=row.last_wh, initial_wh=row.first_wh)
        found[row.device_id][row.metric] = (*found[row.device_id].get(row.metric, ()), event)
    return found


async def _factors(conn: AsyncConnection) -> Factors:
    statement = select(EmissionFactor.kind, EmissionFactor.value).where(EmissionFactor.is_default)
    values = {row.kind: float(row.value) for row in await conn.execute(statement)}
    return Factors(co2_kg_per_kwh=values.get("grid_electricity"), co2_kg_per_tree=values.get("tree"))


def _widths(metadata: Mapping[str, Any]) -> dict[str, int]:
    widths = metadata.get(WIDTHS_KEY)
    if not isinstance(widths, dict):
        return {}
    known = {metric: _positive(kwh) for metric, kwh in widths.items() if metric in COUNTERS}
    return {metric: round(kwh * 1000) for metric, kwh in known.items() if kwh is not None}


def _twelve(values: object) -> tuple[float, ...] | None:
    """A number for each month, or None if the table is not complete."""
    if not isinstance(values, list):
        return None
    known = [number for value in values if (number := _positive(value)) is not None]
    return tuple(known) if len(known) == len(values) == 12 else None


def _positive(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and isinstance(value, int | float) and value > 0 else None
