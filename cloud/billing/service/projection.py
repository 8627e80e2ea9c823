"""A site's year ahead: its measured months, its configuration and the tariffs on record, priced month after month."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import NoReturn
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.problems import EnergyMissingError, SetUpMissingError, TariffMissingError, problem_of
from cloud.billing.repository import energy as energy_store
from cloud.billing.repository import tariffs
from cloud.billing.rules.consumer import LIFELINE, PROTECTED, UNPROTECTED, export_scheme_of, province_of
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.investment.assumptions import FirstYear
from cloud.billing.rules.metering.energy import QuarterHour
from cloud.billing.rules.model import BillWarning, ExportScheme, Plan, RateStatus
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.outlook.held_rates import NoTariffError
from cloud.billing.rules.outlook.profile import MONTHS_A_YEAR, MeasuredMonth, YearOutlook, measured_month
from cloud.billing.rules.outlook.projection import (
    Connection,
    Projection,
    Rates,
    YearBefore,
    last_day_of,
    months_bearing,
    months_from,
    project_year,
)
from cloud.billing.rules.outlook.sun import clear_day_shares
from cloud.billing.rules.records import adjustment_of, plan_of
from cloud.billing.rules.simulation import units_of
from cloud.billing.schemas.bills import BillIn
from cloud.billing.schemas.finance import FinanceTerms
from cloud.billing.schemas.projection import ProjectionIn, ProjectionOut, SiteFinanceIn, SiteFinanceOut
from cloud.billing.schemas.tariffs import TariffOut
from cloud.billing.service.finance import judge
from cloud.billing.service.projection_answers import projection_out, summary_of
from cloud.billing.service.site_energy import history_of
from cloud.billing.service.surplus import brought_forward
from cloud.core.discos import DiscoProvider
from cloud.core.errors import FieldProblem, ValidationFailedError
from cloud.sites.schemas import SiteOut
from shared.periods import Window, day_of, month_window, zone_of

MOST_MONTHS_AHEAD = 24
"""Further ahead, a rate that is held says nothing."""
_FIRST_DAY = Month(2000, 1).first_day
_HOMES = frozenset({LIFELINE, PROTECTED, UNPROTECTED})


@dataclass(frozen=True, slots=True)
class SiteYear:
    """A projected year and what it was made from."""

    projection: Projection
    outlook: YearOutlook
    connection: Connection
    warnings: tuple[BillWarning, ...]


def _set_up(site: SiteOut) -> tuple[DiscoProvider, str]:
    configuration = site.configuration
    values = {"disco_provider": configuration.disco_provider, "tariff_category": configuration.tariff_category}
    problems: list[FieldProblem] = [
        {"field": f"configuration.{name}", "value": None, "message": f"set {name} in the site's configuration"}
        for name, value in values.items()
        if value is None
    ]
    if configuration.disco_provider is None or configuration.tariff_category is None:
        raise SetUpMissingError("The site's configuration does not say which tariff it is on.", errors=problems)
    return configuration.disco_provider, configuration.tariff_category


def _first_month(body: ProjectionIn, today: Month) -> Month:
    if body.first_month is None:
        return today.back(-1)
    first = Month.parse(body.first_month)
    last = today.back(-MOST_MONTHS_AHEAD)
    if first.first_day > last.first_day:
        message = f"write a month up to {last}: rates further ahead are not known well enough to hold the latest ones"
        raise ValidationFailedError(
            f"The projection cannot begin in {first}.",
            errors=[{"field": "from", "value": body.first_month, "message": message}],
        )
    return first


def _window_of(months: Sequence[Month], zone: ZoneInfo) -> Window:
    first, last = months[0], months[-1]
    return Window(month_window(first.year, first.month, zone).start, month_window(last.year, last.month, zone).end)


def _by_month(rows: Sequence[QuarterHour], zone: ZoneInfo) -> tuple[MeasuredMonth, ...]:
    found = []
    for month, group in groupby(rows, key=lambda row: Month.of(row.bucket.astimezone(zone).date())):
        window = month_window(month.year, month.month, zone)
        found.append(measured_month(group, month=month, window=window, zone=zone))
    return tuple(found)


async def _measured(conn: AsyncConnection, site: SiteOut, today: Month) -> tuple[MeasuredMonth, ...]:
    """The last twelve whole months, those before the installation left out where later ones were measured."""
    zone = zone_of(site.timezone)
    months = [today.back(back) for back in range(MONTHS_A_YEAR, 0, -1)]
    rows = await energy_store.site_quarter_hours(conn, site.id, _window_of(months, zone))
    # Thirty-five thousand quarter-hours: long enough to keep others waiting.
    found = await asyncio.to_thread(_by_month, rows, zone)
    installed = site.configuration.installation_date
    if installed is None:
        return found
    since = [item for item in found if item.month.first_day >= installed and item.is_measured]
    return tuple(since or found)


def _refuse_new_system(site: SiteOut, names: Sequence[str]) -> NoReturn:
    problems: list[FieldProblem] = [
        {"field": name, "value": None, "message": f"set {name.rsplit('.', 1)[-1]} of the site, or leave system_kwp out"}
        for name in names
    ]
    raise SetUpMissingError(f"What a new system at {site.name} would generate is not known.", errors=problems)


def _yields(site: SiteOut, body: ProjectionIn) -> tuple[Decimal, ...] | None:
    if body.monthly_yield_kwh_per_kwp is not None:
        return body.monthly_yield_kwh_per_kwp
    configured = site.configuration.monthly_yield_kwh_per_kwp
    return None if configured is None else tuple(Decimal(str(value)) for value in configured)


def _day_shares(site: SiteOut, first: Month, *, has_yields: bool) -> Mapping[int, Sequence[Decimal]]:
    needed = {"latitude": site.latitude, "longitude": site.longitude}
    missing = [name for name, value in needed.items() if value is None]
    if not has_yields:
        missing.append("configuration.monthly_yield_kwh_per_kwp")
    if missing or site.latitude is None or site.longitude is None:
        _refuse_new_system(site, missing)
    zone = zone_of(site.timezone)
    return {
        month.month: clear_day_shares(month, latitude=site.latitude, longitude=site.longitude, zone=zone)
        for month in months_from(first)
    }


def _outlook(
    site: SiteOut, body: ProjectionIn, *, first: Month, disco: DiscoProvider, measured: tuple[MeasuredMonth, ...]
) -> YearOutlook:
    if body.monthly_consumption_kwh is None and not any(month.is_measured for month in measured):
        message = "give twelve numbers from the bills, January first, or wait for a whole month of readings"
        raise EnergyMissingError(
            "No whole month of the site's grid import was measured in the last twelve.",
            errors=[{"field": "monthly_consumption_kwh", "value": None, "message": message}],
        )
    yields = _yields(site, body)
    shares = None if body.system_kwp is None else _day_shares(site, first, has_yields=yields is not None)
    return YearOutlook(
        measured=measured,
        disco_provider=disco.value,
        yield_kwh_per_kwp=yields,
        system_kwp=body.system_kwp,
        day_shares=shares,
        consumption_kwh=body.monthly_consumption_kwh,
    )


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _connection(
    site: SiteOut, body: ProjectionIn, *, disco: DiscoProvider, category: str
) -> tuple[Connection, tuple[BillWarning, ...]]:
    configuration = site.configuration
    scheme, warnings = export_scheme_of(
        named=body.export_scheme,
        net_metering_enabled=configuration.net_metering_enabled,
        installed=configuration.installation_date,
    )
    connection = Connection(
        disco_provider=disco.value,
        category=category,
        province=province_of(site.address.state, disco.value),
        sanctioned_load_kw=_decimal(configuration.sanctioned_load_kw),
        phases=configuration.phases,
        export_scheme=scheme,
        active_taxpayer=body.active_taxpayer,
        installed_capacity_kw=body.system_kwp or _decimal(configuration.system_capacity_kw),
    )
    return connection, warnings


async def _before(
    conn: AsyncConnection, site: SiteOut, body: ProjectionIn, *, first: Month, connection: Connection
) -> tuple[YearBefore, tuple[BillWarning, ...]]:
    """What earlier bills leave to the first one: units as told, else of bills, else of readings; the surplus likewise."""
    scheme = connection.export_scheme
    history = await history_of(
        conn,
        site,
        months_bearing(first, connection.category),
        told=units_of(body.units_history),
        told_without_solar=units_of(body.units_history_without_solar),
        netted=scheme is ExportScheme.NET_METERING_2015,
    )
    bill = BillIn(
        period_start=first.first_day,
        period_end=last_day_of(first),
        surplus_kwh_brought_forward=body.surplus_kwh_brought_forward,
        surplus_peak_kwh_brought_forward=body.surplus_peak_kwh_brought_forward,
    )
    brought = await brought_forward(conn, site, bill, scheme)
    before = YearBefore(
        billed_units=history.billed,
        units_without_solar=history.without_solar,
        demand_kw=history.demand_kw,
        ledger_kwh=brought.off_peak_kwh,
        ledger_peak_kwh=brought.peak_kwh,
    )
    return before, (*history.notes, *brought.notes)


def _plan(tariff: TariffOut) -> Plan:
    return plan_of(
        tariff.rates,
        code=tariff.name or tariff.category,
        category=tariff.category,
        source=tariff.source,
        status=RateStatus(tariff.status),
        supports_tou=tariff.supports_tou,
        has_tou_units=True,
        effective_from=tariff.effective_from,
        effective_to=tariff.effective_to,
    )


async def _rates(conn: AsyncConnection, disco: DiscoProvider, category: str, *, first: Month) -> Rates:
    """Every version of the tariffs that the year may be billed by, and the dated records."""
    last = last_day_of(months_from(first)[-1])
    plans: dict[str, tuple[Plan, ...]] = {}
    for code in _HOMES if category in _HOMES else {category}:
        versions = await tariffs.plans_of(conn, disco, code, first=_FIRST_DAY, last=last)
        plans[code] = tuple(_plan(version) for version in versions)
    return Rates(plans, [adjustment_of(record) for record in await tariffs.adjustment_records(conn)])


async def _category(conn: AsyncConnection, name: str) -> str:
    code = await tariffs.category_code(conn, name)
    if code is None:
        raise TariffMissingError(
            f"The tariff category {name!r} is not known.",
            errors=[{"field": "configuration.tariff_category", "value": name, "message": "choose a known category"}],
        )
    return code


async def _no_tariff(conn: AsyncConnection, disco: DiscoProvider, error: NoTariffError) -> TariffMissingError:
    available = ", ".join(await tariffs.categories_with_plans(conn, disco))
    message = f"tariffs on record for {disco.value}: {available or 'none; run `solarhub tariffs load`'}"
    return TariffMissingError(
        f"No tariff of {disco.value} for {error.category} is on record for {error.day}; nothing is invented in its place.",
        extra={"missing": {"disco_provider": disco.value, "category": error.category, "on": error.day.isoformat()}},
        errors=[{"field": "configuration.tariff_category", "value": error.category, "message": message}],
    )


async def project_site_year(conn: AsyncConnection, site: SiteOut, body: ProjectionIn, *, now: datetime) -> SiteYear:
    """Project twelve bills of a site; nothing is stored.

    Args:
        conn: a transaction that sees the site.
        site: whose configuration names company, category and sanctioned load.
        body: what the site cannot tell.
        now: the present moment.

    Raises:
        SetUpMissingError: if the configuration lacks what the tariff or a new system needs.
        TariffMissingError: if no tariff is on record.
        TariffRateUnknownError: if the tariff lacks a rate.
        EnergyMissingError: if nothing was measured and no consumption was given.
        ValidationFailedError: if the first month is too far ahead.
    """
    disco, configured = _set_up(site)
    today = Month.of(day_of(now, zone_of(site.timezone)))
    first = _first_month(body, today)
    category = await _category(conn, configured)
    connection, warnings = _connection(site, body, disco=disco, category=category)
    measured = await _measured(conn, site, today)
    outlook = _outlook(site, body, first=first, disco=disco, measured=measured)
    before, notes = await _before(conn, site, body, first=first, connection=connection)
    try:
        rates = await _rates(conn, disco, category, first=first)
        projection = await asyncio.to_thread(
            project_year, first, outlook, connection=connection, before=before, rates=rates
        )
    except NoTariffError as error:
        raise await _no_tariff(conn, disco, error) from error
    except BillingError as error:
        raise problem_of(error) from error
    return SiteYear(projection, outlook, connection, (*warnings, *notes))


async def project_site(conn: AsyncConnection, site: SiteOut, body: ProjectionIn, *, now: datetime) -> ProjectionOut:
    """The year's bills as an answer.

    Raises:
        As `project_site_year`.
    """
    year = await project_site_year(conn, site, body, now=now)
    return projection_out(
        site,
        year.projection,
        outlook=year.outlook,
        connection=year.connection,
        warnings=year.warnings,
        with_lines=body.lines,
    )


async def judge_site(conn: AsyncConnection, site: SiteOut, body: SiteFinanceIn, *, now: datetime) -> SiteFinanceOut:
    """The site's system as an investment, its first year projected.

    Raises:
        As `project_site_year`; BillNotPossibleError if the terms contradict each other.
    """
    year = await project_site_year(conn, site, body.projection, now=now)
    projection = year.projection
    months = [month.energy.month for month in projection.months]
    first = FirstYear(
        saved_pkr=projection.savings_pkr,
        export_income_pkr=max(ZERO, projection.export_income_pkr),
        generated_kwh=projection.energy_kwh("generated"),
        basis=f"projection of {months[0]} to {months[-1]}",
    )
    terms = FinanceTerms.model_validate(body.model_dump(exclude={"projection"}, exclude_unset=True))
    try:
        finance = judge(first, terms)
    except BillingError as error:
        raise problem_of(error) from error
    summary = summary_of(site, projection, outlook=year.outlook, connection=year.connection, warnings=year.warnings)
    return SiteFinanceOut(finance=finance, projection=summary)
