"""The bills of a year, one after the other: what one bill leaves behind, the next one starts from.

Units billed for a month carry that month's fuel charge into a later bill, and a surplus under net metering waits for the quarter's end.
`annual_bills` gives full bills with explained lines; `annual_amounts` gives the same amounts without the words, many times faster, from
a tariff that was made ready for the year.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from cloud.billing.rules.amounts import BillAmounts, Surplus, bill_amounts
from cloud.billing.rules.annual import BillUnits, Period, decimal_units
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.model import Adjustment, Bill, BillingCase, ExportScheme, Plan
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.prepared import PAISA_PLACES, UNIT_PLACES, Book, PreparedBill, prepare_bill, scaled


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """What stays the same about a site over its bills; as in `BillingCase`."""

    disco_provider: str
    province: str | None = None
    sanctioned_load_kw: Decimal | None = None
    export_scheme: ExportScheme = ExportScheme.NONE
    active_taxpayer: bool = True
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class YearStart:
    """What the bills before the year leave to it.

    Attributes:
        billed_units: kWh billed by month.
        ledger_kwh: surplus under net metering; of off-peak hours where the plan is priced by time of use.
        ledger_peak_kwh: surplus of peak hours.
        demand_kw: highest demand by month.
    """

    billed_units: Mapping[Month, Decimal] = field(default_factory=dict)
    ledger_kwh: Decimal = ZERO
    ledger_peak_kwh: Decimal = ZERO
    demand_kw: Mapping[Month, Decimal] = field(default_factory=dict)


NOTHING_BEFORE = YearStart()
_NO_UNITS = BillUnits(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class PreparedYear:
    """A tariff made ready for the bills of a year at a place.

    Attributes:
        plans: versions of the tariff, oldest first.
        bills: one for each period; None where `price_bill` is needed.
    """

    plans: tuple[Plan, ...]
    terms: SiteTerms
    periods: tuple[Period, ...]
    adjustments: tuple[Adjustment, ...]
    bills: tuple[PreparedBill | None, ...]


@dataclass(slots=True)
class _Past:
    """What the bills so far have left; changes from bill to bill."""

    billed_units: dict[Month, Decimal]
    demand_kw: dict[Month, Decimal]
    ledger_kwh: Decimal
    ledger_peak_kwh: Decimal


def _case(terms: SiteTerms, period: Period, units: BillUnits, past: _Past) -> BillingCase:
    return BillingCase(
        period_start=period[0],
        period_end=period[1],
        imported_kwh=decimal_units(units.imported),
        imported_peak_kwh=decimal_units(units.imported_peak),
        exported_kwh=decimal_units(units.exported),
        exported_peak_kwh=decimal_units(units.exported_peak),
        max_demand_kw=decimal_units(units.demand),
        disco_provider=terms.disco_provider,
        province=terms.province,
        sanctioned_load_kw=terms.sanctioned_load_kw,
        export_scheme=terms.export_scheme,
        active_taxpayer=terms.active_taxpayer,
        phases=terms.phases,
        billed_units=dict(past.billed_units),
        demand_history_kw=dict(past.demand_kw),
        ledger_kwh=past.ledger_kwh,
        ledger_peak_kwh=past.ledger_peak_kwh,
    )


def annual_bills(
    plans: Sequence[Plan],
    terms: SiteTerms,
    *,
    periods: Sequence[Period],
    units: Sequence[BillUnits],
    adjustments: Sequence[Adjustment] = (),
    start: YearStart = NOTHING_BEFORE,
) -> tuple[Bill, ...]:
    """Price a year's bills in order, with explained lines.

    Args:
        plans: versions of the tariff, oldest first.
        terms: of the site.
        periods: of the bills.
        units: of each period.
        adjustments: dated records.
        start: what the bills before the year leave to it.

    Raises:
        BillingError: as `price_bill`.
    """
    past = _Past(dict(start.billed_units), dict(start.demand_kw), start.ledger_kwh, start.ledger_peak_kwh)
    bills: list[Bill] = []
    for period, counted in zip(periods, units, strict=True):
        case = _case(terms, period, counted, past)
        bill = price_bill(plans, case, adjustments)
        past.billed_units[case.month] = bill.billed_kwh
        past.demand_kw[case.month] = decimal_units(counted.demand)
        past.ledger_kwh, past.ledger_peak_kwh = bill.ledger_kwh, bill.ledger_peak_kwh
        bills.append(bill)
    return tuple(bills)


def _ruling(plans: Sequence[Plan], period: Period) -> Plan | None:
    """The one version that rules the whole period; None where there are several, or days without one."""
    if len(plans) == 1:
        return plans[0]
    first, last = period
    whole = (plan for plan in plans if (plan.effective_from or first) <= first and last <= (plan.effective_to or last))
    return next(whole, None)


def prepare_year(
    plans: Sequence[Plan], terms: SiteTerms, *, periods: Sequence[Period], adjustments: Iterable[Adjustment] = ()
) -> PreparedYear:
    """Make a tariff ready for a year at a place; it serves every site with the same terms.

    Args:
        plans: versions of the tariff, oldest first.
        terms: of the site.
        periods: of the bills.
        adjustments: dated records.
    """
    records = tuple(adjustments)
    books: dict[int, Book] = {}
    bills: list[PreparedBill | None] = []
    nothing = _Past({}, {}, ZERO, ZERO)
    for period in periods:
        plan = _ruling(plans, period)
        if plan is None:
            bills.append(None)
            continue
        case = _case(terms, period, _NO_UNITS, nothing)
        if id(plan) not in books:
            books[id(plan)] = Book(records, plan, case)
        bills.append(prepare_bill(plan, case, books[id(plan)]))
    return PreparedYear(tuple(plans), terms, tuple(periods), records, tuple(bills))


def _amounts_of(bill: Bill) -> BillAmounts:
    lines = tuple(
        (line.kind, None if line.amount_pkr is None else scaled(line.amount_pkr, PAISA_PLACES)) for line in bill.lines
    )
    return BillAmounts(
        lines,
        scaled(bill.total_pkr, PAISA_PLACES),
        scaled(bill.billed_kwh, UNIT_PLACES),
        Surplus(scaled(bill.ledger_kwh, UNIT_PLACES), scaled(bill.ledger_peak_kwh, UNIT_PLACES)),
    )


@dataclass(slots=True)
class _Counted:
    """The same as `_Past`, in millionths."""

    billed: dict[Month, int]
    demands: dict[Month, int]
    surplus: Surplus


def _explained(year: PreparedYear, period: Period, units: BillUnits, past: _Counted) -> BillAmounts:
    """The amounts of one period by way of `price_bill`."""
    before = _Past(
        {month: decimal_units(value) for month, value in past.billed.items()},
        {month: decimal_units(value) for month, value in past.demands.items()},
        decimal_units(past.surplus.off_peak),
        decimal_units(past.surplus.peak),
    )
    return _amounts_of(price_bill(year.plans, _case(year.terms, period, units, before), year.adjustments))


def annual_amounts(
    year: PreparedYear, units: Sequence[BillUnits], *, start: YearStart = NOTHING_BEFORE
) -> tuple[BillAmounts, ...]:
    """Amounts of a year's bills: those of `annual_bills`, to the paisa.

    Args:
        year: the tariff, made ready.
        units: of each period.
        start: what the bills before the year leave to it; whole millionths of a kWh and a kW.

    Raises:
        BillingError: as `price_bill`.
    """
    past = _Counted(
        {month: scaled(kwh, UNIT_PLACES) for month, kwh in start.billed_units.items()},
        {month: scaled(kw, UNIT_PLACES) for month, kw in start.demand_kw.items()},
        Surplus(scaled(start.ledger_kwh, UNIT_PLACES), scaled(start.ledger_peak_kwh, UNIT_PLACES)),
    )
    bills: list[BillAmounts] = []
    for period, ready, counted in zip(year.periods, year.bills, units, strict=True):
        made = None
        if ready is not None:
            made = bill_amounts(ready, counted, billed=past.billed, demands=past.demands, brought=past.surplus)
        if made is None:
            made = _explained(year, period, counted, past)
        month = Month.of(period[1])
        past.billed[month], past.demands[month], past.surplus = made.billed, counted.demand, made.surplus
        bills.append(made)
    return tuple(bills)
