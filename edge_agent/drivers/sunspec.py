"""SunSpec devices: found by walking their chain of models, read model by model."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.modbus import RefusedAddressError, RegisterBus
from edge_agent.drivers.sunspec_battery import BATTERY_MODELS, battery_values
from edge_agent.drivers.sunspec_chain import BASES, COMMON_MODEL, Chain, bases_with, discover, find_chain, find_units
from edge_agent.drivers.sunspec_controls import LIMIT_MODELS
from edge_agent.drivers.sunspec_map import (
    DC_MODELS,
    INVERTER_MODELS,
    METER_MODELS,
    RATINGS_MODELS,
    STATUS_MODEL,
    inverter_values,
    meter_values,
)
from edge_agent.drivers.sunspec_models import DecodedModel, ModelPlace, known_ids
from edge_agent.drivers.sunspec_read import MovedModelError, TornModelError, read_model
from edge_agent.drivers.sunspec_weather import WEATHER_MODELS, weather_values
from shared.enums import DeviceType, Quality
from shared.readings import Value

__all__ = [
    "BASES",
    "DEVICE_TYPES",
    "Chain",
    "Identity",
    "ModelPlace",
    "SunSpecDriver",
    "bases_with",
    "discover",
    "find_chain",
    "find_units",
]

LOG = logging.getLogger(__name__)

MAX_INSTANCES = 8
"""Of one model in a chain that are read: strings and modules of a battery, sensors of a station."""

MAX_SILENCES = 3
SILENCE_POLLS = 30
"""A model that stays silent so often in a row, while the main one answers, is left alone for so many polls: each time costs a time-out."""

WALK_AGAIN_POLLS = 360
"""A chain with something wrong in it is walked again after so many polls: the device may have been waking up at the first time."""

_NO_ANSWER = frozenset({"timeout", "exception"})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The models that a device type is read from; of each group of alternatives the first that can be read.

    Attributes:
        main: without one of them the device is not of this type.
        at_each_poll: besides the main one.
        in_turn: at the first poll, then one group per poll: settings and what moves slowly.
        once: after the chain was found: what does not change.
        has_several: whether every instance of a model counts, not only the first.
    """

    main: tuple[int, ...]
    at_each_poll: tuple[tuple[int, ...], ...] = ()
    in_turn: tuple[tuple[int, ...], ...] = ()
    once: tuple[tuple[int, ...], ...] = ()
    has_several: bool = False


_WEATHER = _Wanted(main=WEATHER_MODELS, at_each_poll=tuple((model,) for model in WEATHER_MODELS), has_several=True)
_WANTED: Mapping[DeviceType, _Wanted] = {
    DeviceType.INVERTER: _Wanted(
        main=INVERTER_MODELS,
        at_each_poll=(DC_MODELS,),
        in_turn=((STATUS_MODEL,), LIMIT_MODELS),
        once=(RATINGS_MODELS,),
    ),
    DeviceType.METER: _Wanted(main=METER_MODELS),
    DeviceType.BATTERY: _Wanted(
        main=BATTERY_MODELS, at_each_poll=((803, 804), (713,), DC_MODELS, (124,)), has_several=True
    ),
    DeviceType.WEATHER_STATION: _WEATHER,
    DeviceType.SENSOR: _WEATHER,
}

