"""The newest reading of each device, kept for `status` and for what must survive a restart."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from edge_agent.clock import from_ms, to_ms
from shared.enums import Quality
from shared.readings import Reading, Value


@dataclass(frozen=True, slots=True)
class Newest:
    """What a device said last.

    Attributes:
        at: of the newest moment, answered or not.
        link_up: whether it answered then.
        answered_at: when it last answered; None if it never did.
        values: of that answer.
        quality: of that answer.
    """

    device_id: UUID
    at: datetime
    link_up: bool
    answered_at: datetime | None
    values: dict[str, Value]
    quality: Quality


def save_newest(connection: sqlite3.Connection, readings: Iterable[Reading]) -> None:
    """Remember readings as the newest of their devices; a silent moment does not overwrite the last answer."""
    for reading in readings:
        at_ms = to_ms(reading.at)
        if reading.quality & Quality.LINK_DOWN:
            connection.execute(
                "INSERT INTO newest (device_id, at_ms, quality, link_up, answered_ms, body) VALUES (?, ?, 0, 0, NULL, '{}')"
                " ON CONFLICT (device_id) DO UPDATE SET at_ms = excluded.at_ms, link_up = 0",
                (str(reading.device_id), at_ms),
            )
            continue
        body = json.dumps(dict(reading.values), separators=(",", ":"))
        connection.execute(
            "INSERT OR REPLACE INTO newest (device_id, at_ms, quality, link_up, answered_ms, body) VALUES (?, ?, ?, 1, ?, ?)",
            (str(reading.device_id), at_ms, int(reading.quality), at_ms, body),
        )


def read_newest(connection: sqlite3.Connection) -> dict[UUID, Newest]:
    """By device; one whose row rotted on the medium was never heard."""
    newest: dict[UUID, Newest] = {}
    rows = connection.execute("SELECT device_id, at_ms, quality, link_up, answered_ms, body FROM newest")
    for device_id, at_ms, quality, link_up, answered_ms, body in rows:
        try:
            key, values = UUID(device_id), json.loads(body)
        except ValueError:
            continue
        newest[key] = Newest(
            device_id=key,
            at=from_ms(at_ms),
            link_up=bool(link_up),
            answered_at=None if answered_ms is None else from_ms(answered_ms),
            values=values,
            quality=Quality(quality),
        )
    return newest
