"""A site on a tariff by month and hour: its quarter-hours divided by the tariff's hours, on a real database."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import insert

from cloud.billing.tables import TariffPlan
from cloud.core.db import NOBODY
from cloud.core.ids import new_id
from tests.integration.billing.conftest import Home, configure

SCHEDULE: dict[str, Any] = {
    "energy": [
        {"name": "off-peak", "tiers": [{"rate": "10", "sell": "3"}]},
        {"name": "peak", "tiers": [{"rate": "30", "sell": "8"}]},
    ],
    "weekday": [[0] * 17 + [1] * 5 + [0] * 2] * 12,
    "weekend": [[0] * 24] * 12,
    "demand": [{"name": "any", "tiers": [{"rate": "100"}]}],
    "fixed_per_month": "50",
}
SEPTEMBER = {"period_start": "2026-09-01", "period_end": "2026-09-30"}


async def test_a_site_is_billed_by_the_tariffs_hours(home: Home) -> None:
    async with home.api.services.db.transaction(NOBODY) as conn:
        await conn.execute(
            insert(TariffPlan).values(
                id=new_id(),
                disco_provider="kelectric",
                category="agricultural_tube_well",
                variant="standard",
                name="By the hour",
                effective_from=date(2026, 1, 1),
                rates={"pricing_rule": "schedule", "schedule": SCHEDULE},
                supports_net_metering=True,
                supports_tou=True,
                source="rate book",
                status="derived",
                origin="own",
            )
        )
    await configure(home.world, tariff_category="agricultural_tube_well")
    # 0.25 kWh in each of 2,880 quarter-hours; 0.1 kWh of them bought, 0.05 given.
    await home.quarters(
        date(2026, 9, 1),
        date(2026, 9, 30),
        imported_wh=288_000,
        exported_wh=144_000,
        consumed_wh=720_000,
        generated_wh=576_000,
    )
    answer = await home.api.call("POST", home.bills, home.owner, json=SEPTEMBER)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    lines = {
        line["label"]: (Decimal(line["quantity"]), Decimal(line["amount"]))
        for line in made["lines"]
        if line["kind"] in {"energy", "demand", "fixed", "export_credit"}
    }
    # 22 weekdays of 5 evening hours are 440 quarter-hours.
    assert lines["Energy charge, peak"] == (Decimal(44), Decimal("1320.00"))
    assert lines["Energy charge, off-peak"] == (Decimal(244), Decimal("2440.00"))
    assert lines["Demand charge by hours"] == (Decimal("0.4"), Decimal("40.00"))
    assert lines["Credit for exported units, peak"] == (Decimal(22), Decimal("-176.00"))
    assert made["is_actual"] is True
    dark = made["savings_breakdown"]
    extra = Decimal(432 - 66) * 10 + Decimal(66) * 30 + Decimal("60.00") + 176 + 122 * 3
    assert Decimal(dark["total_savings"]) >= extra
    check = await home.api.call("GET", f"{home.bills}/{made['id']}/check", home.owner)
    assert check.json()["same"] is True
    again = await home.api.call("POST", home.bills, home.owner, json=SEPTEMBER)
    assert again.json()["id"] == made["id"]
    compared = await home.api.call(
        "POST", f"/sites/{home.site['id']}/bills/compare-tariffs", home.owner, json=SEPTEMBER
    )
    assert compared.status_code == 200, compared.text
    assert compared.json()["present_total_pkr"] == made["bill_breakdown"]["total_bill"]
    brought = await home.api.call(
        "POST", f"{home.bills}/simulate", home.owner, json={**SEPTEMBER, "surplus_kwh_brought_forward": "12"}
    )
    assert brought.status_code == 200, brought.text
    told = {warning["code"] for warning in brought.json()["inputs"]["warnings"]}
    assert "surplus_left_out" in told
    assert "surplus_left_out" not in {warning["code"] for warning in made["inputs"]["warnings"]}
