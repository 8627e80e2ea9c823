"""The batch of `POST edge/readings`, decoded by msgspec on the hot path.

The shapes are those of `shared.wire` (`ReadingBatch`, and `FlushBatch` of version 1); a test holds both decoders equal on generated
batches. Whatever the version, what comes out is a `Batch`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated
from uuid import UUID

import msgspec

from shared.counters import unix_us
from shared.enums import Quality, TimeQuality
from shared.wire import SCHEMA_VERSION

_METRIC_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?")
_LONGEST_KEY = 64
AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]
LARGEST_SEQ = 2**63 - 1
"""What the ledger can hold."""
Cell = float | str | None
_Seq = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_SEQ)]
_US_PER_MS = 1000


class MalformedBatchError(ValueError):
    """The body is no batch; `field` is where (`$.stretches[0].quality`), the message says what was expected."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(slots=True)
class Stretch:
    """Readings of one device, column by column.

    Attributes:
        seqs: number of each reading's flush.
        moments_us: microseconds of Unix time, one per reading; not yet known to be a possible date.
        quality: bits as sent, one per reading.
        values: metric key -> one value per reading.
    """

    device_id: UUID
    seqs: list[int]
    moments_us: list[int]
    quality: list[int]
    values: dict[str, list[Cell]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings of the flushes `first_seq` to `last_seq`, none missing."""

    epoch: UUID
    first_seq: int
    last_seq: int
    stretches: Sequence[Stretch]

    @property
    def reading_count(self) -> int:
        """Readings in all stretches."""
        return sum(len(stretch.seqs) for stretch in self.stretches)


class Block(msgspec.Struct, frozen=True):
    """Readings of one device in one flush (`shared.wire.Block`)."""

    device_id: UUID
    offsets_ms: Annotated[list[int], msgspec.Meta(min_length=1)]
    quality: list[int]
    values: dict[str, list[Cell]]


class Flush(msgspec.Struct, frozen=True):
    """One row of the agent's outbox (`shared.wire.Flush`)."""

    seq: _Seq
    started_at: AwareTime
    time_quality: TimeQuality
    blocks: list[Block]


class _FlushBatch(msgspec.Struct, frozen=True):
    """Version 1 (`shared.wire.FlushBatch`)."""

    epoch: UUID
    flushes: Annotated[list[Flush], msgspec.Meta(min_length=1)]


class _WireStretch(msgspec.Struct, frozen=True):
    device_id: UUID
    seqs: Annotated[list[int], msgspec.Meta(min_length=1)]
    offsets_ms: list[int]
    quality: list[int]
    values: dict[str, list[Cell]]


class _ReadingBatch(msgspec.Struct, frozen=True):
    """Version 2 (`shared.wire.ReadingBatch`)."""

    epoch: UUID
    first_seq: _Seq
    last_seq: _Seq
    started_at: AwareTime
    stretches: list[_WireStretch]
    schema_version: int = SCHEMA_VERSION


class _Version(msgspec.Struct, frozen=True):
    schema_version: int = SCHEMA_VERSION


_decoder_of_2 = msgspec.json.Decoder(_ReadingBatch)
_decoder_of_1 = msgspec.json.Decoder(_FlushBatch)
_version_decoder = msgspec.json.Decoder(_Version)


def decode_version(body: bytes) -> int:
    """Read only `schema_version` of a JSON body, so that an unsupported one is refused for what it is.

    Raises:
        MalformedBatchError: if the body is no JSON object or the version no integer.
    """
    try:
        return _version_decoder.decode(body).schema_version
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(error) from error


def decode_batch(body: bytes) -> Batch:
    """Decode and check a batch of any version that is read.

    Raises:
        MalformedBatchError: naming the field and what is wrong with it.
    """
    try:
        sent = _decoder_of_2.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if decode_version(body) != 1:
            raise _malformed(error) from error
        return _decode_version_1(body)
    if sent.schema_version != SCHEMA_VERSION:
        raise MalformedBatchError("$.schema_version", f"is {sent.schema_version}, and the batch is not written so")
    return _of_version_2(sent)


def _decode_version_1(body: bytes) -> Batch:
    try:
        return _of_version_1(_decoder_of_1.decode(body))
    except msgspec.DecodeError as error:
        raise _malformed(error) from error


def _of_version_2(sent: _ReadingBatch) -> Batch:
    first, last = sent.first_seq, sent.last_seq
    if last < first:
        raise MalformedBatchError("$.last_seq", f"is {last}, before first_seq {first}")
    begin_us = unix_us(sent.started_at)
    stretches = []
    for number, stretch in enumerate(sent.stretches):
        where = f"$.stretches[{number}]"
        seqs = stretch.seqs
        if min(seqs) < first or max(seqs) > last:
            outside = next(seq for seq in seqs if not first <= seq <= last)
            raise MalformedBatchError(f"{where}.seqs", f"holds {outside}, outside {first} to {last}")
        if len(stretch.offsets_ms) != len(seqs):
            raise _uneven(f"{where}.offsets_ms", len(stretch.offsets_ms), len(seqs))
        _check_columns(where, len(seqs), stretch.quality, stretch.values)
        moments_us = [begin_us + _US_PER_MS * offset_ms for offset_ms in stretch.offsets_ms]
        stretches.append(Stretch(stretch.device_id, seqs, moments_us, stretch.quality, stretch.values))
    return Batch(sent.epoch, first, last, stretches)


def _of_version_1(sent: _FlushBatch) -> Batch:
    first = sent.flushes[0].seq
    for position, flush in enumerate(sent.flushes):
        where = f"$.flushes[{position}]"
        if flush.seq != first + position:
            raise MalformedBatchError(
                f"{where}.seq", f"is {flush.seq}, expected {first + position}: send flushes in order without a hole"
            )
        for number, block in enumerate(flush.blocks):
            _check_columns(f"{where}.blocks[{number}]", len(block.offsets_ms), block.quality, block.values)
    return batch_of(sent.epoch, sent.flushes)


def batch_of(epoch: UUID, flushes: Sequence[Flush]) -> Batch:
    """Join flushes, at least one and in order, as version 2 does before it sends them."""
    found: dict[tuple[UUID, tuple[str, ...]], Stretch] = {}
    for flush in flushes:
        begin_us = unix_us(flush.started_at)
        added = int(Quality.TIME_UNCERTAIN) if flush.time_quality is TimeQuality.UNKNOWN else 0
        for block in flush.blocks:
            key = (block.device_id, tuple(block.values))
            stretch = found.get(key)
            if stretch is None:
                stretch = found[key] = Stretch(block.device_id, [], [], [], {name: [] for name in block.values})
            stretch.seqs.extend([flush.seq] * len(block.offsets_ms))
            stretch.moments_us.extend([begin_us + _US_PER_MS * offset_ms for offset_ms in block.offsets_ms])
            stretch.quality.extend([bits | added for bits in block.quality] if added else block.quality)
            for name, cells in block.values.items():
                stretch.values[name].extend(cells)
    return Batch(epoch, flushes[0].seq, flushes[-1].seq, list(found.values()))


def _check_columns(where: str, readings: int, quality: Sequence[int], values: Mapping[str, Sequence[Cell]]) -> None:
    if len(quality) != readings:
        raise _uneven(f"{where}.quality", len(quality), readings)
    if not all(map(_is_metric_key, values)):
        key = next(key for key in values if not _is_metric_key(key))
        raise MalformedBatchError(
            f"{where}.values",
            f"has the key {key[:_LONGEST_KEY]!r}: a metric is written as in `ac_power_kw` or `ac_voltage_v.l1`",
        )
    for key, cells in values.items():
        if len(cells) != readings:
            raise _uneven(f"{where}.values.{key}", len(cells), readings)


@lru_cache(maxsize=4096)
def _is_metric_key(key: str) -> bool:
    """As `shared.wire.MetricKey`; remembered, as the same few keys come in every reading and a pattern is slow to match."""
    return len(key) <= _LONGEST_KEY and _METRIC_KEY.fullmatch(key) is not None


def _uneven(field: str, length: int, readings: int) -> MalformedBatchError:
    return MalformedBatchError(
        field, f"has {length} entries for {readings} readings: send one per reading, null where absent"
    )


def _malformed(error: Exception) -> MalformedBatchError:
    # msgspec writes "what - at `$.where`", and for an object's key "what - at `key` in `$.where`".
    message, _, place = str(error).partition(" - at `")
    field = place.rpartition("in `")[2].rstrip("`")
    return MalformedBatchError(field or "$", message)
