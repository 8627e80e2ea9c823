"""updated_at, version, and the owner of an organisation."""

# ruff: noqa: S608 -- statements are put together from words of the test itself

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.integration.schema.rows import Tenant, add_device, insert

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def _row(owner: asyncpg.Connection, table: str, row_id: UUID) -> Any:
    return await owner.fetchrow(f"SELECT * FROM {table} WHERE id = $1", row_id)


async def test_an_update_sets_updated_at_and_counts_the_version(owner: asyncpg.Connection, tenant: Tenant) -> None:
    site = uuid4()
    await insert(
        owner,
        "sites",
        id=site,
        organization_id=tenant.organization_id,
        name="Old",
        updated_at=LONG_AGO,
        created_at=LONG_AGO,
    )
    await owner.execute("UPDATE sites SET name = 'New' WHERE id = $1", site)
    row = await _row(owner, "sites", site)
    assert row["version"] == 2
    assert row["updated_at"] > LONG_AGO
    assert row["created_at"] == LONG_AGO


async def test_a_client_cannot_choose_the_version(owner: asyncpg.Connection, tenant: Tenant) -> None:
    await owner.execute("UPDATE sites SET version = 99 WHERE id = $1", tenant.site_id)
    assert (await _row(owner, "sites", tenant.site_id))["version"] == 2


async def test_a_statement_that_sets_updated_at_is_left_alone(owner: asyncpg.Connection, tenant: Tenant) -> None:
    moment = datetime(2026, 10, 9, 12, tzinfo=UTC)
    await owner.execute("UPDATE sites SET name = 'New', updated_at = $2 WHERE id = $1", tenant.site_id, moment)
    assert (await _row(owner, "sites", tenant.site_id))["updated_at"] == moment


async def test_of_two_saves_of_one_version_the_second_hits_nothing(owner: asyncpg.Connection, tenant: Tenant) -> None:
    save = "UPDATE sites SET name = $2 WHERE id = $1 AND version = 1"
    assert await owner.execute(save, tenant.site_id, "first") == "UPDATE 1"
    assert await owner.execute(save, tenant.site_id, "second") == "UPDATE 0"


@pytest.mark.parametrize(
    "news",
    ["status = 'online'", "last_seen_at = now()", "last_error = 'no answer'", "status = 'error', last_seen_at = now()"],
)
async def test_news_from_a_device_does_not_disturb_an_edit(
    owner: asyncpg.Connection, tenant: Tenant, news: str
) -> None:
    before = await _row(owner, "devices", tenant.device_id)
    await owner.execute(f"UPDATE devices SET {news} WHERE id = $1", tenant.device_id)
    after = await _row(owner, "devices", tenant.device_id)
    assert (after["version"], after["updated_at"]) == (before["version"], before["updated_at"])


@pytest.mark.parametrize(
    "edit",
    ["name = 'Roof'", 'connection_config = \'{"host": "10.0.0.5"}\'', "metadata = '{\"a\": 1}'", "poll_interval_s = 5"],
)
async def test_an_edit_of_a_device_counts(owner: asyncpg.Connection, tenant: Tenant, edit: str) -> None:
    await owner.execute(f"UPDATE devices SET {edit} WHERE id = $1", tenant.device_id)
    assert (await _row(owner, "devices", tenant.device_id))["version"] == 2


async def test_every_column_of_a_device_but_the_news_counts_as_an_edit(owner: asyncpg.Connection) -> None:
    """A column that is added later must be put in one of the two lists."""
    columns = await owner.fetchval(
        "SELECT array_agg(a.attname::text) FROM pg_trigger t JOIN pg_attribute a ON a.attrelid = t.tgrelid"
        " AND a.attnum = ANY (t.tgattr) WHERE t.tgname = 'trg_devices_version'"
    )
    every = await owner.fetchval(
        "SELECT array_agg(column_name::text) FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'devices'"
    )
    kept_out = {"id", "status", "last_seen_at", "last_error", "created_at", "updated_at", "version"}
    generated = {"number"}
    assert set(columns) == set(every) - kept_out - generated


async def test_the_number_of_a_device_is_never_given_or_changed(owner: asyncpg.Connection, tenant: Tenant) -> None:
    for statement in (
        "UPDATE devices SET number = 7",
        """
        INSERT INTO devices (id, site_id, organization_id, name, device_type, protocol, number)
        SELECT gen_random_uuid(), site_id, organization_id, name, device_type, protocol, 7 FROM devices
        """,
    ):
        with pytest.raises(asyncpg.GeneratedAlwaysError):
            async with owner.transaction():
                await owner.execute(statement)


