"""A plan in the schema's own shape: slabs, pricing rules, tax bases as data, and the traps of programs with these field names."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.breakdown import bill_breakdown
from cloud.billing.rules.errors import BillingError, RateUnknownError
from cloud.billing.rules.model import BillingCase, ExportScheme, LineKind, PricingRule, RateStatus
from cloud.billing.rules.records import plan_of, pricing_rule_of, slabs_of
from cloud.billing.rules.slabs import slab_portions

D = Decimal

RATES: dict[str, Any] = {
    "energy_charge_per_kwh": "25.00",
    "slabs": [
        {"min_units": 0, "max_units": 100, "rate_per_kwh": "7.74", "fixed_charges": "0"},
        {"min_units": 101, "max_units": 200, "rate_per_kwh": "10.06", "fixed_charges": "0"},
        {"min_units": 201, "max_units": 300, "rate_per_kwh": "12.15", "fixed_charges": "0"},
        {"min_units": 301, "max_units": 700, "rate_per_kwh": "19.21", "fixed_charges": "0"},
        {"min_units": 701, "max_units": None, "rate_per_kwh": "25.72", "fixed_charges": "0"},
    ],
    "peak_rate_per_kwh": "30.00",
    "off_peak_rate_per_kwh": "18.00",
    "fixed_charges_per_month": "150.00",
    "meter_rent": "25.00",
    "fuel_price_adjustment": "3.50",
    "quarterly_tariff_adjustment": "1.20",
    "electricity_duty_percent": "1.5",
    "gst_percent": "17",
    "tv_fee": "35",
    "export_rate_per_kwh": "19.32",
    "demand_charge_per_kw": "400.00",
}
SEED = {"code": "seed", "category": "residential_unprotected", "source": "the schema's example"}


def _case(units: str, **changes: Any) -> BillingCase:
    return BillingCase(date(2026, 1, 1), date(2026, 1, 31), D(units), "lesco", **changes)


@pytest.mark.parametrize(
    ("units", "telescopic", "single"),
    [
        ("100", "774.00", "774.00"),
        ("101", "784.06", "1016.06"),
        ("201", "1792.15", "2442.15"),
        ("300", "2995.00", "3645.00"),
        ("301", "3014.21", "5782.21"),
        ("700", "10679.00", "13447.00"),
        ("1000", "18395.00", "25720.00"),
    ],
)
def test_slab_table(units: str, telescopic: str, single: str) -> None:
    slabs = slabs_of(RATES)
    amounts = {
        rule: sum(p.amount_pkr for p in slab_portions(rule, slabs, D(units)))
        for rule in (PricingRule.TELESCOPIC, PricingRule.SINGLE_SLAB)
    }
    assert amounts == {PricingRule.TELESCOPIC: D(telescopic), PricingRule.SINGLE_SLAB: D(single)}


def test_one_previous_slab_counts() -> None:
    slabs = slabs_of({"slabs": RATES["slabs"]})
    portions = slab_portions(PricingRule.ONE_PREVIOUS, slabs, D(250))
    assert [(p.label, p.units, p.rate) for p in portions] == [
        ("101-200", D(200), D("10.06")),
        ("201-300", D(50), D("12.15")),
    ]
    assert slab_portions(PricingRule.ONE_PREVIOUS, slabs, D(80))[0].amount_pkr == D("619.20")


def test_no_unit_is_lost_at_a_slab_edge() -> None:
    portions = slab_portions(PricingRule.TELESCOPIC, slabs_of(RATES), D(300))
    assert sum(p.amount_pkr for p in portions) != D("2980.53"), "slab edges leave a unit unbilled"
    assert [(p.label, p.units) for p in portions] == [("1-100", 100), ("101-200", 100), ("201-300", 100)]


def test_a_fraction_falls_in_no_hole() -> None:
    portions = slab_portions(PricingRule.TELESCOPIC, slabs_of(RATES), D("100.4"))
    assert [(p.units, p.amount_pkr) for p in portions] == [(D(100), D("774.00")), (D("0.4"), D("4.02"))]
    assert slab_portions(PricingRule.SINGLE_SLAB, slabs_of(RATES), D("100.4"))[0].rate == D("10.06")


def test_bases_are_data() -> None:
    literal = plan_of({**RATES, "duty_base": ["energy"], "gst_base": ["energy"]}, **SEED)
    assert price_bill(literal, _case("300")).total_pkr == D("5169.08")
    assert price_bill(plan_of(RATES, **SEED), _case("300")).total_pkr == D("5470.91")


def test_breakdown_has_the_schema_s_keys_and_identities() -> None:
    case = _case("300", exported_kwh=D(20), export_scheme=ExportScheme.NET_BILLING_2026)
    breakdown = bill_breakdown(price_bill(plan_of(RATES, **SEED), case))
    assert set(breakdown) >= {
        "energy_charges",
        "slab_breakdown",
        "fixed_charges",
        "meter_rent",
        "fuel_price_adjustment",
        "quarterly_tariff_adjustment",
        "electricity_duty",
        "gst",
        "tv_fee",
        "export_credit",
        "demand_charges",
        "subtotal",
        "total_taxes",
        "total_bill",
    }
    assert breakdown["energy_charges"] == "2995.00"
    assert breakdown["fuel_price_adjustment"] == "1050.00"
    assert breakdown["export_credit"] == "386.40"
    assert breakdown["total_bill"] == str(D("5470.91") - D("386.40"))
    assert D(breakdown["subtotal"]) + D(breakdown["total_taxes"]) == D(breakdown["total_bill"])


def test_exports_are_credited_or_netted_never_both() -> None:
    plan = plan_of(RATES, **SEED)
    plain = price_bill(plan, _case("300"))
    export = {"exported_kwh": D(100)}
    billed = price_bill(plan, _case("300", export_scheme=ExportScheme.NET_BILLING_2026, **export))
    assert billed.billed_kwh == 300
    assert billed.total_pkr == plain.total_pkr - D("1932.00")
    netted = price_bill(plan, _case("300", export_scheme=ExportScheme.NET_METERING_2015, **export))
    assert netted.billed_kwh == 200
    assert netted.amount(LineKind.EXPORT_CREDIT) == 0
    assert netted.total_pkr == price_bill(plan, _case("200")).total_pkr
    ignored = price_bill(plan, _case("300", **export))
    assert ignored.total_pkr == plain.total_pkr
    assert ignored.assumptions == ("Exported units earn nothing: the site has no export scheme.",)


def test_net_metering_carries_a_surplus_and_pays_it_at_the_quarter_s_end() -> None:
    plan = plan_of(RATES, **SEED)
    scheme = {"exported_kwh": D(150), "export_scheme": ExportScheme.NET_METERING_2015, "ledger_kwh": D(10)}
    january = price_bill(plan, _case("100", **scheme))
    assert (january.billed_kwh, january.ledger_kwh, january.amount(LineKind.EXPORT_CREDIT)) == (0, 60, 0)
    march = BillingCase(date(2026, 3, 1), date(2026, 3, 31), D(100), "lesco", **scheme)  # type: ignore[arg-type]
    paid = price_bill(plan, march)
    assert (paid.ledger_kwh, paid.amount(LineKind.EXPORT_CREDIT)) == (0, D("-1159.20"))


def test_net_metering_nets_peak_with_peak() -> None:
    plan = plan_of({**RATES, "pricing_rule": "tou"}, **SEED)
    case = _case(
        "300",
        imported_peak_kwh=D(100),
        exported_kwh=D(250),
        export_scheme=ExportScheme.NET_METERING_2015,
    )
    bill = price_bill(plan, case)
    assert [(p.label, p.units) for p in bill.portions] == [("off-peak", 0), ("peak", 100)]
    assert bill.ledger_kwh == 50


def test_no_export_rate_on_record_is_pending() -> None:
    plan = plan_of({**RATES, "export_rate_per_kwh": None}, **SEED)
    bill = price_bill(plan, _case("300", exported_kwh=D(9), export_scheme=ExportScheme.NET_BILLING_2026))
    assert [(line.kind, line.status) for line in bill.pending] == [(LineKind.EXPORT_CREDIT, RateStatus.PENDING)]


def test_measured_demand_is_charged_where_the_plan_does() -> None:
    bill = price_bill(plan_of(RATES, **SEED), _case("300", max_demand_kw=D("2.5")))
    assert bill.amount(LineKind.DEMAND) == D("1000.00")


@pytest.mark.parametrize(
    ("rates", "supports_tou", "has_units", "rule"),
    [
        (RATES, True, True, PricingRule.TOU),
        (RATES, True, False, PricingRule.TELESCOPIC),
        (RATES, False, True, PricingRule.TELESCOPIC),
        ({**RATES, "slabs": []}, False, False, PricingRule.FLAT),
        ({**RATES, "pricing_rule": "single_slab"}, True, True, PricingRule.SINGLE_SLAB),
    ],
)
def test_rule_without_a_name(rates: dict[str, Any], supports_tou: bool, has_units: bool, rule: PricingRule) -> None:
    assert pricing_rule_of(rates, supports_tou=supports_tou, has_tou_units=has_units) is rule


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({}, "no energy rate"),
        ({"pricing_rule": "stepped"}, "'stepped'"),
        ({"slabs": [{"min_units": 0, "max_units": 100, "rate_per_kwh": "many"}]}, "rate_per_kwh is 'many'"),
        ({"slabs": [{"max_units": None, "rate_per_kwh": "1"}, {"max_units": 200, "rate_per_kwh": "1"}]}, "last"),
        ({"slabs": [{"max_units": 100, "rate_per_kwh": "1"}, {"max_units": 90, "rate_per_kwh": "1"}]}, "does not rise"),
        (
            {
                "slabs": [
                    {"max_units": 100, "rate_per_kwh": "1"},
                    {"min_units": 120, "max_units": 200, "rate_per_kwh": "1"},
                ]
            },
            "min_units is 120",
        ),
        ({"energy_charge_per_kwh": "1", "gst_base": ["everything"]}, "'everything'"),
        ({"energy_charge_per_kwh": "NaN"}, "finite"),
    ],
)
def test_wrong_rates_name_the_field(rates: dict[str, Any], words: str) -> None:
    with pytest.raises(BillingError, match=words):
        plan_of(rates, **SEED)


def test_rates_that_are_not_on_record_are_not_invented() -> None:
    plan = plan_of({"pricing_rule": "single_slab", "slabs": [{"max_units": 100}, {"rate_per_kwh": "9"}]}, **SEED)
    with pytest.raises(RateUnknownError, match="slab 1-100 kWh is not on record"):
        price_bill(plan, _case("50"))
    bounded = plan_of({"slabs": [{"max_units": 100, "rate_per_kwh": "9"}]}, **SEED)
    with pytest.raises(RateUnknownError, match="above the tariff's highest slab"):
        price_bill(bounded, _case("101"))
    tou = plan_of({"pricing_rule": "tou", "peak_rate_per_kwh": "9"}, **SEED)
    with pytest.raises(RateUnknownError, match="off_peak_rate_per_kwh"):
        price_bill(tou, _case("101", imported_peak_kwh=D(1)))
    with pytest.raises(BillingError, match="imported_peak_kwh"):
        price_bill(tou, _case("101"))


def test_the_step_over_a_slab_s_edge_is_told() -> None:
    plan = plan_of({**RATES, "pricing_rule": "single_slab"}, **SEED)
    bill = price_bill(plan, _case("295"))
    step = price_bill(plan, _case("301")).total_pkr - price_bill(plan, _case("300")).total_pkr
    assert [w.message for w in bill.warnings] == [
        f"5 kWh below a slab's edge: the kWh after 300 raises the bill by PKR {step:,.0f}."
    ]
    assert not price_bill(plan, _case("250")).warnings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"imported_kwh": D(-1)}, "imported_kwh is -1"),
        ({"period_end": date(2025, 12, 31)}, "period_end 2025-12-31"),
        ({"imported_peak_kwh": D(400)}, "imported_peak_kwh is 400"),
        ({"exported_peak_kwh": D(4)}, "exported_peak_kwh is 4"),
    ],
)
def test_impossible_cases_are_refused(changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {
        "period_start": date(2026, 1, 1),
        "period_end": date(2026, 1, 31),
        "imported_kwh": D(300),
        "disco_provider": "lesco",
    }
    with pytest.raises(BillingError, match=words):
        BillingCase(**{**given, **changes})
