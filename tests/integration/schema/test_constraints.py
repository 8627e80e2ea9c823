"""What the database refuses, whoever asks."""

# ruff: noqa: S608 -- statements are put together from words of the test itself

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import CheckConstraint
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from cloud.core.db import Base
from tests.integration.schema.rows import Tenant, add_device, insert

NOON = datetime(2026, 10, 9, 12, tzinfo=UTC)


def _plan(**columns: Any) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "disco_provider": "lesco",
        "category": "residential_unprotected",
        "effective_from": date(2026, 1, 1),
        "effective_to": date(2026, 6, 30),
        "rates": "{}",
        **columns,
    }


@pytest.mark.parametrize(
    "second",
    [
        {"effective_from": date(2026, 6, 30), "effective_to": None},
        {"effective_from": date(2025, 1, 1), "effective_to": date(2026, 1, 1)},
        {"effective_from": date(2026, 2, 1), "effective_to": date(2026, 2, 1)},
    ],
)
async def test_tariff_periods_do_not_overlap(owner: asyncpg.Connection, second: dict[str, Any]) -> None:
    await insert(owner, "tariff_plans", **_plan())
    with pytest.raises(asyncpg.ExclusionViolationError):
        await insert(owner, "tariff_plans", **_plan(**second))


@pytest.mark.parametrize(
    "second",
    [
        {"effective_from": date(2026, 7, 1), "effective_to": None},
        {"disco_provider": "kelectric"},
        {"category": "residential_protected"},
        {"variant": "tou"},
    ],
)
async def test_tariffs_side_by_side_are_fine(owner: asyncpg.Connection, second: dict[str, Any]) -> None:
    await insert(owner, "tariff_plans", **_plan())
    await insert(owner, "tariff_plans", **_plan(**second))
    assert await owner.fetchval("SELECT count(*) FROM tariff_plans") == 2


@pytest.mark.parametrize("column", ["disco_provider", "category"])
async def test_a_plan_of_an_unknown_company_or_category_is_refused(owner: asyncpg.Connection, column: str) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await insert(owner, "tariff_plans", **_plan(**{column: "nowhere"}))


@pytest.mark.parametrize("email", ["Ali@x.pk", "ALI@X.PK", "ali@x.pk"])
async def test_an_address_in_other_letters_is_the_same_account(owner: asyncpg.Connection, email: str) -> None:
    await insert(owner, "users", id=uuid4(), email="ali@x.pk", first_name="Ali")
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(owner, "users", id=uuid4(), email=email, first_name="Ali")


async def test_a_device_cannot_stand_on_another_organisations_site(
    owner: asyncpg.Connection, tenant: Tenant, stranger: Tenant
) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await add_device(owner, tenant, organization_id=stranger.organization_id)


async def test_a_rule_cannot_name_another_sites_device(
    owner: asyncpg.Connection, tenant: Tenant, stranger: Tenant
) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await insert(owner, "alert_rules", **_rule(tenant, device_id=stranger.device_id))


async def test_a_rule_for_a_device_names_its_site(owner: asyncpg.Connection, tenant: Tenant) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(owner, "alert_rules", **_rule(tenant, site_id=None, device_id=tenant.device_id))


async def test_a_serial_number_is_on_one_device(owner: asyncpg.Connection, tenant: Tenant) -> None:
    await add_device(owner, tenant, serial_number="SN1")
    with pytest.raises(asyncpg.UniqueViolationError):
        await add_device(owner, tenant, serial_number="SN1")


def _rule(tenant: Tenant, **columns: Any) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "organization_id": tenant.organization_id,
        "site_id": tenant.site_id,
        "name": "Low",
        "condition": '{"metric": "power_output", "operator": "lt", "threshold": 10}',
        "severity": "warning",
        **columns,
    }


def _alert(tenant: Tenant, rule_id: Any, **columns: Any) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "rule_id": rule_id,
        "organization_id": tenant.organization_id,
        "site_id": tenant.site_id,
        "severity": "warning",
        "title": "Low",
        "triggered_at": NOON,
        **columns,
    }


