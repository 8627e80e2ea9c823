"""Raw readings, the newest values, the ledger of batches, the queue of dirty buckets."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UP = """
CREATE TABLE telemetry_readings (
    site_id UUID NOT NULL,
    device_id UUID NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    seq BIGINT NOT NULL,
    quality INTEGER DEFAULT 0 NOT NULL,
    ac_power_kw DOUBLE PRECISION,
    dc_power_kw DOUBLE PRECISION,
    dc_voltage_v DOUBLE PRECISION,
    dc_current_a DOUBLE PRECISION,
    ac_voltage_v DOUBLE PRECISION,
    ac_voltage_v_l1 DOUBLE PRECISION,
    ac_voltage_v_l2 DOUBLE PRECISION,
    ac_voltage_v_l3 DOUBLE PRECISION,
    ac_current_a DOUBLE PRECISION,
    ac_current_a_l1 DOUBLE PRECISION,
    ac_current_a_l2 DOUBLE PRECISION,
    ac_current_a_l3 DOUBLE PRECISION,
    ac_apparent_power_kva DOUBLE PRECISION,
    ac_reactive_power_kvar DOUBLE PRECISION,
    power_factor DOUBLE PRECISION,
    grid_frequency_hz DOUBLE PRECISION,
    grid_power_kw DOUBLE PRECISION,
    load_power_kw DOUBLE PRECISION,
    backup_power_kw DOUBLE PRECISION,
    generator_power_kw DOUBLE PRECISION,
    battery_power_kw DOUBLE PRECISION,
    battery_voltage_v DOUBLE PRECISION,
    battery_current_a DOUBLE PRECISION,
    battery_soc_percent DOUBLE PRECISION,
    battery_soh_percent DOUBLE PRECISION,
    battery_temperature_c DOUBLE PRECISION,
    battery_cell_voltage_min_v DOUBLE PRECISION,
    battery_cell_voltage_max_v DOUBLE PRECISION,
    battery_cycles_total DOUBLE PRECISION,
    inverter_temperature_c DOUBLE PRECISION,
    insulation_resistance_mohm DOUBLE PRECISION,
    energy_total_kwh DOUBLE PRECISION,
    energy_today_kwh DOUBLE PRECISION,
    grid_import_energy_total_kwh DOUBLE PRECISION,
    grid_export_energy_total_kwh DOUBLE PRECISION,
    load_energy_total_kwh DOUBLE PRECISION,
    battery_charge_energy_total_kwh DOUBLE PRECISION,
    battery_discharge_energy_total_kwh DOUBLE PRECISION,
    grid_import_energy_today_kwh DOUBLE PRECISION,
    grid_export_energy_today_kwh DOUBLE PRECISION,
    irradiance_wm2 DOUBLE PRECISION,
    module_temperature_c DOUBLE PRECISION,
    ambient_temperature_c DOUBLE PRECISION,
    wind_speed_ms DOUBLE PRECISION,
    wind_direction_deg DOUBLE PRECISION,
    humidity_percent DOUBLE PRECISION,
    active_power_limit_percent DOUBLE PRECISION,
    poll_latency_ms DOUBLE PRECISION,
    operating_state VARCHAR(32),
    fault_codes TEXT,
    extra JSONB
) PARTITION BY RANGE (at);

ALTER TABLE telemetry_readings ADD CONSTRAINT pk_telemetry_readings PRIMARY KEY (site_id, device_id, at);

CREATE TABLE telemetry_readings_default PARTITION OF telemetry_readings DEFAULT;

