"""The views beside what the service answers, in the site's local time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import text

from cloud.core.db import SYSTEM, Database
from cloud.ingest.tables import DeviceTelemetrySnapshot
from edge_agent.drivers.simulated import SimulatedSite
from shared.periods import day_of, day_window, zone_of
from tests.integration.telemetry.home import Home, make_home, moments, observe
from tests.plants import Plant

COLUMNS = (
    "energy_generated_kwh",
    "energy_consumed_kwh",
    "energy_imported_kwh",
    "energy_exported_kwh",
    "performance_ratio",
    "data_completeness_percent",
)


async def view(home: Home, name: str) -> list[dict[str, Any]]:
    return await home.rows(f"SELECT * FROM {name} WHERE site_id = :site", site=home.site_id)  # noqa: S608 -- ours


async def test_the_views_say_what_the_rollups_say(db: Database, plant: Plant, roof: SimulatedSite) -> None:
    home = await make_home(db, plant, poll_s=300)
    zone = zone_of("Asia/Karachi")
    now = home.arrival = datetime.now(UTC)
    yesterday = day_of(now, zone) - timedelta(days=1)
    window = day_window(yesterday, zone)
    # Across both local midnights, so that a view that counted UTC days would show it.
    shift = window.start - day_window(date(2026, 6, 1), zone).start
    sent = []
    for at in moments(window.start - timedelta(hours=2), window.end + timedelta(hours=2), step=timedelta(minutes=15)):
        if at <= now:
            sent += [type(one)(one.device_id, at, one.values) for one in observe(home, roof, at - shift)]
    await home.send(sent)
    await home.roll_up()
    days = {row["summary_date"]: row for row in await view(home, "v_site_daily_energy")}
    service = await home.day(yesterday)
    assert {name: days[yesterday][name] for name in COLUMNS} == {name: service[name] for name in COLUMNS}
    assert set(days) >= {yesterday - timedelta(days=1), yesterday}
    assert days[yesterday]["energy_generated_kwh"] > 10
    truth = roof.counter_energy_wh(window.start - shift, window.end - shift)
    assert round(days[yesterday]["energy_generated_kwh"] * 1000) == truth.generated
    months = {(row["year"], row["month"]): row for row in await view(home, "v_monthly_performance")}
    month = await home.month(yesterday.year, yesterday.month)
    shown = months[yesterday.year, yesterday.month]
    for name in (
        *COLUMNS,
        "expected_generation_kwh",
        "generation_variance_percent",
        "co2_avoided_kg",
        "trees_equivalent",
    ):
        assert shown[name] == month[name], name
    assert shown["expected_generation_kwh"] > 0


async def test_the_live_view_sums_by_role_what_is_fresh(home: Home) -> None:
    now = datetime.now(UTC)
    rows = [
        (home.string_id, {"current_power_kw": 3.0, "pv_power_kw": 3.0}),
        (home.hybrid_id, {"current_power_kw": 1.5, "pv_power_kw": 1.5}),
        (home.battery_id, {"battery_power_kw": -1.0, "battery_soc_percent": 60.0}),
        (home.meter_id, {"grid_power_kw": -0.5}),
    ]
    async with home.db.transaction(SYSTEM) as conn:
        for device_id, values in rows:
            await conn.execute(
                DeviceTelemetrySnapshot.__table__.insert().values(  # type: ignore[attr-defined]
                    site_id=home.site_id,
                    organization_id=home.plant.organization_id,
                    device_id=device_id,
                    timestamp=now,
                    **values,
                )
            )
    (live,) = await view(home, "v_site_telemetry_live")
    assert (live["total_power_kw"], live["grid_power_kw"], live["battery_power_kw"]) == (4.5, -0.5, -1.0)
    assert (live["load_power_kw"], live["battery_soc_percent"]) == (3.0, 60.0)
    assert (live["devices_reporting"], live["devices_stale"]) == (4, 0)
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(
            text(
                "UPDATE device_telemetry_snapshot SET timestamp = timestamp - interval '1 hour' WHERE device_id = :id"
            ),
            {"id": home.string_id},
        )
    (live,) = await view(home, "v_site_telemetry_live")
    assert (live["total_power_kw"], live["devices_stale"]) == (1.5, 1)
