"""Gaps, reading days, demand and the ledger of net metering in bills of a site, on a real database."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from cloud.core.db import SYSTEM
from shared.periods import day_window
from tests.integration.billing.conftest import KARACHI, Home, configure

FIRST, LAST = date(2026, 8, 5), date(2026, 9, 4)
PERIOD = {"period_start": "2026-08-05", "period_end": "2026-09-04"}


async def _create(home: Home, first: date = FIRST, last: date = LAST, **body: Any) -> dict[str, Any]:
    answer = await home.api.call(
        "POST",
        home.bills,
        home.owner,
        json={"period_start": first.isoformat(), "period_end": last.isoformat(), **body},
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def _run(home: Home, statement: str, **values: Any) -> None:
    async with home.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(text(statement), values)


async def _lose(home: Home, start: datetime, end: datetime) -> None:
    await _run(
        home, "DELETE FROM telemetry_quarter_hour WHERE bucket >= :start AND bucket < :end", start=start, end=end
    )


def _codes(bill: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in bill["warnings"]}


async def test_a_gap_is_estimated_and_said(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=31 * 96 * 100, consumed_wh=31 * 96 * 150, generated_wh=31 * 96 * 50)
    start = day_window(date(2026, 8, 12), KARACHI).start + timedelta(hours=10)
    await _lose(home, start, start + timedelta(hours=30))
    made = await _create(home, units_history={"2026-07": "608"})
    assert Decimal(made["energy_imported_kwh"]) == Decimal("297.6")
    assert made["inputs"]["energy"]["estimated_kwh"] == "12"
    assert made["inputs"]["energy"]["gaps"] == [
        {
            "kind": "estimated",
            "from": start.isoformat(),
            "to": (start + timedelta(hours=30)).isoformat(),
            "imported_kwh": "12",
        }
    ]
    [said] = [warning for warning in made["warnings"] if warning["code"] == "gap_estimated"]
    assert "2026-08-12 10:00 to 2026-08-13 16:00" in said["message"]
    assert "12 kWh" in said["message"]
    status = {line["kind"]: line["status"] for line in made["lines"]}
    assert (status["energy"], status["qta"], status["surcharge"]) == ("estimated",) * 3
    assert (status["fixed"], status["fpa"]) == ("verified", "verified")
    assert made["is_actual"] is False
    check = await home.api.call("GET", f"{home.bills}/{made['id']}/check", home.owner)
    assert check.json()["same"] is True


async def test_where_nothing_can_be_learned_nothing_is_put(home: Home) -> None:
    await home.quarters(FIRST, FIRST, imported_wh=9_600, consumed_wh=9_600)
    start = day_window(FIRST, KARACHI).start
    await _lose(home, start + timedelta(hours=20), start + timedelta(hours=24))
    made = await _create(home, units_history={"2026-07": "608"})
    assert Decimal(made["energy_imported_kwh"]) == 8
    assert made["inputs"]["energy"]["estimated_kwh"] == "0"
    assert _codes(made) >= {"readings_incomplete"}
    assert "gap_estimated" not in _codes(made)
    assert {gap["kind"] for gap in made["inputs"]["energy"]["gaps"]} == {"unknown"}


async def test_a_gap_that_the_counter_bridges_is_measured(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=297_600, consumed_wh=297_600)
    start = day_window(date(2026, 8, 12), KARACHI).start
    await _run(
        home,
        "UPDATE telemetry_quarter_hour SET covered_seconds = 0, imported_bridged_wh = imported_wh"
        " WHERE bucket >= :start AND bucket < :end",
        start=start,
        end=start + timedelta(hours=6),
    )
    made = await _create(home, units_history={"2026-07": "608"})
    assert Decimal(made["energy_imported_kwh"]) == Decimal("297.6")
    assert "gap_bridged" in _codes(made)
    assert not _codes(made) & {"gap_estimated", "readings_incomplete"}
    assert made["is_actual"] is True
    assert made["coverage_percent"] < 100
    assert {line["status"] for line in made["lines"]} == {"verified"}


async def test_an_open_period_shows_its_gaps(home: Home) -> None:
    await home.quarters(date(2026, 10, 1), date(2026, 10, 10), imported_wh=96_000, consumed_wh=96_000)
    made = await _create(home, date(2026, 10, 1), date(2026, 10, 31))
    [gap] = made["inputs"]["energy"]["gaps"]
    assert (gap["kind"], gap["imported_kwh"]) == ("unknown", "0")
    assert datetime.fromisoformat(gap["from"]) == day_window(date(2026, 10, 11), KARACHI).start
    assert datetime.fromisoformat(gap["to"]) <= home.api.clock().astimezone(UTC)


async def test_units_of_the_fuel_month_are_those_between_its_readings(home: Home) -> None:
    home.site = await configure(home.world, reading_day=4)
    await home.quarters(FIRST, LAST, imported_wh=262_000, consumed_wh=262_000)
    await home.quarters(date(2026, 6, 5), date(2026, 7, 4), imported_wh=608_000, consumed_wh=900_000)
    made = await _create(home)
    assert made["inputs"]["case"]["billed_units"] == {"2026-07": "608"}
    assert made["bill_breakdown"]["total_bill"] == "14482.29"


async def test_without_solar_a_home_may_not_be_protected(home: Home) -> None:
    home.site = await configure(home.world, tariff_category="residential_protected")
    await home.quarters(FIRST, LAST, imported_wh=150_000, consumed_wh=500_000, generated_wh=350_000, exported_wh=0)
    made = await _create(home, units_history={f"2026-{m:02d}": "150" for m in range(3, 9)})
    assert made["bill_breakdown"]["tariff"] == "A-1(a) protected"
    assert "category_by_solar" in _codes(made)
    assert {v["category"] for v in made["inputs"]["without_solar"]["versions"]} == {"residential_unprotected"}


async def test_a_lifeline_home_is_a_small_single_phase_connection(home: Home) -> None:
    await home.quarters(FIRST, LAST, imported_wh=90_000, consumed_wh=90_000)
    history = {f"{2025 + n // 12}-{n % 12 + 1:02d}": "90" for n in range(7, 20)}
    home.site = await configure(home.world, tariff_category="residential_lifeline", sanctioned_load_kw=1.0, phases=1)
    kept = await _create(home, units_history=history)
    assert kept["inputs"]["plan"]["category"] == "residential_lifeline"
    home.site = await configure(home.world, tariff_category="residential_lifeline", sanctioned_load_kw=1.0, phases=3)
    lost = await _create(home, units_history=history)
    assert lost["inputs"]["plan"]["category"] == "residential_protected"
    assert "category_lost" in _codes(lost)


async def _net_metered(home: Home) -> None:
    home.site = await configure(home.world, net_metering_enabled=True, installation_date="2024-03-01")


async def _ledger(home: Home) -> dict[str, dict[str, Any]]:
    answer = await home.api.call("GET", f"/sites/{home.site['id']}/export-ledger", home.owner)
    assert answer.status_code == 200, answer.text
    return {entry["bill_month"]: entry for entry in answer.json()["items"]}


async def test_a_surplus_goes_from_bill_to_bill_and_is_paid_at_the_quarters_end(home: Home) -> None:
    await _net_metered(home)
    for month, last, imported, exported in ((7, 31, 200, 300), (8, 31, 250, 230), (9, 30, 100, 90)):
        await home.quarters(
            date(2026, month, 1),
            date(2026, month, last),
            imported_wh=imported * 1000,
            exported_wh=exported * 1000,
            consumed_wh=imported * 1000,
        )
    july = await _create(home, date(2026, 7, 1), date(2026, 7, 31))
    assert july["bill_breakdown"]["billed_kwh"] == "0"
    assert july["bill_breakdown"]["surplus_kwh_carried"] == "100"
    august = await _create(home, date(2026, 8, 1), date(2026, 8, 31))
    assert august["bill_breakdown"]["billed_kwh"] == "0"
    assert "surplus_unknown" not in _codes(august)
    september = await _create(home, date(2026, 9, 1), date(2026, 9, 30))
    assert september["bill_breakdown"]["billed_kwh"] == "0"
    assert september["bill_breakdown"]["export_credit"] == "1772.40"  # 70 kWh at 25.32
    entries = await _ledger(home)
    moves = {
        month: [Decimal(entry[f"off_peak_{move}_kwh"]) for move in ("brought", "added", "used", "paid", "carried")]
        for month, entry in entries.items()
    }
    assert moves == {
        "2026-07-01": [0, 100, 0, 0, 100],
        "2026-08-01": [100, 0, 20, 0, 80],
        "2026-09-01": [80, 0, 10, 70, 0],
    }
    assert [entry["bill_id"] for entry in entries.values()] == [september["id"], august["id"], july["id"]]


async def test_an_earlier_bill_that_changes_makes_the_later_ones_anew(home: Home) -> None:
    await _net_metered(home)
    for month in (7, 8):
        await home.quarters(
            date(2026, month, 1), date(2026, month, 31), imported_wh=200_000, exported_wh=300_000, consumed_wh=200_000
        )
    await _create(home, date(2026, 7, 1), date(2026, 7, 31))
    august = await _create(home, date(2026, 8, 1), date(2026, 8, 31))
    assert august["bill_breakdown"]["surplus_kwh_carried"] == "200"
    await _run(
        home, "UPDATE telemetry_quarter_hour SET exported_wh = 0 WHERE bucket >= '2026-07-15' AND bucket < '2026-07-16'"
    )
    july = await _create(home, date(2026, 7, 1), date(2026, 7, 31))
    entries = await _ledger(home)
    assert entries["2026-07-01"]["bill_id"] == july["id"]
    assert entries["2026-08-01"]["bill_id"] != august["id"]
    anew = (await home.api.call("GET", f"{home.bills}/{entries['2026-08-01']['bill_id']}", home.owner)).json()
    assert anew["replaces_id"] == august["id"]
    assert "surplus_changed" in _codes(anew)
    carried = Decimal(july["bill_breakdown"]["surplus_kwh_carried"])
    assert Decimal(anew["bill_breakdown"]["surplus_kwh_carried"]) == carried + 100
    assert (await home.api.call("GET", f"{home.bills}/{august['id']}", home.owner)).json() == august
    check = await home.api.call("GET", f"{home.bills}/{anew['id']}/check", home.owner)
    assert check.json()["same"] is True


async def test_a_bill_without_the_one_before_it_says_so(home: Home) -> None:
    await _net_metered(home)
    await home.quarters(date(2026, 8, 1), date(2026, 8, 31), imported_wh=200_000, exported_wh=0, consumed_wh=200_000)
    assert "surplus_unknown" in _codes(await _create(home, date(2026, 8, 1), date(2026, 8, 31)))
    told = await _create(home, date(2026, 8, 1), date(2026, 8, 31), surplus_kwh_brought_forward="50")
    assert told["bill_breakdown"]["billed_kwh"] == "150"
    assert not _codes(told) & {"surplus_unknown", "surplus_as_told"}
    again = await _create(home, date(2026, 8, 1), date(2026, 8, 31))
    assert again["bill_breakdown"]["billed_kwh"] == "150"
    assert "surplus_as_told" in _codes(again)


async def test_only_bills_between_readings_enter_the_ledger(home: Home) -> None:
    await _net_metered(home)
    await home.quarters(FIRST, LAST, imported_wh=200_000, exported_wh=300_000, consumed_wh=200_000)
    await _create(home)
    assert await _ledger(home) == {}
    home.site = await configure(home.world, net_metering_enabled=True, installation_date="2024-03-01", reading_day=4)
    await _create(home)
    assert list(await _ledger(home)) == ["2026-09-01"]


async def test_nobody_else_reads_ledger_and_runs(home: Home) -> None:
    for path in ("export-ledger", "bill-runs"):
        address = f"/sites/{home.site['id']}/{path}"
        assert (await home.api.call("GET", address)).status_code == 401
        assert (await home.api.call("GET", address, home.world.stranger)).status_code == 404
