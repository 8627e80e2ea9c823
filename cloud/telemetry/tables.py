"""Rollups: quarter-hour, hour, day and month, per device and per site (`device_id` NULL); fleet days; meter events; emission factors.

Site rows and device rows stand in one table: a sum over both would count everything twice, so each read says which level it wants.
NULLs are distinct in a unique key, so each level has a partial unique index of its own, and an upsert repeats its predicate:
`ON CONFLICT (site_id, timestamp_hour) WHERE device_id IS NULL` or `(site_id, device_id, timestamp_hour) WHERE device_id IS NOT NULL`.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from cloud.core.db import Base, BigInt, HasCreated, HasId, JsonObject, Tracked, one_of

METER_EVENT_KINDS = ("swap", "reset", "rollover", "manual")
EMISSION_FACTOR_KINDS = ("grid_electricity", "tree")


def _fleet_keys() -> tuple[ForeignKeyConstraint, ForeignKeyConstraint]:
    """From a rollup to its site (and that site's organisation) and to its device, where it has one."""
    return (
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        ForeignKeyConstraint(["site_id", "device_id"], ["devices.site_id", "devices.id"], ondelete="RESTRICT"),
    )


def _level_keys(table: str, *period: str) -> tuple[Index, Index]:
    """One row per site and period, and one per device and period."""
    return (
        Index(f"uq_{table}_site", "site_id", *period, unique=True, postgresql_where=text("device_id IS NULL")),
        Index(
            f"uq_{table}_device",
            "site_id",
            "device_id",
            *period,
            unique=True,
            postgresql_where=text("device_id IS NOT NULL"),
        ),
    )


class _Scoped:
    """Whose numbers these are."""

    site_id: Mapped[UUID] = mapped_column(sort_order=-9)
    device_id: Mapped[UUID | None] = mapped_column(sort_order=-8)
    """None = the whole site."""
    organization_id: Mapped[UUID] = mapped_column(sort_order=-7)


class _Computed:
    """How the numbers came about.

    `computed_at` is when; the other columns are the same for the same readings, however often they are computed.
    """

    flags: Mapped[int] = mapped_column(server_default=text("0"), sort_order=80)
    """Bits of what happened in the period: reset, rollover, gap, estimated, clipped …"""
    algorithm_version: Mapped[int] = mapped_column(sort_order=81)
    computed_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=82)


class TelemetryQuarterHour(_Scoped, _Computed, Base):
    """The base bucket: a UTC quarter-hour. Energy is whole watt-hours; None = not measured. Partitioned by month.

    It has no surrogate key: nothing refers to a bucket, and an index on one would be the largest of the table. `*_bridged_wh` is the
    part of the flow's energy that was spread over a gap.

    Attributes:
        power_mean_kw: of generation (AC output of inverters), time-weighted.
        grid_power_mean_kw: positive = import.
        battery_power_mean_kw: positive = discharging.
        irradiation_wh_m2: plane of array.
        irradiation_covered_seconds: of the quarter-hour, seconds covered by irradiance values.
        metrics: metric key -> {"mean", "min", "max", "last"} for metrics without columns here.
    """

    __tablename__ = "telemetry_quarter_hour"
    __table_args__ = (
        *_fleet_keys(),
        *_level_keys("telemetry_quarter_hour", "bucket"),
        Index(None, "device_id", "bucket"),
        Index(None, "organization_id"),
        CheckConstraint(
            "date_bin('15 minutes', bucket, TIMESTAMPTZ '2000-01-01 00:00:00+00') = bucket", name="bucket_aligned"
        ),
        CheckConstraint("covered_seconds BETWEEN 0 AND 900", name="covered_within_bucket"),
        {"postgresql_partition_by": "RANGE (bucket)"},
    )

    bucket: Mapped[datetime] = mapped_column(sort_order=-6)
    """Start of the quarter-hour."""
    generated_wh: Mapped[BigInt | None]
    consumed_wh: Mapped[BigInt | None]
    imported_wh: Mapped[BigInt | None]
    exported_wh: Mapped[BigInt | None]
    charged_wh: Mapped[BigInt | None]
    discharged_wh: Mapped[BigInt | None]
    generated_bridged_wh: Mapped[BigInt] = mapped_column(server_default=text("0"))
    consumed_bridged_wh: Mapped[BigInt] = mapped_column(server_default=text("0"))
    imported_bridged_wh: Mapped[BigInt] = mapped_column(server_default=text("0"))
    exported_bridged_wh: Mapped[BigInt] = mapped_column(server_default=text("0"))
    charged_bridged_wh: Mapped[BigInt] = mapped_column(server_default=text("0"))
    discharged_bridged_wh: Mapped[BigInt] = mapped_column(server_default=text("0"))
    power_mean_kw: Mapped[float | None]
    power_min_kw: Mapped[float | None]
    power_max_kw: Mapped[float | None]
    load_power_mean_kw: Mapped[float | None]
    load_power_min_kw: Mapped[float | None]
    load_power_max_kw: Mapped[float | None]
    grid_power_mean_kw: Mapped[float | None]
    grid_power_min_kw: Mapped[float | None]
    grid_power_max_kw: Mapped[float | None]
    battery_power_mean_kw: Mapped[float | None]
    battery_power_min_kw: Mapped[float | None]
    battery_power_max_kw: Mapped[float | None]
    battery_soc_last_percent: Mapped[float | None]
    battery_soc_min_percent: Mapped[float | None]
    battery_soc_max_percent: Mapped[float | None]
    irradiance_mean_wm2: Mapped[float | None]
    irradiation_wh_m2: Mapped[float | None]
    irradiation_covered_seconds: Mapped[int] = mapped_column(server_default=text("0"))
    module_temperature_mean_c: Mapped[float | None]
    ambient_temperature_mean_c: Mapped[float | None]
    metrics: Mapped[JsonObject | None]
    n_valid: Mapped[int] = mapped_column(server_default=text("0"))
    n_expected: Mapped[int] = mapped_column(server_default=text("0"))
    covered_seconds: Mapped[int] = mapped_column(server_default=text("0"))

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        """The mapper wants a key; the database has the two partial unique indexes."""
        return {"primary_key": [cls.site_id, cls.device_id, cls.bucket]}


