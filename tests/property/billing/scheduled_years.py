"""Drawn scheduled tariffs and sites, and their year priced twice: by PySAM and by us."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from PySAM import Utilityrate5

from cloud.billing.rules.scheduled.bill import Terms, price_months
from cloud.billing.rules.scheduled.schedule import Metering, RatePeriod, Schedule, Tier, TierSplit, TierUnit, Timetable
from cloud.billing.rules.scheduled.use import aggregate, flows, year_calendar

YEAR = 2018
TOLERANCE = 0.01
UNROUNDED = Terms(source="drawn", rounding=None)
UNIT_CODES = {TierUnit.KWH: 0, TierUnit.KWH_PER_KW: 1, TierUnit.KWH_PER_DAY: 2, TierUnit.KWH_PER_KW_PER_DAY: 3}
METERING_CODES = {Metering.NET_METERING: 0, Metering.NET_BILLING: 2, Metering.BUY_ALL_SELL_ALL: 4}
NO_TOP = 1e38

rates = st.integers(0, 9000).map(lambda cents: Decimal(cents) / 10_000)
charges = st.integers(0, 40_000).map(lambda cents: Decimal(cents) / 100)
seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Site:
    """A year of a site.

    Attributes:
        per_hour: intervals in an hour.
    """

    load_kw: np.ndarray[Any, np.dtype[np.float64]]
    generation_kw: np.ndarray[Any, np.dtype[np.float64]]
    per_hour: int


class Year(NamedTuple):
    """Bills of a year; the months are those with solar."""

    without_solar: float
    with_solar: float
    months: tuple[float, ...]


@st.composite
def sites(draw: st.DrawFn) -> Site:
    random = np.random.default_rng(draw(seeds))
    per_hour = draw(st.sampled_from([1, 1, 1, 4]))
    hours = np.arange(8760 * per_hour) / per_hour
    size = draw(st.sampled_from([1.0, 8.0, 60.0]))
    load = size * (0.2 + random.random(hours.size) + 0.5 * np.sin(2 * np.pi * hours / 24 / 7) ** 2)
    sun = np.maximum(0, np.sin(np.pi * ((hours % 24) - 6) / 12)) * (
        1 + 0.3 * np.cos(2 * np.pi * (hours / 24 - 170) / 365)
    )
    generation = draw(st.sampled_from([0.0, 0.5, 2.0, 5.0])) * size * sun * random.uniform(0.2, 1.0, hours.size)
    return Site(np.round(load, 3), np.round(generation, 3), per_hour)


def tiers_of(draw: st.DrawFn, tops: list[Decimal], *, sell: bool) -> tuple[Tier, ...]:
    return tuple(Tier(top, draw(rates), draw(rates) if sell else Decimal(0)) for top in [*tops, None])


def tops_of(draw: st.DrawFn, *, largest: int) -> list[Decimal]:
    return sorted(draw(st.sets(st.integers(1, largest).map(Decimal), max_size=3)))


def timetable_of(draw: st.DrawFn, periods: int) -> Timetable:
    random = np.random.default_rng(draw(seeds))

    def matrix() -> tuple[tuple[int, ...], ...]:
        # Stretches of hours, as in a real tariff, and now and then every hour for itself.
        width = int(random.choice([1, 3, 6]))
        return tuple(
            tuple(int(p) for p in np.repeat(random.integers(0, periods, 24 // width), width)) for _ in range(12)
        )

    return Timetable(matrix(), matrix())


def every_month_alike(draw: st.DrawFn, periods: int) -> Timetable:
    random = np.random.default_rng(draw(seeds))
    weekday, weekend = random.integers(0, periods, 24), random.integers(0, periods, 24)
    weekday[[0, 5, 11, 17][:periods]] = np.arange(periods)
    return Timetable((tuple(map(int, weekday)),) * 12, (tuple(map(int, weekend)),) * 12)


def energy_of(draw: st.DrawFn, periods: int, *, largest: int, sell: bool) -> tuple[RatePeriod, ...]:
    tops = tops_of(draw, largest=largest)
    return tuple(RatePeriod(f"period {p + 1}", tiers_of(draw, tops, sell=sell)) for p in range(periods))


def demand_of(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        seasons = draw(st.integers(1, 3))
        found["flat_demand"] = tuple(
            RatePeriod(f"season {s + 1}", tiers_of(draw, tops_of(draw, largest=60), sell=False)) for s in range(seasons)
        )
        found["flat_demand_months"] = tuple(draw(st.integers(0, seasons - 1)) for _ in range(12))
    if draw(st.booleans()):
        periods, tops = draw(st.integers(1, 4)), tops_of(draw, largest=60)
        found["demand"] = tuple(RatePeriod(f"hours {p + 1}", tiers_of(draw, tops, sell=False)) for p in range(periods))
        found["demand_timetable"] = timetable_of(draw, periods)
    return found


def other_charges(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {"fixed_per_month": draw(charges)}
    if draw(st.booleans()):
        found[draw(st.sampled_from(["minimum_per_month", "minimum_per_year"]))] = draw(charges) * draw(
            st.sampled_from([1, 12])
        )
    return found


@st.composite
def net_billing_tariffs(draw: st.DrawFn) -> Schedule:
    periods, unit = draw(st.integers(1, 6)), draw(st.sampled_from(TierUnit))
    largest = {TierUnit.KWH: 9000, TierUnit.KWH_PER_DAY: 300}.get(unit, 400 if unit is TierUnit.KWH_PER_KW else 20)
    return Schedule(
        energy=energy_of(draw, periods, largest=largest, sell=True),
        timetable=timetable_of(draw, periods),
        tier_unit=unit,
        tier_split=TierSplit.IN_ORDER,
        **demand_of(draw),
        **other_charges(draw),
    )


@st.composite
def net_metering_tariffs(draw: st.DrawFn) -> Schedule:
    periods = draw(st.integers(1, 4))
    return Schedule(
        energy=energy_of(draw, periods, largest=9000, sell=False),
        timetable=every_month_alike(draw, periods),
        metering=Metering.NET_METERING,
        year_end_sell_rate=draw(rates) if periods == 1 else Decimal(0),
        **demand_of(draw),
        **other_charges(draw),
    )


def top_of(tier: Tier) -> float:
    return NO_TOP if tier.top is None else float(tier.top)


def from_one(matrix: tuple[tuple[int, ...], ...]) -> list[list[int]]:
    return [[period + 1 for period in row] for row in matrix]


def demand_inputs(schedule: Schedule) -> dict[str, Any]:
    demand = schedule.demand or (RatePeriod("none", (Tier(None, Decimal(0)),)),)
    timetable = schedule.demand_timetable or Timetable(*[((0,) * 24,) * 12] * 2)
    seasons, months = schedule.flat_demand or demand[:0], schedule.flat_demand_months
    flat = [
        [month, number, top_of(tier), float(tier.rate)]
        for month in range(12)
        for number, tier in enumerate(seasons[months[month]].tiers if seasons else (Tier(None, Decimal(0)),), start=1)
    ]
    return {
        "ur_dc_enable": 1,
        "ur_dc_flat_mat": flat,
        "ur_dc_tou_mat": [
            [position, number, top_of(tier), float(tier.rate)]
            for position, period in enumerate(demand, start=1)
            for number, tier in enumerate(period.tiers, start=1)
        ],
        "ur_dc_sched_weekday": from_one(timetable.weekday),
        "ur_dc_sched_weekend": from_one(timetable.weekend),
    }


def rate_inputs(schedule: Schedule) -> dict[str, Any]:
    """A schedule as `ElectricityRates` of Utilityrate5."""
    return {
        "en_electricity_rates": 1,
        "ur_metering_option": METERING_CODES[schedule.metering],
        "ur_nm_yearend_sell_rate": float(schedule.year_end_sell_rate),
        "ur_monthly_fixed_charge": float(schedule.fixed_per_month),
        "ur_monthly_min_charge": float(schedule.minimum_per_month),
        "ur_annual_min_charge": float(schedule.minimum_per_year),
        "ur_ec_sched_weekday": from_one(schedule.timetable.weekday),
        "ur_ec_sched_weekend": from_one(schedule.timetable.weekend),
        "ur_ec_tou_mat": [
            [position, number, top_of(tier), UNIT_CODES[schedule.tier_unit], float(tier.rate), float(tier.sell)]
            for position, period in enumerate(schedule.energy, start=1)
            for number, tier in enumerate(period.tiers, start=1)
        ],
        **demand_inputs(schedule),
    }


def pysam_year(inputs: dict[str, Any], site: Site) -> Year:
    """A year of a tariff by PySAM.

    Args:
        inputs: `ElectricityRates` of Utilityrate5.
        site: its load and generation.
    """
    model = Utilityrate5.new()
    model.Lifetime.assign({"analysis_period": 1, "inflation_rate": 0, "system_use_lifetime_output": 0})
    model.ElectricityRates.assign({"rate_escalation": [0], "TOU_demand_single_peak": 0, **inputs})
    model.SystemOutput.assign({"degradation": [0], "gen": site.generation_kw.tolist()})
    model.Load.assign({"load": site.load_kw.tolist(), "load_escalation": [0]})
    model.execute()
    outputs = model.Outputs
    return Year(
        outputs.utility_bill_wo_sys_year1,
        outputs.utility_bill_w_sys_year1,
        tuple(outputs.year1_monthly_utility_bill_w_sys),
    )


def our_year(schedule: Schedule, site: Site) -> Year:
    calendar = year_calendar(YEAR, per_hour=site.per_hour)
    load, generation = site.load_kw / site.per_hour, site.generation_kw / site.per_hour
    imported, exported = flows(schedule.metering, load_kwh=load, generation_kwh=generation)
    dark = price_months(schedule, aggregate(schedule, calendar, imported_kwh=load), terms=UNROUNDED)
    lit = price_months(
        schedule, aggregate(schedule, calendar, imported_kwh=imported, exported_kwh=exported), terms=UNROUNDED
    )
    return Year(
        float(sum(month.total for month in dark)),
        float(sum(month.total for month in lit)),
        tuple(float(month.total) for month in lit),
    )


def assert_agreement(ours: Year, theirs: Year) -> None:
    """Within a cent a year, without solar and with it."""
    assert abs(ours.without_solar - theirs.without_solar) < TOLERANCE, (ours.without_solar, theirs.without_solar)
    pairs = list(zip(ours.months, theirs.months, strict=True))
    assert abs(ours.with_solar - theirs.with_solar) < TOLERANCE, pairs
