"""Bills of sites: energy of the period, the tariff in force, the simulation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.problems import PeriodNotStartedError, SetUpMissingError, TariffMissingError, problem_of
from cloud.billing.repository import tariffs
from cloud.billing.rules.consumer import billed_category, checked_months, export_scheme_of, province_of
from cloud.billing.rules.demand import history_months
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.energy import PeriodEnergy
from cloud.billing.rules.model import DEFAULT_FCA_LAG_MONTHS, BillingCase, BillWarning, ExportScheme
from cloud.billing.rules.month import Month
from cloud.billing.rules.records import plan_of
from cloud.billing.rules.scheduled.metered import Metered
from cloud.billing.rules.simulation import Simulation, inputs_json, simulate, units_of
from cloud.billing.schemas.bills import BillIn
from cloud.billing.schemas.tariffs import TariffOut
from cloud.billing.service import surplus
from cloud.billing.service.rate_book import RateBook
from cloud.billing.service.scheduled_bills import is_scheduled, metered_site
from cloud.billing.service.site_energy import (
    History,
    MeasuredEnergy,
    consumed_of,
    energy_json,
    gap_warnings,
    history_of,
    measured_energy,
    window_of,
)
from cloud.core.discos import DiscoProvider
from cloud.core.errors import FieldProblem
from cloud.sites.schemas import SiteOut
from shared.periods import day_of, zone_of

MONTH_DAYS = range(25, 36)
"""Days between two readings of a meter, as the companies bill them."""
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class SiteBill:
    """A simulated bill of a site that is not stored yet.

    Attributes:
        tariff: the version in force on the period's last day.
        inputs: everything it was computed from.
        is_actual: from complete readings of a period that has ended.
    """

    tariff: TariffOut
    measured: MeasuredEnergy
    consumed_kwh: Decimal
    inputs: dict[str, Any]
    simulation: Simulation
    is_actual: bool

    @property
    def energy(self) -> PeriodEnergy:
        """Of the period."""
        return self.measured.energy


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is to be worked out."""

    site: SiteOut
    body: BillIn
    disco: DiscoProvider
    measured: MeasuredEnergy
    scheme: ExportScheme
    today: date
    rates: RateBook
    now: datetime
    is_read: bool

    @property
    def month(self) -> Month:
        """The bill's."""
        return Month.of(self.body.period_end)

    @property
    def is_open(self) -> bool:
        """Whether the period has not ended."""
        return self.body.period_end >= self.today


def _set_up(site: SiteOut) -> tuple[DiscoProvider, str]:
    configuration = site.configuration
    problems: list[FieldProblem] = [
        {"field": f"configuration.{name}", "value": None, "message": f"set {name} in the site's configuration"}
        for name, value in (
            ("disco_provider", configuration.disco_provider),
            ("tariff_category", configuration.tariff_category),
        )
        if value is None
    ]
    if configuration.disco_provider is None or configuration.tariff_category is None:
        raise SetUpMissingError("The site's configuration does not say which tariff it is on.", errors=problems)
    return configuration.disco_provider, configuration.tariff_category


async def _category(conn: AsyncConnection, rates: RateBook, name: str) -> str:
    code = await rates.category(conn, name)
    if code is None:
        raise TariffMissingError(
            f"The tariff category {name!r} is not known.",
            errors=[{"field": "configuration.tariff_category", "value": name, "message": "choose a known category"}],
        )
    return code


async def _versions(conn: AsyncConnection, ask: _Ask, category: str) -> Sequence[TariffOut]:
    """The versions of the tariff inside the period, oldest first; together they rule each of its days."""
    first, last = ask.body.period_start, ask.body.period_end
    versions = await ask.rates.versions(conn, ask.disco, category, first=first, last=last)
    missing = None
    if not versions or (versions[-1].effective_to is not None and versions[-1].effective_to < last):
        missing = last
    elif versions[0].effective_from > first:
        missing = first
    if missing is None:
        return versions
    available = ", ".join(await tariffs.categories_with_plans(conn, ask.disco))
    raise TariffMissingError(
        f"No tariff of {ask.disco.value} for {category} is on record for {missing}; nothing is invented in its place.",
        extra={"missing": {"disco_provider": ask.disco.value, "category": category, "on": missing.isoformat()}},
        errors=[
            {
                "field": "configuration.tariff_category",
                "value": category,
                "message": f"tariffs on record for {ask.disco.value}: {available or 'none; run `solarhub tariffs load`'}",
            }
        ],
    )


def _changed(versions: Sequence[TariffOut]) -> tuple[BillWarning, ...]:
    if len(versions) == 1:
        return ()
    days = ", ".join(version.effective_from.isoformat() for version in versions[1:])
    message = (
        f"The tariff changed inside the period (on {days}): units and fixed charges are split by calendar days, each version's days at"
        " its own rates."
    )
    return (BillWarning("tariff_changed", message),)


