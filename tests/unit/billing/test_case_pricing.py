"""A case to its bill: real and constructed bills, what the case leaves open, and what it says itself."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.case_file.pricing import price_case
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.reading import read_case
from cloud.billing.catalogue import Catalogue, read_catalogue
from cloud.billing.rules.errors import BillingError
from tests.unit.billing.test_seed_tariff import RATES as SEED_RATES

Price = Callable[..., dict[str, Any]]
NO_DUTY = {"duty_percent": 0}
HOME = {"disco": "lesco", "category": "A-1(a)", "sanctioned_load_kw": 4, "bill_month": "2026-09"}
SHOP = {"disco": "lesco", "category": "A-2(c)", "sanctioned_load_kw": 60, "mdi": 38, "bill_month": "2026-09"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@pytest.fixture
def price(catalogue: Catalogue) -> Price:
    def priced(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return price_case(read_case({**document, **changes}), catalogue)

    return priced


def _total(result: dict[str, Any]) -> str:
    total: str = result["bill_breakdown"]["total_bill"]
    return total


def _amounts(result: dict[str, Any], kind: str) -> list[str | None]:
    return [line["amount"] for line in result["lines"] if line["kind"] == kind]


def _codes(result: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in result["warnings"]]


KNOWN = [
    pytest.param(
        {
            "disco": "KE",
            "category": "A-1(a)",
            "sanctioned_load_kw": 4,
            "period": {"start": "2026-05-24", "end": "2026-06-23"},
            "units": 289,
            "history": {"2026-04": 216},
        },
        {
            "energy": ["9565.90"],
            "fixed": ["1400.00"],
            "fpa": ["257.19"],
            "qta": ["-425.77", "26.13"],
            "surcharge": ["933.47"],
            "duty": ["155.35"],
            "gst": ["2144.21"],
            "municipal": ["40.00"],
        },
        "14096.48",
        id="R1",
    ),
    pytest.param(
        {
            "disco": "KE",
            "category": "A-1(a)",
            "sanctioned_load_kw": 4,
            "previous_reading_date": "2026-06-23",
            "reading_date": "2026-07-23",
            "units": 254,
            "history": {"2026-05": 302},
        },
        {
            "energy": ["8407.40"],
            "fixed": ["1400.00"],
            "fpa": ["101.59"],
            "qta": ["-504.37"],
            "surcharge": ["820.42"],
            "duty": ["132.38"],
            "gst": ["1864.34"],
            "municipal": ["40.00"],
        },
        "12261.76",
        id="R2",
    ),
    pytest.param(
        {
            "disco": "KE",
            "category": "residential_unprotected",
            "sanctioned_load_kw": 5,
            "period_start": "2026-08-05",
            "period_end": "2026-09-04",
            "units": 262,
            "history": {"2026-07": 608},
        },
        {
            "energy": ["8672.20"],
            "fixed": ["1750.00"],
            "fpa": ["1251.32"],
            "surcharge": ["846.26"],
            "duty": ["155.01"],
            "gst": ["2203.06"],
            "municipal": ["40.00"],
        },
        "14482.29",
        id="R5",
    ),
    pytest.param(
        {**HOME, "bill_month": "2026-10", "units": 200, "history": {"2026-08": 300}, "rates_override": NO_DUTY},
        {"energy": ["5782.00"], "qta": ["103.88"], "surcharge": ["646.00"], "fixed": ["1200.00"], "fpa": [None]},
        "9123.62",
        id="fuel charge pending",
    ),
    pytest.param(
        {**HOME, "units": 350, "history": {"2026-07": 410}, "rates_override": NO_DUTY},
        {"fpa": ["843.82"]},
        "19490.19",
        id="fuel charge of July",
    ),
    pytest.param(
        {
            **SHOP,
            "off_peak_units": 6200,
            "peak_units": 1150,
            "history": {"2026-07": 7000},
            "rates_override": NO_DUTY,
        },
        {"gst": ["64401.80"], "income_tax": ["50212.75"]},
        "472402.34",
        id="time of use with demand",
    ),
    pytest.param(
        {"rates": SEED_RATES, "units": 300, "bill_month": "2026-01"},
        {"energy": ["774.00", "1006.00", "1215.00"]},
        "5470.91",
        id="the schema's own tariff",
    ),
]


@pytest.mark.parametrize(("document", "lines", "total"), KNOWN)
def test_known_bills(price: Price, document: dict[str, Any], lines: dict[str, list[str | None]], total: str) -> None:
    result = price(document)
    assert {kind: _amounts(result, kind) for kind in lines} == lines
    assert _total(result) == total


SEED_SLABS = [
    ("100", "774.00"),
    ("101", "784.06"),
    ("201", "1792.15"),
    ("300", "2995.00"),
    ("301", "3014.21"),
    ("700", "10679.00"),
    ("1000", "18395.00"),
]


@pytest.mark.parametrize(("units", "energy"), SEED_SLABS)
def test_slabs_of_an_inline_tariff(price: Price, units: str, energy: str) -> None:
    result = price({"rates": SEED_RATES, "units": units, "bill_month": "2026-01"})
    assert result["bill_breakdown"]["energy_charges"] == energy


# --- the home's table ---------------------------------------------------------------------------------------------------------------

LOW = {f"2026-{month:02}": 150 for month in range(3, 9)}
LIFELINE = {f"2026-{month:02}": 60 for month in range(1, 9)} | {f"2025-{month:02}": 60 for month in range(9, 13)}


@pytest.mark.parametrize(
    ("changes", "category", "codes"),
    [
        ({"units": 201, "history": LOW}, "residential_unprotected", []),
        ({"units": 150, "history": LOW}, "residential_protected", []),
        ({"units": 150, "history": LOW | {"2026-05": 201}}, "residential_unprotected", []),
        ({"units": 150, "history": {"2026-07": 150}}, "residential_unprotected", ["category_unchecked"]),
        (
            {"units": 150, "history": {"2026-07": 150}, "protected": True},
            "residential_protected",
            ["category_unchecked"],
        ),
        (
            {"units": 150, "history": LOW | {"2026-05": 201}, "protected": True},
            "residential_unprotected",
            ["category_lost"],
        ),
        ({"units": 150, "history": LOW, "protected": False}, "residential_unprotected", ["protected_by_history"]),
        ({"units": 60, "history": LIFELINE, "phases": 1, "sanctioned_load_kw": 1}, "residential_lifeline", []),
        ({"units": 60, "history": LIFELINE, "phases": 3, "sanctioned_load_kw": 1}, "residential_protected", []),
        ({"units": 60, "history": LIFELINE, "phases": 1, "sanctioned_load_kw": 2}, "residential_protected", []),
        ({"category": "home", "peak_units": 10, "off_peak_units": 90, "mdi": 1}, "residential_tou", []),
        ({"category": "A-1(a)", "peak_units": 100, "off_peak_units": 201}, "residential_unprotected", []),
    ],
)
def test_the_history_decides(price: Price, changes: dict[str, Any], category: str, codes: list[str]) -> None:
    result = price(HOME, **({"history": {"2026-07": 150}} | changes))
    assert result["tariff"]["category"] == category
    assert [code for code in _codes(result) if code.startswith(("category", "protected"))] == codes


@pytest.mark.parametrize(
    ("changes", "category"),
    [
        ({"category": "commercial", "sanctioned_load_kw": "4.9"}, "commercial_a1"),
        ({"category": "A-2", "sanctioned_load_kw": 5}, "tou_commercial"),
        ({"category": "industrial", "sanctioned_load_kw": 25}, "industrial_b1"),
        ({"category": "B", "sanctioned_load_kw": "25.1"}, "industrial_b2"),
        ({"category": "commercial", "sanctioned_load_kw": None}, "tou_commercial"),
        ({"category": "A-2", "tariff": "A-2(a)", "sanctioned_load_kw": 60}, "commercial_a1"),
    ],
)
def test_the_load_decides(price: Price, changes: dict[str, Any], category: str) -> None:
    result = price(SHOP, off_peak_units=620, peak_units=115, **changes)
    assert result["tariff"]["category"] == category


# --- what is missing or contradicts itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({}, "period_start is missing; give period_start and period_end (both inclusive), previous_reading_date"),
        ({"period_start": "2026-01-01"}, "period_end is missing"),
        ({"period_start": "2026-01-02", "period_end": "2026-01-01"}, "period_end is 2026-01-01, before period_start"),
        ({"period_start": "2026-01-01", "period_end": "2026-06-01"}, "period_end is 2026-06-01, 152 days from"),
        (
            {"period_start": "2026-01-01", "previous_reading_date": "2026-01-01", "period_end": "2026-01-31"},
            "period_start is 2026-01-01 while previous_reading_date 2026-01-01 makes it 2026-01-02; keep one",
        ),
        ({"bill_month": "2026-01", "units": 1}, "disco_provider is missing; write one of lesco, "),
        (
            {"bill_month": "2026-01", "units": 1, "disco": "lesc"},
            'disco_provider is "lesc", which is no company known here (did you',
        ),
        ({**HOME, "category": None, "units": 1}, "category is missing; write the tariff category of the bill"),
        ({**HOME, "category": "A-2(d)", "units": 1}, 'category is "A-2(d)", which is not a category (did you mean '),
        (
            {**HOME, "tariff": "A-2(c)", "category": "B-2", "units": 1},
            'tariff is "A-2(c)" (tou_commercial) while category is "B-2"',
        ),
        ({**HOME}, "units is missing; give units, peak_units with off_peak_units, or interval_csv"),
        ({**HOME, "peak_units": 1}, "off_peak_units is missing beside peak_units"),
        ({**HOME, "off_peak_units": 1}, "peak_units is missing beside off_peak_units"),
        (
            {**HOME, "units": 5, "peak_units": 1, "off_peak_units": 3},
            "units is 5 while peak_units 1 and off_peak_units 3 make 4",
        ),
        ({**HOME, "units": 5, "peak_units": 6}, "peak_units is 6, more than units 5; it is a part of them"),
        ({**HOME, "units": 5, "off_peak_units": 6}, "off_peak_units is 6, more than units 5; it is a part of them"),
        (
            {**HOME, "units": 5, "consumed_kwh": 9, "consumed_peak_kwh": 10},
            "consumed_peak_kwh is 10, more than consumed_kwh 9",
        ),
        (
            {**HOME, "units": 5, "exported_kwh": 9, "exported_peak_kwh": 10},
            "exported_peak_kwh is 10, more than exported_kwh 9",
        ),
        (
            {**HOME, "units": 5, "exported_kwh": 9},
            "export_scheme is missing while 9 kWh were exported; write net_metering_2015",
        ),
        (
            {**HOME, "units": 5, "export_scheme": "feed-in"},
            'export_scheme is "feed-in"; write one of none, net_metering_2015',
        ),
        ({**HOME, "units": 5, "province": "Bengal"}, 'province is "Bengal"; write one of punjab'),
        ({**HOME, "units": 5, "taxpayer": "perhaps"}, 'active_taxpayer is "perhaps"; write true or false'),
        (
            {**HOME, "units": 5, "sanctioned_load_kw": None},
            "sanctioned_load_kw is missing: tariff A-1(a) un-protected charges per kW",
        ),
        (
            {**HOME, "units": 5, "category": "commercial", "sanctioned_load_kw": None},
            "sanctioned_load_kw is missing; it decides",
        ),
        (
            {**HOME, "units": 5, "category": "industrial", "sanctioned_load_kw": 900},
            "sanctioned_load_kw is 900; it decides",
        ),
        (
            {**HOME, "units": 5, "category": "A-2(b)"},
            "category is commercial_a2: no tariff of lesco for it is on record for 2026-09-30",
        ),
        (
            {**HOME, "units": 5, "bill_month": "2021-01"},
            "category is residential_unprotected: no tariff of lesco for it is on record",
        ),
        (
            {**HOME, "units": 5, "interval_csv": "june.csv"},
            'interval_csv is "june.csv", the name of a file; send the file\'s text',
        ),
        (
            {
                "rates": {"energy_charge_per_kwh": 1},
                "units": 5,
                "bill_month": "2026-01",
                "adjustments": [{"kind": "gst", "effective_from": "2026-01-01"}],
            },
            "adjustments.0: gst from 2026-01-01: give either rate or bands",
        ),
        (
            {
                "tariff": {"rates": {"energy_charge_per_kwh": 1}, "effective_to": "2026-01-30"},
                "units": 5,
                "bill_month": "2026-01",
            },
            "tariff.effective_to is 2026-01-30, so the tariff is not in force on 2026-01-31",
        ),
    ],
)
def test_what_is_missing_is_one_sentence(price: Price, document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CaseError) as caught:
        price(document)
    assert str(caught.value).startswith(sentence)


def test_a_rate_that_is_not_on_record_is_named(price: Price) -> None:
    with pytest.raises(BillingError, match="off_peak_rate_per_kwh is not on record"):
        price({**SHOP, "category": "B-4", "peak_units": 10, "off_peak_units": 10})


def test_peak_units_are_asked_for_by_a_name_that_the_case_has(price: Price) -> None:
    with pytest.raises(BillingError, match="imported_peak_kwh"):
        price({**SHOP, "units": 100})
    assert _total(price({**SHOP, "units": 100, "imported_peak_kwh": 10}))


def test_numbers_too_large_to_count_with_are_a_sentence(price: Price) -> None:
    with pytest.raises(CaseError, match="too large to be counted with"):
        price({"rates": {"energy_charge_per_kwh": "1e40"}, "units": 5, "bill_month": "2026-01"})


# --- solar --------------------------------------------------------------------------------------------------------------------------


def test_with_is_without_where_no_solar_is_known(price: Price) -> None:
    savings = price(HOME, units=350)["savings_breakdown"]
    assert savings["bill_with_solar"] == savings["bill_without_solar"]
    assert savings["total_savings"] == "0.00"


def test_without_solar_everything_that_was_used_is_bought(price: Price) -> None:
    solar = price(HOME, units=300, generated_kwh=500, exported_kwh=100, scheme="none", history={"2026-07": 300})
    dark = price(HOME, units=700, history={"2026-07": 300})
    assert solar["savings_breakdown"]["bill_without_solar"] == _total(dark)
    told = price(HOME, units=300, consumed_kwh=700, history={"2026-07": 300})
    assert told["savings_breakdown"]["bill_without_solar"] == _total(dark)
    assert told["savings_breakdown"]["co2_avoided_kg"] == "0.00"
    assert solar["savings_breakdown"]["co2_avoided_kg"] == "257.50"


def test_own_use_that_nobody_knows_is_said(price: Price) -> None:
    result = price(HOME, units=300, exported_kwh=100, scheme="none")
    assert "consumption_unknown" in _codes(result)


def test_a_home_that_only_its_panels_protect_is_not_protected_without_them(price: Price) -> None:
    result = price(HOME, units=150, consumed_kwh=600, history=LOW)
    assert result["tariff"]["category"] == "residential_protected"
    dark = price(HOME, units=600, history=LOW)
    assert dark["tariff"]["category"] == "residential_unprotected"
    assert result["savings_breakdown"]["bill_without_solar"] == _total(dark)


def test_the_contract_s_date_decides_the_scheme(price: Price) -> None:
    for day, scheme in (("2026-02-08", "net_metering_2015"), ("2026-02-09", "net_billing_2026")):
        result = price(HOME, units=300, exported_kwh=100, generated_kwh=200, contract_date=day)
        assert result["case"]["export_scheme"] == scheme
        assert "export_scheme_assumed" in _codes(result)


# --- rates of the case --------------------------------------------------------------------------------------------------------------


def test_an_override_takes_only_its_days(price: Price) -> None:
    period = {"bill_month": None, "period_start": "2026-08-17", "period_end": "2026-09-15"}
    result = price(HOME, **period, units=300, history={"2026-07": 1}, rates_override={"qta": {"2026-09": "1"}})
    assert sorted(_amounts(result, "qta"), key=str) == ["-297.86", "150.00"]
    whole = price(HOME, **period, units=300, history={"2026-07": 1}, rates_override={"qta": "1"})
    assert _amounts(whole, "qta") == ["300.00"]


def test_short_rates_reach_their_lines(price: Price) -> None:
    short = {"fca": 2, "phl": "3", "gst_percent": 10, "duty_percent": 1, "municipal_charge": "75.5", "tv_fee": 35}
    result = price(HOME, units=350, history={"2026-07": 100}, rates_override=short)
    assert _amounts(result, "fpa") == ["200.00"]
    assert _amounts(result, "surcharge") == ["1050.00"]
    assert _amounts(result, "municipal") == ["75.50"]
    assert _amounts(result, "tv_fee") == ["35.00"]
    rates = {line["kind"]: line["rate"] for line in result["lines"]}
    assert (rates["gst"], rates["duty"]) == ("10", "1")
    assert {line["source"] for line in result["lines"] if line["kind"] in {"fpa", "gst"}} == {"given in the case"}


def test_a_record_of_the_case_replaces_its_kind_on_its_days(price: Price) -> None:
    record = {
        "kind": "qta",
        "effective_from": "2026-09-01",
        "effective_to": "2026-09-30",
        "rate": "0.1",
        "source": "S.R.O. X",
    }
    result = price(HOME, units=300, history={"2026-07": 1}, adjustments=[record])
    assert _amounts(result, "qta") == ["30.00"]
    elsewhere = price(HOME, units=300, history={"2026-07": 1}, adjustments=[{**record, "provinces": ["Sindh"]}])
    assert _amounts(elsewhere, "qta") == ["155.82"]
    bands = {"kind": "municipal", "effective_from": "2026-09-01", "bands": [{"top": 200, "amount": 1}, {"amount": 9}]}
    assert _amounts(price(HOME, units=300, history={"2026-07": 1}, adjustments=[bands]), "municipal") == ["9.00"]


def test_rates_in_short_go_before_records(price: Price) -> None:
    record = {"kind": "qta", "effective_from": "2026-09-01", "rate": "0.1"}
    result = price(HOME, units=300, history={"2026-07": 1}, adjustments=[record], rates_override={"qta": "0.2"})
    assert _amounts(result, "qta") == ["60.00"]


def test_dated_records_join_an_inline_tariff_only_when_asked(price: Price) -> None:
    own = {
        "disco": "lesco",
        "tariff": {"rates": {"energy_charge_per_kwh": 10}, "category": "A-2(a)"},
        "units": 100,
        "bill_month": "2026-09",
    }
    assert {line["kind"] for line in price(own)["lines"]} == {"energy"}
    asked = price(own, use_dated_adjustments=True)
    assert {line["kind"] for line in asked["lines"]} >= {"energy", "qta", "surcharge", "duty", "gst", "income_tax"}
    without = price({**HOME, "units": 350, "history": {"2026-07": 1}}, use_dated_adjustments=False)
    assert {line["kind"] for line in without["lines"] if line["amount"] is not None} == {"energy", "fixed"}


def test_time_of_use_of_an_inline_tariff(price: Price) -> None:
    own = {"rates": SEED_RATES, "units": 100, "bill_month": "2026-01"}
    assert len(_amounts(price(own, peak_units=10), "energy")) == 2
    tariff = {"rates": SEED_RATES, "supports_tou": False}
    assert _amounts(price({"tariff": tariff, "units": 100, "peak_units": 10, "bill_month": "2026-01"}), "energy") == [
        "774.00"
    ]


# --- periods ------------------------------------------------------------------------------------------------------------------------


def test_all_versions_of_a_tariff_price_a_period(price: Price) -> None:
    result = price(HOME, units=600, bill_month="2026-02")
    versions = [(version["effective_from"], version["effective_to"]) for version in result["tariff"]["versions"]]
    assert versions == [("2025-07-01", "2026-02-11"), ("2026-02-12", None)]
    assert len(_amounts(result, "energy")) == 2
    assert any("split by calendar days" in words for words in result["assumptions"])


def test_days_before_the_first_version_are_said(price: Price) -> None:
    result = price(HOME, units=60, bill_month="2026-02", protected=True)
    assert "tariff_not_on_record" in _codes(result)


@pytest.mark.parametrize(("days", "prorated", "warned"), [(10, False, True), (10, True, False), (31, False, False)])
def test_a_period_that_is_no_month_is_said(price: Price, days: int, prorated: bool, warned: bool) -> None:
    end = date(2026, 9, 1) + timedelta(days=days - 1)
    result = price(
        HOME, bill_month=None, period_start="2026-09-01", period_end=end.isoformat(), units=350, prorated=prorated
    )
    assert ("period_not_a_month" in _codes(result)) is warned


# --- intervals ----------------------------------------------------------------------------------------------------------------------


def _rows(step_minutes: int, kwh: str, *, days: int = 30, offset: str = "") -> list[str]:
    start = datetime.combine(date(2026, 9, 1), time())
    count = days * 24 * 60 // step_minutes
    return [f"{(start + timedelta(minutes=step_minutes * n)).isoformat()}{offset},{kwh}" for n in range(count)]


@pytest.mark.parametrize(("step", "kwh", "assumed"), [(5, "0.1", 0), (15, "0.3", 0), (30, "0.6", 1), (60, "1.2", 1)])
@pytest.mark.parametrize("offset", ["", "+05:00"])
def test_any_step_gives_the_same_bill(price: Price, step: int, kwh: str, assumed: int, offset: str) -> None:
    text = "\n".join(["timestamp,import_kwh", *_rows(step, kwh, offset=offset)])
    result = price({**SHOP, "mdi": None}, interval_csv=text, history={"2026-07": 1})
    # 30 days of 24 h at 1.2 kW, four of them in peak hours (18 to 22 in September).
    told = price({**SHOP, "mdi": "1.2"}, peak_units=144, off_peak_units=720, history={"2026-07": 1})
    assert _total(result) == _total(told)
    assert len(result["assumptions"]) == assumed


def test_intervals_inline_are_those_of_a_file(price: Price) -> None:
    rows = [{"timestamp": line.split(",")[0], "import_kwh": line.split(",")[1]} for line in _rows(30, "0.6")]
    text = "\n".join(["timestamp,import_kwh", *_rows(30, "0.6")])
    case = {**SHOP, "mdi": None, "bill_month": None, "history": {"2026-07": 1}}
    inline = price(case, intervals=rows)
    assert inline["content_hash"] == price(case, interval_csv=text)["content_hash"]
    assert (inline["case"]["period_start"], inline["case"]["period_end"]) == ("2026-09-01", "2026-09-30")


def test_what_the_case_says_goes_before_its_intervals(price: Price) -> None:
    text = "\n".join(["timestamp,import_kwh", *_rows(30, "0.6")])
    result = price(SHOP, interval_csv=text, units=1000, peak_units=200)
    assert (result["case"]["imported_kwh"], result["case"]["max_demand_kw"]) == ("1000", "38")
    assert "units_differ_from_intervals" in _codes(result)


def test_solar_of_intervals(price: Price) -> None:
    rows = ["2026-09-01T12:00,0,2,1,3", "2026-09-01T12:30,0,1,2,3", "2026-09-01T19:00,3,0,3,"]
    text = "\n".join(["timestamp,import_kwh,export_kwh,consumption_kwh,generation_kwh", *rows])
    result = price({**SHOP, "mdi": None}, interval_csv=text, scheme="net_billing")
    case = result["case"]
    assert (case["imported_kwh"], case["imported_peak_kwh"], case["exported_kwh"]) == ("3", "3", "3")
    assert result["savings_breakdown"]["co2_avoided_kg"] == "3.09"
    assert "intervals_incomplete" in _codes(result)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("timestamp,kwh\n2026-09-01,1\n", "interval_csv, line 1, column kwh: 'kwh' is not a column"),
        (
            "timestamp,import_kwh\n2026-09-01 00:00,1\nnoon,1\n",
            "interval_csv, line 3, column start: 'noon' is not a moment",
        ),
        (
            "timestamp,import_kwh\n2026-09-01 00:00,1\n2026-09-01 00:20,1\n",
            "interval_csv, line 3, column start: the intervals are 0:20:00 apart",
        ),
        ("timestamp,import_kwh\n2026-09-01 00:00,1\n2026-09-01 00:00,2\n", "interval_csv, line 3, column start: "),
        ("timestamp,import_kwh\n2026-10-01 00:00,1\n2026-10-01 00:30,2\n", "intervals: no interval begins"),
        ("timestamp,import_kwh\n0001-01-01T00:00+05:00,1\n", "interval_csv holds a moment outside of the calendar"),
    ],
)
def test_a_wrong_interval_is_one_sentence(price: Price, text: str, sentence: str) -> None:
    with pytest.raises(CaseError) as caught:
        price(SHOP, interval_csv=text)
    assert str(caught.value).startswith(sentence)


def test_a_wrong_row_is_named_by_its_place(price: Price) -> None:
    rows = [{"timestamp": "2026-09-01 00:00", "import_kwh": 1}, {"timestamp": "noon", "import_kwh": 1}]
    with pytest.raises(CaseError) as caught:
        price(SHOP, intervals=rows)
    assert caught.value.field == "intervals.1"
    with pytest.raises(CaseError, match="intervals stands beside interval_csv; keep one of them"):
        price(SHOP, intervals=rows, interval_csv="timestamp,import_kwh\n")


def test_intervals_need_the_company_s_peak_hours(price: Price) -> None:
    text = "\n".join(["timestamp,import_kwh", *_rows(60, "1")])
    with pytest.raises(CaseError, match="disco_provider is missing; it decides the peak hours of the intervals"):
        price({"rates": {"energy_charge_per_kwh": 1}, "interval_csv": text})


def test_money_is_text_and_totals_are_sums_of_lines(price: Price) -> None:
    result = price(HOME, units=350, history={"2026-07": 410})
    assert sum(Decimal(line["amount"]) for line in result["lines"]) == Decimal(_total(result))
