"""Edges of slabs: where one more kWh makes every kWh, or the month, dearer."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal

from cloud.billing.rules.advice.advice import Advice, Priced, Severity, left_out_words, more_pkr, rupees
from cloud.billing.rules.bill import CLIFF_SHARE
from cloud.billing.rules.errors import RateUnknownError
from cloud.billing.rules.model import BillingCase, Plan, PricingRule
from cloud.billing.rules.money import ZERO, number_text

ONE = Decimal(1)
TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Pace:
    """How the period has gone so far.

    Attributes:
        units: billed so far, kWh.
        first: first day of the period.
        last: the reading date.
        days_gone: days that the units are of; a part of a day counts as such.
    """

    units: Decimal
    first: date
    last: date
    days_gone: Decimal

    @property
    def days(self) -> int:
        """Days of the whole period."""
        return (self.last - self.first).days + 1

    @property
    def is_open(self) -> bool:
        """Whether days are left."""
        return self.days_gone < self.days

    @property
    def per_day(self) -> Decimal:
        """KWh a day so far."""
        return self.units / self.days_gone if self.days_gone else ZERO

    @property
    def expected(self) -> Decimal:
        """KWh at the reading date, should it go on like this."""
        return self.per_day * self.days if self.is_open else self.units

    def day_of(self, units: Decimal) -> date | None:
        """The day on which so many kWh are reached; None when that is not before the reading date is over."""
        if not self.per_day or units > self.expected:
            return None
        days = (units / self.per_day).to_integral_value(ROUND_CEILING)
        return self.first + timedelta(days=max(0, int(days) - 1))


@dataclass(frozen=True, slots=True)
class Edge:
    """The top of a slab.

    Attributes:
        top_kwh: the last kWh before it.
        step_pkr: price of the kWh after it: the bill of `top_kwh + 1` less the bill of `top_kwh`.
        left_out: kinds of lines that only one of the two bills knows.
    """

    top_kwh: Decimal
    step_pkr: Decimal
    left_out: tuple[str, ...] = ()


def tops_of(plan: Plan) -> tuple[Decimal, ...]:
    """Units above which the plan's next slab begins; none where slabs do not make a step."""
    if plan.pricing_rule not in {PricingRule.SINGLE_SLAB, PricingRule.ONE_PREVIOUS}:
        return ()
    return tuple(slab.top_units for slab in plan.slabs[:-1] if slab.top_units is not None)


def edge_at(priced: Priced, case: BillingCase, top_kwh: Decimal) -> Edge:
    """The exact price of the kWh after a slab's top.

    Raises:
        BillingError: if one of the two bills cannot be priced.
    """
    step, left_out = more_pkr(priced.bill_of(case, top_kwh), priced.bill_of(case, top_kwh + ONE))
    return Edge(top_kwh, step, left_out)


def _kwh(units: Decimal) -> str:
    return number_text(units.quantize(TENTH))


def _basis(priced: Priced, pace: Pace, left_out: tuple[str, ...]) -> tuple[str, ...]:
    words = [f"{priced.plan.code} ({priced.plan.source}), {pace.first} to {pace.last}"]
    if pace.is_open:
        words.append(
            f"{_kwh(pace.units)} kWh in {_kwh(pace.days_gone)} of {pace.days} days: {_kwh(pace.per_day)} kWh a day, "
            f"{_kwh(pace.expected)} kWh at the reading date if it goes on like this"
        )
    return (*words, *left_out_words(left_out))


def _facts(edge: Edge, pace: Pace) -> dict[str, str]:
    return {
        "edge_kwh": number_text(edge.top_kwh),
        "left_kwh": number_text(edge.top_kwh - pace.units),
        "next_kwh_pkr": f"{edge.step_pkr:f}",
        "expected_kwh": _kwh(pace.expected),
    }


def _ahead(priced: Priced, pace: Pace, edge: Edge) -> Advice:
    left, top = _kwh(edge.top_kwh - pace.units), number_text(edge.top_kwh)
    reached = pace.day_of(edge.top_kwh + ONE)
    message = f"One more kWh after {top} costs PKR {rupees(edge.step_pkr)}; {left} kWh are left until {pace.last}."
    urdu = f"{top} یونٹ کے بعد کا ایک یونٹ {rupees(edge.step_pkr)} روپے کا پڑے گا؛ ریڈنگ کی تاریخ {pace.last} تک {left} یونٹ باقی ہیں۔"
    if reached is not None:
        message += f" At the present pace they are used up on {reached}."
        urdu += f" موجودہ رفتار سے یہ {reached} کو ختم ہو جائیں گے۔"
    return Advice(
        code="slab_cliff",
        severity=Severity.NOTICE if reached is None else Severity.WARNING,
        message=message,
        message_ur=urdu,
        amount_pkr=edge.step_pkr,
        amount_of=f"the kWh after {top}",
        basis=_basis(priced, pace, edge.left_out),
        facts=_facts(edge, pace) | ({} if reached is None else {"reached_on": reached.isoformat()}),
    )


def _passed(priced: Priced, case: BillingCase, pace: Pace, edge: Edge) -> Advice:
    over, top = _kwh(pace.units - edge.top_kwh), number_text(edge.top_kwh)
    cost, left_out = more_pkr(priced.bill_of(case, edge.top_kwh), priced.bill_of(case, pace.units))
    return Advice(
        code="slab_edge_passed",
        severity=Severity.INFO,
        message=f"The {over} kWh above {top} cost PKR {rupees(cost)}: they moved the month into the next slab.",
        message_ur=f"{top} سے اوپر کے {over} یونٹ {rupees(cost)} روپے کے پڑے: ان سے پورا مہینہ اگلے سلیب میں چلا گیا۔",
        amount_pkr=cost,
        amount_of=f"the {over} kWh above {top}",
        basis=_basis(priced, pace, left_out),
        facts=_facts(edge, pace),
    )


def cliff_advice(priced: Priced, case: BillingCase, pace: Pace) -> tuple[Advice, ...]:
    """Advice about the edges that the month is near to, will cross, or has just passed.

    Ahead of an open period: every edge up to the expected units, and the next one above when these come within 5 % of it.
    Behind: the last edge, when it was passed by 5 % or less.

    Args:
        priced: the tariff.
        case: the whole period, with the units so far.
        pace: of the billed units.

    Raises:
        BillingError: if the units so far cannot be priced. An edge above which no rate is on record gives no advice.
    """
    found: list[Advice] = []
    for top in tops_of(priced.plan):
        near = top * (ONE - CLIFF_SHARE)
        ahead = pace.is_open and pace.units <= top and pace.expected >= near
        just_passed = top < pace.units <= top * (ONE + CLIFF_SHARE)
        if not ahead and not just_passed:
            continue
        try:
            edge = edge_at(priced, case, top)
        except RateUnknownError:
            continue
        found.append(_ahead(priced, pace, edge) if ahead else _passed(priced, case, pace, edge))
    return tuple(found)
