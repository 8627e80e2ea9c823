"""Every table, field, enum, index and view that the schema document names, read from the live catalogue."""

from enum import StrEnum
from typing import Any

import asyncpg
import pytest

from cloud.core.discos import DiscoProvider
from cloud.ingest.rules import COUNTER_COLUMNS, RAW_COLUMNS, TEXT_COLUMNS
from shared import enums

TRACKED = {"created_at": "timestamptz", "updated_at": "timestamptz", "version": "int4"}

# The diagram shortens names to fit its boxes (org_id, conn_config, ack_by); they are written out here, as the document itself does
# in its field lists and JSON examples.
FIELDS: dict[str, dict[str, str]] = {
    "users": {
        "id": "uuid", "email": "varchar", "phone": "varchar", "password_hash": "varchar", "first_name": "varchar",
        "last_name": "varchar", "role": "user_role", "is_active": "bool", "is_verified": "bool", "preferences": "jsonb",
    },
    "organizations": {
        "id": "uuid", "owner_id": "uuid", "name": "varchar", "slug": "varchar", "description": "text", "logo_url": "varchar",
        "website": "varchar", "status": "varchar", "settings": "jsonb",
    },
    "organization_members": {
        "id": "uuid", "organization_id": "uuid", "user_id": "uuid", "role": "org_member_role", "invited_by": "uuid",
        "invitation_token": "varchar", "invitation_expires": "timestamptz", "invitation_accepted": "bool",
        "joined_at": "timestamptz",
    },
    "sites": {
        "id": "uuid", "organization_id": "uuid", "name": "varchar", "description": "text", "status": "site_status",
        "address": "jsonb", "latitude": "float8", "longitude": "float8", "timezone": "varchar", "configuration": "jsonb",
    },
    "devices": {
        "id": "uuid", "site_id": "uuid", "organization_id": "uuid", "name": "varchar", "description": "text",
        "device_type": "device_type", "manufacturer": "varchar", "model": "varchar", "serial_number": "varchar",
        "firmware_version": "varchar", "protocol": "protocol_type", "connection_config": "jsonb", "status": "device_status",
        "last_seen_at": "timestamptz", "last_error": "text", "metadata": "jsonb",
    },
    "alert_rules": {
        "id": "uuid", "organization_id": "uuid", "site_id": "uuid", "name": "varchar", "description": "text",
        "condition": "jsonb", "severity": "alert_severity", "channels": "_text", "is_active": "bool",
        "cooldown_minutes": "int4", "auto_resolve": "bool",
    },
    "alerts": {
        "id": "uuid", "rule_id": "uuid", "organization_id": "uuid", "site_id": "uuid", "device_id": "uuid",
        "severity": "alert_severity", "status": "alert_status", "title": "varchar", "message": "text",
        "metric_name": "varchar", "metric_value": "float8", "threshold": "float8", "triggered_at": "timestamptz",
        "acknowledged_by": "uuid", "acknowledged_at": "timestamptz", "resolved_by": "uuid", "resolved_at": "timestamptz",
        "notifications_sent": "_text", "escalated": "bool", "escalated_at": "timestamptz",
    },
    "tariff_plans": {
        "id": "uuid", "disco_provider": "varchar", "category": "varchar", "effective_from": "date", "effective_to": "date",
        "rates": "jsonb", "supports_net_metering": "bool", "supports_tou": "bool",
    },
    "billing_simulations": {
        "id": "uuid", "site_id": "uuid", "tariff_plan_id": "uuid", "period_start": "date", "period_end": "date",
        "energy_consumed_kwh": "numeric", "energy_exported_kwh": "numeric", "bill_breakdown": "jsonb",
        "savings_breakdown": "jsonb", "estimated_bill_pkr": "numeric", "estimated_savings_pkr": "numeric",
        "is_actual": "bool",
    },
    "reports": {
        "id": "uuid", "organization_id": "uuid", "created_by": "uuid", "report_type": "varchar", "name": "varchar",
        "parameters": "jsonb", "format": "varchar", "status": "varchar", "file_path": "varchar", "file_size_bytes": "int4",
        "schedule_id": "uuid", "requested_at": "timestamptz", "expires_at": "timestamptz",
    },
    "report_schedules": {
        "id": "uuid", "organization_id": "uuid", "created_by": "uuid", "name": "varchar", "report_type": "varchar",
        "parameters": "jsonb", "format": "varchar", "frequency": "varchar", "run_time": "time", "day_of_week": "int4",
        "day_of_month": "int4", "timezone": "varchar", "delivery_config": "jsonb", "is_active": "bool",
        "next_run_at": "timestamptz", "total_runs": "int4", "successful_runs": "int4", "failed_runs": "int4",
    },
    "report_templates": {
        "id": "uuid", "organization_id": "uuid", "created_by": "uuid", "name": "varchar", "report_type": "varchar",
        "branding": "jsonb", "sections": "jsonb", "default_parameters": "jsonb", "is_active": "bool", "is_default": "bool",
        "usage_count": "int4",
    },
    "telemetry_hourly_summary": {
        "id": "uuid", "site_id": "uuid", "device_id": "uuid", "timestamp_hour": "timestamptz",
        "energy_generated_kwh": "float8", "peak_power_kw": "float8", "performance_ratio": "float8", "sample_count": "int4",
    },
    "telemetry_daily_summary": {
        "id": "uuid", "site_id": "uuid", "device_id": "uuid", "summary_date": "date", "energy_generated_kwh": "float8",
        "net_energy_kwh": "float8", "sunshine_hours": "float8", "co2_avoided_kg": "float8",
        "estimated_savings_pkr": "float8", "data_completeness_percent": "float8",
    },
    "telemetry_monthly_summary": {
        "id": "uuid", "site_id": "uuid", "device_id": "uuid", "year": "int4", "month": "int4",
        "energy_generated_kwh": "float8", "performance_ratio": "float8", "capacity_factor": "float8",
        "co2_avoided_kg": "float8", "estimated_savings_pkr": "float8", "expected_generation_kwh": "float8",
        "generation_variance_percent": "float8", "trees_equivalent": "float8",
    },
    "device_telemetry_snapshot": {
        "device_id": "uuid", "site_id": "uuid", "timestamp": "timestamptz", "current_power_kw": "float8",
        "battery_soc_percent": "float8", "operating_state": "varchar", "raw_data": "jsonb",
    },
}  # fmt: skip

