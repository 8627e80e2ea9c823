"""Duty, sales tax, municipal charge, TV fee, income tax. Their bases are data: sets of line kinds."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache

from cloud.billing.rules import labels
from cloud.billing.rules.adjustments import in_force, is_exempt, pending_line
from cloud.billing.rules.labels import Label
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    Band,
    BillingCase,
    Line,
    LineKind,
    Plan,
    RateStatus,
)
from cloud.billing.rules.money import ZERO, money_text, number_text, percent_of, round_pkr


def base_amount(lines: Iterable[Line], kinds: frozenset[LineKind]) -> Decimal:
    """Sum of the known amounts of these kinds. A credit for exports never enters a base, whatever the set says."""
    taxed = kinds - {LineKind.EXPORT_CREDIT}
    return sum([line.amount_pkr for line in lines if line.kind in taxed and line.amount_pkr is not None], ZERO)


@lru_cache(maxsize=256)
def _base_words(kinds: frozenset[LineKind]) -> str:
    return "on " + ", ".join(kind.value for kind in LineKind if kind in kinds)


def _percent_line(
    kind: LineKind, label: Label, *, percent: Decimal, base: Decimal, words: str, source: str, status: RateStatus
) -> Line:
    return Line(
        kind=kind,
        label=label.en,
        amount_pkr=percent_of(base, percent),
        quantity=base,
        unit="PKR",
        rate=percent,
        base=words,
        formula=f"{number_text(percent)} % of {money_text(base)} PKR",
        source=source,
        status=status,
        label_ur=label.ur,
    )


def percent_lines(
    kind: AdjustmentKind,
    plan: Plan,
    *,
    case: BillingCase,
    adjustments: Sequence[Adjustment],
    lines: Sequence[Line],
) -> tuple[Line, ...]:
    """Electricity duty or sales tax on the lines so far.

    Args:
        kind: `DUTY` or `GST`.
        plan: gives the base, and the fall-back when no dated record covers the period's last day.
        case: gives place and time.
        adjustments: dated records.
        lines: the bill so far.
    """
    is_duty = kind is AdjustmentKind.DUTY
    line_kind, label = (LineKind.DUTY, labels.DUTY) if is_duty else (LineKind.GST, labels.GST)
    kinds = plan.duty_base if is_duty else plan.gst_base
    fallback = plan.fallback_duty_percent if is_duty else plan.fallback_gst_percent
    record = in_force(adjustments, kind, plan=plan, case=case, day=case.period_end)
    if is_exempt(record, plan):
        return ()
    base = base_amount(lines, kinds)
    if record is not None and record.rate is not None:
        percent, source, status = record.rate, record.source, record.status
    elif fallback is not None:
        percent, source, status = fallback, plan.source, plan.status
    elif kind in plan.expects:
        why = f"no rate on record for {case.province or 'this province'}"
        return (pending_line(line_kind, label, why=why, quantity=base, unit="PKR", base=_base_words(kinds)),)
    else:
        return ()
    return (
        _percent_line(
            line_kind, label, percent=percent, base=base, words=_base_words(kinds), source=source, status=status
        ),
    )


def band_of(bands: Sequence[Band], value: Decimal) -> Band | None:
    """The band that holds the value; None when it lies above the highest band on record."""
    return next((band for band in bands if band.top is None or value <= band.top), None)


def municipal_lines(
    plan: Plan, *, case: BillingCase, adjustments: Sequence[Adjustment], units: Decimal
) -> tuple[Line, ...]:
    """Municipal utility charge of the city, by band of units; untaxed."""
    record = in_force(adjustments, AdjustmentKind.MUNICIPAL, plan=plan, case=case, day=case.period_end)
    if record is None or is_exempt(record, plan):
        return ()
    band = band_of(record.bands, units)
    if band is None:
        why = f"no amount on record for {number_text(units)} kWh"
        return (pending_line(LineKind.MUNICIPAL, labels.MUNICIPAL, why=why, quantity=units),)
    if band.amount == ZERO:
        return ()
    return (
        Line(
            kind=LineKind.MUNICIPAL,
            label=labels.MUNICIPAL.en,
            amount_pkr=round_pkr(band.amount),
            quantity=Decimal(1),
            unit="month",
            rate=band.amount,
            base="by band of units" + (f", up to {number_text(band.top)} kWh" if band.top is not None else ""),
            formula=f"1 month × {number_text(band.amount)} PKR",
            source=record.source,
            status=record.status,
            label_ur=labels.MUNICIPAL.ur,
        ),
    )


def tv_fee_lines(plan: Plan, *, case: BillingCase, adjustments: Sequence[Adjustment]) -> tuple[Line, ...]:
    """Television fee, where one is in force on the period's last day or the plan itself names one; untaxed."""
    record = in_force(adjustments, AdjustmentKind.TV_FEE, plan=plan, case=case, day=case.period_end)
    if is_exempt(record, plan):
        return ()
    if record is not None:
        fee, source, status = record.rate, record.source, record.status
    else:
        fee, source, status = plan.fallback_tv_fee, plan.source, plan.status
    if not fee:
        return ()
    return (
        Line(
            kind=LineKind.TV_FEE,
            label=labels.TV_FEE.en,
            amount_pkr=round_pkr(fee),
            quantity=Decimal(1),
            unit="month",
            rate=fee,
            base="per meter",
            formula=f"1 month × {number_text(fee)} PKR",
            source=source,
            status=status,
            label_ur=labels.TV_FEE.ur,
        ),
    )


def is_liable(record: Adjustment, case: BillingCase) -> bool:
    """Whether the consumer pays the income tax of this record."""
    # A home on the active taxpayers' list pays none; a business pays it in any case and sets it off later.
    return not case.active_taxpayer or not any(name.startswith("residential") for name in record.categories)


def income_tax_lines(
    plan: Plan, *, case: BillingCase, adjustments: Sequence[Adjustment], lines: Sequence[Line]
) -> tuple[Line, ...]:
    """Advance income tax, section 235 of the Income Tax Ordinance 2001, by band of the bill with duty and sales tax."""
    record = in_force(adjustments, AdjustmentKind.INCOME_TAX, plan=plan, case=case, day=case.period_end)
    if record is None or is_exempt(record, plan) or not is_liable(record, case):
        return ()
    base = base_amount(lines, plan.income_tax_base)
    band = band_of(record.bands, base)
    if band is None or (band.amount == ZERO and band.percent == ZERO):
        return ()
    amount = round_pkr(band.amount + (base - band.above) * band.percent / 100)
    fixed = f"{number_text(band.amount)} PKR + " if band.amount else ""
    part = f"({money_text(base)} - {number_text(band.above)})" if band.above else money_text(base)
    return (
        Line(
            kind=LineKind.INCOME_TAX,
            label=labels.INCOME_TAX.en,
            amount_pkr=amount,
            quantity=base,
            unit="PKR",
            rate=band.percent,
            base=_base_words(plan.income_tax_base),
            formula=f"{fixed}{number_text(band.percent)} % of {part} PKR",
            source=record.source,
            status=record.status,
            label_ur=labels.INCOME_TAX.ur,
        ),
    )
