"""Claim codes survive being read aloud; credentials survive the header."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.fleet.rules import (
    CLAIM_CODE_BYTES,
    Credential,
    claim_code,
    normalise_claim_code,
    parse_credential,
)
from shared.wire import CLAIM_CODE_PATTERN

SECRET = st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True)


@given(st.binary(min_size=CLAIM_CODE_BYTES, max_size=CLAIM_CODE_BYTES))
def test_a_code_is_readable_and_comes_back_as_typed(random: bytes) -> None:
    code = claim_code(random)
    assert re.fullmatch(CLAIM_CODE_PATTERN, code)
    assert normalise_claim_code(code.lower().replace("-", " ")) == code


def test_different_bytes_make_different_codes() -> None:
    codes = {claim_code(n.to_bytes(CLAIM_CODE_BYTES)) for n in range(5_000)}
    assert len(codes) == 5_000


@pytest.mark.parametrize("typed", ["", "ABCD", "ABCD-EFG", "ABCD-EFGHJ", "ABCD-EFG0", "ABCD-EFGI", "ابجد-EFGH"])
def test_what_can_be_no_code_is_none(typed: str) -> None:
    assert normalise_claim_code(typed) is None


@given(st.uuids(), SECRET)
def test_a_credential_comes_back(gateway_id: UUID, secret: str) -> None:
    credential = Credential(gateway_id, secret)
    assert parse_credential(credential.text) == credential


@pytest.mark.parametrize("text", ["", "she_", "eyJhbGciOi", "she_" + "0" * 32, "she_" + "g" * 32 + "_" + "a" * 43])
def test_other_tokens_are_none(text: str) -> None:
    assert parse_credential(text) is None
