"""Shapes of bills as the company printed them, and of their difference to those worked out here."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.billing.schemas.bills import MAX_PERIOD_DAYS, BillOut
from cloud.core.fields import Day, Line, Word, refuse_nulls
from cloud.core.shapes import DecimalText

_Kwh = Annotated[DecimalText, Field(ge=0, le=10_000_000)]
_Kw = Annotated[DecimalText, Field(ge=0, le=1_000_000)]
_Pkr = Annotated[DecimalText, Field(ge=-10_000_000_000, le=10_000_000_000, decimal_places=2)]
LineKindName = Literal[
    "energy",
    "minimum",
    "fixed",
    "demand",
    "fpa",
    "qta",
    "surcharge",
    "meter_rent",
    "duty",
    "gst",
    "municipal",
    "tv_fee",
    "income_tax",
    "export_credit",
]


class PrintedLine(BaseModel):
    """A line of the paper bill.

    Attributes:
        kind: what it is; several lines of one kind are added up.
        amount_pkr: as printed; a credit for exported units is negative.
        label: as printed.
    """

    model_config = ConfigDict(extra="forbid")

    kind: LineKindName
    amount_pkr: _Pkr
    label: Line = ""


_Lines = Annotated[list[PrintedLine], Field(max_length=60)]


class ActualBillIn(BaseModel):
    """What the company's paper bill says.

    Attributes:
        period_start: the day after the previous reading.
        period_end: the day of the reading.
        units_kwh: import, by the two readings.
        peak_units_kwh: part of it in peak hours; without it as the readings of the site have it.
        exported_kwh: export, by the two readings; without it as the readings of the site have it.
        max_demand_kw: the bill's MDI; without it as the readings of the site have it.
        total_pkr: payable within the due date.
        other_pkr: what is in the total beside the period's own charges: arrears, instalments, late payment.
        lines: as many as are known.
        reference: the consumer's reference or account number.
        due_date: last day to pay.
        export_scheme: as for a bill.
        active_taxpayer: as for a bill.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "period_start": "2026-08-05",
                "period_end": "2026-09-04",
                "units_kwh": "262",
                "total_pkr": "14482.29",
                "lines": [{"kind": "energy", "amount_pkr": "8672.20"}, {"kind": "fixed", "amount_pkr": "1750.00"}],
            }
        },
    )

    period_start: Day
    period_end: Day
    units_kwh: _Kwh
    peak_units_kwh: _Kwh | None = None
    exported_kwh: _Kwh | None = None
    max_demand_kw: _Kw | None = None
    total_pkr: _Pkr
    other_pkr: _Pkr = Decimal(0)
    lines: _Lines = Field(default_factory=list)
    reference: Word | None = None
    due_date: Day | None = None
    export_scheme: Literal["none", "net_metering_2015", "net_billing_2026"] | None = None
    active_taxpayer: bool = True

    @model_validator(mode="after")
    def _is_a_bill(self) -> Self:
        days = (self.period_end - self.period_start).days + 1
        if not 1 <= days <= MAX_PERIOD_DAYS:
            raise ValueError(f"the period has {days} days; a bill covers 1 to {MAX_PERIOD_DAYS}")
        if self.peak_units_kwh is not None and self.peak_units_kwh > self.units_kwh:
            raise ValueError(f"peak_units_kwh {self.peak_units_kwh} is more than units_kwh {self.units_kwh}")
        if self.due_date is not None and self.due_date < self.period_end:
            raise ValueError(f"due_date {self.due_date} is before the reading on {self.period_end}")
        return self


class ActualBillPatch(BaseModel):
    """What is to be corrected. Fields that are left out stay; `lines` are replaced as a whole."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"total_pkr": "14490.00"}})

    period_start: Day | None = None
    period_end: Day | None = None
    units_kwh: _Kwh | None = None
    peak_units_kwh: _Kwh | None = None
    exported_kwh: _Kwh | None = None
    max_demand_kw: _Kw | None = None
    total_pkr: _Pkr | None = None
    other_pkr: _Pkr | None = None
    lines: _Lines | None = None
    reference: Word | None = None
    due_date: Day | None = None
    export_scheme: Literal["none", "net_metering_2015", "net_billing_2026"] | None = None
    active_taxpayer: bool | None = None

    @model_validator(mode="after")
    def _required_fields_stay(self) -> Self:
        return refuse_nulls(
            self, "period_start", "period_end", "units_kwh", "total_pkr", "other_pkr", "lines", "active_taxpayer"
        )


class ReasonOut(BaseModel):
    """A likely reason for a difference."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    words: str


class LineDifferenceOut(BaseModel):
    """One kind of line on the paper and as worked out. Money is PKR.

    Attributes:
        entered_pkr: null where it was not entered.
        computed_pkr: from the paper's units; null where it is pending or there is no such line.
        difference_pkr: entered less computed; null where one of them is not known.
        from_readings_pkr: from the site's readings; null without them.
        reason: that fits the difference.
    """

    model_config = ConfigDict(from_attributes=True)

    kind: str
    label: str
    entered_pkr: DecimalText | None
    computed_pkr: DecimalText | None
    difference_pkr: DecimalText | None
    from_readings_pkr: DecimalText | None
    reason: ReasonOut | None


class UnitsDifferenceOut(BaseModel):
    """The paper's units against the site's readings.

    Attributes:
        percent: of the measured units; null without readings.
        is_notable: more than 2 %: the meter, its reading, or the site's own meter is worth a look.
        coverage_percent: share of the period for which there are readings; null without any.
    """

    entered_kwh: DecimalText
    measured_kwh: DecimalText | None
    difference_kwh: DecimalText | None
    percent: DecimalText | None
    is_notable: bool
    coverage_percent: float | None


class DifferenceOut(BaseModel):
    """A paper bill against the one worked out from its units now. Money is PKR.

    Attributes:
        entered_total_pkr: of the period itself, without arrears.
        computed_total_pkr: without pending lines.
        from_readings_total_pkr: from the site's readings.
        total_difference_pkr: entered less computed.
        total_reason: null where the totals are the same.
        pending: kinds of lines whose amount is not known here yet.
        tariff: that it was worked out by.
        warnings: of the computed bill.
    """

    entered_total_pkr: DecimalText
    computed_total_pkr: DecimalText
    from_readings_total_pkr: DecimalText | None
    total_difference_pkr: DecimalText
    total_reason: ReasonOut | None
    units: UnitsDifferenceOut
    lines: list[LineDifferenceOut]
    pending: list[str]
    tariff: str
    warnings: list[dict[str, Any]]


class ActualBill(BillOut):
    """An entered bill.

    Attributes:
        reference: the consumer's reference or account number.
        compared_to: the bill from the site's readings that was stored with it; null without readings.
    """

    reference: str | None
    compared_to: UUID | None


class ActualBillOut(ActualBill):
    """An entered bill with its difference to the one worked out here.

    Attributes:
        entered: the paper bill as it was entered.
    """

    entered: ActualBillIn
    difference: DifferenceOut
