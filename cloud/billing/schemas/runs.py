"""Shapes of the monthly run, and of what a kWh is worth."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

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
