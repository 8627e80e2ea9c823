"""The bills of a year without words: the same paisa, line by line, as the explained bills."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.annual.bills import annual_amounts, annual_bills, prepare_tariff
from cloud.billing.rules.annual.units import BillUnits, monthly_periods
from cloud.billing.rules.annual.year import BillsBefore, BillYear, SiteTerms
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import (
    Adjustment,
    AdjustmentKind,
    Band,
    ExportScheme,
    ExportTerms,
    FixedBasis,
    LineKind,
    Plan,
    PricingRule,
    QtaSplit,
    Slab,
)
from cloud.billing.rules.month import Month

D = Decimal
rates = st.decimals(min_value=-3, max_value=60, places=4)
prices = st.decimals(min_value=0, max_value=60, places=4)
charges = st.one_of(st.none(), st.just(D(0)), st.decimals(min_value=0, max_value=2000, places=2))
percents = st.decimals(min_value=0, max_value=20, places=2)
shares = st.sampled_from([None, D("0.25"), D("0.5"), D(1)])
kinds = st.frozensets(st.sampled_from(LineKind))


@st.composite
def slab_tables(draw: st.DrawFn) -> tuple[Slab, ...]:
    tops: list[Any] = sorted(draw(st.sets(st.integers(1, 1000), max_size=5)))
    if not tops or draw(st.booleans()):
        tops.append(None)
    return tuple(
        Slab(
            None if top is None else D(top),
            draw(st.one_of(st.none(), prices) if draw(st.booleans()) else prices),
            draw(charges),
        )
        for top in tops
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any tariff that needs no schedule."""
    rule = draw(st.sampled_from([rule for rule in PricingRule if rule is not PricingRule.SCHEDULE]))
    maybe = st.one_of(st.none(), rates)
    return Plan(
        code="any",
        category=draw(st.sampled_from(["residential_unprotected", "commercial"])),
        pricing_rule=rule,
        source="test",
        slabs=draw(slab_tables()),
        flat_rate=draw(prices),
        peak_rate=draw(prices),
        off_peak_rate=draw(prices),
        fixed_basis=draw(st.sampled_from(FixedBasis)),
        slab_fixed=draw(st.booleans()),
        fixed_charge=draw(charges),
        demand_share=draw(shares),
        demand_history_months=draw(st.integers(0, 3)),
        demand_history_share=draw(shares),
        minimum_charge=draw(charges),
        minimum_charge_per_kw=draw(st.sampled_from([None, None, None, D(75)])),
        qta_split=draw(st.sampled_from(QtaSplit)),
        demand_charge_per_kw=draw(st.one_of(st.none(), prices)),
        meter_rent=draw(charges),
        fallback_fpa=draw(maybe),
        fallback_qta=draw(maybe),
        fallback_duty_percent=draw(st.one_of(st.none(), percents)),
        fallback_gst_percent=draw(st.one_of(st.none(), percents)),
        fallback_tv_fee=draw(charges),
        fallback_export_rate=draw(st.one_of(st.none(), prices)),
        duty_base=draw(kinds),
        gst_base=draw(kinds),
        income_tax_base=draw(kinds),
        fca_lag_months=draw(st.integers(0, 3)),
        expects=draw(st.frozensets(st.sampled_from(AdjustmentKind))),
    )


@st.composite
def records(draw: st.DrawFn) -> Adjustment:
    """Any dated record of 2025 to 2027."""
    kind = draw(st.sampled_from(AdjustmentKind))
    first = draw(st.dates(date(2025, 6, 1), date(2027, 2, 1)))
    scopes: list[st.SearchStrategy[frozenset[str]]] = [
        st.sampled_from([frozenset(), frozenset({"lesco"})]),
        st.sampled_from([frozenset(), frozenset({"punjab"})]),
        st.sampled_from([frozenset(), frozenset({"residential_unprotected"})]),
        st.sampled_from([frozenset(), frozenset({"commercial"})]),
    ]
    banded = kind in {AdjustmentKind.MUNICIPAL, AdjustmentKind.INCOME_TAX}
    tops: list[Any] = sorted(draw(st.sets(st.integers(0, 30_000), max_size=3)))
    bands = [
        Band(
            None if top is None else D(top),
            draw(prices).quantize(D("0.01")),
            draw(percents),
            D(draw(st.integers(0, 500))),
        )
        for top in ([*tops, None] if draw(st.booleans()) or not tops else tops)
    ]
    return Adjustment(
        kind=kind,
        effective_from=first,
        effective_to=draw(st.one_of(st.none(), st.integers(0, 200).map(lambda days: first + timedelta(days=days)))),
        source="test",
        rate=None if banded else draw(percents if kind in {AdjustmentKind.DUTY, AdjustmentKind.GST} else rates),
        bands=tuple(bands) if banded else (),
        disco_providers=draw(scopes[0]),
        provinces=draw(scopes[1]),
        categories=draw(scopes[2]),
        excluded_categories=draw(scopes[3]),
    )


