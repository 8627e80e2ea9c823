"""What goes into a bill and what comes out: frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month


class PricingRule(StrEnum):
    """How units become an energy charge."""

    SINGLE_SLAB = "single_slab"
    """All units at the rate of the slab that holds the total (un-protected homes)."""
    ONE_PREVIOUS = "one_previous"
    """Units up to the previous slab's top at its rate, the rest at the rate of the slab that holds the total (protected homes)."""
    TELESCOPIC = "telescopic"
    """Each slab's units at that slab's rate."""
    FLAT = "flat"
    TOU = "tou"
    """Peak and off-peak units at their own rates."""


class FixedBasis(StrEnum):
    """What the monthly fixed charge is multiplied with."""

    PER_CONSUMER = "per_consumer"
    PER_KW_SANCTIONED = "per_kw_sanctioned"
    PER_KW_BILLING_DEMAND = "per_kw_billing_demand"


class ExportScheme(StrEnum):
    """How exported units count."""

    NONE = "none"
    NET_METERING_2015 = "net_metering_2015"
    """Unit against unit; the surplus is paid at the quarter's end."""
    NET_BILLING_2026 = "net_billing_2026"
    """All import at the tariff, all export credited in rupees."""


class RateStatus(StrEnum):
    """How far a rate, and the line built on it, can be trusted."""

    VERIFIED = "verified"
    DERIVED = "derived"
    ESTIMATED = "estimated"
    PENDING = "pending"
    """Not on record yet: the line is shown without an amount and is not part of the total."""


class LineKind(StrEnum):
    """What a line of the bill is; tax bases are sets of these."""

    ENERGY = "energy"
    FIXED = "fixed"
    DEMAND = "demand"
    FPA = "fpa"
    QTA = "qta"
    SURCHARGE = "surcharge"
    METER_RENT = "meter_rent"
    DUTY = "duty"
    GST = "gst"
    MUNICIPAL = "municipal"
    TV_FEE = "tv_fee"
    INCOME_TAX = "income_tax"
    EXPORT_CREDIT = "export_credit"


CHARGE_KINDS = frozenset(
    {LineKind.ENERGY, LineKind.FIXED, LineKind.DEMAND, LineKind.FPA, LineKind.QTA, LineKind.SURCHARGE}
)
"""What a bill calls "electricity charges"."""

DUTY_BASE = CHARGE_KINDS - {LineKind.FIXED, LineKind.DEMAND}
"""Electricity duty is on what was used, not on what was held ready (K-Electric bills of 2026)."""

GST_BASE = CHARGE_KINDS | {LineKind.METER_RENT, LineKind.DUTY}
"""Sales tax is on the charges with the duty on them."""

INCOME_TAX_BASE = CHARGE_KINDS | {LineKind.METER_RENT, LineKind.DUTY, LineKind.GST}
"""Section 235 of the Income Tax Ordinance 2001: on the bill with duty and sales tax."""


class AdjustmentKind(StrEnum):
    """A dated record that lives beside the plans."""

    FCA = "fca"
    """PKR/kWh by month of consumption; billed two months later on the units of that month."""
    QTA = "qta"
    """PKR/kWh on this bill's units, by calendar day."""
    PHL = "phl"
    """Debt service surcharge (Power Holding Limited), PKR/kWh."""
    DUTY = "duty"
    """Provincial electricity duty, per cent."""
    GST = "gst"
    """Per cent."""
    MUNICIPAL = "municipal"
    """PKR a month, by band of units."""
    TV_FEE = "tv_fee"
    """PKR a month."""
    INCOME_TAX = "income_tax"
    """By band of the bill's amount."""
    EXPORT_NET_METERING = "export_net_metering"
    """PKR per surplus kWh."""
    EXPORT_NET_BILLING = "export_net_billing"
    """PKR per exported kWh."""


@dataclass(frozen=True, slots=True)
class Slab:
    """The half-open interval (top of the slab below, `top_units`].

    Attributes:
        top_units: kWh a month; None = no top.
        rate: PKR/kWh; None = not on record.
        fixed: PKR a month on the plan's fixed basis; None = not on record.
    """

    top_units: Decimal | None
    rate: Decimal | None
    fixed: Decimal | None = ZERO


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
    expects: frozenset[AdjustmentKind] = frozenset()


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
        ledger_kwh: surplus brought forward under net metering.
        active_taxpayer: whether the consumer is on the active taxpayers' list.
        bill_month: the bill's month; None = the month of `period_end`.
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

    def __post_init__(self) -> None:
        """Refuse what cannot be a bill.

        Raises:
            BillingError: names the field, its value and what is allowed.
        """
        if self.period_end < self.period_start:
            raise BillingError(
                f"period_end {self.period_end} is before period_start {self.period_start}; both days belong to the period"
            )
        for name in ("imported_kwh", "exported_kwh", "exported_peak_kwh", "ledger_kwh"):
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
    """A bill: `total_pkr` is the sum of the lines' amounts, pending lines left out."""

    plan_code: str
    bill_month: Month
    billed_kwh: Decimal
    portions: tuple[SlabPortion, ...]
    lines: tuple[Line, ...]
    warnings: tuple[BillWarning, ...]
    assumptions: tuple[str, ...]
    ledger_kwh: Decimal

    def amount(self, *kinds: LineKind) -> Decimal:
        """Sum of the amounts of these kinds of lines, PKR; a pending line has none."""
        return sum((line.amount_pkr for line in self.lines if line.kind in kinds and line.amount_pkr is not None), ZERO)

    @property
    def total_pkr(self) -> Decimal:
        """What is to be paid; negative = a credit balance."""
        return self.amount(*LineKind)

    @property
    def electricity_charges_pkr(self) -> Decimal:
        """Energy, fixed and demand charges, FCA, QTA and surcharges."""
        return self.amount(*CHARGE_KINDS)

    @property
    def pending(self) -> tuple[Line, ...]:
        """Lines whose amount is not known yet."""
        return tuple(line for line in self.lines if line.amount_pkr is None)
