"""Bills as the company printed them: entered, kept, and compared with what is worked out here."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.problems import ActualBillOverlapsError, EnergyMissingError, PeriodNotOverError
from cloud.billing.repository import actual as store
from cloud.billing.repository import bills
from cloud.billing.rules.metering.energy import PeriodEnergy
from cloud.billing.rules.model import LineKind
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.paper.difference import Difference, EnteredBill, difference_of
from cloud.billing.rules.paper.printed import printed_breakdown, printed_line, printed_savings
from cloud.billing.rules.paper.reasons import Context
from cloud.billing.rules.simulation import case_of, simulate
from cloud.billing.schemas.actual import (
    ActualBill,
    ActualBillIn,
    ActualBillOut,
    ActualBillPatch,
    DifferenceOut,
    LineDifferenceOut,
    ReasonOut,
    UnitsDifferenceOut,
)
from cloud.billing.schemas.bills import BillBreakdown, BillIn, SavingsBreakdown
from cloud.billing.service.comparison import plan_from, present_category, shelf_of
from cloud.billing.service.site_bills import SiteBill, simulate_site_bill
from cloud.billing.service.site_energy import MeasuredEnergy
from cloud.billing.service.stored_bills import create_bill
from cloud.core.discos import DiscoProvider
from cloud.core.errors import FieldProblem, NotFoundError, ValidationFailedError
from cloud.sites.schemas import SiteOut
from cloud.web.etags import stale
from shared.periods import day_of, zone_of

LATER_MONTHS = 12
"""Bills of so many months after an entered one may stand on its units: the fuel charge, and a home's status."""
_NOTHING = PeriodEnergy(None, None, None, None, None, None, None, None, 0.0)


@dataclass(frozen=True, slots=True)
class _Compared:
    """A paper bill with the bills it is compared with.

    Attributes:
        computed: from the paper's units.
        read: from the site's readings; None without any.
    """

    entered: EnteredBill
    computed: SiteBill
    read: SiteBill | None
    difference: Difference


def entered_bill_of(body: ActualBillIn) -> EnteredBill:
    """The paper as the rules see it; several lines of one kind are added up."""
    amounts: dict[LineKind, Decimal] = {}
    for line in body.lines:
        kind = LineKind(line.kind)
        amounts[kind] = amounts.get(kind, ZERO) + line.amount_pkr
    return EnteredBill(body.units_kwh, body.total_pkr, amounts, body.other_pkr)


def _bill_in(body: ActualBillIn) -> BillIn:
    return BillIn(
        period_start=body.period_start,
        period_end=body.period_end,
        export_scheme=body.export_scheme,
        active_taxpayer=body.active_taxpayer,
    )


def _share(units: Decimal, part: Decimal | None, of: Decimal | None) -> Decimal | None:
    """The part of `units` that `part` is of `of`; None where that is not known."""
    return None if part is None or not of else units * part / of


def _energy_of(body: ActualBillIn, read: MeasuredEnergy | None) -> MeasuredEnergy:
    """The paper's energy; what it does not say is as in the readings, peak hours by their share."""
    base = read.energy if read is not None else _NOTHING
    exported = base.exported_kwh if body.exported_kwh is None else body.exported_kwh
    peak = body.peak_units_kwh
    if peak is None:
        peak = _share(body.units_kwh, base.imported_peak_kwh, base.imported_kwh)
    exported_peak = base.exported_peak_kwh
    if body.exported_kwh is not None:
        exported_peak = _share(body.exported_kwh, base.exported_peak_kwh, base.exported_kwh)
    energy = replace(
        base,
        imported_kwh=body.units_kwh,
        imported_peak_kwh=peak,
        # Without readings nothing but the import is known: what was bought in peak hours was used in them.
        consumed_peak_kwh=peak if base.consumed_peak_kwh is None else base.consumed_peak_kwh,
        exported_kwh=exported,
        exported_peak_kwh=exported_peak,
        max_demand_kw=base.max_demand_kw if body.max_demand_kw is None else body.max_demand_kw,
    )
    # The paper's own readings have no gaps, whatever the site's have.
    return MeasuredEnergy(energy, (), ZERO, 100.0)


async def _from_readings(conn: AsyncConnection, site: SiteOut, body: ActualBillIn, now: datetime) -> SiteBill | None:
    try:
        return await simulate_site_bill(conn, site, _bill_in(body), now=now)
    except EnergyMissingError:
        return None


async def _compare(conn: AsyncConnection, site: SiteOut, body: ActualBillIn, *, now: datetime) -> _Compared:
    today = day_of(now, zone_of(site.timezone))
    if body.period_end > today:
        words = f"The meter is read on {body.period_end}, after today ({today}); enter the bill then."
        problem: FieldProblem = {"field": "period_end", "value": body.period_end.isoformat(), "message": words}
        raise PeriodNotOverError(words, errors=[problem])
    read = await _from_readings(conn, site, body, now)
    measured = _energy_of(body, None if read is None else read.measured)
    computed = await simulate_site_bill(conn, site, _bill_in(body), now=now, measured=measured)
    entered = entered_bill_of(body)
    difference = difference_of(
        entered,
        computed.simulation.bill,
        await _context(conn, site, computed, read),
        from_readings=None if read is None else read.simulation.bill,
    )
    return _Compared(entered, computed, read, difference)


