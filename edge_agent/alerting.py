"""Alerts on the site: applies the plan's rules to every reading, without asking the cloud."""

import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID, uuid5

from edge_agent.store.buffer import Buffer
from edge_agent.store.file import StoreFile
from edge_agent.store.state import (
    WatchKey,
    drop_unreadable_alerts,
    forget_open_alert,
    forget_watch,
    read_open_alerts,
    read_watches,
    save_closed_alert,
    save_open_alert,
    save_watch,
)
from shared.alert_rules import Change, Condition, Operator, Watch, evaluate, max_gap_seconds
from shared.enums import Quality
from shared.readings import Reading, Value
from shared.wire import EdgeAlert, EdgePlan, PlanDevice, PlanRule

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Applied:
    rule: PlanRule
    device: PlanDevice


def fits(rule: PlanRule, device: PlanDevice) -> bool:
    """Whether a rule watches a device: named by the rule, or of the type its condition speaks of."""
    if rule.device_id is not None:
        return rule.device_id == device.id
    return rule.condition.device_type in (None, device.device_type)


def alert_id(gateway_id: UUID, rule_id: UUID, device_id: UUID, start: datetime) -> UUID:
    """The same alert has the same id however often it is evaluated or sent."""
    return uuid5(gateway_id, f"{rule_id}:{device_id}:{start.isoformat()}")


class Alerting:
    """Keeps a watch per rule and device; what changes is committed with the readings that changed it.

    Attributes:
        open_alerts: by rule and device.
    """

    def __init__(
        self, store: StoreFile, buffer: Buffer, *, gateway_id: UUID, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._buffer = buffer
        self._gateway_id = gateway_id
        self._on_change = on_change
        self._applied: dict[UUID, list[_Applied]] = {}
        self._watches, self.open_alerts = store.write_now(_recall)

    def apply(self, plan: EdgePlan, now: datetime) -> None:
        """Take the rules of a plan; open alerts of rules and devices that left it end now."""
        self._applied = {
            device.id: [_Applied(rule, device) for rule in plan.rules if fits(rule, device)] for device in plan.devices
        }
        known = {(each.rule.id, each.device.id) for group in self._applied.values() for each in group}
        for key in [key for key in self.open_alerts if key not in known]:
            self._close(key, now)
        for key in [key for key in self._watches if key not in known]:
            del self._watches[key]
            self._buffer.stage(partial(forget_watch, key=key), key=("watch", *key))

    def observe(self, reading: Reading) -> None:
        """Apply every rule of the reading's device; does not wait."""
        for applied in self._applied.get(reading.device_id, ()):
            condition = applied.rule.condition
            if reading.quality & Quality.LINK_DOWN:
                self._step(applied, reading.at, None)
            elif condition.operator is Operator.NO_DATA or condition.metric_key in reading.values:
                self._step(applied, reading.at, _value_of(condition, reading))

    def observe_silence(self, device_id: UUID, at: datetime) -> None:
        """Apply the rules of a device that did not answer at this moment."""
        self.observe(Reading(device_id=device_id, at=at, values={}, quality=Quality.LINK_DOWN))

    def _step(self, applied: _Applied, at: datetime, value: Value) -> None:
        key: WatchKey = (applied.rule.id, applied.device.id)
        gap_s = max_gap_seconds(applied.device.poll_interval_s)
        before = self._watches.get(key, Watch())
        after, change = evaluate(applied.rule.condition, before, at, value, max_gap_s=gap_s)
        if after == before:
            return
        self._watches[key] = after
        self._buffer.stage(lambda connection: save_watch(connection, key, after), key=("watch", *key))
        if change is Change.OPENED:
            self._open(applied, after.since or at, value)
        elif change is Change.CLEARED:
            self._close(key, at, is_resolved=applied.rule.auto_resolve)

    def _open(self, applied: _Applied, start: datetime, value: Value) -> None:
        rule, device = applied.rule, applied.device
        key: WatchKey = (rule.id, device.id)
        if key in self.open_alerts:
            return  # the watch was lost with a broken store, the alert was not
        alert = EdgeAlert(
            id=alert_id(self._gateway_id, rule.id, device.id, start),
            rule_id=rule.id,
            device_id=device.id,
            metric=rule.condition.metric_key,
            value=value,
            threshold=rule.condition.threshold,
            severity=rule.severity,
            triggered_at=start,
        )
        self.open_alerts[key] = alert
        self._buffer.stage(lambda connection: save_open_alert(connection, alert))
        LOG.warning(
            "alert_opened", extra={"rule": rule.name, "device": device.name, "value": value, "alert_id": str(alert.id)}
        )
        self._on_change()

    def _close(self, key: WatchKey, at: datetime, *, is_resolved: bool = True) -> None:
        alert = self.open_alerts.pop(key, None)
        if alert is None:
            return
        if is_resolved:
            ended = alert.model_copy(update={"resolved_at": max(at, alert.triggered_at)})
            self._buffer.stage(lambda connection: save_closed_alert(connection, ended))
        else:  # somebody is to look at it in the cloud; what happens next here is another alert
            self._buffer.stage(lambda connection: forget_open_alert(connection, key))
        LOG.info("alert_closed", extra={"rule_id": str(key[0]), "device_id": str(key[1]), "alert_id": str(alert.id)})
        self._on_change()

    def save_all(self, connection: sqlite3.Connection) -> None:
        """Write everything again, into a store that was rebuilt; an alert sent twice is one alert."""
        for key, watch in self._watches.items():
            save_watch(connection, key, watch)
        for alert in self.open_alerts.values():
            save_open_alert(connection, alert)

    def sorted_open(self) -> Iterable[EdgeAlert]:
        """Open alerts, oldest first."""
        return sorted(self.open_alerts.values(), key=lambda alert: alert.triggered_at)


def _recall(connection: sqlite3.Connection) -> tuple[dict[WatchKey, Watch], dict[WatchKey, EdgeAlert]]:
    if dropped := drop_unreadable_alerts(connection):
        LOG.error("alerts_unreadable", extra={"dropped": dropped})
    return read_watches(connection), read_open_alerts(connection)


def _value_of(condition: Condition, reading: Reading) -> Value:
    """The value that a rule looks at; any value at all is data for `no_data`."""
    if condition.operator is not Operator.NO_DATA:
        return reading.values[condition.metric_key]
    value = reading.values.get(condition.metric_key)
    return value if value is not None else next((each for each in reading.values.values() if each is not None), None)
