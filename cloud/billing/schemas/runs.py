"""Shapes of the monthly run, and of what a kWh is worth."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, computed_field

from cloud.core.shapes import DecimalText


class RunOut(BaseModel):
    """The automatic bill of a month: due, made, or why there is none.

    Attributes:
        bill_month: its first day.
        due_at: when it may be made.
        reason: why there is none, for programs; `message` for people.
        bill_id: the bill that counts now.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)

    site_id: UUID
    bill_month: date
    period_start: date
    period_end: date
    state: Literal["due", "billed", "skipped"]
    due_at: AwareDatetime
    settled_at: AwareDatetime | None
    reason: str | None
    message: str | None
    bill_id: UUID | None


class LedgerOut(BaseModel):
    """Units of net metering in a month's bill, kWh: `carried = brought + added - used - paid`."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    bill_month: date
    period_start: date
    period_end: date
    bill_id: UUID
    peak_brought_kwh: DecimalText
    peak_added_kwh: DecimalText
    peak_used_kwh: DecimalText
    peak_paid_kwh: DecimalText
    peak_carried_kwh: DecimalText
    off_peak_brought_kwh: DecimalText
    off_peak_added_kwh: DecimalText
    off_peak_used_kwh: DecimalText
    off_peak_paid_kwh: DecimalText
    off_peak_carried_kwh: DecimalText


class SavingsOut(BaseModel):
    """What one kWh more or less is worth in a bill month, PKR/kWh, and what the month's days add up to beside its bill.

    Attributes:
        import_pkr_per_kwh: of a kWh that need not be bought, outside the peak hours.
        export_pkr_per_kwh: of an exported kWh, outside the peak hours.
        reason: why there are no rates, for programs; `message` for people.
        days_savings_pkr: sum of the days' estimated savings.
        bill_savings_pkr: savings by the month's bill, where there is one.
        difference_pkr: the bill's savings less the days': slabs, fixed charges and taxes by bands that no single kWh knows of.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)

    bill_month: date
    import_pkr_per_kwh: DecimalText | None
    import_peak_pkr_per_kwh: DecimalText | None
    export_pkr_per_kwh: DecimalText | None
    export_peak_pkr_per_kwh: DecimalText | None
    reason: str | None
    message: str | None
    days_savings_pkr: DecimalText | None
    bill_savings_pkr: DecimalText | None
    bill_id: UUID | None
    computed_at: AwareDatetime

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way to a computed property
    @property
    def difference_pkr(self) -> DecimalText | None:
        """The bill's savings less the days'."""
        if self.bill_savings_pkr is None or self.days_savings_pkr is None:
            return None
        return self.bill_savings_pkr - self.days_savings_pkr
