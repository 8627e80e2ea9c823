"""A case to its bill: everything but where the tariffs come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any

from cloud.billing.case_file.consumer import Consumer, consumer_of, disco_of_case
from cloud.billing.case_file.energy import CaseEnergy, covered_days, energy_of, read_intervals
from cloud.billing.case_file.overrides import long_records, replaced, short_records
from cloud.billing.case_file.period import CasePeriod, period_of
from cloud.billing.case_file.problems import CaseError, shown
from cloud.billing.case_file.scheduled import ScheduledEnergy, scheduled_energy
from cloud.billing.case_file.shape import CaseFile
from cloud.billing.case_file.tariffs import OnFile, Version, joined, of_catalogue, versions_for
from cloud.billing.catalogue import Catalogue
from cloud.billing.rules.errors import MissingInputError
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.model import DEFAULT_FCA_LAG_MONTHS, Adjustment, BillingCase, BillWarning
from cloud.billing.rules.month import Month
from cloud.billing.rules.scheduled.records import schedule_of
from cloud.billing.rules.simulation import inputs_json, simulate

MONTH_DAYS = range(25, 36)
"""Days between two readings of a meter, as the companies bill them."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A case with nothing left open but its tariff."""

    case: CaseFile
    period: CasePeriod
    energy: CaseEnergy
    consumer: Consumer
    intervals: tuple[Interval, ...] | None = None


def _months(units: Mapping[str, Decimal]) -> dict[Month, Decimal]:
    return {Month.parse(month): value for month, value in units.items()}


def understand(case: CaseFile, *, csv_text: str | None = None) -> Understood:
    """Decide what a case leaves open.

    Args:
        case: as read.
        csv_text: content of the file that `interval_csv` names; None when the case holds everything itself.

    Raises:
        CaseError: names the field, its value and the way out.
    """
    if csv_text is None and case.csv_file is not None:
        raise CaseError(
            "interval_csv",
            f"interval_csv is {shown(case.csv_file)}, the name of a file; send the file's text there, or its rows as intervals",
        )
    rows = read_intervals(case, csv_text if csv_text is not None else case.interval_csv)
    period = period_of(case, covered=None if rows is None else covered_days(rows, case))
    disco = disco_of_case(case)
    energy = energy_of(case, period=period, intervals=rows, disco=None if disco is None else disco.value)
    consumer = consumer_of(case, period=period, energy=energy)
    return Understood(case, period, energy, consumer, rows)


def _billing_case(known: Understood) -> BillingCase:
    case, energy, consumer = known.case, known.energy, known.consumer
    return BillingCase(
        period_start=known.period.first,
        period_end=known.period.last,
        bill_month=known.period.month,
        imported_kwh=energy.imported_kwh,
        imported_peak_kwh=energy.imported_peak_kwh,
        exported_kwh=energy.exported_kwh,
        exported_peak_kwh=energy.exported_peak_kwh,
        disco_provider="" if consumer.disco is None else consumer.disco.value,
        province=consumer.province,
        sanctioned_load_kw=case.sanctioned_load_kw,
        phases=case.phases,
        max_demand_kw=energy.max_demand_kw,
        demand_history_kw=_months(case.demand_history_kw),
        billed_units=_months(case.history),
        export_scheme=consumer.scheme,
        ledger_kwh=case.surplus_kwh_brought_forward,
        ledger_peak_kwh=case.surplus_peak_kwh_brought_forward,
        active_taxpayer=consumer.active_taxpayer,
        prorated=case.prorated,
        installed_capacity_kw=case.installed_capacity_kw,
    )


def _adjustments(known: Understood, versions: Sequence[Version], on_file: OnFile) -> tuple[Adjustment, ...]:
    case = known.case
    uses_file = case.use_dated_adjustments
    if uses_file is None:
        uses_file = case.inline_tariff is None
    lag = versions[-1].rates.get("fca_lag_months")
    fuel_month = known.period.bill_month.back(DEFAULT_FCA_LAG_MONTHS if lag is None else int(lag))
    given = (*long_records(case), *short_records(case, known.period, fuel_month=fuel_month))
    return replaced(on_file.adjustments if uses_file else (), given, known.consumer)


def _period_warnings(known: Understood) -> tuple[BillWarning, ...]:
    if known.period.days in MONTH_DAYS or known.case.prorated:
        return ()
    message = (
        f"The period has {known.period.days} days and is priced as one month: slabs and fixed charges are monthly."
    )
    return (BillWarning("period_not_a_month", message),)


def _without_solar(known: Understood, on_file: OnFile) -> list[dict[str, Any]] | None:
    """The tariff had everything been bought; None = as with solar, or no other one is on record."""
    same = known.consumer.category_without_solar == known.consumer.category
    if same or not any(version.covers(known.period.last) for version in on_file.without_solar):
        return None
    return [version.record() for version in joined(on_file.without_solar, known.period)]


