"""A batch sorted into the columns of `telemetry_readings`, without an object per reading.

What it means is said reading by reading in `rules` (`quarantine_reason`, `raw_row`, `snapshot_of`); here the same is done column by
column, several times faster, and a property test holds the two equal.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from cloud.ingest.rules import (
    EARLIEST,
    FUTURE_TOLERANCE,
    LATEST_OFFSET,
    RAW_COLUMNS,
    TEXT_COLUMNS,
    KnownDevice,
    Quarantined,
    Snapshot,
    fits_text_column,
    json_safe,
    quarantine_reason,
    snapshot_of,
)
from cloud.ingest.schemas import Batch, Block, Flush
from shared.enums import Quality, TimeQuality
from shared.metrics import UnknownMetricError, metric_of
from shared.readings import Value

KNOWN_BITS = int(~Quality.GOOD)
"""Bits that an agent of today can set; others are of no meaning here."""

_TIME_UNCERTAIN, _FUTURE = int(Quality.TIME_UNCERTAIN), int(Quality.FUTURE)
_BEFORE_DEVICE, _OUT_OF_RANGE = int(Quality.BEFORE_DEVICE), int(Quality.OUT_OF_RANGE)
_NEVER_NEWEST = int(Quality.LINK_DOWN | Quality.FUTURE)
_LARGEST = sys.float_info.max  # beyond it only infinity; comparisons with NaN are false


@dataclass(frozen=True, slots=True)
class _Judge:
    """Where values of a key go, and between which bounds a number can be true."""

    key: str
    column: str | None
    is_text: bool
    low: float
    high: float


@dataclass(slots=True)
class _Newest:
    """The newest reading of a device so far, by its place."""

    device: KnownDevice
    at: datetime
    quality: int
    block: Block
    index: int


@dataclass(slots=True)
class SortedBatch:
    """Columns of equal length, one entry per reading that becomes a row.

    Attributes:
        columns: raw column -> values.
        extras: of the readings that have values without a column: place -> metric key -> value.
        rejected: readings for quarantine.
        newest: of each device, its newest reading that may stand in the snapshot.
    """

    device_ids: list[UUID] = field(default_factory=list)
    moments: list[datetime] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    qualities: list[int] = field(default_factory=list)
    columns: dict[str, list[Value]] = field(default_factory=dict)
    extras: dict[int, dict[str, Value]] = field(default_factory=dict)
    rejected: list[Quarantined] = field(default_factory=list)
    newest: dict[UUID, _Newest] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.moments)

    def snapshots(self, now: datetime) -> list[Snapshot]:
        """The newest readings, one per device that has any, in the order of device ids: every writer locks in the same order."""
        found = (
            snapshot_of(best.device, at=best.at, quality=Quality(best.quality), values=_values_at(best), now=now)
            for _, best in sorted(self.newest.items())
        )
        return [snapshot for snapshot in found if snapshot is not None]


def sort_batch(batch: Batch, devices: Mapping[UUID, KnownDevice], *, now: datetime, after_seq: int = 0) -> SortedBatch:
    """Sort the flushes of a batch that come after `after_seq`."""
    result = SortedBatch()
    for flush in batch.flushes:
        if flush.seq > after_seq:
            for block in flush.blocks:
                _take_block(result, flush, block, devices.get(block.device_id), now)
    rows = len(result)
    for column in result.columns.values():
        column.extend([None] * (rows - len(column)))
    return result


def _take_block(result: SortedBatch, flush: Flush, block: Block, device: KnownDevice | None, now: datetime) -> None:
    kept: list[int] = []
    best = result.newest.get(block.device_id)
    first_row = len(result.moments)
    latest, sent = now + LATEST_OFFSET, block.quality
    added = _TIME_UNCERTAIN if flush.time_quality is TimeQuality.UNKNOWN else 0
    for index, offset_ms in enumerate(block.offsets_ms):
        at = _moment(flush.started_at, offset_ms)
        if device is None or at is None or not EARLIEST <= at <= latest:
            result.rejected.append(_rejected(flush, block, index, at, known=device is not None, now=now))
            continue
        flags = (sent[index] & KNOWN_BITS) | added
        if at > now + FUTURE_TOLERANCE:
            flags |= _FUTURE
        if at < device.commissioned_at:
            flags |= _BEFORE_DEVICE
        kept.append(index)
        result.moments.append(at)
        result.qualities.append(flags)
        if not flags & _NEVER_NEWEST and (best is None or at > best.at):
            best = result.newest[device.id] = _Newest(device, at, (sent[index] & KNOWN_BITS) | added, block, index)
    if device is not None and kept:
        result.device_ids.extend([device.id] * len(kept))
        result.seqs.extend([flush.seq] * len(kept))
        _take_values(result, block.values, kept, first_row, device.rated_power_kw)


def _take_values(
    result: SortedBatch, values: Mapping[str, list[Value]], kept: list[int], first_row: int, rated_kw: float | None
) -> None:
    judges, columns = _judges(rated_kw), result.columns
    only = kept[0] if len(kept) == 1 else None  # an agent's flush usually holds one reading of each device
    for key, cells in values.items():
        judge = judges[key]
        if judge.column is None:
            _take_extra(result, judge, cells, enumerate(kept, first_row))
            continue
        column = columns.get(judge.column)
        if column is None:
            column = columns[judge.column] = []
        if len(column) < first_row:
            column.extend([None] * (first_row - len(column)))
        if only is not None and not judge.is_text:
            value = cells[only]
            if isinstance(value, float) and judge.low <= value <= judge.high:
                column.append(value)
                continue
        take = _take_texts if judge.is_text else _take_numbers
        take(result, column, judge, cells, enumerate(kept, first_row))


def _take_numbers(
    result: SortedBatch, column: list[Value], judge: _Judge, cells: list[Value], places: Iterable[tuple[int, int]]
) -> None:
    low, high = judge.low, judge.high
    for row, index in places:
        value = cells[index]
        if value is None:
            column.append(None)
        elif isinstance(value, str):
            column.append(None)
            _misfit(result, row, judge.key, value)
        else:
            column.append(value)
            if not low <= value <= high:
                result.qualities[row] |= _OUT_OF_RANGE


def _take_texts(
    result: SortedBatch, column: list[Value], judge: _Judge, cells: list[Value], places: Iterable[tuple[int, int]]
) -> None:
    for row, index in places:
        value = cells[index]
        if value is None or (isinstance(value, str) and fits_text_column(judge.column or "", value)):
            column.append(value)
        else:
            column.append(None)
            _misfit(result, row, judge.key, value)


def _take_extra(result: SortedBatch, judge: _Judge, cells: list[Value], places: Iterable[tuple[int, int]]) -> None:
    for row, index in places:
        value = cells[index]
        result.extras.setdefault(row, {})[judge.key] = json_safe(value)
        if value is not None and not isinstance(value, str) and not judge.low <= value <= judge.high:
            result.qualities[row] |= _OUT_OF_RANGE


def _misfit(result: SortedBatch, row: int, key: str, value: Value) -> None:
    """Keep a value that its column cannot hold."""
    result.extras.setdefault(row, {})[key] = json_safe(value)
    result.qualities[row] |= _OUT_OF_RANGE


def _values_at(place: _Newest) -> dict[str, Value]:
    return {key: cells[place.index] for key, cells in place.block.values.items()}


def _moment(started_at: datetime, offset_ms: int) -> datetime | None:
    try:
        return started_at + timedelta(milliseconds=offset_ms)
    except OverflowError:
        return None


def _rejected(
    flush: Flush, block: Block, index: int, at: datetime | None, *, known: bool, now: datetime
) -> Quarantined:
    values = {key: cells[index] for key, cells in block.values.items()}
    reason = quarantine_reason(at, known=known, now=now) or "time_impossible"
    return Quarantined(block.device_id, flush.seq, index, at, reason, values)


class _JudgesByKey(dict[str, _Judge]):
    """Judges of one rated power; only keys of the catalogue are remembered, of which there are finitely many."""

    def __init__(self, rated_kw: float | None) -> None:
        super().__init__()
        self._rated_kw = rated_kw

    def __missing__(self, key: str) -> _Judge:
        column = RAW_COLUMNS.get(key)
        low, high = -_LARGEST, _LARGEST
        try:
            metric = metric_of(key)
        except UnknownMetricError:
            return _Judge(key, column, column in TEXT_COLUMNS, low, high)
        low = low if metric.low is None else metric.low
        high = high if metric.high is None else metric.high
        if metric.rated_factor is not None and self._rated_kw is not None:
            limit = metric.rated_factor * self._rated_kw
            low, high = max(low, -limit), min(high, limit)
        judge = self[key] = _Judge(key, column, column in TEXT_COLUMNS, low, high)
        return judge


@lru_cache(maxsize=1024)
def _judges(rated_kw: float | None) -> _JudgesByKey:
    return _JudgesByKey(rated_kw)
