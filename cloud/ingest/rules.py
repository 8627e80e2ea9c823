"""What becomes of each reading of a batch: pure decisions, no database.

A reading is stored, flagged and stored, or quarantined; none is dropped.
"""

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from shared.enums import DeviceType, Quality
from shared.metrics import METRICS, MetricKind, UnknownMetricError, metric_of
from shared.periods import QUARTER_HOUR, quarter_hour_floor
from shared.readings import Value

FUTURE_TOLERANCE = timedelta(minutes=5)
"""A box's clock may be this far ahead of ours before its readings are doubted."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No monitored device is older; an earlier date is a clock that was never set."""

LATEST_OFFSET = timedelta(days=366)
"""Further in the future than this is not a time: such a reading goes to quarantine instead of making partitions for it."""


TEXT_COLUMNS = frozenset({"operating_state", "fault_codes"})
"""States kept in raw columns of their own, as text."""

LONGEST_STATE = 32
"""Characters of an operating state in its column."""

_PHASE_COLUMNS = {f"{name}.l{n}": f"{name}_l{n}" for name in ("ac_voltage_v", "ac_current_a") for n in (1, 2, 3)}

_NUMERIC_COLUMNS = {
    name: name for name, metric in METRICS.items() if metric.kind not in {MetricKind.STATE, MetricKind.ATTRIBUTE}
}

RAW_COLUMNS: Mapping[str, str] = _NUMERIC_COLUMNS | _PHASE_COLUMNS | {name: name for name in TEXT_COLUMNS}
"""Metric key -> column of `telemetry_readings`. Every other key is kept in `extra`."""


COUNTER_COLUMNS = frozenset(
    name for name, metric in METRICS.items() if metric.kind in {MetricKind.COUNTER, MetricKind.DAILY_COUNTER}
)
"""Raw columns of double precision, since energy is their difference; gauges are REAL, seven digits, as no sensor has more."""

_LARGEST_REAL = (2 - 2**-23) * 2.0**127


def largest_in(column: str | None) -> float:
    """The largest magnitude that a raw column can hold, or `extra` where the key has none."""
    return sys.float_info.max if column is None or column in COUNTER_COLUMNS else _LARGEST_REAL


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """What ingest must know of a device to judge its readings.

    Attributes:
        number: the short key of its raw readings.
    """

    id: UUID
    number: int
    commissioned_at: datetime
    rated_power_kw: float | None
    device_type: DeviceType = DeviceType.SENSOR


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of `telemetry_readings`, before `received_at`.

    Attributes:
        columns: raw column -> value; only columns that the reading has.
        extra: metric key -> value, for keys without a column of their own.
    """

    device_id: UUID
    at: datetime
    seq: int
    quality: Quality
    columns: Mapping[str, Value]
    extra: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A reading that cannot be a row, with the reason, as it came."""

    device_id: UUID
    seq: int
    index: int
    at: datetime | None
    reason: str
    values: Mapping[str, Value]


def quarantine_reason(at: datetime | None, *, known: bool, now: datetime) -> str | None:
    """Say why a reading cannot be stored as a row, or None if it can.

    Args:
        at: aware moment of the reading; None when its offset makes no moment at all.
        known: whether the device is one of the gateway's own.
        now: the cloud's time.
    """
    if not known:
        return "device_unknown"
    if at is None or at < EARLIEST or at > now + LATEST_OFFSET:
        return "time_impossible"
    return None


def cloud_flags(at: datetime, values: Mapping[str, Value], device: KnownDevice, now: datetime) -> Quality:
    """Flags that the cloud adds to a reading: time ahead of ours, time before the device existed, a value that cannot be."""
    flags = Quality.GOOD
    if at > now + FUTURE_TOLERANCE:
        flags |= Quality.FUTURE
    if at < device.commissioned_at:
        flags |= Quality.BEFORE_DEVICE
    if any(not _is_sane(key, value, device.rated_power_kw) for key, value in values.items()):
        flags |= Quality.OUT_OF_RANGE
    return flags


def raw_row(
    device: KnownDevice, *, at: datetime, seq: int, quality: Quality, values: Mapping[str, Value], now: datetime
) -> RawRow:
    """Make the row of a reading that is not quarantined: flags added, values sorted into columns and `extra`.

    A value that its column cannot hold (a word where a number belongs or the reverse, a text or a number that is too large) is kept in
    `extra` and flagged out of range.
    """
    columns: dict[str, Value] = {}
    extra: dict[str, Value] = {}
    flags = quality | cloud_flags(at, values, device, now)
    for key, value in values.items():
        column = RAW_COLUMNS.get(key)
        if column is None:
            extra[key] = json_safe(value)
        elif value is None or _has_the_columns_type(column, value):
            columns[column] = value
        else:
            extra[key] = json_safe(value)
            flags |= Quality.OUT_OF_RANGE
    return RawRow(device.id, at, seq, flags, columns, extra)


def _has_the_columns_type(column: str, value: float | str) -> bool:
    if column in TEXT_COLUMNS:
        return isinstance(value, str) and fits_text_column(column, value)
    return not isinstance(value, str) and abs(value) <= largest_in(column)


def _is_sane(key: str, value: Value, rated_kw: float | None) -> bool:
    if value is None or isinstance(value, str):
        return True
    if not math.isfinite(value):
        return False
    try:
        return metric_of(key).is_sane(value, rated_kw=rated_kw)
    except UnknownMetricError:
        return True  # a custom device's own quantity: nothing is known that could be wrong


