"""Payback, net present value, internal rate, cost of energy: results worked out by hand."""

from dataclasses import replace
from decimal import Decimal

import pytest

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.investment.assumptions import Assumptions, FirstYear
from cloud.billing.rules.investment.finance import (
    discounted,
    evaluate,
    levelised_cost,
    net_present_value,
    payback_of,
    year_flows,
)
from cloud.billing.rules.investment.irr import internal_rate
from cloud.billing.rules.investment.loan import Loan, instalments_of, level_payment

D = Decimal
PLAIN = Assumptions(
    capex_pkr=D(100_000),
    opex_percent=D(0),
    degradation_percent=D(0),
    discount_rate_percent=D(10),
    life_years=3,
    given=frozenset({"opex_percent", "life_years"}),
)
"""100,000 rupees, nothing but savings, three years at 10 %."""


def flows(*amounts: str | int) -> list[Decimal]:
    return [D(amount) for amount in amounts]


def test_net_present_value_by_hand() -> None:
    # 39/1.08 + 59/1.08^2 + 55/1.08^3 + 20/1.08^4 - 100 = 36.1111 + 50.5830 + 43.6608 + 14.7006 - 100
    assert net_present_value(flows(-100, 39, 59, 55, 20), D(8)) == D("45.06")
    assert net_present_value(flows(-100, 39, 59, 55, 20), D(0)) == D(73)
    assert net_present_value(flows(-100, 110), D(10)) == 0


def test_discounted_amounts() -> None:
    assert discounted(flows(-100, 110, 121), D(10)) == (D(-100), D(100), D(100))


@pytest.mark.parametrize(
    ("amounts", "percent"),
    [
        (flows(-100, 110), "10.0000"),
        (flows(-100, 39, 59, 55, 20), "28.0948"),
        (flows(-100, 60, 60), "13.0662"),  # 60x^2 + 60x = 100: x = (-1 + sqrt(1 + 20/3)) / 2
        (flows(-100, 50), "-50.0000"),
        (flows(-100, 100), "0.0000"),
        (flows(100, -110), "10.0000"),
        (flows(-100, 0, 0, "172.80"), "20.0000"),
        (flows(0, -100, 110, 0), "10.0000"),
        (flows(-100, 0, "0.01"), "-99.0000"),
    ],
)
def test_internal_rate_by_hand(amounts: list[Decimal], percent: str) -> None:
    rate = internal_rate(amounts)
    assert (rate.percent, rate.note) == (D(percent), "")


@pytest.mark.parametrize(
    ("amounts", "candidates"),
    [
        (flows(-100, 230, -132), ["10.0000", "20.0000"]),
        (flows(-4_000, 25_000, -25_000), ["25.0000", "400.0000"]),
        # (x - 1)(x - 10/11)(x - 5/6) with x = 1 / (1 + rate), times -132
        (flows("100.00", "-330.00", "362.00", "-132.00"), ["0.0000", "10.0000", "20.0000"]),
    ],
)
def test_several_internal_rates_are_said_and_none_is_picked(amounts: list[Decimal], candidates: list[str]) -> None:
    rate = internal_rate(amounts)
    assert rate.percent is None
    assert list(rate.candidates) == [D(text) for text in candidates]
    assert "net present value" in rate.note


@pytest.mark.parametrize(
    "amounts", [flows(-100, -10), flows(100, 10), flows(-100, 0), flows(-100, 200, -101), flows(0, 0, 0)]
)
def test_no_internal_rate_is_said(amounts: list[Decimal]) -> None:
    rate = internal_rate(amounts)
    assert rate.percent is None
    assert rate.candidates == ()
    assert rate.note.startswith("no internal rate")


def test_a_rate_that_only_touches_zero_is_one_rate() -> None:
    assert internal_rate(flows(-100, 200, -100)).percent == 0


def test_a_loss_of_almost_everything_is_below_what_is_looked_at() -> None:
    rate = internal_rate(flows(-100_000, "0.01"))
    assert rate.percent is None
    assert "above -99 %" in rate.note


def test_an_inverter_that_costs_more_than_the_year_brings_leaves_one_rate() -> None:
    amounts = flows(-1_000_000, *[200_000] * 11, -300_000, *[200_000] * 13)
    rate = internal_rate(amounts)
    assert rate.percent is not None
    assert abs(net_present_value(amounts, rate.percent)) < 10


def test_payback_is_interpolated_inside_the_year() -> None:
    back = payback_of(flows(-100, 40, 40, 40))
    assert back is not None
    assert (back.years, back.months, back.is_lasting) == (D("2.50"), 30, True)
    late = payback_of(flows(-100, 30, 30, 30, 30))
    assert late is not None
    assert (late.years, late.months) == (D("3.33"), 40)


