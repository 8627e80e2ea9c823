"""The wire models refuse what would be stored wrongly, and hide what must not be printed."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from shared.enums import TimeQuality
from shared.wire import (
    Block,
    EdgePlan,
    EnrolAnswer,
    EnrolRequest,
    Flush,
    FlushBatch,
    PlanSite,
    ReadingBatch,
    Stretch,
)

DEVICE = UUID(int=1)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_a_credential_is_in_the_json_and_nowhere_else() -> None:
    plan = EdgePlan(revision=1, site=PlanSite(id=DEVICE, name="roof", timezone="Asia/Karachi"))
    answer = EnrolAnswer(gateway_id=DEVICE, credential=SecretStr("she_secret"), plan=plan, server_time=NOW)
    assert json.loads(answer.model_dump_json())["credential"] == "she_secret"
    assert EnrolAnswer.model_validate_json(answer.model_dump_json()) == answer
    assert "she_secret" not in f"{answer!r} {answer} {answer.model_dump()}"


@pytest.mark.parametrize("code", ["ABCD-EFGH", "K7QW-3MZP"])
def test_good_codes(code: str) -> None:
    assert (
        EnrolRequest.model_validate({"code": code, "epoch": str(DEVICE), "facts": {"agent_version": "1"}}).code == code
    )


@pytest.mark.parametrize("code", ["abcd-efgh", "ABCD-EFG0", "ABCDEFGH", "ABCD-EFGI", ""])
def test_bad_codes_are_named(code: str) -> None:
    with pytest.raises(ValidationError, match="code"):
        EnrolRequest.model_validate({"code": code, "epoch": str(DEVICE), "facts": {"agent_version": "1"}})


def block(**values: tuple[float | None, ...]) -> Block:
    return Block(device_id=DEVICE, offsets_ms=(0, 10), quality=(0, 0), values=values)


def flush(seq: int) -> Flush:
    return Flush(seq=seq, started_at=NOW, time_quality=TimeQuality.SYNCED, blocks=(block(ac_power_kw=(1.0, None)),))


def stretch(*seqs: int, **changes: Any) -> Stretch:
    n = len(seqs)
    columns: dict[str, Any] = {"offsets_ms": range(n), "quality": [0] * n, "values": {"ac_power_kw": [1.0] * n}}
    return Stretch.model_validate({"device_id": DEVICE, "seqs": seqs, **columns, **changes})


def batch(first_seq: int, last_seq: int, *stretches: Stretch) -> ReadingBatch:
    return ReadingBatch(epoch=DEVICE, first_seq=first_seq, last_seq=last_seq, started_at=NOW, stretches=stretches)


def test_columns_must_be_equally_long() -> None:
    with pytest.raises(ValidationError, match="ac_power_kw has 1 entries for 2 readings"):
        block(ac_power_kw=(1.0,))
    with pytest.raises(ValidationError, match="quality has 1 entries for 2 readings"):
        Block(device_id=DEVICE, offsets_ms=(0, 10), quality=(0,), values={})


@pytest.mark.parametrize("column", ["offsets_ms", "quality", "values"])
def test_columns_of_a_stretch_must_be_equally_long(column: str) -> None:
    uneven = {"ac_power_kw": [1.0]} if column == "values" else [0]
    with pytest.raises(ValidationError, match=f"{column}.* has 1 entries for 2 readings"):
        stretch(4, 5, **{column: uneven})


def test_a_stretch_has_a_reading() -> None:
    with pytest.raises(ValidationError, match="seqs"):
        stretch()


def test_a_hole_in_the_sequence_of_version_1_is_refused() -> None:
    assert FlushBatch(epoch=DEVICE, flushes=(flush(4), flush(5))).flushes[1].reading_count == 2
    with pytest.raises(ValidationError, match=r"flushes\[1\].seq is 6, expected 5"):
        FlushBatch(epoch=DEVICE, flushes=(flush(4), flush(6)))


def test_a_reading_belongs_to_one_of_the_flushes_that_the_batch_names() -> None:
    assert batch(4, 6, stretch(4, 6)).schema_version == 2
    assert batch(4, 6).stretches == (), "flushes may be empty"
    for outside in (3, 7):
        with pytest.raises(ValidationError, match=rf"stretches\[1\].seqs holds {outside}, outside 4 to 6"):
            batch(4, 6, stretch(5), stretch(5, outside))
    with pytest.raises(ValidationError, match="last_seq is 3, before first_seq 4"):
        batch(4, 3)


def test_a_newer_senders_fields_are_ignored() -> None:
    body = json.loads(batch(1, 1, stretch(1)).model_dump_json())
    body["stretches"][0]["weather"] = "dust"
    assert ReadingBatch.model_validate(body).stretches[0].seqs == (1,)
