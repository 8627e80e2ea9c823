"""updated_at and version keep themselves; an organisation's owner and its owner membership agree at commit."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = (
    "users",
    "organizations",
    "organization_members",
    "sites",
    "device_telemetry_snapshot",
    "telemetry_hourly_summary",
    "telemetry_daily_summary",
    "telemetry_monthly_summary",
    "alert_rules",
    "alerts",
    "tariff_plans",
    "tariff_adjustments",
    "billing_simulations",
    "reports",
)

# What a machine writes by itself (a heartbeat, a counter of runs) must not make a user's edit fail, so on these tables only the
# columns that a user edits count.
EDITED_COLUMNS = {
    "devices": (
        "site_id, organization_id, name, description, device_type, manufacturer, model, serial_number, firmware_version, protocol,"
        " connection_config, profile, poll_interval_s, rated_power_kw, commissioned_at, metadata"
    ),
    "edge_gateways": "site_id, organization_id, name, credential_hash, revoked_at",
    "report_schedules": (
        "organization_id, template_id, name, report_type, parameters, format, frequency, run_time, run_date, day_of_week,"
        " day_of_month, month_of_year, timezone, delivery_config, is_active"
    ),
    "report_templates": (
        "organization_id, name, description, report_type, branding, sections, default_parameters, is_active, is_default"
    ),
}

FUNCTIONS = """
CREATE FUNCTION solarhub_touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A statement that sets the moment itself (rollups do, so that a repeat writes the same row) is left alone.
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION solarhub_bump_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;

CREATE FUNCTION solarhub_check_owner() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    organization uuid;
    owner uuid;
    owners uuid[];
BEGIN
    IF TG_TABLE_NAME = 'organizations' THEN
        organization := NEW.id;
    ELSIF TG_OP = 'DELETE' THEN
        organization := OLD.organization_id;
    ELSE
        organization := NEW.organization_id;
    END IF;
    -- The lock makes a second transfer wait, and then see what the first one did.
    SELECT o.owner_id INTO owner FROM public.organizations o WHERE o.id = organization FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(m.user_id) INTO owners FROM public.organization_members m WHERE m.organization_id = organization AND m.role = 'owner';
    IF owners IS DISTINCT FROM ARRAY[owner] THEN
        RAISE EXCEPTION 'organization %: owner_id is %, but the members with the role owner are %', organization, owner, coalesce(owners, '{}')
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_organizations_owner_is_member', TABLE = 'organizations',
                HINT = 'change organizations.owner_id and both memberships in one transaction';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER trg_organizations_owner AFTER INSERT OR UPDATE OF owner_id ON organizations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION solarhub_check_owner();

CREATE CONSTRAINT TRIGGER trg_organization_members_owner AFTER INSERT OR UPDATE OR DELETE ON organization_members
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION solarhub_check_owner();
"""


def upgrade() -> None:
    for statement in FUNCTIONS.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
    for table, columns in {**dict.fromkeys(TABLES, ""), **EDITED_COLUMNS}.items():
        of = f" OF {columns}" if columns else ""
        for name, function in (("updated_at", "solarhub_touch_updated_at"), ("version", "solarhub_bump_version")):
            op.execute(
                f"CREATE TRIGGER trg_{table}_{name} BEFORE UPDATE{of} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
            )


def downgrade() -> None:
    for table in (*TABLES, *EDITED_COLUMNS):
        for name in ("updated_at", "version"):
            op.execute(f"DROP TRIGGER trg_{table}_{name} ON {table}")
    for table in ("organizations", "organization_members"):
        op.execute(f"DROP TRIGGER trg_{table}_owner ON {table}")
    for function in ("check_owner", "bump_version", "touch_updated_at"):
        op.execute(f"DROP FUNCTION solarhub_{function}()")
