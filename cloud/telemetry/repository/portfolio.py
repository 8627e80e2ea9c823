"""Energies of sites summed up over today, the month, the year and all time, and all sites of a person at a glance."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.schemas import Scope
from cloud.auth.scope import scoped
from cloud.core.db import asyncpg_of
from cloud.sites.tables import Site
from cloud.telemetry.repository.fleet_days import ENERGIES, ONE_EACH, SITES_IN_SCOPE, SUMMED, SUMS, organizations_of
from cloud.web.paging import Paging
from shared.enums import SiteStatus

_MANY_EACH = """
    (SELECT count(*) FROM (
        SELECT FROM months WHERE energy_generated_kwh IS NOT NULL AND {} GROUP BY site_id
    ) AS site) AS sites_with_data
"""
# A site's day is its own local day, so that each site's today, month and year are looked up by its own calendar.
_TOTALS = f"""
    WITH calendar AS MATERIALIZED (
        SELECT site_id, ($2::timestamptz AT TIME ZONE timezone)::date AS today FROM ({{sites}}) AS site
    ), months AS MATERIALIZED (
        SELECT site_id, year, month, {", ".join(SUMMED)}, year = extract(year FROM today)::integer AS is_this_year,
            month = extract(month FROM today)::integer AS is_month_of_today
        FROM telemetry_monthly_summary JOIN calendar USING (site_id) WHERE device_id IS NULL
    )
    SELECT 'today' AS span, NULL::date AS since, (SELECT count(*) FROM calendar) AS sites, {SUMS}, {ONE_EACH}
    FROM calendar JOIN telemetry_daily_summary USING (site_id) WHERE device_id IS NULL AND summary_date = today
    UNION ALL
    SELECT 'month', NULL, NULL, {SUMS}, {ONE_EACH} FROM months WHERE is_this_year AND is_month_of_today
    UNION ALL
    SELECT 'year', NULL, NULL, {SUMS}, {_MANY_EACH.format("is_this_year")} FROM months WHERE is_this_year
    UNION ALL
    SELECT 'lifetime', min(make_date(year, month, 1)) FILTER (WHERE energy_generated_kwh IS NOT NULL), NULL,
        {SUMS}, {_MANY_EACH.format("true")}
    FROM months
"""  # noqa: S608 -- columns of our own
_TOTALS_IN_SCOPE = _TOTALS.format(sites=SITES_IN_SCOPE)
_TOTALS_OF_SITE = _TOTALS.format(sites="SELECT id AS site_id, timezone FROM sites WHERE id = $1")


async def totals_in_scope(conn: AsyncConnection, scope: Scope, *, now: datetime) -> dict[str, asyncpg.Record]:
    """Energies of all sites in scope that are not decommissioned: `today`, `month`, `year` and `lifetime`, by each site's own calendar.

    `sites` of `today` counts the sites.
    """
    pg = await asyncpg_of(conn)
    return {record["span"]: record for record in await pg.fetch(_TOTALS_IN_SCOPE, organizations_of(scope), now)}


async def totals_of_site(conn: AsyncConnection, site_id: UUID, *, now: datetime) -> dict[str, asyncpg.Record]:
    """The same of one site."""
    pg = await asyncpg_of(conn)
    return {record["span"]: record for record in await pg.fetch(_TOTALS_OF_SITE, site_id, now)}


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
    WITH calendar AS MATERIALIZED (
        SELECT id AS site_id, ($2::timestamptz AT TIME ZONE timezone)::date AS today FROM sites WHERE id = ANY ($1::uuid[])
    )
    SELECT calendar.*, live.*, day.*, month.*, open.*
    FROM calendar
    CROSS JOIN LATERAL (
        SELECT total_power_kw AS pv_power_kw, grid_power_kw, battery_power_kw, load_power_kw, battery_soc_percent,
            devices_reporting, devices_stale, newest_reading_at
        FROM v_site_telemetry_live view WHERE view.site_id = calendar.site_id OFFSET 0
    ) live
    LEFT JOIN LATERAL (
        SELECT {", ".join(f"{name} AS today_{name}" for name in ENERGIES)} FROM telemetry_daily_summary
        WHERE site_id = calendar.site_id AND device_id IS NULL AND summary_date = today
    ) day ON true
    LEFT JOIN LATERAL (
        SELECT {", ".join(f"{name} AS month_{name}" for name in ENERGIES)} FROM telemetry_monthly_summary
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
