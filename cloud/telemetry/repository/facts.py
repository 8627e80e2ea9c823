"""What the rules must know of a site: its configuration, devices, recorded meter events and the emission factors in force."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.telemetry.rules.facts import COUNTERS, DeviceFacts, Factors, SiteFacts
from shared.counters import MeterEvent as CounterEvent
from shared.enums import DeviceType
from shared.periods import zone_of

WIDTHS_KEY = "counter_widths_kwh"
"""Of a device's `metadata`: counter metric -> value (kWh) at which its register starts again at zero."""


class _Device(msgspec.Struct, frozen=True):
    id: UUID
    device_type: DeviceType
    poll_interval_s: float
    rated_power_kw: float | None
    since: datetime
    metadata: dict[str, Any]


class _Event(msgspec.Struct, frozen=True):
    device_id: UUID
    metric: str
    at: datetime
    last_wh: int | None
    first_wh: int | None


_devices_of = msgspec.json.Decoder(list[_Device]).decode
_events_of = msgspec.json.Decoder(list[_Event]).decode
_factors_of = msgspec.json.Decoder(dict[str, float]).decode
_configuration_of = msgspec.json.Decoder(dict[str, Any]).decode

# Asked at the beginning of every pass: one statement, and nothing decoded twice.
_FACTS = """
SELECT organization_id, timezone, latitude, longitude, configuration::text,
    (SELECT coalesce(json_agg(json_build_object(
        'id', id, 'device_type', device_type, 'poll_interval_s', poll_interval_s, 'rated_power_kw', rated_power_kw,
        'since', coalesce(commissioned_at, created_at), 'metadata', metadata
    ) ORDER BY id), '[]')::text FROM devices WHERE site_id = $1),
    (SELECT coalesce(json_agg(json_build_object(
        'device_id', device_id, 'metric', metric, 'at', at, 'last_wh', last_wh, 'first_wh', first_wh
    ) ORDER BY at), '[]')::text FROM meter_events WHERE site_id = $1),
    (SELECT coalesce(json_object_agg(kind, value), '{}')::text FROM emission_factors WHERE is_default)
FROM sites WHERE id = $1
"""


async def site_facts(conn: AsyncConnection, site_id: UUID) -> SiteFacts | None:
    """Everything about a site that decides about its numbers; None if it is gone."""
    pg = await asyncpg_of(conn)
    site = await pg.fetchrow(_FACTS, site_id)
    if site is None:
        return None
    organization_id, timezone, latitude, longitude, configured, devices, events, factors = site
    configuration = _configuration_of(configured)
    return SiteFacts(
        id=site_id,
        organization_id=organization_id,
        zone=zone_of(timezone),
        devices=_devices(_devices_of(devices), _events_of(events)),
        factors=_factors(_factors_of(factors)),
        dc_capacity_kw=_positive(configuration.get("system_capacity_kw")),
        ac_capacity_kw=_positive(configuration.get("inverter_capacity_kw")),
        sanctioned_load_kw=_positive(configuration.get("sanctioned_load_kw")),
        grid_connected=configuration.get("grid_connected") is not False,
        latitude=latitude,
        longitude=longitude,
        monthly_yield=_twelve(configuration.get("monthly_yield_kwh_per_kwp")),
    )


def _devices(devices: Iterable[_Device], events: Iterable[_Event]) -> tuple[DeviceFacts, ...]:
    recorded: dict[UUID, dict[str, tuple[CounterEvent, ...]]] = {}
    for event in events:
        of_device = recorded.setdefault(event.device_id, {})
        found = CounterEvent(event.at, final_wh=event.last_wh, initial_wh=event.first_wh)
        of_device[event.metric] = (*of_device.get(event.metric, ()), found)
    return tuple(
        DeviceFacts(
            id=device.id,
            device_type=device.device_type,
            poll_interval_s=device.poll_interval_s,
            rated_power_kw=device.rated_power_kw,
            commissioned_at=device.since,
            widths_wh=_widths(device.metadata),
            events=recorded.get(device.id, {}),
        )
        for device in devices
    )


def _factors(values: Mapping[str, float]) -> Factors:
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
