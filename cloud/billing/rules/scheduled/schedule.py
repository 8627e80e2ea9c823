"""A tariff by month and hour: any number of energy periods with tiers, demand charges, fixed and minimum charges.

It prices what the slabs and the two periods of a Pakistani plan cannot say, such as the tariffs of the Utility Rate Database. All
rates are in the schedule's own currency. `schedule_use` adds intervals up into a month's units, `schedule_bill` prices them.
"""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.money import ZERO, number_text
from cloud.billing.rules.month import Month

MONTHS_A_YEAR = 12
HOURS_A_DAY = 24
MINUTES_AN_HOUR = 60

Matrix = tuple[tuple[int, ...], ...]
"""12 rows (January first) of 24 hours (midnight first): the period's position, from 0."""

TierUnits = tuple[tuple[Decimal, ...], ...]
"""kWh by period and tier."""


class TierUnit(StrEnum):
    """What the tops of energy tiers count."""

    KWH = "kwh"
    """kWh of the month."""
    KWH_PER_DAY = "kwh_per_day"
    """kWh a day; a month's top is as many times that as it has days."""
    KWH_PER_KW = "kwh_per_kw"
    """kWh for each kW of the month's highest demand (hours of use)."""
    KWH_PER_KW_PER_DAY = "kwh_per_kw_per_day"


class TierSplit(StrEnum):
    """How a month's tiers are shared among its periods: a tier's top is one for the month, whatever the period."""

    IN_ORDER = "in_order"
    """Each interval falls into the tier that the month's units have reached by then."""
    PRORATED = "prorated"
    """Each period has the same share of every tier as of the month's units."""


class Metering(StrEnum):
    """How exported units count."""

    NET_BILLING = "net_billing"
    """Import at its rates and export at the sell rates, interval by interval."""
    NET_METERING = "net_metering"
    """Unit against unit within the month and period; the surplus goes on to the next month."""
    BUY_ALL_SELL_ALL = "buy_all_sell_all"
    """Two meters: all that the site uses is bought, all that it generates is sold."""


@dataclass(frozen=True, slots=True)
class Tier:
    """The half-open interval (top of the tier below, `top`].

    Attributes:
        top: kWh (see `TierUnit`) or kW of a month; None = no top.
        rate: per kWh, or per kW a month.
        sell: per exported kWh; of energy tiers only.
    """

    top: Decimal | None
    rate: Decimal
    sell: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class RatePeriod:
    """Hours with rates of their own.

    Attributes:
        name: as the bill prints it; no slash.
        tiers: rising; each kWh or kW is charged at the rate of its tier.
    """

    name: str
    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        """Refuse tiers that leave units without a rate or give them two.

        Raises:
            BillingError: names the period and the tier.
        """
        if not self.name or "/" in self.name:
            raise BillingError(f"period name {self.name!r} is empty or has a slash; give a plain name, e.g. peak")
        if not self.tiers:
            raise BillingError(f"period {self.name} has no tiers; give at least one, with its rate")
        bottom = ZERO
        for number, tier in enumerate(self.tiers, start=1):
            if tier.top is None and number < len(self.tiers):
                raise BillingError(
                    f"period {self.name}: tier {number} has no top and is not the last one; give its top"
                )
            if tier.top is not None and tier.top <= bottom:
                raise BillingError(
                    f"period {self.name}: tier {number} ends at {number_text(tier.top)}, not above "
                    f"{number_text(bottom)} where it begins; tops must rise"
                )
            bottom = bottom if tier.top is None else tier.top

    @property
    def tops(self) -> tuple[Decimal | None, ...]:
        """Tops of the tiers, lowest first."""
        return tuple(tier.top for tier in self.tiers)


