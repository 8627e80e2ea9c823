"""MQTT messages -> values of the catalogue, by a topic map. Pure.

A key that a message does not carry is unchanged, not zero: it is left out. A null, an empty text or a word such as "unavailable" is a
value that is not available: None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from edge_agent.drivers.json_values import (
    ABSENT,
    BoundStamp,
    BoundValue,
    PayloadError,
    TemplateError,
    at,
    bind_stamp,
    bind_values,
    check_age,
    document_of,
    fill,
    nothing_to_read,
    shown,
    steps_of,
    value_at,
    value_of,
    with_defaults,
)
from edge_agent.drivers.sparkplug import News, SparkplugNode
from edge_agent.profiles.mapped import PLACEHOLDER
from edge_agent.profiles.topics import Availability, PayloadFormat, Request, TopicMap
from shared.enums import DeviceType
from shared.readings import Value

__all__ = ["BoundMap", "Decoded", "PayloadError", "TemplateError", "bind", "decode", "decode_sparkplug", "matches"]

MAX_PAYLOAD_BYTES = 1_000_000
"""A longer message is no device's, and has no place in a small box's memory."""

_SPARKPLUG_LEVELS = 5
_NO_TIME = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class BoundEntry:
    """A topic with a connection's names filled in.

    Attributes:
        topic: filter to subscribe to.
        captures: level of the topic -> the name that was left open there.
        keys: everything that its messages may carry.
    """

    topic: str
    captures: Mapping[int, str]
    format: PayloadFormat
    root: tuple[str, ...]
    is_partial: bool
    stamp: BoundStamp | None
    device: str
    values: tuple[BoundValue, ...]

    @property
    def keys(self) -> frozenset[str]:
        """Everything that its messages may carry."""
        return frozenset(value.spec.metric for value in self.values)


@dataclass(frozen=True, slots=True)
class BoundMap:
    """A topic map with a connection's names filled in.

    Attributes:
        entries: topics and what they carry, in the map's order.
        availability: topic and how to understand it.
        requests: topic and what to say there.
        assembly_s, silence_s: as in the map.
    """

    entries: tuple[BoundEntry, ...]
    availability: tuple[tuple[str, Availability], ...] = ()
    requests: tuple[tuple[str, Request], ...] = ()
    assembly_s: float = 0.0
    silence_s: float = 0.0

    @property
    def filters(self) -> tuple[str, ...]:
        """Everything to subscribe to, once each."""
        topics = [entry.topic for entry in self.entries] + [topic for topic, _ in self.availability]
        return tuple(dict.fromkeys(topics))


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one message says.

    Attributes:
        values: keys that the message carries.
        overlay: keys that are as they were where the message does not carry them.
        is_online: True or False from an availability topic, None from any other.
        overrules: whether that word counts more than values that come in spite of it.
        captures: names that were left open -> what stands there in the message's topic.
    """

    values: Mapping[str, Value]
    overlay: frozenset[str] = frozenset()
    is_online: bool | None = None
    overrules: bool = False
    captures: Mapping[str, str] = field(default_factory=dict)


def bind(topic_map: TopicMap, names: Mapping[str, object], *, device_type: DeviceType | None = None) -> BoundMap:
    """Fill the placeholders of a map.

    Of a device type only what such a device has is kept; None keeps everything.

    Raises:
        TemplateError: if a name is missing, empty or would change what the topic means, or so many were left open that nothing is read.
    """
    given = with_defaults(names, topic_map.defaults)
    bound = (
        BoundEntry(
            topic=_topic(entry.topic, given),
            captures=_captures(entry.topic, given),
            format=entry.format,
            root=steps_of(entry.root, given),
            is_partial=entry.is_partial,
            stamp=bind_stamp(entry.stamp, given),
            device=fill(entry.device, given, open_as="", forbidden="+#/\0"),
            values=bind_values(entry.values, given, device_type=device_type),
        )
        for entry in topic_map.entries
    )
    entries = tuple(entry for entry in bound if entry.values)
    if not entries:
        raise TemplateError(nothing_to_read(topic_map.open_names))
    return BoundMap(
        entries=entries,
        availability=tuple((_topic(there.topic, given), there) for there in topic_map.availability),
        requests=tuple(
            (
                fill(request.topic, given, open_as="", forbidden="+#\0"),
                request.model_copy(update={"payload": fill(request.payload, given, open_as="", forbidden='"\\\0')}),
            )
            for request in topic_map.requests
        ),
        assembly_s=topic_map.assembly_s,
        silence_s=topic_map.silence_s,
    )


