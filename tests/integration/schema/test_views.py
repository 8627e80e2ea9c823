"""The numbers of the six views."""

# ruff: noqa: S608 -- statements are put together from words of the test itself

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from tests.integration.schema.rows import Tenant, add_device, add_tenant, insert


async def _of_site(owner: asyncpg.Connection, view: str, site_id: UUID) -> Any:
    return await owner.fetchrow(f"SELECT * FROM {view} WHERE site_id = $1", site_id)


async def _snapshot(
    owner: asyncpg.Connection, tenant: Tenant, device_id: UUID, *, at: datetime | None = None, **values: Any
) -> None:
    await insert(
        owner,
        "device_telemetry_snapshot",
        site_id=tenant.site_id,
        organization_id=tenant.organization_id,
        device_id=device_id,
        timestamp=at or datetime.now(UTC),
        **values,
    )


async def test_active_alerts_are_counted_by_status_and_severity(
    owner: asyncpg.Connection, tenant: Tenant, stranger: Tenant
) -> None:
    opened = datetime(2026, 10, 9, 12, tzinfo=UTC)
    kinds = [
        ("active", "critical", True), ("active", "warning", False), ("acknowledged", "info", False),
        ("resolved", "critical", False), ("expired", "warning", False),
    ]  # fmt: skip
    for minute, (status, severity, escalated) in enumerate(kinds):
        await insert(
            owner, "alerts", id=uuid4(), organization_id=tenant.organization_id, site_id=tenant.site_id, title="x",
            triggered_at=opened + timedelta(minutes=minute), status=status, severity=severity, escalated=escalated,
        )  # fmt: skip
    row = await owner.fetchrow(
        "SELECT * FROM v_active_alerts_summary WHERE organization_id = $1", tenant.organization_id
    )
    counts = {
        name: row[f"{name}_count"]
        for name in ("open", "active", "acknowledged", "info", "warning", "critical", "escalated")
    }
    assert counts == {"open": 3, "active": 2, "acknowledged": 1, "info": 1, "warning": 1, "critical": 1, "escalated": 1}
    assert (row["oldest_triggered_at"], row["newest_triggered_at"]) == (opened, opened + timedelta(minutes=2))
    quiet = await owner.fetchrow(
        "SELECT * FROM v_active_alerts_summary WHERE organization_id = $1", stranger.organization_id
    )
    assert quiet["open_count"] == 0


async def test_devices_are_counted_by_status(owner: asyncpg.Connection, tenant: Tenant) -> None:
    for status in ("online", "online", "offline", "error", "maintenance"):
        await add_device(owner, tenant, status=status)
    row = await _of_site(owner, "v_device_status_summary", tenant.site_id)
    counts = {name: row[f"{name}_count"] for name in ("device", "online", "offline", "error", "maintenance", "unknown")}
    assert counts == {"device": 6, "online": 2, "offline": 1, "error": 1, "maintenance": 1, "unknown": 1}


async def test_capacity_comes_from_the_configuration(owner: asyncpg.Connection, tenant: Tenant) -> None:
    configuration = (
        '{"system_capacity_kw": 10.5, "panel_count": 20, "inverter_capacity_kw": 10, "battery_capacity_kwh": 9.6,'
        ' "panel_wattage": 525, "grid_connected": true, "net_metering_enabled": false, "disco_provider": "lesco"}'
    )
    await owner.execute("UPDATE sites SET configuration = $2 WHERE id = $1", tenant.site_id, configuration)
    for kind in ("battery", "meter", "sensor", "weather_station"):
        await add_device(owner, tenant, kind)
    row = await _of_site(owner, "v_site_capacity", tenant.site_id)
    assert (row["system_capacity_kw"], row["panel_count"], row["battery_capacity_kwh"]) == (10.5, 20, 9.6)
    assert (row["grid_connected"], row["net_metering_enabled"], row["disco_provider"]) == (True, False, "lesco")
    assert [row[f"{kind}_count"] for kind in ("device", "inverter", "battery", "meter", "sensor", "gateway")] == [
        5,
        1,
        1,
        1,
        2,
        0,
    ]


async def test_a_configuration_with_a_word_for_a_number_does_not_break_the_view(
    owner: asyncpg.Connection, tenant: Tenant
) -> None:
    await owner.execute(
        "UPDATE sites SET configuration = $2 WHERE id = $1",
        tenant.site_id,
        '{"system_capacity_kw": "ten", "panel_count": null}',
    )
    row = await _of_site(owner, "v_site_capacity", tenant.site_id)
    assert (row["system_capacity_kw"], row["panel_count"], row["grid_connected"]) == (None, None, None)


