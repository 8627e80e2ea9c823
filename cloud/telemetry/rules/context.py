"""Which readings decide about an hour of a device.

A counter is judged by its neighbours in time, so a quarter-hour cannot be computed from its own readings alone. If the number of
neighbours taken in depended on what happened to be recomputed together, the result would depend on the order in which readings arrived.
So the hour of UTC is the unit, and the readings that decide about it are a function of the stored readings alone:

- all of the hour,
- before it: back to `BASES` anchors (readings with a counter) before the moment `LOOK_BACK` ahead of the last anchor before the hour,
- after it: on to `BASES` anchors after the moment `LOOK_BACK` past its end.

`LOOK_BACK` covers what the counter rule looks back (an hour of a coarse counter's standstill, over which the next step is spread);
`BASES` readings confirm or cancel a step.
"""

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cloud.telemetry.rules.facts import COUNTERS, RawReading
from shared.counters import unix_us
from shared.enums import Quality
from shared.periods import HOUR, Window

BASES = 4
LOOK_BACK = timedelta(minutes=75)
REACH = timedelta(days=40)
"""A gap longer than this is not bridged."""


UNUSABLE = sum(flag for flag in Quality if not flag.enters_rollups)
"""Bits of which each keeps a reading out of everything, as a plain number: they are looked at once per reading."""

