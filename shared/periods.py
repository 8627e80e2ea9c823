"""Quarter-hours, hours, days and months of a site, as half-open windows of UTC.

The quarter-hour is a matter of UTC; everything above belongs to the site's IANA zone. A day is what lies between two local
midnights and has 23, 24 or 25 hours (23.5 or 24.5 on Lord Howe Island). Hours are counted from the local midnight, so that the hours of
a day fill it without overlap on every day; where the clock is set by half an hour, the day's last hour is half as long.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import SolarHubError

QUARTER_HOUR = timedelta(minutes=15)
HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class UnknownZoneError(SolarHubError):
    """The name is not one of the IANA time zone database."""


class NaiveTimeError(SolarHubError):
    """A moment without a zone cannot be placed."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A stretch of time.

    Attributes:
        start: first aware UTC moment.
        end: first aware UTC moment after it.
    """

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Length in s."""
        return (self.end - self.start).total_seconds()

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def overlaps(self, other: "Window") -> bool:
        """Whether the two share any time."""
        return self.start < other.end and other.start < self.end


def zone_of(name: str) -> ZoneInfo:
    """The zone of this IANA name.

    Raises:
        UnknownZoneError: if there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UnknownZoneError(f"time zone {name!r} is not known; give an IANA name such as 'Asia/Karachi'") from error


def quarter_hour_floor(at: datetime) -> datetime:
    """Start (UTC) of the quarter-hour that holds this moment.

    Raises:
        NaiveTimeError: if `at` has no zone.
    """
    moment = _utc(at)
    return moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)


def quarter_hour_ceil(at: datetime) -> datetime:
    """Start of the first quarter-hour that begins at or after this moment."""
    floor = quarter_hour_floor(at)
    return floor if floor == at else floor + QUARTER_HOUR


def quarter_hours(window: Window) -> Iterator[datetime]:
    """Starts of all quarter-hours that share time with the window, in order."""
    start = quarter_hour_floor(window.start)
    while start < window.end:
        yield start
        start += QUARTER_HOUR


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The site's day that holds this moment: always the one whose `day_window` contains it.

    Where a clock is set back across midnight (Saint John's until 2011), the hour that is shown twice belongs to the day that had begun.
    """
    moment = _utc(at)
    day = moment.astimezone(zone).date()
    if moment >= _midnight(day + _DAY, zone):
        return day + _DAY
    return day


def day_window(day: date, zone: ZoneInfo) -> Window:
    """From this local midnight to the next. Where midnight is skipped, the day starts with the first moment that exists."""
    return Window(_midnight(day, zone), _midnight(day + _DAY, zone))


def month_window(year: int, month: int, zone: ZoneInfo) -> Window:
    """From the first local midnight of the month to that of the next."""
    following = date(year + month // 12, month % 12 + 1, 1)
    return Window(_midnight(date(year, month, 1), zone), _midnight(following, zone))


def hour_window(at: datetime, zone: ZoneInfo) -> Window:
    """The hour of the site's day that holds this moment, counted from the local midnight."""
    day = day_window(day_of(at, zone), zone)
    start = day.start + (_utc(at) - day.start) // HOUR * HOUR
    return Window(start, min(start + HOUR, day.end))


def hours_of(day: date, zone: ZoneInfo) -> Iterator[Window]:
    """The hours of a local day, in order."""
    whole = day_window(day, zone)
    start = whole.start
    while start < whole.end:
        yield Window(start, min(start + HOUR, whole.end))
        start += HOUR


def days_between(first: date, last: date) -> Iterator[date]:
    """Days from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # A skipped midnight read with the offset before the change (fold=0) is the very moment of the change.
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise NaiveTimeError(f"moment {at.isoformat()} has no time zone; give an aware one, UTC for instance")
    return at.astimezone(UTC)
