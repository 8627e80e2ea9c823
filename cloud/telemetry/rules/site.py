"""Quarter-hours of a site from those of its devices, by role.

A hybrid inverter, its battery and the grid meter all see the same energy. Each flow is therefore taken from the devices that measure it
best (a meter before an inverter at the grid, a battery before an inverter), never from all of them.

Consumption is what load meters say; at a site without any meter, what its inverters say. Otherwise it is the balance
generated + imported + discharged - exported - charged, which holds in every period because it holds in every quarter-hour. Counters with
coarse steps can make a single quarter-hour's balance slightly negative; it is kept as it is, because a correction there would be missing
in the day.
"""

from collections.abc import Iterable, Mapping, Sequence
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

_ENERGY_KINDS = (DeviceType.INVERTER, DeviceType.METER, DeviceType.BATTERY)
_PARTIAL = int(RollupFlag.PARTIAL)
_WH = {flow: f"{flow.value}_wh" for flow in Flow}
_BRIDGED_WH = {flow: f"{flow.value}_bridged_wh" for flow in Flow}

_POWER_ROLES: Mapping[str, tuple[DeviceType, ...]] = {
    "power": (DeviceType.INVERTER,),
    "grid_power": (DeviceType.METER, DeviceType.INVERTER),
    "battery_power": (DeviceType.BATTERY, DeviceType.INVERTER),
    "load_power": (DeviceType.METER,),
}
_POWER_COLUMNS = tuple(
    (f"{name}_{part}_kw", kinds) for name, kinds in _POWER_ROLES.items() for part in ("mean", "min", "max")
)


@dataclass(frozen=True, slots=True)
class _Energy:
    """One flow of the site; `wh` None = not measured."""

    wh: int | None = None
    bridged_wh: int = 0
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class _Cast:
    """The site's devices by what they are, in a stable order; once for all of its quarter-hours."""

    site: SiteFacts
    devices: Mapping[DeviceType, tuple[DeviceFacts, ...]]
    sensors: tuple[DeviceFacts, ...]

    @classmethod
    def of(cls, site: SiteFacts) -> "_Cast":
        sensors = site.of_type(DeviceType.WEATHER_STATION, DeviceType.SENSOR)
        return cls(site, {kind: site.of_type(kind) for kind in _ENERGY_KINDS}, sensors)


@dataclass(frozen=True, slots=True)
class _Scene:
    """One quarter-hour: who told what.

    Attributes:
        told: kind of device -> the rows of those that have one.
    """

    cast: _Cast
    bucket: datetime
    rows: Rows
    told: Mapping[DeviceType, Sequence[QuarterHour]]

    @classmethod
    def of(cls, cast: _Cast, bucket: datetime, rows: Rows) -> "_Scene":
        told = {
            kind: [row for device in devices if (row := rows.get(device.id)) is not None]
            for kind, devices in cast.devices.items()
        }
        return cls(cast, bucket, rows, told)

    def expected(self, kind: DeviceType) -> list[DeviceFacts]:
        """Devices of a kind that should tell their part of this quarter-hour."""
        return [
            device
            for device in self.cast.devices[kind]
            if device.id in self.rows or (device.commissioned_at is not None and device.commissioned_at <= self.bucket)
        ]

    def energy(self, flow: Flow, kinds: Iterable[DeviceType]) -> _Energy:
        """A flow from the first kind of device that tells it."""
        column = _WH[flow]
        for kind in kinds:
            told = [row for row in self.told[kind] if getattr(row, column) is not None]
            if told:
                # Of meters and of inverters that also see the grid one may tell what the others do not measure at all;
                # every inverter generates and every battery charges.
                all_must_tell = flow is Flow.GENERATED or kind is DeviceType.BATTERY
                is_partial = all_must_tell and len(told) < len(self.expected(kind))
                bridged = _BRIDGED_WH[flow]
                return _Energy(
                    sum(getattr(row, column) for row in told), sum(getattr(row, bridged) for row in told), is_partial
                )
        return _NOTHING

    def sum_of(self, column: str, kinds: Iterable[DeviceType]) -> float | None:
        """A power from the first kind of device that tells it."""
        for kind in kinds:
            values = [value for row in self.told[kind] if (value := getattr(row, column)) is not None]
            if values:
                return float(sum(values))
        return None


_NOTHING = _Energy()


def site_quarter(bucket: datetime, rows: Rows, site: SiteFacts) -> QuarterHour:
    """The site's quarter-hour.

    Args:
        bucket: its start.
        rows: the devices' rows of it.
        site: facts; flows that the site cannot have (no battery, no grid) count as 0 in the balance.
    """
    return site_quarters({bucket: rows}, site)[0]


