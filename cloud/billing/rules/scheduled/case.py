"""A scheduled tariff as a plan: units and demands of a billing case in, lines of a bill out.

A case names its units by period in `schedule_units`: `peak` for what was imported in the hours of the period peak, `peak/export` for what
was exported, `peak/2` and `peak/2/export` for its second tier alone, `peak/brought` for the surplus that net metering brings forward. With
one period nothing has to be named: the case's own units are its units. `schedule_demand_kw` has the highest demand by demand period,
`max_demand_kw` that of the whole period.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from cloud.billing.rules.errors import BillingError, MissingInputError
from cloud.billing.rules.model import BillingCase, ExportScheme, Line, LineKind, Plan, SlabPortion
from cloud.billing.rules.money import ZERO, number_text
from cloud.billing.rules.scheduled.bill import Terms, price_month
from cloud.billing.rules.scheduled.schedule import Metering, MonthUse, Schedule, TierSplit, TierUnit

EXPORT = "export"
BROUGHT = "brought"
IMPORT = "import"
_TOLERANCE_KWH = Decimal("0.001")

Key = tuple[int, int | None]
"""A period and one of its tiers, from 0; None = all its tiers."""


@dataclass(frozen=True, slots=True)
class ScheduledCharges:
    """What a scheduled tariff puts on a bill.

    Attributes:
        charges: energy, demand, fixed charges, what is missing to the minimum.
        credits: for exports.
        carried_kwh: net metering's surplus for the next bill.
    """

    charges: tuple[Line, ...]
    credits: tuple[Line, ...]
    portions: tuple[SlabPortion, ...]
    billed_kwh: Decimal
    carried_kwh: Decimal
    assumptions: tuple[str, ...]


@dataclass(slots=True)
class _Units:
    by_key: dict[Key, Decimal] = field(default_factory=dict)

    def of_period(self, period: int) -> Decimal:
        return sum((kwh for (one, _), kwh in self.by_key.items() if one == period), ZERO)

    def tiers(self, schedule: Schedule) -> tuple[tuple[Decimal, ...], ...] | None:
        """By period and tier; None where a period is known as a whole only."""
        if any(tier is None for _, tier in self.by_key):
            return None
        return tuple(
            tuple(self.by_key.get((index, tier), ZERO) for tier in range(len(period.tiers)))
            for index, period in enumerate(schedule.energy)
        )


def case_units(schedule: Schedule, use: MonthUse) -> dict[str, Decimal]:
    """`schedule_units` of a month; what is 0 is left out, but for the first period of a month without any units."""
    units: dict[str, Decimal] = {}
    for suffix, totals, tiers in (
        ("", use.imported_kwh, use.imported_tiers),
        (f"/{EXPORT}", use.exported_kwh, use.exported_tiers),
    ):
        for index, period in enumerate(schedule.energy):
            if tiers is None or len(period.tiers) == 1:
                units[f"{period.name}{suffix}"] = totals[index]
            else:
                units |= {f"{period.name}/{number}{suffix}": kwh for number, kwh in enumerate(tiers[index], start=1)}
    return {key: kwh for key, kwh in units.items() if kwh} or {schedule.energy[0].name: ZERO}


def flow_sums(units: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What `schedule_units` add up to: `import`, `export` and `brought`."""
    sums = {IMPORT: ZERO, EXPORT: ZERO, BROUGHT: ZERO}
    for key, kwh in units.items():
        last = key.rpartition("/")[2] if "/" in key else IMPORT
        sums[last if last in {EXPORT, BROUGHT} else IMPORT] += kwh
    return sums


def case_demand_kw(schedule: Schedule, use: MonthUse) -> dict[str, Decimal]:
    """`schedule_demand_kw` of a month."""
    return {period.name: kw for period, kw in zip(schedule.demand, use.demand_kw, strict=True)}


def _key(schedule: Schedule, text: str) -> tuple[str, Key]:
    """Flow and key that the text names.

    Raises:
        BillingError: if it names no period, tier or flow of the schedule.
    """
    name, *rest = text.split("/")
    names = [period.name for period in schedule.energy]
    flow = rest.pop() if rest and rest[-1] in {EXPORT, BROUGHT} else IMPORT
    if name in names and (not rest or (len(rest) == 1 and rest[0].isdecimal() and flow != BROUGHT)):
        period = names.index(name)
        tops = schedule.energy[period].tops
        # Units of the whole period are those of its one tier; one that ends is held against the units first.
        tier = int(rest[0]) - 1 if rest else (0 if tops == (None,) else None)
        if tier is None or 0 <= tier < len(tops):
            return flow, (period, tier)
    raise BillingError(
        f"schedule_units names {text!r}; periods of the tariff: {', '.join(names)} (with /1 for a tier, /{EXPORT} for exported, "
        f"/{BROUGHT} for brought forward)"
    )


def _flows(schedule: Schedule, case: BillingCase) -> Mapping[str, _Units]:
    flows = {IMPORT: _Units(), EXPORT: _Units(), BROUGHT: _Units()}
    given = dict(case.schedule_units)
    if not given:
        if len(schedule.energy) > 1:
            names = ", ".join(period.name for period in schedule.energy)
            raise MissingInputError(
                "schedule_units", f"the tariff is priced by periods; give the units of each in schedule_units: {names}"
            )
        only = schedule.energy[0].name
        given = {only: case.imported_kwh, f"{only}/{EXPORT}": case.exported_kwh, f"{only}/{BROUGHT}": case.ledger_kwh}
    for text, kwh in given.items():
        if kwh < 0:
            raise BillingError(f"schedule_units[{text!r}] is {number_text(kwh)}; energy of a period is 0 or more")
        flow, key = _key(schedule, text)
        flows[flow].by_key[key] = kwh
    return flows


