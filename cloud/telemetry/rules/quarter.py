"""Quarter-hours of a device: energy by the counter rule, power and other gauges weighted by time."""

import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple, TypedDict

from cloud.telemetry.rules.columns import GENERATION, DeviceColumns, FlowColumns
from cloud.telemetry.rules.context import REACH, Timeline
from cloud.telemetry.rules.facts import DeviceFacts, Flow, RollupFlag, SiteFacts
from cloud.telemetry.rules.gauges import US_PER_SECOND, Course, Cut
from shared.counters import CounterFlag, Increment, increments, unix_us
from shared.metrics import METRICS, Rollup
from shared.periods import QUARTER_HOUR, Window

QUARTER_S = 900
_FULL_LOAD = 0.99
"""From this part of its rated power on, an inverter is taken to be at its limit."""

_QUARTER_US = QUARTER_S * US_PER_SECOND
_HOUR_US = 4 * _QUARTER_US
_REACH_US = round(REACH.total_seconds()) * US_PER_SECOND
_GAP, _CLIPPED = int(CounterFlag.GAP), int(RollupFlag.CLIPPED)

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


class QuarterColumns(NamedTuple):
    """What hours and days are made of, of several quarter-hours in order."""

    bucket: Sequence[datetime]
    generated_wh: Sequence[int | None]
    consumed_wh: Sequence[int | None]
    imported_wh: Sequence[int | None]
    exported_wh: Sequence[int | None]
    charged_wh: Sequence[int | None]
    discharged_wh: Sequence[int | None]
    generated_bridged_wh: Sequence[int]
    power_mean_kw: Sequence[float | None]
    power_max_kw: Sequence[float | None]
    battery_soc_last_percent: Sequence[float | None]
    irradiance_mean_wm2: Sequence[float | None]
    irradiation_wh_m2: Sequence[float | None]
    irradiation_covered_seconds: Sequence[int]
    n_valid: Sequence[int]
    covered_seconds: Sequence[int]
    flags: Sequence[int]


SUMMED = QuarterColumns._fields
"""Of a quarter-hour, what hours and days are made of; the bucket comes first."""

Told = tuple[Any, ...]
"""Values of a quarter-hour in the order of `SUMMED`."""

told_of: Callable[[QuarterHour], Told] = attrgetter(*SUMMED)
"""A quarter-hour as `rules.summary.summarise_told` wants it."""


OWN_COLUMNS = frozenset(
    {"load_power_kw", "grid_power_kw", "battery_power_kw", "battery_soc_percent", "irradiance_wm2", "module_temperature_c",
     "ambient_temperature_c"}
)  # fmt: skip
"""Gauges with columns in the quarter-hour; the others go to `metrics`."""

_OTHER_GAUGES = tuple(
    name for name, metric in METRICS.items() if metric.rollup in {Rollup.MEAN, Rollup.LAST} and name not in OWN_COLUMNS
)
_OTHERS = frozenset(_OTHER_GAUGES)
_GAUGES = frozenset({*OWN_COLUMNS, *_OTHER_GAUGES, PLANE_OF_ARRAY})
_ORDER = (*_OTHER_GAUGES, *sorted(OWN_COLUMNS), PLANE_OF_ARRAY, GENERATION)
_WH = {flow: f"{flow.value}_wh" for flow in Flow}
_BRIDGED_WH = {flow: f"{flow.value}_bridged_wh" for flow in Flow}


@dataclass(slots=True)
class _Tally:
    """Energy of one quarter-hour while the increments come in.

    Attributes:
        columns: energies and bridged energies, as fields of a `QuarterHour`.
        still_us: microseconds of gaps across which the generation counter stood still: nothing was missed there.
    """

    columns: dict[str, int] = field(default_factory=dict)
    flags: int = 0
    still_us: int = 0

    def add(self, column: str, energy_wh: int) -> None:
        """Count energy in a column."""
        self.columns[column] = self.columns.get(column, 0) + energy_wh


def device_hours(timeline: Timeline, window: Window, device: DeviceFacts, site: SiteFacts) -> list[QuarterHour]:
    """The quarter-hours of whole hours of UTC of a device that its readings tell of.

    A quarter-hour exists if it has a reading whose time can be believed, or if energy was bridged across it.

    Args:
        timeline: the device's readings, at least those of `Timeline.context` of each hour.
        window: from the start of an hour of UTC to that of another.
        device: its facts.
        site: its site's.
    """
    columns = DeviceColumns.of(timeline, device, site, gauges=_GAUGES)
    start, end = unix_us(window.start), unix_us(window.end)
    edges = range(start, end + 1, _QUARTER_US)
    tallies = [tally for hour in range(start, end, _HOUR_US) for tally in _energies(columns, hour)]
    heard = [bisect.bisect_left(columns.heard, edge) for edge in edges]
    cuts = columns.valid.cuts(edges)
    courses = _courses(columns, edges, cuts)
    rows = []
    for index, (tally, cut) in enumerate(zip(tallies, cuts, strict=True)):
        if heard[index + 1] > heard[index] or tally.columns:
            told = {key: course for key, found in courses.items() if (course := found[index]) is not None}
            rows.append(_quarter(window.start + index * QUARTER_HOUR, tally, told, cut, device))
    return rows


