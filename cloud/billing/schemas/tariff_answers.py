"""Shapes of what the API says about tariffs and dated records."""

from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from cloud.billing.schemas.entries import AdjustmentEntry, BandEntry, Province, Rate, Source, Status, TariffIn
from cloud.billing.schemas.tariffs import TariffOut
from cloud.core.fields import Day, refuse_nulls
from cloud.core.shapes import DecimalText

RATES_EXAMPLE: dict[str, Any] = {
    "pricing_rule": "tou",
    "peak_rate_per_kwh": "43.82",
    "off_peak_rate_per_kwh": "35.15",
    "fixed_charges_per_month": "1250",
    "fixed_basis": "per_kw_billing_demand",
    "demand_share": "0.25",
    "expects": ["fca", "qta", "phl", "duty", "gst"],
}


class TariffBody(TariffIn):
    """A new version of a tariff at one company."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "disco_provider": "lesco",
                "category": "tou_commercial",
                "name": "A-2(c) commercial time of use",
                "effective_from": "2027-07-01",
                "rates": RATES_EXAMPLE,
                "supports_net_metering": True,
                "supports_tou": True,
                "source": "number of the notification",
                "status": "verified",
                "ends_previous": True,
            }
        }
    )


class TariffVersion(TariffOut):
    """One version of a tariff at one company, as it can be changed.

    Attributes:
        origin: `product` (the program keeps it up to date) or `own` (added or corrected here; the program leaves it alone).
    """

    origin: str
    version: int
    created_at: AwareDatetime
    updated_at: AwareDatetime


class TariffWarning(BaseModel):
    """What was accepted and should be known.

    Attributes:
        code: `gap_before`, `gap_after` or `rate_unknown`.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class TariffSaved(TariffVersion):
    """A version that was added or changed.

    Attributes:
        ended: the version before, if this one ended it.
    """

    warnings: tuple[TariffWarning, ...] = ()
    ended: UUID | None = None


class AdjustmentBody(AdjustmentEntry):
    """A dated rate beside the plans: FCA, QTA, surcharge, duty, tax, fee, what exports earn.

    Attributes:
        ends_previous: let the record of the same kind and scope that is in force on `effective_from` end the day before.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "kind": "fca",
                "effective_from": "2026-08-01",
                "effective_to": "2026-08-31",
                "rate": "1.25",
                "excluded_categories": ["residential_lifeline"],
                "source": "number of the notification",
                "status": "verified",
            }
        }
    )

    provinces: Annotated[
        tuple[Province, ...],
        Field(max_length=1, description="One province; a record of its own for each."),
    ] = ()
    ends_previous: bool = False


class AdjustmentPatch(BaseModel):
    """What to change of a dated record; what is left out stays. A new rate comes with the source that says so."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"rate": "1.26", "source": "number of the corrigendum"}},
    )

    effective_to: Day | None = None
    rate: Rate | None = None
    source: Source | None = None
    status: Status | None = None

    @model_validator(mode="after")
    def _corrections_name_their_source(self) -> Self:
        refuse_nulls(self, "rate", "source", "status")
        if self.rate is not None and self.source is None:
            raise ValueError("rate was sent without source; name the document that the corrected rate stands in")
        return self


class AdjustmentOut(BaseModel):
    """A dated rate beside the plans.

    Attributes:
        rate: in `unit`; null where `bands` hold it, or while it is not announced.
        disco_providers: these companies only; empty = all.
        provinces: these provinces only; empty = all.
        categories: these tariff categories only; empty = all.
        excluded_categories: tariff categories that never pay it.
        origin: `product` or `own`, as of a tariff.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    kind: str
    effective_from: date
    effective_to: date | None
    rate: DecimalText | None
    unit: str
    bands: tuple[BandEntry, ...] = ()
    disco_providers: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    excluded_categories: tuple[str, ...] = ()
    source: str
    status: str
    origin: str
    version: int


class AdjustmentSaved(AdjustmentOut):
    """A dated record that was added.

    Attributes:
        ended: the record before, if this one ended it.
    """

    ended: UUID | None = None
