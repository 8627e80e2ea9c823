"""Alerts that the edge found, silence that only the cloud can hear, and what people do about both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.alerts import repository
from cloud.alerts.rules import HeardDevice, Silence, silences
from cloud.alerts.schemas import AlertRuleCreate, AlertRuleUpdate
from cloud.core.db import SYSTEM, Database
from cloud.core.errors import ConflictError
from cloud.core.ids import new_id
from cloud.core.log import get_logger
from cloud.fleet.schemas import EdgeIdentity
from shared.alert_rules import Condition, Operator
from shared.enums import AlertStatus
from shared.wire import AlertAck, AlertBatch, EdgeAlert, PlanRule

_log = get_logger(__name__)


class AlertNotOpenError(ConflictError):
    """The alert is resolved or expired already."""

    code = "alert_not_open"


async def plan_rules(conn: AsyncConnection, *, site_id: UUID, organization_id: UUID) -> tuple[PlanRule, ...]:
    """Rules that a site's agent evaluates: all but those about silence, which only the cloud can hear."""
    rows = await repository.rules_for_site(conn, site_id=site_id, organization_id=organization_id)
    return tuple(
        PlanRule(
            id=row.id,
            name=row.name,
            condition=Condition.model_validate(row.condition),
            severity=row.severity,
            device_id=row.device_id,
            auto_resolve=row.auto_resolve,
        )
        for row in rows
        if row.condition.get("operator") != Operator.NO_DATA
    )


async def merge_edge_alerts(conn: AsyncConnection, edge: EdgeIdentity, batch: AlertBatch, *, now: datetime) -> AlertAck:
    """Take openings and ends from an agent. The same alert sent twice is one; the edge's start and end are the alert's."""
    await repository.lock_gateway(conn, edge.gateway_id)
    rules = {
        row.id: row
        for row in await repository.rules_for_site(conn, site_id=edge.site_id, organization_id=edge.organization_id)
    }
    devices = await repository.device_ids_of_site(conn, edge.site_id)
    accepted: list[UUID] = []
    rejected: dict[UUID, str] = {}
    for alert in batch.alerts:
        known = await repository.alert_by_id(conn, alert.id)
        if known is not None and known.site_id != edge.site_id:
            rejected[alert.id] = "alert_of_another_site"
        elif alert.device_id not in devices:
            rejected[alert.id] = "device_unknown"
        elif known is None and alert.rule_id not in rules:
            rejected[alert.id] = "rule_unknown"
        else:
            await _merge(conn, edge, alert, known=known, rule=rules.get(alert.rule_id), now=now)
            accepted.append(alert.id)
    return AlertAck(accepted=tuple(accepted), rejected=rejected)


async def _merge(
    conn: AsyncConnection,
    edge: EdgeIdentity,
    alert: EdgeAlert,
    *,
    known: Row[Any] | None,
    rule: Row[Any] | None,
    now: datetime,
) -> None:
    if known is None and rule is not None:
        # An agent that lost its store opens anew what its former self left open: the old one ends where the new one begins.
        for older in await repository.open_alerts_of(conn, rule_id=alert.rule_id, device_id=alert.device_id):
            await _close(conn, older.id, at=alert.triggered_at, now=now, reason="superseded")
        values = _edge_values(edge, alert, rule)
        if await repository.add_alert(conn, values):
            await repository.add_event(
                conn, values, "opened", at=alert.triggered_at, detail={"received_at": now.isoformat()}
            )
    if alert.resolved_at is not None:
        await _close(conn, alert.id, at=alert.resolved_at, now=now, reason="cleared")


async def _close(conn: AsyncConnection, alert_id: UUID, *, at: datetime, now: datetime, reason: str) -> bool:
    closed = await repository.close_alert(conn, alert_id, at=at)
    if closed is None:
        return False
    await repository.add_event(
        conn, closed, "resolved", at=closed.resolved_at, detail={"reason": reason, "received_at": now.isoformat()}
    )
    return True


def _edge_values(edge: EdgeIdentity, alert: EdgeAlert, rule: Row[Any]) -> dict[str, Any]:
    word, number = _split(alert.value)
    threshold_word, threshold = _split(alert.threshold)
    return {
        "id": alert.id,
        "rule_id": alert.rule_id,
        "organization_id": edge.organization_id,
        "site_id": edge.site_id,
        "device_id": alert.device_id,
        "severity": alert.severity,
        "status": AlertStatus.ACTIVE,
        "title": rule.name,
        "message": f"{alert.metric} was {alert.value}, the rule's threshold is {alert.threshold}",
        "metric_name": alert.metric,
        "metric_value": number,
        "metric_state": word,
        "threshold": threshold,
        "threshold_state": threshold_word,
        "source": "edge",
        "triggered_at": alert.triggered_at,
    }


