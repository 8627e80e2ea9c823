"""The versions of a tariff inside one period: which days each rules, and what is shared out by them.

The slab is found by the whole period's units; each version then prices its days' share of them at its own rate. Shares at equal
rates are joined again before anything is rounded, so that a date without a change changes nothing.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from typing import Generic, TypeVar

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import BillingCase, Plan, RateStatus, Slab
from cloud.billing.rules.slabs import slab_label

MONTH_DAYS = 30
"""Days of the month that a pro-rated bill is a part of."""
_SCALED_TOP = Decimal("0.001")
"""A pro-rated slab ends at the watt-hour above its share, so that the unit at the edge stays below it."""
_TRUST = (RateStatus.VERIFIED, RateStatus.DERIVED, RateStatus.ESTIMATED, RateStatus.PENDING)

Value = TypeVar("Value", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days of the period under one version of the tariff.

    Attributes:
        days: of the period.
    """

    plan: Plan
    days: int


@dataclass(frozen=True, slots=True)
class Share(Generic[Value]):
    """Something monthly, and the days for which it holds.

    Attributes:
        days: for which it holds; `of_days` of them are the whole.
        source: where it comes from.
        status: how far that can be trusted.
    """

    value: Value
    days: int
    of_days: int
    source: str
    status: RateStatus

    @property
    def is_whole(self) -> bool:
        """Whether it holds for the whole period, or month."""
        return self.days == self.of_days

    def of(self, amount: Decimal) -> Decimal:
        """The share's part of an amount, not rounded."""
        return amount if self.is_whole else amount * self.days / self.of_days

    @property
    def words(self) -> str:
        """For a formula: empty for the whole."""
        return "" if self.is_whole else f" × {self.days}/{self.of_days} days"


def least_trusted(first: RateStatus, second: RateStatus) -> RateStatus:
    """The status of what is built on both."""
    return max(first, second, key=_TRUST.index)


def _joined(one: Share[Value], days: int, plan: Plan) -> Share[Value]:
    source = one.source if plan.source in one.source else f"{one.source}; {plan.source}"
    return replace(one, days=one.days + days, source=source, status=least_trusted(one.status, plan.status))


def shares_of(pairs: Iterable[tuple[Value, Stretch]], *, of_days: int) -> tuple[Share[Value], ...]:
    """Join what is equal; in order of first appearance.

    Args:
        pairs: a version's value and its stretch.
        of_days: days that make the whole.
    """
    found: dict[Value, Share[Value]] = {}
    for value, stretch in pairs:
        before = found.get(value)
        if before is None:
            found[value] = Share(value, stretch.days, of_days, stretch.plan.source, stretch.plan.status)
        else:
            found[value] = _joined(before, stretch.days, stretch.plan)
    return tuple(found.values())


def month_days(case: BillingCase) -> int:
    """Days over which a monthly amount is spread: any period is one month, unless it is pro-rated."""
    return MONTH_DAYS if case.prorated else case.days


def _scaled(slabs: tuple[Slab, ...], days: int) -> tuple[Slab, ...]:
    return tuple(
        replace(
            slab,
            top_units=None
            if slab.top_units is None
            else (slab.top_units * days / MONTH_DAYS).quantize(_SCALED_TOP, ROUND_CEILING),
            label=slab_label(slabs, index),
        )
        for index, slab in enumerate(slabs)
    )


def _in_period(plans: Sequence[Plan], case: BillingCase) -> list[tuple[Plan, date, date]]:
    found = []
    for plan in plans:
        first = max(case.period_start, plan.effective_from or case.period_start)
        last = min(case.period_end, plan.effective_to or case.period_end)
        if first <= last:
            found.append((plan, first, last))
    return sorted(found, key=lambda item: item[1])


def _check_joined(found: Sequence[tuple[Plan, date, date]], case: BillingCase) -> None:
    day = timedelta(days=1)
    if not found or found[0][1] > case.period_start:
        raise BillingError(
            f"no tariff version is given for {case.period_start}, the period's first day; give every version in force"
        )
    for (before, _, last), (after, first, _) in pairwise(found):
        if first != last + day:
            raise BillingError(
                f"tariff {before.code} ends on {last} and {after.code} begins on {first}; versions must follow each "
                "other without gap or overlap: correct effective_from or effective_to"
            )
    if found[-1][2] < case.period_end:
        raise BillingError(
            f"no tariff version is given for {found[-1][2] + day} and after; the period ends on {case.period_end}"
        )


def stretches_of(plan: Plan | Sequence[Plan], case: BillingCase) -> tuple[Stretch, ...]:
    """The versions in force inside the period, oldest first; their days add up to the period's.

    Args:
        plan: one version, which then rules the whole period whatever its dates; or several with dates.
        case: gives the period; a pro-rated one has its slabs scaled.

    Raises:
        BillingError: if the versions leave a day out or rule one twice.
    """
    if isinstance(plan, Plan):
        stretches = [Stretch(plan, case.days)]
    elif len(plan) == 1:
        stretches = [Stretch(plan[0], case.days)]
    else:
        found = _in_period(plan, case)
        _check_joined(found, case)
        stretches = [Stretch(version, (last - first).days + 1) for version, first, last in found]
    if case.prorated:
        stretches = [
            Stretch(replace(item.plan, slabs=_scaled(item.plan.slabs, case.days)), item.days) for item in stretches
        ]
    return tuple(stretches)


def period_assumptions(stretches: Sequence[Stretch], case: BillingCase) -> tuple[str, ...]:
    """How the period was shared out, where the text of the law was not seen."""
    found = []
    if len(stretches) > 1:
        begins = ", ".join(str(item.plan.effective_from) for item in stretches[1:])
        found.append(
            f"The tariff changed on {begins}, inside the period: units and monthly charges are split by calendar days, and the slab is "
            "that of the whole period's units."
        )
    if case.prorated:
        found.append(
            f"First or last bill of a connection: slabs, fixed charges and minimum are those of {case.days}/{MONTH_DAYS} of a month."
        )
    return tuple(found)
