"""Surplus units of net metering from bill to bill: brought forward, added, used, paid, carried."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from cloud.billing.rules.export import QUARTER_MONTHS
from cloud.billing.rules.model import Bill, BillingCase, ExportScheme
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month

WATT_HOUR = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Moves:
    """What a bill does to the surplus of some hours, kWh: `carried = brought + added - used - paid`."""

    brought: Decimal = ZERO
    added: Decimal = ZERO
    used: Decimal = ZERO
    paid: Decimal = ZERO
    carried: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A bill's moves. Where the tariff does not keep hours apart, everything is in `off_peak`."""

    peak: Moves
    off_peak: Moves


def _whole(kwh: Decimal) -> Decimal:
    return kwh.quantize(WATT_HOUR, rounding=ROUND_HALF_UP)


def _moves(brought: Decimal, net_export: Decimal, *, is_paid: bool) -> Moves:
    added, used = max(ZERO, net_export), min(brought, max(ZERO, -net_export))
    balance = brought + added - used
    return Moves(brought, added, used, balance if is_paid else ZERO, ZERO if is_paid else balance)


def ledger_entry(case: BillingCase, bill: Bill, *, by_hours: bool) -> LedgerEntry | None:
    """What the bill does to the ledger.

    Args:
        case: that was priced.
        bill: which says whether the surplus was paid: then it carries none.
        by_hours: whether the tariff sets peak units against peak units, see `export.net_units`.

    Returns:
        None without net metering.
    """
    if case.export_scheme is not ExportScheme.NET_METERING_2015:
        return None
    is_paid = not bill.ledger_kwh and not bill.ledger_peak_kwh
    net = _whole(case.exported_kwh) - _whole(case.imported_kwh)
    if case.imported_peak_kwh is None or not by_hours:
        return LedgerEntry(Moves(), _moves(_whole(case.ledger_kwh + case.ledger_peak_kwh), net, is_paid=is_paid))
    net_peak = _whole(case.exported_peak_kwh) - _whole(case.imported_peak_kwh)
    return LedgerEntry(
        _moves(_whole(case.ledger_peak_kwh), net_peak, is_paid=is_paid),
        _moves(_whole(case.ledger_kwh), net - net_peak, is_paid=is_paid),
    )


def opens_quarter(month: Month) -> bool:
    """Whether the month before it closed a quarter, whose surplus was paid: nothing is brought forward."""
    return month.month % QUARTER_MONTHS == 1