async def test_live_power_is_summed_per_role_not_over_all_devices(owner: asyncpg.Connection, tenant: Tenant) -> None:
    """Two inverters make 5 kW of sun, the battery gives 1, the grid takes 2: the house uses 4."""
    hybrid = await add_device(owner, tenant)
    battery = await add_device(owner, tenant, "battery")
    meter = await add_device(owner, tenant, "meter")
    await _snapshot(owner, tenant, tenant.device_id, current_power_kw=3.0, energy_today_kwh=12.5)
    await _snapshot(
        owner, tenant, hybrid, current_power_kw=2.9, pv_power_kw=2.0, battery_power_kw=1.0, grid_power_kw=-2.0,
        battery_soc_percent=50, energy_today_kwh=7.5,
    )  # fmt: skip
    await _snapshot(owner, tenant, battery, current_power_kw=1.0, battery_power_kw=1.0, battery_soc_percent=51)
    await _snapshot(owner, tenant, meter, current_power_kw=-2.0, grid_power_kw=-2.0)
    row = await _of_site(owner, "v_site_telemetry_live", tenant.site_id)
    flows = [row[name] for name in ("total_power_kw", "battery_power_kw", "grid_power_kw", "load_power_kw")]
    assert flows == [5.0, 1.0, -2.0, 4.0]
    assert (row["battery_soc_percent"], row["total_energy_today_kwh"]) == (51, 20.0)
    assert (row["devices_reporting"], row["devices_stale"]) == (4, 0)


async def test_a_stale_reading_is_counted_and_left_out(owner: asyncpg.Connection, tenant: Tenant) -> None:
    second = await add_device(owner, tenant, poll_interval_s=60)
    third = await add_device(owner, tenant, poll_interval_s=10)
    now = datetime.now(UTC)
    await _snapshot(owner, tenant, tenant.device_id, current_power_kw=1.0, at=now - timedelta(seconds=5))
    await _snapshot(owner, tenant, second, current_power_kw=2.0, at=now - timedelta(seconds=100))
    await _snapshot(owner, tenant, third, current_power_kw=4.0, at=now - timedelta(seconds=100))
    row = await _of_site(owner, "v_site_telemetry_live", tenant.site_id)
    assert (row["total_power_kw"], row["devices_reporting"], row["devices_stale"]) == (3.0, 2, 1)
    assert (row["oldest_reading_at"], row["newest_reading_at"]) == (
        now - timedelta(seconds=100),
        now - timedelta(seconds=5),
    )


async def test_a_site_that_says_nothing_has_no_power_rather_than_none_of_it(
    owner: asyncpg.Connection, tenant: Tenant
) -> None:
    row = await _of_site(owner, "v_site_telemetry_live", tenant.site_id)
    assert (row["total_power_kw"], row["load_power_kw"], row["devices_reporting"]) == (None, None, 0)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Karachi"])
async def test_today_is_the_sites_own_day(owner: asyncpg.Connection, zone: str) -> None:
    """The two islands are 25 hours apart, so at any moment at least one of them has another date than UTC."""
    tenant = await add_tenant(owner, timezone=zone)
    yesterdays = await add_device(owner, tenant)
    midnight = datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    await _snapshot(owner, tenant, tenant.device_id, energy_today_kwh=5.0, at=midnight)
    await _snapshot(owner, tenant, yesterdays, energy_today_kwh=40.0, at=midnight - timedelta(seconds=1))
    assert (await _of_site(owner, "v_site_telemetry_live", tenant.site_id))["total_energy_today_kwh"] == 5.0


async def _day(owner: asyncpg.Connection, tenant: Tenant, day: date, kwh: float, device_id: UUID | None = None) -> None:
    await insert(
        owner, "telemetry_daily_summary", site_id=tenant.site_id, organization_id=tenant.organization_id, device_id=device_id,
        summary_date=day, energy_generated_kwh=kwh, algorithm_version=1,
    )  # fmt: skip


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_thirty_days_of_the_site_and_not_of_its_devices(owner: asyncpg.Connection, zone: str) -> None:
    tenant = await add_tenant(owner, timezone=zone)
    today = datetime.now(ZoneInfo(zone)).date()
    for back in (-1, 0, 29, 30):
        await _day(owner, tenant, today - timedelta(days=back), float(back))
    await _day(owner, tenant, today, 99.0, tenant.device_id)
    rows = await owner.fetch(
        "SELECT * FROM v_site_daily_energy WHERE site_id = $1 ORDER BY summary_date DESC", tenant.site_id
    )
    assert [row["energy_generated_kwh"] for row in rows] == [0.0, 29.0]


async def test_monthly_performance_is_the_sites(owner: asyncpg.Connection, tenant: Tenant) -> None:
    month = {
        "site_id": tenant.site_id, "organization_id": tenant.organization_id, "year": 2026, "month": 9,
        "algorithm_version": 1,
    }  # fmt: skip
    await insert(
        owner, "telemetry_monthly_summary", **month, energy_generated_kwh=1200.0, expected_generation_kwh=1250.0,
        generation_variance_percent=-4.0, capacity_factor=0.17, co2_avoided_kg=618.0, estimated_savings_pkr=40000.0,
        performance_ratio_reason="no irradiation",
    )  # fmt: skip
    await insert(owner, "telemetry_monthly_summary", **month, device_id=tenant.device_id, energy_generated_kwh=600.0)
    rows = await owner.fetch("SELECT * FROM v_monthly_performance WHERE site_id = $1", tenant.site_id)
    assert len(rows) == 1
    row = rows[0]
    assert (row["energy_generated_kwh"], row["expected_generation_kwh"], row["generation_variance_percent"]) == (
        1200,
        1250,
        -4,
    )
    assert (row["performance_ratio"], row["performance_ratio_reason"]) == (None, "no irradiation")
    assert (row["capacity_factor"], row["co2_avoided_kg"], row["estimated_savings_pkr"]) == (0.17, 618, 40000)
