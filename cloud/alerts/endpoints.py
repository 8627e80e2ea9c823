"""Alert rules and alerts over HTTP, for people and for agents."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.alerts import repository, service
from cloud.alerts.schemas import AlertEventRead, AlertRead, AlertRuleCreate, AlertRuleRead, AlertRuleUpdate
from cloud.auth.rules import Action, authorize
from cloud.auth.schemas import Principal, Scope
from cloud.core.errors import NotFoundError
from cloud.devices.service import get_device
from cloud.fleet.deps import CurrentEdge, EdgeConn, edge_body, wire_body
from cloud.sites.service import get_site
from cloud.web.deps import Conn, CurrentUser, Now, PageOf, allowed
from cloud.web.etags import IfMatch, set_etag, stale
from cloud.web.paging import Page
from cloud.web.routing import API, api_router
from shared.enums import AlertStatus
from shared.wire import AlertAck, AlertBatch

router = api_router(tags=["alerts"])
edge_router = api_router("/edge", tags=["edge"])


@router.get("/alert-rules")
async def list_rules(
    conn: Conn,
    user: CurrentUser,
    scope: Annotated[Scope, allowed(Action.RULE_READ)],
    paging: PageOf,
    *,
    site_id: Annotated[UUID | None, Query(description="Rules that hold for this site.")] = None,
) -> Page[AlertRuleRead]:
    """The rules that the person may see."""
    if site_id is not None:
        await get_site(conn, user, site_id, Action.RULE_READ)
    rows, next_cursor = await repository.rules_page(conn, scope, paging, site_id=site_id)
    return Page(items=[AlertRuleRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@router.post("/organizations/{organization_id}/alert-rules", status_code=201)
async def create_rule(
    organization_id: UUID, body: AlertRuleCreate, conn: Conn, user: CurrentUser, response: Response
) -> AlertRuleRead:
    """A new rule; agents take it up with their next plan."""
    authorize(user, Action.RULE_WRITE, organization_id)
    if body.site_id is not None:
        site = await get_site(conn, user, body.site_id, Action.RULE_WRITE)
        known = await repository.device_ids_of_site(conn, site.id)
        if site.organization_id != organization_id:
            raise NotFoundError("There is no such site in this organisation.")
        if body.device_id is not None and body.device_id not in known:
            raise NotFoundError("There is no such device on this site.")
    rule = await repository.add_rule(conn, {"organization_id": organization_id, **service.rule_columns(body)})
    set_etag(response, rule.version)
    response.headers["Location"] = f"{API}/alert-rules/{rule.id}"
    return AlertRuleRead.model_validate(rule)


@router.get("/alert-rules/{rule_id}")
async def get_rule(rule_id: UUID, conn: Conn, user: CurrentUser, response: Response) -> AlertRuleRead:
    """One rule."""
    rule = await _rule(conn, user, rule_id, Action.RULE_READ)
    set_etag(response, rule.version)
    return AlertRuleRead.model_validate(rule)


@router.patch("/alert-rules/{rule_id}")
async def change_rule(
    rule_id: UUID, body: AlertRuleUpdate, version: IfMatch, *, conn: Conn, user: CurrentUser, response: Response
) -> AlertRuleRead:
    """Change the fields that the body names."""
    rule = await _rule(conn, user, rule_id, Action.RULE_WRITE)
    if rule.version != version:
        raise stale(rule.version)
    values = service.rule_columns(body)
    changed = await repository.change_rule(conn, rule_id, values, version=version) if values else rule
    if changed is None:
        raise stale(rule.version)
    set_etag(response, changed.version)
    return AlertRuleRead.model_validate(changed)


@router.delete("/alert-rules/{rule_id}", status_code=204)
async def delete_rule(rule_id: UUID, version: IfMatch, conn: Conn, user: CurrentUser) -> None:
    """Delete a rule. Its alerts stay, with the title and numbers that they had."""
    rule = await _rule(conn, user, rule_id, Action.RULE_WRITE)
    if not await repository.delete_rule(conn, rule_id, version=version):
        raise stale(rule.version)


@router.get("/alerts")
async def list_alerts(
    conn: Conn,
    user: CurrentUser,
    scope: Annotated[Scope, allowed(Action.ALERT_READ)],
    paging: PageOf,
    *,
    site_id: Annotated[UUID | None, Query(description="Alerts of this site.")] = None,
    device_id: Annotated[UUID | None, Query(description="Alerts about this device.")] = None,
    status: Annotated[list[AlertStatus], Query(description="In one of these states; all without it.")] = [],  # noqa: B006 -- FastAPI copies it
) -> Page[AlertRead]:
    """The alerts that the person may see, newest first."""
    if site_id is not None:
        await get_site(conn, user, site_id, Action.ALERT_READ)
    if device_id is not None:
        await get_device(conn, user, device_id, Action.ALERT_READ)
    rows, next_cursor = await repository.alerts_page(
        conn, scope, paging, site_id=site_id, device_id=device_id, status=status
    )
    return Page(items=[AlertRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@router.get("/alerts/{alert_id}")
async def get_alert(alert_id: UUID, conn: Conn, user: CurrentUser, response: Response) -> AlertRead:
    """One alert."""
    alert = await _alert(conn, user, alert_id, Action.ALERT_READ)
    set_etag(response, alert.version)
    return AlertRead.model_validate(alert)


@router.get("/alerts/{alert_id}/events")
async def list_alert_events(alert_id: UUID, conn: Conn, user: CurrentUser) -> Page[AlertEventRead]:
    """What happened to an alert, oldest first."""
    alert = await _alert(conn, user, alert_id, Action.ALERT_READ)
    rows = await repository.events_of(conn, alert.id)
    return Page(items=[AlertEventRead.model_validate(row) for row in rows])


@router.post("/alerts/{alert_id}/acknowledge")
async def acknowledge_alert(alert_id: UUID, conn: Conn, user: CurrentUser, now: Now, response: Response) -> AlertRead:
    """Say that somebody has seen the alert; one that has been acknowledged already stays as it is."""
    alert = await _alert(conn, user, alert_id, Action.ALERT_HANDLE)
    if alert.status is not AlertStatus.ACKNOWLEDGED:
        alert = await service.acknowledge(conn, alert.id, user_id=user.user_id, now=now)
    set_etag(response, alert.version)
    return AlertRead.model_validate(alert)


@router.post("/alerts/{alert_id}/resolve")
async def resolve_alert(alert_id: UUID, conn: Conn, user: CurrentUser, now: Now, response: Response) -> AlertRead:
    """End the alert by hand; its rule may open another one."""
    await _alert(conn, user, alert_id, Action.ALERT_HANDLE)
    alert = await service.resolve(conn, alert_id, user_id=user.user_id, now=now)
    set_etag(response, alert.version)
    return AlertRead.model_validate(alert)


@edge_router.post("/alerts", openapi_extra=wire_body(AlertBatch))
async def send_alerts(
    edge: CurrentEdge, body: Annotated[AlertBatch, edge_body(AlertBatch)], conn: EdgeConn, now: Now
) -> AlertAck:
    """Take alerts that opened or ended at the edge; safe to repeat."""
    return await service.merge_edge_alerts(conn, edge, body, now=now)


async def _rule(conn: AsyncConnection, user: Principal, rule_id: UUID, action: Action) -> Row[Any]:
    rule = await repository.rule_by_id(conn, rule_id)
    if rule is None:
        raise NotFoundError("There is no such rule.")
    authorize(user, action, rule.organization_id)
    return rule


async def _alert(conn: AsyncConnection, user: Principal, alert_id: UUID, action: Action) -> Row[Any]:
    alert = await repository.alert_by_id(conn, alert_id)
    if alert is None:
        raise NotFoundError("There is no such alert.")
    authorize(user, action, alert.organization_id)
    return alert
