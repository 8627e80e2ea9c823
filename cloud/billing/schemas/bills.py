"""Shapes of bills."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from cloud.core.fields import Day
from cloud.core.shapes import DecimalText, OpenShape, Shape


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

_Surplus = Annotated[DecimalText, Field(ge=0, le=10_000_000)]

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
        surplus_kwh_brought_forward: under net metering, of off-peak hours or of all; without it what the bill of the month before
            carried.
        surplus_peak_kwh_brought_forward: the same of peak hours.
        active_taxpayer: whether the consumer is on the active taxpayers' list.
        prorated: the first or last bill of a connection: monthly amounts by the days of the period.
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
    surplus_kwh_brought_forward: _Surplus | None = None
    surplus_peak_kwh_brought_forward: _Surplus | None = None
    active_taxpayer: bool = True
    prorated: bool = False

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


class BilledPeriod(BaseModel):
    """A period, its energy and its sums. Energy in kWh, money in PKR, as text."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

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


class BillSummary(BilledPeriod):
    """A stored bill in a list.

    Attributes:
        is_automatic: by the monthly run.
        replaces_id: the bill that this one takes the place of: its readings, or the surplus it began with, have changed since.
        origin: `simulated` here, or `entered` from the paper bill: then `estimated_bill_pkr` is what the paper says of the period.
    """

    id: UUID
    is_automatic: bool
    replaces_id: UUID | None
    origin: Literal["simulated", "entered"]
    version: int
    created_at: AwareDatetime


class _Explained(BaseModel):
    bill_breakdown: dict[str, Any]
    savings_breakdown: dict[str, Any]
    lines: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    inputs: dict[str, Any]


class BillOut(BillSummary, _Explained):
    """A bill with every line explained, what was saved, and what to know about it."""


class SimulatedBill(BilledPeriod, _Explained):
    """The same of a bill that is not stored."""


class BillCheck(BaseModel):
    """A stored bill, computed again from its stored inputs."""

    content_hash: str
    stored_hash: str | None
    same: bool
