"""What holds for every investment."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.rules.investment.assumptions import Assumptions, FirstYear
from cloud.billing.rules.investment.finance import discounted, evaluate, net_present_value
from cloud.billing.rules.investment.irr import internal_rate, sign_changes
from cloud.billing.rules.investment.loan import Loan, instalments_of

PAISA = Decimal("0.01")


def money(low: int, high: int) -> st.SearchStrategy[Decimal]:
    return st.integers(low * 100, high * 100).map(lambda paisa: paisa * PAISA)


percents = st.integers(0, 400).map(lambda tenths: Decimal(tenths) / 10)
loans = st.builds(Loan, money(1, 50_000), percents, st.integers(1, 5))
assumptions = st.builds(
    Assumptions,
    capex_pkr=money(50_000, 5_000_000),
    opex_percent=percents.map(lambda p: p / 10),
    opex_escalation_percent=percents.map(lambda p: p / 4),
    degradation_percent=percents.map(lambda p: p / 10),
    tariff_escalation_percent=percents.map(lambda p: p / 4),
    discount_rate_percent=percents,
    life_years=st.integers(5, 30),
    inverter_replacement_year=st.integers(1, 5),
    inverter_replacement_pkr=st.none() | money(0, 1_000_000),
    export_rate_held=st.booleans(),
    loan=st.none() | loans,
)
first_years = st.builds(
    FirstYear, money(20_000, 1_000_000), export_income_pkr=money(0, 20_000), generated_kwh=money(1, 50_000)
)
rows = st.lists(money(-1_000, 1_000), min_size=2, max_size=30)


@given(rows)
def test_at_every_internal_rate_the_present_value_is_nothing(flows: list[Decimal]) -> None:
    rate = internal_rate(flows)
    assert (rate.percent is None) == (len(rate.candidates) != 1)
    assert (rate.percent is None) == bool(rate.note)
    for found in rate.candidates:
        # A rate is rounded to 0.0001 %: the true one lies between its neighbours, where the value changes its sign or touches 0.
        step = Decimal("0.00005")
        worths = [sum(discounted(flows, found + shift), Decimal(0)) for shift in (-step, Decimal(0), step)]
        scale = sum(map(abs, discounted(flows, found - step)), Decimal(0))
        assert min(map(abs, worths)) <= scale * Decimal("1e-3") or worths[0] * worths[-1] <= 0


@given(rows)
def test_there_are_never_more_rates_than_changes_of_sign(flows: list[Decimal]) -> None:
    changes = sign_changes([int(flow * 100) for flow in flows])
    assert len(internal_rate(flows).candidates) <= changes


@given(st.lists(money(-1_000, 1_000), min_size=2, max_size=9).filter(lambda flows: flows[0] != 0 and flows[-1] != 0))
def test_the_rates_are_the_roots_that_a_numerical_library_finds(flows: list[Decimal]) -> None:
    found = [1 / (1 + float(rate) / 100) for rate in internal_rate(flows).candidates]
    roots = np.roots([float(flow) for flow in reversed(flows)])
    for x in found:
        assert min(abs(roots - x)) <= 1e-3 * x
    for place, root in enumerate(roots):
        others = np.delete(roots, place)
        x = float(root.real)
        # A root that lies close to another one moves far for a rounding: the library's word counts for those that stand alone.
        alone = not len(others) or min(abs(others - root)) > 0.05 * abs(root)
        if alone and abs(root.imag) < 1e-9 * abs(root) and 1e-4 < x < 120:
            assert min(abs(x - other) for other in found) <= 1e-3 * x


@given(money(1, 1_000_000), st.lists(money(0, 100_000), min_size=1, max_size=40))
def test_one_payment_and_then_income_has_just_one_rate(price: Decimal, income: list[Decimal]) -> None:
    rate = internal_rate([-price, *income])
    assert len(rate.candidates) <= 1
    if rate.percent is not None:
        assert (rate.percent >= 0) == (sum(income) >= price) or abs(rate.percent) < PAISA


@given(rows, percents)
def test_worth_of_two_rows_together_is_the_sum(flows: list[Decimal], percent: Decimal) -> None:
    double = net_present_value([flow * 2 for flow in flows], percent)
    assert abs(double - 2 * net_present_value(flows, percent)) <= PAISA


@given(first_years, assumptions)
def test_cost_of_energy_times_discounted_energy_is_discounted_cost(first: FirstYear, assumed: Assumptions) -> None:
    done = evaluate(first, assumed)
    assert done.lcoe_pkr_per_kwh is not None
    energy = sum(discounted([y.generated_kwh for y in done.years], assumed.discount_rate_percent), Decimal(0))
    paid = [-(y.flow_pkr - y.saved_pkr - y.export_income_pkr) for y in done.years]
    cost = sum(discounted(paid, assumed.discount_rate_percent), Decimal(0))
    assert abs(done.lcoe_pkr_per_kwh * energy - cost) <= energy * Decimal("0.00005") + PAISA


@given(first_years, assumptions)
def test_the_table_adds_up_to_the_results(first: FirstYear, assumed: Assumptions) -> None:
    done = evaluate(first, assumed)
    assert done.years[-1].cumulative_pkr == done.project.gain_pkr == done.total_savings_pkr - done.total_cost_pkr
    assert len(done.years) == assumed.life_years + 1
    assert all(y.owner_flow_pkr == y.flow_pkr + y.loan_pkr for y in done.years)
    if done.owner is not None:
        assert done.owner.gain_pkr == done.project.gain_pkr - done.interest_pkr
    assert abs(sum(y.discounted_pkr for y in done.years) - done.project.npv_pkr) <= PAISA * len(done.years)


@given(first_years, assumptions, st.integers(1, 10))
def test_a_longer_life_never_lowers_the_worth_of_yearly_gains(
    first: FirstYear, assumed: Assumptions, more: int
) -> None:
    plain = replace(assumed, opex_percent=Decimal(0), loan=None)
    longer = replace(plain, life_years=plain.life_years + more)
    assert evaluate(first, longer).project.npv_pkr >= evaluate(first, plain).project.npv_pkr


@given(first_years, assumptions)
def test_money_that_is_back_discounted_was_back_before(first: FirstYear, assumed: Assumptions) -> None:
    project = evaluate(first, replace(assumed, inverter_replacement_pkr=None)).project
    if project.discounted_payback is not None:
        assert project.payback is not None
        assert project.payback.years <= project.discounted_payback.years
    assert (project.discounted_payback is not None) or project.npv_pkr <= PAISA


@given(loans, st.integers(5, 30))
def test_a_loan_is_paid_back_in_full(loan: Loan, years: int) -> None:
    parts = instalments_of(loan, years)
    assert len(parts) == years + 1
    assert parts[loan.years].owed_pkr == 0
    assert sum(part.flow_pkr for part in parts) == -sum(part.interest_pkr for part in parts)
    assert abs(net_present_value([part.flow_pkr for part in parts], loan.rate_percent)) <= PAISA * (loan.years + 1)
