"""Energy from counters that reset, roll over, glitch and fall silent.

A device's lifetime counter is the best witness of its energy, but no counter is only ever rising: meters are swapped, registers overflow,
an inverter that wakes up answers zero once. `energy_deltas` turns the readings of one flow (generated, imported …) into increments that
a bill can stand on. It is a function of the *set* of readings: their order and repetition change nothing.

The rule, in the order of device time:

- The first reading is a base, never energy.
- An increment is accepted when 0 <= increment <= rated power x 1.25 x time (+ one step of the counter's resolution).
- A drop of at most `noise_wh` is noise: the higher value is held.
- A drop that makes a plausible increment when the register's width is added is a rollover.
- Any other step, down or up, is pending. Two readings that agree with each other confirm it: the first of them is the new base (reset), and
  nothing is counted across the step. A reading that agrees with the old base cancels it (glitch).
- A zero never confirms a reset: a device that starts or sleeps may answer zero for hours. Nor does an increment that starts from zero
  count across a gap: it would be a used meter's whole past.
- A recorded meter event (swap, reset) cuts the series where it happened, without waiting for a confirmation.
- A daily counter that falls is a new day, unless the lifetime counter of the same reading is zero (then the device said nothing).
- Where the lifetime counter gives no increment, the daily counter does; where neither does, power is integrated. Each increment says which.

Integers of Wh throughout, so that sums do not depend on their order. `shared.counter_fold` is the pass over one counter; here the
sources of a flow are put together.
"""

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from shared.counter_fold import (
    NOISE_WH,
    RESOLUTION_WH,
    CounterFlag,
    CounterLimits,
    CounterMethod,
    MeterEvent,
    Span,
    fold_counter,
    moment_of,
    unix_us,
)
from shared.trapezoid import energy_under

__all__ = [
    "NOISE_WH",
    "RESOLUTION_WH",
    "CounterFlag",
    "CounterLimits",
    "CounterMethod",
    "Delta",
    "FlowSample",
    "FlowSeries",
    "Increment",
    "MeterEvent",
    "Points",
    "allocate",
    "energy_deltas",
    "increments",
    "moment_of",
    "unix_us",
    "wh_of",
]

Increment = tuple[int, int, int, int, CounterMethod]
"""Start and end (microseconds of Unix time), Wh, bits of `CounterFlag`, and where it comes from."""

_ALWAYS = (-(1 << 63), 1 << 63)
_ESTIMATED = int(CounterFlag.ESTIMATED)


@dataclass(frozen=True, slots=True)
class FlowSample:
    """What one reading says about one flow of energy.

    Attributes:
        at: aware moment of the reading, by the device's order of time.
        total_wh: lifetime counter.
        today_wh: daily counter.
        power_w: present power in the flow's direction, >= 0.
    """

    at: datetime
    total_wh: int | None = None
    today_wh: int | None = None
    power_w: int | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """An accepted increment of energy.

    Attributes:
        start: aware UTC moment from which the energy flowed.
        end: aware UTC moment until which it flowed.
        energy_wh: >= 0.
        flags: see `CounterFlag`.
        method: where it comes from.
    """

    start: datetime
    end: datetime
    energy_wh: int
    flags: CounterFlag = CounterFlag.NONE
    method: CounterMethod = CounterMethod.LIFETIME


@dataclass(frozen=True, slots=True)
class Points:
    """Values of one source at moments (microseconds of Unix time) that ascend, none twice."""

    moments: Sequence[int] = ()
    values: Sequence[int] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int | None]]) -> "Points":
        """Of the values that are there."""
        known = [(at, value) for at, value in pairs if value is not None]
        if not known:
            return cls()
        moments, values = zip(*known, strict=True)
        return cls(moments, values)

    def between(self, first: int, last: int) -> "Points":
        """Those from the first to the last moment, both included."""
        start, end = bisect.bisect_left(self.moments, first), bisect.bisect_right(self.moments, last)
        return Points(self.moments[start:end], self.values[start:end])


@dataclass(frozen=True, slots=True)
class FlowSeries:
    """What a device says about one flow, by source: lifetime counter (Wh), daily counter (Wh), power (W, >= 0).

    A daily counter's value beside a lifetime counter of zero says nothing (the device was not up yet) and is not among `todays`.
    """

    totals: Points
    todays: Points
    powers: Points

    def between(self, first: int, last: int) -> "FlowSeries":
        """What it says from the first to the last moment, both included."""
        return FlowSeries(*(points.between(first, last) for points in (self.totals, self.todays, self.powers)))


