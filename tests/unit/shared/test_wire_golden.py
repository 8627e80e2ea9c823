"""Bodies as every supported version wrote them, kept for good: later versions must read them, and mean the same.

The files are never rewritten. A new version adds a file of each body that it changed; one may go only when `MIN_SUPPORTED` has passed
it. Version 2 changed only the batch of readings, which joins its flushes: every other body is that of version 1 but for its number.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cloud.ingest.schemas import decode_batch
from edge_agent.sync.joining import joined
from shared import wire
from shared.counters import moment_of

EPOCH = UUID("018f0000-0000-7000-8000-000000000009")
FOLDER = Path(__file__).parents[2] / "golden" / "wire"
VERSIONED = {model.__name__: model for model in wire.Versioned.__subclasses__()}
FILES = sorted(FOLDER.glob("*.json"))
SINCE = {
    1: {
        "AlertAck",
        "AlertBatch",
        "BatchAck",
        "EdgePlan",
        "EnrolAnswer",
        "EnrolRequest",
        "Heartbeat",
        "HeartbeatAnswer",
        "ReadingBatch",
    },
    2: {"ReadingBatch"},
}
"""Bodies that a version brought or changed."""

FORMER: dict[str, type[wire.Versioned]] = {"ReadingBatch.v1": wire.FlushBatch}
"""Models of bodies that a later version writes in another way."""


def kept(sent: Any, read: Any) -> bool:
    """Whether everything that was sent is in what was read; what a later version added has a default."""
    if isinstance(sent, dict):
        return isinstance(read, dict) and all(key in read and kept(value, read[key]) for key, value in sent.items())
    if isinstance(sent, list):
        return len(sent) == len(read) and all(kept(*pair) for pair in zip(sent, read, strict=True))
    return bool(sent == read) or _same_moment(sent, read)


def _same_moment(sent: Any, read: Any) -> bool:
    try:
        return datetime.fromisoformat(sent) == datetime.fromisoformat(read)
    except (TypeError, ValueError):
        return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_body_of_an_older_version_is_read_whole(path: Path) -> None:
    model = FORMER.get(path.stem) or VERSIONED[path.name.split(".")[0]]
    read = json.loads(model.model_validate_json(path.read_bytes()).model_dump_json())
    assert kept(json.loads(path.read_text()), read)


def test_every_supported_version_has_a_file_of_every_body_that_it_changed() -> None:
    supported = range(wire.MIN_SUPPORTED, wire.SCHEMA_VERSION + 1)
    assert list(SINCE) == list(supported)
    assert {path.stem for path in FILES} == {f"{name}.v{version}" for version in supported for name in SINCE[version]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_says_which_version_it_is_of(path: Path) -> None:
    assert json.loads(path.read_text())["schema_version"] == int(path.stem.rpartition(".v")[2])


def test_every_body_of_today_has_a_file() -> None:
    former = {model.__name__ for model in FORMER.values()}
    assert VERSIONED.keys() - former == SINCE[1] | SINCE[2]


def test_the_batch_of_version_1_is_read_by_the_hot_path_too() -> None:
    body = (FOLDER / "ReadingBatch.v1.json").read_bytes()
    fast, plain = decode_batch(body), wire.FlushBatch.model_validate_json(body)
    assert (fast.epoch, fast.first_seq, fast.last_seq) == (plain.epoch, 41, 42)
    [stretch], block = fast.stretches, plain.flushes[0].blocks[0]
    assert (stretch.device_id, stretch.seqs, stretch.quality) == (block.device_id, [41, 41], [0, 128])
    assert stretch.values == {key: list(cells) for key, cells in block.values.items()}
    begin = plain.flushes[0].started_at
    assert [moment_of(at) for at in stretch.moments_us] == [begin, begin + timedelta(seconds=10)]


def test_the_batch_of_version_2_is_read_by_the_hot_path_too() -> None:
    body = (FOLDER / "ReadingBatch.v2.json").read_bytes()
    fast, plain = decode_batch(body), wire.ReadingBatch.model_validate_json(body)
    assert (fast.epoch, fast.first_seq, fast.last_seq) == (plain.epoch, 41, 44)
    for ours, theirs in zip(fast.stretches, plain.stretches, strict=True):
        assert (ours.device_id, *map(tuple, (ours.seqs, ours.quality))) == (
            theirs.device_id,
            theirs.seqs,
            theirs.quality,
        )
        assert {key: tuple(cells) for key, cells in ours.values.items()} == theirs.values
        assert [moment_of(at) for at in ours.moments_us] == [
            plain.started_at + timedelta(milliseconds=offset) for offset in theirs.offsets_ms
        ]


def test_the_readings_of_version_1_mean_the_same_when_joined() -> None:
    body = (FOLDER / "ReadingBatch.v1.json").read_bytes()
    sent = joined(EPOCH, wire.FlushBatch.model_validate_json(body).flushes)
    assert decode_batch(sent.model_dump_json().encode()) == decode_batch(body)


def test_a_lost_value_would_be_seen() -> None:
    assert not kept({"a": [1, 2]}, {"a": [1, 3]})
    assert not kept({"a": 1, "b": 2}, {"a": 1})
    assert kept({"a": "2026-06-01T12:00:00+05:00"}, {"a": "2026-06-01T07:00:00Z", "new": 0})
