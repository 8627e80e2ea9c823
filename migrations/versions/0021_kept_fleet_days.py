"""Days of all sites of an organisation summed up once, and a queue of those that must be summed again.

A question about a fleet's month summed 500 sites x 30 days anew each time. What is over hardly changes, so its sums are kept, and are
valid as long as nobody has queued their day. Queueing is adding a row: it waits for nobody and can deadlock with nobody, however many
sites of an organisation are written at once. The triggers queue whatever the writer is, in the writer's transaction.

A day's first row of a site always queues it, so that nothing needs to remember which days there are; what changes later only once the
day is over everywhere, since a day that goes on is written every few minutes and is never kept. It is kept a day later still: a
transaction would have to last from one day to the one after the next to change a kept day unseen.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_TABLES = ("telemetry_fleet_days", "fleet_days_dirty")
_ROWS = "solarhub_sees_organization(organization_id) OR solarhub_is_system()"

_WATCHED = (
    "organization_id", "summary_date", "site_id", "device_id", "energy_generated_kwh", "energy_consumed_kwh", "energy_imported_kwh",
    "energy_exported_kwh", "energy_charged_kwh", "energy_discharged_kwh", "self_consumed_kwh", "co2_avoided_kg",
)


def _of(row: str) -> str:
    return ", ".join(f"{row}.{column}" for column in _WATCHED)


def _is_over(row: str) -> str:
    return f"{row}.summary_date < (now() AT TIME ZONE 'UTC')::date - 1"


_SCRIPT = f"""
CREATE TABLE telemetry_fleet_days (
    organization_id UUID NOT NULL,
    summary_date DATE NOT NULL,
    energy_generated_kwh DOUBLE PRECISION,
    energy_consumed_kwh DOUBLE PRECISION,
    energy_imported_kwh DOUBLE PRECISION,
    energy_exported_kwh DOUBLE PRECISION,
    energy_charged_kwh DOUBLE PRECISION,
    energy_discharged_kwh DOUBLE PRECISION,
    self_consumed_kwh DOUBLE PRECISION,
    co2_avoided_kg DOUBLE PRECISION,
    generated_of_known_use_kwh DOUBLE PRECISION,
    consumed_of_known_import_kwh DOUBLE PRECISION,
    imported_of_known_use_kwh DOUBLE PRECISION,
    sites_with_data INTEGER NOT NULL,
    computed_at TIMESTAMPTZ DEFAULT now() NOT NULL
);

ALTER TABLE telemetry_fleet_days ADD CONSTRAINT pk_telemetry_fleet_days PRIMARY KEY (organization_id, summary_date);

ALTER TABLE telemetry_fleet_days
    ADD CONSTRAINT fk_telemetry_fleet_days_organization_id_organizations
    FOREIGN KEY (organization_id)
    REFERENCES organizations (id) ON DELETE CASCADE;

CREATE INDEX ix_telemetry_fleet_days_summary_date ON telemetry_fleet_days (summary_date);

CREATE TABLE fleet_days_dirty (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    organization_id UUID NOT NULL,
    summary_date DATE
);

ALTER TABLE fleet_days_dirty ADD CONSTRAINT pk_fleet_days_dirty PRIMARY KEY (id);

CREATE INDEX ix_fleet_days_dirty_organization_id_summary_date ON fleet_days_dirty (organization_id, summary_date);

INSERT INTO fleet_days_dirty (organization_id) SELECT id FROM organizations;

CREATE FUNCTION solarhub_fleet_day_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO fleet_days_dirty (organization_id, summary_date) VALUES (OLD.organization_id, OLD.summary_date);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND (NEW.organization_id, NEW.summary_date) <> (OLD.organization_id, OLD.summary_date)) THEN
        INSERT INTO fleet_days_dirty (organization_id, summary_date) VALUES (NEW.organization_id, NEW.summary_date);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION solarhub_fleet_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fleet_days_dirty (organization_id) SELECT DISTINCT unnest(ARRAY[OLD.organization_id, NEW.organization_id]);
    RETURN NULL;
END
$$;

CREATE TRIGGER trg_telemetry_daily_summary_fleet_insert AFTER INSERT ON telemetry_daily_summary
    FOR EACH ROW WHEN (NEW.device_id IS NULL) EXECUTE FUNCTION solarhub_fleet_day_changed();

CREATE TRIGGER trg_telemetry_daily_summary_fleet_update AFTER UPDATE ON telemetry_daily_summary
    FOR EACH ROW WHEN ((OLD.device_id IS NULL OR NEW.device_id IS NULL) AND ({_is_over("OLD")} OR {_is_over("NEW")})
        AND ({_of("OLD")}) IS DISTINCT FROM ({_of("NEW")}))
    EXECUTE FUNCTION solarhub_fleet_day_changed();

CREATE TRIGGER trg_telemetry_daily_summary_fleet_delete AFTER DELETE ON telemetry_daily_summary
    FOR EACH ROW WHEN (OLD.device_id IS NULL AND {_is_over("OLD")}) EXECUTE FUNCTION solarhub_fleet_day_changed();

CREATE TRIGGER trg_sites_fleet AFTER UPDATE ON sites
    FOR EACH ROW WHEN ((OLD.status = 'decommissioned') <> (NEW.status = 'decommissioned') OR OLD.organization_id <> NEW.organization_id)
    EXECUTE FUNCTION solarhub_fleet_changed();
"""


def upgrade() -> None:
    # Organisations are read in the name of the system: their policy holds for who migrates too.
    op.execute("SELECT solarhub_set_context('{}', '{}', true)")
    for statement in _SCRIPT.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
    for table in _TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO solarhub_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant_isolation ON {table} USING ({_ROWS}) WITH CHECK ({_ROWS})")


def downgrade() -> None:
    op.execute("DROP TRIGGER trg_sites_fleet ON sites")
    for change in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER trg_telemetry_daily_summary_fleet_{change} ON telemetry_daily_summary")
    for function in ("fleet_changed", "fleet_day_changed"):
        op.execute(f"DROP FUNCTION solarhub_{function}()")
    for table in _TABLES:
        op.drop_table(table)
