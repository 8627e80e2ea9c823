"""Shapes of tariffs."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.core.discos import DiscoProvider
from cloud.core.shapes import DecimalText, Shape

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
        income_tax_base: kinds of lines that income tax (section 235) is taken on.
        minimum_charge: floor of the energy charge, a month.
        minimum_charge_per_kw: the same for each kW of sanctioned load; the larger floor counts.
        demand_history_months: earlier months whose highest demand bears on the billing demand.
        demand_history_share: share of that highest demand which is billed at least.
        fca_lag_months: months from a fuel charge's month to the bill that carries it; 2 if not named.
        qta_split: how a quarterly rate that changes inside the period is shared out; by calendar days if not named.
        schedule: periods, tiers and demand of a tariff priced by a table of hours and months.
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
    pricing_rule: Literal["single_slab", "one_previous", "telescopic", "flat", "tou", "schedule"] | None = None
    fixed_basis: Literal["per_consumer", "per_kw_sanctioned", "per_kw_billing_demand"] | None = None
    slab_fixed: bool | None = None
    demand_share: Annotated[DecimalText, Field(ge=0, le=1)] | None = None
    duty_base: tuple[Word, ...] | None = None
    gst_base: tuple[Word, ...] | None = None
    income_tax_base: tuple[Word, ...] | None = None
    expects: tuple[Word, ...] | None = None
    minimum_charge: Charge | None = None
    minimum_charge_per_kw: Charge | None = None
    demand_history_months: Annotated[int, Field(ge=0, le=24)] | None = None
    demand_history_share: Annotated[DecimalText, Field(ge=0, le=1)] | None = None
    fca_lag_months: Annotated[int, Field(ge=0, le=24)] | None = None
    qta_split: Literal["days", "last_day"] | None = None
    schedule: dict[str, Any] | None = None

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
    """What loading the product's tariff data changed.

    Attributes:
        plans_kept: versions that were corrected in this installation, and stay as they are.
        adjustments_kept: likewise.
        in_the_way: what could not be loaded, and why, in words.
    """

    plans_added: int = 0
    plans_changed: int = 0
    plans_unchanged: int = 0
    plans_kept: int = 0
    adjustments_added: int = 0
    adjustments_changed: int = 0
    adjustments_unchanged: int = 0
    adjustments_kept: int = 0
    in_the_way: tuple[str, ...] = ()

    def to_text(self) -> str:
        """The counts, and below them what could not be loaded."""
        counts = self.model_dump(exclude={"in_the_way"})
        line = ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items())
        return "\n".join((line, *self.in_the_way))
