"""Energy of months to come, from months that were measured.

A month is the mean day of a measured month, quarter-hour by quarter-hour, times its days: the same calendar month where it was measured,
else the nearest one. Where generation or consumption of the month is known to differ, every measured quarter-hour is moved by the
difference: more generation first lowers what was imported, then adds to what was exported; a battery works as in the measured month.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from cloud.billing.rules.errors import MissingInputError
from cloud.billing.rules.metering.energy import QUARTERS_PER_HOUR, WH_PER_KWH, QuarterHour
from cloud.billing.rules.metering.tou import is_peak
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.outlook.sun import QUARTERS_A_DAY
from shared.periods import Window

MEASURED_COVERAGE_PERCENT = 90.0
"""A month counts as measured when readings cover as much of it."""
MONTHS_A_YEAR = 12
_STEP = Decimal("0.001")


class Basis(StrEnum):
    """What a month's energy stands on, from the best to the weakest."""

    MEASURED = "measured"
    """The same calendar month was measured."""
    SCALED = "scaled"
    """Measured, and scaled to a yield or a consumption that was given."""
    ASSUMED = "assumed"
    """Another month stands in for it, or a shape was assumed."""


@dataclass(frozen=True, slots=True)
class Quarter:
    """One measured quarter-hour, Wh; `slot` counts from local midnight."""

    slot: int
    generated_wh: Decimal
    consumed_wh: Decimal
    imported_wh: Decimal
    exported_wh: Decimal


@dataclass(frozen=True, slots=True)
class MeasuredMonth:
    """Quarter-hours of a calendar month, as far as its import was measured.

    Attributes:
        coverage_percent: seconds with readings of all seconds of the month.
        has_consumption: consumption was measured in every quarter-hour; otherwise it is import + generation - export.
        has_export: export was measured, or there is no generation to export.
        has_demand: the highest quarter-hour says something about the demand.
    """

    month: Month
    quarters: tuple[Quarter, ...]
    coverage_percent: float
    has_consumption: bool = True
    has_export: bool = True
    has_demand: bool = True

    @property
    def is_measured(self) -> bool:
        """Whether it is complete enough to stand for the month."""
        return bool(self.quarters) and self.coverage_percent >= MEASURED_COVERAGE_PERCENT


@dataclass(frozen=True, slots=True)
class MonthEnergy:
    """Energy of a month, kWh.

    Attributes:
        max_demand_kw: highest mean import of a quarter-hour; None = not known.
        max_demand_without_kw: the same, had everything been taken from the grid.
        basis: the weaker of the next two.
        consumption_basis: of the consumption.
        generation_basis: of the generation.
        stands_on: the measured month; None = none was.
    """

    month: Month
    consumed_kwh: Decimal
    consumed_peak_kwh: Decimal
    generated_kwh: Decimal
    imported_kwh: Decimal
    imported_peak_kwh: Decimal
    exported_kwh: Decimal
    exported_peak_kwh: Decimal
    max_demand_kw: Decimal | None
    max_demand_without_kw: Decimal | None
    consumption_basis: Basis
    generation_basis: Basis
    stands_on: Month | None

    @property
    def basis(self) -> Basis:
        """What the month as a whole stands on."""
        order = list(Basis)
        return max(self.consumption_basis, self.generation_basis, key=order.index)


@dataclass(frozen=True, slots=True)
class YearOutlook:
    """What is known about the year.

    Attributes:
        measured: months that were measured.
        yield_kwh_per_kwp: expected of each calendar month, January first; None = not known.
        system_kwp: a system that is not there yet, instead of the measured generation; needs yields and day shapes.
        day_shares: by calendar month (1 to 12) the share of a day's generation in each quarter-hour.
        consumption_kwh: given for each calendar month, January first; None = as measured.
    """

    measured: Sequence[MeasuredMonth]
    disco_provider: str
    yield_kwh_per_kwp: Sequence[Decimal] | None = None
    system_kwp: Decimal | None = None
    day_shares: Mapping[int, Sequence[Decimal]] | None = None
    consumption_kwh: Sequence[Decimal] | None = None


def measured_month(rows: Iterable[QuarterHour], *, month: Month, window: Window, zone: ZoneInfo) -> MeasuredMonth:
    """Read the quarter-hours of a calendar month; those without measured import are left out.

    Args:
        rows: those that begin in the window.
        month: the month.
        window: its first to its last moment.
        zone: of the site.
    """
    known = [row for row in rows if row.imported_wh is not None]
    covered = sum(row.covered_seconds for row in known)
    return MeasuredMonth(
        month,
        tuple(_quarter(row, zone) for row in known),
        min(100.0, covered / window.seconds * 100),
        has_consumption=all(row.consumed_wh is not None for row in known),
        has_export=all(row.exported_wh is not None for row in known if row.generated_wh),
    )


