"""Raw readings: a short key, gauges as REAL.

A B-tree fills the pages of locally ascending keys only while a key has at most 16 bytes; with two UUIDs in it, half of every page
stayed empty and the index took 88 bytes a reading. With a number of four bytes for the device it takes 31.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COUNTERS = """
    battery_cycles_total, energy_total_kwh, energy_today_kwh, grid_import_energy_total_kwh, grid_export_energy_total_kwh,
    load_energy_total_kwh, battery_charge_energy_total_kwh, battery_discharge_energy_total_kwh, grid_import_energy_today_kwh,
    grid_export_energy_today_kwh
""".replace("\n", "").replace(" ", "").split(",")

GAUGES = """
    ac_power_kw, dc_power_kw, dc_voltage_v, dc_current_a, ac_voltage_v, ac_voltage_v_l1, ac_voltage_v_l2, ac_voltage_v_l3,
    ac_current_a, ac_current_a_l1, ac_current_a_l2, ac_current_a_l3, ac_apparent_power_kva, ac_reactive_power_kvar, power_factor,
    grid_frequency_hz, grid_power_kw, load_power_kw, backup_power_kw, generator_power_kw, battery_power_kw, battery_voltage_v,
    battery_current_a, battery_soc_percent, battery_soh_percent, battery_temperature_c, battery_cell_voltage_min_v,
    battery_cell_voltage_max_v, inverter_temperature_c, insulation_resistance_mohm, irradiance_wm2, module_temperature_c,
    ambient_temperature_c, wind_speed_ms, wind_direction_deg, humidity_percent, active_power_limit_percent, poll_latency_ms
""".replace("\n", "").replace(" ", "").split(",")

_NUMBERS = """
ALTER TABLE devices ADD COLUMN number INTEGER GENERATED ALWAYS AS IDENTITY NOT NULL;

ALTER TABLE devices ADD CONSTRAINT uq_devices_number UNIQUE (number);
"""

# What ingest remembers of a device is good as long as its gateway's plan has the same revision.
_TRIGGER = """
DROP TRIGGER trg_devices_plan ON devices;

CREATE TRIGGER trg_devices_plan
    AFTER INSERT OR DELETE OR UPDATE OF
        name, device_type, protocol, connection_config, profile, poll_interval_s, rated_power_kw{extra}
    ON devices FOR EACH ROW EXECUTE FUNCTION solarhub_plan_changed();
"""

_SET_ASIDE = """
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT relid FROM pg_partition_tree('telemetry_readings') WHERE isleaf LOOP
        EXECUTE format('ALTER TABLE %s RENAME TO %I', part, 'former_' || part::text);
    END LOOP;
END
$$;

ALTER TABLE telemetry_readings RENAME TO former_readings;

ALTER TABLE former_readings RENAME CONSTRAINT pk_telemetry_readings TO pk_former_readings;
"""

_NEW_TABLE = """
CREATE TABLE telemetry_readings (
    {columns}
) PARTITION BY RANGE (at);

ALTER TABLE telemetry_readings ADD CONSTRAINT pk_telemetry_readings PRIMARY KEY ({key});

CREATE TABLE telemetry_readings_default PARTITION OF telemetry_readings DEFAULT;

ALTER TABLE telemetry_readings ENABLE ROW LEVEL SECURITY;

ALTER TABLE telemetry_readings FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant_isolation ON telemetry_readings
    USING (solarhub_is_system() OR site_id = ANY (solarhub_site_ids()))
    WITH CHECK (solarhub_is_system() OR site_id = ANY (solarhub_site_ids()));

GRANT SELECT, INSERT, UPDATE, DELETE ON telemetry_readings TO solarhub_app;
"""

_MOVE = """
DO $$
DECLARE
    day date;
    strays bigint;
BEGIN
    SELECT count(*) INTO strays FROM former_readings AS r
    WHERE NOT EXISTS (SELECT FROM devices AS d WHERE d.site_id = r.site_id AND {match});
    IF strays > 0 THEN
        RAISE EXCEPTION '% raw readings belong to no device', strays
            USING HINT = 'add the devices again, or move these rows to another table, then migrate again';
    END IF;
    FOR day IN SELECT DISTINCT (at AT TIME ZONE 'UTC')::date FROM former_readings WHERE at < now() + interval '3 days' LOOP
        PERFORM solarhub_ensure_partitions('telemetry_readings', day, day);
    END LOOP;
END
$$;

INSERT INTO telemetry_readings (site_id, at, received_at, seq, quality, operating_state, fault_codes, extra, {device}, {numbers})
SELECT r.site_id, r.at, r.received_at, r.seq, r.quality, r.operating_state, r.fault_codes, r.extra, {source}, {values}
FROM former_readings AS r JOIN devices AS d ON d.site_id = r.site_id AND {match};

DROP TABLE former_readings;
"""

_HEAD = ("site_id UUID NOT NULL", "at TIMESTAMPTZ NOT NULL", "received_at TIMESTAMPTZ DEFAULT now() NOT NULL", "seq BIGINT NOT NULL")
_TAIL = ("operating_state VARCHAR(32)", "fault_codes TEXT", "extra JSONB")


def _run(script: str) -> None:
    for statement in script.strip().split(";\n\n"):
        op.execute(statement)


def upgrade() -> None:
    """Number the devices, then move every reading into the narrow table."""
    # Wide columns first: nothing is lost to alignment between them.
    columns = [
        *_HEAD,
        *(f"{name} DOUBLE PRECISION" for name in COUNTERS),
        "device_number INTEGER NOT NULL",
        "quality SMALLINT DEFAULT 0 NOT NULL",
        *(f"{name} REAL" for name in GAUGES),
        *_TAIL,
    ]
    move = _MOVE.format(
        match="d.id = r.device_id",
        device="device_number",
        source="d.number",
        numbers=", ".join([*COUNTERS, *GAUGES]),
        # What is too small or too large for REAL was never a measurement of a gauge.
        values=", ".join([f"r.{name}" for name in COUNTERS] + [_as_real(name) for name in GAUGES]),
    )
    for script in (
        _NUMBERS,
        _TRIGGER.format(extra=", commissioned_at"),
        _SET_ASIDE,
        _NEW_TABLE.format(columns=",\n    ".join(columns), key="device_number, at"),
        move,
    ):
        _run(script)


def _as_real(name: str) -> str:
    return (
        f"CASE WHEN abs(r.{name}) < 1e-30 THEN 0 WHEN abs(r.{name}) <= 3.4e38 THEN r.{name} END::real"
    )


def downgrade() -> None:
    """Back to two UUIDs in the key; gauges keep the digits they have."""
    columns = [
        "site_id UUID NOT NULL",
        "device_id UUID NOT NULL",
        *_HEAD[1:],
        "quality INTEGER DEFAULT 0 NOT NULL",
        *(f"{name} DOUBLE PRECISION" for name in (*GAUGES, *COUNTERS)),
        *_TAIL,
    ]
    move = _MOVE.format(
        match="d.number = r.device_number",
        device="device_id",
        source="d.id",
        numbers=", ".join([*COUNTERS, *GAUGES]),
        # By way of text, which is the shortest decimal: 229.1 and not 229.10000610351562.
        values=", ".join([f"r.{name}" for name in COUNTERS] + [f"r.{name}::text::double precision" for name in GAUGES]),
    )
    for script in (
        _SET_ASIDE,
        _NEW_TABLE.format(columns=",\n    ".join(columns), key="site_id, device_id, at"),
        move,
        _TRIGGER.format(extra=""),
        "ALTER TABLE devices DROP COLUMN number",
    ):
        _run(script)
