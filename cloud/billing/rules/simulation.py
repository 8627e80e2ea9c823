"""A simulation: one JSON document of inputs gives the bill with solar, the bill without, and the savings.

Everything that the result depends on is in the document, which is stored beside it: computed again, it gives the same hash.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from cloud.billing.rules.adjustments import applies
from cloud.billing.rules.bill import price_bill, without_solar
from cloud.billing.rules.breakdown import bill_breakdown, fingerprint, line_json, savings_breakdown
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    Bill,
    BillingCase,
    ExportScheme,
    ExportTerms,
    Plan,
    RateStatus,
)
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month
from cloud.billing.rules.provinces import wherever
from cloud.billing.rules.records import adjustment_of, plan_of

_DECIMALS = (
    "imported_kwh",
    "exported_kwh",
    "imported_peak_kwh",
    "exported_peak_kwh",
    "sanctioned_load_kw",
    "max_demand_kw",
    "ledger_kwh",
)
# Added later: a document stored before has none of them.
_LATER_DECIMALS = ("ledger_peak_kwh", "installed_capacity_kw")
_LATER_MAPPINGS = ("schedule_units", "schedule_demand_kw")


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a simulation says; `breakdown`, `savings`, `lines` and `warnings` are JSON."""

    bill: Bill
    without: Bill
    breakdown: dict[str, Any]
    savings: dict[str, Any]
    lines: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    content_hash: str


def _units_json(units: Mapping[Month, Decimal]) -> dict[str, str]:
    return {str(month): number_text(kwh) for month, kwh in sorted(units.items(), key=lambda item: str(item[0]))}


def units_of(record: Mapping[str, Any]) -> dict[Month, Decimal]:
    """Billed units by month from JSON: `{"2026-07": "608"}`."""
    return {Month.parse(month): Decimal(str(kwh)) for month, kwh in record.items()}


def case_json(case: BillingCase) -> dict[str, Any]:
    """A case as JSON; `case_of` undoes it."""
    numbers = {name: getattr(case, name) for name in (*_DECIMALS, *_LATER_DECIMALS)}
    return {
        "period_start": case.period_start.isoformat(),
        "period_end": case.period_end.isoformat(),
        "disco_provider": case.disco_provider,
        "province": case.province,
        "billed_units": _units_json(case.billed_units),
        "export_scheme": case.export_scheme.value,
        "active_taxpayer": case.active_taxpayer,
        "bill_month": None if case.bill_month is None else str(case.bill_month),
        "phases": case.phases,
        "prorated": case.prorated,
        "export_terms": asdict(case.export_terms),
        "demand_history_kw": _units_json(case.demand_history_kw),
        **{name: None if value is None else number_text(value) for name, value in numbers.items()},
        **{
            name: {key: number_text(value) for key, value in sorted(getattr(case, name).items())}
            for name in _LATER_MAPPINGS
        },
    }


def case_of(record: Mapping[str, Any]) -> BillingCase:
    """A case from JSON."""
    numbers: dict[str, Any] = {name: None if record[name] is None else Decimal(record[name]) for name in _DECIMALS}
    numbers |= {name: Decimal(record[name]) for name in _LATER_DECIMALS if record.get(name) is not None}
    for name in _LATER_MAPPINGS:
        numbers[name] = {key: Decimal(value) for key, value in (record.get(name) or {}).items()}
    return BillingCase(
        period_start=date.fromisoformat(record["period_start"]),
        period_end=date.fromisoformat(record["period_end"]),
        disco_provider=record["disco_provider"],
        province=record["province"],
        billed_units=units_of(record["billed_units"]),
        export_scheme=ExportScheme(record["export_scheme"]),
        active_taxpayer=record["active_taxpayer"],
        bill_month=None if record["bill_month"] is None else Month.parse(record["bill_month"]),
        phases=record.get("phases"),
        prorated=record.get("prorated", False),
        export_terms=ExportTerms(**(record.get("export_terms") or {})),
        demand_history_kw=units_of(record.get("demand_history_kw") or {}),
        **numbers,
    )


