"""A scheduled tariff's months: from units and demands to explained lines, month after month to a year."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from itertools import pairwise

from cloud.billing.rules.errors import RateUnknownError
from cloud.billing.rules.labels import urdu_of
from cloud.billing.rules.model import Line, LineKind, RateStatus
from cloud.billing.rules.money import PAISA, ZERO, number_text
from cloud.billing.rules.month import Month
from cloud.billing.rules.scheduled.schedule import MONTHS_A_YEAR, Metering, MonthUse, RatePeriod, Schedule, TierUnits

ONE = Decimal(1)
_FINEST_KWH = Decimal("0.000001")
_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Terms:
    """What every line of one tariff has alike.

    Attributes:
        source: where the rates come from.
        rounding: what amounts are rounded to, half up; None = not at all, to compare with a program that does not round.
    """

    source: str
    status: RateStatus = RateStatus.VERIFIED
    rounding: Decimal | None = PAISA


@dataclass(frozen=True, slots=True)
class ScheduledMonth:
    """One month's bill. The lines' amounts are in the schedule's currency.

    Attributes:
        charged: sum of the lines before a year's surplus is paid and a year's minimum is made up; what that minimum is held against.
        carried_kwh: net metering's surplus for the next month, by its energy period.
    """

    month: Month
    lines: tuple[Line, ...]
    charged: Decimal
    carried_kwh: tuple[Decimal, ...]

    @property
    def total(self) -> Decimal:
        """Sum of the lines; negative = a credit balance."""
        return _total(self.lines)


@dataclass(frozen=True, slots=True)
class ScheduledBills:
    """Bills of consecutive months.

    Attributes:
        without_solar: had everything been bought; None = the intervals do not tell what was consumed.
        assumptions: in words; a reader of the bills should see them.
    """

    months: tuple[ScheduledMonth, ...]
    without_solar: tuple[ScheduledMonth, ...] | None
    assumptions: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        """Sum of the months, in the schedule's currency."""
        return sum((month.total for month in self.months), ZERO)

    @property
    def total_without_solar(self) -> Decimal | None:
        """The same without solar."""
        return None if self.without_solar is None else sum((month.total for month in self.without_solar), ZERO)


def _total(lines: Sequence[Line]) -> Decimal:
    return sum((line.amount_pkr for line in lines if line.amount_pkr is not None), ZERO)


def _line(
    kind: LineKind, label: str, *, quantity: Decimal, unit: str, rate: Decimal, base: str, terms: Terms, currency: str
) -> Line:
    amount = quantity * rate
    if kind is LineKind.EXPORT_CREDIT:
        amount = -amount
    if terms.rounding is not None:
        amount = amount.quantize(terms.rounding, rounding=ROUND_HALF_UP) or ZERO
    sign = "- " if kind is LineKind.EXPORT_CREDIT else ""
    return Line(
        kind=kind,
        label=label,
        amount_pkr=amount,
        quantity=quantity,
        unit=unit,
        rate=rate,
        base=base,
        formula=f"{sign}{number_text(quantity)} {unit} × {number_text(rate)} {currency}/{unit}",
        source=terms.source,
        status=terms.status,
        label_ur=urdu_of(kind),
    )


def prorated(units: Sequence[Decimal], tops: Sequence[Decimal | None]) -> TierUnits:
    """Share a month's tiers among periods: each has the same part of every tier as of the month's units.

    Args:
        units: kWh by period.
        tops: of the month's tiers.

    Returns:
        By period and tier; a period's tiers add up to its units, for the last tier that is reached takes what rounding left.

    Raises:
        RateUnknownError: if the units go above a highest tier that ends.
    """
    total = sum(units, ZERO)
    bounds = [ZERO, *(total if top is None else min(top, total) for top in tops)]
    if bounds[-1] < total:
        raise RateUnknownError(
            f"{number_text(total)} kWh is above the tariff's highest tier ({number_text(bounds[-1])} kWh); give the last tier no "
            "top, or its successor's rate"
        )
    widths = [upper - lower for lower, upper in pairwise(bounds)]
    last = max((index for index, width in enumerate(widths) if width), default=0)
    shared = []
    for period in units:
        parts = [
            (period * width / total).quantize(_FINEST_KWH, rounding=ROUND_DOWN) if total else ZERO for width in widths
        ]
        parts[last] += period - sum(parts, ZERO)
        shared.append(tuple(parts))
    return tuple(shared)


def _tier_units(schedule: Schedule, use: MonthUse, units: tuple[Decimal, ...], given: TierUnits | None) -> TierUnits:
    if given is not None:
        return given
    return prorated(units, schedule.tier_tops(use.month.month, days=use.days, peak_kw=use.peak_kw))


