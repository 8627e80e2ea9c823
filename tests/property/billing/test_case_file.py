"""Whatever the order of its fields and the names they go by, a case is the same case."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.case_file.names import ALIASES
from cloud.billing.case_file.overrides import replaced
from cloud.billing.case_file.pricing import price_case, understand
from cloud.billing.case_file.reading import parse_document, read_case
from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import Adjustment, AdjustmentKind
from tests.unit.billing.test_seed_tariff import RATES

CATALOGUE = read_catalogue()


def _kwh(top: int) -> st.SearchStrategy[str]:
    return st.decimals(0, top, places=2).map(str)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    home: dict[str, Any] = {
        "disco_provider": draw(st.sampled_from(["kelectric", "lesco", "pesco", "iesco"])),
        "category": draw(st.sampled_from(["A-1(a)", "residential_protected", "A-2(a)"])),
        "sanctioned_load_kw": draw(st.integers(1, 20)),
        "bill_month": draw(st.sampled_from([f"2026-{month:02}" for month in range(3, 11)])),
        "units": draw(_kwh(1500)),
        "history": {f"2026-{month:02}": draw(_kwh(900)) for month in range(1, 9)},
        "active_taxpayer": draw(st.booleans()),
    }
    if draw(st.booleans()):
        home |= {
            "exported_kwh": draw(_kwh(900)),
            "generated_kwh": draw(_kwh(900)),
            "export_scheme": draw(st.sampled_from(["none", "net_metering_2015", "net_billing_2026"])),
        }
    if draw(st.booleans()):
        home["rates"] = RATES
        home["use_dated_adjustments"] = draw(st.booleans())
    if draw(st.booleans()):
        home["rates_override"] = {"fca": draw(_kwh(5)), "gst_percent": draw(_kwh(30))}
    return home


@st.composite
def told_otherwise(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A case, and the same with its fields in another order and under other names."""
    case = draw(cases())
    fields = draw(st.permutations(list(case)))
    return case, {draw(st.sampled_from([field, *ALIASES.get(field, ())])): case[field] for field in fields}


@given(told_otherwise())
def test_order_and_names_do_not_matter(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    first, second = (price_case(read_case(case), CATALOGUE) for case in pair)
    assert first["content_hash"] == second["content_hash"]
    assert first == second


@given(cases())
def test_a_bill_adds_up_and_comes_back_the_same(case: dict[str, Any]) -> None:
    result = price_case(read_case(case), CATALOGUE)
    breakdown, savings = result["bill_breakdown"], result["savings_breakdown"]
    assert sum(Decimal(line["amount"]) for line in result["lines"] if line["amount"]) == Decimal(
        breakdown["total_bill"]
    )
    assert savings["bill_with_solar"] == breakdown["total_bill"]
    if "exported_kwh" not in case:
        assert savings["bill_without_solar"] == savings["bill_with_solar"]
    again = price_case(read_case(parse_document(json.dumps(case), name="x")), CATALOGUE)
    assert json.dumps(result) == json.dumps(again)


@given(st.decimals(0, 100_000, places=4))
def test_a_number_and_its_text_are_one(units: Decimal) -> None:
    text = f"{units:f}"
    number, words = (parse_document(f'{{"units": {form}}}', name="x") for form in (text, f'"{text}"'))
    assert read_case(number) == read_case(words)
    assert read_case(number).units == units


_json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from([*ALIASES, "period", "rates", "adjustments", "intervals", "prorated"]) | st.text(max_size=12)


@given(st.dictionaries(_names, _json_values, max_size=4), st.booleans())
def test_nonsense_is_a_sentence(nonsense: dict[str, Any], on_top: bool) -> None:
    case = {"rates": RATES, "units": 300, "bill_month": "2026-01"} if on_top else {}
    try:
        price_case(read_case({**case, **nonsense}), CATALOGUE)
    except BillingError as error:
        refused = error
    else:
        return
    assert str(refused).strip().isprintable()


@given(
    st.dates(min_value=CATALOGUE.adjustments[0].effective_from),
    st.integers(0, 400),
    st.sampled_from([AdjustmentKind.QTA, AdjustmentKind.GST, AdjustmentKind.PHL]),
)
def test_a_record_takes_its_days_and_no_others(first: Any, length: int, kind: AdjustmentKind) -> None:
    known = read_case(
        {"disco": "lesco", "category": "A-1(a)", "units": 1, "bill_month": "2026-06", "sanctioned_load_kw": 1}
    )
    consumer = understand(known).consumer
    days = [first.fromordinal(min(first.toordinal() + n, first.max.toordinal())) for n in (0, length)]
    mine = Adjustment(kind, days[0], days[1], "mine", Decimal(9))
    result = replaced(CATALOGUE.adjustments, [mine], consumer)
    for record in CATALOGUE.adjustments:
        last = record.effective_to or first.max
        for day in (record.effective_from, last, days[0], days[1]):
            before = record.covers(day) and record.kind is kind and not record.disco_providers
            now = any(
                r.source == record.source and r.rate == record.rate and r.kind is kind and r.covers(day) for r in result
            )
            if before:
                assert now == (not mine.covers(day))
    assert sum(r.kind is not kind for r in result) == sum(r.kind is not kind for r in CATALOGUE.adjustments)
