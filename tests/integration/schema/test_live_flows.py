"""The view of live flows and the rule that the API uses say the same."""

import dataclasses
import random
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from cloud.telemetry.repository.reads import NEWEST
from cloud.telemetry.rules.live import Newest, flows_of
from shared.periods import day_of, day_window, zone_of
from tests.integration.schema.rows import Tenant, add_device, add_tenant, insert

POWERS = ("current_power_kw", "pv_power_kw", "grid_power_kw", "battery_power_kw", "load_power_kw")
KINDS = ("inverter", "meter", "battery", "sensor")


async def _scene(owner: asyncpg.Connection, dice: random.Random, zone: str) -> Tenant:
    """A site with some devices, each of which measures some things, some of them long ago."""
    tenant = await add_tenant(owner, timezone=zone)
    now: datetime = await owner.fetchval("SELECT now()")
    for kind in dice.choices(KINDS, k=dice.randint(0, 9)):
        device_id = await add_device(owner, tenant, kind, poll_interval_s=60)
        values: dict[str, Any] = {name: dice.choice([None, dice.uniform(-9, 9)]) for name in POWERS}
        values |= {"battery_soc_percent": dice.choice([None, 61.5, 20]), "energy_today_kwh": dice.choice([None, 4.25])}
        age = timedelta(seconds=dice.choice([0, 179, 180, 181, 7_200, 50_000, 90_000]))
        scope = {"site_id": tenant.site_id, "organization_id": tenant.organization_id, "device_id": device_id}
        await insert(owner, "device_telemetry_snapshot", **scope, timestamp=now - age, **values)
    return tenant


@pytest.mark.parametrize("zone", ["Asia/Karachi", "Pacific/Chatham", "America/St_Johns"])
async def test_the_view_and_the_rule_agree(owner: asyncpg.Connection, zone: str) -> None:
    dice = random.Random(zone)  # noqa: S311 -- scenes, not secrets
    for _ in range(25):
        tenant = await _scene(owner, dice, zone)
        seen = await owner.fetchrow("SELECT * FROM v_site_telemetry_live WHERE site_id = $1", tenant.site_id)
        now = await owner.fetchval("SELECT now()")
        day = day_window(day_of(now, zone_of(zone)), zone_of(zone))
        records = await owner.fetch(NEWEST, tenant.site_id)
        flows = flows_of([Newest(*(record[name] for name in Newest._fields)) for record in records], day)
        told = dataclasses.asdict(flows)
        told["total_power_kw"] = told.pop("pv_power_kw")
        told["total_energy_today_kwh"] = told.pop("energy_today_kwh")
        for name, value in told.items():
            expected = seen[name]
            assert value == (pytest.approx(expected) if isinstance(expected, float) else expected), name
