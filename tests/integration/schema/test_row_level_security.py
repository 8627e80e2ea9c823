"""One organisation cannot see, change or add another's rows, whichever way it asks."""

# ruff: noqa: S608 -- statements are put together from words of the test itself

import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.integration.schema.rows import Tenant, become_app, insert

NOON = datetime(2026, 10, 9, 12, tzinfo=UTC)

TENANT_TABLES = """
    SELECT DISTINCT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND (a.attname IN ('organization_id', 'site_id') OR c.relname = 'organizations') AND NOT a.attisdropped
"""


async def test_every_table_of_a_tenant_forces_its_policy(owner: asyncpg.Connection) -> None:
    tables = await owner.fetch(TENANT_TABLES)
    assert len(tables) >= 29
    for table in tables:
        assert table["relrowsecurity"], table["relname"]
        assert table["relforcerowsecurity"], table["relname"]
        policies = await owner.fetch(
            "SELECT polcmd::text, polpermissive, pg_get_expr(polqual, polrelid) AS seen,"
            " pg_get_expr(polwithcheck, polrelid) AS written FROM pg_policy WHERE polrelid = $1",
            table["oid"],
        )
        assert len(policies) == 1, table["relname"]
        assert policies[0]["polcmd"] == "*"
        assert policies[0]["seen"] == policies[0]["written"]
        assert "SELECT" not in policies[0]["seen"].upper()


async def test_every_table_of_a_tenant_knows_its_organisation(owner: asyncpg.Connection) -> None:
    """All but raw readings, where the site is enough."""
    lacking = await owner.fetch(
        f"SELECT relname FROM ({TENANT_TABLES}) t WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid"
        " AND a.attname = 'organization_id')"
    )
    assert {row["relname"] for row in lacking} == {"organizations", "telemetry_readings"}


async def test_policy_functions_read_settings_and_nothing_else(owner: asyncpg.Connection) -> None:
    functions = await owner.fetch(
        "SELECT proname, prosrc, provolatile::text AS volatility, prosecdef FROM pg_proc WHERE proname IN ('solarhub_is_system',"
        " 'solarhub_organization_ids', 'solarhub_site_ids', 'solarhub_sees_organization', 'solarhub_sees_site')"
    )
    assert len(functions) == 5
    for function in functions:
        assert function["volatility"] == "s"
        assert not function["prosecdef"]
        assert "current_setting" in function["prosrc"]
        assert " FROM " not in function["prosrc"].upper()


async def test_policies_call_these_functions_and_no_others(owner: asyncpg.Connection) -> None:
    known = {
        "(solarhub_sees_organization(organization_id) OR solarhub_is_system())",
        "(solarhub_sees_organization(id) OR solarhub_is_system())",
        "(solarhub_sees_site(site_id) OR solarhub_is_system())",
    }
    written = await owner.fetch("SELECT DISTINCT pg_get_expr(polqual, polrelid) AS rows FROM pg_policy")
    assert {row["rows"] for row in written} == known


async def test_an_identifier_is_seen_whole_or_not_at_all(owner: asyncpg.Connection) -> None:
    mine = [uuid4() for _ in range(20)]
    joined = "".join(one.hex for one in mine)
    # What begins in the middle of one identifier and ends in the middle of the next.
    astride = [UUID(joined[at : at + 32]) for at in range(4, 600, 4) if at % 32]
    await become_app(owner, *mine, sites=tuple(mine))
    for function in ("solarhub_sees_organization", "solarhub_sees_site"):
        asked = f"SELECT coalesce(array_agg(one), '{{}}') FROM unnest($1::uuid[]) AS one WHERE {function}(one)"
        assert await owner.fetchval(asked, [*mine, *astride, uuid4()]) == mine
        assert await owner.fetchval(f"SELECT {function}(NULL)") is None
    await become_app(owner)
    assert await owner.fetchval("SELECT solarhub_sees_organization($1)", mine[0]) is False


async def test_the_planner_takes_a_third_of_the_rows_to_be_visible(owner: asyncpg.Connection) -> None:
    """With all of them, it joins the newest values of a site with a thousand devices in a way that takes four times as long."""
    await owner.execute("CREATE TEMPORARY TABLE many AS SELECT gen_random_uuid() AS id FROM generate_series(1, 3000)")
    await owner.execute("ANALYZE many")
    for function in ("solarhub_sees_organization", "solarhub_sees_site"):
        plan = json.loads(await owner.fetchval(f"EXPLAIN (FORMAT JSON) SELECT FROM many WHERE {function}(id)"))
        assert plan[0]["Plan"]["Plan Rows"] == 1000, function


