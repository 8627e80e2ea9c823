"""What exported units do to a bill: nothing, netting (2015) or a credit in rupees (2026). Never two of them.

The text of the law was not seen for every detail; each default that stands in for it is an assumption that the bill prints.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from cloud.billing.rules import labels
from cloud.billing.rules.adjustments import in_force, pending_line
from cloud.billing.rules.labels import Label
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    BillingCase,
    BillWarning,
    ExportScheme,
    Line,
    LineKind,
    Plan,
    RateStatus,
)
from cloud.billing.rules.money import ZERO, number_text, round_pkr

QUARTER_MONTHS = 3

LEVIES_ON_NET = "Net metering: QTA and surcharges are charged on the units left after netting."
LEVIES_ON_IMPORT = "Net metering: QTA and surcharges are charged on all units imported, as the case's terms say."
NET_METERING_ASSUMPTIONS = (
    "Net metering: energy charge and slab are those of the units left after netting.",
    "Net metering: the surplus is paid with the bills of March, June, September and December.",
    "Net metering: surplus units do not expire within the quarter.",
)
CREDIT_OPEN = "The credit for exports is not limited to the bill: a negative total is a balance for the next bill."
CREDIT_LIMITED = "The credit for exports lowers the bill to zero at most, as the case's terms say; the rest lapses."


@dataclass(frozen=True, slots=True)
class Netting:
    """Units after the export scheme.

    Attributes:
        billed_kwh: what the tariff is applied to.
        billed_peak_kwh: part of it in peak hours; None when the case has no peak units.
        ledger_kwh: surplus that stands after this bill, before any payment; of off-peak hours where hours are kept apart.
        ledger_peak_kwh: surplus of peak hours.
    """

    billed_kwh: Decimal
    billed_peak_kwh: Decimal | None
    ledger_kwh: Decimal = ZERO
    ledger_peak_kwh: Decimal = ZERO

    @property
    def surplus_kwh(self) -> Decimal:
        """Of all hours."""
        return self.ledger_kwh + self.ledger_peak_kwh


def net_units(case: BillingCase, *, by_hours: bool) -> Netting:
    """Apply the scheme to units; only net metering changes them.

    Args:
        case: units, and the surplus brought forward.
        by_hours: whether peak units are set against peak units and off-peak against off-peak, as a time-of-use meter counts them;
            otherwise unit against unit, and what was brought forward from peak hours counts as any other.
    """
    if case.export_scheme is not ExportScheme.NET_METERING_2015:
        return Netting(case.imported_kwh, case.imported_peak_kwh)
    peak_import = case.imported_peak_kwh
    if peak_import is None or not by_hours:
        balance = case.imported_kwh - case.exported_kwh - case.ledger_kwh - case.ledger_peak_kwh
        return Netting(max(ZERO, balance), None, max(ZERO, -balance))
    peak = peak_import - case.exported_peak_kwh - case.ledger_peak_kwh
    off_peak = (case.imported_kwh - peak_import) - (case.exported_kwh - case.exported_peak_kwh) - case.ledger_kwh
    billed_peak = max(ZERO, peak)
    return Netting(billed_peak + max(ZERO, off_peak), billed_peak, max(ZERO, -off_peak), max(ZERO, -peak))


def levied_kwh(case: BillingCase, netting: Netting) -> Decimal:
    """Units that the adjustments per kWh of this bill are on."""
    netted = case.export_scheme is ExportScheme.NET_METERING_2015
    return case.imported_kwh if netted and case.export_terms.levies_on_import else netting.billed_kwh


def pays_surplus(case: BillingCase) -> bool:
    """Whether this bill closes a quarter."""
    return case.month.month % QUARTER_MONTHS == 0


@dataclass(frozen=True, slots=True)
class _Credit:
    """What is credited, and how the bill says it."""

    kind: AdjustmentKind
    label: Label
    units: Decimal
    base: str
    units_words: str


def _credited(amount: Decimal, case: BillingCase, payable: Decimal) -> tuple[Decimal, str]:
    if not case.export_terms.credit_limited or amount <= payable:
        return amount, ""
    return max(ZERO, payable), ", limited to the bill"


def _credit_line(
    credit: _Credit, plan: Plan, *, case: BillingCase, adjustments: Sequence[Adjustment], payable: Decimal
) -> tuple[Line, ...]:
    record = in_force(adjustments, credit.kind, plan=plan, case=case, day=case.period_end)
    if record is not None and record.rate is not None:
        rate, source, status = record.rate, record.source, record.status
    elif plan.fallback_export_rate is not None:
        rate, source, status = plan.fallback_export_rate, plan.source, RateStatus.ESTIMATED
    else:
        why = f"no export rate on record for {case.export_scheme.value}"
        return (pending_line(LineKind.EXPORT_CREDIT, credit.label, why=why, quantity=credit.units),)
    amount, limit = _credited(round_pkr(rate * credit.units), case, payable)
    return (
        Line(
            kind=LineKind.EXPORT_CREDIT,
            label=credit.label.en,
            amount_pkr=-amount,
            quantity=credit.units,
            unit="kWh",
            rate=rate,
            base=credit.base,
            formula=f"- {credit.units_words} × {number_text(rate)} PKR/kWh{limit}",
            source=source,
            status=status,
            label_ur=credit.label.ur,
        ),
    )


def _surplus_words(netting: Netting) -> str:
    if not netting.ledger_peak_kwh:
        return f"{number_text(netting.ledger_kwh)} kWh"
    return f"({number_text(netting.ledger_peak_kwh)} peak + {number_text(netting.ledger_kwh)} off-peak) kWh"


def export_lines(
    plan: Plan, *, case: BillingCase, adjustments: Sequence[Adjustment], netting: Netting, payable: Decimal
) -> tuple[tuple[Line, ...], Netting]:
    """The credit line, and the netting with the surplus that is carried to the next bill.

    Args:
        plan: its own rate counts where none is on record.
        case: gives scheme, terms and exported units.
        adjustments: dated records.
        netting: units after the scheme.
        payable: the bill's lines so far, PKR.
    """
    if case.export_scheme is ExportScheme.NET_BILLING_2026:
        if not case.exported_kwh:
            return (), netting
        words = f"{number_text(case.exported_kwh)} kWh"
        kind = AdjustmentKind.EXPORT_NET_BILLING
        credit = _Credit(kind, labels.EXPORT_CREDIT, case.exported_kwh, "units exported", words)
        return _credit_line(credit, plan, case=case, adjustments=adjustments, payable=payable), netting
    if case.export_scheme is ExportScheme.NET_METERING_2015 and netting.surplus_kwh and pays_surplus(case):
        kind, words = AdjustmentKind.EXPORT_NET_METERING, _surplus_words(netting)
        credit = _Credit(kind, labels.SURPLUS_PAID, netting.surplus_kwh, "surplus of the quarter", words)
        lines = _credit_line(credit, plan, case=case, adjustments=adjustments, payable=payable)
        return lines, replace(netting, ledger_kwh=ZERO, ledger_peak_kwh=ZERO)
    return (), netting


def capacity_warnings(case: BillingCase) -> tuple[BillWarning, ...]:
    """Net billing allows as much solar capacity as the sanctioned load."""
    capacity_kw, load_kw = case.installed_capacity_kw, case.sanctioned_load_kw
    if case.export_scheme is not ExportScheme.NET_BILLING_2026 or capacity_kw is None or load_kw is None:
        return ()
    if capacity_kw <= load_kw:
        return ()
    message = (
        f"The solar system of {number_text(capacity_kw)} kW is larger than the sanctioned load of {number_text(load_kw)} kW; net "
        "billing allows as much as the sanctioned load."
    )
    return (BillWarning("capacity_above_sanctioned_load", message),)


def assumptions_of(case: BillingCase) -> tuple[str, ...]:
    """What the scheme's part of the bill takes for granted."""
    if case.export_scheme is ExportScheme.NONE:
        return ("Exported units earn nothing: the site has no export scheme.",) if case.exported_kwh else ()
    credit = CREDIT_LIMITED if case.export_terms.credit_limited else CREDIT_OPEN
    if case.export_scheme is ExportScheme.NET_BILLING_2026:
        return (credit,)
    levies = LEVIES_ON_IMPORT if case.export_terms.levies_on_import else LEVIES_ON_NET
    return (levies, *NET_METERING_ASSUMPTIONS, credit)
