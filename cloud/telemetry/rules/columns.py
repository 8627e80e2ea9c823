"""A device's readings made ready for its hours: what cannot be true left out, flows in whole Wh and W, gauges as courses.

Done once for a stretch of time, column by column: this is where most of a roll-up's time would go.
"""

import bisect
import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloud.telemetry.rules.context import UNUSABLE, Column, Timeline
from cloud.telemetry.rules.facts import (
    FLOW_SOURCES,
    DeviceFacts,
    Flow,
    FlowSource,
    SiteFacts,
    counter_limits,
    generation_kw,
)
from cloud.telemetry.rules.gauges import US_PER_SECOND, Cover, Samples
from shared.counters import CounterLimits, FlowSeries, MeterEvent, Points
from shared.enums import DeviceType, Quality
from shared.metrics import UnknownMetricError, metric_of
from shared.steady_counter import SteadyCounter

_WRONG_TIME = int(Quality.FUTURE | Quality.BEFORE_DEVICE)

GENERATION = "generation"
"""Key of the power that an inverter puts out from its modules; not a metric."""


@dataclass(frozen=True, slots=True)
class FlowColumns:
    """One flow of a device, with what is plausible for it and what is recorded about its counter.

    Attributes:
        source: which values of the device tell of it.
        limits: of its counter.
        events: recorded at its counter, in order of time.
        moments: of the readings.
        totals: lifetime counter (Wh) in each reading; empty if no reading has it.
        todays: daily counter (kWh), likewise.
        power: kW, likewise, in the direction of the gauge.
        steady: the short way through the lifetime counter; None where only folding can tell.
    """

    source: FlowSource
    limits: CounterLimits
    events: Sequence[MeterEvent]
    moments: Sequence[int]
    totals: Sequence[int | None]
    todays: Column
    power: Column
    steady: SteadyCounter | None

    @property
    def flow(self) -> Flow:
        """Where the energy goes."""
        return self.source.flow

    def between(self, first: int, last: int) -> FlowSeries:
        """What the device says by source from the first to the last moment, both included."""
        part = slice(bisect.bisect_left(self.moments, first), bisect.bisect_right(self.moments, last))
        moments, totals, todays = self.moments[part], self.totals[part], _wh(self.todays[part])
        if totals and todays:
            todays = [None if total == 0 else today for total, today in zip(totals, todays, strict=True)]
        sign = self.source.sign
        watts = [None if kw is None else max(0, round(sign * kw * 1000)) for kw in self.power[part]]
        return FlowSeries(_points(moments, totals), _points(moments, todays), _points(moments, watts))


@dataclass(frozen=True, slots=True)
class DeviceColumns:
    """Everything that the hours of a device are made of.

    Attributes:
        heard: moments of readings whose time can be believed (microseconds of Unix time).
        valid: moments of readings that something may be computed from: they tell the coverage.
        gauges: metric key, or `GENERATION` -> its samples.
        flows: of an inverter, meter or battery.
    """

    device: DeviceFacts
    timeline: Timeline
    heard: Sequence[int]
    valid: Cover
    gauges: Mapping[str, Samples]
    flows: Sequence[FlowColumns]

    @classmethod
    def of(cls, timeline: Timeline, device: DeviceFacts, site: SiteFacts, *, gauges: frozenset[str]) -> "DeviceColumns":
        """From a device's readings.

        Args:
            timeline: the readings.
            device: facts.
            site: its site's.
            gauges: metric keys that are wanted as gauges.
        """
        heard, moments, columns = _usable(timeline, device)
        wanted = {key: column for key, column in columns.items() if key in gauges}
        power = _generation(columns)
        if power is not None and device.device_type is DeviceType.INVERTER:
            wanted[GENERATION] = power
        valid = Cover.of(moments, longest=round(device.max_gap_s * US_PER_SECOND))
        sources = FLOW_SOURCES.get(device.device_type, ())
        limits = [counter_limits(source, device, site) for source in sources]
        told = _flows(moments, columns, zip(sources, limits, strict=True), generation=power, device=device)
        return cls(
            device,
            timeline,
            heard=heard,
            valid=valid,
            gauges=_samples(valid, wanted),
            flows=list(told),
        )


