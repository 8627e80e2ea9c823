"""The live hub of an API process, and reads on a replica."""

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cloud.core.db import SYSTEM, PrivilegedRoleError
from cloud.core.replica import Replica
from cloud.core.settings import Settings
from cloud.embedded.process import free_port
from cloud.telemetry.endpoints.live import live_channel
from cloud.telemetry.service.stream import LiveHub
from cloud.web.services import open_services
from tests.integration.api.conftest import Api, World
from tests.integration.api.test_portfolio import ask, both_sites
from tests.integration.api.test_telemetry import Stream, show


async def until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not happen in time")


class TestHub:
    async def test_viewers_share_a_watcher_and_leave_nothing_behind(self, world: World) -> None:
        await show(world, datetime.now(UTC), 1.0)
        tasks = asyncio.all_tasks()
        hub = LiveHub(world.api.services.redis)
        streams = [Stream(world, hub=hub) for _ in range(20)]
        assert len({(await stream.event())[0] for stream in streams}) == 1
        assert hub.watched == 1
        for stream in streams:
            await stream.chunks.aclose()  # type: ignore[attr-defined]  # it is a generator
        assert hub.watched == 0
        await until(lambda: asyncio.all_tasks() <= tasks)

    async def test_a_viewer_that_is_cut_off_while_waiting(self, world: World) -> None:
        await show(world, datetime.now(UTC), 1.0)
        hub = LiveHub(world.api.services.redis)
        stream = Stream(world, hub=hub)
        await stream.event()
        waiting = asyncio.create_task(stream.event())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert hub.watched == 0

    async def test_a_slow_viewer_gets_the_newest_view_only(self, world: World) -> None:
        await show(world, datetime.now(UTC), 1.0)
        hub = LiveHub(world.api.services.redis)
        slow, quick = Stream(world, hub=hub), Stream(world, hub=hub)
        await slow.event()
        await quick.event()
        for kw in (2.0, 3.0, 4.0):
            await show(world, datetime.now(UTC), kw)
            await world.api.services.redis.publish(live_channel(world.site["id"]), "now")
            assert (await quick.event())[1]["pv_power_kw"] == kw
        assert (await slow.event())[1]["pv_power_kw"] == 4.0

    async def test_without_redis_it_looks_by_itself(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cloud.telemetry.service.stream.LOOK_EVERY_S", 0.1)
        away = Redis.from_url(f"redis://127.0.0.1:{free_port()}/0", socket_connect_timeout=0.2)
        stream = Stream(world, hub=LiveHub(away))
        await show(world, datetime.now(UTC), 1.0)
        assert (await stream.event())[1]["pv_power_kw"] == 1.0
        await show(world, datetime.now(UTC), 2.0)
        assert (await stream.event())[1]["pv_power_kw"] == 2.0
        await stream.chunks.aclose()  # type: ignore[attr-defined]  # it is a generator
        await away.aclose()


class TestReplica:
    def settings(self, settings: Settings, url: str) -> Settings:
        return settings.model_copy(update={"read_database_url": settings.database_url.__class__(url)})

    async def with_replica(self, world: World, replica: Replica) -> World:
        services = dataclasses.replace(world.api.services, replica=replica)
        world.api.app.state.services = services
        return dataclasses.replace(world, api=Api(world.api.app, services, world.api.http, world.api.clock, ""))

    async def test_reads_go_there_and_can_write_nothing(self, world: World, api_settings: Settings) -> None:
        await both_sites(world)
        settings = self.settings(api_settings, api_settings.database_url.get_secret_value())
        async with open_services(settings) as services:
            replica = services.replica
            assert replica is not None
            asked = await self.with_replica(world, replica)
            site = (await ask(asked, "/portfolio"))["items"][0]
            assert site["today"]["energy_generated_kwh"] == 12
            energy = await ask(asked, "/portfolio/energy", **{"from": "2026-06-01", "to": "2026-06-01"})
            assert energy["days"][0]["energy_generated_kwh"] == 12
            async with (
                world.api.services.db.transaction(SYSTEM) as primary,
                replica.transaction(SYSTEM, otherwise=primary) as conn,
            ):
                assert conn is not primary
                with pytest.raises(DBAPIError, match="read-only"):
                    await conn.execute(text("DELETE FROM telemetry_daily_summary"))

    async def test_the_primary_answers_while_it_is_away(self, world: World, api_settings: Settings) -> None:
        await both_sites(world)
        parts = urlsplit(api_settings.database_url.get_secret_value())
        nowhere = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{free_port()}"))
        seconds = [0.0]
        replica = Replica(nowhere, pool_size=1, max_overflow=0, pool_timeout_s=1, clock=lambda: seconds[0])
        await replica.open()
        asked = await self.with_replica(world, replica)
        for _ in range(2):
            assert (await ask(asked, "/portfolio"))["items"][0]["today"]["energy_generated_kwh"] == 12
        # It is tried again after a while, and used as soon as it answers.
        replica._url = api_settings.database_url.get_secret_value()
        async with world.api.services.db.transaction(SYSTEM) as primary:
            async with replica.transaction(SYSTEM, otherwise=primary) as conn:
                assert conn is primary
            seconds[0] = 60.0
            async with replica.transaction(SYSTEM, otherwise=primary) as conn:
                assert conn is not primary
        await replica.dispose()

    async def test_another_organisations_rows_stay_hidden_there(self, world: World, api_settings: Settings) -> None:
        await both_sites(world)
        settings = self.settings(api_settings, api_settings.database_url.get_secret_value())
        async with open_services(settings) as services:
            assert services.replica is not None
            asked = await self.with_replica(world, services.replica)
            assert (await ask(asked, "/portfolio/summary"))["lifetime"]["energy_generated_kwh"] == 57
            path = f"/sites/{world.other_site['id']}/summary"
            assert (await asked.api.call("GET", path, world.owner)).status_code == 404

    async def test_a_login_that_could_see_everything_ends_the_start(self, api_settings: Settings) -> None:
        settings = self.settings(api_settings, api_settings.admin_url)
        with pytest.raises(PrivilegedRoleError, match="superuser"):
            async with open_services(settings):
                pytest.fail("it started")
