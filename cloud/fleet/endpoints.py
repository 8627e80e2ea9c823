"""Claim codes and gateways for people; claiming and the plan for agents."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.rules import Action, authorize
from cloud.auth.schemas import Principal
from cloud.core.db import SYSTEM
from cloud.core.errors import NotFoundError
from cloud.fleet import repository, service
from cloud.fleet.deps import CurrentEdge, EdgeConn, FleetDep, edge_body, wire_body
from cloud.fleet.schemas import ClaimCodeRead, CredentialRead, GatewayRead
from cloud.sites.deps import site_for
from cloud.sites.schemas import SiteOut
from cloud.web.deps import Conn, CurrentUser, Limits, Now, ServicesDep
from cloud.web.etags import IfMatch, etag, set_etag, stale
from cloud.web.limits import Rate
from cloud.web.paging import Page
from cloud.web.routing import api_router
from shared.wire import EdgePlan, EnrolAnswer, EnrolRequest

CLAIMS = Rate("claim", 10, 900)
"""Attempts to claim per address: of 31^8 codes, ten guesses in a code's lifetime find none."""

router = api_router(tags=["gateways"])
edge_router = api_router("/edge", tags=["edge"])


@router.post("/sites/{site_id}/claim-codes", status_code=201)
async def create_claim_code(
    site: Annotated[SiteOut, site_for(Action.GATEWAY_MANAGE)], conn: Conn, user: CurrentUser, fleet: FleetDep, now: Now
) -> ClaimCodeRead:
    """A one-time code that makes a box this site's gateway: good for 15 minutes, shown this once."""
    return await fleet.new_claim_code(
        conn, site_id=site.id, organization_id=site.organization_id, user_id=user.user_id, now=now
    )


@router.get("/sites/{site_id}/gateways")
async def list_gateways(site: Annotated[SiteOut, site_for(Action.GATEWAY_READ)], conn: Conn) -> Page[GatewayRead]:
    """The site's gateways, revoked ones too; a site has a handful, so they come on one page."""
    rows = await repository.gateways_of_site(conn, site.id)
    return Page(items=[GatewayRead.model_validate(row) for row in rows])


@router.get("/gateways/{gateway_id}")
async def get_gateway(gateway_id: UUID, conn: Conn, user: CurrentUser, response: Response) -> GatewayRead:
    """One gateway: its agent, when it was last heard, what waits in its buffer."""
    gateway = await _gateway(conn, user, gateway_id, Action.GATEWAY_READ)
    set_etag(response, gateway.version)
    return GatewayRead.model_validate(gateway)


@router.delete("/gateways/{gateway_id}", status_code=204)
async def revoke_gateway(gateway_id: UUID, version: IfMatch, *, conn: Conn, user: CurrentUser, now: Now) -> None:
    """End a gateway's credential at once. What it has sent stays; the box keeps reading, and needs a new claim code to send."""
    gateway = await _gateway(conn, user, gateway_id, Action.GATEWAY_MANAGE)
    if gateway.version != version:
        raise stale(gateway.version)
    await repository.revoke_gateway(conn, gateway_id, at=now)


@router.post("/gateways/{gateway_id}/credential", status_code=201)
async def rotate_credential(gateway_id: UUID, conn: Conn, user: CurrentUser, now: Now) -> CredentialRead:
    """A new credential for a gateway, shown this once; the present one stays good for seven days."""
    gateway = await _gateway(conn, user, gateway_id, Action.GATEWAY_MANAGE)
    if gateway.revoked_at is not None:
        raise NotFoundError("The gateway is revoked: claim the box again with a new code.")
    return await service.rotate(conn, gateway, now=now)


@edge_router.post("/claim", status_code=201, openapi_extra=wire_body(EnrolRequest))
async def claim(
    body: Annotated[EnrolRequest, edge_body(EnrolRequest)],
    services: ServicesDep,
    *,
    fleet: FleetDep,
    limits: Limits,
    now: Now,
) -> EnrolAnswer:
    """Turn a claim code into a gateway; the credential in the answer is shown this once."""
    await limits.take(CLAIMS, limits.address, code="too_many_claims")
    async with services.db.transaction(SYSTEM) as conn:
        return await fleet.claim(conn, body, now=now)


@edge_router.get("/plan", responses={304: {"description": "The agent has this plan already."}})
async def get_plan(
    edge: CurrentEdge,
    conn: EdgeConn,
    fleet: FleetDep,
    response: Response,
    if_none_match: Annotated[str | None, Header(description="ETag of the plan that the agent has.")] = None,
) -> Any:  # noqa: ANN401 -- a plan, or a bare 304
    """What the agent is to do; the ETag is the plan's revision."""
    if if_none_match is not None and if_none_match.strip() == etag(edge.plan_revision):
        return Response(status_code=304, headers={"ETag": etag(edge.plan_revision)})
    set_etag(response, edge.plan_revision)
    plan: EdgePlan = await fleet.plan(conn, edge)
    return plan


async def _gateway(conn: AsyncConnection, user: Principal, gateway_id: UUID, action: Action) -> Row[Any]:
    gateway = await repository.gateway_by_id(conn, gateway_id)
    if gateway is None:
        raise NotFoundError("There is no such gateway.")
    authorize(user, action, gateway.organization_id)
    return gateway
