"""Bills of sites: energy of the period, the tariff in force, the simulation, the stored row."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.problems import (
    EnergyMissingError,
    PeriodNotStartedError,
    SetUpMissingError,
    TariffMissingError,
    problem_of,
)
from cloud.billing.repository import bills, tariffs
from cloud.billing.repository import energy as energy_store
from cloud.billing.rules.adjustments import FCA_LAG_MONTHS
from cloud.billing.rules.consumer import billed_category, checked_months, export_scheme_of, province_of
from cloud.billing.rules.energy import PeriodEnergy, period_energy, period_window
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import BillingCase, BillWarning, ExportScheme
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month
from cloud.billing.rules.records import adjustment_of
from cloud.billing.rules.simulation import Simulation, inputs_json, simulate, units_of
from cloud.billing.schemas.bills import BillBreakdown, BillCheck, BillIn, BillOut, SavingsBreakdown
from cloud.billing.schemas.tariffs import TariffOut
from cloud.core.discos import DiscoProvider
from cloud.core.errors import FieldProblem, NotFoundError
from cloud.sites.schemas import SiteOut
from shared.periods import day_of, month_window, zone_of

HISTORY_COVERAGE_PERCENT = 99.0
"""A month's units are taken from the readings only when these are as complete as that."""
COMPLETE_PERCENT = 99.5
MONTH_DAYS = range(25, 36)
"""Days between two readings of a meter, as the companies bill them."""
_ZERO = Decimal(0)
_WH_PER_KWH = Decimal(1000)


@dataclass(frozen=True, slots=True)
class SiteBill:
    """A simulated bill of a site that is not stored yet.

    Attributes:
        inputs: everything it was computed from.
        is_actual: from complete readings of a period that has ended.
    """

    tariff: TariffOut
    energy: PeriodEnergy
    consumed_kwh: Decimal
    inputs: dict[str, Any]
    simulation: Simulation
    is_actual: bool


@dataclass(frozen=True, slots=True)
class _History:
    """Units of earlier months: billed, and had everything been bought; and the months that were taken from readings."""

    billed: dict[Month, Decimal]
    without_solar: dict[Month, Decimal]
    from_readings: tuple[Month, ...]


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


async def _category(conn: AsyncConnection, name: str) -> str:
    code = await tariffs.category_code(conn, name)
    if code is None:
        raise TariffMissingError(
            f"The tariff category {name!r} is not known.",
            errors=[{"field": "configuration.tariff_category", "value": name, "message": "choose a known category"}],
        )
    return code


async def _tariff(
    conn: AsyncConnection, disco: DiscoProvider, category: str, *, body: BillIn
) -> tuple[TariffOut, tuple[BillWarning, ...]]:
    plans = await tariffs.plans_of(conn, disco, category, first=body.period_start, last=body.period_end)
    latest = plans[0] if plans else None
    if latest is None or (latest.effective_to is not None and latest.effective_to < body.period_end):
        available = await tariffs.categories_with_plans(conn, disco)
        raise TariffMissingError(
            f"No tariff of {disco.value} for {category} is on record for {body.period_end}; nothing is invented in its place.",
            extra={"missing": {"disco_provider": disco.value, "category": category, "on": body.period_end.isoformat()}},
            errors=[
                {
                    "field": "configuration.tariff_category",
                    "value": category,
                    "message": f"tariffs on record for {disco.value}: {', '.join(available) or 'none; run `solarhub tariffs load`'}",
                }
            ],
        )
    if latest.effective_from <= body.period_start:
        return latest, ()
    message = (
        f"The tariff changed on {latest.effective_from}, inside the period; the whole period is priced by the version in force "
        f"on its last day ({latest.source})."
    )
    return latest, (BillWarning("tariff_changed", message),)


async def _month_units(
    conn: AsyncConnection, site: SiteOut, month: Month, *, netted: bool
) -> tuple[Decimal, Decimal | None] | None:
    """Imported (or netted) and consumed kWh of a calendar month, where the readings are complete."""
    window = month_window(month.year, month.month, zone_of(site.timezone))
    totals = await energy_store.window_totals(conn, site.id, window)
    if totals.imported_wh is None or totals.covered_seconds / window.seconds * 100 < HISTORY_COVERAGE_PERCENT:
        return None
    billed = totals.imported_wh - ((totals.exported_wh or 0) if netted else 0)
    consumed = None if totals.consumed_wh is None else Decimal(totals.consumed_wh) / _WH_PER_KWH
    return Decimal(max(0, billed)) / _WH_PER_KWH, consumed


