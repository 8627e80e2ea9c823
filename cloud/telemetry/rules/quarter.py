"""Quarter-hours of a device: energy by the counter rule, power and other gauges weighted by time."""

import bisect
import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypedDict

from cloud.telemetry.rules.context import REACH, Timeline, is_valid
from cloud.telemetry.rules.facts import (
    COUNTERS,
    FLOW_SOURCES,
    POWERS,
    DeviceFacts,
    Flow,
    FlowSource,
    RawReading,
    RollupFlag,
    SiteFacts,
    counter_limits,
    generation_kw,
)
from cloud.telemetry.rules.gauges import US_PER_SECOND, Course, Samples, microseconds
from shared.counters import CounterFlag, Delta, FlowSample, allocate, energy_deltas, wh_of
from shared.enums import DeviceType, Quality
from shared.metrics import METRICS, Rollup, UnknownMetricError, metric_of
from shared.periods import QUARTER_HOUR, Window

QUARTER_S = 900
_FULL_LOAD = 0.99
"""From this part of its rated power on, an inverter is taken to be at its limit."""

_WRONG_TIME = int(Quality.FUTURE | Quality.BEFORE_DEVICE)

PLANE_OF_ARRAY = "irradiance_wm2.poa"


class MetricRollup(TypedDict):
    """A metric without columns of its own."""

    mean: float
    min: float | None
    max: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class QuarterHour:
    """The numbers of one quarter-hour of a device or a site, as `telemetry_quarter_hour` keeps them. None = not measured."""

    bucket: datetime
    generated_wh: int | None = None
    consumed_wh: int | None = None
    imported_wh: int | None = None
    exported_wh: int | None = None
    charged_wh: int | None = None
    discharged_wh: int | None = None
    generated_bridged_wh: int = 0
    consumed_bridged_wh: int = 0
    imported_bridged_wh: int = 0
    exported_bridged_wh: int = 0
    charged_bridged_wh: int = 0
    discharged_bridged_wh: int = 0
    power_mean_kw: float | None = None
    power_min_kw: float | None = None
    power_max_kw: float | None = None
    load_power_mean_kw: float | None = None
    load_power_min_kw: float | None = None
    load_power_max_kw: float | None = None
    grid_power_mean_kw: float | None = None
    grid_power_min_kw: float | None = None
    grid_power_max_kw: float | None = None
    battery_power_mean_kw: float | None = None
    battery_power_min_kw: float | None = None
    battery_power_max_kw: float | None = None
    battery_soc_last_percent: float | None = None
    battery_soc_min_percent: float | None = None
    battery_soc_max_percent: float | None = None
    irradiance_mean_wm2: float | None = None
    irradiation_wh_m2: float | None = None
    irradiation_covered_seconds: int = 0
    module_temperature_mean_c: float | None = None
    ambient_temperature_mean_c: float | None = None
    metrics: Mapping[str, MetricRollup] | None = None
    n_valid: int = 0
    n_expected: int = 0
    covered_seconds: int = 0
    flags: int = 0

    def energy_wh(self, flow: Flow) -> int | None:
        """Energy of one flow."""
        value: int | None = getattr(self, f"{flow.value}_wh")
        return value

    def bridged_wh(self, flow: Flow) -> int:
        """The part of a flow's energy that was spread over a gap."""
        value: int = getattr(self, f"{flow.value}_bridged_wh")
        return value


OWN_COLUMNS = frozenset(
    {"load_power_kw", "grid_power_kw", "battery_power_kw", "battery_soc_percent", "irradiance_wm2", "module_temperature_c",
     "ambient_temperature_c"}
)  # fmt: skip
"""Gauges with columns in the quarter-hour; the others go to `metrics`."""

_OTHER_GAUGES = tuple(
    name for name, metric in METRICS.items() if metric.rollup in {Rollup.MEAN, Rollup.LAST} and name not in OWN_COLUMNS
)


_FLOW_KEYS = frozenset({*COUNTERS, *POWERS})
_GAUGES = frozenset({*OWN_COLUMNS, *_OTHER_GAUGES, PLANE_OF_ARRAY})


