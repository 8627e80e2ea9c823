"""A gateway's plan gets a new revision whenever something that stands in it changes, whoever changes it."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

FUNCTIONS = """
CREATE FUNCTION solarhub_plan_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    organization uuid;
    site uuid;
BEGIN
    IF TG_TABLE_NAME = 'sites' THEN
        organization := NEW.organization_id;
        site := NEW.id;
    ELSIF TG_OP = 'DELETE' THEN
        organization := OLD.organization_id;
        site := OLD.site_id;
    ELSE
        organization := NEW.organization_id;
        site := NEW.site_id;
    END IF;
    -- A rule without a site holds for all sites of its organisation.
    UPDATE edge_gateways SET plan_revision = plan_revision + 1
    WHERE organization_id = organization AND (site IS NULL OR site_id = site) AND revoked_at IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER trg_sites_plan AFTER UPDATE OF name, timezone, latitude, longitude, status ON sites
    FOR EACH ROW EXECUTE FUNCTION solarhub_plan_changed();

CREATE TRIGGER trg_devices_plan
    AFTER INSERT OR DELETE OR UPDATE OF name, device_type, protocol, connection_config, profile, poll_interval_s, rated_power_kw
    ON devices FOR EACH ROW EXECUTE FUNCTION solarhub_plan_changed();

CREATE TRIGGER trg_alert_rules_plan
    AFTER INSERT OR DELETE OR UPDATE OF name, condition, severity, device_id, is_active, auto_resolve
    ON alert_rules FOR EACH ROW EXECUTE FUNCTION solarhub_plan_changed();
"""


def upgrade() -> None:
    for statement in FUNCTIONS.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))


def downgrade() -> None:
    for table in ("sites", "devices", "alert_rules"):
        op.execute(f"DROP TRIGGER trg_{table}_plan ON {table}")
    op.execute("DROP FUNCTION solarhub_plan_changed()")
