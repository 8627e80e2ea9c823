"""What one kWh is worth, against bills of known tariffs."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.billing.rules.marginal import (
    Flows,
    MarginalRates,
    as_measured_in,
    marginal_rates,
    savings_of,
    scaled_inputs,
)
from cloud.billing.rules.model import BillingCase, ExportScheme
from cloud.billing.rules.simulation import inputs_json, simulate

FLAT = {"energy_charge_per_kwh": "30", "gst_percent": "18"}
TOU = {"peak_rate_per_kwh": "46.85", "off_peak_rate_per_kwh": "34.53", "pricing_rule": "tou", "gst_percent": "18"}
SINGLE_SLAB = {
    "pricing_rule": "single_slab",
    "slabs": [
        {"min_units": 1, "max_units": 100, "rate_per_kwh": "22.44"},
        {"min_units": 101, "max_units": 200, "rate_per_kwh": "28.91"},
        {"min_units": 201, "max_units": None, "rate_per_kwh": "33.10"},
    ],
}
NEAR = Decimal("0.005")
kwh = st.decimals(1, 3000, places=3)


def _inputs(
    rates: dict[str, Any], *, consumed: Decimal, imported: Decimal | None = None, **case: Any
) -> dict[str, Any]:
    taken = consumed if imported is None else imported
    values = {"imported_peak_kwh": taken / 4, **case}
    return inputs_json(
        plan_record={
            "code": "t",
            "category": "residential",
            "source": "test",
            "status": "verified",
            "supports_tou": True,
            "rates": {**rates, "export_rate_per_kwh": "25.32"},
        },
        case=BillingCase(date(2026, 8, 1), date(2026, 8, 31), taken, "lesco", **values),
        adjustments=(),
        consumed_kwh=consumed,
        consumed_peak_kwh=consumed / 4,
        consumed_units={},
        generated_kwh=consumed,
        co2_kg_per_kwh=Decimal("0.5"),
        co2_kg_per_tree=Decimal(60),
    )


@given(kwh)
def test_a_flat_rate_with_its_tax(consumed: Decimal) -> None:
    rates = marginal_rates(_inputs(FLAT, consumed=consumed))
    assert abs(rates.import_pkr - Decimal("35.4")) < NEAR
    assert abs(rates.import_peak_pkr - Decimal("35.4")) < NEAR
    assert rates.export_pkr == rates.export_peak_pkr == 0


@given(kwh)
def test_hours_have_their_own_rates(consumed: Decimal) -> None:
    rates = marginal_rates(_inputs(TOU, consumed=consumed))
    assert abs(rates.import_pkr - Decimal("34.53") * Decimal("1.18")) < NEAR
    assert abs(rates.import_peak_pkr - Decimal("46.85") * Decimal("1.18")) < NEAR


@pytest.mark.parametrize(
    ("consumed", "rate"), [("1", "22.44"), ("100", "22.44"), ("101", "28.91"), ("200", "28.91"), ("900", "33.10")]
)
def test_the_slope_of_a_slab_and_not_its_cliff(consumed: str, rate: str) -> None:
    made = marginal_rates(_inputs(SINGLE_SLAB, consumed=Decimal(consumed), imported=Decimal(0)))
    assert abs(made.import_pkr - Decimal(rate)) < Decimal("0.05")


@given(kwh, st.decimals(0, 1000, places=3))
def test_net_billing_pays_its_rate(consumed: Decimal, exported: Decimal) -> None:
    inputs = _inputs(FLAT, consumed=consumed, exported_kwh=exported, export_scheme=ExportScheme.NET_BILLING_2026)
    rates = marginal_rates(inputs)
    assert abs(rates.export_pkr - Decimal("25.32")) < NEAR


@pytest.mark.parametrize(
    ("imported", "exported", "worth"), [("500", "100", "35.4"), ("100", "500", "25.32"), ("300", "300", "25.32")]
)
def test_net_metering_saves_a_unit_or_is_paid_at_the_quarters_end(imported: str, exported: str, worth: str) -> None:
    inputs = _inputs(
        FLAT,
        consumed=Decimal(900),
        imported=Decimal(imported),
        imported_peak_kwh=Decimal(0),
        exported_kwh=Decimal(exported),
        export_scheme=ExportScheme.NET_METERING_2015,
    )
    assert abs(marginal_rates(inputs).export_pkr - Decimal(worth)) < NEAR


def test_net_metering_by_hours() -> None:
    inputs = _inputs(
        TOU,
        consumed=Decimal(900),
        imported=Decimal(400),
        imported_peak_kwh=Decimal(300),
        exported_kwh=Decimal(500),
        exported_peak_kwh=Decimal(0),
        export_scheme=ExportScheme.NET_METERING_2015,
    )
    rates = marginal_rates(inputs)
    assert abs(rates.export_peak_pkr - Decimal("46.85") * Decimal("1.18")) < NEAR
    assert abs(rates.export_pkr - Decimal("25.32")) < NEAR


@settings(max_examples=min(30, settings().max_examples))
@given(kwh, st.decimals(0, 1, places=2), st.decimals(0, 500, places=3))
def test_with_one_rate_for_every_kwh_days_and_bill_agree(consumed: Decimal, share: Decimal, exported: Decimal) -> None:
    imported = consumed * share
    inputs = _inputs(
        TOU, consumed=consumed, imported=imported, exported_kwh=exported, export_scheme=ExportScheme.NET_BILLING_2026
    )
    made = simulate(inputs)
    avoided = consumed - imported
    flows = Flows(avoided, avoided / 4, exported, Decimal(0))
    bill_savings = made.without.total_pkr - made.bill.total_pkr
    # The rates are good to the paisa of the lines, over 100 kWh each.
    assert (
        abs(savings_of(flows, marginal_rates(inputs)) - bill_savings) <= Decimal("0.05") + (avoided + exported) / 2000
    )


@given(kwh, st.decimals("0.5", 31, places=2))
def test_a_period_that_goes_on_like_this(consumed: Decimal, factor: Decimal) -> None:
    inputs = _inputs(FLAT, consumed=consumed)
    more = scaled_inputs(inputs, factor)
    assert Decimal(more["without_solar"]["consumed_kwh"]) == consumed * factor
    assert Decimal(more["case"]["imported_peak_kwh"]) == consumed / 4 * factor
    assert more["case"]["ledger_kwh"] == inputs["case"]["ledger_kwh"]
    assert as_measured_in(inputs, more)["case"]["imported_kwh"] == more["case"]["imported_kwh"]
    assert as_measured_in(more, inputs) == inputs


def test_savings_are_by_hours() -> None:
    rates = MarginalRates(Decimal(30), Decimal(45), Decimal(8), Decimal(9))
    assert savings_of(Flows(Decimal(10), Decimal(2), Decimal(5), Decimal(1)), rates) == 240 + 90 + 32 + 9
    assert savings_of(Flows(), rates) == 0