DEVICE_TYPES = tuple(_WANTED)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the common model says; None where the device leaves it out."""

    manufacturer: str | None
    model: str | None
    version: str | None
    serial_number: str | None


class SunSpecDriver:
    """A device that speaks SunSpec.

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
        self._wanted = _WANTED[device_type]
        self._invert_grid_sign = invert_grid_sign
        self._bases = bases
        self._chain: Chain | None = None
        self._places: dict[int, tuple[ModelPlace, ...]] = {}
        self._polls = 0
        self._told: set[str] = set()
        self._silences: dict[ModelPlace, int] = {}
        self._ask_again: dict[ModelPlace, int] = {}
        self.identity: Identity | None = None

    async def read(self) -> DeviceAnswer:
        """Read the models of this device type; the first read finds them.

        What cannot be read is left out, said once in the log, and marked in the reading as `Quality.PARTIAL`.

        Raises:
            DriverError: `identity` if the device is no SunSpec device of this type, `malformed` if its chain has moved; others as
                `RegisterBus.read`.
        """
        chain = await self._due_chain()
        try:
            models, is_whole = await self._read_models()
        except MovedModelError:
            self._chain = None
            raise
        self._polls += 1
        values, quality = self._values(models)
        if not is_whole or chain.losses:
            quality |= Quality.PARTIAL
        return DeviceAnswer(values, quality)

    async def close(self) -> None:
        """Let go of the connection: a device that left the plan must not hold its maker's only one; who shares it opens it again."""
        await self._bus.close()

    async def _due_chain(self) -> Chain:
        chain = self._chain
        if chain is None:
            return await self._discover()
        is_odd = bool(chain.losses or chain.oddities)
        return await self._discover() if is_odd and self._polls >= WALK_AGAIN_POLLS else chain

    async def _discover(self) -> Chain:
        chain = await find_chain(self._bus, self._unit, bases=self._bases)
        known = [place for place in chain.places if place.id in known_ids()]
        self._places = {
            place.id: tuple(other for other in known if other.id == place.id)[:MAX_INSTANCES] for place in known
        }
        main = next((self._places[model][0] for model in self._wanted.main if model in self._places), None)
        if main is None:
            raise self._no_main_model(chain)
        for what in chain.losses:
            self._tell(what)
        for what in chain.oddities:
            if what not in self._told:
                self._told.add(what)
                LOG.info("sunspec_oddity", extra={"unit": self._unit, "what": what})
        self.identity = await self._identify(main)
        self._chain, self._polls = chain, 0
        self._silences, self._ask_again = {}, {}
        return chain

    def _no_main_model(self, chain: Chain) -> DriverError:
        found = ", ".join(str(number) for number in sorted({place.id for place in chain.places})) or "none"
        lost = f" (lost: {'; '.join(chain.losses)})" if chain.losses else ""
        return DriverError(
            f"unit {self._unit} has the SunSpec models {found}{lost}, but none of a {self._device_type.value} "
            f"({', '.join(map(str, sorted(self._wanted.main)))}); check the device type and the unit id",
            retry=False,
            kind="identity",
        )

    async def _identify(self, main: ModelPlace) -> Identity | None:
        """The common model nearest before the main one: an inverter may list those of its meters, too."""
        before = [place for place in self._places.get(COMMON_MODEL, ()) if place.address < main.address]
        model = await self._read_place(before[-1]) if before else None
        if model is None:
            return None
        texts = {name: point if isinstance(point, str) else None for name, point in model.points.items()}
        return Identity(texts.get("Mn"), texts.get("Md"), texts.get("Vr"), texts.get("SN"))

    async def _read_models(self) -> tuple[dict[int, list[DecodedModel]], bool]:
        """The models that are due, and whether all of them could be read."""
        models: dict[int, list[DecodedModel]] = {}
        is_whole = await self._read_first_of(self._wanted.main, models)
        if not models:
            self._chain = None
            tried = ", ".join(str(number) for number in self._wanted.main if number in self._places)
            raise DriverError(
                f"unit {self._unit}: model {tried} can no longer be read; looking for it again",
                retry=True,
                kind="malformed",
            )
        for group in self._due():
            if not any(number in models for number in group):
                is_whole &= await self._read_first_of(group, models)
        return models, is_whole

    def _due(self) -> tuple[tuple[int, ...], ...]:
        wanted = self._wanted
        if self._polls == 0:
            return wanted.at_each_poll + wanted.in_turn + wanted.once
        if not wanted.in_turn:
            return wanted.at_each_poll
        return (*wanted.at_each_poll, wanted.in_turn[self._polls % len(wanted.in_turn)])

    async def _read_first_of(self, group: tuple[int, ...], models: dict[int, list[DecodedModel]]) -> bool:
        """Add the first model of a group that can be read; False if the device has one that could not be."""
        is_whole = True
        for number in group:
            places = self._places.get(number, ())
            read = [await self._read_place(place) for place in (places if self._wanted.has_several else places[:1])]
            is_whole &= None not in read
            found = [model for model in read if model is not None]
            if found:
                models[number] = found
                break
        return is_whole

    async def _read_place(self, place: ModelPlace) -> DecodedModel | None:
        """A model; None if it is not to be had. The main one's silence is the device's."""
        if self._polls < self._ask_again.get(place, 0):
            return None
        try:
            model = await read_model(self._bus, self._unit, place)
        except (RefusedAddressError, TornModelError) as error:
            self._tell(f"model {place.id} at {place.address}", why=str(error))
            return None
        except DriverError as error:
            if error.kind not in _NO_ANSWER or place.id in self._wanted.main:
                raise
            self._note_silence(place, error)
            return None
        self._silences.pop(place, None)
        return model

    def _note_silence(self, place: ModelPlace, error: DriverError) -> None:
        self._tell(f"model {place.id} at {place.address}", why=str(error))
        self._silences[place] = self._silences.get(place, 0) + 1
        if self._silences[place] >= MAX_SILENCES:
            self._ask_again[place] = self._polls + SILENCE_POLLS

    def _tell(self, what: str, *, why: str = "the chain of models is damaged there") -> None:
        """Say once in the log what is lost."""
        if what not in self._told:
            self._told.add(what)
            LOG.warning("sunspec_lost", extra={"unit": self._unit, "what": what, "why": why})

    def _values(self, models: Mapping[int, list[DecodedModel]]) -> tuple[dict[str, Value], Quality]:
        match self._device_type:
            case DeviceType.INVERTER:
                return inverter_values(models)
            case DeviceType.METER:
                return meter_values(models, invert_sign=self._invert_grid_sign)
            case DeviceType.BATTERY:
                return battery_values(models)
            case _:
                return weather_values(models)
