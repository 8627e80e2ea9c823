"""Energies of sites summed up over days, months and years, and all sites of a person at a glance."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.schemas import Scope
from cloud.auth.scope import scoped
from cloud.core.db import asyncpg_of
from cloud.sites.tables import Site
from cloud.telemetry.rules.facts import Flow
from cloud.web.paging import Paging
from shared.enums import SiteStatus

_ENERGIES = tuple(f"energy_{flow.value}_kwh" for flow in Flow)
_SUMMED = (*_ENERGIES, "self_consumed_kwh", "co2_avoided_kg")


_SUMS = ", ".join(
    [
        *(f"sum({name}) AS {name}" for name in _SUMMED),
        "sum(energy_generated_kwh) FILTER (WHERE self_consumed_kwh IS NOT NULL) AS generated_of_known_use",
        "sum(energy_consumed_kwh) FILTER (WHERE energy_imported_kwh IS NOT NULL) AS consumed_of_known_import",
        "sum(energy_imported_kwh) FILTER (WHERE energy_consumed_kwh IS NOT NULL) AS imported_of_known_use",
        "count(DISTINCT site_id) FILTER (WHERE energy_generated_kwh IS NOT NULL) AS sites_with_data",
    ]
)
"""Every energy, and what a share needs: generation and use are only held against each other where both were measured."""

# A site's day is its own local day, so that each site's today, month and year are looked up by its own calendar.
_SITE_CALENDAR = """
    SELECT id AS site_id, ($2::timestamptz AT TIME ZONE timezone)::date AS today FROM sites WHERE id = ANY ($1::uuid[])
"""
_TOTALS = f"""
    WITH calendar AS MATERIALIZED ({_SITE_CALENDAR})
    SELECT 'today' AS span, NULL::date AS since, {_SUMS}
    FROM calendar JOIN telemetry_daily_summary USING (site_id) WHERE device_id IS NULL AND summary_date = today
    UNION ALL
    SELECT 'month', NULL, {_SUMS}
    FROM calendar JOIN telemetry_monthly_summary USING (site_id)
    WHERE device_id IS NULL AND year = extract(year FROM today)::integer AND month = extract(month FROM today)::integer
    UNION ALL
    SELECT 'year', NULL, {_SUMS}
    FROM calendar JOIN telemetry_monthly_summary USING (site_id)
    WHERE device_id IS NULL AND year = extract(year FROM today)::integer
    UNION ALL
    SELECT 'lifetime', min(make_date(year, month, 1)) FILTER (WHERE energy_generated_kwh IS NOT NULL), {_SUMS}
    FROM calendar JOIN telemetry_monthly_summary USING (site_id) WHERE device_id IS NULL
"""  # noqa: S608 -- columns of our own


async def energy_totals(conn: AsyncConnection, site_ids: Sequence[UUID], *, now: datetime) -> dict[str, asyncpg.Record]:
    """Energies of these sites together: `today`, `month`, `year` and `lifetime`, by each site's own calendar."""
    pg = await asyncpg_of(conn)
    return {record["span"]: record for record in await pg.fetch(_TOTALS, site_ids, now)}


async def days_of_sites(
    conn: AsyncConnection, site_ids: Sequence[UUID], *, first: date, last: date
) -> dict[date, asyncpg.Record]:
    """Energies of these sites together, by local day."""
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        f"""
        SELECT summary_date, {_SUMS} FROM telemetry_daily_summary
        WHERE site_id = ANY ($1::uuid[]) AND device_id IS NULL AND summary_date >= $2 AND summary_date <= $3
        GROUP BY summary_date
        """,  # noqa: S608 -- columns of our own
        site_ids,
        first,
        last,
    )
    return {record["summary_date"]: record for record in records}


async def site_ids_in(conn: AsyncConnection, scope: Scope) -> list[UUID]:
    """Every site in scope that has not been decommissioned."""
    statement = scoped(select(Site.id).where(Site.status != SiteStatus.DECOMMISSIONED), Site.organization_id, scope)
    return list((await conn.execute(statement)).scalars())


async def page_of_sites(
    conn: AsyncConnection, scope: Scope, paging: Paging
) -> tuple[Sequence[dict[str, Any]], str | None]:
    """A page of the sites in scope, by name."""
    columns = (Site.id, Site.organization_id, Site.name, Site.status, Site.timezone)
    statement = scoped(select(*columns).where(Site.status != SiteStatus.DECOMMISSIONED), Site.organization_id, scope)
    page = paging.apply(statement, Site.name, Site.id)
    sites = [dict(row) for row in (await conn.execute(page)).mappings()]
    return paging.split(sites, key=lambda site: (site["name"], site["id"]))


# The fence (OFFSET 0) keeps the view whole for each site of the page, so that it reads this site's devices only and not
# those of every site that the person may see.
_GLANCE = f"""
    WITH calendar AS MATERIALIZED ({_SITE_CALENDAR})
    SELECT calendar.*, live.*, day.*, month.*, open.*
    FROM calendar
    CROSS JOIN LATERAL (
        SELECT total_power_kw AS pv_power_kw, grid_power_kw, battery_power_kw, load_power_kw, battery_soc_percent,
            devices_reporting, devices_stale, newest_reading_at
        FROM v_site_telemetry_live view WHERE view.site_id = calendar.site_id OFFSET 0
    ) live
    LEFT JOIN LATERAL (
        SELECT {", ".join(f"{name} AS today_{name}" for name in _ENERGIES)} FROM telemetry_daily_summary
        WHERE site_id = calendar.site_id AND device_id IS NULL AND summary_date = today
    ) day ON true
    LEFT JOIN LATERAL (
        SELECT {", ".join(f"{name} AS month_{name}" for name in _ENERGIES)} FROM telemetry_monthly_summary
        WHERE site_id = calendar.site_id AND device_id IS NULL AND year = extract(year FROM today)::integer
            AND month = extract(month FROM today)::integer
    ) month ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS open_alerts, count(*) FILTER (WHERE severity = 'critical') AS critical_alerts FROM alerts
        WHERE site_id = calendar.site_id AND status IN ('active', 'acknowledged')
    ) open
"""  # noqa: S608 -- columns of our own


async def glance(conn: AsyncConnection, site_ids: Sequence[UUID], *, now: datetime) -> dict[UUID, asyncpg.Record]:
    """What each of these sites does now, its energies of today and this month, and its open alerts."""
    pg = await asyncpg_of(conn)
    return {record["site_id"]: record for record in await pg.fetch(_GLANCE, site_ids, now)}
