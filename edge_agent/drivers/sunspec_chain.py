"""A unit's chain of SunSpec models: found, and walked in spite of what makers get wrong in it.

A header that fits its definition is believed. One that does not is judged by where it leads: to the next header that fits, by its own
length or by its definition's. Where nothing leads on, the registers behind are searched for one, and what lay between is lost.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RefusedAddressError, RegisterBus
from edge_agent.drivers.sunspec_models import HEADER_WORDS, ModelPlace, definition_of, known_ids
from edge_agent.profiles.model import MAX_REGISTERS_PER_REQUEST, RegisterFunction

BASES = (40000, 0, 50000)
"""Where a chain may start, in the order in which they are tried."""

COMMON_MODEL = 1

_MARKER = [0x5375, 0x6E53]  # "SunS"
_END = 0xFFFF
_NOTHING = 0
_PROPER_END = (_END, 0)
_LAST_ADDRESS = 0xFFFF
_MAX_MODELS = 128
_SEARCH_WORDS = 250
_NO_ANSWER = frozenset({"timeout", "exception"})
_COMMON_LENGTHS = (65, 66)
"""Of model 1: the older definition had no pad register."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What a unit has.

    Attributes:
        base: address of the marker.
        places: the models, known or not, in the device's order.
        losses: parts of the chain that could not be made sense of; values may be missing for it.
        oddities: what is wrong with the chain without anything being lost.
    """

    base: int
    places: tuple[ModelPlace, ...]
    losses: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()


def bases_with(named: int | None) -> tuple[int, ...]:
    """Where to look for a chain: first where the connection names it, then at the usual places."""
    return BASES if named is None else (named, *(base for base in BASES if base != named))


async def discover(bus: RegisterBus, unit: int, *, bases: tuple[int, ...] = BASES) -> tuple[ModelPlace, ...]:
    """The models of one unit; raises as `find_chain`."""
    return (await find_chain(bus, unit, bases=bases)).places


async def find_chain(bus: RegisterBus, unit: int, *, bases: tuple[int, ...] = BASES) -> Chain:
    """Look for the marker at each base and walk the models behind it.

    Raises:
        DriverError: `identity` if there is no SunSpec marker at any base; others as `RegisterBus.read`.
    """
    failure: DriverError | None = None
    for base in bases:
        if base + 1 > _LAST_ADDRESS:
            continue
        try:
            marker = await bus.read(unit, RegisterFunction.HOLDING, address=base, count=len(_MARKER))
        except RefusedAddressError:
            continue
        except DriverError as error:
            if error.kind != "exception":
                raise
            failure = (
                error  # some answer so where they have no registers, but so does a gateway that does not reach the unit
            )
            continue
        if marker == _MARKER:
            return await _Walk(bus, unit, base).chain()
    if failure is not None:
        raise failure
    tried = ", ".join(map(str, bases))
    raise DriverError(
        f"unit {unit} has no SunSpec marker at {tried}; switch SunSpec on in the device's settings, or choose the profile of the device",
        retry=False,
        kind="identity",
    )


async def find_units(
    bus: RegisterBus, units: Iterable[int] = range(1, 248), *, bases: tuple[int, ...] = BASES
) -> AsyncIterator[tuple[int, Chain]]:
    """Every unit of an endpoint that speaks SunSpec; one that is silent or refuses costs its time-out.

    Raises:
        DriverError: `refused` if the endpoint itself cannot be reached.
    """
    for unit in units:
        try:
            chain = await find_chain(bus, unit, bases=bases)
        except DriverError as error:
            if error.kind == "refused":
                raise
            continue  # nobody there, or nobody who speaks SunSpec: that is what most units are
        yield unit, chain


class _Walk:
    """One walk over a chain; each header is asked for once."""

    def __init__(self, bus: RegisterBus, unit: int, base: int) -> None:
        self._bus = bus
        self._unit = unit
        self._base = base
        self._headers: dict[int, tuple[int, int] | None] = {}
        self._places: list[ModelPlace] = []
        self._losses: list[str] = []
        self._oddities: list[str] = []

    async def chain(self) -> Chain:
        address: int | None = self._base + len(_MARKER)
        while address is not None:
            address = await self._step(address)
        return Chain(self._base, tuple(self._places), tuple(self._losses), tuple(self._oddities))

    async def _step(self, address: int) -> int | None:
        """Take the model at an address; the address of the next one, None at the end."""
        header = await self._header(address)
        if header == _PROPER_END:
            return None
        if header is None or not _fits(header):
            corrected = await self._with_previous_corrected()
            if corrected is not None:
                return corrected
        if self._is_over(_NOTHING if header is None else header[0], address) or header is None:
            return None
        place = await self._placed(ModelPlace(header[0], address, header[1]))
        if place is None:
            return await self._behind_garbage(address)
        self._places.append(place)
        return place.end

    def _is_over(self, model_id: int, address: int) -> bool:
        """Whether the chain ends with this number."""
        if model_id == _NOTHING:
            self._oddities.append(f"no end marker; nothing lies at {address}")
        elif model_id != _END and len(self._places) == _MAX_MODELS:
            self._losses.append(f"everything from {address}: a chain of more than {_MAX_MODELS} models is none")
        else:
            return model_id == _END
        return True

    async def _with_previous_corrected(self) -> int | None:
        """Where the chain goes on if the model before is as long as its definition, not as it says."""
        if not self._places or self._places[-1].usable is not None:
            return None
        for other in _corrections(self._places[-1]):
            if await self._lead(other.end) is _Lead.MODEL:
                self._places[-1] = other
                self._oddities.append(_wrong_length(other))
                return other.end
        return None

    async def _placed(self, place: ModelPlace) -> ModelPlace | None:
        """The model with the length that leads on best; None if there is no model here."""
        lies_inside = place.end <= _LAST_ADDRESS + 1
        if lies_inside and _is_known((place.id, place.length)):
            return place
        candidates = _corrections(place)
        if lies_inside and place.length > 0:
            candidates.append(place)
        leads = [(await self._lead(candidate.end), candidate) for candidate in candidates]
        # Where both lengths lead to a model, the definition is right; where neither does, nobody knows better than the device.
        lead, best = max(
            leads,
            key=lambda each: (each[0], (each[1] is place) != (each[0] is _Lead.MODEL)),
            default=(_Lead.NONE, None),
        )
        if best is None or (lead < _Lead.END and not await self._may_be_a_model(place, lead)):
            return None
        if best.usable is not None:
            self._oddities.append(_wrong_length(best))
        elif not _is_assigned(best.id):
            self._losses.append(f"{best.words} registers from {best.address}: {best.id} is no model's number")
        return best

    async def _may_be_a_model(self, place: ModelPlace, lead: "_Lead") -> bool:
        """Whether a header that leads to nothing certain is one: a maker's last model, or one before another of the maker's."""
        if place.id in known_ids() or not _is_assigned(place.id):
            return _is_assigned(place.id)
        return lead is _Lead.PERHAPS or await self._found_behind(place.address) is None

    async def _behind_garbage(self, address: int) -> int | None:
        """The next model behind registers that are none; None if there is none nearby."""
        found = await self._found_behind(address)
        if found is None:
            self._losses.append(f"everything from {address}: there is no model, and none in the registers behind")
            return None
        self._losses.append(f"{found - address} registers from {address}: they are no model")
        return found

    async def _found_behind(self, address: int) -> int | None:
        """The next address with the header of a known model that fits its definition."""
        words = await self._words_behind(address)
        for position in range(1, len(words) - 1):
            place = ModelPlace(words[position], address + position, words[position + 1])
            if await self._is_sound(place):
                return place.address
        return None

    async def _is_sound(self, place: ModelPlace) -> bool:
        """Whether a header in the middle of unknown registers is one: its length is the only possible one, or leads to another."""
        if not _is_known((place.id, place.length)) or place.end > _LAST_ADDRESS + 1:
            return False
        if definition_of(place.id).whole_words is not None:
            return True
        header = await self._header(place.end)  # many a length is possible: a word like 303 with any other behind it
        return header is not None and _fits(header)

    async def _words_behind(self, address: int) -> list[int]:
        """As many registers as there are, up to the limit of the search."""
        words: list[int] = []
        count = MAX_REGISTERS_PER_REQUEST
        while count and len(words) < _SEARCH_WORDS:
            start = address + len(words)
            count = min(count, _LAST_ADDRESS + 1 - start)
            try:
                found = await self._answered(start, count) if count else []
            except RefusedAddressError:
                count //= 2
                continue
            if not found:
                break
            words += found
        return words

    async def _lead(self, address: int) -> "_Lead":
        """How surely the chain goes on, or ends, at an address."""
        header = await self._header(address)
        if header is None or header[0] == _NOTHING:
            return _Lead.NOTHING
        if _is_known(header):
            return _Lead.MODEL
        if header[0] == _END:
            return _Lead.END
        return _Lead.PERHAPS if _is_assigned(header[0]) else _Lead.NONE

    async def _header(self, address: int) -> tuple[int, int] | None:
        """Number and length of the model at an address; None where there are no registers."""
        if address not in self._headers:
            self._headers[address] = await self._asked_header(address)
        return self._headers[address]

    async def _asked_header(self, address: int) -> tuple[int, int] | None:
        for count in (HEADER_WORDS, 1):  # some devices have the end marker's first register only
            if address + count - 1 > _LAST_ADDRESS:
                continue
            try:
                words = await self._answered(address, count)
            except RefusedAddressError:
                continue
            if count == HEADER_WORDS and words:
                return words[0], words[1]
            return (_END, 0) if words == [_END] else None
        return None

    async def _answered(self, address: int, count: int) -> list[int]:
        """Registers of the chain; none where the unit stays silent although it is there, as some do behind their last register."""
        try:
            return await self._bus.read(self._unit, RegisterFunction.HOLDING, address=address, count=count)
        except RefusedAddressError:
            raise
        except DriverError as error:
            if error.kind not in _NO_ANSWER:
                raise
        await self._bus.read(self._unit, RegisterFunction.HOLDING, address=self._base, count=len(_MARKER))
        try:
            return await self._bus.read(self._unit, RegisterFunction.HOLDING, address=address, count=count)
        except RefusedAddressError:
            raise
        except DriverError as error:
            if error.kind not in _NO_ANSWER:
                raise
            self._oddities.append(f"no answer at {address}: {error}")
            return []


class _Lead(IntEnum):
    """Where an assumed length leads to, the surest last."""

    NONE = 0
    NOTHING = 1
    """No registers, or zeros."""
    PERHAPS = 2
    """A number that may be a model's."""
    END = 3
    """The end marker, which is also what many a point without a value looks like."""
    MODEL = 4
    """A known model with a fitting length."""


