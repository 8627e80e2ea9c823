"""A site's units on each tariff that it may choose."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.problems import EnergyMissingError, TariffMissingError, TariffRateUnknownError
from cloud.billing.repository import tariffs
from cloud.billing.repository.comparison import versions_between
from cloud.billing.rules.advice.choice import Connection, refusal_of, same_family
from cloud.billing.rules.advice.comparison import Candidate, ComparedPeriod, Comparison, PricedTariff, compare_tariffs
from cloud.billing.rules.breakdown import TAX_KINDS
from cloud.billing.rules.consumer import billed_category
from cloud.billing.rules.metering.cycle import BillPeriod, bill_period, latest_ended
from cloud.billing.rules.model import Adjustment, BillingCase, LineKind, Plan, RateStatus
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.records import adjustment_of, plan_of
from cloud.billing.rules.simulation import case_of, without_case_of
from cloud.billing.schemas.bills import BillIn
from cloud.billing.schemas.comparison import ChoiceOut, ComparisonIn, ComparisonOut, LeftOut, PeriodOut, RefusedOut
from cloud.billing.schemas.tariffs import TariffOut
from cloud.billing.service.site_bills import SiteBill, simulate_site_bill
from cloud.billing.service.site_energy import COMPLETE_PERCENT
from cloud.core.discos import DiscoProvider
from cloud.sites.schemas import SiteOut
from shared.periods import day_of, zone_of

_PROBLEMS = (EnergyMissingError, TariffMissingError, TariffRateUnknownError)
ASSUMPTIONS = (
    "The same units on each tariff: nobody changed when or how much was used.",
    "Costs of changing the tariff, the load or the meter are not on record and not counted.",
)


@dataclass(frozen=True, slots=True)
class MadeMonths:
    """Bills of a site, oldest first, and the periods that have none."""

    bills: tuple[SiteBill, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class TariffShelf:
    """The tariffs of one company that a site's are compared with.

    Attributes:
        versions: by category, oldest first.
        names: of all categories, whether or not they have versions.
        takes_exports: by category: whether the latest version is for connections with an export scheme.
    """

    versions: Mapping[str, tuple[Plan, ...]]
    names: Mapping[str, str]
    takes_exports: Mapping[str, bool]
    adjustments: tuple[Adjustment, ...]


def plan_from(tariff: TariffOut, *, has_tou_units: bool) -> Plan:
    """The engine's view of a stored version, with its days in force."""
    return plan_of(
        tariff.rates,
        code=tariff.name or tariff.category,
        category=tariff.category,
        source=tariff.source,
        status=RateStatus(tariff.status),
        supports_tou=tariff.supports_tou,
        has_tou_units=has_tou_units,
        effective_from=tariff.effective_from,
        effective_to=tariff.effective_to,
    )


async def shelf_of(
    conn: AsyncConnection, disco: DiscoProvider, category: str, *, first: date, last: date
) -> TariffShelf:
    """The tariffs for the category's kind of use in force between two days.

    Args:
        conn: any transaction; tariffs belong to nobody.
        disco: the company.
        category: a category's code.
        first: first day.
        last: last day.
    """
    found = await versions_between(conn, disco, same_family(category), first=first, last=last)
    versions: dict[str, tuple[Plan, ...]] = {}
    for tariff in found:
        plan = plan_from(tariff, has_tou_units=True)
        versions[tariff.category] = (*versions.get(tariff.category, ()), plan)
    return TariffShelf(
        versions=versions,
        names={row.code: row.name for row in await tariffs.stored_categories(conn)},
        takes_exports={tariff.category: tariff.supports_net_metering for tariff in found},
        adjustments=tuple(adjustment_of(record) for record in await tariffs.adjustment_records(conn)),
    )


def _period_words(first: date, last: date) -> str:
    return f"{first}/{last}"


async def month_bills(
    conn: AsyncConnection, site: SiteOut, body: ComparisonIn, periods: Iterable[BillPeriod], *, now: datetime
) -> MadeMonths:
    """Bills of periods that have ended, from their readings; one without complete readings is left out, and said."""
    made, left_out = [], []
    for period in periods:
        what = _period_words(period.first, period.last)
        try:
            bill = await simulate_site_bill(conn, site, _bill_in(body, period.first, period.last), now=now)
        except _PROBLEMS as problem:
            left_out.append(LeftOut(what=what, code=problem.code, reason=problem.detail))
            continue
        # A gap of an hour is estimated and said; it does not make a month useless.
        if bill.measured.known_percent >= COMPLETE_PERCENT:
            made.append(bill)
        else:
            share = f"{bill.measured.known_percent:.1f} %"
            reason = f"Its readings are not complete ({share} of the period): the month would compare too little."
            left_out.append(LeftOut(what=what, code="readings_incomplete", reason=reason))
    return MadeMonths(tuple(made), tuple(left_out))


