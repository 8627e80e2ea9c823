"""`POST edge/readings` and `POST edge/heartbeat`: the back-fill lane and the live lane of the agents."""

from datetime import datetime
from typing import Annotated

from fastapi import BackgroundTasks, Request
from redis.exceptions import RedisError

from cloud.core.errors import FieldProblem, TooLargeError, ValidationFailedError
from cloud.core.log import get_logger
from cloud.fleet import repository as fleet_repository
from cloud.fleet.deps import CurrentEdge, EdgeConn, check_schema_version, edge_body, wire_body
from cloud.fleet.schemas import EdgeIdentity
from cloud.ingest import service
from cloud.ingest.schemas import Batch, MalformedBatchError, decode_batch, decode_version
from cloud.web.bodies import unpacked_body
from cloud.web.deps import AfterCommit, Now, ServicesDep
from cloud.web.routing import api_router
from cloud.web.services import Services
from shared.wire import (
    MAX_BATCH_BYTES,
    MAX_READINGS_PER_BATCH,
    BatchAck,
    Heartbeat,
    HeartbeatAnswer,
    ReadingBatch,
)

_log = get_logger(__name__)

ROLL_UP_JOB = "telemetry.roll_up"

router = api_router("/edge", tags=["edge"])


def live_channel(site_id: object) -> str:
    """Redis channel on which a site's new values are announced."""
    return f"solarhub:live:{site_id}"


@router.post("/readings", openapi_extra=wire_body(ReadingBatch))
async def send_readings(
    *,
    request: Request,
    edge: CurrentEdge,
    conn: EdgeConn,
    services: ServicesDep,
    after_commit: AfterCommit,
    background: BackgroundTasks,
    now: Now,
) -> BatchAck:
    """Store a batch of readings, once: a repeat gets the same `acked_seq` and changes nothing.

    One bad reading never refuses the batch: it is kept in quarantine and listed in `rejected`.
    """
    batch = _decoded(await unpacked_body(request, limit=MAX_BATCH_BYTES))
    arrived = await service.take_batch(conn, edge, batch, now=now)
    if arrived.wrote:
        after_commit.add(ROLL_UP_JOB, site_id=edge.site_id)
        background.add_task(announce, services, edge, now)
    return arrived.ack


@router.post("/heartbeat", openapi_extra=wire_body(Heartbeat))
async def send_heartbeat(
    *,
    edge: CurrentEdge,
    beat: Annotated[Heartbeat, edge_body(Heartbeat)],
    conn: EdgeConn,
    services: ServicesDep,
    background: BackgroundTasks,
    now: Now,
) -> HeartbeatAnswer:
    """Take the newest values for the live view, and say whether a newer plan waits."""
    await fleet_repository.record_heartbeat(conn, edge.gateway_id, beat, at=now)
    if await service.take_newest(conn, edge, beat.newest, now=now):
        background.add_task(announce, services, edge, now)
    return HeartbeatAnswer(server_time=now, plan_revision=edge.plan_revision)


async def announce(services: Services, edge: EdgeIdentity, at: datetime) -> None:
    """Tell live views that a site has new values; a lost message costs them seconds, as they also look by themselves."""
    try:
        await services.redis.publish(live_channel(edge.site_id), at.isoformat())
    except RedisError as error:
        _log.warning("live_event_not_sent", site_id=str(edge.site_id), error=str(error))


def _decoded(body: bytes) -> Batch:
    try:
        check_schema_version(decode_version(body))
        batch = decode_batch(body)
    except MalformedBatchError as error:
        problem: FieldProblem = {"field": error.field, "message": str(error)}
        raise ValidationFailedError(f"{error.field}: {error}", errors=[problem]) from None
    if batch.reading_count > MAX_READINGS_PER_BATCH:
        raise TooLargeError(
            f"The batch holds {batch.reading_count} readings; send at most {MAX_READINGS_PER_BATCH} at once.",
            extra={"limit_readings": MAX_READINGS_PER_BATCH},
        )
    return batch
