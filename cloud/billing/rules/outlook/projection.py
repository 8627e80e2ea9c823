"""A year ahead: twelve bills with and without solar, one after the other.

What one bill leaves behind goes into the next: the units on which a later fuel charge falls, the months that decide whether a home is
protected, the surplus of net metering. Rates that are not notified yet are the latest known ones, marked as estimated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

from cloud.billing.rules.bill import price_bill, without_solar
from cloud.billing.rules.consumer import billed_category, checked_months
from cloud.billing.rules.model import Adjustment, Bill, BillingCase, ExportScheme, LineKind, Plan, RateStatus
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.outlook.held_rates import held_adjustments, plans_in
from cloud.billing.rules.outlook.profile import MONTHS_A_YEAR, Basis, MonthEnergy, YearOutlook, month_energy

HISTORY_MONTHS = 12
"""Months before the first bill whose units may bear on one."""
FUEL_MONTHS = 2
"""Months before the first bill whose fuel charge falls on one of the twelve."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What stays the same about a connection.

    Attributes:
        category: configured; what is billed may differ by month, see `cloud.billing.rules.consumer`.
    """

    disco_provider: str
    category: str
    province: str | None = None
    sanctioned_load_kw: Decimal | None = None
    phases: int | None = None
    export_scheme: ExportScheme = ExportScheme.NONE
    active_taxpayer: bool = True
    installed_capacity_kw: Decimal | None = None


@dataclass(frozen=True, slots=True)
class YearBefore:
    """What earlier bills leave to the first one.

    Attributes:
        billed_units: kWh billed by month, as far as known.
        units_without_solar: the same, had everything been taken from the grid.
        demand_kw: highest demand by month, with solar.
        ledger_kwh: surplus under net metering.
        ledger_peak_kwh: its part of peak hours.
    """

    billed_units: Mapping[Month, Decimal] = field(default_factory=dict)
    units_without_solar: Mapping[Month, Decimal] = field(default_factory=dict)
    demand_kw: Mapping[Month, Decimal] = field(default_factory=dict)
    ledger_kwh: Decimal = ZERO
    ledger_peak_kwh: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Rates:
    """Versions of the tariffs by category, and the dated records."""

    plans: Mapping[str, Sequence[Plan]]
    adjustments: Sequence[Adjustment]


@dataclass(frozen=True, slots=True)
class ProjectedMonth:
    """One month: its energy, the two bills, and the categories that they are billed in."""

    energy: MonthEnergy
    with_solar: Bill
    without_solar: Bill
    category: str
    category_without_solar: str

    @property
    def savings_pkr(self) -> Decimal:
        """What the bill is lower with solar; export income is inside."""
        return self.without_solar.total_pkr - self.with_solar.total_pkr

    @property
    def export_income_pkr(self) -> Decimal:
        """Credited for exports."""
        return -self.with_solar.amount(LineKind.EXPORT_CREDIT)

    @property
    def estimated_lines(self) -> tuple[LineKind, ...]:
        """Kinds of lines of either bill whose rate is an estimate."""
        lines = (*self.with_solar.lines, *self.without_solar.lines)
        return tuple(sorted({line.kind for line in lines if line.status is RateStatus.ESTIMATED}))

    @property
    def pending_lines(self) -> tuple[LineKind, ...]:
        """Kinds of lines that are left out of a total."""
        return tuple(sorted({line.kind for line in (*self.with_solar.pending, *self.without_solar.pending)}))


@dataclass(frozen=True, slots=True)
class Projection:
    """A year of bills.

    Attributes:
        ledger_kwh: surplus that the last bill carries on.
        guessed_history: months before the first whose units were not known and were taken from the projection itself.
    """

    months: tuple[ProjectedMonth, ...]
    ledger_kwh: Decimal
    guessed_history: tuple[Month, ...]

    @property
    def with_solar_pkr(self) -> Decimal:
        """Sum of the bills with solar."""
        return sum((month.with_solar.total_pkr for month in self.months), ZERO)

    @property
    def without_solar_pkr(self) -> Decimal:
        """Sum of the bills without solar."""
        return sum((month.without_solar.total_pkr for month in self.months), ZERO)

    @property
    def savings_pkr(self) -> Decimal:
        """Difference of the two sums; export income is inside."""
        return self.without_solar_pkr - self.with_solar_pkr

    @property
    def export_income_pkr(self) -> Decimal:
        """Credited for exports over the year."""
        return sum((month.export_income_pkr for month in self.months), ZERO)

    def energy_kwh(self, flow: str) -> Decimal:
        """A year's energy: `generated`, `consumed`, `imported` or `exported`, kWh."""
        return sum((getattr(month.energy, f"{flow}_kwh") for month in self.months), ZERO)

    def count(self, basis: Basis) -> int:
        """Months whose energy stands on this."""
        return sum(month.energy.basis is basis for month in self.months)


