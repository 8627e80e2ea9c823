"""Readings <-> the bytes of an outbox row: columnar JSON, deflated. Pure.

What is stored is what is sent: the JSON is the `blocks` of a `shared.wire.Flush`.
"""

import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.enums import Quality
from shared.readings import Value


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading before it is dated: its moment is milliseconds of the boot's monotonic clock."""

    device_id: UUID
    mono_ms: int
    values: dict[str, Value]
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, slots=True)
class Encoded:
    """One flush, ready to be stored."""

    mono_start: int
    n: int
    payload: bytes


def _finite(value: Value) -> Value:
    """JSON has no NaN and no infinity; neither is a measurement."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def encode(samples: Sequence[Sample]) -> Encoded:
    """Write samples as columns, one block per device and set of keys (so that None keeps meaning "asked for, not available").

    Raises:
        ValueError: if there is no sample.
    """
    if not samples:
        raise ValueError("a flush needs at least one reading")
    start = min(sample.mono_ms for sample in samples)
    groups: dict[tuple[UUID, tuple[str, ...]], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.device_id, tuple(sorted(sample.values))), []).append(sample)
    blocks = [
        {
            "device_id": str(device_id),
            "offsets_ms": [sample.mono_ms - start for sample in group],
            "quality": [int(sample.quality) for sample in group],
            "values": {key: [_finite(sample.values[key]) for sample in group] for key in keys},
        }
        for (device_id, keys), group in groups.items()
    ]
    text = json.dumps(blocks, separators=(",", ":"), allow_nan=False)
    return Encoded(mono_start=start, n=len(samples), payload=zlib.compress(text.encode(), 6))


def inflate(payload: bytes) -> bytes:
    """The JSON text of the blocks.

    Raises:
        zlib.error: if the row is damaged.
    """
    return zlib.decompress(payload)


def decode(mono_start: int, payload: bytes) -> list[Sample]:
    """Read an outbox row back, ordered by moment, then as stored."""
    blocks: list[dict[str, Any]] = json.loads(inflate(payload))
    return sorted(_samples(mono_start, blocks), key=lambda sample: sample.mono_ms)


def _samples(mono_start: int, blocks: Iterable[dict[str, Any]]) -> Iterable[Sample]:
    for block in blocks:
        columns = block["values"]
        for index, offset_ms in enumerate(block["offsets_ms"]):
            yield Sample(
                device_id=UUID(block["device_id"]),
                mono_ms=mono_start + offset_ms,
                values={key: column[index] for key, column in columns.items()},
                quality=Quality(block["quality"][index]),
            )
