"""The application's role, its grants, and the policies that show it one tenant's rows."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BY_ORGANIZATION = (
    "organization_members",
    "sites",
    "devices",
    "edge_gateways",
    "claim_codes",
    "device_telemetry_snapshot",
    "ingest_batches",
    "quarantined_readings",
    "rollup_dirty",
    "telemetry_quarter_hour",
    "telemetry_hourly_summary",
    "telemetry_daily_summary",
    "telemetry_monthly_summary",
    "meter_events",
    "alert_rules",
    "alerts",
    "alert_events",
    "billing_simulations",
    "report_templates",
    "report_schedules",
    "reports",
)
SHARED = (
    "users",
    "refresh_tokens",
    "idempotency_keys",
    "tariff_categories",
    "tariff_plans",
    "tariff_adjustments",
    "emission_factors",
)
POLICIES = {
    **dict.fromkeys(BY_ORGANIZATION, "solarhub_is_system() OR organization_id = ANY (solarhub_organization_ids())"),
    "organizations": "solarhub_is_system() OR id = ANY (solarhub_organization_ids())",
    "telemetry_readings": "solarhub_is_system() OR site_id = ANY (solarhub_site_ids())",
}

# Roles belong to the cluster, so another database may have made this one, or be making it at this moment.
#
# The context is set by EXECUTE 'SET LOCAL': it ends with the transaction, so it cannot leak through the pool, and it reaches the
# workers of a distributed database, which set_config() does not. The functions that policies call read settings and nothing else:
# a subquery in a policy would be run for every statement, and would itself be subject to policies.
FUNCTIONS = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'solarhub_app') THEN
        CREATE ROLE solarhub_app NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

CREATE FUNCTION solarhub_set_context(organization_ids uuid[], site_ids uuid[], is_system boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL solarhub.org_ids TO %L', array_to_string(organization_ids, ','));
    EXECUTE format('SET LOCAL solarhub.site_ids TO %L', array_to_string(site_ids, ','));
    EXECUTE format('SET LOCAL solarhub.system TO %L', CASE WHEN is_system THEN 'on' ELSE 'off' END);
END
$$;

CREATE FUNCTION solarhub_is_system() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(current_setting('solarhub.system', true), '') = 'on'
$$;

CREATE FUNCTION solarhub_organization_ids() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT string_to_array(coalesce(current_setting('solarhub.org_ids', true), ''), ',')::uuid[]
$$;

CREATE FUNCTION solarhub_site_ids() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT string_to_array(coalesce(current_setting('solarhub.site_ids', true), ''), ',')::uuid[]
$$;

REVOKE ALL ON FUNCTION solarhub_ensure_partitions(text, date, date), solarhub_stray_rows(), solarhub_check_owner() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION solarhub_ensure_partitions(text, date, date), solarhub_stray_rows() TO solarhub_app;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;

GRANT USAGE ON SCHEMA public TO solarhub_app;

GRANT SELECT ON alembic_version TO solarhub_app;
"""


def upgrade() -> None:
    for statement in FUNCTIONS.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
    # Parents only, by name: a policy on a partitioned table does not protect a partition that is read directly, so nobody may.
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join((*POLICIES, *SHARED))} TO solarhub_app")
    for table, rows in POLICIES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant_isolation ON {table} USING ({rows}) WITH CHECK ({rows})")


def downgrade() -> None:
    for table in POLICIES:
        op.execute(f"DROP POLICY tenant_isolation ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute(f"REVOKE ALL ON alembic_version, {', '.join((*POLICIES, *SHARED))} FROM solarhub_app")
    op.execute("REVOKE ALL ON FUNCTION solarhub_ensure_partitions(text, date, date), solarhub_stray_rows() FROM solarhub_app")
    op.execute("REVOKE USAGE ON SCHEMA public FROM solarhub_app")
    for function in ("site_ids()", "organization_ids()", "is_system()", "set_context(uuid[], uuid[], boolean)"):
        op.execute(f"DROP FUNCTION solarhub_{function}")
    # The role stays: other databases of the cluster may use it.
