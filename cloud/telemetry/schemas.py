"""What telemetry answers over HTTP. A value that was not measured is null, never 0."""

from datetime import date
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.enums import DeviceType, SiteStatus
from shared.readings import Value

_EXAMPLE_SITE = "01978f2e-7a10-7000-8000-000000000001"


class Point(BaseModel):
    """One period, or one reading."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime = Field(description="Start of the period, or moment of the reading; UTC.")
    value: Value = Field(
        description="Energy of the period, or mean of a gauge weighted by time; null = not measured. A state's raw value is a word."
    )
    low: float | None = Field(default=None, description="Lowest value of a gauge in the period, where it is kept.")
    high: float | None = Field(default=None, description="Highest value of a gauge in the period, where it is kept.")


class ArchivedDays(BaseModel):
    """UTC days, both included, whose finer values are in the archive: what is null or absent there may be known.

    An operator brings them back with `solarhub telemetry restore`.
    """

    model_config = ConfigDict(frozen=True)

    first_day: date
    last_day: date


class Series(BaseModel):
    """One metric over a stretch of time."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "example": {
                "site_id": _EXAMPLE_SITE,
                "device_id": None,
                "metric": "energy_generated_kwh",
                "unit": "kWh",
                "resolution": "1d",
                "timezone": "Asia/Karachi",
                "start": "2026-05-31T19:00:00Z",
                "end": "2026-06-02T19:00:00Z",
                "archived": [],
                "points": [
                    {"at": "2026-05-31T19:00:00Z", "value": 58.077, "low": None, "high": None},
                    {"at": "2026-06-01T19:00:00Z", "value": None, "low": None, "high": None},
                ],
            }
        },
    )

    site_id: UUID
    device_id: UUID | None = Field(description="null = the whole site.")
    metric: str
    unit: str
    resolution: str = Field(description="The one that was taken: raw, 15m, 1h, 1d or 1mo.")
    timezone: str = Field(description="Zone whose hours, days and months the points are.")
    start: AwareDatetime
    end: AwareDatetime
    archived: list[ArchivedDays]
    points: list[Point]


class SeriesLine(BaseModel):
    """One metric of the site or of one device, as part of an answer with several."""

    model_config = ConfigDict(frozen=True)

    device_id: UUID | None = Field(description="null = the whole site.")
    metric: str
    unit: str
    points: list[Point]


class ComparedSeries(BaseModel):
    """The same lines over an earlier stretch of time; the first period of one compares with the first of the other."""

    model_config = ConfigDict(frozen=True)

    start: AwareDatetime
    end: AwareDatetime
    archived: list[ArchivedDays]
    series: list[SeriesLine]


class SeriesSet(BaseModel):
    """Several metrics or devices over one stretch of time, at one resolution, and the time that they are compared with."""

    model_config = ConfigDict(frozen=True)

    site_id: UUID
    resolution: str = Field(description="The one that was taken for all of them: raw, 15m, 1h, 1d or 1mo.")
    timezone: str = Field(description="Zone whose hours, days and months the points are.")
    start: AwareDatetime
    end: AwareDatetime
    archived: list[ArchivedDays]
    series: list[SeriesLine]
    comparison: ComparedSeries | None = None


class LiveDevice(BaseModel):
    """The newest values of one device."""

    model_config = ConfigDict(frozen=True)

    device_id: UUID
    name: str
    device_type: DeviceType
    at: AwareDatetime
    age_s: float
    is_stale: bool = Field(description="Older than three poll intervals: left out of the site's flows.")
    power_kw: float | None
    battery_soc_percent: float | None
    operating_state: str | None
    quality: int


class Live(BaseModel):
    """What flows at a site now. Sources are positive: grid > 0 is import, battery > 0 is discharging; load = pv + battery + grid."""

    model_config = ConfigDict(frozen=True)

    site_id: UUID
    at: AwareDatetime = Field(description="When this was put together.")
    pv_power_kw: float | None
    grid_power_kw: float | None
    battery_power_kw: float | None
    load_power_kw: float | None
    battery_soc_percent: float | None
    energy_today_kwh: float | None = Field(description="Generation of the site's local day, as the inverters count it.")
    devices_reporting: int
    devices_stale: int
    oldest_reading_at: AwareDatetime | None
    newest_reading_at: AwareDatetime | None
    devices: list[LiveDevice]


