"""Shapes of tariffs and bills."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from cloud.core.discos import DiscoProvider
from cloud.core.fields import Day
from cloud.core.shapes import DecimalText, OpenShape, Shape

Percent = Annotated[DecimalText, Field(ge=0, le=100)]
Charge = Annotated[DecimalText, Field(ge=0)]
Word = Annotated[str, Field(min_length=1, max_length=40)]


class TariffSlab(Shape):
    """One slab of a tariff; it ends at `max_units` (None = no top), a unit above belongs to the next.

    Attributes:
        rate_per_kwh: PKR; None where the rate is not on record.
        fixed_charges: PKR a month.
    """

    min_units: Annotated[DecimalText, Field(ge=0)]
    max_units: Annotated[DecimalText, Field(gt=0)] | None = None
    rate_per_kwh: Charge | None = None
    fixed_charges: Charge | None = None


class TariffRates(Shape):
    """`tariff_plans.rates`. Money is PKR.

    Attributes:
        pricing_rule: how slabs are read; without it: time of use if it can be, else telescopic slabs, else the flat rate.
        fixed_basis: what `fixed_charges_per_month` is multiplied with.
        slab_fixed: whether the slab's fixed charge counts instead.
        demand_share: least billing demand as a share of the sanctioned load.
        duty_base: kinds of lines that the electricity duty is taken on.
        gst_base: kinds of lines that sales tax is taken on.
        expects: kinds of dated adjustments without which the bill is not final.
    """

    energy_charge_per_kwh: Charge | None = None
    slabs: tuple[TariffSlab, ...] = ()
    peak_rate_per_kwh: Charge | None = None
    off_peak_rate_per_kwh: Charge | None = None
    fixed_charges_per_month: Charge | None = None
    meter_rent: Charge | None = None
    fuel_price_adjustment: DecimalText | None = None
    quarterly_tariff_adjustment: DecimalText | None = None
    electricity_duty_percent: Percent | None = None
    gst_percent: Percent | None = None
    tv_fee: Charge | None = None
    export_rate_per_kwh: Charge | None = None
    demand_charge_per_kw: Charge | None = None
    pricing_rule: Literal["single_slab", "one_previous", "telescopic", "flat", "tou"] | None = None
    fixed_basis: Literal["per_consumer", "per_kw_sanctioned", "per_kw_billing_demand"] | None = None
    slab_fixed: bool | None = None
    demand_share: Annotated[DecimalText, Field(ge=0, le=1)] | None = None
    duty_base: tuple[Word, ...] | None = None
    gst_base: tuple[Word, ...] | None = None
    expects: tuple[Word, ...] | None = None

    @model_validator(mode="after")
    def _slabs_ascend(self) -> Self:
        for index, slab in enumerate(self.slabs):
            last = index == len(self.slabs) - 1
            if slab.max_units is None and not last:
                raise ValueError(f"slabs[{index}].max_units is empty, but a slab follows; only the last one has no top")
            if slab.max_units is not None and slab.max_units <= slab.min_units:
                raise ValueError(
                    f"slabs[{index}] ends at {slab.max_units}, where it begins ({slab.min_units}); raise max_units"
                )
            if index and self.slabs[index - 1].max_units not in {slab.min_units, slab.min_units - 1}:
                raise ValueError(
                    f"slabs[{index}].min_units is {slab.min_units} after a slab that ends at"
                    f" {self.slabs[index - 1].max_units}; leave neither gap nor overlap"
                )
        return self


class SlabLine(Shape):
    """Units of a bill that were priced at one rate."""

    slab: str
    units: DecimalText
    rate: DecimalText
    amount: DecimalText


class BillBreakdown(OpenShape):
    """`billing_simulations.bill_breakdown`, in PKR. The engine adds more: explained lines, warnings, assumptions."""

    energy_charges: DecimalText
    slab_breakdown: tuple[SlabLine, ...]
    fixed_charges: DecimalText
    meter_rent: DecimalText
    fuel_price_adjustment: DecimalText
    quarterly_tariff_adjustment: DecimalText
    electricity_duty: DecimalText
    gst: DecimalText
    tv_fee: DecimalText
    export_credit: DecimalText
    demand_charges: DecimalText
    subtotal: DecimalText
    total_taxes: DecimalText
    total_bill: DecimalText


class SavingsBreakdown(OpenShape):
    """`billing_simulations.savings_breakdown`: the bill with and without solar. Money is PKR."""

    bill_without_solar: DecimalText
    bill_with_solar: DecimalText
    total_savings: DecimalText
    savings_percent: DecimalText
    export_income: DecimalText
    co2_avoided_kg: DecimalText
    trees_equivalent: DecimalText


_MONTH = r"^\d{4}-(0[1-9]|1[0-2])$"
UnitsHistory = Annotated[
    dict[Annotated[str, Field(pattern=_MONTH)], Annotated[DecimalText, Field(ge=0, le=10_000_000)]],
    Field(max_length=36),
]
"""kWh billed by month: `{"2026-07": "608"}`."""

MAX_PERIOD_DAYS = 92


class BillIn(BaseModel):
    """A bill to be worked out from the site's readings.

    Attributes:
        period_start: first day, in the site's zone.
        period_end: last day, included.
        units_history: kWh billed for earlier months, as on the bills: the fuel charge is on them, and they decide whether a home is
            protected. A month that is missing is taken from the readings where these are complete.
        units_history_without_solar: the same, had everything been bought; without it from the readings, else as `units_history`.
        export_scheme: of the connection's contract; without it by the installation date.
        surplus_kwh_brought_forward: under net metering.
        active_taxpayer: whether the consumer is on the active taxpayers' list.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"period_start": "2026-08-05", "period_end": "2026-09-04", "units_history": {"2026-07": "608"}}
        },
    )

    period_start: Day
    period_end: Day
    units_history: UnitsHistory = Field(default_factory=dict)
    units_history_without_solar: UnitsHistory = Field(default_factory=dict)
    export_scheme: Literal["none", "net_metering_2015", "net_billing_2026"] | None = None
    surplus_kwh_brought_forward: Annotated[DecimalText, Field(ge=0, le=10_000_000)] = Decimal(0)
    active_taxpayer: bool = True

    @model_validator(mode="after")
    def _period_is_a_bill(self) -> Self:
        days = (self.period_end - self.period_start).days + 1
        if days < 1:
            raise ValueError(
                f"period_end {self.period_end} is before period_start {self.period_start}; both belong to it"
            )
        if days > MAX_PERIOD_DAYS:
            raise ValueError(
                f"the period has {days} days; a bill covers at most {MAX_PERIOD_DAYS}: ask for one bill a month"
            )
        return self


