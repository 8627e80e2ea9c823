"""Checks tariff data as a whole and finds everything that is wrong with it, each thing with its place and the way out.

`catalogue.parse_catalogue` stops at the first mistake: right for a program that must not start on wrong rates, little help for whoever
writes a file of them.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cloud.billing.catalogue import TABLES
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.records import plan_of
from cloud.billing.rules.versions import Span, gaps_between, overlapping
from cloud.billing.schemas.entries import AdjustmentEntry, CategoryEntry, PlanEntry
from cloud.core.discos import DiscoProvider

_SHAPES: Mapping[str, type[BaseModel]] = {
    "categories": CategoryEntry,
    "plans": PlanEntry,
    "adjustments": AdjustmentEntry,
}
_MONTHLY_KINDS = ("fca", "qta")
"""Adjustments that follow each other without a pause."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with tariff data.

    Attributes:
        place: the file, or `database`.
        entry: which entry of it: `plans[3] B-2 from 2026-02-12`.
        field: dotted, inside the entry; empty = the entry as a whole.
        value: what stands there, as text; None = nothing, or a whole table.
        message: what is wrong, and the way out.
    """

    place: str
    entry: str
    field: str
    value: str | None
    message: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.place, self.entry, self.field) if part)
        return f"{where}{'' if self.value is None else f' = {self.value}'}: {self.message}"

    def to_json(self) -> dict[str, str | None]:
        """The finding as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Placed:
    """An entry that has the right form, and where it stands."""

    place: str
    entry: str
    plan: PlanEntry


@dataclass(frozen=True, slots=True)
class _PlacedAdjustment:
    place: str
    entry: str
    adjustment: AdjustmentEntry


