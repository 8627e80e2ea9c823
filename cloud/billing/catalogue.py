"""The tariff data that comes with the product: TOML files in `tariffs/`, read, checked, and spread over the DISCOs.

Rates are uniform for all DISCOs and K-Electric unless a plan names its `disco_providers`. `Catalogue` is also the form in which what is in
the database is compared with it (`loading.stored_catalogue`).
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import Any

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import Adjustment, Plan, RateStatus
from cloud.billing.rules.records import adjustment_of, plan_of
from cloud.billing.rules.versions import Span
from cloud.core.discos import DiscoProvider

_FOLDER = "cloud.billing.tariffs"
TABLES = frozenset({"categories", "plans", "adjustments"})
"""What a tariff file may hold."""


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One version of a tariff as the data files give it.

    Attributes:
        rates: JSON of `tariff_plans.rates`.
        disco_providers: those that it is in force for.
    """

    code: str
    name: str
    category: str
    variant: str
    effective_from: date
    effective_to: date | None
    source: str
    status: RateStatus
    supports_net_metering: bool
    supports_tou: bool
    rates: Mapping[str, Any]
    disco_providers: tuple[DiscoProvider, ...]
    note: str = ""
    gap_before: str = ""

    @property
    def span(self) -> Span:
        """Days on which this version is in force."""
        return Span(self.effective_from, self.effective_to)

    def plan(self) -> Plan:
        """The engine's view of it; checks every rate."""
        return plan_of(
            self.rates,
            code=self.name,
            category=self.category,
            source=self.source,
            status=self.status,
            supports_tou=self.supports_tou,
            effective_from=self.effective_from,
            effective_to=self.effective_to,
        )

    def in_force(self, day: date) -> bool:
        """Whether this version rules the day."""
        return self.span.covers(day)


@dataclass(frozen=True, slots=True)
class CategoryRecord:
    """A class of consumers.

    Attributes:
        nepra_code: as the schedule of tariffs calls it; None where its wording was not verified.
        alias_of: the category that this is another name of.
    """

    code: str
    name: str
    nepra_code: str | None = None
    alias_of: str | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All categories, plans and adjustments of the data files."""

    plans: tuple[PlanRecord, ...]
    adjustments: tuple[Adjustment, ...]
    adjustment_records: tuple[Mapping[str, Any], ...]
    categories: tuple[CategoryRecord, ...] = ()

    def categories_named(self, name: str) -> tuple[CategoryRecord, ...]:
        """The categories that a code, another name, the schedule's own code (A-1(a)) or a plan's code stands for.

        Raises:
            BillingError: if there is none; it names those there are.
        """
        wanted = name.strip().lower()
        codes = {c.alias_of or c.code for c in self.categories if wanted == c.code}
        codes = codes or {c.code for c in self.categories if c.nepra_code and wanted == c.nepra_code.lower()}
        codes = codes or {plan.category for plan in self.plans if wanted == plan.code.lower()}
        found = tuple(c for c in self.categories if c.code in codes)
        if not found:
            known = ", ".join(sorted(c.code for c in self.categories))
            raise BillingError(f"tariff category {name!r} is not known; known: {known}")
        return found

    def category(self, name: str) -> CategoryRecord:
        """The one category that a name stands for.

        Raises:
            BillingError: if there is none, or several.
        """
        found = self.categories_named(name)
        if len(found) > 1:
            codes = ", ".join(c.code for c in found)
            raise BillingError(f"{name!r} is the name of several categories: {codes}; choose one")
        return found[0]

    def versions(self, disco: DiscoProvider, category: str) -> tuple[PlanRecord, ...]:
        """All versions of a category's standard tariff at a company, oldest first."""
        found = (
            plan
            for plan in self.plans
            if plan.category == category and plan.variant == "standard" and disco in plan.disco_providers
        )
        return tuple(sorted(found, key=lambda plan: plan.effective_from))

    def version_on(self, disco: DiscoProvider, category: str, day: date) -> PlanRecord:
        """The version of a category's standard tariff that rules the day.

        Raises:
            BillingError: if none is on record; it says for which days and categories something is.
        """
        versions = self.versions(disco, category)
        found = next((plan for plan in versions if plan.in_force(day)), None)
        if found is not None:
            return found
        if versions:
            on_record = "on record are " + ", ".join(str(plan.span) for plan in versions)
        else:
            others = sorted({p.category for p in self.plans if disco in p.disco_providers and p.in_force(day)})
            on_record = f"its rates were not verified and none is invented; on record that day: {', '.join(others) or 'nothing'}"
        raise BillingError(f"no tariff of {disco.value} for {category} is on record for {day}: {on_record}")


def plan_record_of(entry: Mapping[str, Any]) -> PlanRecord:
    """Build and check one `[[plans]]` entry.

    Raises:
        BillingError: names the plan and the field that is wrong.
    """
    fields = dict(entry)
    try:
        fields["status"] = RateStatus(fields["status"])
        fields["disco_providers"] = tuple(DiscoProvider(name) for name in fields.get("disco_providers", DiscoProvider))
        record = PlanRecord(**{"effective_to": None, **fields})
        record.plan()
    except (BillingError, KeyError, TypeError, ValueError) as error:
        name, start = entry.get("code", "a plan without code"), entry.get("effective_from", "a date that is missing")
        raise BillingError(f"tariff data, {name} from {start}: {error}") from error
    return record


def check_no_overlap(plans: Iterable[PlanRecord]) -> None:
    """Refuse two versions of the same plan in force on the same day.

    Raises:
        BillingError: names both.
    """
    latest: dict[tuple[DiscoProvider, str, str], PlanRecord] = {}
    for record in sorted(plans, key=lambda plan: plan.effective_from):
        for disco in record.disco_providers:
            key = (disco, record.category, record.variant)
            before = latest.get(key)
            if before is not None and before.in_force(record.effective_from):
                raise BillingError(
                    f"tariff data: {record.code} from {record.effective_from} begins while the version from "
                    f"{before.effective_from} is in force for {disco.value}; end that one the day before"
                )
            latest[key] = record


def parse_catalogue(documents: Iterable[Mapping[str, Any]]) -> Catalogue:
    """Build the catalogue from parsed TOML documents.

    Raises:
        BillingError: names what is wrong and where.
    """
    plans: list[PlanRecord] = []
    adjustments: list[Mapping[str, Any]] = []
    categories: list[CategoryRecord] = []
    for document in documents:
        unknown = set(document) - TABLES
        if unknown:
            raise BillingError(f"tariff data: table {min(unknown)!r} is not known; use [[plans]] and [[adjustments]]")
        categories += [CategoryRecord(**entry) for entry in document.get("categories", ())]
        plans += [plan_record_of(entry) for entry in document.get("plans", ())]
        adjustments += document.get("adjustments", ())
    check_no_overlap(plans)
    return Catalogue(
        tuple(plans), tuple(adjustment_of(entry) for entry in adjustments), tuple(adjustments), tuple(categories)
    )


def product_documents() -> dict[str, dict[str, Any]]:
    """The files that come with the product, parsed, by name."""
    files = sorted(
        (entry for entry in resources.files(_FOLDER).iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name
    )
    return {entry.name: tomllib.loads(entry.read_text(encoding="utf-8")) for entry in files}


def read_catalogue() -> Catalogue:
    """Read the files that come with the product.

    Raises:
        BillingError: if one of them is wrong.
    """
    return parse_catalogue(product_documents().values())
