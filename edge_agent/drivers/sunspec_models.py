"""SunSpec information models: their definitions, the requests that read one, and the decoding of its registers. Pure.

Source of the definitions: `edge_agent/profiles/sunspec/NOTICE.md`. Words are big-endian, the high word first.
"""

import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from edge_agent.drivers.modbus_codec import shortest_float32
from edge_agent.errors import ConfigError
from edge_agent.profiles.model import MAX_REGISTERS_PER_REQUEST

Point = Decimal | str | None
"""A scaled number, a text, or None for a point that the device does not implement."""

HEADER_WORDS = 2
"""Each model starts with its number and the length of what follows."""

MAX_SCALE = 10
"""Scale factors are powers of ten from -10 to 10; anything else is no scale factor."""

TO_THE_END = 0
"""Count of a group that repeats as often as the model's length has room."""

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

_TYPES = frozenset({*NOT_IMPLEMENTED, "string", "pad", "float32", "float64"})
_WORDLESS = frozenset({"string", "pad"})
_FOLDER = "sunspec"


@dataclass(frozen=True, slots=True)
class PointDefinition:
    """One point.

    Attributes:
        offset: registers from the start of the model (header included) or of one repetition of its group.
        scale: name of the point with its scale factor, or the exponent itself; None if it is not scaled.
    """

    name: str
    type: str
    offset: int
    size: int
    scale: str | int | None
    unit: str


