"""Batches sorted into the columns of `telemetry_readings`, without an object per reading.

What it means is said reading by reading in `rules` (`quarantine_reason`, `raw_row`, `snapshot_of`, `dirty_buckets`); here the same is done
column by column, several times faster, and a property test holds the two equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import TypeVar
from uuid import UUID

from cloud.ingest.rows import Rows, judges_of, take_cells
from cloud.ingest.rules import (
    EARLIEST,
    FUTURE_TOLERANCE,
    LATEST_OFFSET,
    NEVER_IN_ROLLUPS,
    KnownDevice,
    Quarantined,
    Snapshot,
    json_safe,
    quarantine_reason,
)
from cloud.ingest.schemas import Batch, Cell, Stretch
from shared.counters import moment_of, unix_us
from shared.enums import Quality
from shared.readings import Value

KNOWN_BITS = int(~Quality.GOOD)
"""Bits that an agent of today can set; others are of no meaning here."""

QUARTER_HOUR_US = 900_000_000

_FUTURE, _BEFORE_DEVICE = int(Quality.FUTURE), int(Quality.BEFORE_DEVICE)
_NEVER_NEWEST = int(Quality.LINK_DOWN | Quality.FUTURE)
_NEVER_IN_ROLLUPS = int(NEVER_IN_ROLLUPS)
_EARLIEST_US = unix_us(EARLIEST)

T = TypeVar("T")


@dataclass(slots=True)
class _Newest:
    """The newest reading of a device so far, by its place."""

    device: KnownDevice
    at_us: int
    row: int
    stretch: Stretch
    index: int


@dataclass(slots=True)
class SortedBatch:
    """What became of one batch's readings.

    Attributes:
        first_row: of the batch in the rows that it was sorted into.
        end_row: behind its last one.
        flagged: rows with a quality flag.
        rejected: readings for quarantine.
        dirty: device and start of each quarter-hour (Unix microseconds) that a row enters.
        newest: of each device, its newest reading that may stand in the snapshot.
    """

    first_row: int
    end_row: int = 0
    flagged: int = 0
    rejected: list[Quarantined] = field(default_factory=list)
    dirty: set[tuple[UUID, int]] = field(default_factory=set)
    newest: dict[UUID, _Newest] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many rows."""
        return self.end_row - self.first_row

    def snapshots(self, rows: Rows) -> list[Snapshot]:
        """The newest readings, one per device that has any, in the order of device ids: every writer locks in the same order."""
        return [
            Snapshot(
                best.device.id,
                best.device.device_type,
                moment_of(best.at_us),
                Quality(rows.qualities[best.row]),
                {key: json_safe(value) for key, value in _values_at(best.stretch, best.index).items()},
            )
            for _, best in sorted(self.newest.items())
        ]


@dataclass(slots=True)
class _Times:
    """The limits of time that a batch is judged by, in microseconds of Unix time."""

    now: datetime
    latest_us: int
    future_us: int


def sort_batch(
    batch: Batch, devices: Mapping[UUID, KnownDevice], *, site_id: UUID, now: datetime, into: Rows, after_seq: int = 0
) -> SortedBatch:
    """Sort the readings of a batch that come after `after_seq`; call `into.fill` after the last batch."""
    result = SortedBatch(len(into))
    times = _Times(now, unix_us(now + LATEST_OFFSET), unix_us(now + FUTURE_TOLERANCE))
    alike = _Alike(None, [], len(into))
    for stretch in batch.stretches:
        device = devices.get(stretch.device_id)
        kept = _kept(result, stretch, device, times=times, after_seq=after_seq)
        if device is None or kept is None:
            continue
        kind = (device.rated_power_kw, tuple(stretch.values))
        if kind != alike.kind:
            _take_values(into, alike)
            alike = _Alike(kind, [], len(into))
        alike.values.append(_values_of(stretch, kept.places))
        _take_row_heads(into, result, stretch, kept)
    _take_values(into, alike)
    result.rejected.sort(key=lambda reading: reading.seq)
    result.end_row = len(into)
    into.site_ids.extend([site_id] * len(result))
    result.flagged = len(result) - into.qualities[result.first_row :].count(0)
    return result


@dataclass(slots=True)
class _Kept:
    """The readings of a stretch that become rows.

    Attributes:
        places: where they stand in the stretch.
        flags: those that the agent set, and what the cloud adds by time.
    """

    device: KnownDevice
    places: Sequence[int]
    moments_us: list[int]
    flags: list[int]


@dataclass(slots=True)
class _Alike:
    """The values of stretches, one after the other, whose devices have the same rated power and which hold the same keys.

    They are judged and stored together: a box with five inverters sends few readings of each, and each list that is looked at costs
    more than what is in it.

    Attributes:
        kind: rated power (kW), and the keys.
        first_row: of the first stretch.
    """

    kind: tuple[float | None, tuple[str, ...]] | None
    values: list[Mapping[str, list[Cell]]]
    first_row: int


