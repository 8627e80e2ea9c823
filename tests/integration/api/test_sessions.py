import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from cloud.auth.service import ACCESS_TTL, REFRESH_TTL, Passwords, make_super_admin, sweep_expired_sessions
from cloud.core.db import SYSTEM
from tests.integration.api.conftest import PASSWORD, Api, Person


async def log_in(api: Api, email: str = "ali@example.com", password: str = PASSWORD, **kwargs: Any) -> httpx.Response:
    return await api.call("POST", "/auth/login", json={"email": email, "password": password}, **kwargs)


async def refresh(api: Api, token: str) -> httpx.Response:
    return await api.call("POST", "/auth/refresh", json={"refresh_token": token})


@pytest.fixture
async def ali(api: Api) -> Person:
    return await api.person("ali@example.com")


async def me(api: Api, access_token: str) -> httpx.Response:
    return await api.call("GET", "/auth/me", headers={"Authorization": f"Bearer {access_token}"})


async def test_log_in_and_who_am_i(api: Api, ali: Person) -> None:
    answer = await log_in(api, "ALI@example.com")
    assert answer.status_code == 200, answer.text
    assert answer.json()["expires_in"] == ACCESS_TTL.total_seconds()
    who = await me(api, answer.json()["access_token"])
    assert who.json() == {
        "id": str(ali.id),
        "email": "ali@example.com",
        "is_super_admin": False,
        "language": "en",
        "memberships": [],
    }


async def test_wrong_password_unknown_and_inactive_accounts_look_the_same(api: Api, ali: Person) -> None:
    wrong = await log_in(api, password="not the password")
    unknown = await log_in(api, "nobody@example.com")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "login_failed")
    assert wrong.json() | {"correlation_id": ""} == unknown.json() | {"correlation_id": ""}
    assert "not the password" not in wrong.text


async def test_an_access_token_ends_and_a_forged_one_is_nothing(api: Api, ali: Person) -> None:
    token = (await log_in(api)).json()["access_token"]
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(claims | {"exp": claims["exp"] + 9_999}).encode()).decode().rstrip("=")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    for wrong in (f"{head}.{forged}.{signature}", f"{unsigned}.{body}.", "x", "a.b.c", "\u00e9"):
        answer = await api.http.get("/api/v1/auth/me", headers={b"Authorization": b"Bearer " + wrong.encode()})  # type: ignore[dict-item]
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid"), wrong
        assert "invalid_token" in answer.headers["www-authenticate"]
    api.clock.advance(seconds=ACCESS_TTL.total_seconds())
    expired = await me(api, token)
    assert (expired.status_code, expired.json()["code"]) == (401, "token_expired")


async def test_refresh_rotates_and_reuse_ends_the_family(api: Api, ali: Person) -> None:
    first = (await log_in(api)).json()["refresh_token"]
    second = (await refresh(api, first)).json()["refresh_token"]
    assert second != first
    # Within the grace time a lost answer can be asked for again.
    api.clock.advance(seconds=9)
    assert (await refresh(api, first)).status_code == 200
    api.clock.advance(seconds=2)
    reused = await refresh(api, first)
    assert (reused.status_code, reused.json()["code"]) == (401, "refresh_reused")
    ended = await refresh(api, second)
    assert (ended.status_code, ended.json()["code"]) == (401, "refresh_invalid")
    # Another login of the same person is another family.
    assert (await log_in(api)).status_code == 200


async def test_a_refresh_token_expires_and_an_unknown_one_is_refused(api: Api, ali: Person) -> None:
    token = (await log_in(api)).json()["refresh_token"]
    api.clock.advance(seconds=REFRESH_TTL.total_seconds())
    for value in (token, "unknown"):
        assert (await refresh(api, value)).json()["code"] == "refresh_invalid"


async def test_the_same_refresh_token_twice_at_once_is_one_family(api: Api, ali: Person) -> None:
    token = (await log_in(api)).json()["refresh_token"]
    answers = await asyncio.gather(refresh(api, token), refresh(api, token))
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_log_out_ends_the_session_and_may_be_repeated(api: Api, ali: Person) -> None:
    token = (await log_in(api)).json()["refresh_token"]
    for _ in range(2):
        assert (await api.call("POST", "/auth/logout", json={"refresh_token": token})).status_code == 204
    assert (await refresh(api, token)).json()["code"] == "refresh_invalid"


