"""A park and five hundred homes, filled by SQL with a month of raw readings and a year of roll-ups."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from cloud.accounts import repository as organizations
from cloud.auth import repository as accounts
from cloud.auth.service import AccessTokens
from cloud.core.db import SYSTEM, Database
from cloud.core.settings import load_settings
from cloud.ingest.days.repository import DeviceDay, lock_day, pack_day
from cloud.telemetry.service.fleet_days import keep_fleet_days
from shared.enums import UserRole
from tests.bench.support.hub import Hub

PARK_DEVICES = 1_000
HOMES = 500
RAW_DAYS = 30

SITE = """
INSERT INTO sites (id, organization_id, name, status)
SELECT gen_random_uuid(), $1, $2 || lpad(n::text, 4, '0'), 'active' FROM generate_series(1, $3::integer) n
"""
DEVICE = """
INSERT INTO devices (id, site_id, organization_id, name, device_type, protocol, poll_interval_s, rated_power_kw, commissioned_at)
SELECT gen_random_uuid(), id, organization_id, 'Device ' || lpad(n::text, 4, '0'),
    (CASE WHEN n % 2 = 0 AND $2 < 100 THEN 'meter' ELSE 'inverter' END)::device_type, 'modbus_tcp', 60, 10, now() - interval '2 years'
FROM sites, generate_series(1, $2::integer) n WHERE organization_id = $1
"""
SNAPSHOT = """
INSERT INTO device_telemetry_snapshot (device_id, site_id, organization_id, timestamp, current_power_kw, pv_power_kw, grid_power_kw,
    load_power_kw, battery_soc_percent, energy_today_kwh, operating_state)
SELECT id, site_id, organization_id, now(), 4.25, CASE device_type WHEN 'inverter' THEN 4.25 END,
    CASE device_type WHEN 'meter' THEN -1.5 END, 2.75, 61, 18.5, 'producing' FROM devices
"""
# As agents send it: ten minutes of each device of a site at a time.
RAW = """
INSERT INTO telemetry_readings (site_id, device_number, at, seq, ac_power_kw, dc_power_kw, dc_voltage_v, ac_voltage_v, ac_voltage_v_l1,
    ac_current_a, grid_frequency_hz, inverter_temperature_c, energy_total_kwh, energy_today_kwh, operating_state, extra)
SELECT d.site_id, d.number, ($3::date + minute * interval '1 minute') AT TIME ZONE 'UTC', $4::integer * 1440 + minute, 5 + sin(n / 90),
    5.2, 610, 231, 229 + minute % 7, 21.6, 50.01, 41, 4000 + n / 12, minute / 60.0, 'producing',
    jsonb_build_object('dc_voltage_v.pv1', 600 + minute % 30, 'dc_current_a.pv1', 4.2)
FROM generate_series(0, 1439, 10) block, (SELECT site_id, number FROM devices WHERE site_id = $1 ORDER BY name LIMIT $2) d,
    LATERAL (SELECT minute, ($4::integer * 1440 + minute)::double precision AS n FROM generate_series(block, block + 9) minute) t
"""
QUARTERS = """
INSERT INTO telemetry_quarter_hour (site_id, device_id, organization_id, bucket, generated_wh, power_mean_kw, power_min_kw, power_max_kw,
    metrics, n_valid, n_expected, covered_seconds, algorithm_version)
SELECT d.site_id, d.id, d.organization_id, bucket, 1250, 5, 4, 6,
    '{"ac_power_kw": {"mean": 5, "min": 4, "max": 6, "last": 5}, "dc_voltage_v": {"mean": 610, "min": 600, "max": 620, "last": 612}}',
    15, 15, 900, 1
FROM generate_series($3::timestamptz, $4::timestamptz - interval '1 second', interval '15 minutes') bucket,
    (SELECT * FROM devices WHERE site_id = $1 ORDER BY name LIMIT $2) d
"""
HOURS = """
INSERT INTO telemetry_hourly_summary (id, site_id, device_id, organization_id, timestamp_hour, energy_generated_kwh, peak_power_kw,
    sample_count, expected_count, covered_seconds, algorithm_version)
