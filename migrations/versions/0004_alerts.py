"""Alert rules, alerts and their events."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = """
CREATE TABLE alert_rules (
    id UUID NOT NULL,
    organization_id UUID NOT NULL,
    site_id UUID,
    device_id UUID,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    condition JSONB NOT NULL,
    severity alert_severity NOT NULL,
    channels TEXT[] DEFAULT '{}'::text[] NOT NULL,
    is_active BOOLEAN DEFAULT true NOT NULL,
    cooldown_minutes INTEGER DEFAULT 15 NOT NULL,
    auto_resolve BOOLEAN DEFAULT true NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE alert_rules ADD CONSTRAINT pk_alert_rules PRIMARY KEY (id);

ALTER TABLE alert_rules ADD CONSTRAINT ck_alert_rules_cooldown_not_negative CHECK (cooldown_minutes >= 0);

ALTER TABLE alert_rules ADD CONSTRAINT ck_alert_rules_device_has_site CHECK (device_id IS NULL OR site_id IS NOT NULL);

ALTER TABLE alert_rules
    ADD CONSTRAINT fk_alert_rules_organization_id
    FOREIGN KEY (organization_id)
    REFERENCES organizations (id) ON DELETE CASCADE;

ALTER TABLE alert_rules
    ADD CONSTRAINT fk_alert_rules_site_id_device_id
    FOREIGN KEY (site_id, device_id)
    REFERENCES devices (site_id, id) ON DELETE CASCADE;

ALTER TABLE alert_rules
    ADD CONSTRAINT fk_alert_rules_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE CASCADE;

CREATE INDEX ix_alert_rules_condition ON alert_rules USING gin (condition jsonb_path_ops);

CREATE INDEX ix_alert_rules_organization_id_site_id ON alert_rules (organization_id, site_id);

CREATE INDEX ix_alert_rules_site_id ON alert_rules (site_id);

CREATE TABLE alerts (
    id UUID NOT NULL,
    rule_id UUID,
    organization_id UUID NOT NULL,
    site_id UUID NOT NULL,
    device_id UUID,
    severity alert_severity NOT NULL,
    status alert_status DEFAULT 'active' NOT NULL,
    title VARCHAR(255) NOT NULL,
    message TEXT DEFAULT '' NOT NULL,
    metric_name VARCHAR(64),
    metric_value DOUBLE PRECISION,
    metric_state VARCHAR(64),
    threshold DOUBLE PRECISION,
    threshold_state VARCHAR(64),
    source VARCHAR(10) DEFAULT 'cloud' NOT NULL,
    triggered_at TIMESTAMPTZ NOT NULL,
    acknowledged_by UUID,
    acknowledged_at TIMESTAMPTZ,
    resolved_by UUID,
    resolved_at TIMESTAMPTZ,
    notifications_sent TEXT[] DEFAULT '{}'::text[] NOT NULL,
    escalated BOOLEAN DEFAULT false NOT NULL,
    escalated_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    updated_at TIMESTAMPTZ DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL
);

ALTER TABLE alerts ADD CONSTRAINT pk_alerts PRIMARY KEY (id);

ALTER TABLE alerts ADD CONSTRAINT ck_alerts_resolved_after_triggered CHECK (resolved_at >= triggered_at);

ALTER TABLE alerts ADD CONSTRAINT ck_alerts_source_known CHECK (source IN ('edge', 'cloud'));

ALTER TABLE alerts ADD CONSTRAINT fk_alerts_acknowledged_by FOREIGN KEY (acknowledged_by) REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE alerts ADD CONSTRAINT fk_alerts_resolved_by FOREIGN KEY (resolved_by) REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE alerts ADD CONSTRAINT fk_alerts_rule_id FOREIGN KEY (rule_id) REFERENCES alert_rules (id) ON DELETE SET NULL;

ALTER TABLE alerts
    ADD CONSTRAINT fk_alerts_site_id_device_id FOREIGN KEY (site_id, device_id) REFERENCES devices (site_id, id) ON DELETE CASCADE;

ALTER TABLE alerts
    ADD CONSTRAINT fk_alerts_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_alerts_device_id ON alerts (device_id);

CREATE INDEX ix_alerts_organization_id_triggered_at ON alerts (organization_id, triggered_at);

CREATE INDEX ix_alerts_rule_id_organization_id_site_id_device_id ON alerts (rule_id, organization_id, site_id, device_id);

CREATE INDEX ix_alerts_site_id_triggered_at ON alerts (site_id, triggered_at);

CREATE INDEX ix_alerts_status_severity ON alerts (status, severity);

CREATE INDEX ix_alerts_to_escalate ON alerts (triggered_at) WHERE status = 'active' AND escalated = false;

CREATE INDEX ix_alerts_triggered_at ON alerts (triggered_at);

CREATE UNIQUE INDEX uq_alerts_open_device
    ON alerts (rule_id, device_id)
    WHERE status IN ('active', 'acknowledged') AND device_id IS NOT NULL;

CREATE UNIQUE INDEX uq_alerts_open_site
    ON alerts (rule_id, site_id)
    WHERE status IN ('active', 'acknowledged') AND device_id IS NULL;

CREATE TABLE alert_events (
    id UUID NOT NULL,
    alert_id UUID NOT NULL,
    organization_id UUID NOT NULL,
    site_id UUID NOT NULL,
    at TIMESTAMPTZ DEFAULT now() NOT NULL,
    kind VARCHAR(20) NOT NULL,
    actor_id UUID,
    detail JSONB DEFAULT '{}'::jsonb NOT NULL
);

ALTER TABLE alert_events ADD CONSTRAINT pk_alert_events PRIMARY KEY (id);

ALTER TABLE alert_events
    ADD CONSTRAINT ck_alert_events_kind_known
    CHECK (kind IN ('opened', 'updated', 'acknowledged', 'resolved', 'expired', 'escalated', 'assigned', 'commented'));

ALTER TABLE alert_events ADD CONSTRAINT fk_alert_events_actor_id FOREIGN KEY (actor_id) REFERENCES users (id) ON DELETE SET NULL;

ALTER TABLE alert_events ADD CONSTRAINT fk_alert_events_alert_id FOREIGN KEY (alert_id) REFERENCES alerts (id) ON DELETE CASCADE;

ALTER TABLE alert_events
    ADD CONSTRAINT fk_alert_events_site_id_organization_id
    FOREIGN KEY (site_id, organization_id)
    REFERENCES sites (id, organization_id) ON DELETE RESTRICT;

CREATE INDEX ix_alert_events_alert_id_at ON alert_events (alert_id, at);

CREATE INDEX ix_alert_events_organization_id_at ON alert_events (organization_id, at);

CREATE INDEX ix_alert_events_site_id ON alert_events (site_id);
"""

DOWN = """
DROP TABLE alert_events;

DROP TABLE alerts;

DROP TABLE alert_rules;
"""


def upgrade() -> None:
    for statement in UP.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))


def downgrade() -> None:
    for statement in DOWN.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
