"""Protected and lifeline homes: how the past months stand, what is left of this one, and what losing the rates would cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from cloud.billing.rules.advice.advice import Advice, Priced, Severity, left_out_words, more_pkr, rupees
from cloud.billing.rules.advice.cliffs import Pace
from cloud.billing.rules.consumer import LIFELINE_KWH, PROTECTED_KWH, PROTECTED_MONTHS, checked_months
from cloud.billing.rules.model import BillingCase
from cloud.billing.rules.money import ZERO, number_text
from cloud.billing.rules.month import Month

LIMITS_KWH: Mapping[str, Decimal] = {
    "residential_protected": PROTECTED_KWH,
    "residential_lifeline": LIFELINE_KWH,
}
_NAMES = {"residential_protected": ("protected", "پروٹیکٹڈ"), "residential_lifeline": ("lifeline", "لائف لائن")}
ONE = Decimal(1)
TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class MonthStanding:
    """One past month against the limit.

    Attributes:
        units: kWh billed; None = not known.
        within: None where the units are not known.
    """

    month: Month
    units: Decimal | None
    within: bool | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A home against a category's limit.

    Attributes:
        units: kWh of this month so far.
        past: months that count, the latest first.
    """

    category: str
    limit_kwh: Decimal
    units: Decimal
    past: tuple[MonthStanding, ...]

    @property
    def left_kwh(self) -> Decimal:
        """KWh that may still be billed this month."""
        return max(ZERO, self.limit_kwh - self.units)

    @property
    def holds(self) -> bool | None:
        """Whether this month and all past ones are within; None where none is over and one is not known."""
        if self.units > self.limit_kwh or any(month.within is False for month in self.past):
            return False
        return None if any(month.within is None for month in self.past) else True

    @property
    def months_to_go(self) -> int | None:
        """Months in a row within the limit, this one the first unless it is over, until a bill's past months are all within.

        0 = they are. None where a month that decides it is not known.
        """
        if self.units > self.limit_kwh:
            return len(self.past)
        for back, month in enumerate(self.past):
            if month.within is None:
                return None
            if not month.within:
                return len(self.past) - back
        return 0


def standing_of(category: str, *, bill_month: Month, units: Decimal, history: Mapping[Month, Decimal]) -> Standing:
    """How a home stands against the limit of `residential_protected` or `residential_lifeline`.

    Args:
        category: one of `LIMITS_KWH`.
        bill_month: this bill's month.
        units: kWh of this month so far.
        history: kWh billed by month.
    """
    limit = LIMITS_KWH[category]
    past = tuple(
        MonthStanding(month, history.get(month), None if month not in history else history[month] <= limit)
        for month in checked_months(category, bill_month)
    )
    return Standing(category, limit, units, past)


@dataclass(frozen=True, slots=True)
class Loss:
    """What un-protected rates cost more.

    Attributes:
        pkr: over `months` months.
        known_months: months whose units it was worked out from.
    """

    pkr: Decimal
    months: int
    known_months: int
    left_out: tuple[str, ...]


def loss_over(
    standing: Standing, case: BillingCase, *, kept: Priced, lost: Priced, months: int = PROTECTED_MONTHS
) -> Loss | None:
    """What the same months would cost more at the rates of those who lost the status.

    The units are those of the past months within the limit, priced with the present period's tariff and adjustments; where fewer than
    `months` are known, their mean stands for the others.

    Raises:
        BillingError: if a bill cannot be priced.
    """
    known = [month.units for month in standing.past[:months] if month.within and month.units is not None]
    if not known:
        return None
    steps = [more_pkr(kept.bill_of(case, units), lost.bill_of(case, units)) for units in known]
    left_out = tuple(sorted({kind for _, kinds in steps for kind in kinds}))
    return Loss(sum((step for step, _ in steps), ZERO) * months / len(known), months, len(known), left_out)


def _history_words(standing: Standing) -> str:
    return ", ".join(
        f"{month.month}: {'not known' if month.units is None else number_text(month.units) + ' kWh'}"
        for month in standing.past
    )


def _basis(standing: Standing, case: BillingCase, loss: Loss | None) -> tuple[str, ...]:
    name = _NAMES[standing.category][0]
    words = [
        (
            f"A {name} home stays within {number_text(standing.limit_kwh)} kWh in this month and in each of the "
            f"{len(standing.past)} months before"
        ),
        f"Past months: {_history_words(standing)}",
    ]
    if loss is not None:
        words.append(
            f"{loss.known_months} known months priced at the rates of {case.period_start} to {case.period_end}, "
            f"counted as {loss.months} months"
        )
        words += left_out_words(loss.left_out)
    return tuple(words)


