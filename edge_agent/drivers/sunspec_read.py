"""Reading one SunSpec model: its values together with the scale factors that hold for them."""

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RegisterBus
from edge_agent.drivers.sunspec_models import (
    HEADER_WORDS,
    DecodedModel,
    ModelDefinition,
    ModelPlace,
    decode_model,
    definition_of,
    is_scaled_apart,
    read_plan,
)
from edge_agent.profiles.model import MAX_REGISTERS_PER_REQUEST, RegisterFunction


class MovedModelError(DriverError):
    """Another model lies where this one was."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry=True, kind="malformed")


class TornModelError(DriverError):
    """The scale factors of a model that takes several requests changed while it was read, twice in a row."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry=True, kind="malformed")


async def read_model(bus: RegisterBus, unit: int, place: ModelPlace) -> DecodedModel:
    """Read a model of `known_ids` with its scale factors, which some devices change while they run.

    Raises:
        RefusedAddressError: if the device refuses a part of it.
        MovedModelError: if another model lies there now.
        TornModelError: if values and scale factors do not belong together.
        DriverError: others as `RegisterBus.read`.
    """
    definition = definition_of(place.id)
    plan = read_plan(definition, place.words)
    for _ in range(2):
        words: list[int] = []
        for offset, count in plan:
            words += await bus.read(unit, RegisterFunction.HOLDING, address=place.address + offset, count=count)
        if tuple(words[:HEADER_WORDS]) != (place.id, place.length):
            raise MovedModelError(
                f"unit {unit}: model {words[0]} of length {words[1]} lies at {place.address}, where model {place.id} of length "
                f"{place.length} was; looking for the models again"
            )
        if not is_scaled_apart(definition, plan) or await _has_factors(bus, unit, place, definition, words):
            return decode_model(definition, words)
    raise TornModelError(
        f"unit {unit}: the scale factors of model {place.id} at {place.address} change faster than its {place.words} registers are read"
    )


async def _has_factors(
    bus: RegisterBus, unit: int, place: ModelPlace, definition: ModelDefinition, words: list[int]
) -> bool:
    """Whether the scale factors are still the ones among the words."""
    offsets = [point.offset for point in definition.points if point.type == "sunssf" and point.offset < len(words)]
    if not offsets:
        return True
    first, last = min(offsets), max(offsets)
    again = await bus.read(
        unit,
        RegisterFunction.HOLDING,
        address=place.address + first,
        count=min(last - first + 1, MAX_REGISTERS_PER_REQUEST),
    )
    return all(again[offset - first] == words[offset] for offset in offsets if offset - first < len(again))
