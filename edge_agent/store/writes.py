"""Writes to devices, remembered: what wears a device's memory is counted across restarts, and each write is an event."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from edge_agent.clock import from_ms, to_ms
from edge_agent.store.file import StoreFile
from edge_agent.store.state import get_fact, record_event, set_fact

KEPT = timedelta(days=1)
MOST = 200
"""More writes of one control in a day are not told apart."""


class WriteJournal:
    """The writes of one device.

    Args:
        store: of the agent.
        device: name or id, part of the key.
    """

    def __init__(self, store: StoreFile, device: str) -> None:
        self._store = store
        self._device = device

    async def written(self, control: str) -> list[datetime]:
        """Moments of the writes that are remembered, in order."""
        return await self._store.read(partial(_read, key=self._key(control)))

    async def note(self, control: str, *, at: datetime, value: Decimal, before: Decimal | None) -> None:
        """Remember a write, and forget those of more than a day ago."""
        detail = {"device": self._device, "control": control, "value": str(value), "before": str(before)}
        await self._store.write(partial(_note, key=self._key(control), at=at, detail=detail))

    def _key(self, control: str) -> str:
        return f"writes:{self._device}:{control}"


def _read(connection: sqlite3.Connection, *, key: str) -> list[datetime]:
    return [from_ms(at_ms) for at_ms in json.loads(get_fact(connection, key) or "[]")]


def _note(connection: sqlite3.Connection, *, key: str, at: datetime, detail: Mapping[str, object]) -> None:
    young = [moment for moment in _read(connection, key=key) if abs(at - moment) < KEPT]
    moments = sorted([*young, at])[-MOST:]
    set_fact(connection, key, json.dumps([to_ms(moment) for moment in moments]))
    record_event(connection, to_ms(at), "control_write", detail)
