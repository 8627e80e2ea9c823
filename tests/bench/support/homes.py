"""Homes with a meter and solar, set up for billing, with the quarter-hours of the month that is billed.

The month's quarter-hours are rows of the real table, in the order in which they would have come: every home's of one hour, then of the
next, so that a home's month lies scattered over it. What a bill needs of the months before it (July's units carry the fuel charge,
August's surplus is brought forward) is what their bills have left behind, as in a running system.
"""

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import asyncpg

from cloud.billing.loading import load_tariffs
from cloud.core.db import SYSTEM, Database
from tests.bench.support.hub import Hub
from tests.bench.support.park import filler, owner, without_indexes

BILLED = date(2026, 9, 1)
"""The bill's month."""
AFTER = datetime(2026, 10, 5, 6, 0, tzinfo=UTC)
"""September's bill is due, no other month's."""
PARTS = (date(2026, 9, 1), date(2026, 9, 16), date(2026, 10, 1))
"""Each connection that fills writes the days from one of them up to the next."""
SHAPES = 250
"""Courses of sun and load; every home has one of them, and a load of its own below it."""

SITES = """
INSERT INTO sites (id, organization_id, name, status, timezone, address, configuration)
SELECT md5('home ' || n)::uuid, $1, 'Home ' || lpad(n::text, 5, '0'), 'active', 'Asia/Karachi', '{"city": "Lahore", "state": "Punjab"}',
    jsonb_build_object('system_capacity_kw', 8, 'inverter_capacity_kw', 8, 'disco_provider', 'lesco', 'net_metering_enabled', true,
        'tariff_category', 'residential_unprotected', 'sanctioned_load_kw', 5 + n % 6)
FROM generate_series(1, $2::integer) n
"""
FORMER_BILLS = """
WITH units AS (
    SELECT s.id AS site_id, s.organization_id, first::date, (first + interval '1 month - 1 day')::date AS last,
        md5(s.id::text || first::text)::uuid AS bill_id, 300 + (hashtext(s.id::text) & 127) AS kwh
    FROM sites s, unnest('{2026-07-01, 2026-08-01}'::timestamp[]) first WHERE s.organization_id = $1
), bills AS (
    INSERT INTO billing_simulations (id, site_id, organization_id, tariff_plan_id, period_start, period_end, energy_consumed_kwh,
        energy_imported_kwh, bill_breakdown, savings_breakdown, inputs, estimated_bill_pkr, is_actual, is_automatic)
    SELECT bill_id, site_id, organization_id, (SELECT id FROM tariff_plans WHERE disco_provider = 'lesco'
            AND category = 'residential_unprotected' AND effective_to IS NULL AND variant = 'standard'),
        first, last, 2 * kwh, kwh, jsonb_build_object('billed_kwh', kwh::text), '{}', '{"case": {"max_demand_kw": "4.5"}}',
        40 * kwh, true, true
    FROM units
), runs AS (
    INSERT INTO billing_runs (site_id, organization_id, bill_month, period_start, period_end, state, due_at, settled_at, bill_id)
    SELECT site_id, organization_id, first, first, last, 'billed', now(), now(), bill_id FROM units
)
INSERT INTO export_ledger (site_id, organization_id, bill_month, period_start, period_end, bill_id, computed_at, off_peak_added_kwh,
    off_peak_carried_kwh)
SELECT site_id, organization_id, first, first, last, bill_id, now(), kwh / 10, kwh / 10 FROM units WHERE first = '2026-08-01'
"""
COURSES = """
CREATE TEMP TABLE courses AS
SELECT bucket, shape,
    ((900 + 4 * shape) * greatest(0, -cos(pi() * extract(epoch FROM bucket AT TIME ZONE 'Asia/Karachi') / 43200)))::integer AS sun,
    (250 + (hashtext(shape::text || bucket::text) & 511))::integer AS load
FROM generate_series('{first}'::timestamp AT TIME ZONE 'Asia/Karachi',
    ('{last}'::timestamp - interval '1 second') AT TIME ZONE 'Asia/Karachi', interval '15 minutes') bucket,
    generate_series(0, {shapes} - 1) shape
ORDER BY bucket, shape
"""
QUARTERS = """
INSERT INTO telemetry_quarter_hour (site_id, organization_id, bucket, generated_wh, consumed_wh, imported_wh, exported_wh, n_valid,
    n_expected, covered_seconds, algorithm_version)
SELECT id, $1, bucket, sun, load + own, greatest(load + own - sun, 0), greatest(sun - load - own, 0), 15, 15, 900, 1
FROM courses JOIN (
    SELECT id, (row_number() OVER (ORDER BY id) % $2)::integer AS shape, hashtext(id::text) & 127 AS own
    FROM sites WHERE organization_id = $1
) homes USING (shape)
WHERE bucket >= $3 AND bucket < $3 + interval '1 hour'
"""


async def make_homes(hub: Hub, db: Database, count: int) -> int:
    """Fill the database; gives the number of quarter-hours."""
    organization: UUID
    organization, _ = await owner(db, hub, "homes")
    async with db.transaction(SYSTEM) as conn:
        await load_tariffs(conn)
    async with filler(hub) as filling:
        await filling.execute(SITES, organization, count)
        await filling.execute(FORMER_BILLS, organization)
        await filling.execute("ANALYZE sites")
        await filling.execute(
            "SELECT solarhub_ensure_partitions('telemetry_quarter_hour', $1::date, $2::date)",
            BILLED - timedelta(days=1),
            AFTER.date(),
        )
        await filling.execute("SET maintenance_work_mem = '512MB'")
        # One checkpoint after the filling, not one for each GB of it.
        await filling.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        await filling.execute("SELECT pg_reload_conf()")
        async with without_indexes(filling, "telemetry_quarter_hour"):
            rows = await asyncio.gather(*(_fill(hub, organization, first, last) for first, last in pairwise(PARTS)))
        await filling.execute("VACUUM (ANALYZE)", timeout=600)
        await filling.execute("ALTER SYSTEM RESET max_wal_size")
        await filling.execute("SELECT pg_reload_conf()")
        await filling.execute("CHECKPOINT", timeout=300)
    return sum(rows)


async def _fill(hub: Hub, organization: UUID, first: date, last: date) -> int:
    """Write every home's quarter-hours from one local day up to another; gives how many."""
    async with filler(hub) as filling:
        await filling.execute(COURSES.format(first=first, last=last, shapes=SHAPES))
        await filling.execute("CREATE INDEX ON courses (bucket)")
        await filling.execute("ANALYZE courses")
        rows = 0
        for hour in await filling.fetch("SELECT DISTINCT date_trunc('hour', bucket) AS start FROM courses ORDER BY 1"):
            done: str = await filling.execute(QUARTERS, organization, SHAPES, hour["start"])
            rows += int(done.rsplit(maxsplit=1)[-1])
    return rows


async def size_of(conn: asyncpg.Connection) -> int:
    """Bytes of the database."""
    size: int = await conn.fetchval("SELECT pg_database_size(current_database())")
    return size
