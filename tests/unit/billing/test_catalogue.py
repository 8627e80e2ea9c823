"""The tariff data that comes with the product: complete for what it claims, nothing filled in, nothing twice."""

import copy
import itertools
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.catalogue import parse_catalogue, read_catalogue
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.errors import BillingError, RateUnknownError
from cloud.billing.rules.model import BillingCase
from cloud.billing.tariff_rows import plan_rows
from cloud.core.discos import DiscoProvider

CATALOGUE = read_catalogue()

PLAN: dict[str, Any] = {
    "code": "X-1",
    "name": "X-1",
    "category": "residential_unprotected",
    "variant": "standard",
    "effective_from": date(2026, 1, 1),
    "source": "a test",
    "status": "verified",
    "supports_net_metering": True,
    "supports_tou": False,
    "rates": {"energy_charge_per_kwh": "10"},
}
GST: dict[str, Any] = {"kind": "gst", "effective_from": date(2026, 1, 1), "rate": "18", "source": "a test"}


@pytest.mark.parametrize(
    ("day", "units", "rate"),
    [
        (date(2023, 7, 1), 100, "16.48"),
        (date(2024, 6, 30), 701, "42.72"),
        (date(2024, 7, 1), 250, "34.26"),
        (date(2025, 6, 30), 900, "48.84"),
        (date(2025, 7, 1), 350, "37.99"),
        (date(2026, 2, 11), 701, "47.69"),
        (date(2026, 2, 12), 200, "28.91"),
        (date(2026, 11, 1), 350, "36.46"),
    ],
)
def test_homes_since_july_2023(day: date, units: int, rate: str) -> None:
    record = next(p for p in CATALOGUE.plans if p.category == "residential_unprotected" and p.in_force(day))
    case = BillingCase(day, day, Decimal(units), "lesco", sanctioned_load_kw=Decimal(4))
    assert [p.rate for p in price_bill(record.plan(), case).portions] == [Decimal(rate)]


def test_what_is_not_on_record_is_not_filled_in() -> None:
    record = next(
        p for p in CATALOGUE.plans if p.category == "residential_unprotected" and p.in_force(date(2024, 7, 1))
    )
    case = BillingCase(date(2024, 7, 1), date(2024, 7, 31), Decimal(150), "lesco", sanctioned_load_kw=Decimal(4))
    with pytest.raises(RateUnknownError, match="101-200"):
        price_bill(record.plan(), case)
    known = price_bill(record.plan(), BillingCase(date(2024, 7, 1), date(2024, 7, 31), Decimal(250), "lesco"))
    assert {line.kind.value for line in known.pending} == {"fixed", "fpa", "qta", "surcharge", "duty", "gst"}


def test_every_plan_has_a_source_and_every_company_a_home_tariff() -> None:
    assert all(p.source and p.name for p in CATALOGUE.plans)
    assert all(a.source for a in CATALOGUE.adjustments)
    homes = next(p for p in CATALOGUE.plans if p.category == "residential_unprotected" and p.effective_to is None)
    assert homes.source == "S.R.O. 279(I)/2026"
    assert {row["disco_provider"] for _, row in plan_rows(homes)} == {disco.value for disco in DiscoProvider}


def test_versions_follow_each_other_without_a_gap() -> None:
    homes = sorted(
        (p for p in CATALOGUE.plans if p.category == "residential_unprotected"), key=lambda p: p.effective_from
    )
    for before, after in itertools.pairwise(homes):
        assert before.effective_to is not None
        assert (after.effective_from - before.effective_to).days == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "rumoured"}, "X-1 from 2026-01-01: 'rumoured'"),
        ({"disco_providers": ["nesco"]}, "'nesco'"),
        ({"rates": {}}, "no energy rate"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_plan_names_itself(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BillingError, match=words):
        parse_catalogue([{"plans": [{**PLAN, **change}]}])


def test_two_versions_on_one_day_are_refused() -> None:
    later = {**copy.deepcopy(PLAN), "effective_from": date(2026, 6, 1)}
    with pytest.raises(BillingError, match="end that one the day before"):
        parse_catalogue([{"plans": [PLAN, later]}])
    assert len(parse_catalogue([{"plans": [{**PLAN, "effective_to": date(2026, 5, 31)}, later]}]).plans) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate": None}, "give either rate or bands"),
        ({"effective_to": date(2025, 1, 1)}, "is before"),
        ({"effective_from": None}, "effective_from is missing"),
    ],
)
def test_a_wrong_adjustment_names_its_field(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BillingError, match=words):
        parse_catalogue([{"adjustments": [{**GST, **change}]}])


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(BillingError, match="'tariff'"):
        parse_catalogue([{"tariff": []}])
