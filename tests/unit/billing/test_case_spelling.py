"""The same bill, written by different people: names, days, months, histories and words."""

from datetime import date
from typing import Any

import pytest

from cloud.billing.case_file.pricing import price_case
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.reading import read_case
from cloud.billing.case_file.words import category_of, disco_of, province_code, scheme_of, standing_of
from cloud.billing.catalogue import read_catalogue

CATALOGUE = read_catalogue()
JUNE: dict[str, Any] = {
    "disco": "KE",
    "category": "A-1(a)",
    "sanctioned_load_kw": 4,
    "period_start": "2026-05-24",
    "period_end": "2026-06-23",
    "units": 289,
    "history": {"2026-04": 216},
}
TOTAL = "14096.48"


@pytest.mark.parametrize(
    "names",
    [
        {"disco": "distribution_company", "units": "units_imported", "history": "consumption_history"},
        {"disco": "DISCO", "category": "Category", "units": "Units", "sanctioned_load_kw": "sanctionedLoadKw"},
        {"period_start": "start_date", "period_end": "end_date", "units": "total_units"},
        {"period_start": "billing_period_start", "period_end": "billing_period_end", "history": "monthly_units"},
        {"period_start": "Period Start", "period_end": "period-end", "units": "grid_import_kwh"},
        {"period_start": "from_date", "period_end": "to_date", "sanctioned_load_kw": "sanctioned_kw"},
    ],
)
def test_fields_by_other_names(names: dict[str, str]) -> None:
    document = {names.get(field, field): value for field, value in JUNE.items()}
    assert price_case(read_case(document), CATALOGUE)["bill_breakdown"]["total_bill"] == TOTAL


@pytest.mark.parametrize(
    "period",
    [
        ["2026-05-24", "2026-06-23"],
        "2026-05-24/2026-06-23",
        "2026-05-24 to 2026-06-23",
        {"from": "24-May-2026", "to": "23-Jun-2026"},
        {"start_date": "2026-05-24", "end_date": "2026-06-23"},
    ],
)
def test_a_period_in_one(period: object) -> None:
    case = read_case({"period": period})
    assert (case.period_start, case.period_end) == (date(2026, 5, 24), date(2026, 6, 23))


@pytest.mark.parametrize("period", [["2026-05-24"], ["2026-05-24", "2026-06-01", "2026-06-23"], "2026-05-24", []])
def test_a_period_needs_two_days(period: object) -> None:
    with pytest.raises(CaseError, match=r'^period is .*; write \{"start": "2026-05-24", "end": "2026-06-23"\}$'):
        read_case({"period": period})


@pytest.mark.parametrize(
    "text", ["2026/05/24", "2026-5-24", "20260524", "24MAY26", "May 24, 2026", "2026-05-24T00:00:00", "24-MAY-2026"]
)
def test_days_that_can_mean_one_day_only(text: str) -> None:
    assert read_case({"period_start": text}).period_start == date(2026, 5, 24)


@pytest.mark.parametrize(
    "text", ["24/05/2026", "05-06-2026", "05.06.2026", "2026-05-24T13:30:00", "2026/31/05", "May 24"]
)
def test_days_that_are_not_guessed(text: str) -> None:
    with pytest.raises(CaseError, match="write a day as 2026-06-23"):
        read_case({"period_start": text})


@pytest.mark.parametrize(
    "text", ["2026/04", "04/2026", "4-2026", "202604", "Apr26", "2026-Apr", "2026-04-01", "2026/4"]
)
def test_months_that_can_mean_one_month_only(text: str) -> None:
    assert read_case({"history": {text: 216}}).history == {"2026-04": 216}


@pytest.mark.parametrize("text", ["04/26", "26-04", "13/2026", "2026-00", "4", "Smarch 2026", "2026-04-31"])
def test_months_that_are_not_guessed(text: str) -> None:
    with pytest.raises(CaseError, match="write a month as 2026-06"):
        read_case({"history": {text: 216}})


@pytest.mark.parametrize(
    "history",
    [
        [["2026-04", 216]],
        [{"bill_month": "2026-04", "units": 216}],
        [{"billing_month": "2026-04", "kwh": 216}],
        [{"date": "2026-04-01", "units": "216"}],
        {"2026-04": {"units": 216}},
        {"2026-04": {"peak": 16, "off_peak": "200"}},
        [{"year": 2026, "month": 4, "units": 216}],
    ],
)
def test_a_history_in_any_shape(history: object) -> None:
    document = {**JUNE, "history": history}
    assert price_case(read_case(document), CATALOGUE)["bill_breakdown"]["total_bill"] == TOTAL


@pytest.mark.parametrize(
    "history",
    [
        [216, 180],
        [{"month": "2026-04", "units": 216, "unit": 3}],
        [["2026-04", 216, 3]],
        {"2026-04": {"units": 216, "peak": 10}},
        {"2026-04": {"peak": 16}},
        {"2026-04": {"peak": "a", "off_peak": 3}},
        [{"year": 2026, "units": 3}],
    ],
)
def test_a_history_that_leaves_a_month_or_a_number_open(history: object) -> None:
    with pytest.raises(CaseError, match=r"^history"):
        read_case({"history": history})


