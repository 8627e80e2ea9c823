"""Batches sorted into the columns of `telemetry_readings`, without an object per reading.

What it means is said reading by reading in `rules` (`quarantine_reason`, `raw_row`, `snapshot_of`, `dirty_buckets`); here the same is done
column by column, several times faster, and a property test holds the two equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

from cloud.ingest.rules import (
    EARLIEST,
    FUTURE_TOLERANCE,
    LATEST_OFFSET,
    NEVER_IN_ROLLUPS,
    RAW_COLUMNS,
    TEXT_COLUMNS,
    KnownDevice,
    Quarantined,
    Snapshot,
    fits_text_column,
    json_safe,
    largest_in,
    quarantine_reason,
)
from cloud.ingest.schemas import Batch, Cell, Stretch
from shared.counters import moment_of, unix_us
from shared.enums import Quality
from shared.metrics import UnknownMetricError, metric_of
from shared.readings import Value

KNOWN_BITS = int(~Quality.GOOD)
"""Bits that an agent of today can set; others are of no meaning here."""

QUARTER_HOUR_US = 900_000_000

_FUTURE, _BEFORE_DEVICE, _OUT_OF_RANGE = int(Quality.FUTURE), int(Quality.BEFORE_DEVICE), int(Quality.OUT_OF_RANGE)
_NEVER_NEWEST = int(Quality.LINK_DOWN | Quality.FUTURE)
_NEVER_IN_ROLLUPS = int(NEVER_IN_ROLLUPS)
_EARLIEST_US = unix_us(EARLIEST)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Judge:
    """Where values of a key go, what the column can hold, and between which bounds a number can be true."""

    key: str
    column: str | None
    is_text: bool
    low: float
    high: float
    limit: float


@dataclass(slots=True)
class _Newest:
    """The newest reading of a device so far, by its place."""

    device: KnownDevice
    at_us: int
    row: int
    stretch: Stretch
    index: int


@dataclass(slots=True)
class Rows:
    """Rows of one or several batches, column by column; all columns are equally long after `fill`.

    Attributes:
        device_numbers: `devices.number` of each row.
        moments_us: microseconds of Unix time.
        columns: raw column -> values.
        extras: of the readings that have values without a column: place -> metric key -> value.
    """

    site_ids: list[UUID] = field(default_factory=list)
    device_numbers: list[int] = field(default_factory=list)
    moments_us: list[int] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    qualities: list[int] = field(default_factory=list)
    columns: dict[str, list[Value]] = field(default_factory=dict)
    extras: dict[int, dict[str, Value]] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.moments_us)

    def fill(self) -> None:
        """Make every column as long as there are rows."""
        rows = len(self)
        for column in self.columns.values():
            column.extend([None] * (rows - len(column)))


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


@dataclass(frozen=True, slots=True)
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
    for stretch in batch.stretches:
        _take_stretch(into, result, stretch, devices.get(stretch.device_id), times=times, after_seq=after_seq)
    result.rejected.sort(key=lambda reading: reading.seq)
    result.end_row = len(into)
    into.site_ids.extend([site_id] * len(result))
    result.flagged = len(result) - into.qualities[result.first_row :].count(0)
    return result


@dataclass(frozen=True, slots=True)
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


def _take_stretch(
    rows: Rows, result: SortedBatch, stretch: Stretch, device: KnownDevice | None, *, times: _Times, after_seq: int
) -> None:
    places = _places(result, stretch, device, times=times, after_seq=after_seq)
    if device is None or not places:
        return
    moments_us = _at(stretch.moments_us, places)
    sent = [bits & KNOWN_BITS for bits in _at(stretch.quality, places)]
    kept = _Kept(device, places, moments_us, _flags(sent, moments_us, device, times))
    first_row = len(rows)
    _note_newest(result, stretch, kept, first_row)
    _note_dirty(result, kept)
    rows.device_numbers.extend([device.number] * len(places))
    rows.moments_us.extend(moments_us)
    rows.seqs.extend(_at(stretch.seqs, places))
    rows.qualities.extend(kept.flags)
    _take_values(rows, stretch.values, places, first_row, device.rated_power_kw)


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
    for quarter in {at // QUARTER_HOUR_US for at in moments_us}:
        result.dirty.add((kept.device.id, quarter * QUARTER_HOUR_US))


def _take_values(
    rows: Rows, values: Mapping[str, list[Cell]], places: Sequence[int], first_row: int, rated_kw: float | None
) -> None:
    judges, columns, readings = _judges(rated_kw), rows.columns, len(places)
    for key, sent in values.items():
        judge = judges[key]
        cells = sent if len(sent) == readings else [sent[place] for place in places]
        name = judge.column
        if name is None:
            _take_extra(rows, judge, cells, first_row)
            continue
        column = columns.get(name)
        if column is None:
            column = columns[name] = []
        if len(column) < first_row:
            column.extend([None] * (first_row - len(column)))
        if judge.is_text:
            _take_texts(rows, column, judge, cells, first_row)
        elif _are_sane(cells, judge.low, judge.high):
            column.extend(cells)
        else:
            _take_numbers(rows, column, judge, cells, first_row)


def _are_sane(cells: list[Cell], low: float, high: float) -> bool:
    """Whether all cells are numbers within bounds, by three passes in C; NaN hides from `min` and `max` but not from a sum."""
    try:
        total: float = sum(cells)  # type: ignore[arg-type]
        return low <= min(cells) and max(cells) <= high and total == total  # type: ignore[type-var, operator]  # noqa: PLR0124
    except TypeError:
        return False


def _take_numbers(rows: Rows, column: list[Value], judge: _Judge, cells: list[Cell], first_row: int) -> None:
    low, high, limit = judge.low, judge.high, judge.limit
    for row, value in enumerate(cells, first_row):
        if value is None:
            column.append(None)
        elif isinstance(value, str) or not -limit <= value <= limit:
            column.append(None)
            _misfit(rows, row, judge.key, value)
        else:
            column.append(value)
            if not low <= value <= high:
                rows.qualities[row] |= _OUT_OF_RANGE


def _take_texts(rows: Rows, column: list[Value], judge: _Judge, cells: list[Cell], first_row: int) -> None:
    name = judge.column or ""
    unfit = {
        value
        for value in set(cells)
        if value is not None and not (isinstance(value, str) and fits_text_column(name, value))
    }
    if not unfit:
        column.extend(cells)
        return
    for row, value in enumerate(cells, first_row):
        # A NaN is not equal to itself, so it is looked for by what it is.
        if value is None or (isinstance(value, str) and value not in unfit):
            column.append(value)
        else:
            column.append(None)
            _misfit(rows, row, judge.key, value)


def _take_extra(rows: Rows, judge: _Judge, cells: list[Cell], first_row: int) -> None:
    for row, value in enumerate(cells, first_row):
        rows.extras.setdefault(row, {})[judge.key] = json_safe(value)
        if value is not None and not isinstance(value, str) and not judge.low <= value <= judge.high:
            rows.qualities[row] |= _OUT_OF_RANGE


def _misfit(rows: Rows, row: int, key: str, value: Value) -> None:
    """Keep a value that its column cannot hold."""
    rows.extras.setdefault(row, {})[key] = json_safe(value)
    rows.qualities[row] |= _OUT_OF_RANGE


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


class _JudgesByKey(dict[str, _Judge]):
    """Judges of one rated power; only keys of the catalogue are remembered, of which there are finitely many."""

    def __init__(self, rated_kw: float | None) -> None:
        super().__init__()
        self._rated_kw = rated_kw

    def __missing__(self, key: str) -> _Judge:
        column = RAW_COLUMNS.get(key)
        limit = largest_in(column)
        try:
            metric = metric_of(key)
        except UnknownMetricError:
            return _Judge(key, column, column in TEXT_COLUMNS, -limit, limit, limit)
        low = -limit if metric.low is None else metric.low
        high = limit if metric.high is None else metric.high
        if metric.rated_factor is not None and self._rated_kw is not None:
            rated = metric.rated_factor * self._rated_kw
            low, high = max(low, -rated), min(high, rated)
        judge = self[key] = _Judge(key, column, column in TEXT_COLUMNS, low, high, limit)
        return judge


@lru_cache(maxsize=1024)
def _judges(rated_kw: float | None) -> _JudgesByKey:
    return _JudgesByKey(rated_kw)
