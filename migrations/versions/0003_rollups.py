"""Quarter-hours, hours, days, months; meter events; emission factors."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UP = """
CREATE TABLE telemetry_quarter_hour (
    site_id UUID NOT NULL,
    device_id UUID,
    organization_id UUID NOT NULL,
    bucket TIMESTAMPTZ NOT NULL,
    generated_wh BIGINT,
    consumed_wh BIGINT,
    imported_wh BIGINT,
    exported_wh BIGINT,
    charged_wh BIGINT,
    discharged_wh BIGINT,
    generated_bridged_wh BIGINT DEFAULT 0 NOT NULL,
    consumed_bridged_wh BIGINT DEFAULT 0 NOT NULL,
    imported_bridged_wh BIGINT DEFAULT 0 NOT NULL,
    exported_bridged_wh BIGINT DEFAULT 0 NOT NULL,
    charged_bridged_wh BIGINT DEFAULT 0 NOT NULL,
    discharged_bridged_wh BIGINT DEFAULT 0 NOT NULL,
    power_mean_kw DOUBLE PRECISION,
    power_min_kw DOUBLE PRECISION,
    power_max_kw DOUBLE PRECISION,
    load_power_mean_kw DOUBLE PRECISION,
    load_power_min_kw DOUBLE PRECISION,
    load_power_max_kw DOUBLE PRECISION,
    grid_power_mean_kw DOUBLE PRECISION,
    grid_power_min_kw DOUBLE PRECISION,
    grid_power_max_kw DOUBLE PRECISION,
    battery_power_mean_kw DOUBLE PRECISION,
    battery_power_min_kw DOUBLE PRECISION,
    battery_power_max_kw DOUBLE PRECISION,
    battery_soc_last_percent DOUBLE PRECISION,
    battery_soc_min_percent DOUBLE PRECISION,
    battery_soc_max_percent DOUBLE PRECISION,
    irradiance_mean_wm2 DOUBLE PRECISION,
    irradiation_wh_m2 DOUBLE PRECISION,
    irradiation_covered_seconds INTEGER DEFAULT 0 NOT NULL,
    module_temperature_mean_c DOUBLE PRECISION,
    ambient_temperature_mean_c DOUBLE PRECISION,
    metrics JSONB,
    n_valid INTEGER DEFAULT 0 NOT NULL,
    n_expected INTEGER DEFAULT 0 NOT NULL,
    covered_seconds INTEGER DEFAULT 0 NOT NULL,
    flags INTEGER DEFAULT 0 NOT NULL,
    algorithm_version INTEGER NOT NULL,
    computed_at TIMESTAMPTZ DEFAULT now() NOT NULL
) PARTITION BY RANGE (bucket);

ALTER TABLE telemetry_quarter_hour
    ADD CONSTRAINT ck_telemetry_quarter_hour_bucket_aligned
    CHECK (date_bin('15 minutes', bucket, TIMESTAMPTZ '2000-01-01 00:00:00+00') = bucket);

ALTER TABLE telemetry_quarter_hour ADD CONSTRAINT ck_telemetry_quarter_hour_covered_within_bucket CHECK (covered_seconds BETWEEN 0 AND 900);

ALTER TABLE telemetry_quarter_hour
    ADD CONSTRAINT fk_telemetry_quarter_hour_site_id_device_id
    FOREIGN KEY (site_id, device_id)
    REFERENCES devices (site_id, id) ON DELETE RESTRICT;

ALTER TABLE telemetry_quarter_hour
    ADD CONSTRAINT fk_telemetry_quarter_hour_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_telemetry_quarter_hour_device_id_bucket ON telemetry_quarter_hour (device_id, bucket);

CREATE INDEX ix_telemetry_quarter_hour_organization_id ON telemetry_quarter_hour (organization_id);

CREATE UNIQUE INDEX uq_telemetry_quarter_hour_device
    ON telemetry_quarter_hour (site_id, device_id, bucket)
    WHERE device_id IS NOT NULL;

CREATE UNIQUE INDEX uq_telemetry_quarter_hour_site ON telemetry_quarter_hour (site_id, bucket) WHERE device_id IS NULL;

CREATE TABLE telemetry_quarter_hour_default PARTITION OF telemetry_quarter_hour DEFAULT;

