"""What exported units do to a bill: nothing, netting (2015) or a credit in rupees (2026). Never two of them.

The text of the law was not seen for every detail; each default that stands in for it is an assumption that the bill prints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from cloud.billing.rules.adjustments import in_force, pending_line
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    BillingCase,
    ExportScheme,
    Line,
    LineKind,
    Plan,
    RateStatus,
)
from cloud.billing.rules.money import ZERO, number_text, round_pkr

QUARTER_MONTHS = 3

NET_METERING_ASSUMPTIONS = (
    "Net metering: FCA, QTA and surcharges are charged on the units left after netting.",
    "Net metering: the surplus is paid with the bills of March, June, September and December.",
    "Net metering: surplus units do not expire within the quarter.",
)
NET_BILLING_ASSUMPTIONS = (
    "Net billing: the credit for exports is not limited to the bill; a negative total is a balance for the next bill.",
)


@dataclass(frozen=True, slots=True)
class Netting:
    """Units after the export scheme.

    Attributes:
        billed_kwh: what the tariff is applied to.
        billed_peak_kwh: part of it in peak hours; None when the case has no peak units.
        ledger_kwh: surplus that stands after this bill, before any payment.
    """

    billed_kwh: Decimal
    billed_peak_kwh: Decimal | None
    ledger_kwh: Decimal


def net_units(case: BillingCase) -> Netting:
    """Apply the scheme to units; only net metering changes them: peak against peak, off-peak against off-peak.

    What was brought forward is set against off-peak units, or against all of them when the case has no peak units.
    """
    if case.export_scheme is not ExportScheme.NET_METERING_2015:
        return Netting(case.imported_kwh, case.imported_peak_kwh, ZERO)
    peak_import = case.imported_peak_kwh
    if peak_import is None:
        balance = case.imported_kwh - case.exported_kwh - case.ledger_kwh
        return Netting(max(ZERO, balance), None, max(ZERO, -balance))
    peak = peak_import - case.exported_peak_kwh
    off_peak = (case.imported_kwh - peak_import) - (case.exported_kwh - case.exported_peak_kwh) - case.ledger_kwh
    billed_peak = max(ZERO, peak)
    return Netting(billed_peak + max(ZERO, off_peak), billed_peak, max(ZERO, -peak) + max(ZERO, -off_peak))


def pays_surplus(case: BillingCase) -> bool:
    """Whether this bill closes a quarter."""
    return case.month.month % QUARTER_MONTHS == 0


def _credit_line(
    kind: AdjustmentKind, plan: Plan, *, case: BillingCase, adjustments: Sequence[Adjustment], units: Decimal
) -> tuple[Line, ...]:
    label = "Surplus units paid" if kind is AdjustmentKind.EXPORT_NET_METERING else "Credit for exported units"
    record = in_force(adjustments, kind, plan=plan, case=case, day=case.period_end)
    if record is not None and record.rate is not None:
        rate, source, status = record.rate, record.source, record.status
    elif plan.fallback_export_rate is not None:
        rate, source, status = plan.fallback_export_rate, plan.source, RateStatus.ESTIMATED
    else:
        why = f"no export rate on record for {case.export_scheme.value}"
        return (pending_line(LineKind.EXPORT_CREDIT, label, why=why, quantity=units),)
    return (
        Line(
            kind=LineKind.EXPORT_CREDIT,
            label=label,
            amount_pkr=-round_pkr(rate * units),
            quantity=units,
            unit="kWh",
            rate=rate,
            base="surplus of the quarter" if kind is AdjustmentKind.EXPORT_NET_METERING else "units exported",
            formula=f"- {number_text(units)} kWh × {number_text(rate)} PKR/kWh",
            source=source,
            status=status,
        ),
    )


def export_lines(
    plan: Plan, *, case: BillingCase, adjustments: Sequence[Adjustment], netting: Netting
) -> tuple[tuple[Line, ...], Decimal]:
    """The credit line, and the surplus (kWh) carried to the next bill."""
    if case.export_scheme is ExportScheme.NET_BILLING_2026:
        if not case.exported_kwh:
            return (), ZERO
        kind = AdjustmentKind.EXPORT_NET_BILLING
        return _credit_line(kind, plan, case=case, adjustments=adjustments, units=case.exported_kwh), ZERO
    if case.export_scheme is ExportScheme.NET_METERING_2015 and netting.ledger_kwh and pays_surplus(case):
        kind = AdjustmentKind.EXPORT_NET_METERING
        return _credit_line(kind, plan, case=case, adjustments=adjustments, units=netting.ledger_kwh), ZERO
    return (), netting.ledger_kwh


def assumptions_of(case: BillingCase) -> tuple[str, ...]:
    """What the scheme's part of the bill takes for granted."""
    if case.export_scheme is ExportScheme.NET_METERING_2015:
        return NET_METERING_ASSUMPTIONS
    if case.export_scheme is ExportScheme.NET_BILLING_2026:
        return NET_BILLING_ASSUMPTIONS
    return ("Exported units earn nothing: the site has no export scheme.",) if case.exported_kwh else ()
