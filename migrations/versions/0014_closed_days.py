"""Closed days as arrays, the catalogue of archives, and partitions that are emptied."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COUNTERS = (
    "battery_cycles_total", "energy_total_kwh", "energy_today_kwh", "grid_import_energy_total_kwh",
    "grid_export_energy_total_kwh", "load_energy_total_kwh", "battery_charge_energy_total_kwh",
    "battery_discharge_energy_total_kwh", "grid_import_energy_today_kwh", "grid_export_energy_today_kwh",
)
GAUGES = (
    "ac_power_kw", "dc_power_kw", "dc_voltage_v", "dc_current_a", "ac_voltage_v", "ac_voltage_v_l1", "ac_voltage_v_l2",
    "ac_voltage_v_l3", "ac_current_a", "ac_current_a_l1", "ac_current_a_l2", "ac_current_a_l3", "ac_apparent_power_kva",
    "ac_reactive_power_kvar", "power_factor", "grid_frequency_hz", "grid_power_kw", "load_power_kw", "backup_power_kw",
    "generator_power_kw", "battery_power_kw", "battery_voltage_v", "battery_current_a", "battery_soc_percent",
    "battery_soh_percent", "battery_temperature_c", "battery_cell_voltage_min_v", "battery_cell_voltage_max_v",
    "inverter_temperature_c", "insulation_resistance_mohm", "irradiance_wm2", "module_temperature_c",
    "ambient_temperature_c", "wind_speed_ms", "wind_direction_deg", "humidity_percent", "active_power_limit_percent",
    "poll_latency_ms",
)
MEASURED = (*COUNTERS, *GAUGES, "operating_state", "fault_codes", "extra")

# Packed days become rows again; what is only in files is not given up in silence.
UNPACK = f"""
DO $$
BEGIN
    IF EXISTS (SELECT FROM telemetry_archives WHERE is_away) THEN
        RAISE EXCEPTION 'archived readings would be lost'
            USING HINT = 'bring them back first: solarhub telemetry restore --site ... --from ... --to ...';
    END IF;
END
$$;

INSERT INTO telemetry_readings (site_id, device_number, at, received_at, seq, quality, {", ".join(MEASURED)})
SELECT d.site_id, d.device_number, d.first_at + ((u.place - 1) * d.step_us + coalesce(u.at_offset_us, 0)) * interval '1 microsecond',
    d.first_received_at + u.received_offset_us * interval '1 microsecond',
    d.first_seq + (u.place - 1) * d.seq_step + coalesce(u.seq_offset, 0), coalesce(u.quality, 0)::smallint,
    {", ".join(f"u.{name}" for name in MEASURED)}
