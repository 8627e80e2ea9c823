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
    ]
)
"""Every energy, and what a share needs: generation and use are only held against each other where both were measured."""

_ONE_EACH = "count(energy_generated_kwh) AS sites_with_data"
"""Sites whose generation is known, where every site has one row."""

# A scope without limits has NULL for its organisations. The status is compared as text: of an enum, the planner may not use statistics
# on a table with policies, and takes it that no row is left.
_SITES_IN_SCOPE = """
    SELECT id AS site_id, timezone FROM sites
    WHERE status::text <> 'decommissioned' AND ($1::uuid[] IS NULL OR organization_id = ANY ($1::uuid[]))
"""
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
        SELECT site_id, year, month, {", ".join(_SUMMED)}, year = extract(year FROM today)::integer AS is_this_year,
            month = extract(month FROM today)::integer AS is_month_of_today
        FROM telemetry_monthly_summary JOIN calendar USING (site_id) WHERE device_id IS NULL
    )
    SELECT 'today' AS span, NULL::date AS since, (SELECT count(*) FROM calendar) AS sites, {_SUMS}, {_ONE_EACH}
    FROM calendar JOIN telemetry_daily_summary USING (site_id) WHERE device_id IS NULL AND summary_date = today
    UNION ALL
    SELECT 'month', NULL, NULL, {_SUMS}, {_ONE_EACH} FROM months WHERE is_this_year AND is_month_of_today
    UNION ALL
    SELECT 'year', NULL, NULL, {_SUMS}, {_MANY_EACH.format("is_this_year")} FROM months WHERE is_this_year
    UNION ALL
    SELECT 'lifetime', min(make_date(year, month, 1)) FILTER (WHERE energy_generated_kwh IS NOT NULL), NULL,
        {_SUMS}, {_MANY_EACH.format("true")}
    FROM months
"""  # noqa: S608 -- columns of our own
_TOTALS_IN_SCOPE = _TOTALS.format(sites=_SITES_IN_SCOPE)
_TOTALS_OF_SITE = _TOTALS.format(sites="SELECT id AS site_id, timezone FROM sites WHERE id = $1")

# Few sites are decommissioned, or none: leaving these out costs less for each day than looking every site up, and the planner keeps
# its idea of how many days there are.
_DAYS = f"""
    WITH day AS (
        SELECT summary_date, {_SUMS}, {_ONE_EACH} FROM telemetry_daily_summary
        WHERE device_id IS NULL AND summary_date >= $2 AND summary_date <= $3 {{organizations}} AND site_id <> ALL (ARRAY (
            SELECT id FROM sites
            WHERE status::text = 'decommissioned' AND ($1::uuid[] IS NULL OR organization_id = ANY ($1::uuid[]))
        ))
        GROUP BY summary_date
    )
    SELECT (SELECT count(*) FROM ({_SITES_IN_SCOPE}) AS site) AS sites, day.* FROM (SELECT) AS one LEFT JOIN day ON true
"""  # noqa: S608 -- columns of our own
_DAYS_OF_ALL = _DAYS.format(organizations="")
_DAYS_IN_SCOPE = _DAYS.format(organizations="AND organization_id = ANY ($1::uuid[])")
"""Spelled out, so that the days are found in the index of organisations and days."""


def _organizations(scope: Scope) -> list[UUID] | None:
    return None if scope.everything else sorted(scope.organization_ids)


async def totals_in_scope(conn: AsyncConnection, scope: Scope, *, now: datetime) -> dict[str, asyncpg.Record]:
    """Energies of all sites in scope that are not decommissioned: `today`, `month`, `year` and `lifetime`, by each site's own calendar.

    `sites` of `today` counts the sites.
    """
    pg = await asyncpg_of(conn)
    return {record["span"]: record for record in await pg.fetch(_TOTALS_IN_SCOPE, _organizations(scope), now)}


async def totals_of_site(conn: AsyncConnection, site_id: UUID, *, now: datetime) -> dict[str, asyncpg.Record]:
    """The same of one site."""
    pg = await asyncpg_of(conn)
    return {record["span"]: record for record in await pg.fetch(_TOTALS_OF_SITE, site_id, now)}


async def days_in_scope(
    conn: AsyncConnection, scope: Scope, *, first: date, last: date
) -> tuple[int, dict[date, asyncpg.Record]]:
    """How many sites are in scope and not decommissioned, and their energies together by local day."""
    pg = await asyncpg_of(conn)
    statement = _DAYS_OF_ALL if scope.everything else _DAYS_IN_SCOPE
    records = await pg.fetch(statement, _organizations(scope), first, last)
    return records[0]["sites"], {record["summary_date"]: record for record in records if record["summary_date"]}


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