@dataclass(slots=True)
class _Tally:
    """Energy of one quarter-hour while the increments come in."""

    energy_wh: dict[Flow, int] = field(default_factory=dict)
    bridged_wh: dict[Flow, int] = field(default_factory=dict)
    flags: int = 0
    still_us: int = 0
    """Microseconds of gaps across which the generation counter stood still: nothing was missed there."""

    def columns(self) -> dict[str, Any]:
        """As fields of a `QuarterHour`."""
        energies = {f"{flow.value}_wh": wh for flow, wh in self.energy_wh.items()}
        return energies | {f"{flow.value}_bridged_wh": wh for flow, wh in self.bridged_wh.items()}


def device_hour(timeline: Timeline, hour: datetime, device: DeviceFacts, site: SiteFacts) -> list[QuarterHour]:
    """The quarter-hours of one hour of a device that its readings tell of.

    A quarter-hour exists if it has a reading whose time can be believed, or if energy was bridged across it.

    Args:
        timeline: the device's readings, at least those of `Timeline.context(hour)`.
        hour: start of an hour of UTC.
        device: its facts.
        site: its site's.
    """
    straddle = timedelta(seconds=device.max_gap_s)
    context = timeline.context(hour, straddle=straddle)
    edges = [hour + index * QUARTER_HOUR for index in range(5)]
    near = Window(edges[0] - straddle, edges[-1] + straddle)
    readings = [
        _sane(reading, device, every_value=near.start <= reading.at <= near.end)
        for reading in context
        if is_valid(reading)
    ]
    tallies = _energies(readings, edges, device, site)
    gauges = _Gauges.of([reading for reading in readings if near.start <= reading.at <= near.end], device)
    moments = [reading.at for reading in context if not reading.quality & _WRONG_TIME]
    rows = []
    for index, (start, end) in enumerate(itertools.pairwise(edges)):
        stored = bisect.bisect_left(moments, end) - bisect.bisect_left(moments, start)
        if stored or tallies[index].energy_wh:
            rows.append(_quarter(start, tallies[index], gauges, device))
    return rows


def _sane(reading: RawReading, device: DeviceFacts, *, every_value: bool) -> RawReading:
    """Leave out the values that cannot be true; they stay in the raw row, with a flag.

    Of readings away from the hour only those of energy flows are looked at; the gauges there decide nothing.
    """
    values = {
        key: value
        for key, value in reading.values.items()
        if value is not None and (every_value or key in _FLOW_KEYS) and _is_sane(key, value, device)
    }
    return RawReading(reading.at, reading.quality, values)


_metric_of = functools.lru_cache(maxsize=1024)(metric_of)


def _is_sane(key: str, value: float, device: DeviceFacts) -> bool:
    try:
        return math.isfinite(value) and _metric_of(key).is_sane(value, rated_kw=device.rated_power_kw)
    except UnknownMetricError:
        return False


def _energies(
    readings: Sequence[RawReading], edges: Sequence[datetime], device: DeviceFacts, site: SiteFacts
) -> list[_Tally]:
    tallies = [_Tally() for _ in edges[1:]]
    for source in FLOW_SOURCES.get(device.device_type, ()):
        samples = _flow_samples(readings, source)
        if not samples:
            continue
        events = device.events.get(source.total, ())
        deltas = energy_deltas(samples, counter_limits(source, device, site), events=events)
        for delta in deltas:
            # Of a gap that is too long to be bridged some hours see both ends and others do not: none counts it.
            if delta.start < edges[-1] and delta.end > edges[0] and delta.end - delta.start <= REACH:
                _spread(delta, source.flow, edges, tallies)
    return tallies


def _flow_samples(readings: Iterable[RawReading], source: FlowSource) -> list[FlowSample]:
    samples = []
    for reading in readings:
        total = wh_of(reading.values.get(source.total))
        today = wh_of(reading.values.get(source.today)) if source.today else None
        power = reading.values.get(source.power) if source.power else generation_kw(reading.values)
        power_w = None if power is None else max(0, round(source.sign * power * 1000))
        if total is not None or today is not None or power_w is not None:
            samples.append(FlowSample(reading.at, total, today, power_w))
    return samples


def _spread(delta: Delta, flow: Flow, edges: Sequence[datetime], tallies: list[_Tally]) -> None:
    for index, share in enumerate(allocate(delta, edges)):
        left, right = max(delta.start, edges[index]), min(delta.end, edges[index + 1])
        if left >= right:
            continue
        tally = tallies[index]
        tally.energy_wh[flow] = tally.energy_wh.get(flow, 0) + share
        tally.flags |= int(delta.flags)
        if delta.flags & CounterFlag.GAP:
            tally.bridged_wh[flow] = tally.bridged_wh.get(flow, 0) + share
            if flow is Flow.GENERATED and delta.energy_wh == 0:
                tally.still_us += microseconds(right) - microseconds(left)


