"""A stored plan with a schedule prices a billing case: units by period in, explained lines out."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cloud.billing.rules.bill import price_bill, without_solar
from cloud.billing.rules.breakdown import bill_breakdown
from cloud.billing.rules.errors import BillingError, MissingInputError, RateUnknownError
from cloud.billing.rules.metering.intervals import Interval
from cloud.billing.rules.model import Adjustment, AdjustmentKind, BillingCase, ExportScheme, LineKind, Plan
from cloud.billing.rules.month import Month
from cloud.billing.rules.records import plan_of
from cloud.billing.rules.scheduled.case import case_demand_kw, case_units
from cloud.billing.rules.scheduled.metered import metered
from cloud.billing.rules.scheduled.schedule import MonthUse
from cloud.billing.rules.simulation import case_json, case_of, inputs_json, simulate

D = Decimal

EVENING = [[0] * 17 + [1] * 5 + [0] * 2] * 12
NEVER = [[0] * 24] * 12
SCHEDULE: dict[str, Any] = {
    "currency": "USD",
    "energy": [
        {
            "name": "off-peak",
            "tiers": [{"top": "300", "rate": "0.10", "sell": "0.03"}, {"rate": "0.14", "sell": "0.02"}],
        },
        {"name": "peak", "tiers": [{"top": "300", "rate": "0.30", "sell": "0.08"}, {"rate": "0.34", "sell": "0.07"}]},
    ],
    "weekday": EVENING,
    "weekend": NEVER,
    "flat_demand": [
        {"name": "winter", "tiers": [{"rate": "4"}]},
        {"name": "summer", "tiers": [{"top": "10", "rate": "6"}, {"rate": "9"}]},
    ],
    "flat_demand_months": [0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0],
    "demand": [{"name": "evening", "tiers": [{"rate": "2.5"}]}, {"name": "rest", "tiers": [{"rate": "0"}]}],
    "demand_weekday": [[1] * 17 + [0] * 5 + [1] * 2] * 12,
    "demand_weekend": [[1] * 24] * 12,
    "fixed_per_month": "12",
    "fixed_per_day": "0.10",
}
SIMPLE: dict[str, Any] = {"energy": [{"name": "any", "tiers": [{"top": "100", "rate": "5"}, {"rate": "8"}]}]}


def plan(schedule: dict[str, Any], **rates: Any) -> Plan:
    record = {"pricing_rule": "schedule", "schedule": schedule, **rates}
    return plan_of(record, code="TOU", category="imported", source="rate book")


def case(**changes: Any) -> BillingCase:
    given: dict[str, Any] = {
        "period_start": date(2026, 7, 1),
        "period_end": date(2026, 7, 31),
        "imported_kwh": D(500),
        "exported_kwh": D(40),
        "disco_provider": "lesco",
        "max_demand_kw": D("12.5"),
        "schedule_units": {"off-peak": D(400), "peak": D(100), "off-peak/export": D(30), "peak/export": D(10)},
        "schedule_demand_kw": {"evening": D(8), "rest": D("12.5")},
    }
    return BillingCase(**{**given, **changes})


def test_each_line_says_what_it_is_made_of() -> None:
    bill = price_bill(plan(SCHEDULE), case())
    assert [(line.kind, line.label, line.quantity, line.rate, line.amount_pkr) for line in bill.lines] == [
        # 300 of 500 kWh fall into the first tier: three fifths of each period's units.
        (LineKind.ENERGY, "Energy charge, off-peak, tier 1", D(240), D("0.10"), D("24.00")),
        (LineKind.ENERGY, "Energy charge, off-peak, tier 2", D(160), D("0.14"), D("22.40")),
        (LineKind.ENERGY, "Energy charge, peak, tier 1", D(60), D("0.30"), D("18.00")),
        (LineKind.ENERGY, "Energy charge, peak, tier 2", D(40), D("0.34"), D("13.60")),
        (LineKind.DEMAND, "Demand charge, summer, tier 1", D(10), D(6), D("60.00")),
        (LineKind.DEMAND, "Demand charge, summer, tier 2", D("2.5"), D(9), D("22.50")),
        (LineKind.DEMAND, "Demand charge by hours, evening", D(8), D("2.5"), D("20.00")),
        (LineKind.FIXED, "Fixed charge", D(1), D(12), D("12.00")),
        (LineKind.FIXED, "Fixed charge", D(31), D("0.10"), D("3.10")),
        (LineKind.EXPORT_CREDIT, "Credit for exported units, off-peak, tier 1", D(30), D("0.03"), D("-0.90")),
        (LineKind.EXPORT_CREDIT, "Credit for exported units, peak, tier 1", D(10), D("0.08"), D("-0.80")),
    ]
    assert bill.total_pkr == D("193.90")
    assert bill.billed_kwh == D(500)
    assert {line.source for line in bill.lines} == {"rate book"}
    assert all(line.label_ur for line in bill.lines)
    assert bill.assumptions == (
        "The tariff is one by month and hour; all amounts are in USD.",
        "Units are known by period only: each period has the same share of every tier.",
    )


def test_the_breakdown_adds_up() -> None:
    breakdown = bill_breakdown(price_bill(plan(SCHEDULE), case()))
    assert breakdown["energy_charges"] == "78.00"
    assert sum(D(row["amount"]) for row in breakdown["slab_breakdown"]) == D("78.00")
    assert breakdown["slab_breakdown"][1]["slab"] == "off-peak, tier 2"
    assert (breakdown["demand_charges"], breakdown["fixed_charges"], breakdown["export_credit"]) == (
        "102.50",
        "15.10",
        "1.70",
    )
    assert breakdown["subtotal"] == breakdown["total_bill"] == "193.90"


def test_taxes_are_on_a_scheduled_tariff_too_and_never_on_the_credit() -> None:
    duty = Adjustment(AdjustmentKind.DUTY, date(2026, 1, 1), None, "law", rate=D(10))
    with_duty = price_bill(plan(SCHEDULE), case(), [duty])
    assert with_duty.amount(LineKind.DUTY) == D("7.80")  # on energy; demand and fixed charges are no part of its base
    assert with_duty.total_pkr == D("193.90") + D("7.80")


def test_units_by_tier_are_taken_as_they_are() -> None:
    units = {"off-peak/1": D(300), "off-peak/2": D(100), "peak/2": D(100)}
    bill = price_bill(plan(SCHEDULE), case(schedule_units=units, exported_kwh=D(0)))
    assert [line.amount_pkr for line in bill.lines if line.kind is LineKind.ENERGY] == [
        D("30.00"),
        D("14.00"),
        D("34.00"),
    ]
    assert len(bill.assumptions) == 1


def test_with_one_period_the_cases_own_units_are_enough() -> None:
    bill = price_bill(
        plan(SIMPLE), case(schedule_units={}, schedule_demand_kw={}, exported_kwh=D(0), imported_kwh=D(150))
    )
    assert bill.total_pkr == D(500) + D(400)
    assert bill.assumptions == ("The tariff is one by month and hour; all amounts are in PKR.",)


def test_net_metering_carries_what_is_left() -> None:
    tariff = plan({**SIMPLE, "metering": "net_metering"})
    given = case(schedule_units={}, schedule_demand_kw={}, imported_kwh=D(150), exported_kwh=D(170), ledger_kwh=D(30))
    bill = price_bill(tariff, given)
    assert (bill.total_pkr, bill.billed_kwh, bill.ledger_kwh) == (D(0), D(0), D(50))
    following = price_bill(tariff, replace(given, exported_kwh=D(0), ledger_kwh=D(50)))
    assert (following.total_pkr, following.billed_kwh, following.ledger_kwh) == (D(500), D(100), D(0))


def test_net_metering_by_period() -> None:
    record = {**SCHEDULE, "metering": "net_metering", "flat_demand": [], "flat_demand_months": []}
    units = {
        "off-peak": D(400),
        "peak": D(100),
        "off-peak/export": D(30),
        "peak/export": D(150),
        "off-peak/brought": D(20),
    }
    bill = price_bill(plan(record), case(schedule_units=units, exported_kwh=D(180), ledger_kwh=D(20)))
    # Peak units given do not pay for off-peak units taken.
    assert [(line.quantity, line.rate) for line in bill.lines if line.kind is LineKind.ENERGY] == [
        (D(300), D("0.10")),
        (D(50), D("0.14")),
    ]
    assert bill.ledger_kwh == D(50)
    assert not [line for line in bill.lines if line.kind is LineKind.EXPORT_CREDIT]


def test_the_minimum_is_made_up_and_a_credit_is_not_used_up_by_it() -> None:
    least = plan({**SIMPLE, "minimum_per_month": "50", "minimum_per_day": "1"})
    low = price_bill(least, case(schedule_units={}, schedule_demand_kw={}, imported_kwh=D(10), exported_kwh=D(0)))
    assert low.total_pkr == D(81)
    assert low.lines[-1].kind is LineKind.MINIMUM
    assert low.lines[-1].formula == "81 - 50 PKR"
    selling = {"energy": [{"name": "any", "tiers": [{"rate": "5", "sell": "5"}]}], "minimum_per_month": "30"}
    in_credit = price_bill(
        plan(selling), case(schedule_units={}, schedule_demand_kw={}, imported_kwh=D(10), exported_kwh=D(40))
    )
    assert in_credit.total_pkr == D(50) - D(200) + D(30)


def test_a_years_minimum_is_said_to_be_left_out() -> None:
    bill = price_bill(
        plan({**SIMPLE, "minimum_per_year": "900"}), case(schedule_units={}, schedule_demand_kw={}, exported_kwh=D(0))
    )
    assert "The minimum charge of a year is left out of a single bill." in bill.assumptions


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule_units": {}}, "give the units of each in schedule_units: off-peak, peak"),
        ({"schedule_demand_kw": {"evening": D(8)}}, "the hours of rest"),
        ({"max_demand_kw": None}, "give max_demand_kw"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MissingInputError, match=words):
        price_bill(plan(SCHEDULE), case(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"schedule_units": {"off-peak": D(400), "peak": D(99)}},
            "imported_kwh is 500 but schedule_units add up to 499",
        ),
        ({"exported_kwh": D(41)}, "exported_kwh is 41 but schedule_units add up to 40"),
        ({"ledger_kwh": D(5)}, "ledger_kwh is 5"),
        ({"schedule_units": {"night": D(500)}}, "names 'night'; periods of the tariff: off-peak, peak"),
        ({"schedule_units": {"peak/3": D(500)}}, "names 'peak/3'"),
        ({"schedule_units": {"peak/1/brought": D(500)}}, "names 'peak/1/brought'"),
        ({"schedule_units": {"peak": D(-1)}}, r"schedule_units\['peak'\] is -1"),
        ({"schedule_demand_kw": {"noon": D(1)}}, "names 'noon'; demand periods of the tariff: evening, rest"),
        ({"export_scheme": ExportScheme.NET_BILLING_2026}, "export_scheme is net_billing_2026"),
        ({"prorated": True}, "prorated is set"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BillingError, match=words):
        price_bill(plan(SCHEDULE), case(**changes))


def test_above_a_last_tier_that_ends_there_is_no_rate() -> None:
    ends = plan({"energy": [{"name": "any", "tiers": [{"top": "100", "rate": "5"}]}]})
    with pytest.raises(RateUnknownError, match="150 kWh is above the tariff's highest tier"):
        price_bill(ends, case(schedule_units={}, schedule_demand_kw={}, imported_kwh=D(150), exported_kwh=D(0)))
    demand_ends = plan({**SIMPLE, "demand": [{"name": "any", "tiers": [{"top": "5", "rate": "5"}]}]})
    with pytest.raises(RateUnknownError, match="6 kW is above the highest demand tier of any"):
        price_bill(
            demand_ends, case(schedule_units={}, schedule_demand_kw={"any": D(6)}, imported_kwh=D(1), exported_kwh=D(0))
        )


def test_a_scheduled_tariff_that_changes_inside_the_period_is_refused() -> None:
    before = replace(plan(SIMPLE), effective_to=date(2026, 7, 9))
    after = replace(plan(SIMPLE), effective_from=date(2026, 7, 10))
    with pytest.raises(BillingError, match="changes on 2026-07-10, inside the period 2026-07-01 to"):
        price_bill([before, after], case(schedule_units={}, schedule_demand_kw={}))


@pytest.mark.parametrize(
    "rates", [{"pricing_rule": "schedule"}, {"pricing_rule": "flat", "schedule": SIMPLE}, {"schedule": SIMPLE}]
)
def test_rule_and_schedule_go_together(rates: dict[str, Any]) -> None:
    with pytest.raises(BillingError, match="a schedule goes with the rule 'schedule'"):
        plan_of({"energy_charge_per_kwh": "5", **rates}, code="x", category="x", source="x")


def test_a_months_use_becomes_a_case_and_back() -> None:
    tariff = plan(SCHEDULE)
    assert tariff.schedule is not None
    use = MonthUse(
        Month(2026, 7),
        imported_kwh=(D(400), D(100)),
        exported_kwh=(D(40), D(0)),
        peak_kw=D("12.5"),
        demand_kw=(D(8), D("12.5")),
        imported_tiers=((D(250), D(150)), (D(50), D(50))),
        exported_tiers=((D(40), D(0)), (D(0), D(0))),
    )
    units = case_units(tariff.schedule, use)
    assert units == {
        "off-peak/1": D(250),
        "off-peak/2": D(150),
        "peak/1": D(50),
        "peak/2": D(50),
        "off-peak/1/export": D(40),
    }
    made = case(schedule_units=units, schedule_demand_kw=case_demand_kw(tariff.schedule, use))
    assert price_bill(tariff, made).amount(LineKind.ENERGY) == D("25.00") + D("21.00") + D("15.00") + D("17.00")
    assert case_of(case_json(made)) == made


def test_a_simulation_of_a_scheduled_tariff_is_computed_again_from_its_document() -> None:
    record = {
        "code": "TOU",
        "category": "imported",
        "source": "rate book",
        "status": "derived",
        "supports_tou": True,
        "rates": {"pricing_rule": "schedule", "schedule": SCHEDULE},
    }
    document = inputs_json(
        plan_record=record,
        case=case(),
        adjustments=(),
        consumed_kwh=D(700),
        consumed_peak_kwh=None,
        consumed_units={},
        consumed_by_schedule=({"off-peak": D(590), "peak": D(110)}, {"evening": D(9), "rest": D(14)}),
        generated_kwh=D(240),
        co2_kg_per_kwh=D("0.5"),
        co2_kg_per_tree=D(20),
    )
    first, second = simulate(document), simulate(document)
    assert first.content_hash == second.content_hash
    assert first.bill.total_pkr == D("193.90")
    dark = without_solar(
        replace(case(), schedule_demand_kw={"evening": D(9), "rest": D(14)}),
        D(700),
        consumed_units={"off-peak": D(590), "peak": D(110)},
    )
    assert first.without == price_bill(replace(plan(SCHEDULE), status=first.bill.lines[0].status), dark)


ZONE = ZoneInfo("Asia/Karachi")
SEASONS: dict[str, Any] = {
    "metering": "net_metering",
    "energy": [
        {"name": "winter", "tiers": [{"rate": "1"}]},
        {"name": "summer", "tiers": [{"rate": "2"}]},
    ],
    "weekday": [[0] * 24] * 5 + [[1] * 24] * 4 + [[0] * 24] * 3,
    "weekend": [[0] * 24] * 5 + [[1] * 24] * 4 + [[0] * 24] * 3,
    "flat_demand": [{"name": "year", "tiers": [{"rate": "10"}]}],
    "flat_demand_months": [0] * 12,
    "fixed_per_day": "1",
}


def hours(first: date, days: int, kwh: str = "1", given: str = "0") -> list[Interval]:
    start = datetime(first.year, first.month, first.day, tzinfo=ZONE)
    return [Interval(start + timedelta(hours=n), 3600, D(kwh), D(given)) for n in range(24 * days)]


def test_a_bill_from_any_reading_day_has_the_hours_of_both_months() -> None:
    tariff = plan(SEASONS)
    assert tariff.schedule is not None
    cycle = case(
        period_start=date(2026, 5, 24),
        period_end=date(2026, 6, 23),
        schedule_units={"winter/brought": D(92)},
        ledger_kwh=D(92),
    )
    made = metered(tariff.schedule, cycle, hours(date(2026, 5, 20), 40, kwh="1.5", given="0.5"), zone=ZONE).case
    assert made.schedule_units == {
        "winter": D(8 * 36),
        "summer": D(23 * 36),
        "winter/export": D(8 * 12),
        "summer/export": D(23 * 12),
        "winter/brought": D(92),
    }
    assert (made.imported_kwh, made.exported_kwh, made.max_demand_kw) == (D(31 * 36), D(31 * 12), D("1.5"))
    bill = price_bill(tariff, made)
    # 288 - 96 - 92 at 1, 828 - 276 at 2, 1.5 kW at 10, 31 days.
    assert [line.amount_pkr for line in bill.lines] == [D(100), D(1104), D(15), D(31)]


def test_one_period_brings_its_ledger_along() -> None:
    tariff = plan({**SIMPLE, "metering": "net_metering"})
    assert tariff.schedule is not None
    made = metered(tariff.schedule, case(ledger_kwh=D(700)), hours(date(2026, 7, 1), 31), zone=ZONE).case
    assert made.schedule_units == {"any": D(744), "any/brought": D(700)}
    assert price_bill(tariff, made).billed_kwh == D(44)
    idle = metered(tariff.schedule, case(), hours(date(2026, 7, 1), 31, kwh="0"), zone=ZONE).case
    assert price_bill(tariff, idle).total_pkr == D(0)


def test_what_was_not_measured_counts_nothing() -> None:
    tariff = plan(SIMPLE)
    assert tariff.schedule is not None
    made = metered(tariff.schedule, case(), hours(date(2026, 7, 2), 40), zone=ZONE)
    assert made.case.imported_kwh == D(30 * 24)
    assert price_bill(tariff, made.case).billed_kwh == D(720)
    for others in ([], hours(date(2026, 5, 1), 31)):
        with pytest.raises(BillingError, match="no interval is of the bill of 2026-07"):
            metered(tariff.schedule, case(), others, zone=ZONE)


def test_two_seasons_with_tiers_of_their_own_do_not_fit_on_one_bill() -> None:
    tiered = {
        **SEASONS,
        "energy": [SEASONS["energy"][0], {"name": "summer", "tiers": [{"top": "9", "rate": "2"}, {"rate": "3"}]}],
    }
    tariff = plan(tiered)
    assert tariff.schedule is not None
    cycle = case(period_start=date(2026, 5, 24), period_end=date(2026, 6, 23))
    with pytest.raises(BillingError, match="units of period winter are on the bill of 2026-06"):
        metered(tariff.schedule, cycle, hours(date(2026, 5, 24), 31), zone=ZONE)
    named = case(schedule_units={"winter": D(500)}, exported_kwh=D(0), schedule_demand_kw={})
    with pytest.raises(BillingError, match="price whole calendar months"):
        price_bill(tariff, named)