def energy_deltas(
    samples: Iterable[FlowSample], limits: CounterLimits, *, events: Iterable[MeterEvent] = ()
) -> list[Delta]:
    """Increments of one flow from the best source at each time.

    Args:
        samples: readings of one device in any order, repeated or not. Two different readings of one moment are settled by value, so
            that the result does not depend on which came first.
        limits: what is plausible.
        events: recorded interventions at the lifetime counter.

    Returns:
        Increments in order of time that do not overlap. Stretches where a counter stands still are increments of 0.
    """
    ordered = _ordered(samples)
    moments = [unix_us(sample.at) for sample in ordered]
    series = FlowSeries(
        totals=Points.of(zip(moments, (sample.total_wh for sample in ordered), strict=True)),
        todays=Points.of(
            (at, sample.today_wh) for at, sample in zip(moments, ordered, strict=True) if sample.total_wh != 0
        ),
        powers=Points.of(zip(moments, (sample.power_w for sample in ordered), strict=True)),
    )
    found = increments(series, limits, events=sorted(events, key=lambda event: event.at))
    return [
        Delta(moment_of(start), moment_of(end), energy_wh, CounterFlag(flags), method)
        for start, end, energy_wh, flags, method in found
    ]


def increments(
    series: FlowSeries, limits: CounterLimits, *, events: Sequence[MeterEvent] = (), within: tuple[int, int] = _ALWAYS
) -> list[Increment]:
    """Do what `energy_deltas` does, on integers, for callers that have many hours of many devices.

    Args:
        series: what the readings say.
        limits: what is plausible.
        events: recorded interventions at the lifetime counter, in order of time.
        within: a stretch of time (microseconds). All increments that share time with it are returned, of the others only some: what
            cannot reach into it is not computed.
    """
    chosen = _by(
        CounterMethod.LIFETIME, fold_counter(series.totals.moments, series.totals.values, limits, events=events)
    )
    if _covers(chosen, within):
        return chosen
    daily = fold_counter(series.todays.moments, series.todays.values, limits, is_daily=True)
    chosen = _merge(chosen, _by(CounterMethod.DAILY, daily))
    if _covers(chosen, within):
        return chosen
    areas = energy_under(
        list(zip(series.powers.moments, series.powers.values, strict=True)),
        longest_us=limits.max_gap_us,
        taken=[(start, end) for start, end, *_ in chosen],
    )
    return _merge(chosen, _by(CounterMethod.POWER, [(*area, 0) for area in areas]))


def allocate(delta: Delta, edges: Sequence[datetime]) -> list[int]:
    """Spread an increment by time over the buckets between consecutive edges.

    The cumulated energy is floored at each edge, so the shares are integers and those of edges around the whole increment sum to
    exactly `energy_wh`, whatever the edges are.

    Args:
        delta: the increment.
        edges: ascending aware moments; n edges make n - 1 buckets.

    Returns:
        Wh per bucket; energy before the first or after the last edge is in none.
    """
    start, span = unix_us(delta.start), unix_us(delta.end) - unix_us(delta.start)

    def until(edge: datetime) -> int:
        elapsed = min(max(unix_us(edge) - start, 0), span)
        return delta.energy_wh * elapsed // span

    cumulated = [until(edge) for edge in edges]
    return [after - before for before, after in itertools.pairwise(cumulated)]


def wh_of(kwh: float | None) -> int | None:
    """A counter's value as it crosses the wire (kWh), as an integer of Wh."""
    return None if kwh is None else round(kwh * 1000)


def _by(method: CounterMethod, spans: Iterable[Span]) -> list[Increment]:
    estimated = 0 if method is CounterMethod.LIFETIME else _ESTIMATED
    return [(start, end, energy_wh, flags | estimated, method) for start, end, energy_wh, flags in spans]


def _covers(found: Sequence[Increment], within: tuple[int, int]) -> bool:
    """Whether increments fill a stretch of time without a hole, so that no other source can add to it."""
    start, end = within
    reached = start
    for increment in itertools.islice(found, max(0, bisect.bisect_right(found, start, key=itemgetter(0)) - 1), None):
        if increment[0] > reached or reached >= end:
            break
        reached = max(reached, increment[1])
    return reached >= end


def _ordered(samples: Iterable[FlowSample]) -> list[FlowSample]:
    """By time, one per moment."""

    def key(sample: FlowSample) -> tuple[datetime, tuple[int, int, int]]:
        known = (sample.total_wh, sample.today_wh, sample.power_w)
        total, today, power = (-1 if number is None else number for number in known)
        return sample.at, (total, today, power)

    by_moment = {sample.at: sample for sample in sorted(samples, key=key)}
    return list(by_moment.values())


def _merge(chosen: list[Increment], others: Sequence[Increment]) -> list[Increment]:
    """Add those of the others that tell of a time nobody has told of yet."""
    if not chosen or not others:
        return chosen or list(others)
    starts = [increment[0] for increment in chosen]
    added = []
    for other in others:
        follower = bisect.bisect_left(starts, other[1])
        if not follower or chosen[follower - 1][1] <= other[0]:
            added.append(other)
    return sorted([*chosen, *added], key=itemgetter(0))
