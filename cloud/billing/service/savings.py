"""Savings of a site's days: before there is a bill, each kWh is worth what the bill so far says of one more or less.

The bill's own savings know slabs, fixed charges and bands that no single kWh knows of. When a month's bill is there, its days are
valued by the rates of that bill, and the difference is kept beside them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.problems import problem_of
from cloud.billing.repository import energy as energy_store
from cloud.billing.repository import savings as store
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.marginal import (
    Flows,
    MarginalRates,
    as_measured_in,
    marginal_rates,
    savings_of,
    scaled_inputs,
)
from cloud.billing.rules.metering.cycle import BillPeriod, bill_period, period_holding
from cloud.billing.rules.metering.energy import QuarterHour
from cloud.billing.rules.metering.tou import is_peak
from cloud.billing.schemas.bills import BillIn
from cloud.billing.schemas.runs import SavingsOut
from cloud.billing.service.monthly import REMEMBERED_DAYS
from cloud.billing.service.site_bills import simulate_site_bill
from cloud.billing.service.site_energy import window_of
from cloud.core.db import SYSTEM, Database
from cloud.core.errors import ValidationFailedError
from cloud.core.log import get_logger
from cloud.core.turns import each_alone
from cloud.sites.repository import enter_site
from cloud.sites.schemas import SiteOut
from shared.periods import day_of, zone_of

_log = get_logger(__name__)

BATCH = 50
MONTHS_LOOKED_AT = 4
"""The running month and those whose bills may still be made anew."""
DAYS_TO_GO_BY = 3
"""A period with fewer days of readings is taken to become like the one before."""
_WH_PER_KWH = Decimal(1000)
_PERCENT = Decimal(100)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class _Told:
    """Rates of a month, or why there are none."""

    rates: MarginalRates | None
    reason: str | None = None
    message: str | None = None

    def columns(self) -> dict[str, Any]:
        rates = self.rates
        return {
            "import_pkr_per_kwh": None if rates is None else rates.import_pkr,
            "import_peak_pkr_per_kwh": None if rates is None else rates.import_peak_pkr,
            "export_pkr_per_kwh": None if rates is None else rates.export_pkr,
            "export_peak_pkr_per_kwh": None if rates is None else rates.export_peak_pkr,
            "reason": self.reason,
            "message": self.message,
        }


async def value_stale(db: Database, now: datetime, *, limit: int = BATCH) -> int:
    """Value the days of sites that have changed since; several workers may at once.

    Returns:
        How many sites; fewer than the limit = nothing is left.
    """
    since = now.date() - timedelta(days=REMEMBERED_DAYS)
    async with db.transaction(SYSTEM) as conn:
        sites = await store.stale_sites(conn, since=since, limit=limit)
    await each_alone(_value_in_transaction(db, site_id, now=now) for site_id in sites)
    return len(sites)


async def _value_in_transaction(db: Database, site_id: UUID, *, now: datetime) -> None:
    async with db.transaction(SYSTEM) as conn:
        await value_site(conn, site_id, now=now)


async def value_site(conn: AsyncConnection, site_id: UUID, *, now: datetime) -> None:
    """Value the days of a site that were computed, or whose bill was made, since they were valued.

    Args:
        conn: a transaction of the system; it sees nothing but the site afterwards.
        site_id: whose.
        now: the present moment; days that are computed later are valued the next time.
    """
    site = await enter_site(conn, site_id)
    if site is None or not await store.try_lock_savings(conn, site_id):
        return
    reading_day = site.configuration.reading_day
    running = period_holding(day_of(now, zone_of(site.timezone)), reading_day)
    for back in range(MONTHS_LOOKED_AT):
        period = bill_period(running.month.back(back), reading_day)
        await _value_period(conn, site, period, now=now, is_running=back == 0)


async def _value_period(
    conn: AsyncConnection, site: SiteOut, period: BillPeriod, *, now: datetime, is_running: bool
) -> None:
    zone, month = zone_of(site.timezone), period.month.first_day
    known = await store.rates_of_month(conn, site.id, month)
    bill = await store.month_bill(conn, site.id, month)
    is_new_day = known is None or day_of(known.computed_at, zone) < day_of(now, zone)
    is_fresh = known is not None and (bill is None or known.bill_id == bill.id) and not (is_running and is_new_day)
    after = known.computed_at if known is not None and is_fresh else None
    days = await store.days_computed_after(conn, site.id, period.first, period.last, after=after)
    if not days and not is_running:
        return
    told = _told_before(known) if known is not None and is_fresh else await _told(conn, site, period, bill, now=now)
    await store.value_days(conn, site.id, await _savings(conn, site, days, told.rates))
    await store.value_months(conn, site.id, [(day.year, day.month) for day in days])
    key = {"site_id": site.id, "organization_id": site.organization_id, "bill_month": month}
    columns = {
        **told.columns(),
        "days_savings_pkr": await store.days_total(conn, site.id, period.first, period.last),
        "bill_savings_pkr": None if bill is None else bill.savings_pkr,
        "bill_id": None if bill is None else bill.id,
        "computed_at": now,
    }
    await store.put_rates(conn, key, columns)


def _told_before(known: SavingsOut) -> _Told:
    numbers = (
        known.import_pkr_per_kwh,
        known.import_peak_pkr_per_kwh,
        known.export_pkr_per_kwh,
        known.export_peak_pkr_per_kwh,
    )
    rates = None if known.import_pkr_per_kwh is None else MarginalRates(*(number or _ZERO for number in numbers))
    return _Told(rates, known.reason, known.message)


async def _told(
    conn: AsyncConnection, site: SiteOut, period: BillPeriod, bill: store.MonthBill | None, *, now: datetime
) -> _Told:
    try:
        inputs = await _inputs_so_far(conn, site, period, now=now) if bill is None else dict(bill.inputs)
        return _Told(marginal_rates(inputs))
    except BillingError as error:
        problem = problem_of(error)
        return _Told(None, problem.code, problem.detail)
    except ValidationFailedError as error:
        return _Told(None, error.code, error.detail)


async def _inputs_so_far(conn: AsyncConnection, site: SiteOut, period: BillPeriod, *, now: datetime) -> dict[str, Any]:
    """What the month's bill would stand on, should it go on like this."""
    body = BillIn(period_start=period.first, period_end=period.last)
    made = await simulate_site_bill(conn, site, body, now=now)
    share = Decimal(made.measured.known_percent) / _PERCENT
    if share * period.days < DAYS_TO_GO_BY:
        before = await store.month_bill(conn, site.id, period.month.back(1).first_day)
        if before is not None:
            return as_measured_in(made.inputs, before.inputs)
    return scaled_inputs(made.inputs, 1 / share) if share else made.inputs