@dataclass(frozen=True, slots=True)
class Timetable:
    """Which period rules each hour of a month's weekdays, and of its Saturdays and Sundays."""

    weekday: Matrix
    weekend: Matrix

    def __post_init__(self) -> None:
        """Refuse a matrix that is not 12 months of 24 hours.

        Raises:
            BillingError: names the matrix.
        """
        for name, matrix in (("weekday", self.weekday), ("weekend", self.weekend)):
            if len(matrix) != MONTHS_A_YEAR or any(len(row) != HOURS_A_DAY for row in matrix):
                raise BillingError(f"the {name} timetable is not 12 months of 24 hours; give 12 rows of 24 periods")

    def periods_of(self, month: int) -> tuple[int, ...]:
        """Periods that occur in a month (1-12), rising."""
        return tuple(sorted({*self.weekday[month - 1], *self.weekend[month - 1]}))

    def successor(self, period: int, month: int) -> int:
        """The period that the next month has at the hour at which this one begins; itself when it occurs there too."""
        following = month % MONTHS_A_YEAR
        if period in self.periods_of(following + 1):
            return period
        for matrix in (self.weekday, self.weekend):
            if period in matrix[month - 1]:
                return matrix[following][matrix[month - 1].index(period)]
        raise BillingError(
            f"energy period {period + 1} does not occur in month {month}; nothing can be carried from it"
        )


