"""A year of bills: what goes from one into the next, which rates are estimates, and what is said about it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.errors import BillingError, MissingInputError
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    BillingCase,
    ExportScheme,
    LineKind,
    Plan,
    RateStatus,
)
from cloud.billing.rules.month import Month
from cloud.billing.rules.outlook.held_rates import held_adjustments, plans_in
from cloud.billing.rules.outlook.notes import Confidence, assumptions_of, trust_of
from cloud.billing.rules.outlook.profile import Basis, MeasuredMonth, Quarter, YearOutlook, days_of
from cloud.billing.rules.outlook.projection import (
    Connection,
    Projection,
    Rates,
    YearBefore,
    last_day_of,
    months_from,
    project_year,
)

D = Decimal
CATALOGUE = read_catalogue()
PLANS: dict[str, list[Plan]] = {}
for record in CATALOGUE.plans:
    PLANS.setdefault(record.category, []).append(record.plan())
RATES = Rates(PLANS, CATALOGUE.adjustments)
HOME = Connection("kelectric", "residential_unprotected", "sindh", sanctioned_load_kw=D(5), phases=1)
FIRST = Month(2026, 11)
NOON, EVENING = 48, 76


def year(imported: Sequence[int], exported: Sequence[int] = (0,) * 12) -> tuple[MeasuredMonth, ...]:
    """Measured months from November 2025 on: import in the evening and export at noon, kWh a month."""
    found = []
    for month, kwh, out in zip(months_from(Month(2025, 11)), imported, exported, strict=True):
        day_in, day_out = (D(value) * 1000 / days_of(month) for value in (kwh, out))
        noon = Quarter(NOON, day_out * 2, day_out, D(0), day_out)
        found.append(MeasuredMonth(month, (noon, Quarter(EVENING, D(0), day_in, day_in, D(0))), 100.0))
    return tuple(found)


def outlook(imported: Sequence[int], exported: Sequence[int] = (0,) * 12) -> YearOutlook:
    return YearOutlook(year(imported, exported), "kelectric")


def projected(
    imported: Sequence[int], exported: Sequence[int] = (0,) * 12, *, connection: Connection = HOME, **before: object
) -> Projection:
    history = YearBefore(**before)  # type: ignore[arg-type]  # the names are the class's own
    return project_year(FIRST, outlook(imported, exported), connection=connection, before=history, rates=RATES)


def test_twelve_months_from_the_first_one() -> None:
    done = projected([300] * 12)
    assert [str(month.energy.month) for month in done.months][::11] == ["2026-11", "2027-10"]
    assert last_day_of(Month(2028, 2)) == date(2028, 2, 29)
    assert done.count(Basis.MEASURED) == 12
    assert done.energy_kwh("imported") == 3600


def test_a_month_is_the_bill_of_its_energy_with_what_went_before() -> None:
    done = projected([300, 310, 350] + [300] * 9, billed_units={Month(2026, 9): D(280), Month(2026, 10): D(290)})
    case = BillingCase(
        period_start=date(2027, 1, 1),
        period_end=date(2027, 1, 31),
        imported_kwh=D(350),
        imported_peak_kwh=D(350),
        disco_provider="kelectric",
        province="sindh",
        sanctioned_load_kw=D(5),
        phases=1,
        billed_units={Month(2026, 11): D(300)},
    )
    alone = price_bill(PLANS["residential_unprotected"][-1], case, held_adjustments(CATALOGUE.adjustments))
    assert done.months[2].with_solar.total_pkr == alone.total_pkr
    fuel = next(line for line in done.months[2].with_solar.lines if line.kind is LineKind.FPA)
    assert fuel.quantity == 300
    first = next(line for line in done.months[0].with_solar.lines if line.kind is LineKind.FPA)
    assert first.quantity == 280


def test_rates_that_are_not_notified_yet_are_the_latest_known_and_marked() -> None:
    done = projected([300] * 12)
    november, december = done.months[:2]
    assert LineKind.QTA not in november.estimated_lines
    assert {LineKind.QTA, LineKind.FPA} <= set(december.estimated_lines)
    quarterly = next(line for line in december.with_solar.lines if line.kind is LineKind.QTA)
    assert (quarterly.rate, quarterly.status) == (D("0.5194"), RateStatus.ESTIMATED)
    assert "2026-09" in quarterly.source
    assert "held" in quarterly.source
    assert november.pending_lines == december.pending_lines == ()


def test_what_was_dropped_does_not_come_back() -> None:
    held = held_adjustments(CATALOGUE.adjustments)
    added = held[len(CATALOGUE.adjustments) :]
    assert {record.kind for record in added} == {AdjustmentKind.FCA, AdjustmentKind.QTA}
    assert all(record.effective_to is None and record.status is RateStatus.ESTIMATED for record in added)
    assert not any(record.covers(date(2027, 1, 1)) for record in held if record.kind is AdjustmentKind.TV_FEE)


def test_each_scope_holds_its_own_latest_rate() -> None:
    def record(rate: str, first: date, last: date | None, disco: str) -> Adjustment:
        return Adjustment(AdjustmentKind.QTA, first, last, "s", D(rate), disco_providers=frozenset({disco}))

    one = record("1", date(2026, 1, 1), date(2026, 3, 31), "lesco")
    two = record("2", date(2026, 4, 1), date(2026, 6, 30), "lesco")
    other = record("3", date(2026, 1, 1), date(2026, 3, 31), "kelectric")
    open_ended = replace(other, effective_from=date(2026, 4, 1), effective_to=None)
    added = held_adjustments([two, one, other])[3:]
    assert {(min(r.disco_providers), r.rate, r.effective_from) for r in added} == {
        ("lesco", D(2), date(2026, 7, 1)),
        ("kelectric", D(3), date(2026, 4, 1)),
    }
    assert held_adjustments([other, open_ended]) == (other, open_ended)


def test_a_tariff_that_has_ended_is_held_and_one_that_begins_too_late_is_refused() -> None:
    old = replace(PLANS["residential_unprotected"][-1], effective_to=date(2026, 12, 15))
    held = plans_in([old], date(2026, 12, 1), date(2026, 12, 31), category="home")
    assert [(plan.effective_from, plan.status) for plan in held] == [
        (date(2026, 2, 12), RateStatus.VERIFIED),
        (date(2026, 12, 16), RateStatus.ESTIMATED),
    ]
    later = plans_in([old], date(2027, 1, 1), date(2027, 1, 31), category="home")
    assert [(plan.effective_from, plan.status) for plan in later] == [(date(2027, 1, 1), RateStatus.ESTIMATED)]
    follower = replace(old, effective_from=date(2026, 12, 16), effective_to=None)
    assert plans_in([follower, old], date(2026, 12, 1), date(2026, 12, 31), category="home") == (old, follower)
    with pytest.raises(BillingError, match="no tariff of home is on record for 2026-02-01"):
        plans_in([old], date(2026, 2, 1), date(2026, 2, 28), category="home")
    with pytest.raises(BillingError, match="no tariff of palace"):
        plans_in([], date(2026, 2, 1), date(2026, 2, 28), category="palace")


def test_a_tariff_that_changes_inside_a_month_is_split() -> None:
    old = replace(PLANS["residential_unprotected"][-1], effective_to=date(2026, 11, 15))
    new = replace(
        old, effective_from=date(2026, 11, 16), effective_to=None, slabs=PLANS["residential_unprotected"][-2].slabs
    )
    rates = Rates({"residential_unprotected": [old, new]}, CATALOGUE.adjustments)
    done = project_year(FIRST, outlook([350] * 12), connection=HOME, before=YearBefore(), rates=rates)
    energy = [line for line in done.months[0].with_solar.lines if line.kind is LineKind.ENERGY]
    assert {line.rate for line in energy} == {D("36.46"), D("37.99")}


def test_the_surplus_of_net_metering_waits_for_the_quarter_s_end() -> None:
    metered = replace(HOME, export_scheme=ExportScheme.NET_METERING_2015)
    done = projected([100] * 12, [200, 0, 0, 150] + [100] * 8, connection=metered, ledger_kwh=D(50))
    november, december, january = done.months[:3]
    # 50 brought forward and 100 more: 150 stand, December takes 100 and the rest is paid.
    assert november.with_solar.ledger_kwh == 150
    assert november.with_solar.billed_kwh == december.with_solar.billed_kwh == 0
    paid = next(line for line in december.with_solar.lines if line.kind is LineKind.EXPORT_CREDIT)
    assert (paid.quantity, paid.amount_pkr) == (50, D("-1266.00"))
    assert december.export_income_pkr == D("1266.00")
    assert january.with_solar.billed_kwh == 100
    assert done.ledger_kwh == 0


def test_net_billing_credits_every_exported_unit() -> None:
    billed = replace(HOME, export_scheme=ExportScheme.NET_BILLING_2026)
    done = projected([300] * 12, [100] * 12, connection=billed)
    assert done.export_income_pkr == 12 * D("813.00")
    assert done.savings_pkr == done.without_solar_pkr - done.with_solar_pkr == sum(m.savings_pkr for m in done.months)
    assert done.savings_pkr > done.export_income_pkr


def test_a_protected_home_is_lost_without_solar_and_kept_with_it() -> None:
    protected = replace(HOME, category="residential_protected", sanctioned_load_kw=D(2))
    done = projected([150] * 12, [100] * 12, connection=protected)
    assert {month.category for month in done.months} == {"residential_protected"}
    assert {month.category_without_solar for month in done.months} == {"residential_unprotected"}
    over = projected([150, 150, 210] + [150] * 9, connection=protected)
    lost = [month.category == "residential_unprotected" for month in over.months]
    # January's 210 kWh count in January and in the six months after it.
    assert lost == [False, False, True, True, True, True, True, True, True, False, False, False]


def test_time_of_use_is_priced_by_hours_and_demand() -> None:
    business = Connection("kelectric", "tou_commercial", "sindh", sanctioned_load_kw=D(60), phases=3)
    done = projected([3_100] * 12, [1_000] * 12, connection=business)
    first = done.months[0]
    assert {portion.label for portion in first.with_solar.portions} >= {"peak"}
    assert first.energy.max_demand_kw is not None
    fixed = next(line for line in first.with_solar.lines if line.kind is LineKind.FIXED)
    assert fixed.quantity == max(D(15), first.energy.max_demand_kw)


def test_without_sun_both_bills_are_the_same() -> None:
    done = projected([300] * 12)
    assert done.savings_pkr == 0
    assert all(m.with_solar.total_pkr == m.without_solar.total_pkr for m in done.months)


def test_what_is_not_known_of_the_months_before_is_said() -> None:
    done = projected([300] * 12, billed_units={Month(2026, 10): D(290)})
    assert done.guessed_history == (Month(2026, 9),)
    words = " ".join(assumptions_of(done, outlook([300] * 12)))
    assert "Units of 2026-09 are not known" in words
    known = projected([300] * 12, billed_units={FIRST.back(n): D(290) for n in range(1, 13)})
    assert known.guessed_history == ()
    assert "not known" not in " ".join(assumptions_of(known, outlook([300] * 12)))


def test_how_far_it_can_be_trusted() -> None:
    sure = projected([290] * 12)
    assert trust_of(sure).level is Confidence.HIGH
    assert "12 measured, 0 scaled, 0 assumed" in trust_of(sure).note
    assert "fpa in" in trust_of(sure).note
    assert trust_of(sure).estimated_pkr > 0
    over_municipal = projected([500] * 12)
    assert "municipal" in trust_of(over_municipal).note
    assert trust_of(over_municipal).level is Confidence.MEDIUM
    one = YearOutlook(year([300] * 12)[:1], "kelectric")
    rough = project_year(FIRST, one, connection=HOME, before=YearBefore(), rates=RATES)
    assert trust_of(rough).level is Confidence.LOW
    assert any("nearest measured month" in text for text in assumptions_of(rough, one))


def test_every_kind_of_assumption_is_said() -> None:
    given = YearOutlook([], "kelectric", consumption_kwh=[D(300)] * 12)
    done = project_year(FIRST, given, connection=HOME, before=YearBefore(), rates=RATES)
    assert any("evenly over the day" in text for text in assumptions_of(done, given))
    shares = {n: [D(1) / 96] * 96 for n in range(1, 13)}
    new = replace(given, yield_kwh_per_kwp=[D(120)] * 12, system_kwp=D(2), day_shares=shares)
    built = project_year(FIRST, new, connection=HOME, before=YearBefore(), rates=RATES)
    assert built.energy_kwh("generated") == 2_880
    assert any("height of the sun" in text for text in assumptions_of(built, new))
    yields = YearOutlook(year([300] * 12, [100] * 12)[:3], "kelectric", yield_kwh_per_kwp=[D(120)] * 12)
    scaled = project_year(FIRST, yields, connection=HOME, before=YearBefore(), rates=RATES)
    assert any("expected monthly yields" in text for text in assumptions_of(scaled, yields))


def test_what_was_not_measured_of_the_months_that_are_used_is_said() -> None:
    known = year([300] * 12, [100] * 12)
    thin = replace(known[0], has_consumption=False, has_export=False)
    blind = YearOutlook((thin, *known[1:]), "kelectric")
    done = project_year(FIRST, blind, connection=HOME, before=YearBefore(), rates=RATES)
    words = assumptions_of(done, blind)
    assert any("consumption was not measured" in text for text in words)
    assert any("export was not measured" in text for text in words)
    unused = YearOutlook((replace(thin, month=Month(2024, 11)), *known), "kelectric")
    again = project_year(FIRST, unused, connection=HOME, before=YearBefore(), rates=RATES)
    assert not any("not measured" in text for text in assumptions_of(again, unused))


def test_a_value_that_the_tariff_needs_is_named() -> None:
    with pytest.raises(MissingInputError) as caught:
        projected([300] * 12, connection=replace(HOME, sanctioned_load_kw=None))
    assert caught.value.field == "sanctioned_load_kw"
