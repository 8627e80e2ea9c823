"""Calendar months, as bills count them."""

from dataclasses import dataclass
from datetime import date

from cloud.billing.rules.errors import BillingError


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month."""

    year: int
    month: int

    @classmethod
    def of(cls, day: date) -> "Month":
        """The month that holds the day."""
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Read `2026-07`.

        Raises:
            BillingError: if it is not a year and a month.
        """
        try:
            return cls.of(date.fromisoformat(f"{text}-01"))
        except ValueError as error:
            raise BillingError(f"month {text!r} is not a month; write it as YYYY-MM, e.g. 2026-07") from error

    def back(self, months: int) -> "Month":
        """The month so many months earlier."""
        index = self.year * 12 + self.month - 1 - months
        return Month(index // 12, index % 12 + 1)

    @property
    def first_day(self) -> date:
        """First day of the month."""
        return date(self.year, self.month, 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"