@pytest.mark.parametrize("first", ["active", "acknowledged"])
@pytest.mark.parametrize("on_device", [True, False])
async def test_one_open_alert_per_rule_and_device_or_site(
    owner: asyncpg.Connection, tenant: Tenant, first: str, on_device: bool
) -> None:
    rule = _rule(tenant)
    await insert(owner, "alert_rules", **rule)
    where = {"device_id": tenant.device_id} if on_device else {}
    await insert(owner, "alerts", **_alert(tenant, rule["id"], status=first, **where))
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(owner, "alerts", **_alert(tenant, rule["id"], **where))


@pytest.mark.parametrize("closed", ["resolved", "expired"])
async def test_a_closed_alert_makes_room_for_the_next(owner: asyncpg.Connection, tenant: Tenant, closed: str) -> None:
    rule = _rule(tenant)
    await insert(owner, "alert_rules", **rule)
    for status in (closed, closed, "active"):
        await insert(owner, "alerts", **_alert(tenant, rule["id"], device_id=tenant.device_id, status=status))
    await insert(owner, "alerts", **_alert(tenant, rule["id"]))
    assert await owner.fetchval("SELECT count(*) FROM alerts WHERE status = 'active'") == 2


async def test_alerts_outlive_their_rule(owner: asyncpg.Connection, tenant: Tenant) -> None:
    rule = _rule(tenant)
    await insert(owner, "alert_rules", **rule)
    await insert(owner, "alerts", **_alert(tenant, rule["id"]))
    await owner.execute("DELETE FROM alert_rules")
    assert await owner.fetchval("SELECT count(*) FROM alerts WHERE rule_id IS NULL AND title = 'Low'") == 1


def _schedule(tenant: Tenant, **columns: Any) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "organization_id": tenant.organization_id,
        "name": "Report",
        "report_type": "performance_summary",
        "frequency": "monthly",
        "day_of_month": 1,
        **columns,
    }


@pytest.mark.parametrize("day", [-1, 1, 28])
async def test_days_of_month(owner: asyncpg.Connection, tenant: Tenant, day: int) -> None:
    await insert(owner, "report_schedules", **_schedule(tenant, day_of_month=day))
    assert await owner.fetchval("SELECT day_of_month FROM report_schedules") == day


