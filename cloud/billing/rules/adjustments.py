"""Dated adjustments per kWh: fuel (FCA), quarterly (QTA), debt service surcharge (PHL)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from cloud.billing.rules import labels
from cloud.billing.rules.labels import Label
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    BillingCase,
    Line,
    LineKind,
    Plan,
    QtaSplit,
    RateStatus,
)
from cloud.billing.rules.money import number_text, round_pkr


def applies(record: Adjustment, plan: Plan, case: BillingCase) -> bool:
    """Whether the record is for this company, province and category, on whatever day."""
    return (
        (not record.disco_providers or case.disco_provider in record.disco_providers)
        and (not record.provinces or case.province in record.provinces)
        and (not record.categories or plan.category in record.categories)
    )


def in_scope(
    adjustments: Iterable[Adjustment], kind: AdjustmentKind, *, plan: Plan, case: BillingCase
) -> tuple[Adjustment, ...]:
    """Records of a kind that are for this company, province and category."""
    return tuple(record for record in adjustments if record.kind is kind and applies(record, plan, case))


def _ruling(records: Iterable[Adjustment], day: date) -> Adjustment | None:
    return max(
        (record for record in records if record.covers(day)),
        key=lambda r: (bool(r.disco_providers), bool(r.provinces), bool(r.categories), r.effective_from),
        default=None,
    )


def in_force(
    adjustments: Iterable[Adjustment], kind: AdjustmentKind, *, plan: Plan, case: BillingCase, day: date
) -> Adjustment | None:
    """The record of this kind that rules the day: the most specific scope first, then the youngest.

    Returns:
        None when nothing is on record. A record that excludes the plan's category is returned: see `is_exempt`.
    """
    return _ruling(in_scope(adjustments, kind, plan=plan, case=case), day)


def is_exempt(record: Adjustment | None, plan: Plan) -> bool:
    """Whether the plan's category never pays this record."""
    return record is not None and plan.category in record.excluded_categories


@dataclass(frozen=True, slots=True)
class Segment:
    """Days of the period at one rate.

    Attributes:
        record: None = none on record.
    """

    record: Adjustment | None
    days: int


def _edges(records: Sequence[Adjustment], case: BillingCase) -> list[date]:
    # The days on which another record may begin to rule, the day after the period's last one included.
    day = timedelta(days=1)
    starts = {record.effective_from for record in records}
    starts |= {record.effective_to + day for record in records if record.effective_to is not None}
    return [
        case.period_start,
        *sorted(start for start in starts if case.period_start < start <= case.period_end),
        case.period_end + day,
    ]


def _same_rate(first: Adjustment | None, second: Adjustment | None, plan: Plan) -> bool:
    if first is None or second is None:
        return first is second
    return first.rate == second.rate and is_exempt(first, plan) == is_exempt(second, plan)


def segments_of(
    adjustments: Sequence[Adjustment], kind: AdjustmentKind, *, plan: Plan, case: BillingCase
) -> tuple[Segment, ...]:
    """Split the period's calendar days by the rate in force, newest stretch first; the days add up to the period's.

    A record that follows another one at the same rate does not split the days. A plan may say that the rate of the period's last day
    is the whole period's quarterly adjustment.
    """
    records = in_scope(adjustments, kind, plan=plan, case=case)
    if kind is AdjustmentKind.QTA and plan.qta_split is QtaSplit.LAST_DAY:
        return (Segment(_ruling(records, case.period_end), case.days),)
    segments: list[Segment] = []
    for first, after in pairwise(_edges(records, case)):
        record, days = _ruling(records, first), (after - first).days
        if segments and _same_rate(segments[-1].record, record, plan):
            segments[-1] = Segment(record, segments[-1].days + days)
        else:
            segments.append(Segment(record, days))
    return tuple(reversed(segments))


def pending_line(
    kind: LineKind,
    label: Label,
    *,
    why: str,
    quantity: Decimal | None = None,
    unit: str = "kWh",
    base: str = "units billed",
) -> Line:
    """A line that the bill will have and whose amount is not known yet."""
    return Line(
        kind=kind,
        label=label.en,
        amount_pkr=None,
        quantity=quantity,
        unit=unit,
        rate=None,
        base=base,
        formula=why,
        source="not on record",
        status=RateStatus.PENDING,
        label_ur=label.ur,
    )


