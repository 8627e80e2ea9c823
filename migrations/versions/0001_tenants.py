"""Enum types; accounts, organisations, sites, devices, gateways."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UP = """
CREATE TYPE user_role AS ENUM ('super_admin', 'owner', 'admin', 'manager', 'viewer', 'installer');

CREATE TYPE org_member_role AS ENUM ('owner', 'admin', 'manager', 'viewer', 'installer');

CREATE TYPE site_status AS ENUM ('active', 'inactive', 'maintenance', 'decommissioned');

CREATE TYPE device_type AS ENUM ('inverter', 'meter', 'battery', 'weather_station', 'sensor', 'gateway');

CREATE TYPE device_status AS ENUM ('online', 'offline', 'error', 'maintenance', 'unknown');

CREATE TYPE protocol_type AS ENUM ('modbus_tcp', 'modbus_rtu', 'mqtt', 'http', 'custom');

CREATE TYPE alert_severity AS ENUM ('info', 'warning', 'critical');

CREATE TYPE alert_status AS ENUM ('active', 'acknowledged', 'resolved', 'expired');

CREATE TYPE report_type AS ENUM ('performance_summary', 'energy_generation', 'billing_summary', 'device_status', 'alert_summary',
    'maintenance', 'environmental_impact', 'comparison', 'financial', 'executive_summary', 'technical_detailed',
    'regulatory_compliance', 'custom');

CREATE TYPE report_format AS ENUM ('pdf', 'excel', 'csv', 'html', 'json');

CREATE TYPE report_frequency AS ENUM ('once', 'daily', 'weekly', 'monthly', 'quarterly', 'yearly');

CREATE TYPE report_status AS ENUM ('pending', 'generating', 'completed', 'failed', 'delivered', 'expired');

CREATE TYPE delivery_method AS ENUM ('download', 'email', 'webhook', 'storage');