async def _context(conn: AsyncConnection, site: SiteOut, computed: SiteBill, read: SiteBill | None) -> Context:
    case = case_of(computed.inputs["case"])
    category = await present_category(conn, site)
    year_before = case.period_start.replace(year=case.period_start.year - 1, day=1)
    disco = DiscoProvider(case.disco_provider)
    shelf = await shelf_of(conn, disco, category, first=year_before, last=case.period_end)
    plan = plan_from(computed.tariff, has_tou_units=case.imported_peak_kwh is not None)
    others = [version for versions in shelf.versions.values() for version in reversed(versions)]
    return Context(
        plan=plan,
        case=case,
        adjustments=shelf.adjustments,
        other_plans=[other for other in others if other != plan],
        measured_kwh=None if read is None else read.energy.imported_kwh,
        history=case.billed_units,
    )


def _reason(reason: object) -> ReasonOut | None:
    return None if reason is None else ReasonOut.model_validate(reason)


def difference_out(found: _Compared) -> DifferenceOut:
    """The difference as the caller sees it."""
    difference, bill = found.difference, found.computed.simulation.bill
    units = difference.units
    return DifferenceOut(
        entered_total_pkr=difference.entered_total_pkr,
        computed_total_pkr=difference.computed_total_pkr,
        from_readings_total_pkr=difference.from_readings_total_pkr,
        total_difference_pkr=difference.total_difference_pkr,
        total_reason=_reason(difference.total_reason),
        units=UnitsDifferenceOut(
            entered_kwh=units.entered_kwh,
            measured_kwh=units.measured_kwh,
            difference_kwh=units.difference_kwh,
            percent=units.percent,
            is_notable=units.is_notable,
            coverage_percent=None if found.read is None else found.read.energy.coverage_percent,
        ),
        lines=[LineDifferenceOut.model_validate(line) for line in difference.lines],
        pending=sorted({line.kind.value for line in bill.pending}),
        tariff=bill.plan_code,
        warnings=list(found.computed.simulation.warnings),
    )


def _columns(body: ActualBillIn, found: _Compared) -> dict[str, Any]:
    computed, simulation = found.computed, found.computed.simulation
    # The paper is a part of the inputs: so the hash is of both, and no simulated bill has the same.
    inputs = {**computed.inputs, "entered": body.model_dump(mode="json")}
    breakdown = printed_breakdown(found.entered, simulation.bill, simulation.breakdown)
    savings = printed_savings(found.entered, simulation.savings)
    return {
        "tariff_plan_id": computed.tariff.id,
        "period_start": body.period_start,
        "period_end": body.period_end,
        "energy_consumed_kwh": computed.consumed_kwh,
        "energy_generated_kwh": computed.energy.generated_kwh,
        "energy_imported_kwh": body.units_kwh,
        "energy_exported_kwh": computed.energy.exported_kwh or ZERO,
        "bill_breakdown": BillBreakdown.model_validate(breakdown).to_json(),
        "savings_breakdown": SavingsBreakdown.model_validate(savings).to_json(),
        "estimated_bill_pkr": found.entered.own_pkr,
        "estimated_savings_pkr": Decimal(savings["total_savings"]),
        "inputs": inputs,
        "lines": [printed_line(LineKind(line.kind), line.amount_pkr, line.label) for line in body.lines],
        "warnings": simulation.warnings,
        "coverage_percent": None if found.read is None else found.read.energy.coverage_percent,
        "content_hash": simulate(inputs).content_hash,
        "reference": body.reference,
    }


async def _refuse_overlap(conn: AsyncConnection, site: SiteOut, body: ActualBillIn, *, but: UUID | None) -> None:
    other = await store.overlapping(conn, site.id, body.period_start, body.period_end, but=but)
    if other is not None:
        raise ActualBillOverlapsError(
            f"The bill from {other[1]} to {other[2]} was entered already and shares days with this one; correct that one, or delete it.",
            extra={"bill_id": str(other[0])},
        )


async def _compared_to(
    conn: AsyncConnection, site: SiteOut, body: ActualBillIn, found: _Compared, *, now: datetime, user_id: UUID | None
) -> UUID | None:
    """The stored bill from the site's readings; None without readings."""
    if found.read is None:
        return None
    return (await create_bill(conn, site, _bill_in(body), now=now, user_id=user_id)).id


async def _changed_history(conn: AsyncConnection, site: SiteOut, body: ActualBillIn, *, now: datetime) -> None:
    month = Month.of(body.period_end)
    await store.make_runs_due(conn, site.id, [month.back(-later) for later in range(LATER_MONTHS + 1)], now)


