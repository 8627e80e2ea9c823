"""A real bill as if it had been printed otherwise: the reason is found where there is one, and only there."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.model import BillingCase, ExportScheme, LineKind, Plan
from cloud.billing.rules.month import Month
from cloud.billing.rules.paper.difference import Difference, EnteredBill, LineDifference, difference_of, entered_of
from cloud.billing.rules.paper.reasons import Context

D = Decimal
CATALOGUE = read_catalogue()
PLANS: dict[str, Plan] = {p.category: p.plan() for p in CATALOGUE.plans if p.effective_to is None}
OLD = next(p for p in CATALOGUE.plans if p.effective_from == date(2025, 7, 1)).plan()
HOME = PLANS["residential_unprotected"]
# K-Electric, 5 August to 4 September 2026: 14,482.29.
REAL = BillingCase(
    date(2026, 8, 5),
    date(2026, 9, 4),
    D(262),
    "kelectric",
    province="sindh",
    sanctioned_load_kw=D(5),
    billed_units={Month(2026, 7): D(608)},
)
BILL = price_bill(HOME, REAL, CATALOGUE.adjustments)
HISTORY = {Month(2026, 7): D(608), Month(2026, 8): D(410)}


def _compare(amounts: Mapping[LineKind, Decimal], total: str | None = None, *, case: BillingCase = REAL) -> Difference:
    bill = price_bill(HOME, case, CATALOGUE.adjustments)
    printed = {**entered_of(bill).amounts, **amounts}
    entered = EnteredBill(case.imported_kwh, sum(printed.values()) if total is None else D(total), printed)
    context = Context(
        HOME,
        case,
        CATALOGUE.adjustments,
        other_plans=(PLANS["residential_protected"], OLD),
        measured_kwh=D(271),
        history=HISTORY,
    )
    return difference_of(entered, bill, context)


def _line(found: Difference, kind: LineKind) -> LineDifference:
    return next(line for line in found.lines if line.kind is kind)


@pytest.mark.parametrize(
    ("kind", "printed", "code", "words"),
    [
        # 271 kWh x 33.10, the readings; 608 x 41.85, July's bill; 240 x 33.10; then nothing that fits.
        (LineKind.ENERGY, "8970.10", "other_units", "271 kWh, the units of the site's readings"),
        (LineKind.ENERGY, "25444.80", "other_units", "608 kWh, the units of the bill of 2026-07"),
        (LineKind.ENERGY, "7944.00", "other_units", "240 kWh"),
        # 5 kW x 300: the slab below; 6 kW x 350.
        (LineKind.FIXED, "1500.00", "other_slab", "300 PKR"),
        (LineKind.FIXED, "2100.00", "other_load", "6 kW of sanctioned load"),
        # 608 x 0.7503, June's charge; 410 x 2.0581; 500 x 2.0581.
        (LineKind.FPA, "456.18", "fca_of_another_month", "fuel charge of 2026-06"),
        (LineKind.FPA, "843.82", "fca_of_another_month", "410 kWh of 2026-08"),
        (LineKind.FPA, "1029.05", "other_units", "fits 500 kWh"),
        # 262 x -1.9857; 30 of 31 days; 262 x 0.5194.
        (LineKind.QTA, "-520.25", "days", "all units at -1.9857"),
        (LineKind.QTA, "136.08", "days", "all units at 0.5194"),
        (LineKind.QTA, "-414.39", "days", "5 of 31 days"),
        (LineKind.SURCHARGE, "807.50", "other_units", "fits 250 kWh"),
        (LineKind.DUTY, "0.00", "not_charged", "was not charged"),
        (LineKind.DUTY, "206.68", "other_rate", "2 %"),
        (LineKind.GST, "2078.72", "other_rate", "%"),
        (LineKind.INCOME_TAX, "100.00", "no_such_line", "no such line"),
        (LineKind.MUNICIPAL, "200.00", "unexplained", "No reason"),
        (LineKind.FPA, "1250.90", "rounding", "rounding"),
    ],
)
def test_reasons(kind: LineKind, printed: str, code: str, words: str) -> None:
    line = _line(_compare({kind: D(printed)}), kind)
    assert line.difference_pkr == D(printed) - BILL.amount(kind)
    assert line.reason is not None
    assert (line.reason.code, words in line.reason.words) == (code, True), line.reason.words


def test_another_tariff_is_recognised() -> None:
    # 262 kWh in the 201-300 slab cost the same in both versions; its fixed charge was 0 then.
    case = replace(REAL, imported_kwh=D(350))
    energy = price_bill(OLD, case).amount(LineKind.ENERGY)
    line = _line(_compare({LineKind.ENERGY: energy}, case=case), LineKind.ENERGY)
    assert line.reason is not None
    assert (line.reason.code, OLD.code in line.reason.words) == ("other_tariff", True)


def test_taxes_follow_the_lines_they_are_on() -> None:
    # Without the fuel charge: duty (155.01 - 18.77) and GST (2,203.06 - 228.62) fall with it.
    found = _compare({LineKind.FPA: D(0), LineKind.DUTY: D("136.24"), LineKind.GST: D("1974.44")})
    for kind in (LineKind.DUTY, LineKind.GST):
        reason = _line(found, kind).reason
        assert reason is not None
        assert reason.code == "follows"
    assert found.total_reason is not None
    assert found.total_reason.code == "lines"


def test_the_tax_of_another_taxpayer_status() -> None:
    case = replace(REAL, imported_kwh=D(690))
    other = price_bill(HOME, replace(case, active_taxpayer=False), CATALOGUE.adjustments)
    tax = other.amount(LineKind.INCOME_TAX)
    assert tax > 0
    reason = _line(_compare({LineKind.INCOME_TAX: tax}, case=case), LineKind.INCOME_TAX).reason
    assert reason is not None
    assert reason.code == "taxpayer_status"


def test_peak_units_of_another_clock() -> None:
    tou = PLANS["residential_tou"]
    case = replace(REAL, imported_peak_kwh=D(40), max_demand_kw=D(3))
    bill = price_bill(tou, case, CATALOGUE.adjustments)
    printed = 50 * D("46.85") + 212 * D("34.53")
    found = difference_of(
        EnteredBill(D(262), bill.total_pkr, {LineKind.ENERGY: printed}), bill, Context(tou, case, CATALOGUE.adjustments)
    )
    reason = _line(found, LineKind.ENERGY).reason
    assert reason is not None
    assert (reason.code, "50 kWh of peak hours" in reason.words) == ("other_peak_units", True)


def test_exports_of_another_meter() -> None:
    case = replace(REAL, exported_kwh=D(100), export_scheme=ExportScheme.NET_BILLING_2026)
    line = _line(_compare({LineKind.EXPORT_CREDIT: D("-731.70")}, case=case), LineKind.EXPORT_CREDIT)
    assert line.difference_pkr == D("81.30")
    assert line.reason is not None
    assert "fits 90 kWh" in line.reason.words


def test_a_line_that_is_not_on_record_is_said_to_be() -> None:
    case = replace(REAL, billed_units={})
    found = _compare({LineKind.FPA: D("777.77")}, case=case)
    line = _line(found, LineKind.FPA)
    assert (line.computed_pkr, line.difference_pkr) == (None, None)
    assert line.reason is not None
    assert line.reason.code in {"not_on_record", "other_units", "other_rate"}
    high = replace(REAL, imported_kwh=D(350))
    municipal = _line(_compare({LineKind.MUNICIPAL: D(60)}, case=high), LineKind.MUNICIPAL)
    assert municipal.reason is not None
    assert municipal.reason.code == "not_on_record"


@pytest.mark.parametrize(
    ("total", "other", "code"),
    [
        ("14482.29", "0", None),
        ("14482.00", "0", "rounding"),
        ("15482.29", "1000", None),
        ("15482.29", "0", "beside_the_lines"),
    ],
)
def test_the_total_beside_its_lines(total: str, other: str, code: str | None) -> None:
    entered = replace(entered_of(BILL), total_pkr=D(total), other_pkr=D(other))
    found = difference_of(entered, BILL, Context(HOME, REAL, CATALOGUE.adjustments))
    assert (found.total_reason.code if found.total_reason else None) == code


def test_a_total_alone() -> None:
    found = difference_of(EnteredBill(D(262), D("14900.00")), BILL, Context(HOME, REAL, CATALOGUE.adjustments))
    assert found.total_difference_pkr == D("417.71")
    assert found.total_reason is not None
    assert found.total_reason.code == "lines_unknown"
    assert all(line.entered_pkr is None and line.reason is None for line in found.lines)
    pending = price_bill(HOME, replace(REAL, billed_units={}), CATALOGUE.adjustments)
    other = difference_of(EnteredBill(D(262), D("14900.00")), pending, Context(HOME, REAL, CATALOGUE.adjustments))
    assert other.total_reason is not None
    assert other.total_reason.code == "not_on_record"


def test_lines_that_were_not_entered_are_named_when_others_were() -> None:
    amounts = {LineKind.ENERGY: D("8672.20")}
    found = difference_of(EnteredBill(D(262), D("14482.29"), amounts), BILL, Context(HOME, REAL, CATALOGUE.adjustments))
    fixed = _line(found, LineKind.FIXED)
    assert fixed.reason is not None
    assert (fixed.reason.code, fixed.difference_pkr) == ("not_entered", None)


def test_units_against_the_meter() -> None:
    found = _compare({})
    assert (found.units.difference_kwh, found.units.percent, found.units.is_notable) == (D(-9), D("-3.3"), True)
    assert found.is_nothing
