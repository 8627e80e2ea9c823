"""Everything in the store that is not a reading: plan, watches, alerts, events, and small facts by name."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from edge_agent.clock import from_ms, to_ms
from shared.alert_rules import Watch, WatchFormatError
from shared.wire import EdgeAlert, EdgePlan

EVENTS_KEPT = 5_000
PLANS_KEPT = 5

LAST_ACK_AT = "last_ack_at"
LAST_ERROR = "last_error"
LOCAL_PAGE = "local_page"

_REFUSED = "refused "
"""Before a device's id: what it has refused to be asked for, in the words of its driver."""

WatchKey = tuple[UUID, UUID]
"""(rule, device)."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the operator may want to know later."""

    at: datetime
    kind: str
    detail: dict[str, object]


def record_event(connection: sqlite3.Connection, at_ms: int, kind: str, detail: Mapping[str, object]) -> None:
    """Append an event and forget the oldest beyond `EVENTS_KEPT`."""
    cursor = connection.execute(
        "INSERT INTO events (at_ms, kind, detail) VALUES (?, ?, ?)", (at_ms, kind, json.dumps(detail, default=str))
    )
    connection.execute("DELETE FROM events WHERE id <= ?", ((cursor.lastrowid or 0) - EVENTS_KEPT,))


def read_events(connection: sqlite3.Connection, *, limit: int = 100) -> list[Event]:
    """The newest events, newest first."""
    rows = connection.execute("SELECT at_ms, kind, detail FROM events ORDER BY id DESC LIMIT ?", (limit,))
    return [Event(from_ms(at_ms), kind, json.loads(detail)) for at_ms, kind, detail in rows]


def get_fact(connection: sqlite3.Connection, key: str) -> str | None:
    """A small fact by name."""
    row = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def set_fact(connection: sqlite3.Connection, key: str, value: str | None) -> None:
    """Write a small fact; None forgets it."""
    if value is None:
        connection.execute("DELETE FROM state WHERE key = ?", (key,))
        return
    connection.execute(
        "INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def save_refusals(connection: sqlite3.Connection, device_id: UUID, text: str | None) -> None:
    """Keep what a device has refused; None forgets it."""
    set_fact(connection, f"{_REFUSED}{device_id}", text)


def read_refusals(connection: sqlite3.Connection) -> dict[UUID, str]:
    """What devices have refused, by device; an entry whose name rotted on the medium is left out."""
    found: dict[UUID, str] = {}
    for key, value in connection.execute("SELECT key, value FROM state WHERE key GLOB ?", (f"{_REFUSED}*",)):
        try:
            found[UUID(key.removeprefix(_REFUSED))] = value
        except ValueError:
            continue
    return found


def save_plan(connection: sqlite3.Connection, plan: EdgePlan, at: datetime) -> None:
    """Make a plan the last good one; the ones before it are kept for a while."""
    cursor = connection.execute(
        "INSERT INTO plan (revision, applied_ms, body) VALUES (?, ?, ?)",
        (plan.revision, to_ms(at), plan.model_dump_json()),
    )
    connection.execute("DELETE FROM plan WHERE id <= ?", ((cursor.lastrowid or 0) - PLANS_KEPT,))


def read_plan(connection: sqlite3.Connection) -> EdgePlan | None:
    """The newest plan that this version of the agent understands."""
    for (body,) in connection.execute("SELECT body FROM plan ORDER BY id DESC"):
        try:
            return EdgePlan.model_validate_json(body)
        except ValidationError:
            continue  # written by a newer agent before a roll-back: the one before it is good
    return None


def save_watch(connection: sqlite3.Connection, key: WatchKey, watch: Watch) -> None:
    """Keep what a rule remembers of a device."""
    connection.execute(
        "INSERT OR REPLACE INTO watches (rule_id, device_id, body) VALUES (?, ?, ?)",
        (str(key[0]), str(key[1]), watch.to_json()),
    )


def read_watches(connection: sqlite3.Connection) -> dict[WatchKey, Watch]:
    """By rule and device; one that cannot be read starts anew."""
    watches: dict[WatchKey, Watch] = {}
    for rule_id, device_id, body in connection.execute("SELECT rule_id, device_id, body FROM watches"):
        try:
            watches[UUID(rule_id), UUID(device_id)] = Watch.from_json(body)
        except WatchFormatError:
            continue
    return watches


def save_open_alert(connection: sqlite3.Connection, alert: EdgeAlert) -> None:
    """Remember an open alert and queue its opening for the cloud."""
    connection.execute(
        "INSERT OR REPLACE INTO alerts (rule_id, device_id, body) VALUES (?, ?, ?)",
        (str(alert.rule_id), str(alert.device_id), alert.model_dump_json()),
    )
    _queue_alert(connection, alert)


def save_closed_alert(connection: sqlite3.Connection, alert: EdgeAlert) -> None:
    """Forget an open alert and queue its end for the cloud."""
    forget_open_alert(connection, (alert.rule_id, alert.device_id))
    _queue_alert(connection, alert)


def forget_open_alert(connection: sqlite3.Connection, key: WatchKey) -> None:
    """Forget an open alert without telling the cloud that it ended."""
    connection.execute("DELETE FROM alerts WHERE rule_id = ? AND device_id = ?", (str(key[0]), str(key[1])))


def forget_watch(connection: sqlite3.Connection, key: WatchKey) -> None:
    """Drop what is remembered for a rule or a device that left the plan."""
    connection.execute("DELETE FROM watches WHERE rule_id = ? AND device_id = ?", (str(key[0]), str(key[1])))


def read_open_alerts(connection: sqlite3.Connection) -> dict[WatchKey, EdgeAlert]:
    """By rule and device."""
    alerts = (EdgeAlert.model_validate_json(body) for (body,) in connection.execute("SELECT body FROM alerts"))
    return {(alert.rule_id, alert.device_id): alert for alert in alerts}


def drop_unreadable_alerts(connection: sqlite3.Connection) -> int:
    """Forget alerts whose text rotted on the medium or is of a newer agent: one of them would stop all others.

    Returns:
        How many there were, open and waiting.
    """
    open_ones = connection.execute("SELECT rule_id, device_id, body FROM alerts").fetchall()
    waiting = connection.execute("SELECT position, body FROM alert_outbox").fetchall()
    gone = [(rule_id, device_id) for rule_id, device_id, body in open_ones if not _is_alert(body)]
    lost = [position for position, body in waiting if not _is_alert(body)]
    connection.executemany("DELETE FROM alerts WHERE rule_id = ? AND device_id = ?", gone)
    drop_alerts(connection, lost)
    return len(gone) + len(lost)


def _is_alert(body: str) -> bool:
    try:
        EdgeAlert.model_validate_json(body)
    except ValidationError:
        return False
    return True


def _queue_alert(connection: sqlite3.Connection, alert: EdgeAlert) -> None:
    connection.execute("INSERT INTO alert_outbox (body) VALUES (?)", (alert.model_dump_json(),))


def peek_alerts(connection: sqlite3.Connection, *, limit: int) -> list[tuple[int, EdgeAlert]]:
    """The oldest alert changes that wait, with their positions."""
    rows = connection.execute("SELECT position, body FROM alert_outbox ORDER BY position LIMIT ?", (limit,))
    return [(position, EdgeAlert.model_validate_json(body)) for position, body in rows]


def drop_alerts(connection: sqlite3.Connection, positions: list[int]) -> None:
    """Delete alert changes that the cloud has answered."""
    connection.executemany("DELETE FROM alert_outbox WHERE position = ?", [(position,) for position in positions])