def one_period() -> Timetable:
    """The timetable of a tariff that does not look at the clock."""
    matrix = ((0,) * HOURS_A_DAY,) * MONTHS_A_YEAR
    return Timetable(matrix, matrix)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A scheduled tariff.

    Attributes:
        energy: energy periods; the timetable names them by position.
        tier_unit: what the tops of energy tiers count.
        tier_split: how periods share the month's tiers; net metering always prorates, for its units are known only at the month's end.
        netting_minutes: import and export are set against each other within clock-aligned stretches of so many minutes before
            they are priced; None = as metered.
        flat_demand: charges on the month's highest demand whatever the hour; `flat_demand_months` names one for each month.
        demand: charges on the highest demand of each period of `demand_timetable`.
        demand_window_minutes: demand is the mean over so many minutes; None = over the interval of the data.
        minimum_per_month: least sum of all charges; a lower one is made up to it, and a credit balance is not used up by it.
        minimum_per_year: as above over a calendar year, made up with December's bill.
        year_end_sell_rate: per kWh of net metering's surplus that stands at the end of `true_up_month` (1-12); it is paid and gone.
    """

    energy: tuple[RatePeriod, ...]
    timetable: Timetable
    tier_unit: TierUnit = TierUnit.KWH
    tier_split: TierSplit = TierSplit.IN_ORDER
    metering: Metering = Metering.NET_BILLING
    netting_minutes: int | None = None
    flat_demand: tuple[RatePeriod, ...] = ()
    flat_demand_months: tuple[int, ...] = ()
    demand: tuple[RatePeriod, ...] = ()
    demand_timetable: Timetable | None = None
    demand_window_minutes: int | None = None
    fixed_per_month: Decimal = ZERO
    fixed_per_day: Decimal = ZERO
    minimum_per_month: Decimal = ZERO
    minimum_per_day: Decimal = ZERO
    minimum_per_year: Decimal = ZERO
    year_end_sell_rate: Decimal = ZERO
    true_up_month: int = 12
    currency: str = "PKR"

    def __post_init__(self) -> None:
        """Refuse what cannot be priced.

        Raises:
            BillingError: names the field, its value and what is allowed.
        """
        _check_periods("energy", self.energy, self.timetable)
        if self.demand_timetable is not None:
            _check_periods("demand", self.demand, self.demand_timetable)
        elif self.demand:
            raise BillingError("demand has periods but demand_timetable is missing; say in which hours each rules")
        if self.flat_demand or self.flat_demand_months:
            if len(self.flat_demand_months) != MONTHS_A_YEAR:
                raise BillingError(
                    f"flat_demand_months has {len(self.flat_demand_months)} entries; give one for each month"
                )
            _check_positions("flat_demand_months", self.flat_demand_months, self.flat_demand)
        for name in ("netting_minutes", "demand_window_minutes"):
            minutes = getattr(self, name)
            if minutes is not None and (minutes < 1 or MINUTES_AN_HOUR % minutes):
                raise BillingError(f"{name} is {minutes}; give a part of an hour: 5, 10, 15, 20, 30 or 60")
        if not 1 <= self.true_up_month <= MONTHS_A_YEAR:
            raise BillingError(f"true_up_month is {self.true_up_month}; give a month from 1 to 12")
        for month in range(1, MONTHS_A_YEAR + 1):
            self._check_same_tops(month)

    def _check_same_tops(self, month: int) -> None:
        for one, other in pairwise(self.timetable.periods_of(month)):
            if self.energy[one].tops != self.energy[other].tops:
                raise BillingError(
                    f"energy periods {self.energy[one].name} and {self.energy[other].name} both occur in month {month} but their "
                    "tiers end at different units; a month's tiers are one for all its periods"
                )

    def check_use(self, use: "MonthUse") -> None:
        """Refuse units of a period whose tiers are not those of the bill's month.

        Raises:
            BillingError: names the period; a bill with hours of two seasons may have one.
        """
        expected = self.energy[self.timetable.periods_of(use.month.month)[0]].tops
        for index, period in enumerate(self.energy):
            if (use.imported_kwh[index] or use.exported_kwh[index]) and period.tops != expected:
                raise BillingError(
                    f"units of period {period.name} are on the bill of {use.month}, whose tiers end at other units; the tariff does "
                    "not say how tiers are shared by two seasons: price whole calendar months"
                )

    def tier_tops(self, month: int, *, days: int, peak_kw: Decimal) -> tuple[Decimal | None, ...]:
        """Tops of a month's energy tiers in kWh.

        Args:
            month: 1-12.
            days: calendar days of the month.
            peak_kw: the month's highest demand.
        """
        tops = self.energy[self.timetable.periods_of(month)[0]].tops
        if self.tier_unit is TierUnit.KWH:
            return tops
        factor = Decimal(1)
        if self.tier_unit in {TierUnit.KWH_PER_DAY, TierUnit.KWH_PER_KW_PER_DAY}:
            factor *= days
        if self.tier_unit in {TierUnit.KWH_PER_KW, TierUnit.KWH_PER_KW_PER_DAY}:
            factor *= peak_kw
        return tuple(None if top is None else top * factor for top in tops)


def _check_positions(name: str, positions: Sequence[int], periods: Sequence[RatePeriod]) -> None:
    wrong = [position for position in positions if not 0 <= position < len(periods)]
    if wrong:
        raise BillingError(f"{name} names period {wrong[0]}; there are {len(periods)}, counted from 0")


def _check_periods(name: str, periods: Sequence[RatePeriod], timetable: Timetable) -> None:
    names = [period.name for period in periods]
    if not names:
        raise BillingError(f"{name} has no periods; give at least one, with its tiers")
    twice = next((word for word in names if names.count(word) > 1), None)
    if twice is not None:
        raise BillingError(f"two {name} periods are called {twice}; give each a name of its own")
    for row in (*timetable.weekday, *timetable.weekend):
        _check_positions(f"the {name} timetable", row, periods)


@dataclass(frozen=True, slots=True)
class MonthUse:
    """What a month's intervals add up to.

    Attributes:
        imported_kwh: by energy period.
        exported_kwh: by energy period.
        imported_tiers: the same by energy period and tier, where the schedule splits tiers in order; None = to be prorated.
        exported_tiers: likewise.
        peak_kw: highest demand of the month.
        demand_kw: highest demand by demand period.
    """

    month: Month
    imported_kwh: tuple[Decimal, ...]
    exported_kwh: tuple[Decimal, ...]
    peak_kw: Decimal = ZERO
    demand_kw: tuple[Decimal, ...] = ()
    imported_tiers: TierUnits | None = None
    exported_tiers: TierUnits | None = None
    period_days: int | None = None

    @property
    def days(self) -> int:
        """Days that are billed."""
        return self.period_days or monthrange(self.month.year, self.month.month)[1]