async def _history(
    conn: AsyncConnection, site: SiteOut, body: BillIn, *, months: tuple[Month, ...], netted: bool
) -> _History:
    billed = units_of(body.units_history)
    without = {**billed, **units_of(body.units_history_without_solar)}
    read: list[Month] = []
    for month in months:
        if month in billed:
            continue
        known = await _month_units(conn, site, month, netted=netted)
        if known is not None:
            billed[month] = known[0]
            without.setdefault(month, known[0] if known[1] is None else known[1])
            read.append(month)
    return _History(billed, without, tuple(read))


def _consumed(energy: PeriodEnergy) -> tuple[Decimal, tuple[BillWarning, ...]]:
    if energy.consumed_kwh is not None:
        return energy.consumed_kwh, ()
    generated, exported = energy.generated_kwh or _ZERO, energy.exported_kwh or _ZERO
    message = "The site's consumption was not measured; it is taken as import + generation - export."
    return (energy.imported_kwh or _ZERO) + max(_ZERO, generated - exported), (
        BillWarning("consumption_estimated", message),
    )


def _energy_warnings(
    energy: PeriodEnergy, *, scheme: ExportScheme, is_open: bool, days: int
) -> tuple[BillWarning, ...]:
    found = []
    if days not in MONTH_DAYS:
        message = f"The period has {days} days and is priced as one month: slabs and fixed charges are monthly."
        found.append(BillWarning("period_not_a_month", message))
    if is_open:
        found.append(BillWarning("period_open", "The period has not ended: the bill covers what was measured so far."))
    if energy.coverage_percent < COMPLETE_PERCENT:
        message = f"Readings cover {energy.coverage_percent:.1f} % of the period: units and bill may be too low."
        found.append(BillWarning("readings_incomplete", message))
    if energy.exported_kwh is None and scheme is not ExportScheme.NONE:
        found.append(BillWarning("export_unknown", "Export was not measured; the bill has no credit for it."))
    return tuple(found)


async def _read_energy(conn: AsyncConnection, site: SiteOut, body: BillIn, disco: DiscoProvider) -> PeriodEnergy:
    zone = zone_of(site.timezone)
    window = period_window(body.period_start, body.period_end, zone)
    quarters = await energy_store.site_quarter_hours(conn, site.id, window)
    energy = period_energy(quarters, window=window, zone=zone, disco_provider=disco.value)
    if energy.imported_kwh is None:
        raise EnergyMissingError(
            f"The site has no readings of grid import from {body.period_start} to {body.period_end}; connect a meter, or choose "
            "a period with readings."
        )
    return energy


def _case(
    site: SiteOut,
    body: BillIn,
    *,
    disco: DiscoProvider,
    energy: PeriodEnergy,
    scheme: ExportScheme,
    units: dict[Month, Decimal],
) -> BillingCase:
    load_kw = site.configuration.sanctioned_load_kw
    return BillingCase(
        period_start=body.period_start,
        period_end=body.period_end,
        imported_kwh=energy.imported_kwh or _ZERO,
        exported_kwh=energy.exported_kwh or _ZERO,
        imported_peak_kwh=energy.imported_peak_kwh,
        exported_peak_kwh=energy.exported_peak_kwh or _ZERO,
        disco_provider=disco.value,
        sanctioned_load_kw=None if load_kw is None else Decimal(str(load_kw)),
        max_demand_kw=energy.max_demand_kw,
        province=province_of(site.address.state, disco.value),
        billed_units=units,
        export_scheme=scheme,
        ledger_kwh=body.surplus_kwh_brought_forward,
        active_taxpayer=body.active_taxpayer,
    )


def _plan_record(tariff: TariffOut) -> dict[str, Any]:
    return {
        "code": tariff.name or tariff.category,
        "category": tariff.category,
        "source": tariff.source,
        "status": tariff.status,
        "supports_tou": tariff.supports_tou,
        "rates": tariff.rates,
    }