class DayEnergy(BaseModel):
    """One local day of a site."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    date: date
    energy_generated_kwh: float | None = None
    energy_consumed_kwh: float | None = None
    energy_imported_kwh: float | None = None
    energy_exported_kwh: float | None = None
    energy_charged_kwh: float | None = None
    energy_discharged_kwh: float | None = None
    energy_bridged_kwh: float | None = None
    self_consumed_kwh: float | None = None
    self_consumption_percent: float | None = None
    self_sufficiency_percent: float | None = None
    peak_power_kw: float | None = None
    specific_yield_kwh_kwp: float | None = None
    performance_ratio: float | None = None
    performance_ratio_reason: str | None = None
    capacity_factor: float | None = None
    sunshine_hours: float | None = None
    sunshine_basis: str | None = None
    co2_avoided_kg: float | None = None
    data_completeness_percent: float | None = Field(
        default=None, description="Valid readings of those expected in the whole day, also while it lasts."
    )
    flags: int | None = Field(
        default=None,
        description="Bits: 1 reset, 2 rollover, 4 gap bridged, 8 estimated, 16 clipped, 32 a device is missing, "
        "64 a month's expectation rests on the site's latitude.",
    )


class Energy(BaseModel):
    """Days of a site; a day without data has nulls."""

    model_config = ConfigDict(frozen=True)

    site_id: UUID
    timezone: str
    first_day: date
    last_day: date
    days: list[DayEnergy]


class Flows(BaseModel):
    """Energies of a stretch of time; null where nothing was measured."""

    model_config = ConfigDict(frozen=True)

    energy_generated_kwh: float | None = None
    energy_consumed_kwh: float | None = None
    energy_imported_kwh: float | None = None
    energy_exported_kwh: float | None = None
    energy_charged_kwh: float | None = None
    energy_discharged_kwh: float | None = None


class FlowTotals(Flows):
    """Energies with the shares that follow from them."""

    self_consumed_kwh: float | None = None
    self_consumption_percent: float | None = Field(
        default=None, description="Part of the generation that was used on the site, where both were measured."
    )
    self_sufficiency_percent: float | None = Field(
        default=None, description="Part of the consumption that did not come from the grid, where both were measured."
    )
    co2_avoided_kg: float | None = None
    sites_with_data: int = Field(default=0, description="Sites whose generation is known in this stretch of time.")


class Summary(BaseModel):
    """Energies of a site, or of all sites together, each by its own local calendar."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    sites: int
    today: FlowTotals
    month: FlowTotals
    year: FlowTotals
    lifetime: FlowTotals
    since: date | None = Field(description="First day of the first month with a known generation.")


class SiteSummary(Summary):
    """Energies of one site."""

    site_id: UUID
    timezone: str


class PortfolioSite(BaseModel):
    """One site at a glance. Sources are positive: grid > 0 is import, battery > 0 is discharging."""

    model_config = ConfigDict(frozen=True)

    site_id: UUID
    organization_id: UUID
    name: str
    status: SiteStatus
    timezone: str
    pv_power_kw: float | None
    grid_power_kw: float | None
    battery_power_kw: float | None
    load_power_kw: float | None
    battery_soc_percent: float | None
    devices_reporting: int
    devices_stale: int
    newest_reading_at: AwareDatetime | None
    today: Flows
    month: Flows
    open_alerts: int
    critical_alerts: int


class PortfolioDay(FlowTotals):
    """All sites together on one day, which is each site's own local day."""

    date: date


class PortfolioEnergy(BaseModel):
    """Days of all sites together; a day without data has nulls."""

    model_config = ConfigDict(frozen=True)

    sites: int
    first_day: date
    last_day: date
    days: list[PortfolioDay]