CREATE TABLE telemetry_hourly_summary (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    site_id UUID NOT NULL,
    device_id UUID,
    organization_id UUID NOT NULL,
    timestamp_hour TIMESTAMPTZ NOT NULL,
    battery_soc_percent DOUBLE PRECISION,
    energy_generated_kwh DOUBLE PRECISION,
    energy_consumed_kwh DOUBLE PRECISION,
    energy_imported_kwh DOUBLE PRECISION,
    energy_exported_kwh DOUBLE PRECISION,
    energy_charged_kwh DOUBLE PRECISION,
    energy_discharged_kwh DOUBLE PRECISION,
    energy_bridged_kwh DOUBLE PRECISION,
    irradiation_kwh_m2 DOUBLE PRECISION,
    peak_power_kw DOUBLE PRECISION,
    average_power_kw DOUBLE PRECISION,
    performance_ratio DOUBLE PRECISION,
    performance_ratio_reason VARCHAR(100),
    sample_count INTEGER DEFAULT 0 NOT NULL,
    expected_count INTEGER DEFAULT 0 NOT NULL,
    covered_seconds INTEGER DEFAULT 0 NOT NULL,
    data_completeness_percent DOUBLE PRECISION,
    irradiation_completeness_percent DOUBLE PRECISION,
    flags INTEGER DEFAULT 0 NOT NULL,
    algorithm_version INTEGER NOT NULL,
    computed_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
) PARTITION BY RANGE (timestamp_hour);

ALTER TABLE telemetry_hourly_summary ADD CONSTRAINT pk_telemetry_hourly_summary PRIMARY KEY (site_id, timestamp_hour, id);

ALTER TABLE telemetry_hourly_summary
    ADD CONSTRAINT fk_telemetry_hourly_summary_site_id_device_id
    FOREIGN KEY (site_id, device_id)
    REFERENCES devices (site_id, id) ON DELETE RESTRICT;

ALTER TABLE telemetry_hourly_summary
    ADD CONSTRAINT fk_telemetry_hourly_summary_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_telemetry_hourly_summary_device_id_timestamp_hour ON telemetry_hourly_summary (device_id, timestamp_hour);

CREATE INDEX ix_telemetry_hourly_summary_organization_id ON telemetry_hourly_summary (organization_id);

CREATE INDEX ix_telemetry_hourly_summary_site_id_timestamp_hour ON telemetry_hourly_summary (site_id, timestamp_hour);

CREATE UNIQUE INDEX uq_telemetry_hourly_summary_device
    ON telemetry_hourly_summary (site_id, device_id, timestamp_hour)
    WHERE device_id IS NOT NULL;

CREATE UNIQUE INDEX uq_telemetry_hourly_summary_site ON telemetry_hourly_summary (site_id, timestamp_hour) WHERE device_id IS NULL;

CREATE TABLE telemetry_hourly_summary_default PARTITION OF telemetry_hourly_summary DEFAULT;

