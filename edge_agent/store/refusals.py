"""What devices have refused, at hand for their drivers and kept over a restart."""

import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from uuid import UUID

from edge_agent.store.state import save_refusals

Stage = Callable[[Callable[[sqlite3.Connection], None]], None]
"""Has something written with the next flush: `edge_agent.store.buffer.Buffer.stage`."""


class RefusalNotes:
    """One text per device.

    Args:
        kept: as read from the store.
        stage: how a change gets there; a device that is asked anew after a power cut costs a few requests and nothing else.
    """

    def __init__(self, kept: dict[UUID, str], *, stage: Stage) -> None:
        self._kept = dict(kept)
        self._stage = stage

    def of(self, device_id: UUID) -> "DeviceNotes":
        """The notes of one device."""
        return DeviceNotes(self, device_id)

    def recall(self, device_id: UUID) -> str | None:
        """What is kept for a device."""
        return self._kept.get(device_id)

    def keep(self, device_id: UUID, text: str | None) -> None:
        """Keep a text for a device; None forgets it."""
        if text is None:
            self._kept.pop(device_id, None)
        else:
            self._kept[device_id] = text
        self._stage(partial(save_refusals, device_id=device_id, text=text))

    def retain(self, devices: Iterable[UUID]) -> None:
        """Forget devices that left the plan."""
        for gone in set(self._kept) - set(devices):
            self.keep(gone, None)

    def save_all(self, connection: sqlite3.Connection) -> None:
        """Write all: the store was rebuilt."""
        for device_id, text in self._kept.items():
            save_refusals(connection, device_id, text)


class DeviceNotes:
    """The notes of one device, as its driver sees them."""

    def __init__(self, notes: RefusalNotes, device_id: UUID) -> None:
        self._notes = notes
        self._device_id = device_id

    def recall(self) -> str | None:
        """What was kept last."""
        return self._notes.recall(self._device_id)

    def keep(self, text: str | None) -> None:
        """Keep a text; None forgets it."""
        self._notes.keep(self._device_id, text)
