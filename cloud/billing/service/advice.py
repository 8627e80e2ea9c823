"""Warnings and advice about a site's running bill, and what the past months say about its load."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.rules.advice.advice import Advice, Priced
from cloud.billing.rules.advice.cliffs import Pace, cliff_advice
from cloud.billing.rules.advice.comparison import versions_for
from cloud.billing.rules.advice.exports import export_advice
from cloud.billing.rules.advice.load import LoadMonth, load_advice
from cloud.billing.rules.advice.standing import (
    LIMITS_KWH,
    Loss,
    Standing,
    kept_advice,
    loss_over,
    regain_advice,
    standing_of,
)
from cloud.billing.rules.consumer import LIFELINE, PROTECTED, UNPROTECTED, billed_category, checked_months
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.cycle import BillPeriod, period_holding
from cloud.billing.rules.model import BillingCase, ExportScheme
from cloud.billing.rules.month import Month
from cloud.billing.rules.simulation import case_of
from cloud.billing.schemas.bills import BillIn
from cloud.billing.schemas.comparison import (
    AdviceOut,
    ComparisonIn,
    LeftOut,
    MonthStandingOut,
    SiteAdviceOut,
    StandingOut,
)
from cloud.billing.service.comparison import (
    MadeMonths,
    TariffShelf,
    month_bills,
    past_periods,
    present_category,
    shelf_of,
)
from cloud.billing.service.site_bills import SiteBill, simulate_site_bill
from cloud.billing.service.site_energy import history_of, window_of
from cloud.core.discos import DiscoProvider
from cloud.sites.schemas import SiteOut
from shared.periods import day_of, zone_of

LOAD_MONTHS = 12
DAY_S = 86_400
HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the advice on one period stands on.

    Attributes:
        configured: the site's category.
        history: units of earlier months, as far as known.
        past: bills of the last months.
    """

    site: SiteOut
    bill: SiteBill
    case: BillingCase
    pace: Pace
    configured: str
    shelf: TariffShelf
    history: dict[Month, Decimal]
    past: MadeMonths

    def priced(self, category: str, case: BillingCase) -> Priced:
        """The category's tariff in the case's period.

        Raises:
            BillingError: if no version is on record.
        """
        versions = self.shelf.versions.get(category, ())
        return Priced(versions_for(versions, case, name=category), self.shelf.adjustments)


def _pace(site: SiteOut, period: BillPeriod, units: Decimal, *, now: datetime) -> Pace:
    window = window_of(site, period.first, period.last)
    gone_s = min(max(0.0, (now - window.start).total_seconds()), window.seconds)
    # Days of 23 or 25 hours count as days.
    days = Decimal(gone_s / window.seconds * period.days).quantize(HUNDREDTH)
    return Pace(units, period.first, period.last, days)


def _edges(ground: _Ground) -> Sequence[Advice]:
    return cliff_advice(ground.priced(ground.bill.tariff.category, ground.case), ground.case, ground.pace)


def _watched(ground: _Ground) -> str | None:
    """The category whose limit the home is held against: its own, or protected for an un-protected home that uses as little."""
    if ground.configured in LIMITS_KWH:
        return ground.configured
    limit = LIMITS_KWH[PROTECTED]
    is_small = max(ground.case.imported_kwh, ground.pace.expected) <= limit
    return PROTECTED if ground.configured == UNPROTECTED and is_small else None


def _standing(ground: _Ground) -> Standing | None:
    category = _watched(ground)
    if category is None:
        return None
    return standing_of(category, bill_month=ground.case.month, units=ground.case.imported_kwh, history=ground.history)


def _loss(ground: _Ground, standing: Standing) -> Loss | None:
    category = standing.category
    lost, _ = billed_category(
        category,
        units=standing.limit_kwh + 1,
        history=ground.history,
        bill_month=ground.case.month,
    )
    try:
        kept, other = ground.priced(category, ground.case), ground.priced(lost, ground.case)
        return loss_over(standing, ground.case, kept=kept, lost=other)
    except BillingError:
        # Without both tariffs' rates the status still stands; only what it is worth is not known, and the advice says so.
        return None


def _status(ground: _Ground) -> Sequence[Advice]:
    standing = _standing(ground)
    if standing is None:
        return ()
    loss = _loss(ground, standing)
    if ground.configured == standing.category and standing.holds is not False:
        return (kept_advice(standing, ground.case, ground.pace, loss=loss),)
    advice = regain_advice(standing, ground.case, ground.pace, loss=loss)
    return () if advice is None else (advice,)