class _SummaryId:
    """A key of its own for every summary row; the database makes it, since an upsert seldom needs a new one."""

    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid(), sort_order=-10)


class _Flows:
    """Energy of a period in kWh; None = not measured, never 0 for unknown."""

    energy_generated_kwh: Mapped[float | None]
    energy_consumed_kwh: Mapped[float | None]
    energy_imported_kwh: Mapped[float | None]
    energy_exported_kwh: Mapped[float | None]
    energy_charged_kwh: Mapped[float | None]
    energy_discharged_kwh: Mapped[float | None]


class _Energies(_Flows):
    """The flows, and what a period of any length says beside them."""

    energy_bridged_kwh: Mapped[float | None]
    """Part of the generation that was spread over gaps."""
    irradiation_kwh_m2: Mapped[float | None]
    peak_power_kw: Mapped[float | None]
    average_power_kw: Mapped[float | None]
    performance_ratio: Mapped[float | None]
    """IEC 61724-1; None without irradiation (the reason stands beside it), and may exceed 1."""
    performance_ratio_reason: Mapped[str | None] = mapped_column(String(100))
    sample_count: Mapped[int] = mapped_column(server_default=text("0"))
    expected_count: Mapped[int] = mapped_column(server_default=text("0"))
    covered_seconds: Mapped[int] = mapped_column(server_default=text("0"))
    data_completeness_percent: Mapped[float | None]
    irradiation_completeness_percent: Mapped[float | None]


class TelemetryHourlySummary(_SummaryId, _Scoped, _Energies, _Computed, Tracked, Base):
    """One hour of a site or device. Partitioned by month."""

    __tablename__ = "telemetry_hourly_summary"
    __table_args__ = (
        PrimaryKeyConstraint("site_id", "timestamp_hour", "id"),
        *_fleet_keys(),
        *_level_keys("telemetry_hourly_summary", "timestamp_hour"),
        Index(None, "site_id", "timestamp_hour"),
        Index(None, "device_id", "timestamp_hour"),
        Index(None, "organization_id"),
        {"postgresql_partition_by": "RANGE (timestamp_hour)"},
    )

    timestamp_hour: Mapped[datetime] = mapped_column(sort_order=-6)
    """Start of the hour, which is a local hour: at +5:30 it begins at half past in UTC."""
    battery_soc_percent: Mapped[float | None]


class _Yield:
    """What only a whole day or month can say."""

    net_energy_kwh: Mapped[float | None]
    """Generated minus consumed."""
    peak_power_at: Mapped[datetime | None]
    capacity_factor: Mapped[float | None]
    specific_yield_kwh_kwp: Mapped[float | None]
    self_consumed_kwh: Mapped[float | None]
    self_consumption_percent: Mapped[float | None]
    self_sufficiency_percent: Mapped[float | None]
    sunshine_hours: Mapped[float | None]
    sunshine_basis: Mapped[str | None] = mapped_column(String(20))
    """`irradiance` (120 W/m2 and more, WMO) or `power` (more than 5 % of rated power)."""
    co2_avoided_kg: Mapped[float | None]
    co2_factor_kg_per_kwh: Mapped[float | None]
    estimated_savings_pkr: Mapped[float | None]
    daylight_completeness_percent: Mapped[float | None]
    timezone: Mapped[str] = mapped_column(String(50), server_default="Asia/Karachi")
    """Zone whose midnights bound the period."""


