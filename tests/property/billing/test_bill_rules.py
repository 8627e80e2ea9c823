"""What is true of every bill, whatever the units, slabs and dates."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.adjustments import segments_of
from cloud.billing.rules.bill import price_bill, without_solar
from cloud.billing.rules.breakdown import bill_breakdown, savings_breakdown
from cloud.billing.rules.model import Adjustment, AdjustmentKind, BillingCase, ExportScheme, LineKind, PricingRule, Slab
from cloud.billing.rules.money import PAISA, round_pkr
from cloud.billing.rules.month import Month
from cloud.billing.rules.simulation import case_json, case_of, inputs_json, simulate
from cloud.billing.rules.slabs import slab_index, slab_portions

CATALOGUE = read_catalogue()
RECORD = next(p for p in CATALOGUE.plans if p.category == "residential_unprotected" and p.effective_to is None)
HOME = RECORD.plan()
PROTECTED = next(p for p in CATALOGUE.plans if p.category == "residential_protected").plan()

units = st.decimals(min_value=0, max_value=3000, places=3)
money_rates = st.decimals(min_value="0.01", max_value=99, places=4)


@st.composite
def slab_tables(draw: st.DrawFn) -> tuple[Slab, ...]:
    """Rising tops, whole or broken, and rising rates; the last slab is open."""
    tops = sorted(draw(st.sets(st.decimals(min_value="0.5", max_value=2000, places=1), max_size=8)))
    rates = sorted(draw(st.lists(money_rates, min_size=len(tops) + 1, max_size=len(tops) + 1)))
    return tuple(Slab(top, rate) for top, rate in zip([*tops, None], rates, strict=True))


@st.composite
def cases(draw: st.DrawFn) -> BillingCase:
    """A home's period of any length and billing day, with or without exports."""
    start = draw(st.dates(date(2026, 2, 12), date(2028, 3, 31)))
    return BillingCase(
        period_start=start,
        period_end=start + timedelta(days=draw(st.integers(0, 70))),
        imported_kwh=draw(units),
        exported_kwh=draw(units),
        disco_provider=draw(st.sampled_from(["kelectric", "lesco"])),
        province=draw(st.sampled_from(["sindh", "punjab", None])),
        sanctioned_load_kw=draw(st.decimals(min_value=1, max_value=20, places=1)),
        billed_units=draw(st.dictionaries(st.sampled_from([Month(2026, m) for m in range(4, 9)]), units, max_size=5)),
        export_scheme=draw(st.sampled_from(ExportScheme)),
        ledger_kwh=draw(st.decimals(min_value=0, max_value=300, places=1)),
        active_taxpayer=draw(st.booleans()),
    )


@given(
    slab_tables(), units, st.sampled_from([PricingRule.SINGLE_SLAB, PricingRule.ONE_PREVIOUS, PricingRule.TELESCOPIC])
)
def test_every_unit_is_billed_once(slabs: tuple[Slab, ...], kwh: Decimal, rule: PricingRule) -> None:
    portions = slab_portions(rule, slabs, kwh)
    assert sum(p.units for p in portions) == kwh
    assert all(p.units >= 0 for p in portions)
    index = slab_index(slabs, kwh)
    bottom = slabs[index - 1].top_units or Decimal(0) if index else Decimal(0)
    top = slabs[index].top_units
    assert kwh > bottom or kwh == 0 or index == 0
    assert top is None or kwh <= top


@given(slab_tables(), st.lists(units, min_size=2, max_size=6))
def test_energy_never_falls_when_units_rise(slabs: tuple[Slab, ...], several: list[Decimal]) -> None:
    for rule in (PricingRule.SINGLE_SLAB, PricingRule.ONE_PREVIOUS, PricingRule.TELESCOPIC):
        amounts = [sum(p.units * p.rate for p in slab_portions(rule, slabs, kwh)) for kwh in sorted(several)]
        assert all(low <= high for low, high in pairwise(amounts)), rule