def _load(ground: _Ground) -> Sequence[Advice]:
    months = []
    for bill in ground.past.bills:
        case = case_of(bill.inputs["case"])
        months.append(LoadMonth(case, ground.priced(bill.tariff.category, case)))
    advice = load_advice(months, category=ground.configured, capacity_kw=ground.case.installed_capacity_kw)
    return () if advice is None else (advice,)


def _exports(ground: _Ground) -> Sequence[Advice]:
    priced = ground.priced(ground.bill.tariff.category, ground.case)
    return export_advice(priced, ground.case, capacity_kw=ground.case.installed_capacity_kw)


_PIECES: Sequence[tuple[str, Callable[[_Ground], Sequence[Advice]]]] = (
    ("slab_cliff", _edges),
    ("status", _status),
    ("sanctioned_load", _load),
    ("export", _exports),
)
_ORDER = ("warning", "notice", "info")


def _all_advice(ground: _Ground) -> tuple[list[Advice], list[LeftOut]]:
    found: list[Advice] = []
    left_out: list[LeftOut] = []
    for name, piece in _PIECES:
        try:
            found += piece(ground)
        except BillingError as error:
            left_out.append(LeftOut(what=name, code="not_priced", reason=str(error)))
    if not ground.past.bills:
        reason = "No past month has complete readings; the highest demand is not known."
        left_out.append(LeftOut(what="sanctioned_load", code="readings_incomplete", reason=reason))
    found.sort(key=lambda advice: _ORDER.index(advice.severity.value))
    return found, left_out


def _standing_out(standing: Standing | None) -> StandingOut | None:
    if standing is None:
        return None
    return StandingOut(
        category=standing.category,
        limit_kwh=standing.limit_kwh,
        units_kwh=standing.units,
        left_kwh=standing.left_kwh,
        holds=standing.holds,
        months_to_go=standing.months_to_go,
        months=[
            MonthStandingOut(month=str(month.month), units_kwh=month.units, within=month.within)
            for month in standing.past
        ],
    )


async def _history(conn: AsyncConnection, site: SiteOut, case: BillingCase) -> dict[Month, Decimal]:
    """Units of the months that decide a home's status."""
    months = {*checked_months(LIFELINE, case.month), *checked_months(PROTECTED, case.month)}
    netted = case.export_scheme is ExportScheme.NET_METERING_2015
    found = await history_of(conn, site, months, told={}, told_without_solar={}, netted=netted)
    return {**found.billed, **case.billed_units}


def _span(case: BillingCase, past: Iterable[BillPeriod]) -> tuple[date, date]:
    return min([case.period_start, *(period.first for period in past)]), case.period_end


async def advise(conn: AsyncConnection, site: SiteOut, *, on: date | None, now: datetime) -> SiteAdviceOut:
    """Warnings and advice about the bill of the period that holds a day.

    Args:
        conn: a transaction that sees the site.
        site: whose configuration names company, category, sanctioned load and reading day.
        on: the day; None = today. Of a period that has ended, the whole of it.
        now: the present moment.

    Raises:
        As `simulate_site_bill`.
    """
    today = day_of(now, zone_of(site.timezone))
    period = period_holding(on or today, site.configuration.reading_day)
    bill = await simulate_site_bill(conn, site, BillIn(period_start=period.first, period_end=period.last), now=now)
    case = case_of(bill.inputs["case"])
    # Months before the period that is asked about; today's own when it is still open.
    until = min(now, window_of(site, period.first, period.last).start + timedelta(seconds=DAY_S))
    before = past_periods(site, LOAD_MONTHS, now=until)
    past = await month_bills(conn, site, ComparisonIn(), before, now=now)
    first, last = _span(case, before)
    configured = await present_category(conn, site)
    ground = _Ground(
        site=site,
        bill=bill,
        case=case,
        pace=_pace(site, period, bill.simulation.bill.billed_kwh, now=now),
        configured=configured,
        shelf=await shelf_of(conn, DiscoProvider(case.disco_provider), configured, first=first, last=last),
        history=await _history(conn, site, case),
        past=past,
    )
    advice, left_out = _all_advice(ground)
    return SiteAdviceOut(
        period_start=period.first,
        period_end=period.last,
        as_of_days=ground.pace.days_gone,
        tariff=bill.simulation.bill.plan_code,
        billed_kwh=ground.pace.units,
        expected_kwh=ground.pace.expected.quantize(Decimal("0.1")),
        bill_so_far_pkr=bill.simulation.bill.total_pkr,
        advice=[AdviceOut.model_validate(item) for item in advice],
        standing=_standing_out(_standing(ground)),
        left_out=[*left_out, *past.left_out],
    )