def fits_text_column(column: str, value: str) -> bool:
    """Whether a text can stand in its column; a state that is too long, or a text with a NUL, is kept in `extra`."""
    return "\0" not in value and (column != "operating_state" or len(value) <= LONGEST_STATE)


def json_safe(value: Value) -> Value:
    """JSON knows no NaN or infinity, and PostgreSQL's no NUL: as text, and with the replacement sign, they stay visible."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class SequenceVerdict(StrEnum):
    """What a batch's place in the sequence means."""

    NEXT = "next"
    """At least one flush is new, and none is missing before it."""
    REPEAT = "repeat"
    """Everything in it is committed already: answer as before, write nothing."""
    GAP = "gap"
    """Flushes before it have not arrived; `expected_seq` says where to go on."""
    SUPERSEDED = "superseded"
    """Of an epoch that the gateway has left: a second box with the same identity, or a restored card image."""


@dataclass(frozen=True, slots=True)
class SequenceStep:
    """Where a batch stands against what is committed.

    Attributes:
        acked_seq: highest contiguous sequence of the batch's epoch before the batch.
    """

    verdict: SequenceVerdict
    acked_seq: int

    @property
    def expected_seq(self) -> int:
        """The sequence that would be taken next."""
        return self.acked_seq + 1


def sequence_step(
    *, epoch: UUID, first_seq: int, last_seq: int, current_epoch: UUID | None, acked_seq: int, former_epoch: bool
) -> SequenceStep:
    """Judge a batch against the gateway's ledger.

    Args:
        epoch: of the batch.
        first_seq: of its first flush.
        last_seq: of its last flush.
        current_epoch: the gateway's, None before its first batch.
        acked_seq: highest contiguous sequence committed in `current_epoch`.
        former_epoch: whether the ledger knows the batch's epoch as one that the gateway has left.
    """
    if epoch != current_epoch:
        if former_epoch:
            return SequenceStep(SequenceVerdict.SUPERSEDED, acked_seq)
        acked_seq = 0  # a new card, or the store was rebuilt: its numbers begin again
    if first_seq > acked_seq + 1:
        return SequenceStep(SequenceVerdict.GAP, acked_seq)
    if last_seq <= acked_seq:
        return SequenceStep(SequenceVerdict.REPEAT, acked_seq)
    return SequenceStep(SequenceVerdict.NEXT, acked_seq)


NEVER_IN_ROLLUPS = Quality(sum(flag for flag in Quality if not flag.enters_rollups))
"""Each of these flags keeps a reading out of rollups (`Quality.enters_rollups`)."""

LIVE_AGE = timedelta(hours=1)
"""Readings up to this old are rolled up before older ones, so that a flood of late ones never delays what is fresh."""


@dataclass(frozen=True, slots=True, order=True)
class DirtyBucket:
    """A quarter-hour of a device that must be computed again.

    Attributes:
        bucket: its start, UTC.
        is_live: whether it goes before back-fill.
    """

    device_id: UUID
    bucket: datetime
    is_live: bool


def dirty_buckets(rows: Iterable[RawRow], *, now: datetime) -> list[DirtyBucket]:
    """The quarter-hours that new rows fall into, each once, in the order of devices and time: every writer locks in the same order.

    Rows that never enter rollups (a date in the future, before the device existed, no answer) change none; a quarter-hour in which
    the device was only silent has its row by then, or needs none.
    """
    touched = {(row.device_id, quarter_hour_floor(row.at)) for row in rows if row.quality.enters_rollups}
    return [
        DirtyBucket(device_id, bucket, is_live=bucket + QUARTER_HOUR >= now - LIVE_AGE)
        for device_id, bucket in sorted(touched)
    ]


_MAIN_POWER = {
    DeviceType.INVERTER: "ac_power_kw",
    DeviceType.METER: "grid_power_kw",
    DeviceType.BATTERY: "battery_power_kw",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest values of one device.

    Attributes:
        values: metric key -> value, safe for JSON.
    """

    device_id: UUID
    device_type: DeviceType
    at: datetime
    quality: Quality
    values: Mapping[str, Value]

    def number(self, key: str) -> float | None:
        """A value as a number; None where it is absent, not available or a word."""
        value = self.values.get(key)
        return None if value is None or isinstance(value, str) else value

    @property
    def current_power_kw(self) -> float | None:
        """The power that the device is there for (kW): AC output, grid power or battery power, by its type."""
        key = _MAIN_POWER.get(self.device_type)
        return self.number(key) if key else None

    @property
    def operating_state(self) -> str | None:
        """The canonical state, if the device tells one."""
        state = self.values.get("operating_state")
        return state if isinstance(state, str) and fits_text_column("operating_state", state) else None


def snapshot_of(
    device: KnownDevice, *, at: datetime, quality: Quality, values: Mapping[str, Value], now: datetime
) -> Snapshot | None:
    """A reading as a snapshot; None for one that must not stand as the newest (no answer, or a date ahead of ours)."""
    flags = raw_row(device, at=at, seq=0, quality=quality, values=values, now=now).quality
    if flags & (Quality.LINK_DOWN | Quality.FUTURE):
        return None
    return Snapshot(device.id, device.device_type, at, flags, {key: json_safe(value) for key, value in values.items()})


def newest(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """The newest of each device, in the order of device ids: every writer locks rows in the same order."""
    best: dict[UUID, Snapshot] = {}
    for snapshot in snapshots:
        present = best.get(snapshot.device_id)
        if present is None or snapshot.at > present.at:
            best[snapshot.device_id] = snapshot
    return [best[device_id] for device_id in sorted(best)]
