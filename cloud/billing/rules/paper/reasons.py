"""Why a printed line may differ from the computed one: each guess is tried out, and said only when it gives the printed amount."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from itertools import pairwise

from cloud.billing.rules.adjustments import applies, is_exempt
from cloud.billing.rules.advice.advice import with_units
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    Bill,
    BillingCase,
    Line,
    LineKind,
    Plan,
    PricingRule,
    RateStatus,
)
from cloud.billing.rules.money import HUNDRED, PAISA, ZERO, money_text, number_text, percent_of, round_pkr
from cloud.billing.rules.month import Month

ONE_RUPEE = Decimal(1)
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Reason:
    """A likely reason.

    Attributes:
        code: stable, for programs.
        words: with the numbers in it.
    """

    code: str
    words: str


@dataclass(frozen=True, slots=True)
class Context:
    """What reasons are looked for in.

    Attributes:
        plan: the tariff of the computed bill.
        case: its case, with the entered units.
        adjustments: all dated records, those of other months and places too.
        other_plans: tariffs that the bill may have been made by instead: other categories, other versions.
        measured_kwh: the readings' units.
        history: units billed by month.
    """

    plan: Plan
    case: BillingCase
    adjustments: Sequence[Adjustment] = ()
    other_plans: Sequence[Plan] = ()
    measured_kwh: Decimal | None = None
    history: Mapping[Month, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clues:
    """The two bills, and where to look.

    Attributes:
        printed: the entered amounts by kind.
    """

    context: Context
    computed: Bill
    printed: Mapping[LineKind, Decimal]

    def lines(self, kind: LineKind) -> tuple[Line, ...]:
        """The computed lines of a kind."""
        return tuple(line for line in self.computed.lines if line.kind is kind)

    def amount_on(self, plan: Plan, units: Decimal, kind: LineKind) -> Decimal | None:
        """A kind's amount on another tariff or at other units; None where it cannot be worked out."""
        case = self.context.case
        other = case if units == self.computed.billed_kwh else with_units(case, units)
        try:
            return price_bill(plan, other).amount(kind)
        except BillingError:
            return None


def _kwh(units: Decimal) -> str:
    return number_text(units.quantize(CENT))


def _other_units(clues: Clues) -> Iterator[tuple[str, Decimal]]:
    if clues.context.measured_kwh is not None:
        yield "the site's readings", clues.context.measured_kwh
    for month, units in clues.context.history.items():
        yield f"the bill of {month}", units


def _other_tariff(clues: Clues, kind: LineKind, printed: Decimal) -> Reason | None:
    for plan in clues.context.other_plans:
        if clues.amount_on(plan, clues.computed.billed_kwh, kind) == printed:
            since = "" if plan.effective_from is None else f" in force from {plan.effective_from}"
            return Reason("other_tariff", f"It is the amount by {plan.code}{since}.")
    return None


def _inverted_units(clues: Clues, printed: Decimal) -> Decimal | None:
    """The units whose energy charge the printed one is."""
    plan = clues.context.plan
    rates = [plan.flat_rate] if plan.pricing_rule is PricingRule.FLAT else []
    if plan.pricing_rule is PricingRule.SINGLE_SLAB:
        rates = [slab.rate for slab in plan.slabs]
    for rate in rates:
        units = (printed / rate).quantize(CENT) if rate else ZERO
        if units > 0 and clues.amount_on(plan, units, LineKind.ENERGY) == printed:
            return units
    return None


def _peak_split(clues: Clues, printed: Decimal) -> Reason | None:
    plan, units = clues.context.plan, clues.computed.billed_kwh
    if plan.pricing_rule is not PricingRule.TOU or plan.peak_rate is None or plan.off_peak_rate is None:
        return None
    step = plan.peak_rate - plan.off_peak_rate
    peak = (printed - units * plan.off_peak_rate) / step if step else Decimal(-1)
    if not 0 <= peak <= units:
        return None
    return Reason(
        "other_peak_units", f"It fits {_kwh(peak)} kWh of peak hours: the meter's clock or peak hours may differ."
    )


def _energy(clues: Clues, printed: Decimal) -> Reason | None:
    plan = clues.context.plan
    for name, units in _other_units(clues):
        if clues.amount_on(plan, units, LineKind.ENERGY) == printed:
            return Reason("other_units", f"It is the amount for {_kwh(units)} kWh, the units of {name}.")
    found = _other_tariff(clues, LineKind.ENERGY, printed) or _peak_split(clues, printed)
    if found is not None:
        return found
    inverted = _inverted_units(clues, printed)
    if inverted is not None:
        return Reason("other_units", f"It is the amount for {_kwh(inverted)} kWh, slab of other units.")
    return None


