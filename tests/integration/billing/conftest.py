"""A home in Karachi with quarter-hours, and the tariffs loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.loading import load_tariffs
from cloud.core.db import SYSTEM
from cloud.telemetry.tables import TelemetryQuarterHour
from shared.periods import day_window, quarter_hours
from tests.integration.api.conftest import (  # noqa: F401 -- fixtures of the running API
    Api,
    Person,
    World,
    api,
    api_settings,
    make_plant,
    password_hash,
    world,
)

KARACHI = ZoneInfo("Asia/Karachi")


def spread(total_wh: int, parts: int) -> list[int]:
    """Whole watt-hours that add up exactly."""
    return [total_wh * (n + 1) // parts - total_wh * n // parts for n in range(parts)]


async def add_quarters(
    conn: AsyncConnection,
    site: dict[str, Any],
    first: date,
    last: date,
    *,
    zone: ZoneInfo = KARACHI,
    covered_seconds: int = 900,
    **totals_wh: int,
) -> None:
    """Quarter-hours of the site from `first` to `last` (local days) that add up to the totals of each flow."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    buckets = [bucket for day in days for bucket in quarter_hours(day_window(day, zone))]
    await conn.execute(
        text("SELECT solarhub_ensure_partitions('telemetry_quarter_hour', :first, :last)"),
        {"first": buckets[0].date(), "last": buckets[-1].date()},
    )
    flows = {name: spread(total, len(buckets)) for name, total in totals_wh.items()}
    rows = [
        {
            "site_id": UUID(site["id"]),
            "organization_id": UUID(site["organization_id"]),
            "bucket": bucket,
            "covered_seconds": covered_seconds,
            "algorithm_version": 1,
            **{name: values[n] for name, values in flows.items()},
        }
        for n, bucket in enumerate(buckets)
    ]
    await conn.execute(insert(TelemetryQuarterHour), rows)


@dataclass
class Home:
    """The owner's site, set up for billing, on a running API."""

    world: World
    site: dict[str, Any]

    @property
    def api(self) -> Api:
        return self.world.api

    @property
    def owner(self) -> Person:
        return self.world.owner

    @property
    def bills(self) -> str:
        return f"/sites/{self.site['id']}/bills"

    async def quarters(self, first: date, last: date, **totals_wh: int) -> None:
        async with self.api.services.db.transaction(SYSTEM) as conn:
            await add_quarters(conn, self.site, first, last, **totals_wh)


Configure = Callable[..., Any]


async def configure(world: World, **changes: Any) -> dict[str, Any]:  # noqa: F811 -- the fixture's value
    """Set the site's address and configuration."""
    api = world.api  # noqa: F811 -- as above
    configuration = {
        "system_capacity_kw": 10.0,
        "inverter_capacity_kw": 10.0,
        "disco_provider": "kelectric",
        "tariff_category": "residential_unprotected",
        "sanctioned_load_kw": 5.0,
        **changes,
    }
    current = await api.call("GET", f"/sites/{world.site['id']}", world.owner)
    answer = await api.call(
        "PATCH",
        f"/sites/{world.site['id']}",
        world.owner,
        if_match=current.headers["ETag"],
        json={
            "address": {"city": "Karachi", "state": "Sindh"},
            "configuration": {name: value for name, value in configuration.items() if value is not None},
        },
    )
    assert answer.status_code == 200, answer.text
    site: dict[str, Any] = answer.json()
    return site


@pytest.fixture
async def home(world: World) -> Home:  # noqa: F811 -- the fixture
    """The home of the real bill of August and September 2026, with the clock in October."""
    world.api.clock.at = world.api.clock.at.replace(month=10, day=20)
    for person in (world.owner, world.stranger):
        person.token = world.api.services.tokens.issue(person.id, world.api.clock())
    async with world.api.services.db.transaction(SYSTEM) as conn:
        await load_tariffs(conn)
    return Home(world, await configure(world))
