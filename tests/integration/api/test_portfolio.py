"""Summaries, the portfolio, and several series in one answer, over HTTP."""

import csv
import io
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from arro3.io import read_parquet
from sqlalchemy import text

from cloud.core.db import SYSTEM
from shared.enums import OrgMemberRole
from tests.integration.api.conftest import START, Person, World
from tests.integration.api.test_telemetry import MIDNIGHT, fill, get, show

TODAY = date(2026, 6, 1)
PATHS = ("/portfolio", "/portfolio/summary", "/portfolio/energy")


async def ask(world: World, path: str, person: Person | None = None, **params: Any) -> dict[str, Any]:
    answer = await world.api.call("GET", path, person or world.owner, params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def store_energy(world: World, *, site_id: str, organization_id: UUID, days: dict[date, float | None]) -> None:
    """Days of a site, and months that are the sums of them; a third is exported."""
    async with world.api.services.db.transaction(SYSTEM) as conn:
        for day, kwh in days.items():
            await conn.execute(
                text(
                    "INSERT INTO telemetry_daily_summary (site_id, organization_id, summary_date, energy_generated_kwh,"
                    " energy_exported_kwh, self_consumed_kwh, algorithm_version)"
                    " SELECT :site, :org, :day, kwh, kwh / 3, kwh * 2 / 3, 1 FROM (SELECT CAST(:kwh AS double precision) AS kwh) given"
                ),
                {"site": UUID(site_id), "org": organization_id, "day": day, "kwh": kwh},
            )
        await conn.execute(
            text(
                "INSERT INTO telemetry_monthly_summary (site_id, organization_id, year, month, energy_generated_kwh,"
                " energy_exported_kwh, self_consumed_kwh, algorithm_version)"
                " SELECT site_id, organization_id, extract(year FROM summary_date), extract(month FROM summary_date),"
                " sum(energy_generated_kwh), sum(energy_exported_kwh), sum(self_consumed_kwh), 1"
                " FROM telemetry_daily_summary WHERE site_id = :site AND device_id IS NULL GROUP BY 1, 2, 3, 4"
            ),
            {"site": UUID(site_id)},
        )


DAYS: dict[date, float | None] = {
    TODAY: 12.0,
    TODAY - timedelta(days=1): 30.0,
    date(2026, 1, 15): 6.0,
    date(2025, 12, 31): 9.0,
    date(2025, 1, 1): None,
}


async def both_sites(world: World) -> None:
    await store_energy(world, site_id=world.site["id"], organization_id=world.organization_id, days=DAYS)
    await store_energy(
        world, site_id=world.other_site["id"], organization_id=world.other_organization_id, days={TODAY: 1000.0}
    )


@pytest.mark.parametrize("path", PATHS)
async def test_anonymous(world: World, path: str) -> None:
    assert (await world.api.call("GET", path)).status_code == 401


async def test_a_summary_of_a_site(world: World) -> None:
    await both_sites(world)
    summary = await get(world, "summary")
    told = {span: summary[span]["energy_generated_kwh"] for span in ("today", "month", "year", "lifetime")}
    assert told == {"today": 12, "month": 12, "year": 48, "lifetime": 57}
    assert (summary["since"], summary["sites"], summary["timezone"]) == ("2025-12-01", 1, "Asia/Karachi")
    assert summary["year"]["self_consumption_percent"] == pytest.approx(200 / 3)
    assert summary["year"]["self_sufficiency_percent"] is None
    assert summary["today"]["energy_imported_kwh"] is None
    # 19:00 UTC is midnight in Karachi: the next day has begun, and it has no row yet.
    world.api.clock.at = START.replace(hour=19)
    token = world.api.services.tokens.issue(world.owner.id, world.api.clock())
    tomorrow = await ask(world, f"/sites/{world.site['id']}/summary", Person(world.owner.id, world.owner.email, token))
    assert (tomorrow["today"]["energy_generated_kwh"], tomorrow["month"]["energy_generated_kwh"]) == (None, 12)


async def test_a_summary_without_data_is_null(world: World) -> None:
    summary = await get(world, "summary")
    assert {summary[span]["energy_generated_kwh"] for span in ("today", "month", "year", "lifetime")} == {None}
    assert (summary["since"], summary["lifetime"]["sites_with_data"]) == (None, 0)


async def test_shares_are_taken_where_both_sides_were_measured(world: World) -> None:
    await both_sites(world)
    async with world.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(
            text(
                "UPDATE telemetry_monthly_summary SET self_consumed_kwh = NULL, energy_exported_kwh = NULL"
                " WHERE year = 2026 AND month = 5"
            )
        )
    year = (await get(world, "summary"))["year"]
    assert year["energy_generated_kwh"] == 48
    assert year["self_consumption_percent"] == pytest.approx(200 / 3)


async def test_the_portfolio_is_the_persons_own(world: World) -> None:
    await both_sites(world)
    await show(world, START, 4.2)
    page = await ask(world, "/portfolio")
    assert [site["site_id"] for site in page["items"]] == [world.site["id"]]
    site = page["items"][0]
    assert (site["today"]["energy_generated_kwh"], site["month"]["energy_generated_kwh"]) == (12, 12)
    assert site["today"]["energy_imported_kwh"] is None
    assert site["devices_reporting"] + site["devices_stale"] == 1
    assert (site["open_alerts"], site["critical_alerts"]) == (0, 0)
    assert (await ask(world, "/portfolio/summary"))["lifetime"]["energy_generated_kwh"] == 57
    theirs = await ask(world, "/portfolio/summary", world.stranger)
    assert (theirs["lifetime"]["energy_generated_kwh"], theirs["sites"]) == (1000, 1)
    energy = await ask(world, "/portfolio/energy", **{"from": "2026-05-30", "to": "2026-06-01"})
    assert [day["energy_generated_kwh"] for day in energy["days"]] == [None, 30, 12]
    assert [day["sites_with_data"] for day in energy["days"]] == [0, 1, 1]


async def test_alerts_and_silent_devices_are_counted(world: World) -> None:
    await show(world, START - timedelta(days=1), 4.2)
    async with world.api.services.db.transaction(SYSTEM) as conn:
        for number, (status, severity) in enumerate(
            [("active", "critical"), ("acknowledged", "warning"), ("resolved", "critical")]
        ):
            await conn.execute(
                text(
                    "INSERT INTO alerts (id, organization_id, site_id, severity, status, title, triggered_at)"
                    " VALUES (gen_random_uuid(), :org, :site, CAST(:severity AS alert_severity), CAST(:status AS alert_status),"
                    " :title, now())"
                ),
                {
                    "org": world.organization_id,
                    "site": UUID(world.site["id"]),
                    "severity": severity,
                    "status": status,
                    "title": f"alert {number}",
                },
            )
    site = (await ask(world, "/portfolio"))["items"][0]
    assert (site["open_alerts"], site["critical_alerts"]) == (2, 1)
    assert (site["pv_power_kw"], site["devices_reporting"], site["devices_stale"]) == (None, 0, 1)


async def test_a_person_of_nowhere_sees_nothing(world: World) -> None:
    await both_sites(world)
    nobody = await world.api.person("nobody@example.com")
    assert await ask(world, "/portfolio", nobody) == {"items": [], "next_cursor": None}
    summary = await ask(world, "/portfolio/summary", nobody)
    assert (summary["sites"], summary["lifetime"]["energy_generated_kwh"]) == (0, None)
    assert (await ask(world, "/portfolio/energy", nobody))["days"][0]["energy_generated_kwh"] is None


async def test_an_installer_sees_energy(world: World) -> None:
    await both_sites(world)
    installer = await world.api.member(world.organization_id, "installer@example.com", OrgMemberRole.INSTALLER)
    assert (await ask(world, "/portfolio", installer))["items"][0]["today"]["energy_generated_kwh"] == 12


async def test_days_of_a_decommissioned_site_are_nobodys(world: World) -> None:
    await both_sites(world)
    asked = {"from": "2026-06-01", "to": "2026-06-01"}
    before = await ask(world, "/portfolio/energy", **asked)
    async with world.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(
            text("UPDATE sites SET status = 'decommissioned' WHERE id = :id"), {"id": UUID(world.site["id"])}
        )
    after = await ask(world, "/portfolio/energy", **asked)
    assert (before["days"][0]["energy_generated_kwh"], before["sites"]) == (12, 1)
    assert (after["days"][0]["energy_generated_kwh"], after["sites"]) == (None, 0)


async def test_the_portfolio_is_paged_by_name_and_leaves_decommissioned_sites_out(world: World) -> None:
    for name in ("Akora", "Zhob", "Mardan"):
        await world.api.call(
            "POST", "/sites", world.owner, json={"organization_id": str(world.organization_id), "name": name}
        )
    seen, cursor = [], None
    while True:
        page = await ask(world, "/portfolio", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [site["name"] for site in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["Akora", "Mardan", "Site one", "Zhob"]
    async with world.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(text("UPDATE sites SET status = 'decommissioned' WHERE name = 'Zhob'"))
    assert len((await ask(world, "/portfolio"))["items"]) == 3
    assert (await ask(world, "/portfolio/summary"))["sites"] == 3


@pytest.mark.parametrize(("first", "last"), [("2026-06-02", "2026-06-01"), ("2020-01-01", "2026-06-01")])
async def test_days_that_cannot_be_answered(world: World, first: str, last: str) -> None:
    refused = await world.api.call("GET", "/portfolio/energy", world.owner, params={"from": first, "to": last})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "to")


DAY = {"from": MIDNIGHT.isoformat(), "to": (MIDNIGHT + timedelta(days=1)).isoformat()}


async def add_meter(world: World) -> str:
    made = await world.api.call(
        "POST",
        "/devices",
        world.owner,
        json={
            "site_id": world.site["id"],
            "name": "Meter",
            "device_type": "meter",
            "protocol": "modbus_tcp",
            "connection_config": {"host": "192.168.1.101"},
            "profile": "sunspec",
            "serial_number": "SN-meter",
        },
    )
    assert made.status_code == 201, made.text
    device_id: str = made.json()["id"]
    return device_id


class TestSeveralSeries:
    async def test_metrics_and_devices_at_one_resolution(self, world: World) -> None:
        await fill(world)
        meter = await add_meter(world)
        answer = await get(
            world,
            "telemetry",
            metric=["ac_power_kw", "energy_generated_kwh", "ac_power_kw"],
            device_id=[world.device["id"], meter],
            resolution="1h",
            **DAY,
        )
        lines = {(line["metric"], line["device_id"]): line["points"] for line in answer["series"]}
        assert list(lines) == [
            (metric, device)
            for metric in ("ac_power_kw", "energy_generated_kwh")
            for device in (world.device["id"], meter)
        ]
        assert (answer["resolution"], answer["comparison"]) == ("1h", None)
        assert {len(points) for points in lines.values()} == {24}
        assert lines["ac_power_kw", world.device["id"]][8]["value"] == pytest.approx(3)
        assert lines["energy_generated_kwh", world.device["id"]][8]["value"] == pytest.approx(3)
        assert {point["value"] for point in lines["ac_power_kw", meter]} == {None}

    async def test_each_line_is_what_it_is_alone(self, world: World) -> None:
        await fill(world)
        metrics = ["energy_generated_kwh", "ac_power_kw", "grid_power_kw"]
        for resolution in ("15m", "1h", "1d", "1mo"):
            together = await get(world, "telemetry", metric=metrics, resolution=resolution, **DAY)
            for line in together["series"]:
                alone = await get(world, "telemetry", metric=line["metric"], resolution=resolution, **DAY)
                assert line["points"] == alone["points"]
                assert line["unit"] == alone["unit"]

    async def test_channels_by_the_hour_come_from_raw_readings(self, world: World) -> None:
        await fill(world)
        async with world.api.services.db.transaction(SYSTEM) as conn:
            # A reading that nobody trusts does not count.
            await conn.execute(
                text(
                    "UPDATE telemetry_readings SET quality = 2, extra = '{\"dc_voltage_v.pv1\": 9999}' WHERE at = :at"
                ),
                {"at": MIDNIGHT + timedelta(hours=8, minutes=5)},
            )
        answer = await get(
            world, "telemetry", metric="dc_voltage_v.pv1", device_id=world.device["id"], resolution="1h", **DAY
        )
        told = [point["value"] for point in answer["points"]]
        assert told[:8] == [None] * 8
        assert told[8] == pytest.approx(380.5)
        assert answer["points"][8]["high"] == 380.5

    async def test_several_raw_series(self, world: World) -> None:
        await fill(world)
        meter = await add_meter(world)
        answer = await get(
            world,
            "telemetry",
            metric=["ac_power_kw", "operating_state", "dc_voltage_v.pv1"],
            device_id=[world.device["id"], meter],
            resolution="raw",
            **{"from": "2026-06-01T03:00:00Z", "to": "2026-06-01T07:30:00Z"},
        )
        assert [len(line["points"]) for line in answer["series"]] == [182, 0] * 3
        assert answer["series"][2]["points"][0]["value"] == "producing"

    async def test_a_comparison_with_the_day_before(self, world: World) -> None:
        await fill(world)
        next_day = {
            "from": (MIDNIGHT + timedelta(days=1)).isoformat(),
            "to": (MIDNIGHT + timedelta(days=2)).isoformat(),
        }
        params = {"metric": "energy_generated_kwh", "resolution": "1h", **next_day}
        answer = await get(world, "telemetry", compare="previous", **params)
        assert {point["value"] for point in answer["series"][0]["points"]} == {None}
        earlier = answer["comparison"]
        assert (earlier["start"], earlier["end"]) == ("2026-05-31T19:00:00Z", "2026-06-01T19:00:00Z")
        assert sum(point["value"] or 0 for point in earlier["series"][0]["points"]) == pytest.approx(12)
        same = await get(world, "telemetry", compare_from=MIDNIGHT.isoformat(), **params)
        assert same["comparison"] == earlier
        year = await get(world, "telemetry", compare="year", **params)
        assert year["comparison"]["start"] == "2025-06-01T19:00:00Z"

    @pytest.mark.parametrize(
        ("params", "field", "words"),
        [
            ({"metric": ["ac_power_kw", "flux"]}, "metric", "not in the catalogue"),
            ({"metric": ["ac_power_kw", "energy_generated_kwh"], "resolution": "raw"}, "metric", "raw"),
            ({"metric": ["ac_power_kw"], "compare": "year", "compare_from": MIDNIGHT.isoformat()}, "compare_from", ""),
            ({"metric": ["ac_power_kw"], "compare": "tomorrow"}, "compare", ""),
            ({"metric": ["dc_voltage_v.pv1"]}, "metric", "device_id"),
            ({"metric": ["ac_power_kw"] * 21}, "metric", ""),
        ],
    )
    async def test_refused_with_the_way_out(self, world: World, params: dict[str, Any], field: str, words: str) -> None:
        answer = await world.api.call("GET", f"/sites/{world.site['id']}/telemetry", world.owner, params=params)
        assert answer.status_code == 422, answer.text
        problem = answer.json()["errors"][0]
        assert problem["field"].endswith(field)
        assert words in problem["message"]

    async def test_one_foreign_device_among_own_ones_is_not_there(self, world: World) -> None:
        params = {"metric": "ac_power_kw", "device_id": [world.device["id"], world.other_device["id"]]}
        answer = await world.api.call("GET", f"/sites/{world.site['id']}/telemetry", world.owner, params=params)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


class TestForms:
    async def table(self, world: World, accept: str) -> Any:
        return await world.api.call(
            "GET",
            f"/sites/{world.site['id']}/telemetry",
            world.owner,
            params={"metric": "energy_generated_kwh", "resolution": "1h", **DAY},
            headers={"Accept": accept},
        )

    async def test_csv(self, world: World) -> None:
        await fill(world)
        answer = await self.table(world, "text/csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="telemetry-20260531-20260601.csv"'
        assert "Accept" in answer.headers["vary"]
        assert answer.headers["telemetry-resolution"] == "1h"
        assert answer.headers["telemetry-timezone"] == "Asia/Karachi"
        assert "telemetry-archived" not in answer.headers
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert len(rows) == 24
        assert rows[0]["value"] == ""
        assert sum(float(row["value"]) for row in rows if row["value"]) == pytest.approx(12)

    async def test_what_is_only_in_the_archive(self, world: World) -> None:
        await fill(world)
        async with world.api.services.db.transaction(SYSTEM) as conn:
            await conn.execute(
                text(
                    "INSERT INTO telemetry_archives (site_id, organization_id, kind, first_day, last_day, path, sha256, rows,"
                    " size_bytes, layout, is_away, exported_at)"
                    " SELECT id, organization_id, 'hours', '2026-05-31', '2026-06-01', 'p', '0', 1, 1, 1, true, now()"
                    " FROM sites WHERE id = :site"
                ),
                {"site": UUID(world.site["id"])},
            )
        for accept in ("text/csv", "application/vnd.apache.parquet"):
            answer = await self.table(world, accept)
            assert answer.headers["telemetry-archived"] == "2026-05-31/2026-06-01"

    async def test_parquet(self, world: World) -> None:
        await fill(world)
        answer = await self.table(world, "application/vnd.apache.parquet")
        assert answer.headers["content-type"] == "application/vnd.apache.parquet"
        values = read_parquet(io.BytesIO(answer.content)).read_all()["value"].to_pylist()
        assert values[:8] == [None] * 8
        assert values[8:12] == [pytest.approx(3)] * 4

    async def test_parquet_that_is_not_installed(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cloud.telemetry.endpoints.series.CAN_PARQUET", False)
        answer = await self.table(world, "application/vnd.apache.parquet")
        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
        assert "text/csv" in answer.json()["detail"]

    async def test_a_form_that_nobody_writes(self, world: World) -> None:
        answer = await self.table(world, "image/png")
        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
