"""`db scale` refuses what it cannot do, and writes statements that make the same tables again.

The extensions are not on the test server: functions that do nothing stand for theirs, everything around them is real.
"""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from cloud.storage.repository import scale as repository
from cloud.storage.repository.scale import DISTRIBUTED, HYPERTABLES, KEPT_BESIDE_BILLS, Server, shape_of
from cloud.storage.scaling import Mode, ScaleRefusedError, check, scale
from tests.conftest import FreshDatabase
from tests.integration.storage.rows import all_rows, number_of, write
from tests.integration.storage.test_packing import DAY, day_of_rows
from tests.plants import Plant

STAND_INS = """
CREATE FUNCTION by_range(name, interval) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION create_hypertable(regclass, text, create_default_indexes boolean) RETURNS void LANGUAGE sql AS '';
CREATE SCHEMA timescaledb_information;
CREATE TABLE timescaledb_information.chunks (
    hypertable_schema name, hypertable_name name, chunk_schema name, chunk_name name, range_start timestamptz
);
CREATE FUNCTION create_distributed_function(text) RETURNS void LANGUAGE sql AS '
    SELECT NULL::void FROM pg_proc WHERE oid = $1::regprocedure';
CREATE FUNCTION create_distributed_table(regclass, text, colocate_with text DEFAULT 'default') RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION truncate_local_data_after_distributing_table(regclass) RETURNS void LANGUAGE sql AS '';
"""


@pytest.fixture
async def admin(fresh_database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(fresh_database.admin_url)
    yield connection
    await connection.close()


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_server_without_the_extension_is_refused_and_left_alone(
    fresh_database: FreshDatabase, admin: asyncpg.Connection, mode: Mode
) -> None:
    before = [await shape_of(admin, table) for table in DISTRIBUTED]
    with pytest.raises(
        ScaleRefusedError, match=rf"does not have the extension {mode.value}|{mode.value} is supported from 16 on"
    ):
        await scale(fresh_database.admin_url, mode, dry_run=False)
    assert [await shape_of(admin, table) for table in DISTRIBUTED] == before


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"version": 150010}, "PostgreSQL 15"),
        ({"available": None}, "install its package"),
        ({"is_preloaded": False}, "installed but not loaded"),
    ],
)
def test_each_refusal_says_what_is_missing(facts: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "version": 180001, "database": "hub", "available": "2.21", "is_preloaded": True, "changed": (),
    }  # fmt: skip
    check(Server(**good), Mode.TIMESCALE)
    with pytest.raises(ScaleRefusedError, match=message):
        check(Server(**good | facts), Mode.TIMESCALE)


async def test_hypertables_have_the_keys_indexes_triggers_policies_and_rows_of_the_tables_before(
    fresh_database: FreshDatabase, admin: asyncpg.Connection, plant: Plant
) -> None:
    await write(admin, day_of_rows(plant, await number_of(admin, plant.inverter_id), step_s=3600))
    rows = await all_rows(admin)
    before = [await shape_of(admin, table) for table in HYPERTABLES]
    assert all(shape.constraints and shape.policies for shape in before)
    statements = await scale(fresh_database.admin_url, Mode.TIMESCALE, dry_run=True)
    assert statements[0] == "CREATE EXTENSION IF NOT EXISTS timescaledb"
    assert (
        "SELECT create_hypertable('telemetry_readings', by_range('at', INTERVAL '1 day'), create_default_indexes => false)"
        in statements
    )
    await admin.execute(STAND_INS)
    async with admin.transaction():
        for statement in statements[1:]:
            await admin.execute(statement)
    assert [await shape_of(admin, table) for table in HYPERTABLES] == before
    assert await all_rows(admin) == rows
    assert await admin.fetchval("SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'") == 0
    grants = (
        "SELECT count(*) FROM information_schema.role_table_grants WHERE grantee = 'solarhub_app' AND table_name = $1"
    )
    for table in HYPERTABLES:
        assert await admin.fetchval(grants, table) == 4
        assert await admin.fetchval("SELECT relforcerowsecurity FROM pg_class WHERE oid = $1::text::regclass", table)
    assert await admin.fetchval("SELECT solarhub_ensure_partitions('telemetry_readings', $1, $1)", DAY) == 0
    assert await admin.fetchval("SELECT sum(stray) FROM solarhub_stray_rows()") == 0


