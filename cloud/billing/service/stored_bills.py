"""Bills, looked at or kept: a kept one is there once and never changed; another takes the place of one that has become wrong."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.repository import bills
from cloud.billing.rules.simulation import simulate
from cloud.billing.schemas.bills import BillCheck, BillIn, BillOut, SimulatedBill
from cloud.billing.service import surplus
from cloud.billing.service.rate_book import RateBook
from cloud.billing.service.rows import simulated_columns
from cloud.billing.service.site_bills import SiteBill, simulate_site_bill
from cloud.core.errors import NotFoundError
from cloud.sites.schemas import SiteOut
from shared.periods import day_of, zone_of


def _row(site: SiteOut, body: BillIn, made: SiteBill) -> Mapping[str, Any]:
    return {
        "site_id": site.id,
        "organization_id": site.organization_id,
        "tariff_plan_id": made.tariff.id,
        "period_start": body.period_start,
        "period_end": body.period_end,
        "energy_consumed_kwh": made.consumed_kwh,
        "energy_generated_kwh": made.energy.generated_kwh,
        "energy_imported_kwh": made.energy.imported_kwh,
        "energy_exported_kwh": made.energy.exported_kwh or 0,
        "is_actual": made.is_actual,
        "coverage_percent": made.energy.coverage_percent,
        **simulated_columns(made.inputs, made.simulation),
    }


async def _store(
    conn: AsyncConnection, site: SiteOut, body: BillIn, made: SiteBill, *, now: datetime, origin: Mapping[str, Any]
) -> UUID:
    bill_id = await bills.same_bill(conn, site.id, made.simulation.content_hash)
    if bill_id is None:
        bill_id = await bills.add_bill(conn, {**_row(site, body, made), **origin})
    bill = surplus.KeptBill(bill_id, body.period_start, body.period_end, made.inputs)
    if bill.period_end < day_of(now, zone_of(site.timezone)) and surplus.is_regular(site, bill):
        await surplus.keep(conn, site, bill, made.simulation, now=now)
    return bill_id


async def simulate_bill(conn: AsyncConnection, site: SiteOut, body: BillIn, *, now: datetime) -> SimulatedBill:
    """Work out a bill and store nothing.

    Raises:
        As `simulate_site_bill`.
    """
    made = await simulate_site_bill(conn, site, body, now=now)
    return SimulatedBill.model_validate(_row(site, body, made))


async def create_bill(
    conn: AsyncConnection, site: SiteOut, body: BillIn, *, now: datetime, user_id: UUID | None
) -> BillOut:
    """Work out a bill and store it; the same bill from the same readings is stored once.

    Raises:
        As `simulate_site_bill`.
    """
    made = await work_out_alone(conn, site, body, now=now)
    bill_id = await _store(conn, site, body, made, now=now, origin={"created_by": user_id})
    return await get_bill(conn, site, bill_id)


async def work_out_alone(
    conn: AsyncConnection, site: SiteOut, body: BillIn, *, now: datetime, rates: RateBook | None = None
) -> SiteBill:
    """Work out a bill that is to be stored: until the transaction ends, nobody else stores one of the site.

    Raises:
        As `simulate_site_bill`; nothing was written then.
    """
    # The lock comes before any telemetry is read: small tables first.
    await bills.lock_site_bills(conn, site.id)
    return await simulate_site_bill(conn, site, body, now=now, rates=rates)


async def store_automatic_bill(
    conn: AsyncConnection, site: SiteOut, body: BillIn, made: SiteBill, *, now: datetime, former_id: UUID | None
) -> UUID:
    """Store the bill of a month that nobody asked for, if it is not there already.

    Args:
        conn: the transaction in which it was worked out.
        site: whose.
        body: its period.
        made: see `work_out_alone`.
        now: the present moment.
        former_id: the automatic bill of the month so far; another one takes its place and names it.

    Returns:
        The bill that is stored.
    """
    origin = {"is_automatic": True, "replaces_id": former_id}
    return await _store(conn, site, body, made, now=now, origin=origin)


async def get_bill(conn: AsyncConnection, site: SiteOut, bill_id: UUID) -> BillOut:
    """A stored bill of the site.

    Raises:
        NotFoundError: if the site has no such bill.
    """
    bill = await bills.get_bill(conn, site.id, bill_id)
    if bill is None:
        raise NotFoundError("There is no such bill.")
    return bill


async def check_bill(conn: AsyncConnection, site: SiteOut, bill_id: UUID) -> BillCheck:
    """Compute a stored bill again from its stored inputs, and compare."""
    bill = await get_bill(conn, site, bill_id)
    again = simulate(bill.inputs)
    return BillCheck(
        content_hash=again.content_hash, stored_hash=bill.content_hash, same=again.content_hash == bill.content_hash
    )
