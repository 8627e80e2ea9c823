"""Exports: no unit is lost or counted twice, hours stay apart, a credit is income and nothing else."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.bill import price_bill, without_solar
from cloud.billing.rules.export import net_units, pays_surplus
from cloud.billing.rules.model import Bill, BillingCase, ExportScheme, ExportTerms, LineKind, Plan
from cloud.billing.rules.month import Month

CATALOGUE = read_catalogue()
PLANS = tuple(r.plan() for r in CATALOGUE.plans if r.effective_to is None and r.category != "residential_protected")
PRICED = tuple(plan for plan in PLANS if plan.category not in {"industrial_b4", "residential_lifeline"})

kwh = st.decimals(min_value=0, max_value=500, places=2)
terms = st.builds(ExportTerms, levies_on_import=st.booleans(), credit_limited=st.booleans())


@st.composite
def cases(draw: st.DrawFn) -> BillingCase:
    """Units of both directions and of all hours, any scheme and terms, any month, a surplus brought forward."""
    start = draw(st.dates(date(2026, 2, 12), date(2028, 12, 31)))
    peak_in, off_in, peak_out, off_out = (draw(kwh) for _ in range(4))
    return BillingCase(
        period_start=start,
        period_end=start + timedelta(days=draw(st.integers(27, 32))),
        imported_kwh=peak_in + off_in,
        imported_peak_kwh=peak_in,
        exported_kwh=peak_out + off_out,
        exported_peak_kwh=peak_out,
        disco_provider="lesco",
        province=draw(st.sampled_from(["sindh", "punjab"])),
        sanctioned_load_kw=draw(st.decimals(min_value=1, max_value=20, places=1)),
        max_demand_kw=draw(st.decimals(min_value=0, max_value=30, places=1)),
        billed_units={Month(2026, month): draw(kwh) for month in (5, 6, 7)},
        export_scheme=draw(st.sampled_from(ExportScheme)),
        export_terms=draw(terms),
        ledger_kwh=draw(kwh),
        ledger_peak_kwh=draw(kwh),
        active_taxpayer=draw(st.booleans()),
    )


@given(cases())
def test_hours_are_netted_apart(case: BillingCase) -> None:
    """In each kind of hours: imported = billed + exported + brought forward - carried, and never billed and carried at once."""
    netted = replace(case, export_scheme=ExportScheme.NET_METERING_2015)
    found = net_units(netted, by_hours=True)
    assert case.imported_peak_kwh is not None
    assert found.billed_peak_kwh is not None
    peak = (found.billed_peak_kwh, found.ledger_peak_kwh)
    off_peak = (found.billed_kwh - found.billed_peak_kwh, found.ledger_kwh)
    assert peak[0] - peak[1] == case.imported_peak_kwh - case.exported_peak_kwh - case.ledger_peak_kwh
    off_in, off_out = case.imported_kwh - case.imported_peak_kwh, case.exported_kwh - case.exported_peak_kwh
    assert off_peak[0] - off_peak[1] == off_in - off_out - case.ledger_kwh
    for billed, carried in (peak, off_peak):
        assert min(billed, carried) == 0


@given(st.sampled_from(PRICED), cases())
def test_what_was_given_is_carried_or_paid_once(plan: Plan, case: BillingCase) -> None:
    netted = replace(case, export_scheme=ExportScheme.NET_METERING_2015)
    bill = price_bill(plan, netted, CATALOGUE.adjustments)
    paid = sum((line.quantity or Decimal(0) for line in bill.lines if line.kind is LineKind.EXPORT_CREDIT), Decimal(0))
    carried = bill.ledger_kwh + bill.ledger_peak_kwh
    brought = case.ledger_kwh + case.ledger_peak_kwh
    assert bill.billed_kwh - paid - carried == case.imported_kwh - case.exported_kwh - brought
    assert not (paid and carried)
    assert not (carried and pays_surplus(netted))


@given(st.sampled_from(PRICED), cases())
def test_a_credit_is_in_no_base_and_counted_once(plan: Plan, case: BillingCase) -> None:
    billed = replace(case, export_scheme=ExportScheme.NET_BILLING_2026)
    plain = replace(billed, exported_kwh=Decimal(0), exported_peak_kwh=Decimal(0))
    credited, bare = (price_bill(plan, c, CATALOGUE.adjustments) for c in (billed, plain))
    others = set(LineKind) - {LineKind.EXPORT_CREDIT}
    assert [x for x in credited.lines if x.kind in others] == [x for x in bare.lines if x.kind in others]
    credit = credited.amount(LineKind.EXPORT_CREDIT)
    assert credited.total_pkr == bare.total_pkr + credit
    assert credit <= 0
    if case.export_terms.credit_limited:
        assert credited.total_pkr >= min(bare.total_pkr, Decimal(0))


@given(st.sampled_from(PRICED), cases())
def test_exporting_more_never_costs(plan: Plan, case: BillingCase) -> None:
    """Off-peak: what is exported more lowers the bill or what comes after it, by whatever scheme."""
    more = replace(case, exported_kwh=case.exported_kwh + 10)
    less_given, more_given = (price_bill(plan, c, CATALOGUE.adjustments) for c in (case, more))
    assert _unless_band(more_given) <= _unless_band(less_given)


def _unless_band(bill: Bill) -> Decimal:
    # Income tax steps down at 20,000 rupees, Karachi's municipal charge is not on record everywhere: both are bands of their own.
    kinds = set(LineKind) - {LineKind.INCOME_TAX, LineKind.MUNICIPAL}
    return bill.amount(*kinds)


@given(st.sampled_from(PRICED), cases())
def test_without_solar_nothing_differs_from_a_site_that_has_none(plan: Plan, case: BillingCase) -> None:
    dark = without_solar(case, case.imported_kwh, consumed_peak_kwh=case.imported_peak_kwh)
    none = replace(dark, export_scheme=ExportScheme.NONE)
    with_scheme, never_had = (price_bill(plan, c, CATALOGUE.adjustments) for c in (dark, none))
    assert with_scheme.lines == never_had.lines
    assert with_scheme.total_pkr == never_had.total_pkr
    assert with_scheme.ledger_kwh == with_scheme.ledger_peak_kwh == 0