async def simulate_site_bill(conn: AsyncConnection, site: SiteOut, body: BillIn, *, now: datetime) -> SiteBill:
    """Work out the bill of a site and period from its readings; nothing is stored.

    Args:
        conn: a transaction that sees the site.
        site: whose configuration names company, category and sanctioned load.
        body: the period, and what the readings cannot tell.
        now: the present moment.

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
    energy = await _read_energy(conn, site, body, disco)
    try:
        return await _simulated(conn, site, body, disco=disco, configured=configured, energy=energy, today=today)
    except BillingError as error:
        raise problem_of(error) from error


async def _simulated(
    conn: AsyncConnection,
    site: SiteOut,
    body: BillIn,
    *,
    disco: DiscoProvider,
    configured: str,
    energy: PeriodEnergy,
    today: date,
) -> SiteBill:
    scheme, warnings = export_scheme_of(
        named=body.export_scheme,
        net_metering_enabled=site.configuration.net_metering_enabled,
        installed=site.configuration.installation_date,
    )
    bill_month = Month.of(body.period_end)
    category = await _category(conn, configured)
    months = {bill_month.back(FCA_LAG_MONTHS), *checked_months(category, bill_month)}
    netted = scheme is ExportScheme.NET_METERING_2015
    history = await _history(conn, site, body, months=tuple(sorted(months, key=str)), netted=netted)
    case = _case(site, body, disco=disco, energy=energy, scheme=scheme, units=history.billed)
    category, lost = billed_category(category, units=case.imported_kwh, history=history.billed, bill_month=bill_month)
    tariff, changed = await _tariff(conn, disco, category, body=body)
    consumed_kwh, estimated = _consumed(energy)
    is_open = body.period_end >= today
    warnings += (*lost, *changed, *estimated, *_energy_warnings(energy, scheme=scheme, is_open=is_open, days=case.days))
    warnings += tuple(_from_readings(month, history.billed[month]) for month in history.from_readings)
    inputs = inputs_json(
        plan_record=_plan_record(tariff),
        case=case,
        adjustments=[adjustment_of(record) for record in await tariffs.adjustment_records(conn)],
        consumed_kwh=consumed_kwh,
        consumed_peak_kwh=energy.consumed_peak_kwh,
        consumed_units=history.without_solar,
        generated_kwh=energy.generated_kwh or _ZERO,
        co2_kg_per_kwh=await energy_store.default_factor(conn, "grid_electricity"),
        co2_kg_per_tree=await energy_store.default_factor(conn, "tree"),
        warnings=[{"code": warning.code, "message": warning.message} for warning in warnings],
    )
    actual = not is_open and not estimated and energy.coverage_percent >= COMPLETE_PERCENT
    return SiteBill(tariff, energy, consumed_kwh, inputs, simulate(inputs), actual)


def _from_readings(month: Month, kwh: Decimal) -> BillWarning:
    message = f"Units of {month} ({number_text(kwh)} kWh) are taken from the site's readings, not from a bill."
    return BillWarning("history_from_readings", message)


def _row(site: SiteOut, body: BillIn, made: SiteBill, *, user_id: UUID | None) -> Mapping[str, Any]:
    simulation = made.simulation
    return {
        "site_id": site.id,
        "organization_id": site.organization_id,
        "tariff_plan_id": made.tariff.id,
        "period_start": body.period_start,
        "period_end": body.period_end,
        "energy_consumed_kwh": made.consumed_kwh,
        "energy_generated_kwh": made.energy.generated_kwh,
        "energy_imported_kwh": made.energy.imported_kwh,
        "energy_exported_kwh": made.energy.exported_kwh or _ZERO,
        "bill_breakdown": BillBreakdown.model_validate(simulation.breakdown).to_json(),
        "savings_breakdown": SavingsBreakdown.model_validate(simulation.savings).to_json(),
        "estimated_bill_pkr": simulation.bill.total_pkr,
        "estimated_savings_pkr": simulation.without.total_pkr - simulation.bill.total_pkr,
        "is_actual": made.is_actual,
        "inputs": made.inputs,
        "lines": simulation.lines,
        "warnings": simulation.warnings,
        "coverage_percent": made.energy.coverage_percent,
        "content_hash": simulation.content_hash,
        "created_by": user_id,
    }


async def create_bill(
    conn: AsyncConnection, site: SiteOut, body: BillIn, *, now: datetime, user_id: UUID | None
) -> BillOut:
    """Work out a bill and store it; the same bill from the same readings is stored once.

    Raises:
        As `simulate_site_bill`.
    """
    # The lock comes before any telemetry is read: small tables first.
    await bills.lock_site_bills(conn, site.id)
    made = await simulate_site_bill(conn, site, body, now=now)
    bill_id = await bills.same_bill(conn, site.id, made.simulation.content_hash)
    if bill_id is None:
        bill_id = await bills.add_bill(conn, _row(site, body, made, user_id=user_id))
    return await get_bill(conn, site, bill_id)


async def get_bill(conn: AsyncConnection, site: SiteOut, bill_id: UUID) -> BillOut:
    """A stored bill of the site.

    Raises:
        NotFoundError: if the site has no such bill.
    """
    bill = await bills.get_bill(conn, site.id, bill_id)
    if bill is None:
        raise NotFoundError("There is no such bill.")
    return bill


async def check_bill(conn: AsyncConnection, site: SiteOut, bill_id: UUID) -> BillCheck:
    """Compute a stored bill again from its stored inputs, and compare."""
    bill = await get_bill(conn, site, bill_id)
    again = simulate(bill.inputs)
    return BillCheck(
        content_hash=again.content_hash, stored_hash=bill.content_hash, same=again.content_hash == bill.content_hash
    )