SELECT md5(random()::text)::uuid, d.site_id, d.id, d.organization_id, hour, 5, 6, 60, 60, 3600, 1
FROM generate_series($3::timestamptz, $4::timestamptz - interval '1 second', interval '1 hour') AS hour,
    (SELECT * FROM devices WHERE site_id = $1 ORDER BY name LIMIT $2) d
"""
_ENERGY_COLUMNS = """energy_generated_kwh, energy_consumed_kwh, energy_imported_kwh, energy_exported_kwh, self_consumed_kwh,
    co2_avoided_kg, sample_count, expected_count, covered_seconds, algorithm_version"""
_OF_EVERYBODY = (
    "(SELECT site_id, id, organization_id FROM devices UNION ALL SELECT id, NULL, organization_id FROM sites) subject"
)
DAYS = f"""
INSERT INTO telemetry_daily_summary (id, site_id, device_id, organization_id, summary_date, {_ENERGY_COLUMNS})
SELECT md5(random()::text)::uuid, site_id, id, organization_id, day::date, 42.5, 31, 9, 20.5, 22, 21.9, 1440, 1440, 86400, 1
FROM generate_series($2::date - 364, $2::date, interval '1 day') day, {_OF_EVERYBODY} WHERE organization_id = $1
"""  # noqa: S608 -- our own columns
MONTHS = f"""
INSERT INTO telemetry_monthly_summary (id, site_id, device_id, organization_id, year, month, {_ENERGY_COLUMNS})
SELECT md5(random()::text)::uuid, site_id, id, organization_id, extract(year FROM first), extract(month FROM first),
    1290, 950, 270, 610, 680, 664, 43200, 43200, 2592000, 1
FROM generate_series(date_trunc('month', $2::date::timestamp) - interval '11 months', $2::date, interval '1 month') first, {_OF_EVERYBODY}
WHERE organization_id = $1
"""  # noqa: S608 -- our own columns


INDEXES = """
SELECT i.indexrelid::regclass::text AS name, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS definition
FROM pg_index i WHERE i.indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


@dataclass(frozen=True)
class Plant:
    """What was made: who may see it, the park and one of its devices, and where the month of raw readings begins."""

    homes_token: str
    park_token: str
    park: UUID
    device: UUID
    start: datetime
    raw_rows: int


async def owner(db: Database, hub: Hub, slug: str) -> tuple[UUID, str]:
    """An organisation, and an access token of its owner."""
    settings = load_settings(
        {"database_url": hub.app_url, "redis_url": hub.redis_url, "secret_key": hub.environment["SOLARHUB_SECRET_KEY"]}
    )
    now = datetime.now(UTC)
    async with db.transaction(SYSTEM) as conn:
        user_id = await accounts.add_account(
            conn, email=f"{slug}@example.com", password_hash="", first_name=slug, role=UserRole.VIEWER
        )
        if user_id is None:
            raise RuntimeError(f"{slug} has an account already")
        organization_id = await organizations.add_organization(
            conn, owner_id=user_id, now=now, values={"name": slug.title(), "slug": slug, "settings": {}}
        )
    return organization_id, AccessTokens.from_settings(settings).issue(user_id, now)


@asynccontextmanager
async def filler(hub: Hub) -> AsyncIterator[asyncpg.Connection]:
    """A connection that fills: foreign keys sleep meanwhile, the rows are right by construction."""
    conn = await asyncpg.connect(hub.admin_url)
    try:
        await conn.execute("SET session_replication_role = replica")
        await conn.execute("SET jit = off")
        await conn.execute("SET synchronous_commit = off")
        yield conn
    finally:
        await conn.close()


@asynccontextmanager
async def without_indexes(conn: asyncpg.Connection, *tables: str) -> AsyncIterator[None]:
    """Fill first, then build what is no constraint's index."""
    definitions = []
    for table in tables:
        for index in await conn.fetch(INDEXES, table):
            definitions.append(index["definition"])
            await conn.execute(f"DROP INDEX {index['name']}")
    yield
    for definition in definitions:
        await conn.execute(definition, timeout=300)


