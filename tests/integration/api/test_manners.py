import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from cloud.core.db import SYSTEM, asyncpg_of
from cloud.core.engine import create_engine
from cloud.web import errors
from cloud.web.deps import Conn
from cloud.web.idempotency import sweep_old_keys
from cloud.web.limits import Rate
from tests.integration.api.conftest import Api, World


def site_body(world: World, name: str = "Home") -> dict[str, Any]:
    return {"organization_id": str(world.organization_id), "name": name}


async def site_names(world: World) -> list[str]:
    answer = await world.api.call("GET", "/sites", world.owner, params={"limit": 200})
    return [site["name"] for site in answer.json()["items"]]


class TestIdempotency:
    async def test_the_same_request_twice_is_done_once(self, world: World) -> None:
        api = world.api
        first = await api.call("POST", "/sites", world.owner, json=site_body(world), key="k1")
        second = await api.call("POST", "/sites", world.owner, json=site_body(world), key="k1")
        assert (first.status_code, second.status_code) == (201, 201)
        assert second.json() == first.json()
        assert second.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        for kept in ("etag", "location", "content-type"):
            assert second.headers[kept] == first.headers[kept]
        assert (await site_names(world)).count("Home") == 1

    async def test_the_order_of_keys_in_the_body_does_not_matter(self, world: World) -> None:
        body = site_body(world)
        turned = dict(reversed(body.items()))
        first = await world.api.call("POST", "/sites", world.owner, json=body, key="k")
        assert (await world.api.call("POST", "/sites", world.owner, json=turned, key="k")).json() == first.json()

    async def test_another_body_or_address_with_the_same_key_is_refused(self, world: World) -> None:
        await world.api.call("POST", "/sites", world.owner, json=site_body(world), key="k")
        for path, body in (("/sites", site_body(world, "Other")), ("/organizations", {"name": "x", "slug": "x"})):
            answer = await world.api.call("POST", path, world.owner, json=body, key="k")
            assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")

    async def test_twice_at_once_is_once(self, world: World) -> None:
        calls = [world.api.call("POST", "/sites", world.owner, json=site_body(world), key="k") for _ in range(4)]
        answers = await asyncio.gather(*calls)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert (await site_names(world)).count("Home") == 1

    async def test_a_failure_is_not_kept(self, world: World) -> None:
        api, body = world.api, {"name": "Ravi", "slug": "jhelum"}
        assert (await api.call("POST", "/organizations", world.owner, json=body, key="k")).status_code == 409
        gone = f"/organizations/{world.other_organization_id}"
        async with api.services.db.transaction(SYSTEM) as conn:
            await conn.exec_driver_sql("UPDATE organizations SET slug = 'renamed' WHERE slug = 'jhelum'")
        assert (await api.call("POST", "/organizations", world.owner, json=body, key="k")).status_code == 201
        assert (await api.call("GET", gone, world.owner)).status_code == 404

    async def test_a_key_belongs_to_one_person_and_one_day(self, world: World) -> None:
        api = world.api
        mine = await api.call("POST", "/organizations", world.owner, json={"name": "A", "slug": "a"}, key="k")
        theirs = await api.call("POST", "/organizations", world.stranger, json={"name": "B", "slug": "b"}, key="k")
        assert (mine.status_code, theirs.status_code) == (201, 201)
        api.clock.advance(hours=24, seconds=1)
        world.owner.token = api.services.tokens.issue(world.owner.id, api.clock())
        later = await api.call("POST", "/organizations", world.owner, json={"name": "C", "slug": "c"}, key="k")
        assert later.status_code == 201
        assert "idempotency-replayed" not in later.headers
        assert await sweep_old_keys(api.services.db, api.clock()) == 1
        assert await sweep_old_keys(api.services.db, api.clock()) == 0

    async def test_a_stored_answer_is_not_readable_in_the_database(self, world: World) -> None:
        path = f"/organizations/{world.organization_id}/members"
        first = await world.api.call("POST", path, world.owner, json={"email": "x@example.com"}, key="k")
        async with world.api.services.db.transaction(SYSTEM) as conn:
            body = (await conn.exec_driver_sql("SELECT body FROM idempotency_keys")).scalar_one()
        assert first.json()["invitation_token"].encode() not in bytes(body)
        again = await world.api.call("POST", path, world.owner, json={"email": "x@example.com"}, key="k")
        assert again.json()["invitation_token"] == first.json()["invitation_token"]

    async def test_a_nonsense_key_is_refused(self, world: World) -> None:
        for key in ("", "x" * 256, "tab\there"):
            answer = await world.api.call("POST", "/sites", world.owner, json=site_body(world), key=key)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