async def test_failures_lock_the_guesser_out_and_nobody_else(api: Api, ali: Person) -> None:
    limit = api.services.settings.login_attempts
    for _ in range(limit):
        assert (await log_in(api, password="guess")).status_code == 401
    locked = await log_in(api)
    assert (locked.status_code, locked.json()["code"]) == (429, "login_locked")
    assert 0 < int(locked.headers["retry-after"]) <= 900
    assert f"q={limit};w=900" in locked.headers["ratelimit-policy"]
    assert ";r=0;" in locked.headers["ratelimit"]
    transport = httpx.ASGITransport(api.app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as elsewhere:
        body = {"email": "ali@example.com", "password": PASSWORD}
        assert (await elsewhere.post("/api/v1/auth/login", json=body)).status_code == 200


async def test_a_success_forgives_the_failures_before_it(api: Api, ali: Person) -> None:
    for _ in range(3):
        for _ in range(api.services.settings.login_attempts - 1):
            assert (await log_in(api, password="guess")).status_code == 401
        assert (await log_in(api)).status_code == 200


async def test_a_new_password_ends_every_session(api: Api, ali: Person) -> None:
    session = (await log_in(api)).json()
    bearer = {"Authorization": f"Bearer {session['access_token']}"}
    change = {"current_password": "wrong", "new_password": "another long password"}
    refused = await api.call("POST", "/auth/password", headers=bearer, json=change)
    assert (refused.status_code, refused.json()["code"]) == (401, "login_failed")
    short = await api.call("POST", "/auth/password", headers=bearer, json=change | {"new_password": "short"})
    assert short.status_code == 422
    assert "short" not in short.json()["errors"][0].values()
    done = await api.call("POST", "/auth/password", headers=bearer, json=change | {"current_password": PASSWORD})
    assert done.status_code == 204
    assert (await refresh(api, session["refresh_token"])).status_code == 401
    assert (await log_in(api)).status_code == 401
    assert (await log_in(api, password="another long password")).status_code == 200


async def test_passwords_are_hashed_without_a_connection(
    api: Api, ali: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: list[int] = []
    verify = Passwords.verify

    async def watched(self: Passwords, password: str, stored: str | None) -> bool:
        free.append(api.services.db._engine.pool.checkedout())  # type: ignore[attr-defined]
        return await verify(self, password, stored)

    monkeypatch.setattr(Passwords, "verify", watched)
    session = (await log_in(api)).json()
    change = {"current_password": PASSWORD, "new_password": "another long password"}
    done = await api.call("POST", "/auth/password", ali, json=change)
    assert (done.status_code, free) == (204, [0, 0])
    assert (await refresh(api, session["refresh_token"])).status_code == 401


async def test_a_new_administrator_has_no_sessions_of_before(api: Api, ali: Person) -> None:
    token = (await log_in(api)).json()["refresh_token"]
    async with api.services.db.transaction(SYSTEM) as conn:
        made = await make_super_admin(
            conn,
            api.services.passwords,
            email="ali@example.com",
            password="an administrator's password",
            names=("Ali", ""),
            now=api.clock(),
        )
    assert not made
    assert (await refresh(api, token)).json()["code"] == "refresh_invalid"


async def test_text_that_no_encoding_holds_is_nobodys_password(api: Api, ali: Person) -> None:
    for path, body in (
        ("/auth/login", {"email": "ali@example.com", "password": "\ud800"}),
        ("/auth/refresh", {"refresh_token": "\ud800"}),
        ("/auth/logout", {"refresh_token": "\ud800"}),
        ("/invitations/accept", {"token": "\ud800", "password": PASSWORD}),
    ):
        content = json.dumps(body)
        answer = await api.call("POST", path, content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, len(answer.json()["errors"])) == (422, 1), path


async def test_expired_refresh_tokens_are_swept(api: Api, ali: Person) -> None:
    await log_in(api)
    api.clock.advance(days=1)
    await log_in(api)
    assert await sweep_expired_sessions(api.services.db, api.clock()) == 0
    api.clock.advance(seconds=REFRESH_TTL.total_seconds() - 60)
    assert await sweep_expired_sessions(api.services.db, api.clock()) == 1
    api.clock.advance(days=1)
    assert await sweep_expired_sessions(api.services.db, api.clock()) == 1


async def test_a_removed_account_is_out_at_once(api: Api, ali: Person) -> None:
    token = (await log_in(api)).json()["access_token"]
    async with api.services.db.transaction(SYSTEM) as conn:
        await conn.exec_driver_sql("UPDATE users SET is_active = false WHERE email = 'ali@example.com'")
    assert (await me(api, token)).json()["code"] == "token_invalid"
    assert (await log_in(api)).json()["code"] == "login_failed"
