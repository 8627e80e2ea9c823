"""Three years of a counter in twelve zones: every day and month holds exactly what the counter rose in it, however long it was.

Whose day a quarter-hour belongs to is decided here by the wall clock alone (`ZoneInfo`), not by `shared.periods`: a day is over when the
clock first shows a later date, and does not come back where the clock is set back across midnight.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from uuid import UUID

import pytest

from cloud.telemetry.rules.context import Timeline
from cloud.telemetry.rules.facts import DeviceFacts, Flow, RawReading, SiteFacts
from cloud.telemetry.rules.quarter import QuarterHour, device_hours
from cloud.telemetry.rules.summary import Subject, Summary, summarise, summarise_days
from shared.enums import DeviceType
from shared.periods import QUARTER_HOUR, Window, day_window, days_between, hours_of, month_window, zone_of

INVERTER = DeviceFacts(UUID(int=1), DeviceType.INVERTER, poll_interval_s=900.0, rated_power_kw=4.0)
YEARS = 3


@dataclass(frozen=True)
class Place:
    """A zone, the first of its three years, and how many of its days were not 24 hours long."""

    zone: str
    first_year: int
    changed: Mapping[float, int]


PLACES = (
    Place("Asia/Karachi", 2009, {23: 1, 25: 1}),
    # Set forward and back at 00:01: a minute of the new day, then the last hour of the old one again.
    Place("America/St_Johns", 2009, {23: 3, 25: 3}),
    # Set forward at midnight, which does not exist on that day.
    Place("America/Sao_Paulo", 2009, {23: 3, 25: 3}),
    # 30 December 2011 was left out.
    Place("Pacific/Apia", 2009, {23: 2, 25: 1, 0: 1}),
    Place("Asia/Kathmandu", 2024, {}),
    Place("Asia/Kolkata", 2024, {}),
    Place("Europe/London", 2024, {23: 3, 25: 3}),
    Place("America/New_York", 2024, {23: 3, 25: 3}),
    Place("Australia/Lord_Howe", 2024, {23.5: 3, 24.5: 3}),
    Place("Pacific/Chatham", 2024, {23: 3, 25: 3}),
    Place("Africa/Cairo", 2024, {23: 3, 25: 3}),
    # Back to winter time for Ramadan.
    Place("Africa/Casablanca", 2024, {23: 3, 25: 3}),
)


def rise_wh(number: int) -> int:
    """What the counter rises in the quarter-hour of this number: 1 to 1,000 Wh, so that no day is like another.

    Never nothing: a counter that stands still for less than an hour is taken for a coarse one, and its next step is spread over that time.
    """
    return 1 + number * 7_919 % 1_000


@dataclass(frozen=True)
class Years:
    """A counter read every quarter-hour, and what the rules make of it."""

    start: datetime
    quarters: Sequence[QuarterHour]

    @property
    def rises(self) -> Iterator[tuple[datetime, int]]:
        """Start of each quarter-hour, and how much the counter rose in it (Wh)."""
        return ((self.start + number * QUARTER_HOUR, rise_wh(number)) for number in range(len(self.quarters)))


@cache
def years_from(first_year: int) -> Years:
    """Three years and, as no zone is further from UTC, a day before and after."""
    start = datetime(first_year, 1, 1, tzinfo=UTC) - timedelta(days=1)
    end = datetime(first_year + YEARS, 1, 2, tzinfo=UTC)
    count = (end - start) // QUARTER_HOUR
    readings, total_wh = [], 5_000_000
    for number in range(count + 1):
        readings.append(RawReading(start + number * QUARTER_HOUR, 0, {"energy_total_kwh": total_wh / 1000}))
        total_wh += rise_wh(number)
    site = SiteFacts(UUID(int=9), UUID(int=8), zone_of("UTC"), (INVERTER,), ac_capacity_kw=4.0)
    return Years(start, device_hours(Timeline.of(readings), Window(start, end), INVERTER, site))


def days_shown(place: Place, years: Years) -> dict[date, list[int]]:
    """Date -> rises of the quarter-hours that passed while it was the latest date that the clock had shown."""
    zone, latest = zone_of(place.zone), date.min
    found: dict[date, list[int]] = {}
    for at, wh in years.rises:
        latest = max(latest, at.astimezone(zone).date())
        found.setdefault(latest, []).append(wh)
    first = place.first_year
    return {day: rises for day, rises in found.items() if first <= day.year < first + YEARS}


@dataclass(frozen=True)
class Rolled:
    """The summaries of a place: of its days with data, of their hours where the day is special, and of its months."""

    days: Mapping[date, Summary]
    hours: Mapping[date, Sequence[Summary]]
    months: Mapping[tuple[int, int], Summary]


def roll_up(place: Place, years: Years) -> Rolled:
    zone, first = zone_of(place.zone), place.first_year
    site = SiteFacts(UUID(int=9), UUID(int=8), zone, (INVERTER,), ac_capacity_kw=4.0)
    subject = Subject.of_site(site)

    def inside(window: Window) -> Sequence[QuarterHour]:
        return years.quarters[(window.start - years.start) // QUARTER_HOUR : (window.end - years.start) // QUARTER_HOUR]

    days, hours = {}, {}
    for day in days_between(date(first, 1, 1), date(first + YEARS - 1, 12, 31)):
        window = day_window(day, zone)
        if quarters := inside(window):
            days[day] = summarise(quarters, window, subject)
        if window.seconds != 24 * 3600:
            hours[day] = [summarise(inside(hour), hour, subject) for hour in hours_of(day, zone)]
    months = {}
    for month, mine in itertools.groupby(days, key=lambda day: (day.year, day.month)):
        listed = list(mine)
        spans = [day_window(day, zone) for day in listed]
        told = [days[day] for day in listed]
        months[month] = summarise_days(told, month_window(*month, zone), subject, day_windows=spans)
    return Rolled(days, hours, months)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.zone)
def test_days_and_months_hold_what_the_counter_rose(place: Place) -> None:
    years = years_from(place.first_year)
    shown, rolled = days_shown(place, years), roll_up(place, years)
    assert {day: summary.energy_wh(Flow.GENERATED) for day, summary in rolled.days.items()} == {
        day: sum(rises) for day, rises in shown.items()
    }
    months: Counter[tuple[int, int]] = Counter()
    for day, rises in shown.items():
        months[day.year, day.month] += sum(rises)
    assert {month: summary.energy_wh(Flow.GENERATED) for month, summary in rolled.months.items()} == months
    assert len(months) == 12 * YEARS

    for day, summary in rolled.days.items():
        hours = len(shown[day]) / 4
        assert (summary.sample_count, summary.expected_count) == (hours * 4, hours * 4), day
        assert (summary.covered_seconds, summary.data_completeness_percent) == (hours * 3600, 100), day
        assert summary.capacity_factor == pytest.approx(sum(shown[day]) / 1000 / (4.0 * hours)), day
    for day, parts in rolled.hours.items():
        assert sum(hour.energy_wh(Flow.GENERATED) or 0 for hour in parts) == sum(shown.get(day, ())), day
        assert len(parts) == -(-len(shown.get(day, ())) // 4), day
    assert all(summary.data_completeness_percent == 100 for summary in rolled.months.values())


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.zone)
def test_days_are_as_long_as_the_clock_made_them(place: Place) -> None:
    zone = zone_of(place.zone)
    days = days_between(date(place.first_year, 1, 1), date(place.first_year + YEARS - 1, 12, 31))
    lengths = Counter(day_window(day, zone).seconds / 3600 for day in days)
    assert {hours: count for hours, count in lengths.items() if hours != 24} == dict(place.changed)