@dataclass(frozen=True, slots=True)
class GroupDefinition:
    """Points that belong together, and the groups that follow them.

    Attributes:
        count: how often it comes: None once, `TO_THE_END`, another number, or the name of the model's point that says it.
        words: registers of its own points, without its groups.
    """

    name: str
    count: int | str | None
    points: tuple[PointDefinition, ...]
    groups: tuple["GroupDefinition", ...]
    words: int


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """One model; its outermost group starts with the header."""

    id: int
    group: GroupDefinition

    @property
    def points(self) -> tuple[PointDefinition, ...]:
        """The points that come once."""
        return self.group.points

    @property
    def whole_words(self) -> int | None:
        """Registers of the whole model, header included; None where a group's count decides."""
        return _fixed_size(self.group)

    def point(self, name: str) -> PointDefinition:
        """One of the points that come once.

        Raises:
            KeyError: if there is none of this name.
        """
        for point in self.points:
            if point.name == name:
                return point
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a model lies.

    Attributes:
        address: of its header.
        length: of what follows the header, as the header says it.
        usable: the same as it really is, where the header cannot be right.
    """

    id: int
    address: int
    length: int
    usable: int | None = None

    @property
    def words(self) -> int:
        """Registers, header included."""
        return HEADER_WORDS + (self.length if self.usable is None else self.usable)

    @property
    def end(self) -> int:
        """Address behind the model."""
        return self.address + self.words


@dataclass(frozen=True, slots=True)
class DecodedGroup:
    """What a device says in one repetition of a group."""

    points: Mapping[str, Point]
    groups: Mapping[str, tuple["DecodedGroup", ...]]


@dataclass(frozen=True, slots=True)
class DecodedModel:
    """What a device says in one model.

    Attributes:
        points: that come once.
        groups: by name, in the device's order.
    """

    definition: ModelDefinition
    points: Mapping[str, Point]
    groups: Mapping[str, tuple[DecodedGroup, ...]]

    def repeated(self, group: str) -> tuple[Mapping[str, Point], ...]:
        """Points of each repetition of a group."""
        return tuple(one.points for one in self.groups.get(group, ()))


@cache
def known_ids() -> frozenset[int]:
    """Numbers of the models that the agent can decode."""
    names = (entry.name for entry in files("edge_agent.profiles").joinpath(_FOLDER).iterdir())
    return frozenset(int(name.removeprefix("model_").removesuffix(".json")) for name in names if name.endswith(".json"))


@cache
def definition_of(model_id: int) -> ModelDefinition:
    """The definition of a model of `known_ids`.

    Raises:
        ConfigError: if a definition that was shipped is missing or damaged.
    """
    name = f"model_{model_id}.json"
    try:
        text = files("edge_agent.profiles").joinpath(_FOLDER, name).read_text(encoding="utf-8")
        source = json.loads(text)
        return ModelDefinition(int(source["id"]), _group(source))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{name} is damaged: {error!r}; install the agent again") from error


def read_plan(definition: ModelDefinition, words: int) -> tuple[tuple[int, int], ...]:
    """The requests for a model, as offset from its header and count; no point and no repetition of a group is torn.

    What lies beyond the definition is left out, and so is a request that would fetch nothing but a text at the end.

    Args:
        definition: of the model.
        words: registers that the device has, header included.
    """
    requests: list[tuple[int, int]] = []
    offset, start, says_something = 0, 0, False
    for size, is_text in _atoms(definition, words):
        if offset + size - start > MAX_REGISTERS_PER_REQUEST:
            requests.append((start, offset - start))
            start, says_something = offset, False
        offset += size
        says_something |= not is_text
    if says_something and offset > start:
        requests.append((start, offset - start))
    return tuple(requests)


def is_scaled_apart(definition: ModelDefinition, plan: Sequence[tuple[int, int]]) -> bool:
    """Whether these requests read a value apart from its scale factor, which may change in between."""
    if len(plan) < 2:
        return False
    places = {point.name: point.offset for point in definition.points}
    pairs = [(point.offset, places[point.scale]) for point in definition.points if isinstance(point.scale, str)]
    return any(
        (start <= value < start + count) != (start <= factor < start + count)
        for value, factor in pairs
        for start, count in plan
    ) or any(isinstance(point.scale, str) for group in definition.group.groups for point in group.points)


def decode_model(definition: ModelDefinition, words: Sequence[int]) -> DecodedModel:
    """Decode a model's registers, header included; points beyond the end of `words` are not implemented.

    Devices exist that send a shorter or a longer model than its definition: the device's own length counts, and a group comes as often
    as it is said to, but never more often than there is room.
    """
    root = definition.group
    raw = _raw_points(root, words, start=0)
    start, groups = root.words, {}
    for group in root.groups:
        groups[group.name], start = _repetitions(group, words, start=start, model=raw, fill=True)
    return DecodedModel(definition, _scaled_points(root, raw, raw), groups)


def _repetitions(
    group: GroupDefinition, words: Sequence[int], *, start: int, model: Mapping[str, Point], fill: bool
) -> tuple[tuple[DecodedGroup, ...], int]:
    """The repetitions of a group from `start`, and where they end."""
    size = _size(group, model)
    if group.count is None:
        count = 1
    else:
        room = max(0, len(words) - start) // size
        said = _said_count(group, model)
        # Who does not say how many there are means as many as the model has room for; inside a group nobody could tell where one ends.
        count = (room if fill else 0) if said is None else min(said, room)
    return tuple(
        _decoded(group, words, start=start + n * size, model=model) for n in range(count)
    ), start + count * size


def _decoded(group: GroupDefinition, words: Sequence[int], *, start: int, model: Mapping[str, Point]) -> DecodedGroup:
    raw = _raw_points(group, words, start=start)
    groups: dict[str, tuple[DecodedGroup, ...]] = {}
    start += group.words
    for part in group.groups:
        groups[part.name], start = _repetitions(part, words, start=start, model=model, fill=False)
    return DecodedGroup(_scaled_points(group, raw, {**model, **raw}), groups)


def _said_count(group: GroupDefinition, model: Mapping[str, Point]) -> int | None:
    if isinstance(group.count, str):
        said = model.get(group.count)
        return int(said) if isinstance(said, Decimal) else None
    return None if group.count == TO_THE_END else group.count


def _size(group: GroupDefinition, model: Mapping[str, Point]) -> int:
    parts = ((1 if part.count is None else _said_count(part, model) or 0) * _size(part, model) for part in group.groups)
    return group.words + sum(parts)


def _fixed_size(group: GroupDefinition) -> int | None:
    if any(part.count is not None or _fixed_size(part) is None for part in group.groups):
        return None
    return group.words + sum(_size(part, {}) for part in group.groups)


def _atoms(definition: ModelDefinition, words: int) -> Iterator[tuple[int, bool]]:
    """Registers that must not be torn, in order, and whether they are but a text."""
    left = words if definition.whole_words is None else min(words, definition.whole_words)
    for point in definition.points:
        if left < point.size:
            return  # the point is cut off by the model's own length
        left -= point.size
        yield point.size, point.type in _WORDLESS
    groups = definition.group.groups
    size = _fixed_size(groups[0]) if len(groups) == 1 else 1
    # A group of groups has no size before its counts are known, and none of them is measured at each poll.
    step = size if size is not None and size <= MAX_REGISTERS_PER_REQUEST else 1
    for _ in range(left // step if groups else 0):
        yield step, False


def _group(source: Mapping[str, Any]) -> GroupDefinition:
    points = _placed(source["points"])
    count = source.get("count")
    return GroupDefinition(
        name=str(source["name"]),
        count=count if count is None or isinstance(count, int) else str(count),
        points=points,
        groups=tuple(_group(part) for part in source.get("groups", [])),
        words=sum(point.size for point in points),
    )


def _placed(points: Sequence[Mapping[str, Any]]) -> tuple[PointDefinition, ...]:
    placed: list[PointDefinition] = []
    offset = 0
    for point in points:
        name, kind, size, scale = str(point["name"]), str(point["type"]), int(point["size"]), point.get("sf")
        if kind not in _TYPES:
            raise ValueError(f"point {name} has the unknown type {kind!r}")
        placed.append(PointDefinition(name, kind, offset, size, scale, str(point.get("units", ""))))
        offset += size
    return tuple(placed)


def _raw_points(group: GroupDefinition, words: Sequence[int], *, start: int) -> dict[str, Point]:
    return {point.name: _raw(point, words, start=start) for point in group.points}


def _scaled_points(group: GroupDefinition, raw: Mapping[str, Point], factors: Mapping[str, Point]) -> dict[str, Point]:
    return {point.name: _scaled(point, raw[point.name], factors) for point in group.points}


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


def _scaled(point: PointDefinition, raw: Point, factors: Mapping[str, Point]) -> Point:
    if point.scale is None or not isinstance(raw, Decimal):
        return raw
    exponent = Decimal(point.scale) if isinstance(point.scale, int) else factors.get(point.scale)
    if not isinstance(exponent, Decimal) or abs(exponent) > MAX_SCALE:
        return None  # the number is there, but nobody knows how big it is
    return raw.scaleb(int(exponent))
