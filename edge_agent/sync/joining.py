"""The flushes of a batch, joined: what was stored minute by minute travels as one stretch per device. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from shared.enums import Quality, TimeQuality
from shared.readings import Value
from shared.wire import Flush, ReadingBatch, Stretch

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class _Columns:
    """A stretch while it grows."""

    seqs: list[int] = field(default_factory=list)
    offsets_ms: list[int] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    values: dict[str, list[Value]] = field(default_factory=dict)


def joined(epoch: UUID, flushes: Sequence[Flush]) -> ReadingBatch:
    """Join flushes into the batch that carries them.

    Args:
        epoch: of the store that they come from.
        flushes: in order, without a hole, at least one.

    Returns:
        The same readings, a stretch per device and set of keys; dates are kept to the millisecond, which is what the store knows.
    """
    started_at = flushes[0].started_at
    found: dict[tuple[UUID, tuple[str, ...]], _Columns] = {}
    for flush in flushes:
        begins_ms = round((flush.started_at - started_at) / _MILLISECOND)
        added = int(Quality.TIME_UNCERTAIN) if flush.time_quality is TimeQuality.UNKNOWN else 0
        for block in flush.blocks:
            columns = found.setdefault((block.device_id, tuple(block.values)), _Columns())
            columns.seqs.extend([flush.seq] * len(block.offsets_ms))
            columns.offsets_ms.extend(begins_ms + offset for offset in block.offsets_ms)
            columns.quality.extend(bits | added for bits in block.quality)
            for key, cells in block.values.items():
                columns.values.setdefault(key, []).extend(cells)
    return ReadingBatch(
        epoch=epoch,
        first_seq=flushes[0].seq,
        last_seq=flushes[-1].seq,
        started_at=started_at,
        stretches=tuple(
            Stretch(
                device_id=device_id,
                seqs=tuple(columns.seqs),
                offsets_ms=tuple(columns.offsets_ms),
                quality=tuple(columns.quality),
                values={key: tuple(cells) for key, cells in columns.values.items()},
            )
            for (device_id, _), columns in found.items()
        ),
    )
