import json
import math
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from cloud.core.errors import CloudError, PreconditionFailedError, PreconditionRequiredError, ValidationFailedError
from cloud.web.errors import field_problems, from_database_error, from_http_exception, problem_response
from cloud.web.etags import etag, version_of
from cloud.web.idempotency import checked_key, request_hash
from cloud.web.limits import Decision, LocalLimiter, Rate, client_key, refuse_if_over
from cloud.web.paging import CursorSigner, CursorValue, paging_of

SIGNER = CursorSigner(bytes(32))
things = Table("things", MetaData(), Column("id", Integer), Column("name", String))

_values = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.uuids(),
    st.dates(),
    st.datetimes(timezones=st.just(UTC)),
)


class TestCursors:
    @given(st.lists(_values, min_size=1, max_size=3), st.text(max_size=30))
    def test_a_cursor_comes_back_and_only_for_its_list(self, values: list[CursorValue], binding: str) -> None:
        binding = binding.encode("utf-8", "replace").decode()
        cursor = SIGNER.write(values, binding=binding)
        assert SIGNER.read(cursor, binding=binding) == tuple(values)
        with pytest.raises(ValidationFailedError) as caught:
            SIGNER.read(cursor, binding=binding + "x")
        assert caught.value.code == "cursor_invalid"

    @given(st.text(max_size=60))
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValidationFailedError):
            SIGNER.read(text, binding="b")

    def test_another_installation_has_other_cursors(self) -> None:
        cursor = CursorSigner(bytes([1] * 32)).write([1], binding="b")
        with pytest.raises(ValidationFailedError):
            SIGNER.read(cursor, binding="b")

    def test_types_survive(self) -> None:
        values = (UUID(int=7), date(2026, 6, 1), datetime(2026, 6, 1, 7, tzinfo=UTC), "x", 3)
        assert SIGNER.read(SIGNER.write(values, binding=""), binding="") == values


class TestPages:
    def sql(self, cursor: str | None = None, *, descending: bool = False, offset: int = 0) -> str:
        page = paging_of(limit=2, offset=offset, cursor=cursor, binding="b", signer=SIGNER)
        statement = page.apply(select(things.c.id), things.c.name, things.c.id, descending=descending)
        return str(statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))

    def test_one_row_more_than_the_page_is_asked_for(self) -> None:
        assert "ORDER BY things.name ASC, things.id ASC" in self.sql()
        assert "LIMIT 3" in self.sql()
        assert "OFFSET 5" in self.sql(offset=5)
        assert "WHERE" not in self.sql()

    def test_a_cursor_goes_on_behind_its_row(self) -> None:
        cursor = SIGNER.write(["b", 7], binding="b")
        assert "(things.name, things.id) > ('b', 7)" in self.sql(cursor)
        assert "(things.name, things.id) < ('b', 7)" in self.sql(cursor, descending=True)

    def test_a_cursor_of_another_order_is_refused(self) -> None:
        with pytest.raises(ValidationFailedError, match="order"):
            self.sql(SIGNER.write([7], binding="b"))

    @pytest.mark.parametrize(("rows", "kept", "more"), [(0, 0, False), (2, 2, False), (3, 2, True)])
    def test_the_extra_row_tells_of_another_page(self, rows: int, kept: int, more: bool) -> None:
        page = paging_of(limit=2, offset=0, cursor=None, binding="b", signer=SIGNER)
        items, cursor = page.split(list(range(rows)), key=lambda row: (row,))
        assert len(items) == kept
        assert (cursor is not None) is more
        if cursor is not None:
            assert SIGNER.read(cursor, binding="b") == (1,)


class TestVersions:
    @given(st.integers(0, 10**9 - 1))
    def test_an_etag_comes_back(self, version: int) -> None:
        assert version_of(etag(version)) == version

    @pytest.mark.parametrize("header", [None, "*", " * "])
    def test_no_version_is_428(self, header: str | None) -> None:
        with pytest.raises(PreconditionRequiredError):
            version_of(header)

    @pytest.mark.parametrize("header", ["1", 'W/"1"', '"x"', '"1", "2"', "", '"-1"', '"99999999999"'])
    def test_another_version_is_412(self, header: str) -> None:
        with pytest.raises(PreconditionFailedError):
            version_of(header)


