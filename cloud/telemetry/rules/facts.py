"""What the rules must know of a site and its devices, and the words they share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntFlag, StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from shared.alert_rules import max_gap_seconds
from shared.counters import CounterLimits, MeterEvent
from shared.enums import DeviceType

ALGORITHM_VERSION = 3
"""Grows whenever the same readings would give other numbers; stored beside them."""

_SERVICE_FACTOR = 4
"""A house may draw more than its sanctioned load, and a plant may grow; four times the larger of both is beyond any main switch."""


class Flow(StrEnum):
    """Where energy went."""

    GENERATED = "generated"
    CONSUMED = "consumed"
    IMPORTED = "imported"
    EXPORTED = "exported"
    CHARGED = "charged"
    DISCHARGED = "discharged"


class RollupFlag(IntFlag):
    """What is special about a period. The first four bits are those of `shared.counters.CounterFlag`; stored, so never renumber."""

    NONE = 0
    RESET = 1
    ROLLOVER = 2
    GAP = 4
    ESTIMATED = 8
    CLIPPED = 16
    """An inverter ran at its rated power."""
    PARTIAL = 32
    """A device of the site that should have told its part did not."""
    DEFAULT_EXPECTATION = 64
    """What was expected of the month rests on the site's latitude, not on a table of its own."""


@dataclass(frozen=True, slots=True)
class RawReading:
    """One stored reading, as the rules see it.

    Attributes:
        at: aware UTC moment.
        quality: bits of `shared.enums.Quality`.
        values: metric key -> number or None.
    """

    at: datetime
    quality: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """One device.

    Attributes:
        widths_wh: counter metric -> value at which its register starts again.
        events: counter metric -> recorded interventions.
    """

    id: UUID
    device_type: DeviceType
    poll_interval_s: float
    rated_power_kw: float | None = None
    commissioned_at: datetime | None = None
    widths_wh: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[str, tuple[MeterEvent, ...]] = field(default_factory=dict)

    @property
    def max_gap_s(self) -> float:
        """Two readings further apart than this (s) do not cover the time between them."""
        return max_gap_seconds(self.poll_interval_s)


@dataclass(frozen=True, slots=True)
class Factors:
    """Emission factors in force.

    Attributes:
        co2_kg_per_kwh: avoided per generated kWh.
        co2_kg_per_tree: what one tree stands for.
    """

    co2_kg_per_kwh: float | None = None
    co2_kg_per_tree: float | None = None


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """One site.

    Attributes:
        dc_capacity_kw: rating of the modules at STC (P0).
        ac_capacity_kw: rating of the inverters together.
        latitude: degrees, north positive.
        longitude: degrees, east positive.
        monthly_yield: kWh per kWp that the installer expects of each of the twelve months.
    """

    id: UUID
    organization_id: UUID
    zone: ZoneInfo
    devices: tuple[DeviceFacts, ...]
    factors: Factors = Factors()
    dc_capacity_kw: float | None = None
    ac_capacity_kw: float | None = None
    sanctioned_load_kw: float | None = None
    grid_connected: bool = True
    latitude: float | None = None
    longitude: float | None = None
    monthly_yield: tuple[float, ...] | None = None

    def of_type(self, *kinds: DeviceType) -> tuple[DeviceFacts, ...]:
        """Devices of these types, in a stable order."""
        return tuple(device for device in self.devices if device.device_type in kinds)

    @property
    def ac_rating_kw(self) -> float | None:
        """P_AC: as configured, else the sum over the inverters if each of them tells its rating."""
        if self.ac_capacity_kw is not None:
            return self.ac_capacity_kw
        rated = [device.rated_power_kw for device in self.of_type(DeviceType.INVERTER)]
        known = [kw for kw in rated if kw is not None]
        return sum(known) if known and len(known) == len(rated) else None


@dataclass(frozen=True, slots=True)
class FlowSource:
    """From which values of a device a flow is read.

    Attributes:
        total: lifetime counter.
        today: daily counter.
        power: gauge of the flow's power; "" where `generation_kw` tells.
        sign: +1 or -1: the direction in which the gauge counts as this flow.
    """

    flow: Flow
    total: str
    today: str | None
    power: str
    sign: int


_GENERATED = FlowSource(Flow.GENERATED, "energy_total_kwh", "energy_today_kwh", "", 1)
_GRID = (
    FlowSource(Flow.IMPORTED, "grid_import_energy_total_kwh", "grid_import_energy_today_kwh", "grid_power_kw", 1),
    FlowSource(Flow.EXPORTED, "grid_export_energy_total_kwh", "grid_export_energy_today_kwh", "grid_power_kw", -1),
)
_BATTERY = (
    FlowSource(Flow.CHARGED, "battery_charge_energy_total_kwh", None, "battery_power_kw", -1),
    FlowSource(Flow.DISCHARGED, "battery_discharge_energy_total_kwh", None, "battery_power_kw", 1),
)
_LOAD = FlowSource(Flow.CONSUMED, "load_energy_total_kwh", None, "load_power_kw", 1)

FLOW_SOURCES: Mapping[DeviceType, tuple[FlowSource, ...]] = {
    DeviceType.INVERTER: (_GENERATED, *_GRID, *_BATTERY, _LOAD),
    DeviceType.METER: (*_GRID, _LOAD),
    DeviceType.BATTERY: _BATTERY,
}
"""Flows that a device can tell, by its type."""

COUNTERS = tuple(
    dict.fromkeys(
        name for sources in FLOW_SOURCES.values() for source in sources for name in (source.total, source.today) if name
    )
)
"""Every counter column."""

POWERS = ("ac_power_kw", "dc_power_kw", "grid_power_kw", "battery_power_kw", "load_power_kw")
"""Every gauge from which a flow's power is read."""


def generation_kw(ac_kw: float | None, dc_kw: float | None) -> float | None:
    """What an inverter puts out from its modules (kW), given its AC output and its modules' DC power.

    A hybrid's AC output includes its battery: then the modules' DC power is the smaller of the two.
    """
    if ac_kw is None or dc_kw is None:
        return dc_kw if ac_kw is None else ac_kw
    return min(ac_kw, dc_kw)


def counter_limits(source: FlowSource, device: DeviceFacts, site: SiteFacts) -> CounterLimits:
    """What is plausible for one counter: by the device's rating, or by what the site's grid connection can carry."""
    rated_kw = device.rated_power_kw
    if source.flow in {Flow.GENERATED, Flow.CHARGED, Flow.DISCHARGED}:
        rated_kw = rated_kw or site.ac_rating_kw
    elif device.device_type is not DeviceType.METER or rated_kw is None:
        known = [kw for kw in (site.ac_rating_kw, site.sanctioned_load_kw, rated_kw) if kw is not None]
        rated_kw = _SERVICE_FACTOR * max(known) if known else None
    return CounterLimits(rated_kw=rated_kw, width_wh=device.widths_wh.get(source.total), max_gap_s=device.max_gap_s)
