"""What a month should give: known answers."""

import dataclasses
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from cloud.telemetry.rules.expectation import ASSUMED_LATITUDE, expected_month_kwh, extraterrestrial_kwh_m2
from cloud.telemetry.rules.facts import RollupFlag, SiteFacts
from cloud.telemetry.rules.summary import Subject, Summary, summarise_days
from shared.periods import day_window, month_window, zone_of

TABLE = tuple(float(100 + month) for month in range(12))
SITE = SiteFacts(UUID(int=9), UUID(int=8), zone_of("Asia/Karachi"), (), dc_capacity_kw=10.0, latitude=31.52)
JUNE = month_window(2026, 6, SITE.zone)
JUNE_DAYS = [day_window(date(2026, 6, day), SITE.zone) for day in range(1, 31)]


def default(month: int, latitude: float | None, *, year: int = 2026) -> float:
    return expected_month_kwh(year, month, dc_capacity_kw=1.0, latitude=latitude, monthly_yield=None)


def june(site: SiteFacts, *, days: int = 30, kwh: float = 50.0) -> Summary:
    told = [
        Summary(
            energy_generated_kwh=kwh,
            covered_seconds=86_400,
            sample_count=1,
            peak_power_at=datetime(2026, 6, 1, tzinfo=UTC),
        )
    ] * days
    return summarise_days(told, JUNE, Subject.of_site(site), day_windows=JUNE_DAYS[:days])


def test_the_worked_example_of_the_standard() -> None:
    # FAO 56, example 8: 3 September (day 246) at 20 degrees south gives 32.2 MJ/m2.
    assert extraterrestrial_kwh_m2(246, -20.0) * 3.6 == pytest.approx(32.2, abs=0.05)


def test_the_default_is_that_of_a_sunny_country() -> None:
    year = [default(month, 31.52) for month in range(1, 13)]
    assert 1_300 < sum(year) < 1_600
    assert min(year) == year[11]
    assert max(year) in (year[4], year[5], year[6])
    assert sum(year) < sum(default(month, 24.86) for month in range(1, 13))


def test_a_leap_day_counts() -> None:
    assert default(2, 31.52, year=2028) == pytest.approx(default(2, 31.52) * 29 / 28, rel=0.02)


def test_a_site_that_does_not_tell_where_it_is_lies_in_the_middle_of_the_country() -> None:
    assert default(6, None) == default(6, ASSUMED_LATITUDE)


@pytest.mark.parametrize("latitude", [-90.0, -66.6, 0.0, 66.6, 90.0])
def test_no_latitude_gives_nonsense(latitude: float) -> None:
    assert all(0 <= extraterrestrial_kwh_m2(day, latitude) < 14 for day in range(1, 367))


def test_the_installers_table_wins_and_the_default_is_flagged() -> None:
    told = june(dataclasses.replace(SITE, monthly_yield=TABLE))
    assert told.expected_generation_kwh == 1_050
    assert told.generation_variance_percent == pytest.approx(100 * (1_500 - 1_050) / 1_050)
    assert not told.flags & RollupFlag.DEFAULT_EXPECTATION
    assumed = june(SITE)
    assert assumed.expected_generation_kwh == pytest.approx(10 * default(6, 31.52))
    assert assumed.flags & RollupFlag.DEFAULT_EXPECTATION


def test_a_month_that_is_not_complete_has_no_variance() -> None:
    assert june(SITE, days=28).generation_variance_percent is None
    assert june(SITE, days=29).generation_variance_percent is not None
    assert june(SITE, days=28).expected_generation_kwh is not None


def test_without_a_rating_nothing_can_be_expected() -> None:
    told = june(dataclasses.replace(SITE, dc_capacity_kw=None))
    assert (told.expected_generation_kwh, told.generation_variance_percent) == (None, None)
