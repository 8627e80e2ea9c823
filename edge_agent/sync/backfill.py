"""The back-fill lane: the outbox, in order, to the last reading."""

import asyncio
import logging
import sqlite3
from dataclasses import dataclass

from edge_agent.clock import Clock, to_ms
from edge_agent.config import EdgeSettings
from edge_agent.store.boots import Timeline
from edge_agent.store.buffer import Buffer
from edge_agent.store.state import LAST_ACK_AT, record_event, set_fact
from edge_agent.supervise import Progress
from edge_agent.sync.joining import joined
from edge_agent.sync.session import Session, within
from edge_agent.uplink import RefusedError, UnreachableError, Uplink, UplinkError
from shared.wire import BatchAck, Flush

LOG = logging.getLogger(__name__)

SLOW_SEND_S = 10.0
FAST_SEND_S = 2.0
"""A batch that took longer than the first is halved, one that took less than the second may grow (real seconds)."""

LOOK_AGAIN_S = 30.0
"""Real seconds after which a lane without work shows that it lives."""

UNLIMITED = 1_000_000


@dataclass(slots=True)
class _Sent:
    """What the last attempt carried."""

    flushes: list[Flush]


class BackfillLane:
    """Sends what waits and deletes what is acknowledged; never anything else."""

    def __init__(
        self,
        session: Session,
        uplink: Uplink,
        *,
        settings: EdgeSettings,
        clock: Clock,
        timeline: Timeline,
        buffer: Buffer,
        progress: Progress,
        heard: asyncio.Event,
    ) -> None:
        self._session = session
        self._uplink = uplink
        self._settings = settings
        self._clock = clock
        self._timeline = timeline
        self._buffer = buffer
        self._progress = progress
        self._heard = heard
        self._most_flushes = UNLIMITED
        self._epoch_is_unproven = False

    async def run(self) -> None:
        """Send the outbox in order, for ever."""
        while not (self._timeline.is_trusted or self._heard.is_set()):
            # Readings of a clock that nobody vouches for wait until the cloud has told the time once: then one row dates them all.
            self._progress.beat("sync")
            await within(LOOK_AGAIN_S, self._heard.wait())
        while True:
            self._progress.beat("sync")
            if not await self._send_oldest():
                await within(LOOK_AGAIN_S, self._buffer.wait_for_commit())
                await self._clock.sleep(self._settings.sync_interval_s)

    async def _send_oldest(self) -> bool:
        """Send one batch; False if nothing waits."""
        if self._buffer.depth.flushes == 0:
            return False
        flushes = await self._buffer.peek(
            max_readings=self._settings.batch_readings, max_bytes=self._settings.batch_bytes
        )
        if not flushes:
            return False
        sent = _Sent(flushes)
        loop = asyncio.get_running_loop()
        bytes_before, began = self._uplink.sent_bytes, loop.time()

        async def attempt() -> BatchAck:
            sent.flushes = flushes[: self._most_flushes]
            return await self._uplink.send_readings(joined(self._buffer.epoch, sent.flushes))

        try:
            ack = await self._session.ask("backfill", attempt, on_failure=self._shrink)
        except RefusedError as error:
            await self._take_refusal(error, sent.flushes)
            return True
        await self._take_ack(ack, sent.flushes)
        self._adapt(len(sent.flushes), loop.time() - began)
        if self._settings.rate_limit_bytes_per_s is not None:
            await self._clock.sleep((self._uplink.sent_bytes - bytes_before) / self._settings.rate_limit_bytes_per_s)
        return True

    async def _take_ack(self, ack: BatchAck, flushes: list[Flush]) -> None:
        seq = min(ack.acked_seq, flushes[-1].seq)  # never delete what was not sent
        if seq < flushes[0].seq:
            problem = {
                "detail": f"acknowledged {ack.acked_seq} after flushes {flushes[0].seq} to {flushes[-1].seq} were sent"
            }
            await self._session.hold("backfill", RefusedError(200, {"code": "ack_without_progress", **problem}))
            return
        now = self._timeline.now()

        def note(connection: sqlite3.Connection) -> None:
            # In the transaction that deletes the readings: what the cloud would not take as one is on record, or still here.
            set_fact(connection, LAST_ACK_AT, now.isoformat())
            if ack.rejected:
                reasons = sorted({each.reason for each in ack.rejected})
                detail = {"count": len(ack.rejected), "reasons": reasons, "up_to_seq": seq}
                record_event(connection, to_ms(now), "readings_rejected", detail)

        await self._buffer.ack(seq, also=note)
        self._session.state.last_ack_at = now
        self._epoch_is_unproven = False

    async def _take_refusal(self, error: RefusedError, flushes: list[Flush]) -> None:
        """Do what gets the lane on again without losing a reading."""
        if error.status == 409 and error.code == "sequence_gap":
            await self._take_gap(error, flushes)
        elif error.status == 413 or (error.status == 422 and error.code == "validation_failed"):
            if len(flushes) > 1:
                self._most_flushes = len(flushes) // 2
            else:
                LOG.error("flush_refused", extra={"seq": flushes[0].seq, "error": str(error)})
                await self._buffer.set_aside(flushes[0].seq, f"{error.code or error.status}: {error}"[:500])
        else:
            await self._session.hold("backfill", error)

    async def _take_gap(self, error: RefusedError, flushes: list[Flush]) -> None:
        expected = error.problem.get("expected_seq")
        first, last = flushes[0].seq, self._buffer.depth.last_seq
        if not isinstance(expected, int) or expected == first:
            await self._session.hold("backfill", error)  # the cloud contradicts itself
        elif first < expected <= last + 1:
            LOG.info("resuming", extra={"cloud_has": expected - 1, "sent_from": first})
            await self._buffer.ack(expected - 1)
        elif self._epoch_is_unproven:
            await self._session.hold("backfill", error)  # a new epoch did not help: do not begin one after the other
        else:
            # The cloud lost what was deleted here as acknowledged, or has numbers that this store never gave out.
            self._epoch_is_unproven = True
            await self._buffer.begin_epoch(f"the cloud expects {expected}, the outbox holds {first} to {last}")

    def _adapt(self, sent: int, took_s: float) -> None:
        if took_s > SLOW_SEND_S:
            self._most_flushes = max(1, sent // 2)
        elif took_s < FAST_SEND_S and self._most_flushes < UNLIMITED:
            self._most_flushes *= 2

    def _shrink(self, error: UplinkError) -> None:
        """A line that breaks off under a batch may carry a smaller one."""
        if isinstance(error, UnreachableError) and error.broke_off:
            self._most_flushes = max(1, min(self._most_flushes, self._buffer.depth.flushes) // 2)
