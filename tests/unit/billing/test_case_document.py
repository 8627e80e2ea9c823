"""CASE.md is what people write cases by: its examples make the totals that it names, and it names every field."""

import json
import re
from typing import Any

import pytest

from cloud.billing.case_file.names import ALIASES
from cloud.billing.case_file.pricing import price_case
from cloud.billing.case_file.reading import parse_document, read_case
from cloud.billing.case_file.shape import CaseAdjustment, CaseBand, CaseFile, CaseInterval, InlineTariff, RatesOverride
from cloud.billing.catalogue import read_catalogue
from cloud.billing.rules.model import AdjustmentKind, PricingRule
from cloud.billing.schemas.tariffs import TariffRates
from cloud.core.discos import DiscoProvider
from tests.architecture.source import ROOT

DOCUMENT = (ROOT / "cloud" / "billing" / "CASE.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```\nTotal: ([\d.]+)\n", DOCUMENT, re.DOTALL)
WORDS = set(re.findall(r"`([\w-]+)`", DOCUMENT)) | set(re.findall(r'"(\w+)"', DOCUMENT))


def _price(text: str) -> dict[str, Any]:
    return price_case(read_case(parse_document(text, name="CASE.md")), read_catalogue())


def test_every_json_block_has_its_total() -> None:
    assert len(EXAMPLES) == DOCUMENT.count("```json") >= 9


@pytest.mark.parametrize(("text", "total"), EXAMPLES, ids=[total for _, total in EXAMPLES])
def test_an_example_makes_its_total(text: str, total: str) -> None:
    assert _price(text)["bill_breakdown"]["total_bill"] == total


def test_the_other_tax_bases_make_what_the_text_says() -> None:
    own = json.loads(next(text for text, total in EXAMPLES if total == "5470.91"))
    own["rates"] |= {"duty_base": ["energy"], "gst_base": ["energy"]}
    assert _price(json.dumps(own))["bill_breakdown"]["total_bill"] == "5169.08"
    assert "5169.08" in DOCUMENT


def test_every_field_is_named() -> None:
    models = (InlineTariff, RatesOverride, CaseAdjustment, CaseBand, TariffRates)
    fields = (set(CaseFile.model_fields) - {"tariff_name"}).union(*(model.model_fields for model in models))
    assert fields - WORDS == set()
    assert set(CaseInterval.model_fields) - WORDS == set()


def test_every_other_name_is_named() -> None:
    assert {other for others in ALIASES.values() for other in others} - WORDS == set()


def test_every_word_that_may_be_chosen_is_named() -> None:
    words = {*DiscoProvider, *AdjustmentKind, *PricingRule}
    assert {word.value for word in words} - WORDS == set()


def test_every_key_of_the_answer_is_named() -> None:
    result = _price(EXAMPLES[0][0])
    assert set(result) | set(result["lines"][0]) <= WORDS


def test_the_schema_knows_every_name() -> None:
    schema = CaseFile.model_json_schema()
    names = set(schema["properties"])
    assert names >= {other for others in ALIASES.values() for other in others} | {"period", "rates", "tariff"}
    assert names >= set(CaseFile.model_fields) - {"tariff_name"}
    assert "tariff_name" not in names
    assert schema["additionalProperties"] is False
    assert {choice.get("type") for choice in schema["properties"]["tariff"]["anyOf"]} >= {"string"}
