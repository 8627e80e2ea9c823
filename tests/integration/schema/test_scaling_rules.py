"""What must stay true so that the same schema runs on plain PostgreSQL, TimescaleDB and Citus; read from the catalogue."""

import asyncpg
import pytest

TELEMETRY = [
    "telemetry_readings", "telemetry_quarter_hour", "telemetry_hourly_summary", "telemetry_daily_summary",
    "telemetry_monthly_summary", "device_telemetry_snapshot", "rollup_dirty", "ingest_batches", "quarantined_readings",
    "telemetry_days", "telemetry_archives", "archive_recalls",
]  # fmt: skip
REFERENCE_KEYS = {
    ("device_telemetry_snapshot", "uq_device_telemetry_snapshot_device_id"),
    ("telemetry_readings", "pk_telemetry_readings"),
}
"""Where nothing is distributed: the document's "device_id primary key", beside (site_id, device_id), and the key of raw readings, which
`db scale --citus` widens by the site (sixteen bytes more for every reading)."""


@pytest.mark.parametrize("table", TELEMETRY)
async def test_every_key_of_a_telemetry_table_contains_the_site(owner: asyncpg.Connection, table: str) -> None:
    keys = await owner.fetch(
        """
        SELECT c.relname AS name, array_agg(a.attname::text) AS columns FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::smallint[])
        WHERE i.indrelid = $1::regclass AND i.indisunique GROUP BY c.relname
        """,
        f"public.{table}",
    )
    assert keys
    assert [
        key["name"] for key in keys if "site_id" not in key["columns"] and (table, key["name"]) not in REFERENCE_KEYS
    ] == []


async def test_devices_are_referred_to_with_their_site_and_never_set_null(owner: asyncpg.Connection) -> None:
    references = await owner.fetch(
        """
        SELECT conrelid::regclass::text AS child, confdeltype::text AS on_delete,
               (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k(attnum, n)
                JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS columns
        FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
        WHERE contype = 'f' AND confrelid = 'devices'::regclass AND NOT t.relispartition
        """
    )
    assert len(references) >= 7
    for reference in references:
        assert reference["columns"] == ["site_id", "device_id"], reference["child"]
        assert reference["on_delete"] in {"r", "c"}, reference["child"]


async def test_nothing_refers_to_a_telemetry_table(owner: asyncpg.Connection) -> None:
    backwards = await owner.fetch(
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND confrelid::regclass::text = ANY ($1)", TELEMETRY
    )
    assert backwards == []


async def test_constraints_have_names_of_ours(owner: asyncpg.Connection) -> None:
    """A name that PostgreSQL made up differs between servers, and errors could not be told apart."""
    rows = await owner.fetch(
        "SELECT conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
        " WHERE t.relnamespace = 'public'::regnamespace AND NOT t.relispartition AND contype IN ('p', 'u', 'f', 'c', 'x')"
        " AND t.relname <> 'alembic_version' AND conname !~ '^(pk|uq|fk|ck|ex)_'"
    )
    assert rows == []


async def test_no_default_but_a_new_rows_own_moment_is_volatile(owner: asyncpg.Connection) -> None:
    defaults = await owner.fetch(
        "SELECT DISTINCT pg_get_expr(adbin, adrelid) AS expression FROM pg_attrdef d JOIN pg_class t ON t.oid = d.adrelid"
        " WHERE t.relname = ANY ($1) AND pg_get_expr(adbin, adrelid) ~ '\\('",
        TELEMETRY,
    )
    assert {row["expression"] for row in defaults} == {"now()", "gen_random_uuid()"}
