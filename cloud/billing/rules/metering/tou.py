"""Peak hours: by distribution company and season, to the minute, in local time.

Source: NEPRA's schedule of tariffs for the ex-WAPDA companies and for K-Electric.
"""

from dataclasses import dataclass
from datetime import datetime, time


@dataclass(frozen=True, slots=True)
class PeakHours:
    """Peak hours of some months: [start, end) in local time."""

    months: frozenset[int]
    start: time
    end: time


_EX_WAPDA = (
    PeakHours(frozenset({12, 1, 2}), time(17), time(21)),
    PeakHours(frozenset({3, 4, 5}), time(18), time(22)),
    PeakHours(frozenset({6, 7, 8}), time(19), time(23)),
    PeakHours(frozenset({9, 10, 11}), time(18), time(22)),
)
_K_ELECTRIC = (
    PeakHours(frozenset({4, 5, 6, 7, 8, 9, 10}), time(18, 30), time(22, 30)),
    PeakHours(frozenset({11, 12, 1, 2, 3}), time(18), time(22)),
)


def is_peak(local: datetime, disco_provider: str) -> bool:
    """Whether a local moment lies in the company's peak hours."""
    seasons = _K_ELECTRIC if disco_provider == "kelectric" else _EX_WAPDA
    return any(local.month in hours.months and hours.start <= local.time() < hours.end for hours in seasons)
