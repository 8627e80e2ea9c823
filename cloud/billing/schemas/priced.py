"""What a case's bill looks like."""

from typing import Any

from pydantic import BaseModel, Field

from cloud.billing.schemas.bills import BillBreakdown, SavingsBreakdown


class PricedTariff(BaseModel):
    """The tariff that priced a case; `versions` are those in force inside the period, oldest first."""

    code: str
    category: str
    disco_provider: str | None
    source: str
    status: str
    is_inline: bool
    versions: list[dict[str, Any]]


class PricedCase(BaseModel):
    """A bill made from a case, with every line explained. Money is PKR as text."""

    bill_breakdown: BillBreakdown
    savings_breakdown: SavingsBreakdown
    lines: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    assumptions: list[str]
    tariff: PricedTariff
    case: dict[str, Any] = Field(description="What the case was understood to say.")
    content_hash: str
