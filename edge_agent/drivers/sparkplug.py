"""Sparkplug B: its protobuf payload, and what a host must remember of an edge node to understand it. Pure.

Source: Eclipse Sparkplug specification 3.0, payload definition `sparkplug_b.proto`. Only what carries a reading is decoded; other fields
(properties, data sets, templates) are stepped over.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.drivers.json_values import PayloadError

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
"""Metric by which a host asks a node to say everything again."""

_SEQUENCE = 256
_BIRTH_SEQUENCE_NUMBER = "bdSeq"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
"""Data type number -> width, of the integers that may be negative."""
_BOOLEAN = 11
_MOST_ALIASES = 10_000

Raw = float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a payload; a name is only certain in a birth.

    Attributes:
        value: None where the node says that it is null, or it is of a kind that carries no reading.
        is_historical: measured before, sent now.
    """

    name: str = ""
    alias: int | None = None
    datatype: int | None = None
    value: Raw = None
    is_historical: bool = False
    bits: int | None = None
    """The integer as it travels, unsigned, for a data type that only the birth knows."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One message."""

    seq: int | None
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class News:
    """What a message means to a host.

    Attributes:
        values: name -> value, of the present only.
        is_online: of the device (or node) the message is about; None if it does not say.
        needs_birth: the message cannot be understood without a new birth.
        starts_over: what was known of the node and its devices holds no longer.
    """

    values: Mapping[str, Raw] = field(default_factory=dict)
    is_online: bool | None = None
    needs_birth: bool = False
    starts_over: bool = False


@dataclass(slots=True)
class SparkplugNode:
    """What a host remembers of one edge node and its devices."""

    _known: dict[str, dict[int | str, Metric]] = field(default_factory=dict)
    _next_seq: int | None = None
    _bd_seq: Raw = None

    def take(self, kind: str, device: str, payload: bytes, where: str) -> News:
        """Understand one message.

        Args:
            kind: third level of its topic, such as `DDATA`.
            device: fifth level; "" for the node itself.
            payload: as it came.
            where: its topic, for errors.

        Raises:
            PayloadError: if it is no Sparkplug payload.
        """
        if kind not in {"NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"}:
            return News()
        message = decode_payload(payload, where)
        if kind == "NDEATH":
            return self._node_death(message)
        if kind == "NBIRTH":
            self._known = {}
            self._bd_seq = _named(message, _BIRTH_SEQUENCE_NUMBER)
        elif self._next_seq is None or message.seq != self._next_seq:
            self.forget()
            return News(needs_birth=True, starts_over=True)
        self._next_seq = ((message.seq or 0) + 1) % _SEQUENCE
        if kind == "DDEATH":
            self._known.pop(device, None)
            return News(is_online=False)
        if kind.endswith("BIRTH"):
            self._remember(device, message, where)
        news = self._data(device, message, is_birth=kind.endswith("BIRTH"))
        return replace(news, starts_over=True) if kind == "NBIRTH" else news

    def forget(self) -> None:
        """The connection was lost, or a message: only a birth helps."""
        self._known = {}
        self._next_seq = None

    def _node_death(self, message: Payload) -> News:
        if self._bd_seq is not None and _named(message, _BIRTH_SEQUENCE_NUMBER) not in {None, self._bd_seq}:
            return News()  # the will of a session that the node has long replaced
        self.forget()
        return News(is_online=False, starts_over=True)

    def _remember(self, device: str, message: Payload, where: str) -> None:
        known: dict[int | str, Metric] = {}
        for metric in message.metrics:
            known[metric.name] = metric
            if metric.alias is not None:
                known[metric.alias] = metric
        if sum(map(len, self._known.values())) + len(known) > _MOST_ALIASES:
            raise PayloadError(f"{where}: a node with more than {_MOST_ALIASES} metrics is not followed")
        self._known[device] = known

    def _data(self, device: str, message: Payload, *, is_birth: bool) -> News:
        known = self._known.get(device)
        if known is None:
            return News(needs_birth=True)
        values: dict[str, Raw] = {}
        for metric in message.metrics:
            born = known.get(metric.name or (metric.alias if metric.alias is not None else ""))
            if born is None:
                return News(needs_birth=True)
            if not metric.is_historical:
                values[born.name] = _typed(metric, born.datatype)
        return News(values, is_online=True if is_birth else None)


def rebirth_request() -> bytes:
    """Payload of the command by which a host asks for a birth."""
    name = REBIRTH.encode()
    metric = bytes([0x0A, len(name)]) + name + bytes([0x20, _BOOLEAN, 0x70, 1])
    return bytes([0x12, len(metric)]) + metric


def decode_payload(payload: bytes, where: str) -> Payload:
    """Decode a payload.

    Raises:
        PayloadError: if the bytes are no protobuf message of this kind.
    """
    try:
        seq = None
        metrics = []
        for number, value in _fields(payload):
            if number == 2 and isinstance(value, bytes):
                metrics.append(_metric(value))
            elif number == 3 and isinstance(value, int):
                seq = value
    except (ValueError, struct.error) as error:
        raise PayloadError(f"{where}: {len(payload)} bytes are no Sparkplug B payload: {error}") from error
    return Payload(seq, tuple(metrics))


def _metric(content: bytes) -> Metric:
    fields = dict(_fields(content))  # of a field that stands twice, the last counts, as protobuf has it
    name, alias, datatype = fields.get(1, b""), fields.get(2), fields.get(4)
    metric = Metric(
        name=name.decode() if isinstance(name, bytes) else "",
        alias=alias if isinstance(alias, int) else None,
        datatype=datatype if isinstance(datatype, int) else None,
        is_historical=bool(fields.get(5)),
    )
    return metric if fields.get(7) else _with_value(metric, fields)


def _with_value(metric: Metric, fields: Mapping[int, int | bytes]) -> Metric:
    value: Raw = None
    bits: int | None = None
    for number in (10, 11):
        if isinstance(found := fields.get(number), int):
            value = bits = found
    if isinstance(found := fields.get(12), bytes):
        value = struct.unpack("<f", found)[0]
    if isinstance(found := fields.get(13), bytes):
        value = struct.unpack("<d", found)[0]
    if isinstance(found := fields.get(14), int):
        value = bool(found)
    if isinstance(found := fields.get(15), bytes):
        value = found.decode()
    return Metric(metric.name, metric.alias, metric.datatype, value, metric.is_historical, bits)


def _typed(metric: Metric, born_as: int | None) -> Raw:
    """The value with its sign, which the wire does not carry."""
    width = _SIGNED_BITS.get(metric.datatype or born_as or 0)
    if metric.bits is None or width is None:
        return metric.value
    low = metric.bits & ((1 << width) - 1)
    return low - (1 << width) if low >> (width - 1) else low


def _named(message: Payload, name: str) -> Raw:
    return next((metric.value for metric in message.metrics if metric.name == name), None)


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protobuf message: number, and an integer or bytes."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(content, at)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"field {number} has the unknown kind {kind}")
        if at + length > len(content):
            raise ValueError(f"field {number} ends beyond the message")
        yield number, content[at : at + length]
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position, byte in enumerate(content[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * position)
        if not byte & 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + position + 1
    raise ValueError("a number does not end")
