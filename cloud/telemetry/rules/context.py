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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cloud.telemetry.rules.facts import COUNTERS, RawReading
from shared.enums import Quality
from shared.periods import HOUR, Window

BASES = 4
LOOK_BACK = timedelta(minutes=75)
REACH = timedelta(days=40)
"""A gap longer than this is not bridged."""


UNUSABLE = sum(flag for flag in Quality if not flag.enters_rollups)
"""Bits of which each keeps a reading out of everything, as a plain number: they are looked at once per reading."""


def is_valid(reading: RawReading) -> bool:
    """Whether anything may be computed from the reading."""
    return not reading.quality & UNUSABLE


def is_anchor(reading: RawReading) -> bool:
    """Whether the reading can be an end of an increment."""
    return is_valid(reading) and any(reading.values.get(name) is not None for name in COUNTERS)


def utc_hour(at: datetime) -> datetime:
    """Start of the hour of UTC that holds an aware UTC moment."""
    return at.replace(minute=0, second=0, microsecond=0)


def hours_in(window: Window) -> Iterator[datetime]:
    """Starts of the hours of UTC in a window that begins and ends with one."""
    start = window.start
    while start < window.end:
        yield start
        start += HOUR


@dataclass(slots=True)
class Timeline:
    """A device's readings in order of time, ready to be cut into the contexts of its hours."""

    readings: list[RawReading]
    moments: list[datetime]
    anchors: list[datetime]

    @classmethod
    def of(cls, readings: Iterable[RawReading]) -> "Timeline":
        """From readings in any order."""
        ordered = sorted(readings, key=lambda reading: reading.at)
        anchors = [reading.at for reading in ordered if is_anchor(reading)]
        return cls(ordered, [reading.at for reading in ordered], anchors)

    def context(self, hour: datetime, *, straddle: timedelta) -> Sequence[RawReading]:
        """The readings that decide about an hour.

        Args:
            hour: its start.
            straddle: time around the hour in which gauges are needed, to know their course at its ends.
        """
        end = hour + HOUR
        first = min(hour - straddle, self._reach_back(hour))
        last = max(end + straddle, self._reach_ahead(end))
        return self.readings[bisect.bisect_left(self.moments, first) : bisect.bisect_right(self.moments, last)]

    def _reach_back(self, hour: datetime) -> datetime:
        oldest = bisect.bisect_left(self.anchors, hour - REACH)
        before = bisect.bisect_left(self.anchors, hour)
        if before == oldest:
            return hour
        start = self.anchors[before - 1] - LOOK_BACK
        base = bisect.bisect_left(self.anchors, start, lo=oldest)
        return start if base == oldest else self.anchors[max(oldest, base - BASES)]

    def _reach_ahead(self, end: datetime) -> datetime:
        after = bisect.bisect_left(self.anchors, end + LOOK_BACK)
        near = [at for at in self.anchors[after : after + BASES] if at <= end + REACH]
        return near[-1] if near else end + LOOK_BACK


def join_windows(windows: Iterable[Window]) -> list[Window]:
    """Merge windows that overlap or touch."""
    joined: list[Window] = []
    for window in sorted(windows):
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return joined