def _plan_record(tariff: TariffOut, *, is_dated: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "code": tariff.name or tariff.category,
        "category": tariff.category,
        "source": tariff.source,
        "status": tariff.status,
        "supports_tou": tariff.supports_tou,
        "rates": tariff.rates,
    }
    if is_dated:
        ends = tariff.effective_to
        record["effective_from"] = tariff.effective_from.isoformat()
        record["effective_to"] = None if ends is None else ends.isoformat()
    return record


def _records(versions: Sequence[TariffOut]) -> list[dict[str, Any]]:
    return [_plan_record(version, is_dated=len(versions) > 1) for version in versions]


def _months_asked(version: TariffOut, month: Month, *, has_tou_units: bool) -> set[Month]:
    """Earlier months that the tariff needs the units or the demand of."""
    plan = plan_of(
        version.rates,
        code=version.name,
        category=version.category,
        source=version.source,
        supports_tou=version.supports_tou,
        has_tou_units=has_tou_units,
    )
    return {month.back(plan.fca_lag_months), *history_months(plan, month)}


def _warnings(ask: _Ask, *, days: int) -> tuple[BillWarning, ...]:
    found = []
    if days not in MONTH_DAYS and not ask.body.prorated:
        message = f"The period has {days} days and is priced as one month: slabs and fixed charges are monthly."
        found.append(BillWarning("period_not_a_month", message))
    if ask.is_open:
        found.append(BillWarning("period_open", "The period has not ended: the bill covers what was measured so far."))
    found += gap_warnings(ask.measured, ask.site)
    if ask.measured.energy.exported_kwh is None and ask.scheme is not ExportScheme.NONE:
        found.append(BillWarning("export_unknown", "Export was not measured; the bill has no credit for it."))
    return tuple(found)


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _case(ask: _Ask, history: History, brought: surplus.Brought) -> BillingCase:
    energy, configuration = ask.measured.energy, ask.site.configuration
    return BillingCase(
        period_start=ask.body.period_start,
        period_end=ask.body.period_end,
        imported_kwh=energy.imported_kwh or _ZERO,
        exported_kwh=energy.exported_kwh or _ZERO,
        imported_peak_kwh=energy.imported_peak_kwh,
        exported_peak_kwh=energy.exported_peak_kwh or _ZERO,
        disco_provider=ask.disco.value,
        sanctioned_load_kw=_decimal(configuration.sanctioned_load_kw),
        installed_capacity_kw=_decimal(configuration.system_capacity_kw),
        phases=configuration.phases,
        max_demand_kw=energy.max_demand_kw,
        demand_history_kw=history.demand_kw,
        province=province_of(ask.site.address.state, ask.disco.value),
        billed_units=history.billed,
        export_scheme=ask.scheme,
        ledger_kwh=brought.off_peak_kwh,
        ledger_peak_kwh=brought.peak_kwh,
        active_taxpayer=ask.body.active_taxpayer,
        prorated=ask.body.prorated,
    )


async def simulate_site_bill(
    conn: AsyncConnection,
    site: SiteOut,
    body: BillIn,
    *,
    now: datetime,
    measured: MeasuredEnergy | None = None,
    rates: RateBook | None = None,
) -> SiteBill:
    """Work out the bill of a site and period from its readings; nothing is stored.

    Args:
        conn: a transaction that sees the site.
        site: whose configuration names company, category and sanctioned load.
        body: the period, and what the readings cannot tell.
        now: the present moment.
        measured: energy to be billed instead of that of the readings: what a paper bill says.
        rates: those of the batch that the bill belongs to; None = read for this bill.

    Raises:
        SetUpMissingError: if the configuration lacks what the tariff needs.
        TariffMissingError: if no tariff is on record.
        TariffRateUnknownError: if the tariff lacks the rate.
        EnergyMissingError: if nothing was measured.
        PeriodNotStartedError: if the period lies in the future.
    """
    disco, configured = _set_up(site)
    today = day_of(now, zone_of(site.timezone))
    if body.period_start > today:
        raise PeriodNotStartedError(f"The period begins on {body.period_start}, after today ({today}).")
    is_read = measured is None
    if measured is None:
        window = window_of(site, body.period_start, body.period_end)
        measured = await measured_energy(conn, site, window, disco=disco, now=now)
    scheme, notes = export_scheme_of(
        named=body.export_scheme,
        net_metering_enabled=site.configuration.net_metering_enabled,
        installed=site.configuration.installation_date,
    )
    ask = _Ask(site, body, disco, measured, scheme, today, rates or RateBook(), now, is_read)
    try:
        return await _simulated(conn, ask, configured, notes)
    except BillingError as error:
        raise problem_of(error) from error


