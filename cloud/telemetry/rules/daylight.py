"""The quarter-hours of a period in which the sun is up at a site.

A quarter-hour belongs to the daylight as a whole if the sun is above the horizon in its middle, so that readings need not be looked at
again to tell those by day from those by night.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from cloud.telemetry.rules.context import join_windows
from shared.periods import QUARTER_HOUR, Window, days_between, quarter_hour_ceil
from shared.sun import sun_up

_MIDDLE = QUARTER_HOUR / 2
_DAY = timedelta(days=1)


@lru_cache(maxsize=512)
def daylight(window: Window, *, latitude: float, longitude: float) -> tuple[Window, ...]:
    """The daylight of a period, in whole quarter-hours and in order; empty where the sun stays down.

    Args:
        window: begins and ends with a quarter-hour.
        latitude: degrees, north positive.
        longitude: degrees, east positive.
    """
    return tuple(join_windows(_spans(window, latitude, longitude)))


def _spans(window: Window, latitude: float, longitude: float) -> Iterator[Window]:
    # A place's noon is up to half a day away from that of UTC, and so is sunrise from noon.
    for day in days_between((window.start - _DAY).date(), (window.end + _DAY).date()):
        up = sun_up(latitude, longitude, day=day)
        if up is None:
            continue
        start = max(window.start, quarter_hour_ceil(up.start - _MIDDLE))
        end = min(window.end, quarter_hour_ceil(up.end - _MIDDLE))
        if start < end:
            yield Window(start, end)


def sum_within(buckets: Sequence[datetime], counts: Sequence[int], spans: Iterable[Window]) -> int:
    """Sum the counts of the quarter-hours that lie in some spans.

    Args:
        buckets: starts of quarter-hours, in order.
        counts: one of each.
        spans: in whole quarter-hours, without overlap.
    """
    places = [(bisect_left(buckets, span.start), bisect_left(buckets, span.end)) for span in spans]
    return sum(sum(counts[first:end]) for first, end in places)
