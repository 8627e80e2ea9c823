"""Every line has a name in English and in Urdu."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from cloud.billing.rules import labels
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.breakdown import line_json
from cloud.billing.rules.model import Adjustment, AdjustmentKind, Band, BillingCase, ExportScheme, LineKind
from cloud.billing.rules.records import plan_of

D = Decimal
URDU = re.compile(r"[\u0600-\u06ff]")
EVERYTHING = plan_of(
    {
        "pricing_rule": "telescopic",
        "slabs": [{"max_units": 100, "rate_per_kwh": "10"}, {"rate_per_kwh": "12"}],
        "minimum_charge": "9000",
        "fixed_charges_per_month": "150",
        "meter_rent": "25",
        "fuel_price_adjustment": "3.5",
        "quarterly_tariff_adjustment": "1.2",
        "electricity_duty_percent": "1.5",
        "gst_percent": "18",
        "tv_fee": "35",
        "export_rate_per_kwh": "19",
        "demand_charge_per_kw": "400",
    },
    code="all",
    category="commercial_a1",
    source="example",
)
RECORDS = (
    Adjustment(AdjustmentKind.PHL, date(2026, 1, 1), None, "example", D(3)),
    Adjustment(AdjustmentKind.MUNICIPAL, date(2026, 1, 1), None, "example", bands=(Band(None, D(40)),)),
    Adjustment(AdjustmentKind.INCOME_TAX, date(2026, 1, 1), None, "example", bands=(Band(None, percent=D(10)),)),
)


def test_every_kind_of_line_has_both_names() -> None:
    case = BillingCase(
        date(2026, 9, 1),
        date(2026, 9, 30),
        D(300),
        "lesco",
        exported_kwh=D(20),
        max_demand_kw=D(3),
        export_scheme=ExportScheme.NET_BILLING_2026,
    )
    lines = [line_json(line) for line in price_bill(EVERYTHING, case, RECORDS).lines]
    assert {line["kind"] for line in lines} == set(LineKind)
    for line in lines:
        assert re.fullmatch(r"[\x20-\x7e]+", line["label"]), line
        assert URDU.search(line["label_ur"]), line
    urdu = [line["label_ur"] for line in lines]
    assert len(set(urdu)) == len(urdu), "no two lines of a bill have the same name"


def test_pending_lines_have_both_names() -> None:
    plan = plan_of(
        {"energy_charge_per_kwh": "30", "expects": ["fca", "qta", "phl", "duty", "gst"]},
        code="flat",
        category="x",
        source="example",
    )
    case = BillingCase(
        date(2026, 9, 1), date(2026, 9, 30), D(300), "lesco", D(5), export_scheme=ExportScheme.NET_BILLING_2026
    )
    pending = price_bill(plan, case).pending
    kinds = {LineKind.FPA, LineKind.QTA, LineKind.SURCHARGE, LineKind.DUTY, LineKind.GST, LineKind.EXPORT_CREDIT}
    assert {line.kind for line in pending} == kinds
    assert all(URDU.search(line.label_ur) for line in pending)
    taxes = [line for line in pending if line.kind in {LineKind.DUTY, LineKind.GST}]
    assert [(line.quantity, line.unit) for line in taxes] == [(D(9000), "PKR"), (D(9000), "PKR")]


@pytest.mark.parametrize(
    ("portion", "english", "urdu"),
    [
        ("201-300", "Energy charge, 201-300 kWh", "بجلی کی قیمت، 201-300 یونٹ"),
        ("> 700", "Energy charge, > 700 kWh", "بجلی کی قیمت، 700 سے زائد یونٹ"),
        ("peak", "Energy charge, peak", "بجلی کی قیمت، پیک اوقات"),
        ("off-peak", "Energy charge, off-peak", "بجلی کی قیمت، آف پیک اوقات"),
        ("all units", "Energy charge, all units", "بجلی کی قیمت، تمام یونٹ"),
    ],
)
def test_the_energy_charge_names_its_portion(portion: str, english: str, urdu: str) -> None:
    assert labels.energy(portion) == (english, urdu)


def test_a_line_without_an_urdu_name_gets_that_of_its_kind() -> None:
    case = BillingCase(date(2026, 9, 1), date(2026, 9, 30), D(300), "lesco")
    for line in price_bill(EVERYTHING, case, RECORDS).lines:
        bare = line_json(replace(line, label_ur=""))["label_ur"]
        assert bare == labels.urdu_of(line.kind)
        assert bare in line.label_ur
    assert all(URDU.search(labels.urdu_of(kind)) for kind in LineKind)
