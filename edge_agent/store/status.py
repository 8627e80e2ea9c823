"""What the store file says, read beside a running agent."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from edge_agent.store import outbox
from edge_agent.store.boots import all_boots
from edge_agent.store.file import FILE_NAME, StoreError, connect_read_only
from edge_agent.store.newest import Newest, read_newest
from edge_agent.store.outbox import Depth
from edge_agent.store.state import (
    LAST_ACK_AT,
    LAST_ERROR,
    LOCAL_PAGE,
    Event,
    get_fact,
    read_events,
    read_open_alerts,
    read_plan,
)
from shared.enums import TimeQuality
from shared.wire import EdgeAlert, EdgePlan


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One consistent look at the file.

    Attributes:
        readings_total: readings ever committed.
        readings_thinned: of these, merged into others by thinning.
        quarantined_flushes: refused by the cloud or damaged, kept beside the outbox.
        store_bytes: size of the file and its log on the disk.
        local_page: address of the page, while the agent runs.
    """

    epoch: UUID
    plan: EdgePlan | None
    readings_total: int
    readings_thinned: int
    quarantined_flushes: int
    depth: Depth
    oldest_at: datetime | None
    last_ack_at: str | None
    last_error: str | None
    newest: dict[UUID, Newest]
    open_alerts: tuple[EdgeAlert, ...]
    waiting_alert_changes: int
    events: tuple[Event, ...]
    time_quality: TimeQuality
    store_bytes: int
    local_page: str | None


def store_bytes(folder: Path) -> int:
    """Bytes of the store's file and log on the disk."""
    parts = (folder / (FILE_NAME + suffix) for suffix in ("", "-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def read_status(folder: Path) -> StoreStatus:
    """Read everything in one transaction.

    Raises:
        StoreError: if there is no store, or it cannot be read.
    """
    path = folder / FILE_NAME
    try:
        with closing(connect_read_only(path)) as connection:
            return _read(connection, store_bytes(folder))
    except sqlite3.Error as error:
        raise StoreError(
            f"the store {path} cannot be read ({error}); `solarhub-edge run` repairs it when it starts"
        ) from error


def _read(connection: sqlite3.Connection, size: int) -> StoreStatus:
    boots = all_boots(connection)
    return StoreStatus(
        epoch=outbox.epoch_of(connection),
        plan=read_plan(connection),
        readings_total=outbox.counter(connection, outbox.READINGS_TOTAL),
        readings_thinned=outbox.counter(connection, outbox.READINGS_THINNED),
        quarantined_flushes=int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]),
        depth=outbox.depth(connection),
        oldest_at=outbox.oldest_at(connection),
        last_ack_at=get_fact(connection, LAST_ACK_AT),
        last_error=get_fact(connection, LAST_ERROR),
        newest=read_newest(connection),
        open_alerts=tuple(read_open_alerts(connection).values()),
        waiting_alert_changes=int(connection.execute("SELECT count(*) FROM alert_outbox").fetchone()[0]),
        events=tuple(read_events(connection, limit=20)),
        time_quality=boots[max(boots)].time_quality if boots else TimeQuality.UNKNOWN,
        store_bytes=size,
        local_page=get_fact(connection, LOCAL_PAGE),
    )
