"""What flows at a site now, from the newest values of its devices: the view `v_site_telemetry_live` for one site.

The view looks a time zone up for every device, which costs more than everything else in it; here the day is known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shared.enums import DeviceType
from shared.periods import Window


class Newest(NamedTuple):
    """The newest values of one device; None = not measured. A tuple, since there may be thousands.

    Attributes:
        is_stale: older than three poll intervals: left out of everything but the energy of the day.
        power_kw: what the device is there for.
        energy_today_kwh: generation of the device's own day so far.
    """

    device_type: str
    at: datetime
    is_stale: bool
    power_kw: float | None
    pv_power_kw: float | None
    grid_power_kw: float | None
    battery_power_kw: float | None
    load_power_kw: float | None
    battery_soc_percent: float | None
    energy_today_kwh: float | None


@dataclass(frozen=True, slots=True)
class Flows:
    """Sources are positive: grid > 0 is import, battery > 0 is discharging; load = pv + battery + grid."""

    pv_power_kw: float | None
    grid_power_kw: float | None
    battery_power_kw: float | None
    load_power_kw: float | None
    battery_soc_percent: float | None
    energy_today_kwh: float | None
    devices_reporting: int
    devices_stale: int
    oldest_reading_at: datetime | None
    newest_reading_at: datetime | None


def flows_of(devices: Sequence[Newest], day: Window) -> Flows:
    """Sum up by role: a hybrid inverter, its battery and the grid meter all see the same kilowatts.

    Each role is summed over the devices that measure it best (battery before inverter, meter before inverter), never over all. Load is
    what the meters say, else the balance of the sources, else what the inverters say.

    Args:
        devices: of one site.
        day: the site's local day.
    """
    fresh = [device for device in devices if not device.is_stale]
    inverters, meters, batteries = (
        [device for device in fresh if device.device_type == kind]
        for kind in (DeviceType.INVERTER, DeviceType.METER, DeviceType.BATTERY)
    )
    pv = _sum([one.power_kw if one.pv_power_kw is None else one.pv_power_kw for one in inverters])
    grid = _first(_sum([one.grid_power_kw for one in group]) for group in (meters, inverters))
    battery = _first(_sum([one.battery_power_kw for one in group]) for group in (batteries, inverters))
    balance = None if pv is None or grid is None else pv + grid + (battery or 0.0)
    metered, told = (_sum([one.load_power_kw for one in group]) for group in (meters, inverters))
    charge = _first(_mean([one.battery_soc_percent for one in group]) for group in (batteries, inverters))
    since, until, inverter = day.start, day.end, DeviceType.INVERTER.value
    energies = [one.energy_today_kwh for one in devices if one.device_type == inverter and since <= one.at < until]
    moments = [device.at for device in fresh]
    return Flows(
        pv_power_kw=pv,
        grid_power_kw=grid,
        battery_power_kw=battery,
        load_power_kw=_first((metered, balance, told)),
        battery_soc_percent=charge,
        energy_today_kwh=_sum(energies),
        devices_reporting=len(fresh),
        devices_stale=len(devices) - len(fresh),
        oldest_reading_at=min(moments, default=None),
        newest_reading_at=max(moments, default=None),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)
