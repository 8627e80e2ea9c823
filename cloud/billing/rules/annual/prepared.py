"""A tariff made ready for many bills: everything that a period's rates depend on but the units is looked up once.

What is left is arithmetic on whole numbers, without a word of explanation: amounts are whole paisa, units are millionths of a kWh, rates
are hundred-millionths. They are the amounts of `price_bill`, to the paisa. What is prepared here is what most tariffs are made of; a
period that needs more (two versions of the tariff inside it, a schedule, a minimum charge, a rate that is not on record) is not
prepared, and is left to `price_bill`.
"""

from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from cloud.billing.rules.adjustments import Segment, is_exempt
from cloud.billing.rules.annual.year import BillYear, Records, SiteTerms
from cloud.billing.rules.demand import history_months
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.export import pays_surplus
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    BillingCase,
    ExportScheme,
    FixedBasis,
    LineKind,
    Plan,
    PricingRule,
)
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.taxes import is_liable

MICRO = 1_000_000
"""Units and kW are counted in millionths."""
UNIT_PLACES = 6
RATE_PLACES = 8
PAISA_PLACES = 2
_RATE = 10**RATE_PLACES
PER_UNIT = MICRO * _RATE // 100
"""Divides units times rate to paisa."""
SHARE = _RATE
"""Shares of a demand are counted in hundred-millionths, a billing demand in as many parts of a millionth of a kW."""
PER_CENT = 100 * _RATE
"""Divides paisa times per cent to paisa."""


# Reached by its class, a member of an enumeration costs more than what is done with it, before Python 3.12.
_QTA = AdjustmentKind.QTA
_PHL = AdjustmentKind.PHL
_DUTY = AdjustmentKind.DUTY
_GST = AdjustmentKind.GST
_FCA = AdjustmentKind.FCA


class UnpreparedError(BillingError):
    """The prepared form cannot hold a value of the plan or the case."""


class Rate(NamedTuple):
    """A rate in hundred-millionths, or an amount in paisa; None = pending, the line has no amount."""

    value: int | None


class DailyRate(NamedTuple):
    """A per-kWh adjustment for some of the period's days."""

    kind: LineKind
    rate: int | None
    days: int


class FuelRate(NamedTuple):
    """The fuel charge: on the units of its own month, or (the plan's own value) on this bill's."""

    rate: int | None
    on_its_month: bool


class PreparedBand(NamedTuple):
    """A band of amounts in paisa; `top` is in paisa or in millionths of a kWh, None = no top."""

    top: int | None
    amount: int
    percent: int
    above: int


class PreparedPlan(NamedTuple):
    """What does not change from period to period.

    Attributes:
        tops: of the slabs but an open last one, millionths of a kWh.
        rates: of the slabs; or the flat rate; or off-peak and peak. None = not on record.
        fixed: rate of the fixed charge, one for all or one for each slab; 0 = no line, None = pending.
        fixed_quantity: what it is multiplied with, in millionths; None = the billing demand.
        least_energy: floor of the energy charge, paisa.
        least_demand: floor of the billing demand, in parts of `SHARE` of a millionth of a kW.
        past_share: share of an earlier month's highest demand that is billed at least, in parts of `SHARE`.
        demand_rate: charge per kW of measured demand; None = no line.
        meter_rent: paisa; 0 = no line.
        levies_on_import: whether adjustments per kWh are on the import even where it is netted.
        credit_limited: whether a credit lowers the bill to zero at most.
    """

    scheme: ExportScheme
    rule: PricingRule
    tops: tuple[int, ...]
    rates: tuple[int | None, ...]
    fixed: tuple[int | None, ...]
    fixed_quantity: int | None
    least_energy: int
    least_demand: int
    past_share: int
    demand_rate: int | None
    meter_rent: int
    duty_base: frozenset[LineKind]
    gst_base: frozenset[LineKind]
    income_tax_base: frozenset[LineKind]
    levies_on_import: bool
    credit_limited: bool


class PreparedBill(NamedTuple):
    """One period under one plan; months are numbered by `month_number`.

    Attributes:
        fuel_month: whose fuel charge the bill carries.
        demand_months: earlier months whose highest demand bears on the billing demand.
        days: of the period.
        closes_quarter: whether a surplus is paid with this bill.
        municipal: None = no line.
        tv_fee: paisa; 0 = no line.
        income_tax: None = no line.
        export: rate of the credit; None = exports earn nothing.
    """

    plan: PreparedPlan
    month: int
    fuel_month: int
    demand_months: tuple[int, ...]
    days: int
    closes_quarter: bool
    fuel: FuelRate | None
    daily: tuple[DailyRate, ...]
    duty: Rate | None
    gst: Rate | None
    municipal: tuple[PreparedBand, ...] | None
    tv_fee: int
    income_tax: tuple[PreparedBand, ...] | None
    export: Rate | None


