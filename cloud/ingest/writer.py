"""Batches that arrive while others are being written wait together, and are committed together.

A transaction costs the same round trips and the same commit for one batch as for twenty. A batch that comes alone is written at once.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from cloud.core.bulk import REFUSED, BulkLane
from cloud.core.db import TenantContext
from cloud.core.errors import OverloadedError
from cloud.core.log import get_logger
from cloud.ingest.deliveries import Arrived, Delivery
from cloud.ingest.memory import Memory
from cloud.ingest.service import Outcome, take_batch, take_batches_in_turn, take_new_batches

_log = get_logger(__name__)

GROUPS = 2
"""Transactions at once: one is in PostgreSQL while the next is made ready. More would only make the groups smaller."""

WORTH_A_SECOND_GROUP = 240
"""Readings that must wait before a second transaction is begun beside the first: for fewer, the round trips cost more than the wait."""

BULKY = 1_000
"""Batches with more readings are back-fill. They have a line and a transaction of their own: a box that comes back after a week must not
make those wait that tell what is now."""

READINGS_PER_GROUP = 4_000
WAITING = 160
"""Batches that may wait; the next one is told to come back, which is cheaper for both sides than a long wait."""

_Group = asyncio.Task[Sequence[Outcome]]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A delivery, and the group that will write it, once it has one."""

    delivery: Delivery
    group: asyncio.Future[tuple[_Group, int]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(slots=True, eq=False)
class _Line:
    """Batches that wait for their turn, and how many of their groups are being written."""

    groups_at_once: int
    waiting: deque[_Waiting] = field(default_factory=deque)
    groups: int = 0

    @property
    def may_begin(self) -> bool:
        """Whether there is work for one more group."""
        if not self.waiting or self.groups >= self.groups_at_once:
            return False
        readings = sum(waiting.delivery.batch.reading_count for waiting in self.waiting)
        return not self.groups or readings >= WORTH_A_SECOND_GROUP


class BatchWriter:
    """Writes the batches of all gateways that one process serves."""

    def __init__(self, lane: BulkLane) -> None:
        """On connections of its own."""
        self._lane = lane
        self._memory = Memory()
        self._quick, self._bulky = _Line(GROUPS), _Line(1)
        self._groups: dict[_Group, frozenset[object]] = {}

    def check_room(self) -> None:
        """Refuse work early, before anything is spent on it.

        Raises:
            OverloadedError: if as many batches wait as may.
        """
        if len(self._quick.waiting) + len(self._bulky.waiting) >= WAITING:
            raise OverloadedError(retry_after_s=self._lane.retry_after_s)

    async def write(self, delivery: Delivery) -> Arrived:
        """Write a batch; it is committed when this returns.

        Raises:
            SequenceGapError, EpochSupersededError, CredentialInvalidError: see `take_batch`.
            OverloadedError: if as many batches wait as may.
            DatabaseBusyError, DatabaseUnavailableError: see `BulkLane.transaction`.
        """
        self.check_room()
        waiting = _Waiting(delivery)
        line = self._bulky if delivery.batch.reading_count > BULKY else self._quick
        line.waiting.append(waiting)
        self._begin_groups()
        group, place = await waiting.group
        # Whoever stops waiting does not stop the others' transaction.
        outcome = (await asyncio.shield(group))[place]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def close(self) -> None:
        """Wait for what is being written."""
        while self._groups:
            await asyncio.gather(*self._groups, return_exceptions=True)

    def _begin_groups(self) -> None:
        for line in (self._quick, self._bulky):
            while line.may_begin and (members := self._next_group(line)):
                self._begin_group(line, members)

    def _begin_group(self, line: _Line, members: Sequence[_Waiting]) -> None:
        def ended(group: _Group) -> None:
            line.groups -= 1
            del self._groups[group]
            self._begin_groups()

        group = asyncio.create_task(self._write([member.delivery for member in members]))
        line.groups += 1
        self._groups[group] = frozenset(member.delivery.edge.gateway_id for member in members)
        group.add_done_callback(ended)
        for place, member in enumerate(members):
            if not member.group.done():
                member.group.set_result((group, place))

    def _next_group(self, line: _Line) -> list[_Waiting]:
        """Take what has waited longest: one batch of each gateway, none of a gateway whose batch is being written."""
        busy: set[object] = set().union(*self._groups.values())
        members: list[_Waiting] = []
        passed: list[_Waiting] = []
        readings = 0
        while line.waiting and readings < READINGS_PER_GROUP:
            waiting = line.waiting.popleft()
            if waiting.group.cancelled():
                continue
            if waiting.delivery.edge.gateway_id in busy:
                passed.append(waiting)
                continue
            busy.add(waiting.delivery.edge.gateway_id)
            members.append(waiting)
            readings += waiting.delivery.batch.reading_count
        line.waiting.extendleft(reversed(passed))
        return members

    async def _write(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        context = _context_of(deliveries)
        try:
            async with self._lane.connection() as pg:
                arrived = await take_batches_in_turn(pg, deliveries, self._memory, context=context)
            if arrived is not None:
                return arrived
            async with self._lane.transaction(context) as pg:
                return await take_new_batches(pg, deliveries, self._memory)
        except REFUSED as error:
            _log.info("batches_written_alone", batches=len(deliveries), reason=type(error).__name__)
        # One after the other, on one connection; what fails alone too fails for itself.
        alone = [await asyncio.gather(self._write_alone(delivery), return_exceptions=True) for delivery in deliveries]
        return [outcome for [outcome] in alone]

    async def _write_alone(self, delivery: Delivery) -> Arrived:
        async with self._lane.transaction(delivery.edge.context) as pg:
            return await take_batch(pg, delivery, self._memory)


def _context_of(deliveries: Sequence[Delivery]) -> TenantContext:
    """The rows of all gateways of a group. Each row is written with the site of the gateway that was recognised for it."""
    contexts = [delivery.edge.context for delivery in deliveries]
    return TenantContext(
        organization_ids=tuple({each: None for context in contexts for each in context.organization_ids}),
        site_ids=tuple({each: None for context in contexts for each in context.site_ids}),
    )
