"""Which days a month's bill covers, by the day of the month on which the meter is read."""

import calendar
from dataclasses import dataclass
from datetime import date, timedelta

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.month import Month

LAST_READING_DAY = 31
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BillPeriod:
    """Days of a month's bill, `first` and `last` included."""

    month: Month
    first: date
    last: date

    @property
    def days(self) -> int:
        """Calendar days."""
        return (self.last - self.first).days + 1


def reading_date(month: Month, reading_day: int | None) -> date:
    """The day in a month on which the meter is read: its last day where the month is shorter, or no day is given.

    Raises:
        BillingError: if the day is not 1 to 31.
    """
    if reading_day is not None and not 1 <= reading_day <= LAST_READING_DAY:
        raise BillingError(
            f"reading_day is {reading_day}; it is the day of the month on which the meter is read, 1 to 31"
        )
    length = calendar.monthrange(month.year, month.month)[1]
    return date(month.year, month.month, min(reading_day or LAST_READING_DAY, length))


def bill_period(month: Month, reading_day: int | None) -> BillPeriod:
    """From the day after the previous month's reading to this month's; without a reading day the calendar month.

    Periods of successive months meet without gap or overlap.
    """
    return BillPeriod(month, reading_date(month.back(1), reading_day) + _ONE_DAY, reading_date(month, reading_day))


def period_holding(day: date, reading_day: int | None) -> BillPeriod:
    """The period that the day belongs to."""
    month = Month.of(day)
    return bill_period(month if day <= reading_date(month, reading_day) else month.back(-1), reading_day)


def latest_ended(today: date, reading_day: int | None) -> BillPeriod:
    """The last period whose days are all past."""
    return bill_period(period_holding(today, reading_day).month.back(1), reading_day)