def month_number(month: Month) -> int:
    """Months since the year 0, January of it being 0."""
    return month.year * 12 + month.month - 1


def month_of_number(number: int) -> Month:
    """Undoes `month_number`."""
    return Month(number // 12, number % 12 + 1)


@lru_cache(maxsize=4096)
def scaled(number: Decimal, places: int) -> int:
    """A number in units of its last decimal place.

    Raises:
        UnpreparedError: if it has more decimals.
    """
    shifted = number.scaleb(places)
    whole = int(shifted)
    if whole != shifted:
        raise UnpreparedError(f"{number} has more than {places} decimals")
    return whole


def rounded(numerator: int, denominator: int) -> int:
    """The quotient to the nearest whole, halves away from zero.

    Args:
        numerator: of any sign.
        denominator: above 0.
    """
    if numerator < 0:
        return -((-2 * numerator + denominator) // (2 * denominator))
    return (2 * numerator + denominator) // (2 * denominator)


def _rate(number: Decimal | None) -> int | None:
    return None if number is None else scaled(number, RATE_PLACES)


def _paisa(amount: Decimal | None) -> int:
    return scaled(amount or ZERO, PAISA_PLACES)


def _slab_values(plan: Plan) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
    if plan.pricing_rule is PricingRule.FLAT:
        return (), (_rate(plan.flat_rate),)
    if plan.pricing_rule is PricingRule.TOU:
        return (), (_rate(plan.off_peak_rate), _rate(plan.peak_rate))
    tops = tuple(scaled(slab.top_units, UNIT_PLACES) for slab in plan.slabs if slab.top_units is not None)
    return tops, tuple(_rate(slab.rate) for slab in plan.slabs)


def _sanctioned_load(terms: SiteTerms) -> Decimal:
    if terms.sanctioned_load_kw is None:
        raise UnpreparedError("a charge per kW of sanctioned load has no sanctioned load to stand on")
    return terms.sanctioned_load_kw


def _fixed_quantity(plan: Plan, terms: SiteTerms) -> int | None:
    """What the fixed charge is multiplied with; None = the billing demand."""
    if plan.fixed_basis is FixedBasis.PER_CONSUMER:
        return MICRO
    if plan.fixed_basis is FixedBasis.PER_KW_BILLING_DEMAND:
        return None
    return scaled(_sanctioned_load(terms), UNIT_PLACES)


def _least_demand(plan: Plan, terms: SiteTerms) -> int:
    if plan.demand_share is None or terms.sanctioned_load_kw is None:
        return 0
    return scaled(plan.demand_share * terms.sanctioned_load_kw, UNIT_PLACES + RATE_PLACES)


def _least_energy(plan: Plan, terms: SiteTerms) -> int:
    least = plan.minimum_charge or ZERO
    if plan.minimum_charge_per_kw:
        least = max(least, plan.minimum_charge_per_kw * _sanctioned_load(terms))
    return rounded(scaled(least, RATE_PLACES), 10 ** (RATE_PLACES - PAISA_PLACES))


def prepare_plan(plan: Plan, terms: SiteTerms) -> PreparedPlan | None:
    """Make ready what does not change from period to period.

    Args:
        plan: one version of a tariff.
        terms: of the site.

    Returns:
        None when the plan's bills are to be priced by `price_bill`.
    """
    by_slab = plan.pricing_rule in {PricingRule.SINGLE_SLAB, PricingRule.ONE_PREVIOUS, PricingRule.TELESCOPIC}
    by_hours = plan.pricing_rule in {PricingRule.FLAT, PricingRule.TOU} and not plan.slab_fixed
    if not by_slab and not by_hours:
        return None
    try:
        return _plan(plan, terms)
    except UnpreparedError:
        return None


def _plan(plan: Plan, terms: SiteTerms) -> PreparedPlan:
    tops, rates = _slab_values(plan)
    fixed = tuple(_rate(slab.fixed) for slab in plan.slabs) if plan.slab_fixed else (_rate(plan.fixed_charge),)
    netted = terms.export_scheme is ExportScheme.NET_METERING_2015
    return PreparedPlan(
        scheme=terms.export_scheme,
        rule=plan.pricing_rule,
        tops=tops,
        rates=rates,
        fixed=fixed,
        fixed_quantity=_fixed_quantity(plan, terms) if any(rate != 0 for rate in fixed) else 0,
        least_energy=_least_energy(plan, terms),
        least_demand=_least_demand(plan, terms),
        past_share=SHARE if plan.demand_history_share is None else scaled(plan.demand_history_share, RATE_PLACES),
        demand_rate=_rate(plan.demand_charge_per_kw),
        meter_rent=_paisa(plan.meter_rent),
        duty_base=plan.duty_base - {LineKind.EXPORT_CREDIT},
        gst_base=plan.gst_base - {LineKind.EXPORT_CREDIT},
        income_tax_base=plan.income_tax_base - {LineKind.EXPORT_CREDIT},
        levies_on_import=netted and terms.export_terms.levies_on_import,
        credit_limited=terms.export_terms.credit_limited,
    )


def _fuel(plan: Plan, record: Adjustment | None) -> FuelRate | None:
    if is_exempt(record, plan):
        return None
    if record is not None and record.rate is not None:
        return FuelRate(_rate(record.rate), on_its_month=True)
    if plan.fallback_fpa is not None:
        return FuelRate(_rate(plan.fallback_fpa), on_its_month=False)
    return FuelRate(None, on_its_month=False) if _FCA in plan.expects else None


def _daily(
    kind: AdjustmentKind, plan: Plan, segments: tuple[Segment, ...], *, fallback: Decimal | None = None
) -> tuple[DailyRate, ...]:
    line_kind = LineKind.QTA if kind is _QTA else LineKind.SURCHARGE
    if len(segments) == 1 and segments[0].record is None:
        if fallback is not None:
            return (DailyRate(line_kind, _rate(fallback), segments[0].days),)
        if kind not in plan.expects:
            return ()
    return tuple(
        [
            DailyRate(line_kind, None if segment.record is None else _rate(segment.record.rate), segment.days)
            for segment in segments
            if not is_exempt(segment.record, plan)
        ]
    )


def _percent(kind: AdjustmentKind, plan: Plan, record: Adjustment | None, fallback: Decimal | None) -> Rate | None:
    if is_exempt(record, plan):
        return None
    if record is not None and record.rate is not None:
        return Rate(_rate(record.rate))
    if fallback is not None:
        return Rate(_rate(fallback))
    return Rate(None) if kind in plan.expects else None


def _bands(plan: Plan, record: Adjustment | None, places: int) -> tuple[PreparedBand, ...] | None:
    if record is None or is_exempt(record, plan):
        return None
    return tuple(
        [
            PreparedBand(
                None if band.top is None else scaled(band.top, places),
                _paisa(band.amount),
                scaled(band.percent, RATE_PLACES),
                _paisa(band.above),
            )
            for band in record.bands
        ]
    )


def _tv_fee(plan: Plan, record: Adjustment | None) -> int:
    if is_exempt(record, plan):
        return 0
    return _paisa(plan.fallback_tv_fee if record is None else record.rate)


def _export(plan: Plan, scheme: ExportScheme, record: Adjustment | None) -> Rate | None:
    if scheme is ExportScheme.NONE:
        return None
    if record is not None and record.rate is not None:
        return Rate(_rate(record.rate))
    return Rate(_rate(plan.fallback_export_rate))


def prepare_bill(plan: Plan, ready: PreparedPlan, *, case: BillingCase, year: BillYear) -> PreparedBill | None:
    """Make one period of a plan ready.

    Args:
        plan: the version in force.
        ready: the same, from `prepare_plan`.
        case: of the period, one of the year's.
        year: gives the dated records.

    Returns:
        None when the period is to be priced by `price_bill`.
    """
    try:
        return _bill(plan, ready, case, year.records_of(plan, case))
    except UnpreparedError:
        return None


def _bill(plan: Plan, ready: PreparedPlan, case: BillingCase, records: Records) -> PreparedBill:
    month = case.month
    number = month_number(month)
    taxed = records.income_tax is not None and is_liable(records.income_tax, case)
    return PreparedBill(
        plan=ready,
        month=number,
        fuel_month=number - plan.fca_lag_months,
        demand_months=tuple(map(month_number, history_months(plan, month))) if plan.demand_history_months else (),
        days=case.days,
        closes_quarter=pays_surplus(case),
        fuel=_fuel(plan, records.fuel),
        daily=_daily(_QTA, plan, records.qta, fallback=plan.fallback_qta) + _daily(_PHL, plan, records.phl),
        duty=_percent(_DUTY, plan, records.duty, plan.fallback_duty_percent),
        gst=_percent(_GST, plan, records.gst, plan.fallback_gst_percent),
        municipal=_bands(plan, records.municipal, UNIT_PLACES),
        tv_fee=_tv_fee(plan, records.tv_fee),
        income_tax=_bands(plan, records.income_tax, PAISA_PLACES) if taxed else None,
        export=_export(plan, case.export_scheme, records.export),
    )
