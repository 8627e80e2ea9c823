"""Sorting batches into columns means the same as judging their readings one by one."""

import math
from collections.abc import Sequence, Sized
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.columns import KNOWN_BITS, SortedBatch, sort_batch
from cloud.ingest.rows import Rows
from cloud.ingest.rules import (
    LATEST_OFFSET,
    DirtyBucket,
    KnownDevice,
    Quarantined,
    RawRow,
    Snapshot,
    dirty_buckets,
    newest,
    quarantine_reason,
    raw_row,
    snapshot_of,
)
from cloud.ingest.schemas import Batch, Cell, Stretch
from shared.counters import moment_of, unix_us
from shared.enums import DeviceType, Quality

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DEVICES = {
    UUID(int=1): KnownDevice(UUID(int=1), 11, NOW - timedelta(days=30), 5.0, DeviceType.INVERTER),
    UUID(int=2): KnownDevice(UUID(int=2), 12, NOW - timedelta(hours=1), None, DeviceType.METER),
}
SITE, OTHER_SITE = UUID(int=101), UUID(int=102)
OTHERS = {UUID(int=4): KnownDevice(UUID(int=4), 14, NOW - timedelta(days=30), 1000.0, DeviceType.BATTERY)}
FLUSHES = 4
LARGEST_REAL = 3.4028234663852886e38
"""The largest number of IEEE 754 binary32."""
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
    st.sampled_from([0.0, -0.0, 6.25, -6.25, math.nextafter(6.25, 7), 70.0, 1e9, 1.1e9, 1e300, 1e-50]),
    st.sampled_from([LARGEST_REAL, -LARGEST_REAL, math.nextafter(LARGEST_REAL, math.inf), 1.7e308, -1.7e308]),
    st.sampled_from([math.inf, -math.inf, math.nan]),
    st.sampled_from(["running", "", "x" * 32, "x" * 33, "a\0b"]),
)
hour_us = 3_600_000_000
ONE_YEAR_US = int(LATEST_OFFSET.total_seconds()) * 1_000_000
moments_us = st.one_of(
    st.integers(-3 * hour_us, hour_us),
    st.sampled_from([0, 1, 300_000_000, 300_000_001, -hour_us, -hour_us - 1, -(10**18), 10**18, 10**33, -(10**33)]),
    st.integers(-5, 5).map(lambda us: ONE_YEAR_US + us),
).map(lambda us: unix_us(NOW) + us)


@st.composite
def stretches(draw: st.DrawFn, known: Sequence[UUID]) -> Stretch:
    n = draw(st.integers(1, 5))
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=6))
    # Readings of one kind in one column, as they nearly always are, or any after any.
    column = draw(
        st.sampled_from([cells, st.floats(-7, 7), st.floats(0, 1e39), st.sampled_from(["running", "x" * 33])])
    )
    return Stretch(
        device_id=draw(st.sampled_from([*known, UUID(int=3)])),
        seqs=draw(st.lists(st.integers(1, FLUSHES), min_size=n, max_size=n)),
        moments_us=draw(st.lists(moments_us, min_size=n, max_size=n)),
        quality=draw(st.lists(st.one_of(st.just(0), st.integers(0, 1023)), min_size=n, max_size=n)),
        values={key: draw(st.lists(column, min_size=n, max_size=n)) for key in keys},
    )


def batches(known: Sequence[UUID]) -> st.SearchStrategy[Batch]:
    contents = st.lists(stretches(known), max_size=4)
    return contents.map(lambda found: Batch(UUID(int=9), 1, FLUSHES, found))


Told = tuple[list[RawRow], list[Quarantined], list[Snapshot]]


def one_by_one(batch: Batch, devices: dict[UUID, KnownDevice], after_seq: int) -> Told:
    """The plain meaning: every reading judged for itself."""
    rows, rejected, snapshots = [], [], []
    for stretch in batch.stretches:
        device = devices.get(stretch.device_id)
        for index, (seq, at_us) in enumerate(zip(stretch.seqs, stretch.moments_us, strict=True)):
            if seq <= after_seq:
                continue
            values = {key: column[index] for key, column in stretch.values.items()}
            try:
                at = moment_of(at_us)
            except OverflowError:
                at = None
            reason = quarantine_reason(at, known=device is not None, now=NOW)
            if reason is not None or device is None or at is None:
                within = index - stretch.seqs.index(seq)
                rejected.append(Quarantined(stretch.device_id, seq, within, at, reason or "", values))
                continue
            quality = Quality(stretch.quality[index] & KNOWN_BITS)
            rows.append(raw_row(device, at=at, seq=seq, quality=quality, values=values, now=NOW))
            snapshot = snapshot_of(device, at=at, quality=quality, values=values, now=NOW)
            snapshots += [snapshot] if snapshot is not None else []
    return rows, sorted(rejected, key=lambda reading: reading.seq), newest(snapshots)