def _bill_in(body: ComparisonIn, first: date, last: date) -> BillIn:
    return BillIn(
        period_start=first,
        period_end=last,
        units_history=body.units_history,
        export_scheme=body.export_scheme,
        active_taxpayer=body.active_taxpayer,
    )


def past_periods(site: SiteOut, months: int, *, now: datetime) -> list[BillPeriod]:
    """The last so many bill months that have ended, oldest first."""
    reading_day = site.configuration.reading_day
    latest = latest_ended(day_of(now, zone_of(site.timezone)), reading_day).month
    return [bill_period(latest.back(back), reading_day) for back in reversed(range(months))]


async def _made(conn: AsyncConnection, site: SiteOut, body: ComparisonIn, now: datetime) -> MadeMonths:
    if body.period_start is not None and body.period_end is not None:
        asked = _bill_in(body, body.period_start, body.period_end)
        return MadeMonths((await simulate_site_bill(conn, site, asked, now=now),), ())
    months = body.months or 1
    made = await month_bills(conn, site, body, past_periods(site, months, now=now), now=now)
    if not made.bills:
        reasons = "; ".join(f"{item.what}: {item.reason}" for item in made.left_out[:3])
        raise EnergyMissingError(f"None of the last {months} bill months can be compared. {reasons}")
    return made


def compared_of(bill: SiteBill) -> ComparedPeriod:
    """The bill's cases, with solar and without."""
    return ComparedPeriod(case_of(bill.inputs["case"]), without_case_of(bill.inputs))


def units_by_month(bills: Sequence[SiteBill]) -> dict[Month, Decimal]:
    """KWh billed by month, as the bills know them: their own and those of the months before."""
    units: dict[Month, Decimal] = {}
    for bill in bills:
        case = case_of(bill.inputs["case"])
        units |= {**case.billed_units, case.month: case.imported_kwh}
    return units


def _instead(category: str, case: BillingCase, shelf: TariffShelf) -> dict[Month, tuple[Plan, ...]]:
    """The versions that a month is billed by when its use takes the category's rates away."""
    billed, _ = billed_category(
        category,
        units=case.imported_kwh,
        history=case.billed_units,
        bill_month=case.month,
        phases=case.phases,
        sanctioned_load_kw=case.sanctioned_load_kw,
    )
    return {} if billed == category else {case.month: shelf.versions.get(billed, ())}


def _candidate(
    category: str, connection: Connection, periods: Sequence[ComparedPeriod], shelf: TariffShelf
) -> Candidate:
    instead: dict[Month, tuple[Plan, ...]] = {}
    dark: dict[Month, tuple[Plan, ...]] = {}
    for period in periods:
        instead |= _instead(category, period.case, shelf)
        dark |= {} if period.without is None else _instead(category, period.without, shelf)
    return Candidate(
        category=category,
        name=shelf.names.get(category, category),
        versions=shelf.versions.get(category, ()),
        instead=instead,
        instead_without=dark,
        takes_exports=shelf.takes_exports.get(category, True),
        refusal=refusal_of(category, connection),
    )


def _at_load(period: ComparedPeriod, load_kw: Decimal) -> ComparedPeriod:
    dark = period.without
    return ComparedPeriod(
        replace(period.case, sanctioned_load_kw=load_kw),
        None if dark is None else replace(dark, sanctioned_load_kw=load_kw),
    )


def compared(
    bills: Sequence[SiteBill], shelf: TariffShelf, *, present: str, load_kw: Decimal | None = None
) -> Comparison:
    """Price the bills' units on each tariff of the shelf.

    Args:
        bills: at least one.
        shelf: of the site's company and kind of use.
        present: category that the site is on.
        load_kw: sanctioned load to price with; None = the bills' own.
    """
    periods = [compared_of(bill) for bill in bills]
    if load_kw is not None:
        periods = [_at_load(period, load_kw) for period in periods]
    case = periods[-1].case
    connection = Connection(
        category=present,
        sanctioned_load_kw=case.sanctioned_load_kw,
        phases=case.phases,
        units=units_by_month(bills),
        months=tuple(period.case.month for period in periods),
    )
    candidates = [_candidate(category, connection, periods, shelf) for category in same_family(present)]
    return compare_tariffs(candidates, periods, present=present, adjustments=shelf.adjustments)


