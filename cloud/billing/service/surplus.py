"""The surplus of net metering from bill to bill of a site, as the ledger keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.repository import bills, runs
from cloud.billing.repository import ledger as store
from cloud.billing.rules.kinds import ExportScheme, PricingRule
from cloud.billing.rules.ledger import ledger_entry, opens_quarter
from cloud.billing.rules.metering.cycle import bill_period
from cloud.billing.rules.model import BillWarning
from cloud.billing.rules.month import Month
from cloud.billing.rules.records import pricing_rule_of
from cloud.billing.rules.simulation import Simulation, case_json, case_of, simulate
from cloud.billing.schemas.bills import BillIn
from cloud.billing.service.rows import simulated_columns
from cloud.sites.schemas import SiteOut

_ZERO = Decimal(0)
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Brought:
    """Surplus that a bill begins with, kWh."""

    off_peak_kwh: Decimal = _ZERO
    peak_kwh: Decimal = _ZERO
    notes: tuple[BillWarning, ...] = ()


async def brought_forward(conn: AsyncConnection, site: SiteOut, body: BillIn, scheme: ExportScheme) -> Brought:
    """What the bill begins with: as told, else what the bill of the month before carried; nothing at the start of a quarter."""
    if scheme is not ExportScheme.NET_METERING_2015:
        return Brought()
    if body.surplus_kwh_brought_forward is not None or body.surplus_peak_kwh_brought_forward is not None:
        return Brought(body.surplus_kwh_brought_forward or _ZERO, body.surplus_peak_kwh_brought_forward or _ZERO)
    month = Month.of(body.period_end)
    if opens_quarter(month):
        return Brought()
    before = await store.ledger_of_month(conn, site.id, month.back(1).first_day)
    if before is not None and before.period_end + _ONE_DAY == body.period_start:
        return Brought(before.off_peak_carried_kwh, before.peak_carried_kwh)
    own = await store.ledger_of_month(conn, site.id, month.first_day)
    if own is not None and own.period_start == body.period_start and own.off_peak_brought_kwh + own.peak_brought_kwh:
        # Somebody told it once, when the site's first bill was made.
        message = f"There is no bill of {month.back(1)} here: the surplus is that which an earlier bill of this month was told."
        notes = (BillWarning("surplus_as_told", message),)
        return Brought(own.off_peak_brought_kwh, own.peak_brought_kwh, notes)
    message = (
        f"There is no bill of {month.back(1)} to bring a surplus forward from: it is taken as 0. Work out that month's bill first, or"
        " give surplus_kwh_brought_forward."
    )
    return Brought(notes=(BillWarning("surplus_unknown", message),))


def _by_hours(inputs: Mapping[str, Any]) -> bool:
    has_units = inputs["case"]["imported_peak_kwh"] is not None
    return any(
        pricing_rule_of(record["rates"], supports_tou=record["supports_tou"], has_tou_units=has_units)
        is PricingRule.TOU
        for record in (inputs["plan"], *(inputs.get("later_versions") or ()))
    )


@dataclass(frozen=True, slots=True)
class KeptBill:
    """What the ledger needs of a stored bill.

    Attributes:
        inputs: the document that it was computed from.
    """

    id: UUID
    period_start: date
    period_end: date
    inputs: Mapping[str, Any]


def is_regular(site: SiteOut, bill: KeptBill) -> bool:
    """Whether a bill is of the days that the site's meter is read for: only such bills follow one another."""
    period = bill_period(Month.of(bill.period_end), site.configuration.reading_day)
    return (period.first, period.last) == (bill.period_start, bill.period_end)


async def keep(
    conn: AsyncConnection, site: SiteOut, bill: KeptBill, simulation: Simulation, *, now: datetime
) -> tuple[UUID, ...]:
    """Write a stored bill into the ledger, and work out again the later bills of the quarter that began with another surplus.

    Returns:
        The bills that took the place of earlier ones, in order of their months.
    """
    made: list[UUID] = []
    while True:
        entry = ledger_entry(case_of(bill.inputs["case"]), simulation.bill, by_hours=_by_hours(bill.inputs))
        if entry is None:
            return tuple(made)
        key = {
            "site_id": site.id,
            "organization_id": site.organization_id,
            "bill_month": Month.of(bill.period_end).first_day,
            "period_start": bill.period_start,
            "period_end": bill.period_end,
            "bill_id": bill.id,
        }
        await store.put_ledger(conn, key, entry, at=now)
        carried = Brought(entry.off_peak.carried, entry.peak.carried)
        following = await _with_another_surplus(conn, site, bill, carried)
        if following is None:
            return tuple(made)
        bill, simulation = following
        made.append(bill.id)


async def _with_another_surplus(
    conn: AsyncConnection, site: SiteOut, bill: KeptBill, carried: Brought
) -> tuple[KeptBill, Simulation] | None:
    """The next month's bill with what this one carries; None if there is none, or it began with just that."""
    month = Month.of(bill.period_end).back(-1)
    entry = None if opens_quarter(month) else await store.ledger_of_month(conn, site.id, month.first_day)
    if entry is None or entry.period_start != bill.period_end + _ONE_DAY:
        return None
    former = await bills.get_bill(conn, site.id, entry.bill_id)
    if former is None:
        return None
    case = case_of(former.inputs["case"])
    if (case.ledger_kwh, case.ledger_peak_kwh) == (carried.off_peak_kwh, carried.peak_kwh):
        return None
    case = replace(case, ledger_kwh=carried.off_peak_kwh, ledger_peak_kwh=carried.peak_kwh)
    warnings = [warning for warning in former.inputs["warnings"] if warning["code"] != "surplus_unknown"]
    inputs = {**former.inputs, "case": case_json(case), "warnings": warnings}
    simulation = simulate(inputs)
    columns = simulated_columns(inputs, simulation)
    # Beside the inputs, not among them: worked out from its readings, the same bill comes out with the same hash.
    columns["warnings"] = [*simulation.warnings, _changed_note(month)]
    bill_id = await bills.replace_bill(conn, former.id, columns)
    await runs.follow(conn, site.id, former.id, bill_id)
    return KeptBill(bill_id, former.period_start, former.period_end, inputs), simulation


def _changed_note(month: Month) -> dict[str, str]:
    message = f"The bill of {month.back(1)} was worked out again: this one begins with another surplus than the bill it takes the place of."
    return {"code": "surplus_changed", "message": message}