def _facts(standing: Standing, pace: Pace) -> dict[str, str]:
    to_go = standing.months_to_go
    return {
        "limit_kwh": number_text(standing.limit_kwh),
        "left_kwh": number_text(standing.left_kwh),
        "expected_kwh": number_text(pace.expected.quantize(TENTH)),
        **({} if to_go is None else {"months_to_go": str(to_go)}),
        **{f"units_{month.month}": number_text(month.units) for month in standing.past if month.units is not None},
    }


def _amount(loss: Loss | None) -> tuple[Decimal | None, str]:
    if loss is None:
        return None, "not known: no past month's units are on record"
    return loss.pkr.quantize(Decimal("0.01")), f"over {loss.months} months"


def kept_advice(standing: Standing, case: BillingCase, pace: Pace, *, loss: Loss | None) -> Advice:
    """For a home that has the status, or of which nothing says that it has not: kWh left, and what losing it would cost."""
    name, name_ur = _NAMES[standing.category]
    amount, amount_of = _amount(loss)
    left = number_text(standing.left_kwh.quantize(TENTH))
    money = "" if amount is None else f" Losing it costs PKR {rupees(amount)} {amount_of}."
    money_ur = (
        ""
        if amount is None or loss is None
        else f" اسے کھونے سے {loss.months} مہینوں میں {rupees(amount)} روپے زیادہ لگیں گے۔"
    )
    at_risk = pace.is_open and pace.expected > standing.limit_kwh
    when = pace.day_of(standing.limit_kwh + ONE) if at_risk else None
    risk = "" if when is None else f" At the present pace they are used up on {when}."
    risk_ur = "" if when is None else f" موجودہ رفتار سے یہ {when} کو ختم ہو جائیں گے۔"
    doubt = "" if standing.holds else " Some past months are not known, so the status itself is not certain."
    doubt_ur = "" if standing.holds else " کچھ پچھلے مہینوں کے یونٹ معلوم نہیں، اس لیے حیثیت یقینی نہیں۔"
    return Advice(
        code=f"{name}_status",
        severity=Severity.WARNING if at_risk else Severity.INFO,
        message=f"{left} kWh are left until {pace.last} for the home to stay {name}.{risk}{money}{doubt}",
        message_ur=f"{name_ur} حیثیت برقرار رکھنے کے لیے {pace.last} تک {left} یونٹ باقی ہیں۔{risk_ur}{money_ur}{doubt_ur}",
        amount_pkr=amount,
        amount_of=amount_of,
        basis=_basis(standing, case, loss),
        facts=_facts(standing, pace),
    )


def regain_advice(standing: Standing, case: BillingCase, pace: Pace, *, loss: Loss | None) -> Advice | None:
    """For a home without the status: what brings it; None where a past month that decides it is not known."""
    to_go = standing.months_to_go
    if to_go is None:
        return None
    name, name_ur = _NAMES[standing.category]
    amount, amount_of = _amount(loss)
    limit = number_text(standing.limit_kwh)
    if to_go:
        code, severity = f"{name}_status_lost", Severity.INFO
        message = (
            f"The home is not {name}: after {to_go} months in a row within {limit} kWh (this one counted, unless it is over) "
            f"the next month within them is billed at {name} rates."
        )
        urdu = f"گھر {name_ur} نہیں ہے: مسلسل {to_go} مہینے {limit} یونٹ کے اندر رہنے کے بعد اگلا مہینہ {name_ur} نرخ پر آئے گا۔"
    else:
        code, severity = f"{name}_status_possible", Severity.NOTICE
        message = f"This month and all months that count are within {limit} kWh: ask the company for the {name} rates."
        urdu = f"یہ مہینہ اور شمار ہونے والے تمام مہینے {limit} یونٹ کے اندر ہیں: کمپنی سے {name_ur} نرخ مانگیں۔"
    return Advice(
        code=code,
        severity=severity,
        message=message,
        message_ur=urdu,
        amount_pkr=amount,
        amount_of=amount_of,
        basis=_basis(standing, case, loss),
        facts=_facts(standing, pace),
    )
