"""Series, days and the live view over HTTP."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from cloud.core.db import SYSTEM
from cloud.ingest.bell import live_channel
from cloud.sites.repository import get_site
from cloud.telemetry.repository.queue import mark
from cloud.telemetry.schemas import Live, LiveDevice
from cloud.telemetry.service.live import live
from cloud.telemetry.service.rollup import make_room, roll_up_site
from cloud.telemetry.service.stream import LiveHub
from shared.periods import Window
from tests.integration.api.conftest import START, World

MIDNIGHT = datetime(2026, 5, 31, 19, tzinfo=UTC)
PATHS = ("telemetry?metric=energy_generated_kwh", "energy", "summary", "live", "live/stream")


async def fill(world: World) -> None:
    """Four hours from 08:00 of June 1 in Karachi: 3 kW, read every minute, with an hour missing in the middle."""
    site_id, device_id = UUID(world.site["id"]), UUID(world.device["id"])
    morning = MIDNIGHT + timedelta(hours=8)
    async with world.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(text("UPDATE devices SET commissioned_at = :at, poll_interval_s = 60"), {"at": MIDNIGHT})
        for minute in range(241):
            if not 60 < minute < 120:
                values = {"site": site_id, "device": device_id, "at": morning + timedelta(minutes=minute)}
                await conn.execute(
                    text(
                        "INSERT INTO telemetry_readings"
                        " (site_id, device_number, at, seq, ac_power_kw, energy_total_kwh, grid_frequency_hz, operating_state, extra)"
                        " SELECT site_id, number, :at, 1, 3, :kwh, 50.1, 'producing', '{\"dc_voltage_v.pv1\": 380.5}'"
                        " FROM devices WHERE site_id = :site AND id = :device"
                    ),
                    values | {"kwh": 100 + minute / 20},
                )
        organization_id = world.organization_id
        window = Window(morning, morning + timedelta(hours=4, minutes=15))
        await mark(conn, site_id=site_id, organization_id=organization_id, device_id=device_id, window=window, at=START)
        await make_room(conn, site_id)
        assert await roll_up_site(conn, site_id, now=START) == 17


async def show(world: World, at: datetime, power_kw: float) -> None:
    """The device's newest values."""
    async with world.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(
            text(
                "INSERT INTO device_telemetry_snapshot (site_id, organization_id, device_id, timestamp, received_at, current_power_kw)"
                " VALUES (:site, :organization, :device, :at, now(), :kw) ON CONFLICT (site_id, device_id) DO UPDATE SET"
                " timestamp = excluded.timestamp, received_at = excluded.received_at, current_power_kw = excluded.current_power_kw"
            ),
            {
                "site": UUID(world.site["id"]),
                "organization": world.organization_id,
                "device": UUID(world.device["id"]),
                "at": at,
                "kw": power_kw,
            },
        )


