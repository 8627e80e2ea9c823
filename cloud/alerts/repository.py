"""Rules, alerts and their events in the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.alerts.tables import Alert, AlertEvent, AlertRule
from cloud.auth.schemas import Scope
from cloud.auth.scope import scoped
from cloud.core.ids import new_id
from cloud.devices.tables import Device
from cloud.fleet.tables import EdgeGateway
from cloud.ingest.tables import DeviceTelemetrySnapshot
from cloud.sites.tables import Site
from cloud.web.paging import Paging
from shared.alert_rules import Operator
from shared.enums import AlertStatus, DeviceStatus, SiteStatus

OPEN = (AlertStatus.ACTIVE, AlertStatus.ACKNOWLEDGED)


async def add_rule(conn: AsyncConnection, values: Mapping[str, Any]) -> Row[Any]:
    """Insert a rule and give it back."""
    return (await conn.execute(insert(AlertRule).values(id=new_id(), **values).returning(AlertRule))).one()


async def rule_by_id(conn: AsyncConnection, rule_id: UUID) -> Row[Any] | None:
    """One rule."""
    return (await conn.execute(select(AlertRule).where(AlertRule.id == rule_id))).one_or_none()


async def rules_page(
    conn: AsyncConnection, scope: Scope, paging: Paging, *, site_id: UUID | None
) -> tuple[Sequence[Row[Any]], str | None]:
    """One page of rules, oldest first; with `site_id` only those that hold for the site."""
    statement = select(AlertRule)
    if site_id is not None:
        site = select(Site.organization_id).where(Site.id == site_id).scalar_subquery()
        holds = or_(AlertRule.site_id == site_id, and_(AlertRule.site_id.is_(None), AlertRule.organization_id == site))
        statement = statement.where(holds)
    statement = scoped(statement, AlertRule.organization_id, scope)
    rows = (await conn.execute(paging.apply(statement, AlertRule.id))).all()
    return paging.split(rows, key=lambda row: (row.id,))


async def change_rule(
    conn: AsyncConnection, rule_id: UUID, values: Mapping[str, Any], *, version: int
) -> Row[Any] | None:
    """Change a rule; None if it is not at this version any more."""
    statement = (
        update(AlertRule)
        .where(AlertRule.id == rule_id, AlertRule.version == version)
        .values(**values)
        .returning(AlertRule)
    )
    return (await conn.execute(statement)).one_or_none()


async def delete_rule(conn: AsyncConnection, rule_id: UUID, *, version: int) -> bool:
    """Delete a rule; False if it is not at this version any more. Its alerts stay, without a rule."""
    statement = delete(AlertRule).where(AlertRule.id == rule_id, AlertRule.version == version).returning(AlertRule.id)
    return (await conn.execute(statement)).one_or_none() is not None


async def rules_for_site(conn: AsyncConnection, *, site_id: UUID, organization_id: UUID) -> Sequence[Row[Any]]:
    """Active rules that hold for a site, in a stable order."""
    statement = (
        select(AlertRule)
        .where(
            AlertRule.organization_id == organization_id,
            AlertRule.is_active,
            or_(AlertRule.site_id.is_(None), AlertRule.site_id == site_id),
        )
        .order_by(AlertRule.id)
    )
    return (await conn.execute(statement)).all()


async def device_ids_of_site(conn: AsyncConnection, site_id: UUID) -> frozenset[UUID]:
    """Ids of a site's devices."""
    return frozenset((await conn.execute(select(Device.id).where(Device.site_id == site_id))).scalars())


async def lock_gateway(conn: AsyncConnection, gateway_id: UUID) -> None:
    """Let one batch of a gateway's alerts be merged at a time."""
    await conn.execute(select(EdgeGateway.id).where(EdgeGateway.id == gateway_id).with_for_update())