CREATE TABLE telemetry_daily_summary (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    site_id UUID NOT NULL,
    device_id UUID,
    organization_id UUID NOT NULL,
    summary_date DATE NOT NULL,
    energy_generated_kwh DOUBLE PRECISION,
    energy_consumed_kwh DOUBLE PRECISION,
    energy_imported_kwh DOUBLE PRECISION,
    energy_exported_kwh DOUBLE PRECISION,
    energy_charged_kwh DOUBLE PRECISION,
    energy_discharged_kwh DOUBLE PRECISION,
    energy_bridged_kwh DOUBLE PRECISION,
    irradiation_kwh_m2 DOUBLE PRECISION,
    peak_power_kw DOUBLE PRECISION,
    average_power_kw DOUBLE PRECISION,
    performance_ratio DOUBLE PRECISION,
    performance_ratio_reason VARCHAR(100),
    sample_count INTEGER DEFAULT 0 NOT NULL,
    expected_count INTEGER DEFAULT 0 NOT NULL,
    covered_seconds INTEGER DEFAULT 0 NOT NULL,
    data_completeness_percent DOUBLE PRECISION,
    irradiation_completeness_percent DOUBLE PRECISION,
    net_energy_kwh DOUBLE PRECISION,
    peak_power_at TIMESTAMPTZ,
    capacity_factor DOUBLE PRECISION,
    specific_yield_kwh_kwp DOUBLE PRECISION,
    self_consumed_kwh DOUBLE PRECISION,
    self_consumption_percent DOUBLE PRECISION,
    self_sufficiency_percent DOUBLE PRECISION,
    sunshine_hours DOUBLE PRECISION,
    sunshine_basis VARCHAR(20),
    co2_avoided_kg DOUBLE PRECISION,
    co2_factor_kg_per_kwh DOUBLE PRECISION,
    estimated_savings_pkr DOUBLE PRECISION,
    daylight_completeness_percent DOUBLE PRECISION,
    timezone VARCHAR(50) DEFAULT 'Asia/Karachi' NOT NULL,
    flags INTEGER DEFAULT 0 NOT NULL,
    algorithm_version INTEGER NOT NULL,
    computed_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE telemetry_daily_summary ADD CONSTRAINT pk_telemetry_daily_summary PRIMARY KEY (site_id, id);

ALTER TABLE telemetry_daily_summary
    ADD CONSTRAINT ck_telemetry_daily_summary_sunshine_basis_known
    CHECK (sunshine_basis IN ('irradiance', 'power'));

ALTER TABLE telemetry_daily_summary
    ADD CONSTRAINT fk_telemetry_daily_summary_site_id_device_id
    FOREIGN KEY (site_id, device_id)
    REFERENCES devices (site_id, id) ON DELETE RESTRICT;

ALTER TABLE telemetry_daily_summary
    ADD CONSTRAINT fk_telemetry_daily_summary_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_telemetry_daily_summary_device_id_summary_date ON telemetry_daily_summary (device_id, summary_date);

CREATE INDEX ix_telemetry_daily_summary_organization_id ON telemetry_daily_summary (organization_id);

CREATE INDEX ix_telemetry_daily_summary_site_id_summary_date ON telemetry_daily_summary (site_id, summary_date);

CREATE UNIQUE INDEX uq_telemetry_daily_summary_device
    ON telemetry_daily_summary (site_id, device_id, summary_date)
    WHERE device_id IS NOT NULL;

CREATE UNIQUE INDEX uq_telemetry_daily_summary_site ON telemetry_daily_summary (site_id, summary_date) WHERE device_id IS NULL;

CREATE TABLE telemetry_monthly_summary (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    site_id UUID NOT NULL,
    device_id UUID,
    organization_id UUID NOT NULL,
    year INTEGER NOT NULL,
    month INTEGER NOT NULL,
    expected_generation_kwh DOUBLE PRECISION,
    generation_variance_percent DOUBLE PRECISION,
    trees_equivalent DOUBLE PRECISION,
    tree_factor_kg DOUBLE PRECISION,
    days_with_data INTEGER DEFAULT 0 NOT NULL,
    energy_generated_kwh DOUBLE PRECISION,
    energy_consumed_kwh DOUBLE PRECISION,
    energy_imported_kwh DOUBLE PRECISION,
    energy_exported_kwh DOUBLE PRECISION,
    energy_charged_kwh DOUBLE PRECISION,
    energy_discharged_kwh DOUBLE PRECISION,
    energy_bridged_kwh DOUBLE PRECISION,
    irradiation_kwh_m2 DOUBLE PRECISION,
    peak_power_kw DOUBLE PRECISION,
    average_power_kw DOUBLE PRECISION,
    performance_ratio DOUBLE PRECISION,
    performance_ratio_reason VARCHAR(100),
    sample_count INTEGER DEFAULT 0 NOT NULL,
    expected_count INTEGER DEFAULT 0 NOT NULL,
    covered_seconds INTEGER DEFAULT 0 NOT NULL,
    data_completeness_percent DOUBLE PRECISION,
    irradiation_completeness_percent DOUBLE PRECISION,
    net_energy_kwh DOUBLE PRECISION,
    peak_power_at TIMESTAMPTZ,
    capacity_factor DOUBLE PRECISION,
    specific_yield_kwh_kwp DOUBLE PRECISION,
    self_consumed_kwh DOUBLE PRECISION,
    self_consumption_percent DOUBLE PRECISION,
    self_sufficiency_percent DOUBLE PRECISION,
    sunshine_hours DOUBLE PRECISION,
    sunshine_basis VARCHAR(20),
    co2_avoided_kg DOUBLE PRECISION,
    co2_factor_kg_per_kwh DOUBLE PRECISION,
    estimated_savings_pkr DOUBLE PRECISION,
    daylight_completeness_percent DOUBLE PRECISION,
    timezone VARCHAR(50) DEFAULT 'Asia/Karachi' NOT NULL,
    flags INTEGER DEFAULT 0 NOT NULL,
    algorithm_version INTEGER NOT NULL,
    computed_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE telemetry_monthly_summary ADD CONSTRAINT pk_telemetry_monthly_summary PRIMARY KEY (site_id, id);

ALTER TABLE telemetry_monthly_summary ADD CONSTRAINT ck_telemetry_monthly_summary_month_in_range CHECK (month BETWEEN 1 AND 12);

ALTER TABLE telemetry_monthly_summary
    ADD CONSTRAINT ck_telemetry_monthly_summary_sunshine_basis_known
    CHECK (sunshine_basis IN ('irradiance', 'power'));

ALTER TABLE telemetry_monthly_summary ADD CONSTRAINT ck_telemetry_monthly_summary_year_in_range CHECK (year BETWEEN 2020 AND 2100);

ALTER TABLE telemetry_monthly_summary
    ADD CONSTRAINT fk_telemetry_monthly_summary_site_id_device_id
    FOREIGN KEY (site_id, device_id)
    REFERENCES devices (site_id, id) ON DELETE RESTRICT;

ALTER TABLE telemetry_monthly_summary
    ADD CONSTRAINT fk_telemetry_monthly_summary_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_telemetry_monthly_summary_device_id_year_month ON telemetry_monthly_summary (device_id, year, month);

CREATE INDEX ix_telemetry_monthly_summary_organization_id ON telemetry_monthly_summary (organization_id);

CREATE INDEX ix_telemetry_monthly_summary_site_id_year_month ON telemetry_monthly_summary (site_id, year, month);

CREATE UNIQUE INDEX uq_telemetry_monthly_summary_device
    ON telemetry_monthly_summary (site_id, device_id, year, month)
    WHERE device_id IS NOT NULL;

CREATE UNIQUE INDEX uq_telemetry_monthly_summary_site ON telemetry_monthly_summary (site_id, year, month) WHERE device_id IS NULL;

CREATE TABLE meter_events (
    id UUID NOT NULL,
    site_id UUID NOT NULL,
    device_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    metric VARCHAR(64) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    last_wh BIGINT,
    first_wh BIGINT,
    note TEXT,
    created_by UUID,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

ALTER TABLE meter_events ADD CONSTRAINT pk_meter_events PRIMARY KEY (id);

ALTER TABLE meter_events ADD CONSTRAINT uq_meter_events_site_id_device_id_metric_at UNIQUE (site_id, device_id, metric, at);

ALTER TABLE meter_events ADD CONSTRAINT ck_meter_events_counters_not_negative CHECK (last_wh >= 0 AND first_wh >= 0);

ALTER TABLE meter_events ADD CONSTRAINT ck_meter_events_kind_known CHECK (kind IN ('swap', 'reset', 'rollover', 'manual'));

ALTER TABLE meter_events ADD CONSTRAINT fk_meter_events_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE meter_events
    ADD CONSTRAINT fk_meter_events_site_id_device_id
    FOREIGN KEY (site_id, device_id)
    REFERENCES devices (site_id, id) ON DELETE CASCADE;

ALTER TABLE meter_events
    ADD CONSTRAINT fk_meter_events_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_meter_events_organization_id ON meter_events (organization_id);

CREATE TABLE emission_factors (
    code VARCHAR(60) NOT NULL,
    kind VARCHAR(30) NOT NULL,
    value NUMERIC(12, 6) NOT NULL,
    unit VARCHAR(40) NOT NULL,
    name VARCHAR(255) NOT NULL,
    source VARCHAR(500) NOT NULL,
    is_default BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

ALTER TABLE emission_factors ADD CONSTRAINT pk_emission_factors PRIMARY KEY (code);

ALTER TABLE emission_factors ADD CONSTRAINT ck_emission_factors_kind_known CHECK (kind IN ('grid_electricity', 'tree'));

ALTER TABLE emission_factors ADD CONSTRAINT ck_emission_factors_value_positive CHECK (value > 0);

CREATE UNIQUE INDEX uq_emission_factors_default ON emission_factors (kind) WHERE is_default;
"""

DOWN = """
DROP TABLE emission_factors;

DROP TABLE meter_events;

DROP TABLE telemetry_monthly_summary;

DROP TABLE telemetry_daily_summary;

DROP TABLE telemetry_hourly_summary;

DROP TABLE telemetry_quarter_hour;
"""


def upgrade() -> None:
    for statement in UP.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))


def downgrade() -> None:
    for statement in DOWN.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
