"""A paper bill against the one worked out here: line by line, with the likely reason for each difference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from cloud.billing.rules.model import Bill, LineKind
from cloud.billing.rules.money import HUNDRED, ZERO
from cloud.billing.rules.paper.reasons import Clues, Context, Reason, reason_for, total_reason

METER_PERCENT = Decimal(2)
"""A difference between the bill's units and the readings that is worth a look, per cent."""
TENTH_PERCENT = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class EnteredBill:
    """What a paper bill says.

    Attributes:
        units_kwh: units billed.
        amounts: PKR by kind of line, as printed; a kind that was not entered is absent. A credit for exports is negative.
        other_pkr: what is on the paper beside the period's own lines: arrears, instalments, late payment.
    """

    units_kwh: Decimal
    total_pkr: Decimal
    amounts: Mapping[LineKind, Decimal] = field(default_factory=dict)
    other_pkr: Decimal = ZERO

    @property
    def own_pkr(self) -> Decimal:
        """What the period itself cost: the total without arrears and the like."""
        return self.total_pkr - self.other_pkr

    @property
    def lines_pkr(self) -> Decimal | None:
        """Sum of the entered lines; None when none was entered."""
        return sum(self.amounts.values(), ZERO) if self.amounts else None


@dataclass(frozen=True, slots=True)
class LineDifference:
    """One kind of line on both bills.

    Attributes:
        label: as the computed bill names it, else the kind.
        entered_pkr: None = not entered.
        computed_pkr: from the entered units; None = not known (pending) or no such line.
        difference_pkr: entered less computed; None unless both are known, or one of them is and the other has no such line.
        from_readings_pkr: from the site's readings; None where there are none.
    """

    kind: LineKind
    label: str
    entered_pkr: Decimal | None
    computed_pkr: Decimal | None
    difference_pkr: Decimal | None
    from_readings_pkr: Decimal | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class UnitsDifference:
    """The bill's units against the site's readings.

    Attributes:
        measured_kwh: None = no readings.
        percent: entered less measured, of measured; None without readings or at 0.
        is_notable: whether the meter, or its reading, is worth a look.
    """

    entered_kwh: Decimal
    measured_kwh: Decimal | None
    difference_kwh: Decimal | None
    percent: Decimal | None
    is_notable: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that differs.

    Attributes:
        lines: kinds of either bill, in a bill's order.
        computed_total_pkr: of the bill from the entered units; pending lines are not in it.
        entered_total_pkr: of the period itself, without arrears.
        total_difference_pkr: entered less computed.
        total_reason: why the totals differ beyond the lines' differences; None where they do not.
    """

    lines: tuple[LineDifference, ...]
    units: UnitsDifference
    entered_total_pkr: Decimal
    computed_total_pkr: Decimal
    from_readings_total_pkr: Decimal | None
    total_difference_pkr: Decimal
    total_reason: Reason | None

    @property
    def is_nothing(self) -> bool:
        """Whether the bills say the same."""
        return not self.total_difference_pkr and not any(line.difference_pkr for line in self.lines)


def amounts_of(bill: Bill) -> dict[LineKind, Decimal | None]:
    """PKR by kind; None for a kind of which a line is pending."""
    kinds = {line.kind for line in bill.lines}
    pending = {line.kind for line in bill.pending}
    return {kind: None if kind in pending else bill.amount(kind) for kind in LineKind if kind in kinds}


def entered_of(bill: Bill) -> EnteredBill:
    """A computed bill as if it had been printed."""
    amounts = {kind: amount for kind, amount in amounts_of(bill).items() if amount is not None}
    return EnteredBill(bill.billed_kwh, bill.total_pkr, amounts)


def units_difference(entered_kwh: Decimal, measured_kwh: Decimal | None) -> UnitsDifference:
    """Compare units; more than 2 % apart is notable."""
    if measured_kwh is None:
        return UnitsDifference(entered_kwh, None, None, None, is_notable=False)
    difference = entered_kwh - measured_kwh
    if not measured_kwh:
        return UnitsDifference(entered_kwh, measured_kwh, difference, None, is_notable=bool(difference))
    percent = difference / measured_kwh * HUNDRED
    return UnitsDifference(
        entered_kwh, measured_kwh, difference, percent.quantize(TENTH_PERCENT), is_notable=abs(percent) > METER_PERCENT
    )


def _label(kind: LineKind, bill: Bill) -> str:
    labels = [line.label for line in bill.lines if line.kind is kind]
    return labels[0] if labels else kind.value.replace("_", " ").capitalize()


def _line(
    kind: LineKind, entered: EnteredBill, computed: Bill, *, from_readings: Bill | None, clues: Clues
) -> LineDifference:
    printed = entered.amounts.get(kind)
    mine = amounts_of(computed)
    is_pending = kind in mine and mine[kind] is None
    ours = mine.get(kind)
    difference = None
    if printed is not None and not is_pending:
        difference = printed - (ours or ZERO)
    reason = None
    if printed is not None and (is_pending or difference):
        reason = reason_for(kind, printed, ours, clues=clues)
    elif printed is None and ours and entered.amounts:
        reason = Reason("not_entered", f"Not among the entered lines; worked out at {ours} PKR.")
    measured = None if from_readings is None else amounts_of(from_readings).get(kind)
    return LineDifference(kind, _label(kind, computed), printed, ours, difference, measured, reason)


def difference_of(
    entered: EnteredBill, computed: Bill, context: Context, *, from_readings: Bill | None = None
) -> Difference:
    """Compare a paper bill with the bill worked out from its units.

    Args:
        entered: the paper bill.
        computed: worked out from the entered units.
        context: where likely reasons are looked for.
        from_readings: worked out from the site's readings, to be shown beside them.
    """
    clues = Clues(context, computed, entered.amounts)
    ours = {line.kind for line in computed.lines}
    kinds = [kind for kind in LineKind if kind in entered.amounts or kind in ours]
    lines = tuple(_line(kind, entered, computed, from_readings=from_readings, clues=clues) for kind in kinds)
    gap = entered.own_pkr - computed.total_pkr
    return Difference(
        lines=lines,
        units=units_difference(entered.units_kwh, context.measured_kwh),
        entered_total_pkr=entered.own_pkr,
        computed_total_pkr=computed.total_pkr,
        from_readings_total_pkr=None if from_readings is None else from_readings.total_pkr,
        total_difference_pkr=gap,
        total_reason=total_reason(gap, entered.own_pkr, lines_pkr=entered.lines_pkr, pending=computed.pending),
    )