def _corrections(place: ModelPlace) -> list[ModelPlace]:
    """The place with each other length that its definition allows."""
    others = (replace(place, usable=length) for length in _lengths(place.id) if length != place.length)
    return [other for other in others if other.end <= _LAST_ADDRESS + 1]


def _wrong_length(place: ModelPlace) -> str:
    return f"model {place.id} at {place.address} says length {place.length}, and is taken to have {place.usable}"


def _fits(header: tuple[int, int]) -> bool:
    """Whether a header is the end as it should be, or that of a known model with a length that its definition allows."""
    return header == _PROPER_END or _is_known(header)


def _is_known(header: tuple[int, int]) -> bool:
    model_id, length = header
    if model_id not in known_ids():
        return False
    if model_id == COMMON_MODEL:
        return length in _COMMON_LENGTHS
    definition = definition_of(model_id)
    if definition.whole_words is not None:
        return HEADER_WORDS + length == definition.whole_words
    repeated = HEADER_WORDS + length - definition.group.words
    group = definition.group.groups[0]
    return repeated >= 0 and (bool(group.groups) or repeated % group.words == 0)


def _lengths(model_id: int) -> tuple[int, ...]:
    """The lengths that a model may have by its definition; none where that depends on a count."""
    if model_id == COMMON_MODEL:
        return _COMMON_LENGTHS
    whole = definition_of(model_id).whole_words if model_id in known_ids() else None
    return () if whole is None else (whole - HEADER_WORDS,)


def _is_assigned(model_id: int) -> bool:
    """Whether the SunSpec Alliance gives out such numbers: up to 999 for its models, from 63001 for makers' own."""
    return 1 <= model_id <= 999 or 63001 <= model_id < _END
