"""What a site made, used, bought and sold in a period: the numbers of the performance reports, and how they are derived."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from cloud.reports.rules.document import Style

PR_COMPLETENESS_PERCENT = 95.0
"""IEC 61724-1 ratio only where energy and irradiation are both this complete."""


@dataclass(frozen=True, slots=True)
class DayEnergy:
    """One local day of a site; kWh, kW, kWh/m2, per cent. None = not measured."""

    day: date
    generated_kwh: float | None = None
    consumed_kwh: float | None = None
    imported_kwh: float | None = None
    exported_kwh: float | None = None
    charged_kwh: float | None = None
    discharged_kwh: float | None = None
    bridged_kwh: float | None = None
    peak_power_kw: float | None = None
    irradiation_kwh_m2: float | None = None
    completeness_percent: float | None = None
    irradiation_completeness_percent: float | None = None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Mean powers of a quarter-hour, kW; the metric catalogue's signs (import and discharge are positive)."""

    at: datetime
    generated_kw: float | None = None
    load_kw: float | None = None
    grid_kw: float | None = None
    battery_kw: float | None = None


@dataclass(frozen=True, slots=True)
class Worth:
    """The bill of the period, with and without solar; PKR.

    Attributes:
        pending: labels of lines whose amount is not known yet.
        is_month: whether the period is about a month; otherwise the bill says little, as slabs and fixed charges are monthly.
    """

    bill_with_solar_pkr: Decimal
    bill_without_solar_pkr: Decimal
    savings_pkr: Decimal
    tariff: str
    source: str
    pending: tuple[str, ...] = ()
    is_month: bool = True


@dataclass(frozen=True, slots=True)
class Factor:
    """An emission factor and where it comes from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class PerformanceData:
    """Everything that the report is made of.

    Attributes:
        first_day: of the period, local.
        last_day: inclusive.
        capacity_kwp: DC rating at STC.
        days: one per local day of the period that has a row; missing days are added as unknown.
        curve: quarter-hours of `curve_day`, in local time.
        worth: None when no bill could be made; `worth_problem` says why.
        created_at: aware, in the site's zone.
    """

    organization: str
    site: str
    place: str
    timezone: str
    first_day: date
    last_day: date
    created_at: datetime
    days: tuple[DayEnergy, ...]
    curve: tuple[CurvePoint, ...]
    curve_day: date | None
    capacity_kwp: float | None
    inverter_kw: float | None
    battery_kwh: float | None
    disco: str
    worth: Worth | None
    worth_problem: str
    co2: Factor
    tree: Factor
    style: Style = field(default_factory=Style)


def total(values: Sequence[float | None]) -> float | None:
    """Sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def completeness(days: Sequence[DayEnergy], pick: Callable[[DayEnergy], float | None]) -> float:
    """Mean over all days of the period; a day without a row counts 0."""
    return sum(pick(day) or 0.0 for day in days) / len(days) if days else 0.0


def performance_ratio(days: Sequence[DayEnergy], capacity_kwp: float | None) -> tuple[float | None, str]:
    """PR of the period = (E / P0) / (H / 1 kW/m2), plane of array; None and the reason where it would not be true."""
    if not capacity_kwp:
        return None, "the DC rating of the system is not set"
    irradiation = total([day.irradiation_kwh_m2 for day in days])
    energy = total([day.generated_kwh for day in days])
    if irradiation is None:
        return None, "no irradiation was measured"
    energy_percent = completeness(days, lambda day: day.completeness_percent)
    sun_percent = completeness(days, lambda day: day.irradiation_completeness_percent)
    if min(energy_percent, sun_percent) < PR_COMPLETENESS_PERCENT:
        return None, f"data below {PR_COMPLETENESS_PERCENT:.0f} % complete"
    if energy is None or irradiation <= 0:
        return None, "no energy or no irradiation in the period"
    return energy / capacity_kwp / irradiation, "IEC 61724-1, plane of array"


def self_consumption_percent(generated: float | None, exported: float | None) -> float | None:
    """Part of the generation that was not exported; None when either is unknown or nothing was generated."""
    if not generated or exported is None:
        return None
    return max(0.0, min(100.0, (generated - exported) / generated * 100))


def share_percent(part: float | None, whole: float | None) -> float | None:
    """A part in per cent of the whole, held within 0 to 100; None when either is unknown or there is no whole."""
    return None if part is None or not whole else max(0.0, min(100.0, part / whole * 100))


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of a period; kWh, kW. `percent` is the mean completeness of its days."""

    generated: float | None
    consumed: float | None
    imported: float | None
    exported: float | None
    peak_kw: float | None
    bridged: float | None
    percent: float


def totals_of(days: Sequence[DayEnergy]) -> Totals:
    """Add up the days of a period."""
    peaks = [day.peak_power_kw for day in days if day.peak_power_kw is not None]
    return Totals(
        generated=total([day.generated_kwh for day in days]),
        consumed=total([day.consumed_kwh for day in days]),
        imported=total([day.imported_kwh for day in days]),
        exported=total([day.exported_kwh for day in days]),
        peak_kw=max(peaks, default=None),
        bridged=total([day.bridged_kwh for day in days]),
        percent=completeness(days, lambda day: day.completeness_percent),
    )


def all_days(data: PerformanceData) -> tuple[DayEnergy, ...]:
    """Every day of the period in order; a day without a row knows nothing."""
    known = {day.day: day for day in data.days}
    ordinals = range(data.first_day.toordinal(), data.last_day.toordinal() + 1)
    return tuple(known.get(date.fromordinal(o), DayEnergy(date.fromordinal(o))) for o in ordinals)
