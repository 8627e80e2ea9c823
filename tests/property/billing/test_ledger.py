"""The ledger of surplus units against the bills that it comes from."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.ledger import LedgerEntry, Moves, ledger_entry, opens_quarter
from cloud.billing.rules.model import BillingCase, ExportScheme, Plan, PricingRule
from cloud.billing.rules.month import Month

kwh = st.decimals(0, 2000, places=3)
FLAT = Plan(code="flat", category="residential", pricing_rule=PricingRule.FLAT, source="test", flat_rate=Decimal(30))
TOU = Plan(
    code="tou",
    category="residential",
    pricing_rule=PricingRule.TOU,
    source="test",
    peak_rate=Decimal(45),
    off_peak_rate=Decimal(35),
    fallback_export_rate=Decimal("25.32"),
)


@st.composite
def cases(draw: st.DrawFn) -> BillingCase:
    """A bill of net metering with units of peak hours."""
    month = draw(st.integers(1, 12))
    peaks, rest = [draw(kwh) for _ in range(2)], [draw(kwh) for _ in range(2)]
    return BillingCase(
        period_start=date(2026, month, 1),
        period_end=date(2026, month, 28),
        disco_provider="lesco",
        imported_kwh=peaks[0] + rest[0],
        imported_peak_kwh=peaks[0],
        exported_kwh=peaks[1] + rest[1],
        exported_peak_kwh=peaks[1],
        ledger_kwh=draw(kwh),
        ledger_peak_kwh=draw(kwh),
        export_scheme=ExportScheme.NET_METERING_2015,
    )


def _entry(plan: Plan, case: BillingCase) -> LedgerEntry:
    made = ledger_entry(case, price_bill(plan, case), by_hours=plan is TOU)
    assert made is not None
    return made


def _check(moves: Moves) -> None:
    assert moves.carried == moves.brought + moves.added - moves.used - moves.paid
    assert min(moves.brought, moves.added, moves.used, moves.paid, moves.carried) >= 0
    assert not (moves.added and moves.used)
    assert not (moves.paid and moves.carried)


@given(cases())
def test_the_entry_says_what_the_bill_did_with_hours(case: BillingCase) -> None:
    bill, entry = price_bill(TOU, case), _entry(TOU, case)
    for moves in (entry.peak, entry.off_peak):
        _check(moves)
    assert (entry.peak.brought, entry.off_peak.brought) == (case.ledger_peak_kwh, case.ledger_kwh)
    assert (entry.peak.carried, entry.off_peak.carried) == (bill.ledger_peak_kwh, bill.ledger_kwh)
    used = entry.peak.used + entry.off_peak.used
    added = entry.peak.added + entry.off_peak.added
    assert bill.billed_kwh == case.imported_kwh - case.exported_kwh - used + added


@given(cases())
def test_the_entry_says_what_the_bill_did_without_hours(case: BillingCase) -> None:
    bill, entry = price_bill(FLAT, case), _entry(FLAT, case)
    _check(entry.off_peak)
    assert entry.peak == Moves()
    assert entry.off_peak.brought == case.ledger_kwh + case.ledger_peak_kwh
    assert entry.off_peak.carried == bill.ledger_kwh + bill.ledger_peak_kwh
    assert bill.billed_kwh == case.imported_kwh - case.exported_kwh - entry.off_peak.used + entry.off_peak.added


@given(cases())
def test_a_quarter_begins_with_nothing(case: BillingCase) -> None:
    entry = _entry(TOU, case)
    if opens_quarter(case.month.back(-1)):
        assert entry.peak.carried + entry.off_peak.carried == 0


@given(cases())
def test_without_net_metering_there_is_no_ledger(case: BillingCase) -> None:
    other = BillingCase(case.period_start, case.period_end, case.imported_kwh, case.disco_provider)
    assert ledger_entry(other, price_bill(FLAT, other), by_hours=False) is None


def test_quarters_open_in_january_april_july_and_october() -> None:
    assert [month for month in range(1, 13) if opens_quarter(Month(2026, month))] == [1, 4, 7, 10]
