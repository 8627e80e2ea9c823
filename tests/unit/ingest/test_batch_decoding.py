"""msgspec's batch is the wire's batch in both versions, and a malformed one is named."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.schemas import LARGEST_SEQ, Batch, MalformedBatchError, decode_batch, decode_version
from edge_agent.sync.joining import joined
from shared import wire
from shared.counters import unix_us
from shared.enums import Quality, TimeQuality
from shared.readings import Value

EPOCH = UUID("5b0f9d2e-0000-4000-8000-000000000001")

keys = st.sampled_from(["ac_power_kw", "ac_voltage_v.l1", "operating_state", "acme_x"])
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
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
def flush_batches(draw: st.DrawFn) -> wire.FlushBatch:
    first = draw(st.integers(1, 10**6))
    flushes = tuple(
        wire.Flush(
            seq=first + i,
            started_at=draw(moments),
            time_quality=draw(st.sampled_from(TimeQuality)),
            blocks=tuple(draw(st.lists(blocks(), max_size=2))),
        )
        for i in range(draw(st.integers(1, 3)))
    )
    return wire.FlushBatch(epoch=EPOCH, flushes=flushes)


@st.composite
def reading_batches(draw: st.DrawFn) -> wire.ReadingBatch:
    first = draw(st.integers(1, LARGEST_SEQ - 10))
    last = first + draw(st.integers(0, 10))
    stretches = []
    for block in draw(st.lists(blocks(), max_size=3)):
        n = len(block.offsets_ms)
        seqs = tuple(draw(st.lists(st.integers(first, last), min_size=n, max_size=n)))
        stretches.append(wire.Stretch(seqs=seqs, **dict(block)))
    return wire.ReadingBatch(
        epoch=EPOCH, first_seq=first, last_seq=last, started_at=draw(moments), stretches=tuple(stretches)
    )


@given(reading_batches())
def test_the_two_decoders_of_version_2_read_the_same(batch: wire.ReadingBatch) -> None:
    decoded = decode_batch(batch.model_dump_json().encode())
    assert (decoded.epoch, decoded.first_seq, decoded.last_seq) == (batch.epoch, batch.first_seq, batch.last_seq)
    assert decoded.reading_count == sum(len(stretch.seqs) for stretch in batch.stretches)
    for ours, theirs in zip(decoded.stretches, batch.stretches, strict=True):
        assert ours.device_id == theirs.device_id
        assert tuple(ours.seqs) == theirs.seqs
        assert ours.moments_us == [unix_us(batch.started_at) + 1000 * offset for offset in theirs.offsets_ms]
        assert tuple(ours.quality) == theirs.quality
        assert {key: tuple(column) for key, column in ours.values.items()} == dict(theirs.values)


Reading = tuple[int, int, int, dict[str, Value]]
"""Sequence, microseconds of Unix time, quality, values."""


def told(batch: wire.FlushBatch) -> dict[UUID, list[Reading]]:
    """What version 1 says, reading by reading, of each device in order."""
    found: dict[UUID, list[Reading]] = defaultdict(list)
    for flush in batch.flushes:
        unsure = Quality.TIME_UNCERTAIN if flush.time_quality is TimeQuality.UNKNOWN else 0
        for block in flush.blocks:
            for index, offset_ms in enumerate(block.offsets_ms):
                at = flush.started_at + timedelta(milliseconds=offset_ms)
                values = {key: column[index] for key, column in block.values.items()}
                found[block.device_id].append((flush.seq, unix_us(at), block.quality[index] | unsure, values))
    return {device_id: alike(readings) for device_id, readings in found.items()}


def alike(readings: Iterable[Reading]) -> list[Reading]:
    """By flush, and those of one set of keys together, as stretches have them."""
    return sorted(readings, key=lambda reading: (tuple(reading[3]), reading[0]))


def read(batch: Batch) -> dict[UUID, list[Reading]]:
    found: dict[UUID, list[Reading]] = defaultdict(list)
    for stretch in batch.stretches:
        for index, row in enumerate(zip(stretch.seqs, stretch.moments_us, stretch.quality, strict=True)):
            values = {key: column[index] for key, column in stretch.values.items()}
            found[stretch.device_id].append((*row, values))
    return {device_id: alike(readings) for device_id, readings in found.items()}


@given(flush_batches())
def test_the_two_decoders_of_version_1_read_the_same(batch: wire.FlushBatch) -> None:
    decoded = decode_batch(batch.model_dump_json().encode())
    assert (decoded.epoch, decoded.first_seq, decoded.last_seq) == (
        batch.epoch,
        batch.flushes[0].seq,
        batch.flushes[-1].seq,
    )
    assert decoded.reading_count == sum(flush.reading_count for flush in batch.flushes)
    assert read(decoded) == told(batch)


@given(flush_batches())
def test_what_the_agent_joins_is_what_version_1_said(batch: wire.FlushBatch) -> None:
    begin = batch.flushes[0].started_at.replace(microsecond=0)
    whole = [flush.model_copy(update={"started_at": begin + timedelta(seconds=flush.seq)}) for flush in batch.flushes]
    sent = joined(EPOCH, whole).model_dump_json().encode()
    assert read(decode_batch(sent)) == told(batch.model_copy(update={"flushes": tuple(whole)}))


def of_version_1() -> dict[str, Any]:
    block = {"device_id": str(EPOCH), "offsets_ms": [0], "quality": [0], "values": {"ac_power_kw": [1.5]}}
    flush = {"seq": 7, "started_at": "2026-06-01T07:00:00Z", "time_quality": "synced", "blocks": [block]}
    return {"schema_version": 1, "epoch": str(EPOCH), "flushes": [flush]}


def of_version_2() -> dict[str, Any]:
    stretch = {
        "device_id": str(EPOCH),
        "seqs": [7, 8],
        "offsets_ms": [0, 10],
        "quality": [0, 0],
        "values": {"ac_power_kw": [1.5, None]},
    }
    return {
        "schema_version": 2,
        "epoch": str(EPOCH),
        "first_seq": 7,
        "last_seq": 8,
        "started_at": "2026-06-01T07:00:00Z",
        "stretches": [stretch],
    }


def test_the_good_ones_are_good() -> None:
    one, two = (decode_batch(json.dumps(body).encode()) for body in (of_version_1(), of_version_2()))
    assert (one.first_seq, one.last_seq, one.reading_count) == (7, 7, 1)
    assert (two.first_seq, two.last_seq, two.reading_count) == (7, 8, 2)


def test_a_batch_that_names_no_version_is_of_todays() -> None:
    body = of_version_2()
    del body["schema_version"]
    assert decode_batch(json.dumps(body).encode()).last_seq == 8


def refused(body: object) -> MalformedBatchError:
    with pytest.raises(MalformedBatchError) as caught:
        decode_batch(json.dumps(body).encode())
    assert str(caught.value)
    return caught.value


def changed(body: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    target: Any = body
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return body


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
def test_a_malformed_batch_of_version_1_names_its_field(path: tuple[str | int, ...], value: object, field: str) -> None:
    assert refused(changed(of_version_1(), path, value)).field.startswith(field)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("epoch",), "x", "$.epoch"),
        (("first_seq",), 0, "$.first_seq"),
        (("last_seq",), 6, "$.last_seq"),
        (("last_seq",), LARGEST_SEQ + 1, "$.last_seq"),
        (("started_at",), "2026-06-01T07:00:00", "$.started_at"),
        (("stretches", 0, "seqs"), [], "$.stretches[0].seqs"),
        (("stretches", 0, "seqs"), [7], "$.stretches[0].offsets_ms"),
        (("stretches", 0, "seqs"), [6, 7], "$.stretches[0].seqs"),
        (("stretches", 0, "seqs"), [7, 9], "$.stretches[0].seqs"),
        (("stretches", 0, "offsets_ms"), [0], "$.stretches[0].offsets_ms"),
        (("stretches", 0, "offsets_ms"), [0, 1.5], "$.stretches[0].offsets_ms[1]"),
        (("stretches", 0, "quality"), [0], "$.stretches[0].quality"),
        (("stretches", 0, "values"), {"ac_power_kw": [1.0]}, "$.stretches[0].values.ac_power_kw"),
        (("stretches", 0, "values"), {"ac_power_kw": [1.0, [2]]}, "$.stretches[0].values"),
        (("stretches", 0, "values"), {"AC Power": [1, 2]}, "$.stretches[0].values"),
        (("stretches", 0, "values"), {"a" * 65: [1, 2]}, "$.stretches[0].values"),
    ],
)
def test_a_malformed_batch_of_version_2_names_its_field(path: tuple[str | int, ...], value: object, field: str) -> None:
    assert refused(changed(of_version_2(), path, value)).field.startswith(field)


@pytest.mark.parametrize("path", [("first_seq",), ("last_seq",), ("started_at",), ("stretches",)])
def test_what_version_2_must_have_is_named_when_it_is_missing(path: tuple[str]) -> None:
    body = of_version_2()
    del body[path[0]]
    assert path[0] in str(refused(body))


def test_a_hole_in_the_sequence_of_version_1_is_named() -> None:
    body = of_version_1()
    body["flushes"].append(body["flushes"][0] | {"seq": 9})
    error = refused(body)
    assert (error.field, "is 9, expected 8" in str(error)) == ("$.flushes[1].seq", True)


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_batch_written_as_version_2_is_of_no_other(version: int) -> None:
    refused(of_version_2() | {"schema_version": version})


@pytest.mark.parametrize("version", [0, 2, 3])
def test_a_batch_written_as_version_1_is_of_no_other(version: int) -> None:
    refused(of_version_1() | {"schema_version": version})


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"schema_version": "one"}', b"\xff\xfe"])
def test_what_is_no_object_has_no_version(body: bytes) -> None:
    with pytest.raises(MalformedBatchError):
        decode_version(body)


def test_the_version_is_read_even_where_the_rest_is_from_the_future() -> None:
    assert decode_version(b'{"schema_version": 9, "sheaves": {}}') == 9