def _split(value: float | str | None) -> tuple[str | None, float | None]:
    return (value, None) if isinstance(value, str) else (None, value)


def rule_columns(body: AlertRuleCreate | AlertRuleUpdate) -> dict[str, Any]:
    """A rule's body as columns: only what was sent, for a change."""
    partial = isinstance(body, AlertRuleUpdate)
    values = body.model_dump(mode="json", exclude_unset=partial, exclude={"condition", "site_id", "device_id"})
    if body.condition is not None:
        values["condition"] = body.condition.model_dump(mode="json", exclude_none=True)
    if isinstance(body, AlertRuleCreate):
        values |= {"site_id": body.site_id, "device_id": body.device_id}
    return values


async def acknowledge(conn: AsyncConnection, alert_id: UUID, *, user_id: UUID, now: datetime) -> Row[Any]:
    """Say that somebody has seen an alert.

    Raises:
        AlertNotOpenError: if it has ended already.
    """
    alert = await repository.acknowledge_alert(conn, alert_id, at=now, by=user_id)
    if alert is None:
        raise AlertNotOpenError
    await repository.add_event(conn, alert, "acknowledged", at=now, actor_id=user_id)
    return alert


async def resolve(conn: AsyncConnection, alert_id: UUID, *, user_id: UUID, now: datetime) -> Row[Any]:
    """End an alert by hand.

    Raises:
        AlertNotOpenError: if it has ended already.
    """
    alert = await repository.close_alert(conn, alert_id, at=now, by=user_id)
    if alert is None:
        raise AlertNotOpenError
    await repository.add_event(conn, alert, "resolved", at=now, actor_id=user_id, detail={"reason": "by hand"})
    return alert


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep for silence changed."""

    opened: int = 0
    resolved: int = 0


async def sweep_no_data(db: Database, now: datetime) -> Swept:
    """Open an alert for everything that has been silent for too long, and end those of what is heard again.

    Safe beside others doing the same: one open alert per rule and device is a unique key, and an end counts for whoever wrote it.
    """
    async with db.transaction(SYSTEM) as conn:
        watched = await repository.watched_for_silence(conn)
        opened = resolved = 0
        still_silent: set[tuple[UUID, UUID, UUID | None]] = set()
        for _, group in groupby(watched, key=lambda row: (row.rule_id, row.site_id)):
            devices = list(group)
            for silence in _silences(devices, now):
                still_silent.add((devices[0].rule_id, devices[0].site_id, silence.device_id))
                opened += await _open_silence(conn, devices, silence, now)
        rules = {row.rule_id: row for row in watched}
        for alert in await repository.open_alerts_of_rules(conn, list(rules)):
            if (alert.rule_id, alert.site_id, alert.device_id) in still_silent or not rules[alert.rule_id].auto_resolve:
                continue
            inhibited = (alert.rule_id, alert.site_id, None) in still_silent
            reason = "the whole site is silent" if inhibited else "heard again"
            resolved += await _close(conn, alert.id, at=now, now=now, reason=reason)
    if opened or resolved:
        _log.info("silence_swept", opened=opened, resolved=resolved)
    return Swept(opened, resolved)


def _silences(devices: Iterable[Row[Any]], now: datetime) -> tuple[Silence, ...]:
    rows = list(devices)
    condition = Condition.model_validate(rows[0].condition)
    return silences(
        gateway_heard_at=rows[0].gateway_heard_at,
        devices=[
            HeardDevice(row.device_id, row.heard_at) for row in rows if condition.device_type in {None, row.device_type}
        ],
        longest=timedelta(seconds=condition.duration_seconds),
        now=now,
    )


async def _open_silence(conn: AsyncConnection, devices: list[Row[Any]], silence: Silence, now: datetime) -> bool:
    rule = devices[0]
    condition = Condition.model_validate(rule.condition)
    name = next((row.device_name for row in devices if row.device_id == silence.device_id), None)
    what = f"{name} of {rule.site_name}" if name else f"the agent of {rule.site_name}"
    values: Mapping[str, Any] = {
        "id": new_id(),
        "rule_id": rule.rule_id,
        "organization_id": rule.organization_id,
        "site_id": rule.site_id,
        "device_id": silence.device_id,
        "severity": rule.severity,
        "status": AlertStatus.ACTIVE,
        "title": rule.rule_name,
        "message": f"Nothing heard of {what} since {silence.since:%Y-%m-%d %H:%M:%S} UTC",
        "metric_name": condition.metric,
        "threshold": condition.duration_seconds,
        "source": "cloud",
        "triggered_at": silence.since + timedelta(seconds=condition.duration_seconds),
    }
    if not await repository.add_alert(conn, values):
        return False
    await repository.add_event(conn, values, "opened", at=now, detail={"since": silence.since.isoformat()})
    return True
