"""One bus per endpoint: fair turns, gaps, time-outs that adapt, and never a wrong number.

It is shared by every device behind the endpoint; one request at a time. A wrong number is worse than none: nothing is
asked twice after a time-out, and a late answer can never be taken for the answer to a later request. With transaction ids that is checked;
without them see `modbus_rtu`.

Time-outs and gaps are real seconds, whatever clock the agent runs on: a line does not know of a simulated day.
"""

import asyncio
import struct
import time
from collections.abc import Callable, Mapping, Sequence

from edge_agent.drivers import modbus_errors
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.bus_health import BusCounts, UnitHealth
from edge_agent.drivers.fair_queue import FairQueue, Graces
from edge_agent.drivers.line import Line
from edge_agent.drivers.modbus_errors import BEHIND_GATEWAY, DamagedAnswerError
from edge_agent.drivers.modbus_frame import (
    FUNCTION_CODES,
    Answer,
    Event,
    Foreign,
    Gone,
    Late,
    Noise,
    Question,
    Refusal,
    Stream,
    Wrong,
)
from edge_agent.drivers.modbus_rtu import MAX_LEADING_NOISE, RtuStream
from edge_agent.profiles.model import RegisterFunction

DEFAULT_TIMEOUT_S = 3.0

GRACE = 2
"""How many time-outs a late answer is waited for before the unit is asked again; other units are not kept waiting."""

FOREIGN_HOLD_S = 0.3
"""How long another master's question is given to be answered before we speak."""

NOISE_HOLD_S = 0.1
QUIET_LIMIT_S = 3.0
SILENCES_TO_REOPEN = 2
"""Time-outs in a row, with nothing heard at all, after which a connection is taken to be dead."""

SINGLE_CLIENT_PAUSE_S = 1.0
"""A device with one connection only needs about so long to notice that it was closed."""

_FRAME_BYTES = 17  # of request and answer without registers, at most