FROM telemetry_days AS d CROSS JOIN LATERAL unnest(
    d.received_offset_us, d.at_offset_us, d.seq_offset, d.quality, {", ".join(f"d.{name}" for name in MEASURED)}
) WITH ORDINALITY AS u (received_offset_us, at_offset_us, seq_offset, quality, {", ".join(MEASURED)}, place)
ON CONFLICT DO NOTHING
"""

TABLES = ("telemetry_days", "telemetry_archives", "archive_recalls")
ROWS = "solarhub_is_system() OR organization_id = ANY (solarhub_organization_ids())"
KINDS = "kind IN ('raw', 'quarter_hours', 'hours')"

# As `solarhub_ensure_partitions`: its owner's rights, three parents, nothing else. It waits two seconds at most for its locks: everybody
# else would queue behind it, and there is a next time. The parent is locked first, as everybody locks it first.
CLEAR = """
CREATE FUNCTION solarhub_clear_partition(parent text, first_day date, for_good boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s'
AS $$
DECLARE
    child text;
    occupied boolean;
BEGIN
    CASE parent
        WHEN 'telemetry_readings' THEN child := parent || '_p' || to_char(first_day, 'YYYYMMDD');
        WHEN 'telemetry_quarter_hour', 'telemetry_hourly_summary' THEN child := parent || '_p' || to_char(first_day, 'YYYYMM');
        ELSE
            RAISE EXCEPTION 'table % has no partitions', quote_literal(parent) USING ERRCODE = 'invalid_parameter_value',
                HINT = 'telemetry_readings, telemetry_quarter_hour and telemetry_hourly_summary have';
    END CASE;
    IF to_regclass('public.' || child) IS NULL OR (NOT for_good AND pg_relation_size(to_regclass('public.' || child)) = 0) THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', child) INTO occupied;
    IF occupied THEN
        RETURN false;
    END IF;
    IF for_good THEN
        EXECUTE format('LOCK TABLE ONLY public.%I IN ACCESS EXCLUSIVE MODE', parent);
    END IF;
    EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', child);
    -- Somebody may have written between the first look and the lock.
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', child) INTO occupied;
    IF occupied THEN
        RETURN false;
    END IF;
    EXECUTE format(CASE WHEN for_good THEN 'DROP TABLE public.%I' ELSE 'TRUNCATE public.%I' END, child);
    RETURN true;
END
$$;

CREATE FUNCTION solarhub_partition_days(parent text) RETURNS SETOF date
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT to_date(rpad(substring(c.relname FROM '_p([0-9]+)$'), 8, '01'), 'YYYYMMDD')
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = parent::regclass AND c.relname ~ '_p([0-9]{6}|[0-9]{8})$' ORDER BY 1
$$;

COMMENT ON FUNCTION solarhub_partition_days(text) IS 'First days of the partitions that a table has';

COMMENT ON FUNCTION solarhub_clear_partition(text, date, boolean) IS 'Gives the space of an emptied partition back; drops it for good';

REVOKE ALL ON FUNCTION solarhub_clear_partition(text, date, boolean) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION solarhub_clear_partition(text, date, boolean) TO solarhub_app
"""



def upgrade() -> None:
    op.create_table(
        "telemetry_days",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("device_number", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("packed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step_us", sa.BigInteger(), nullable=False),
        sa.Column("at_offset_us", sa.ARRAY(sa.BigInteger())),
        sa.Column("first_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_offset_us", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("seq_step", sa.BigInteger(), nullable=False),
        sa.Column("seq_offset", sa.ARRAY(sa.BigInteger())),
        sa.Column("quality", sa.ARRAY(sa.SmallInteger())),
        *(sa.Column(name, sa.ARRAY(sa.Double())) for name in COUNTERS),
        *(sa.Column(name, sa.ARRAY(sa.REAL())) for name in GAUGES),
        sa.Column("operating_state", sa.ARRAY(sa.Text())),
        sa.Column("fault_codes", sa.ARRAY(sa.Text())),
        sa.Column("extra", sa.ARRAY(postgresql.JSONB())),
    )
    op.create_primary_key("pk_telemetry_days", "telemetry_days", ["site_id", "device_number", "day"])
    op.create_check_constraint(
        "one_element_each", "telemetry_days", "readings > 0 AND readings = cardinality(received_offset_us)"
    )
    op.create_index("ix_telemetry_days_site_id_day", "telemetry_days", ["site_id", "day"])
    op.create_table(
        "telemetry_archives",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("path", sa.String(300), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("layout", sa.Integer(), nullable=False),
        sa.Column("is_away", sa.Boolean(), nullable=False),
        sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("keep_until", sa.DateTime(timezone=True)),
    )
    op.create_primary_key("pk_telemetry_archives", "telemetry_archives", ["site_id", "kind", "first_day"])
    op.create_check_constraint("kind_known", "telemetry_archives", KINDS)
    op.create_check_constraint("not_empty", "telemetry_archives", "last_day >= first_day AND rows > 0 AND size_bytes > 0")
    op.create_index("ix_telemetry_archives_organization_id", "telemetry_archives", ["organization_id"])
    op.create_table(
        "archive_recalls",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_primary_key("pk_archive_recalls", "archive_recalls", ["site_id", "kind", "first_day"])
    op.create_check_constraint("kind_known", "archive_recalls", KINDS)
    op.create_index("ix_archive_recalls_organization_id", "archive_recalls", ["organization_id"])
    for table in TABLES:
        op.create_foreign_key(
            f"fk_{table}_site_id_organization_id", table, "sites", ["site_id", "organization_id"], ["id", "organization_id"],
            ondelete="RESTRICT",
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO solarhub_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant_isolation ON {table} USING ({ROWS}) WITH CHECK ({ROWS})")
    for statement in CLEAR.strip().split(";\n\n"):
        op.execute(statement)


def downgrade() -> None:
    for statement in UNPACK.strip().split(";\n\n"):
        op.execute(statement)
    op.execute("DROP FUNCTION solarhub_partition_days(text)")
    op.execute("DROP FUNCTION solarhub_clear_partition(text, date, boolean)")
    for table in reversed(TABLES):
        op.drop_table(table)