class TestLimits:
    async def test_a_window_fills_ends_and_starts_again(self) -> None:
        now = [0.0]
        limiter, rate = LocalLimiter(lambda: now[0]), Rate("login", 2, 60)
        assert [(await limiter.hit(rate, "a")).allowed for _ in range(3)] == [True, True, False]
        assert (await limiter.hit(rate, "b")).allowed
        now[0] = 59.9
        assert not (await limiter.hit(rate, "a")).allowed
        now[0] = 60.0
        assert (await limiter.hit(rate, "a")).remaining == 1
        await limiter.reset(rate, "a")
        assert (await limiter.hit(rate, "a")).remaining == 1

    async def test_memory_has_an_end(self) -> None:
        limiter = LocalLimiter(lambda: 0.0)
        for index in range(50_010):
            await limiter.hit(Rate("x", 1, 60), str(index))
        assert len(limiter._windows) <= 50_000

    def test_headers_and_refusal(self) -> None:
        decision = Decision(Rate("login", 5, 900), 6, 12)
        assert decision.headers() == {"RateLimit-Policy": '"login";q=5;w=900', "RateLimit": '"login";r=0;t=12'}
        with pytest.raises(CloudError) as caught:
            refuse_if_over(decision, code="login_locked")
        assert (caught.value.code, caught.value.headers["Retry-After"]) == ("login_locked", "12")
        refuse_if_over(Decision(Rate("login", 5, 900), 5, 12))

    @pytest.mark.parametrize(
        ("host", "key"),
        [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("testclient", "testclient"),
        ],
    )
    def test_a_household_is_one_client(self, host: str, key: str) -> None:
        assert client_key(host) == key


class TestFieldProblems:
    def problem(self, value: Any, *loc: str | int, kind: str = "x") -> dict[str, Any]:
        error = {"loc": loc, "msg": "Value error, wrong", "type": kind, "input": value}
        return dict(field_problems([error])[0])

    def test_field_message_and_value(self) -> None:
        assert self.problem(3, "body", "devices", 0, "port") == {
            "field": "devices.0.port",
            "message": "wrong",
            "value": 3,
        }
        assert self.problem(None, "body") == {"field": "body", "message": "wrong"}
        assert "value" not in self.problem({"a": 1}, "body", "a")

    @pytest.mark.parametrize("name", ["password", "refresh_token", "new_password", "code", "api_key", "client_secret"])
    def test_a_secret_is_not_echoed(self, name: str) -> None:
        assert "value" not in self.problem("hunter2", "body", name)

    @pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, "\ud800", "x" * 5_000])
    def test_what_json_cannot_hold_is_written_otherwise(self, value: Any) -> None:
        shown = self.problem(value, "body", "a")["value"]
        assert len(str(shown).encode()) <= 250

    def test_broken_json_is_not_echoed(self) -> None:
        assert "value" not in self.problem("{...", "body", 3, kind="json_invalid")


class TestForeignErrors:
    @pytest.mark.parametrize(
        ("status", "expected", "code"),
        [
            (400, 422, "validation_failed"),
            (404, 404, "not_found"),
            (405, 405, "method_not_allowed"),
            (413, 413, "body_too_large"),
            (418, 418, "http_error"),
        ],
    )
    def test_the_frameworks(self, status: int, expected: int, code: str) -> None:
        error = from_http_exception(HTTPException(status, headers={"Allow": "POST"}))
        assert (error.status, error.code) == (expected, code)
        assert CloudError.status == 500

    @pytest.mark.parametrize(
        ("state", "status"),
        [
            ("23505", 409),
            ("23503", 409),
            ("23514", 422),
            ("22021", 422),
            ("40001", 503),
            ("57014", 503),
            ("08003", 503),
            ("53100", 503),
            ("57P01", 503),
            ("25006", 503),
            ("42P01", 500),
        ],
    )
    def test_the_databases(self, state: str, status: int) -> None:
        class DriverError(Exception):
            sqlstate = state

        for error in (DriverError("users"), DBAPIError("SELECT secret", {}, DriverError("users"))):
            problem = from_database_error(error)
            assert problem.status == status
            assert "users" not in problem.detail
            assert "SELECT" not in problem.detail


class TestProblemDocuments:
    def test_what_an_error_adds_never_replaces_what_all_have(self) -> None:
        request = Request({"type": "http", "headers": [], "state": {"correlation_id": "c"}})
        problem = json.loads(bytes(problem_response(request, CloudError(extra={"status": "pending", "seq": 3})).body))
        assert (problem["status"], problem["seq"]) == (500, 3)


class TestIdempotencyKeys:
    def test_the_same_content_is_the_same_request(self) -> None:
        one = request_hash("POST", "/a", "", b'{"a": 1, "b": [1, 2]}')
        assert one == request_hash("POST", "/a", "", b'{"b":[1,2],"a":1}')
        for other in (
            ("PUT", "/a", "", b'{"a": 1, "b": [1, 2]}'),
            ("POST", "/b", "", b'{"a": 1, "b": [1, 2]}'),
            ("POST", "/a", "x=1", b'{"a": 1, "b": [1, 2]}'),
            ("POST", "/a", "", b'{"a": 1, "b": [2, 1]}'),
            ("POST", "/a", "", b""),
        ):
            assert request_hash(*other) != one

    @pytest.mark.parametrize("body", [b"\xff", b"[" * 100_000, b""])
    def test_any_body_has_a_hash(self, body: bytes) -> None:
        assert len(request_hash("POST", "/a", "", body)) == 64

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "é"])
    def test_a_nonsense_key_is_refused(self, key: str) -> None:
        with pytest.raises(ValidationFailedError, match="printable"):
            checked_key(key)
        assert checked_key("a" * 255) == "a" * 255
