"""What turns the schema into one of TimescaleDB or Citus: read from the catalogue, written as statements.

Nothing here runs on the hot path; `cloud.storage.scaling` decides and runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from cloud.core.db import APP_ROLE

HYPERTABLES = {
    "telemetry_readings": ("at", "1 day"),
    "telemetry_quarter_hour": ("bucket", "1 month"),
    "telemetry_hourly_summary": ("timestamp_hour", "1 month"),
}
"""Partitioned table -> its moment, and how much of it a chunk holds."""

DISTRIBUTED = (
    "telemetry_readings",
    "telemetry_days",
    "telemetry_quarter_hour",
    "telemetry_hourly_summary",
    "telemetry_daily_summary",
    "telemetry_monthly_summary",
    "device_telemetry_snapshot",
    "rollup_dirty",
    "ingest_batches",
    "quarantined_readings",
    "telemetry_archives",
    "archive_recalls",
)
"""Tables that Citus spreads by `site_id`; the first one says where the others' shards lie."""

KEPT_BESIDE_BILLS = ("billing_runs", "export_ledger", "savings_rates")
"""Keyed by site too, but a row a month, and named by bills, which stay on the coordinator."""

# What keeps sums of fleet days cannot know of their changes without triggers; the shards sum the sites' days instead.
_WITHOUT_KEPT_DAYS = ("DROP TRIGGER trg_sites_fleet ON sites", "TRUNCATE telemetry_fleet_days, fleet_days_dirty")

_POLICY_FUNCTIONS = (
    "solarhub_is_system()",
    "solarhub_organization_ids()",
    "solarhub_site_ids()",
    "solarhub_set_context(uuid[], uuid[], boolean)",
)

# Chunks come and go by themselves; these take the place of what makes, lists and clears partitions.
_TIMESCALE_FUNCTIONS = (
    """
CREATE OR REPLACE FUNCTION solarhub_ensure_partitions(parent text, first_day date, last_day date) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT 0 $$""",
    """
CREATE OR REPLACE FUNCTION solarhub_stray_rows() RETURNS TABLE (parent text, stray bigint)
LANGUAGE sql STABLE AS $$
    SELECT v.parent, 0::bigint FROM (VALUES ('telemetry_readings'), ('telemetry_quarter_hour'), ('telemetry_hourly_summary')) AS v (parent)
$$""",
    """
CREATE OR REPLACE FUNCTION solarhub_partition_days(parent text) RETURNS SETOF date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT (c.range_start AT TIME ZONE 'UTC')::date FROM timescaledb_information.chunks AS c
    WHERE c.hypertable_schema = 'public' AND c.hypertable_name = parent ORDER BY 1
$$""",
    """
CREATE OR REPLACE FUNCTION solarhub_clear_partition(parent text, first_day date, for_good boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s'
AS $$
DECLARE
    chunk regclass;
    occupied boolean;
BEGIN
    SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass INTO chunk FROM timescaledb_information.chunks AS c
    WHERE c.hypertable_schema = 'public' AND c.hypertable_name = parent AND (c.range_start AT TIME ZONE 'UTC')::date = first_day;
    IF chunk IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', chunk);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', chunk) INTO occupied;
    IF occupied THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %s', chunk);
    RETURN true;
END
$$""",
)


@dataclass(frozen=True, slots=True)
class Server:
    """What a server offers.

    Attributes:
        version: such as 160004.
        database: its name.
        available: version of the extension that could be created; None = its files are not on the server.
        is_preloaded: whether the server starts with the extension's library.
        changed: tables that are hypertables or distributed already.
    """

    version: int
    database: str
    available: str | None
    is_preloaded: bool
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's keys, indexes, policy and triggers, as statements that make them; names first."""

    table: str
    constraints: tuple[tuple[str, str, str], ...]
    """Name, kind (`p`, `u`, `f`, `c`), definition."""
    indexes: tuple[str, ...]
    triggers: tuple[tuple[str, str], ...]
    policies: tuple[tuple[str, str], ...]
    """Name, condition."""


async def server_of(pg: asyncpg.Connection, extension: str) -> Server:
    """Look at the server."""
    version, database, available, preloaded = await pg.fetchrow(
        """
        SELECT current_setting('server_version_num')::integer, current_database()::text,
               (SELECT default_version FROM pg_available_extensions WHERE name = $1),
               $1 = ANY (string_to_array(replace(current_setting('shared_preload_libraries'), ' ', ''), ','))
        """,
        extension,
    )
    return Server(version, database, available, preloaded, await _changed(pg, extension))


