"""Days of all sites of an organisation together: summed up once they are over, or from the sites' days where no valid sum is kept.

A kept day is valid while nothing queues it (see `FleetDayDirty`). Readers look at both in one snapshot, so that they never see a sum that
is behind what they could sum up themselves. Who keeps days takes the queue's rows away before it sums: what is queued afterwards stays.
One at a time does so for an organisation, or an older sum could come to lie over a newer one.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.schemas import Scope
from cloud.core.db import asyncpg_of
from cloud.telemetry.rules.facts import Flow

ENERGIES = tuple(f"energy_{flow.value}_kwh" for flow in Flow)
SUMMED = (*ENERGIES, "self_consumed_kwh", "co2_avoided_kg")

_OF_KNOWN = {
    "generated_of_known_use_kwh": ("energy_generated_kwh", "self_consumed_kwh"),
    "consumed_of_known_import_kwh": ("energy_consumed_kwh", "energy_imported_kwh"),
    "imported_of_known_use_kwh": ("energy_imported_kwh", "energy_consumed_kwh"),
}
SUMS = ", ".join(
    [
        *(f"sum({name}) AS {name}" for name in SUMMED),
        *(f"sum({name}) FILTER (WHERE {known} IS NOT NULL) AS {total}" for total, (name, known) in _OF_KNOWN.items()),
    ]
)
"""Every energy, and what a share needs: generation and use are only held against each other where both were measured."""

ONE_EACH = "count(energy_generated_kwh) AS sites_with_data"
"""Sites whose generation is known, where every site has one row."""

# A scope without limits has NULL for its organisations. The status is compared as text: of an enum, the planner may not use statistics
# on a table with policies, and takes it that no row is left.
SITES_IN_SCOPE = """
    SELECT id AS site_id, timezone FROM sites
    WHERE status::text <> 'decommissioned' AND ($1::uuid[] IS NULL OR organization_id = ANY ($1::uuid[]))
"""

_TOTALS = (*SUMMED, *_OF_KNOWN)
_KEPT = (*_TOTALS, "sites_with_data")

# By the clock of the database, as the triggers that queue days go by it.
_FIRST_TO_COME = "(now() AT TIME ZONE 'UTC')::date - 2"
_IS_OVER = f"summary_date < {_FIRST_TO_COME}"

# Whether a day is queued is looked up for each by itself (a subquery's result, not a join): a flood of late readings queues many.
_DAYS = f"""
    WITH kept AS MATERIALIZED (
        SELECT fleet.* FROM telemetry_fleet_days AS fleet
        WHERE ($1::uuid[] IS NULL OR organization_id = ANY ($1::uuid[])) AND summary_date >= $2 AND summary_date <= $3 AND {_IS_OVER}
            AND (SELECT true FROM fleet_days_dirty AS dirty
                 WHERE dirty.organization_id = fleet.organization_id AND dirty.summary_date = fleet.summary_date LIMIT 1) IS NULL
            AND (SELECT true FROM fleet_days_dirty AS dirty
                 WHERE dirty.organization_id = fleet.organization_id AND dirty.summary_date IS NULL LIMIT 1) IS NULL
    )
    SELECT $2::date + day AS summary_date, {", ".join(f"sum({name}) AS {name}" for name in _TOTALS)},
        coalesce(sum(sites_with_data), 0) AS sites_with_data,
        array_agg(organization.id) FILTER (WHERE kept.organization_id IS NULL) AS to_be_summed,
        (SELECT count(*) FROM ({SITES_IN_SCOPE}) AS site) AS sites
    FROM generate_series(0, $3::date - $2::date) AS day
    LEFT JOIN organizations AS organization ON $1::uuid[] IS NULL OR organization.id = ANY ($1::uuid[])
    LEFT JOIN kept ON kept.organization_id = organization.id AND kept.summary_date = $2::date + day
    GROUP BY day ORDER BY day
"""  # noqa: S608 -- columns of our own

# Few sites are decommissioned, or none: leaving these out costs less for each day than looking every site up, and the planner keeps
# its idea of how many days there are.
_FROM_SITES = f"""
    SELECT {{key}}summary_date, {SUMS}, {ONE_EACH}
    FROM unnest($1::uuid[], $2::date[]) AS wanted (organization_id, summary_date)
    JOIN telemetry_daily_summary USING (organization_id, summary_date)
    WHERE device_id IS NULL AND site_id <> ALL (ARRAY (
        SELECT id FROM sites WHERE status::text = 'decommissioned' AND organization_id = ANY ($1::uuid[])
    ))
    GROUP BY {{key}}summary_date
