"""A complete `LocalView` fed by the simulated home, for tests of the local page."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from edge_agent.drivers.simulated import SimulatedSite, SiteState
from edge_agent.web.view import (
    AlertView,
    BufferView,
    ChartSeries,
    DeviceView,
    DiskView,
    Snapshot,
    SyncState,
    TodayEnergy,
)
from shared.enums import AlertSeverity, DeviceType, OperatingState, TimeQuality
from shared.readings import Value

SITE = SimulatedSite(31.52, 74.36, timezone="Asia/Karachi", commissioned=date(2026, 7, 14))
NOON = datetime(2026, 7, 15, 12, 15, tzinfo=UTC) - timedelta(hours=5)
NIGHT = datetime(2026, 7, 15, 23, 40, tzinfo=UTC) - timedelta(hours=5)


class SimulatedView:
    """The home at one moment; tests change the public attributes, and the page must follow."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.healthy = True
        self.snapshot_now = snapshot_of(at)
        self.chart_now = chart_of(at)
        self.chart_calls = 0

    async def snapshot(self) -> Snapshot:
        return self.snapshot_now

    async def chart(self) -> ChartSeries:
        self.chart_calls += 1
        return self.chart_now

    async def is_healthy(self) -> bool:
        return self.healthy

    def change_device(self, name: str, *, values: Mapping[str, Value]) -> None:
        """Give one device other values."""
        self.snapshot_now = replace(
            self.snapshot_now,
            devices=tuple(
                replace(device, values={**device.values, **values}) if device.name == name else device
                for device in self.snapshot_now.devices
            ),
        )


def snapshot_of(at: datetime) -> Snapshot:
    state = SITE.at(at)
    midnight = at.astimezone(SITE.start.tzinfo).replace(hour=19, minute=0) - timedelta(days=1)
    energy = SITE.counter_energy_wh(midnight, at)
    return Snapshot(
        site_name="Home in Lahore",
        timezone="Asia/Karachi",
        now=at,
        time_quality=TimeQuality.SYNCED,
        today=TodayEnergy(
            generated_kwh=energy.generated / 1000,
            consumed_kwh=energy.consumed / 1000,
            imported_kwh=energy.imported / 1000,
            exported_kwh=energy.exported / 1000,
            charged_kwh=energy.charged / 1000,
            discharged_kwh=energy.discharged / 1000,
        ),
        devices=devices_of(state),
        alerts=(
            AlertView("Grid voltage high", "Grid meter", AlertSeverity.CRITICAL, at - timedelta(minutes=4)),
            AlertView("Battery low", "Battery", AlertSeverity.WARNING, at - timedelta(hours=20)),
        ),
        buffer=BufferView(
            SyncState.OFFLINE, 12_345, oldest_at=at - timedelta(hours=2), last_ack_at=at - timedelta(hours=2)
        ),
        disk=DiskView(store_bytes=3_456_789, quota_bytes=512_000_000, free_bytes=22_400_000_000),
        agent_version="0.1.0",
    )


def devices_of(state: SiteState) -> tuple[DeviceView, ...]:
    power, volts = state.powers, state.voltage_v
    asleep = state.string_state is OperatingState.SLEEPING
    string: dict[str, Value] = {
        "ac_power_kw": None if asleep else power.string_ac / 1000,
        "ac_voltage_v.l1": None if asleep else volts[0],
        "energy_total_kwh": state.counters.string_wh / 1000,
        "operating_state": state.string_state.value,
    }
    hybrid: dict[str, Value] = {
        "ac_power_kw": power.hybrid_ac / 1000,
        "dc_power_kw.pv1": power.pv1 / 1000,
        "dc_power_kw.pv2": power.pv2 / 1000,
        "grid_frequency_hz": state.frequency_hz,
        "energy_total_kwh": state.counters.hybrid_pv_wh / 1000,
        "operating_state": state.hybrid_state.value,
    }
    battery: dict[str, Value] = {
        "battery_power_kw": power.battery / 1000,
        "battery_soc_percent": round(state.charge_stored_percent),
        "battery_temperature_c": state.ambient_c + 3,
    }
    meter: dict[str, Value] = {
        "grid_power_kw": power.grid / 1000,
        **{f"ac_voltage_v.l{n}": volt for n, volt in enumerate(volts, start=1)},
        "grid_import_energy_total_kwh": state.counters.meter_import_wh / 1000,
        "grid_export_energy_total_kwh": state.counters.meter_export_wh / 1000,
    }
    sensor: dict[str, Value] = {"irradiance_wm2.poa": state.poa_wm2, "module_temperature_c": state.module_c}
    return (
        _device("1", "Roof inverter", DeviceType.INVERTER, state, values=string),
        replace(_device("2", "Hybrid", DeviceType.INVERTER, state, values=hybrid), feeds_battery=True),
        _device("3", "Battery", DeviceType.BATTERY, state, values=battery),
        _device("4", "Grid meter", DeviceType.METER, state, values=meter),
        _device("5", "Irradiance sensor", DeviceType.SENSOR, state, values=sensor),
    )


def _device(ident: str, name: str, kind: DeviceType, state: SiteState, *, values: Mapping[str, Value]) -> DeviceView:
    return DeviceView(
        id=ident,
        name=name,
        device_type=kind,
        link_up=True,
        at=state.at,
        age_s=4.0,
        stale_after_s=30.0,
        values=values,
    )


def chart_of(at: datetime) -> ChartSeries:
    """24 hours in minutes, with two hours of them missing."""
    start = at - timedelta(hours=24)
    lost = range(20 * 60, 22 * 60)
    pv: list[float | None] = []
    load: list[float | None] = []
    grid: list[float | None] = []
    for minute in range(24 * 60):
        moment = start + timedelta(minutes=minute)
        power = None if minute in lost else SITE.at(max(moment, SITE.start)).powers
        pv.append(None if power is None else (power.string_ac + power.pv1 + power.pv2) / 1000)
        load.append(None if power is None else power.load / 1000)
        grid.append(None if power is None else power.grid / 1000)
    return ChartSeries(start=start, step_s=60, pv_kw=tuple(pv), load_kw=tuple(load), grid_kw=tuple(grid))
