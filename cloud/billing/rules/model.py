"""What goes into a bill and what comes out: frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.kinds import (
    CHARGE_KINDS,
    DUTY_BASE,
    GST_BASE,
    INCOME_TAX_BASE,
    AdjustmentKind,
    ExportScheme,
    FixedBasis,
    LineKind,
    PricingRule,
    QtaSplit,
    RateStatus,
)
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.scheduled.schedule import Schedule

# The words are part of the model: who builds a case or a plan finds them here.
__all__ = [
    "CHARGE_KINDS",
    "DEFAULT_FCA_LAG_MONTHS",
    "DUTY_BASE",
    "GST_BASE",
    "INCOME_TAX_BASE",
    "Adjustment",
    "AdjustmentKind",
    "Band",
    "Bill",
    "BillWarning",
    "BillingCase",
    "ExportScheme",
    "ExportTerms",
    "FixedBasis",
    "Line",
    "LineKind",
    "Plan",
    "PricingRule",
    "QtaSplit",
    "RateStatus",
    "Slab",
    "SlabPortion",
]

DEFAULT_FCA_LAG_MONTHS = 2
"""NEPRA sets the fuel charge of a month in the month after it; the DISCOs bill it one month later."""


@dataclass(frozen=True, slots=True)
class Slab:
    """The half-open interval (top of the slab below, `top_units`].

    Attributes:
        top_units: kWh a month; None = no top.
        rate: PKR/kWh; None = not on record.
        fixed: PKR a month on the plan's fixed basis; None = not on record.
        label: how tariff tables name it; empty = made from the tops.
    """

    top_units: Decimal | None
    rate: Decimal | None
    fixed: Decimal | None = ZERO
    label: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of a tariff.

    Rates are PKR/kWh, fixed charges PKR a month, percents per cent. `fallback_*` are the plan's own values, used when no dated
    record covers the bill.

    Attributes:
        code: how the bill names the tariff, e.g. "A-1(a) un-protected".
        slab_fixed: whether the fixed charge is the slab's; otherwise `fixed_charge`.
        demand_share: least billing demand as a share of the sanctioned load.
        expects: kinds of dated records that the bill must have; one that is absent gives a pending line.
        effective_from: first day in force; None = always was.
        effective_to: last day in force; None = open.
        minimum_charge: floor of the energy charge, PKR a month.
        minimum_charge_per_kw: the same, PKR a month for each kW of sanctioned load; the larger floor counts.
        demand_history_months: earlier months whose highest demand bears on the billing demand.
        demand_history_share: share of that highest demand which is billed at least; None = all of it.
        fca_lag_months: months from a fuel charge's month to the bill that carries it.
        schedule: periods, tiers and demand of a plan priced by `SCHEDULE`.
    """

    code: str
    category: str
    pricing_rule: PricingRule
    source: str
    status: RateStatus = RateStatus.VERIFIED
    slabs: tuple[Slab, ...] = ()
    flat_rate: Decimal | None = None
    peak_rate: Decimal | None = None
    off_peak_rate: Decimal | None = None
    fixed_basis: FixedBasis = FixedBasis.PER_CONSUMER
    slab_fixed: bool = False
    fixed_charge: Decimal | None = ZERO
    demand_share: Decimal | None = None
    demand_charge_per_kw: Decimal | None = None
    meter_rent: Decimal | None = None
    fallback_fpa: Decimal | None = None
    fallback_qta: Decimal | None = None
    fallback_duty_percent: Decimal | None = None
    fallback_gst_percent: Decimal | None = None
    fallback_tv_fee: Decimal | None = None
    fallback_export_rate: Decimal | None = None
    duty_base: frozenset[LineKind] = DUTY_BASE
    gst_base: frozenset[LineKind] = GST_BASE
    income_tax_base: frozenset[LineKind] = INCOME_TAX_BASE
    expects: frozenset[AdjustmentKind] = frozenset()
    effective_from: date | None = None
    effective_to: date | None = None
    minimum_charge: Decimal | None = None
    minimum_charge_per_kw: Decimal | None = None
    demand_history_months: int = 0
    demand_history_share: Decimal | None = None
    fca_lag_months: int = DEFAULT_FCA_LAG_MONTHS
    qta_split: QtaSplit = QtaSplit.DAYS
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """One step of a banded amount, for values in (top of the band below, `top`].

    Attributes:
        top: None = no top.
        amount: PKR.
        percent: per cent of the part above `above`.
        above: PKR.
    """

    top: Decimal | None
    amount: Decimal = ZERO
    percent: Decimal = ZERO
    above: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A dated rate beside the plans. Dates are inclusive; for `FCA` they are the month of consumption.

    Attributes:
        rate: PKR/kWh, per cent or PKR, by kind; None when `bands` hold it.
        disco_providers: empty = all.
        provinces: empty = all.
        categories: plan categories it is for; empty = all.
        excluded_categories: plan categories that never pay it.
    """

    kind: AdjustmentKind
    effective_from: date
    effective_to: date | None
    source: str
    rate: Decimal | None = None
    status: RateStatus = RateStatus.VERIFIED
    bands: tuple[Band, ...] = ()
    disco_providers: frozenset[str] = frozenset()
    provinces: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    excluded_categories: frozenset[str] = frozenset()

    def covers(self, day: date) -> bool:
        """Whether the record is in force on the day."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)


