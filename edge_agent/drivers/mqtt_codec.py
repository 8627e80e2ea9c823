"""MQTT messages -> values of the catalogue, by a topic map. Pure.

A key that a message does not carry is unchanged, not zero: it is left out. A null, an empty text or a word such as "unavailable" is a
value that is not available: None.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalException, InvalidOperation
from typing import Any

from edge_agent.errors import EdgeError
from edge_agent.profiles.topics import PLACEHOLDER, PayloadFormat, TopicEntry, TopicMap, TopicValue
from shared.enums import OperatingState
from shared.readings import Value

_NOT_AVAILABLE = frozenset(
    {"", "nan", "null", "none", "unavailable", "unknown", "inf", "-inf", "infinity", "-infinity"}
)
_ABSENT = object()


class PayloadError(EdgeError):
    """A message is not what its topic map says; the text names the topic, the payload and what was expected."""


class TemplateError(EdgeError):
    """The connection lacks a name that a topic needs, or has one that cannot stand in a topic."""


@dataclass(frozen=True, slots=True)
class BoundMap:
    """A topic map with a connection's names filled in.

    Attributes:
        entries: topic filter and what it carries, in the map's order.
        availability: topic, word for there, word for away.
    """

    entries: tuple[tuple[str, TopicEntry], ...]
    availability: tuple[str, str, str] | None

    @property
    def filters(self) -> tuple[str, ...]:
        """Everything to subscribe to, once each."""
        own = [topic for topic, _ in self.entries]
        if self.availability:
            own.append(self.availability[0])
        return tuple(dict.fromkeys(own))


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one message says.

    Attributes:
        values: keys that the message carries.
        is_online: True or False from the availability topic, None from any other.
    """

    values: Mapping[str, Value]
    is_online: bool | None = None


def bind(topic_map: TopicMap, names: Mapping[str, object]) -> BoundMap:
    """Fill the placeholders of a map.

    Raises:
        TemplateError: if a name is missing, empty or would change what the topic means.
    """
    availability = topic_map.availability
    return BoundMap(
        entries=tuple((_filled(entry.topic, names), entry) for entry in topic_map.entries),
        availability=(
            (_filled(availability.topic, names), availability.online, availability.offline) if availability else None
        ),
    )


def decode(bound: BoundMap, topic: str, payload: bytes) -> Decoded:
    """Values of one message; none for a topic that the map does not know.

    Raises:
        PayloadError: if the payload is not of the format that the map says.
    """
    if bound.availability and topic == bound.availability[0]:
        return Decoded({}, _is_online(payload, topic, words=bound.availability[1:]))
    values: dict[str, Value] = {}
    for topic_filter, entry in bound.entries:
        if matches(topic_filter, topic):
            values |= _entry_values(entry, topic, payload)
    return Decoded(values)


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


def _filled(template: str, names: Mapping[str, object]) -> str:
    filled = template
    for name in PLACEHOLDER.findall(template):
        value = str(names.get(name) or "").strip("/")
        if not value or any(sign in value for sign in "+#\0"):
            raise TemplateError(f"{name} is {names.get(name)!r}; the topic {template!r} needs a text without + and #")
        filled = filled.replace(f"{{{name}}}", value)
    return filled


def _is_online(payload: bytes, topic: str, *, words: tuple[str, str]) -> bool:
    word = payload.decode(errors="replace").strip()
    if word not in words:
        raise PayloadError(f"{topic}: {_shown(payload)} is neither {words[0]!r} nor {words[1]!r}")
    return word == words[0]


def _entry_values(entry: TopicEntry, topic: str, payload: bytes) -> dict[str, Value]:
    if entry.format is PayloadFormat.NUMBER:
        text = payload.decode(errors="replace").strip()
        return {value.metric: _value(value, text, topic) for value in entry.values}
    if not payload.strip():
        return {value.metric: None for value in entry.values}  # the way a bridge says that the device has gone
    try:
        document = json.loads(payload, parse_float=Decimal)
    except ValueError as error:
        raise PayloadError(f"{topic}: {_shown(payload)} is no JSON: {error}") from error
    except RecursionError as error:
        raise PayloadError(f"{topic}: the JSON is nested too deeply") from error
    if not isinstance(document, dict | list):
        raise PayloadError(f"{topic}: {_shown(payload)} is JSON, but neither an object nor an array")
    found = {value.metric: (value, _at(document, value.path)) for value in entry.values}
    return {metric: _value(value, raw, topic) for metric, (value, raw) in found.items() if raw is not _ABSENT}


def _at(document: Any, path: str) -> Any:  # noqa: ANN401 - JSON may hold anything
    node = document
    for part in path.split("."):
        if isinstance(node, dict):
            node = node.get(part, _ABSENT)
        elif isinstance(node, list):
            node = node[int(part)] if part.isdecimal() and int(part) < len(node) else _ABSENT
        elif part != "0":
            return _ABSENT
        if node is _ABSENT:
            return _ABSENT
    return node


def _value(value: TopicValue, raw: object, topic: str) -> Value:
    if raw is None or (isinstance(raw, str) and raw.strip().lower() in _NOT_AVAILABLE):
        return None
    if value.states:
        return value.states.get(str(raw).strip(), OperatingState.UNKNOWN).value
    number = _number(raw)
    if number is None:
        raise PayloadError(f"{topic}: {value.metric} at {value.path or 'the payload'} is {raw!r}, expected a number")
    try:
        converted = float((number * value.scale + value.offset) * value.factor) + 0.0  # + 0.0: a negated zero is a zero
    except (DecimalException, ValueError) as error:
        raise PayloadError(f"{topic}: {value.metric} is {raw!r}, too large for a number") from error
    return converted if math.isfinite(converted) else None


def _number(raw: object) -> Decimal | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal | str):
        return None
    try:
        return Decimal(raw.strip() if isinstance(raw, str) else raw)
    except InvalidOperation:
        return None


def _shown(payload: bytes, *, limit: int = 60) -> str:
    text = payload.decode(errors="replace")
    return repr(text if len(text) <= limit else f"{text[:limit]}…")
