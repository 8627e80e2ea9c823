"""`POST edge/readings` and `POST edge/heartbeat`: the back-fill lane and the live lane of the agents."""

from datetime import datetime
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Request, Response

from cloud.core.errors import FieldProblem, TooLargeError, ValidationFailedError
from cloud.fleet import repository as fleet_repository
from cloud.fleet.deps import (
    FAILED_CREDENTIALS,
    CurrentEdge,
    EdgeConn,
    bearer,
    check_schema_version,
    edge_body,
    wire_body,
)
from cloud.fleet.recognition import RecognisedEdge, Recognition
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.service import CredentialInvalidError
from cloud.ingest import service
from cloud.ingest.bell import Bell
from cloud.ingest.deliveries import Delivery
from cloud.ingest.schemas import Batch, MalformedBatchError, decode_batch, decode_version
from cloud.ingest.writer import BatchWriter
from cloud.web.bodies import unpacked_body
from cloud.web.deps import Now, RequestLimits, limit_every_request
from cloud.web.routing import QuickRoute, api_router
from cloud.web.services import Services
from shared.wire import (
    MAX_BATCH_BYTES,
    MAX_READINGS_PER_BATCH,
    BatchAck,
    Heartbeat,
    HeartbeatAnswer,
    ReadingBatch,
)

router = api_router("/edge", tags=["edge"])


async def _bell(request: Request) -> Bell:
    bell: Bell = request.app.state.bell
    return bell


BellDep = Annotated[Bell, Depends(_bell)]


async def _recognised(request: Request, services: Services, now: datetime) -> RecognisedEdge:
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    recognition: Recognition = request.app.state.recognition
    limits = RequestLimits(request, services.limiter)
    if scheme.lower() != "bearer":
        await limit_every_request(services, limits)
        credential = ""
    try:
        return await recognition.recognise(services.db, credential, now=now)
    except CredentialInvalidError:
        await limits.take(FAILED_CREDENTIALS, limits.address)
        raise


async def send_readings(request: Request) -> Response:
    """Store a batch of readings, once: a repeat gets the same `acked_seq` and changes nothing.

    One bad reading never refuses the batch: it is kept in quarantine and listed in `rejected`. When too many batches wait already, the
    answer is 503 with `Retry-After`.
    """
    services: Services = request.app.state.services
    writer: BatchWriter = request.app.state.writer
    bell: Bell = request.app.state.bell
    now = services.clock()
    edge = await _recognised(request, services, now)
    writer.check_room()
    batch = _decoded(await unpacked_body(request, limit=MAX_BATCH_BYTES))
    arrived = await writer.write(Delivery(edge.identity, batch, now, edge.proof))
    if arrived.wrote:
        bell.ring(edge.identity.site_id, now)
    return Response(arrived.ack.model_dump_json(), media_type="application/json")


router.add_api_route(
    "/readings",
    send_readings,
    methods=["POST"],
    response_model=BatchAck,
    openapi_extra={**wire_body(ReadingBatch), "security": [{bearer.scheme_name: []}]},
    route_class_override=QuickRoute,
)


@router.post("/heartbeat", openapi_extra=wire_body(Heartbeat))
async def send_heartbeat(
    *,
    edge: CurrentEdge,
    beat: Annotated[Heartbeat, edge_body(Heartbeat)],
    conn: EdgeConn,
    background: BackgroundTasks,
    bell: BellDep,
    now: Now,
) -> HeartbeatAnswer:
    """Take the newest values for the live view, and say whether a newer plan waits."""
    await fleet_repository.record_heartbeat(conn, edge.gateway_id, beat, at=now)
    if await service.take_newest(conn, edge, beat.newest, now=now):
        background.add_task(_ring_for_views, bell, edge, now)
    return HeartbeatAnswer(server_time=now, plan_revision=edge.plan_revision)


async def _ring_for_views(bell: Bell, edge: EdgeIdentity, at: datetime) -> None:
    bell.ring(edge.site_id, at, roll_up=False)


def _decoded(body: bytes) -> Batch:
    try:
        batch = _batch_of_a_known_version(body)
    except MalformedBatchError as error:
        problem: FieldProblem = {"field": error.field, "message": str(error)}
        raise ValidationFailedError(f"{error.field}: {error}", errors=[problem]) from None
    if batch.reading_count > MAX_READINGS_PER_BATCH:
        raise TooLargeError(
            f"The batch holds {batch.reading_count} readings; send at most {MAX_READINGS_PER_BATCH} at once.",
            extra={"limit_readings": MAX_READINGS_PER_BATCH},
        )
    return batch


def _batch_of_a_known_version(body: bytes) -> Batch:
    try:
        return decode_batch(body)
    except MalformedBatchError:
        # Of another version it may be well formed: that is the better reason.
        check_schema_version(decode_version(body))
        raise