@pytest.mark.parametrize(
    "wrong",
    [
        {"day_of_month": 0},
        {"day_of_month": 29},
        {"day_of_month": -2},
        {"day_of_month": None},
        {"frequency": "weekly"},
        {"frequency": "weekly", "day_of_week": 7},
        {"frequency": "yearly"},
        {"frequency": "yearly", "month_of_year": 13},
        {"frequency": "once"},
        {"frequency": "hourly"},
        {"format": "docx"},
        {"report_type": "poem"},
        {"total_runs": 1, "successful_runs": 1, "failed_runs": 1},
    ],
)
async def test_schedules_that_could_never_run_are_refused(
    owner: asyncpg.Connection, tenant: Tenant, wrong: dict[str, Any]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(owner, "report_schedules", **_schedule(tenant, **wrong))


async def test_a_schedule_fires_once_for_a_moment(owner: asyncpg.Connection, tenant: Tenant) -> None:
    schedule = _schedule(tenant)
    await insert(owner, "report_schedules", **schedule)
    report = {
        "organization_id": tenant.organization_id,
        "report_type": "performance_summary",
        "name": "September",
        "schedule_id": schedule["id"],
        "scheduled_for": NOON,
    }
    await insert(owner, "reports", id=uuid4(), **report)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(owner, "reports", id=uuid4(), **report)


async def test_a_schedule_cannot_use_a_strangers_template(
    owner: asyncpg.Connection, tenant: Tenant, stranger: Tenant
) -> None:
    template = {"id": uuid4(), "organization_id": stranger.organization_id, "name": "T", "report_type": "custom"}
    await insert(owner, "report_templates", **template)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await insert(owner, "report_schedules", **_schedule(tenant, template_id=template["id"]))


async def test_one_default_template_per_type(owner: asyncpg.Connection, tenant: Tenant) -> None:
    columns = {"organization_id": tenant.organization_id, "name": "T", "is_default": True}
    await insert(owner, "report_templates", id=uuid4(), report_type="custom", **columns)
    await insert(owner, "report_templates", id=uuid4(), report_type="financial", **columns)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(owner, "report_templates", id=uuid4(), report_type="custom", **columns)


ROLLUPS = {
    "telemetry_quarter_hour": ("bucket", {"bucket": NOON}),
    "telemetry_hourly_summary": ("timestamp_hour", {"timestamp_hour": NOON}),
    "telemetry_daily_summary": ("summary_date", {"summary_date": date(2026, 10, 9)}),
    "telemetry_monthly_summary": ("year, month", {"year": 2026, "month": 10}),
}


@pytest.mark.parametrize("table", ROLLUPS)
@pytest.mark.parametrize("level", ["site", "device"])
async def test_one_rollup_row_per_level_and_period(
    owner: asyncpg.Connection, tenant: Tenant, table: str, level: str
) -> None:
    """Two rows of one site-hour went in with a plain UNIQUE, since NULLs are distinct."""
    period, values = ROLLUPS[table]
    row = {
        "site_id": tenant.site_id,
        "organization_id": tenant.organization_id,
        "device_id": tenant.device_id if level == "device" else None,
        "algorithm_version": 1,
        **values,
    }
    await insert(owner, table, **row)
    key = f"site_id, {period}" if level == "site" else f"site_id, device_id, {period}"
    predicate = "device_id IS NULL" if level == "site" else "device_id IS NOT NULL"
    names = ", ".join(row)
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await owner.execute(
        f"INSERT INTO {table} ({names}) VALUES ({places}) ON CONFLICT ({key}) WHERE {predicate}"
        " DO UPDATE SET algorithm_version = excluded.algorithm_version + 1",
        *row.values(),
    )
    assert [r["algorithm_version"] for r in await owner.fetch(f"SELECT * FROM {table}")] == [2]
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(owner, table, **row)


@pytest.mark.parametrize("bucket", [NOON.replace(minute=7), NOON.replace(second=1)])
async def test_a_quarter_hour_begins_on_one(owner: asyncpg.Connection, tenant: Tenant, bucket: datetime) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(
            owner,
            "telemetry_quarter_hour",
            site_id=tenant.site_id,
            organization_id=tenant.organization_id,
            bucket=bucket,
            algorithm_version=1,
        )


@pytest.mark.parametrize(
    "period", [{"year": 2019, "month": 1}, {"year": 2101, "month": 1}, {"year": 2026, "month": 13}]
)
async def test_months_are_months(owner: asyncpg.Connection, tenant: Tenant, period: dict[str, int]) -> None:
    scope = {"site_id": tenant.site_id, "organization_id": tenant.organization_id, "algorithm_version": 1}
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(owner, "telemetry_monthly_summary", **scope, **period)


async def test_an_older_reading_does_not_replace_a_newer_one(owner: asyncpg.Connection, tenant: Tenant) -> None:
    upsert = """
        INSERT INTO device_telemetry_snapshot (site_id, device_id, organization_id, timestamp, current_power_kw)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (site_id, device_id) DO UPDATE SET timestamp = excluded.timestamp, current_power_kw = excluded.current_power_kw
        WHERE excluded.timestamp > device_telemetry_snapshot.timestamp
    """
    for hour, power in ((12, 3.0), (11, 2.0), (13, 4.0), (10, 1.0)):
        moment = NOON.replace(hour=hour)
        await owner.execute(upsert, tenant.site_id, tenant.device_id, tenant.organization_id, moment, power)
    row = await owner.fetchrow("SELECT * FROM device_telemetry_snapshot")
    assert (row["timestamp"].hour, row["current_power_kw"]) == (13, 4.0)


async def test_a_default_emission_factor_is_the_only_one_of_its_kind(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await owner.execute("UPDATE emission_factors SET is_default = true")


async def test_every_check_and_exclusion_of_the_model_is_in_the_database(owner: asyncpg.Connection) -> None:
    """`alembic check` compares tables, columns, keys and indexes, but not these."""
    from_model = _checks_of_model()
    rows = await owner.fetch(
        "SELECT conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
        " WHERE c.contype IN ('c', 'x') AND NOT t.relispartition AND t.relnamespace = 'public'::regnamespace"
    )
    assert {row["conname"] for row in rows} == from_model


def _checks_of_model() -> set[str]:
    kinds = (CheckConstraint, ExcludeConstraint)
    return {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, kinds)
    }
