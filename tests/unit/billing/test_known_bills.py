"""Real and constructed bills, line by line, to the paisa."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from cloud.billing.catalogue import Catalogue, read_catalogue
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.errors import MissingInputError
from cloud.billing.rules.model import Adjustment, AdjustmentKind, Bill, BillingCase, LineKind, Plan, RateStatus
from cloud.billing.rules.month import Month

D = Decimal


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@pytest.fixture(scope="module")
def plan_for(catalogue: Catalogue) -> Callable[[str, date], Plan]:
    def find(category: str, day: date) -> Plan:
        return next(p for p in catalogue.plans if p.category == category and p.in_force(day)).plan()

    return find


def _home(
    start: date, end: date, *, units: str, kw: str, history: dict[str, str], disco: str = "kelectric"
) -> BillingCase:
    return BillingCase(
        period_start=start,
        period_end=end,
        imported_kwh=D(units),
        disco_provider=disco,
        province="sindh" if disco == "kelectric" else "punjab",
        sanctioned_load_kw=D(kw),
        billed_units={Month.parse(month): D(value) for month, value in history.items()},
    )


R1 = _home(date(2026, 5, 24), date(2026, 6, 23), units="289", kw="4", history={"2026-04": "216"})
# The whole July bill lies in the quarter from June to August.
R2 = _home(date(2026, 6, 24), date(2026, 7, 23), units="254", kw="4", history={"2026-05": "302"})
R5 = _home(date(2026, 8, 5), date(2026, 9, 4), units="262", kw="5", history={"2026-07": "608"})

REAL_BILLS = [
    pytest.param(
        R1,
        {
            LineKind.ENERGY: ["9565.90"],
            LineKind.FIXED: ["1400.00"],
            LineKind.FPA: ["257.19"],
            LineKind.QTA: ["-425.77", "26.13"],
            LineKind.SURCHARGE: ["933.47"],
            LineKind.DUTY: ["155.35"],
            LineKind.GST: ["2144.21"],
            LineKind.MUNICIPAL: ["40.00"],
        },
        "11756.92",
        "14096.48",
        id="R1",
    ),
    pytest.param(
        R2,
        {
            LineKind.ENERGY: ["8407.40"],
            LineKind.FIXED: ["1400.00"],
            LineKind.FPA: ["101.59"],
            LineKind.QTA: ["-504.37"],
            LineKind.SURCHARGE: ["820.42"],
            LineKind.DUTY: ["132.38"],
            LineKind.GST: ["1864.34"],
            LineKind.MUNICIPAL: ["40.00"],
        },
        "10225.04",
        "12261.76",
        id="R2",
    ),
    pytest.param(
        R5,
        {
            LineKind.ENERGY: ["8672.20"],
            LineKind.FIXED: ["1750.00"],
            LineKind.FPA: ["1251.32"],
            LineKind.QTA: ["17.56", "-453.12"],
            LineKind.SURCHARGE: ["846.26"],
            LineKind.DUTY: ["155.01"],
            LineKind.GST: ["2203.06"],
            LineKind.MUNICIPAL: ["40.00"],
        },
        "12084.22",
        "14482.29",
        id="R5",
    ),
]


def _amounts(bill: Bill, kind: LineKind) -> list[str]:
    return [str(line.amount_pkr) for line in bill.lines if line.kind is kind]


@pytest.mark.parametrize(("case", "lines", "charges", "total"), REAL_BILLS)
def test_real_bill_to_the_paisa(
    catalogue: Catalogue,
    plan_for: Callable[[str, date], Plan],
    case: BillingCase,
    lines: dict[LineKind, list[str]],
    charges: str,
    total: str,
) -> None:
    bill = price_bill(plan_for("residential_unprotected", case.period_end), case, catalogue.adjustments)
    assert {kind: _amounts(bill, kind) for kind in {line.kind for line in bill.lines}} == lines
    assert bill.electricity_charges_pkr == D(charges)
    assert bill.total_pkr == D(total)
    assert {line.status for line in bill.lines} == {RateStatus.VERIFIED}


def _without_duty(catalogue: Catalogue) -> tuple[Adjustment, ...]:
    """Constructed cases: a place without electricity duty."""
    zero = Adjustment(
        AdjustmentKind.DUTY, date(2026, 1, 1), None, "no duty in this case", D(0), provinces=frozenset({"punjab"})
    )
    return (*(a for a in catalogue.adjustments if a.kind is not AdjustmentKind.DUTY), zero)


def test_home_with_the_fuel_charge_pending(catalogue: Catalogue, plan_for: Callable[[str, date], Plan]) -> None:
    case = _home(date(2026, 10, 1), date(2026, 10, 31), units="200", kw="4", history={"2026-08": "300"}, disco="lesco")
    bill = price_bill(plan_for("residential_unprotected", case.period_end), case, _without_duty(catalogue))
    assert _amounts(bill, LineKind.ENERGY) == ["5782.00"]
    assert _amounts(bill, LineKind.QTA) == ["103.88"]
    assert _amounts(bill, LineKind.SURCHARGE) == ["646.00"]
    assert _amounts(bill, LineKind.FIXED) == ["1200.00"]
    assert _amounts(bill, LineKind.GST) == ["1391.74"]
    assert [line.kind for line in bill.pending] == [LineKind.FPA]
    assert bill.pending[0].status is RateStatus.PENDING
    assert bill.total_pkr == D("9123.62")
    assert any(w.code == "line_pending" and "2026-08" in w.message for w in bill.warnings)


def test_home_with_the_fuel_charge_of_july(catalogue: Catalogue, plan_for: Callable[[str, date], Plan]) -> None:
    case = _home(date(2026, 9, 1), date(2026, 9, 30), units="350", kw="4", history={"2026-07": "410"}, disco="lesco")
    bill = price_bill(plan_for("residential_unprotected", case.period_end), case, _without_duty(catalogue))
    assert _amounts(bill, LineKind.FPA) == ["843.82"]
    assert not bill.pending
    assert bill.total_pkr == D("19490.19")


def test_commercial_time_of_use_with_income_tax(catalogue: Catalogue, plan_for: Callable[[str, date], Plan]) -> None:
    case = BillingCase(
        period_start=date(2026, 9, 1),
        period_end=date(2026, 9, 30),
        imported_kwh=D(7350),
        imported_peak_kwh=D(1150),
        disco_provider="lesco",
        province="punjab",
        sanctioned_load_kw=D(60),
        max_demand_kw=D(38),
        billed_units={Month(2026, 7): D(7000)},
    )
    plan = plan_for("tou_commercial", case.period_end)
    bill = price_bill(plan, case, _without_duty(catalogue))
    assert bill.electricity_charges_pkr == D("357787.79")
    assert _amounts(bill, LineKind.GST) == ["64401.80"]
    assert _amounts(bill, LineKind.INCOME_TAX) == ["50212.75"]
    assert bill.total_pkr == D("472402.34")


def test_missing_sanctioned_load_names_the_field(catalogue: Catalogue, plan_for: Callable[[str, date], Plan]) -> None:
    case = BillingCase(date(2026, 9, 1), date(2026, 9, 30), D(350), "lesco")
    with pytest.raises(MissingInputError, match="sanctioned_load_kw") as caught:
        price_bill(plan_for("residential_unprotected", case.period_end), case, catalogue.adjustments)
    assert caught.value.field == "sanctioned_load_kw"


def test_units_of_the_fuel_month_unknown_is_pending_not_zero(
    catalogue: Catalogue, plan_for: Callable[[str, date], Plan]
) -> None:
    case = _home(date(2026, 9, 1), date(2026, 9, 30), units="350", kw="4", history={})
    bill = price_bill(plan_for("residential_unprotected", case.period_end), case, catalogue.adjustments)
    assert [line.kind for line in bill.pending] == [LineKind.FPA, LineKind.MUNICIPAL]
    assert "units billed for 2026-07 are not known" in bill.pending[0].formula
    assert "350 kWh" in bill.pending[1].formula