def _by_periods(known: Understood, versions: Sequence[Version]) -> ScheduledEnergy | None:
    """The case's units by the periods of its tariff; None for a tariff without such."""
    record, file = versions[-1].rates.get("schedule"), known.case
    if record is not None:
        return scheduled_energy(
            file, schedule_of(record), _billing_case(known), energy=known.energy, rows=known.intervals
        )
    for name in ("schedule_units", "schedule_demand_kw"):
        if getattr(file, name):
            words = f"{name} is given, but {versions[-1].code} is no tariff by month and hour (rates.schedule); leave it out"
            raise CaseError(name, words)
    return None


def _inputs(
    known: Understood,
    versions: Sequence[Version],
    *,
    on_file: OnFile,
    of_tariff: Sequence[BillWarning],
    divided: ScheduledEnergy | None,
) -> dict[str, Any]:
    case, energy = known.case, known.energy
    warnings = (*known.consumer.warnings, *of_tariff, *energy.warnings, *_period_warnings(known))
    own = None if divided is None else divided.metered
    warnings += () if divided is None else divided.warnings
    first, *later = (version.record() for version in versions)
    return inputs_json(
        plan_record=first,
        later_versions=later,
        case=_billing_case(known) if own is None else own.case,
        adjustments=_adjustments(known, versions, on_file),
        consumed_kwh=energy.consumed_kwh if own is None else own.consumed_kwh,
        consumed_peak_kwh=energy.consumed_peak_kwh if own is None else None,
        consumed_max_demand_kw=None if own is None else own.consumed_max_demand_kw,
        consumed_by_schedule=None if own is None else (own.consumed_units, own.consumed_demand_kw),
        consumed_units={**_months(case.history), **_months(case.history_without_solar)},
        generated_kwh=energy.generated_kwh,
        co2_kg_per_kwh=case.co2_kg_per_kwh,
        co2_kg_per_tree=case.co2_kg_per_tree,
        versions_without_solar=_without_solar(known, on_file),
        warnings=[{"code": warning.code, "message": warning.message} for warning in warnings],
    )


def _in_the_case_s_words(error: MissingInputError) -> CaseError:
    fields = {"imported_peak_kwh": "peak_units"}
    field = fields.get(error.field, error.field)
    words = str(error).replace(
        "set sanctioned_load_kw in the site's configuration", "give sanctioned_load_kw as printed on the bill"
    )
    return CaseError(field, f"{field} is missing: {words}")


def _tariff_json(known: Understood, versions: Sequence[Version]) -> dict[str, Any]:
    last, disco = versions[-1], known.consumer.disco
    names = ("code", "source", "status", "effective_from", "effective_to")
    records = [version.record() for version in versions]
    return {
        "code": last.code,
        "category": last.category,
        "disco_provider": None if disco is None else disco.value,
        "source": last.source,
        "status": last.status,
        "is_inline": known.case.inline_tariff is not None,
        "versions": [{name: record[name] for name in names} for record in records],
    }


def price(known: Understood, on_file: OnFile) -> dict[str, Any]:
    """Price a case.

    Args:
        known: from `understand`.
        on_file: the tariffs of the case's company and category.

    Returns:
        One JSON object: `bill_breakdown`, `savings_breakdown`, `lines`, `warnings`, `assumptions`, `tariff`, `content_hash`; and what the
        bill was made from, `case`.

    Raises:
        CaseError: if no tariff is on record, or the case lacks what the tariff needs.
        BillingError: if a rate is not on record.
    """
    versions, of_tariff = versions_for(
        known.case, known.consumer, period=known.period, energy=known.energy, on_file=on_file
    )
    try:
        divided = _by_periods(known, versions)
        inputs = _inputs(known, versions, on_file=on_file, of_tariff=of_tariff, divided=divided)
        made = simulate(inputs)
    except MissingInputError as error:
        raise _in_the_case_s_words(error) from error
    except DecimalException as error:
        raise CaseError(
            "rates", "a rate or an amount of the case is too large to be counted with; correct it"
        ) from error
    return {
        "bill_breakdown": made.breakdown,
        "savings_breakdown": made.savings,
        "lines": made.lines,
        "warnings": made.warnings,
        "assumptions": [
            *made.breakdown["assumptions"],
            *(known.energy if divided is None else divided.metered).assumptions,
        ],
        "tariff": _tariff_json(known, versions),
        "case": inputs["case"],
        "content_hash": made.content_hash,
    }


def price_case(case: CaseFile, catalogue: Catalogue, *, csv_text: str | None = None) -> dict[str, Any]:
    """Price a case by the product's own tariff data; see `price`."""
    known = understand(case, csv_text=csv_text)
    return price(known, of_catalogue(catalogue, known.consumer, known.period))
