"""Values that people write in several shapes: units in parts, a history as a list, a period in one."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from cloud.billing.case_file.problems import CaseError, shown

_MONTH_KEYS = ("month", "bill_month", "billing_month", "date")
_PAIR = 2
_TWO_DAYS = re.compile(r"(?P<start>\S+?)\s*(?:/| to )\s*(?P<end>\S+)")
PEAK_KEYS = {"peak": "peak", "off_peak": "off_peak", "offpeak": "off_peak"}


def _number_or_none(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def sum_of_parts(parts: Mapping[str, Any]) -> tuple[Decimal, Decimal] | None:
    """Whole and peak part of `{"peak": 10, "off_peak": 690}`; None if these are not there, are no numbers, or are not all."""
    named = {PEAK_KEYS[key]: _number_or_none(value) for key, value in parts.items() if key in PEAK_KEYS}
    peak, off_peak = named.get("peak"), named.get("off_peak")
    if len(named) != len(parts) or len(named) != _PAIR or peak is None or off_peak is None:
        return None
    return peak + off_peak, peak


def one_of_month(value: object) -> object:
    """What a month's entry says: `{"units": 216}`, or peak and off-peak added up; anything else as it is."""
    if not isinstance(value, Mapping) or not value:
        return value
    if len(value) == 1:
        key, only = next(iter(value.items()))
        return value if key in PEAK_KEYS else only
    whole = sum_of_parts(value)
    return value if whole is None else whole[0]


def _of_mapping(entry: Mapping[str, Any]) -> tuple[str, object] | None:
    rest = dict(entry)
    if set(rest) >= {"year", "month"}:
        month = f"{rest.pop('year')}-{rest.pop('month')}"
    else:
        keys = [key for key in _MONTH_KEYS if key in rest]
        if len(keys) != 1:
            return None
        month = str(rest.pop(keys[0]))
    found = one_of_month(rest)
    return None if isinstance(found, Mapping) else (month, found)


def month_entry(entry: object) -> tuple[str, object] | None:
    """Month and number of one entry of a list; None if it leaves one of them open."""
    if isinstance(entry, Mapping):
        return _of_mapping(entry)
    if isinstance(entry, list) and len(entry) == _PAIR and isinstance(entry[0], str):
        return entry[0], entry[1]
    return None


def period_parts(period: object) -> Mapping[str, Any]:
    """A period's two days by name, from an object, a list of two, or `2026-05-24/2026-06-23`.

    Raises:
        CaseError: if it is none of them.
    """
    if isinstance(period, Mapping):
        return period
    if isinstance(period, list) and len(period) == _PAIR:
        return {"start": period[0], "end": period[1]}
    if isinstance(period, str) and (found := _TWO_DAYS.fullmatch(period.strip())):
        return found.groupdict()
    raise CaseError("period", f'period is {shown(period)}; write {{"start": "2026-05-24", "end": "2026-06-23"}}')
