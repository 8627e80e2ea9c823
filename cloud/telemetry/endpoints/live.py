"""What flows now, once and as a stream."""

import asyncio
from typing import Annotated

from fastapi import Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from cloud.core.db import TenantContext
from cloud.core.log import get_logger
from cloud.ingest.bell import live_channel
from cloud.telemetry.deps import ReadableSite
from cloud.telemetry.schemas import Live
from cloud.telemetry.service import live as live_service
from cloud.telemetry.service.stream import LiveHub
from cloud.web.deps import Conn, Now, ServicesDep
from cloud.web.routing import api_router

router = api_router("/sites/{site_id}", tags=["telemetry"])

_log = get_logger(__name__)

TAKE_WITHIN_S = 30.0
"""A client that does not take what was sent for so long is gone, whatever its connection says."""


class EventStream(StreamingResponse):
    """Server-sent events that end when the client stops reading."""

    media_type = "text/event-stream"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; returning in the middle of them makes the server close the connection."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(TAKE_WITHIN_S):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except* TimeoutError:
            _log.info("live_client_stuck", path=scope["path"])


@router.get("/live", response_model=Live)
async def read_live(site: ReadableSite, conn: Conn, now: Now) -> Response:
    """What flows now; devices that are silent for three poll intervals are left out and counted as stale."""
    view, _ = await live_service.live(conn, site, now=now)
    return Response(view, media_type="application/json")


@router.get(
    "/live/stream",
    response_class=EventStream,
    responses={
        200: {
            "description": "Events named `live`, each with the body of `GET …/live`.",
            "content": {"text/event-stream": {}},
        }
    },
)
async def stream_live(
    site: ReadableSite,
    request: Request,
    services: ServicesDep,
    *,
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="Of the last event seen; a browser sends it by itself.")
    ] = None,
) -> EventStream:
    """The live view as server-sent events. The stream ends after ten minutes; a client that comes back misses nothing.

    Every event is the whole view, so whoever reads slowly, or was away, goes on with the newest one.
    """
    hub: LiveHub = request.app.state.live
    context = TenantContext(organization_ids=(site.organization_id,), site_ids=(site.id,))

    async def look() -> tuple[bytes, str]:
        # The primary: a replica may not have yet what was announced a moment ago.
        async with services.db.transaction(context) as conn:
            return await live_service.live(conn, site, now=services.clock())

    events = hub.events(site.id, look, channel=live_channel(site.id), last_event_id=last_event_id)
    return EventStream(events, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
