"""Shapes of a year of projected bills. Energy is kWh, money PKR, as text."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from cloud.billing.schemas.bills import UnitsHistory
from cloud.billing.schemas.finance import FINANCE_EXAMPLE, FinanceOut, FinanceTerms, Money
from cloud.core.shapes import DecimalText

MonthText = Annotated[str, Field(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$", description="As 2026-12.")]
_TWELVE = Field(min_length=12, max_length=12)
Yields = Annotated[tuple[Annotated[DecimalText, Field(gt=0, le=400)], ...], _TWELVE]
Consumptions = Annotated[tuple[Annotated[DecimalText, Field(ge=0, le=10_000_000)], ...], _TWELVE]
Surplus = Annotated[DecimalText, Field(ge=0, le=10_000_000)]

_EXAMPLE: JsonDict = {"from": "2026-12", "system_kwp": "10", "export_scheme": "net_billing_2026"}


class ProjectionIn(BaseModel):
    """What a projection cannot know from the site; everything may be left out."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, json_schema_extra={"example": _EXAMPLE}
    )

    first_month: MonthText | None = Field(
        default=None, alias="from", description="Month of the first bill; without it the month after this one."
    )
    system_kwp: Annotated[DecimalText, Field(gt=0, le=1_000_000)] | None = Field(
        default=None, description="A system that is not there yet, kWp: what would it do to the bills?"
    )
    monthly_yield_kwh_per_kwp: Yields | None = Field(
        default=None, description="Expected of each month, January first; without it the site's configuration."
    )
    monthly_consumption_kwh: Consumptions | None = Field(
        default=None, description="Of each month, January first, from the bills; without it as measured."
    )
    export_scheme: Literal["none", "net_metering_2015", "net_billing_2026"] | None = Field(
        default=None, description="Of the contract; without it by the site's configuration."
    )
    units_history: UnitsHistory = Field(default_factory=dict, description="kWh billed for earlier months.")
    units_history_without_solar: UnitsHistory = Field(
        default_factory=dict, description="The same, had everything been bought."
    )
    surplus_kwh_brought_forward: Surplus | None = Field(
        default=None, description="Under net metering, off-peak or all hours; without it what the last bill carried."
    )
    surplus_peak_kwh_brought_forward: Surplus | None = Field(default=None, description="The same of peak hours.")
    active_taxpayer: bool = True
    lines: bool = Field(default=False, description="Whether the answer brings every explained line of every bill.")


class MonthEnergyOut(BaseModel):
    """Energy of a month, kWh; demand in kW, null where it is not known."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    consumed_kwh: DecimalText
    generated_kwh: DecimalText
    imported_kwh: DecimalText
    imported_peak_kwh: DecimalText
    exported_kwh: DecimalText
    exported_peak_kwh: DecimalText
    max_demand_kw: DecimalText | None


class ProjectedBillOut(BaseModel):
    """One projected bill."""

    model_config = ConfigDict(frozen=True)

    category: str
    total_pkr: Money
    breakdown: dict[str, Any]
    lines: list[dict[str, Any]] | None = None


class ProjectedMonthOut(BaseModel):
    """One month of the year.

    Attributes:
        basis: the weaker of the two below: measured, scaled or assumed.
        stands_on: the measured month that stands for it; null when none was measured.
        estimated_lines: kinds of lines whose rate is not notified yet.
        pending_lines: kinds of lines that are left out of a total, since nothing is known of them.
    """

    model_config = ConfigDict(frozen=True)

    month: str
    basis: Literal["measured", "scaled", "assumed"]
    consumption_basis: Literal["measured", "scaled", "assumed"]
    generation_basis: Literal["measured", "scaled", "assumed"]
    stands_on: str | None
    energy: MonthEnergyOut
    with_solar: ProjectedBillOut
    without_solar: ProjectedBillOut
    savings_pkr: Money
    export_income_pkr: Money
    estimated_lines: tuple[str, ...]
    pending_lines: tuple[str, ...]


class ProjectionTotals(BaseModel):
    """The year as a whole; savings are the difference of the bills, export income is inside."""

    model_config = ConfigDict(frozen=True)

    consumed_kwh: DecimalText
    generated_kwh: DecimalText
    imported_kwh: DecimalText
    exported_kwh: DecimalText
    with_solar_pkr: Money
    without_solar_pkr: Money
    savings_pkr: Money
    savings_percent: DecimalText | None
    export_income_pkr: Money
    surplus_kwh_carried: DecimalText


class TrustOut(BaseModel):
    """How well the year's energy is known, and in words what the rates stand on."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    level: Literal["high", "medium", "low"]
    note: str
    estimated_pkr: Money


class ProjectionSummary(BaseModel):
    """A projected year without its months."""

    model_config = ConfigDict(frozen=True)

    site_id: UUID
    first_month: str
    last_month: str
    system_kwp: DecimalText | None
    export_scheme: str
    totals: ProjectionTotals
    confidence: TrustOut
    assumptions: tuple[str, ...]
    warnings: tuple[dict[str, str], ...]


class ProjectionOut(ProjectionSummary):
    """A year of bills with and without solar."""

    months: tuple[ProjectedMonthOut, ...]


_TERMS: JsonDict = {name: value for name, value in FINANCE_EXAMPLE.items() if name != "first_year"}


class SiteFinanceIn(FinanceTerms):
    """A financial question about a site: the first year's savings come from its projection."""

    model_config = ConfigDict(json_schema_extra={"example": {**_TERMS, "projection": _EXAMPLE}})

    projection: ProjectionIn = Field(default_factory=ProjectionIn, description="As for the projection itself.")


class SiteFinanceOut(BaseModel):
    """What a site's system comes to as an investment, and the projected year that its savings stand on."""

    model_config = ConfigDict(frozen=True)

    finance: FinanceOut
    projection: ProjectionSummary
