"""Bodies as version 1 wrote them, kept for good: every later version must read them, and mean the same.

The files are never rewritten. A new version adds files of its own; one may go only when `MIN_SUPPORTED` has passed it.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cloud.ingest.schemas import decode_batch
from shared import wire

FOLDER = Path(__file__).parents[2] / "golden" / "wire"
VERSIONED = {model.__name__: model for model in wire.Versioned.__subclasses__()}
FILES = sorted(FOLDER.glob("*.json"))


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
    model = VERSIONED[path.name.split(".")[0]]
    read = json.loads(model.model_validate_json(path.read_bytes()).model_dump_json())
    assert kept(json.loads(path.read_text()), read)


@pytest.mark.parametrize("version", range(wire.MIN_SUPPORTED, wire.SCHEMA_VERSION + 1))
def test_every_supported_version_has_a_file_of_every_model(version: int) -> None:
    # A model that is newer than a version has none of it; none is so far.
    assert {path.name for path in FILES if f".v{version}." in path.name} == {
        f"{name}.v{version}.json" for name in VERSIONED
    }


def test_the_batch_of_version_1_is_read_by_the_hot_path_too() -> None:
    body = (FOLDER / "ReadingBatch.v1.json").read_bytes()
    fast, plain = decode_batch(body), wire.ReadingBatch.model_validate_json(body)
    assert (fast.epoch, fast.first_seq, fast.last_seq) == (plain.epoch, 41, 42)
    assert fast.flushes[0].blocks[0].values == {
        key: list(cells) for key, cells in plain.flushes[0].blocks[0].values.items()
    }
    assert [flush.started_at for flush in fast.flushes] == [flush.started_at for flush in plain.flushes]


def test_a_lost_value_would_be_seen() -> None:
    assert not kept({"a": [1, 2]}, {"a": [1, 3]})
    assert not kept({"a": 1, "b": 2}, {"a": 1})
    assert kept({"a": "2026-06-01T12:00:00+05:00"}, {"a": "2026-06-01T07:00:00Z", "new": 0})
