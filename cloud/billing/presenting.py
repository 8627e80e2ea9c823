"""Tariff data as `solarhub tariffs` tells it: to people in words, to programs as JSON."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cloud.billing.catalogue import Catalogue, CategoryRecord, PlanRecord
from cloud.billing.rules.consumer import province_of
from cloud.billing.rules.model import DEFAULT_FCA_LAG_MONTHS, Adjustment, AdjustmentKind
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month
from cloud.billing.rules.records import slabs_of
from cloud.billing.rules.simulation import adjustment_json
from cloud.billing.rules.slabs import slab_label
from cloud.billing.rules.versions import Change, changes, gaps_between, unknown_rates, written
from cloud.billing.schemas.tariffs import TariffRates
from cloud.billing.tariff_rows import Key, all_adjustment_rows, all_plan_rows
from cloud.core.discos import DiscoProvider

KARACHI = ZoneInfo("Asia/Karachi")

_RULES = {
    "single_slab": "all units at the rate of the slab that holds the total",
    "one_previous": "units up to the previous slab's top at its rate, the rest at the rate of the slab that holds the total",
    "telescopic": "each slab's units at that slab's rate",
    "flat": "all units at one rate",
    "tou": "peak and off-peak units at their own rates",
}
_BASES = {
    "per_consumer": "a month",
    "per_kw_sanctioned": "a month for each kW of sanctioned load",
    "per_kw_billing_demand": "a month for each kW of billing demand",
}
_UNITS = {
    AdjustmentKind.DUTY: "%",
    AdjustmentKind.GST: "%",
    AdjustmentKind.TV_FEE: "PKR a month",
}


def today(now: datetime) -> date:
    """The day in Pakistan."""
    return now.astimezone(KARACHI).date()


def companies(discos: Sequence[DiscoProvider]) -> str:
    """Companies in a few words."""
    return "all" if len(discos) == len(DiscoProvider) else ", ".join(disco.value for disco in discos)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text under their heads."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True, slots=True)
class Listing:
    """Versions that were asked for, and the categories for which nothing is on record."""

    plans: tuple[PlanRecord, ...]
    without_rates: tuple[CategoryRecord, ...]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "tariffs": [_plan_json(plan) for plan in self.plans],
            "without_rates": [asdict(category) for category in self.without_rates],
        }

    def to_text(self) -> str:
        """For people."""
        head = ("category", "variant", "tariff", "companies", "from", "to", "status", "source")
        rows = [
            (
                plan.category,
                plan.variant,
                plan.name,
                companies(plan.disco_providers),
                str(plan.effective_from),
                str(plan.effective_to or "-"),
                plan.status.value,
                plan.source,
            )
            for plan in self.plans
        ]
        parts = [table(head, rows) if rows else "no tariff on record fits"]
        if self.without_rates:
            names = ", ".join(f"{c.code}{f' ({c.nepra_code})' if c.nepra_code else ''}" for c in self.without_rates)
            parts.append(f"nothing on record for: {names}")
        return "\n\n".join(parts)


def listing(catalogue: Catalogue, *, company: DiscoProvider | None, category: str | None, on: date | None) -> Listing:
    """The versions of one company, category and day; each may be left open.

    Raises:
        BillingError: if the category is not known.
    """
    named = catalogue.categories if category is None else catalogue.categories_named(category)
    codes = {c.code for c in named if c.alias_of is None}
    plans = [
        plan
        for plan in catalogue.plans
        if (company is None or company in plan.disco_providers)
        and plan.category in codes
        and (on is None or plan.in_force(on))
    ]
    order = [c.code for c in catalogue.categories]
    plans.sort(key=lambda p: (order.index(p.category), p.variant, p.effective_from, p.disco_providers))
    having = {plan.category for plan in plans}
    without = tuple(c for c in catalogue.categories if c.code in codes - having)
    return Listing(tuple(plans), without)


def _plan_json(plan: PlanRecord) -> dict[str, Any]:
    return {
        "code": plan.code,
        "name": plan.name,
        "category": plan.category,
        "variant": plan.variant,
        "disco_providers": [disco.value for disco in plan.disco_providers],
        "effective_from": plan.effective_from.isoformat(),
        "effective_to": None if plan.effective_to is None else plan.effective_to.isoformat(),
        "rates": TariffRates.model_validate(plan.rates).to_json(),
        "supports_net_metering": plan.supports_net_metering,
        "supports_tou": plan.supports_tou,
        "source": plan.source,
        "status": plan.status.value,
        "note": plan.note,
        "unknown": list(unknown_rates(plan.rates)),
    }


@dataclass(frozen=True, slots=True)
class Sheet:
    """One version of a tariff with everything that goes with it on a day.

    Attributes:
        adjustments: dated records of the day; fuel charges are those of the month that the day's bill carries.
        gaps: what is not on record, in words.
    """

    plan: PlanRecord
    category: CategoryRecord
    company: DiscoProvider
    on: date
    adjustments: tuple[Adjustment, ...]
    gaps: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            **_plan_json(self.plan),
            "nepra_code": self.category.nepra_code,
            "disco_provider": self.company.value,
            "on": self.on.isoformat(),
            "adjustments": [
                adjustment_json(record) | {"charged": self.plan.category not in record.excluded_categories}
                for record in self.adjustments
            ],
            "gaps": list(self.gaps),
        }

    def to_text(self) -> str:
        """For people."""
        plan = self.plan
        code = f" ({self.category.nepra_code})" if self.category.nepra_code else ""
        parts = [
            f"{plan.name}: {self.category.name}{code}",
            f"{self.company.value}, in force {plan.span}; {plan.status.value}: {plan.source}",
            "\n".join(_rate_lines(plan.rates)),
        ]
        if self.adjustments:
            lines = "\n".join(f"  {_adjustment_words(record, plan)}" for record in self.adjustments)
            parts.append(f"beside it on {self.on}:\n{lines}")
        if plan.note:
            parts.append(f"note: {plan.note}")
        if self.gaps:
            parts.append("not on record:\n" + "\n".join(f"  {gap}" for gap in self.gaps))
        return "\n\n".join(parts)


def sheet(catalogue: Catalogue, category: str, *, company: DiscoProvider, on: date) -> Sheet:
    """The version that rules the day, with the dated records of that day.

    Raises:
        BillingError: if the category is not known, or nothing is on record for the day.
    """
    found = catalogue.category(category)
    plan = catalogue.version_on(company, found.code, on)
    lag = plan.rates.get("fca_lag_months")
    consumed = Month.of(on).back(DEFAULT_FCA_LAG_MONTHS if lag is None else int(lag))
    province = province_of(None, company.value)
    adjustments = tuple(
        record
        for record in catalogue.adjustments
        if record.covers(consumed.first_day if record.kind is AdjustmentKind.FCA else on)
        and (not record.disco_providers or company in record.disco_providers)
        and (not record.categories or plan.category in record.categories)
        and (not record.provinces or province is None or province in record.provinces)
    )
    pending = _pending_words(plan, {record.kind.value for record in adjustments}, on=on, consumed=consumed)
    gaps = (*(f"{words} in this version" for words in unknown_rates(plan.rates)), *pending)
    return Sheet(plan, found, company, on, adjustments, (*gaps, *_gap_words(catalogue.versions(company, found.code))))


def _pending_words(plan: PlanRecord, there: set[str], *, on: date, consumed: Month) -> Iterator[str]:
    for kind in plan.rates.get("expects") or ():
        if kind not in there:
            when = f"for the month {consumed}" if kind == AdjustmentKind.FCA else f"for {on}"
            yield f"{kind} {when}: a bill shows it as pending"


def _gap_words(versions: Sequence[PlanRecord]) -> Iterator[str]:
    for gap in gaps_between(version.span for version in versions):
        yield f"any tariff of this category from {gap}"
    yield f"any tariff of this category before {versions[0].effective_from}"
    if versions[-1].effective_to is not None:
        yield f"any tariff of this category after {versions[-1].effective_to}"


def _rate_lines(rates: Mapping[str, Any]) -> Iterator[str]:
    rule = rates.get("pricing_rule")
    if rule is not None:
        yield f"pricing rule: {rule} ({_RULES.get(rule, 'as the schedule of the tariff says')})"
    if rates.get("schedule") is not None:
        yield "schedule: prices by month and hour; --json prints it"
    slabs = slabs_of(rates)
    basis = _BASES[rates.get("fixed_basis") or "per_consumer"]
    if slabs:
        rows = [
            (slab_label(slabs, n), _known(slab.rate), _known(slab.fixed if rates.get("slab_fixed") else None))
            for n, slab in enumerate(slabs)
        ]
        columns = 3 if rates.get("slab_fixed") else 2
        head = ("kWh a month", "PKR/kWh", f"fixed charge, PKR {basis}")
        yield table(head[:columns], [row[:columns] for row in rows])
    for name, value in rates.items():
        if name in {"slabs", "pricing_rule", "fixed_basis", "slab_fixed", "expects", "schedule"} or value is None:
            continue
        after = f" PKR {basis}" if name == "fixed_charges_per_month" else ""
        words = ", ".join(value) if isinstance(value, list | tuple) else written(value)
        yield f"{name.replace('_', ' ')}: {words}{after}"


def _known(number: Any) -> str:  # noqa: ANN401 -- a Decimal or nothing
    return "not on record" if number is None else number_text(number)


def _adjustment_words(record: Adjustment, plan: PlanRecord) -> str:
    unit = _UNITS.get(record.kind, "PKR/kWh")
    amount = f"{number_text(record.rate)} {unit}" if record.rate is not None else f"in {len(record.bands)} bands"
    where = f", {', '.join(sorted(record.provinces))}" if record.provinces else ""
    exempt = ", not charged in this category" if plan.category in record.excluded_categories else ""
    last = record.effective_to or "until further notice"
    span = f"{record.effective_from} to {last}"
    return f"{record.kind.value}: {amount}{where}{exempt} ({span}; {record.status.value}: {record.source})"


@dataclass(frozen=True, slots=True)
class Difference:
    """What one thing says differently in two places or at two times.

    Attributes:
        what: the tariff or the dated record.
        state: `changed`, `added` (not in the first) or `removed` (not in the second).
        changes: by field, for `changed`.
    """

    what: str
    state: str
    changes: tuple[Change, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)

    def to_text(self) -> str:
        """For people."""
        return "\n".join([f"{self.what}: {self.state}", *(f"  {change}" for change in self.changes)])


_NAMES = (
    "name",
    "effective_from",
    "effective_to",
    "rates",
    "supports_net_metering",
    "supports_tou",
    "source",
    "status",
)


def difference_between(
    catalogue: Catalogue, category: str, days: tuple[date, date], *, company: DiscoProvider
) -> Difference:
    """What changed in a category's tariff from one day to another.

    Raises:
        BillingError: if the category is not known, or nothing is on record for a day.
    """
    code = catalogue.category(category).code
    old, new = (catalogue.version_on(company, code, day) for day in days)
    found = changes(*({name: _plan_json(plan)[name] for name in _NAMES} for plan in (old, new)))
    return Difference(
        f"{new.name} at {company.value}, {days[0]} to {days[1]}", "changed" if found else "the same", found
    )


def differences(ours: Catalogue, theirs: Catalogue) -> tuple[Difference, ...]:
    """What is different in the database (`theirs`) from the product's data (`ours`); alike at several companies is told once."""
    pairs = [(all_plan_rows(ours), all_plan_rows(theirs)), (all_adjustment_rows(ours), all_adjustment_rows(theirs))]
    found: dict[tuple[str, str, tuple[Change, ...]], list[str]] = defaultdict(list)
    for is_plan, (mine, stored) in zip((True, False), pairs, strict=True):
        for key in sorted(mine.keys() | stored.keys()):
            state, changed = _state(mine.get(key), stored.get(key))
            if state:
                found[_title(key, is_plan=is_plan), state, changed].append(key[0] if is_plan else "")
    return tuple(
        Difference(f"{title}{_at(discos)}", state, changed) for (title, state, changed), discos in found.items()
    )


def _state(mine: Mapping[str, Any] | None, stored: Mapping[str, Any] | None) -> tuple[str, tuple[Change, ...]]:
    if mine is None:
        return "only in the database", ()
    if stored is None:
        return "not in the database", ()
    left_out = {"disco_provider"}
    found = changes(*({k: v for k, v in row.items() if k not in left_out} for row in (mine, stored)))
    return ("changed in the database" if found else ""), found


def _title(key: Key, *, is_plan: bool) -> str:
    _, second, third, start = key
    if is_plan:
        return f"{second} ({third}) from {start}"
    scope = "" if (second, third) == ("all", "all") else f" ({second}, {third})"
    return f"{key[0]}{scope} from {start}"


def _at(discos: Sequence[str]) -> str:
    named = [name for name in discos if name]
    if not named:
        return ""
    return " at all companies" if len(named) == len(DiscoProvider) else f" at {', '.join(named)}"
