"""A piece of advice about a bill: what it says in English and Urdu, what money is at stake, and what it stands on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.model import Adjustment, Bill, BillingCase, ExportScheme, LineKind, Plan
from cloud.billing.rules.money import ZERO


class Severity(StrEnum):
    """How soon somebody should do something."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that the customer should know.

    Attributes:
        code: stable, for programs.
        message: in English.
        message_ur: the same in Urdu.
        amount_pkr: money at stake; None where it is not known.
        amount_of: what the amount is, in words ("the next kWh", "over 6 months").
        basis: what it stands on: units, dates, rules and assumptions.
        facts: its numbers as text, for programs.
    """

    code: str
    severity: Severity
    message: str
    message_ur: str
    amount_pkr: Decimal | None
    amount_of: str
    basis: tuple[str, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Priced:
    """What a case is priced with.

    Attributes:
        plans: versions in force inside the period, oldest first.
    """

    plans: tuple[Plan, ...]
    adjustments: Sequence[Adjustment]

    @property
    def plan(self) -> Plan:
        """The version of the period's last day."""
        return self.plans[-1]

    def bill(self, case: BillingCase) -> Bill:
        """The case's bill.

        Raises:
            BillingError: if it cannot be priced.
        """
        return price_bill(self.plans, case, self.adjustments)

    def bill_of(self, case: BillingCase, units: Decimal) -> Bill:
        """The bill that the case would have at so many billed units; see `with_units`.

        Raises:
            BillingError: if it cannot be priced.
        """
        return self.bill(with_units(case, units))


def with_units(case: BillingCase, units: Decimal) -> BillingCase:
    """The case at which so many units are billed, after the export scheme, by a tariff without time of use."""
    netted = case.export_scheme is ExportScheme.NET_METERING_2015
    ledger_kwh = case.ledger_kwh + case.ledger_peak_kwh
    return replace(
        case,
        imported_kwh=units + (case.exported_kwh + ledger_kwh if netted else ZERO),
        imported_peak_kwh=None,
        exported_peak_kwh=ZERO,
        ledger_kwh=ledger_kwh,
        ledger_peak_kwh=ZERO,
    )


def more_pkr(low: Bill, high: Bill) -> tuple[Decimal, tuple[str, ...]]:
    """What `high` costs more than `low`.

    Returns:
        The difference, and the kinds of lines that are left out of it because only one of the bills has an amount for them.
    """
    only_one = {line.kind for line in low.pending} ^ {line.kind for line in high.pending}
    kinds = set(LineKind) - only_one
    return high.amount(*kinds) - low.amount(*kinds), tuple(sorted(kind.value for kind in only_one))


def left_out_words(kinds: Sequence[str]) -> tuple[str, ...]:
    """Say which lines the amount leaves out; nothing when it leaves out none."""
    return (f"Without {', '.join(kinds)}: its amount is not on record for these units.",) if kinds else ()


def rupees(amount: Decimal) -> str:
    """Whole rupees for a sentence: `1,268`."""
    return f"{amount:,.0f}"
