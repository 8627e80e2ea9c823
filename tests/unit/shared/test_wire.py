"""The wire models refuse what would be stored wrongly, and hide what must not be printed."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from shared.enums import TimeQuality
from shared.wire import Block, EdgePlan, EnrolAnswer, EnrolRequest, Flush, PlanSite, ReadingBatch

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


def test_columns_must_be_equally_long() -> None:
    with pytest.raises(ValidationError, match="ac_power_kw has 1 entries for 2 readings"):
        block(ac_power_kw=(1.0,))
    with pytest.raises(ValidationError, match="quality has 1 entries for 2 readings"):
        Block(device_id=DEVICE, offsets_ms=(0, 10), quality=(0,), values={})


def test_a_hole_in_the_sequence_is_refused() -> None:
    assert ReadingBatch(epoch=DEVICE, flushes=(flush(4), flush(5))).flushes[1].reading_count == 2
    with pytest.raises(ValidationError, match=r"flushes\[1\].seq is 6, expected 5"):
        ReadingBatch(epoch=DEVICE, flushes=(flush(4), flush(6)))


def test_a_newer_senders_fields_are_ignored() -> None:
    body = json.loads(ReadingBatch(epoch=DEVICE, flushes=(flush(1),)).model_dump_json())
    body["flushes"][0]["weather"] = "dust"
    assert ReadingBatch.model_validate(body).flushes[0].seq == 1
