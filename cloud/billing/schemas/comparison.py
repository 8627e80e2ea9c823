"""Shapes of compared tariffs and of advice."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.billing.schemas.bills import MAX_PERIOD_DAYS, UnitsHistory
from cloud.core.fields import Day
from cloud.core.shapes import DecimalText

MAX_MONTHS = 24
LoadKw = Annotated[DecimalText, Field(gt=0, le=1_000_000)]
Months = Annotated[int, Field(ge=1, le=MAX_MONTHS)]


class ComparisonQuery(BaseModel):
    """Periods whose units are priced on each tariff that the site may choose.

    Attributes:
        period_start: first day of one period; with `period_end`, instead of `months`.
        period_end: last day, included.
        months: the last so many bill months that have ended and have complete readings; 1 without either.
        sanctioned_load_kw: another load than the site's: what may be chosen, and what it costs, is by this one.
        export_scheme: as for a bill.
        active_taxpayer: as for a bill.
    """

    model_config = ConfigDict(extra="forbid")

    period_start: Day | None = None
    period_end: Day | None = None
    months: Months | None = None
    sanctioned_load_kw: LoadKw | None = None
    export_scheme: Literal["none", "net_metering_2015", "net_billing_2026"] | None = None
    active_taxpayer: bool = True

    @model_validator(mode="after")
    def _one_way_to_say_when(self) -> Self:
        if (self.period_start is None) != (self.period_end is None):
            raise ValueError("give both period_start and period_end, or neither")
        if self.period_start is None or self.period_end is None:
            return self
        if self.months is not None:
            raise ValueError("give either months, or period_start and period_end")
        days = (self.period_end - self.period_start).days + 1
        if not 1 <= days <= MAX_PERIOD_DAYS:
            raise ValueError(f"the period has {days} days; it must have 1 to {MAX_PERIOD_DAYS}")
        return self


class ComparisonIn(ComparisonQuery):
    """The same, with units that the readings do not tell.

    Attributes:
        units_history: kWh billed for earlier months, as for a bill.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"months": 12}})

    units_history: UnitsHistory = Field(default_factory=dict)


class PeriodOut(BaseModel):
    """A period that was compared."""

    period_start: date
    period_end: date
    billed_kwh: DecimalText


class LeftOut(BaseModel):
    """A period that was not compared, or advice that could not be worked out.

    Attributes:
        what: the period as `2026-08-01/2026-08-31`, or the advice's name.
        code: for programs.
        reason: for people.
    """

    what: str
    code: str
    reason: str


class ChoiceOut(BaseModel):
    """A tariff with its price. Money is PKR, for all periods together.

    Attributes:
        is_present: whether the site is on it.
        total_pkr: with solar as it is.
        difference_pkr: more (negative: less) than the present tariff at the present sanctioned load; null without a present price.
        without_solar_pkr: had everything been bought; null where consumption was not known in each period.
        savings_pkr: what solar saves on this tariff.
        energy_pkr: energy charges.
        fixed_pkr: fixed and demand charges.
        adjustments_pkr: FCA, QTA and surcharges.
        taxes_pkr: duty, taxes and fees.
        export_credit_pkr: for exported units.
        bills_pkr: each period's bill, in the periods' order.
        pending: kinds of lines whose amount is not known; they are in no total.
        status: how far the least certain line can be trusted.
        notes: what to know about it.
    """

    category: str
    name: str
    is_present: bool
    total_pkr: DecimalText
    difference_pkr: DecimalText | None
    without_solar_pkr: DecimalText | None
    savings_pkr: DecimalText | None
    energy_pkr: DecimalText
    fixed_pkr: DecimalText
    adjustments_pkr: DecimalText
    taxes_pkr: DecimalText
    export_credit_pkr: DecimalText
    bills_pkr: list[DecimalText]
    pending: list[str]
    status: str
    notes: list[str]


class RefusedOut(BaseModel):
    """A tariff of the same kind of use that cannot be chosen, or cannot be priced, and why."""

    category: str
    name: str
    code: str
    reason: str


class ComparisonOut(BaseModel):
    """Every tariff for the site's kind of use: those that it may choose by price, the cheapest first, and the others with the reason.

    Attributes:
        present: category that the site is on.
        present_total_pkr: what the present tariff costs at the site's own sanctioned load.
        sanctioned_load_kw: that the choices are priced with.
        best: the cheapest category; the present one if none is cheaper.
        saving_pkr: what the best costs less than the present; 0 when the present is the best.
        left_out: periods without complete readings.
        assumptions: that the figures rest on.
    """

    present: str
    present_total_pkr: DecimalText | None
    sanctioned_load_kw: DecimalText | None
    best: str | None
    saving_pkr: DecimalText | None
    periods: list[PeriodOut]
    choices: list[ChoiceOut]
    refused: list[RefusedOut]
    left_out: list[LeftOut]
    assumptions: list[str]


class AdviceOut(BaseModel):
    """A piece of advice.

    Attributes:
        code: for programs.
        severity: `info`, `notice` or `warning`.
        message: in English.
        message_ur: in Urdu.
        amount_pkr: money at stake; null where it is not known.
        amount_of: what the amount is of.
        basis: what it stands on.
        facts: its numbers.
    """

    model_config = ConfigDict(from_attributes=True)

    code: str
    severity: Literal["info", "notice", "warning"]
    message: str
    message_ur: str
    amount_pkr: DecimalText | None
    amount_of: str
    basis: list[str]
    facts: dict[str, str]


class MonthStandingOut(BaseModel):
    """A past month against the limit; null where its units are not known."""

    month: str
    units_kwh: DecimalText | None
    within: bool | None


class StandingOut(BaseModel):
    """How a home stands against the limit of a category that its use decides.

    Attributes:
        left_kwh: left this month.
        holds: whether this month and all that count are within; null where a month is not known.
        months_to_go: months within the limit until the past ones are clean; null where a month is not known.
    """

    category: str
    limit_kwh: DecimalText
    units_kwh: DecimalText
    left_kwh: DecimalText
    holds: bool | None
    months_to_go: int | None
    months: list[MonthStandingOut]


class SiteAdviceOut(BaseModel):
    """What to know about the bill of a period.

    Attributes:
        as_of_days: days of the period that the units are of.
        billed_kwh: units so far.
        expected_kwh: at the reading date, if it goes on like this.
        standing: of a home against the protected or the lifeline limit.
        left_out: what could not be worked out, and why.
    """

    period_start: date
    period_end: date
    as_of_days: DecimalText
    tariff: str
    billed_kwh: DecimalText
    expected_kwh: DecimalText
    bill_so_far_pkr: DecimalText
    advice: list[AdviceOut]
    standing: StandingOut | None
    left_out: list[LeftOut]
