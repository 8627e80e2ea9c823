"""Power flow of the site from its devices' newest values: a pure rule."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.web.view import DeviceView
from shared.enums import DeviceType
from shared.wire import PlanDevice

_ENDPOINT = ("host", "port", "slave_id", "serial_port")


@dataclass(frozen=True, slots=True)
class PowerFlow:
    """Power (kW) now, sources positive: load = pv + battery + grid. None = not known at present.

    Attributes:
        has_battery: whether the site has one at all.
    """

    pv_kw: float | None
    battery_kw: float | None
    grid_kw: float | None
    load_kw: float | None
    soc_percent: float | None
    has_battery: bool


def power_flow(devices: Sequence[DeviceView]) -> PowerFlow:
    """Read the flow off the devices; a stale device's value is not known rather than old.

    PV is what the inverters give: AC power, or for a hybrid (whose AC side carries the battery too) its PV power. A meter's grid power
    goes before an inverter's. The load is measured, or else what the balance leaves when every part of it is known.
    """
    inverters = [device for device in devices if device.device_type is DeviceType.INVERTER]
    batteries = [device for device in devices if device.device_type is DeviceType.BATTERY]
    meters = [device for device in devices if device.device_type is DeviceType.METER]
    has_battery = bool(batteries) or any("battery_power_kw" in device.values for device in inverters)
    pv = _sum(_pv_kw(device) for device in inverters)
    battery = _sum(_value(device, "battery_power_kw") for device in batteries or _having(inverters, "battery_power_kw"))
    grid = _sum(_value(device, "grid_power_kw") for device in _having(meters, "grid_power_kw")) if meters else None
    if grid is None and not meters:
        grid = _sum(_value(device, "grid_power_kw") for device in _having(inverters, "grid_power_kw"))
    load = _sum(_value(device, "load_power_kw") for device in _having([*meters, *inverters], "load_power_kw")[:1])
    if load is None and pv is not None and grid is not None and (battery is not None or not has_battery):
        load = max(0.0, pv + grid + (battery or 0.0))
    charges = [_value(device, "battery_soc_percent") for device in batteries or inverters]
    known = [charge for charge in charges if charge is not None]
    return PowerFlow(
        pv_kw=pv,
        battery_kw=battery,
        grid_kw=grid,
        load_kw=load,
        soc_percent=sum(known) / len(known) if known else None,
        has_battery=has_battery,
    )


def feeds_battery(device: PlanDevice, *, devices: Iterable[PlanDevice]) -> bool:
    """Whether a battery of the plan is read through this inverter: both are devices behind one endpoint."""
    if device.device_type is not DeviceType.INVERTER:
        return False
    endpoint = [device.connection.get(key) for key in _ENDPOINT]
    return any(
        other.device_type is DeviceType.BATTERY and [other.connection.get(key) for key in _ENDPOINT] == endpoint
        for other in devices
    )


def _value(device: DeviceView, key: str) -> float | None:
    value = device.values.get(key)
    return float(value) if device.is_fresh and isinstance(value, int | float) else None


def _having(devices: Iterable[DeviceView], key: str) -> list[DeviceView]:
    return [device for device in devices if key in device.values]


def _sum(values: Iterable[float | None]) -> float | None:
    """Sum of all; unknown as soon as one is unknown, or when there is none."""
    known = list(values)
    if not known:
        return None
    total = 0.0
    for value in known:
        if value is None:
            return None
        total += value
    return total


def _pv_kw(device: DeviceView) -> float | None:
    if not device.is_fresh:
        return None
    if device.values.get("operating_state") == "sleeping":
        return 0.0
    ac = _value(device, "ac_power_kw")
    inputs = [
        _value(device, key)
        for key in device.values
        if key.startswith("dc_power_kw.pv") and device.values[key] is not None
    ]
    dc = _value(device, "dc_power_kw")
    if dc is None and inputs:
        dc = _sum(inputs)
    is_hybrid = device.feeds_battery or "battery_power_kw" in device.values
    return dc if dc is not None and (is_hybrid or ac is None) else ac