def _usable(timeline: Timeline, device: DeviceFacts) -> tuple[Sequence[int], Sequence[int], dict[str, Column]]:
    """Moments that can be believed, moments of readings to compute from, and these readings' values by metric."""
    heard, moments, columns = timeline.moments, timeline.moments, timeline.columns
    if any(bits & (UNUSABLE | _WRONG_TIME) for bits in set(timeline.quality)):
        keep = [not bits & UNUSABLE for bits in timeline.quality]
        heard = [at for at, bits in zip(moments, timeline.quality, strict=True) if not bits & _WRONG_TIME]
        moments = list(itertools.compress(moments, keep))
        columns = {key: list(itertools.compress(column, keep)) for key, column in columns.items()}
    sane = {key: found for key, column in columns.items() if (found := _sane(column, key, device)) is not None}
    return heard, moments, sane


def _sane(column: Column, key: str, device: DeviceFacts) -> Column | None:
    """The column without values that cannot be true; they stay in the raw rows, with a flag. None if nothing is left."""
    known = _known(column)
    if not known:
        return None
    try:
        metric = metric_of(key)
    except UnknownMetricError:
        return None
    # Comparing with finite ends leaves out NaN and the infinities too.
    low = -sys.float_info.max if metric.low is None else metric.low
    high = sys.float_info.max if metric.high is None else metric.high
    if metric.rated_factor is not None and device.rated_power_kw is not None:
        largest = metric.rated_factor * device.rated_power_kw
        low, high = max(low, -largest), min(high, largest)
    # A NaN could hide from the smallest and the largest, but not from the sum.
    if low <= min(known) and max(known) <= high and math.isfinite(sum(known)):
        return column
    return [value if value is not None and low <= value <= high and math.isfinite(value) else None for value in column]


def _known(column: Column) -> Sequence[float]:
    return [value for value in column if value is not None]


def _generation(columns: Mapping[str, Column]) -> Column | None:
    ac, dc = columns.get("ac_power_kw"), columns.get("dc_power_kw")
    if ac is None or dc is None:
        return dc if ac is None else ac
    return [
        generation_kw(ac_kw, dc_kw) if ac_kw is None or dc_kw is None else (dc_kw if dc_kw < ac_kw else ac_kw)  # noqa: FURB136 -- a call for each reading would take four times as long
        for ac_kw, dc_kw in zip(ac, dc, strict=True)
    ]


def _samples(valid: Cover, columns: Mapping[str, Column]) -> dict[str, Samples]:
    """The samples of each gauge; those that were sampled together share one cover."""
    covers = {len(valid.moments): [valid]}
    found = {}
    for key, column in columns.items():
        values = _known(column)
        alike = covers.setdefault(len(values), [])
        moments = valid.moments
        if len(values) < len(moments):
            moments = [at for at, value in zip(moments, column, strict=True) if value is not None]
        cover = next((cover for cover in alike if cover.moments == moments), None)
        if cover is None:
            cover = Cover.of(moments, longest=valid.longest)
            alike.append(cover)
        found[key] = Samples.at(cover, values)
    return found


def _flows(
    moments: Sequence[int],
    columns: Mapping[str, Column],
    sources: Iterable[tuple[FlowSource, CounterLimits]],
    *,
    generation: Column | None,
    device: DeviceFacts,
) -> Iterator[FlowColumns]:
    """The flows of which the readings tell anything."""
    for source, limits in sources:
        totals = _wh(columns.get(source.total, ()))
        todays = columns.get(source.today, ()) if source.today else ()
        power = columns.get(source.power, ()) if source.power else generation or ()
        if not (totals or todays or power):
            continue
        events = sorted(device.events.get(source.total, ()), key=lambda event: event.at)
        steady = None
        if totals and not events:
            points = _points(moments, totals)
            steady = SteadyCounter.of(points.moments, points.values, limits)
        yield FlowColumns(source, limits, events, moments, totals, todays, power, steady)


def _points(moments: Sequence[int], values: Sequence[int | None]) -> Points:
    """Of the values that are there; a column that no reading has is empty."""
    known = [value for value in values if value is not None]
    if len(known) < len(moments):
        moments = [at for at, value in zip(moments, values, strict=False) if value is not None]
    return Points(moments, known)


def _wh(column: Column) -> list[int | None]:
    return [None if kwh is None else round(kwh * 1000) for kwh in column]