async def test_an_empty_chunk_goes_and_a_full_one_stays(
    fresh_database: FreshDatabase, admin: asyncpg.Connection
) -> None:
    await admin.execute(STAND_INS)
    for statement in repository.timescale_statements([]):
        await admin.execute(statement)
    await admin.execute("CREATE SCHEMA chunks")
    for number, rows in ((1, 0), (2, 1)):
        await admin.execute(f"CREATE TABLE chunks.chunk_{number} AS SELECT 1 FROM generate_series(1, {rows})")  # noqa: S608
        await admin.execute(
            "INSERT INTO timescaledb_information.chunks VALUES ('public', 'telemetry_readings', 'chunks', $1, $2::date)",
            f"chunk_{number}",
            DAY.replace(day=number),
        )
    listed = await admin.fetch("SELECT * FROM solarhub_partition_days('telemetry_readings')")
    assert [row[0].day for row in listed] == [1, 2]
    clear = "SELECT solarhub_clear_partition('telemetry_readings', $1, true)"
    assert [await admin.fetchval(clear, DAY.replace(day=number)) for number in (1, 2, 3)] == [True, False, False]
    assert await admin.fetchval("SELECT to_regclass('chunks.chunk_1')") is None


async def test_what_citus_spreads_has_the_site_in_every_key_and_nothing_it_refuses(
    fresh_database: FreshDatabase, admin: asyncpg.Connection
) -> None:
    statements = await scale(fresh_database.admin_url, Mode.CITUS, dry_run=True)
    assert statements[0] == "CREATE EXTENSION IF NOT EXISTS citus"
    spread = [statement for statement in statements if "create_distributed_table(" in statement]
    assert spread[0] == "SELECT create_distributed_table('telemetry_readings', 'site_id')"
    assert len(spread) == len(DISTRIBUTED)
    assert all("colocate_with => 'telemetry_readings'" in statement for statement in spread[1:])
    await admin.execute(STAND_INS)
    async with admin.transaction():
        for statement in statements[1:]:
            await admin.execute(statement)
        for table in DISTRIBUTED:
            shape = await shape_of(admin, table)
            assert shape.triggers == ()
            for name, kind, made in shape.constraints:
                assert kind != "f", name
                assert kind == "c" or "site_id" in made, name
            assert all("site_id" in index for index in shape.indexes if "UNIQUE" in index)
        readings = await shape_of(admin, "telemetry_readings")
        assert ("pk_telemetry_readings", "p", "PRIMARY KEY (site_id, device_number, at)") in readings.constraints
        # Without triggers on the sites' days nothing may queue fleet days to be kept: their changes would not be seen.
        sites = await shape_of(admin, "sites")
        assert [name for name, made in sites.triggers if "fleet" in made] == []
        assert await admin.fetchval("SELECT count(*) FROM fleet_days_dirty") == 0


async def test_every_table_of_telemetry_is_named(admin: asyncpg.Connection) -> None:
    """A table whose key begins with the site belongs among the spread ones, or it would need a word why not."""
    tables = await admin.fetch(
        """
        SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE i.indisprimary AND a.attname = 'site_id' AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
        """
    )
    by_site = {row["name"] for row in tables} | {"telemetry_readings", "telemetry_quarter_hour"}
    assert by_site == {*DISTRIBUTED, *KEPT_BESIDE_BILLS}


async def test_tables_that_are_changed_already_are_not_changed_again(
    fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def everything(_pg: asyncpg.Connection, _extension: str) -> tuple[str, ...]:
        return DISTRIBUTED

    monkeypatch.setattr(repository, "_changed", everything)
    assert await scale(fresh_database.admin_url, Mode.CITUS, dry_run=True) == []
