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

Integers of Wh throughout, so that sums do not depend on their order.
"""

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntFlag, StrEnum

from shared.trapezoid import energy_under

NOISE_WH = 500
"""A drop up to this is noise in the counter's last digits."""

RESOLUTION_WH = 100
"""Step of the coarsest common counters (0.1 kWh): the least that an increment may be, however short the time."""
_HEADROOM = (5, 4)
"""1.25 x rated power: inverters exceed their rating for minutes at low temperature and at cloud edges."""

_PLATEAU_US = 3_600_000_000
"""A counter with coarse steps stands still between two of them; an increment began when the value was first seen, at most an hour ago."""

_US_PER_HOUR = 3_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class CounterFlag(IntFlag):
    """What is special about an increment. Bits are stored: never renumber."""

    NONE = 0
    RESET = 1
    """The counter started from a new base just before."""
    ROLLOVER = 2
    """The register overflowed within it."""
    GAP = 4
    """No reading for longer than the device's polls explain: the energy is bridged."""
    ESTIMATED = 8
    """Not from a lifetime counter."""


class CounterMethod(StrEnum):
    """Where an increment comes from, best first."""

    LIFETIME = "lifetime"
    DAILY = "daily"
    POWER = "power"


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
class MeterEvent:
    """A recorded intervention that overrides what the readings suggest.

    Attributes:
        at: aware moment of the swap or reset.
        final_wh: last value of the old counter, if somebody wrote it down.
        initial_wh: first value of the new counter, likewise.
    """

    at: datetime
    final_wh: int | None = None
    initial_wh: int | None = None


@dataclass(frozen=True, slots=True)
class CounterLimits:
    """What is plausible for one counter.

    Attributes:
        rated_kw: rated power of what the counter measures; None = no upper limit, only drops are judged.
        width_wh: value at which the register starts again at zero; None = never.
        resolution_wh: one step of the counter.
        noise_wh: largest drop that is noise.
        max_gap_s: two readings further apart leave a gap.
    """

    rated_kw: float | None = None
    width_wh: int | None = None
    resolution_wh: int = RESOLUTION_WH
    noise_wh: int = NOISE_WH
    max_gap_s: float = 180.0

    def largest_wh(self, elapsed_us: int) -> int | None:
        """Largest plausible increment in so many microseconds, without the step of the resolution."""
        if self.rated_kw is None:
            return None
        over, under = _HEADROOM
        return round(self.rated_kw * 1000) * over * elapsed_us // (under * _US_PER_HOUR)


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
    lifetime = _Fold(limits, CounterMethod.LIFETIME, sorted(events, key=lambda event: event.at))
    daily = _Fold(limits, CounterMethod.DAILY, ())
    for sample in ordered:
        if sample.total_wh is not None:
            lifetime.take(_us(sample.at), sample.total_wh)
        # A lifetime counter of zero beside it: the device was not up yet, its zeros say nothing.
        if sample.today_wh is not None and sample.total_wh != 0:
            daily.take(_us(sample.at), sample.today_wh)
    chosen = _merge(lifetime.finish(), daily.finish())
    return _merge(chosen, _integrated(ordered, limits, taken=chosen))


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
    start, span = _us(delta.start), _us(delta.end) - _us(delta.start)

    def until(edge: datetime) -> int:
        elapsed = min(max(_us(edge) - start, 0), span)
        return delta.energy_wh * elapsed // span

    cumulated = [until(edge) for edge in edges]
    return [after - before for before, after in itertools.pairwise(cumulated)]


def wh_of(kwh: float | None) -> int | None:
    """A counter's value as it crosses the wire (kWh), as an integer of Wh."""
    return None if kwh is None else round(kwh * 1000)


# Plain numbers inside: a flag object for every reading would cost more than the rest of the rule.
_RESET, _ROLLOVER, _GAP = int(CounterFlag.RESET), int(CounterFlag.ROLLOVER), int(CounterFlag.GAP)


@dataclass(slots=True)
class _Span:
    """An increment in microseconds of Unix time; `flags` are bits of `CounterFlag`."""

    start: int
    end: int
    energy_wh: int
    flags: int

    def as_delta(self, method: CounterMethod) -> Delta:
        flags = CounterFlag(self.flags)
        if method is not CounterMethod.LIFETIME:
            flags |= CounterFlag.ESTIMATED
        return Delta(_moment(self.start), _moment(self.end), self.energy_wh, flags, method)


@dataclass(slots=True)
class _Base:
    """The value that the next reading is compared with: first and last seen at these moments."""

    first: int
    last: int
    value: int


