"""What the lanes share: patience, refusals, and what the operator is told of them."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from edge_agent.clock import Clock, to_ms
from edge_agent.store.boots import Timeline
from edge_agent.store.buffer import Buffer
from edge_agent.store.state import LAST_ERROR, record_event, set_fact
from edge_agent.supervise import Progress
from edge_agent.uplink import RefusedError, Uplink, UplinkError

LOG = logging.getLogger(__name__)

HOLD_S = 900.0
"""After a refusal that only somebody's action ends (a revoked credential, a version apart), the next attempt is this far away."""

T = TypeVar("T")


@dataclass(slots=True)
class SyncState:
    """How the talk with the cloud goes.

    Attributes:
        online: whether the last request was answered; None before the first.
        last_answer_at: by the agent's time line.
        is_refused: whether the credential is no longer accepted.
        errors: by lane, what keeps it from getting on.
    """

    online: bool | None = None
    last_answer_at: datetime | None = None
    last_ack_at: datetime | None = None
    errors: dict[str, str] = field(default_factory=dict)

    is_refused: bool = False

    @property
    def error(self) -> str | None:
        """The first of the errors."""
        return next(iter(self.errors.values()), None)


class Session:
    """Asks the cloud on behalf of the lanes.

    Attributes:
        state: for the local page and the heartbeat.
    """

    def __init__(self, uplink: Uplink, *, clock: Clock, timeline: Timeline, buffer: Buffer, progress: Progress) -> None:
        self._uplink = uplink
        self._clock = clock
        self._timeline = timeline
        self._buffer = buffer
        self._progress = progress
        self._held: set[str] = set()
        self.state = SyncState()
        self._save_error(None)  # what an earlier run complained of is to be found out anew

    async def ask(
        self, lane: str, request: Callable[[], Awaitable[T]], *, on_failure: Callable[[UplinkError], None] | None = None
    ) -> T:
        """Ask until there is an answer; a refused credential stops the lane until it is accepted again.

        Raises:
            RefusedError: any other refusal that repeating does not mend.
        """

        def note(error: UplinkError) -> None:
            self._note_failure(lane, error)
            if on_failure is not None:
                on_failure(error)

        while True:
            try:
                result = await self._uplink.patiently(request, on_failure=note)
            except RefusedError as error:
                self.state.online = True
                if error.status != 401:
                    raise
                self.state.is_refused = True
                await self.hold(lane, error)
                continue
            self.state.online, self.state.is_refused = True, False
            self.state.last_answer_at = self._timeline.now()
            self._clear_error(lane)
            return result

    def _note_failure(self, lane: str, error: UplinkError) -> None:
        self._progress.beat("sync")
        self.state.online = isinstance(error, RefusedError)
        self._set_error(lane, str(error))

    async def hold(self, lane: str, error: RefusedError) -> None:
        """Leave the cloud alone for a while; everything is kept."""
        kind = "credential_refused" if error.status == 401 else "upload_refused"
        if kind not in self._held:
            self._held.add(kind)
            LOG.error(kind, extra={"lane": lane, "error": str(error), "next_attempt_in_s": HOLD_S})
            self.event(kind, {"lane": lane, "status": error.status, "code": error.code, "error": str(error)})
        self._set_error(lane, str(error))
        self._progress.beat("sync")
        await self._clock.sleep(HOLD_S)

    def _set_error(self, lane: str, message: str) -> None:
        errors = self.state.errors
        if errors.get(lane) == message:
            return
        if lane not in errors:
            LOG.warning("cloud_unavailable", extra={"lane": lane, "error": message})
        self.state.errors = {**errors, lane: message}
        self._save_error({"at": self._timeline.now().isoformat(), "lane": lane, "message": message})

    def _clear_error(self, lane: str) -> None:
        errors = self.state.errors
        if lane not in errors:
            return
        self.state.errors = {key: message for key, message in errors.items() if key != lane}
        LOG.info("cloud_available", extra={"lane": lane})
        if not self.state.errors:
            self._held.clear()
            self._save_error(None)

    def _save_error(self, detail: dict[str, str] | None) -> None:
        text = None if detail is None else json.dumps(detail)
        self._buffer.stage(lambda connection: set_fact(connection, LAST_ERROR, text), key=LAST_ERROR)

    def event(self, kind: str, detail: Mapping[str, object]) -> None:
        """Record an event with the next flush."""
        at_ms = to_ms(self._timeline.now())
        self._buffer.stage(lambda connection: record_event(connection, at_ms, kind, detail))


async def within(seconds: float, waiting: Awaitable[object]) -> None:
    """Wait for something, but no longer than this; being early or late is both fine."""
    try:
        async with asyncio.timeout(seconds):
            await waiting
    except TimeoutError:
        return