def _notes(tariff: PricedTariff, comparison: Comparison) -> list[str]:
    notes = []
    if tariff.pending:
        notes.append(f"Not in the total: {', '.join(tariff.pending)}.")
    present = comparison.present_tariff
    if present is not None and set(present.pending) != set(tariff.pending):
        notes.append("The present tariff leaves other lines out: the difference is not of like and like.")
    codes = sorted({bill.plan_code for bill in tariff.bills})
    if len(codes) > 1:
        notes.append(f"Its months are billed as {', '.join(codes)}.")
    notes += sorted({words for bill in tariff.bills for words in bill.assumptions})
    return notes


def _choice(tariff: PricedTariff, comparison: Comparison, *, present_pkr: Decimal | None) -> ChoiceOut:
    without = tariff.without_solar_pkr
    return ChoiceOut(
        category=tariff.category,
        name=tariff.name,
        is_present=tariff.category == comparison.present,
        total_pkr=tariff.total_pkr,
        difference_pkr=None if present_pkr is None else tariff.total_pkr - present_pkr,
        without_solar_pkr=without,
        savings_pkr=None if without is None else without - tariff.total_pkr,
        energy_pkr=tariff.amount(LineKind.ENERGY),
        fixed_pkr=tariff.amount(LineKind.FIXED, LineKind.DEMAND),
        adjustments_pkr=tariff.amount(LineKind.FPA, LineKind.QTA, LineKind.SURCHARGE),
        taxes_pkr=tariff.amount(*TAX_KINDS),
        export_credit_pkr=-tariff.amount(LineKind.EXPORT_CREDIT),
        bills_pkr=[bill.total_pkr for bill in tariff.bills],
        pending=list(tariff.pending),
        status=tariff.status.value,
        notes=_notes(tariff, comparison),
    )


def _assumptions(bills: Sequence[SiteBill]) -> list[str]:
    said = {warning["message"]: None for bill in bills for warning in bill.inputs["warnings"]}
    return [*ASSUMPTIONS, *said]


def _answer(
    made: MadeMonths, comparison: Comparison, *, present_pkr: Decimal | None, load_kw: Decimal | None
) -> ComparisonOut:
    best = comparison.best
    cases = [case_of(bill.inputs["case"]) for bill in made.bills]
    saving = None if best is None or present_pkr is None else max(ZERO, present_pkr - best.total_pkr)
    return ComparisonOut(
        present=comparison.present,
        present_total_pkr=present_pkr,
        sanctioned_load_kw=load_kw or cases[-1].sanctioned_load_kw,
        best=None if best is None else best.category,
        saving_pkr=saving,
        periods=[
            PeriodOut(
                period_start=case.period_start, period_end=case.period_end, billed_kwh=bill.simulation.bill.billed_kwh
            )
            for bill, case in zip(made.bills, cases, strict=True)
        ],
        choices=[_choice(tariff, comparison, present_pkr=present_pkr) for tariff in comparison.priced],
        refused=[
            RefusedOut(category=r.category, name=r.name, code=r.refusal.code.value, reason=r.refusal.reason)
            for r in comparison.refused
        ],
        left_out=list(made.left_out),
        assumptions=_assumptions(made.bills),
    )


async def present_category(conn: AsyncConnection, site: SiteOut) -> str:
    """The category that the site is on; another name of one leads to it."""
    configured = site.configuration.tariff_category or ""
    return await tariffs.category_code(conn, configured) or configured


async def compare_site_tariffs(
    conn: AsyncConnection, site: SiteOut, body: ComparisonIn, *, now: datetime
) -> ComparisonOut:
    """Price the site's units of one period, or of the last bill months, on every tariff for its kind of use.

    Args:
        conn: a transaction that sees the site.
        site: whose configuration names company, category and sanctioned load.
        body: which periods, and another load if one is asked about.
        now: the present moment.

    Raises:
        EnergyMissingError: if no period has readings.
        As `simulate_site_bill` for one period.
    """
    made = await _made(conn, site, body, now)
    present = await present_category(conn, site)
    cases = [case_of(bill.inputs["case"]) for bill in made.bills]
    disco = DiscoProvider(cases[-1].disco_provider)
    shelf = await shelf_of(conn, disco, present, first=cases[0].period_start, last=cases[-1].period_end)
    as_it_is = compared(made.bills, shelf, present=present)
    now_tariff = as_it_is.present_tariff
    asked = as_it_is
    if body.sanctioned_load_kw is not None:
        asked = compared(made.bills, shelf, present=present, load_kw=body.sanctioned_load_kw)
    present_pkr = None if now_tariff is None else now_tariff.total_pkr
    return _answer(made, asked, present_pkr=present_pkr, load_kw=body.sanctioned_load_kw)
