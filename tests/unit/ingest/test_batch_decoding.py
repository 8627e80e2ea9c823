"""msgspec's batch is the wire's batch, and a malformed one is named."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.schemas import Batch, MalformedBatchError, decode_batch, decode_version
from shared import wire
from shared.enums import TimeQuality

EPOCH = UUID("5b0f9d2e-0000-4000-8000-000000000001")

keys = st.sampled_from(["ac_power_kw", "ac_voltage_v.l1", "operating_state", "acme_x"])
cells = st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32) | st.text(max_size=8)


@st.composite
def blocks(draw: st.DrawFn) -> wire.Block:
    n = draw(st.integers(1, 4))
    column = st.lists(cells, min_size=n, max_size=n).map(tuple)
    return wire.Block(
        device_id=draw(st.uuids()),
        offsets_ms=tuple(draw(st.lists(st.integers(0, 10**7), min_size=n, max_size=n))),
        quality=tuple(draw(st.lists(st.integers(0, 255), min_size=n, max_size=n))),
        values=draw(st.dictionaries(keys, column, max_size=3)),
    )


@st.composite
def batches(draw: st.DrawFn) -> wire.ReadingBatch:
    first = draw(st.integers(1, 10**6))
    flushes = tuple(
        wire.Flush(
            seq=first + i,
            started_at=draw(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001 - hypothesis wants naive bounds
            time_quality=draw(st.sampled_from(TimeQuality)),
            blocks=tuple(draw(st.lists(blocks(), max_size=2))),
        )
        for i in range(draw(st.integers(1, 3)))
    )
    return wire.ReadingBatch(epoch=EPOCH, flushes=flushes)


@given(batches())
def test_the_two_decoders_read_the_same(batch: wire.ReadingBatch) -> None:
    decoded = decode_batch(batch.model_dump_json().encode())
    assert (decoded.epoch, decoded.schema_version) == (batch.epoch, batch.schema_version)
    assert decoded.reading_count == sum(flush.reading_count for flush in batch.flushes)
    for ours, theirs in zip(decoded.flushes, batch.flushes, strict=True):
        assert (ours.seq, ours.started_at, ours.time_quality) == (theirs.seq, theirs.started_at, theirs.time_quality)
        for mine, block in zip(ours.blocks, theirs.blocks, strict=True):
            assert mine.device_id == block.device_id
            assert tuple(mine.offsets_ms) == block.offsets_ms
            assert tuple(mine.quality) == block.quality
            assert {key: tuple(column) for key, column in mine.values.items()} == dict(block.values)


def good() -> dict[str, object]:
    return {
        "schema_version": 1,
        "epoch": str(EPOCH),
        "flushes": [
            {
                "seq": 7,
                "started_at": "2026-06-01T07:00:00Z",
                "time_quality": "synced",
                "blocks": [
                    {"device_id": str(EPOCH), "offsets_ms": [0], "quality": [0], "values": {"ac_power_kw": [1.5]}}
                ],
            }
        ],
    }


def test_the_good_one_is_good() -> None:
    batch = decode_batch(json.dumps(good()).encode())
    assert isinstance(batch, Batch)
    assert (batch.first_seq, batch.last_seq, batch.reading_count) == (7, 7, 1)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("epoch",), "x", "$.epoch"),
        (("flushes",), [], "$.flushes"),
        (("flushes", 0, "seq"), 0, "$.flushes[0].seq"),
        (("flushes", 0, "started_at"), "2026-06-01T07:00:00", "$.flushes[0].started_at"),
        (("flushes", 0, "time_quality"), "sundial", "$.flushes[0].time_quality"),
        (("flushes", 0, "blocks", 0, "quality"), [0, 0], "$.flushes[0].blocks[0].quality"),
        (("flushes", 0, "blocks", 0, "values"), {"ac_power_kw": []}, "$.flushes[0].blocks[0].values.ac_power_kw"),
        (("flushes", 0, "blocks", 0, "values"), {"AC Power": [1]}, "$.flushes[0].blocks[0].values"),
    ],
)
def test_a_malformed_batch_names_its_field(path: tuple[str | int, ...], value: object, field: str) -> None:
    body = good()
    target: object = body
    for step in path[:-1]:
        target = target[step]  # type: ignore[index]
    target[path[-1]] = value  # type: ignore[index]
    with pytest.raises(MalformedBatchError) as caught:
        decode_batch(json.dumps(body).encode())
    assert caught.value.field.startswith(field)
    assert str(caught.value)


def test_a_hole_in_the_sequence_is_named() -> None:
    body = good()
    flushes = body["flushes"]
    assert isinstance(flushes, list)
    flushes.append(flushes[0] | {"seq": 9})
    with pytest.raises(MalformedBatchError, match="is 9, expected 8") as caught:
        decode_batch(json.dumps(body).encode())
    assert caught.value.field == "$.flushes[1].seq"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"schema_version": "one"}', b"\xff\xfe"])
def test_what_is_no_object_has_no_version(body: bytes) -> None:
    with pytest.raises(MalformedBatchError):
        decode_version(body)


def test_the_version_is_read_even_where_the_rest_is_from_the_future() -> None:
    assert decode_version(b'{"schema_version": 9, "sheaves": {}}') == 9