def rows_in(rows: Rows, sorted_batch: SortedBatch, devices: dict[UUID, KnownDevice]) -> list[RawRow]:
    ids = {device.number: device.id for device in devices.values()}
    return [
        RawRow(
            ids[rows.device_numbers[row]],
            moment_of(rows.moments_us[row]),
            rows.seqs[row],
            Quality(rows.qualities[row]),
            {name: rows.columns[name][row] for name in sorted(rows.columns) if rows.columns[name][row] is not None},
            rows.extras.get(row, {}),
        )
        for row in range(sorted_batch.first_row, sorted_batch.end_row)
    ]


def without_absent(row: RawRow) -> RawRow:
    """A column that is absent and one that is NULL are the same in the table."""
    columns = {name: value for name, value in sorted(row.columns.items()) if value is not None}
    return RawRow(row.device_id, row.at, row.seq, row.quality, columns, row.extra)


def marks_of(dirty: Sequence[DirtyBucket]) -> set[tuple[UUID, int]]:
    return {(each.device_id, unix_us(each.bucket)) for each in dirty}


def assert_same(rows: Rows, result: SortedBatch, told: Told, devices: dict[UUID, KnownDevice]) -> None:
    expected, rejected, snapshots = told
    # repr: NaN equals nothing, and -0.0 equals 0.0.
    assert repr(rows_in(rows, result, devices)) == repr([without_absent(row) for row in expected])
    assert repr(result.rejected) == repr(rejected)
    assert repr(result.snapshots(rows)) == repr(snapshots)
    assert result.dirty == marks_of(dirty_buckets(expected, now=NOW))


@given(batches([*DEVICES]), st.integers(0, FLUSHES - 1))
def test_columns_mean_what_the_rules_say_of_each_reading(batch: Batch, after_seq: int) -> None:
    rows = Rows()
    told = one_by_one(batch, DEVICES, after_seq)
    result = sort_batch(batch, DEVICES, site_id=SITE, now=NOW, into=rows, after_seq=after_seq)
    rows.fill()
    assert_same(rows, result, told, DEVICES)
    assert result.flagged == sum(1 for row in told[0] if row.quality)
    assert rows.site_ids == [SITE] * len(told[0])


@given(st.lists(st.tuples(st.booleans(), batches([*DEVICES, *OTHERS]), st.integers(0, 2)), min_size=2, max_size=4))
def test_batches_of_several_sites_in_one_set_of_rows_stay_apart(sent: list[tuple[bool, Batch, int]]) -> None:
    rows, results = Rows(), []
    for is_other, batch, after_seq in sent:
        site_id, devices = (OTHER_SITE, OTHERS) if is_other else (SITE, DEVICES)
        told = one_by_one(batch, devices, after_seq)
        result = sort_batch(batch, devices, site_id=site_id, now=NOW, into=rows, after_seq=after_seq)
        results.append((site_id, devices, told, result))
    rows.fill()
    for site_id, devices, told, result in results:
        assert_same(rows, result, told, devices)
        assert result.flagged == sum(1 for row in told[0] if row.quality)
        assert set(rows.site_ids[result.first_row : result.end_row]) <= {site_id}
    assert [result.first_row for *_, result in results] == [0, *(result.end_row for *_, result in results)][:-1]
    lists: list[Sized] = [
        rows.site_ids,
        rows.device_numbers,
        rows.moments_us,
        rows.seqs,
        rows.qualities,
        *rows.columns.values(),
    ]
    assert {len(each) for each in lists} == {results[-1][-1].end_row}
    assert all(row < len(rows) for row in rows.extras)


@given(batches([*DEVICES]))
def test_every_number_fits_its_column(batch: Batch) -> None:
    rows = Rows()
    sort_batch(batch, DEVICES, site_id=SITE, now=NOW, into=rows)
    gauges = [value for name, column in rows.columns.items() if name != "energy_total_kwh" for value in column]
    assert all(abs(value) <= LARGEST_REAL for value in gauges if isinstance(value, float))


class Compared(int):
    """A sequence number that counts how often one like it is compared with another for being the same."""

    times = 0
    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return int(self) == other


def test_a_very_large_batch_of_nothing_but_strangers_is_no_burden() -> None:
    """A process serves thousands of gateways: nothing that one of them sends may keep it for long.

    A reading refused is not searched for among the others of its batch: that would be the square of their number.
    """
    n, Compared.times = 2_000, 0
    begin_us = unix_us(NOW)
    seqs: list[int] = [Compared(seq) for seq in range(1, n + 1)]
    stranger = Stretch(UUID(int=3), seqs, [begin_us + i for i in range(n)], [0] * n, {KEYS[0]: [1.0] * n})
    result = sort_batch(Batch(UUID(int=9), 1, n, [stranger]), DEVICES, site_id=SITE, now=NOW, into=Rows())
    assert len(result.rejected) == n
    assert Compared.times <= 2 * n