def _name(what: str, periods: Sequence[RatePeriod], period: int, tier: int) -> str:
    words = [what]
    if len(periods) > 1:
        words.append(periods[period].name)
    if len(periods[period].tiers) > 1:
        words.append(f"tier {tier + 1}")
    return ", ".join(words)


def _energy_lines(schedule: Schedule, units: TierUnits, terms: Terms) -> Iterator[Line]:
    netted = schedule.metering is Metering.NET_METERING
    for index, period in enumerate(schedule.energy):
        for number, (kwh, tier) in enumerate(zip(units[index], period.tiers, strict=False)):
            if kwh:
                yield _line(
                    LineKind.ENERGY,
                    _name("Energy charge", schedule.energy, index, number),
                    quantity=kwh,
                    unit="kWh",
                    rate=tier.rate,
                    base="units left after exports" if netted else "units imported",
                    terms=terms,
                    currency=schedule.currency,
                )


def _export_lines(schedule: Schedule, units: TierUnits, terms: Terms) -> Iterator[Line]:
    for index, period in enumerate(schedule.energy):
        for number, (kwh, tier) in enumerate(zip(units[index], period.tiers, strict=False)):
            if kwh and tier.sell:
                yield _line(
                    LineKind.EXPORT_CREDIT,
                    _name("Credit for exported units", schedule.energy, index, number),
                    quantity=kwh,
                    unit="kWh",
                    rate=tier.sell,
                    base="units exported",
                    terms=terms,
                    currency=schedule.currency,
                )


def _demand_parts(period: RatePeriod, kw: Decimal) -> Iterator[tuple[int, Decimal, Decimal]]:
    """Tier, its kW and its rate.

    Raises:
        RateUnknownError: if the demand is above a highest tier that ends.
    """
    bottom = ZERO
    for number, tier in enumerate(period.tiers):
        part = (kw if tier.top is None else min(kw, tier.top)) - bottom
        if part > 0:
            yield number, part, tier.rate
            bottom += part
    if bottom < kw:
        raise RateUnknownError(
            f"{number_text(kw)} kW is above the highest demand tier of {period.name} ({number_text(bottom)} kW); give the last tier "
            "no top, or its successor's rate"
        )


def _demand_lines(schedule: Schedule, use: MonthUse, terms: Terms) -> Iterator[Line]:
    charged: list[tuple[str, Sequence[RatePeriod], int, Decimal, str]] = []
    if schedule.flat_demand_months:
        position = schedule.flat_demand_months[use.month.month - 1]
        charged.append(("Demand charge", schedule.flat_demand, position, use.peak_kw, "highest demand of the month"))
    for position, kw in enumerate(use.demand_kw):
        base = f"highest demand in the hours of {schedule.demand[position].name}"
        charged.append(("Demand charge by hours", schedule.demand, position, kw, base))
    for what, periods, position, kw, base in charged:
        for number, part, rate in _demand_parts(periods[position], kw):
            if rate:
                yield _line(
                    LineKind.DEMAND,
                    _name(what, periods, position, number),
                    quantity=part,
                    unit="kW",
                    rate=rate,
                    base=base,
                    terms=terms,
                    currency=schedule.currency,
                )


def _fixed_lines(schedule: Schedule, use: MonthUse, terms: Terms) -> Iterator[Line]:
    for rate, quantity, unit in (
        (schedule.fixed_per_month, ONE, "month"),
        (schedule.fixed_per_day, Decimal(use.days), "day"),
    ):
        if rate:
            yield _line(
                LineKind.FIXED,
                "Fixed charge",
                quantity=quantity,
                unit=unit,
                rate=rate,
                base="per consumer",
                terms=terms,
                currency=schedule.currency,
            )


def _minimum_line(schedule: Schedule, least: Decimal, charged: Decimal, *, what: str, terms: Terms) -> tuple[Line, ...]:
    missing = least - charged
    if missing <= 0:
        return ()
    line = _line(
        LineKind.MINIMUM,
        f"Made up to the minimum of the {what}",
        quantity=ONE,
        unit=what,
        rate=missing,
        base="minimum charge",
        terms=terms,
        currency=schedule.currency,
    )
    formula = f"{number_text(least)} - {number_text(charged)} {schedule.currency}"
    return (replace(line, formula=formula),)


def _month_minimum(schedule: Schedule, use: MonthUse, lines: Sequence[Line], terms: Terms) -> tuple[Line, ...]:
    least = schedule.minimum_per_month + schedule.minimum_per_day * use.days
    return _minimum_line(schedule, least, max(ZERO, _total(lines)), what="month", terms=terms)