async def test_a_person_is_looked_up_without_a_tenant_and_nothing_else_becomes_visible(
    owner: asyncpg.Connection, tenant: Tenant, stranger: Tenant
) -> None:
    await owner.execute("UPDATE organization_members SET invitation_accepted = true")
    await become_app(owner)
    found = await owner.fetchrow("SELECT * FROM solarhub_principal($1)", tenant.owner_id)
    assert (found["organization_ids"], found["organization_roles"]) == ([tenant.organization_id], ["owner"])
    assert await owner.fetchval("SELECT count(*) FROM organizations") == 0
    assert await owner.fetchval("SELECT solarhub_is_system()") is False
    assert await owner.fetch("SELECT * FROM solarhub_principal($1)", uuid4()) == []


async def test_the_application_owns_nothing_and_bypasses_nothing(owner: asyncpg.Connection) -> None:
    role = await owner.fetchrow("SELECT * FROM pg_roles WHERE rolname = 'solarhub_app'")
    assert not any(role[power] for power in ("rolsuper", "rolbypassrls", "rolcanlogin", "rolcreaterole"))
    assert (
        await owner.fetchval("SELECT count(*) FROM pg_class WHERE relowner = $1 AND relkind <> 'v'", role["oid"]) == 0
    )


async def _fill(owner: asyncpg.Connection, tenant: Tenant) -> None:
    """One row of this tenant in every tenant table."""
    scope = {"organization_id": tenant.organization_id, "site_id": tenant.site_id}
    device = {**scope, "device_id": tenant.device_id}
    gateway, rule, alert, plan, bill = uuid4(), uuid4(), uuid4(), uuid4(), uuid4()
    batch = {"epoch": uuid4(), "gateway_id": gateway}
    await insert(
        owner, "tariff_plans", id=plan, disco_provider="lesco", category="residential_unprotected", variant=str(plan),
        effective_from=date(2026, 1, 1), rates="{}",
    )  # fmt: skip
    rows: list[tuple[str, dict[str, Any]]] = [
        ("edge_gateways", {**scope, "id": gateway, "credential_hash": str(gateway)}),
        ("claim_codes", {**scope, "id": uuid4(), "code_hash": str(gateway), "expires_at": NOON}),
        ("telemetry_readings", {"site_id": tenant.site_id, "device_number": tenant.owner_id.int % 2**31, "at": NOON, "seq": 1}),
        (
            "telemetry_days",
            {
                **scope, "device_number": 1, "day": NOON.date(), "readings": 1, "first_at": NOON, "step_us": 0,
                "first_received_at": NOON, "received_offset_us": [0], "first_seq": 1, "seq_step": 0,
            },
        ),
        (
            "telemetry_archives",
            {
                **scope, "kind": "raw", "first_day": NOON.date(), "last_day": NOON.date(), "path": "p", "sha256": "0", "rows": 1,
                "size_bytes": 1, "layout": 1, "is_away": True, "exported_at": NOON,
            },
        ),
        ("archive_recalls", {**scope, "kind": "raw", "first_day": NOON.date(), "wanted_at": NOON}),
        ("device_telemetry_snapshot", {**device, "timestamp": NOON}),
        ("ingest_batches", {**scope, **batch, "first_seq": 1, "last_seq": 2}),
        (
            "quarantined_readings",
            {**device, **batch, "id": uuid4(), "seq": 1, "block_index": 0, "reason": "device_unknown"},
        ),
        ("rollup_dirty", {**device, "bucket": NOON}),
        ("telemetry_quarter_hour", {**device, "bucket": NOON, "algorithm_version": 1}),
        ("telemetry_hourly_summary", {**device, "timestamp_hour": NOON, "algorithm_version": 1}),
        ("telemetry_daily_summary", {**device, "summary_date": NOON.date(), "algorithm_version": 1}),
        ("telemetry_monthly_summary", {**device, "year": 2026, "month": 10, "algorithm_version": 1}),
        ("telemetry_fleet_days", {"organization_id": tenant.organization_id, "summary_date": NOON.date(), "sites_with_data": 1}),
        ("fleet_days_dirty", {"organization_id": tenant.organization_id, "summary_date": NOON.date()}),
        ("meter_events", {**device, "id": uuid4(), "at": NOON, "metric": "energy_total_kwh", "kind": "swap"}),
        ("alert_rules", {**scope, "id": rule, "name": "r", "condition": "{}", "severity": "info"}),
        (
            "alerts",
            {**device, "id": alert, "rule_id": rule, "severity": "info", "title": "t", "triggered_at": NOON},
        ),
        ("alert_events", {**scope, "id": uuid4(), "alert_id": alert, "kind": "opened"}),
        (
            "billing_simulations",
            {
                **scope, "id": bill, "tariff_plan_id": plan, "period_start": date(2026, 9, 1),
                "period_end": date(2026, 9, 30), "energy_consumed_kwh": 1, "bill_breakdown": "{}", "savings_breakdown": "{}",
                "estimated_bill_pkr": 1,
            },
        ),
    ]  # fmt: skip
    month = {**scope, "bill_month": date(2026, 9, 1)}
    period = {"period_start": date(2026, 9, 1), "period_end": date(2026, 9, 30)}
    rows += [
        ("export_ledger", {**month, **period, "bill_id": bill, "computed_at": NOON}),
        ("billing_runs", {**month, **period, "due_at": NOON}),
        ("savings_rates", {**month, "import_pkr_per_kwh": 33, "computed_at": NOON}),
    ]
    reports = {"organization_id": tenant.organization_id, "name": "n", "report_type": "custom"}
    rows += [
        ("report_templates", {**reports, "id": uuid4()}),
        ("report_schedules", {**reports, "id": uuid4(), "frequency": "daily"}),
        ("reports", {**reports, "id": uuid4()}),
    ]
    for table, values in rows:
        await insert(owner, table, **values)


