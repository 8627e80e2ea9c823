"""Quarter-hours of a site from those of its devices, by role.

A hybrid inverter, its battery and the grid meter all see the same energy. Each flow is therefore taken from the devices that measure it
best (a meter before an inverter at the grid, a battery before an inverter), never from all of them.

Consumption is what load meters say; at a site without any meter, what its inverters say. Otherwise it is the balance
generated + imported + discharged - exported - charged, which holds in every period because it holds in every quarter-hour. Counters with
coarse steps can make a single quarter-hour's balance slightly negative; it is kept as it is, because a correction there would be missing
in the day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cloud.telemetry.rules.facts import DeviceFacts, Flow, RollupFlag, SiteFacts
from cloud.telemetry.rules.quarter import QuarterHour
from shared.enums import DeviceType

_ROLES: Mapping[Flow, tuple[DeviceType, ...]] = {
    Flow.GENERATED: (DeviceType.INVERTER,),
    Flow.IMPORTED: (DeviceType.METER, DeviceType.INVERTER),
    Flow.EXPORTED: (DeviceType.METER, DeviceType.INVERTER),
    Flow.CHARGED: (DeviceType.BATTERY, DeviceType.INVERTER),
    Flow.DISCHARGED: (DeviceType.BATTERY, DeviceType.INVERTER),
}

_BALANCE: Mapping[Flow, int] = {
    Flow.GENERATED: 1,
    Flow.IMPORTED: 1,
    Flow.DISCHARGED: 1,
    Flow.EXPORTED: -1,
    Flow.CHARGED: -1,
}

Rows = Mapping[UUID, QuarterHour]
"""Device -> its row of one quarter-hour."""


@dataclass(frozen=True, slots=True)
class _Energy:
    """One flow of the site; `wh` None = not measured."""

    wh: int | None = None
    bridged_wh: int = 0
    is_partial: bool = False


def site_quarter(bucket: datetime, rows: Rows, site: SiteFacts) -> QuarterHour:
    """The site's quarter-hour.

    Args:
        bucket: its start.
        rows: the devices' rows of it.
        site: facts; flows that the site cannot have (no battery, no grid) count as 0 in the balance.
    """
    flows = {flow: _role_energy(flow, kinds, bucket=bucket, rows=rows, site=site) for flow, kinds in _ROLES.items()}
    flows[Flow.CONSUMED] = _consumption(flows, bucket=bucket, rows=rows, site=site)
    flags = RollupFlag.NONE
    for row in rows.values():
        flags |= RollupFlag(row.flags)
    if any(energy.is_partial for energy in flows.values()):
        flags |= RollupFlag.PARTIAL
    energies: dict[str, Any] = {f"{flow.value}_wh": energy.wh for flow, energy in flows.items()}
    energies |= {f"{flow.value}_bridged_wh": energy.bridged_wh for flow, energy in flows.items()}
    return QuarterHour(
        bucket=bucket,
        **energies,
        **_powers(rows, site),
        **_battery_level(rows, site),
        **_weather(rows, site),
        n_valid=sum(row.n_valid for row in rows.values()),
        n_expected=sum(row.n_expected for row in rows.values()),
        covered_seconds=_covered_seconds(bucket, rows, site),
        flags=int(flags),
    )


def _present(device: DeviceFacts, bucket: datetime, rows: Rows) -> bool:
    """Whether the device should tell its part of this quarter-hour."""
    return device.id in rows or (device.commissioned_at is not None and device.commissioned_at <= bucket)


def _role_energy(flow: Flow, kinds: Iterable[DeviceType], *, bucket: datetime, rows: Rows, site: SiteFacts) -> _Energy:
    """A flow from the first kind of device that tells it."""
    for kind in kinds:
        devices = site.of_type(kind)
        told = [
            (row, wh) for device in devices if (row := rows.get(device.id)) and (wh := row.energy_wh(flow)) is not None
        ]
        if told:
            # Of meters and of inverters that also see the grid one may tell what the others do not measure at all;
            # every inverter generates and every battery charges.
            all_must_tell = flow is Flow.GENERATED or kind is DeviceType.BATTERY
            expected = [device for device in devices if _present(device, bucket, rows)]
            is_partial = all_must_tell and len(told) < len(expected)
            return _Energy(sum(wh for _, wh in told), sum(row.bridged_wh(flow) for row, _ in told), is_partial)
    return _Energy()


def _consumption(flows: Mapping[Flow, _Energy], *, bucket: datetime, rows: Rows, site: SiteFacts) -> _Energy:
    kinds = (DeviceType.METER,) if site.of_type(DeviceType.METER) else (DeviceType.INVERTER,)
    measured = _role_energy(Flow.CONSUMED, kinds, bucket=bucket, rows=rows, site=site)
    if measured.wh is not None:
        return measured
    balance, bridged, any_told = 0, 0, False
    for flow, sign in _BALANCE.items():
        energy = flows[flow]
        if energy.wh is not None and not energy.is_partial:
            balance += sign * energy.wh
            bridged += sign * energy.bridged_wh
            any_told = True
        elif _can_have(flow, site):
            return _Energy()
    return _Energy(balance, max(0, bridged)) if any_told else _Energy()


def _can_have(flow: Flow, site: SiteFacts) -> bool:
    if flow in {Flow.IMPORTED, Flow.EXPORTED}:
        return site.grid_connected
    if flow is Flow.GENERATED:
        return bool(site.of_type(DeviceType.INVERTER))
    return bool(site.of_type(DeviceType.BATTERY))


def _powers(rows: Rows, site: SiteFacts) -> dict[str, Any]:
    """Powers of the roles. Extremes are sums of the devices' own, which need not have been at the same moment."""
    columns: dict[str, Any] = {}
    roles = {
        "power": (DeviceType.INVERTER,),
        "grid_power": (DeviceType.METER, DeviceType.INVERTER),
        "battery_power": (DeviceType.BATTERY, DeviceType.INVERTER),
        "load_power": (DeviceType.METER,),
    }
    for name, kinds in roles.items():
        for part in ("mean", "min", "max"):
            columns[f"{name}_{part}_kw"] = _sum_of(f"{name}_{part}_kw", kinds, rows, site)
    if columns["load_power_mean_kw"] is None:
        columns["load_power_mean_kw"] = _balanced_load(columns, rows, site)
    return columns