@dataclass(frozen=True, slots=True)
class _Gauges:
    """Every gauge of a device in an hour's context."""

    series: Mapping[str, Samples]
    moments: Samples
    longest: int

    @classmethod
    def of(cls, readings: Sequence[RawReading], device: DeviceFacts) -> "_Gauges":
        moments = [microseconds(reading.at) for reading in readings]
        columns: dict[str, tuple[list[int], list[float]]] = {}
        for at, reading in zip(moments, readings, strict=True):
            for key, value in _gauge_values(reading.values, device):
                times, numbers = columns.setdefault(key, ([], []))
                times.append(at)
                numbers.append(value)
        return cls(
            series={key: Samples(*column) for key, column in columns.items()},
            moments=Samples(moments, [0.0] * len(moments)),
            longest=round(device.max_gap_s * US_PER_SECOND),
        )

    def course(self, key: str, start: int, end: int) -> Course | None:
        samples = self.series.get(key)
        return samples.course(start, end, longest=self.longest) if samples else None


def _gauge_values(values: Mapping[str, float | None], device: DeviceFacts) -> Iterable[tuple[str, float]]:
    if device.device_type is DeviceType.INVERTER and (power := generation_kw(values)) is not None:
        yield "generation", power
    for key, value in values.items():
        if value is not None and key in _GAUGES:
            yield key, value


def _quarter(bucket: datetime, tally: _Tally, gauges: _Gauges, device: DeviceFacts) -> QuarterHour:
    start = microseconds(bucket)
    end = start + QUARTER_S * US_PER_SECOND
    power, load, grid, battery, soc = (
        gauges.course(key, start, end)
        for key in ("generation", "load_power_kw", "grid_power_kw", "battery_power_kw", "battery_soc_percent")
    )
    sun = gauges.course(PLANE_OF_ARRAY, start, end) or gauges.course("irradiance_wm2", start, end)
    module, ambient = (gauges.course(key, start, end) for key in ("module_temperature_c", "ambient_temperature_c"))
    coverage = gauges.moments.course(start, end, longest=gauges.longest)
    covered_us = (coverage.covered_us if coverage else 0) + tally.still_us
    flags = RollupFlag(tally.flags)
    if power and power.high and device.rated_power_kw and power.high >= _FULL_LOAD * device.rated_power_kw:
        flags |= RollupFlag.CLIPPED
    first, last = bisect.bisect_left(gauges.moments.moments, start), bisect.bisect_left(gauges.moments.moments, end)
    return QuarterHour(
        bucket=bucket,
        **tally.columns(),
        **_extremes("power", power),
        **_extremes("load_power", load),
        **_extremes("grid_power", grid),
        **_extremes("battery_power", battery),
        battery_soc_last_percent=soc.last if soc else None,
        battery_soc_min_percent=soc.low if soc else None,
        battery_soc_max_percent=soc.high if soc else None,
        irradiance_mean_wm2=sun.mean if sun else None,
        irradiation_wh_m2=max(0.0, sun.mean) * sun.covered_us / (3600 * US_PER_SECOND) if sun else None,
        irradiation_covered_seconds=sun.covered_s if sun else 0,
        module_temperature_mean_c=module.mean if module else None,
        ambient_temperature_mean_c=ambient.mean if ambient else None,
        metrics=_others(gauges, start, end),
        n_valid=last - first,
        n_expected=round(QUARTER_S / device.poll_interval_s),
        covered_seconds=min(covered_us // US_PER_SECOND, QUARTER_S),
        flags=int(flags),
    )


def _extremes(prefix: str, course: Course | None) -> dict[str, Any]:
    if course is None:
        return {}
    return {f"{prefix}_mean_kw": course.mean, f"{prefix}_min_kw": course.low, f"{prefix}_max_kw": course.high}


def _others(gauges: _Gauges, start: int, end: int) -> dict[str, MetricRollup] | None:
    found: dict[str, MetricRollup] = {}
    for key in _OTHER_GAUGES:
        course = gauges.course(key, start, end)
        if course is not None:
            found[key] = MetricRollup(mean=course.mean, min=course.low, max=course.high, last=course.last)
    return found or None
