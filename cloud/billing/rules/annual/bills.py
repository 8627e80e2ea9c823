"""The bills of a year, one after the other: what one bill leaves behind, the next one starts from.

Units billed for a month carry that month's fuel charge into a later bill, and a surplus under net metering waits for the quarter's end.
`annual_bills` gives full bills with explained lines; `annual_amounts` gives the same amounts without the words, many times faster, from
a tariff that was made ready for the year.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cloud.billing.rules.annual.amounts import BillAmounts, Surplus, bill_amounts
from cloud.billing.rules.annual.prepared import (
    PAISA_PLACES,
    UNIT_PLACES,
    PreparedBill,
    PreparedPlan,
    month_number,
    month_of_number,
    prepare_bill,
    prepare_plan,
    scaled,
)
from cloud.billing.rules.annual.units import BillUnits, Period, decimal_units
from cloud.billing.rules.annual.year import NOTHING_BEFORE, BillsBefore, BillYear, case_of_period
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.model import Bill, Plan
from cloud.billing.rules.month import Month


@dataclass(frozen=True, slots=True)
class PreparedTariff:
    """A tariff made ready for a year's bills.

    Attributes:
        plans: versions of the tariff, oldest first.
        bills: one for each period of the year; None where `price_bill` is needed.
    """

    plans: tuple[Plan, ...]
    year: BillYear
    bills: tuple[PreparedBill | None, ...]


def annual_bills(
    plans: Sequence[Plan], year: BillYear, units: Sequence[BillUnits], *, before: BillsBefore = NOTHING_BEFORE
) -> tuple[Bill, ...]:
    """Price a year's bills in order, with explained lines.

    Args:
        plans: versions of the tariff, oldest first.
        year: terms, periods and dated records.
        units: of each period.
        before: what the bills before the year leave to it.

    Raises:
        BillingError: as `price_bill`.
    """
    bills: list[Bill] = []
    for period, counted in zip(year.periods, units, strict=True):
        case = case_of_period(year.terms, period, counted, before)
        bill = price_bill(plans, case, year.adjustments)
        before = BillsBefore(
            {**before.billed_units, case.month: bill.billed_kwh},
            bill.ledger_kwh,
            bill.ledger_peak_kwh,
            {**before.demand_kw, case.month: decimal_units(counted.demand)},
        )
        bills.append(bill)
    return tuple(bills)


def _ruling(plans: Sequence[Plan], period: Period) -> int | None:
    """Place of the one version that rules the whole period; None where there are several, or days without one."""
    if len(plans) == 1:
        return 0
    first, last = period
    for index, plan in enumerate(plans):
        if (plan.effective_from or first) <= first and last <= (plan.effective_to or last):
            return index
    return None


def prepare_tariff(plans: Sequence[Plan], year: BillYear) -> PreparedTariff:
    """Make a tariff ready for a year's bills; it serves every site with the same terms.

    Args:
        plans: versions of the tariff, oldest first.
        year: terms, periods and dated records; one year serves many tariffs.
    """
    ready = [prepare_plan(plan, year.terms) for plan in plans]
    bills = [
        _period_bill(plans, ready, index=_ruling(plans, period), place=place, year=year)
        for place, period in enumerate(year.periods)
    ]
    return PreparedTariff(tuple(plans), year, tuple(bills))


def _period_bill(
    plans: Sequence[Plan], ready: Sequence[PreparedPlan | None], *, index: int | None, place: int, year: BillYear
) -> PreparedBill | None:
    if index is None:
        return None
    plan = ready[index]
    return None if plan is None else prepare_bill(plans[index], plan, case=year.cases[place], year=year)


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
    """The same as `BillsBefore`, in millionths and by `month_number`; changes from bill to bill."""

    billed: dict[int, int]
    demands: dict[int, int]
    surplus: Surplus


def _in_millionths(numbers: Mapping[Month, Decimal]) -> dict[int, int]:
    return {month_number(month): scaled(number, UNIT_PLACES) for month, number in numbers.items()}


def _by_month(millionths: Mapping[int, int]) -> dict[Month, Decimal]:
    return {month_of_number(number): decimal_units(value) for number, value in millionths.items()}


def _explained(tariff: PreparedTariff, period: Period, units: BillUnits, past: _Counted) -> BillAmounts:
    """The amounts of one period by way of `price_bill`."""
    before = BillsBefore(
        _by_month(past.billed),
        decimal_units(past.surplus.off_peak),
        decimal_units(past.surplus.peak),
        _by_month(past.demands),
    )
    case = case_of_period(tariff.year.terms, period, units, before)
    return _amounts_of(price_bill(tariff.plans, case, tariff.year.adjustments))


def annual_amounts(
    tariff: PreparedTariff, units: Sequence[BillUnits], *, before: BillsBefore = NOTHING_BEFORE
) -> tuple[BillAmounts, ...]:
    """Amounts of a year's bills: those of `annual_bills`, to the paisa.

    Args:
        tariff: made ready for the year.
        units: of each period.
        before: what the bills before the year leave to it; whole millionths of a kWh and a kW.

    Raises:
        BillingError: as `price_bill`.
    """
    past = _Counted(
        _in_millionths(before.billed_units),
        _in_millionths(before.demand_kw),
        Surplus(scaled(before.ledger_kwh, UNIT_PLACES), scaled(before.ledger_peak_kwh, UNIT_PLACES)),
    )
    bills: list[BillAmounts] = []
    for case, ready, counted in zip(tariff.year.cases, tariff.bills, units, strict=True):
        made = None
        if ready is not None:
            made = bill_amounts(ready, counted, billed=past.billed, demands=past.demands, brought=past.surplus)
        if made is None:
            made = _explained(tariff, (case.period_start, case.period_end), counted, past)
        month = month_number(case.month) if ready is None else ready.month
        past.billed[month], past.demands[month], past.surplus = made.billed, counted.demand, made.surplus
        bills.append(made)
    return tuple(bills)
