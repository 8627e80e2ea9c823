"""The live lane: the heartbeat, and the plan that comes back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge_agent.clock import Clock, monotonic_ms
from edge_agent.store import outbox
from edge_agent.store.boots import Timeline
from edge_agent.store.buffer import Buffer
from edge_agent.store.file import StoreFile
from edge_agent.store.state import save_plan
from edge_agent.store.status import store_bytes
from edge_agent.sync.session import Session
from edge_agent.uplink import RefusedError, StrangeAnswerError, Uplink
from shared.wire import (
    MIN_SUPPORTED,
    SCHEMA_VERSION,
    AgentFacts,
    BufferState,
    EdgePlan,
    Heartbeat,
    HeartbeatAnswer,
    NewestReading,
)

LOG = logging.getLogger(__name__)


def plan_fault(plan: EdgePlan) -> str | None:
    """What a well-formed plan may still get wrong, or None; a device that cannot be read is no fault of the plan."""
    if not MIN_SUPPORTED <= plan.schema_version <= SCHEMA_VERSION:
        return f"schema_version is {plan.schema_version}, this agent understands {MIN_SUPPORTED} to {SCHEMA_VERSION}; update it"
    for name, ids in (("devices", [each.id for each in plan.devices]), ("rules", [each.id for each in plan.rules])):
        if len(set(ids)) != len(ids):
            return f"{name} holds one id twice"
    try:
        ZoneInfo(plan.site.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return f"site.timezone is {plan.site.timezone!r}, not an IANA time zone"
    return None


class LiveLane:
    """Says what is newest, hears what time it is and whether there is a newer plan.

    Attributes:
        heard: set once the cloud has answered a heartbeat.
        plan_revision: of the plan in force.
    """

    def __init__(
        self,
        session: Session,
        uplink: Uplink,
        *,
        clock: Clock,
        store: StoreFile,
        timeline: Timeline,
        buffer: Buffer,
        interval_s: float,
        facts: AgentFacts,
        newest: Callable[[], tuple[NewestReading, ...]],
        plan_revision: int | None,
        on_plan: Callable[[EdgePlan], Awaitable[None]],
    ) -> None:
        self._session = session
        self._uplink = uplink
        self._clock = clock
        self._store = store
        self._timeline = timeline
        self._buffer = buffer
        self._interval_s = interval_s
        self._facts = facts
        self._newest = newest
        self._on_plan = on_plan
        self._refused_revision: int | None = None
        self.heard = asyncio.Event()
        self.plan_revision = plan_revision

    async def run(self) -> None:
        """Say every heartbeat interval that the agent lives; take a newer plan when there is one."""
        while True:
            try:
                await self._session.ask("live", self._beat_once)
            except RefusedError as error:
                await self._session.hold("live", error)
                continue
            await self._clock.sleep(self._interval_s)

    async def _beat_once(self) -> None:
        heartbeat = await self._heartbeat()
        asked_ms = monotonic_ms(self._clock)
        answer = await self._uplink.send_heartbeat(heartbeat)
        changed = await self._timeline.hear_cloud(
            answer.server_time, asked_mono_ms=asked_ms, answered_mono_ms=monotonic_ms(self._clock)
        )
        if changed:
            self._session.event(
                f"clock_{changed}", {"by": "cloud", "time_quality": self._timeline.boot.time_quality.value}
            )
        self.heard.set()
        await self._follow_plan(answer)

    async def _heartbeat(self) -> Heartbeat:
        depth = self._buffer.depth
        oldest, size = await self._store.read(
            lambda connection: (outbox.oldest_at(connection), store_bytes(self._store.path.parent))
        )
        return Heartbeat(
            epoch=self._buffer.epoch,
            at=self._timeline.now(),
            time_quality=self._timeline.boot.time_quality,
            facts=self._facts,
            plan_revision=self.plan_revision,
            buffer=BufferState(
                pending_readings=depth.readings, pending_flushes=depth.flushes, oldest_at=oldest, store_bytes=size
            ),
            newest=self._newest(),
        )

    async def _follow_plan(self, answer: HeartbeatAnswer) -> None:
        if answer.plan_revision in (self.plan_revision, self._refused_revision):
            return
        try:
            plan = await self._uplink.fetch_plan(known_revision=self.plan_revision)
        except StrangeAnswerError as error:
            self._refuse_plan(answer.plan_revision, str(error))
            return
        if plan is None:
            return
        fault = plan_fault(plan)
        if fault is not None:
            self._refuse_plan(answer.plan_revision, fault)
            return
        await self._store.write(lambda connection: save_plan(connection, plan, self._timeline.now()))
        await self._on_plan(plan)
        self.plan_revision = plan.revision
        self._session.event(
            "plan_applied", {"revision": plan.revision, "devices": len(plan.devices), "rules": len(plan.rules)}
        )

    def _refuse_plan(self, revision: int, reason: str) -> None:
        """Stay with the last good plan, and do not ask again before there is another."""
        self._refused_revision = revision
        LOG.error("plan_refused", extra={"revision": revision, "reason": reason})
        self._session.event("plan_refused", {"revision": revision, "reason": reason})