def _balanced_load(columns: Mapping[str, Any], rows: Rows, site: SiteFacts) -> float | None:
    generated, grid, battery = (columns[f"{name}_mean_kw"] for name in ("power", "grid_power", "battery_power"))
    has_battery = bool(site.of_type(DeviceType.BATTERY))
    if generated is None or (grid is None and site.grid_connected) or (battery is None and has_battery):
        return _sum_of("load_power_mean_kw", (DeviceType.INVERTER,), rows, site)
    return float(generated + (grid or 0.0) + (battery or 0.0))


def _sum_of(column: str, kinds: Iterable[DeviceType], rows: Rows, site: SiteFacts) -> float | None:
    for kind in kinds:
        values = [
            value
            for device in site.of_type(kind)
            if (row := rows.get(device.id)) and (value := getattr(row, column)) is not None
        ]
        if values:
            return float(sum(values))
    return None


def _battery_level(rows: Rows, site: SiteFacts) -> dict[str, Any]:
    """State of charge: the mean over batteries of the last value, with the lowest and the highest."""
    for kind in (DeviceType.BATTERY, DeviceType.INVERTER):
        told = [
            row
            for device in site.of_type(kind)
            if (row := rows.get(device.id)) and row.battery_soc_last_percent is not None
        ]
        if told:
            levels = [row.battery_soc_last_percent for row in told if row.battery_soc_last_percent is not None]
            return {
                "battery_soc_last_percent": sum(levels) / len(levels),
                "battery_soc_min_percent": min(
                    row.battery_soc_min_percent for row in told if row.battery_soc_min_percent is not None
                ),
                "battery_soc_max_percent": max(
                    row.battery_soc_max_percent for row in told if row.battery_soc_max_percent is not None
                ),
            }
    return {}


_WEATHER_COLUMNS = (
    "irradiance_mean_wm2",
    "irradiation_wh_m2",
    "irradiation_covered_seconds",
    "module_temperature_mean_c",
    "ambient_temperature_mean_c",
)


def _weather(rows: Rows, site: SiteFacts) -> dict[str, Any]:
    """Each value from the sensor that covers most of the quarter-hour."""
    sensors = [
        row
        for device in site.of_type(DeviceType.WEATHER_STATION, DeviceType.SENSOR)
        if (row := rows.get(device.id)) is not None
    ]
    by_cover = sorted(sensors, key=lambda row: row.irradiation_covered_seconds, reverse=True)
    columns: dict[str, Any] = {}
    for column in _WEATHER_COLUMNS:
        columns[column] = next((value for row in by_cover if (value := getattr(row, column)) is not None), None)
    columns["irradiation_covered_seconds"] = columns["irradiation_covered_seconds"] or 0
    return columns


def _covered_seconds(bucket: datetime, rows: Rows, site: SiteFacts) -> int:
    """Seconds that every inverter covers; at a site without one, every meter."""
    for kind in (DeviceType.INVERTER, DeviceType.METER):
        expected = [device for device in site.of_type(kind) if _present(device, bucket, rows)]
        if expected:
            return min(rows[device.id].covered_seconds if device.id in rows else 0 for device in expected)
    return max((row.covered_seconds for row in rows.values()), default=0)
