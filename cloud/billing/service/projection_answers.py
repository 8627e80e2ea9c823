"""A projected year as the API answers it."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cloud.billing.rules.breakdown import bill_breakdown, line_json
from cloud.billing.rules.model import Bill, BillWarning
from cloud.billing.rules.money import HUNDRED
from cloud.billing.rules.outlook.notes import assumptions_of, trust_of
from cloud.billing.rules.outlook.profile import YearOutlook
from cloud.billing.rules.outlook.projection import Connection, ProjectedMonth, Projection
from cloud.billing.schemas.projection import (
    MonthEnergyOut,
    ProjectedBillOut,
    ProjectedMonthOut,
    ProjectionOut,
    ProjectionSummary,
    ProjectionTotals,
    TrustOut,
)
from cloud.sites.schemas import SiteOut

_ONE_DECIMAL = Decimal("0.1")


def _bill_out(bill: Bill, category: str, *, with_lines: bool) -> ProjectedBillOut:
    lines = [line_json(line) for line in bill.lines] if with_lines else None
    return ProjectedBillOut(category=category, total_pkr=bill.total_pkr, breakdown=bill_breakdown(bill), lines=lines)


def _month_out(month: ProjectedMonth, *, with_lines: bool) -> ProjectedMonthOut:
    energy = month.energy
    return ProjectedMonthOut(
        month=str(energy.month),
        basis=energy.basis.value,
        consumption_basis=energy.consumption_basis.value,
        generation_basis=energy.generation_basis.value,
        stands_on=None if energy.stands_on is None else str(energy.stands_on),
        energy=MonthEnergyOut.model_validate(energy),
        with_solar=_bill_out(month.with_solar, month.category, with_lines=with_lines),
        without_solar=_bill_out(month.without_solar, month.category_without_solar, with_lines=with_lines),
        savings_pkr=month.savings_pkr,
        export_income_pkr=month.export_income_pkr,
        estimated_lines=tuple(kind.value for kind in month.estimated_lines),
        pending_lines=tuple(kind.value for kind in month.pending_lines),
    )


def _totals(projection: Projection) -> ProjectionTotals:
    without = projection.without_solar_pkr
    percent = None
    if without > 0:
        percent = (projection.savings_pkr / without * HUNDRED).quantize(_ONE_DECIMAL, rounding=ROUND_HALF_UP)
    return ProjectionTotals(
        consumed_kwh=projection.energy_kwh("consumed"),
        generated_kwh=projection.energy_kwh("generated"),
        imported_kwh=projection.energy_kwh("imported"),
        exported_kwh=projection.energy_kwh("exported"),
        with_solar_pkr=projection.with_solar_pkr,
        without_solar_pkr=without,
        savings_pkr=projection.savings_pkr,
        savings_percent=percent,
        export_income_pkr=projection.export_income_pkr,
        surplus_kwh_carried=projection.ledger_kwh,
    )


def _warnings(projection: Projection, found: Iterable[BillWarning]) -> tuple[dict[str, str], ...]:
    # What concerns single bills (pending lines, slab edges) is said by the months; what concerns the connection, once.
    capacity = {w for month in projection.months for w in month.with_solar.warnings if w.code not in _OF_ONE_BILL}
    distinct = sorted({*found, *capacity}, key=lambda warning: (warning.code, warning.message))
    return tuple({"code": warning.code, "message": warning.message} for warning in distinct)


_OF_ONE_BILL = frozenset({"line_pending", "slab_cliff", "slab_cliff_unknown"})


def _summary_fields(
    site: SiteOut,
    projection: Projection,
    *,
    outlook: YearOutlook,
    connection: Connection,
    warnings: Iterable[BillWarning],
) -> dict[str, Any]:
    return {
        "site_id": site.id,
        "first_month": str(projection.months[0].energy.month),
        "last_month": str(projection.months[-1].energy.month),
        "system_kwp": outlook.system_kwp,
        "export_scheme": connection.export_scheme.value,
        "totals": _totals(projection),
        "confidence": TrustOut.model_validate(trust_of(projection)),
        "assumptions": assumptions_of(projection, outlook),
        "warnings": _warnings(projection, warnings),
    }


def summary_of(
    site: SiteOut,
    projection: Projection,
    *,
    outlook: YearOutlook,
    connection: Connection,
    warnings: Iterable[BillWarning],
) -> ProjectionSummary:
    """The year without its months."""
    fields = _summary_fields(site, projection, outlook=outlook, connection=connection, warnings=warnings)
    return ProjectionSummary(**fields)


def projection_out(
    site: SiteOut,
    projection: Projection,
    *,
    outlook: YearOutlook,
    connection: Connection,
    warnings: Iterable[BillWarning],
    with_lines: bool,
) -> ProjectionOut:
    """The year with its months."""
    fields = _summary_fields(site, projection, outlook=outlook, connection=connection, warnings=warnings)
    return ProjectionOut(**fields, months=tuple(_month_out(m, with_lines=with_lines) for m in projection.months))
