"""A billing case of a scheduled tariff with the units of a meter's intervals."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.model import BillingCase
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.scheduled.case import BROUGHT, case_demand_kw, case_units
from cloud.billing.rules.scheduled.intervals import interval_use
from cloud.billing.rules.scheduled.schedule import Schedule


def _brought(schedule: Schedule, case: BillingCase) -> dict[str, Decimal]:
    if len(schedule.energy) == 1 and case.ledger_kwh:
        return {f"{schedule.energy[0].name}/{BROUGHT}": case.ledger_kwh}
    return {key: kwh for key, kwh in case.schedule_units.items() if key.endswith(f"/{BROUGHT}")}


def metered_case(
    schedule: Schedule, case: BillingCase, intervals: Sequence[Interval], *, zone: ZoneInfo
) -> BillingCase:
    """The case with the units and demands that the period's intervals add up to, whatever its reading day.

    Args:
        schedule: of the plan that it will be priced by.
        case: gives the period, the bill's month and what net metering brings forward.
        intervals: in order of time; those of the period have to be gapless and measured.
        zone: of the meter.

    Raises:
        BillingError: if an interval of the period is missing.
    """
    days = [item for item in intervals if case.period_start <= item.start.astimezone(zone).date() <= case.period_end]
    use = interval_use(schedule, days, zone=zone, bill_month=case.month)
    if use.period_days != case.days:
        raise BillingError(f"the intervals are of {use.period_days} of the period's {case.days} days; give all of them")
    return replace(
        case,
        imported_kwh=sum(use.imported_kwh, ZERO),
        exported_kwh=sum(use.exported_kwh, ZERO),
        max_demand_kw=use.peak_kw,
        schedule_units={**case_units(schedule, use), **_brought(schedule, case)},
        schedule_demand_kw=case_demand_kw(schedule, use),
    )