def _quarter(row: QuarterHour, zone: ZoneInfo) -> Quarter:
    local = row.bucket.astimezone(zone)
    imported, generated, exported = row.imported_wh or 0, row.generated_wh or 0, row.exported_wh or 0
    consumed = imported + max(0, generated - exported) if row.consumed_wh is None else row.consumed_wh
    slot = local.hour * QUARTERS_PER_HOUR + local.minute // 15
    return Quarter(slot, Decimal(generated), Decimal(consumed), Decimal(imported), Decimal(exported))


def days_of(month: Month) -> int:
    """Calendar days of a month."""
    return (month.back(-1).first_day - month.first_day).days


def standing_in(month: Month, measured: Iterable[MeasuredMonth]) -> MeasuredMonth | None:
    """The measured month that stands for a month: nearest in the year's round, then the latest; None without any."""

    def distance(other: MeasuredMonth) -> tuple[int, int, int]:
        apart = abs(other.month.month - month.month)
        return min(apart, MONTHS_A_YEAR - apart), -other.month.year, -other.month.month

    return min((other for other in measured if other.is_measured), key=distance, default=None)


def _even_month(month: Month, kwh: Decimal) -> MeasuredMonth:
    """Stands for a month of which only the consumption is known: spread evenly over the day."""
    wh = kwh * WH_PER_KWH / days_of(month) / QUARTERS_A_DAY
    quarters = tuple(Quarter(slot, ZERO, wh, wh, ZERO) for slot in range(QUARTERS_A_DAY))
    return MeasuredMonth(month, quarters, 0.0, has_consumption=False, has_demand=False)


def moved(quarter: Quarter, *, generated_wh: Decimal, consumed_wh: Decimal) -> Quarter:
    """The quarter-hour with another generation and consumption; import less export moves by just as much."""
    more = (generated_wh - quarter.generated_wh) - (consumed_wh - quarter.consumed_wh)
    imported, exported = quarter.imported_wh, quarter.exported_wh
    taken = min(imported, more) if more >= 0 else -min(exported, -more)
    if more >= 0:
        return Quarter(quarter.slot, generated_wh, consumed_wh, imported - taken, exported + more - taken)
    return Quarter(quarter.slot, generated_wh, consumed_wh, imported - more + taken, exported + taken)


@dataclass(frozen=True, slots=True)
class _Change:
    """How the quarter-hours of a month differ from the measured ones.

    Attributes:
        generation: what measured generation is multiplied with; None = `day_wh` instead.
        day_wh: generation by quarter-hour of the day.
        consumption: what measured consumption is multiplied with.
    """

    generation: Decimal | None
    day_wh: Sequence[Decimal]
    consumption: Decimal

    @property
    def is_none(self) -> bool:
        return self.generation == 1 and self.consumption == 1

    def of(self, quarter: Quarter) -> Quarter:
        if self.is_none:
            return quarter
        generated = self.day_wh[quarter.slot] if self.generation is None else quarter.generated_wh * self.generation
        return moved(quarter, generated_wh=generated, consumed_wh=quarter.consumed_wh * self.consumption)


def _day_kwh(source: MeasuredMonth, flow: str) -> Decimal:
    """Energy of the mean day, kWh."""
    sums, counts = [ZERO] * QUARTERS_A_DAY, [0] * QUARTERS_A_DAY
    for quarter in source.quarters:
        sums[quarter.slot] += getattr(quarter, flow)
        counts[quarter.slot] += 1
    means = (total / count for total, count in zip(sums, counts, strict=True) if count)
    return sum(means, ZERO) / WH_PER_KWH


def _consumption(month: Month, outlook: YearOutlook, source: MeasuredMonth) -> tuple[Decimal, Basis]:
    if outlook.consumption_kwh is None:
        return Decimal(1), Basis.MEASURED if source.month.month == month.month else Basis.ASSUMED
    if not source.has_demand:
        return Decimal(1), Basis.ASSUMED
    day = _day_kwh(source, "consumed_wh")
    wanted = outlook.consumption_kwh[month.month - 1] / days_of(month)
    return (wanted / day, Basis.SCALED) if day else (Decimal(1), Basis.ASSUMED)