@dataclass(slots=True)
class _Fold:
    """One pass over one counter."""

    limits: CounterLimits
    method: CounterMethod
    events: Sequence[MeterEvent]
    base: _Base | None = None
    pending: _Base | None = None
    next_event: int = 0
    was_reset: bool = False
    spans: list[_Span] = field(default_factory=list)

    def take(self, at: int, value: int) -> None:
        """The next reading in time."""
        if value < 0 or (self.limits.width_wh is not None and value >= self.limits.width_wh):
            return
        if self._pass_events(at, value):
            return
        if self.base is None:
            self.base = _Base(at, at, value)
        elif value == 0 and self.base.value > self.limits.noise_wh and self.method is CounterMethod.LIFETIME:
            return
        elif not self._continue(self.base, at, value):
            self._suspect(at, value)

    def finish(self) -> list[Delta]:
        """All increments; a step that is still pending is in none."""
        if self.base is not None:
            self._close_plateau(self.base, until=self.base.last)
        return [span.as_delta(self.method) for span in self.spans]

    def _continue(self, base: _Base, at: int, value: int) -> bool:
        """Accept the reading as the successor of the base, if it is plausible."""
        gap = at - base.last > round(self.limits.max_gap_s * 1_000_000)
        start = base.last if gap else max(base.first, base.last - _PLATEAU_US)
        gain, flags = self._gain(base.value, value, elapsed=at - start)
        if gain is None or (gap and gain and base.value == 0 and self.method is CounterMethod.LIFETIME):
            return False
        if gap:
            flags |= _GAP
        if gain or gap or flags:
            self._close_plateau(base, until=start)
            self._add(start, at, gain, flags)
            base.first = at
        base.last = at
        # Noise holds the higher value; a rollover and a new day really are lower.
        if value > base.value or flags & _ROLLOVER or self._is_new_day(base.value, value):
            base.value, base.first = value, at
        self.pending = None
        return True

    def _gain(self, before: int, after: int, *, elapsed: int) -> tuple[int | None, int]:
        largest = self.limits.largest_wh(elapsed)
        ceiling = None if largest is None else largest + self.limits.resolution_wh
        step = after - before
        if step >= 0:
            return (step if _within(step, ceiling) else None), 0
        if self._is_new_day(before, after):
            return (after if _within(after, ceiling) else None), 0
        if -step <= self.limits.noise_wh:
            return 0, 0
        width = self.limits.width_wh
        # Without a rated power the ceiling is a hundredth of the register: closer to its end than to anything else.
        if width is not None and _within(step + width, ceiling if ceiling is not None else width // 100):
            return step + width, _ROLLOVER
        return None, 0

    def _is_new_day(self, before: int, after: int) -> bool:
        if self.method is not CounterMethod.DAILY or after >= before:
            return False
        return after == 0 or before - after > self.limits.noise_wh

    def _suspect(self, at: int, value: int) -> None:
        """A step that the base does not explain: a second reading that agrees with the first confirms it."""
        if self.pending is not None and self.base is not None:
            before = self.pending
            largest = self.limits.largest_wh(at - before.first)
            step = value - before.value
            if step >= 0 and _within(step, None if largest is None else largest + self.limits.resolution_wh):
                self._close_plateau(self.base, until=self.base.last)
                self.base, self.pending, self.was_reset = before, None, True
                self._continue(before, at, value)
                return
        self.pending = _Base(at, at, value)

    def _pass_events(self, at: int, value: int) -> bool:
        """Cut the series at each recorded event up to this reading; True if an event's own record has placed the reading already."""
        placed = False
        while self.next_event < len(self.events) and _us(self.events[self.next_event].at) <= at:
            event = self.events[self.next_event]
            self.next_event += 1
            is_last = self.next_event == len(self.events) or _us(self.events[self.next_event].at) > at
            placed = self._cut(event, at, value, reaches_reading=is_last)
        return placed

    def _cut(self, event: MeterEvent, at: int, value: int, *, reaches_reading: bool) -> bool:
        moment = _us(event.at)
        if self.base is not None:
            self._close_plateau(self.base, until=self.base.last)
            if event.final_wh is not None and event.final_wh > self.base.value and moment > self.base.last:
                self._add(self.base.last, moment, event.final_wh - self.base.value, 0)
        self.base, self.pending, self.was_reset = None, None, True
        if not reaches_reading or event.initial_wh is None or event.initial_wh > value or moment >= at:
            return False
        # Somebody read the new counter when it was fitted: what it shows now beyond that is energy, even after a gap.
        self._add(moment, at, value - event.initial_wh, 0)
        self.base = _Base(at, at, value)
        return True

    def _close_plateau(self, base: _Base, *, until: int) -> None:
        """The time in which the counter stood still is known too: an increment of 0."""
        if until > base.first:
            self._add(base.first, until, 0, 0)

    def _add(self, start: int, end: int, energy_wh: int, flags: int) -> None:
        if self.was_reset:
            flags |= _RESET
            self.was_reset = False
        self.spans.append(_Span(start, end, energy_wh, flags))


def _within(step: int, ceiling: int | None) -> bool:
    return step >= 0 and (ceiling is None or step <= ceiling)


def _ordered(samples: Iterable[FlowSample]) -> list[FlowSample]:
    """By time, one per moment."""

    def key(sample: FlowSample) -> tuple[datetime, tuple[int, int, int]]:
        known = (sample.total_wh, sample.today_wh, sample.power_w)
        total, today, power = (-1 if number is None else number for number in known)
        return sample.at, (total, today, power)

    by_moment = {sample.at: sample for sample in sorted(samples, key=key)}
    return list(by_moment.values())


def _merge(chosen: list[Delta], others: Iterable[Delta]) -> list[Delta]:
    """Add those of the others that tell of a time nobody has told of yet."""
    starts = [delta.start for delta in chosen]
    added = []
    for other in others:
        follower = bisect.bisect_left(starts, other.end)
        if not follower or chosen[follower - 1].end <= other.start:
            added.append(other)
    return sorted([*chosen, *added], key=lambda delta: delta.start)


def _integrated(samples: Sequence[FlowSample], limits: CounterLimits, *, taken: list[Delta]) -> list[Delta]:
    points = [(_us(sample.at), sample.power_w) for sample in samples if sample.power_w is not None]
    areas = energy_under(
        points,
        longest_us=round(limits.max_gap_s * 1_000_000),
        taken=[(_us(delta.start), _us(delta.end)) for delta in taken],
    )
    return [
        Delta(_moment(start), _moment(end), energy_wh, CounterFlag.ESTIMATED, CounterMethod.POWER)
        for start, end, energy_wh in areas
    ]


def _us(at: datetime) -> int:
    """Microseconds of Unix time, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND
