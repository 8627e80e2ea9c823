"""Versions of a tariff in time: which days nobody rules, which days two rule, and what two versions say differently."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from cloud.billing.rules.money import number_text
from cloud.billing.rules.records import slabs_of
from cloud.billing.rules.slabs import slab_label

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Days from `first` to `last`, both included.

    Attributes:
        last: None = until further notice.
    """

    first: date
    last: date | None = None

    def covers(self, day: date) -> bool:
        """Whether the day belongs to it."""
        return self.first <= day and (self.last is None or day <= self.last)

    def overlaps(self, other: "Span") -> bool:
        """Whether any day belongs to both."""
        return self.covers(other.first) or other.covers(self.first)

    def __str__(self) -> str:
        return f"{self.first} to {self.last}" if self.last is not None else f"{self.first} on"


def _start(span: Span) -> tuple[date, date]:
    return span.first, span.last or date.max


def gaps_between(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Days between the first and the last version that no version rules, in order."""
    found: list[Span] = []
    ruled_to: date | None = None
    for span in sorted(spans, key=_start):
        if ruled_to is not None and ruled_to < date.max and span.first > ruled_to + ONE_DAY:
            found.append(Span(ruled_to + ONE_DAY, span.first - ONE_DAY))
        ruled_to = max(ruled_to or date.min, span.last or date.max)
    return tuple(found)


def overlapping(spans: Iterable[Span]) -> tuple[tuple[Span, Span], ...]:
    """Neighbours in time that rule the same day, the earlier one first; empty exactly when no two spans share a day."""
    return tuple(pair for pair in pairwise(sorted(spans, key=_start)) if pair[0].overlaps(pair[1]))


def room_for(span: Span, others: Iterable[Span]) -> Span | None:
    """What is left of a version where others take precedence: from its first day to the day before one of them begins.

    Returns:
        None if its first day is taken.
    """
    taken = list(others)
    if any(other.covers(span.first) for other in taken):
        return None
    starts = [other.first - ONE_DAY for other in taken if other.first > span.first]
    ends = [day for day in (span.last, *starts) if day is not None]
    return Span(span.first, min(ends, default=None))


def unknown_rates(rates: Mapping[str, Any]) -> tuple[str, ...]:
    """What a version of a tariff leaves open, in words; a bill that needs it says so.

    Args:
        rates: JSON of `tariff_plans.rates`.
    """
    found: list[str] = []
    slabs = slabs_of(rates)
    for index, slab in enumerate(slabs):
        label = slab_label(slabs, index)
        if slab.rate is None:
            found.append(f"the rate for {label} kWh")
        if rates.get("slab_fixed") and slab.fixed is None:
            found.append(f"the fixed charge for {label} kWh")
    if rates.get("pricing_rule") == "tou":
        names = {"peak_rate_per_kwh": "the peak rate", "off_peak_rate_per_kwh": "the off-peak rate"}
        found += [words for name, words in names.items() if rates.get(name) is None]
    if rates.get("pricing_rule") == "flat" and rates.get("energy_charge_per_kwh") is None:
        found.append("the rate per kWh")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Change:
    """One value that two documents give differently.

    Attributes:
        field: dotted: `rates.slabs.201-300.rate_per_kwh`.
        old: as written; None = not given.
        new: likewise.
    """

    field: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.field}: {self.new} (was not given)"
        if self.new is None:
            return f"{self.field}: no longer given (was {self.old})"
        return f"{self.field}: {self.old} -> {self.new}"


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """What differs between two documents, by field; `25` and `25.00` are the same number.

    Slabs are compared by the units that they hold, not by their place in the list.
    """
    before, after = _flat(old), _flat(new)
    names = list(dict.fromkeys((*before, *after)))
    return tuple(
        Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, item in value.items():
        found |= _leaf(item, f"{prefix}{name}")
    return found


def _leaf(item: object, name: str) -> dict[str, str]:
    if item is None or item == "":
        return {}
    if isinstance(item, Mapping):
        return _flat(item, f"{name}.")
    if isinstance(item, Sequence | frozenset | set) and not isinstance(item, str):
        return _items(list(item), name)
    return {name: written(item)}


def _items(items: Sequence[Any], name: str) -> dict[str, str]:
    if not items:
        return {}
    if all(isinstance(item, str) for item in items):
        return {name: ", ".join(sorted(written(item) for item in items))}  # a set of words; their order says nothing
    if not all(isinstance(item, Mapping) for item in items):
        return {name: ", ".join(written(item) for item in items)}
    found: dict[str, str] = {}
    for key, item in zip(_names_of(items), items, strict=True):
        inside = _flat({k: v for k, v in item.items() if k not in {"min_units", "max_units"}}, f"{name}.{key}.")
        found |= inside or {f"{name}.{key}": "without values"}
    return found


def _names_of(items: Sequence[Mapping[str, Any]]) -> list[str]:
    if "min_units" not in items[0]:
        return [str(index) for index in range(len(items))]
    slabs = slabs_of({"slabs": items})
    return [slab_label(slabs, index) for index in range(len(slabs))]


def written(value: object) -> str:
    """A value of a tariff document as people read it: `25.00` as 25, true as yes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return number_text(number) if number.is_finite() else str(value)
