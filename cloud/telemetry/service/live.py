"""What flows now, once and as a stream of server-sent events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Self
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.log import get_logger
from cloud.telemetry.repository import reads
from cloud.telemetry.schemas import Live, LiveDevice

_log = get_logger(__name__)

LOOK_EVERY_S = 5.0
"""Without a sign from Redis the stream looks by itself this often; values also grow stale without one."""

KEEP_ALIVE_S = 15.0
STREAM_S = 600.0
"""A stream ends after as long as an access token lives; the client comes back with a fresh one and its Last-Event-ID."""

RETRY_MS = 2_000


async def live(conn: AsyncConnection, site_id: UUID, *, now: datetime) -> tuple[Live, str]:
    """The site's flows and devices, and an id that changes whenever what a viewer sees does."""
    flows = await reads.live_flows(conn, site_id)
    devices = await reads.live_devices(conn, site_id)
    view = Live(
        site_id=site_id,
        at=now,
        pv_power_kw=flows["total_power_kw"],
        grid_power_kw=flows["grid_power_kw"],
        battery_power_kw=flows["battery_power_kw"],
        load_power_kw=flows["load_power_kw"],
        battery_soc_percent=flows["battery_soc_percent"],
        energy_today_kwh=flows["total_energy_today_kwh"],
        devices_reporting=flows["devices_reporting"],
        devices_stale=flows["devices_stale"],
        oldest_reading_at=flows["oldest_reading_at"],
        newest_reading_at=flows["newest_reading_at"],
        devices=[LiveDevice.model_validate(device) for device in devices],
    )
    newest = max((device["received_at"] for device in devices), default=None)
    stamp = 0 if newest is None else round(newest.timestamp() * 1_000_000)
    return view, f"{stamp}-{view.devices_reporting}"


async def events(
    look: Callable[[], Awaitable[tuple[Live, str]]],
    *,
    redis: Redis,
    channel: str,
    last_event_id: str | None,
    clock: Callable[[], float],
    stream_s: float = STREAM_S,
) -> AsyncIterator[bytes]:
    """Server-sent events: one at once unless the client has it already, then one for every change.

    Args:
        look: reads the live view, in a transaction of its own.
        redis: announces new values; the stream goes on, a little slower, while it is away.
        channel: of the site.
        last_event_id: what a client that comes back has seen last.
        clock: seconds that only grow.
        stream_s: length of the stream.
    """
    yield f"retry: {RETRY_MS}\n\n".encode()
    seen = last_event_id
    started = spoken = clock()
    async with _Announcements(redis, channel) as announcements:
        while clock() - started < stream_s:
            view, event_id = await look()
            if event_id != seen:
                data = json.dumps(view.model_dump(mode="json"), separators=(",", ":"))
                yield f"id: {event_id}\nevent: live\ndata: {data}\n\n".encode()
                seen, spoken = event_id, clock()
            elif clock() - spoken >= KEEP_ALIVE_S:
                yield b": still here\n\n"
                spoken = clock()
            await announcements.wait(min(LOOK_EVERY_S, stream_s))


class _Announcements:
    """Waits for a message on a site's channel, or for time to pass."""

    def __init__(self, redis: Redis, channel: str) -> None:
        self._pubsub = redis.pubsub(ignore_subscribe_messages=True)
        self._channel = channel
        self._is_open = False

    async def __aenter__(self) -> Self:
        await self._subscribe()
        return self

    async def __aexit__(self, *_: object) -> None:
        # A connection that is broken already cannot be closed in good order; there is nothing left to lose.
        with contextlib.suppress(RedisError, OSError):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]  # redis leaves it untyped

    async def wait(self, seconds: float) -> None:
        """Return at the first message, or after so many seconds."""
        if not self._is_open:
            await asyncio.sleep(seconds)
            await self._subscribe()
            return
        try:
            await self._pubsub.get_message(timeout=seconds)
        except (RedisError, OSError) as error:
            self._is_open = False
            _log.warning("live_channel_lost", channel=self._channel, error=str(error))
            await asyncio.sleep(seconds)

    async def _subscribe(self) -> None:
        try:
            await self._pubsub.subscribe(self._channel)
            self._is_open = True
        except (RedisError, OSError) as error:
            _log.warning("live_channel_away", channel=self._channel, error=str(error))
