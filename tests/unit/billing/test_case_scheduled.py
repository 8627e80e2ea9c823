"""A case on a tariff by month and hour: its intervals divided by the tariff's hours, or its units by period as it says."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cloud.billing.case_file.pricing import price_case
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.reading import read_case
from cloud.billing.catalogue import read_catalogue

D = Decimal
EVENING = [[0] * 17 + [1] * 5 + [0] * 2] * 12
NEVER = [[0] * 24] * 12
SCHEDULE: dict[str, Any] = {
    "currency": "USD",
    "energy": [
        {"name": "off-peak", "tiers": [{"rate": "0.10", "sell": "0.03"}]},
        {"name": "peak", "tiers": [{"rate": "0.30", "sell": "0.08"}]},
    ],
    "weekday": EVENING,
    "weekend": NEVER,
    "demand": [{"name": "evening", "tiers": [{"rate": "2.5"}]}, {"name": "rest", "tiers": [{"rate": "1"}]}],
    "demand_weekday": [[1] * 17 + [0] * 5 + [1] * 2] * 12,
    "demand_weekend": [[1] * 24] * 12,
    "fixed_per_month": "12",
}


def price(**fields: Any) -> dict[str, Any]:
    rates = {"pricing_rule": "schedule", "schedule": fields.pop("schedule", SCHEDULE)}
    return price_case(read_case({"rates": rates, "bill_month": "2026-09", **fields}), read_catalogue())


def month_csv(zone: str, first: date, end: date) -> str:
    """0.25 kWh in every quarter-hour, 1 kWh in each from 18:00 to 18:15."""
    at, after = (datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) for day in (first, end))
    rows = ["timestamp,import_kwh"]
    while at < after:
        local = at.astimezone(ZoneInfo(zone))
        rows.append(f"{at.isoformat()},{'1' if (local.hour, local.minute) == (18, 0) else '0.25'}")
        at += timedelta(minutes=15)
    return "\n".join(rows)


def lines(result: dict[str, Any]) -> dict[str, tuple[D, D]]:
    return {line["label"]: (D(line["quantity"]), D(line["amount"])) for line in result["lines"]}


def test_a_month_of_quarter_hours_by_hand() -> None:
    result = price(interval_csv=month_csv("Asia/Karachi", date(2026, 9, 1), date(2026, 10, 1)))
    # 22 weekdays of 5 evening hours; 0.75 kWh more at 18:00 of each of 30 days, 8 of them at weekends.
    assert lines(result) == {
        "Energy charge, off-peak": (D(720 - 110 + 6), D("61.60")),
        "Energy charge, peak": (D("126.5"), D("37.95")),
        "Demand charge by hours, evening": (D(4), D("10.00")),
        "Demand charge by hours, rest": (D(4), D("4.00")),
        "Fixed charge": (D(1), D("12.00")),
    }
    assert result["bill_breakdown"]["total_bill"] == "125.55"
    assert [warning["code"] for warning in result["warnings"]] == []
    assert result["savings_breakdown"]["total_savings"] == "0.00"
    assert D(result["case"]["schedule_units"]["peak"]) == D("126.5")


def test_a_day_on_which_the_clocks_go_back_has_its_hour_more() -> None:
    csv = month_csv("America/Denver", date(2026, 11, 1), date(2026, 12, 1))
    result = price(interval_csv=csv, bill_month="2026-11", time_zone="America/Denver")
    assert sum(quantity for label, (quantity, _) in lines(result).items() if label.startswith("Energy")) == D(
        721
    ) + 30 * D("0.75")


def test_units_by_period_need_no_intervals() -> None:
    result = price(
        units=500,
        exported_kwh=10,
        schedule_units={"off-peak": 400, "peak": 100, "peak/export": 10},
        schedule_demand_kw={"evening": 8, "rest": 9},
    )
    assert result["bill_breakdown"]["total_bill"] == str(D("40.00") + 30 + 20 + 9 + 12 - D("0.80"))
    alone = price(schedule_units={"off-peak": 400, "peak": 100}, schedule_demand_kw={"evening": 8, "rest": 9})
    assert alone["bill_breakdown"]["billed_kwh"] == "500"


def test_the_use_without_solar_is_shared_out_and_said() -> None:
    result = price(
        units=500,
        exported_kwh=10,
        generated_kwh=110,
        schedule_units={"off-peak": 400, "peak": 100, "peak/export": 10},
        schedule_demand_kw={"evening": 8, "rest": 9},
    )
    assert "consumption_by_period_estimated" in {warning["code"] for warning in result["warnings"]}
    assert result["savings_breakdown"]["bill_without_solar"] == str(D("48.00") + 36 + 20 + 9 + 12)


def test_a_gap_is_said() -> None:
    csv = month_csv("Asia/Karachi", date(2026, 9, 2), date(2026, 10, 1))
    assert "intervals_incomplete" in {warning["code"] for warning in price(interval_csv=csv)["warnings"]}


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"units": 900}, "units", "units is 900 while the intervals add up to 1.5"),
        ({"schedule_units": {"peak": 3}}, "schedule_units", "names 'peak' beside intervals"),
        ({"schedule_demand_kw": {"rest": 3}}, "schedule_demand_kw", "is 3 for 'rest' beside intervals"),
        ({"max_demand_kw": 30}, "max_demand_kw", "max_demand_kw is 30 while the intervals reach 4"),
        ({"units": 2, "peak_units": 1}, "peak_units", "peak_units is 1, but the tariff has periods of its own"),
        (
            {"schedule": {**SCHEDULE, "netting_minutes": 20}},
            "interval_csv",
            "netting_minutes is 20, no multiple of the data's 15 minutes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], field: str, words: str) -> None:
    csv = "timestamp,import_kwh\n2026-09-01 18:00,1\n2026-09-01 18:15,0.5\n"
    with pytest.raises(CaseError, match=words) as caught:
        price(interval_csv=csv, **fields)
    assert caught.value.field == field


def test_other_tariffs_have_no_periods_of_that_kind() -> None:
    with pytest.raises(CaseError, match=r"schedule_units is given, but .* is no tariff by month and hour"):
        price_case(
            read_case(
                {
                    "rates": {"energy_charge_per_kwh": "5"},
                    "bill_month": "2026-09",
                    "units": 1,
                    "schedule_units": {"a": 1},
                }
            ),
            read_catalogue(),
        )