@given(slab_tables(), units)
def test_the_rules_are_ordered(slabs: tuple[Slab, ...], kwh: Decimal) -> None:
    telescopic, previous, single = (
        sum(p.units * p.rate for p in slab_portions(rule, slabs, kwh))
        for rule in (PricingRule.TELESCOPIC, PricingRule.ONE_PREVIOUS, PricingRule.SINGLE_SLAB)
    )
    assert telescopic <= previous <= single


@given(cases())
def test_lines_add_up_and_identities_hold(case: BillingCase) -> None:
    bill = price_bill(HOME, case, CATALOGUE.adjustments)
    known = [line.amount_pkr for line in bill.lines if line.amount_pkr is not None]
    assert bill.total_pkr == sum(known)
    assert all(amount == amount.quantize(PAISA) for amount in known)
    made = bill_breakdown(bill)
    d = {
        name: Decimal(value)
        for name, value in made.items()
        if isinstance(value, str) and name not in {"tariff", "bill_month"}
    }
    assert sum(Decimal(p["amount"]) for p in made["slab_breakdown"]) == d["energy_charges"]
    assert d["total_taxes"] == d["electricity_duty"] + d["gst"] + d["tv_fee"] + d["municipal_charge"] + d["income_tax"]
    assert d["total_bill"] == d["subtotal"] + d["total_taxes"] == bill.total_pkr
    charges = ("energy_charges", "fixed_charges", "meter_rent", "fuel_price_adjustment", "quarterly_tariff_adjustment")
    assert d["subtotal"] == sum(d[n] for n in (*charges, "surcharges", "demand_charges")) - d["export_credit"]
    assert {line.kind.value for line in bill.pending} == set(made["pending"])


@given(cases(), units)
def test_a_home_s_bill_never_falls_when_units_rise(case: BillingCase, more: Decimal) -> None:
    higher = replace(case, imported_kwh=case.imported_kwh + more)
    low, high = (price_bill(HOME, c, CATALOGUE.adjustments) for c in (case, higher))
    assert low.total_pkr <= high.total_pkr


@given(st.decimals(min_value=0, max_value=200, places=1), st.decimals(min_value=0, max_value=200, places=1))
def test_a_protected_home_s_bill_never_falls(first: Decimal, second: Decimal) -> None:
    low, high = sorted((first, second))
    case = BillingCase(
        date(2026, 7, 1), date(2026, 7, 31), low, "lesco", province="punjab", sanctioned_load_kw=Decimal(2)
    )
    cheap = price_bill(PROTECTED, case, CATALOGUE.adjustments)
    dear = price_bill(PROTECTED, replace(case, imported_kwh=high), CATALOGUE.adjustments)
    assert cheap.total_pkr <= dear.total_pkr


@given(cases())
def test_an_export_credit_is_never_taxed(case: BillingCase) -> None:
    billed = replace(case, export_scheme=ExportScheme.NET_BILLING_2026)
    plain = replace(case, export_scheme=ExportScheme.NONE)
    with_credit, without_credit = (price_bill(HOME, c, CATALOGUE.adjustments) for c in (billed, plain))
    taxes = (LineKind.DUTY, LineKind.GST, LineKind.INCOME_TAX)
    assert [with_credit.amount(kind) for kind in taxes] == [without_credit.amount(kind) for kind in taxes]
    assert with_credit.total_pkr == without_credit.total_pkr + with_credit.amount(LineKind.EXPORT_CREDIT)
    assert with_credit.amount(LineKind.EXPORT_CREDIT) == -round_pkr(Decimal("8.13") * case.exported_kwh)


@given(cases())
def test_netting_loses_no_unit(case: BillingCase) -> None:
    netted = price_bill(HOME, replace(case, export_scheme=ExportScheme.NET_METERING_2015), CATALOGUE.adjustments)
    paid = sum(line.quantity or 0 for line in netted.lines if line.kind is LineKind.EXPORT_CREDIT)
    assert netted.billed_kwh - netted.ledger_kwh - paid == case.imported_kwh - case.exported_kwh - case.ledger_kwh