def decode(bound: BoundMap, topic: str, payload: bytes, *, now: datetime = _NO_TIME) -> Decoded:
    """Values of one message; none for a topic that the map does not know.

    `now` is the aware UTC time of the agent, for messages that say when their values were measured.

    Raises:
        PayloadError: if the payload is not of the format that the map says.
    """
    _check_size(payload, topic)
    for topic_filter, availability in bound.availability:
        if matches(topic_filter, topic):
            there = _is_online(payload, topic, availability)
            return Decoded({}, is_online=there, overrules=availability.overrules)
    values: dict[str, Value] = {}
    captures: dict[str, str] = {}
    overlay: frozenset[str] = frozenset()
    for entry in bound.entries:
        if entry.format is PayloadFormat.SPARKPLUG or not matches(entry.topic, topic):
            continue
        found = _entry_values(entry, topic, payload, now=now)
        values |= found
        captures |= {name: topic.split("/")[level] for level, name in entry.captures.items()}
        if entry.is_partial:
            overlay |= entry.keys
    return Decoded(values, overlay=overlay, captures=captures)


def decode_sparkplug(bound: BoundMap, topic: str, payload: bytes, *, node: SparkplugNode) -> tuple[Decoded, News]:
    """Values of one message of a Sparkplug edge node, and what it means for those before it.

    Raises:
        PayloadError: if it is no Sparkplug message, or a metric is no such value.
    """
    _check_size(payload, topic)
    _, _, kind, _, *rest = topic.split("/") + [""] * _SPARKPLUG_LEVELS
    device = rest[0]
    news = node.take(kind, device, payload, topic)
    values: dict[str, Value] = {}
    overlay: frozenset[str] = frozenset()
    is_concerned = False
    for entry in bound.entries:
        if entry.format is not PayloadFormat.SPARKPLUG or not matches(entry.topic, topic):
            continue
        overlay |= entry.keys
        if entry.device != device and not (kind == "NDEATH" and news.is_online is False):
            continue
        is_concerned = True
        found = ((value, ".".join(value.path)) for value in entry.values)
        values |= {
            value.spec.metric: value_of(value.spec, news.values[name], topic)
            for value, name in found
            if name in news.values
        }
    is_online = news.is_online if is_concerned else None
    # A node that is heard without a gap has nothing new to say of the values that it does not repeat.
    is_heard = kind.endswith(("BIRTH", "DATA")) and not news.needs_birth
    return Decoded(values, overlay=overlay if is_heard else frozenset(), is_online=is_online), news


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic fits a filter with MQTT's wildcards `+` (one level) and `#` (all that is left, also nothing)."""
    levels = topic.split("/")
    wanted = topic_filter.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(levels) or level not in {"+", levels[position]}:
            return False
    return len(levels) == len(wanted)


def _check_size(payload: bytes, topic: str) -> None:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PayloadError(
            f"{topic}: {len(payload)} bytes, more than {MAX_PAYLOAD_BYTES}; no device says so much at once"
        )


def _topic(template: str, names: Mapping[str, object]) -> str:
    return fill(template, names, open_as="+", forbidden="+#\0")


def _captures(template: str, names: Mapping[str, object]) -> dict[int, str]:
    """Levels of the filled topic at which an open name stands alone; a name given with slashes moves those behind it."""
    captures: dict[int, str] = {}
    level = 0
    for part in template.split("/"):
        match = PLACEHOLDER.fullmatch(part)
        filled = _topic(part, names)
        if match and match[2] and filled == "+":
            captures[level] = match[1]
        level += filled.count("/") + 1
    return captures


def _is_online(payload: bytes, topic: str, availability: Availability) -> bool:
    word = payload.decode(errors="replace").strip()
    if availability.path and word.startswith("{"):
        word = str(at(document_of(payload, topic), availability.path.split("."), topic))
    there = availability.means(word)
    if there is None:
        raise PayloadError(f"{topic}: {shown(payload)} is {availability.words}")
    return there


def _entry_values(entry: BoundEntry, topic: str, payload: bytes, *, now: datetime) -> dict[str, Value]:
    if entry.format is PayloadFormat.NUMBER:
        text = payload.decode(errors="replace").strip()
        return {value.spec.metric: value_of(value.spec, text, topic) for value in entry.values}
    if not payload.strip():
        return dict.fromkeys(entry.keys)  # the way a bridge says that the device has gone
    document = document_of(payload, topic)
    check_age(entry.stamp, document, topic, now=now)
    if entry.root:
        document = at(document, entry.root, topic)
        if isinstance(document, str):
            document = document_of(document, topic)
    found = ((value, value_at(value, document, topic, is_partial=entry.is_partial)) for value in entry.values)
    return {value.spec.metric: converted for value, converted in found if converted is not ABSENT}