def site_quarters(rows: Mapping[datetime, Rows], site: SiteFacts) -> list[QuarterHour]:
    """The site's quarter-hours, from the devices' rows by quarter-hour."""
    cast = _Cast.of(site)
    return [_quarter(_Scene.of(cast, bucket, found)) for bucket, found in rows.items()]


def _quarter(scene: _Scene) -> QuarterHour:
    flows = {flow: scene.energy(flow, kinds) for flow, kinds in _ROLES.items()}
    flows[Flow.CONSUMED] = _consumption(flows, scene)
    rows = scene.rows.values()
    flags = 0
    for row in rows:
        flags |= row.flags
    if any(energy.is_partial for energy in flows.values()):
        flags |= _PARTIAL
    energies: dict[str, Any] = {_WH[flow]: energy.wh for flow, energy in flows.items()}
    energies |= {_BRIDGED_WH[flow]: energy.bridged_wh for flow, energy in flows.items()}
    return QuarterHour(
        bucket=scene.bucket,
        **energies,
        **_powers(scene),
        **_battery_level(scene),
        **_weather(scene),
        n_valid=sum([row.n_valid for row in rows]),
        n_expected=sum([row.n_expected for row in rows]),
        covered_seconds=_covered_seconds(scene),
        flags=flags,
    )


def _consumption(flows: Mapping[Flow, _Energy], scene: _Scene) -> _Energy:
    kind = DeviceType.METER if scene.cast.devices[DeviceType.METER] else DeviceType.INVERTER
    measured = scene.energy(Flow.CONSUMED, (kind,))
    if measured.wh is not None:
        return measured
    balance, bridged, any_told = 0, 0, False
    for flow, sign in _BALANCE.items():
        energy = flows[flow]
        if energy.wh is not None and not energy.is_partial:
            balance += sign * energy.wh
            bridged += sign * energy.bridged_wh
            any_told = True
        elif _can_have(flow, scene.cast):
            return _NOTHING
    return _Energy(balance, max(0, bridged)) if any_told else _NOTHING


def _can_have(flow: Flow, cast: _Cast) -> bool:
    if flow in {Flow.IMPORTED, Flow.EXPORTED}:
        return cast.site.grid_connected
    if flow is Flow.GENERATED:
        return bool(cast.devices[DeviceType.INVERTER])
    return bool(cast.devices[DeviceType.BATTERY])


def _powers(scene: _Scene) -> dict[str, Any]:
    """Powers of the roles. Extremes are sums of the devices' own, which need not have been at the same moment."""
    columns: dict[str, Any] = {column: scene.sum_of(column, kinds) for column, kinds in _POWER_COLUMNS}
    if columns["load_power_mean_kw"] is None:
        columns["load_power_mean_kw"] = _balanced_load(columns, scene)
    return columns


def _balanced_load(columns: Mapping[str, float | None], scene: _Scene) -> float | None:
    generated, grid, battery = (columns[f"{name}_mean_kw"] for name in ("power", "grid_power", "battery_power"))
    has_battery = bool(scene.cast.devices[DeviceType.BATTERY])
    if generated is None or (grid is None and scene.cast.site.grid_connected) or (battery is None and has_battery):
        return scene.sum_of("load_power_mean_kw", (DeviceType.INVERTER,))
    return float(generated + (grid or 0.0) + (battery or 0.0))


def _battery_level(scene: _Scene) -> dict[str, Any]:
    """State of charge: the mean over batteries of the last value, with the lowest and the highest."""
    for kind in (DeviceType.BATTERY, DeviceType.INVERTER):
        told = [row for row in scene.told[kind] if row.battery_soc_last_percent is not None]
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


def _weather(scene: _Scene) -> dict[str, Any]:
    """Each value from the sensor that covers most of the quarter-hour."""
    sensors = [row for device in scene.cast.sensors if (row := scene.rows.get(device.id)) is not None]
    by_cover = sorted(sensors, key=lambda row: row.irradiation_covered_seconds, reverse=True)
    columns: dict[str, Any] = {}
    for column in _WEATHER_COLUMNS if by_cover else ():
        columns[column] = next((value for row in by_cover if (value := getattr(row, column)) is not None), None)
    columns["irradiation_covered_seconds"] = columns.get("irradiation_covered_seconds") or 0
    return columns


def _covered_seconds(scene: _Scene) -> int:
    """Seconds that every inverter covers; at a site without one, every meter."""
    for kind in (DeviceType.INVERTER, DeviceType.METER):
        expected = scene.expected(kind)
        if expected:
            return min(scene.rows[device.id].covered_seconds if device.id in scene.rows else 0 for device in expected)
    return max((row.covered_seconds for row in scene.rows.values()), default=0)
