"""The metric catalogue: one list for device profiles, the wire, raw columns, rollups, alert rules and reports.

Signs: every source into the site's bus is positive. `grid_power_kw` > 0 is import, `battery_power_kw` > 0 is discharging, so
load = pv + battery + grid. Names carry their unit; a channel (`l1`, `pv3`, `bat2`) is written after a dot and is not part of the name.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from shared.enums import DeviceType
from shared.errors import SolarHubError


class MetricKind(StrEnum):
    """How values of a metric relate in time."""

    GAUGE = "gauge"
    COUNTER = "counter"
    """Lifetime counter: energy of a period is the sum of its accepted increments."""
    DAILY_COUNTER = "daily_counter"
    """Falls to zero at the device's own midnight: a fall-back and a check, not a source of first choice."""
    STATE = "state"
    ATTRIBUTE = "attribute"


class Rollup(StrEnum):
    """What a rollup keeps of a metric."""

    MEAN = "mean"
    """Time-weighted mean, with minimum and maximum."""
    LAST = "last"
    """Last value, with minimum and maximum."""
    DELTA = "delta"
    """Sum of accepted increments."""
    NONE = "none"


class UnknownMetricError(SolarHubError):
    """The metric is not in the catalogue."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One quantity.

    Attributes:
        name: snake_case with the unit as suffix.
        unit: of every value, after the driver's mapping.
        kind: see `MetricKind`.
        device_types: devices that can have it.
        rollup: see `Rollup`.
        low: lowest sane value, in `unit`; None = unbounded. A value outside is kept, flagged and left out of rollups.
        high: highest sane value; where the rated power is known, `rated_factor` narrows it.
        rated_factor: sane magnitude as a multiple of the device's rated power.
        channels: pattern of the channels besides the total; "" where there are none.
    """

    name: str
    unit: str
    kind: MetricKind
    device_types: frozenset[DeviceType]
    rollup: Rollup = Rollup.NONE
    low: float | None = None
    high: float | None = None
    rated_factor: float | None = None
    channels: str = ""

    def is_sane(self, value: float, *, rated_kw: float | None = None) -> bool:
        """Whether a value can be true for a device of this rated power (kW)."""
        if self.low is not None and value < self.low:
            return False
        if self.high is not None and value > self.high:
            return False
        return self.rated_factor is None or rated_kw is None or abs(value) <= self.rated_factor * rated_kw


_PHASES = r"l[1-3]"
_PV = r"pv([1-9]|1\d|2[0-4])"
_BATTERIES = r"bat[1-8]"
_METER_CHANNELS = r"l[1-3]|t[1-4]"

_INVERTER = frozenset({DeviceType.INVERTER})
_INVERTER_METER = frozenset({DeviceType.INVERTER, DeviceType.METER})
_BATTERY = frozenset({DeviceType.BATTERY, DeviceType.INVERTER})
_WEATHER = frozenset({DeviceType.WEATHER_STATION, DeviceType.SENSOR})
_ALL = frozenset(DeviceType)

_MAX_ENERGY_KWH = 1e9

