"""Raw readings, the newest values of each device, the ledger of batches, and what must be computed again."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import (
    REAL,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, BigInt, JsonObject, Tracked

Real = Annotated[float, mapped_column(REAL)]
SmallInt = Annotated[int, mapped_column(SmallInteger)]


class TelemetryReading(Base):
    """One reading as it came: partitioned by UTC day of `at`; a column per metric of the catalogue, other keys in `extra`.

    Counters are double precision, gauges REAL: seven digits, which is more than a sensor has. Whoever reads a gauge reads it by way of
    text or JSON, which is the shortest decimal (229.1, not 229.10000610351562).

    No foreign keys: ingest has just checked that the device is the gateway's own, and a check per row would cost more than the row.
    It is the one tenant table without `organization_id`: its policy goes by the site list of the tenant context.
    """

    __tablename__ = "telemetry_readings"
    __table_args__ = (
        PrimaryKeyConstraint("device_number", "at"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    site_id: Mapped[UUID]
    at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seq: Mapped[BigInt]
    battery_cycles_total: Mapped[float | None]
    energy_total_kwh: Mapped[float | None]
    energy_today_kwh: Mapped[float | None]
    grid_import_energy_total_kwh: Mapped[float | None]
    grid_export_energy_total_kwh: Mapped[float | None]
    load_energy_total_kwh: Mapped[float | None]
    battery_charge_energy_total_kwh: Mapped[float | None]
    battery_discharge_energy_total_kwh: Mapped[float | None]
    grid_import_energy_today_kwh: Mapped[float | None]
    grid_export_energy_today_kwh: Mapped[float | None]
    device_number: Mapped[int]
    """`devices.number`: with the UUID, half of every page of the index would stay empty."""
    quality: Mapped[SmallInt] = mapped_column(server_default=text("0"))
    """Bits of `shared.enums.Quality`."""
    ac_power_kw: Mapped[Real | None]
    dc_power_kw: Mapped[Real | None]
    dc_voltage_v: Mapped[Real | None]
    dc_current_a: Mapped[Real | None]
    ac_voltage_v: Mapped[Real | None]
    ac_voltage_v_l1: Mapped[Real | None]
    ac_voltage_v_l2: Mapped[Real | None]
    ac_voltage_v_l3: Mapped[Real | None]
    ac_current_a: Mapped[Real | None]
    ac_current_a_l1: Mapped[Real | None]
    ac_current_a_l2: Mapped[Real | None]
    ac_current_a_l3: Mapped[Real | None]
    ac_apparent_power_kva: Mapped[Real | None]
    ac_reactive_power_kvar: Mapped[Real | None]
    power_factor: Mapped[Real | None]
    grid_frequency_hz: Mapped[Real | None]
    grid_power_kw: Mapped[Real | None]
    load_power_kw: Mapped[Real | None]
    backup_power_kw: Mapped[Real | None]
    generator_power_kw: Mapped[Real | None]
    battery_power_kw: Mapped[Real | None]
    battery_voltage_v: Mapped[Real | None]
    battery_current_a: Mapped[Real | None]
    battery_soc_percent: Mapped[Real | None]
    battery_soh_percent: Mapped[Real | None]
    battery_temperature_c: Mapped[Real | None]
    battery_cell_voltage_min_v: Mapped[Real | None]
    battery_cell_voltage_max_v: Mapped[Real | None]
    inverter_temperature_c: Mapped[Real | None]
    insulation_resistance_mohm: Mapped[Real | None]
    irradiance_wm2: Mapped[Real | None]
    module_temperature_c: Mapped[Real | None]
    ambient_temperature_c: Mapped[Real | None]
    wind_speed_ms: Mapped[Real | None]
    wind_direction_deg: Mapped[Real | None]
    humidity_percent: Mapped[Real | None]
    active_power_limit_percent: Mapped[Real | None]
    poll_latency_ms: Mapped[Real | None]
    operating_state: Mapped[str | None] = mapped_column(String(32))
    fault_codes: Mapped[str | None] = mapped_column(Text)
    extra: Mapped[JsonObject | None]


class DeviceTelemetrySnapshot(Tracked, Base):
    """The newest reading of each device. A writer never lets an older one overwrite it.

    `ON CONFLICT (site_id, device_id) DO UPDATE … WHERE excluded.timestamp > device_telemetry_snapshot.timestamp`.

    Attributes:
        current_power_kw: the power that the device is there for: AC output of an inverter, grid power of a meter, battery power of a
            battery (positive = discharging).
        energy_today_kwh: generation of the device's own day so far.
        raw_data: all values by metric key.
    """

    __tablename__ = "device_telemetry_snapshot"
    __table_args__ = (
        PrimaryKeyConstraint("site_id", "device_id"),
        UniqueConstraint("device_id"),
        ForeignKeyConstraint(["site_id", "device_id"], ["devices.site_id", "devices.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "site_id", "timestamp"),
        Index(None, "organization_id"),
    )

    device_id: Mapped[UUID]
    site_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    timestamp: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    quality: Mapped[int] = mapped_column(server_default=text("0"))
    current_power_kw: Mapped[float | None]
    pv_power_kw: Mapped[float | None]
    grid_power_kw: Mapped[float | None]
    load_power_kw: Mapped[float | None]
    battery_power_kw: Mapped[float | None]
    battery_soc_percent: Mapped[float | None]
    energy_today_kwh: Mapped[float | None]
    operating_state: Mapped[str | None] = mapped_column(String(32))
    raw_data: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))


class IngestBatch(Base):
    """One committed batch of a gateway: what was new in it, so that a repeat gets the same answer.

    `first_seq` is the first sequence number that was new, so the ledger of an epoch has neither hole nor overlap.
    """

    __tablename__ = "ingest_batches"
    __table_args__ = (
        PrimaryKeyConstraint("site_id", "gateway_id", "epoch", "first_seq"),
        ForeignKeyConstraint(
            ["site_id", "gateway_id"], ["edge_gateways.site_id", "edge_gateways.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "organization_id"),
        Index(None, "received_at"),
        CheckConstraint("first_seq >= 1 AND last_seq >= first_seq", name="sequence_ascends"),
    )

    site_id: Mapped[UUID]
    gateway_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    epoch: Mapped[UUID]
    first_seq: Mapped[BigInt]
    last_seq: Mapped[BigInt]
    stored: Mapped[int] = mapped_column(server_default=text("0"))
    duplicates: Mapped[int] = mapped_column(server_default=text("0"))
    flagged: Mapped[int] = mapped_column(server_default=text("0"))
    rejected: Mapped[int] = mapped_column(server_default=text("0"))
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())


class QuarantinedReading(Base):
    """A reading that could not be stored as one, as it came, with the reason."""

    __tablename__ = "quarantined_readings"
    __table_args__ = (
        PrimaryKeyConstraint("site_id", "id"),
        ForeignKeyConstraint(
            ["site_id", "gateway_id"], ["edge_gateways.site_id", "edge_gateways.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "site_id", "gateway_id", "epoch", "seq"),
        Index(None, "organization_id"),
    )

    id: Mapped[UUID]
    site_id: Mapped[UUID]
    gateway_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    epoch: Mapped[UUID]
    seq: Mapped[BigInt]
    block_index: Mapped[int]
    """Position of the reading within its block."""
    device_id: Mapped[UUID]
    """As sent: need not be a device of ours."""
    at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(100))
    body: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RollupDirty(Base):
    """A quarter-hour of a device that must be computed again from raw readings: a queue, so without foreign keys.

    `generation` counts marks: a worker that does not delete in the transaction that claims removes only the generation it has seen.
    """

    __tablename__ = "rollup_dirty"
    __table_args__ = (
        PrimaryKeyConstraint("site_id", "device_id", "bucket"),
        Index(None, "priority", "marked_at"),
        Index(None, "organization_id"),
        CheckConstraint("priority BETWEEN 0 AND 9", name="priority_in_range"),
    )

    site_id: Mapped[UUID]
    device_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    bucket: Mapped[datetime]
    """Start of the quarter-hour, UTC."""
    priority: Mapped[int] = mapped_column(server_default=text("0"))
    """0 = live, 1 = back-fill; lower goes first."""
    marked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    generation: Mapped[BigInt] = mapped_column(server_default=text("1"))