CREATE TABLE users (
    id UUID NOT NULL,
    email VARCHAR(320) NOT NULL,
    phone VARCHAR(32),
    password_hash VARCHAR(255),
    first_name VARCHAR(100) NOT NULL,
    last_name VARCHAR(100) DEFAULT '' NOT NULL,
    role user_role DEFAULT 'viewer' NOT NULL,
    is_active BOOLEAN DEFAULT true NOT NULL,
    is_verified BOOLEAN DEFAULT false NOT NULL,
    preferences JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE users ADD CONSTRAINT pk_users PRIMARY KEY (id);

ALTER TABLE users ADD CONSTRAINT uq_users_email UNIQUE (email);

ALTER TABLE users ADD CONSTRAINT ck_users_email_has_at CHECK (email LIKE '%_@_%');

CREATE UNIQUE INDEX uq_users_email_lower ON users (lower(email));

CREATE TABLE refresh_tokens (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    family_id UUID NOT NULL,
    token_hash VARCHAR(64) NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    rotated_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

ALTER TABLE refresh_tokens ADD CONSTRAINT pk_refresh_tokens PRIMARY KEY (id);

ALTER TABLE refresh_tokens ADD CONSTRAINT uq_refresh_tokens_token_hash UNIQUE (token_hash);

ALTER TABLE refresh_tokens ADD CONSTRAINT fk_refresh_tokens_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;

CREATE INDEX ix_refresh_tokens_expires_at ON refresh_tokens (expires_at);

CREATE INDEX ix_refresh_tokens_family_id ON refresh_tokens (family_id);

CREATE INDEX ix_refresh_tokens_user_id ON refresh_tokens (user_id);

CREATE TABLE idempotency_keys (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    key VARCHAR(255) NOT NULL,
    request_hash VARCHAR(64) NOT NULL,
    status INTEGER,
    headers JSONB,
    body BYTEA,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

ALTER TABLE idempotency_keys ADD CONSTRAINT pk_idempotency_keys PRIMARY KEY (id);

ALTER TABLE idempotency_keys ADD CONSTRAINT uq_idempotency_keys_user_id_key UNIQUE (user_id, key);

ALTER TABLE idempotency_keys ADD CONSTRAINT fk_idempotency_keys_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;

CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);

CREATE TABLE organizations (
    id UUID NOT NULL,
    owner_id UUID NOT NULL,
    name VARCHAR(255) NOT NULL,
    slug VARCHAR(100) NOT NULL,
    description TEXT,
    logo_url VARCHAR(500),
    website VARCHAR(500),
    status VARCHAR(20) DEFAULT 'active' NOT NULL,
    settings JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE organizations ADD CONSTRAINT pk_organizations PRIMARY KEY (id);

ALTER TABLE organizations ADD CONSTRAINT uq_organizations_slug UNIQUE (slug);

ALTER TABLE organizations ADD CONSTRAINT ck_organizations_status_known CHECK (status IN ('active', 'suspended', 'closed'));

ALTER TABLE organizations ADD CONSTRAINT fk_organizations_owner_id FOREIGN KEY (owner_id) REFERENCES users (id) ON DELETE RESTRICT;

CREATE INDEX ix_organizations_owner_id ON organizations (owner_id);

CREATE TABLE organization_members (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    user_id UUID NOT NULL,
    role org_member_role NOT NULL,
    invited_by UUID,
    invitation_token VARCHAR(64),
    invitation_expires TIMESTAMPTZ,
    invitation_accepted BOOLEAN DEFAULT false NOT NULL,
    joined_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE organization_members ADD CONSTRAINT pk_organization_members PRIMARY KEY (id);

ALTER TABLE organization_members ADD CONSTRAINT uq_organization_members_invitation_token UNIQUE (invitation_token);

ALTER TABLE organization_members ADD CONSTRAINT uq_organization_members_organization_id_user_id UNIQUE (organization_id, user_id);

ALTER TABLE organization_members
    ADD CONSTRAINT fk_organization_members_invited_by
    FOREIGN KEY (invited_by)
    REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE organization_members
    ADD CONSTRAINT fk_organization_members_organization_id
    FOREIGN KEY (organization_id)
    REFERENCES organizations (id) ON DELETE CASCADE;

ALTER TABLE organization_members
    ADD CONSTRAINT fk_organization_members_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;

CREATE INDEX ix_organization_members_user_id ON organization_members (user_id);

CREATE TABLE sites (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    status site_status DEFAULT 'active' NOT NULL,
    address JSONB DEFAULT '{}'::jsonb NOT NULL,
    latitude DOUBLE PRECISION,
    longitude DOUBLE PRECISION,
    timezone VARCHAR(50) DEFAULT 'Asia/Karachi' NOT NULL,
    configuration JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE sites ADD CONSTRAINT pk_sites PRIMARY KEY (id);

ALTER TABLE sites ADD CONSTRAINT uq_sites_id_organization_id UNIQUE (id, organization_id);

ALTER TABLE sites ADD CONSTRAINT ck_sites_latitude_on_earth CHECK (latitude BETWEEN -90 AND 90);

ALTER TABLE sites ADD CONSTRAINT ck_sites_longitude_on_earth CHECK (longitude BETWEEN -180 AND 180);

ALTER TABLE sites ADD CONSTRAINT fk_sites_organization_id FOREIGN KEY (organization_id) REFERENCES organizations (id) ON DELETE RESTRICT;

CREATE INDEX ix_sites_configuration ON sites USING gin (configuration jsonb_path_ops);

CREATE INDEX ix_sites_organization_id ON sites (organization_id);

CREATE TABLE devices (
    id UUID NOT NULL,
    site_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    device_type device_type NOT NULL,
    manufacturer VARCHAR(100),
    model VARCHAR(100),
    serial_number VARCHAR(100),
    firmware_version VARCHAR(50),
    protocol protocol_type NOT NULL,
    connection_config JSONB DEFAULT '{}'::jsonb NOT NULL,
    profile VARCHAR(100) DEFAULT '' NOT NULL,
    poll_interval_s DOUBLE PRECISION DEFAULT 10 NOT NULL,
    rated_power_kw DOUBLE PRECISION,
    commissioned_at TIMESTAMPTZ,
    status device_status DEFAULT 'unknown' NOT NULL,
    last_seen_at TIMESTAMPTZ,
    last_error TEXT,
    metadata JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE devices ADD CONSTRAINT pk_devices PRIMARY KEY (id);

ALTER TABLE devices ADD CONSTRAINT uq_devices_serial_number UNIQUE (serial_number);

ALTER TABLE devices ADD CONSTRAINT uq_devices_site_id_id UNIQUE (site_id, id);

ALTER TABLE devices ADD CONSTRAINT ck_devices_poll_interval_in_range CHECK (poll_interval_s > 0 AND poll_interval_s <= 3600);

ALTER TABLE devices ADD CONSTRAINT ck_devices_rated_power_positive CHECK (rated_power_kw > 0);

ALTER TABLE devices
    ADD CONSTRAINT fk_devices_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_devices_last_seen_at ON devices (last_seen_at);

CREATE INDEX ix_devices_metadata ON devices USING gin (metadata jsonb_path_ops);

CREATE INDEX ix_devices_online ON devices (site_id) WHERE status = 'online';

CREATE INDEX ix_devices_organization_id ON devices (organization_id);

CREATE INDEX ix_devices_site_id_organization_id ON devices (site_id, organization_id);

CREATE INDEX ix_devices_status ON devices (status);

CREATE TABLE edge_gateways (
    id UUID NOT NULL,
    site_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    name VARCHAR(255) DEFAULT '' NOT NULL,
    credential_hash VARCHAR(64) NOT NULL,
    previous_credential_hash VARCHAR(64),
    previous_valid_until TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    epoch UUID,
    epoch_started_at TIMESTAMPTZ,
    past_epochs UUID[] DEFAULT '{}'::uuid[] NOT NULL,
    acked_seq BIGINT DEFAULT 0 NOT NULL,
    agent_version VARCHAR(32),
    agent_facts JSONB DEFAULT '{}'::jsonb NOT NULL,
    time_quality VARCHAR(20),
    plan_revision BIGINT DEFAULT 1 NOT NULL,
    applied_plan_revision BIGINT,
    last_seen_at TIMESTAMPTZ,
    buffer_state JSONB,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE edge_gateways ADD CONSTRAINT pk_edge_gateways PRIMARY KEY (id);

ALTER TABLE edge_gateways ADD CONSTRAINT uq_edge_gateways_credential_hash UNIQUE (credential_hash);

ALTER TABLE edge_gateways ADD CONSTRAINT uq_edge_gateways_site_id_id UNIQUE (site_id, id);

ALTER TABLE edge_gateways ADD CONSTRAINT ck_edge_gateways_acked_seq_not_negative CHECK (acked_seq >= 0);

ALTER TABLE edge_gateways
    ADD CONSTRAINT fk_edge_gateways_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_edge_gateways_last_seen_at ON edge_gateways (last_seen_at);

CREATE INDEX ix_edge_gateways_organization_id ON edge_gateways (organization_id);

CREATE INDEX ix_edge_gateways_site_id_organization_id ON edge_gateways (site_id, organization_id);

CREATE TABLE claim_codes (
    id UUID NOT NULL,
    site_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    code_hash VARCHAR(64) NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    gateway_id UUID,
    attempts INTEGER DEFAULT 0 NOT NULL,
    created_by UUID,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

ALTER TABLE claim_codes ADD CONSTRAINT pk_claim_codes PRIMARY KEY (id);

ALTER TABLE claim_codes ADD CONSTRAINT uq_claim_codes_code_hash UNIQUE (code_hash);

ALTER TABLE claim_codes ADD CONSTRAINT ck_claim_codes_attempts_not_negative CHECK (attempts >= 0);

ALTER TABLE claim_codes ADD CONSTRAINT fk_claim_codes_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE claim_codes
    ADD CONSTRAINT fk_claim_codes_site_id_gateway_id
    FOREIGN KEY (site_id, gateway_id)
    REFERENCES edge_gateways (site_id, id) ON DELETE CASCADE;

ALTER TABLE claim_codes
    ADD CONSTRAINT fk_claim_codes_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE CASCADE;

CREATE INDEX ix_claim_codes_expires_at ON claim_codes (expires_at);

CREATE INDEX ix_claim_codes_organization_id ON claim_codes (organization_id);

CREATE INDEX ix_claim_codes_site_id_organization_id ON claim_codes (site_id, organization_id);
"""

DOWN = """
DROP TABLE claim_codes;

DROP TABLE edge_gateways;

DROP TABLE devices;

DROP TABLE sites;

DROP TABLE organization_members;

DROP TABLE organizations;

DROP TABLE idempotency_keys;

DROP TABLE refresh_tokens;

DROP TABLE users;

DROP TYPE delivery_method;

DROP TYPE report_status;

DROP TYPE report_frequency;

DROP TYPE report_format;

DROP TYPE report_type;

DROP TYPE alert_status;

DROP TYPE alert_severity;

DROP TYPE protocol_type;

DROP TYPE device_status;

DROP TYPE device_type;

DROP TYPE site_status;

DROP TYPE org_member_role;

DROP TYPE user_role;
"""


def upgrade() -> None:
    for statement in UP.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))


def downgrade() -> None:
    for statement in DOWN.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