MEASURED = {
    "energy_imported_kwh", "energy_exported_kwh", "energy_consumed_kwh", "energy_charged_kwh", "energy_discharged_kwh",
    "irradiation_kwh_m2", "data_completeness_percent", "performance_ratio_reason",
}  # fmt: skip

LENGTHS = {
    ("reports", "report_type"): 50, ("reports", "name"): 255, ("reports", "format"): 20, ("reports", "status"): 20,
    ("reports", "file_path"): 500, ("report_schedules", "name"): 255, ("report_schedules", "report_type"): 50,
    ("report_schedules", "format"): 20, ("report_schedules", "frequency"): 20, ("report_schedules", "timezone"): 50,
    ("report_templates", "name"): 255, ("report_templates", "report_type"): 50,
}  # fmt: skip

ENUMS: dict[str, type[StrEnum]] = {
    "user_role": enums.UserRole,
    "org_member_role": enums.OrgMemberRole,
    "site_status": enums.SiteStatus,
    "device_type": enums.DeviceType,
    "device_status": enums.DeviceStatus,
    "protocol_type": enums.ProtocolType,
    "alert_severity": enums.AlertSeverity,
    "alert_status": enums.AlertStatus,
    "report_type": enums.ReportType,
    "report_format": enums.ReportFormat,
    "report_frequency": enums.ReportFrequency,
    "report_status": enums.ReportStatus,
    "delivery_method": enums.DeliveryMethod,
}

CHECKED_WORDS: list[tuple[str, str, type[StrEnum]]] = [
    ("reports", "report_type", enums.ReportType),
    ("reports", "format", enums.ReportFormat),
    ("reports", "status", enums.ReportStatus),
    ("report_schedules", "report_type", enums.ReportType),
    ("report_schedules", "format", enums.ReportFormat),
    ("report_schedules", "frequency", enums.ReportFrequency),
    ("report_templates", "report_type", enums.ReportType),
    ("tariff_plans", "disco_provider", DiscoProvider),
]

