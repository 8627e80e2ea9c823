"""Series, days and the live view of a site."""

import time
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Header, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from cloud.auth.rules import Action
from cloud.core.db import TenantContext
from cloud.core.errors import FieldProblem, ValidationFailedError
from cloud.ingest.endpoints import live_channel
from cloud.sites.deps import site_for
from cloud.sites.schemas import SiteOut
from cloud.telemetry.rules.series import MAX_SPAN, Resolution
from cloud.telemetry.schemas import Energy, Live, Series
from cloud.telemetry.service import live as live_service
from cloud.telemetry.service import reading
from cloud.web.deps import Conn, Now, ServicesDep
from cloud.web.routing import api_router
from shared.periods import Window, day_of, zone_of

router = api_router("/sites/{site_id}", tags=["telemetry"])

ReadableSite = Annotated[SiteOut, site_for(Action.TELEMETRY_READ)]

DEFAULT_DAYS = 30


@router.get("/telemetry")
async def read_series(
    site: ReadableSite,
    conn: Conn,
    now: Now,
    *,
    metric: Annotated[
        str,
        Query(
            max_length=64,
            description="A gauge of the catalogue (`ac_power_kw`, `grid_power_kw` …) or an energy (`energy_generated_kwh` …).",
        ),
    ],
    start: Annotated[
        AwareDatetime | None, Query(alias="from", description="First moment; a day before `to` if absent.")
    ] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to", description="First moment after; now if absent.")] = None,
    resolution: Annotated[Resolution, Query(description="`raw` needs a device.")] = Resolution.AUTO,
    device_id: Annotated[UUID | None, Query(description="One device instead of the whole site.")] = None,
) -> Series:
    """One metric over time: at most 5,000 points, null where nothing was measured; the answer says which resolution it took."""
    until = end or now
    window = Window(start or until - timedelta(days=1), until)
    if not timedelta() < window.end - window.start <= MAX_SPAN:
        problem: FieldProblem = {"field": "from", "message": "must be before `to`, and at most 30 years"}
        raise ValidationFailedError("from: must be before `to`, and at most 30 years.", errors=[problem])
    return await reading.series(conn, site, metric=metric, window=window, resolution=resolution, device_id=device_id)


@router.get("/energy")
async def read_energy(
    site: ReadableSite,
    conn: Conn,
    now: Now,
    *,
    first: Annotated[
        date | None, Query(alias="from", description="First local day; 30 days up to `to` if absent.")
    ] = None,
    last: Annotated[date | None, Query(alias="to", description="Last local day; today if absent.")] = None,
) -> Energy:
    """The site's local days, with their yields; a day without data has nulls."""
    last_day = last or day_of(now, zone_of(site.timezone))
    first_day = first or last_day - timedelta(days=DEFAULT_DAYS - 1)
    return await reading.energy(conn, site, first=first_day, last=last_day)


@router.get("/live")
async def read_live(site: ReadableSite, conn: Conn, now: Now) -> Live:
    """What flows now; devices that are silent for three poll intervals are left out and counted as stale."""
    view, _ = await live_service.live(conn, site.id, now=now)
    return view


@router.get(
    "/live/stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events named `live`, each with the body of `GET …/live`.",
            "content": {"text/event-stream": {}},
        }
    },
)
async def stream_live(
    site: ReadableSite,
    services: ServicesDep,
    *,
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="Of the last event seen; a browser sends it by itself.")
    ] = None,
) -> StreamingResponse:
    """The live view as server-sent events. The stream ends after ten minutes; a client that comes back misses nothing."""
    context = TenantContext(organization_ids=(site.organization_id,), site_ids=(site.id,))

    async def look() -> tuple[Live, str]:
        async with services.db.transaction(context) as conn:
            return await live_service.live(conn, site.id, now=services.clock())

    def stream() -> AsyncIterator[bytes]:
        return live_service.events(
            look,
            redis=services.redis,
            channel=live_channel(site.id),
            last_event_id=last_event_id,
            clock=time.monotonic,
        )

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)
