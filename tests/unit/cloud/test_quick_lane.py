"""Quick routes answer like all others: their errors are problem documents, and what they do not take goes on to the router."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from cloud.core.errors import OverloadedError
from cloud.web.errors import PROBLEM_TYPE, install_error_handlers
from cloud.web.manners import RequestManners
from cloud.web.routing import QuickLane, QuickRoute


async def quick(request: Request) -> Response:
    match (await request.body()).decode():
        case "busy":
            raise OverloadedError(retry_after_s=7)
        case "broken":
            raise ZeroDivisionError
        case text:
            return PlainTextResponse(f"quick {text}", headers={"Cache-Control": "max-age=1"})


async def slow() -> str:
    return "slow"


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    router = APIRouter()
    router.add_api_route("/readings", quick, methods=["POST"], response_model=str, route_class_override=QuickRoute)
    router.add_api_route("/slow", slow)
    app = FastAPI()
    app.add_middleware(QuickLane, routers=[router])
    install_error_handlers(app)
    app.include_router(router)
    app.add_middleware(RequestManners, max_body_bytes=10, https=True)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield http


async def test_an_answer_has_the_manners_of_all_and_keeps_its_own_headers() -> None:
    async with client() as http:
        answer = await http.post("/readings", content="one")
    assert (answer.status_code, answer.text) == (200, "quick one")
    assert answer.headers.get_list("cache-control") == ["max-age=1"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert len(answer.headers.get_list("x-correlation-id")) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [("busy", 503, "overloaded"), ("broken", 500, "internal_error"), ("x" * 11, 413, "body_too_large")],
)
async def test_errors_are_problem_documents(body: str, status: int, code: str) -> None:
    async with client() as http:
        answer = await http.post("/readings", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM_TYPE)
    assert answer.json()["code"] == code
    assert answer.headers.get("retry-after") == ("7" if body == "busy" else None)


async def test_a_body_without_a_length_is_counted_too() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"xxxxx"

    async with client() as http:
        answer = await http.post("/readings", content=pieces())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_boxes_are_heard_of_in_the_log_only_when_something_is_wrong() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=int(scope["query_string"]))(scope, receive, send)

    manners = RequestManners(app, max_body_bytes=10, https=False)
    transport = httpx.ASGITransport(manners)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        with capture_logs() as logged:
            for path, status in (
                ("edge/readings", 200),
                ("edge/readings", 409),
                ("edge/heartbeat", 200),
                ("sites", 200),
            ):
                await http.post(f"/api/v1/{path}?{status}")
    told = [(line["path"], line["status"]) for line in logged if line["event"] == "request"]
    assert told == [("/api/v1/edge/readings", 409), ("/api/v1/sites", 200)]


async def test_other_requests_go_on_to_the_router() -> None:
    async with client() as http:
        assert (await http.get("/slow")).json() == "slow"
        wrong_method, nowhere = await http.get("/readings"), await http.post("/readings/")
    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "POST")
    assert nowhere.status_code in (307, 404)