async def test_whatever_ingest_judges_readings_by_is_a_new_plan(owner: asyncpg.Connection, tenant: Tenant) -> None:
    """What it remembers of a device is good for one revision of the plan."""
    gateway = uuid4()
    scope = {"site_id": tenant.site_id, "organization_id": tenant.organization_id}
    await insert(owner, "edge_gateways", id=gateway, credential_hash="x", **scope)
    revision = (await _row(owner, "edge_gateways", gateway))["plan_revision"]
    for change in (
        "rated_power_kw = 5",
        "commissioned_at = '2026-01-01'",
        "device_type = 'meter'",
    ):
        await owner.execute(f"UPDATE devices SET {change} WHERE id = $1", tenant.device_id)
        newer = (await _row(owner, "edge_gateways", gateway))["plan_revision"]
        assert newer > revision, change
        revision = newer
    await add_device(owner, tenant, "sensor")
    assert (await _row(owner, "edge_gateways", gateway))["plan_revision"] > revision


async def test_a_run_of_a_schedule_does_not_disturb_an_edit(owner: asyncpg.Connection, tenant: Tenant) -> None:
    schedule = uuid4()
    await insert(
        owner,
        "report_schedules",
        id=schedule,
        organization_id=tenant.organization_id,
        name="Monthly",
        report_type="performance_summary",
        frequency="daily",
    )
    await owner.execute("UPDATE report_schedules SET total_runs = 1, successful_runs = 1, next_run_at = now()")
    assert (await _row(owner, "report_schedules", schedule))["version"] == 1
    await owner.execute("UPDATE report_schedules SET name = 'Each month'")
    assert (await _row(owner, "report_schedules", schedule))["version"] == 2


async def _expect_owner_mismatch(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as failure:
        await owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert failure.value.constraint_name == "ck_organizations_owner_is_member"


async def test_an_owner_without_membership_is_refused_at_commit(owner: asyncpg.Connection, tenant: Tenant) -> None:
    other = uuid4()
    await insert(owner, "users", id=other, email="other@example.pk", first_name="Other")
    await owner.execute("UPDATE organizations SET owner_id = $2 WHERE id = $1", tenant.organization_id, other)
    await _expect_owner_mismatch(owner)


async def test_an_organisation_without_any_member_is_refused(owner: asyncpg.Connection, tenant: Tenant) -> None:
    await insert(owner, "organizations", id=uuid4(), owner_id=tenant.owner_id, name="Empty", slug="empty")
    await _expect_owner_mismatch(owner)


async def test_the_owners_membership_cannot_be_removed_or_lowered(owner: asyncpg.Connection, tenant: Tenant) -> None:
    member = "WHERE organization_id = $1 AND user_id = $2"
    await owner.execute(f"DELETE FROM organization_members {member}", tenant.organization_id, tenant.owner_id)
    await _expect_owner_mismatch(owner)


async def test_a_second_owner_is_refused(owner: asyncpg.Connection, tenant: Tenant) -> None:
    second = uuid4()
    await insert(owner, "users", id=second, email="second@example.pk", first_name="Second")
    await insert(
        owner, "organization_members", id=uuid4(), organization_id=tenant.organization_id, user_id=second, role="owner"
    )
    await _expect_owner_mismatch(owner)


async def test_a_transfer_in_one_transaction_passes(owner: asyncpg.Connection, tenant: Tenant) -> None:
    heir = uuid4()
    organization = tenant.organization_id
    await insert(owner, "users", id=heir, email="heir@example.pk", first_name="Heir")
    await owner.execute(
        "UPDATE organization_members SET role = 'admin' WHERE organization_id = $1 AND user_id = $2",
        organization,
        tenant.owner_id,
    )
    await insert(owner, "organization_members", id=uuid4(), organization_id=organization, user_id=heir, role="owner")
    await owner.execute("UPDATE organizations SET owner_id = $2 WHERE id = $1", organization, heir)
    await owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert (await _row(owner, "organizations", organization))["owner_id"] == heir


async def test_an_organisation_goes_with_its_members(owner: asyncpg.Connection, tenant: Tenant) -> None:
    await owner.execute("DELETE FROM devices WHERE site_id = $1", tenant.site_id)
    await owner.execute("DELETE FROM sites WHERE id = $1", tenant.site_id)
    await owner.execute("DELETE FROM organizations WHERE id = $1", tenant.organization_id)
    await owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
    left = await owner.fetchval(
        "SELECT count(*) FROM organization_members WHERE organization_id = $1", tenant.organization_id
    )
    assert left == 0
