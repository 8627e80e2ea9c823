"""A billing case of a scheduled tariff with the units of a meter's intervals, and the same had everything been bought."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from zoneinfo import ZoneInfo

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.model import BillingCase
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.scheduled.case import BROUGHT, EXPORT, case_demand_kw, case_units
from cloud.billing.rules.scheduled.schedule import Metering, MonthUse, Schedule
from cloud.billing.rules.scheduled.steps import Counted, bill_use, counted, steps_of

_FINEST_KWH = Decimal("0.000001")
_SECONDS_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Metered:
    """A case with its units by period.

    Attributes:
        case: units and demands by the schedule's periods; units and demand of the whole period are their sum and the highest.
        consumed_kwh: what the site used.
        consumed_max_demand_kw: highest demand had everything been bought; None = as with solar.
        consumed_units: `schedule_units` had everything been bought.
        consumed_demand_kw: `schedule_demand_kw` likewise; empty = as with solar.
        assumptions: in words.
    """

    case: BillingCase
    consumed_kwh: Decimal
    consumed_max_demand_kw: Decimal | None
    consumed_units: dict[str, Decimal]
    consumed_demand_kw: dict[str, Decimal]
    assumptions: tuple[str, ...] = ()


def _brought(schedule: Schedule, case: BillingCase) -> dict[str, Decimal]:
    if len(schedule.energy) == 1 and case.ledger_kwh:
        return {f"{schedule.energy[0].name}/{BROUGHT}": case.ledger_kwh}
    return {key: kwh for key, kwh in case.schedule_units.items() if key.endswith(f"/{BROUGHT}")}


def _used(flows: Counted) -> list[int]:
    """What was used in each step: measured, else bought and not given away of what was generated."""
    return [
        max(0, (bought or 0) + max(0, (made or 0) - (sold or 0)) if used is None else used)
        for bought, sold, used, made in zip(
            flows.imported, flows.exported, flows.consumed, flows.generated, strict=True
        )
    ]


def _known(flow: Sequence[int | None]) -> list[int]:
    return [max(0, count or 0) for count in flow]


def _bought_and_sold(schedule: Schedule, flows: Counted) -> tuple[list[int], list[int]]:
    if schedule.metering is not Metering.BUY_ALL_SELL_ALL:
        return _known(flows.imported), _known(flows.exported)
    if flows.knows("exported") and not flows.knows("generated"):
        raise BillingError(
            "generated_kwh was not measured; the tariff buys all that is used and sells all that is generated: give generated_kwh of "
            "each interval"
        )
    return _used(flows), _known(flows.generated)


def assumed_of(schedule: Schedule, minutes: int) -> Iterator[str]:
    """What intervals of this length leave open, in words."""
    window = schedule.demand_window_minutes
    if (schedule.demand or schedule.flat_demand) and window is not None and window < minutes:
        yield (
            f"Demand is billed over {window} minutes and the data is of {minutes}: the highest demand may be higher than the one that"
            " was billed here."
        )
    if schedule.timetable.weekday != schedule.timetable.weekend:
        yield "Saturdays and Sundays are at weekend hours, holidays at those of their weekday."


def _with(case: BillingCase, schedule: Schedule, use: MonthUse) -> BillingCase:
    imported, exported = sum(use.imported_kwh, ZERO), sum(use.exported_kwh, ZERO)
    same = (imported, exported) == (case.imported_kwh, case.exported_kwh)
    brought = _brought(schedule, case)
    return replace(
        case,
        imported_kwh=imported,
        exported_kwh=exported,
        # A part of other sums is no part of these.
        imported_peak_kwh=case.imported_peak_kwh if same else None,
        exported_peak_kwh=case.exported_peak_kwh if same else ZERO,
        ledger_kwh=case.ledger_kwh or sum(brought.values(), ZERO),
        max_demand_kw=use.peak_kw,
        schedule_units={**case_units(schedule, use), **brought},
        schedule_demand_kw=case_demand_kw(schedule, use),
    )


def metered(schedule: Schedule, case: BillingCase, intervals: Sequence[Interval], *, zone: ZoneInfo) -> Metered:
    """Divide a meter's intervals by the hours of a tariff, whatever the meter's reading day.

    Args:
        schedule: of the plan that the case will be priced by.
        case: gives the period, the bill's month and what net metering brings forward.
        intervals: of one length; those of other days are left out, and what was not measured counts nothing.
        zone: of the meter: its days and hours.

    Raises:
        BillingError: if no interval is of the period, one lies across two steps, or the data does not fit the tariff.
        RateUnknownError: if the units go above a highest tier that ends.
    """
    if not intervals:
        raise BillingError(f"no interval is of the bill of {case.month}; give the period's own")
    minutes = intervals[0].seconds // _SECONDS_A_MINUTE
    steps = steps_of(case.period_start, case.period_end, zone=zone, minutes=minutes)
    flows = counted(steps, intervals, zone=zone)
    if not flows.knows("imported"):
        raise BillingError(f"no interval is of the bill of {case.month}; give the period's own")
    bought, sold = _bought_and_sold(schedule, flows)
    use = bill_use(schedule, steps, month=case.month, imported=bought, exported=sold)
    dark = bill_use(schedule, steps, month=case.month, imported=_used(flows), exported=[0] * len(bought))
    return Metered(
        case=_with(case, schedule, use),
        consumed_kwh=sum(dark.imported_kwh, ZERO),
        consumed_max_demand_kw=dark.peak_kw,
        consumed_units=case_units(schedule, dark),
        consumed_demand_kw=case_demand_kw(schedule, dark),
        assumptions=tuple(assumed_of(schedule, minutes)),
    )


def imported_by_period(schedule: Schedule, units: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Imported units of `schedule_units` by period, tiers added up."""
    sums = dict.fromkeys((period.name for period in schedule.energy), ZERO)
    for key, kwh in units.items():
        name, _, rest = key.partition("/")
        if name in sums and not rest.endswith((EXPORT, BROUGHT)):
            sums[name] += kwh
    return sums


def shared_out(total_kwh: Decimal, by_period: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """A total shared out as the units of the periods are; all of it in the first period where these have none."""
    whole = sum(by_period.values(), ZERO)
    shares = {
        name: (total_kwh * kwh / whole).quantize(_FINEST_KWH, rounding=ROUND_DOWN) if whole else ZERO
        for name, kwh in by_period.items()
    }
    largest = max(by_period, key=lambda name: by_period[name])
    shares[largest] += total_kwh - sum(shares.values(), ZERO)
    return shares