async def get(world: World, path: str, **params: Any) -> dict[str, Any]:
    answer = await world.api.call("GET", f"/sites/{world.site['id']}/{path}", world.owner, params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("path", PATHS)
async def test_anonymous(world: World, path: str) -> None:
    answer = await world.api.call("GET", f"/sites/{world.site['id']}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("path", PATHS)
async def test_other_organisation(world: World, path: str) -> None:
    answer = await world.api.call("GET", f"/sites/{world.other_site['id']}/{path}", world.owner)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_device_of_another_site_is_not_there(world: World) -> None:
    params = {"metric": "ac_power_kw", "device_id": world.other_device["id"]}
    answer = await world.api.call("GET", f"/sites/{world.site['id']}/telemetry", world.owner, params=params)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_energy_by_quarter_hour_hour_day_and_month(world: World) -> None:
    await fill(world)
    day = {"from": MIDNIGHT.isoformat(), "to": (MIDNIGHT + timedelta(days=1)).isoformat()}
    quarters = await get(world, "telemetry", metric="energy_generated_kwh", resolution="15m", **day)
    assert (len(quarters["points"]), quarters["unit"], quarters["timezone"]) == (96, "kWh", "Asia/Karachi")
    told = [point["value"] for point in quarters["points"] if point["value"] is not None]
    assert told == pytest.approx([0.75] * 16)
    assert quarters["points"][0] == {"at": "2026-05-31T19:00:00Z", "value": None, "low": None, "high": None}
    hours = await get(world, "telemetry", metric="energy_generated_kwh", resolution="1h", **day)
    assert [point["value"] for point in hours["points"]] == [None] * 8 + [pytest.approx(3)] * 4 + [None] * 12
    days = await get(world, "telemetry", metric="energy_generated_kwh", resolution="1d", **day)
    assert days["points"] == [{"at": "2026-05-31T19:00:00Z", "value": 12, "low": None, "high": None}]
    months = await get(world, "telemetry", metric="energy_generated_kwh", resolution="1mo", **day)
    assert months["points"] == days["points"]


async def test_power_has_mean_and_extremes_and_missing_is_null(world: World) -> None:
    await fill(world)
    window = {"from": "2026-06-01T03:00:00Z", "to": "2026-06-01T07:00:00Z", "resolution": "15m"}
    site = await get(world, "telemetry", metric="power_output", **window)
    values = [point["value"] for point in site["points"]]
    assert values == [3] * 5 + [None] * 3 + [3] * 8
    assert site["points"][0]["low"] == site["points"][0]["high"] == 3
    device = await get(world, "telemetry", metric="grid_frequency_hz", device_id=world.device["id"], **window)
    first = device["points"][0]
    assert first == {"at": "2026-06-01T03:00:00Z", "value": pytest.approx(50.1), "low": 50.1, "high": 50.1}


async def test_raw_values_words_and_channels(world: World) -> None:
    await fill(world)
    window = {"from": "2026-06-01T03:00:00Z", "to": "2026-06-01T03:02:00Z", "device_id": world.device["id"]}
    power = await get(world, "telemetry", metric="ac_power_kw", **window)
    assert power["resolution"] == "raw"
    assert [(point["at"], point["value"]) for point in power["points"]] == [
        ("2026-06-01T03:00:00Z", 3),
        ("2026-06-01T03:01:00Z", 3),
    ]
    frequency = await get(world, "telemetry", metric="grid_frequency_hz", **window)
    assert [point["value"] for point in frequency["points"]] == [50.1] * 2, "the shortest decimal of a REAL"
    state = await get(world, "telemetry", metric="operating_state", resolution="raw", **window)
    assert [point["value"] for point in state["points"]] == ["producing"] * 2
    channel = await get(world, "telemetry", metric="dc_voltage_v.pv1", resolution="raw", **window)
    assert [point["value"] for point in channel["points"]] == [380.5] * 2


@pytest.mark.parametrize(
    ("days", "device", "resolution"),
    [(1, True, "raw"), (10, True, "15m"), (1, False, "15m"), (50, False, "15m"), (60, False, "1h"), (300, False, "1d")],
)
async def test_auto_takes_the_finest_that_fits(world: World, days: int, device: bool, resolution: str) -> None:
    async with world.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(text("UPDATE devices SET poll_interval_s = 60"))
    params = {"from": MIDNIGHT.isoformat(), "to": (MIDNIGHT + timedelta(days=days)).isoformat()}
    if device:
        params["device_id"] = world.device["id"]
    answer = await get(world, "telemetry", metric="ac_power_kw", **params)
    assert answer["resolution"] == resolution
    assert len(answer["points"]) <= 5000


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"metric": "flux"}, "metric", "not in the catalogue"),
        ({"metric": "ac_voltage_v"}, "metric", "device_id"),
        ({"metric": "energy_total_kwh"}, "metric", "energy_generated_kwh"),
        ({"metric": "ac_power_kw", "resolution": "raw"}, "metric", "device_id"),
        ({"metric": "ac_power_kw", "resolution": "15m", "from": "2020-01-01T00:00:00Z"}, "resolution", "5000"),
        ({"metric": "ac_power_kw", "from": "2030-01-01T00:00:00Z"}, "from", "before"),
        ({"metric": "ac_power_kw", "resolution": "2h"}, "resolution", ""),
        ({"metric": "ac_power_kw", "from": "yesterday"}, "from", ""),
        ({}, "metric", ""),
    ],
)
async def test_a_wrong_question_is_refused_with_the_way_out(
    world: World, params: dict[str, str], field: str, words: str
) -> None:
    answer = await world.api.call("GET", f"/sites/{world.site['id']}/telemetry", world.owner, params=params)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "validation_failed")
    assert problem["errors"][0]["field"].endswith(field)
    assert words in problem["errors"][0]["message"]