def test_payback_that_does_not_last_never_comes_or_is_at_once() -> None:
    again = payback_of(flows(-100, 100, -50, 100))
    assert again is not None
    assert (again.years, again.is_lasting) == (1, False)
    assert payback_of(flows(-100, 40, 40)) is None
    assert payback_of(flows(-100, 0, 0)) is None
    nothing_paid = payback_of(flows(0, 10))
    assert nothing_paid is not None
    assert nothing_paid.months == 0


def test_a_plain_investment_by_hand() -> None:
    done = evaluate(FirstYear(D(50_000), generated_kwh=D(1_000)), PLAIN)
    assert [year.flow_pkr for year in done.years] == flows(-100_000, 50_000, 50_000, 50_000)
    assert [year.cumulative_pkr for year in done.years] == flows(-100_000, -50_000, 0, 50_000)
    # 50,000 x 2.486852 - 100,000
    assert done.project.npv_pkr == D("24342.60")
    assert done.project.irr.percent == D("23.3752")
    assert done.project.payback is not None
    assert done.project.payback.months == 24
    # 45,454.55 + 41,322.31 in two years; 13,223.14 of 37,565.74 in the third
    assert done.project.discounted_payback is not None
    assert done.project.discounted_payback.years == D("2.35")
    # 100,000 / (1,000 x 2.486852)
    assert done.lcoe_pkr_per_kwh == D("40.2115")
    assert (done.return_percent, done.total_savings_pkr, done.total_cost_pkr) == (D("50.0"), 150_000, 100_000)
    assert (done.owner, done.interest_pkr) == (None, 0)


def test_degradation_escalation_opex_and_replacement_by_hand() -> None:
    assumed = replace(
        PLAIN,
        opex_percent=D(1),
        opex_escalation_percent=D(5),
        degradation_percent=D(1),
        tariff_escalation_percent=D(10),
        inverter_replacement_year=2,
        inverter_replacement_pkr=D(20_000),
    )
    first = FirstYear(D(50_000), export_income_pkr=D(10_000), generated_kwh=D(1_000))
    _, one, two, three = year_flows(first, assumed)
    assert (one.saved_pkr, one.export_income_pkr, one.opex_pkr) == (40_000, 10_000, -1_000)
    assert (two.saved_pkr, two.export_income_pkr, two.opex_pkr) == (D(43_560), D(9_900), D(-1_050))
    assert (two.replacement_pkr, two.flow_pkr, two.generated_kwh) == (-20_000, D(32_410), 990)
    assert (three.saved_pkr, three.export_income_pkr, three.opex_pkr) == (D("47436.84"), D(9_801), D("-1102.50"))
    moved = year_flows(first, replace(assumed, export_rate_held=False))[2]
    assert moved.export_income_pkr == D(10_890)


def test_a_loan_is_paid_back_in_equal_parts() -> None:
    loan = Loan(D(60_000), D(10), 2)
    # 60,000 x 0.1 / (1 - 1.1^-2)
    assert level_payment(loan) == D("34571.43")
    parts = instalments_of(loan, 3)
    assert [part.flow_pkr for part in parts] == [60_000, D("-34571.43"), D("-34571.43"), 0]
    assert [part.interest_pkr for part in parts] == [0, 6_000, D("3142.86"), 0]
    assert parts[2].owed_pkr == 0
    assert [p.flow_pkr for p in instalments_of(Loan(D(100), D(0), 3), 3)] == [
        100,
        D("-33.33"),
        D("-33.33"),
        D("-33.34"),
    ]


def test_with_a_loan_the_owner_s_own_money_is_judged_apart() -> None:
    done = evaluate(FirstYear(D(50_000)), replace(PLAIN, loan=Loan(D(60_000), D(10), 2)))
    assert done.owner is not None
    assert [year.owner_flow_pkr for year in done.years] == [D(-40_000), D("15428.57"), D("15428.57"), D(50_000)]
    assert done.years[-1].owner_cumulative_pkr == done.owner.gain_pkr == D("40857.14")
    assert done.interest_pkr == D("9142.86")
    # Money borrowed at the discount rate changes nothing about what the system is worth, but for the paisa.
    assert abs(done.owner.npv_pkr - done.project.npv_pkr) <= D("0.01")


def test_levelised_cost_without_energy_is_not_known() -> None:
    assert levelised_cost(flows(100, 10), flows(0, 0), D(10)) is None
    assert "not known" in " ".join(evaluate(FirstYear(D(50_000)), PLAIN).notes)


