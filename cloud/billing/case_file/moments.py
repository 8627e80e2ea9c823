"""Days and months as people and bills write them."""

import re
from datetime import date, datetime
from typing import Any

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 12, 31)
"""Days of which there can be bills."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PRINTED_DAY = re.compile(r"(\d{1,2})[ \-/]([A-Za-z]{3,9})[ \-/,]+(\d{4}|\d{2})")
_PRINTED_MONTH = re.compile(r"([A-Za-z]{3,9})[ \-/,]+(\d{4}|\d{2})")
_MONTH = re.compile(r"(\d{4})-(\d{1,2})")


def _month_number(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else 2000 + int(text)


def day_of_text(value: Any) -> date:  # noqa: ANN401 -- whatever JSON brought
    """A day from `2026-06-23`, or as bills print it: `23-Jun-2026`, `23 JUN 26`.

    Raises:
        ValueError: if it is neither; months as numbers in another order are not guessed.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("not a day")  # noqa: TRY004 -- pydantic turns a ValueError into a wrong field
    printed = _PRINTED_DAY.fullmatch(value.strip())
    if printed is None:
        return date.fromisoformat(value.strip())
    day, month, year = printed.groups()
    return date(_year(year), _month_number(month), int(day))


def month_of_text(value: Any) -> str:  # noqa: ANN401 -- whatever JSON brought
    """A month as `2026-06`, from that or from `Jun-2026`, `JUN 26`.

    Raises:
        ValueError: if it is neither.
    """
    if not isinstance(value, str):
        raise ValueError("not a month")  # noqa: TRY004 -- as above
    printed, plain = _PRINTED_MONTH.fullmatch(value.strip()), _MONTH.fullmatch(value.strip())
    if printed is not None:
        first = date(_year(printed[2]), _month_number(printed[1]), 1)
    elif plain is not None:
        first = date(int(plain[1]), int(plain[2]), 1)
    else:
        raise ValueError("not a month")
    if not EARLIEST <= first <= LATEST:
        raise ValueError("not a month of these times")
    return f"{first.year:04d}-{first.month:02d}"
