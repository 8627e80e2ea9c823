"""A case on a tariff by month and hour: its units by period, from its intervals or as it says itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from cloud.billing.case_file.energy import CaseEnergy
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.shape import CaseFile
from cloud.billing.rules.errors import BillingError, RateUnknownError
from cloud.billing.rules.metering.energy import period_window
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.model import BillingCase, BillWarning
from cloud.billing.rules.money import ZERO, number_text
from cloud.billing.rules.scheduled.case import BROUGHT, EXPORT, flow_sums
from cloud.billing.rules.scheduled.metered import Metered, imported_by_period, metered, shared_out
from cloud.billing.rules.scheduled.schedule import Schedule, TierUnit
from shared.periods import zone_of

_TOLERANCE_KWH = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class ScheduledEnergy:
    """A case with its units by period, and what to know about them."""

    metered: Metered
    warnings: tuple[BillWarning, ...]


def _inside(case: BillingCase, rows: Sequence[Interval], zone_name: str) -> list[Interval]:
    window = period_window(case.period_start, case.period_end, zone_of(zone_name))
    return [row for row in rows if row.start in window]


def _check_sums(file: CaseFile, rows: Sequence[Interval]) -> None:
    """Refuse units beside intervals that are not theirs: the hours of the difference are not known."""
    for name, flow in (("units", "imported_kwh"), ("exported_kwh", "exported_kwh")):
        told = getattr(file, name)
        read = sum((kwh for row in rows if (kwh := getattr(row, flow)) is not None), ZERO)
        if file.given(name) and told is not None and abs(told - read) > _TOLERANCE_KWH:
            raise CaseError(
                name,
                f"{name} is {number_text(told)} while the intervals add up to {number_text(read)}; the tariff's periods are filled from "
                "the intervals: leave it out, or correct one of them",
            )


def _check_given(file: CaseFile, rows: Sequence[Interval] | None) -> None:
    """Refuse what the tariff does not ask for, or what its intervals say otherwise.

    Raises:
        CaseError: names the field.
    """
    for name in ("peak_units", "off_peak_units", "exported_peak_kwh", "consumed_peak_kwh"):
        if file.given(name) and getattr(file, name) is not None:
            raise CaseError(
                name,
                f"{name} is {number_text(getattr(file, name))}, but the tariff has periods of its own; give schedule_units, or intervals",
            )
    if rows is None:
        return
    _check_sums(file, rows)
    own = [name for name in file.schedule_units if not name.endswith(f"/{BROUGHT}")]
    if own:
        raise CaseError(
            "schedule_units",
            f"schedule_units names {own[0]!r} beside intervals, which the tariff's hours divide; leave one of the two out",
        )
    if file.schedule_demand_kw:
        name, kw = next(iter(file.schedule_demand_kw.items()))
        words = f"schedule_demand_kw is {number_text(kw)} for {name!r} beside intervals, which tell it; leave one of the two out"
        raise CaseError("schedule_demand_kw", words)


def _with_own_demand(schedule: Schedule, found: Metered, own_kw: Decimal | None) -> Metered:
    """What the case says of its highest demand goes before its intervals, where only the whole period's counts."""
    if own_kw is None or own_kw == found.case.max_demand_kw:
        return found
    if schedule.demand or schedule.tier_unit in {TierUnit.KWH_PER_KW, TierUnit.KWH_PER_KW_PER_DAY}:
        raise CaseError(
            "max_demand_kw",
            f"max_demand_kw is {number_text(own_kw)} while the intervals reach {number_text(found.case.max_demand_kw or ZERO)}; the tariff "
            "looks at the hours of the demand: leave it out",
        )
    return replace(found, case=replace(found.case, max_demand_kw=own_kw))


def _estimated(schedule: Schedule, case: BillingCase, consumed_kwh: Decimal) -> ScheduledEnergy:
    """Units by period as the case says; the use without solar is shared out over the periods as what was bought."""
    bought = {key: kwh for key, kwh in case.schedule_units.items() if not key.endswith((f"/{EXPORT}", f"/{BROUGHT}"))}
    if len(schedule.energy) == 1 or (consumed_kwh == case.imported_kwh and not case.exported_kwh):
        consumed = bought if consumed_kwh == case.imported_kwh else {}
        return ScheduledEnergy(Metered(case, consumed_kwh, None, consumed, {}), ())
    shared = shared_out(consumed_kwh, imported_by_period(schedule, bought))
    return ScheduledEnergy(Metered(case, consumed_kwh, None, shared, {}), (_SHARED,))


_SHARED = BillWarning(
    "consumption_by_period_estimated",
    "Without solar, the use in each period of the tariff is taken as the share that was bought in it (give consumption_kwh in intervals).",
)


def _metered(schedule: Schedule, case: BillingCase, rows: Sequence[Interval], zone_name: str) -> Metered:
    try:
        return metered(schedule, case, rows, zone=zone_of(zone_name))
    except RateUnknownError:
        raise
    except BillingError as error:
        raise CaseError("interval_csv", f"intervals: {error}") from error


def _own_units(file: CaseFile, case: BillingCase) -> BillingCase:
    return replace(
        case,
        schedule_units=dict(file.schedule_units),
        schedule_demand_kw=dict(file.schedule_demand_kw),
        ledger_kwh=case.ledger_kwh or flow_sums(file.schedule_units)[BROUGHT],
    )


def scheduled_energy(
    file: CaseFile, schedule: Schedule, case: BillingCase, *, energy: CaseEnergy, rows: Sequence[Interval] | None
) -> ScheduledEnergy:
    """Divide a case's energy by the periods of its tariff.

    Args:
        file: as read.
        schedule: of the tariff's version in force on the last day.
        case: without units by period.
        energy: of the whole period.
        rows: the case's intervals; None when it has none.

    Raises:
        CaseError: if the case says of a period's units or demand something else than its intervals, or these do not fit the tariff.
    """
    with_own = _own_units(file, case)
    if rows is None:
        _check_given(file, None)
        return _estimated(schedule, with_own, energy.consumed_kwh)
    inside = _inside(case, rows, file.time_zone)
    _check_given(file, inside)
    found = _metered(schedule, with_own, inside, file.time_zone)
    found = _with_own_demand(schedule, found, file.max_demand_kw)
    if not _told_apart(file, inside):
        return ScheduledEnergy(found, ())
    estimate = _estimated(schedule, found.case, energy.consumed_kwh)
    return replace(estimate, metered=replace(estimate.metered, assumptions=found.assumptions))


def _told_apart(file: CaseFile, rows: Sequence[Interval]) -> bool:
    """Whether the case says itself what was used or generated and its intervals do not."""
    used = any(row.consumed_kwh is not None for row in rows)
    made = any(row.generated_kwh is not None for row in rows)
    return not used and (file.given("consumed_kwh") or (file.given("generated_kwh") and not made))