# table, columns, a part of the predicate (partial index) or None, method
INDEXES: list[tuple[str, str, str | None, str]] = [
    ("users", "email", None, "btree"),
    ("users", "lower((email)::text)", None, "btree"),
    ("organizations", "slug", None, "btree"),
    ("devices", "serial_number", None, "btree"),
    ("organization_members", "organization_id, user_id", None, "btree"),
    ("sites", "organization_id", None, "btree"),
    ("devices", "site_id, organization_id", None, "btree"),
    ("alert_rules", "organization_id, site_id", None, "btree"),
    ("alerts", "rule_id, organization_id, site_id, device_id", None, "btree"),
    ("devices", "status", None, "btree"),
    ("devices", "last_seen_at", None, "btree"),
    ("alerts", "triggered_at", None, "btree"),
    ("alerts", "status, severity", None, "btree"),
    ("tariff_plans", "disco_provider, category", None, "btree"),
    ("billing_simulations", "site_id, period_start, period_end", None, "btree"),
    ("reports", "organization_id, report_type", None, "btree"),
    ("reports", "status, requested_at", None, "btree"),
    ("report_schedules", "organization_id, is_active", None, "btree"),
    ("report_schedules", "is_active, next_run_at", None, "btree"),
    ("report_templates", "organization_id, report_type", None, "btree"),
    ("sites", "configuration", None, "gin"),
    ("devices", "metadata", None, "gin"),
    ("alert_rules", "condition", None, "gin"),
    ("tariff_plans", "rates", None, "gin"),
    ("reports", "parameters", None, "gin"),
    ("telemetry_hourly_summary", "site_id, timestamp_hour", None, "btree"),
    ("telemetry_hourly_summary", "device_id, timestamp_hour", None, "btree"),
    ("telemetry_daily_summary", "site_id, summary_date", None, "btree"),
    ("telemetry_monthly_summary", "site_id, year, month", None, "btree"),
    ("device_telemetry_snapshot", "site_id, timestamp", None, "btree"),
    ("telemetry_hourly_summary", "site_id, device_id, timestamp_hour", "device_id IS NOT NULL", "btree"),
    ("telemetry_hourly_summary", "site_id, timestamp_hour", "device_id IS NULL", "btree"),
    ("telemetry_daily_summary", "site_id, device_id, summary_date", "device_id IS NOT NULL", "btree"),
    ("telemetry_daily_summary", "site_id, summary_date", "device_id IS NULL", "btree"),
    ("telemetry_monthly_summary", "site_id, device_id, year, month", "device_id IS NOT NULL", "btree"),
    ("telemetry_monthly_summary", "site_id, year, month", "device_id IS NULL", "btree"),
    ("devices", "site_id", "status = 'online'", "btree"),
    ("alerts", "triggered_at", "escalated = false", "btree"),
]
UNIQUE = {
    ("users", "email"), ("users", "lower((email)::text)"), ("organizations", "slug"), ("devices", "serial_number"),
    ("organization_members", "organization_id, user_id"), ("telemetry_hourly_summary", "site_id, device_id, timestamp_hour"),
    ("telemetry_daily_summary", "site_id, device_id, summary_date"),
    ("telemetry_monthly_summary", "site_id, device_id, year, month"),
}  # fmt: skip

VIEWS = {
    "v_active_alerts_summary", "v_device_status_summary", "v_site_capacity", "v_site_telemetry_live",
    "v_site_daily_energy", "v_monthly_performance",
}  # fmt: skip


async def _columns(owner: asyncpg.Connection, table: str) -> dict[str, Any]:
    rows = await owner.fetch(
        "SELECT column_name, udt_name, character_maximum_length FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = $1",
        table,
    )
    return {row["column_name"]: row for row in rows}


def test_sixteen_tables_are_written_down() -> None:
    assert len(FIELDS) == 16


@pytest.mark.parametrize("table", FIELDS)
async def test_every_field_of_the_document_exists_with_its_type(owner: asyncpg.Connection, table: str) -> None:
    columns = await _columns(owner, table)
    expected = {**FIELDS[table], **TRACKED}
    assert {name: columns[name]["udt_name"] if name in columns else "missing" for name in expected} == expected


@pytest.mark.parametrize("table", [name for name in FIELDS if name.endswith("_summary")])
async def test_summaries_have_what_performance_and_net_metering_need(owner: asyncpg.Connection, table: str) -> None:
    assert set(await _columns(owner, table)) >= MEASURED


@pytest.mark.parametrize(("table", "column"), LENGTHS)
async def test_lengths_are_the_documents(owner: asyncpg.Connection, table: str, column: str) -> None:
    assert (await _columns(owner, table))[column]["character_maximum_length"] == LENGTHS[table, column]


async def test_raw_readings_have_a_column_for_each_metric_that_ingest_writes(owner: asyncpg.Connection) -> None:
    columns = await _columns(owner, "telemetry_readings")
    keys = {"site_id", "device_number", "at", "received_at", "seq", "quality", "extra"}
    assert set(columns) == keys | set(RAW_COLUMNS.values())