def adjustment_json(record: Adjustment) -> dict[str, Any]:
    """A dated record as JSON, as in the tariff data; `adjustment_of` undoes it."""
    document: dict[str, Any] = {
        "kind": record.kind.value,
        "effective_from": record.effective_from.isoformat(),
        "effective_to": None if record.effective_to is None else record.effective_to.isoformat(),
        "rate": None if record.rate is None else number_text(record.rate),
        "source": record.source,
        "status": record.status.value,
    }
    for name in ("disco_providers", "provinces", "categories", "excluded_categories"):
        document[name] = sorted(getattr(record, name))
    document["bands"] = [
        {key: None if value is None else number_text(value) for key, value in asdict(band).items()}
        for band in record.bands
    ]
    return document


def relevant_adjustments(adjustments: Iterable[Adjustment], *, plan: Plan, case: BillingCase) -> tuple[Adjustment, ...]:
    """The records that can bear on the bill: in scope, and in force on one of its days (an FCA: in its month)."""
    fca_day = case.month.back(plan.fca_lag_months).first_day

    def bears(record: Adjustment) -> bool:
        if not applies(record, plan, case):
            return False
        if record.kind is AdjustmentKind.FCA:
            return record.covers(fca_day)
        ends = record.effective_to or case.period_end
        return record.effective_from <= case.period_end and ends >= case.period_start

    return tuple(sorted(filter(bears, adjustments), key=_order))


