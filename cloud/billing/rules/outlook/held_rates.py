"""Rates of the months to come: those on record, else the latest known, held and marked as estimated."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import Adjustment, AdjustmentKind, Plan, RateStatus

RECURRING = frozenset({AdjustmentKind.FCA, AdjustmentKind.QTA})
"""Set anew each month or quarter. Everything else that has an end was dropped, and does not come back."""
_ONE_DAY = timedelta(days=1)


class NoTariffError(BillingError):
    """No version of the tariff is on record for a day.

    Attributes:
        category: of the tariff.
        day: that no version rules.
    """

    def __init__(self, category: str, day: date) -> None:
        super().__init__(f"no tariff of {category} is on record for {day}; nothing is invented in its place")
        self.category = category
        self.day = day


HELD = "latest known rate, held"


def held_adjustments(adjustments: Sequence[Adjustment]) -> tuple[Adjustment, ...]:
    """The records, and after the last of each recurring kind and scope an open-ended estimate at its rate."""
    latest: dict[tuple[object, ...], Adjustment] = {}
    for record in adjustments:
        if record.kind not in RECURRING or record.rate is None:
            continue
        scope = (record.kind, record.disco_providers, record.provinces, record.categories)
        known = latest.get(scope)
        if known is None or known.effective_from < record.effective_from:
            latest[scope] = record
    return (*adjustments, *(_held(record, record.effective_to) for record in latest.values() if record.effective_to))


def _held(record: Adjustment, last: date) -> Adjustment:
    source = f"{record.source} ({record.effective_from:%Y-%m}): {HELD}"
    return replace(
        record, effective_from=last + _ONE_DAY, effective_to=None, status=RateStatus.ESTIMATED, source=source
    )


def _start(plan: Plan) -> date:
    return plan.effective_from or date.min


def plans_in(plans: Iterable[Plan], first: date, last: date, *, category: str) -> tuple[Plan, ...]:
    """Versions of a tariff for a period, oldest first; one that has ended is held, marked as estimated, when none follows.

    Args:
        plans: versions of one tariff.
        first: first day of the period.
        last: its last day.
        category: for the error.

    Raises:
        NoTariffError: if no version begins before the period does.
    """
    begun = sorted((plan for plan in plans if _start(plan) <= last), key=_start)
    found = [plan for plan in begun if plan.effective_to is None or plan.effective_to >= first]
    newest = begun[-1] if begun else None
    if newest is not None and newest.effective_to is not None and newest.effective_to < last:
        held = replace(
            newest,
            effective_from=max(first, newest.effective_to + _ONE_DAY),
            effective_to=None,
            status=RateStatus.ESTIMATED,
            source=f"{newest.source}: {HELD}",
        )
        found.append(held)
    if not found or _start(found[0]) > first:
        raise NoTariffError(category, first)
    return tuple(found)
