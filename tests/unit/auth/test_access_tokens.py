"""Access tokens: a good signature is remembered, the time is not."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.auth.service import ACCESS_TTL, AccessTokens
from cloud.core.errors import UnauthenticatedError

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
USER = uuid4()


@pytest.fixture
def tokens() -> AccessTokens:
    return AccessTokens(Ed25519PrivateKey.generate(), issuer="https://solar.example")


def code_of(tokens: AccessTokens, token: str, at: datetime) -> str:
    with pytest.raises(UnauthenticatedError) as refused:
        tokens.verify(token, at)
    return refused.value.code


def test_a_token_that_was_good_a_moment_ago_expires_all_the_same(tokens: AccessTokens) -> None:
    token = tokens.issue(USER, NOON)
    last = NOON + ACCESS_TTL - timedelta(seconds=1)
    assert [tokens.verify(token, at) for at in (NOON, NOON, last)] == [USER] * 3
    assert code_of(tokens, token, NOON + ACCESS_TTL) == "token_expired"
    assert tokens.verify(token, NOON) == USER, "the clock of another process may be a little behind"


def test_what_was_not_signed_here_is_refused_every_time(tokens: AccessTokens) -> None:
    stranger = AccessTokens(Ed25519PrivateKey.generate(), issuer="https://solar.example").issue(USER, NOON)
    good = tokens.issue(USER, NOON)
    head, body, signature = good.split(".")
    forged = ".".join([head, body, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")])
    assert tokens.verify(good, NOON) == USER
    for token in (stranger, forged, "", "a.b.c"):
        assert [code_of(tokens, token, NOON) for _ in range(2)] == ["token_invalid"] * 2
