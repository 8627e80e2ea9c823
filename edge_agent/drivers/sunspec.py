"""SunSpec devices: found by walking their chain of models, read model by model."""

from dataclasses import dataclass

from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.modbus import RefusedAddressError, RegisterBus
from edge_agent.drivers.sunspec_map import (
    INPUTS_MODEL,
    INVERTER_MODELS,
    METER_MODELS,
    RATINGS_MODEL,
    inverter_values,
    meter_values,
    rating_values,
)
from edge_agent.drivers.sunspec_models import HEADER_WORDS, DecodedModel, decode_model, known_models
from edge_agent.profiles.model import MAX_REGISTERS_PER_REQUEST, RegisterFunction
from shared.enums import DeviceType, Quality
from shared.readings import Value

BASES = (40000, 0, 50000)
"""Where a chain may start, in the order in which they are tried."""

DEVICE_TYPES = (DeviceType.INVERTER, DeviceType.METER)

_MARKER = [0x5375, 0x6E53]  # "SunS"
_COMMON_MODEL = 1
_NO_MODEL = (0xFFFF, 0)  # the end marker, and what some devices answer where there is nothing
_MAX_MODELS = 128
_WANTED = {DeviceType.INVERTER: INVERTER_MODELS, DeviceType.METER: METER_MODELS}


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a model lies: `address` of its header, `length` of what follows the header."""

    id: int
    address: int
    length: int

    @property
    def words(self) -> int:
        """Registers, header included."""
        return HEADER_WORDS + self.length


@dataclass(frozen=True, slots=True)
class Identity:
    """What the common model says; None where the device leaves it out."""

    manufacturer: str | None
    model: str | None
    version: str | None
    serial_number: str | None


async def discover(bus: RegisterBus, unit: int, *, bases: tuple[int, ...] = BASES) -> tuple[ModelPlace, ...]:
    """Walk the chain of models of one unit; a chain without an end marker ends where the device has no more registers.

    Raises:
        DriverError: `identity` if there is no SunSpec marker at any base; others as `RegisterBus.read`.
    """
    for base in bases:
        try:
            marker = await bus.read(unit, RegisterFunction.HOLDING, address=base, count=2)
        except RefusedAddressError:
            continue
        if marker == _MARKER:
            return await _walk(bus, unit, base + len(_MARKER))
    tried = ", ".join(map(str, bases))
    raise DriverError(
        f"unit {unit} has no SunSpec marker at {tried}; switch SunSpec on in the device's settings, or choose the profile of the device",
        retry=False,
        kind="identity",
    )


async def _walk(bus: RegisterBus, unit: int, address: int) -> tuple[ModelPlace, ...]:
    places: list[ModelPlace] = []
    while len(places) < _MAX_MODELS and address <= 0xFFFF:
        header = await _header(bus, unit, address)
        if header is None:
            break
        place = ModelPlace(header[0], address, header[1])
        if place.address + place.words > 0x1_0000:
            break  # a length that runs over the end of the registers: nothing after it can be found
        places.append(place)
        address += place.words
    return tuple(places)


async def _header(bus: RegisterBus, unit: int, address: int) -> tuple[int, int] | None:
    """Number and length of the model at an address; None at the chain's end, also where the end has no length or is missing."""
    try:
        words = await bus.read(unit, RegisterFunction.HOLDING, address=address, count=min(2, 0x1_0000 - address))
    except RefusedAddressError:
        return None  # either there is nothing, or an end marker whose length cannot be read: the same to us
    return None if words[0] in _NO_MODEL or len(words) < 2 else (words[0], words[1])