@dataclass(slots=True)
class _Run:
    """One row of bills under way: with solar, or without.

    Attributes:
        units: billed by month, this row's own.
        demand_kw: highest demand of the months priced so far.
    """

    connection: Connection
    rates: Rates
    units: dict[Month, Decimal]
    ledger_kwh: Decimal = ZERO
    ledger_peak_kwh: Decimal = ZERO
    demand_kw: dict[Month, Decimal] = field(default_factory=dict)

    def price(self, case: BillingCase) -> tuple[Bill, str]:
        """The month's bill and the category that it is billed in; the row then stands after it."""
        category, _ = billed_category(
            self.connection.category,
            units=case.imported_kwh,
            history=self.units,
            bill_month=case.month,
            phases=self.connection.phases,
            sanctioned_load_kw=self.connection.sanctioned_load_kw,
        )
        versions = self.rates.plans.get(category, ())
        plans = plans_in(versions, case.period_start, case.period_end, category=category)
        bill = price_bill(plans, case, self.rates.adjustments)
        self.units[case.month] = bill.billed_kwh
        self.ledger_kwh, self.ledger_peak_kwh = bill.ledger_kwh, bill.ledger_peak_kwh
        if case.max_demand_kw is not None:
            self.demand_kw[case.month] = case.max_demand_kw
        return bill, category


def last_day_of(month: Month) -> date:
    """Last day of a month."""
    return month.back(-1).first_day - timedelta(days=1)


def months_from(first: Month) -> tuple[Month, ...]:
    """The month and the eleven after it."""
    return tuple(first.back(-n) for n in range(MONTHS_A_YEAR))


def _case_with(run: _Run, energy: MonthEnergy) -> BillingCase:
    connection = run.connection
    return BillingCase(
        period_start=energy.month.first_day,
        period_end=last_day_of(energy.month),
        imported_kwh=energy.imported_kwh,
        imported_peak_kwh=energy.imported_peak_kwh,
        exported_kwh=energy.exported_kwh,
        exported_peak_kwh=energy.exported_peak_kwh,
        disco_provider=connection.disco_provider,
        province=connection.province,
        sanctioned_load_kw=connection.sanctioned_load_kw,
        phases=connection.phases,
        max_demand_kw=energy.max_demand_kw,
        demand_history_kw=dict(run.demand_kw),
        billed_units=dict(run.units),
        export_scheme=connection.export_scheme,
        ledger_kwh=run.ledger_kwh,
        ledger_peak_kwh=run.ledger_peak_kwh,
        active_taxpayer=connection.active_taxpayer,
        installed_capacity_kw=connection.installed_capacity_kw,
    )


def _case_without(run: _Run, energy: MonthEnergy) -> BillingCase:
    bought = without_solar(_case_with(run, energy), energy.consumed_kwh, consumed_peak_kwh=energy.consumed_peak_kwh)
    return replace(
        bought,
        max_demand_kw=energy.max_demand_without_kw,
        export_scheme=ExportScheme.NONE,
        installed_capacity_kw=None,
    )


def _netted(energy: MonthEnergy, scheme: ExportScheme) -> Decimal:
    if scheme is ExportScheme.NET_METERING_2015:
        return max(ZERO, energy.imported_kwh - energy.exported_kwh)
    return energy.imported_kwh


def months_bearing(first: Month, category: str) -> frozenset[Month]:
    """Months before the first bill whose units bear on the year: by their fuel charge, or by deciding the category."""
    return frozenset({*checked_months(category, first), *(first.back(n) for n in range(1, FUEL_MONTHS + 1))})


def project_year(
    first: Month, outlook: YearOutlook, *, connection: Connection, before: YearBefore, rates: Rates
) -> Projection:
    """Price twelve months from `first` on.

    Args:
        first: month of the first bill.
        outlook: what is known of the year's energy.
        connection: whose bills these are.
        before: what earlier bills leave behind; a month whose units are not known is taken from the projection itself.
        rates: tariffs by category and dated records.

    Raises:
        MissingInputError: if the energy of a month, or a value that a plan needs, is not known.
        RateUnknownError: if a rate is not on record.
        NoTariffError: if no tariff is on record.
    """
    energies = {month.month: month_energy(month, outlook) for month in months_from(first)}
    past = [first.back(n) for n in range(1, HISTORY_MONTHS + 1)]
    guessed = {month: energies[month.month] for month in past if month not in before.billed_units}
    guessed_without = {month: energies[month.month] for month in past if month not in before.units_without_solar}
    scheme = connection.export_scheme
    held = Rates(rates.plans, held_adjustments(rates.adjustments))
    units = {**{month: _netted(energy, scheme) for month, energy in guessed.items()}, **before.billed_units}
    dark_units = {**{month: e.consumed_kwh for month, e in guessed_without.items()}, **before.units_without_solar}
    lit = _Run(connection, held, units, before.ledger_kwh, before.ledger_peak_kwh, dict(before.demand_kw))
    dark = _Run(connection, held, dark_units)
    months = []
    for energy in energies.values():
        bill, category = lit.price(_case_with(lit, energy))
        other, other_category = dark.price(_case_without(dark, energy))
        months.append(ProjectedMonth(energy, bill, other, category, other_category))
    told = sorted(months_bearing(first, connection.category) & set(guessed), key=str)
    return Projection(tuple(months), lit.ledger_kwh + lit.ledger_peak_kwh, tuple(told))
