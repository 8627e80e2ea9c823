"""Provinces, and what a bill may take for known where nobody has named the consumer's."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import reduce

from cloud.billing.rules.model import Adjustment, AdjustmentKind, BillingCase
from cloud.billing.rules.stretches import least_trusted

PROVINCES = ("punjab", "sindh", "khyber_pakhtunkhwa", "balochistan", "islamabad")


def wherever(records: Sequence[Adjustment], case: BillingCase) -> tuple[Adjustment, ...]:
    """The records, and for a case without a province the duty that is the same in all of them: IESCO's area spans three."""
    if case.province is not None:
        return tuple(records)
    return (*records, *alike_everywhere(records, day=case.period_end))


def alike_everywhere(records: Iterable[Adjustment], *, day: date) -> tuple[Adjustment, ...]:
    """The electricity duty of a consumer whose province is not known, where it is the same in all of them.

    Args:
        records: dated records.
        day: last of the period; its duty is the period's.

    Returns:
        One record for every province; none when a province has no record, or another rate or scope than the others.
    """
    found = (record for record in records if record.kind is AdjustmentKind.DUTY and record.covers(day))
    # In an order of their own, so that the same records always make the same one.
    duties = sorted(found, key=lambda record: (record.effective_from, sorted(record.provinces), record.source))
    covered = {province for record in duties for province in record.provinces}
    scopes = {(r.rate, r.bands, r.disco_providers, r.categories, r.excluded_categories) for r in duties}
    if not covered.issuperset(PROVINCES) or len(scopes) != 1:
        return ()
    status = reduce(least_trusted, (record.status for record in duties))
    source = f"the same in every province on record: {'; '.join(dict.fromkeys(record.source for record in duties))}"
    return (replace(duties[-1], provinces=frozenset(), status=status, source=source),)