def _courses(columns: DeviceColumns, edges: Sequence[int], valid: list[Cut]) -> dict[str, list[Course | None]]:
    """The courses of all gauges between the edges, in the order of the catalogue."""
    cuts = {id(columns.valid): valid}
    found = {}
    for key in _ORDER:
        samples = columns.gauges.get(key)
        if samples is not None:
            alike = cuts.get(id(samples.cover))
            if alike is None:
                alike = cuts[id(samples.cover)] = samples.cover.cuts(edges)
            found[key] = samples.courses(alike)
    return found


def _energies(columns: DeviceColumns, hour: int) -> list[_Tally]:
    """Energy of the four quarter-hours of an hour, judged by the readings of its context alone."""
    tallies = [_Tally() for _ in range(4)]
    if not columns.flows:
        return tallies
    end = hour + _HOUR_US
    edges = range(hour, end + 1, _QUARTER_US)
    first, last = columns.timeline.context(hour, straddle_us=columns.valid.longest)
    for source in columns.flows:
        until = source.steady.until(edges, first=first, last=last) if source.steady else None
        if until is not None:
            for tally, before, after in zip(tallies, until, until[1:], strict=False):
                tally.columns[_WH[source.flow]] = after - before
            continue
        for increment in _increments(source, first, last, within=(hour, end)):
            # Of a gap that is too long to be bridged some hours see both ends and others do not: none counts it.
            if increment[0] < end and increment[1] > hour and increment[1] - increment[0] <= _REACH_US:
                _spread(increment, source.flow, hour, tallies)
    return tallies


def _increments(source: FlowColumns, first: int, last: int, *, within: tuple[int, int]) -> list[Increment]:
    return increments(source.between(first, last), source.limits, events=source.events, within=within)


def _spread(increment: Increment, flow: Flow, hour: int, tallies: Sequence[_Tally]) -> None:
    """Give each quarter-hour its share by time, as `shared.counters.allocate` does."""
    start, end, energy_wh, flags, _ = increment
    span = end - start
    for index in range(max(0, (start - hour) // _QUARTER_US), min(4, -((hour - end) // _QUARTER_US))):
        left, right = max(start, hour + index * _QUARTER_US), min(end, hour + (index + 1) * _QUARTER_US)
        share = energy_wh * (right - start) // span - energy_wh * (left - start) // span
        tally = tallies[index]
        tally.add(_WH[flow], share)
        tally.flags |= flags
        if flags & _GAP:
            tally.add(_BRIDGED_WH[flow], share)
            if flow is Flow.GENERATED and energy_wh == 0:
                tally.still_us += right - left


def _quarter(
    bucket: datetime, tally: _Tally, courses: Mapping[str, Course], cut: Cut, device: DeviceFacts
) -> QuarterHour:
    power, soc = courses.get(GENERATION), courses.get("battery_soc_percent")
    sun = courses.get(PLANE_OF_ARRAY) or courses.get("irradiance_wm2")
    module, ambient = courses.get("module_temperature_c"), courses.get("ambient_temperature_c")
    flags = tally.flags
    if power and power.high and device.rated_power_kw and power.high >= _FULL_LOAD * device.rated_power_kw:
        flags |= _CLIPPED
    return QuarterHour(
        bucket=bucket,
        **tally.columns,
        **_extremes("power", power),
        **_extremes("load_power", courses.get("load_power_kw")),
        **_extremes("grid_power", courses.get("grid_power_kw")),
        **_extremes("battery_power", courses.get("battery_power_kw")),
        battery_soc_last_percent=soc.last if soc else None,
        battery_soc_min_percent=soc.low if soc else None,
        battery_soc_max_percent=soc.high if soc else None,
        irradiance_mean_wm2=sun.mean if sun else None,
        irradiation_wh_m2=max(0.0, sun.mean) * sun.covered_us / (3600 * US_PER_SECOND) if sun else None,
        irradiation_covered_seconds=sun.covered_s if sun else 0,
        module_temperature_mean_c=module.mean if module else None,
        ambient_temperature_mean_c=ambient.mean if ambient else None,
        metrics=_others(courses),
        n_valid=cut.last - cut.first,
        n_expected=round(QUARTER_S / device.poll_interval_s),
        covered_seconds=min((cut.covered_us + tally.still_us) // US_PER_SECOND, QUARTER_S),
        flags=flags,
    )


def _extremes(prefix: str, course: Course | None) -> dict[str, Any]:
    if course is None:
        return {}
    return {f"{prefix}_mean_kw": course.mean, f"{prefix}_min_kw": course.low, f"{prefix}_max_kw": course.high}


def _others(courses: Mapping[str, Course]) -> dict[str, MetricRollup] | None:
    found: dict[str, MetricRollup] = {
        key: {"mean": mean, "min": low, "max": high, "last": last}
        for key, (mean, low, high, last, _) in courses.items()
        if key in _OTHERS
    }
    return found or None
