"""Bills of every kind of consumer, worked out by hand from the notified rates, line by line."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.catalogue import Catalogue, read_catalogue
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.model import Adjustment, AdjustmentKind, Bill, BillingCase, LineKind, RateStatus
from cloud.billing.rules.month import Month

D = Decimal
AUGUST = {"period_start": date(2026, 7, 5), "period_end": date(2026, 8, 4)}
JULY = {"period_start": date(2026, 6, 24), "period_end": date(2026, 7, 23)}
LESCO = {"disco_provider": "lesco", "province": "punjab"}
KE = {"disco_provider": "kelectric", "province": "sindh"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


def _priced(catalogue: Catalogue, category: str, **case: Any) -> Bill:
    given = BillingCase(**{**case, "billed_units": {Month.parse(m): D(u) for m, u in case["billed_units"].items()}})
    plan = next(p for p in catalogue.plans if p.category == category and p.in_force(given.period_end)).plan()
    return price_bill(plan, given, catalogue.adjustments)


def _amounts(bill: Bill) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in bill.lines:
        if line.amount_pkr is not None:
            found.setdefault(line.kind.value, []).append(str(line.amount_pkr))
    return found


KNOWN = [
    pytest.param(
        "residential_unprotected",
        {**AUGUST, **KE, "imported_kwh": D(608), "sanctioned_load_kw": D(5), "billed_units": {"2026-06": "433"}},
        {
            "energy": ["25444.80"],
            "fixed": ["3375.00"],
            "fpa": ["324.88"],
            "qta": ["-1207.31"],
            "surcharge": ["1963.84"],
            "duty": ["397.89"],
            "gst": ["5453.84"],
        },
        "35752.94",
        ["municipal"],
        id="home in slab 601-700, Karachi's charge above 300 units not on record",
    ),
    pytest.param(
        "residential_protected",
        {**AUGUST, **LESCO, "imported_kwh": D(150), "sanctioned_load_kw": D(2), "billed_units": {"2026-06": "180"}},
        {
            "energy": ["1054.00", "650.50"],
            "fixed": ["600.00"],
            "fpa": ["135.05"],
            "qta": ["-297.86"],
            "surcharge": ["484.50"],
            "duty": ["30.39"],
            "gst": ["478.18"],
        },
        "3134.76",
        [],
        id="protected home: one previous slab",
    ),
    pytest.param(
        "residential_lifeline",
        {**AUGUST, **LESCO, "imported_kwh": D(80), "sanctioned_load_kw": D(1), "billed_units": {"2026-06": "70"}},
        {"energy": ["619.20"], "duty": ["9.29"], "gst": ["113.13"]},
        "741.62",
        [],
        id="lifeline home: no fixed charge, no fuel charge, no quarterly adjustment, no surcharge",
    ),
    pytest.param(
        "residential_tou",
        {
            **JULY,
            **LESCO,
            "imported_kwh": D(600),
            "imported_peak_kwh": D(120),
            "sanctioned_load_kw": D(8),
            "max_demand_kw": D("3.5"),
            "billed_units": {"2026-05": "700"},
        },
        {
            "energy": ["16574.40", "5622.00"],
            "fixed": ["2700.00"],
            "fpa": ["235.48"],
            "qta": ["-1191.42"],
            "surcharge": ["1938.00"],
            "duty": ["347.68"],
            "gst": ["4720.71"],
        },
        "30946.85",
        [],
        id="home by time of use: fixed charge on half the sanctioned load",
    ),
    pytest.param(
        "residential_tou",
        {
            **JULY,
            **LESCO,
            "imported_kwh": D(600),
            "imported_peak_kwh": D(120),
            "sanctioned_load_kw": D(8),
            "max_demand_kw": D("6.2"),
            "billed_units": {"2026-05": "700"},
        },
        {
            "energy": ["16574.40", "5622.00"],
            "fixed": ["4185.00"],
            "fpa": ["235.48"],
            "qta": ["-1191.42"],
            "surcharge": ["1938.00"],
            "duty": ["347.68"],
            "gst": ["4988.01"],
        },
        "32699.15",
        [],
        id="home by time of use: fixed charge on the highest demand",
    ),
    pytest.param(
        "commercial_a1",
        {**AUGUST, **LESCO, "imported_kwh": D(310), "sanctioned_load_kw": D(4), "billed_units": {"2026-06": "290"}},
        {
            "energy": ["11606.40"],
            "fixed": ["1000.00"],
            "fpa": ["217.59"],
            "qta": ["-615.57"],
            "surcharge": ["1001.30"],
            "duty": ["183.15"],
            "gst": ["2410.72"],
            "income_tax": ["1580.36"],
        },
        "17383.95",
        [],
        id="shop below 20,000: income tax 10 %",
    ),
    pytest.param(
        "commercial_a1",
        {**AUGUST, **LESCO, "imported_kwh": D(900), "sanctioned_load_kw": D(4), "billed_units": {"2026-06": "850"}},
        {
            "energy": ["33696.00"],
            "fixed": ["1000.00"],
            "fpa": ["637.76"],
            "qta": ["-1787.13"],
            "surcharge": ["2907.00"],
            "duty": ["531.80"],
            "gst": ["6657.38"],
            "income_tax": ["4787.14"],
        },
        "48429.95",
        [],
        id="shop above 20,000: income tax 1,950 and 12 % of the excess",
    ),
    pytest.param(
        "industrial_b1",
        {
            **AUGUST,
            **LESCO,
            "imported_kwh": D(2900),
            "imported_peak_kwh": D(300),
            "sanctioned_load_kw": D(20),
            "billed_units": {"2026-06": "2800"},
        },
        {
            "energy": ["66248.00", "10722.00"],
            "fixed": ["1000.00"],
            "fpa": ["2100.84"],
            "qta": ["-5758.53"],
            "surcharge": ["9367.00"],
            "duty": ["1240.19"],
            "gst": ["15285.51"],
            "income_tax": ["5960.25"],
        },
        "106165.26",
        [],
        id="workshop: income tax 1,950 and 5 % of the excess",
    ),
    pytest.param(
        "industrial_b2",
        {
            **AUGUST,
            **LESCO,
            "imported_kwh": D(10000),
            "imported_peak_kwh": D(1000),
            "sanctioned_load_kw": D(100),
            "max_demand_kw": D(20),
            "billed_units": {"2026-06": "9500"},
        },
        {
            "energy": ["205470.00", "35680.00"],
            "fixed": ["31250.00"],
            "fpa": ["7127.85"],
            "qta": ["-19857.00"],
            "surcharge": ["32300.00"],
            "duty": ["3910.81"],
            "gst": ["53258.70"],
            "income_tax": ["18407.02"],
        },
        "367547.38",
        [],
        id="factory: fixed charge on a quarter of the sanctioned load",
    ),
]


@pytest.mark.parametrize(("category", "case", "lines", "total", "pending"), KNOWN)
def test_bill_by_hand(
    catalogue: Catalogue,
    category: str,
    case: dict[str, Any],
    lines: dict[str, list[str]],
    total: str,
    pending: list[str],
) -> None:
    bill = _priced(catalogue, category, **case)
    assert _amounts(bill) == lines
    assert [line.kind.value for line in bill.pending] == pending
    assert bill.total_pkr == D(total)


@pytest.mark.parametrize(
    ("units", "active", "tax", "total"),
    [("700", False, ["3048.86"], "43700.37"), ("700", True, [], "40651.51"), ("420", False, [], "23528.56")],
)
def test_income_tax_of_a_home_that_does_not_file(
    catalogue: Catalogue, units: str, active: bool, tax: list[str], total: str
) -> None:
    june = {"700": "600", "420": "400"}[units]
    case = {**AUGUST, **LESCO, "imported_kwh": D(units), "sanctioned_load_kw": D(5), "billed_units": {"2026-06": june}}
    bill = _priced(catalogue, "residential_unprotected", **case, active_taxpayer=active)
    assert _amounts(bill).get("income_tax", []) == tax
    assert bill.total_pkr == D(total)


@pytest.mark.parametrize(
    ("category", "base", "tax"),
    [
        ("commercial_a1", "500.00", None),
        ("commercial_a1", "500.01", "50.00"),
        ("commercial_a1", "20000.00", "2000.00"),
        ("commercial_a1", "20000.01", "1950.00"),
        ("commercial_a1", "30000.00", "3150.00"),
        ("industrial_b1", "30000.00", "2450.00"),
        ("residential_unprotected", "24999.99", None),
        ("residential_unprotected", "25000.00", "1875.00"),
    ],
)
def test_income_tax_at_the_edges_of_its_bands(catalogue: Catalogue, category: str, base: str, tax: str | None) -> None:
    """The bill is a bare fixed charge of the amount, so that nothing but the band is tried."""
    record = next(p for p in catalogue.plans if p.category == category and p.in_force(date(2026, 8, 4)))
    rates = {**record.rates, "pricing_rule": "flat", "energy_charge_per_kwh": "0", "slabs": [], "expects": []}
    rates |= {"fixed_basis": "per_consumer", "slab_fixed": False, "fixed_charges_per_month": base}
    plan = type(record)(**{**_fields(record), "rates": rates}).plan()
    only_tax = [a for a in catalogue.adjustments if a.kind is AdjustmentKind.INCOME_TAX]
    case = BillingCase(**AUGUST, **LESCO, imported_kwh=D(0), active_taxpayer=False)  # type: ignore[arg-type]
    bill = price_bill(plan, case, only_tax)
    assert bill.electricity_charges_pkr == D(base)
    assert _amounts(bill).get("income_tax") == (None if tax is None else [tax])


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@pytest.mark.parametrize(
    ("start", "end", "old_days", "new_days"),
    [
        (date(2026, 5, 2), date(2026, 6, 1), 30, 1),
        (date(2026, 6, 1), date(2026, 6, 30), 0, 30),
        (date(2026, 5, 1), date(2026, 5, 31), 31, 0),
        (date(2026, 5, 31), date(2026, 6, 29), 1, 29),
    ],
)
def test_a_quarterly_rate_that_changes_inside_the_period(
    catalogue: Catalogue, start: date, end: date, old_days: int, new_days: int
) -> None:
    days = old_days + new_days
    case = {**LESCO, "imported_kwh": D(250), "sanctioned_load_kw": D(4), "billed_units": {}}
    bill = _priced(catalogue, "residential_unprotected", period_start=start, period_end=end, **case)
    expected = [
        (D("-1.9857") * 250 * new_days / days, new_days),
        (D("0.3504") * 250 * old_days / days, old_days),
    ]
    assert [D(a) for a in _amounts(bill)["qta"]] == [a.quantize(D("0.01"), "ROUND_HALF_UP") for a, n in expected if n]


def test_the_last_day_s_quarterly_rate_for_all_units_where_the_plan_says_so(catalogue: Catalogue) -> None:
    record = next(p for p in catalogue.plans if p.category == "residential_unprotected" and p.effective_to is None)
    plan = type(record)(**{**_fields(record), "rates": {**record.rates, "qta_split": "last_day"}}).plan()
    case = BillingCase(
        date(2026, 5, 24), date(2026, 6, 23), D(289), "kelectric", province="sindh", sanctioned_load_kw=D(4)
    )
    assert _amounts(price_bill(plan, case, catalogue.adjustments))["qta"] == ["-573.87"]


def test_the_fuel_charge_of_another_lag(catalogue: Catalogue) -> None:
    record = next(p for p in catalogue.plans if p.category == "residential_unprotected" and p.effective_to is None)
    plan = type(record)(**{**_fields(record), "rates": {**record.rates, "fca_lag_months": 1}}).plan()
    units = {Month(2026, 6): D(100), Month(2026, 5): D(500)}
    case = BillingCase(
        date(2026, 7, 1), date(2026, 7, 31), D(250), "lesco", billed_units=units, sanctioned_load_kw=D(4)
    )
    line = next(x for x in price_bill(plan, case, catalogue.adjustments).lines if x.kind is LineKind.FPA)
    assert (line.amount_pkr, line.label) == (D("75.03"), "Fuel charge adjustment, 2026-06")


def test_an_exclusion_rules_for_its_record_s_days_only(catalogue: Catalogue) -> None:
    """A home that the surcharge of one record leaves out pays that of the next."""
    home = next(p for p in catalogue.plans if p.category == "residential_unprotected" and p.effective_to is None).plan()
    free = frozenset({"residential_unprotected"})
    records = (
        Adjustment(AdjustmentKind.PHL, date(2026, 1, 1), date(2026, 7, 10), "one", D("3"), excluded_categories=free),
        Adjustment(AdjustmentKind.PHL, date(2026, 7, 11), None, "two", D("3")),
    )
    case = BillingCase(date(2026, 7, 1), date(2026, 7, 31), D(310), "lesco", sanctioned_load_kw=D(4))
    lines = [line for line in price_bill(home, case, records).lines if line.kind is LineKind.SURCHARGE]
    assert [(line.quantity, line.amount_pkr, line.source) for line in lines] == [(D(210), D("630.00"), "two")]


def test_the_time_of_use_of_a_home_without_its_demand_is_a_floor_and_says_so(catalogue: Catalogue) -> None:
    case = {**JULY, **LESCO, "imported_kwh": D(600), "imported_peak_kwh": D(120), "billed_units": {"2026-05": "700"}}
    bill = _priced(catalogue, "residential_tou", **case, sanctioned_load_kw=D(8))
    fixed = next(line for line in bill.lines if line.kind is LineKind.FIXED)
    assert (fixed.amount_pkr, fixed.status) == (D("2700.00"), RateStatus.ESTIMATED)
    assert [w.message for w in bill.warnings] == [
        "The fixed charge is on 4 kW (50 % of the sanctioned load of 8 kW) and may be higher: give max_demand_kw."
    ]