def _kept(
    result: SortedBatch, stretch: Stretch, device: KnownDevice | None, *, times: _Times, after_seq: int
) -> _Kept | None:
    """What of a stretch becomes rows; None if nothing does."""
    places = _places(result, stretch, device, times=times, after_seq=after_seq)
    if device is None or not places:
        return None
    moments_us = _at(stretch.moments_us, places)
    sent = [bits & KNOWN_BITS for bits in _at(stretch.quality, places)]
    return _Kept(device, places, moments_us, _flags(sent, moments_us, device, times))


def _take_row_heads(rows: Rows, result: SortedBatch, stretch: Stretch, kept: _Kept) -> None:
    """All of a stretch's rows but their values."""
    _note_newest(result, stretch, kept, len(rows))
    _note_dirty(result, kept)
    rows.device_numbers.extend([kept.device.number] * len(kept.places))
    rows.moments_us.extend(kept.moments_us)
    rows.seqs.extend(_at(stretch.seqs, kept.places))
    rows.qualities.extend(kept.flags)


def _values_of(stretch: Stretch, places: Sequence[int]) -> Mapping[str, list[Cell]]:
    if len(places) == len(stretch.seqs):
        return stretch.values
    return {key: [cells[place] for place in places] for key, cells in stretch.values.items()}


def _at(cells: list[T], places: Sequence[int]) -> list[T]:
    """The cells at some places; all of them, as it nearly always is, without looking at each."""
    return cells if len(cells) == len(places) else [cells[place] for place in places]


def _places(
    result: SortedBatch, stretch: Stretch, device: KnownDevice | None, *, times: _Times, after_seq: int
) -> Sequence[int]:
    """Which readings of a stretch are new and become rows; those that cannot go to quarantine."""
    everything = range(len(stretch.seqs))
    moments_us = stretch.moments_us
    if (
        device is not None
        and min(stretch.seqs) > after_seq
        and min(moments_us) >= _EARLIEST_US
        and max(moments_us) <= times.latest_us
    ):
        return everything
    kept = []
    begins: dict[int, int] = {}
    for index, seq in enumerate(stretch.seqs):
        begin = begins.setdefault(seq, index)
        if seq <= after_seq:
            continue
        if device is not None and _EARLIEST_US <= moments_us[index] <= times.latest_us:
            kept.append(index)
        else:
            result.rejected.append(_rejected(stretch, index, begin, known=device is not None, now=times.now))
    return kept


def _flags(sent: list[int], moments_us: list[int], device: KnownDevice, times: _Times) -> list[int]:
    """Flags by time: those sent, and those that the cloud adds."""
    since_us = unix_us(device.commissioned_at)
    if max(moments_us) <= times.future_us and min(moments_us) >= since_us:
        return list(sent)
    return [
        bits | (_FUTURE if at > times.future_us else 0) | (_BEFORE_DEVICE if at < since_us else 0)
        for bits, at in zip(sent, moments_us, strict=True)
    ]


def _note_newest(result: SortedBatch, stretch: Stretch, kept: _Kept, first_row: int) -> None:
    moments_us = kept.moments_us
    if any(kept.flags):
        fit = [place for place, bits in enumerate(kept.flags) if not bits & _NEVER_NEWEST]
        if not fit:
            return
        place = max(fit, key=moments_us.__getitem__)
    else:
        place = moments_us.index(max(moments_us))
    best = result.newest.get(kept.device.id)
    if best is None or moments_us[place] > best.at_us:
        result.newest[kept.device.id] = _Newest(
            kept.device, moments_us[place], first_row + place, stretch, kept.places[place]
        )


def _note_dirty(result: SortedBatch, kept: _Kept) -> None:
    moments_us = kept.moments_us
    if any(kept.flags):
        moments_us = [at for at, bits in zip(moments_us, kept.flags, strict=True) if not bits & _NEVER_IN_ROLLUPS]
        if not moments_us:
            return
    first, last = min(moments_us) // QUARTER_HOUR_US, max(moments_us) // QUARTER_HOUR_US
    quarters = {first, last} if last - first <= 1 else {at // QUARTER_HOUR_US for at in moments_us}
    result.dirty.update([(kept.device.id, quarter * QUARTER_HOUR_US) for quarter in quarters])


def _take_values(rows: Rows, alike: _Alike) -> None:
    if alike.kind is None:
        return
    rated_kw, keys = alike.kind
    judges = judges_of(rated_kw)
    for key in keys:
        cells = list(chain.from_iterable([values[key] for values in alike.values]))
        take_cells(rows, judges[key], cells, alike.first_row)


def _values_at(stretch: Stretch, index: int) -> dict[str, Value]:
    return {key: cells[index] for key, cells in stretch.values.items()}


def _rejected(stretch: Stretch, index: int, begin: int, *, known: bool, now: datetime) -> Quarantined:
    """A reading for quarantine; `begin` is the place of the first one of its flush."""
    try:
        at = moment_of(stretch.moments_us[index])
    except OverflowError:
        at = None
    reason = quarantine_reason(at, known=known, now=now) or "time_impossible"
    return Quarantined(stretch.device_id, stretch.seqs[index], index - begin, at, reason, _values_at(stretch, index))