_HOUR_US, _LOOK_BACK_US, _REACH_US = (span // timedelta(microseconds=1) for span in (HOUR, LOOK_BACK, REACH))

Column = Sequence[float | None]


def utc_hour(at: datetime) -> datetime:
    """Start of the hour of UTC that holds an aware UTC moment."""
    return at.replace(minute=0, second=0, microsecond=0)


def hours_in(window: Window) -> Iterator[datetime]:
    """Starts of the hours of UTC in a window that begins and ends with one."""
    start = window.start
    while start < window.end:
        yield start
        start += HOUR


@dataclass(frozen=True, slots=True)
class Timeline:
    """A device's readings in order of time, column by column, ready to be cut into the contexts of its hours.

    Attributes:
        moments: microseconds of Unix time, ascending; a device has one reading at a moment.
        quality: bits of `shared.enums.Quality` of each reading.
        columns: metric key -> its value in each reading; metrics that no reading has may be left out.
        anchors: moments of the readings that can be an end of an increment.
    """

    moments: Sequence[int]
    quality: Sequence[int]
    columns: Mapping[str, Column]
    anchors: Sequence[int]

    @classmethod
    def of_columns(cls, moments: Sequence[int], quality: Sequence[int], columns: Mapping[str, Column]) -> "Timeline":
        """From columns in order of time."""
        counters = [columns[name] for name in COUNTERS if name in columns]
        if not any(bits & UNUSABLE for bits in set(quality)) and any(None not in column for column in counters):
            return cls(moments, quality, columns, moments)
        rows = zip(moments, quality, zip(*counters, strict=True), strict=True) if counters else ()
        nothing = len(counters)
        anchors = [at for at, bits, values in rows if not bits & UNUSABLE and values.count(None) != nothing]
        return cls(moments, quality, columns, anchors)

    @classmethod
    def of(cls, readings: Iterable[RawReading]) -> "Timeline":
        """From readings in any order."""
        ordered = sorted(readings, key=lambda reading: reading.at)
        keys = dict.fromkeys(key for reading in ordered for key in reading.values)
        return cls.of_columns(
            [unix_us(reading.at) for reading in ordered],
            [reading.quality for reading in ordered],
            {key: [reading.values.get(key) for reading in ordered] for key in keys},
        )

    def context(self, hour: int, *, straddle_us: int) -> tuple[int, int]:
        """First and last moment of the readings that decide about an hour.

        Args:
            hour: its start.
            straddle_us: time around the hour in which gauges are needed, to know their course at its ends.
        """
        end = hour + _HOUR_US
        return min(hour - straddle_us, self._reach_back(hour)), max(end + straddle_us, self._reach_ahead(end))

    def _reach_back(self, hour: int) -> int:
        oldest = bisect.bisect_left(self.anchors, hour - _REACH_US)
        before = bisect.bisect_left(self.anchors, hour)
        if before == oldest:
            return hour
        start = self.anchors[before - 1] - _LOOK_BACK_US
        base = bisect.bisect_left(self.anchors, start, lo=oldest)
        return start if base == oldest else self.anchors[max(oldest, base - BASES)]

    def _reach_ahead(self, end: int) -> int:
        after = bisect.bisect_left(self.anchors, end + _LOOK_BACK_US)
        near = [at for at in self.anchors[after : after + BASES] if at <= end + _REACH_US]
        return near[-1] if near else end + _LOOK_BACK_US


@dataclass(frozen=True, slots=True)
class Asked:
    """A stretch of time of a device, both ends included."""

    device_id: UUID
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Stretch:
    """Readings of a device that are at hand, and how far they are known to be all there are.

    What an hour depends on lies hours away at most where a device is heard every minute, but may lie weeks away in a silence. So a
    stretch around what changed is read at once, and says itself whether it is enough; where it is not, the table is asked for more.

    Attributes:
        timeline: the readings.
        first: every reading from this moment on (microseconds of Unix time) is among them,
        last: up to this one.
    """

    timeline: Timeline
    first: int
    last: int

    def affected(self, start: int, end: int, *, straddle_us: int, has_counters: bool) -> tuple[int, int] | None:
        """The time in which numbers may change because readings from `start` to `end` did; None if that cannot be seen from here.

        The reverse of `holds`: an hour is affected if a reading that changed is in its context.
        """
        first, last = start - straddle_us, end + straddle_us
        if not has_counters:
            return first, last
        earlier = self._before(start, since=start - _REACH_US)
        later = self._after(end, until=end + _REACH_US)
        if earlier is None or later is None:
            return None
        first = min(first, *(at - _LOOK_BACK_US for at in (start, *earlier)))
        last = max(last, *later) if later else last
        if len(later) == BASES:
            # An hour is out of reach once BASES anchors and LOOK_BACK lie between it and the change.
            settled = later[-1] + _LOOK_BACK_US
            beyond = self._after(settled + 1, until=settled + _REACH_US, count=1)
            if beyond is None:
                return None
            last = max(last, settled, *beyond)
        return first, last

    def holds(self, start: int, end: int, *, straddle_us: int, has_counters: bool) -> bool:
        """Whether every reading that decides about the hours from `start` to `end` is at hand (see `Timeline.context`)."""
        first, last = start - straddle_us, end + straddle_us
        if has_counters:
            since = start - _REACH_US
            newest = self._before(start, since=since, count=1)
            following = self._after(end + _LOOK_BACK_US, until=end + _REACH_US)
            if newest is None or following is None:
                return False
            if newest:
                back = newest[0] - _LOOK_BACK_US
                bases = self._before(back, since=since)
                if bases is None:
                    return False
                first = min(first, back, *bases)
            last = max(last, end + _LOOK_BACK_US, *following)
        return self.first <= first and last <= self.last

    def _before(self, moment: int, *, since: int, count: int = BASES) -> Sequence[int] | None:
        """The last anchors before a moment, oldest first; None if more of them may be out of sight."""
        anchors = self.timeline.anchors
        end = bisect.bisect_left(anchors, moment)
        found = anchors[max(bisect.bisect_left(anchors, since), end - count) : end]
        is_certain = self.first <= moment <= self.last and (len(found) == count or self.first <= since)
        return found if is_certain else None

    def _after(self, moment: int, *, until: int, count: int = BASES) -> Sequence[int] | None:
        """The first anchors at or after a moment; None if more of them may be out of sight."""
        anchors = self.timeline.anchors
        start = bisect.bisect_left(anchors, moment)
        found = anchors[start : min(bisect.bisect_right(anchors, until), start + count)]
        is_certain = self.first <= moment <= self.last and (len(found) == count or until <= self.last)
        return found if is_certain else None


def join_windows(windows: Iterable[Window]) -> list[Window]:
    """Merge windows that overlap or touch."""
    joined: list[Window] = []
    for window in sorted(windows):
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return joined
