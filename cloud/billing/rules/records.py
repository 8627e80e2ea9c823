"""From stored records (the JSON of `tariff_plans.rates`, rows of `tariff_adjustments`) to the engine's values."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import (
    DEFAULT_FCA_LAG_MONTHS,
    DUTY_BASE,
    GST_BASE,
    INCOME_TAX_BASE,
    Adjustment,
    AdjustmentKind,
    Band,
    FixedBasis,
    LineKind,
    Plan,
    PricingRule,
    QtaSplit,
    RateStatus,
    Slab,
)
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.scheduled.records import schedule_of
from cloud.billing.rules.scheduled.schedule import Schedule
from cloud.billing.rules.slabs import check_slabs

MAX_MONTHS = 24
"""More months back than any tariff looks."""


def _decimal(record: Mapping[str, Any], name: str) -> Decimal | None:
    value = record.get(name)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise BillingError(f'{name} is {value!r}; write a number, in JSON as text: "22.44"') from error
    if not number.is_finite():
        raise BillingError(f"{name} is {value!r}; write a finite number")
    return number


def slabs_of(rates: Mapping[str, Any]) -> tuple[Slab, ...]:
    """Slabs in order. `max_units` alone says where a slab ends; `min_units` is the reader's and is checked against it.

    Raises:
        BillingError: if two slabs overlap or leave a gap.
    """
    slabs: list[Slab] = []
    for entry in rates.get("slabs") or ():
        bottom = (slabs[-1].top_units or ZERO) if slabs else ZERO
        start = _decimal(entry, "min_units")
        if start is not None and not bottom <= start <= bottom + 1:
            raise BillingError(
                f"slab min_units is {start} after a slab that ends at {bottom}; it must be {bottom + 1} (or {bottom})"
            )
        slabs.append(
            Slab(_decimal(entry, "max_units"), _decimal(entry, "rate_per_kwh"), _decimal(entry, "fixed_charges"))
        )
    if slabs:
        check_slabs(slabs)
    return tuple(slabs)


Word = TypeVar("Word", bound=StrEnum)


def _word(rates: Mapping[str, Any], name: str, words: type[Word]) -> Word | None:
    value = rates.get(name)
    if value is None:
        return None
    if value not in set(words):
        raise BillingError(f"{name} is {value!r}; known: {', '.join(words)}")
    return words(value)


def pricing_rule_of(rates: Mapping[str, Any], *, supports_tou: bool, has_tou_units: bool) -> PricingRule:
    """The plan's rule; without an explicit one: ToU if it can be, else slabs (telescopic), else flat.

    Raises:
        BillingError: if the record has no energy rate at all, or names an unknown rule.
    """
    named = _word(rates, "pricing_rule", PricingRule)
    if named is not None:
        return named
    both_rates = rates.get("peak_rate_per_kwh") is not None and rates.get("off_peak_rate_per_kwh") is not None
    if supports_tou and both_rates and has_tou_units:
        return PricingRule.TOU
    if rates.get("slabs"):
        return PricingRule.TELESCOPIC
    if rates.get("energy_charge_per_kwh") is not None:
        return PricingRule.FLAT
    raise BillingError("rates has no energy rate; give slabs, energy_charge_per_kwh or peak and off-peak rates")


def _kinds(rates: Mapping[str, Any], name: str, default: frozenset[LineKind]) -> frozenset[LineKind]:
    words: Sequence[str] | None = rates.get(name)
    if words is None:
        return default
    unknown = sorted(set(words) - set(LineKind))
    if unknown:
        raise BillingError(f"{name} names {unknown[0]!r}; known line kinds: {', '.join(LineKind)}")
    return frozenset(LineKind(word) for word in words)


def _uses_slab_fixed(rates: Mapping[str, Any], slabs: Sequence[Slab]) -> bool:
    # A seed-style plan carries "fixed_charges": "0" in each slab beside a monthly charge of its own: the latter counts.
    if rates.get("slab_fixed") is not None:
        return bool(rates["slab_fixed"])
    return rates.get("fixed_charges_per_month") is None and any(slab.fixed for slab in slabs)


def _months(rates: Mapping[str, Any], name: str, *, default: int) -> int:
    value = rates.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_MONTHS:
        raise BillingError(f"{name} is {value!r}; write a whole number of months from 0 to {MAX_MONTHS}")
    return value


def _schedule(rates: Mapping[str, Any]) -> Schedule | None:
    record, rule = rates.get("schedule"), rates.get("pricing_rule")
    if (record is not None) != (rule == PricingRule.SCHEDULE):
        raise BillingError(
            f"pricing_rule is {rule!r} and schedule is {'missing' if record is None else 'given'}; a schedule goes with the rule "
            f"{PricingRule.SCHEDULE.value!r}"
        )
    return None if record is None else schedule_of(record)


def _fixed_charge(rates: Mapping[str, Any], *, slab_fixed: bool) -> Decimal | None:
    fixed = _decimal(rates, "fixed_charges_per_month")
    return ZERO if fixed is None and not slab_fixed else fixed


def _expected(rates: Mapping[str, Any]) -> frozenset[AdjustmentKind]:
    words: Sequence[str] = rates.get("expects") or ()
    unknown = sorted(set(words) - set(AdjustmentKind))
    if unknown:
        raise BillingError(f"expects names {unknown[0]!r}; known kinds of dated records: {', '.join(AdjustmentKind)}")
    return frozenset(AdjustmentKind(word) for word in words)


def plan_of(
    rates: Mapping[str, Any],
    *,
    code: str,
    category: str,
    source: str,
    status: RateStatus = RateStatus.VERIFIED,
    supports_tou: bool = False,
    has_tou_units: bool = False,
    effective_from: date | None = None,
    effective_to: date | None = None,
) -> Plan:
    """Build a plan from the JSON of `tariff_plans.rates`.

    Args:
        rates: the schema's keys, and optionally those of `Plan` that the schema does not have, by the same names.
        code: how bills name the plan.
        category: the tariff category's code.
        source: the notification.
        status: how far the rates can be trusted.
        supports_tou: whether the plan may be priced by time of use.
        has_tou_units: whether the case knows peak and off-peak units.
        effective_from: first day in force.
        effective_to: last day in force.

    Raises:
        BillingError: names the field that is wrong.
    """
    slabs = slabs_of(rates)
    slab_fixed = _uses_slab_fixed(rates, slabs)
    return Plan(
        code=code,
        category=category,
        pricing_rule=pricing_rule_of(rates, supports_tou=supports_tou, has_tou_units=has_tou_units),
        source=source,
        status=status,
        slabs=slabs,
        flat_rate=_decimal(rates, "energy_charge_per_kwh"),
        peak_rate=_decimal(rates, "peak_rate_per_kwh"),
        off_peak_rate=_decimal(rates, "off_peak_rate_per_kwh"),
        fixed_basis=_word(rates, "fixed_basis", FixedBasis) or FixedBasis.PER_CONSUMER,
        slab_fixed=slab_fixed,
        fixed_charge=_fixed_charge(rates, slab_fixed=slab_fixed),
        demand_share=_decimal(rates, "demand_share"),
        demand_charge_per_kw=_decimal(rates, "demand_charge_per_kw"),
        meter_rent=_decimal(rates, "meter_rent"),
        fallback_fpa=_decimal(rates, "fuel_price_adjustment"),
        fallback_qta=_decimal(rates, "quarterly_tariff_adjustment"),
        fallback_duty_percent=_decimal(rates, "electricity_duty_percent"),
        fallback_gst_percent=_decimal(rates, "gst_percent"),
        fallback_tv_fee=_decimal(rates, "tv_fee"),
        fallback_export_rate=_decimal(rates, "export_rate_per_kwh"),
        duty_base=_kinds(rates, "duty_base", DUTY_BASE),
        gst_base=_kinds(rates, "gst_base", GST_BASE),
        income_tax_base=_kinds(rates, "income_tax_base", INCOME_TAX_BASE),
        expects=_expected(rates),
        effective_from=effective_from,
        effective_to=effective_to,
        minimum_charge=_decimal(rates, "minimum_charge"),
        minimum_charge_per_kw=_decimal(rates, "minimum_charge_per_kw"),
        demand_history_months=_months(rates, "demand_history_months", default=0),
        demand_history_share=_decimal(rates, "demand_history_share"),
        fca_lag_months=_months(rates, "fca_lag_months", default=DEFAULT_FCA_LAG_MONTHS),
        qta_split=_word(rates, "qta_split", QtaSplit) or QtaSplit.DAYS,
        schedule=_schedule(rates),
    )


def _band(entry: Mapping[str, Any]) -> Band:
    return Band(
        top=_decimal(entry, "top"),
        amount=_decimal(entry, "amount") or ZERO,
        percent=_decimal(entry, "percent") or ZERO,
        above=_decimal(entry, "above") or ZERO,
    )


def _day(record: Mapping[str, Any], name: str) -> date | None:
    value = record.get(name)
    if value is None or isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise BillingError(f"{name} is {value!r}; write a date as YYYY-MM-DD, e.g. 2026-07-01") from error


def _required(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise BillingError(f"{name} is {value!r}; a dated record needs it")
    return value


def adjustment_of(record: Mapping[str, Any]) -> Adjustment:
    """Build a dated record; keys as in the tariff data's `[[adjustments]]`.

    Raises:
        BillingError: names the field that is wrong.
    """
    _required(record, "kind")
    kind = _word(record, "kind", AdjustmentKind)
    start, end = _day(record, "effective_from"), _day(record, "effective_to")
    if kind is None or start is None:
        raise BillingError("effective_from is missing; an adjustment needs its first day")
    if end is not None and end < start:
        raise BillingError(f"effective_to {end} is before effective_from {start}")
    rate, bands = _decimal(record, "rate"), tuple(_band(entry) for entry in record.get("bands") or ())
    if (rate is None) == (not bands):
        raise BillingError(f"{kind.value} from {start}: give either rate or bands")
    return Adjustment(
        kind=kind,
        effective_from=start,
        effective_to=end,
        source=_required(record, "source"),
        rate=rate,
        status=_word(record, "status", RateStatus) or RateStatus.VERIFIED,
        bands=bands,
        disco_providers=frozenset(record.get("disco_providers") or ()),
        provinces=frozenset(record.get("provinces") or ()),
        categories=frozenset(record.get("categories") or ()),
        excluded_categories=frozenset(record.get("excluded_categories") or ()),
    )
