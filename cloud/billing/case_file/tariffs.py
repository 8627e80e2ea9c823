"""Where a case's tariff comes from: the product's data, the database, or the case itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cloud.billing.case_file.consumer import Consumer
from cloud.billing.case_file.energy import CaseEnergy
from cloud.billing.case_file.period import CasePeriod
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.shape import CaseFile, InlineTariff
from cloud.billing.catalogue import Catalogue, PlanRecord
from cloud.billing.rules.model import Adjustment, BillWarning
from cloud.billing.schemas.tariffs import TariffOut


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a tariff.

    Attributes:
        effective_from: first day; None = always.
        rates: JSON of `tariff_plans.rates`.
    """

    code: str
    category: str
    source: str
    status: str
    supports_tou: bool
    rates: Mapping[str, Any]
    effective_from: date | None = None
    effective_to: date | None = None

    def covers(self, day: date) -> bool:
        """Whether it is in force on the day."""
        return (self.effective_from is None or self.effective_from <= day) and (
            self.effective_to is None or day <= self.effective_to
        )

    def record(self) -> dict[str, Any]:
        """As a simulation's inputs hold it."""
        return {
            "code": self.code,
            "category": self.category,
            "source": self.source,
            "status": self.status,
            "supports_tou": self.supports_tou,
            "rates": dict(self.rates),
            "effective_from": None if self.effective_from is None else self.effective_from.isoformat(),
            "effective_to": None if self.effective_to is None else self.effective_to.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class OnFile:
    """What a source of tariffs has for one company and category.

    Attributes:
        versions: in force on any day of the period, oldest first.
        without_solar: the same for the category that the consumer would be in without solar.
        adjustments: all dated records.
        categories: for which the company has a tariff at all.
    """

    versions: tuple[Version, ...]
    without_solar: tuple[Version, ...]
    adjustments: tuple[Adjustment, ...]
    categories: tuple[str, ...]


def _of_record(plan: PlanRecord) -> Version:
    return Version(
        code=plan.name,
        category=plan.category,
        source=plan.source,
        status=plan.status.value,
        supports_tou=plan.supports_tou,
        rates=plan.rates,
        effective_from=plan.effective_from,
        effective_to=plan.effective_to,
    )


def version_of_row(row: TariffOut) -> Version:
    """A version from the database."""
    return Version(
        code=row.name or row.category,
        category=row.category,
        source=row.source,
        status=row.status,
        supports_tou=row.supports_tou,
        rates=row.rates,
        effective_from=row.effective_from,
        effective_to=row.effective_to,
    )


def in_order(versions: Iterable[Version]) -> tuple[Version, ...]:
    """Oldest first."""
    return tuple(sorted(versions, key=lambda version: version.effective_from or date.min))


def of_catalogue(catalogue: Catalogue, consumer: Consumer, period: CasePeriod) -> OnFile:
    """What the product's own data has."""
    plans = [plan for plan in catalogue.plans if consumer.disco in plan.disco_providers and plan.variant == "standard"]

    def of(category: str) -> tuple[Version, ...]:
        inside = (
            plan
            for plan in plans
            if plan.category == category
            and plan.effective_from <= period.last
            and (plan.effective_to is None or plan.effective_to >= period.first)
        )
        return in_order(_of_record(plan) for plan in inside)

    categories = {plan.category for plan in plans if plan.in_force(period.last)}
    return OnFile(
        of(consumer.category), of(consumer.category_without_solar), catalogue.adjustments, tuple(sorted(categories))
    )


def _supports_tou(inline: InlineTariff, energy: CaseEnergy) -> bool:
    if inline.supports_tou is not None:
        return inline.supports_tou
    rates = inline.rates
    other_price = bool(rates.slabs) or rates.energy_charge_per_kwh is not None
    return energy.says_peak or not other_price


def _of_case(inline: InlineTariff, consumer: Consumer, period: CasePeriod, energy: CaseEnergy) -> Version:
    version = Version(
        code=inline.name,
        category=consumer.category,
        source=inline.source,
        status=inline.status,
        supports_tou=_supports_tou(inline, energy),
        rates=inline.rates.to_json(),
        effective_from=inline.effective_from,
        effective_to=inline.effective_to,
    )
    for day, name in ((period.first, "effective_from"), (period.last, "effective_to")):
        if not version.covers(day):
            value = getattr(inline, name)
            raise CaseError(
                f"tariff.{name}",
                f"tariff.{name} is {value}, so the tariff is not in force on {day}; change it or leave it out",
            )
    return version


def joined(versions: Sequence[Version], period: CasePeriod) -> tuple[Version, ...]:
    """All of them where they rule every day of the period without a gap; otherwise the last one alone."""
    ends = [version.effective_to for version in versions[:-1]]
    starts = [version.effective_from for version in versions[1:]]
    follow = all(end and start and start == end + timedelta(days=1) for end, start in zip(ends, starts, strict=True))
    return tuple(versions) if follow and versions[0].covers(period.first) else (versions[-1],)


def _not_on_record(consumer: Consumer, day: date, on_file: OnFile) -> CaseError:
    disco = "" if consumer.disco is None else consumer.disco.value
    others = ", ".join(on_file.categories) or "none"
    return CaseError(
        "category",
        f"category is {consumer.category}: no tariff of {disco} for it is on record for {day} and none is invented; on record for that "
        f"day: {others}; choose one, or write the tariff into the case (tariff.rates)",
    )


def versions_for(
    case: CaseFile, consumer: Consumer, *, period: CasePeriod, energy: CaseEnergy, on_file: OnFile
) -> tuple[tuple[Version, ...], tuple[BillWarning, ...]]:
    """The versions that the case is priced by, oldest first, and what to know about the choice.

    Raises:
        CaseError: if no tariff is on record for the period's last day; it names those that are.
    """
    inline = case.inline_tariff
    if inline is not None:
        return (_of_case(inline, consumer, period, energy),), ()
    if not any(version.covers(period.last) for version in on_file.versions):
        raise _not_on_record(consumer, period.last, on_file)
    versions = joined(on_file.versions, period)
    last = versions[-1]
    if versions[0].covers(period.first):
        return versions, ()
    message = (
        f"No tariff of the category is on record for {period.first}; the whole period is priced by the version in force from "
        f"{last.effective_from} ({last.source})."
    )
    return (last,), (BillWarning("tariff_not_on_record", message),)