async def add_alert(conn: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """Insert an alert; False if it is there already, or another one of its rule and device is open."""
    statement = pg_insert(Alert).values(**values).on_conflict_do_nothing().returning(Alert.id)
    return (await conn.execute(statement)).one_or_none() is not None


async def alert_by_id(conn: AsyncConnection, alert_id: UUID) -> Row[Any] | None:
    """One alert."""
    return (await conn.execute(select(Alert).where(Alert.id == alert_id))).one_or_none()


async def open_alerts_of(conn: AsyncConnection, *, rule_id: UUID, device_id: UUID) -> Sequence[Row[Any]]:
    """Open alerts of a rule about a device: at most one."""
    statement = select(Alert).where(Alert.rule_id == rule_id, Alert.device_id == device_id, Alert.status.in_(OPEN))
    return (await conn.execute(statement)).all()


async def close_alert(
    conn: AsyncConnection, alert_id: UUID, *, at: datetime, by: UUID | None = None
) -> Row[Any] | None:
    """Resolve an open alert; None if it is open no more. It never ends before it began."""
    statement = (
        update(Alert)
        .where(Alert.id == alert_id, Alert.status.in_(OPEN))
        .values(status=AlertStatus.RESOLVED, resolved_at=func.greatest(Alert.triggered_at, at), resolved_by=by)
        .returning(Alert)
    )
    return (await conn.execute(statement)).one_or_none()


async def acknowledge_alert(conn: AsyncConnection, alert_id: UUID, *, at: datetime, by: UUID) -> Row[Any] | None:
    """Mark an active alert as seen; None if it is not active any more."""
    statement = (
        update(Alert)
        .where(Alert.id == alert_id, Alert.status == AlertStatus.ACTIVE)
        .values(status=AlertStatus.ACKNOWLEDGED, acknowledged_at=at, acknowledged_by=by)
        .returning(Alert)
    )
    return (await conn.execute(statement)).one_or_none()


async def add_event(
    conn: AsyncConnection,
    alert: Row[Any] | Mapping[str, Any],
    kind: str,
    *,
    at: datetime,
    actor_id: UUID | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write down a change of an alert."""
    of = alert if isinstance(alert, Mapping) else alert._mapping
    await conn.execute(
        insert(AlertEvent).values(
            id=new_id(),
            alert_id=of["id"],
            organization_id=of["organization_id"],
            site_id=of["site_id"],
            at=at,
            kind=kind,
            actor_id=actor_id,
            detail=dict(detail or {}),
        )
    )


async def events_of(conn: AsyncConnection, alert_id: UUID) -> Sequence[Row[Any]]:
    """An alert's history, oldest first."""
    statement = select(AlertEvent).where(AlertEvent.alert_id == alert_id).order_by(AlertEvent.at, AlertEvent.id)
    return (await conn.execute(statement)).all()


async def alerts_page(
    conn: AsyncConnection,
    scope: Scope,
    paging: Paging,
    *,
    site_id: UUID | None,
    device_id: UUID | None,
    status: Sequence[AlertStatus],
) -> tuple[Sequence[Row[Any]], str | None]:
    """One page of alerts, newest first."""
    statement = select(Alert)
    if site_id is not None:
        statement = statement.where(Alert.site_id == site_id)
    if device_id is not None:
        statement = statement.where(Alert.device_id == device_id)
    if status:
        statement = statement.where(Alert.status.in_(status))
    statement = scoped(statement, Alert.organization_id, scope)
    rows = (await conn.execute(paging.apply(statement, Alert.triggered_at, Alert.id, descending=True))).all()
    return paging.split(rows, key=lambda row: (row.triggered_at, row.id))


async def watched_for_silence(conn: AsyncConnection) -> list[Row[Any]]:
    """Every device that an active no-data rule watches, with when it and its site's agent were last heard."""
    gateway = (
        select(EdgeGateway.site_id, func.max(EdgeGateway.last_seen_at).label("heard_at"))
        .where(EdgeGateway.revoked_at.is_(None))
        .group_by(EdgeGateway.site_id)
        .subquery()
    )
    condition = AlertRule.condition
    statement = (
        select(
            AlertRule.id.label("rule_id"),
            AlertRule.name.label("rule_name"),
            AlertRule.severity,
            AlertRule.auto_resolve,
            condition.label("condition"),
            Site.id.label("site_id"),
            Site.name.label("site_name"),
            Site.organization_id,
            Device.id.label("device_id"),
            Device.name.label("device_name"),
            func.coalesce(DeviceTelemetrySnapshot.received_at, Device.created_at).label("heard_at"),
            gateway.c.heard_at.label("gateway_heard_at"),
            Device.device_type,
        )
        .join(
            Site,
            and_(
                Site.organization_id == AlertRule.organization_id, func.coalesce(AlertRule.site_id, Site.id) == Site.id
            ),
        )
        .join(Device, and_(Device.site_id == Site.id, func.coalesce(AlertRule.device_id, Device.id) == Device.id))
        .outerjoin(
            DeviceTelemetrySnapshot,
            and_(DeviceTelemetrySnapshot.site_id == Site.id, DeviceTelemetrySnapshot.device_id == Device.id),
        )
        .outerjoin(gateway, gateway.c.site_id == Site.id)
        .where(
            AlertRule.is_active,
            condition["operator"].astext == Operator.NO_DATA.value,
            Site.status == SiteStatus.ACTIVE,
            Device.status != DeviceStatus.MAINTENANCE,
            Device.profile != text("''"),
        )
        .order_by(AlertRule.id, Site.id, Device.id)
    )
    return list(await conn.execute(statement))


async def open_alerts_of_rules(conn: AsyncConnection, rule_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Every open alert of these rules."""
    return (await conn.execute(select(Alert).where(Alert.rule_id.in_(rule_ids), Alert.status.in_(OPEN)))).all()
