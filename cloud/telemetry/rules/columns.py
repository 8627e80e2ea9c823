"""A device's readings made ready for its hours: what cannot be true left out, flows in whole Wh and W, gauges as courses.

Done once for a stretch of time, column by column: this is where most of a roll-up's time would go.
"""

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
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
from cloud.telemetry.rules.gauges import US_PER_SECOND, Samples
from shared.counters import CounterLimits, FlowSeries, MeterEvent, Points
from shared.enums import DeviceType, Quality
from shared.metrics import UnknownMetricError, metric_of

_WRONG_TIME = int(Quality.FUTURE | Quality.BEFORE_DEVICE)

GENERATION = "generation"
"""Key of the power that an inverter puts out from its modules; not a metric."""


@dataclass(frozen=True, slots=True)
class FlowColumns:
    """One flow of a device, with what is plausible for it and what is recorded about its counter."""

    flow: Flow
    series: FlowSeries
    limits: CounterLimits
    events: Sequence[MeterEvent]


@dataclass(frozen=True, slots=True)
class DeviceColumns:
    """Everything that the hours of a device are made of.

    Attributes:
        heard: moments of readings whose time can be believed (microseconds of Unix time).
        valid: moments of readings that something may be computed from, as samples of nothing: they tell the coverage.
        gauges: metric key, or `GENERATION` -> its samples.
        flows: of an inverter, meter or battery.
    """

    device: DeviceFacts
    timeline: Timeline
    heard: Sequence[int]
    valid: Samples
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
        usable = [not bits & UNUSABLE for bits in timeline.quality]
        moments = list(itertools.compress(timeline.moments, usable))
        columns = {
            key: found
            for key, column in timeline.columns.items()
            if (found := _sane(list(itertools.compress(column, usable)), key, device)) is not None
        }
        wanted = {key: column for key, column in columns.items() if key in gauges}
        power = _generation(columns)
        if power is not None and device.device_type is DeviceType.INVERTER:
            wanted[GENERATION] = power
        longest = round(device.max_gap_s * US_PER_SECOND)
        return cls(
            device,
            timeline,
            heard=[at for at, bits in zip(timeline.moments, timeline.quality, strict=True) if not bits & _WRONG_TIME],
            valid=Samples.of(moments, [0.0] * len(moments), longest=longest),
            gauges={key: _samples(moments, column, longest) for key, column in wanted.items()},
            flows=[
                FlowColumns(
                    source.flow,
                    _flow(moments, columns, source, power),
                    counter_limits(source, device, site),
                    sorted(device.events.get(source.total, ()), key=lambda event: event.at),
                )
                for source in FLOW_SOURCES.get(device.device_type, ())
            ],
        )


def _sane(column: list[float | None], key: str, device: DeviceFacts) -> Column | None:
    """The column without values that cannot be true; they stay in the raw rows, with a flag. None if nothing is left."""
    if column.count(None) == len(column):
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
    return [value if value is not None and low <= value <= high and math.isfinite(value) else None for value in column]


def _generation(columns: Mapping[str, Column]) -> Column | None:
    ac, dc = columns.get("ac_power_kw"), columns.get("dc_power_kw")
    if ac is None or dc is None:
        return dc if ac is None else ac
    return [generation_kw(ac_kw, dc_kw) for ac_kw, dc_kw in zip(ac, dc, strict=True)]


def _samples(moments: Sequence[int], column: Column, longest: int) -> Samples:
    known = [(at, value) for at, value in zip(moments, column, strict=True) if value is not None]
    return Samples.of([at for at, _ in known], [value for _, value in known], longest=longest)


def _flow(
    moments: Sequence[int], columns: Mapping[str, Column], source: FlowSource, generation: Column | None
) -> FlowSeries:
    totals = _wh(columns.get(source.total))
    todays = _wh(columns.get(source.today)) if source.today else []
    if totals and todays:
        todays = [None if total == 0 else today for total, today in zip(totals, todays, strict=True)]
    power = columns.get(source.power) if source.power else generation
    watts = [None if kw is None else max(0, round(source.sign * kw * 1000)) for kw in power or ()]
    # A column that no reading has is empty.
    return FlowSeries(*(Points.of(zip(moments, values, strict=False)) for values in (totals, todays, watts)))


def _wh(column: Column | None) -> list[int | None]:
    return [None if kwh is None else round(kwh * 1000) for kwh in column or ()]
