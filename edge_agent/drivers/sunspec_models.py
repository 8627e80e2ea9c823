"""SunSpec information models: their definitions, and the decoding of a model's registers.

Source of the definitions: `edge_agent/profiles/sunspec/NOTICE.md`. Words are big-endian, the high word first.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from edge_agent.drivers.modbus_codec import shortest_float32
from edge_agent.errors import ConfigError

Point = Decimal | str | None
"""A scaled number, a text, or None for a point that the device does not implement."""

HEADER_WORDS = 2
"""Each model starts with its number and the length of what follows."""

MAX_SCALE = 10
"""Scale factors are powers of ten from -10 to 10; anything else is no scale factor."""

_FOLDER = "sunspec"
NOT_IMPLEMENTED: dict[str, int] = {
    "int16": 0x8000,
    "uint16": 0xFFFF,
    "count": 0xFFFF,
    "acc16": 0,
    "enum16": 0xFFFF,
    "bitfield16": 0xFFFF,
    "sunssf": 0x8000,
    "int32": 0x8000_0000,
    "uint32": 0xFFFF_FFFF,
    "acc32": 0,
    "enum32": 0xFFFF_FFFF,
    "bitfield32": 0xFFFF_FFFF,
    "int64": 0x8000_0000_0000_0000,
    "uint64": 0xFFFF_FFFF_FFFF_FFFF,
    "acc64": 0,
}
"""Type -> the number that means "not implemented". For accumulators it is 0: a counter that has not started is not known to exist."""

SIGNED = frozenset({"int16", "int32", "int64", "sunssf"})
"""Types that are two's complement numbers."""


@dataclass(frozen=True, slots=True)
class PointDefinition:
    """One point.

    Attributes:
        offset: registers from the start of the model (header included) or of one repetition.
        scale: name of the point with its scale factor; None if it is not scaled.
    """

    name: str
    type: str
    offset: int
    size: int
    scale: str | None
    unit: str


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """One model: fixed points, and points that repeat to the end of the model.

    Attributes:
        fixed_words: registers of the fixed part, header included.
        repeated_words: registers of one repetition; 0 where nothing repeats.
    """

    id: int
    name: str
    points: tuple[PointDefinition, ...]
    repeating: tuple[PointDefinition, ...]
    fixed_words: int
    repeated_words: int


@dataclass(frozen=True, slots=True)
class DecodedModel:
    """What a device says in one model.

    Attributes:
        points: of the fixed part.
        repeated: one mapping per repetition, in the device's order.
    """

    definition: ModelDefinition
    points: Mapping[str, Point]
    repeated: tuple[Mapping[str, Point], ...]


@cache
def known_models() -> Mapping[int, ModelDefinition]:
    """Number -> definition of every model that the agent can decode.

    Raises:
        ConfigError: if a definition that was shipped is damaged.
    """
    folder = files("edge_agent.profiles").joinpath(_FOLDER)
    definitions: dict[int, ModelDefinition] = {}
    for entry in folder.iterdir():
        if not entry.name.endswith(".json"):
            continue
        try:
            definition = _definition(json.loads(entry.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{entry.name} is damaged: {error!r}; install the agent again") from error
        definitions[definition.id] = definition
    return definitions


def decode_model(definition: ModelDefinition, words: Sequence[int]) -> DecodedModel:
    """Decode a model's registers, header included; points beyond the end of `words` are not implemented.

    Devices exist that send a shorter or a longer model than its definition: the device's own length counts.
    """
    raw = {point.name: _raw(point, words, start=0) for point in definition.points}
    points = {point.name: _scaled(point, raw[point.name], raw) for point in definition.points}
    repeated: list[Mapping[str, Point]] = []
    if definition.repeated_words:
        count = (len(words) - definition.fixed_words) // definition.repeated_words
        for index in range(max(0, count)):
            start = definition.fixed_words + index * definition.repeated_words
            own = {point.name: _raw(point, words, start=start) for point in definition.repeating}
            repeated.append({point.name: _scaled(point, own[point.name], raw | own) for point in definition.repeating})
    return DecodedModel(definition, points, tuple(repeated))


def _definition(source: Mapping[str, Any]) -> ModelDefinition:
    repeating = source.get("repeating", {}).get("points", [])
    return ModelDefinition(
        id=int(source["id"]),
        name=str(source["name"]),
        points=_placed(source["points"]),
        repeating=_placed(repeating),
        fixed_words=sum(int(point["size"]) for point in source["points"]),
        repeated_words=sum(int(point["size"]) for point in repeating),
    )


def _placed(points: Sequence[Mapping[str, Any]]) -> tuple[PointDefinition, ...]:
    placed: list[PointDefinition] = []
    offset = 0
    for point in points:
        size = int(point["size"])
        placed.append(
            PointDefinition(
                str(point["name"]), str(point["type"]), offset, size, point.get("sf"), point.get("units", "")
            )
        )
        offset += size
    return tuple(placed)


def _raw(point: PointDefinition, words: Sequence[int], *, start: int) -> Point:
    own = words[start + point.offset : start + point.offset + point.size]
    if len(own) < point.size or point.type == "pad":
        return None
    data = b"".join(word.to_bytes(2, "big") for word in own)
    if point.type == "string":
        return data.split(b"\0", 1)[0].decode("utf-8", errors="replace").strip() or None
    if point.type == "float32":
        return shortest_float32(int.from_bytes(data, "big"))
    if point.type == "float64":
        (number,) = struct.unpack(">d", data)
        return Decimal(repr(number)) if math.isfinite(number) else None
    unsigned = int.from_bytes(data, "big")
    if unsigned == NOT_IMPLEMENTED.get(point.type):
        return None
    return Decimal(int.from_bytes(data, "big", signed=point.type in SIGNED))


def _scaled(point: PointDefinition, raw: Point, siblings: Mapping[str, Point]) -> Point:
    if point.scale is None or not isinstance(raw, Decimal):
        return raw
    exponent = siblings.get(point.scale)
    if not isinstance(exponent, Decimal) or abs(exponent) > MAX_SCALE:
        return None  # the number is there, but nobody knows how big it is
    return raw.scaleb(int(exponent))