@given(cases())
def test_days_are_split_without_a_gap(case: BillingCase) -> None:
    segments = segments_of(CATALOGUE.adjustments, AdjustmentKind.QTA, plan=HOME, case=case)
    assert sum(segment.days for segment in segments) == case.days
    lines = [line for line in price_bill(HOME, case, CATALOGUE.adjustments).lines if line.kind is LineKind.QTA]
    billed = price_bill(HOME, case, CATALOGUE.adjustments).billed_kwh
    assert abs(sum(line.quantity or 0 for line in lines) - billed) < Decimal("1e-20")


@given(st.dates(date(2026, 1, 1), date(2028, 12, 31)), st.integers(2, 62), st.data())
def test_a_date_without_a_change_changes_nothing(start: date, days: int, data: st.DataObject) -> None:
    """A record that ends and goes on at the same rate gives the same amount as one that does not end."""
    end = start + timedelta(days=days - 1)
    cut = start + timedelta(days=data.draw(st.integers(0, days - 2)))
    whole = Adjustment(AdjustmentKind.QTA, date(2025, 1, 1), None, "whole", Decimal("0.5194"))
    halves = (replace(whole, effective_to=cut), replace(whole, effective_from=cut + timedelta(days=1)))
    case = BillingCase(start, end, Decimal(300), "lesco", sanctioned_load_kw=Decimal(4))
    joined, split = (price_bill(HOME, case, records).amount(LineKind.QTA) for records in ((whole,), halves))
    assert joined == split


@given(cases())
def test_no_solar_saves_nothing(case: BillingCase) -> None:
    dark = replace(case, exported_kwh=Decimal(0), ledger_kwh=Decimal(0))
    real = price_bill(HOME, dark, CATALOGUE.adjustments)
    same = price_bill(HOME, without_solar(dark, dark.imported_kwh), CATALOGUE.adjustments)
    savings = savings_breakdown(
        real, same, generated_kwh=Decimal(0), co2_kg_per_kwh=Decimal("0.515"), co2_kg_per_tree=Decimal(60)
    )
    assert savings["total_savings"] == "0.00"
    assert savings["savings_percent"] == "0.0"


@given(cases(), st.randoms(use_true_random=False), units)
def test_the_same_input_has_the_same_hash(case: BillingCase, random: Random, consumed: Decimal) -> None:
    shuffled = list(CATALOGUE.adjustments)
    random.shuffle(shuffled)

    def inputs(one: BillingCase, records: Sequence[Adjustment]) -> dict[str, Any]:
        return inputs_json(
            plan_record={
                "code": HOME.code,
                "category": HOME.category,
                "source": HOME.source,
                "status": "verified",
                "supports_tou": False,
                "rates": RECORD.rates,
            },
            case=one,
            adjustments=records,
            consumed_kwh=consumed,
            consumed_peak_kwh=None,
            consumed_units=case.billed_units,
            generated_kwh=consumed,
            co2_kg_per_kwh=Decimal("0.515"),
            co2_kg_per_tree=Decimal(60),
        )

    assert case_of(case_json(case)) == case
    stored = json.loads(json.dumps(inputs(case, CATALOGUE.adjustments)))
    first = simulate(stored)
    assert first.bill == price_bill(HOME, case, CATALOGUE.adjustments), "records without bearing change nothing"
    assert first.content_hash == simulate(inputs(case, shuffled)).content_hash
    other = replace(case, imported_kwh=case.imported_kwh + 1)
    assert first.content_hash != simulate(inputs(other, CATALOGUE.adjustments)).content_hash


@given(cases())
def test_a_warning_tells_the_step_over_the_edge(case: BillingCase) -> None:
    for warning in price_bill(HOME, case, CATALOGUE.adjustments).warnings:
        assert warning.code in {"line_pending", "slab_cliff"}
        assert warning.message.endswith(".")