@st.composite
def bill_units(draw: st.DrawFn) -> BillUnits:
    imported, exported = draw(st.integers(0, 1200_000)), draw(st.integers(0, 1200_000))
    peak, given = draw(st.integers(0, imported)), draw(st.integers(0, exported))
    demand = draw(st.integers(0, 20_000))
    return BillUnits(imported * 1000, peak * 1000, exported * 1000, given * 1000, demand * 1000)


@st.composite
def terms(draw: st.DrawFn) -> SiteTerms:
    return SiteTerms(
        disco_provider=draw(st.sampled_from(["lesco", "kelectric"])),
        province=draw(st.sampled_from(["punjab", "sindh", None])),
        sanctioned_load_kw=draw(st.one_of(st.none(), st.decimals(1, 60, places=2))),
        export_scheme=draw(st.sampled_from(ExportScheme)),
        export_terms=ExportTerms(levies_on_import=draw(st.booleans()), credit_limited=draw(st.booleans())),
        active_taxpayer=draw(st.booleans()),
    )


starts = st.builds(
    BillsBefore,
    billed_units=st.dictionaries(
        st.sampled_from([Month(2025, 10), Month(2025, 11), Month(2025, 12)]), st.decimals(0, 900, places=3)
    ),
    ledger_kwh=st.decimals(0, 300, places=3),
    ledger_peak_kwh=st.decimals(0, 100, places=3),
    demand_kw=st.dictionaries(st.sampled_from([Month(2025, 11), Month(2025, 12)]), st.decimals(0, 40, places=3)),
)


def _both_ways(
    versions: tuple[Plan, ...], site: SiteTerms, units: list[BillUnits], *, dated: list[Adjustment], before: BillsBefore
) -> tuple[Any, Any]:
    year = BillYear(site, periods=monthly_periods(2026)[: len(units)], adjustments=dated)
    tariff = prepare_tariff(versions, year)
    try:
        bills = annual_bills(versions, year, units, before=before)
    except BillingError as error:
        with pytest.raises(type(error)) as found:
            annual_amounts(tariff, units, before=before)
        return str(error), str(found.value)
    amounts = annual_amounts(tariff, units, before=before)
    long = [
        ([(line.kind, line.amount_pkr) for line in b.lines], b.total_pkr, b.billed_kwh, b.ledger_kwh, b.ledger_peak_kwh)
        for b in bills
    ]
    short = [
        (
            [(kind, None if paisa is None else D(paisa) / 100) for kind, paisa in a.lines],
            D(a.total) / 100,
            D(a.billed) / 10**6,
            D(a.surplus.off_peak) / 10**6,
            D(a.surplus.peak) / 10**6,
        )
        for a in amounts
    ]
    return long, short


@settings(max_examples=3 * settings().max_examples // 2)
@given(plans(), terms(), st.lists(bill_units(), min_size=1, max_size=5), st.lists(records(), max_size=12), starts)
def test_amounts_are_those_of_the_explained_bills(
    plan: Plan, site: SiteTerms, units: list[BillUnits], dated: list[Adjustment], before: BillsBefore
) -> None:
    long, short = _both_ways((plan,), site, units, dated=dated, before=before)
    assert long == short


@settings(max_examples=min(40, settings().max_examples))
@given(plans(), plans(), st.integers(0, 100), terms(), st.lists(bill_units(), min_size=3, max_size=3))
def test_a_tariff_that_changes_within_the_year(
    before: Plan, after: Plan, day: int, site: SiteTerms, units: list[BillUnits]
) -> None:
    change = date(2025, 12, 25) + timedelta(days=day)
    versions = (replace(before, effective_to=change - timedelta(days=1)), replace(after, effective_from=change))
    long, short = _both_ways(versions, site, units, dated=[], before=BillsBefore())
    assert long == short


CATALOGUE = read_catalogue()
IN_FORCE = [p.plan() for p in CATALOGUE.plans if p.in_force(date(2026, 6, 1)) and p.rates.get("slabs", True)]


@given(st.sampled_from(IN_FORCE), terms(), st.lists(bill_units(), min_size=12, max_size=12), starts)
@settings(max_examples=min(40, settings().max_examples))
def test_the_tariffs_in_force(plan: Plan, site: SiteTerms, units: list[BillUnits], before: BillsBefore) -> None:
    long, short = _both_ways((plan,), site, units, dated=list(CATALOGUE.adjustments), before=before)
    assert long == short


@pytest.mark.parametrize("plan", IN_FORCE, ids=lambda plan: plan.code)
def test_the_tariffs_in_force_need_no_explained_bill(plan: Plan) -> None:
    site = SiteTerms("kelectric", "sindh", D(8), ExportScheme.NET_BILLING_2026)
    periods = tuple(p for p in monthly_periods(2026) if p[0] > date(2026, 2, 28))
    tariff = prepare_tariff((plan,), BillYear(site, periods=periods, adjustments=CATALOGUE.adjustments))
    assert all(bill is not None for bill in tariff.bills)
