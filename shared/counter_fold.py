"""One pass over one counter: the rule of `shared.counters`, on integers.

Moments are microseconds of Unix time, energies Wh, flags plain bits: this runs for every reading of every device again and again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntFlag, StrEnum

NOISE_WH = 500
"""A drop up to this is noise in the counter's last digits."""

RESOLUTION_WH = 100
"""Step of the coarsest common counters (0.1 kWh): the least that an increment may be, however short the time."""

_HEADROOM = (5, 4)
"""1.25 x rated power: inverters exceed their rating for minutes at low temperature and at cloud edges."""

PLATEAU_US = 3_600_000_000
"""A counter with coarse steps stands still between two of them; an increment began when the value was first seen, at most an hour ago."""

_US_PER_HOUR = 3_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NEVER = 1 << 63

Span = tuple[int, int, int, int]
"""An increment: start and end (microseconds of Unix time), Wh, bits of `CounterFlag`."""


def unix_us(at: datetime) -> int:
    """Microseconds of Unix time, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """The aware UTC moment of so many microseconds of Unix time."""
    return _EPOCH + microseconds * _MICROSECOND


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

    @property
    def max_gap_us(self) -> int:
        """Two readings further apart than this leave a gap."""
        return round(self.max_gap_s * 1_000_000)


# Plain numbers inside: a flag object for every reading would cost more than the rest of the rule.
_RESET, _ROLLOVER, _GAP = int(CounterFlag.RESET), int(CounterFlag.ROLLOVER), int(CounterFlag.GAP)


@dataclass(slots=True)
class _Base:
    """The value that the next reading is compared with: first and last seen at these moments."""

    first: int
    last: int
    value: int


@dataclass(slots=True)
class _Fold:
    """What is known after some readings."""

    limits: CounterLimits
    is_daily: bool
    events: Sequence[MeterEvent]
    max_gap_us: int
    base: _Base | None = None
    pending: _Base | None = None
    next_event: int = 0
    was_reset: bool = False
    spans: list[Span] = field(default_factory=list)

    def take(self, at: int, value: int) -> None:
        """The next reading in time."""
        if value < 0 or (self.limits.width_wh is not None and value >= self.limits.width_wh):
            return
        if self._pass_events(at, value):
            return
        if self.base is None:
            self.base = _Base(at, at, value)
        elif value == 0 and self.base.value > self.limits.noise_wh and not self.is_daily:
            return
        elif not self._continue(self.base, at, value):
            self._suspect(at, value)

    def finish(self) -> list[Span]:
        """All increments; a step that is still pending is in none."""
        if self.base is not None:
            self._close_plateau(self.base, until=self.base.last)
        return self.spans

    @property
    def next_event_at(self) -> int:
        """When the next recorded event happened."""
        return unix_us(self.events[self.next_event].at) if self.next_event < len(self.events) else _NEVER

    def _continue(self, base: _Base, at: int, value: int) -> bool:
        """Accept the reading as the successor of the base, if it is plausible."""
        gap = at - base.last > self.max_gap_us
        start = base.last if gap else max(base.first, base.last - PLATEAU_US)
        gain, flags = self._gain(base.value, value, elapsed=at - start)
        if gain is None or (gap and gain and base.value == 0 and not self.is_daily):
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
        ceiling = ceiling_wh(self.limits, elapsed)
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
        if not self.is_daily or after >= before:
            return False
        return after == 0 or before - after > self.limits.noise_wh

    def _suspect(self, at: int, value: int) -> None:
        """A step that the base does not explain: a second reading that agrees with the first confirms it."""
        if self.pending is not None and self.base is not None:
            before = self.pending
            step = value - before.value
            if _within(step, ceiling_wh(self.limits, at - before.first)):
                self._close_plateau(self.base, until=self.base.last)
                self.base, self.pending, self.was_reset = before, None, True
                self._continue(before, at, value)
                return
        self.pending = _Base(at, at, value)

    def _pass_events(self, at: int, value: int) -> bool:
        """Cut the series at each recorded event up to this reading; True if an event's own record has placed the reading already."""
        placed = False
        while self.next_event_at <= at:
            event = self.events[self.next_event]
            self.next_event += 1
            placed = self._cut(event, at, value, reaches_reading=self.next_event_at > at)
        return placed

    def _cut(self, event: MeterEvent, at: int, value: int, *, reaches_reading: bool) -> bool:
        moment = unix_us(event.at)
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
        self.spans.append((start, end, energy_wh, flags))


def fold_counter(
    moments: Sequence[int],
    values: Sequence[int],
    limits: CounterLimits,
    *,
    is_daily: bool = False,
    events: Sequence[MeterEvent] = (),
) -> list[Span]:
    """Increments of one counter.

    Args:
        moments: of its values, ascending, none twice.
        values: in Wh.
        limits: what is plausible.
        is_daily: whether the counter starts again every day; else it counts a lifetime.
        events: recorded interventions, in order of time.

    Returns:
        Increments in order of time that do not overlap; stretches where the counter stands still are increments of 0.
    """
    fold = _Fold(limits, is_daily, events, limits.max_gap_us)
    spans, max_gap_us, width = fold.spans, fold.max_gap_us, _NEVER if limits.width_wh is None else limits.width_wh
    over, under = _rate(limits)
    base, is_plain, next_event_at = fold.base, False, fold.next_event_at
    for at, value in zip(moments, values, strict=True):
        # Nearly every reading: the counter stands still or rises plausibly, nothing is pending. All else takes the long way.
        if is_plain and base is not None and base.value <= value < width and at < next_event_at:
            step = value - base.value
            if at - base.last <= max_gap_us:
                start = max(base.first, base.last - PLATEAU_US) if step else base.last
                if not step:
                    base.last = at
                    continue
                if over is None or step <= over * (at - start) // under + limits.resolution_wh:
                    if start > base.first:
                        spans.append((base.first, start, 0, 0))
                    spans.append((start, at, step, 0))
                    base.first, base.last, base.value = at, at, value
                    continue
        fold.take(at, value)
        base, next_event_at = fold.base, fold.next_event_at
        is_plain = fold.pending is None and not fold.was_reset
    return fold.finish()


def _rate(limits: CounterLimits) -> tuple[int | None, int]:
    """Largest plausible Wh per microsecond, as a fraction; None = no limit."""
    over, under = _HEADROOM
    return (None if limits.rated_kw is None else round(limits.rated_kw * 1000) * over), under * _US_PER_HOUR


def ceiling_wh(limits: CounterLimits, elapsed_us: int) -> int | None:
    """Largest plausible increment in so much time; None = no limit."""
    over, under = _rate(limits)
    return None if over is None else over * elapsed_us // under + limits.resolution_wh


def _within(step: int, ceiling: int | None) -> bool:
    return step >= 0 and (ceiling is None or step <= ceiling)