async def _simulated(conn: AsyncConnection, ask: _Ask, configured: str, notes: tuple[BillWarning, ...]) -> SiteBill:
    energy = ask.measured.energy
    configured = await _category(conn, ask.rates, configured)
    months = set(checked_months(configured, ask.month)) | {ask.month.back(DEFAULT_FCA_LAG_MONTHS)}
    history = await _history(conn, ask, months)
    imported = energy.imported_kwh or _ZERO
    category, lost = _billed_in(ask, configured, imported, history.billed)
    versions = await _versions(conn, ask, category)
    asked = _months_asked(versions[-1], ask.month, has_tou_units=energy.imported_peak_kwh is not None)
    if not asked <= months:
        history = await _history(conn, ask, months | asked)
    consumed_kwh, estimated = consumed_of(energy)
    without = _billed_in(ask, configured, consumed_kwh, history.without_solar)[0]
    dark = None if without == category else await _versions(conn, ask, without)
    if is_scheduled(versions[-1]) and ask.body.export_scheme is None:
        # Such a tariff says itself how exports count.
        ask, notes = replace(ask, scheme=ExportScheme.NONE), _surplus_left_out(ask.body)
    brought = await surplus.brought_forward(conn, ask.site, ask.body, ask.scheme)
    case = _case(ask, history, brought)
    warnings = (*notes, *lost, *_changed(versions), *estimated, *_warnings(ask, days=case.days))
    warnings += (*history.notes, *brought.notes, *_dark_note(without, is_other=dark is not None))
    own = await _by_periods(conn, ask, versions[-1], case)
    warnings += () if own is None else tuple(BillWarning("schedule_assumed", words) for words in own.assumptions)
    records = _records(versions)
    inputs = inputs_json(
        plan_record=records[0],
        later_versions=records[1:],
        adjustments=await ask.rates.adjustments(conn),
        consumed_units=history.without_solar,
        generated_kwh=energy.generated_kwh or _ZERO,
        co2_kg_per_kwh=await ask.rates.factor(conn, "grid_electricity"),
        co2_kg_per_tree=await ask.rates.factor(conn, "tree"),
        versions_without_solar=None if dark is None else _records(dark),
        warnings=[{"code": warning.code, "message": warning.message} for warning in warnings],
        **_energies(case, energy, consumed_kwh=consumed_kwh, own=own),
    )
    inputs["energy"] = energy_json(ask.measured)
    actual = not ask.is_open and not estimated and ask.measured.is_complete
    return SiteBill(versions[-1], ask.measured, consumed_kwh, inputs, simulate(inputs), actual)


def _surplus_left_out(body: BillIn) -> tuple[BillWarning, ...]:
    if not body.surplus_kwh_brought_forward and not body.surplus_peak_kwh_brought_forward:
        return ()
    message = "The tariff says itself how exports count: the surplus brought forward is left out. Name export_scheme to use it."
    return (BillWarning("surplus_left_out", message),)


async def _by_periods(conn: AsyncConnection, ask: _Ask, version: TariffOut, case: BillingCase) -> Metered | None:
    """The readings by the periods of a tariff by month and hour; None for another one, and for units that are not those of readings."""
    if not ask.is_read or not is_scheduled(version):
        return None
    return await metered_site(conn, ask.site, version, case, now=ask.now)


def _energies(case: BillingCase, energy: PeriodEnergy, *, consumed_kwh: Decimal, own: Metered | None) -> dict[str, Any]:
    """The case and what would have been bought without solar, as a simulation's inputs name them."""
    if own is None:
        return {
            "case": case,
            "consumed_kwh": consumed_kwh,
            "consumed_peak_kwh": energy.consumed_peak_kwh,
            "consumed_max_demand_kw": energy.consumed_max_demand_kw,
        }
    return {
        "case": own.case,
        "consumed_kwh": own.consumed_kwh,
        "consumed_peak_kwh": None,
        "consumed_max_demand_kw": own.consumed_max_demand_kw,
        "consumed_by_schedule": (own.consumed_units, own.consumed_demand_kw),
    }


def _billed_in(
    ask: _Ask, configured: str, units: Decimal, history: Mapping[Month, Decimal]
) -> tuple[str, tuple[BillWarning, ...]]:
    """The category of the month by its units, those before it, and the connection."""
    connection = ask.site.configuration
    return billed_category(
        configured,
        units=units,
        history=history,
        bill_month=ask.month,
        phases=connection.phases,
        sanctioned_load_kw=_decimal(connection.sanctioned_load_kw),
    )


async def _history(conn: AsyncConnection, ask: _Ask, months: set[Month]) -> History:
    return await history_of(
        conn,
        ask.site,
        months,
        told=units_of(ask.body.units_history),
        told_without_solar=units_of(ask.body.units_history_without_solar),
        netted=ask.scheme is ExportScheme.NET_METERING_2015,
    )


def _dark_note(category: str, *, is_other: bool) -> tuple[BillWarning, ...]:
    message = f"Without solar the month would be billed in the category {category}: the savings are against its rates."
    return (BillWarning("category_by_solar", message),) if is_other else ()