async def _savings(
    conn: AsyncConnection, site: SiteOut, days: Sequence[date], rates: MarginalRates | None
) -> dict[date, Decimal | None]:
    if rates is None or not days:
        return dict.fromkeys(days)
    zone = zone_of(site.timezone)
    quarters = await energy_store.site_quarter_hours(conn, site.id, window_of(site, days[0], days[-1]))
    by_day: defaultdict[date, list[QuarterHour]] = defaultdict(list)
    for row in quarters:
        by_day[day_of(row.bucket, zone)].append(row)
    return {day: _day_savings(by_day[day], site, rates) for day in days}


def _avoided_wh(row: QuarterHour) -> int | None:
    """What was used and not bought."""
    if row.consumed_wh is not None and row.imported_wh is not None:
        return row.consumed_wh - row.imported_wh
    return None if row.generated_wh is None else row.generated_wh - (row.exported_wh or 0)


def _day_savings(rows: Iterable[QuarterHour], site: SiteOut, rates: MarginalRates) -> Decimal | None:
    zone, disco = zone_of(site.timezone), site.configuration.disco_provider
    sums = {True: [0, 0], False: [0, 0]}
    known = False
    for row in rows:
        avoided = _avoided_wh(row)
        if avoided is None:
            continue
        known = True
        of_hours = sums[disco is not None and is_peak(row.bucket.astimezone(zone), disco.value)]
        of_hours[0] += avoided
        of_hours[1] += row.exported_wh or 0
    if not known:
        return None
    peak, rest = sums[True], sums[False]
    flows = Flows(
        avoided=Decimal(peak[0] + rest[0]) / _WH_PER_KWH,
        avoided_peak=Decimal(peak[0]) / _WH_PER_KWH,
        exported=Decimal(peak[1] + rest[1]) / _WH_PER_KWH,
        exported_peak=Decimal(peak[1]) / _WH_PER_KWH,
    )
    return savings_of(flows, rates)
