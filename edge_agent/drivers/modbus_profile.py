"""Reads one device by its profile."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_agent.clock import Clock
from edge_agent.drivers import modbus_codec
from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.modbus import RefusedAddressError, RegisterBus
from edge_agent.drivers.modbus_plan import NETWORK, Link, Place, Request, Span, between, halve, plan
from edge_agent.drivers.modbus_quick import QuickRows
from edge_agent.drivers.modbus_refusals import NoNotes, Notes, Refusals
from edge_agent.profiles.model import IdentityCheck, PollClass, Profile, RegisterType, Row
from shared.enums import DeviceType, Quality
from shared.readings import Value

SLOW_PERIOD_S = 300.0
"""Between two reads of the rows of the slow class."""

_KEPT_REQUESTS = 64

Words = Mapping[Place, int]
"""Contents of single registers."""


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the requests of one poll class brought.

    Attributes:
        parts: each request that was answered, with its registers.
        places: contents of the single registers among them.
    """

    parts: list[tuple[Request, list[int]]]
    places: dict[Place, int]

    def take(self, request: Request, registers: list[int]) -> None:
        """Add one answer."""
        self.parts.append((request, registers))
        for function, address in request.places:
            self.places[function, address] = registers[address - request.address]


class ProfileDriver:
    """One device of a profile's platform.

    Args:
        bus: the endpoint, shared with other devices.
        unit: Modbus unit id.
        profile: the register map.
        device_type: selects the rows.
        clock: of the agent.
        rated_power_kw: of the device, as in the plan; narrows what is sane.
        link: what requests cost on the endpoint's line.
        notes: keep over a restart what the device has refused.
    """

    def __init__(
        self,
        bus: RegisterBus,
        unit: int,
        *,
        profile: Profile,
        device_type: DeviceType,
        clock: Clock,
        rated_power_kw: float | None = None,
        link: Link = NETWORK,
        notes: Notes | None = None,
    ) -> None:
        self._bus = bus
        self._unit = unit
        self._profile = profile
        self._clock = clock
        self._rated_kw = rated_power_kw
        self._link = link
        self._rows = profile.rows_for(device_type)
        self._derived = profile.derived_for(device_type)
        self._refusals = Refusals(notes or NoNotes(), profile=profile, clock=clock)
        self._requests: dict[PollClass, tuple[Request, ...]] = {}
        self._quick: dict[int, tuple[Request, QuickRows]] = {}
        self._terms = frozenset(row.key for row in self._rows if row.term)
        self._nature: dict[Place, int] = {}
        self._slow_values: dict[str, Value] = {}
        self._slow_at: float | None = None
        self._is_identified = False

    async def read(self) -> DeviceAnswer:
        """Read every row that is due.

        Raises:
            DriverError: if a request gets no answer, if the device is of another platform, or if it has none of the registers.
        """
        if not self._is_identified:
            await self._identify()
        if self._refusals.forget_if_old():
            self._forget_plan()
        now = self._clock.monotonic()
        slow_is_due = self._slow_at is None or now - self._slow_at >= SLOW_PERIOD_S
        if slow_is_due:
            await self._learn_nature()
        answers = await self._ask_class(PollClass.FAST)
        values, quality = self._decode(PollClass.FAST, answers)
        if slow_is_due:
            slow_answers = await self._ask_class(PollClass.SLOW)
            self._slow_values, slow_quality = self._decode(PollClass.SLOW, slow_answers)
            self._slow_at = now
            if not answers.parts and not slow_answers.parts:
                raise self._no_register()
            values |= self._slow_values
            quality |= slow_quality
        return self._answer(values, quality)

    async def close(self) -> None:
        """Let go of the connection: a device that left the plan must not hold its maker's only one; who shares it opens it again."""
        await self._bus.close()

    def _no_register(self) -> DriverError:
        is_planned = bool(self._rows_of(PollClass.FAST) or self._rows_of(PollClass.SLOW))
        said = ", ".join(f"{function.value} {address} is {word}" for (function, address), word in self._nature.items())
        self._refusals.forget()
        self._forget_plan()
        self._is_identified = False
        if said and not is_planned:
            return DriverError(
                f"profile {self._profile.name} has no row for a device like unit {self._unit} ({said}); choose the profile of this "
                "device",
                retry=True,
                kind="identity",
            )
        return DriverError(
            f"profile {self._profile.name}: unit {self._unit} has none of the registers; check the profile and the unit id",
            retry=True,
            kind="exception",
        )

    def _forget_plan(self) -> None:
        self._requests.clear()
        self._nature.clear()
        self._slow_at = None

    # --- identity -------------------------------------------------------------------------------------------------------------------

    async def _identify(self) -> None:
        for check in self._profile.identity:
            try:
                words = await self._bus.read(self._unit, check.function, address=check.address, count=check.count)
            except RefusedAddressError:
                continue  # some data loggers hide the register; the ranges of the rows are the second line of defence
            said = modbus_codec.text_of(words) or "" if check.type is RegisterType.STRING else words[0]
            if not _is_ours(check, said):
                raise self._stranger(check, said)
        self._is_identified = True

    def _stranger(self, check: IdentityCheck, said: int | str) -> DriverError:
        wanted = " or ".join(map(str, check.starts_with or check.any_of))
        return DriverError(
            f"unit {self._unit} is no {self._profile.name}: register {check.address} is {said or 'empty'}, expected {wanted} "
            f"({check.meaning}); choose the profile of this device",
            retry=False,
            kind="identity",
        )

    # --- which rows the device has --------------------------------------------------------------------------------------------------

    async def _learn_nature(self) -> None:
        """Read the registers that say which rows apply to this device; plan anew if they say something else than before."""
        places = {condition.place for row in self._rows for condition in row.when if condition.poll is PollClass.SLOW}
        if not places:
            return
        answers = await self._ask(self._plan((), places))
        if answers.places != self._nature:
            self._requests.clear()
        self._nature = answers.places

    def _rows_of(self, poll: PollClass) -> tuple[Row, ...]:
        """Rows of a class that apply as far as the device's nature is concerned."""
        return tuple(row for row in self._rows if row.poll is poll and _applies(row, PollClass.SLOW, self._nature))

    # --- requests -------------------------------------------------------------------------------------------------------------------

    def _plan(self, rows: Iterable[Row], places: Iterable[Place]) -> tuple[Request, ...]:
        return plan(
            rows, limits=self._profile.bus, places=sorted(places), link=self._link, refused=self._refusals.spans
        )

    async def _ask_class(self, poll: PollClass) -> _Answers:
        if poll not in self._requests:
            rows = self._rows_of(poll)
            signs = {row.sign_from.place for row in rows if row.sign_from is not None}
            now = {condition.place for row in rows for condition in row.when if condition.poll is PollClass.FAST}
            self._requests[poll] = self._plan(rows, signs | now)
        return await self._ask(self._requests[poll])

    async def _ask(self, requests: Iterable[Request]) -> _Answers:
        answers = _Answers([], {})
        found: list[Span] = []
        try:
            for request in requests:
                await self._ask_one(request, answers, found)
        finally:
            # What was refused stays true even if a later request gets no answer.
            if found:
                self._refusals.add(found)
                self._requests.clear()
        return answers

    async def _ask_one(self, request: Request, answers: _Answers, found: list[Span]) -> bool:
        """Ask, and on a refusal ask for ever smaller parts until what the device lacks is known; whether the whole was answered."""
        try:
            registers = await self._bus.read(self._unit, request.function, address=request.address, count=request.count)
        except RefusedAddressError:
            await self._ask_parts(request, answers, found)
            return False
        answers.take(request, registers)
        return True

    async def _ask_parts(self, request: Request, answers: _Answers, found: list[Span]) -> None:
        limits = self._profile.bus
        if limits.blocks:
            found.append(request.span)
            known = (*self._refusals.spans, *found)
            for part in plan(request.rows, limits=limits, places=request.places, link=self._link, refused=known):
                await self._ask_one(part, answers, found)
            return
        parts = halve(request, limits=limits)
        if len(parts) == 1:
            found.append(request.span)
            return
        answered = [await self._ask_one(part, answers, found) for part in parts]
        blamed = between(parts) if all(answered) else None
        if blamed is not None:
            found.append(blamed)

    # --- values ---------------------------------------------------------------------------------------------------------------------

    def _decode(self, poll: PollClass, answers: _Answers) -> tuple[dict[str, Value], Quality]:
        """Values by key. A row that was refused, or of which it is not known whether it applies, is None unless another row gives it."""
        values: dict[str, Value] = {}
        quality = Quality.GOOD
        for request, registers in answers.parts:
            quick = self._quick_of(request)
            if not quick.decode(registers, values):
                quality |= Quality.OUT_OF_RANGE
            for row in quick.others:
                is_negative = _is_negative(row, answers.places)
                if not _applies(row, PollClass.FAST, answers.places) or is_negative is None:
                    continue
                words = request.words_of(row, registers)
                order = self._profile.order_of(row)
                value = modbus_codec.decode(row, words, order=order, is_negative=is_negative)
                values[row.key] = value
                if not modbus_codec.is_in_range(row, value, rated_kw=self._rated_kw):
                    quality |= Quality.OUT_OF_RANGE
        for row in self._rows:
            if row.poll is poll and row.key not in values and _may_apply(row, self._nature, answers.places):
                values[row.key] = None
                quality |= Quality.PARTIAL
        return values, quality

    def _quick_of(self, request: Request) -> QuickRows:
        known = self._quick.get(id(request))
        if known is None or known[0] is not request:
            if len(self._quick) >= _KEPT_REQUESTS:
                self._quick.clear()  # requests of plans that are no more
            known = (request, QuickRows(request, order_of=self._profile.order_of, rated_kw=self._rated_kw))
            self._quick[id(request)] = known
        return known[1]

    def _answer(self, values: dict[str, Value], quality: Quality) -> DeviceAnswer:
        known = self._slow_values | values
        for derived in self._derived:
            if not any(term in values for term in derived.terms):
                continue  # nothing new, or nothing that this device has
            if derived.only_if_missing and known.get(derived.metric) is not None:
                continue
            result = modbus_codec.compute(derived, known)
            values[derived.metric] = known[derived.metric] = result
            if result is not None:
                quality |= Quality.DERIVED
        for term in self._terms:
            values.pop(term, None)
        return DeviceAnswer(values, quality)


def _is_ours(check: IdentityCheck, said: int | str) -> bool:
    return said.startswith(check.starts_with) if isinstance(said, str) else said in check.any_of


def _applies(row: Row, poll: PollClass, words: Words) -> bool | None:
    """Whether the row's conditions of one class hold; None, which does not count as applying, if a register of them is unknown."""
    if not row.when:
        return True
    conditions = [condition for condition in row.when if condition.poll is poll]
    known = [condition for condition in conditions if condition.place in words]
    if not all(condition.holds(words[condition.place]) for condition in known):
        return False
    return True if all(condition in known or condition.or_unknown for condition in conditions) else None


def _may_apply(row: Row, nature: Words, now: Words) -> bool:
    return _applies(row, PollClass.SLOW, nature) is not False and _applies(row, PollClass.FAST, now) is not False


def _is_negative(row: Row, words: Words) -> bool | None:
    """What the row's sign register says; None if it was refused."""
    if row.sign_from is None:
        return False
    word = words.get(row.sign_from.place)
    return None if word is None else row.sign_from.is_negative(word)