def _check_sum(name: str, told: Decimal, units: _Units) -> None:
    total = sum(units.by_key.values(), ZERO)
    if abs(total - told) > _TOLERANCE_KWH:
        raise BillingError(
            f"{name} is {number_text(told)} but schedule_units add up to {number_text(total)}; every unit belongs to a period"
        )


def _needs_peak(schedule: Schedule) -> bool:
    by_kw = schedule.tier_unit in {TierUnit.KWH_PER_KW, TierUnit.KWH_PER_KW_PER_DAY}
    return bool(schedule.flat_demand_months) or (by_kw and any(len(period.tiers) > 1 for period in schedule.energy))


def _demands(schedule: Schedule, case: BillingCase) -> tuple[Decimal, ...]:
    names = [period.name for period in schedule.demand]
    unknown = sorted(set(case.schedule_demand_kw) - set(names))
    if unknown:
        raise BillingError(
            f"schedule_demand_kw names {unknown[0]!r}; demand periods of the tariff: {', '.join(names) or 'none'}"
        )
    missing = [name for name in names if name not in case.schedule_demand_kw]
    if missing:
        message = f"the tariff charges the highest demand in the hours of {missing[0]}; give it in schedule_demand_kw"
        raise MissingInputError("schedule_demand_kw", f"{message} (0 where the period has none)")
    return tuple(case.schedule_demand_kw[name] for name in names)


def use_of_case(schedule: Schedule, case: BillingCase) -> tuple[MonthUse, tuple[Decimal, ...]]:
    """A case's units and demands, and the surplus brought forward by period.

    Raises:
        MissingInputError: if a period's units or a demand are not given.
        BillingError: if they name what the tariff does not have, or do not add up to the case's own units.
    """
    flows = _flows(schedule, case)
    _check_sum("imported_kwh", case.imported_kwh, flows[IMPORT])
    _check_sum("exported_kwh", case.exported_kwh, flows[EXPORT])
    _check_sum("ledger_kwh", case.ledger_kwh, flows[BROUGHT])
    if case.max_demand_kw is None and _needs_peak(schedule):
        raise MissingInputError("max_demand_kw", "the tariff charges the period's highest demand; give max_demand_kw")
    periods = range(len(schedule.energy))
    in_order = schedule.metering is not Metering.NET_METERING
    use = MonthUse(
        month=case.month,
        imported_kwh=tuple(flows[IMPORT].of_period(period) for period in periods),
        exported_kwh=tuple(flows[EXPORT].of_period(period) for period in periods),
        imported_tiers=flows[IMPORT].tiers(schedule) if in_order else None,
        exported_tiers=flows[EXPORT].tiers(schedule) if in_order else None,
        peak_kw=case.max_demand_kw or ZERO,
        demand_kw=_demands(schedule, case),
        period_days=case.days,
    )
    return use, tuple(flows[BROUGHT].of_period(period) for period in periods)


def _assumptions(schedule: Schedule, use: MonthUse) -> Iterator[str]:
    yield f"The tariff is one by month and hour; all amounts are in {schedule.currency}."
    shared = use.imported_tiers is None and len(schedule.energy) > 1
    if (
        shared
        and schedule.tier_split is TierSplit.IN_ORDER
        and any(len(period.tiers) > 1 for period in schedule.energy)
    ):
        yield "Units are known by period only: each period has the same share of every tier."
    if schedule.minimum_per_year:
        yield "The minimum charge of a year is left out of a single bill."


def schedule_charges(plan: Plan, case: BillingCase) -> ScheduledCharges:
    """Price a case by the plan's schedule.

    Raises:
        MissingInputError: if the tariff needs a value that the case lacks.
        RateUnknownError: if units or a demand go above a highest tier that ends.
        BillingError: if plan and case do not fit.
    """
    schedule = plan.schedule
    if schedule is None:
        raise BillingError(f"tariff {plan.code} is priced by a schedule but has none; give rates.schedule")
    if case.export_scheme is not ExportScheme.NONE:
        raise BillingError(
            f"export_scheme is {case.export_scheme.value}; tariff {plan.code} says itself how exports count: give none"
        )
    if case.prorated:
        raise BillingError(f"prorated is set; tariff {plan.code} has no rule for a part of a month: give a whole one")
    use, brought = use_of_case(schedule, case)
    priced = price_month(schedule, use, terms=Terms(plan.source, plan.status), carried_kwh=brought)
    energy = [line for line in priced.lines if line.kind is LineKind.ENERGY]
    return ScheduledCharges(
        charges=tuple(line for line in priced.lines if line.kind is not LineKind.EXPORT_CREDIT),
        credits=tuple(line for line in priced.lines if line.kind is LineKind.EXPORT_CREDIT),
        portions=tuple(
            SlabPortion(line.label.partition(", ")[2] or "all units", line.quantity, line.rate, line.amount_pkr)
            for line in energy
            if line.quantity is not None and line.rate is not None and line.amount_pkr is not None
        ),
        billed_kwh=sum((line.quantity for line in energy if line.quantity is not None), ZERO),
        carried_kwh=sum(priced.carried_kwh, ZERO),
        assumptions=tuple(_assumptions(schedule, use)),
    )
