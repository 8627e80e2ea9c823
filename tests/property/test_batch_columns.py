"""Sorting a batch into columns means the same as judging its readings one by one."""

import math
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.columns import KNOWN_BITS, SortedBatch, sort_batch
from cloud.ingest.rules import (
    LATEST_OFFSET,
    KnownDevice,
    Quarantined,
    RawRow,
    Snapshot,
    newest,
    quarantine_reason,
    raw_row,
    snapshot_of,
)
from cloud.ingest.schemas import Batch, Block, Cell, Flush
from shared.enums import DeviceType, Quality, TimeQuality

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DEVICES = {
    UUID(int=1): KnownDevice(UUID(int=1), NOW - timedelta(days=30), 5.0, DeviceType.INVERTER),
    UUID(int=2): KnownDevice(UUID(int=2), NOW - timedelta(hours=1), None, DeviceType.METER),
}
KEYS = ["ac_power_kw", "power_output", "dc_power_kw", "ac_voltage_v.l1", "dc_voltage_v.pv2", "grid_frequency_hz"]
KEYS += [
    "energy_total_kwh",
    "operating_state",
    "fault_codes",
    "vendor_state_code",
    "link_up",
    "made_up",
    "power_factor",
]

cells: st.SearchStrategy[Cell] = st.one_of(
    st.none(),
    st.floats(-10, 10),
    st.sampled_from([0.0, -0.0, 6.25, -6.25, math.nextafter(6.25, 7), 70.0, 1e9, 1.1e9, 1e300]),
    st.sampled_from([math.inf, -math.inf, math.nan]),
    st.sampled_from(["running", "", "x" * 32, "x" * 33, "a\0b"]),
)
hour_ms = 3_600_000
offsets = st.one_of(
    st.integers(-3 * hour_ms, hour_ms),
    st.sampled_from([0, 1, 300_000, 300_001, -(10**15), 10**15, 10**30]),
    st.integers(-5, 5).map(lambda ms: int(LATEST_OFFSET.total_seconds() * 1000) + ms),
)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    n = draw(st.integers(1, 4))
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=6))
    return Block(
        device_id=draw(st.sampled_from([*DEVICES, UUID(int=3)])),
        offsets_ms=draw(st.lists(offsets, min_size=n, max_size=n)),
        quality=draw(st.lists(st.integers(0, 1023), min_size=n, max_size=n)),
        values={key: draw(st.lists(cells, min_size=n, max_size=n)) for key in keys},
    )


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    contents = draw(st.lists(st.lists(blocks(), max_size=3), min_size=1, max_size=4))
    quality = st.sampled_from(list(TimeQuality))
    flushes = [Flush(n, NOW, draw(quality), content) for n, content in enumerate(contents, start=1)]
    return Batch(epoch=UUID(int=9), flushes=flushes)


def one_by_one(batch: Batch, after_seq: int) -> tuple[list[RawRow], list[Quarantined], list[Snapshot]]:
    """The plain meaning: every reading judged for itself."""
    rows, rejected, snapshots = [], [], []
    for flush in batch.flushes[after_seq:]:
        for block in flush.blocks:
            for index, offset_ms in enumerate(block.offsets_ms):
                values = {key: column[index] for key, column in block.values.items()}
                device = DEVICES.get(block.device_id)
                try:
                    at = flush.started_at + timedelta(milliseconds=offset_ms)
                except OverflowError:
                    at = None
                reason = quarantine_reason(at, known=device is not None, now=NOW)
                if reason is not None or device is None or at is None:
                    rejected.append(Quarantined(block.device_id, flush.seq, index, at, reason or "", values))
                    continue
                quality = Quality(block.quality[index] & KNOWN_BITS)
                if flush.time_quality is TimeQuality.UNKNOWN:
                    quality |= Quality.TIME_UNCERTAIN
                rows.append(raw_row(device, at=at, seq=flush.seq, quality=quality, values=values, now=NOW))
                snapshot = snapshot_of(device, at=at, quality=quality, values=values, now=NOW)
                snapshots += [snapshot] if snapshot is not None else []
    return rows, rejected, newest(snapshots)


def rows_in(result: SortedBatch) -> list[RawRow]:
    return [
        RawRow(
            result.device_ids[row],
            result.moments[row],
            result.seqs[row],
            Quality(result.qualities[row]),
            {
                name: result.columns[name][row]
                for name in sorted(result.columns)
                if result.columns[name][row] is not None
            },
            result.extras.get(row, {}),
        )
        for row in range(len(result))
    ]


def without_absent(row: RawRow) -> RawRow:
    """A column that is absent and one that is NULL are the same in the table."""
    columns = {name: value for name, value in sorted(row.columns.items()) if value is not None}
    return RawRow(row.device_id, row.at, row.seq, row.quality, columns, row.extra)


@given(batches(), st.integers(0, 3))
def test_columns_mean_what_the_rules_say_of_each_reading(batch: Batch, after_seq: int) -> None:
    rows, rejected, snapshots = one_by_one(batch, after_seq)
    result = sort_batch(batch, DEVICES, now=NOW, after_seq=after_seq)
    # repr: NaN, which raw columns keep and flag, equals nothing, and -0.0 equals 0.0.
    assert repr(rows_in(result)) == repr([without_absent(row) for row in rows])
    assert repr(result.rejected) == repr(rejected)
    assert repr(result.snapshots(NOW)) == repr(snapshots)
    lengths = {len(column) for column in result.columns.values()} | {len(result.device_ids), len(result.seqs)}
    assert lengths == {len(rows)}