def _fixed(clues: Clues, printed: Decimal) -> Reason | None:
    lines = clues.lines(LineKind.FIXED)
    for slab in clues.context.plan.slabs if clues.context.plan.slab_fixed else ():
        if len(lines) == 1 and slab.fixed and round_pkr(slab.fixed * (lines[0].quantity or ZERO)) == printed:
            return Reason("other_slab", f"It is the rate of another slab: {number_text(slab.fixed)} PKR.")
    found = _other_tariff(clues, LineKind.FIXED, printed)
    if found is not None or len(lines) != 1 or not lines[0].rate or lines[0].unit != "kW":
        return found
    load_kw = (printed / lines[0].rate).quantize(CENT)
    if round_pkr(load_kw * lines[0].rate) != printed:
        return None
    has = number_text(lines[0].quantity or ZERO)
    return Reason("other_load", f"It fits {number_text(load_kw)} kW of {lines[0].base}; here it is {has} kW.")


def _records(clues: Clues, kind: AdjustmentKind) -> list[Adjustment]:
    plan, case = clues.context.plan, clues.context.case
    found = [r for r in clues.context.adjustments if r.kind is kind and r.rate is not None]
    found = [r for r in found if applies(r, plan, case) and not is_exempt(r, plan)]
    return sorted(found, key=lambda record: record.effective_from, reverse=True)


def _fca(clues: Clues, printed: Decimal) -> Reason | None:
    units_of = {**clues.context.history, clues.context.case.month: clues.computed.billed_kwh}
    for record in _records(clues, AdjustmentKind.FCA):
        for month, units in units_of.items():
            if record.rate is not None and round_pkr(record.rate * units) == printed:
                of = Month.of(record.effective_from)
                words = f"It is the fuel charge of {of} ({number_text(record.rate)} PKR/kWh) on {_kwh(units)} kWh of {month}."
                return Reason("fca_of_another_month", words)
    return _at_other_units(clues, printed, kind=LineKind.FPA) or _implied_rate(clues, LineKind.FPA, printed)


def _at_other_units(clues: Clues, printed: Decimal, *, kind: LineKind) -> Reason | None:
    lines = clues.lines(kind)
    if len(lines) != 1 or not lines[0].rate:
        return None
    units = (printed / lines[0].rate).quantize(CENT)
    if units < 0:
        return None
    if round_pkr(units.to_integral_value() * lines[0].rate) == printed:
        units = units.to_integral_value()
    return Reason("other_units", f"At {number_text(lines[0].rate)} PKR/kWh it fits {_kwh(units)} kWh.")


def _implied_rate(clues: Clues, kind: LineKind, printed: Decimal) -> Reason | None:
    lines = clues.lines(kind)
    if len(lines) != 1 or not lines[0].quantity:
        return None
    rate = number_text((printed / lines[0].quantity).quantize(Decimal("0.0001")))
    return Reason(
        "other_rate", f"On {_kwh(lines[0].quantity)} kWh it is {rate} PKR/kWh, which is not the rate on record."
    )


def _qta(clues: Clues, printed: Decimal) -> Reason | None:
    units, days = clues.computed.billed_kwh, clues.context.case.days
    records = _records(clues, AdjustmentKind.QTA)
    rates = [record.rate for record in records if record.rate is not None]
    for rate in rates:
        if round_pkr(rate * units) == printed:
            return Reason(
                "days", f"It is all units at {number_text(rate)} PKR/kWh: the days were not split, or lie elsewhere."
            )
    for newer, older in pairwise(rates):
        for count in range(1, days):
            split = round_pkr(newer * units * count / days) + round_pkr(older * units * (days - count) / days)
            if split == printed:
                words = f"It is {count} of {days} days at {number_text(newer)} and the others at {number_text(older)} PKR/kWh."
                return Reason("days", words)
    return _at_other_units(clues, printed, kind=LineKind.QTA)


def _printed_base(clues: Clues, kinds: frozenset[LineKind]) -> Decimal:
    taxed = kinds - {LineKind.EXPORT_CREDIT}
    return sum((clues.printed.get(kind, clues.computed.amount(kind)) for kind in LineKind if kind in taxed), ZERO)


