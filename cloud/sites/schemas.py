"""Shapes of sites."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from cloud.core.discos import DiscoProvider
from cloud.core.fields import Line, Name, Prose, TimeZoneName, Word, refuse_nulls
from shared.enums import SiteStatus

PowerKw = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
TariffCategory = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,49}$")]
"""A category of the tariff catalogue, or one of its other names; billing says which it does not know."""


class Address(BaseModel):
    """`sites.address`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    street: Line | None = None
    city: Word | None = None
    state: Word | None = None
    postal_code: Annotated[Line, Field(max_length=20)] | None = None
    country: Word = "Pakistan"


class SiteConfiguration(BaseModel):
    """`sites.configuration`: what the installation is, and its contract with the distribution company.

    Attributes:
        system_capacity_kw: of the panels, at standard test conditions.
        panel_wattage: of one panel, W.
        tariff_category: of the connection, as on the bill.
        sanctioned_load_kw: as on the bill; fixed charges count it.
        phases: of the connection.
        reading_day: day of the month on which the meter is read, as the bills show it; 31 = the month's last day. Without it bills
            cover calendar months.
        monthly_yield_kwh_per_kwp: what the installer expects of each month, January first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    system_capacity_kw: PowerKw | None = None
    panel_count: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    panel_wattage: Annotated[float, Field(gt=0, le=2_000, allow_inf_nan=False)] | None = None
    inverter_capacity_kw: PowerKw | None = None
    battery_capacity_kwh: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)] | None = None
    grid_connected: bool = True
    net_metering_enabled: bool = False
    disco_provider: DiscoProvider | None = None
    tariff_category: TariffCategory | None = None
    sanctioned_load_kw: PowerKw | None = None
    phases: Literal[1, 3] | None = None
    reading_day: Annotated[int, Field(ge=1, le=31)] | None = None
    monthly_yield_kwh_per_kwp: (
        Annotated[list[Annotated[float, Field(gt=0, le=400, allow_inf_nan=False)]], Field(min_length=12, max_length=12)]
        | None
    ) = None
    installation_date: date | None = None
    warranty_expiry: date | None = None

    @model_validator(mode="after")
    def _warranty_follows_installation(self) -> Self:
        if self.installation_date and self.warranty_expiry and self.warranty_expiry < self.installation_date:
            raise ValueError(
                f"warranty_expiry {self.warranty_expiry} is before installation_date {self.installation_date}"
            )
        return self


_Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
_Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]

_EXAMPLE: JsonDict = {
    "organization_id": "01980a5c-6f0b-7c3e-9f5e-0d7a4b2f8c11",
    "name": "Home in Model Town",
    "address": {"street": "12-B", "city": "Lahore", "state": "Punjab", "postal_code": "54700"},
    "latitude": 31.52,
    "longitude": 74.36,
    "timezone": "Asia/Karachi",
    "configuration": {
        "system_capacity_kw": 10.0,
        "inverter_capacity_kw": 10.0,
        "battery_capacity_kwh": 10.0,
        "disco_provider": "lesco",
        "tariff_category": "residential_unprotected",
        "sanctioned_load_kw": 5.0,
        "phases": 1,
    },
}


class SiteIn(BaseModel):
    """A new site."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    organization_id: UUID
    name: Name
    description: Prose | None = None
    status: SiteStatus = SiteStatus.ACTIVE
    address: Address = Address()
    latitude: _Latitude | None = None
    longitude: _Longitude | None = None
    timezone: TimeZoneName = "Asia/Karachi"
    configuration: SiteConfiguration = SiteConfiguration()


class SitePatch(BaseModel):
    """What is to change. Fields that are left out stay; `address` and `configuration` are replaced as a whole.

    The organisation stays: devices, alerts and bills belong to it.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Home", "status": "maintenance"}})

    name: Name | None = None
    description: Prose | None = None
    status: SiteStatus | None = None
    address: Address | None = None
    latitude: _Latitude | None = None
    longitude: _Longitude | None = None
    timezone: TimeZoneName | None = None
    configuration: SiteConfiguration | None = None

    @model_validator(mode="after")
    def _required_fields_stay(self) -> Self:
        return refuse_nulls(self, "name", "status", "address", "timezone", "configuration")


class SiteOut(BaseModel):
    """A site."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: UUID
    organization_id: UUID
    name: str
    description: str | None
    status: SiteStatus
    address: Address
    latitude: float | None
    longitude: float | None
    timezone: str
    configuration: SiteConfiguration
    version: int
    created_at: AwareDatetime
    updated_at: AwareDatetime


class SiteSort(StrEnum):
    """Orders of the list; a leading minus turns one round."""

    CREATED = "created"
    CREATED_DESC = "-created"
    NAME = "name"
    NAME_DESC = "-name"


class SiteFilter(BaseModel):
    """Which sites are asked for.

    Attributes:
        status: these only; without it, all but decommissioned ones.
    """

    model_config = ConfigDict(frozen=True)

    organization_id: UUID | None = None
    status: SiteStatus | None = None
    name_contains: str | None = None
