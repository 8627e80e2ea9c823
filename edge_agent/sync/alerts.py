"""The alert lane: openings and ends, in the order in which they happened."""

import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

from edge_agent.store.buffer import Buffer
from edge_agent.store.file import StoreFile
from edge_agent.store.state import drop_alerts, peek_alerts
from edge_agent.sync.session import Session, within
from edge_agent.uplink import RefusedError, Uplink
from shared.wire import AlertAck, AlertBatch, EdgeAlert

LOG = logging.getLogger(__name__)

ALERTS_PER_BATCH = 100
LOOK_AGAIN_S = 30.0
"""Real seconds after which the lane looks for itself."""

Waiting = Sequence[tuple[int, EdgeAlert]]


class AlertLane:
    """Sends alert changes until each is answered."""

    def __init__(self, session: Session, uplink: Uplink, *, store: StoreFile, buffer: Buffer) -> None:
        self._session = session
        self._uplink = uplink
        self._store = store
        self._buffer = buffer
        self._limit = ALERTS_PER_BATCH

    async def run(self) -> None:
        """Send what waits, for ever."""
        while True:
            waiting = await self._store.read(lambda connection: peek_alerts(connection, limit=self._limit))
            if waiting:
                await self._send(waiting)
            else:
                await within(LOOK_AGAIN_S, self._buffer.wait_for_commit())

    async def _send(self, waiting: Waiting) -> None:
        batch = AlertBatch(alerts=tuple(alert for _, alert in waiting))
        try:
            ack = await self._session.ask("alerts", lambda: self._uplink.send_alerts(batch))
        except RefusedError as error:
            await self._take_refusal(error, waiting)
            return
        await self._take_ack(ack, waiting)

    async def _take_refusal(self, error: RefusedError, waiting: Waiting) -> None:
        if error.status != 422 or error.code != "validation_failed":
            await self._session.hold("alerts", error)
        elif len(waiting) > 1:
            self._limit = 1  # find the one that the cloud cannot read
        else:
            position, alert = waiting[0]
            await self._drop([position], {alert.id: str(error)})

    async def _take_ack(self, ack: AlertAck, waiting: Waiting) -> None:
        answered = {*ack.accepted, *ack.rejected}
        positions = [position for position, alert in waiting if alert.id in answered]
        if not positions:
            await self._session.hold("alerts", RefusedError(200, {"code": "ack_without_progress"}))
            return
        self._limit = ALERTS_PER_BATCH
        await self._drop(positions, ack.rejected)

    async def _drop(self, positions: list[int], rejected: Mapping[UUID, str]) -> None:
        if rejected:
            reasons = {str(key): reason for key, reason in rejected.items()}
            LOG.warning("alerts_rejected", extra={"reasons": reasons})
            self._session.event("alerts_rejected", {"reasons": reasons})
        await self._store.write(lambda connection: drop_alerts(connection, positions))