def _true_up_lines(schedule: Schedule, surplus_kwh: Decimal, terms: Terms) -> tuple[Line, ...]:
    if not surplus_kwh or not schedule.year_end_sell_rate:
        return ()
    return (
        _line(
            LineKind.EXPORT_CREDIT,
            "Surplus units paid",
            quantity=surplus_kwh,
            unit="kWh",
            rate=schedule.year_end_sell_rate,
            base="surplus at the year's end",
            terms=terms,
            currency=schedule.currency,
        ),
    )


def net_units(use: MonthUse, carried_kwh: Sequence[Decimal]) -> tuple[tuple[Decimal, ...], tuple[Decimal, ...]]:
    """Net metering, period by period.

    Args:
        use: the month.
        carried_kwh: surplus brought forward, by period.

    Returns:
        Units to bill and surplus, each by period; of every period at least one is 0.
    """
    balances = [
        bought - sold - brought
        for bought, sold, brought in zip(use.imported_kwh, use.exported_kwh, carried_kwh, strict=True)
    ]
    return tuple(max(ZERO, kwh) for kwh in balances), tuple(max(ZERO, -kwh) for kwh in balances)


def _carried(schedule: Schedule, month: int, surplus: Sequence[Decimal]) -> tuple[Decimal, ...]:
    carried = [ZERO] * len(schedule.energy)
    for period, kwh in enumerate(surplus):
        if kwh:
            carried[schedule.timetable.successor(period, month)] += kwh
    return tuple(carried)


def price_month(
    schedule: Schedule, use: MonthUse, *, terms: Terms, carried_kwh: Sequence[Decimal] = ()
) -> ScheduledMonth:
    """Price one month.

    Args:
        schedule: the tariff.
        use: the month's units and demands.
        terms: of the lines.
        carried_kwh: net metering's surplus of the month before, by energy period.

    Returns:
        The lines: energy, demand, fixed, credit for exports, what is missing to the month's minimum, a year's surplus paid.

    Raises:
        RateUnknownError: if units or a demand go above a highest tier that ends.
        BillingError: if units are of a period whose tiers are not those of the month.
    """
    schedule.check_use(use)
    brought = tuple(carried_kwh) or (ZERO,) * len(schedule.energy)
    net_metering = schedule.metering is Metering.NET_METERING
    billed, surplus = net_units(use, brought) if net_metering else (use.imported_kwh, ())
    lines = [
        *_energy_lines(schedule, _tier_units(schedule, use, billed, use.imported_tiers), terms),
        *_demand_lines(schedule, use, terms),
        *_fixed_lines(schedule, use, terms),
    ]
    if not net_metering:
        lines += _export_lines(schedule, _tier_units(schedule, use, use.exported_kwh, use.exported_tiers), terms)
    lines += _month_minimum(schedule, use, lines, terms)
    charged = _total(lines)
    if net_metering and use.month.month == schedule.true_up_month:
        lines += _true_up_lines(schedule, sum(surplus, ZERO), terms)
        surplus = ()
    return ScheduledMonth(use.month, tuple(lines), charged, _carried(schedule, use.month.month, surplus))


def _year_minimum(schedule: Schedule, months: Sequence[ScheduledMonth], terms: Terms) -> tuple[Line, ...]:
    """What is missing to the year's minimum in its December; a month's credit balance does not count against it."""
    charged = sum((max(ZERO, month.charged) for month in months), ZERO)
    return _minimum_line(schedule, schedule.minimum_per_year, charged, what="year", terms=terms)


def price_months(
    schedule: Schedule, uses: Sequence[MonthUse], *, terms: Terms, carried_kwh: Sequence[Decimal] = ()
) -> tuple[ScheduledMonth, ...]:
    """Price months that follow each other; net metering's surplus goes from each to the next.

    A year's minimum is made up in December where all months of its calendar year are there.

    Args:
        schedule: the tariff.
        uses: in order.
        terms: of the lines.
        carried_kwh: surplus brought into the first month, by energy period.
    """
    months: list[ScheduledMonth] = []
    for use in uses:
        priced = price_month(schedule, use, terms=terms, carried_kwh=carried_kwh)
        carried_kwh = priced.carried_kwh
        same_year = [month for month in months if month.month.year == use.month.year]
        if use.month.month == _DECEMBER and len(same_year) == MONTHS_A_YEAR - 1:
            extra = _year_minimum(schedule, [*same_year, priced], terms)
            priced = replace(priced, lines=(*priced.lines, *extra))
        months.append(priced)
    return tuple(months)
