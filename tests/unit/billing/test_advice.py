"""Edges, status, load and exports: cases whose answers were worked out by hand from the notified rates."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.advice.advice import Priced, Severity
from cloud.billing.rules.advice.choice import Connection, Hindrance, refusal_of, same_family
from cloud.billing.rules.advice.cliffs import Pace, cliff_advice, edge_at
from cloud.billing.rules.advice.comparison import Candidate, ComparedPeriod, PricedTariff, compare_tariffs
from cloud.billing.rules.advice.exports import export_advice
from cloud.billing.rules.advice.load import LoadMonth, load_advice
from cloud.billing.rules.advice.standing import Standing, kept_advice, loss_over, regain_advice, standing_of
from cloud.billing.rules.model import BillingCase, ExportScheme, Plan
from cloud.billing.rules.month import Month

D = Decimal
CATALOGUE = read_catalogue()
PLANS: dict[str, Plan] = {p.category: p.plan() for p in CATALOGUE.plans if p.effective_to is None}
NO_DUTY = [r for r in CATALOGUE.adjustments if r.kind.value != "duty"]
OCTOBER = BillingCase(
    date(2026, 10, 1), date(2026, 10, 31), D(150), "lesco", province="punjab", sanctioned_load_kw=D(4)
)
HOME = Priced((PLANS["residential_unprotected"],), CATALOGUE.adjustments)


def _pace(units: str, days: str, case: BillingCase = OCTOBER) -> Pace:
    return Pace(D(units), case.period_start, case.period_end, D(days))


def test_the_kwh_after_two_hundred() -> None:
    # (33.10 x 201 - 28.91 x 200 + 4 kW x 50 + 0.5194 + 3.23) x 1.18, without duty.
    priced = Priced((PLANS["residential_unprotected"],), NO_DUTY)
    edge = edge_at(priced, OCTOBER, D(200))
    assert edge.left_out == ()
    assert edge.step_pkr.quantize(D(1)) == D(1268)
    made = cliff_advice(priced, replace(OCTOBER, imported_kwh=D(195)), _pace("195", "31"))
    assert made == ()
    (advice,) = cliff_advice(priced, OCTOBER, _pace("150", "24"))
    assert advice.code == "slab_cliff"
    assert advice.severity is Severity.NOTICE
    assert "One more kWh after 200 costs PKR 1,268; 50 kWh are left until 2026-10-31." in advice.message
    assert "1,268" in advice.message_ur
    assert advice.facts["expected_kwh"] == "193.8"


def test_edges_that_the_pace_will_cross_are_warnings_with_a_day() -> None:
    # 15 kWh a day: 465 at the end; 201 on the 14th, 301 on the 21st, 401 on the 27th; 500 is far.
    made = cliff_advice(HOME, OCTOBER, _pace("150", "10"))
    assert [(a.facts["edge_kwh"], a.severity, a.facts.get("reached_on")) for a in made] == [
        ("200", Severity.WARNING, "2026-10-14"),
        ("300", Severity.WARNING, "2026-10-21"),
        ("400", Severity.WARNING, "2026-10-27"),
    ]


def test_an_edge_just_passed_says_what_the_last_kwh_cost() -> None:
    case = replace(OCTOBER, imported_kwh=D(205))
    (advice,) = cliff_advice(HOME, case, _pace("205", "31"))
    assert (advice.code, advice.severity) == ("slab_edge_passed", Severity.INFO)
    low, high = HOME.bill(replace(case, imported_kwh=D(200))), HOME.bill(case)
    assert advice.amount_pkr == high.total_pkr - low.total_pkr


def test_a_municipal_charge_that_is_not_on_record_stays_out_of_the_step() -> None:
    karachi = replace(OCTOBER, disco_provider="kelectric", province="sindh")
    edge = edge_at(HOME, karachi, D(300))
    assert edge.left_out == ("municipal",)
    assert edge.step_pkr == edge_at(HOME, replace(OCTOBER, province="sindh"), D(300)).step_pkr


def test_a_tariff_without_a_rate_above_the_edge_gives_no_advice() -> None:
    slabs = HOME.plan.slabs
    plan = replace(HOME.plan, slabs=(*slabs[:2], replace(slabs[2], rate=None), *slabs[3:]))
    assert cliff_advice(Priced((plan,), ()), OCTOBER, _pace("150", "24")) == ()


def test_time_of_use_has_no_edges() -> None:
    case = replace(OCTOBER, imported_peak_kwh=D(20), max_demand_kw=D(3))
    assert cliff_advice(Priced((PLANS["residential_tou"],), ()), case, _pace("150", "10")) == ()


PROTECTED = Priced((PLANS["residential_protected"],), CATALOGUE.adjustments)


def _standing(units: str, past: list[str | None]) -> tuple[BillingCase, Standing]:
    history = {Month(2026, 10).back(n + 1): D(kwh) for n, kwh in enumerate(past) if kwh is not None}
    case = replace(OCTOBER, imported_kwh=D(units))
    return case, standing_of("residential_protected", bill_month=Month(2026, 10), units=D(units), history=history)


def test_what_losing_the_protected_rates_costs() -> None:
    case, standing = _standing("120", ["150"] * 6)
    loss = loss_over(standing, case, kept=PROTECTED, lost=HOME)
    assert loss is not None
    at_150 = replace(case, imported_kwh=D(150))
    assert loss.pkr == 6 * (HOME.bill(at_150).total_pkr - PROTECTED.bill(at_150).total_pkr)
    advice = kept_advice(standing, case, _pace("120", "15", case), loss=loss)
    assert advice.severity is Severity.WARNING
    assert advice.message.startswith("80 kWh are left until 2026-10-31 for the home to stay protected.")
    assert "used up on 2026-10-26" in advice.message
    assert advice.amount_pkr == loss.pkr
    assert advice.facts["units_2026-09"] == "150"


def test_unknown_months_are_said_and_counted() -> None:
    case, standing = _standing("60", ["150", None, "100", None, None, None])
    loss = loss_over(standing, case, kept=PROTECTED, lost=HOME)
    assert loss is not None
    assert (loss.known_months, loss.months) == (2, 6)
    advice = kept_advice(standing, case, _pace("60", "20", case), loss=loss)
    assert "not certain" in advice.message
    assert "2026-08: not known" in advice.basis[1]
    nothing = kept_advice(standing, case, _pace("60", "20", case), loss=None)
    assert nothing.amount_pkr is None


@pytest.mark.parametrize(
    ("units", "past", "code", "to_go"),
    [
        ("150", ["150", "201", "100", "100", "100", "100"], "protected_status_lost", "5"),
        ("250", ["150"] * 6, "protected_status_lost", "6"),
        ("150", ["150"] * 6, "protected_status_possible", "0"),
    ],
)
def test_the_way_back_to_protected_rates(units: str, past: list[str | None], code: str, to_go: str) -> None:
    case, standing = _standing(units, past)
    advice = regain_advice(standing, case, _pace(units, "31", case), loss=None)
    assert advice is not None
    assert (advice.code, advice.facts["months_to_go"]) == (code, to_go)
    assert advice.message_ur


def test_without_history_nothing_is_said_about_the_way_back() -> None:
    case, standing = _standing("150", [None] * 6)
    assert regain_advice(standing, case, _pace("150", "31", case), loss=None) is None


def _months(priced: Priced, *, load: str, demand: str, count: int = 12) -> list[LoadMonth]:
    case = replace(
        OCTOBER, sanctioned_load_kw=D(load), max_demand_kw=D(demand), imported_kwh=D(250), imported_peak_kwh=D(50)
    )
    return [LoadMonth(case, priced) for _ in range(count)]


def test_a_home_with_more_load_than_it_needs() -> None:
    advice = load_advice(_months(HOME, load="10", demand="3.2"), category="residential_unprotected", capacity_kw=None)
    assert advice is not None
    assert (advice.code, advice.facts["needed_load_kw"]) == ("sanctioned_load_high", "4")
    assert advice.amount_pkr == 12 * 6 * D(350) * D("1.18")
    assert any("changing the load" in words for words in advice.basis)


def test_net_billing_holds_the_load_at_the_capacity() -> None:
    months = [
        replace(m, case=replace(m.case, export_scheme=ExportScheme.NET_BILLING_2026))
        for m in _months(HOME, load="10", demand="3.2", count=2)
    ]
    advice = load_advice(months, category="residential_unprotected", capacity_kw=D("7.5"))
    assert advice is not None
    assert advice.facts["needed_load_kw"] == "8"
    assert any("Only 2 of 12 months" in words for words in advice.basis)


def test_a_demand_above_the_load_and_a_load_that_does_not_matter() -> None:
    over = load_advice(_months(HOME, load="3", demand="4.4"), category="residential_unprotected", capacity_kw=None)
    assert over is not None
    assert (over.code, over.severity, over.facts["needed_load_kw"]) == (
        "sanctioned_load_exceeded",
        Severity.WARNING,
        "5",
    )
    shop = Priced((PLANS["tou_commercial"],), CATALOGUE.adjustments)
    same = load_advice(_months(shop, load="60", demand="38"), category="tou_commercial", capacity_kw=None)
    assert same is not None
    assert (same.code, same.amount_pkr) == ("sanctioned_load_fits", 0)


def test_a_smaller_load_may_not_fit_the_tariff() -> None:
    tou = Priced((PLANS["residential_tou"],), CATALOGUE.adjustments)
    advice = load_advice(_months(tou, load="20", demand="3"), category="residential_tou", capacity_kw=None)
    assert advice is not None
    assert any("would no longer fit: From 5 kW on" in words for words in advice.basis)


def test_without_a_demand_there_is_no_load_advice() -> None:
    months = [LoadMonth(OCTOBER, HOME)]
    assert load_advice(months, category="residential_unprotected", capacity_kw=None) is None


def test_notes_on_exports() -> None:
    sold = replace(OCTOBER, exported_kwh=D(100))
    (unpaid,) = export_advice(HOME, sold, capacity_kw=D(10))
    assert (unpaid.code, unpaid.amount_pkr) == ("export_unpaid", D("813.00"))
    billed = replace(sold, export_scheme=ExportScheme.NET_BILLING_2026)
    capacity, home_use = export_advice(HOME, billed, capacity_kw=D(10))
    assert (capacity.code, capacity.severity) == ("net_billing_capacity", Severity.WARNING)
    moved = replace(billed, exported_kwh=D(0), imported_kwh=D(50))
    assert home_use.amount_pkr == HOME.bill(billed).total_pkr - HOME.bill(moved).total_pkr
    netted = replace(OCTOBER, exported_kwh=D(400), export_scheme=ExportScheme.NET_METERING_2015)
    (surplus,) = export_advice(HOME, netted, capacity_kw=None)
    assert (surplus.code, surplus.amount_pkr) == ("surplus_carried", D(250) * D("25.32"))
    assert export_advice(HOME, OCTOBER, capacity_kw=D(10)) == ()


@pytest.mark.parametrize(
    ("category", "present", "load", "phases", "code"),
    [
        ("residential_tou", "residential_unprotected", "4.9", 3, Hindrance.LOAD_TOO_SMALL),
        ("residential_tou", "residential_unprotected", "5", 3, None),
        ("residential_tou", "residential_unprotected", None, 3, Hindrance.LOAD_UNKNOWN),
        ("residential_lifeline", "residential_unprotected", "1", 3, Hindrance.PHASES),
        ("residential_lifeline", "residential_unprotected", "1", None, Hindrance.PHASES),
        ("residential_lifeline", "residential_unprotected", "2", 1, Hindrance.LOAD_TOO_LARGE),
        ("residential_lifeline", "residential_unprotected", "1", 1, Hindrance.USE_UNKNOWN),
        ("residential_protected", "residential_unprotected", "2", 1, Hindrance.USE_UNKNOWN),
        ("commercial_a1", "tou_commercial", "4.9", 1, None),
        ("commercial_a1", "tou_commercial", "5", 1, Hindrance.LOAD_TOO_LARGE),
        ("industrial_b1", "industrial_b2", "25", 3, None),
        ("industrial_b2", "industrial_b1", "24", 3, Hindrance.LOAD_TOO_SMALL),
        ("industrial_b4", "industrial_b2", "400", 3, Hindrance.VOLTAGE_UNKNOWN),
    ],
)
def test_who_may_choose_what(
    category: str, present: str, load: str | None, phases: int | None, code: Hindrance | None
) -> None:
    connection = Connection(present, None if load is None else D(load), phases, {}, (Month(2026, 10),))
    refusal = refusal_of(category, connection)
    assert (None if refusal is None else refusal.code) == code


def test_use_decides_about_protected_rates() -> None:
    months = (Month(2026, 10),)
    units = {Month(2026, 10).back(n): D(150) for n in range(7)}
    assert refusal_of("residential_protected", Connection("residential_unprotected", D(4), 1, units, months)) is None
    units[Month(2026, 6)] = D(201)
    refusal = refusal_of("residential_protected", Connection("residential_unprotected", D(4), 1, units, months))
    assert refusal is not None
    assert refusal.reason == "For homes that stay within 200 kWh a month; 201 kWh in 2026-06."


def test_other_uses_are_not_compared() -> None:
    assert set(same_family("commercial_a1")) == {"commercial_a1", "commercial_a2", "commercial_a3", "tou_commercial"}
    assert same_family("agricultural_tube_well") == ("agricultural_tube_well",)


def test_a_shop_compared() -> None:
    case = replace(OCTOBER, imported_kwh=D(1000), imported_peak_kwh=D(100), max_demand_kw=D(3), sanctioned_load_kw=D(4))
    names = ("commercial_a1", "tou_commercial", "commercial_a2", "industrial_b4")
    candidates = [Candidate(name, name, (PLANS[name],) if name in PLANS else ()) for name in names]
    made = compare_tariffs(
        candidates,
        [ComparedPeriod(case, replace(case, imported_kwh=D(1500)))],
        present="commercial_a1",
        adjustments=CATALOGUE.adjustments,
    )
    # 37.44 x 1,000 + 1,000 against 35.15 x 900 + 43.82 x 100 + 1,250 x 3 kW, before adjustments and taxes.
    assert [tariff.category for tariff in made.priced] == ["commercial_a1", "tou_commercial"]
    assert made.best is made.present_tariff
    assert made.priced[0].pending == ("fpa",)
    assert made.priced[0].without_solar_pkr is not None
    assert made.priced[0].without_solar_pkr > made.priced[0].total_pkr
    assert {r.category: r.refusal.code for r in made.refused} == {
        "commercial_a2": Hindrance.NOT_ON_RECORD,
        "industrial_b4": Hindrance.RATE_UNKNOWN,
    }


def test_a_lifeline_tariff_takes_no_exports() -> None:
    case = replace(OCTOBER, export_scheme=ExportScheme.NET_BILLING_2026)
    plan = PLANS["residential_lifeline"]
    made = compare_tariffs(
        [Candidate("residential_lifeline", "lifeline", (plan,), takes_exports=False)],
        [ComparedPeriod(case)],
        present="residential_unprotected",
        adjustments=(),
    )
    assert made.refused[0].refusal.code is Hindrance.NO_EXPORT
    assert made.present_tariff is None
    assert made.best is None


def test_a_version_that_begins_inside_the_period_does_not_price_it() -> None:
    plan = replace(PLANS["residential_tou"], effective_from=date(2026, 10, 12))
    made = compare_tariffs(
        [Candidate("residential_tou", "A-1(b)", (plan,))],
        [ComparedPeriod(OCTOBER)],
        present="residential_tou",
        adjustments=(),
    )
    assert "is on record for 2026-10-01" in made.refused[0].refusal.reason


def test_a_month_may_be_billed_by_other_rates() -> None:
    case = replace(OCTOBER, imported_kwh=D(250))
    lost = Candidate(
        "residential_protected",
        "protected",
        (PLANS["residential_protected"],),
        instead={case.month: (PLANS["residential_unprotected"],)},
    )
    (made,) = compare_tariffs([lost], [ComparedPeriod(case)], present="residential_protected", adjustments=()).priced
    assert isinstance(made, PricedTariff)
    assert made.bills[0].plan_code == PLANS["residential_unprotected"].code
