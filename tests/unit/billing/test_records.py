"""From stored records to the engine's values: what is wrong is named."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import AdjustmentKind, Band, RateStatus
from cloud.billing.rules.records import adjustment_of, plan_of
from cloud.billing.rules.simulation import adjustment_json

RECORD: dict[str, Any] = {
    "kind": "qta",
    "effective_from": "2026-06-01",
    "effective_to": "2026-08-31",
    "rate": "-1.9857",
    "source": "S.R.O. 953(I)/2026",
}


def test_a_dated_record_is_the_same_after_json() -> None:
    made = adjustment_of({**RECORD, "provinces": ["sindh"], "excluded_categories": ["residential_lifeline"]})
    assert (made.kind, made.rate, made.status) == (AdjustmentKind.QTA, Decimal("-1.9857"), RateStatus.VERIFIED)
    assert adjustment_of(adjustment_json(made)) == made
    banded = {**RECORD, "kind": "municipal", "rate": None, "bands": [{"top": "200", "amount": "20"}]}
    assert adjustment_of(banded).bands == (Band(Decimal(200), Decimal(20)),)
    assert adjustment_of({**RECORD, "effective_from": date(2026, 6, 1)}).effective_from == date(2026, 6, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "tax"}, "kind is 'tax'; known: fca, qta"),
        ({"kind": None}, "kind is None"),
        ({"effective_from": "June 2026"}, "effective_from is 'June 2026'; write a date as YYYY-MM-DD"),
        ({"effective_from": None}, "effective_from is missing"),
        ({"effective_to": "2026-05-31"}, "effective_to 2026-05-31 is before effective_from 2026-06-01"),
        ({"rate": None}, "qta from 2026-06-01: give either rate or bands"),
        ({"bands": [{"amount": "1"}]}, "give either rate or bands"),
        ({"rate": "1,5"}, "rate is '1,5'"),
        ({"source": ""}, "source is ''"),
        ({"status": "sure"}, "status is 'sure'; known: verified"),
    ],
)
def test_a_wrong_dated_record_names_the_field(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BillingError, match=words):
        adjustment_of({**RECORD, **change})


def test_an_unknown_kind_of_record_cannot_be_expected() -> None:
    with pytest.raises(BillingError, match="expects names 'fpa'; known kinds of dated records: fca"):
        plan_of({"energy_charge_per_kwh": "30", "expects": ["fpa"]}, code="x", category="x", source="x")