@pytest.mark.parametrize(
    ("words", "phases"),
    [("1", 1), ("single", 1), ("Single Phase", 1), ("1-phase", 1), ("one", 1), ("3", 3), ("three-phase", 3), (3.0, 3)],
)
def test_phases_in_words(words: object, phases: int) -> None:
    assert read_case({"phases": words}).phases == phases


@pytest.mark.parametrize("words", [2, "two", True, "13", None, []])
def test_phases_that_no_connection_has(words: object) -> None:
    if words is None:
        assert read_case({"phases": words}).phases is None
        return
    with pytest.raises(CaseError, match=r"^phases is .*; write 1 or 3$"):
        read_case({"phases": words})


def test_exports_in_parts() -> None:
    case = read_case({"exported_kwh": {"peak": 10, "off_peak": "690.5"}})
    assert (str(case.exported_kwh), str(case.exported_peak_kwh)) == ("700.5", "10")
    with pytest.raises(CaseError, match=r"^exported_kwh\.night is not a part of the units; write peak and off_peak$"):
        read_case({"exported_kwh": {"night": 3}})
    with pytest.raises(CaseError, match=r"^exported_kwh is .*; write peak and off_peak in it, as numbers$"):
        read_case({"exported_kwh": {"peak": 3}})


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("A-1 unprotected", "residential_unprotected"),
        ("unprotected residential", "residential_unprotected"),
        ("A-1(a) non-protected", "residential_unprotected"),
        ("Domestic (un-protected)", "residential_unprotected"),
        ("home protected", "residential_protected"),
        ("protected residential", "residential_protected"),
        ("Residential - Lifeline", "residential_lifeline"),
        ("A-1 ToU", "residential_tou"),
        ("Domestic TOU", "residential_tou"),
        ("A-2(c) TOU", "tou_commercial"),
        ("Commercial ToU", "tou_commercial"),
        ("B-2 ToU", "industrial_b2"),
        ("Industrial B-3", "industrial_b3"),
        ("A-1b(03)T", "residential_tou"),
        ("A-2a(04)", "commercial_a1"),
        ("A-1a(01)", "home"),
    ],
)
def test_categories_as_people_say_them(words: str, code: str) -> None:
    assert category_of(words) == code


@pytest.mark.parametrize("words", ["B-1(a)", "B-2(a)", "A-1(c)", "(01)T", "A-9(04)"])
def test_categories_that_are_others(words: str) -> None:
    with pytest.raises(CaseError, match=r"^category is .*, which is not a category"):
        category_of(words)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("K-Electric (KE)", "kelectric"),
        ("LESCO - Lahore", "lesco"),
        ("Lahore Electric Supply Company", "lesco"),
        ("Multan Electric Power Company (MEPCO)", "mepco"),
        ("Karachi Electric Supply Company", "kelectric"),
        ("Peshawar Electric Supply Company Ltd.", "pesco"),
    ],
)
def test_companies_as_people_say_them(words: str, code: str) -> None:
    assert disco_of(words).value == code


@pytest.mark.parametrize("words", ["LESCO or FESCO", "Electric Supply Company", "WAPDA"])
def test_companies_that_are_not_guessed(words: str) -> None:
    with pytest.raises(CaseError, match=r"^disco_provider is .*, which is no company known here"):
        disco_of(words)


def test_other_words() -> None:
    assert [standing_of(word) for word in ("Y", "n", "ATL")] == [True, False, True]
    assert [scheme_of(word).value for word in ("no export", "Net-Metering (2015)", "net billing 2026")] == [
        "none",
        "net_metering_2015",
        "net_billing_2026",
    ]
    assert province_code("Sindh Province") == "sindh"


@pytest.mark.parametrize(
    "header",
    [
        "timestamp,import_kwh,export_kwh",
        "datetime,imported,exported",
        "Date Time,Import (kWh),Export (kWh)",
        "start_time,grid_import_kwh,grid_export_kwh",
        "Period Start,Imported kWh,Exported kWh",
    ],
)
def test_columns_of_intervals_by_other_names(header: str) -> None:
    document: dict[str, Any] = {
        "disco_provider": "lesco",
        "category": "A-2(c)",
        "sanctioned_load_kw": 8,
        "bill_month": "2026-09",
        "history": {"2026-07": 900},
        "interval_csv": f"{header}\n2026-09-01 17:00,1.5,0\n2026-09-01 17:30,1.0,0\n2026-09-01 18:00,2.0,0\n2026-09-01 18:30,2.5,0",
    }
    assert price_case(read_case(document), CATALOGUE)["bill_breakdown"]["total_bill"] == "10962.99"
