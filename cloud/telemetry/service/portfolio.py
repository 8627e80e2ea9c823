"""Energies of a site or of all sites at a glance."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.schemas import Scope
from cloud.sites.schemas import SiteOut
from cloud.telemetry.repository import fleet_days
from cloud.telemetry.repository import portfolio as repository
from cloud.telemetry.rules.shares import part_percent
from cloud.telemetry.schemas import (
    Flows,
    FlowTotals,
    PortfolioDay,
    PortfolioEnergy,
    PortfolioSite,
    SiteSummary,
    Summary,
)
from cloud.telemetry.service.reading import check_days
from cloud.web.paging import Page, Paging
from shared.periods import days_between

_PLAIN = tuple(name for name in FlowTotals.model_fields if not name.endswith("_percent"))


async def site_summary(conn: AsyncConnection, site: SiteOut, *, now: datetime) -> SiteSummary:
    """Today, this month, this year and all time of one site."""
    spans = await repository.totals_of_site(conn, site.id, now=now)
    return SiteSummary(site_id=site.id, timezone=site.timezone, **_spans(spans, now=now))


async def summary(conn: AsyncConnection, scope: Scope, *, now: datetime) -> Summary:
    """Today, this month, this year and all time of every site in scope together."""
    spans = await repository.totals_in_scope(conn, scope, now=now)
    return Summary(**_spans(spans, now=now))


async def energy(conn: AsyncConnection, scope: Scope, *, first: date, last: date) -> PortfolioEnergy:
    """Days of every site in scope together.

    Raises:
        ValidationFailedError: if the last day is before the first, or there are too many.
    """
    check_days(first, last)
    sites, rows = await fleet_days.days_in_scope(conn, scope, first=first, last=last)
    days = [PortfolioDay(date=day, **_totals(rows[day])) for day in days_between(first, last)]
    return PortfolioEnergy(sites=sites, first_day=first, last_day=last, days=days)


async def page(conn: AsyncConnection, scope: Scope, paging: Paging, *, now: datetime) -> Page[PortfolioSite]:
    """A page of the sites in scope, each at a glance."""
    sites, next_cursor = await repository.page_of_sites(conn, scope, paging)
    seen = await repository.glance(conn, [site["id"] for site in sites], now=now)
    items = [_at_a_glance(site, seen[site["id"]]) for site in sites if site["id"] in seen]
    return Page[PortfolioSite](items=items, next_cursor=next_cursor)


def _at_a_glance(site: Mapping[str, Any], row: Mapping[str, Any]) -> PortfolioSite:
    known = {name: row[name] for name in PortfolioSite.model_fields if name in row}
    energies = {
        span: Flows(**{name: row[f"{span}_{name}"] for name in Flows.model_fields}) for span in ("today", "month")
    }
    named = {name: site[name] for name in ("organization_id", "name", "status", "timezone")}
    return PortfolioSite(**{**known, **named, **energies, "site_id": site["id"]})


def _spans(rows: Mapping[str, Mapping[str, Any]], *, now: datetime) -> dict[str, Any]:
    totals = {span: FlowTotals(**_totals(row)) for span, row in rows.items()}
    return {**totals, "since": rows["lifetime"]["since"], "sites": rows["today"]["sites"], "at": now}


def _totals(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `FlowTotals` from summed rows."""
    known_import, known_use = row["consumed_of_known_import_kwh"], row["imported_of_known_use_kwh"]
    saved = None if known_import is None or known_use is None else known_import - known_use
    return {
        **{name: row[name] for name in _PLAIN},
        "self_consumption_percent": part_percent(row["self_consumed_kwh"], row["generated_of_known_use_kwh"]),
        "self_sufficiency_percent": part_percent(saved, known_import),
    }
