"""Periods of bills, for any reading day, month and leap year."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.cycle import bill_period, latest_ended, period_holding, reading_date
from cloud.billing.rules.month import Month

months = st.builds(Month, st.integers(2023, 2033), st.integers(1, 12))
reading_days = st.none() | st.integers(1, 31)
dates = st.dates(date(2023, 1, 1), date(2033, 12, 31))


@given(months, reading_days)
def test_periods_meet(month: Month, reading_day: int | None) -> None:
    this, following = bill_period(month, reading_day), bill_period(month.back(-1), reading_day)
    assert following.first == this.last + timedelta(days=1)
    assert Month.of(this.last) == month
    assert 28 <= this.days <= 31


@given(dates, reading_days)
def test_every_day_has_one_period(day: date, reading_day: int | None) -> None:
    period = period_holding(day, reading_day)
    assert period.first <= day <= period.last
    assert period == bill_period(period.month, reading_day)


@given(dates, reading_days)
def test_the_latest_ended_is_the_one_before(day: date, reading_day: int | None) -> None:
    ended = latest_ended(day, reading_day)
    assert ended.last < day
    assert ended.last + timedelta(days=1) == period_holding(day, reading_day).first


@given(months)
def test_the_31st_is_the_last_day_and_so_is_no_day(month: Month) -> None:
    assert bill_period(month, 31) == bill_period(month, None)
    assert bill_period(month, 31).first.day == 1


@pytest.mark.parametrize(
    ("month", "reading_day", "first", "last"),
    [
        (Month(2026, 9), 4, date(2026, 8, 5), date(2026, 9, 4)),
        (Month(2024, 2), 30, date(2024, 1, 31), date(2024, 2, 29)),
        (Month(2024, 3), 30, date(2024, 3, 1), date(2024, 3, 30)),
        (Month(2025, 2), 29, date(2025, 1, 30), date(2025, 2, 28)),
        (Month(2026, 1), 1, date(2025, 12, 2), date(2026, 1, 1)),
        (Month(2026, 4), None, date(2026, 4, 1), date(2026, 4, 30)),
    ],
)
def test_known_periods(month: Month, reading_day: int | None, first: date, last: date) -> None:
    period = bill_period(month, reading_day)
    assert (period.first, period.last) == (first, last)


@pytest.mark.parametrize("day", [0, 32, -1])
def test_a_day_that_no_month_has(day: int) -> None:
    with pytest.raises(BillingError, match=f"reading_day is {day}"):
        reading_date(Month(2026, 1), day)
