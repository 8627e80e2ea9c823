"""Reports, schedules, templates."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UP = """
CREATE TABLE report_templates (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    created_by UUID,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    report_type VARCHAR(50) NOT NULL,
    branding JSONB DEFAULT '{}'::jsonb NOT NULL,
    sections JSONB DEFAULT '[]'::jsonb NOT NULL,
    default_parameters JSONB DEFAULT '{}'::jsonb NOT NULL,
    is_active BOOLEAN DEFAULT true NOT NULL,
    is_default BOOLEAN DEFAULT false NOT NULL,
    usage_count INTEGER DEFAULT 0 NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE report_templates ADD CONSTRAINT pk_report_templates PRIMARY KEY (id);

ALTER TABLE report_templates ADD CONSTRAINT uq_report_templates_id_organization_id UNIQUE (id, organization_id);

ALTER TABLE report_templates
    ADD CONSTRAINT ck_report_templates_report_type_known
    CHECK (report_type IN ('performance_summary', 'energy_generation', 'billing_summary', 'device_status', 'alert_summary', 'maintenance', 'environmental_impact', 'comparison', 'financial', 'executive_summary', 'technical_detailed', 'regulatory_compliance', 'custom'));

ALTER TABLE report_templates ADD CONSTRAINT ck_report_templates_usage_count_not_negative CHECK (usage_count >= 0);

ALTER TABLE report_templates ADD CONSTRAINT fk_report_templates_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE report_templates
    ADD CONSTRAINT fk_report_templates_organization_id
    FOREIGN KEY (organization_id)
    REFERENCES organizations (id) ON DELETE CASCADE;

CREATE INDEX ix_report_templates_organization_id_report_type ON report_templates (organization_id, report_type);

CREATE UNIQUE INDEX uq_report_templates_default ON report_templates (organization_id, report_type) WHERE is_default;

CREATE TABLE report_schedules (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    created_by UUID,
    template_id UUID,
    name VARCHAR(255) NOT NULL,
    report_type VARCHAR(50) NOT NULL,
    parameters JSONB DEFAULT '{}'::jsonb NOT NULL,
    format VARCHAR(20) DEFAULT 'pdf' NOT NULL,
    frequency VARCHAR(20) NOT NULL,
    run_time TIME DEFAULT '06:00' NOT NULL,
    run_date DATE,
    day_of_week INTEGER,
    day_of_month INTEGER,
    month_of_year INTEGER,
    timezone VARCHAR(50) DEFAULT 'Asia/Karachi' NOT NULL,
    delivery_config JSONB DEFAULT '{}'::jsonb NOT NULL,
    is_active BOOLEAN DEFAULT true NOT NULL,
    next_run_at TIMESTAMPTZ,
    last_run_at TIMESTAMPTZ,
    total_runs INTEGER DEFAULT 0 NOT NULL,
    successful_runs INTEGER DEFAULT 0 NOT NULL,
    failed_runs INTEGER DEFAULT 0 NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE report_schedules ADD CONSTRAINT pk_report_schedules PRIMARY KEY (id);

ALTER TABLE report_schedules ADD CONSTRAINT uq_report_schedules_id_organization_id UNIQUE (id, organization_id);

ALTER TABLE report_schedules
    ADD CONSTRAINT ck_report_schedules_day_of_month_in_range CHECK (day_of_month BETWEEN 1 AND 28 OR day_of_month = -1);

ALTER TABLE report_schedules ADD CONSTRAINT ck_report_schedules_day_of_week_in_range CHECK (day_of_week BETWEEN 0 AND 6);

ALTER TABLE report_schedules ADD CONSTRAINT ck_report_schedules_format_known CHECK (format IN ('pdf', 'excel', 'csv', 'html', 'json'));

ALTER TABLE report_schedules
    ADD CONSTRAINT ck_report_schedules_frequency_known
    CHECK (frequency IN ('once', 'daily', 'weekly', 'monthly', 'quarterly', 'yearly'));

ALTER TABLE report_schedules ADD CONSTRAINT ck_report_schedules_month_of_year_in_range CHECK (month_of_year BETWEEN 1 AND 12);

ALTER TABLE report_schedules
    ADD CONSTRAINT ck_report_schedules_monthly_has_day
    CHECK (frequency NOT IN ('monthly', 'quarterly', 'yearly') OR day_of_month IS NOT NULL);

ALTER TABLE report_schedules ADD CONSTRAINT ck_report_schedules_once_has_run_date CHECK (frequency <> 'once' OR run_date IS NOT NULL);

ALTER TABLE report_schedules
    ADD CONSTRAINT ck_report_schedules_report_type_known
    CHECK (report_type IN ('performance_summary', 'energy_generation', 'billing_summary', 'device_status', 'alert_summary', 'maintenance', 'environmental_impact', 'comparison', 'financial', 'executive_summary', 'technical_detailed', 'regulatory_compliance', 'custom'));

ALTER TABLE report_schedules ADD CONSTRAINT ck_report_schedules_runs_add_up CHECK (successful_runs + failed_runs <= total_runs);

ALTER TABLE report_schedules ADD CONSTRAINT ck_report_schedules_weekly_has_day CHECK (frequency <> 'weekly' OR day_of_week IS NOT NULL);

ALTER TABLE report_schedules ADD CONSTRAINT ck_report_schedules_yearly_has_month CHECK (frequency <> 'yearly' OR month_of_year IS NOT NULL);

ALTER TABLE report_schedules ADD CONSTRAINT fk_report_schedules_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE report_schedules
    ADD CONSTRAINT fk_report_schedules_organization_id
    FOREIGN KEY (organization_id)
    REFERENCES organizations (id) ON DELETE CASCADE;

ALTER TABLE report_schedules
    ADD CONSTRAINT fk_report_schedules_template_id_organization_id
    FOREIGN KEY (template_id, organization_id)
    REFERENCES report_templates (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_report_schedules_is_active_next_run_at ON report_schedules (is_active, next_run_at);

CREATE INDEX ix_report_schedules_organization_id_is_active ON report_schedules (organization_id, is_active);

CREATE INDEX ix_report_schedules_template_id ON report_schedules (template_id);

CREATE TABLE reports (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    created_by UUID,
    template_id UUID,
    schedule_id UUID,
    scheduled_for TIMESTAMPTZ,
    report_type VARCHAR(50) NOT NULL,
    name VARCHAR(255) NOT NULL,
    parameters JSONB DEFAULT '{}'::jsonb NOT NULL,
    format VARCHAR(20) DEFAULT 'pdf' NOT NULL,
    language VARCHAR(5) DEFAULT 'en' NOT NULL,
    status VARCHAR(20) DEFAULT 'pending' NOT NULL,
    requested_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    claimed_until TIMESTAMPTZ,
    attempts INTEGER DEFAULT 0 NOT NULL,
    error TEXT,
    file_path VARCHAR(500),
    file_size_bytes INTEGER,
    sha256 VARCHAR(64),
    expires_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE reports ADD CONSTRAINT pk_reports PRIMARY KEY (id);

ALTER TABLE reports ADD CONSTRAINT uq_reports_schedule_id_scheduled_for UNIQUE (schedule_id, scheduled_for);

ALTER TABLE reports ADD CONSTRAINT ck_reports_file_size_not_negative CHECK (file_size_bytes >= 0);

ALTER TABLE reports ADD CONSTRAINT ck_reports_format_known CHECK (format IN ('pdf', 'excel', 'csv', 'html', 'json'));

ALTER TABLE reports
    ADD CONSTRAINT ck_reports_report_type_known
    CHECK (report_type IN ('performance_summary', 'energy_generation', 'billing_summary', 'device_status', 'alert_summary', 'maintenance', 'environmental_impact', 'comparison', 'financial', 'executive_summary', 'technical_detailed', 'regulatory_compliance', 'custom'));

ALTER TABLE reports ADD CONSTRAINT ck_reports_scheduled_both_or_none CHECK ((schedule_id IS NULL) = (scheduled_for IS NULL));

ALTER TABLE reports
    ADD CONSTRAINT ck_reports_status_known
    CHECK (status IN ('pending', 'generating', 'completed', 'failed', 'delivered', 'expired'));

ALTER TABLE reports ADD CONSTRAINT fk_reports_created_by FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE reports ADD CONSTRAINT fk_reports_organization_id FOREIGN KEY (organization_id) REFERENCES organizations (id) ON DELETE CASCADE;

ALTER TABLE reports
    ADD CONSTRAINT fk_reports_schedule_id_organization_id
    FOREIGN KEY (schedule_id, organization_id)
    REFERENCES report_schedules (id, organization_id) ON DELETE RESTRICT;

ALTER TABLE reports
    ADD CONSTRAINT fk_reports_template_id_organization_id
    FOREIGN KEY (template_id, organization_id)
    REFERENCES report_templates (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_reports_expires_at ON reports (expires_at);

CREATE INDEX ix_reports_organization_id_report_type ON reports (organization_id, report_type);

CREATE INDEX ix_reports_parameters ON reports USING gin (parameters jsonb_path_ops);

CREATE INDEX ix_reports_status_requested_at ON reports (status, requested_at);

CREATE INDEX ix_reports_template_id ON reports (template_id);
"""

DOWN = """
DROP TABLE reports;

DROP TABLE report_schedules;

DROP TABLE report_templates;
"""


def upgrade() -> None:
    for statement in UP.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))


def downgrade() -> None:
    for statement in DOWN.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