async def _changed(pg: asyncpg.Connection, extension: str) -> tuple[str, ...]:
    if not await pg.fetchval("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = $1)", extension):
        return ()
    where = {
        "timescaledb": "SELECT hypertable_name::text AS name FROM timescaledb_information.hypertables WHERE hypertable_schema = 'public'",
        "citus": "SELECT logicalrelid::text AS name FROM pg_dist_partition WHERE partmethod = 'h'",
    }
    return tuple(record["name"] for record in await pg.fetch(f"{where[extension]} ORDER BY name"))


async def shape_of(pg: asyncpg.Connection, table: str) -> Shape:
    """Read how a table is made."""
    constraints = await pg.fetch(
        """
        SELECT conname::text, contype::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u', 'f', 'c') ORDER BY contype DESC, conname
        """,
        table,
    )
    indexes = await pg.fetch(
        """
        SELECT replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS made FROM pg_index AS i
        WHERE indrelid = $1::text::regclass
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u'))
        ORDER BY made
        """,
        table,
    )
    triggers = await pg.fetch(
        "SELECT tgname::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = $1::text::regclass AND NOT tgisinternal ORDER BY 1",
        table,
    )
    policies = await pg.fetch(
        "SELECT polname::text, pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = $1::text::regclass", table
    )
    return Shape(
        table,
        tuple(tuple(record) for record in constraints),
        tuple(record["made"] for record in indexes),
        tuple(tuple(record) for record in triggers),
        tuple(tuple(record) for record in policies),
    )


def timescale_statements(shapes: Sequence[Shape]) -> list[str]:
    """Each partitioned table becomes a hypertable of the same name, keys and policies.

    A partitioned table cannot be made a hypertable, so its rows move into a new one. Chunks stay rows: the columnstore refuses a table
    with row-level security, and a day that is over is packed anyway.
    """
    statements = []
    for shape in shapes:
        moment, chunk = HYPERTABLES[shape.table]
        former = f"former_{shape.table}"
        statements += [
            f"LOCK TABLE {shape.table} IN ACCESS EXCLUSIVE MODE",
            f"ALTER TABLE {shape.table} RENAME TO {former}",
            f"CREATE TABLE {shape.table} (LIKE {former} INCLUDING DEFAULTS INCLUDING IDENTITY)",
            f"SELECT create_hypertable('{shape.table}', by_range('{moment}', INTERVAL '{chunk}'), create_default_indexes => false)",
            f"INSERT INTO {shape.table} SELECT * FROM {former}",  # noqa: S608 -- our own names
            f"DROP TABLE {former}",
            *_rebuilt(shape),
        ]
    return [*statements, *_TIMESCALE_FUNCTIONS]


def _rebuilt(shape: Shape) -> list[str]:
    table = shape.table
    return [
        *(f"ALTER TABLE {table} ADD CONSTRAINT {name} {made}" for name, _, made in shape.constraints),
        *shape.indexes,
        *(made for _, made in shape.triggers),
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        *(f"CREATE POLICY {name} ON {table} USING ({rows}) WITH CHECK ({rows})" for name, rows in shape.policies),
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP_ROLE}",
    ]


def citus_statements(shapes: Sequence[Shape], *, database: str) -> list[str]:
    """Telemetry is spread by site; everything else stays on the coordinator, where its triggers run.

    A unique key of a spread table must contain the site, so the key of raw readings is widened and the snapshot's second key goes. Citus
    knows neither triggers on spread tables (their writers send `updated_at`) nor foreign keys from them to tables of the coordinator
    (ingest and the roll-up have just looked the device up).
    """
    statements = [
        f"ALTER DATABASE \"{database}\" SET citus.propagate_set_commands TO 'local'",
        "SET citus.propagate_set_commands TO 'local'",
        *(f"SELECT create_distributed_function('{function}')" for function in _POLICY_FUNCTIONS),
    ]
    for shape in shapes:
        statements += _without_what_citus_refuses(shape)
    statements += _WITHOUT_KEPT_DAYS
    for table in (shape.table for shape in shapes):
        together = "" if table == DISTRIBUTED[0] else f", colocate_with => '{DISTRIBUTED[0]}'"
        statements += [
            f"SELECT create_distributed_table('{table}', 'site_id'{together})",
            f"SELECT truncate_local_data_after_distributing_table($$public.{table}$$)",
        ]
    return statements


def _without_what_citus_refuses(shape: Shape) -> list[str]:
    table = shape.table
    statements = [f"DROP TRIGGER {name} ON {table}" for name, _ in shape.triggers]
    for name, kind, made in shape.constraints:
        if kind == "f":
            statements.append(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        elif kind in {"p", "u"} and "site_id" not in made:
            statements.append(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
            if kind == "p":
                widened = made.replace("(", "(site_id, ", 1)
                statements.append(f"ALTER TABLE {table} ADD CONSTRAINT {name} {widened}")
    return statements