async def test_days_of_a_site(world: World) -> None:
    await fill(world)
    answer = await get(world, "energy", **{"from": "2026-05-31", "to": "2026-06-02"})
    before, day, after = answer["days"]
    assert (before["energy_generated_kwh"], after["energy_generated_kwh"]) == (None, None)
    assert (day["date"], day["energy_generated_kwh"], day["energy_bridged_kwh"]) == ("2026-06-01", 12, 3)
    assert day["energy_imported_kwh"] is None
    assert len((await get(world, "energy"))["days"]) == 30
    refused = await world.api.call(
        "GET", f"/sites/{world.site['id']}/energy", world.owner, params={"from": "2026-06-02", "to": "2026-06-01"}
    )
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "to")


async def test_live_leaves_stale_devices_out(world: World) -> None:
    now = datetime.now(UTC)
    await show(world, now, 4.2)
    fresh = await get(world, "live")
    assert (fresh["pv_power_kw"], fresh["devices_reporting"], fresh["devices_stale"]) == (4.2, 1, 0)
    assert (fresh["devices"][0]["power_kw"], fresh["devices"][0]["is_stale"]) == (4.2, False)
    await show(world, now - timedelta(hours=1), 4.2)
    stale = await get(world, "live")
    assert (stale["pv_power_kw"], stale["devices_reporting"], stale["devices_stale"]) == (None, 0, 1)
    assert stale["devices"][0]["is_stale"] is True
    assert stale["devices"][0]["age_s"] > 3_500


async def test_live_is_as_described(world: World) -> None:
    empty = await get(world, "live")
    assert Live.model_validate(empty).devices == []
    await show(world, datetime.now(UTC), 4.2)
    told = Live.model_validate(await get(world, "live"))
    assert told.site_id == UUID(world.site["id"])
    assert told.newest_reading_at == told.oldest_reading_at == told.devices[0].at
    assert set(empty) == set(Live.model_fields)
    assert set((await get(world, "live"))["devices"][0]) == set(LiveDevice.model_fields)


class Stream:
    """A client of the event stream."""

    def __init__(
        self, world: World, last_event_id: str | None = None, *, stream_s: float = 60, hub: LiveHub | None = None
    ) -> None:
        site_id, services = UUID(world.site["id"]), world.api.services

        async def look() -> Any:
            async with services.db.transaction(SYSTEM) as conn:
                site = await get_site(conn, site_id)
                assert site is not None
                return await live(conn, site, now=START)

        self.hub = hub or LiveHub(services.redis)
        self.chunks = self.hub.events(
            site_id, look, channel=live_channel(site_id), last_event_id=last_event_id, stream_s=stream_s
        )

    async def event(self) -> tuple[str, dict[str, Any]]:
        async with asyncio.timeout(10):
            async for chunk in self.chunks:
                lines = dict(line.split(": ", 1) for line in chunk.decode().strip().splitlines())
                if "data" in lines:
                    return lines["id"], json.loads(lines["data"])
        raise AssertionError("the stream ended")


async def test_the_stream_sends_what_changes_and_resumes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that it is the announcement that is heard, and not the next look.
    monkeypatch.setattr("cloud.telemetry.service.stream.LOOK_EVERY_S", 60.0)
    await show(world, datetime.now(UTC), 1.0)
    stream = Stream(world)
    first_id, first = await stream.event()
    assert first["pv_power_kw"] == 1.0
    waiting = asyncio.create_task(stream.event())
    await asyncio.sleep(0.2)
    await show(world, datetime.now(UTC), 2.0)
    await world.api.services.redis.publish(live_channel(world.site["id"]), "now")
    second_id, second = await waiting
    assert (second["pv_power_kw"], second_id != first_id) == (2.0, True)
    # A client that comes back with what it has seen last hears of later changes only, one with an older id hears at once.
    assert (await Stream(world, first_id).event())[0] == second_id
    resumed = Stream(world, second_id, stream_s=0.5)
    assert [chunk async for chunk in resumed.chunks] == [b"retry: 2000\n\n"]


async def test_the_stream_over_http(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.telemetry.service.stream.LiveHub.events.__kwdefaults__", {"stream_s": 0.5})
    await show(world, datetime.now(UTC), 1.5)
    answer = await world.api.call("GET", f"/sites/{world.site['id']}/live/stream", world.owner)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.text.startswith("retry: 2000\n\nid: ")
    assert '"pv_power_kw":1.5' in answer.text