class BillSummary(BaseModel):
    """A bill in a list. Energy in kWh, money in PKR, as text."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: UUID
    site_id: UUID
    organization_id: UUID
    tariff_plan_id: UUID
    period_start: date
    period_end: date
    energy_generated_kwh: DecimalText | None
    energy_consumed_kwh: DecimalText
    energy_imported_kwh: DecimalText | None
    energy_exported_kwh: DecimalText
    estimated_bill_pkr: DecimalText
    estimated_savings_pkr: DecimalText | None
    is_actual: bool
    coverage_percent: float | None
    content_hash: str | None
    version: int
    created_at: AwareDatetime


class BillOut(BillSummary):
    """A bill with every line explained, what was saved, and what to know about it."""

    bill_breakdown: dict[str, Any]
    savings_breakdown: dict[str, Any]
    lines: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    inputs: dict[str, Any]


class BillCheck(BaseModel):
    """A stored bill, computed again from its stored inputs."""

    content_hash: str
    stored_hash: str | None
    same: bool


class TariffOut(BaseModel):
    """One version of a tariff at one company."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: UUID
    disco_provider: DiscoProvider
    category: str
    variant: str
    name: str
    effective_from: date
    effective_to: date | None
    rates: dict[str, Any]
    supports_net_metering: bool
    supports_tou: bool
    source: str
    status: str


class LoadedTariffs(BaseModel):
    """What loading the product's tariff data changed."""

    plans_added: int = 0
    plans_changed: int = 0
    plans_unchanged: int = 0
    adjustments_added: int = 0
    adjustments_changed: int = 0
    adjustments_unchanged: int = 0