def read_document(path: Path) -> dict[str, Any]:
    """Read a tariff file.

    Raises:
        BillingError: if it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BillingError(f"cannot be read: {error}; name a TOML file with [[plans]] entries") from error
    except tomllib.TOMLDecodeError as error:
        raise BillingError(f"is not TOML: {error}; see the product's own files for the form") from error


def check_documents(
    documents: Mapping[str, Mapping[str, Any]], *, known_categories: Mapping[str, str | None]
) -> tuple[Finding, ...]:
    """Everything that is wrong with tariff data.

    Args:
        documents: parsed TOML by the file's name; they are looked at together, so that versions in two files may not overlap.
        known_categories: codes of the categories that exist apart from those in the documents, with what they are another name of.
    """
    found: list[Finding] = []
    plans: list[_Placed] = []
    adjustments: list[_PlacedAdjustment] = []
    categories = dict(known_categories)
    for place, document in documents.items():
        found += _unknown_tables(place, document)
        for table, shape in _SHAPES.items():
            for label, entry in _entries(document, table):
                read, problems = _read(shape, entry, place=place, label=label)
                found += problems
                match read:
                    case CategoryEntry():
                        categories[read.code] = read.alias_of
                    case PlanEntry():
                        plans.append(_Placed(place, label, read))
                    case AdjustmentEntry():
                        adjustments.append(_PlacedAdjustment(place, label, read))
    for placed in plans:
        found += _plan_findings(placed, categories)
    found += _category_findings(adjustments, categories)
    found += _version_findings(plans)
    found += _adjustment_findings(adjustments)
    return tuple(found)


def _unknown_tables(place: str, document: Mapping[str, Any]) -> Iterator[Finding]:
    for name in sorted(set(document) - TABLES):
        yield Finding(place, "", name, None, f"the table is not known; known: {', '.join(sorted(TABLES))}")


def _entries(document: Mapping[str, Any], table: str) -> Iterator[tuple[str, Any]]:
    entries = document.get(table, ())
    # [plans] instead of [[plans]] gives one table where a list of them is meant; it is checked like the only entry of one.
    for index, entry in enumerate(entries if isinstance(entries, Sequence) else (entries,)):
        names = [str(entry[key]) for key in ("code", "kind") if isinstance(entry, Mapping) and key in entry][:1]
        start = entry.get("effective_from") if isinstance(entry, Mapping) else None
        words = [f"{table}[{index}]", *names, *([f"from {start}"] if start is not None else ())]
        yield " ".join(words), entry


def _read(
    shape: type[BaseModel], entry: object, *, place: str, label: str
) -> tuple[BaseModel | None, tuple[Finding, ...]]:
    try:
        return shape.model_validate(entry), ()
    except ValidationError as error:
        return None, tuple(_finding(place, label, problem, shape) for problem in error.errors())


def _finding(place: str, label: str, problem: Any, shape: type[BaseModel]) -> Finding:  # noqa: ANN401 -- pydantic's dict
    field = ".".join(str(part) for part in problem["loc"])
    value = problem.get("input")
    shown = str(value) if isinstance(value, str | int | float | bool | date) else None
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        return Finding(place, label, field, None, "is missing; add it")
    if problem["type"] == "extra_forbidden":
        known = ", ".join(sorted(shape.model_fields)) if len(problem["loc"]) == 1 else "see the product's own files"
        return Finding(place, label, field, shown, f"the key is not known; known: {known}")
    return Finding(place, label, field, shown, message)


def _plan_findings(placed: _Placed, categories: Mapping[str, str | None]) -> Iterator[Finding]:
    entry = placed.plan
    problem = category_problem(entry.category, categories)
    if problem is not None:
        yield Finding(placed.place, placed.entry, "category", entry.category, problem)
    try:
        plan_of(
            entry.rates.to_json(),
            code=entry.code,
            category=entry.category,
            source=entry.source,
            supports_tou=entry.supports_tou,
        )
    except (BillingError, ValueError) as error:
        yield Finding(placed.place, placed.entry, "rates", None, str(error))


def category_problem(code: str, categories: Mapping[str, str | None]) -> str | None:
    """What is wrong with naming this category for a plan, in words; None if nothing is."""
    if code not in categories:
        return f"the category is not known; known: {', '.join(sorted(name for name, other in categories.items() if other is None))}"
    other = categories[code]
    return None if other is None else f"is another name of {other}; write {other}"


def _category_findings(
    adjustments: Sequence[_PlacedAdjustment], categories: Mapping[str, str | None]
) -> Iterator[Finding]:
    for placed in adjustments:
        for field in ("categories", "excluded_categories"):
            for code in getattr(placed.adjustment, field):
                problem = category_problem(code, categories)
                if problem is not None:
                    yield Finding(placed.place, placed.entry, field, code, problem)


def _version_findings(plans: Sequence[_Placed]) -> Iterator[Finding]:
    versions: dict[tuple[DiscoProvider, str, str], list[_Placed]] = defaultdict(list)
    for placed in plans:
        for disco in placed.plan.disco_providers or tuple(DiscoProvider):
            versions[disco, placed.plan.category, placed.plan.variant].append(placed)
    # Rates are uniform, so a mistake shows at every company: it is told once.
    told: dict[tuple[str, str, str], list[str]] = {}
    for (disco, *_), placed_versions in versions.items():
        for finding in _neighbours(sorted(placed_versions, key=lambda p: p.plan.effective_from)):
            told.setdefault((finding.place, finding.entry, finding.message), []).append(disco.value)
    for (place, entry, message), companies in told.items():
        whose = "" if len(companies) == len(DiscoProvider) else f" ({', '.join(companies)})"
        yield Finding(place, entry, "effective_from", None, message + whose)


def _neighbours(versions: Sequence[_Placed]) -> Iterator[Finding]:
    for before, after in pairwise(versions):
        first, second = _span(before.plan), _span(after.plan)
        here = f"{before.place}, {before.entry}"
        if overlapping((first, second)):
            message = f"is in force together with {here} ({first}); end that one the day before"
            yield Finding(after.place, after.entry, "effective_from", None, message)
        for gap in gaps_between((first, second)):
            if not after.plan.gap_before:
                message = (
                    f"nothing is on record from {gap} after {here}; add the version between them, or say in gap_before why "
                    "there is none"
                )
                yield Finding(after.place, after.entry, "effective_from", None, message)


def _span(entry: PlanEntry | AdjustmentEntry) -> Span:
    return Span(entry.effective_from, entry.effective_to)


def _scope(entry: AdjustmentEntry) -> tuple[object, ...]:
    scopes = (entry.disco_providers, entry.provinces, entry.categories)
    return (entry.kind, *(tuple(sorted(scope)) for scope in scopes))


def _adjustment_findings(adjustments: Sequence[_PlacedAdjustment]) -> Iterator[Finding]:
    groups: dict[tuple[object, ...], list[_PlacedAdjustment]] = defaultdict(list)
    for placed in adjustments:
        groups[_scope(placed.adjustment)].append(placed)
    for group in groups.values():
        for one, other in combinations(sorted(group, key=lambda p: p.adjustment.effective_from), 2):
            if _span(one.adjustment).overlaps(_span(other.adjustment)):
                message = f"is in force together with {one.place}, {one.entry} ({_span(one.adjustment)}); end that one the day before"
                yield Finding(other.place, other.entry, "effective_from", None, message)
        if group[0].adjustment.kind in _MONTHLY_KINDS:
            yield from _pauses(group)


def _pauses(group: Sequence[_PlacedAdjustment]) -> Iterator[Finding]:
    for gap in gaps_between(_span(placed.adjustment) for placed in group):
        after = min(
            (p for p in group if p.adjustment.effective_from > gap.first), key=lambda p: p.adjustment.effective_from
        )
        message = f"nothing is on record from {gap}; add what was notified for these days"
        yield Finding(after.place, after.entry, "effective_from", None, message)