class SunSpecDriver:
    """An inverter or a meter that speaks SunSpec.

    Args:
        bus: the endpoint, shared with other devices.
        unit: Modbus unit id.
        device_type: which models are read, should the device have those of several.
        invert_grid_sign: True for a meter that counts export as positive power.
        bases: where the chain may start.
    """

    def __init__(
        self,
        bus: RegisterBus,
        unit: int,
        *,
        device_type: DeviceType,
        invert_grid_sign: bool = False,
        bases: tuple[int, ...] = BASES,
    ) -> None:
        self._bus = bus
        self._unit = unit
        self._device_type = device_type
        self._invert_grid_sign = invert_grid_sign
        self._bases = bases
        self._places: dict[int, ModelPlace] = {}
        self._ratings: dict[str, Value] | None = None
        self.identity: Identity | None = None

    async def read(self) -> DeviceAnswer:
        """Read the models of this device type; the first read finds them.

        Raises:
            DriverError: `identity` if the device is no SunSpec device of this type, `malformed` if its chain has moved; others as
                `RegisterBus.read`.
        """
        if not self._places:
            await self._discover()
        place = self._main_place()
        model = await self._read_model(place)
        if model is None:
            self._places = {}
            raise DriverError(
                f"unit {self._unit}: model {place.id} at {place.address} can no longer be read; looking for it again",
                retry=True,
                kind="malformed",
            )
        if self._device_type is DeviceType.METER:
            return DeviceAnswer(meter_values(model, invert_sign=self._invert_grid_sign))
        return await self._inverter_answer(model)

    async def close(self) -> None:
        """Let go of the connection: a device that left the plan must not hold its maker's only one; who shares it opens it again."""
        await self._bus.close()

    async def _discover(self) -> None:
        places: dict[int, ModelPlace] = {}
        for place in await discover(self._bus, self._unit, bases=self._bases):
            places.setdefault(place.id, place)
        self._places = places
        self._ratings = None
        try:
            self._main_place()
            self.identity = await self._identify()
        except DriverError:
            self._places = {}
            raise

    def _main_place(self) -> ModelPlace:
        wanted = _WANTED[self._device_type]
        for model_id in wanted:
            if model_id in self._places:
                return self._places[model_id]
        found = ", ".join(map(str, sorted(self._places))) or "none"
        raise DriverError(
            f"unit {self._unit} has the SunSpec models {found}, but none of a {self._device_type.value} "
            f"({', '.join(map(str, sorted(wanted)))}); check the device type and the unit id",
            retry=False,
            kind="identity",
        )

    async def _identify(self) -> Identity | None:
        place = self._places.get(_COMMON_MODEL)
        model = await self._read_model(place) if place else None
        if model is None:
            return None
        texts = {name: point if isinstance(point, str) else None for name, point in model.points.items()}
        return Identity(texts.get("Mn"), texts.get("Md"), texts.get("Vr"), texts.get("SN"))

    async def _inverter_answer(self, model: DecodedModel) -> DeviceAnswer:
        inputs_place = self._places.get(INPUTS_MODEL)
        inputs = await self._read_model(inputs_place) if inputs_place else None
        values, quality = inverter_values(model, inputs)
        if inputs_place and inputs is None:
            quality |= Quality.PARTIAL
        if self._ratings is None:
            ratings_place = self._places.get(RATINGS_MODEL)
            ratings = await self._read_model(ratings_place) if ratings_place else None
            self._ratings = rating_values(ratings) if ratings else {}
            values |= self._ratings
        return DeviceAnswer(values, quality)

    async def _read_model(self, place: ModelPlace) -> DecodedModel | None:
        """A model with its scale factors, which some devices change while they run; None if the device refuses it.

        Raises:
            DriverError: `malformed` if another model lies there now; the chain is walked again at the next read.
        """
        definition = known_models()[place.id]
        words: list[int] = []
        try:
            while len(words) < place.words:
                count = _chunk(
                    place.words - len(words),
                    fixed=definition.fixed_words,
                    repeated=definition.repeated_words,
                    first=not words,
                )
                words += await self._bus.read(
                    self._unit, RegisterFunction.HOLDING, address=place.address + len(words), count=count
                )
        except RefusedAddressError:
            return None
        if (words[0], words[1]) != (place.id, place.length):
            self._places = {}
            raise DriverError(
                f"unit {self._unit}: model {words[0]} of length {words[1]} lies at {place.address}, where model {place.id} of length "
                f"{place.length} was; looking for the models again",
                retry=True,
                kind="malformed",
            )
        return decode_model(definition, words)


def _chunk(left: int, *, fixed: int, repeated: int, first: bool) -> int:
    """Registers of the next request for a model: all that is left, or whole repetitions, so that no input is torn in time."""
    if left <= MAX_REGISTERS_PER_REQUEST or not repeated:
        return min(left, MAX_REGISTERS_PER_REQUEST)
    start = fixed if first else 0
    return start + (MAX_REGISTERS_PER_REQUEST - start) // repeated * repeated
