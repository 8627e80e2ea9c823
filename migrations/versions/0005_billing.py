"""Tariffs and simulated bills."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UP = """
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE tariff_categories (
    code VARCHAR(50) NOT NULL,
    name VARCHAR(255) NOT NULL,
    nepra_code VARCHAR(30),
    alias_of VARCHAR(50),
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

ALTER TABLE tariff_categories ADD CONSTRAINT pk_tariff_categories PRIMARY KEY (code);

ALTER TABLE tariff_categories ADD CONSTRAINT ck_tariff_categories_alias_of_another CHECK (alias_of <> code);

ALTER TABLE tariff_categories
    ADD CONSTRAINT fk_tariff_categories_alias_of
    FOREIGN KEY (alias_of)
    REFERENCES tariff_categories (code) ON DELETE RESTRICT;

CREATE INDEX ix_tariff_categories_alias_of ON tariff_categories (alias_of);

CREATE TABLE tariff_plans (
    id UUID NOT NULL,
    disco_provider VARCHAR(20) NOT NULL,
    category VARCHAR(50) NOT NULL,
    variant VARCHAR(50) DEFAULT 'standard' NOT NULL,
    name VARCHAR(255) DEFAULT '' NOT NULL,
    effective_from DATE NOT NULL,
    effective_to DATE,
    rates JSONB NOT NULL,
    supports_net_metering BOOLEAN DEFAULT false NOT NULL,
    supports_tou BOOLEAN DEFAULT false NOT NULL,
    source VARCHAR(500) DEFAULT '' NOT NULL,
    status VARCHAR(20) DEFAULT 'verified' NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE tariff_plans ADD CONSTRAINT pk_tariff_plans PRIMARY KEY (id);

ALTER TABLE tariff_plans
    ADD CONSTRAINT ck_tariff_plans_disco_provider_known
    CHECK (disco_provider IN ('lesco', 'fesco', 'iesco', 'gepco', 'mepco', 'pesco', 'hesco', 'sepco', 'qesco', 'tesco', 'kelectric', 'hazeco'));

ALTER TABLE tariff_plans ADD CONSTRAINT ck_tariff_plans_period_ascends CHECK (effective_to >= effective_from);

ALTER TABLE tariff_plans ADD CONSTRAINT ck_tariff_plans_status_known CHECK (status IN ('verified', 'derived', 'estimated', 'pending'));

ALTER TABLE tariff_plans
    ADD CONSTRAINT ex_tariff_plans_no_overlap
    EXCLUDE USING gist (disco_provider WITH =, category WITH =, variant WITH =, daterange(effective_from, effective_to, '[]') WITH &&);

ALTER TABLE tariff_plans
    ADD CONSTRAINT fk_tariff_plans_category FOREIGN KEY (category) REFERENCES tariff_categories (code) ON DELETE RESTRICT;

CREATE INDEX ix_tariff_plans_disco_provider_category ON tariff_plans (disco_provider, category);

CREATE INDEX ix_tariff_plans_rates ON tariff_plans USING gin (rates jsonb_path_ops);

CREATE TABLE tariff_adjustments (
    id UUID NOT NULL,
    kind VARCHAR(40) NOT NULL,
    scope VARCHAR(40) DEFAULT 'all' NOT NULL,
    consumers VARCHAR(40) DEFAULT 'all' NOT NULL,
    effective_from DATE NOT NULL,
    effective_to DATE,
    rate NUMERIC(14, 6),
    unit VARCHAR(20) DEFAULT 'pkr_per_kwh' NOT NULL,
    parameters JSONB DEFAULT '{}'::jsonb NOT NULL,
    source VARCHAR(500) DEFAULT '' NOT NULL,
    status VARCHAR(20) DEFAULT 'verified' NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE tariff_adjustments ADD CONSTRAINT pk_tariff_adjustments PRIMARY KEY (id);

ALTER TABLE tariff_adjustments
    ADD CONSTRAINT uq_tariff_adjustments_kind_scope_consumers_effective_from
    UNIQUE (kind, scope, consumers, effective_from);

ALTER TABLE tariff_adjustments
    ADD CONSTRAINT ck_tariff_adjustments_pending_without_rate
    CHECK ((rate IS NULL) = (status = 'pending') OR parameters <> '{}'::jsonb);

ALTER TABLE tariff_adjustments ADD CONSTRAINT ck_tariff_adjustments_period_ascends CHECK (effective_to >= effective_from);

ALTER TABLE tariff_adjustments
    ADD CONSTRAINT ck_tariff_adjustments_status_known CHECK (status IN ('verified', 'derived', 'estimated', 'pending'));

CREATE TABLE billing_simulations (
    id UUID NOT NULL,
    site_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    tariff_plan_id UUID NOT NULL,
    period_start DATE NOT NULL,
    period_end DATE NOT NULL,
    energy_consumed_kwh NUMERIC(14, 3) NOT NULL,
    energy_generated_kwh NUMERIC(14, 3),
    energy_imported_kwh NUMERIC(14, 3),
    energy_exported_kwh NUMERIC(14, 3) DEFAULT 0 NOT NULL,
    bill_breakdown JSONB NOT NULL,
    savings_breakdown JSONB NOT NULL,
    estimated_bill_pkr NUMERIC(14, 2) NOT NULL,
    estimated_savings_pkr NUMERIC(14, 2),
    is_actual BOOLEAN DEFAULT false NOT NULL,
    inputs JSONB DEFAULT '{}'::jsonb NOT NULL,
    lines JSONB DEFAULT '[]'::jsonb NOT NULL,
    warnings JSONB DEFAULT '[]'::jsonb NOT NULL,
    coverage_percent DOUBLE PRECISION,
    content_hash VARCHAR(64),
    created_by UUID,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE billing_simulations ADD CONSTRAINT pk_billing_simulations PRIMARY KEY (id);

ALTER TABLE billing_simulations
    ADD CONSTRAINT ck_billing_simulations_energy_not_negative
    CHECK (energy_consumed_kwh >= 0 AND energy_exported_kwh >= 0 AND energy_imported_kwh >= 0 AND energy_generated_kwh >= 0);

ALTER TABLE billing_simulations ADD CONSTRAINT ck_billing_simulations_period_ascends CHECK (period_end >= period_start);

ALTER TABLE billing_simulations
    ADD CONSTRAINT fk_billing_simulations_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE billing_simulations
    ADD CONSTRAINT fk_billing_simulations_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

ALTER TABLE billing_simulations
    ADD CONSTRAINT fk_billing_simulations_tariff_plan_id
    FOREIGN KEY (tariff_plan_id)
    REFERENCES tariff_plans (id) ON DELETE RESTRICT;

CREATE INDEX ix_billing_simulations_organization_id ON billing_simulations (organization_id);

CREATE INDEX ix_billing_simulations_site_id_period_start_period_end ON billing_simulations (site_id, period_start, period_end);

CREATE INDEX ix_billing_simulations_tariff_plan_id ON billing_simulations (tariff_plan_id);
"""

DOWN = """
DROP TABLE billing_simulations;

DROP TABLE tariff_adjustments;

DROP TABLE tariff_plans;

DROP TABLE tariff_categories;
"""


def upgrade() -> None:
    for statement in UP.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))


def downgrade() -> None:
    for statement in DOWN.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