def test_every_assumption_is_stated_with_its_origin() -> None:
    first = FirstYear(D(50_000), basis="twelve bills")
    stated = {item.name: item for item in evaluate(first, PLAIN).stands_on}
    assert stated["opex_percent"].basis == "given"
    assert stated["discount_rate_percent"].basis.startswith("assumption")
    assert "Jordan and Kurtz" in stated["degradation_percent"].basis
    assert stated["first_year.saved_pkr"].basis == "twelve bills"
    assert (stated["capex_pkr"].value, stated["capex_pkr"].unit) == ("100000", "PKR")
    assert "inverter_replacement_year" not in stated
    with_inverter = replace(PLAIN, inverter_replacement_year=2, inverter_replacement_pkr=D(1))
    names = {item.name for item in evaluate(first, with_inverter).stands_on}
    assert {"inverter_replacement_year", "inverter_replacement_pkr"} <= names
    with_loan = {i.name: i.value for i in evaluate(first, replace(PLAIN, loan=Loan(D(5), D(1), 2))).stands_on}
    assert with_loan["loan.years"] == "2"


def test_what_the_reader_should_know() -> None:
    poor = evaluate(FirstYear(D(-10)), PLAIN).notes
    assert "The system's money does not come back within the life." in poor
    assert "The bills of the first year are not lower with solar." in poor
    assert "No inverter replacement is counted: its price was not given." in poor
    fallen = replace(PLAIN, inverter_replacement_year=3, inverter_replacement_pkr=D(90_000))
    assert any("below 0 again" in note for note in evaluate(FirstYear(D(60_000)), fallen).notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capex_pkr": D(0)}, "capex_pkr is 0"),
        ({"life_years": 0}, "life_years is 0"),
        ({"life_years": 51}, "life_years is 51"),
        ({"degradation_percent": D(100)}, "degradation_percent is 100"),
        ({"discount_rate_percent": D(-100)}, "discount_rate_percent is -100"),
        ({"discount_rate_percent": D(101)}, "discount_rate_percent is 101"),
        ({"opex_escalation_percent": D(31)}, "opex_escalation_percent is 31"),
        ({"tariff_escalation_percent": D(-100)}, "tariff_escalation_percent is -100"),
        ({"opex_percent": D(-1)}, "opex_percent is -1"),
        ({"inverter_replacement_pkr": D(-1)}, "inverter_replacement_pkr is -1"),
        ({"inverter_replacement_pkr": D(1), "inverter_replacement_year": 4}, "inverter_replacement_year is 4"),
        ({"loan": Loan(D(100_001), D(1), 1)}, "loan.principal_pkr is 100001"),
        ({"loan": Loan(D(1), D(1), 4)}, "loan.years is 4"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, object], words: str) -> None:
    with pytest.raises(BillingError, match=words):
        replace(PLAIN, **changes)  # type: ignore[arg-type]  # the names are the class's own


@pytest.mark.parametrize(
    ("principal", "rate", "years", "words"),
    [
        (0, 1, 1, "loan.principal_pkr is 0"),
        (1, -1, 1, "loan.rate_percent is -1"),
        (1, 101, 1, "loan.rate_percent is 101"),
        (1, 1, 0, "loan.years is 0"),
    ],
)
def test_what_is_no_loan_is_refused_by_name(principal: int, rate: int, years: int, words: str) -> None:
    with pytest.raises(BillingError, match=words):
        Loan(D(principal), D(rate), years)


def test_the_largest_numbers_that_are_taken_are_computed() -> None:
    most = D(10) ** 12
    assumed = Assumptions(
        capex_pkr=most,
        opex_percent=D(100),
        opex_escalation_percent=D(30),
        tariff_escalation_percent=D(30),
        discount_rate_percent=D(100),
        life_years=50,
        inverter_replacement_year=50,
        inverter_replacement_pkr=most,
        export_rate_held=False,
        loan=Loan(most, D(100), 50),
    )
    done = evaluate(FirstYear(most, export_income_pkr=most, generated_kwh=D(10) ** 9), assumed)
    assert done.owner is not None
    assert done.years[-1].cumulative_pkr == done.project.gain_pkr
    least = evaluate(FirstYear(D("0.01"), generated_kwh=D("0.001")), Assumptions(capex_pkr=D(1), life_years=1))
    assert least.project.payback is None


def test_a_first_year_is_not_negative_where_it_cannot_be() -> None:
    with pytest.raises(BillingError, match="generated_kwh is -1"):
        FirstYear(D(1), generated_kwh=D(-1))
