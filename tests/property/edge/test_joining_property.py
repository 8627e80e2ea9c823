"""Joining the flushes of a batch loses no reading and changes none."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sync.joining import joined
from shared.enums import Quality, TimeQuality
from shared.readings import Value
from shared.wire import Block, Flush, ReadingBatch

EPOCH = UUID(int=9)
BEGIN = datetime(2026, 6, 1, 6, 0, 0, 123_000, tzinfo=UTC)

cells: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4)
)
days_ms = st.integers(-40_000_000_000, 40_000_000_000)
"""A store may hold more than a year; after the clock was set, a later flush may have an earlier date."""


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    n = draw(st.integers(1, 4))
    keys = draw(st.lists(st.sampled_from(["ac_power_kw", "ac_voltage_v.l1", "link_up"]), unique=True, max_size=3))
    return Block(
        device_id=UUID(int=draw(st.integers(1, 2))),
        offsets_ms=tuple(draw(st.lists(st.integers(-5_000, 600_000), min_size=n, max_size=n))),
        quality=tuple(draw(st.lists(st.integers(0, 1023), min_size=n, max_size=n))),
        values={key: tuple(draw(st.lists(cells, min_size=n, max_size=n))) for key in keys},
    )


@st.composite
def rows_of_flushes(draw: st.DrawFn) -> list[Flush]:
    first = draw(st.integers(1, 10**9))
    contents = draw(st.lists(st.lists(blocks(), max_size=3), min_size=1, max_size=5))
    return [
        Flush(
            seq=seq,
            started_at=BEGIN + timedelta(milliseconds=draw(days_ms)),
            time_quality=draw(st.sampled_from(TimeQuality)),
            blocks=tuple(found),
        )
        for seq, found in enumerate(contents, start=first)
    ]


Told = tuple[int, UUID, datetime, int, dict[str, Value]]
"""Sequence, device, moment, quality, values."""


def readings_of(flush: Flush) -> list[Told]:
    unsure = Quality.TIME_UNCERTAIN if flush.time_quality is TimeQuality.UNKNOWN else 0
    return [
        (
            flush.seq,
            block.device_id,
            flush.started_at + timedelta(milliseconds=offset_ms),
            block.quality[index] | unsure,
            {key: cells[index] for key, cells in block.values.items()},
        )
        for block in flush.blocks
        for index, offset_ms in enumerate(block.offsets_ms)
    ]


def unjoined(batch: ReadingBatch, seq: int) -> list[Told]:
    """The readings of one flush."""
    return [
        (
            seq,
            stretch.device_id,
            batch.started_at + timedelta(milliseconds=stretch.offsets_ms[index]),
            stretch.quality[index],
            {key: cells[index] for key, cells in stretch.values.items()},
        )
        for stretch in batch.stretches
        for index in range(len(stretch.seqs))
        if stretch.seqs[index] == seq
    ]


def by_kind(readings: list[Told]) -> list[Told]:
    """By device and keys; within these as they were, since a stretch keeps their order."""
    return sorted(readings, key=lambda reading: (reading[1], tuple(reading[4])))


@given(rows_of_flushes())
def test_unjoining_gives_every_reading_back(flushes: list[Flush]) -> None:
    batch = joined(EPOCH, flushes)
    assert (batch.epoch, batch.first_seq, batch.last_seq) == (EPOCH, flushes[0].seq, flushes[-1].seq)
    for flush in flushes:
        assert by_kind(unjoined(batch, flush.seq)) == by_kind(readings_of(flush))


@given(rows_of_flushes())
def test_a_device_has_one_stretch_for_each_set_of_keys(flushes: list[Flush]) -> None:
    kinds = [(stretch.device_id, tuple(stretch.values)) for stretch in joined(EPOCH, flushes).stretches]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) == {(block.device_id, tuple(block.values)) for flush in flushes for block in flush.blocks}


@given(rows_of_flushes())
def test_the_flushes_of_a_stretch_ascend(flushes: list[Flush]) -> None:
    for stretch in joined(EPOCH, flushes).stretches:
        assert list(stretch.seqs) == sorted(stretch.seqs)


@given(rows_of_flushes())
def test_what_is_joined_can_be_read(flushes: list[Flush]) -> None:
    batch = joined(EPOCH, flushes)
    assert ReadingBatch.model_validate_json(batch.model_dump_json()) == batch