def _fallback_line(kind: LineKind, label: Label, rate: Decimal, *, units: Decimal, plan: Plan) -> Line:
    return Line(
        kind=kind,
        label=label.en,
        amount_pkr=round_pkr(rate * units),
        quantity=units,
        unit="kWh",
        rate=rate,
        base="units billed",
        formula=f"{number_text(units)} kWh × {number_text(rate)} PKR/kWh (the plan's own value)",
        source=plan.source,
        status=RateStatus.ESTIMATED,
        label_ur=label.ur,
    )


def fca_lines(plan: Plan, case: BillingCase, adjustments: Sequence[Adjustment], units: Decimal) -> tuple[Line, ...]:
    """Fuel charge: the rate of the month that lies the plan's lag before the bill's, on the units billed for that month."""
    month = case.month.back(plan.fca_lag_months)
    label = labels.fuel(str(month))
    record = in_force(adjustments, AdjustmentKind.FCA, plan=plan, case=case, day=month.first_day)
    if is_exempt(record, plan):
        return ()
    month_units = case.billed_units.get(month)
    if record is None or record.rate is None:
        if plan.fallback_fpa is not None:
            return (_fallback_line(LineKind.FPA, label, plan.fallback_fpa, units=units, plan=plan),)
        if AdjustmentKind.FCA not in plan.expects:
            return ()
        return (pending_line(LineKind.FPA, label, why=f"no rate of {month} is on record", quantity=month_units),)
    if month_units is None:
        return (pending_line(LineKind.FPA, label, why=f"the units billed for {month} are not known"),)
    return (
        Line(
            kind=LineKind.FPA,
            label=label.en,
            amount_pkr=round_pkr(record.rate * month_units),
            quantity=month_units,
            unit="kWh",
            rate=record.rate,
            base=f"units billed for {month}",
            formula=f"{number_text(month_units)} kWh of {month} × {number_text(record.rate)} PKR/kWh",
            source=record.source,
            status=record.status,
            label_ur=label.ur,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Daily:
    """A per-kWh adjustment on this bill's units, by calendar day."""

    kind: AdjustmentKind
    line_kind: LineKind
    label: Label
    fallback: Decimal | None


def _segment_line(what: _Daily, segment: Segment, *, units: Decimal, days: int) -> Line:
    record = segment.record
    share = "" if segment.days == days else f" × {segment.days}/{days} days"
    part = units * segment.days / days
    if record is None or record.rate is None:
        why = f"no rate on record for {segment.days} of {days} days"
        return pending_line(what.line_kind, what.label, why=why, quantity=part)
    return Line(
        kind=what.line_kind,
        label=what.label.en,
        amount_pkr=round_pkr(record.rate * units * segment.days / days),
        quantity=part,
        unit="kWh",
        rate=record.rate,
        base="units billed" + (", split by calendar days" if share else ""),
        formula=f"{number_text(units)} kWh{share} × {number_text(record.rate)} PKR/kWh",
        source=record.source,
        status=record.status,
        label_ur=what.label.ur,
    )


def _daily_lines(
    what: _Daily, plan: Plan, *, case: BillingCase, adjustments: Sequence[Adjustment], units: Decimal
) -> tuple[Line, ...]:
    segments = segments_of(adjustments, what.kind, plan=plan, case=case)
    if all(segment.record is None for segment in segments):
        if what.fallback is not None:
            return (_fallback_line(what.line_kind, what.label, what.fallback, units=units, plan=plan),)
        if what.kind not in plan.expects:
            return ()
    return tuple(
        _segment_line(what, segment, units=units, days=case.days)
        for segment in segments
        if not is_exempt(segment.record, plan)
    )


def qta_lines(plan: Plan, case: BillingCase, adjustments: Sequence[Adjustment], units: Decimal) -> tuple[Line, ...]:
    """Quarterly adjustment on this bill's units, split by calendar days where the rate changes inside the period.

    A plan may take the rate of the last day for all units instead.
    """
    what = _Daily(AdjustmentKind.QTA, LineKind.QTA, labels.QTA, plan.fallback_qta)
    return _daily_lines(what, plan, case=case, adjustments=adjustments, units=units)


def surcharge_lines(
    plan: Plan, case: BillingCase, adjustments: Sequence[Adjustment], units: Decimal
) -> tuple[Line, ...]:
    """Debt service surcharge (PHL) on this bill's units."""
    what = _Daily(AdjustmentKind.PHL, LineKind.SURCHARGE, labels.PHL, None)
    return _daily_lines(what, plan, case=case, adjustments=adjustments, units=units)
