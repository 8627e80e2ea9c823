"""What a solar system is worth as an investment: payback, net present value, internal rate, cost of its energy.

Amounts fall at the ends of years; year 0 is the day of payment. Every yearly amount is rounded to the paisa first, and all results are
made from these rounded amounts, so that the table and the results agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import accumulate

from cloud.billing.rules.investment.assumptions import Assumptions, FirstYear, Stated, stands_on
from cloud.billing.rules.investment.irr import InternalRate, internal_rate
from cloud.billing.rules.investment.loan import Instalment, instalments_of
from cloud.billing.rules.money import HUNDRED, ZERO, round_pkr

MONTHS_A_YEAR = 12
_HUNDREDTH = Decimal("0.01")
_KWH_STEP = Decimal("0.001")
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class YearFlow:
    """One year of the system's life. Money is PKR; what is paid is negative.

    Attributes:
        year: 0 is the day of payment.
        generated_kwh: solar energy of the year.
        saved_pkr: what the bills are lower, without the income from exports.
        export_income_pkr: credited for exports.
        opex_pkr: running costs.
        replacement_pkr: the inverter's.
        flow_pkr: sum of the above and of the price in year 0.
        cumulative_pkr: sum of `flow_pkr` up to this year.
        discounted_pkr: `flow_pkr`, as it is worth in year 0.
        loan_pkr: received in year 0, paid back afterwards.
        owner_flow_pkr: `flow_pkr` with the loan.
        owner_cumulative_pkr: sum of `owner_flow_pkr` up to this year.
    """

    year: int
    generated_kwh: Decimal
    saved_pkr: Decimal
    export_income_pkr: Decimal
    opex_pkr: Decimal
    replacement_pkr: Decimal
    flow_pkr: Decimal
    cumulative_pkr: Decimal
    discounted_pkr: Decimal
    loan_pkr: Decimal
    owner_flow_pkr: Decimal
    owner_cumulative_pkr: Decimal


@dataclass(frozen=True, slots=True)
class Payback:
    """When the money is back for the first time.

    Attributes:
        years: from the day of payment, interpolated inside the year.
        months: the same in whole months, rounded.
        is_lasting: False when a later cost takes the sum below 0 again.
    """

    years: Decimal
    months: int
    is_lasting: bool


@dataclass(frozen=True, slots=True)
class Worth:
    """Results of one row of yearly amounts.

    Attributes:
        npv_pkr: net present value at the discount rate.
        irr: internal rate of return.
        payback: None = not within the life.
        discounted_payback: the same with each year's amount as it is worth in year 0.
        gain_pkr: sum of all amounts: what is left over at the end of the life.
    """

    npv_pkr: Decimal
    irr: InternalRate
    payback: Payback | None
    discounted_payback: Payback | None
    gain_pkr: Decimal


@dataclass(frozen=True, slots=True)
class Finance:
    """What an investment comes to.

    Attributes:
        project: of the system itself, however it is paid for.
        owner: of the owner's own money, with the loan; None without one.
        total_savings_pkr: lower bills and export income over the life.
        total_cost_pkr: price, running costs and replacement over the life, without interest.
        interest_pkr: of the loan.
        return_percent: gain over the life for 100 rupees of price.
        generated_kwh: over the life.
        lcoe_pkr_per_kwh: discounted costs by discounted energy; None without energy.
        years: year 0 first.
        stands_on: every assumption, with its value and where it comes from.
        notes: what the reader should know about the results.
    """

    project: Worth
    owner: Worth | None
    total_savings_pkr: Decimal
    total_cost_pkr: Decimal
    interest_pkr: Decimal
    return_percent: Decimal
    generated_kwh: Decimal
    lcoe_pkr_per_kwh: Decimal | None
    years: tuple[YearFlow, ...]
    stands_on: tuple[Stated, ...]
    notes: tuple[str, ...]


def _grown(percent: Decimal, years: int) -> Decimal:
    return (_ONE + percent / HUNDRED) ** years


def discounted(flows: Sequence[Decimal], rate_percent: Decimal) -> tuple[Decimal, ...]:
    """Amounts at the ends of years 0, 1, 2 … as they are worth in year 0, not rounded."""
    return tuple(flow / _grown(rate_percent, year) for year, flow in enumerate(flows))


def net_present_value(flows: Sequence[Decimal], rate_percent: Decimal) -> Decimal:
    """Worth of yearly amounts in year 0, PKR, rounded to the paisa once."""
    return round_pkr(sum(discounted(flows, rate_percent), ZERO))


def payback_of(flows: Sequence[Decimal]) -> Payback | None:
    """When the sum of the amounts reaches 0 for the first time; inside a year the amount comes in evenly.

    Returns:
        None when it never does. Amounts that cost nothing at first are back at once.
    """
    sums = list(accumulate(flows))
    year = next((index for index, total in enumerate(sums) if total >= 0), None)
    if year is None:
        return None
    lasting = all(total >= 0 for total in sums[year:])
    if year == 0:
        return Payback(Decimal("0.00"), 0, lasting)
    exact = year - 1 + -sums[year - 1] / flows[year]
    months = (exact * MONTHS_A_YEAR).quantize(_ONE, rounding=ROUND_HALF_UP)
    return Payback(exact.quantize(_HUNDREDTH, rounding=ROUND_HALF_UP), int(months), lasting)


def worth_of(flows: Sequence[Decimal], discount_rate_percent: Decimal) -> Worth:
    """Judge yearly amounts, year 0 first, each rounded to the paisa."""
    return Worth(
        npv_pkr=net_present_value(flows, discount_rate_percent),
        irr=internal_rate(flows),
        payback=payback_of(flows),
        discounted_payback=payback_of(discounted(flows, discount_rate_percent)),
        gain_pkr=sum(flows, ZERO),
    )


def levelised_cost(costs: Sequence[Decimal], energies_kwh: Sequence[Decimal], rate_percent: Decimal) -> Decimal | None:
    """Cost of a kWh over the life: discounted costs (positive) by discounted energy, PKR/kWh; None without energy."""
    energy = sum(discounted(energies_kwh, rate_percent), ZERO)
    if energy <= 0:
        return None
    return (sum(discounted(costs, rate_percent), ZERO) / energy).quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)


def _year_flow(
    year: int, first: FirstYear, assumed: Assumptions, *, loan: Instalment, sums: tuple[Decimal, Decimal]
) -> YearFlow:
    age = year - 1
    kept = _grown(-assumed.degradation_percent, age) if year else ZERO
    dearer = _grown(assumed.tariff_escalation_percent, age) if year else ZERO
    export_dearer = _ONE if assumed.export_rate_held else dearer
    saved = round_pkr((first.saved_pkr - first.export_income_pkr) * kept * dearer)
    export_income = round_pkr(first.export_income_pkr * kept * export_dearer)
    opex = -round_pkr(assumed.opex_pkr * _grown(assumed.opex_escalation_percent, age)) if year else ZERO
    price = assumed.inverter_replacement_pkr
    replacement = -round_pkr(price) if price is not None and year == assumed.inverter_replacement_year else ZERO
    flow = saved + export_income + opex + replacement if year else -round_pkr(assumed.capex_pkr)
    return YearFlow(
        year=year,
        generated_kwh=(first.generated_kwh * kept).quantize(_KWH_STEP, rounding=ROUND_HALF_UP),
        saved_pkr=saved,
        export_income_pkr=export_income,
        opex_pkr=opex,
        replacement_pkr=replacement,
        flow_pkr=flow,
        cumulative_pkr=sums[0] + flow,
        discounted_pkr=round_pkr(flow / _grown(assumed.discount_rate_percent, year)),
        loan_pkr=loan.flow_pkr,
        owner_flow_pkr=flow + loan.flow_pkr,
        owner_cumulative_pkr=sums[1] + flow + loan.flow_pkr,
    )


def year_flows(first: FirstYear, assumed: Assumptions) -> tuple[YearFlow, ...]:
    """The table of years, year 0 first."""
    instalments = instalments_of(assumed.loan, assumed.life_years)
    flows: list[YearFlow] = []
    for year in range(assumed.life_years + 1):
        sums = (flows[-1].cumulative_pkr, flows[-1].owner_cumulative_pkr) if flows else (ZERO, ZERO)
        flows.append(_year_flow(year, first, assumed, loan=instalments[year], sums=sums))
    return tuple(flows)


def _payback_notes(worth: Worth, *, whose: str) -> tuple[str, ...]:
    if worth.payback is None:
        return (f"{whose} money does not come back within the life.",)
    if worth.payback.is_lasting:
        return ()
    return (f"{whose} money is back once, and a later cost takes it below 0 again.",)


def _notes(finance_of: Worth, owner: Worth | None, *, first: FirstYear, assumed: Assumptions) -> tuple[str, ...]:
    notes = _payback_notes(finance_of, whose="The system's")
    if owner is not None:
        notes += _payback_notes(owner, whose="The owner's")
    if first.saved_pkr <= 0:
        notes += ("The bills of the first year are not lower with solar.",)
    if assumed.inverter_replacement_pkr is None:
        notes += ("No inverter replacement is counted: its price was not given.",)
    if first.generated_kwh <= 0:
        notes += ("The cost of a kWh is not known: the first year's generation was not given.",)
    return notes


def evaluate(first: FirstYear, assumed: Assumptions) -> Finance:
    """Judge the investment.

    Args:
        first: what the first year saves and generates.
        assumed: price, rates, life; each with its origin.

    Returns:
        The results, the table of years they are made from, and what they stand on.
    """
    years = year_flows(first, assumed)
    flows = [year.flow_pkr for year in years]
    costs = [round_pkr(assumed.capex_pkr), *(-year.opex_pkr - year.replacement_pkr for year in years[1:])]
    project = worth_of(flows, assumed.discount_rate_percent)
    owner = None
    if assumed.loan is not None:
        owner = worth_of([year.owner_flow_pkr for year in years], assumed.discount_rate_percent)
    gain_share = project.gain_pkr / round_pkr(assumed.capex_pkr) * HUNDRED
    return Finance(
        project=project,
        owner=owner,
        total_savings_pkr=sum((year.saved_pkr + year.export_income_pkr for year in years), ZERO),
        total_cost_pkr=sum(costs, ZERO),
        interest_pkr=sum((part.interest_pkr for part in instalments_of(assumed.loan, assumed.life_years)), ZERO),
        return_percent=gain_share.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP),
        generated_kwh=sum((year.generated_kwh for year in years), ZERO),
        lcoe_pkr_per_kwh=levelised_cost(costs, [year.generated_kwh for year in years], assumed.discount_rate_percent),
        years=years,
        stands_on=stands_on(first, assumed),
        notes=_notes(project, owner, first=first, assumed=assumed),
    )
