"""Floors: of the energy charge, and of the kW that are billed."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.breakdown import bill_breakdown
from cloud.billing.rules.errors import BillingError, MissingInputError
from cloud.billing.rules.model import Bill, BillingCase, Line, LineKind, Plan, RateStatus
from cloud.billing.rules.month import Month
from cloud.billing.rules.records import plan_of
from cloud.billing.schemas.tariffs import TariffRates

D = Decimal


def _plan(**rates: Any) -> Plan:
    return plan_of({"energy_charge_per_kwh": "10", **rates}, code="flat", category="x", source="example")


def _case(units: str, **changes: Any) -> BillingCase:
    given: dict[str, Any] = {"sanctioned_load_kw": D(4), **changes}
    return BillingCase(date(2026, 9, 1), date(2026, 9, 30), D(units), "lesco", **given)


def _line(bill: Bill, kind: LineKind) -> Line | None:
    return next((line for line in bill.lines if line.kind is kind), None)


@pytest.mark.parametrize(
    ("rates", "units", "lift"),
    [
        ({"minimum_charge": "75"}, "0", "75.00"),
        ({"minimum_charge": "75"}, "5.2", "23.00"),
        ({"minimum_charge": "75"}, "7.5", None),
        ({"minimum_charge": "75"}, "80", None),
        ({"minimum_charge_per_kw": "60"}, "10", "140.00"),
        ({"minimum_charge": "500", "minimum_charge_per_kw": "60"}, "10", "400.00"),
        ({"minimum_charge": "100", "minimum_charge_per_kw": "60"}, "10", "140.00"),
    ],
)
def test_what_lifts_the_energy_charge_to_its_floor(rates: dict[str, str], units: str, lift: str | None) -> None:
    bill = price_bill(_plan(**rates), _case(units))
    line = _line(bill, LineKind.MINIMUM)
    assert (line is None) is (lift is None)
    assert line is None or line.amount_pkr == D(str(lift))
    made = bill_breakdown(bill)
    assert D(made["energy_charges"]) == D(units) * 10 + D(lift or 0)
    assert sum(D(row["amount"]) for row in made["slab_breakdown"]) == D(made["energy_charges"])
    assert sum(D(row["units"]) for row in made["slab_breakdown"]) == D(units)
    assert made["minimum_charge"] == (lift or "0.00")


def test_the_minimum_is_taxed_as_the_energy_charge_is() -> None:
    rates = {"electricity_duty_percent": "1.5", "gst_percent": "18"}
    bill = price_bill(_plan(minimum_charge="1000", **rates), _case("0"))
    same = price_bill(_plan(**rates), _case("100"))
    assert bill.total_pkr == same.total_pkr == D("1197.70")


def test_the_minimum_of_a_part_of_a_month() -> None:
    case = BillingCase(date(2026, 9, 1), date(2026, 9, 10), D(0), "lesco", prorated=True)
    line = _line(price_bill(_plan(minimum_charge="75"), case), LineKind.MINIMUM)
    assert line is not None
    assert (line.amount_pkr, line.formula) == (D("25.00"), "75 PKR × 10/30 days - 0.00 PKR")


def test_a_minimum_per_kw_needs_the_sanctioned_load() -> None:
    with pytest.raises(MissingInputError, match="minimum charge per kW") as caught:
        price_bill(_plan(minimum_charge_per_kw="60"), _case("10", sanctioned_load_kw=None))
    assert caught.value.field == "sanctioned_load_kw"


HISTORY = {Month(2026, 8): D(30), Month(2026, 7): D(50), Month(2026, 6): D(90)}


@pytest.mark.parametrize(
    ("rates", "case", "kw", "words", "missing"),
    [
        ({}, {"max_demand_kw": D(20)}, "20", "the period's highest demand", ""),
        ({"demand_share": "0.5"}, {"max_demand_kw": D(1)}, "2", "50 % of the sanctioned load of 4 kW", ""),
        ({"demand_share": "0.5"}, {"max_demand_kw": D(3)}, "3", "the period's highest demand", ""),
        ({"demand_history_months": 2}, {"max_demand_kw": D(20)}, "50", "the 50 kW of 2026-07", ""),
        (
            {"demand_history_months": 2, "demand_history_share": "0.8"},
            {"max_demand_kw": D(20)},
            "40",
            "80 % of the 50 kW of 2026-07",
            "",
        ),
        (
            {"demand_history_months": 3, "demand_history_share": "0.2", "demand_share": "0.25"},
            {"max_demand_kw": D(5)},
            "18",
            "20 % of the 90 kW of 2026-06",
            "",
        ),
        ({"demand_history_months": 4}, {"max_demand_kw": D(20)}, "90", "the 90 kW of 2026-06", "2026-05"),
        ({"demand_share": "0.5"}, {"sanctioned_load_kw": D(8)}, "4", "50 % of", "max_demand_kw"),
        (
            {"demand_share": "0.5"},
            {"sanctioned_load_kw": None, "max_demand_kw": D(7)},
            "7",
            "the period's",
            "sanctioned_load_kw",
        ),
    ],
)
def test_billing_demand(rates: dict[str, Any], case: dict[str, Any], kw: str, words: str, missing: str) -> None:
    rates = {"fixed_basis": "per_kw_billing_demand", "fixed_charges_per_month": "100", **rates}
    bill = price_bill(_plan(**rates), _case("0", demand_history_kw=HISTORY, **case))
    line = _line(bill, LineKind.FIXED)
    assert line is not None
    assert (line.quantity, line.amount_pkr) == (D(kw), D(kw) * 100)
    assert words in line.base
    assert line.status is (RateStatus.ESTIMATED if missing else RateStatus.VERIFIED)
    assert [w.code for w in bill.warnings] == (["billing_demand_incomplete"] if missing else [])
    assert all(missing in w.message for w in bill.warnings)


def test_billing_demand_that_nothing_tells_is_asked_for() -> None:
    plan = _plan(fixed_basis="per_kw_billing_demand", fixed_charges_per_month="100")
    with pytest.raises(MissingInputError, match="max_demand_kw") as caught:
        price_bill(plan, _case("10"))
    assert caught.value.field == "max_demand_kw"


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"demand_history_months": -1}, "demand_history_months is -1"),
        ({"demand_history_months": "three"}, "demand_history_months is 'three'"),
        ({"fca_lag_months": True}, "fca_lag_months is True"),
        ({"qta_split": "weeks"}, "qta_split is 'weeks'; known: days, last_day"),
        ({"fixed_basis": "per_door"}, "fixed_basis is 'per_door'"),
        ({"income_tax_base": ["tea"]}, "'tea'"),
        ({"minimum_charge": "little"}, "minimum_charge is 'little'"),
    ],
)
def test_wrong_values_name_the_field(rates: dict[str, Any], words: str) -> None:
    with pytest.raises(BillingError, match=words):
        _plan(**rates)


def test_the_stored_shape_knows_the_engine_s_keys() -> None:
    rates = {
        "energy_charge_per_kwh": "10",
        "minimum_charge": "75",
        "minimum_charge_per_kw": "60",
        "demand_history_months": 11,
        "demand_history_share": "0.8",
        "fca_lag_months": 2,
        "qta_split": "last_day",
        "income_tax_base": ["energy"],
    }
    stored = TariffRates.model_validate(rates).to_json()
    assert {name: stored[name] for name in rates} == rates
    plan = plan_of(stored, code="flat", category="x", source="example")
    assert (plan.demand_history_months, plan.qta_split.value) == (11, "last_day")
    assert plan.income_tax_base == {LineKind.ENERGY}
