"""The live view as server-sent events: one watcher for each site that somebody looks at, however many they are."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Self
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from cloud.core.db import DRIVER_ERRORS
from cloud.core.errors import CloudError
from cloud.core.log import get_logger

_log = get_logger(__name__)

LOOK_EVERY_S = 5.0
"""Without a sign from Redis the watcher looks by itself this often; values also grow stale without one."""

LOOK_AGAIN_AFTER_S = 0.25
"""Signs that come quicker than this are answered by one look."""

KEEP_ALIVE_S = 15.0
STREAM_S = 600.0
"""A stream ends after as long as an access token lives; the client comes back with a fresh one and its Last-Event-ID."""

RETRY_MS = 2_000

_LOOK_ERRORS: tuple[type[Exception], ...] = (CloudError, DBAPIError, OSError, *DRIVER_ERRORS)

Look = Callable[[], Awaitable[tuple[bytes, str]]]
"""Reads a site's live view (JSON and id), in a transaction of its own."""


class _Room:
    """The newest event of one site, for those who look at it."""

    def __init__(self) -> None:
        self.viewers = 0
        self.event_id: str | None = None
        self.event = b""
        self.changed = asyncio.Event()
        self.watcher: asyncio.Task[None] | None = None

    def show(self, view: bytes, event_id: str) -> None:
        """Keep the view as the newest event, and wake everybody, if it is another one than before."""
        if event_id == self.event_id:
            return
        self.event = b"id: %b\nevent: live\ndata: %b\n\n" % (event_id.encode(), view)
        self.event_id = event_id
        woken, self.changed = self.changed, asyncio.Event()
        woken.set()


class LiveHub:
    """Streams of one API process.

    A site's watcher reads its view once for all viewers. A viewer holds nothing but its place in the newest event: whoever reads slowly
    misses the values in between and never makes anything pile up, and whoever goes leaves nothing behind. The last one to go ends
    the watcher.
    """

    def __init__(self, redis: Redis) -> None:
        """`redis` announces new values; streams go on, a little slower, while it is away."""
        self._redis = redis
        self._rooms: dict[UUID, _Room] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def watched(self) -> int:
        """How many sites somebody looks at."""
        return len(self._rooms)

    async def events(
        self, site_id: UUID, look: Look, *, channel: str, last_event_id: str | None, stream_s: float = STREAM_S
    ) -> AsyncIterator[bytes]:
        """Server-sent events: one at once unless the client has it already, then one for every change.

        Args:
            site_id: the site.
            look: reads its live view.
            channel: where Redis announces its new values.
            last_event_id: what a client that comes back has seen last.
            stream_s: length of the stream.
        """
        yield f"retry: {RETRY_MS}\n\n".encode()
        clock = asyncio.get_running_loop().time
        end, seen = clock() + stream_s, last_event_id
        with self._seat(site_id, look, channel) as room:
            while (left := end - clock()) > 0:
                changed = room.changed
                if room.event_id not in {None, seen}:
                    seen = room.event_id
                    yield room.event
                    continue
                if not await _happens(changed, within_s=min(KEEP_ALIVE_S, left)) and clock() < end:
                    yield b": still here\n\n"

    @contextlib.contextmanager
    def _seat(self, site_id: UUID, look: Look, channel: str) -> Iterator[_Room]:
        room = self._rooms.setdefault(site_id, _Room())
        room.viewers += 1
        if room.watcher is None:
            room.watcher = asyncio.create_task(self._watch(room, look, channel), name=f"live {site_id}")
        try:
            yield room
        finally:
            room.viewers -= 1
            if not room.viewers:
                self._close(site_id, room)

    def _close(self, site_id: UUID, room: _Room) -> None:
        del self._rooms[site_id]
        if room.watcher is not None:
            self._ending.add(room.watcher)  # the loop itself keeps no task alive
            room.watcher.add_done_callback(self._ending.discard)
            room.watcher.cancel()

    async def _watch(self, room: _Room, look: Look, channel: str) -> None:
        async with _Announcements(self._redis, channel) as announcements:
            while True:
                try:
                    room.show(*await look())
                except _LOOK_ERRORS as error:
                    _log.warning("live_look_failed", channel=channel, error=str(error))
                await asyncio.sleep(LOOK_AGAIN_AFTER_S)
                await announcements.wait(LOOK_EVERY_S)


async def _happens(event: asyncio.Event, *, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False


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