class LineBus:
    """A bus over any line.

    Args:
        line: carries the bytes.
        stream: makes frames of them.
        timeout_s: for opening, and for each answer of a unit whose latency is not known yet.
        request_gap_s: silence after an answer before the next request.
        unit_gap_s: the same if the next request is another unit's.
        clock: seconds in which silent units are left alone; None for real ones.

    Attributes:
        counts: what happened.
        units: what is known of each unit.
    """

    def __init__(
        self,
        line: Line,
        stream: Stream,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        request_gap_s: float = 0.0,
        unit_gap_s: float = 0.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.request_gap_s = request_gap_s
        self.unit_gap_s = unit_gap_s
        self.counts = BusCounts()
        self._line, self._stream = line, stream
        line.on_bytes, line.on_lost = self._hear, self._lose
        self._now = clock or time.monotonic
        self._queue = FairQueue()
        self._units: dict[int, UnitHealth] = {}
        self._is_raw = isinstance(stream, RtuStream)
        self._pending: asyncio.Future[Event | Gone | None] | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._quiet_until = 0.0
        self._hold_until = 0.0
        self._last_unit: int | None = None
        self._silences = 0
        self._graces = Graces()
        self._unopened: tuple[float, DriverError] | None = None

    @property
    def name(self) -> str:
        """Of the endpoint, for messages and statistics."""
        return self._line.name

    @property
    def units(self) -> Mapping[int, UnitHealth]:
        """By unit id: latency, failures."""
        return self._units

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._queue.length

    def widen(
        self,
        *,
        timeout_s: float,
        request_gap_s: float,
        unit_gap_s: float = 0.0,
        has_transactions: bool = True,
        is_single_client: bool = False,
    ) -> None:
        """Another device shares the endpoint: the more careful wish of the two holds for both."""
        self.timeout_s = max(self.timeout_s, timeout_s)
        self.request_gap_s = max(self.request_gap_s, request_gap_s)
        self.unit_gap_s = max(self.unit_gap_s, unit_gap_s)
        if not has_transactions:
            self._stream.must_echo = False
        if is_single_client:
            self._line.reopen_after_s = SINGLE_CLIENT_PAUSE_S

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        """Read `count` unsigned 16-bit registers of one unit; waits its turn.

        Raises:
            RefusedAddressError: on exception 2; the connection stays open.
            DriverError: `refused` if the endpoint cannot be reached, `timeout`, `exception` on another exception answer, `malformed` if
                the answer is not the one asked for.
        """
        data = await self._in_turn(Question(unit, FUNCTION_CODES[function], address, count))
        return list(struct.unpack(f">{count}H", data))

    async def write(self, unit: int, *, address: int, words: Sequence[int], function_code: int) -> None:
        """Write holding registers with function 6 (one) or 16 (several). Asked once: after an error, read what the device holds.

        Raises:
            RefusedAddressError: on exception 2.
            DriverError: on anything but the device's confirmation, as `read`.
        """
        await self._in_turn(Question(unit, function_code, address, len(words), tuple(words)))

    async def _in_turn(self, question: Question) -> bytes:
        unit = question.unit
        health = self._units.get(unit)
        if health is None:
            health = self._units[unit] = UnitHealth()
        began = asyncio.get_running_loop().time()
        if self._graces.are_given:
            await self._wait_for_late(question)
        await self._queue.take(unit)
        try:
            self._check_open_to(question, health, began=began)
            try:
                return await self._ask(question, health)
            except DamagedAnswerError:
                if not self._is_raw or question.words is not None:
                    raise
                return await self._ask(question, health)  # not lost but damaged: what is owed for it is seen to
        except DriverError as error:
            error.is_rationed = True
            raise
        finally:
            self._queue.give()

    async def close(self) -> None:
        """Close the line; the next read opens it again."""
        await self._queue.take(None)
        try:
            self._close_line()
        finally:
            self._queue.give()

    def _check_open_to(self, question: Question, health: UnitHealth, *, began: float) -> None:
        """Spare the others what is known to be in vain.

        Raises:
            DriverError: if the line could not be opened while this request waited, or if the unit is silent and no probe is due.
        """
        if self._unopened is not None and self._unopened[0] >= began and not self._line.is_open:
            error = self._unopened[1]
            raise DriverError(str(error), retry=error.retry, kind=error.kind) from error
        now = self._now()
        if health.is_closed(now):
            self.counts.spared += 1
            raise modbus_errors.left_alone(
                self.name, question, failures=health.failures, again_s=health.closed_until - now
            )

    async def _wait_for_late(self, question: Question) -> None:
        """Give a unit that owes an answer of this shape the time to give it, while others have the bus."""
        if self._line.is_open and self._stream.is_owed(question, now=asyncio.get_running_loop().time()):
            await self._graces.wait(question.unit)

    async def _ask(self, question: Question, health: UnitHealth) -> bytes:
        if not self._line.is_open:
            await self._open()
        if self._stream.is_owed(question, now=asyncio.get_running_loop().time()):
            await self._clear_debt(question, health)
        data = await self._exchange(question, health)
        if self._is_raw and question.words is None:
            health.answered_shapes[question.shape] = question.address
        return data

    async def _open(self) -> None:
        try:
            await self._line.open(timeout_s=self.timeout_s)
        except DriverError as error:
            self._unopened = (asyncio.get_running_loop().time(), error)
            raise
        self.counts.opened += 1
        self._silences = 0

    async def _clear_debt(self, question: Question, health: UnitHealth) -> None:
        """Ask something of another shape: a unit that answers this will not answer what it was asked before.

        Raises:
            DriverError: if it stays uncertain.
        """
        now = asyncio.get_running_loop().time()
        probe = next((each for each in health.probes(question) if not self._stream.is_owed(each, now=now)), None)
        if probe is not None:
            self.counts.probes += 1
            try:
                await self._exchange(probe, health)
            except DriverError as error:
                if error.kind != "exception":
                    raise
            if not self._line.is_open:
                await self._open()
        if probe is None or self._stream.is_owed(question, now=asyncio.get_running_loop().time()):
            raise DamagedAnswerError(
                f"{modbus_errors.describe(self.name, question)}: an earlier answer is still missing, and could be taken for this one"
            )

    async def _exchange(self, question: Question, health: UnitHealth) -> bytes:
        """Ask once.

        Raises:
            DriverError: see `read`.
        """
        loop = asyncio.get_running_loop()
        await self._keep_quiet(question.unit)
        on_wire_s = (_FRAME_BYTES + 2 * question.count) * self._line.byte_time_s
        timeout_s = health.timeout_s(self.timeout_s) + on_wire_s
        pending: asyncio.Future[Event | Gone | None] = loop.create_future()
        timer = loop.call_later(timeout_s, _end, pending)
        self._pending = pending
        event: Event | Gone | None = None
        began = loop.time()
        try:
            self._line.write(self._stream.ask(question, now=began))
            self.counts.requests += 1
            event = await pending
        except OSError as error:
            self._close_line()
            raise modbus_errors.broken(modbus_errors.describe(self.name, question), error) from error
        finally:
            timer.cancel()
            self._pending = None
            ended = loop.time()
            self._quiet_until = ended + max(self.request_gap_s, self._line.frame_gap_s)
            self._last_unit = question.unit
            if not isinstance(event, Answer | Refusal):
                self._give_up(question.unit, ended + (GRACE - 1) * timeout_s)  # also when the caller gave up waiting
        if type(event) is Answer:
            self.counts.answers += 1
            self._silences = 0
            health.answered(ended - began - on_wire_s)
            return event.data
        raise self._failure(question, health, event, cost_s=ended - began)

    def _give_up(self, unit: int, grace_until: float) -> None:
        """The answer may still be on its way: make sure that it cannot be taken for another."""
        self._stream.give_up()
        if self._is_raw:
            self._graces.give(unit, until=grace_until)
        elif not self._stream.can_tell_late or self._silences >= SILENCES_TO_REOPEN - 1:
            self._close_line()

    def _failure(
        self, question: Question, health: UnitHealth, event: Event | Gone | None, *, cost_s: float
    ) -> DriverError:
        """Count what came instead of an answer, and say it."""
        what = modbus_errors.describe(self.name, question)
        if isinstance(event, Refusal):
            return self._refused(what, health, event, cost_s=cost_s)
        if isinstance(event, Wrong):
            self.counts.wrong += 1
            if not self._is_raw:
                self._close_line()
        return modbus_errors.damage(what, question, event) or self._silence(health, what, cost_s=cost_s)

    def _silence(self, health: UnitHealth, what: str, *, cost_s: float) -> DriverError:
        self.counts.timeouts += 1
        self._silences += 1
        health.missed(now=self._now(), cost_s=cost_s)
        if self._silences >= SILENCES_TO_REOPEN and self._line.byte_time_s == 0:
            self._close_line()
        return modbus_errors.no_answer(what, cost_s)

    def _refused(self, what: str, health: UnitHealth, event: Refusal, *, cost_s: float) -> DriverError:
        self.counts.exceptions += 1
        self._silences = 0
        if not event.is_sure:
            return DamagedAnswerError(f"{what}: the device answers exception {event.code}, maybe to an earlier request")
        if event.code in BEHIND_GATEWAY:
            health.missed(now=self._now(), cost_s=cost_s)
        else:
            health.answered(cost_s)
        return modbus_errors.refusal(what, event.code)

    async def _keep_quiet(self, unit: int) -> None:
        """Wait for the gaps, and until nobody speaks or is about to be answered; an error if that never comes."""
        loop = asyncio.get_running_loop()
        until = self._quiet_until
        if self.unit_gap_s and self._last_unit not in (None, unit):
            until += self.unit_gap_s
        limit = max(until, loop.time()) + QUIET_LIMIT_S
        while (wait_s := max(until, self._hold_until) - loop.time()) > 0 or self._stream.is_unsettled:
            if loop.time() > limit:
                self._close_line()
                raise modbus_errors.never_quiet(self.name)
            await asyncio.sleep(wait_s if wait_s > 0 else self._line.quiet_s)
            if not self._line.is_open:
                return

    def _hear(self, data: bytes) -> None:
        """Bytes came in."""
        now = asyncio.get_running_loop().time()
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        for event in self._stream.feed(data, now=now):
            self._take(event, now)
        if self._stream.is_unsettled:
            self._settling = asyncio.get_running_loop().call_later(self._line.quiet_s, self._settle)

    def _settle(self) -> None:
        self._settling = None
        for event in self._stream.settle():
            self._take(event, asyncio.get_running_loop().time())

    def _take(self, event: Event, now: float) -> None:
        match event:
            case Late():
                self._take_late(event, now)
            case Foreign():
                self.counts.foreign += 1
                self._hold_until = now + (FOREIGN_HOLD_S if event.is_question else self._line.quiet_s)
                if event.is_rival:
                    self._finish(event)
            case Noise():
                self.counts.damaged += 1
                if event.length > MAX_LEADING_NOISE:
                    self._hold_until = max(self._hold_until, now + NOISE_HOLD_S)
                    self._finish(event)
            case _:
                self._finish(event)

    def _take_late(self, event: Late, now: float) -> None:
        self.counts.late += 1
        health = self._units.get(event.unit)
        if health is not None and event.asked_at is not None:
            health.learn(now - event.asked_at)
        self._graces.end(event.unit)

    def _finish(self, event: Event | Gone) -> None:
        if self._pending is not None and not self._pending.done():
            self._pending.set_result(event)

    def _lose(self) -> None:
        """The line is gone: fail the pending request now, instead of at its time-out."""
        self._close_line()
        self._finish(Gone())

    def _close_line(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        self._line.close()
        self._stream.forget()


def _end(pending: "asyncio.Future[Event | Gone | None]") -> None:
    """The time is up."""
    if not pending.done():
        pending.set_result(None)
