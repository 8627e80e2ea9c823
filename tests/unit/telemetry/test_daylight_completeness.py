"""How many of the readings that daylight promises are there: of a day, of a month, of a device and of the site."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from cloud.telemetry.rules.daylight import daylight
from cloud.telemetry.rules.facts import DeviceFacts, SiteFacts
from cloud.telemetry.rules.quarter import QuarterHour
from cloud.telemetry.rules.summary import Subject, Summary, summarise, summarise_days
from shared.enums import DeviceType
from shared.periods import QUARTER_HOUR, Window, day_window, days_between, month_window, quarter_hours, zone_of

KARACHI = zone_of("Asia/Karachi")
DAY = day_window(date(2026, 6, 21), KARACHI)
INVERTER = DeviceFacts(UUID(int=1), DeviceType.INVERTER, 60.0)
METER = DeviceFacts(UUID(int=2), DeviceType.METER, 300.0)
SITE = SiteFacts(UUID(int=9), UUID(int=8), KARACHI, (INVERTER, METER), latitude=31.52, longitude=74.36)
SUNRISE, SUNSET = datetime(2026, 6, 21, 0, 0, tzinfo=UTC), datetime(2026, 6, 21, 14, 0, tzinfo=UTC)
"""In whole quarter-hours: 05:03 and 19:07 in Lahore, without refraction."""


def readings(window: Window, is_heard: Callable[[datetime], bool], *, per_quarter: int = 15) -> list[QuarterHour]:
    return [QuarterHour(bucket, n_valid=per_quarter * is_heard(bucket)) for bucket in quarter_hours(window)]


def by_day(bucket: datetime) -> bool:
    return SUNRISE <= bucket < SUNSET


def summary_of(rows: list[QuarterHour], *, site: SiteFacts = SITE, device: DeviceFacts = INVERTER) -> Summary:
    return summarise(rows, DAY, Subject.of_device(site, device))


def test_daylight_of_the_longest_day_in_lahore() -> None:
    assert daylight(DAY, latitude=31.52, longitude=74.36) == (Window(SUNRISE, SUNSET),)


def test_a_device_that_sleeps_at_night_is_complete_by_day() -> None:
    day = summary_of(readings(DAY, by_day))
    assert day.daylight_completeness_percent == 100
    assert day.data_completeness_percent == pytest.approx(100 * 14 / 24)


def test_what_is_missing_at_night_does_not_count_and_by_day_it_does() -> None:
    at_night = readings(DAY, lambda bucket: not by_day(bucket))
    assert summary_of(at_night).daylight_completeness_percent == 0
    without_noon = readings(
        DAY, lambda bucket: abs(bucket - datetime(2026, 6, 21, 7, tzinfo=UTC)) >= timedelta(hours=1)
    )
    missing_quarters = sum(row.n_valid == 0 for row in without_noon)
    assert summary_of(without_noon).daylight_completeness_percent == pytest.approx(100 * (1 - missing_quarters / 56))


def test_a_site_counts_what_all_its_devices_promise() -> None:
    rows = readings(DAY, by_day, per_quarter=9)  # half of the inverter's 15 + 3
    assert summarise(rows, DAY, Subject.of_site(SITE)).daylight_completeness_percent == 50


def test_more_than_was_promised_is_complete() -> None:
    assert summary_of(readings(DAY, by_day, per_quarter=16)).daylight_completeness_percent == 100


def test_a_device_is_expected_from_its_commissioning_on() -> None:
    new = dataclasses.replace(INVERTER, commissioned_at=SUNSET - timedelta(hours=7))
    half = readings(DAY, lambda bucket: SUNSET - timedelta(hours=7) <= bucket < SUNSET)
    assert summary_of(half, device=new).daylight_completeness_percent == 100
    later = dataclasses.replace(INVERTER, commissioned_at=SUNSET)
    assert summary_of(half, device=later).daylight_completeness_percent is None


@pytest.mark.parametrize("missing", ["latitude", "longitude"])
def test_nobody_knows_the_daylight_of_a_site_without_coordinates(missing: str) -> None:
    site = dataclasses.replace(SITE, **{missing: None})
    assert summary_of(readings(DAY, by_day), site=site).daylight_completeness_percent is None


def test_there_is_none_where_the_sun_stays_down() -> None:
    winter = day_window(date(2026, 12, 21), KARACHI)
    tromso = dataclasses.replace(SITE, latitude=69.65, longitude=18.96)
    day = summarise(readings(winter, lambda _: True), winter, Subject.of_device(tromso, INVERTER))
    assert day.daylight_completeness_percent is None


def test_hours_have_no_such_number() -> None:
    hour = Window(SUNRISE, SUNRISE + 4 * QUARTER_HOUR)
    assert summarise(readings(hour, by_day), hour, Subject.of_site(SITE)).daylight_completeness_percent is None


def test_a_month_weighs_its_days_by_what_they_promise() -> None:
    month, subject = month_window(2026, 3, KARACHI), Subject.of_device(SITE, INVERTER)
    spans = [day_window(day, KARACHI) for day in days_between(date(2026, 3, 1), date(2026, 3, 31))]
    whole = [summarise(readings(span, lambda _: True), span, subject) for span in spans]
    assert summarise_days(whole, month, subject, day_windows=spans).daylight_completeness_percent == pytest.approx(100)
    weights = [subject.expected_by_day(span) for span in spans]
    assert weights[30] > weights[0]
    some = summarise_days(whole[:10], month, subject, day_windows=spans[:10])
    assert some.daylight_completeness_percent == pytest.approx(100 * sum(weights[:10]) / sum(weights))