"""  # noqa: S608 -- columns of our own
_DAYS_FROM_SITES = _FROM_SITES.format(key="")


def organizations_of(scope: Scope) -> list[UUID] | None:
    """For SQL; None = all."""
    return None if scope.everything else sorted(scope.organization_ids)


async def days_in_scope(
    conn: AsyncConnection, scope: Scope, *, first: date, last: date
) -> tuple[int, dict[date, Mapping[str, Any]]]:
    """How many sites are in scope and not decommissioned, and their energies together by local day."""
    pg = await asyncpg_of(conn)
    kept = await pg.fetch(_DAYS, organizations_of(scope), first, last)
    days: dict[date, Mapping[str, Any]] = {record["summary_date"]: record for record in kept}
    wanted = [(whose, record["summary_date"]) for record in kept for whose in record["to_be_summed"] or ()]
    if wanted:
        for record in await pg.fetch(_DAYS_FROM_SITES, *map(list, zip(*wanted, strict=True))):
            before = days[record["summary_date"]]
            days[record["summary_date"]] = {name: _plus(before[name], record[name]) for name in _KEPT}
    return kept[0]["sites"], days


def _plus(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


_TOO_EARLY = f"""
    WITH early AS (
        DELETE FROM telemetry_fleet_days WHERE summary_date >= {_FIRST_TO_COME} RETURNING organization_id, summary_date
    )
    INSERT INTO fleet_days_dirty (organization_id, summary_date) SELECT * FROM early
"""  # noqa: S608 -- a condition of our own


async def forget_early(conn: AsyncConnection) -> None:
    """Queue anew what was kept while the database's clock was ahead: its days are not over, and their changes are not queued."""
    pg = await asyncpg_of(conn)
    await pg.execute(_TOO_EARLY)


_WAITING = f"""
    SELECT DISTINCT organization_id FROM fleet_days_dirty WHERE summary_date IS NULL OR {_IS_OVER}
"""  # noqa: S608 -- a condition of our own


async def waiting_organizations(conn: AsyncConnection) -> list[UUID]:
    """Organisations with days to be kept."""
    pg = await asyncpg_of(conn)
    return [record["organization_id"] for record in await pg.fetch(_WAITING)]


async def try_lock(conn: AsyncConnection, organization_id: UUID) -> bool:
    """Be the only one to keep days of this organisation until the transaction ends; False if somebody else is."""
    pg = await asyncpg_of(conn)
    locked: bool = await pg.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('fleet days ' || $1::uuid::text, 0))", organization_id
    )
    return locked


async def forget_all(conn: AsyncConnection, organization_id: UUID) -> None:
    """Where all days of an organisation are queued, queue each that there is, and keep none."""
    pg = await asyncpg_of(conn)
    gone = await pg.execute(
        "DELETE FROM fleet_days_dirty WHERE organization_id = $1 AND summary_date IS NULL", organization_id
    )
    if gone == "DELETE 0":
        return
    await pg.execute("DELETE FROM telemetry_fleet_days WHERE organization_id = $1", organization_id)
    await pg.execute(
        """
        INSERT INTO fleet_days_dirty (organization_id, summary_date)
        SELECT DISTINCT organization_id, summary_date FROM telemetry_daily_summary WHERE organization_id = $1 AND device_id IS NULL
        """,
        organization_id,
    )


_TAKE = f"""
    WITH taken AS (
        DELETE FROM fleet_days_dirty WHERE organization_id = $1 AND summary_date IN (
            SELECT DISTINCT summary_date FROM fleet_days_dirty WHERE organization_id = $1 AND {_IS_OVER} ORDER BY summary_date DESC LIMIT $2
        ) RETURNING summary_date
    )
    SELECT DISTINCT summary_date FROM taken
"""  # noqa: S608 -- a condition of our own


async def take_days(conn: AsyncConnection, organization_id: UUID, *, limit: int) -> list[date]:
    """Take so many days out of the queue, the newest first."""
    pg = await asyncpg_of(conn)
    return [record["summary_date"] for record in await pg.fetch(_TAKE, organization_id, limit)]


_KEEP = f"""
    INSERT INTO telemetry_fleet_days (organization_id, summary_date, {", ".join(_KEPT)})
    {_FROM_SITES.format(key="organization_id, ")}
"""


async def keep_days(conn: AsyncConnection, organization_id: UUID, days: Sequence[date]) -> None:
    """Sum up and keep these days in the place of what was kept of them."""
    pg = await asyncpg_of(conn)
    await pg.execute(
        "DELETE FROM telemetry_fleet_days WHERE organization_id = $1 AND summary_date = ANY ($2::date[])",
        organization_id,
        days,
    )
    await pg.execute(_KEEP, [organization_id] * len(days), days)
