"""Shapes of financial questions and answers. Money is PKR; percents are a year."""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.config import JsonDict

from cloud.core.shapes import DecimalText

MAX_PKR = 10**12
MAX_KWH = 10**9
Price = Annotated[DecimalText, Field(ge=1, le=MAX_PKR)]
Amount = Annotated[DecimalText, Field(ge=0, le=MAX_PKR)]
SignedAmount = Annotated[DecimalText, Field(ge=-MAX_PKR, le=MAX_PKR)]
Energy = Annotated[DecimalText, Field(ge=0, le=MAX_KWH)]
Percent = Annotated[DecimalText, Field(ge=0, le=100)]
LossPercent = Annotated[DecimalText, Field(ge=0, le=20)]
Growth = Annotated[DecimalText, Field(ge=-20, le=30)]
Years = Annotated[int, Field(ge=1, le=50)]
Money = Annotated[Decimal, PlainSerializer(lambda value: f"{value:.2f}", return_type=str, when_used="json")]
"""Rupees in an answer, always with two decimals."""


class LoanIn(BaseModel):
    """A loan, paid back in equal amounts at the ends of years."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    principal_pkr: Price = Field(description="Received with the purchase, at most the price.")
    rate_percent: Percent = Field(description="Interest a year on what is still owed.")
    years: Years = Field(description="Number of yearly payments.")


class FinanceTerms(BaseModel):
    """Price, rates and life. What is left out is taken from the product's assumptions, which the answer states."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capex_pkr: Price = Field(description="Price of the system, all in.")
    opex_percent: Percent = Field(default=Decimal(1), description="Running costs a year, per cent of the price.")
    opex_escalation_percent: Growth = Field(default=Decimal(0), description="Growth of the running costs a year.")
    degradation_percent: LossPercent = Field(default=Decimal("0.5"), description="Loss of generation a year.")
    tariff_escalation_percent: Growth = Field(Decimal(0), description="Growth a year of what a saved kWh is worth.")
    discount_rate_percent: Percent = Field(
        default=Decimal(12), description="What the money would earn elsewhere, a year."
    )
    life_years: Years = Field(default=25, description="Years of operation that are looked at.")
    inverter_replacement_year: Years = Field(
        default=12, description="At the end of which the inverter is bought again."
    )
    inverter_replacement_pkr: Amount | None = Field(
        default=None, description="Its price; left out = not counted, and said."
    )
    export_rate_held: bool = Field(default=True, description="Whether export income stays when tariffs grow.")
    loan: LoanIn | None = None


class FirstYearIn(BaseModel):
    """What the first year brings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    saved_pkr: SignedAmount = Field(description="Bills without solar less bills with solar; export income is inside.")
    export_income_pkr: Amount = Field(default=Decimal(0), description="Part of it that is credited for exports.")
    generated_kwh: Energy = Field(default=Decimal(0), description="Solar energy; left out = no cost of a kWh.")


class MonthBillsIn(BaseModel):
    """The two bills of a month."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="As 2026-07.")]
    without_solar_pkr: SignedAmount
    with_solar_pkr: SignedAmount
    export_income_pkr: Amount = Decimal(0)
    generated_kwh: Energy = Decimal(0)


MONTHS_A_YEAR = 12
FINANCE_EXAMPLE: JsonDict = {
    "capex_pkr": "1500000",
    "first_year": {"saved_pkr": "290000", "export_income_pkr": "42000", "generated_kwh": "13800"},
    "opex_percent": "1",
    "discount_rate_percent": "14",
    "life_years": 25,
    "inverter_replacement_year": 12,
    "inverter_replacement_pkr": "300000",
    "loan": {"principal_pkr": "1000000", "rate_percent": "15", "years": 5},
}


class FinanceCase(FinanceTerms):
    """A financial question that brings its own savings: the first year as a whole, or its twelve months."""

    model_config = ConfigDict(json_schema_extra={"example": FINANCE_EXAMPLE})

    first_year: FirstYearIn | None = None
    bills: Annotated[tuple[MonthBillsIn, ...], Field(max_length=MONTHS_A_YEAR)] = ()

    @model_validator(mode="after")
    def _one_source_of_savings(self) -> Self:
        if (self.first_year is None) == (not self.bills):
            raise ValueError("give either first_year or bills (the twelve months of a year), not both")
        months = [bill.month[5:] for bill in self.bills]
        if self.bills and len(set(months)) != MONTHS_A_YEAR:
            raise ValueError(
                f"bills holds {len(set(months))} different months of the year; give twelve, January to December in any order"
            )
        return self


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class InternalRateOut(_Out):
    """The internal rate of return; `percent` is null where there is none or several, and `note` says why."""

    percent: DecimalText | None
    candidates: tuple[DecimalText, ...]
    note: str


class PaybackOut(_Out):
    """When the money is back for the first time; `is_lasting` is false when a later cost takes the sum below 0 again."""

    years: DecimalText
    months: int
    is_lasting: bool


class WorthOut(_Out):
    """Results of one row of yearly amounts; a payback that is null lies beyond the life."""

    npv_pkr: Money
    irr: InternalRateOut
    payback: PaybackOut | None
    discounted_payback: PaybackOut | None
    gain_pkr: Money


class YearFlowOut(_Out):
    """One year of the table; what is paid is negative."""

    year: int
    generated_kwh: DecimalText
    saved_pkr: Money
    export_income_pkr: Money
    opex_pkr: Money
    replacement_pkr: Money
    flow_pkr: Money
    cumulative_pkr: Money
    discounted_pkr: Money
    loan_pkr: Money
    owner_flow_pkr: Money
    owner_cumulative_pkr: Money


class StatedOut(_Out):
    """One value that the results stand on: `given`, an assumption in words, or a source."""

    name: str
    value: str
    unit: str
    basis: str


class FinanceOut(_Out):
    """What an investment comes to.

    `project` judges the system itself, however it is paid for; `owner` the owner's own money with the loan, null without one.
    """

    project: WorthOut
    owner: WorthOut | None
    total_savings_pkr: Money
    total_cost_pkr: Money
    interest_pkr: Money
    return_percent: DecimalText
    generated_kwh: DecimalText
    lcoe_pkr_per_kwh: DecimalText | None
    years: tuple[YearFlowOut, ...]
    stands_on: tuple[StatedOut, ...]
    notes: tuple[str, ...]
