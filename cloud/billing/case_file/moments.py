"""Days and months as people and bills write them."""

import re
from datetime import date, datetime
from typing import Any

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 12, 31)
"""Days of which there can be bills."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PRINTED_DAY = re.compile(r"(?P<d>\d{1,2})[ \-/]?(?P<name>[A-Za-z]{3,9})[ \-/,]*(?P<y>\d{4}|\d{2})")
_NAME_FIRST = re.compile(r"(?P<name>[A-Za-z]{3,9}) (?P<d>\d{1,2}), ?(?P<y>\d{4})")
_YEAR_FIRST = re.compile(r"(?P<y>\d{4})([\-/])(?P<m>\d{1,2})\2(?P<d>\d{1,2})(?:[T ]00:00(?::00)?)?")
_DAYS = (_YEAR_FIRST, _PRINTED_DAY, _NAME_FIRST)
_MONTH_FORMS = (
    re.compile(r"(?P<y>\d{4})[\-/](?P<m>\d{1,2})"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})"),
    re.compile(r"(?P<m>\d{1,2})[\-/](?P<y>\d{4})"),
    re.compile(r"(?P<name>[A-Za-z]{3,9})[ \-/,]*(?P<y>\d{4}|\d{2})"),
    re.compile(r"(?P<y>\d{4})[ \-/](?P<name>[A-Za-z]{3,9})"),
)
"""Each can mean one month only: a year of four digits, or a month's name."""


def _month_number(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else 2000 + int(text)


def _date_of(found: re.Match[str]) -> date:
    parts = found.groupdict()
    month = _month_number(parts["name"]) if parts.get("name") else int(parts["m"])
    return date(_year(parts["y"]), month, int(parts.get("d") or 1))


def day_of_text(value: Any) -> date:  # noqa: ANN401 -- whatever JSON brought
    """A day from `2026-06-23`, or as bills print it: `23-Jun-2026`, `23 JUN 26`.

    Raises:
        ValueError: if it is neither; months as numbers in another order are not guessed.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("not a day")  # noqa: TRY004 -- pydantic turns a ValueError into a wrong field
    text = value.strip()
    found = next((match for form in _DAYS if (match := form.fullmatch(text))), None)
    return date.fromisoformat(text) if found is None else _date_of(found)


def month_of_text(value: Any) -> str:  # noqa: ANN401 -- whatever JSON brought
    """A month as `2026-06`, from that, from `Jun-2026`, `JUN 26`, `06/2026`, or from one of its days.

    Raises:
        ValueError: if it is none of them.
    """
    if not isinstance(value, str):
        raise ValueError("not a month")  # noqa: TRY004 -- as above
    text = value.strip()
    forms = (*_MONTH_FORMS, _YEAR_FIRST)
    found = next((match for form in forms if (match := form.fullmatch(text))), None)
    if found is None:
        raise ValueError("not a month")
    first = _date_of(found)
    if not EARLIEST <= first <= LATEST:
        raise ValueError("not a month of these times")
    return f"{first.year:04d}-{first.month:02d}"
