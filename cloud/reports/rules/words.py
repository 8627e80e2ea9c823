"""Dates and numbers as a reader wants them."""

from datetime import date

from cloud.reports.rules.document import Cell, Column, Day

DASH = "–"


def number(value: float | None, *, decimals: int = 0) -> str:
    """`12,345.6`; a dash when not known; never "-0"."""
    if value is None:
        return DASH
    text = f"{value:,.{decimals}f}"
    return text if text.strip("-0.,") else text.removeprefix("-")


def day(value: date) -> str:
    """`5 October 2026`."""
    return f"{value.day} {value:%B %Y}"


def period(first: date, last: date) -> str:
    """Both days belong to it: `1 to 31 October 2026`, `24 May to 23 June 2026`, `5 October 2026`."""
    if first == last:
        return day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {day(last)}"
    if first.year == last.year:
        return f"{first.day} {first:%B} to {day(last)}"
    return f"{day(first)} to {day(last)}"


def cell(value: Cell, column: Column) -> str:
    """A table's cell as text."""
    if value is None:
        return DASH
    if isinstance(value, Day):
        return f"{value.day:%a} {value.day.day} {value.day:%b}"
    return value if isinstance(value, str) else number(value, decimals=column.decimals)
