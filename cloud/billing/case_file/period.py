"""The days and the month that a case is about."""

import calendar
from dataclasses import dataclass
from datetime import date, timedelta

from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.shape import CaseFile
from cloud.billing.rules.month import Month

MOST_DAYS = 92
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CasePeriod:
    """The bill's days, both included, and its month where the case names one."""

    first: date
    last: date
    month: Month | None

    @property
    def days(self) -> int:
        """Calendar days."""
        return (self.last - self.first).days + 1

    @property
    def bill_month(self) -> Month:
        """As named, else the month of the last day."""
        return self.month or Month.of(self.last)


def _same(field: str, value: date | None, *, other: str, also: date | None) -> date | None:
    if value is not None and also is not None and value != also:
        raise CaseError(field, f"{field} is {value} while {other} makes it {also}; keep one of the two")
    return value or also


def _ends(case: CaseFile) -> tuple[date | None, date | None]:
    read = case.previous_reading_date
    after = None if read is None else read + _ONE_DAY
    first = _same("period_start", case.period_start, other=f"previous_reading_date {read}", also=after)
    last = _same("period_end", case.period_end, other="reading_date", also=case.reading_date)
    return first, last


def period_of(case: CaseFile, *, covered: tuple[date, date] | None = None) -> CasePeriod:
    """The period: two days, two readings, a month of the calendar, or what the intervals cover.

    Args:
        case: as read.
        covered: first and last local day of the case's intervals.

    Raises:
        CaseError: if the period is not known, ends before it begins, or is longer than a bill.
    """
    first, last = _ends(case)
    month = None if case.bill_month is None else Month.parse(case.bill_month)
    if first is None and last is None:
        if month is not None:
            days = calendar.monthrange(month.year, month.month)[1]
            first, last = month.first_day, month.first_day + timedelta(days=days - 1)
        elif covered is not None:
            first, last = covered
    if first is None or last is None:
        missing = "period_start" if first is None else "period_end"
        raise CaseError(
            missing,
            f"{missing} is missing; give period_start and period_end (both inclusive), previous_reading_date and reading_date, "
            "or bill_month alone for a month of the calendar",
        )
    found = CasePeriod(first, last, month)
    if found.days < 1:
        raise CaseError(
            "period_end", f"period_end is {last}, before period_start {first}; both days belong to the period"
        )
    if found.days > MOST_DAYS:
        raise CaseError(
            "period_end",
            f"period_end is {last}, {found.days} days from period_start {first}; a bill has at most {MOST_DAYS} days: "
            "write one case for each bill",
        )
    return found
