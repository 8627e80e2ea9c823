"""A case is read by any of its names, and whatever is wrong is one sentence with field, value and way out."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.case_file.names import ALIASES
from cloud.billing.case_file.pricing import price_case
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.reading import parse_document, read_case
from cloud.billing.case_file.shape import CaseFile
from cloud.billing.case_file.words import category_of, disco_of, province_code, scheme_of, standing_of
from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.errors import BillingError

D = Decimal
CATALOGUE = read_catalogue()

VALUES: dict[str, Any] = {
    "disco_provider": "lesco",
    "category": "A-1(a)",
    "tariff": "A-2(c)",
    "sanctioned_load_kw": 4,
    "phases": 3,
    "province": "punjab",
    "period_start": "2026-05-24",
    "period_end": "2026-06-23",
    "reading_date": "2026-06-23",
    "bill_month": "2026-06",
    "interval_csv": "june.csv",
    "time_zone": "Asia/Karachi",
    "demand_history_kw": {"2026-04": 3},
    "history": {"2026-04": 216},
    "history_without_solar": {"2026-04": 216},
    "export_scheme": "none",
    "contract_date": "2024-01-15",
    "active_taxpayer": "filer",
    "protected": True,
    "rates_override": {"gst_percent": 18},
    "note": "a bill",
}
OTHER_NAMES = [(field, other) for field, others in ALIASES.items() for other in others]


@pytest.mark.parametrize(("field", "other"), OTHER_NAMES, ids=[other for _, other in OTHER_NAMES])
def test_any_name_is_the_field(field: str, other: str) -> None:
    value = VALUES.get(field, "12.50")
    assert read_case({other: value}) == read_case({field: value})
    with pytest.raises(
        CaseError, match=rf"^{other} \(.*\) and {field} \(.*\) are two names of the same field; keep one$"
    ):
        read_case({field: value, other: "something else"})


def test_the_same_value_under_two_names_is_no_contradiction() -> None:
    assert read_case({"units": 5, "imported_kwh": 5}).units == 5


def test_null_and_comments_count_as_not_given() -> None:
    case = read_case({"units": None, "_comment": "from the paper bill", "history": None})
    assert case == CaseFile()
    assert not case.given("units")


def test_numbers_keep_their_digits() -> None:
    document = parse_document('{"units": 289.10, "sanctioned_load_kw": "4.00", "peak_units": 0.1}', name="x")
    case = read_case(document)
    assert (str(case.units), str(case.sanctioned_load_kw), case.peak_units) == ("289.10", "4.00", D("0.1"))


@pytest.mark.parametrize("text", ["2026-06-23", "23-Jun-2026", "23 JUN 26", "23/June/2026", " 2026-06-23 "])
def test_days_as_bills_print_them(text: str) -> None:
    assert read_case({"period_end": text}).period_end == date(2026, 6, 23)


@pytest.mark.parametrize("text", ["2026-06", "2026-6", "Jun-2026", "JUN 26", "June 2026"])
def test_months_as_bills_print_them(text: str) -> None:
    assert read_case({"bill_month": text, "history": {text: 1}}).history == {"2026-06": D(1)}


def test_units_in_one_object() -> None:
    assert read_case({"units": {"peak": 1, "off_peak": "2.5"}}) == read_case({"peak_units": 1, "off_peak_units": "2.5"})
    assert read_case({"imported_kwh": {"total": 3, "peak": 1}}) == read_case({"units": 3, "peak_units": 1})


@pytest.mark.parametrize("field", ["history", "demand_history_kw", "history_without_solar"])
def test_months_in_a_list(field: str) -> None:
    entries = [{"month": "2026-04", "units": 216}, {"kw": 3, "month": "Mar-2026"}]
    assert read_case({field: entries}) == read_case({field: {"2026-04": 216, "2026-03": 3}})
    with pytest.raises(CaseError, match="a second entry of 2026-04"):
        read_case({field: [*entries, {"month": "2026-04", "units": 5}]})


def test_rates_may_stand_in_the_tariff_itself() -> None:
    rates = {"energy_charge_per_kwh": "10", "gst_percent": 18}
    assert read_case({"tariff": {"name": "x", **rates}}) == read_case({"tariff": {"name": "x", "rates": rates}})


SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"unit": 3}, "unit is not a field of the case; did you mean units, units_kwh or peak_units?"),
    ({"zzz": 3}, "zzz is not a field here; known: active_taxpayer, "),
    ({"units": "1,000"}, 'units is "1,000"; write a plain number such as 289 or "289.5", without separators or a unit'),
    ({"units": "289 kWh"}, 'units is "289 kWh"; write a plain number'),
    ({"units": True}, "units is true; write a plain number"),
    ({"units": -1}, "units is -1; it must be 0 or more"),
    ({"imported_kwh": -1}, "imported_kwh is -1; it must be 0 or more"),
    ({"units": "2000000000"}, 'units is "2000000000"; it must be 1000000000 or less'),
    ({"units": [1]}, "units is [1]; write a plain number"),
    ({"units": "NaN"}, 'units is "NaN"; '),
    ({"bill_month": "June"}, 'bill_month is "June"; write a month as 2026-06'),
    ({"bill_month": "1890-01"}, 'bill_month is "1890-01"; write a month as 2026-06'),
    ({"history": {"2026-13": 3}}, 'history.2026-13 is "2026-13"; write a month as 2026-06'),
    ({"history": [1]}, 'history is [1]; write an object in braces, by month: {"2026-04": 216}'),
    ({"units_history": {"2026-04": "x"}}, 'units_history.2026-04 is "x"; write a plain number'),
    ({"period_start": "2026-02-30"}, 'period_start is "2026-02-30"; write a day as 2026-06-23'),
    ({"from": "06/07/2026"}, 'from is "06/07/2026"; write a day as 2026-06-23'),
    ({"period_start": "1990-01-01"}, 'period_start is "1990-01-01"; '),
    ({"period": 3}, 'period is 3; write {"start": "2026-05-24", "end": "2026-06-23"}'),
    ({"period": {"begin": 1}}, "period.begin is not a field of a period; write start and end"),
    ({"period": {"start": "2026-05-24"}, "period_start": "2026-05-25"}, 'period.start ("2026-05-24") and period_start'),
    ({"units": {"night": 3}}, "units.night is not a part of the units; write peak and off_peak"),
    ({"history": [{"month": "2026-04"}]}, "history is [{"),
    ({"phases": 2}, "phases is 2; write 1 or 3"),
    ({"prorated": "maybe"}, 'prorated is "maybe"; write true or false'),
    ({"disco_provider": 4}, "disco_provider is 4; write it as text in quotes"),
    ({"disco": ""}, 'disco is ""; write at least 1 character'),
    ({"time_zone": "Karachi"}, 'time_zone is "Karachi"; must be a time zone of the IANA database'),
    ({"tariff": 5}, "tariff is 5; write a tariff's code as text, or an object with its rates"),
    ({"tariff": {"name": "x"}}, "tariff.rates is missing; give it"),
    ({"tariff": {"rates": {}}, "rates": {}}, "rates stands beside a tariff; keep one of them (the"),
    (
        {"tariff": {"rates": {"slab": []}}},
        "tariff.rates.slab is not a field of the case; did you mean slabs or slab_fixed?",
    ),
    ({"rates": {"gst_percent": 200}}, "rates.gst_percent is 200; it must be 100 or less"),
    ({"rates": {"slabs": [{"min_units": 0, "max_units": 9}, {"min_units": 20}]}}, "rates is {"),
    ({"adjustments": [{"kind": "fcaa"}]}, "adjustments.0.kind is \"fcaa\"; write 'fca', 'qta', 'phl', "),
    ({"adjustments": [{"kind": "fca"}]}, "adjustments.0.effective_from is missing; give it"),
    (
        {"rates_override": {"fca": "x"}},
        'rates_override.fca is "x"; write a number, or numbers by month: {"2026-07": 2.0581}',
    ),
    ({"overrides": {"gst": 3}}, "overrides.gst is not a field of the case; did you mean gst_percent?"),
    (
        {"intervals": [{"timestamp": "x", "imp_kwh": 3}]},
        "intervals.0.imp_kwh is not a field of the case; did you mean import_kwh",
    ),
    ({"intervals": {}}, "intervals is {}; write a list in brackets"),
    ({"note": 4}, "note is 4; write it as text in quotes"),
    ({"co2_kg_per_tree": 0}, "co2_kg_per_tree is 0; it must be more than 0"),
    ({"\ud800x\0": 4}, "?x? is not a field here; known: "),
]


@pytest.mark.parametrize(("document", "sentence"), SENTENCES, ids=[str(document)[:40] for document, _ in SENTENCES])
def test_what_is_wrong_is_one_sentence(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CaseError) as caught:
        read_case(document)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "x.json is not JSON at line 1, column 1: Expecting value; `solarhub bill --example` prints a case"),
        ('{"units": 3,}', "x.json is not JSON at line 1, column 13"),
        ("[1]", "x.json holds [1]; a case is one JSON object, see `solarhub bill --example`"),
        ('{"units": NaN}', "NaN is not a number of JSON; write a finite number"),
        ('{"units": 3, "units": 4}', "units stands twice in the same object (3, 4); keep one"),
    ],
)
def test_what_is_no_case_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(CaseError) as caught:
        parse_document(text, name="x.json")
    assert str(caught.value).startswith(sentence)


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse_document('\ufeff{"units": 3}', name="x") == {"units": 3}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("A-1(a) un-protected", "residential_unprotected"),
        ("a1b", "residential_tou"),
        ("A-2 (c)", "tou_commercial"),
        ("commercial_b2", "commercial_a2"),
        ("COMMERCIAL_A1", "commercial_a1"),
        ("B-2(b)", "industrial_b2"),
        ("B4", "industrial_b4"),
        ("D-1", "agricultural_tube_well"),
        ("A-1(a)-unprotected", "residential_unprotected"),
        ("A-1(b)-tou", "residential_tou"),
    ],
)
def test_categories_by_any_name(words: str, code: str) -> None:
    assert category_of(words) == code


@pytest.mark.parametrize("words", ["K-Electric", "KE", "kelectric", "k electric", "KESC", "Karachi Electric"])
def test_k_electric_by_any_name(words: str) -> None:
    assert disco_of(words).value == "kelectric"


def test_other_words() -> None:
    assert [standing_of(word) for word in ("active", "Filer", "non-filer", "inactive", False)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert [scheme_of(word).value for word in ("Net Metering", "net-billing", "none")] == [
        "net_metering_2015",
        "net_billing_2026",
        "none",
    ]
    assert [province_code(word) for word in ("Sindh", "KP", "khyber_pakhtunkhwa", "ICT")] == [
        "sindh",
        "khyber_pakhtunkhwa",
        "khyber_pakhtunkhwa",
        "islamabad",
    ]
    for read, sentence in (
        (disco_of, 'disco_provider is "x", which is no company known here'),
        (scheme_of, 'export_scheme is "x"; write one of none, net_metering_2015, net_billing_2026'),
        (standing_of, 'active_taxpayer is "x"; write true or false'),
        (province_code, 'province is "x"; write one of punjab'),
        (category_of, 'category is "x", which is not a category'),
    ):
        with pytest.raises(CaseError) as caught:
            read("x")
        assert str(caught.value).startswith(sentence)


NONSENSE: tuple[Any, ...] = (
    "\0",
    "\ud800",
    "x" * 400,
    -1,
    2**63,
    1e300,
    [None],
    {"\0": "\0"},
    "0001-01-01",
    "9999-12-31",
    "1e-999999",
)


@pytest.mark.parametrize("name", sorted(CaseFile.model_json_schema()["properties"]))
def test_nonsense_in_any_field_is_a_sentence_or_no_harm(name: str) -> None:
    home = {"disco": "lesco", "category": "A-1(a)", "load_kw": 4, "bill_month": "2026-09", "units": 350}
    for value in NONSENSE:
        try:
            result = price_case(read_case({**home, name: value}), CATALOGUE)
        except BillingError as error:
            words = str(error)
        else:
            words = json.dumps(result, ensure_ascii=False)
        assert words.encode().decode().isprintable()
