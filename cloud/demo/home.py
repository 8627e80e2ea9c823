"""The demo's home in Lahore, registered through the API as an installer would do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloud.demo.client import CloudClient

TIMEZONE = "Asia/Karachi"
_LATITUDE, _LONGITUDE = 31.52, 74.36
_SENSOR_SPEAKS_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Home:
    """The registered site; ids as the API gives them."""

    organization_id: str
    site_id: str
    claim_code: str


async def register_home(
    client: CloudClient,
    endpoints: Mapping[str, Mapping[str, Any]],
    *,
    commissioned_at: datetime,
    poll_interval_s: float,
) -> Home:
    """Create organisation, site, devices and the agent's alert rule, and ask for a claim code.

    Args:
        client: logged in.
        endpoints: where the simulated devices listen, as `solarhub-edge simulate --json` prints them.
        commissioned_at: readings before it would count for nothing.
        poll_interval_s: of every device that is asked; the sensor speaks by itself, at most every half minute.
    """
    slug = f"demo-{commissioned_at:%Y%m%d}-{endpoints['meter']['port']}"
    organization = await client.post("/organizations", {"name": "Demo Solar", "slug": slug})
    site = await client.post("/sites", _site(organization["id"]))
    for device in _devices(endpoints, poll_interval_s):
        await client.post(
            "/devices",
            {
                "site_id": site["id"],
                "commissioned_at": commissioned_at.isoformat(),
                **device,
            },
        )
    claim = await client.post(f"/sites/{site['id']}/claim-codes")
    home = Home(organization["id"], site["id"], claim["code"])
    await _add_rule(client, home, _VOLTAGE_RULE)
    return home


async def watch_for_silence(client: CloudClient, home: Home, *, longest_s: float) -> None:
    """Let the cloud raise an alert when nothing is heard of the site for so long; call it once the site has been heard."""
    condition = {"metric": "link_up", "operator": "no_data", "duration_seconds": longest_s}
    await _add_rule(client, home, {"name": "Nothing heard", "severity": "critical", "condition": condition})


async def _add_rule(client: CloudClient, home: Home, rule: Mapping[str, Any]) -> None:
    await client.post(f"/organizations/{home.organization_id}/alert-rules", {"site_id": home.site_id, **rule})


def _site(organization_id: str) -> dict[str, Any]:
    return {
        "organization_id": organization_id,
        "name": "Home in Model Town",
        "address": {"city": "Lahore", "state": "Punjab", "postal_code": "54700", "country": "Pakistan"},
        "latitude": _LATITUDE,
        "longitude": _LONGITUDE,
        "timezone": TIMEZONE,
        "configuration": {
            "system_capacity_kw": 10.5,
            "inverter_capacity_kw": 10.0,
            "battery_capacity_kwh": 10.0,
            "grid_connected": True,
            "net_metering_enabled": True,
            "disco_provider": "lesco",
            "tariff_category": "residential_unprotected",
            "sanctioned_load_kw": 5.0,
            "phases": 3,
        },
    }


def _devices(endpoints: Mapping[str, Mapping[str, Any]], poll_interval_s: float) -> list[dict[str, Any]]:
    hybrid = {**endpoints["hybrid"], "timeout_seconds": 5}
    mqtt = endpoints["mqtt"]
    modbus = {"protocol": "modbus_tcp", "poll_interval_s": poll_interval_s}
    return [
        {
            **modbus,
            "name": "Roof inverter",
            "device_type": "inverter",
            "profile": "sunspec",
            "rated_power_kw": 5.0,
            "connection_config": {**endpoints["sunspec_inverter"], "timeout_seconds": 5},
        },
        {
            **modbus,
            "name": "Hybrid inverter",
            "device_type": "inverter",
            "profile": "deye_1p_hybrid",
            "rated_power_kw": 5.0,
            "connection_config": hybrid,
        },
        {
            **modbus,
            "name": "Battery",
            "device_type": "battery",
            "profile": "deye_1p_hybrid",
            "rated_power_kw": 5.0,
            "connection_config": hybrid,
        },
        {
            **modbus,
            "name": "Grid meter",
            "device_type": "meter",
            "profile": "sunspec",
            "connection_config": {**endpoints["meter"], "timeout_seconds": 5},
        },
        {
            "name": "Irradiance sensor",
            "device_type": "sensor",
            "protocol": "mqtt",
            "poll_interval_s": max(poll_interval_s, _SENSOR_SPEAKS_EVERY_S),
            "profile": "irradiance_json",
            "connection_config": {"broker": mqtt["host"], "port": mqtt["port"], "topic_prefix": mqtt["topic_prefix"]},
        },
    ]


_VOLTAGE_RULE: dict[str, Any] = {
    "name": "Grid voltage high",
    "severity": "warning",
    "condition": {
        "metric": "ac_voltage_v.l1",
        "operator": "gt",
        "threshold": 255.0,
        "clear_threshold": 250.0,
        "duration_seconds": 120,
        "device_type": "meter",
    },
}