@dataclass(frozen=True, slots=True)
class ExportTerms:
    """What the text of the law leaves open of an export scheme; the bill prints what it takes for granted.

    Attributes:
        levies_on_import: under net metering, QTA and surcharge are on all units imported, not on those left after netting.
        credit_limited: a credit lowers the bill to zero at most and the rest lapses; otherwise a negative total is a balance.
    """

    levies_on_import: bool = False
    credit_limited: bool = False


@dataclass(frozen=True, slots=True)
class BillingCase:
    """What one bill is about.

    Attributes:
        period_start: first day, inclusive.
        period_end: last day, inclusive.
        imported_kwh: units taken from the grid.
        exported_kwh: units given to the grid.
        imported_peak_kwh: part of `imported_kwh` in peak hours; needed by ToU plans.
        exported_peak_kwh: part of `exported_kwh` in peak hours.
        sanctioned_load_kw: from the site's connection.
        max_demand_kw: highest demand of the period (MDI).
        billed_units: kWh billed for earlier months: the FCA of a month is charged on that month's units.
        ledger_kwh: surplus brought forward under net metering; of off-peak hours where the plan is priced by time of use.
        ledger_peak_kwh: surplus of peak hours brought forward.
        active_taxpayer: whether the consumer is on the active taxpayers' list.
        bill_month: the bill's month; None = the month of `period_end`.
        phases: of the connection, 1 or 3.
        demand_history_kw: highest demand of earlier months, kW.
        prorated: first or last bill of a connection: slabs, fixed charge and minimum by the days of the period.
        installed_capacity_kw: of the solar system; net billing allows as much as the sanctioned load.
        export_terms: of the export scheme.
        schedule_units: units by period of a scheduled tariff, kWh.
        schedule_demand_kw: highest demand by period of a scheduled tariff.
    """

    period_start: date
    period_end: date
    imported_kwh: Decimal
    disco_provider: str
    exported_kwh: Decimal = ZERO
    imported_peak_kwh: Decimal | None = None
    exported_peak_kwh: Decimal = ZERO
    sanctioned_load_kw: Decimal | None = None
    max_demand_kw: Decimal | None = None
    province: str | None = None
    billed_units: Mapping[Month, Decimal] = field(default_factory=dict)
    export_scheme: ExportScheme = ExportScheme.NONE
    ledger_kwh: Decimal = ZERO
    active_taxpayer: bool = True
    bill_month: Month | None = None
    ledger_peak_kwh: Decimal = ZERO
    phases: int | None = None
    demand_history_kw: Mapping[Month, Decimal] = field(default_factory=dict)
    prorated: bool = False
    installed_capacity_kw: Decimal | None = None
    export_terms: ExportTerms = ExportTerms()
    schedule_units: Mapping[str, Decimal] = field(default_factory=dict)
    schedule_demand_kw: Mapping[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be a bill.

        Raises:
            BillingError: names the field, its value and what is allowed.
        """
        if self.period_end < self.period_start:
            raise BillingError(
                f"period_end {self.period_end} is before period_start {self.period_start}; both days belong to the period"
            )
        for name in ("imported_kwh", "exported_kwh", "exported_peak_kwh", "ledger_kwh", "ledger_peak_kwh"):
            if getattr(self, name) < 0:
                raise BillingError(f"{name} is {getattr(self, name)}; energy of a period is 0 or more")
        peak = self.imported_peak_kwh
        if peak is not None and not 0 <= peak <= self.imported_kwh:
            raise BillingError(f"imported_peak_kwh is {peak}; it is a part of imported_kwh ({self.imported_kwh})")
        if self.exported_peak_kwh > self.exported_kwh:
            raise BillingError(
                f"exported_peak_kwh is {self.exported_peak_kwh}; it is a part of exported_kwh ({self.exported_kwh})"
            )

    @property
    def days(self) -> int:
        """Calendar days in the period."""
        return (self.period_end - self.period_start).days + 1

    @property
    def month(self) -> Month:
        """The bill's month."""
        return self.bill_month or Month.of(self.period_end)


@dataclass(frozen=True, slots=True)
class Line:
    """One explained line of a bill.

    Attributes:
        amount_pkr: rounded to the paisa; None while pending. A credit is negative.
        quantity: what the rate is applied to, in `unit`.
        rate: PKR per unit, or per cent when `unit` is PKR.
        base: what the quantity is made of, in words.
        formula: the arithmetic, with the numbers in it.
        source: where the rate comes from.
        label_ur: the label in Urdu.
    """

    kind: LineKind
    label: str
    amount_pkr: Decimal | None
    quantity: Decimal | None
    unit: str
    rate: Decimal | None
    base: str
    formula: str
    source: str
    status: RateStatus
    label_ur: str = ""


@dataclass(frozen=True, slots=True)
class BillWarning:
    """Something that the reader of the bill should know.

    Attributes:
        code: stable, for programs.
        message: for people.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SlabPortion:
    """Units priced at one rate.

    Attributes:
        label: "201-300", "> 700", "peak".
        units: kWh.
        rate: PKR/kWh.
        amount_pkr: rounded to the paisa.
    """

    label: str
    units: Decimal
    rate: Decimal
    amount_pkr: Decimal


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill: `total_pkr` is the sum of the lines' amounts, pending lines left out.

    Attributes:
        ledger_kwh: surplus carried to the next bill; of off-peak hours where the plan is priced by time of use.
        ledger_peak_kwh: surplus of peak hours carried to the next bill.
    """

    plan_code: str
    bill_month: Month
    billed_kwh: Decimal
    portions: tuple[SlabPortion, ...]
    lines: tuple[Line, ...]
    warnings: tuple[BillWarning, ...]
    assumptions: tuple[str, ...]
    ledger_kwh: Decimal
    ledger_peak_kwh: Decimal = ZERO

    def amount(self, *kinds: LineKind) -> Decimal:
        """Sum of the amounts of these kinds of lines, PKR; a pending line has none."""
        return sum([line.amount_pkr for line in self.lines if line.kind in kinds and line.amount_pkr is not None], ZERO)

    @property
    def total_pkr(self) -> Decimal:
        """What is to be paid; negative = a credit balance."""
        return sum([line.amount_pkr for line in self.lines if line.amount_pkr is not None], ZERO)

    @property
    def amounts(self) -> dict[LineKind, Decimal]:
        """Sums of the amounts by kind, PKR; every kind has one, 0 where there is no line or only a pending one."""
        sums = dict.fromkeys(LineKind, ZERO)
        for line in self.lines:
            if line.amount_pkr is not None:
                sums[line.kind] += line.amount_pkr
        return sums

    @property
    def electricity_charges_pkr(self) -> Decimal:
        """Energy, fixed and demand charges, FCA, QTA and surcharges."""
        return self.amount(*CHARGE_KINDS)

    @property
    def pending(self) -> tuple[Line, ...]:
        """Lines whose amount is not known yet."""
        return tuple(line for line in self.lines if line.amount_pkr is None)