_METRICS: tuple[Metric, ...] = (
    Metric("ac_power_kw", "kW", MetricKind.GAUGE, _INVERTER, Rollup.MEAN, rated_factor=1.25, channels=_PHASES),
    Metric("dc_power_kw", "kW", MetricKind.GAUGE, _INVERTER, Rollup.MEAN, low=-0.1, rated_factor=2.0, channels=_PV),
    Metric("dc_voltage_v", "V", MetricKind.GAUGE, _INVERTER, Rollup.MEAN, low=-5, high=1600, channels=_PV),
    Metric(
        "dc_current_a",
        "A",
        MetricKind.GAUGE,
        _INVERTER,
        Rollup.MEAN,
        low=-5,
        high=400,
        channels=_PV + r"|string([1-9]|1\d|2[0-4])",
    ),
    Metric(
        "ac_voltage_v",
        "V",
        MetricKind.GAUGE,
        _INVERTER_METER,
        Rollup.MEAN,
        low=0,
        high=900,
        channels=_PHASES + r"|l1_l2|l2_l3|l3_l1",
    ),
    Metric(
        "ac_current_a",
        "A",
        MetricKind.GAUGE,
        _INVERTER_METER,
        Rollup.MEAN,
        low=-10_000,
        high=10_000,
        channels=_PHASES + "|n",
    ),
    Metric("ac_apparent_power_kva", "kVA", MetricKind.GAUGE, _INVERTER_METER, Rollup.MEAN, channels=_PHASES),
    Metric("ac_reactive_power_kvar", "kvar", MetricKind.GAUGE, _INVERTER_METER, Rollup.MEAN, channels=_PHASES),
    Metric("power_factor", "1", MetricKind.GAUGE, _INVERTER_METER, Rollup.MEAN, low=-1, high=1, channels=_PHASES),
    Metric("grid_frequency_hz", "Hz", MetricKind.GAUGE, _INVERTER_METER, Rollup.MEAN, low=0, high=70),
    Metric("grid_power_kw", "kW", MetricKind.GAUGE, _INVERTER_METER, Rollup.MEAN, channels=_PHASES),
    Metric("load_power_kw", "kW", MetricKind.GAUGE, _INVERTER_METER, Rollup.MEAN, channels=_PHASES),
    Metric("backup_power_kw", "kW", MetricKind.GAUGE, _INVERTER, Rollup.MEAN, channels=_PHASES),
    Metric("generator_power_kw", "kW", MetricKind.GAUGE, _INVERTER_METER, Rollup.MEAN, channels=_PHASES),
    Metric("battery_power_kw", "kW", MetricKind.GAUGE, _BATTERY, Rollup.MEAN, channels=_BATTERIES),
    Metric("battery_voltage_v", "V", MetricKind.GAUGE, _BATTERY, Rollup.MEAN, low=0, high=1000, channels=_BATTERIES),
    Metric(
        "battery_current_a", "A", MetricKind.GAUGE, _BATTERY, Rollup.MEAN, low=-2000, high=2000, channels=_BATTERIES
    ),
    Metric(
        "battery_soc_percent", "percent", MetricKind.GAUGE, _BATTERY, Rollup.LAST, low=0, high=101, channels=_BATTERIES
    ),
    Metric("battery_soh_percent", "percent", MetricKind.GAUGE, _BATTERY, Rollup.LAST, low=0, high=101),
    Metric(
        "battery_temperature_c",
        "degC",
        MetricKind.GAUGE,
        _BATTERY,
        Rollup.MEAN,
        low=-40,
        high=90,
        channels=_BATTERIES + "|min|max",
    ),
    Metric("battery_cell_voltage_min_v", "V", MetricKind.GAUGE, _BATTERY, Rollup.LAST, low=0, high=5),
    Metric("battery_cell_voltage_max_v", "V", MetricKind.GAUGE, _BATTERY, Rollup.LAST, low=0, high=5),
    Metric("battery_cycles_total", "count", MetricKind.COUNTER, _BATTERY, Rollup.LAST, low=0, high=1e6),
    Metric(
        "inverter_temperature_c",
        "degC",
        MetricKind.GAUGE,
        _INVERTER,
        Rollup.MEAN,
        low=-40,
        high=130,
        channels="cabinet|heatsink|transformer|other",
    ),
    Metric("insulation_resistance_mohm", "Mohm", MetricKind.GAUGE, _INVERTER, Rollup.LAST, low=0, high=100),
    Metric("energy_total_kwh", "kWh", MetricKind.COUNTER, _INVERTER, Rollup.DELTA, low=0, high=_MAX_ENERGY_KWH),
    Metric("energy_today_kwh", "kWh", MetricKind.DAILY_COUNTER, _INVERTER, Rollup.DELTA, low=0, high=1e6),
    Metric(
        "grid_import_energy_total_kwh",
        "kWh",
        MetricKind.COUNTER,
        _INVERTER_METER,
        Rollup.DELTA,
        low=0,
        high=_MAX_ENERGY_KWH,
        channels=_METER_CHANNELS,
    ),
    Metric(
        "grid_export_energy_total_kwh",
        "kWh",
        MetricKind.COUNTER,
        _INVERTER_METER,
        Rollup.DELTA,
        low=0,
        high=_MAX_ENERGY_KWH,
        channels=_METER_CHANNELS,
    ),
    Metric(
        "load_energy_total_kwh", "kWh", MetricKind.COUNTER, _INVERTER_METER, Rollup.DELTA, low=0, high=_MAX_ENERGY_KWH
    ),
    Metric(
        "battery_charge_energy_total_kwh",
        "kWh",
        MetricKind.COUNTER,
        _BATTERY,
        Rollup.DELTA,
        low=0,
        high=_MAX_ENERGY_KWH,
    ),
    Metric(
        "battery_discharge_energy_total_kwh",
        "kWh",
        MetricKind.COUNTER,
        _BATTERY,
        Rollup.DELTA,
        low=0,
        high=_MAX_ENERGY_KWH,
    ),
    Metric(
        "grid_import_energy_today_kwh", "kWh", MetricKind.DAILY_COUNTER, _INVERTER_METER, Rollup.DELTA, low=0, high=1e6
    ),
    Metric(
        "grid_export_energy_today_kwh", "kWh", MetricKind.DAILY_COUNTER, _INVERTER_METER, Rollup.DELTA, low=0, high=1e6
    ),
    Metric(
        "irradiance_wm2",
        "W/m2",
        MetricKind.GAUGE,
        _WEATHER,
        Rollup.MEAN,
        low=-10,
        high=1600,
        channels="poa|ghi|dhi|reference",
    ),
    Metric("module_temperature_c", "degC", MetricKind.GAUGE, _WEATHER, Rollup.MEAN, low=-40, high=120),
    Metric("ambient_temperature_c", "degC", MetricKind.GAUGE, _WEATHER, Rollup.MEAN, low=-40, high=70),
    Metric("wind_speed_ms", "m/s", MetricKind.GAUGE, _WEATHER, Rollup.MEAN, low=0, high=75),
    Metric("wind_direction_deg", "deg", MetricKind.GAUGE, _WEATHER, Rollup.LAST, low=0, high=360),
    Metric("humidity_percent", "percent", MetricKind.GAUGE, _WEATHER, Rollup.MEAN, low=0, high=100),
    Metric(
        "operating_state",
        "enum",
        MetricKind.STATE,
        frozenset({DeviceType.INVERTER, DeviceType.BATTERY, DeviceType.GATEWAY}),
    ),
    Metric("vendor_state_code", "integer", MetricKind.STATE, _BATTERY),
    Metric("fault_codes", "codes", MetricKind.STATE, _INVERTER_METER | _BATTERY),
    Metric("active_power_limit_percent", "percent", MetricKind.GAUGE, _INVERTER, Rollup.LAST, low=0, high=110),
    Metric("rated_power_kw", "kW", MetricKind.ATTRIBUTE, _INVERTER),
    Metric("link_up", "bool", MetricKind.STATE, _ALL),
    Metric("poll_latency_ms", "ms", MetricKind.GAUGE, _ALL, low=0),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}
"""Name -> metric, in the catalogue's order."""

ALIASES: dict[str, str] = {"power_output": "ac_power_kw"}
"""Other names accepted in alert rules (`power_output` is the one in the schema's example)."""


def metric_of(key: str) -> Metric:
    """Look up the metric of a value's key, with or without a channel (`ac_voltage_v.l1`), or an alias.

    Raises:
        UnknownMetricError: if the name is not in the catalogue or the metric has no such channel.
    """
    name, _, channel = key.partition(".")
    metric = METRICS.get(ALIASES.get(name, name))
    if metric is None:
        raise UnknownMetricError(
            f"metric {key!r} is not in the catalogue; `solarhub-edge metrics` lists the known names"
        )
    if channel and not re.fullmatch(metric.channels or r"(?!)", channel):
        raise UnknownMetricError(
            f"metric {metric.name!r} has no channel {channel!r}; its channels match {metric.channels or 'nothing'!r}"
        )
    return metric