async def test_counters_have_double_precision_and_gauges_that_of_a_sensor(owner: asyncpg.Connection) -> None:
    columns = await _columns(owner, "telemetry_readings")
    numbers = {name: column["udt_name"] for name, column in columns.items() if name in RAW_COLUMNS.values()}
    assert {name for name, kind in numbers.items() if kind == "float8"} == COUNTER_COLUMNS
    assert {name for name, kind in numbers.items() if kind not in {"float8", "float4"}} == TEXT_COLUMNS


@pytest.mark.parametrize("name", ENUMS)
async def test_enum_types_and_python_agree(owner: asyncpg.Connection, name: str) -> None:
    labels = await owner.fetch(
        "SELECT enumlabel FROM pg_enum WHERE enumtypid = $1::regtype ORDER BY enumsortorder", f"public.{name}"
    )
    assert [row["enumlabel"] for row in labels] == [member.value for member in ENUMS[name]]


@pytest.mark.parametrize(("table", "column", "words"), CHECKED_WORDS)
async def test_checked_words_and_python_agree(
    owner: asyncpg.Connection, table: str, column: str, words: type[StrEnum]
) -> None:
    definition = await owner.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", f"ck_{table}_{column}_known"
    )
    assert set(definition.split("'")[1::2]) == {word.value for word in words}


@pytest.mark.parametrize(("table", "columns", "predicate", "method"), INDEXES)
async def test_every_index_of_the_document_exists(
    owner: asyncpg.Connection, table: str, columns: str, predicate: str | None, method: str
) -> None:
    rows = await owner.fetch(
        """
        SELECT i.indisunique, coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS predicate, m.amname,
               (SELECT string_agg(replace(pg_get_indexdef(i.indexrelid, k, true), '"', ''), ', ' ORDER BY k)
                FROM generate_series(1, i.indnkeyatts) k) AS columns
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
        WHERE i.indrelid = $1::regclass
        """,
        f"public.{table}",
    )
    wanted = columns.replace("lower((email)::text)", "lower(email::text)")
    found = [
        row
        for row in rows
        if row["columns"] == wanted
        and row["amname"] == method
        and ((predicate in row["predicate"]) if predicate else not row["predicate"])
    ]
    assert found, [tuple(row) for row in rows]
    if (table, columns) in UNIQUE or (predicate or "").startswith("device_id IS"):
        assert any(row["indisunique"] for row in found)


async def test_no_index_holds_raw_data_or_secrets(owner: asyncpg.Connection) -> None:
    definitions = [
        row["indexdef"] for row in await owner.fetch("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")
    ]
    assert definitions
    for column in ("raw_data", "connection_config", "delivery_config"):
        assert not [definition for definition in definitions if column in definition]


async def test_the_six_views_exist(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch("SELECT viewname FROM pg_views WHERE schemaname = 'public'")
    assert {row["viewname"] for row in rows} == VIEWS


@pytest.mark.parametrize("table", FIELDS)
async def test_all_tables_keep_updated_at_and_version_themselves(owner: asyncpg.Connection, table: str) -> None:
    rows = await owner.fetch(
        "SELECT p.proname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid = $1::regclass",
        f"public.{table}",
    )
    assert {row["proname"] for row in rows} >= {"solarhub_touch_updated_at", "solarhub_bump_version"}


async def test_tariff_categories_have_the_twelve_and_the_alias(owner: asyncpg.Connection) -> None:
    twelve = {
        "residential_protected", "residential_unprotected", "commercial_a1", "commercial_a2", "commercial_a3",
        "industrial_b1", "industrial_b2", "industrial_b3", "industrial_b4", "agricultural_tube_well", "tou_industrial",
        "tou_commercial",
    }  # fmt: skip
    rows = {row["code"]: row for row in await owner.fetch("SELECT * FROM tariff_categories")}
    assert twelve <= set(rows)
    assert rows["commercial_b2"]["alias_of"] == "commercial_a2"
    assert rows["industrial_b3"]["nepra_code"] == "B-3"


async def test_one_emission_factor_of_each_kind_is_the_default(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch("SELECT kind, value::text AS value FROM emission_factors WHERE is_default ORDER BY kind")
    assert [(row["kind"], float(row["value"])) for row in rows] == [("grid_electricity", 0.515), ("tree", 60.0)]
    others = await owner.fetch("SELECT value::float8 AS value FROM emission_factors WHERE NOT is_default")
    assert {row["value"] for row in others} == {0.386, 0.3986, 20.0}