CREATE TABLE device_telemetry_snapshot (
    device_id UUID NOT NULL,
    site_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    timestamp TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    quality INTEGER DEFAULT 0 NOT NULL,
    current_power_kw DOUBLE PRECISION,
    pv_power_kw DOUBLE PRECISION,
    grid_power_kw DOUBLE PRECISION,
    load_power_kw DOUBLE PRECISION,
    battery_power_kw DOUBLE PRECISION,
    battery_soc_percent DOUBLE PRECISION,
    energy_today_kwh DOUBLE PRECISION,
    operating_state VARCHAR(32),
    raw_data JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE device_telemetry_snapshot ADD CONSTRAINT pk_device_telemetry_snapshot PRIMARY KEY (site_id, device_id);

ALTER TABLE device_telemetry_snapshot ADD CONSTRAINT uq_device_telemetry_snapshot_device_id UNIQUE (device_id);

ALTER TABLE device_telemetry_snapshot
    ADD CONSTRAINT fk_device_telemetry_snapshot_site_id_device_id
    FOREIGN KEY (site_id, device_id)
    REFERENCES devices (site_id, id) ON DELETE CASCADE;

ALTER TABLE device_telemetry_snapshot
    ADD CONSTRAINT fk_device_telemetry_snapshot_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_device_telemetry_snapshot_organization_id ON device_telemetry_snapshot (organization_id);

CREATE INDEX ix_device_telemetry_snapshot_site_id_timestamp ON device_telemetry_snapshot (site_id, timestamp);

CREATE TABLE ingest_batches (
    site_id UUID NOT NULL,
    gateway_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    epoch UUID NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    stored INTEGER DEFAULT 0 NOT NULL,
    duplicates INTEGER DEFAULT 0 NOT NULL,
    flagged INTEGER DEFAULT 0 NOT NULL,
    rejected INTEGER DEFAULT 0 NOT NULL,
    received_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

ALTER TABLE ingest_batches ADD CONSTRAINT pk_ingest_batches PRIMARY KEY (site_id, gateway_id, epoch, first_seq);

ALTER TABLE ingest_batches ADD CONSTRAINT ck_ingest_batches_sequence_ascends CHECK (first_seq >= 1 AND last_seq >= first_seq);

ALTER TABLE ingest_batches
    ADD CONSTRAINT fk_ingest_batches_site_id_gateway_id
    FOREIGN KEY (site_id, gateway_id)
    REFERENCES edge_gateways (site_id, id) ON DELETE CASCADE;

ALTER TABLE ingest_batches
    ADD CONSTRAINT fk_ingest_batches_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_ingest_batches_organization_id ON ingest_batches (organization_id);

CREATE INDEX ix_ingest_batches_received_at ON ingest_batches (received_at);

CREATE TABLE quarantined_readings (
    id UUID NOT NULL,
    site_id UUID NOT NULL,
    gateway_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    epoch UUID NOT NULL,
    seq BIGINT NOT NULL,
    block_index INTEGER NOT NULL,
    device_id UUID NOT NULL,
    at TIMESTAMPTZ,
    reason VARCHAR(100) NOT NULL,
    body JSONB DEFAULT '{}'::jsonb NOT NULL,
    received_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

ALTER TABLE quarantined_readings ADD CONSTRAINT pk_quarantined_readings PRIMARY KEY (site_id, id);

ALTER TABLE quarantined_readings
    ADD CONSTRAINT fk_quarantined_readings_site_id_gateway_id
    FOREIGN KEY (site_id, gateway_id)
    REFERENCES edge_gateways (site_id, id) ON DELETE CASCADE;

ALTER TABLE quarantined_readings
    ADD CONSTRAINT fk_quarantined_readings_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_quarantined_readings_organization_id ON quarantined_readings (organization_id);

CREATE INDEX ix_quarantined_readings_site_id_gateway_id_epoch_seq ON quarantined_readings (site_id, gateway_id, epoch, seq);

CREATE TABLE rollup_dirty (
    site_id UUID NOT NULL,
    device_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    bucket TIMESTAMPTZ NOT NULL,
    priority INTEGER DEFAULT 0 NOT NULL,
    marked_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    generation BIGINT DEFAULT 1 NOT NULL
);

ALTER TABLE rollup_dirty ADD CONSTRAINT pk_rollup_dirty PRIMARY KEY (site_id, device_id, bucket);

ALTER TABLE rollup_dirty ADD CONSTRAINT ck_rollup_dirty_priority_in_range CHECK (priority BETWEEN 0 AND 9);

CREATE INDEX ix_rollup_dirty_organization_id ON rollup_dirty (organization_id);

CREATE INDEX ix_rollup_dirty_priority_marked_at ON rollup_dirty (priority, marked_at);
"""

DOWN = """
DROP TABLE rollup_dirty;

DROP TABLE quarantined_readings;

DROP TABLE ingest_batches;

DROP TABLE device_telemetry_snapshot;

DROP TABLE telemetry_readings;
"""


def upgrade() -> None:
    for statement in UP.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))


def downgrade() -> None:
    for statement in DOWN.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
