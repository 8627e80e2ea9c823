"""Dated records of a case: they take the place of those on file on the days that they cover."""

import calendar
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from cloud.billing.case_file.consumer import Consumer
from cloud.billing.case_file.period import CasePeriod
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.shape import CaseAdjustment, CaseFile
from cloud.billing.case_file.words import category_of, disco_of, province_code
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import Adjustment, AdjustmentKind, Band, RateStatus
from cloud.billing.rules.month import Month
from cloud.billing.rules.records import adjustment_of

GIVEN = "given in the case"
_ONE_DAY = timedelta(days=1)
_PER_KWH_BY_DAY = {"qta": AdjustmentKind.QTA, "phl": AdjustmentKind.PHL}
_WHOLE_PERIOD = {
    "duty_percent": AdjustmentKind.DUTY,
    "gst_percent": AdjustmentKind.GST,
    "tv_fee": AdjustmentKind.TV_FEE,
    "net_metering_rate": AdjustmentKind.EXPORT_NET_METERING,
    "net_billing_rate": AdjustmentKind.EXPORT_NET_BILLING,
}


def _month_days(month: Month) -> tuple[date, date]:
    return month.first_day, date(month.year, month.month, calendar.monthrange(month.year, month.month)[1])


def _given(
    kind: AdjustmentKind, days: tuple[date, date], *, rate: Decimal | None, bands: tuple[Band, ...] = ()
) -> Adjustment:
    return Adjustment(kind, days[0], days[1], GIVEN, rate, RateStatus.DERIVED, bands)


def short_records(case: CaseFile, period: CasePeriod, *, fuel_month: Month) -> tuple[Adjustment, ...]:
    """The records that `rates_override` stands for.

    Args:
        case: as read.
        period: of the bill.
        fuel_month: whose fuel charge is on the bill.
    """
    short = case.rates_override
    whole = (period.first, period.last)
    found: list[Adjustment] = []
    if short.fca is not None:
        by_month = short.fca if isinstance(short.fca, dict) else {str(fuel_month): short.fca}
        found += [
            _given(AdjustmentKind.FCA, _month_days(Month.parse(month)), rate=rate) for month, rate in by_month.items()
        ]
    for name, kind in _PER_KWH_BY_DAY.items():
        value = getattr(short, name)
        if isinstance(value, dict):
            found += [_given(kind, _month_days(Month.parse(month)), rate=rate) for month, rate in value.items()]
        elif value is not None:
            found.append(_given(kind, whole, rate=value))
    for name, kind in _WHOLE_PERIOD.items():
        if getattr(short, name) is not None:
            found.append(_given(kind, whole, rate=getattr(short, name)))
    if short.municipal_charge is not None:
        bands = (Band(top=None, amount=short.municipal_charge),)
        found.append(_given(AdjustmentKind.MUNICIPAL, whole, rate=None, bands=bands))
    return tuple(found)


def _long_record(given: CaseAdjustment, place: int) -> Adjustment:
    record = given.model_dump(exclude={"disco_providers", "provinces", "categories", "excluded_categories"})
    record |= {
        "disco_providers": [disco_of(name).value for name in given.disco_providers],
        "provinces": [province_code(name) for name in given.provinces],
        "categories": [category_of(name, field="categories") for name in given.categories],
        "excluded_categories": [category_of(name, field="excluded_categories") for name in given.excluded_categories],
    }
    try:
        return adjustment_of(record)
    except BillingError as error:
        raise CaseError(f"adjustments.{place}", f"adjustments.{place}: {error}") from error


def long_records(case: CaseFile) -> tuple[Adjustment, ...]:
    """The records of `adjustments`.

    Raises:
        CaseError: names the record and what is wrong with it.
    """
    return tuple(_long_record(given, place) for place, given in enumerate(case.adjustments))


def _is_for(record: Adjustment, consumer: Consumer) -> bool:
    disco = None if consumer.disco is None else consumer.disco.value
    return (
        (not record.disco_providers or disco in record.disco_providers)
        and (not record.provinces or consumer.province in record.provinces)
        and (not record.categories or consumer.category in record.categories)
    )


def _without(record: Adjustment, other: Adjustment) -> tuple[Adjustment, ...]:
    """What is left of a record when another one takes its days."""
    if other.kind is not record.kind:
        return (record,)
    last, other_last = record.effective_to or date.max, other.effective_to or date.max
    if other.effective_from > last or other_last < record.effective_from:
        return (record,)
    left = []
    if record.effective_from < other.effective_from:
        left.append(replace(record, effective_to=other.effective_from - _ONE_DAY))
    if other_last < last:
        left.append(replace(record, effective_from=other_last + _ONE_DAY))
    return tuple(left)


def replaced(on_file: Iterable[Adjustment], given: Sequence[Adjustment], consumer: Consumer) -> tuple[Adjustment, ...]:
    """The records on file with those of the case in their place.

    A record of the case that is for somebody else replaces nothing. Among the case's own, the later one takes the place of the earlier.
    """
    result = list(on_file)
    for other in given:
        if _is_for(other, consumer):
            result = [left for record in result for left in _without(record, other)]
        result.append(other)
    return tuple(result)