def _generation(
    month: Month, outlook: YearOutlook, source: MeasuredMonth
) -> tuple[Decimal | None, Sequence[Decimal], Basis]:
    yields = outlook.yield_kwh_per_kwp
    if outlook.system_kwp is not None:
        if yields is None or outlook.day_shares is None:
            raise MissingInputError("monthly_yield_kwh_per_kwp", "monthly_yield_kwh_per_kwp is needed for a new system")
        day_wh = outlook.system_kwp * yields[month.month - 1] / days_of(month) * WH_PER_KWH
        return None, [share * day_wh for share in outlook.day_shares[month.month]], Basis.SCALED
    if not any(quarter.generated_wh for quarter in source.quarters):
        return Decimal(1), (), Basis.MEASURED
    if source.month.month == month.month:
        return Decimal(1), (), Basis.MEASURED
    if yields is None:
        return Decimal(1), (), Basis.ASSUMED
    here, there = yields[month.month - 1] / days_of(month), yields[source.month.month - 1] / days_of(source.month)
    return here / there, (), Basis.SCALED


def peak_slots(month: Month, disco_provider: str) -> frozenset[int]:
    """Quarter-hours of the day that lie in the company's peak hours in this month."""
    midnight = datetime.combine(month.first_day, time())
    starts = [midnight + timedelta(minutes=15 * slot) for slot in range(QUARTERS_A_DAY)]
    return frozenset(slot for slot, start in enumerate(starts) if is_peak(start, disco_provider))


class _Sums:
    """Adds up quarter-hours by their place in the day."""

    def __init__(self) -> None:
        self.counts = [0] * QUARTERS_A_DAY
        self.flows = {name: [ZERO] * QUARTERS_A_DAY for name in ("generated", "consumed", "imported", "exported")}
        self.highest_wh = ZERO
        self.highest_consumed_wh = ZERO

    def add(self, quarter: Quarter) -> None:
        slot, flows = quarter.slot, self.flows
        self.counts[slot] += 1
        flows["generated"][slot] += quarter.generated_wh
        flows["consumed"][slot] += quarter.consumed_wh
        flows["imported"][slot] += quarter.imported_wh
        flows["exported"][slot] += quarter.exported_wh
        self.highest_wh = max(self.highest_wh, quarter.imported_wh)
        self.highest_consumed_wh = max(self.highest_consumed_wh, quarter.consumed_wh)

    def kwh(self, flow: str, days: int, slots: Iterable[int]) -> Decimal:
        """Energy of so many mean days in these parts of the day."""
        sums, counts = self.flows[flow], self.counts
        total = sum((sums[slot] * days / counts[slot] for slot in slots if counts[slot]), ZERO)
        return (total / WH_PER_KWH).quantize(_STEP, rounding=ROUND_HALF_UP)


def _kw(highest_wh: Decimal) -> Decimal:
    return (highest_wh * QUARTERS_PER_HOUR / WH_PER_KWH).quantize(_STEP, rounding=ROUND_HALF_UP)


def month_energy(month: Month, outlook: YearOutlook) -> MonthEnergy:
    """Energy of a month to come.

    Raises:
        MissingInputError: if nothing was measured and no consumption was given, or a new system has no yields.
    """
    source = standing_in(month, outlook.measured)
    if source is None:
        if outlook.consumption_kwh is None:
            message = (
                "no month was measured; give monthly_consumption_kwh, twelve numbers from the bills, January first"
            )
            raise MissingInputError("monthly_consumption_kwh", message)
        source = _even_month(month, outlook.consumption_kwh[month.month - 1])
    factor, consumption_basis = _consumption(month, outlook, source)
    generation, day_wh, generation_basis = _generation(month, outlook, source)
    change, sums = _Change(generation, day_wh, factor), _Sums()
    for quarter in source.quarters:
        sums.add(change.of(quarter))
    days, everything, peak = days_of(month), range(QUARTERS_A_DAY), peak_slots(month, outlook.disco_provider)
    return MonthEnergy(
        month=month,
        consumed_kwh=sums.kwh("consumed", days, everything),
        consumed_peak_kwh=sums.kwh("consumed", days, peak),
        generated_kwh=sums.kwh("generated", days, everything),
        imported_kwh=sums.kwh("imported", days, everything),
        imported_peak_kwh=sums.kwh("imported", days, peak),
        exported_kwh=sums.kwh("exported", days, everything),
        exported_peak_kwh=sums.kwh("exported", days, peak),
        max_demand_kw=_kw(sums.highest_wh) if source.has_demand else None,
        max_demand_without_kw=_kw(sums.highest_consumed_wh) if source.has_demand else None,
        consumption_basis=consumption_basis,
        generation_basis=generation_basis,
        stands_on=source.month if source.has_demand else None,
    )
