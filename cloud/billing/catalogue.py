"""The tariff data that comes with the product: TOML files in `tariffs/`, read, checked, and spread over the DISCOs.

Rates are uniform for all DISCOs and K-Electric unless a plan names its `disco_providers`.
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
from cloud.core.discos import DiscoProvider

_FOLDER = "cloud.billing.tariffs"


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

    def plan(self) -> Plan:
        """The engine's view of it; checks every rate."""
        return plan_of(
            self.rates,
            code=self.name,
            category=self.category,
            source=self.source,
            status=self.status,
            supports_tou=self.supports_tou,
        )

    def in_force(self, day: date) -> bool:
        """Whether this version rules the day."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All plans and adjustments of the data files."""

    plans: tuple[PlanRecord, ...]
    adjustments: tuple[Adjustment, ...]
    adjustment_records: tuple[Mapping[str, Any], ...]


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
    for document in documents:
        unknown = set(document) - {"plans", "adjustments"}
        if unknown:
            raise BillingError(f"tariff data: table {min(unknown)!r} is not known; use [[plans]] and [[adjustments]]")
        plans += [plan_record_of(entry) for entry in document.get("plans", ())]
        adjustments += document.get("adjustments", ())
    check_no_overlap(plans)
    return Catalogue(tuple(plans), tuple(adjustment_of(entry) for entry in adjustments), tuple(adjustments))


def read_catalogue() -> Catalogue:
    """Read the files that come with the product.

    Raises:
        BillingError: if one of them is wrong.
    """
    files = sorted(
        (entry for entry in resources.files(_FOLDER).iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name
    )
    return parse_catalogue(tomllib.loads(entry.read_text(encoding="utf-8")) for entry in files)