def inputs_json(
    *,
    plan_record: Mapping[str, Any],
    later_versions: Sequence[Mapping[str, Any]] | None = None,
    case: BillingCase,
    adjustments: Iterable[Adjustment],
    consumed_kwh: Decimal,
    consumed_peak_kwh: Decimal | None,
    consumed_units: Mapping[Month, Decimal],
    generated_kwh: Decimal,
    co2_kg_per_kwh: Decimal,
    co2_kg_per_tree: Decimal,
    versions_without_solar: Sequence[Mapping[str, Any]] | None = None,
    consumed_max_demand_kw: Decimal | None = None,
    consumed_by_schedule: tuple[Mapping[str, Decimal], Mapping[str, Decimal]] | None = None,
    warnings: Iterable[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Put together what a simulation is computed from.

    Args:
        plan_record: `code`, `category`, `source`, `status`, `supports_tou`, `rates`; with `effective_from` and `effective_to` where
            other versions follow.
        later_versions: records of the versions that begin inside the period, oldest first.
        case: with solar.
        adjustments: dated records; those without bearing are left out.
        consumed_kwh: what the site used.
        consumed_peak_kwh: part of it in peak hours; None where the plan does not ask.
        consumed_units: what would have been billed for earlier months without solar.
        generated_kwh: solar energy.
        co2_kg_per_kwh: emission factor.
        co2_kg_per_tree: CO2 of one tree.
        versions_without_solar: records of the tariff that the site would be on without solar (a home may be protected only by what its
            panels give), oldest first; None = the same.
        consumed_max_demand_kw: highest demand had everything been bought; None = as with solar.
        consumed_by_schedule: for a scheduled tariff, `schedule_units` and `schedule_demand_kw` had everything been bought.
        warnings: found on the way to the inputs; `code` and `message`.
    """
    later = [_dated(record) for record in later_versions or ()]
    dark = None if versions_without_solar is None else [_dated(record) for record in versions_without_solar]
    first = _dated(plan_record)
    last_plans = [_plan(dark[-1] if dark else first, case), _plan(later[-1] if later else first, case)]
    return {
        "plan": first,
        "later_versions": later,
        "case": case_json(case),
        "adjustments": _adjustments_json(adjustments, last_plans, case),
        "without_solar": {
            "consumed_kwh": number_text(consumed_kwh),
            "consumed_peak_kwh": None if consumed_peak_kwh is None else number_text(consumed_peak_kwh),
            "billed_units": _units_json(consumed_units),
            "max_demand_kw": None if consumed_max_demand_kw is None else number_text(consumed_max_demand_kw),
            "versions": dark,
            **_by_schedule_json(consumed_by_schedule),
        },
        "generated_kwh": number_text(generated_kwh),
        "co2_kg_per_kwh": number_text(co2_kg_per_kwh),
        "co2_kg_per_tree": number_text(co2_kg_per_tree),
        "warnings": [dict(warning) for warning in warnings],
    }


def _by_schedule_json(
    consumed: tuple[Mapping[str, Decimal], Mapping[str, Decimal]] | None,
) -> dict[str, dict[str, str]]:
    if consumed is None:
        return {}
    return {
        name: {key: number_text(value) for key, value in sorted(values.items())}
        for name, values in zip(_LATER_MAPPINGS, consumed, strict=True)
    }


def _dated(record: Mapping[str, Any]) -> dict[str, Any]:
    # Dates as text, as every other value of the document.
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in record.items()}


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _plan(record: Mapping[str, Any], case: BillingCase) -> Plan:
    return plan_of(
        record["rates"],
        code=record["code"],
        category=record["category"],
        source=record["source"],
        status=RateStatus(record["status"]),
        supports_tou=record["supports_tou"],
        has_tou_units=case.imported_peak_kwh is not None,
        effective_from=_day(record.get("effective_from")),
        effective_to=_day(record.get("effective_to")),
    )


def _adjustments_json(
    adjustments: Iterable[Adjustment], plans: Iterable[Plan], case: BillingCase
) -> list[dict[str, Any]]:
    records = wherever(tuple(adjustments), case)
    found = {record: None for plan in plans for record in relevant_adjustments(records, plan=plan, case=case)}
    return [adjustment_json(record) for record in sorted(found, key=_order)]


def _order(record: Adjustment) -> tuple[Any, ...]:
    scopes = (record.provinces, record.disco_providers, record.categories)
    return record.kind, record.effective_from, *(sorted(scope) for scope in scopes)


def _plans(records: Iterable[Mapping[str, Any]], case: BillingCase) -> list[Plan]:
    return [_plan(record, case) for record in records]


def _without_case(case: BillingCase, dark: Mapping[str, Any]) -> BillingCase:
    peak, demand_kw = dark["consumed_peak_kwh"], dark.get("max_demand_kw")
    by_period, by_demand_period = (
        {key: Decimal(value) for key, value in (dark.get(name) or {}).items()} for name in _LATER_MAPPINGS
    )
    return without_solar(
        replace(
            case,
            billed_units=units_of(dark["billed_units"]),
            max_demand_kw=case.max_demand_kw if demand_kw is None else Decimal(demand_kw),
            schedule_demand_kw=by_demand_period or case.schedule_demand_kw,
        ),
        Decimal(dark["consumed_kwh"]),
        consumed_peak_kwh=None if peak is None else Decimal(peak),
        consumed_units=by_period,
    )


def without_case_of(inputs: Mapping[str, Any]) -> BillingCase:
    """The case without solar of a document of `inputs_json`."""
    return _without_case(case_of(inputs["case"]), inputs["without_solar"])


def simulate(inputs: Mapping[str, Any]) -> Simulation:
    """Compute everything from the document of `inputs_json`.

    Raises:
        BillingError: if the plan lacks a rate, or the case a value, that the bill needs.
    """
    case = case_of(inputs["case"])
    records = [inputs["plan"], *(inputs.get("later_versions") or ())]
    adjustments = [adjustment_of(record) for record in inputs["adjustments"]]
    bill = price_bill(_plans(records, case), case, adjustments)
    dark = inputs["without_solar"]
    # Hours are told apart as with solar, whether or not the consumption of peak hours is known.
    without = price_bill(_plans(dark.get("versions") or records, case), _without_case(case, dark), adjustments)
    breakdown = bill_breakdown(bill)
    savings = savings_breakdown(
        bill,
        without,
        generated_kwh=Decimal(inputs["generated_kwh"]),
        co2_kg_per_kwh=Decimal(inputs["co2_kg_per_kwh"]),
        co2_kg_per_tree=Decimal(inputs["co2_kg_per_tree"]),
    )
    lines = [line_json(line) for line in bill.lines]
    warnings = [*inputs["warnings"], *(asdict(warning) for warning in bill.warnings)]
    return Simulation(bill, without, breakdown, savings, lines, warnings, fingerprint(inputs, bill, without))
