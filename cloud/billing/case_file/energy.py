"""The energy that a case is about: what it says itself, what its intervals say, and what follows from both."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from cloud.billing.case_file.period import CasePeriod
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.shape import CaseFile, CaseInterval
from cloud.billing.rules.metering.energy import PeriodEnergy, period_window
from cloud.billing.rules.metering.intervals import (
    START,
    Interval,
    IntervalEnergy,
    IntervalError,
    interval_energy,
    parse_intervals_csv,
)
from cloud.billing.rules.model import BillWarning
from cloud.billing.rules.money import ZERO, number_text
from cloud.billing.rules.scheduled.case import EXPORT, IMPORT, flow_sums
from shared.periods import day_of, zone_of

NOT_MEASURED = PeriodEnergy(
    generated_kwh=None,
    consumed_kwh=None,
    imported_kwh=None,
    exported_kwh=None,
    imported_peak_kwh=None,
    exported_peak_kwh=None,
    consumed_peak_kwh=None,
    max_demand_kw=None,
    coverage_percent=0.0,
)
"""A case without intervals."""
WHOLE_PERCENT = 99.5
ONE_PERCENT = Decimal("0.01")

COLUMNS: Mapping[str, tuple[str, ...]] = {
    START: ("timestamp", "time", "interval_start", "datetime", "date_time", "start_time", "period_start"),
    "imported_kwh": ("import_kwh", "import", "imported", "units", "grid_import_kwh"),
    "exported_kwh": ("export_kwh", "export", "exported", "grid_export_kwh"),
    "consumed_kwh": ("consumption_kwh", "consumption", "consumed", "load_kwh"),
    "generated_kwh": ("generation_kwh", "generation", "generated", "solar_kwh", "pv_kwh"),
}
"""Column of the intervals -> its other names."""

_COLUMN_OF = {other: column for column, others in COLUMNS.items() for other in others}


@dataclass(frozen=True, slots=True)
class CaseEnergy:
    """Energy of the period, kWh.

    Attributes:
        imported_peak_kwh: None when nobody knows it.
        says_peak: whether the case itself divides its units, so that it means time of use.
        consumed_kwh: had there been no solar, this would have been bought.
    """

    imported_kwh: Decimal
    imported_peak_kwh: Decimal | None
    says_peak: bool
    exported_kwh: Decimal
    exported_peak_kwh: Decimal
    consumed_kwh: Decimal
    consumed_peak_kwh: Decimal | None
    generated_kwh: Decimal
    max_demand_kw: Decimal | None
    warnings: tuple[BillWarning, ...]
    assumptions: tuple[str, ...]


def _csv_of(rows: Iterable[CaseInterval]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    names = [name for name in CaseInterval.model_fields if name != "timestamp"]
    writer.writerow(["timestamp", *names])
    for row in rows:
        energies = (getattr(row, name) for name in names)
        writer.writerow([row.timestamp, *("" if kwh is None else f"{kwh:f}" for kwh in energies)])
    return out.getvalue()


def _with_known_header(text: str) -> str:
    header, _, rest = text.removeprefix("\ufeff").lstrip().partition("\n")
    names = (re.sub(r"\W+", "_", name.lower()).strip("_") for name in header.split(","))
    return ",".join(_COLUMN_OF.get(name, name) for name in names) + "\n" + rest


def _place(field: str, error: IntervalError) -> str:
    # Rows inline were written under a header line of their own.
    return f"intervals.{error.line - 2}" if field == "intervals" and error.line and error.line > 1 else field


def read_intervals(case: CaseFile, csv_text: str | None) -> tuple[Interval, ...] | None:
    """The case's intervals in order of time; None when it has none.

    Args:
        case: as read.
        csv_text: content of the file that `interval_csv` names.

    Raises:
        CaseError: names line or row, column and value.
    """
    if case.intervals is not None and csv_text is not None:
        raise CaseError("intervals", "intervals stands beside interval_csv; keep one of them")
    if case.intervals is None and csv_text is None:
        return None
    field = "interval_csv" if csv_text is not None else "intervals"
    text = csv_text if csv_text is not None else _csv_of(case.intervals or ())
    try:
        return parse_intervals_csv(_with_known_header(text), zone=zone_of(case.time_zone))
    except IntervalError as error:
        place = _place(field, error)
        raise CaseError(place, f"{place}, {error}") from error
    except OverflowError as error:
        raise CaseError(field, f"{field} holds a moment outside of the calendar ({error}); correct its year") from error


def covered_days(rows: tuple[Interval, ...], case: CaseFile) -> tuple[date, date]:
    """First and last local day of the intervals."""
    zone = zone_of(case.time_zone)
    return day_of(rows[0].start, zone), day_of(rows[-1].end - timedelta(seconds=1), zone)


def _without_peak_hours(found: IntervalEnergy) -> IntervalEnergy:
    """Without a company there are none."""
    energy = replace(found.energy, imported_peak_kwh=None, exported_peak_kwh=None, consumed_peak_kwh=None)
    return IntervalEnergy(energy, ())


def _measured(case: CaseFile, rows: tuple[Interval, ...], period: CasePeriod, disco: str) -> IntervalEnergy:
    zone = zone_of(case.time_zone)
    window = period_window(period.first, period.last, zone)
    try:
        found = interval_energy(rows, window=window, zone=zone, disco_provider=disco)
        return found if disco else _without_peak_hours(found)
    except IntervalError as error:
        raise CaseError("interval_csv", f"intervals: {error}") from error


def _divided(case: CaseFile) -> tuple[Decimal | None, Decimal | None]:
    """Units and the part of them in peak hours, as far as the case itself says."""
    units, peak, off_peak = case.units, case.peak_units, case.off_peak_units
    if peak is not None and off_peak is not None:
        both = peak + off_peak
        if units is not None and units != both:
            raise CaseError(
                "units",
                f"units is {units} while peak_units {peak} and off_peak_units {off_peak} make {both}; correct one of them",
            )
        return both, peak
    if units is None:
        if peak is not None or off_peak is not None:
            missing, there = ("off_peak_units", "peak_units") if off_peak is None else ("peak_units", "off_peak_units")
            raise CaseError(missing, f"{missing} is missing beside {there}; give both, or one of them with units")
        return None, None
    if off_peak is not None:
        peak = units - off_peak
    part, value = ("off_peak_units", off_peak) if off_peak is not None else ("peak_units", peak)
    if peak is not None and not 0 <= peak <= units:
        raise CaseError(part, f"{part} is {value}, more than units {units}; it is a part of them")
    return units, peak


def _part(field: str, part: Decimal, *, of: Decimal, whole: str) -> Decimal:
    if part > of:
        raise CaseError(field, f"{field} is {part}, more than {whole} {of}; it is a part of it")
    return part


def _coverage_warnings(case: CaseFile, measured: IntervalEnergy | None, units: Decimal) -> tuple[BillWarning, ...]:
    if measured is None:
        return ()
    found = []
    if measured.energy.coverage_percent < WHOLE_PERCENT:
        message = f"The intervals cover {measured.energy.coverage_percent:.1f} % of the period: units and bill may be too low."
        found.append(BillWarning("intervals_incomplete", message))
    told = measured.energy.imported_kwh
    if (
        case.given("units", "peak_units", "off_peak_units")
        and told is not None
        and abs(told - units) > units * ONE_PERCENT
    ):
        message = f"The case's {number_text(units)} kWh are billed; its intervals add up to {number_text(told)} kWh."
        found.append(BillWarning("units_differ_from_intervals", message))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Own:
    """Consumption, and how it is known."""

    kwh: Decimal
    peak_kwh: Decimal | None
    warnings: tuple[BillWarning, ...] = ()


def _first(*values: Decimal | None) -> Decimal | None:
    return next((value for value in values if value is not None), None)


def _consumption(case: CaseFile, measured: PeriodEnergy, told: PeriodEnergy) -> _Own:
    """What the site used.

    Args:
        case: as read.
        measured: by the intervals.
        told: units and solar energy of the bill.
    """
    imported, exported = told.imported_kwh or ZERO, told.exported_kwh or ZERO
    peak = told.imported_peak_kwh
    consumed = _first(case.consumed_kwh, measured.consumed_kwh)
    said_peak = _first(case.consumed_peak_kwh, measured.consumed_peak_kwh)
    warnings: list[BillWarning] = []
    if consumed is None:
        consumed = imported + max(ZERO, (told.generated_kwh or ZERO) - exported)
        if exported and told.generated_kwh is None:
            message = (
                "What the site used of its own solar energy is not known (give consumed_kwh or generated_kwh): "
                "it is left out of the savings."
            )
            warnings.append(BillWarning("consumption_unknown", message))
    if said_peak is not None:
        return _Own(consumed, _part("consumed_peak_kwh", said_peak, of=consumed, whole="consumed_kwh"), tuple(warnings))
    if peak is not None and consumed != imported:
        message = "Without solar, the use in peak hours is taken as what was bought in them (give consumed_peak_kwh)."
        warnings.append(BillWarning("consumption_peak_estimated", message))
    return _Own(consumed, None if peak is None else min(peak, consumed), tuple(warnings))


def _told(case: CaseFile, measured: PeriodEnergy) -> PeriodEnergy:
    units, peak = _divided(case)
    by_period = flow_sums(case.schedule_units)
    if units is None and measured.imported_kwh is None and case.schedule_units:
        units = by_period[IMPORT]
    if units is None:
        units, peak = measured.imported_kwh, measured.imported_peak_kwh
    if units is None:
        raise CaseError("units", "units is missing; give units, peak_units with off_peak_units, or interval_csv")
    exported = case.exported_kwh if case.given("exported_kwh") else measured.exported_kwh or by_period[EXPORT]
    exported_peak = _first(case.exported_peak_kwh, measured.exported_peak_kwh, ZERO) or ZERO
    return replace(
        NOT_MEASURED,
        imported_kwh=units,
        imported_peak_kwh=peak,
        exported_kwh=exported,
        exported_peak_kwh=_part("exported_peak_kwh", exported_peak, of=exported, whole="exported_kwh"),
        generated_kwh=_first(case.generated_kwh, measured.generated_kwh),
        max_demand_kw=_first(case.max_demand_kw, measured.max_demand_kw),
    )


def energy_of(
    case: CaseFile, *, period: CasePeriod, intervals: tuple[Interval, ...] | None, disco: str | None
) -> CaseEnergy:
    """The energy of the period; what the case says itself goes before its intervals.

    Args:
        case: as read.
        period: of the bill.
        intervals: of the meter.
        disco: decides the peak hours of intervals.

    Raises:
        CaseError: if no units are known, or parts are larger than their whole.
    """
    if intervals is not None and disco is None and not case.has_own_schedule:
        raise CaseError("disco_provider", "disco_provider is missing; it decides the peak hours of the intervals")
    measured = None if intervals is None else _measured(case, intervals, period, disco or "")
    energy = NOT_MEASURED if measured is None else measured.energy
    told = _told(case, energy)
    units = told.imported_kwh or ZERO
    own = _consumption(case, energy, told)
    return CaseEnergy(
        imported_kwh=units,
        imported_peak_kwh=told.imported_peak_kwh,
        says_peak=case.given("peak_units", "off_peak_units"),
        exported_kwh=told.exported_kwh or ZERO,
        exported_peak_kwh=told.exported_peak_kwh or ZERO,
        consumed_kwh=own.kwh,
        consumed_peak_kwh=own.peak_kwh,
        generated_kwh=told.generated_kwh or ZERO,
        max_demand_kw=told.max_demand_kw,
        warnings=(*_coverage_warnings(case, measured, units), *own.warnings),
        assumptions=() if measured is None else measured.assumptions,
    )
