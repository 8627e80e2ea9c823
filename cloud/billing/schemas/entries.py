"""Shapes of the tariff data's entries, as files and as the API bring them. Every entry names its source."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from cloud.billing.schemas.tariffs import TariffRates
from cloud.core.discos import DiscoProvider
from cloud.core.fields import Day, Line, Name, refuse_nulls
from cloud.core.shapes import DecimalText, Shape

CategoryCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,49}$")]
Variant = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Source = Annotated[Name, StringConstraints(max_length=500)]
Status = Literal["verified", "derived", "estimated"]
Kind = Literal[
    "fca", "qta", "phl", "duty", "gst", "municipal", "tv_fee", "income_tax", "export_net_metering", "export_net_billing"
]
Province = Literal["punjab", "sindh", "khyber_pakhtunkhwa", "balochistan", "islamabad"]
Rate = Annotated[DecimalText, Field(ge=-100_000, le=100_000, max_digits=14, decimal_places=6)]
_PERCENT_KINDS = ("duty", "gst")
_BANDED_KINDS = ("municipal", "income_tax")
_MAY_BE_NEGATIVE = ("fca", "qta")


def _check_period(first: date, last: date | None) -> None:
    if last is not None and last < first:
        raise ValueError(f"effective_to {last} is before effective_from {first}; both days belong to the period")


class CategoryEntry(Shape):
    """A class of consumers.

    Attributes:
        nepra_code: as the schedule of tariffs calls it; None where its wording was not verified.
        alias_of: the category that this is another name of.
    """

    code: CategoryCode
    name: Name
    nepra_code: Annotated[Name, StringConstraints(max_length=30)] | None = None
    alias_of: CategoryCode | None = None


class CategoryOut(BaseModel):
    """A class of consumers, as the API tells it.

    Attributes:
        nepra_code: as the schedule of tariffs calls it; null where its wording was not verified.
        alias_of: the category that this is another name of.
        has_plans: whether rates are on record; without them a bill says what is missing.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)

    code: str
    name: str
    nepra_code: str | None
    alias_of: str | None
    has_plans: bool


class PlanEntry(Shape):
    """One `[[plans]]` entry of a tariff file: one version of a tariff.

    Attributes:
        disco_providers: companies that it is in force for; None = all.
        note: what the reader should know about it.
        gap_before: why nothing is on record for the days between the version before and this one.
    """

    code: Name
    name: Name
    category: CategoryCode
    variant: Variant
    effective_from: Day
    effective_to: Day | None = None
    source: Source
    status: Status
    supports_net_metering: bool
    supports_tou: bool
    rates: TariffRates
    disco_providers: Annotated[tuple[DiscoProvider, ...], Field(min_length=1)] | None = None
    note: Line = ""
    gap_before: Line = ""

    @model_validator(mode="after")
    def _period_ascends(self) -> Self:
        _check_period(self.effective_from, self.effective_to)
        return self


class BandEntry(Shape):
    """One step of a banded amount: values up to and with `top`, above the band before.

    Attributes:
        amount: PKR.
        percent: of the part above `above`.
        above: PKR.
    """

    top: Annotated[DecimalText, Field(gt=0, le=1_000_000_000)] | None = None
    amount: Annotated[DecimalText, Field(ge=0, le=1_000_000_000)] | None = None
    percent: Annotated[DecimalText, Field(ge=0, le=100)] | None = None
    above: Annotated[DecimalText, Field(ge=0, le=1_000_000_000)] | None = None


class AdjustmentEntry(Shape):
    """A dated rate beside the plans: `[[adjustments]]` of a tariff file, and the body of the API.

    Attributes:
        effective_from: first day in force; for `fca` the first day of the month of consumption.
        effective_to: last day; None = until further notice.
        rate: PKR/kWh, per cent or PKR a month, by kind.
        bands: instead of `rate`, for `municipal` (by units) and `income_tax` (by amount).
        disco_providers: these companies only; empty = all.
        provinces: these provinces only; empty = all.
        categories: these tariff categories only; empty = all.
        excluded_categories: tariff categories that never pay it.
    """

    kind: Kind
    effective_from: Day
    effective_to: Day | None = None
    rate: Rate | None = None
    bands: Annotated[tuple[BandEntry, ...], Field(max_length=50)] = ()
    disco_providers: tuple[DiscoProvider, ...] = ()
    provinces: tuple[Province, ...] = ()
    categories: Annotated[tuple[CategoryCode, ...], Field(max_length=50)] = ()
    excluded_categories: Annotated[tuple[CategoryCode, ...], Field(max_length=50)] = ()
    source: Source
    status: Status

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        _check_period(self.effective_from, self.effective_to)
        if (self.rate is None) == (not self.bands):
            raise ValueError("give either rate or bands; what is not announced yet has no record at all")
        if bool(self.bands) != (self.kind in _BANDED_KINDS):
            raise ValueError(f"{self.kind} takes {'bands' if self.kind in _BANDED_KINDS else 'a rate'}")
        if self.rate is not None:
            _check_rate(self.kind, self.rate)
        if self.kind == "fca":
            _check_whole_months(self.effective_from, self.effective_to)
        _check_bands(self.bands)
        return self


def _check_rate(kind: str, rate: Decimal) -> None:
    if rate < 0 and kind not in _MAY_BE_NEGATIVE:
        raise ValueError(f"rate is {rate}; {kind} is 0 or more")
    if kind in _PERCENT_KINDS and rate > 100:
        raise ValueError(f"rate is {rate}; {kind} is a per cent, 0 to 100")


def _check_whole_months(first: date, last: date | None) -> None:
    if first.day != 1:
        raise ValueError(f"effective_from is {first}; a fuel charge belongs to whole months: {first.replace(day=1)}")
    if last is not None and (last + timedelta(days=1)).day != 1:
        raise ValueError(f"effective_to is {last}; a fuel charge belongs to whole months: end on the month's last day")


def _check_bands(bands: Sequence[BandEntry]) -> None:
    below: Decimal | None = None
    for index, band in enumerate(bands):
        if band.top is None and index < len(bands) - 1:
            raise ValueError(f"bands[{index}].top is empty, but a band follows; only the last one has no top")
        if below is not None and band.top is not None and band.top <= below:
            raise ValueError(f"bands[{index}].top is {band.top} after {below}; tops must rise")
        below = band.top


class TariffIn(Shape):
    """A new version of a tariff at one company.

    Attributes:
        ends_previous: let the version that is in force on `effective_from` end the day before.
    """

    disco_provider: DiscoProvider
    category: CategoryCode
    variant: Variant = "standard"
    name: Name
    effective_from: Day
    effective_to: Day | None = None
    rates: TariffRates
    supports_net_metering: bool = False
    supports_tou: bool = False
    source: Source
    status: Status
    ends_previous: bool = False

    @model_validator(mode="after")
    def _period_ascends(self) -> Self:
        _check_period(self.effective_from, self.effective_to)
        return self


class TariffPatch(BaseModel):
    """What to change of a version; what is left out stays. New rates come with the source that says so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name | None = None
    effective_to: Day | None = None
    rates: TariffRates | None = None
    supports_net_metering: bool | None = None
    supports_tou: bool | None = None
    source: Source | None = None
    status: Status | None = None

    @model_validator(mode="after")
    def _corrections_name_their_source(self) -> Self:
        refuse_nulls(self, "name", "rates", "supports_net_metering", "supports_tou", "source", "status")
        if self.rates is not None and self.source is None:
            raise ValueError("rates were sent without source; name the document that the corrected rates stand in")
        return self