async def add_readings(conn: asyncpg.Connection, park: UUID, raw_devices: int, start: datetime, rows_days: int) -> None:
    """The older days of one device, packed, and then the same for the others; the newest days as rows of each."""
    organization = await conn.fetchval("SELECT organization_id FROM sites WHERE id = $1", park)
    numbers = await conn.fetch(
        "SELECT number FROM devices WHERE site_id = $1 ORDER BY name LIMIT $2", park, raw_devices
    )
    packed = max(0, RAW_DAYS - rows_days)
    for index in range(RAW_DAYS):
        day = (start + timedelta(days=index)).date()
        await conn.execute(RAW, park, 1 if index < packed else raw_devices, day, index, timeout=300)
        if index < packed:
            which = DeviceDay(park, organization, numbers[0]["number"], day)
            async with conn.transaction():
                await lock_day(conn, park, day)
                await pack_day(conn, which, now=datetime.now(UTC))
    columns = await conn.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'telemetry_days' AND column_name <> 'device_number'"
    )
    names = ", ".join(column["column_name"] for column in columns)
    copies = f"INSERT INTO telemetry_days (device_number, {names}) SELECT number, {names} FROM telemetry_days, unnest($1::integer[]) number"  # noqa: S608 -- the table's own columns
    await conn.execute(copies, [record["number"] for record in numbers[1:]])


async def add_park(hub: Hub, park: UUID, raw_devices: int, start: datetime, rows_days: int) -> None:
    """Raw readings, quarter-hours and hours of the park's first devices."""
    end, year_ago = start + timedelta(days=RAW_DAYS), start + timedelta(days=RAW_DAYS - 365)
    async with filler(hub) as conn:
        ensure = "SELECT solarhub_ensure_partitions($1, $2::date, $3::date)"
        for table, first in (("readings", start), ("quarter_hour", start), ("hourly_summary", year_ago)):
            await conn.execute(ensure, f"telemetry_{table}", first.date(), end.date())
        await add_readings(conn, park, raw_devices, start, rows_days)
        async with without_indexes(conn, "telemetry_quarter_hour", "telemetry_hourly_summary"):
            await conn.execute(QUARTERS, park, raw_devices, start, end, timeout=300)
            await conn.execute(HOURS, park, raw_devices, year_ago, end, timeout=300)


async def add_homes(hub: Hub, homes: UUID) -> None:
    """A year of days and months of every home and each of its devices."""
    async with filler(hub) as conn:
        local_day = await conn.fetchval("SELECT (now() AT TIME ZONE 'Asia/Karachi')::date")
        async with without_indexes(conn, "telemetry_daily_summary", "telemetry_monthly_summary"):
            await conn.execute(DAYS, homes, local_day, timeout=300)
            await conn.execute(MONTHS, homes, local_day)
        # Triggers sleep meanwhile, too.
        await conn.execute("INSERT INTO fleet_days_dirty (organization_id) VALUES ($1)", homes)


async def make_plant(hub: Hub, raw_devices: int, rows_days: int) -> Plant:
    """Fill the database."""
    db = await Database.connect(hub.app_url)
    (homes, homes_token), (park_owner, park_token) = await owner(db, hub, "homes"), await owner(db, hub, "park")
    today = datetime.now(UTC).date()
    start = datetime(today.year, today.month, today.day, tzinfo=UTC) - timedelta(days=RAW_DAYS)
    async with filler(hub) as conn:
        await conn.execute(SITE, homes, "Home ", HOMES)
        await conn.execute(SITE, park_owner, "Park ", 1)
        await conn.execute(DEVICE, homes, 2)
        await conn.execute(DEVICE, park_owner, PARK_DEVICES)
        await conn.execute(SNAPSHOT)
        park = await conn.fetchval("SELECT id FROM sites WHERE organization_id = $1", park_owner)
        device = await conn.fetchval("SELECT id FROM devices WHERE site_id = $1 ORDER BY name LIMIT 1", park)
        await asyncio.gather(add_park(hub, park, raw_devices, start, rows_days), add_homes(hub, homes))
        await conn.execute("ANALYZE")
        await keep_fleet_days(db)
        await conn.execute("VACUUM (ANALYZE)", timeout=300)
        await conn.execute("CHECKPOINT", timeout=300)
    await db.dispose()
    return Plant(homes_token, park_token, park, device, start, raw_devices * RAW_DAYS * 1440)