class TelemetryDailySummary(_SummaryId, _Scoped, _Energies, _Yield, _Computed, Tracked, Base):
    """One local day of a site or device."""

    __tablename__ = "telemetry_daily_summary"
    __table_args__ = (
        PrimaryKeyConstraint("site_id", "id"),
        *_fleet_keys(),
        *_level_keys("telemetry_daily_summary", "summary_date"),
        Index(None, "site_id", "summary_date"),
        Index(None, "device_id", "summary_date"),
        Index(None, "organization_id"),
        Index(
            "ix_telemetry_daily_summary_fleet",
            "organization_id",
            "summary_date",
            postgresql_where=text("device_id IS NULL"),
        ),
        one_of("sunshine_basis", ("irradiance", "power")),
    )

    summary_date: Mapped[date] = mapped_column(sort_order=-6)


class TelemetryMonthlySummary(_SummaryId, _Scoped, _Energies, _Yield, _Computed, Tracked, Base):
    """One local month of a site or device."""

    __tablename__ = "telemetry_monthly_summary"
    __table_args__ = (
        PrimaryKeyConstraint("site_id", "id"),
        *_fleet_keys(),
        *_level_keys("telemetry_monthly_summary", "year", "month"),
        Index(None, "site_id", "year", "month"),
        Index(None, "device_id", "year", "month"),
        Index(None, "organization_id"),
        CheckConstraint("year BETWEEN 2020 AND 2100", name="year_in_range"),
        CheckConstraint("month BETWEEN 1 AND 12", name="month_in_range"),
        one_of("sunshine_basis", ("irradiance", "power")),
    )

    year: Mapped[int] = mapped_column(sort_order=-6)
    month: Mapped[int] = mapped_column(sort_order=-5)
    expected_generation_kwh: Mapped[float | None]
    generation_variance_percent: Mapped[float | None]
    trees_equivalent: Mapped[float | None]
    tree_factor_kg: Mapped[float | None]
    days_with_data: Mapped[int] = mapped_column(server_default=text("0"))


class TelemetryFleetDay(_Flows, Base):
    """A day, which is each site's own local day, of all sites of an organisation that are not decommissioned, summed up.

    Only of days that are over, and valid only while no `FleetDayDirty` names the day: the database's triggers queue it when a site's day
    changes, whoever changes it. A day without a row here is to be summed from the sites' days.
    """

    __tablename__ = "telemetry_fleet_days"
    __table_args__ = (Index(None, "summary_date"),)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    summary_date: Mapped[date] = mapped_column(primary_key=True)
    self_consumed_kwh: Mapped[float | None]
    co2_avoided_kg: Mapped[float | None]
    generated_of_known_use_kwh: Mapped[float | None]
    """Generation of those sites whose own use is known; the next two likewise."""
    consumed_of_known_import_kwh: Mapped[float | None]
    imported_of_known_use_kwh: Mapped[float | None]
    sites_with_data: Mapped[int]
    """Sites whose generation is known."""
    computed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class FleetDayDirty(Base):
    """A fleet's day that must be summed again: a queue that grows by adding only, so without unique and foreign keys."""

    __tablename__ = "fleet_days_dirty"
    __table_args__ = (Index(None, "organization_id", "summary_date"),)

    id: Mapped[BigInt] = mapped_column(Identity(always=True), primary_key=True)
    organization_id: Mapped[UUID]
    summary_date: Mapped[date | None]
    """None = all days of the organisation."""


class MeterEvent(HasId, HasCreated, Base):
    """What somebody knows about a counter: it was swapped, reset, or set by hand. It overrides what the counter rule would guess."""

    __tablename__ = "meter_events"
    __table_args__ = (
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        ForeignKeyConstraint(["site_id", "device_id"], ["devices.site_id", "devices.id"], ondelete="CASCADE"),
        UniqueConstraint("site_id", "device_id", "metric", "at"),
        Index(None, "organization_id"),
        one_of("kind", METER_EVENT_KINDS),
        CheckConstraint("last_wh >= 0 AND first_wh >= 0", name="counters_not_negative"),
    )

    site_id: Mapped[UUID]
    device_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    at: Mapped[datetime]
    metric: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(20))
    last_wh: Mapped[BigInt | None]
    """What the old counter stood at."""
    first_wh: Mapped[BigInt | None]
    """What the new one began with."""
    note: Mapped[str | None]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))


class EmissionFactor(HasCreated, Base):
    """A factor that turns energy into CO2, or CO2 into trees, with its source; one per kind is the default."""

    __tablename__ = "emission_factors"
    __table_args__ = (
        Index("uq_emission_factors_default", "kind", unique=True, postgresql_where=text("is_default")),
        one_of("kind", EMISSION_FACTOR_KINDS),
        CheckConstraint("value > 0", name="value_positive"),
    )

    code: Mapped[str] = mapped_column(String(60), primary_key=True)
    kind: Mapped[str] = mapped_column(String(30))
    value: Mapped[Decimal] = mapped_column(Numeric(12, 6))
    unit: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(500))
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