def _out(bill: ActualBill, found: _Compared) -> ActualBillOut:
    return ActualBillOut(**bill.model_dump(), entered=entered_of(bill), difference=difference_out(found))


def entered_of(bill: ActualBill) -> ActualBillIn:
    """What was entered."""
    return ActualBillIn.model_validate(bill.inputs["entered"])


async def enter_bill(
    conn: AsyncConnection, site: SiteOut, body: ActualBillIn, *, now: datetime, user_id: UUID | None
) -> ActualBillOut:
    """Keep a paper bill and compare it with what is worked out here; its units are history for later bills.

    Args:
        conn: a transaction that sees the site.
        site: whose.
        body: what the paper says.
        now: the present moment.
        user_id: who entered it.

    Raises:
        ActualBillOverlapsError: if a bill of some of the days was entered before.
        PeriodNotOverError: if the reading lies in the future.
        As `simulate_site_bill`, but readings are not needed.
    """
    await bills.lock_site_bills(conn, site.id)
    await _refuse_overlap(conn, site, body, but=None)
    found = await _compare(conn, site, body, now=now)
    row = {
        "site_id": site.id,
        "organization_id": site.organization_id,
        "is_actual": True,
        "origin": "entered",
        "compared_to": await _compared_to(conn, site, body, found, now=now, user_id=user_id),
        "created_by": user_id,
        **_columns(body, found),
    }
    bill_id = await bills.add_bill(conn, row)
    await _changed_history(conn, site, body, now=now)
    return _out(await _stored(conn, site, bill_id), found)


async def _stored(conn: AsyncConnection, site: SiteOut, bill_id: UUID) -> ActualBill:
    bill = await store.get_entered(conn, site.id, bill_id)
    if bill is None:
        raise NotFoundError("There is no such entered bill.")
    return bill


async def get_entered_bill(conn: AsyncConnection, site: SiteOut, bill_id: UUID, *, now: datetime) -> ActualBillOut:
    """An entered bill with its difference to what is worked out now: a charge that was pending then may be known by now.

    Raises:
        NotFoundError: if the site has no such entered bill.
        As `simulate_site_bill`.
    """
    bill = await _stored(conn, site, bill_id)
    return _out(bill, await _compare(conn, site, entered_of(bill), now=now))


def _corrected(bill: ActualBill, patch: ActualBillPatch) -> ActualBillIn:
    merged = {**bill.inputs["entered"], **patch.model_dump(mode="json", exclude_unset=True)}
    try:
        return ActualBillIn.model_validate(merged)
    except ValidationError as error:
        # Each field was right by itself; together with those that stay they are not.
        problems: list[FieldProblem] = [
            {"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"]} for item in error.errors()
        ]
        raise ValidationFailedError(
            "The corrected bill does not fit together: " + "; ".join(problem["message"] for problem in problems),
            errors=problems,
        ) from error


async def change_entered_bill(
    conn: AsyncConnection,
    site: SiteOut,
    bill_id: UUID,
    patch: ActualBillPatch,
    *,
    version: int,
    now: datetime,
    user_id: UUID | None,
) -> ActualBillOut:
    """Correct an entered bill.

    Args:
        conn: a transaction that sees the site.
        site: whose.
        bill_id: of the entered bill.
        patch: what is corrected; everything else stays as it was entered.
        version: that the caller has seen.
        now: the present moment.
        user_id: who corrects it.

    Raises:
        NotFoundError: if the site has no such entered bill.
        PreconditionFailedError: if it was changed since.
        ValidationFailedError: if the corrected fields do not fit those that stay.
        As `enter_bill`.
    """
    await bills.lock_site_bills(conn, site.id)
    before = await _stored(conn, site, bill_id)
    if before.version != version:
        raise stale(before.version)
    body = _corrected(before, patch)
    await _refuse_overlap(conn, site, body, but=bill_id)
    found = await _compare(conn, site, body, now=now)
    compared_to = await _compared_to(conn, site, body, found, now=now, user_id=user_id)
    values = {**_columns(body, found), "compared_to": compared_to}
    if not await store.change_entered(conn, site.id, bill_id, version=version, values=values):
        raise stale((await _stored(conn, site, bill_id)).version)
    for paper in (entered_of(before), body):
        await _changed_history(conn, site, paper, now=now)
    return _out(await _stored(conn, site, bill_id), found)


async def delete_entered_bill(
    conn: AsyncConnection, site: SiteOut, bill_id: UUID, *, version: int, now: datetime
) -> None:
    """Delete an entered bill; the bill it was compared with stays.

    Raises:
        NotFoundError: if the site has no such entered bill.
        PreconditionFailedError: if it was changed since.
    """
    await bills.lock_site_bills(conn, site.id)
    bill = await _stored(conn, site, bill_id)
    if not await store.delete_entered(conn, site.id, bill_id, version=version):
        raise stale(bill.version)
    await _changed_history(conn, site, entered_of(bill), now=now)