class TestPaging:
    @pytest.fixture
    async def names(self, world: World) -> list[str]:
        for index in range(6):
            await world.api.call("POST", "/sites", world.owner, json=site_body(world, f"Home {index % 3}"))
        return await site_names(world)

    @pytest.mark.parametrize("sort", ["created", "-created", "name", "-name"])
    async def test_pages_by_cursor_are_the_whole_list(self, world: World, names: list[str], sort: str) -> None:
        whole = await world.api.call("GET", "/sites", world.owner, params={"sort": sort})
        ids, cursor = [], None
        for _ in range(10):
            params = {"sort": sort, "limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await world.api.call("GET", "/sites", world.owner, params=params)).json()
            assert len(page["items"]) <= 2
            ids += [site["id"] for site in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert ids == [site["id"] for site in whole.json()["items"]]
        assert len(ids) == len(names) == 7

    async def test_pages_by_offset_are_the_whole_list(self, world: World, names: list[str]) -> None:
        found = []
        for offset in range(0, 8, 3):
            page = await world.api.call("GET", "/sites", world.owner, params={"limit": 3, "offset": offset})
            found += [site["name"] for site in page.json()["items"]]
        assert found == names

    async def test_an_offset_has_an_end_that_names_the_cursor(self, world: World) -> None:
        assert (await world.api.call("GET", "/sites", world.owner, params={"offset": 10_000})).json()["items"] == []
        answer = await world.api.call("GET", "/sites", world.owner, params={"offset": 10_001})
        assert (answer.status_code, answer.json()["code"]) == (422, "offset_too_large")
        assert "cursor" in answer.json()["detail"]

    async def test_a_cursor_is_good_for_its_own_list_and_person_only(self, world: World, names: list[str]) -> None:
        api, params = world.api, {"limit": 2}
        cursor = (await api.call("GET", "/sites", world.owner, params=params)).json()["next_cursor"]
        for person, path, more in (
            (world.stranger, "/sites", {}),
            (world.owner, "/devices", {}),
            (world.owner, "/sites", {"sort": "name"}),
            (world.owner, "/sites", {"cursor": cursor[:-2] + "AA"}),
            (world.owner, "/sites", {"cursor": "nonsense\u00e9"}),
            (world.owner, "/sites", {"cursor": ""}),
        ):
            answer = await api.call("GET", path, person, params={"cursor": cursor, **params, **more})
            assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid"), (path, more)
        both = await api.call("GET", "/sites", world.owner, params={"cursor": cursor, "offset": 1})
        assert both.status_code == 422

    @pytest.mark.parametrize("limit", [0, 201, -1, "x"])
    async def test_a_limit_out_of_range_is_refused(self, world: World, limit: object) -> None:
        answer = await world.api.call("GET", "/sites", world.owner, params={"limit": limit})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "limit")


class TestProblems:
    async def test_the_frameworks_own_errors_have_the_same_form(self, api: Api) -> None:
        for method, path, status, code in (
            ("GET", "/no/such/address", 404, "not_found"),
            ("DELETE", "/auth/login", 405, "method_not_allowed"),
            ("GET", "/sites/no-uuid", 401, "unauthenticated"),
        ):
            answer = await api.call(method, path)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == f"urn:solar-hub:problem:{code}"
            assert answer.json()["correlation_id"] == answer.headers["x-correlation-id"]
        assert (await api.call("DELETE", "/auth/login")).headers["allow"] == "POST"

    async def test_a_body_that_is_no_json(self, world: World) -> None:
        for content in (b"{", b"\xff\xfe", b'{"name": "\\ud800"}', b"[" * 3_000):
            answer = await world.api.http.post(
                "/api/v1/sites", content=content, headers={**world.owner.headers, "Content-Type": "application/json"}
            )
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), content[:20]

    async def test_nan_and_huge_numbers_are_answered_not_echoed_into_bad_json(self, world: World) -> None:
        for number in (b"NaN", b"Infinity", b"1e999", b"9" * 400):
            body = b'{"organization_id": "%s", "name": "x", "latitude": %s}' % (
                str(world.organization_id).encode(),
                number,
            )
            answer = await world.api.http.post(
                "/api/v1/sites", content=body, headers={**world.owner.headers, "Content-Type": "application/json"}
            )
            assert answer.status_code == 422
            json.loads(answer.text, parse_constant=pytest.fail)

    async def test_urdu_titles(self, api: Api) -> None:
        answer = await api.call("GET", "/sites", headers={"Accept-Language": "ur-PK,ur;q=0.9,en;q=0.5"})
        assert (answer.json()["title"], answer.headers["content-language"]) == ("لاگ اِن نہیں کیا گیا", "ur")
        assert answer.json()["code"] == "unauthenticated"

    async def test_an_unexpected_error_tells_nothing_of_the_inside(self, api: Api) -> None:
        @api.app.get("/api/v1/broken")
        async def broken() -> None:
            raise RuntimeError("secret detail of table users")

        answer = await api.call("GET", "/broken")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "secret detail" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"

    async def test_a_database_that_is_gone_is_a_503(self, api: Api) -> None:
        person = await api.person("ali@example.com")
        await api.services.db.dispose()
        unreachable = api.services.db._engine.url.set(port=1)
        api.services.db._engine = create_engine(unreachable.render_as_string(hide_password=False))
        answer = await api.call("GET", "/sites", person)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert "127.0.0.1" not in answer.text
        ready = await api.http.get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["database"]) == (503, "not_ready", "down")

    @pytest.mark.parametrize("moment", ["statement", "later", "commit"])
    async def test_a_database_that_goes_in_the_middle_is_a_503(self, world: World, moment: str) -> None:
        api = world.api

        @api.app.post("/api/v1/cut")
        async def cut(conn: Conn) -> None:
            raw = await asyncpg_of(conn)
            own = await raw.fetchval("SELECT pg_backend_pid()")
            async with api.services.db.transaction(SYSTEM) as other:
                await other.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
            await asyncio.sleep(0.1)
            if moment == "statement":
                await conn.exec_driver_sql("SELECT 1")
            elif moment == "later":
                await raw.fetchval("SELECT 1")

        answer = await api.call("POST", "/cut", world.owner)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded"), answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert (await api.call("GET", "/sites", world.owner)).status_code == 200

    async def test_what_the_database_refuses_is_logged_without_what_was_sent(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logged: list[BaseException] = []
        monkeypatch.setattr(
            errors, "_log", SimpleNamespace(warning=lambda _event, exc_info, **_: logged.append(exc_info))
        )

        @world.api.app.post("/api/v1/refused")
        async def refused(conn: Conn) -> None:
            await conn.execute(text("SELECT CAST(:secret AS text)::uuid"), {"secret": "hunter2-hash"})

        answer = await world.api.call("POST", "/refused", world.owner)
        assert (answer.status_code, len(logged)) == (422, 1)
        assert "hunter2-hash" not in str(logged[0]).partition("invalid input syntax")[2].partition("\n")[2]
        assert "parameters hidden" in str(logged[0])

    async def test_a_body_too_large_announced_or_not(self, world: World) -> None:
        limit = world.api.services.settings.max_body_bytes

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(limit // 100_000 + 1):
                yield b" " * 100_000

        for content in (b" " * (limit + 1), chunks()):
            answer = await world.api.http.post(
                "/api/v1/sites", content=content, headers={**world.owner.headers, "Content-Type": "application/json"}
            )
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


class TestHeaders:
    async def test_safe_headers_are_everywhere(self, api: Api) -> None:
        for path in ("/healthz", "/api/v1/sites", "/docs", "/nothing"):
            answer = await api.http.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "server" not in answer.headers
            assert UUID(answer.headers["x-correlation-id"]).version == 7

    async def test_a_given_correlation_id_is_kept_if_it_is_one(self, api: Api) -> None:
        given = await api.http.get("/healthz", headers={"X-Correlation-Id": "abc-12345"})
        assert given.headers["x-correlation-id"] == "abc-12345"
        nonsense = await api.http.get("/healthz", headers={"X-Correlation-Id": "a b"})
        assert nonsense.headers["x-correlation-id"] != "a b"

    async def test_the_account_has_a_limit_and_hears_of_it(self, world: World) -> None:
        limit = world.api.services.settings.rate_limit_account_per_minute
        answer = await world.api.call("GET", "/auth/me", world.owner)
        assert answer.headers["ratelimit-policy"] == f'"account";q={limit};w=60'
        for _ in range(limit):
            await world.api.services.limiter.hit(_account_rate(limit), str(world.owner.id))
        refused = await world.api.call("GET", "/auth/me", world.owner)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert int(refused.headers["retry-after"]) > 0
        assert (await world.api.call("GET", "/auth/me", world.stranger)).status_code == 200

    async def test_an_address_without_a_login_has_a_limit(self, api: Api) -> None:
        limit = api.services.settings.rate_limit_address_per_minute
        rate = Rate("address", limit, 60)
        for _ in range(limit):
            await api.services.limiter.hit(rate, "127.0.0.1")
        refused = await api.call("GET", "/sites")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")

    @pytest.mark.parametrize(
        ("method", "path", "credential"),
        [("GET", "/sites", "Basic eDp5"), ("GET", "/sites", "x"), ("POST", "/auth/logout", "Bearer made-up")],
    )
    async def test_a_made_up_credential_is_no_way_around_it(
        self, api: Api, method: str, path: str, credential: str
    ) -> None:
        limit = api.services.settings.rate_limit_address_per_minute
        for _ in range(limit):
            await api.services.limiter.hit(Rate("address", limit, 60), "127.0.0.1")
        refused = await api.call(method, path, headers={"Authorization": credential}, json={"refresh_token": "x"})
        assert refused.status_code == 429


def _account_rate(limit: int) -> Rate:
    return Rate("account", limit, 60)


async def test_nothing_is_committed_when_the_answer_is_an_error(world: World) -> None:
    api = world.api
    before = await site_names(world)
    answer = await api.call("POST", "/sites", world.owner, json=site_body(world) | {"timezone": "Nowhere"})
    assert answer.status_code == 422
    assert await site_names(world) == before
    assert api.jobs.sent == []


async def test_health_and_readiness(api: Api) -> None:
    assert (await api.http.get("/healthz")).json() == {"status": "ok"}
    ready = await api.http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "database": "ok", "migrations": "ok", "redis": "ok"}


async def test_it_serves_without_redis(api: Api, world: World) -> None:
    redis = api.services.redis
    await redis.aclose()
    redis.connection_pool.connection_kwargs["port"] = 1
    redis.connection_pool.reset()
    ready = await api.http.get("/readyz")
    assert (ready.status_code, ready.json()["status"], ready.json()["redis"]) == (200, "degraded", "down")
    assert (await api.call("GET", "/sites", world.owner)).status_code == 200