async def _counts(owner: asyncpg.Connection, tables: list[str]) -> dict[str, int]:
    return {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


@pytest.fixture
async def tables(owner: asyncpg.Connection, tenant: Tenant, stranger: Tenant) -> list[str]:
    """Names of all tenant tables, each with one row of either tenant."""
    for one in (tenant, stranger):
        await _fill(owner, one)
    names = [row["relname"] for row in await owner.fetch(TENANT_TABLES)]
    counts = await _counts(owner, names)
    assert set(counts.values()) == {2}, counts
    return names


async def test_each_tenant_sees_its_own_row_in_every_table(
    owner: asyncpg.Connection, tables: list[str], tenant: Tenant, stranger: Tenant
) -> None:
    await become_app(owner, tenant.organization_id, sites=(tenant.site_id,))
    assert set((await _counts(owner, tables)).values()) == {1}
    assert await owner.fetchval("SELECT id FROM organizations") == tenant.organization_id
    assert await owner.fetchval("SELECT site_id FROM telemetry_readings") == tenant.site_id
    assert await owner.fetchval("SELECT organization_id FROM telemetry_daily_summary") == tenant.organization_id
    await become_app(owner, stranger.organization_id)
    assert await owner.fetchval("SELECT organization_id FROM telemetry_daily_summary") == stranger.organization_id
    assert await owner.fetchval("SELECT count(*) FROM telemetry_readings") == 0


async def test_without_a_context_there_are_no_rows(owner: asyncpg.Connection, tables: list[str]) -> None:
    await owner.execute("SET LOCAL ROLE solarhub_app")
    assert set((await _counts(owner, tables)).values()) == {0}


async def test_the_empty_context_has_no_rows(owner: asyncpg.Connection, tables: list[str]) -> None:
    await become_app(owner)
    assert set((await _counts(owner, tables)).values()) == {0}


async def test_the_system_sees_all_rows(owner: asyncpg.Connection, tables: list[str]) -> None:
    await become_app(owner, system=True)
    assert set((await _counts(owner, tables)).values()) == {2}


async def test_a_member_of_both_sees_both(
    owner: asyncpg.Connection, tables: list[str], tenant: Tenant, stranger: Tenant
) -> None:
    await become_app(owner, tenant.organization_id, stranger.organization_id, sites=(tenant.site_id, stranger.site_id))
    assert set((await _counts(owner, tables)).values()) == {2}


async def test_a_strangers_row_can_neither_be_changed_nor_removed(
    owner: asyncpg.Connection, tables: list[str], tenant: Tenant, stranger: Tenant
) -> None:
    await become_app(owner, tenant.organization_id, sites=(tenant.site_id,))
    assert await owner.execute("UPDATE sites SET name = 'mine' WHERE id = $1", stranger.site_id) == "UPDATE 0"
    assert await owner.execute("DELETE FROM alerts WHERE site_id = $1", stranger.site_id) == "DELETE 0"
    assert await owner.execute("DELETE FROM telemetry_readings WHERE site_id = $1", stranger.site_id) == "DELETE 0"


async def _refused(owner: asyncpg.Connection, statement: str, *values: Any) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with owner.transaction():
            await owner.execute(statement, *values)


async def test_a_row_cannot_be_given_to_a_stranger(owner: asyncpg.Connection, tenant: Tenant, stranger: Tenant) -> None:
    await become_app(owner, tenant.organization_id, sites=(tenant.site_id,))
    foreign = stranger.organization_id
    await _refused(owner, "INSERT INTO sites (id, organization_id, name) VALUES ($1, $2, 'x')", uuid4(), foreign)
    await _refused(owner, "UPDATE sites SET organization_id = $1", foreign)
    reading = "INSERT INTO telemetry_readings (site_id, device_number, at, seq) VALUES ($1, 1, $2, 1)"
    await _refused(owner, reading, stranger.site_id, NOON)


VIEWS = [
    "v_active_alerts_summary", "v_device_status_summary", "v_site_capacity", "v_site_telemetry_live",
    "v_monthly_performance",
]  # fmt: skip


async def _organizations_in(owner: asyncpg.Connection, view: str) -> set[UUID]:
    return {row["organization_id"] for row in await owner.fetch(f"SELECT organization_id FROM {view}")}


@pytest.mark.parametrize("view", VIEWS)
async def test_policies_hold_through_views(
    owner: asyncpg.Connection, tenant: Tenant, stranger: Tenant, view: str
) -> None:
    for one in (tenant, stranger):
        month = {"organization_id": one.organization_id, "site_id": one.site_id, "year": 2026, "month": 10}
        await insert(owner, "telemetry_monthly_summary", **month, algorithm_version=1)
    both = {tenant.organization_id, stranger.organization_id}
    assert await _organizations_in(owner, view) == both
    await become_app(owner, tenant.organization_id)
    assert await _organizations_in(owner, view) == {tenant.organization_id}
    await become_app(owner)
    assert await _organizations_in(owner, view) == set()


@pytest.mark.parametrize("view", VIEWS)
async def test_policies_hold_through_views_as_postgresql_14_has_them(
    owner: asyncpg.Connection, tenant: Tenant, stranger: Tenant, view: str
) -> None:
    """Without security_invoker a view has its owner's rights, so there it belongs to the application's role."""
    if await owner.fetchval("SELECT current_setting('server_version_num')::int >= 150000"):
        await owner.execute(f"ALTER VIEW {view} SET (security_invoker = false)")
        await owner.execute(f"ALTER VIEW {view} OWNER TO solarhub_app")
    if view == "v_monthly_performance":
        await _fill(owner, tenant)
        await owner.execute("UPDATE telemetry_monthly_summary SET device_id = NULL")
    await become_app(owner, tenant.organization_id)
    assert await _organizations_in(owner, view) == {tenant.organization_id}
    await become_app(owner, uuid4())
    assert await _organizations_in(owner, view) == set()


async def test_no_partition_can_be_read_directly(owner: asyncpg.Connection, tenant: Tenant) -> None:
    for parent in ("telemetry_readings", "telemetry_quarter_hour", "telemetry_hourly_summary"):
        await owner.fetchval("SELECT solarhub_ensure_partitions($1, $2, $2)", parent, NOON.date())
    partitions = await owner.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relispartition AND relkind = 'r'"
    )
    assert len(partitions) >= 6
    await become_app(owner, system=True)
    for partition in partitions:
        await _refused(owner, f"SELECT FROM {partition['name']}")
        await _refused(owner, f"DELETE FROM {partition['name']}")


async def test_the_context_ends_with_the_transaction(schema_database: Any) -> None:
    connection = await asyncpg.connect(schema_database.app_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT solarhub_set_context('{}', '{}', true)")
            assert await connection.fetchval("SELECT solarhub_is_system()") is True
        assert await connection.fetchval("SELECT solarhub_is_system()") is False
        async with connection.transaction():
            await connection.execute("SELECT solarhub_set_context($1, '{}', false)", [uuid4()])
        assert await connection.fetchval("SELECT solarhub_organization_ids()") == []
    finally:
        await connection.close()


async def test_the_application_cannot_change_the_schema(owner: asyncpg.Connection) -> None:
    await become_app(owner, system=True)
    for statement in (
        "CREATE TABLE mine (id int)",
        "ALTER TABLE sites DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON sites",
        "TRUNCATE sites",
        "UPDATE alembic_version SET version_num = 'x'",
    ):
        await _refused(owner, statement)
