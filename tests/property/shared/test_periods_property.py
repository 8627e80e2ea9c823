"""Days, hours and months of every zone fill time without hole or overlap."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.periods import (
    HOUR,
    QUARTER_HOUR,
    NaiveTimeError,
    UnknownZoneError,
    Window,
    day_of,
    day_window,
    days_between,
    hour_window,
    hours_of,
    month_window,
    quarter_hour_ceil,
    quarter_hour_floor,
    quarter_hours,
    zone_of,
)

ZONES = [
    "Asia/Karachi", "Asia/Kathmandu", "Asia/Kolkata", "Europe/London", "America/New_York", "Australia/Lord_Howe", "America/St_Johns",
    "Africa/Cairo", "America/Havana", "UTC",
]  # fmt: skip

zones = st.sampled_from(ZONES).map(ZoneInfo)
days = st.dates(date(2001, 1, 1), date(2035, 12, 31))
moments = st.datetimes(datetime(2001, 1, 2), datetime(2035, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis wants naive bounds


@given(moments, zones)
def test_a_moment_lies_in_its_hour_in_its_day_in_its_month(at: datetime, zone: ZoneInfo) -> None:
    day = day_of(at, zone)
    hour, whole, month = hour_window(at, zone), day_window(day, zone), month_window(day.year, day.month, zone)
    assert at in hour
    assert whole.start <= hour.start < hour.end <= whole.end
    assert month.start <= whole.start < whole.end <= month.end


@given(days, zones)
def test_days_follow_each_other(day: date, zone: ZoneInfo) -> None:
    assert day_window(day, zone).end == day_window(day + timedelta(days=1), zone).start
    assert day_of(day_window(day, zone).start, zone) == day
    assert day_of(day_window(day, zone).end - timedelta(microseconds=1), zone) == day


@given(days, zones)
def test_the_hours_fill_the_day(day: date, zone: ZoneInfo) -> None:
    hours, whole = list(hours_of(day, zone)), day_window(day, zone)
    assert (hours[0].start, hours[-1].end) == (whole.start, whole.end)
    assert all(before.end == after.start for before, after in itertools.pairwise(hours))
    assert all(hour.end - hour.start == HOUR for hour in hours[:-1])
    assert all(hour_window(hour.start, zone) == hour for hour in hours)
    assert 23 <= len(hours) <= 25


@given(days, zones)
def test_quarter_hours_fill_every_day_and_hour(day: date, zone: ZoneInfo) -> None:
    whole = day_window(day, zone)
    quarters = list(quarter_hours(whole))
    assert (quarters[0], quarters[-1] + QUARTER_HOUR) == (whole.start, whole.end)
    assert quarters == [quarter for hour in hours_of(day, zone) for quarter in quarter_hours(hour)]


@given(st.integers(2001, 2035), st.integers(1, 12), zones)
def test_days_fill_the_month(year: int, month: int, zone: ZoneInfo) -> None:
    window = month_window(year, month, zone)
    inside = list(days_between(day_of(window.start, zone), day_of(window.end - QUARTER_HOUR, zone)))
    assert {(day.year, day.month) for day in inside} == {(year, month)}
    assert 28 <= len(inside) <= 31


@given(moments)
def test_quarter_hours_hold_their_moments(at: datetime) -> None:
    floor, ceil = quarter_hour_floor(at), quarter_hour_ceil(at)
    assert floor <= at < floor + QUARTER_HOUR
    assert at <= ceil < at + QUARTER_HOUR
    assert floor.minute % 15 == 0


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/London", date(2026, 3, 29), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Asia/Karachi", date(2008, 6, 1), 23),
        ("Asia/Karachi", date(2008, 10, 31), 25),
        ("Asia/Karachi", date(2026, 6, 1), 24),
        ("America/St_Johns", date(2006, 10, 29), 25),
        ("Africa/Cairo", date(2024, 4, 26), 23),
    ],
)
def test_days_with_a_changed_clock(zone: str, day: date, hours: float) -> None:
    assert day_window(day, zone_of(zone)).seconds == hours * 3600


def test_a_local_day_of_karachi_and_of_kathmandu() -> None:
    assert day_window(date(2026, 6, 1), zone_of("Asia/Karachi")).start == datetime(2026, 5, 31, 19, tzinfo=UTC)
    assert day_window(date(2026, 6, 1), zone_of("Asia/Kathmandu")).start == datetime(2026, 5, 31, 18, 15, tzinfo=UTC)


def test_windows_overlap_when_they_share_time() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    morning, afternoon = Window(noon - HOUR, noon), Window(noon, noon + HOUR)
    assert not morning.overlaps(afternoon)
    assert morning.overlaps(Window(noon - QUARTER_HOUR, noon + QUARTER_HOUR))


def test_what_is_no_zone_or_has_none() -> None:
    with pytest.raises(UnknownZoneError, match="Asia/Karachi"):
        zone_of("Pakistan/Lahore")
    with pytest.raises(UnknownZoneError, match="IANA"):
        zone_of("../etc/passwd")
    with pytest.raises(NaiveTimeError, match="aware"):
        quarter_hour_floor(datetime(2026, 6, 1))  # noqa: DTZ001 -- the naive moment is the point