def _percent(clues: Clues, printed: Decimal, *, kind: LineKind) -> Reason | None:
    plan = clues.context.plan
    base = _printed_base(clues, plan.duty_base if kind is LineKind.DUTY else plan.gst_base)
    rates = [line.rate for line in clues.lines(kind) if line.rate is not None]
    # A paisa either way: some companies round the tax of each line, others that of the sum.
    if any(abs(percent_of(base, rate) - printed) <= PAISA for rate in rates):
        return Reason("follows", "It follows from the other lines as they are printed.")
    if printed == ZERO:
        return Reason("not_charged", "It was not charged; here it is on record for the place.")
    if not base:
        return None
    percent = number_text((printed / base * HUNDRED).quantize(CENT))
    return Reason(
        "other_rate", f"It is {percent} % of {money_text(base)} PKR; the rate, or what it is taken on, differs."
    )


def _income_tax(clues: Clues, printed: Decimal) -> Reason | None:
    case, plan = clues.context.case, clues.context.plan
    other = replace(case, active_taxpayer=not case.active_taxpayer)
    if price_bill(plan, other, clues.context.adjustments).amount(LineKind.INCOME_TAX) == printed:
        status = "not on" if case.active_taxpayer else "on"
        return Reason("taxpayer_status", f"It is the tax of somebody who is {status} the active taxpayers' list.")
    return None


def _credit(clues: Clues, printed: Decimal) -> Reason | None:
    exported = clues.context.case.exported_kwh
    return _at_other_units(clues, -printed, kind=LineKind.EXPORT_CREDIT) or (
        Reason(
            "other_rate", f"On {_kwh(exported)} kWh it is {number_text((-printed / exported).quantize(CENT))} PKR/kWh."
        )
        if exported
        else None
    )


_GUESSES: Mapping[LineKind, Callable[[Clues, Decimal], Reason | None]] = {
    LineKind.ENERGY: _energy,
    LineKind.FIXED: _fixed,
    LineKind.FPA: _fca,
    LineKind.QTA: _qta,
    LineKind.SURCHARGE: partial(_at_other_units, kind=LineKind.SURCHARGE),
    LineKind.DUTY: partial(_percent, kind=LineKind.DUTY),
    LineKind.GST: partial(_percent, kind=LineKind.GST),
    LineKind.INCOME_TAX: _income_tax,
    LineKind.EXPORT_CREDIT: _credit,
}


def reason_for(kind: LineKind, printed: Decimal, computed: Decimal | None, *, clues: Clues) -> Reason:
    """The likely reason for a line's difference.

    Args:
        kind: of the line.
        printed: PKR on the paper.
        computed: PKR worked out; None = pending, or no such line.
        clues: both bills, and where to look.
    """
    if computed is not None and abs(printed - computed) < ONE_RUPEE:
        return Reason("rounding", "Less than a rupee: rounding.")
    guess = _GUESSES.get(kind)
    found = guess(clues, printed) if guess is not None else None
    if found is not None:
        return found
    pending = [line for line in clues.lines(kind) if line.status is RateStatus.PENDING]
    if pending:
        return Reason("not_on_record", f"Its amount is not on record here: {pending[0].formula}.")
    if not clues.lines(kind):
        return Reason("no_such_line", "The tariff on record has no such line for this bill.")
    return Reason("unexplained", "No reason was found.")


def total_reason(
    gap_pkr: Decimal, printed_pkr: Decimal, *, lines_pkr: Decimal | None, pending: Sequence[Line]
) -> Reason | None:
    """The likely reason for the totals' difference; None when there is none.

    Args:
        gap_pkr: printed total less computed.
        printed_pkr: the printed total without arrears.
        lines_pkr: sum of the entered lines; None when no lines were entered.
        pending: computed lines without an amount.
    """
    if not gap_pkr:
        return None
    if lines_pkr is not None and abs(printed_pkr - lines_pkr) >= ONE_RUPEE:
        rest = money_text(printed_pkr - lines_pkr)
        words = f"The entered lines add up to {money_text(lines_pkr)} PKR; {rest} more is in the total: arrears, or lines left out."
        return Reason("beside_the_lines", words)
    if abs(gap_pkr) < ONE_RUPEE:
        return Reason("rounding", "Less than a rupee: rounding.")
    if lines_pkr is not None:
        return Reason("lines", "It is the sum of the lines' differences.")
    if pending:
        names = ", ".join(sorted({line.label for line in pending}))
        return Reason(
            "not_on_record", f"The total worked out here leaves out {names}; enter the lines to see the rest."
        )
    return Reason("lines_unknown", "Enter the lines of the bill to see which of them differ.")
