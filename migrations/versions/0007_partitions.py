"""Partitions of raw readings (a day each), quarter-hours and hours (a month each), made ahead by a function."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# The function runs as its owner, since only the owner of a table may add partitions to it; it takes no table but the three it knows.
# A partition is built apart and then attached: CREATE TABLE … PARTITION OF would lock the parent against every reader and writer,
# ATTACH only against other changes of its shape. Rows that had to go to the DEFAULT partition move in with it.
UP = """
CREATE FUNCTION solarhub_ensure_partitions(parent text, first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    part_key text;
    step interval;
    suffix text;
    period timestamp;
    child text;
    starts text;
    ends text;
    made integer := 0;
BEGIN
    CASE parent
        WHEN 'telemetry_readings' THEN part_key := 'at'; step := interval '1 day'; suffix := 'YYYYMMDD';
        WHEN 'telemetry_quarter_hour' THEN part_key := 'bucket'; step := interval '1 month'; suffix := 'YYYYMM';
        WHEN 'telemetry_hourly_summary' THEN part_key := 'timestamp_hour'; step := interval '1 month'; suffix := 'YYYYMM';
        ELSE
            RAISE EXCEPTION 'table % has no partitions', quote_literal(parent) USING ERRCODE = 'invalid_parameter_value',
                HINT = 'telemetry_readings, telemetry_quarter_hour and telemetry_hourly_summary have';
    END CASE;
    IF first_day IS NULL OR last_day IS NULL OR last_day < first_day OR last_day - first_day > 800 THEN
        RAISE EXCEPTION 'partitions from % to % cannot be made', first_day, last_day USING ERRCODE = 'invalid_parameter_value',
            HINT = 'name a first and a last day, at most 800 days apart';
    END IF;
    period := CASE WHEN step = interval '1 day' THEN first_day::timestamp ELSE date_trunc('month', first_day::timestamp) END;
    WHILE period <= last_day::timestamp LOOP
        child := parent || '_p' || to_char(period, suffix);
        IF to_regclass('public.' || child) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtextextended('solarhub_ensure_partitions ' || parent, 0));
            -- Read from the table, not with to_regclass(): its cache may still say "missing" after the wait for another maker.
            IF NOT EXISTS (SELECT FROM pg_class WHERE relname = child AND relnamespace = 'public'::regnamespace) THEN
                starts := to_char(period, 'YYYY-MM-DD') || ' 00:00:00+00';
                ends := to_char(period + step, 'YYYY-MM-DD') || ' 00:00:00+00';
                EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
                EXECUTE format(
                    'WITH moved AS (DELETE FROM public.%I WHERE %I >= %L AND %I < %L RETURNING *) INSERT INTO public.%I SELECT * FROM moved',
                    parent || '_default', part_key, starts, part_key, ends, child);
                EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent, child, starts, ends);
                made := made + 1;
            END IF;
        END IF;
        period := period + step;
    END LOOP;
    RETURN made;
END
$$;

CREATE FUNCTION solarhub_stray_rows() RETURNS TABLE (parent text, stray bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT 'telemetry_readings', count(*) FROM public.telemetry_readings_default
    UNION ALL SELECT 'telemetry_quarter_hour', count(*) FROM public.telemetry_quarter_hour_default
    UNION ALL SELECT 'telemetry_hourly_summary', count(*) FROM public.telemetry_hourly_summary_default
$$;

COMMENT ON FUNCTION solarhub_stray_rows() IS 'Rows in DEFAULT partitions: not 0 means that partitions were not made ahead';
"""

DOWN = """
DROP FUNCTION solarhub_stray_rows();

DROP FUNCTION solarhub_ensure_partitions(text, date, date);
"""


def upgrade() -> None:
    for statement in UP.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))


def downgrade() -> None:
    for statement in DOWN.strip().split(";\n\n"):
        op.execute(statement.rstrip(";"))
