"""Comparison, edges, status, load and differences: what is true for any home and any units."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.advice.advice import Priced, Severity, with_units
from cloud.billing.rules.advice.choice import Connection, Refusal, family_of, load_refusal, refusal_of, same_family
from cloud.billing.rules.advice.cliffs import Pace, cliff_advice, edge_at, tops_of
from cloud.billing.rules.advice.comparison import Candidate, ComparedPeriod, compare_tariffs
from cloud.billing.rules.advice.exports import export_advice
from cloud.billing.rules.advice.load import LoadMonth, cost_with_load, load_advice
from cloud.billing.rules.advice.standing import Standing, standing_of
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.errors import RateUnknownError
from cloud.billing.rules.model import BillingCase, ExportScheme, Plan
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.paper.difference import difference_of, entered_of, units_difference
from cloud.billing.rules.paper.reasons import Context

CATALOGUE = read_catalogue()
PLANS: dict[str, Plan] = {p.category: p.plan() for p in CATALOGUE.plans if p.effective_to is None}
HOME = PLANS["residential_unprotected"]
CATEGORIES = sorted(PLANS)

units = st.decimals(min_value=0, max_value=1500, places=2)
loads = st.decimals(min_value="0.5", max_value=600, places=1)


@st.composite
def cases(draw: st.DrawFn, schemes: Sequence[ExportScheme] = tuple(ExportScheme)) -> BillingCase:
    start = draw(st.dates(date(2026, 3, 1), date(2027, 12, 31)))
    imported, exported = draw(units), draw(units)
    return BillingCase(
        period_start=start,
        period_end=start + timedelta(days=draw(st.integers(26, 34))),
        imported_kwh=imported,
        imported_peak_kwh=imported * draw(st.integers(0, 100)) / 100,
        exported_kwh=exported,
        exported_peak_kwh=exported * draw(st.integers(0, 20)) / 100,
        disco_provider=draw(st.sampled_from(["kelectric", "lesco"])),
        province=draw(st.sampled_from(["sindh", "punjab"])),
        sanctioned_load_kw=draw(st.decimals(min_value=1, max_value=20, places=1)),
        max_demand_kw=draw(st.decimals(min_value=0, max_value=25, places=2)),
        billed_units=draw(st.dictionaries(st.sampled_from([Month(2026, m) for m in range(1, 9)]), units, max_size=6)),
        export_scheme=draw(st.sampled_from(schemes)),
        ledger_kwh=draw(st.decimals(min_value=0, max_value=300, places=1)),
    )


def _candidates(categories: Sequence[str]) -> list[Candidate]:
    return [Candidate(name, PLANS[name].code, (PLANS[name],)) for name in categories]


@settings(max_examples=min(30, settings().max_examples))
@given(st.lists(cases(), min_size=1, max_size=3), st.sampled_from(CATEGORIES))
def test_the_best_is_never_dearer_than_the_present(periods: list[BillingCase], present: str) -> None:
    made = compare_tariffs(
        _candidates(CATEGORIES),
        [ComparedPeriod(case) for case in periods],
        present=present,
        adjustments=CATALOGUE.adjustments,
    )
    assert len(made.priced) + len(made.refused) == len(CATEGORIES)
    totals = [tariff.total_pkr for tariff in made.priced]
    assert totals == sorted(totals)
    now = made.present_tariff
    if now is not None and made.best is not None:
        assert made.best.total_pkr <= now.total_pkr
        assert made.difference_pkr(now) == 0
        assert now.total_pkr == sum(price_bill(PLANS[present], c, CATALOGUE.adjustments).total_pkr for c in periods)
        difference = made.difference_pkr(made.best)
        assert difference is not None
        assert difference <= 0


@given(st.sampled_from(CATEGORIES), st.one_of(st.none(), loads), st.sampled_from([None, 1, 3]))
def test_the_present_tariff_is_never_refused(category: str, load: Decimal | None, phases: int | None) -> None:
    connection = Connection(category, load, phases, {}, ())
    assert refusal_of(category, connection) is None
    assert same_family(category)[0] == category
    for other in same_family(category):
        assert family_of(other) == family_of(category)
        refusal = refusal_of(other, connection)
        assert refusal is None or (isinstance(refusal, Refusal) and refusal.reason.endswith("."))


@given(loads)
def test_every_load_has_a_tariff_of_its_kind(load: Decimal) -> None:
    assert load_refusal("residential_unprotected", load) is None
    fits = [name for name in ("commercial_a1", "commercial_a2", "commercial_a3") if load_refusal(name, load) is None]
    assert 1 <= len(fits) <= 2
    assert any(load_refusal(name, load) is None for name in ("industrial_b1", "industrial_b2", "industrial_b3"))


@given(cases(), units)
def test_a_case_is_brought_to_the_units_asked_for(case: BillingCase, kwh: Decimal) -> None:
    assert price_bill(HOME, with_units(case, kwh), CATALOGUE.adjustments).billed_kwh == kwh


@settings(max_examples=min(30, settings().max_examples))
@given(cases())
def test_the_price_of_the_next_kwh_is_the_difference_of_two_bills(case: BillingCase) -> None:
    priced = Priced((HOME,), CATALOGUE.adjustments)
    for top in tops_of(HOME):
        low, high = (price_bill(HOME, with_units(case, kwh), CATALOGUE.adjustments) for kwh in (top, top + 1))
        edge = edge_at(priced, case, top)
        assert edge.step_pkr > 0
        if not edge.left_out:
            assert edge.step_pkr == high.total_pkr - low.total_pkr


@settings(max_examples=min(30, settings().max_examples))
@given(cases(), st.integers(1, 40))
def test_advice_about_edges_lies_ahead_or_just_behind(case: BillingCase, days: int) -> None:
    kwh = price_bill(HOME, case, CATALOGUE.adjustments).billed_kwh
    pace = Pace(kwh, case.period_start, case.period_end, Decimal(min(days, case.days)))
    for advice in cliff_advice(Priced((HOME,), CATALOGUE.adjustments), case, pace):
        top = Decimal(advice.facts["edge_kwh"])
        assert advice.amount_pkr is not None
        assert advice.amount_pkr > 0
        assert advice.message_ur
        if advice.code == "slab_cliff":
            assert pace.is_open
            assert kwh <= top
            assert (advice.severity is Severity.WARNING) == ("reached_on" in advice.facts)
            if "reached_on" in advice.facts:
                assert case.period_start <= date.fromisoformat(advice.facts["reached_on"]) <= case.period_end
        else:
            assert top < kwh <= top * Decimal("1.05")


def _walk(history: dict[Month, Decimal], month: Month, kwh: Decimal, limit: Decimal) -> int:
    """Months within the limit until a bill finds the six before it within, found by living them."""
    lived, count = dict(history), 0
    while any(lived[month.back(n)] > limit for n in range(1, 7)) or kwh > limit:
        lived[month] = kwh
        count += kwh <= limit
        month, kwh = month.back(-1), ZERO
    return count


@given(
    st.lists(st.decimals(0, 400, places=1), min_size=6, max_size=6),
    st.decimals(0, 400, places=1),
    st.dates(date(2025, 6, 1), date(2028, 12, 1)),
)
def test_months_to_go_are_as_many_as_one_has_to_live(past: list[Decimal], kwh: Decimal, day: date) -> None:
    month = Month.of(day)
    history = {month.back(n + 1): value for n, value in enumerate(past)}
    standing = standing_of("residential_protected", bill_month=month, units=kwh, history=history)
    assert standing.months_to_go == _walk(history, month, kwh, Decimal(200))
    assert standing.holds is (standing.months_to_go == 0)
    assert standing.left_kwh == max(ZERO, 200 - kwh)


@given(st.decimals(0, 200, places=1), st.integers(1, 6))
def test_an_unknown_month_leaves_the_status_open(kwh: Decimal, unknown: int) -> None:
    month = Month(2026, 10)
    history = {month.back(n): Decimal(150) for n in range(1, 7) if n != unknown}
    standing: Standing = standing_of("residential_protected", bill_month=month, units=kwh, history=history)
    assert standing.holds is None
    assert standing.months_to_go is None


@settings(max_examples=min(30, settings().max_examples))
@given(st.lists(cases(), min_size=1, max_size=3), st.decimals(1, 30, places=0))
def test_a_home_s_bill_never_falls_with_the_load(periods: list[BillingCase], more: Decimal) -> None:
    months = [LoadMonth(case, Priced((HOME,), CATALOGUE.adjustments)) for case in periods]
    assert cost_with_load(months, Decimal(5)) <= cost_with_load(months, 5 + more)


@settings(max_examples=min(30, settings().max_examples))
@given(st.lists(cases(), min_size=1, max_size=3), st.one_of(st.none(), loads))
def test_load_advice_covers_the_demand_and_is_the_difference_of_bills(
    periods: list[BillingCase], capacity: Decimal | None
) -> None:
    same = [replace(c, sanctioned_load_kw=Decimal(9), export_scheme=periods[-1].export_scheme) for c in periods]
    months = [LoadMonth(case, Priced((HOME,), CATALOGUE.adjustments)) for case in same]
    advice = load_advice(months, category=HOME.category, capacity_kw=capacity)
    assert advice is not None
    needed, highest = Decimal(advice.facts["needed_load_kw"]), Decimal(advice.facts["highest_demand_kw"])
    assert needed >= highest
    assert needed >= 1
    if same[-1].export_scheme is ExportScheme.NET_BILLING_2026 and capacity is not None:
        assert needed >= capacity
    assert advice.amount_pkr == abs(cost_with_load(months, Decimal(9)) - cost_with_load(months, needed))


@given(cases(), st.one_of(st.none(), loads))
def test_notes_on_exports_speak_of_exports(case: BillingCase, capacity: Decimal | None) -> None:
    for note in export_advice(Priced((HOME,), CATALOGUE.adjustments), case, capacity_kw=capacity):
        assert note.message_ur
        assert note.amount_pkr is None or note.amount_pkr >= 0
        assert note.code == "net_billing_capacity" or case.exported_kwh or case.ledger_kwh


@given(cases(), st.sampled_from(CATEGORIES))
def test_a_bill_does_not_differ_from_itself(case: BillingCase, category: str) -> None:
    plan = PLANS[category]
    try:
        bill = price_bill(plan, case, CATALOGUE.adjustments)
    except RateUnknownError:
        reject()  # units that the tariff has no rate for
    found = difference_of(
        entered_of(bill), bill, Context(plan, case, CATALOGUE.adjustments, measured_kwh=bill.billed_kwh)
    )
    assert found.is_nothing
    assert found.total_reason is None
    assert all(line.reason is None for line in found.lines)
    assert found.units.difference_kwh == 0
    assert not found.units.is_notable


@settings(max_examples=min(30, settings().max_examples))
@given(cases(), st.dictionaries(st.integers(0, 30), st.decimals(-2000, 2000, places=2), max_size=4))
def test_line_differences_add_up_to_the_totals(case: BillingCase, changes: dict[int, Decimal]) -> None:
    bill = price_bill(HOME, case, CATALOGUE.adjustments)
    entered = entered_of(bill)
    amounts = {kind: amount + changes.get(index, ZERO) for index, (kind, amount) in enumerate(entered.amounts.items())}
    changed = replace(entered, amounts=amounts, total_pkr=sum(amounts.values(), ZERO))
    found = difference_of(changed, bill, Context(HOME, case, CATALOGUE.adjustments))
    # Of a kind with a pending line the total holds the part that is known, and the kind is not compared.
    known_part = bill.amount(*(line.kind for line in bill.pending))
    assert sum(line.difference_pkr or ZERO for line in found.lines) - known_part == found.total_difference_pkr
    for line in found.lines:
        assert (line.reason is not None) == bool(line.difference_pkr)


@given(units, st.decimals(min_value=1, max_value=1500, places=2))
def test_units_are_notable_beyond_two_per_cent(entered: Decimal, measured: Decimal) -> None:
    found = units_difference(entered, measured)
    assert found.is_notable == (abs(entered - measured) / measured > Decimal("0.02"))
    assert units_difference(entered, None).difference_kwh is None
