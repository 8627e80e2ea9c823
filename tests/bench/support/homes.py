"""Homes with a meter and solar, set up for billing, and the quarter-hours of the months that a bill reads."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from cloud.billing.loading import load_tariffs
from cloud.core.db import SYSTEM, Database
from tests.bench.support.hub import Hub
from tests.bench.support.park import filler, owner, without_indexes

BILLED = (date(2026, 7, 1), date(2026, 9, 1))
"""The bill's month, and the month whose fuel charge it carries."""
AFTER = datetime(2026, 10, 5, 6, 0, tzinfo=UTC)
"""September's bill is due, no other month's."""

SITES = """
INSERT INTO sites (id, organization_id, name, status, timezone, address, configuration)
SELECT gen_random_uuid(), $1, 'Home ' || lpad(n::text, 5, '0'), 'active', 'Asia/Karachi', '{"city": "Lahore", "state": "Punjab"}',
    jsonb_build_object('system_capacity_kw', 8, 'inverter_capacity_kw', 8, 'disco_provider', 'lesco', 'net_metering_enabled', true,
        'tariff_category', 'residential_unprotected', 'sanctioned_load_kw', 5 + n % 6)
FROM generate_series(1, $2::integer) n
"""
QUARTERS = """
INSERT INTO telemetry_quarter_hour (site_id, organization_id, bucket, generated_wh, consumed_wh, imported_wh, exported_wh, n_valid,
    n_expected, covered_seconds, algorithm_version)
SELECT id, organization_id, bucket, sun, load, greatest(load - sun, 0), greatest(sun - load, 0), 15, 15, 900, 1
FROM (
    SELECT s.id, s.organization_id, bucket,
        (2000 * greatest(0, -cos(pi() * extract(epoch FROM bucket AT TIME ZONE 'Asia/Karachi') / 43200)))::integer AS sun,
        (200 + (hashtext(s.id::text || bucket::text) & 511))::integer AS load
    FROM sites s, generate_series($2::date::timestamp AT TIME ZONE 'Asia/Karachi',
        ($2::date + interval '1 month - 1 second') AT TIME ZONE 'Asia/Karachi', interval '15 minutes') bucket
    WHERE s.organization_id = $1
) quarters
"""


async def make_homes(hub: Hub, db: Database, count: int) -> int:
    """Fill the database; gives the number of quarter-hours."""
    organization: UUID
    organization, _ = await owner(db, hub, "homes")
    async with db.transaction(SYSTEM) as conn:
        await load_tariffs(conn)
    async with filler(hub) as filling:
        await filling.execute(SITES, organization, count)
        first, last = BILLED[0] - timedelta(days=1), AFTER.date()
        await filling.execute(
            "SELECT solarhub_ensure_partitions('telemetry_quarter_hour', $1::date, $2::date)", first, last
        )
        async with without_indexes(filling, "telemetry_quarter_hour"):
            for month in BILLED:
                await filling.execute(QUARTERS, organization, month, timeout=600)
        await filling.execute("VACUUM (ANALYZE)", timeout=600)
        rows: int = await filling.fetchval("SELECT count(*) FROM telemetry_quarter_hour")
    return rows
