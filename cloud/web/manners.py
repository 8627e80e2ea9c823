"""What every request gets before and after its endpoint: a correlation id, a size limit, a log line and safe headers."""

import re
import time
from collections.abc import Iterable

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.core.errors import TooLargeError
from cloud.core.ids import new_id
from cloud.core.log import get_logger
from cloud.web.errors import problem_response
from cloud.web.limits import Decision

_log = get_logger(__name__)

_FIRST_ERROR = 400
CORRELATION_HEADER = "X-Correlation-Id"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_QUIET_PATHS = ("/healthz", "/readyz")
_QUIET_WHEN_WELL = ("/api/v1/edge/readings", "/api/v1/edge/heartbeat")
"""Boxes send every few seconds, and the ledger has a line of each batch: what went well would only hide what did not."""

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": API_POLICY,
    "Cache-Control": "no-store",
}
_PROMISE_OF_HTTPS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
_CORRELATION = CORRELATION_HEADER.lower().encode()
_RawHeader = tuple[bytes, bytes]


def note_limit(scope: Scope, decision: Decision) -> None:
    """Remember a rate limit's state for the answer's headers; the tightest one is shown."""
    state = scope.setdefault("state", {})
    shown: Decision | None = state.get("rate_limit")
    if shown is None or decision.remaining < shown.remaining:
        state["rate_limit"] = decision


class RequestManners:
    """Outermost middleware: correlation id, body size, log line, security and rate-limit headers."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, https: bool) -> None:
        """Wrap an application.

        Args:
            app: the rest of the application.
            max_body_bytes: largest request body, as received.
            https: whether people reach it by HTTPS, which then becomes a promise (HSTS).
        """
        self._app = app
        self._max_body_bytes = max_body_bytes
        safe = _SAFE_HEADERS | (_PROMISE_OF_HTTPS if https else {})
        # As the server wants them: they are added to every answer.
        self._headers = [(name.lower().encode(), value.encode()) for name, value in safe.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(CORRELATION_HEADER, "")
        correlation_id = given if _GIVEN_ID.fullmatch(given) else str(new_id())
        # A copy: with a server's lifespan state, the dictionary is shared by all requests.
        scope["state"] = {**scope.get("state", {}), "correlation_id": correlation_id}
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        started = time.perf_counter()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._with_ours(message["headers"], scope, correlation_id)
            await send(message)

        try:
            if _announced_length(headers) > self._max_body_bytes:
                error = TooLargeError(self._too_large_text())
                await problem_response(Request(scope), error)(scope, receive, send_with_headers)
            else:
                await self._app(scope, self._counted(receive), send_with_headers)
        finally:
            path = scope["path"]
            if path not in _QUIET_PATHS and (path not in _QUIET_WHEN_WELL or status >= _FIRST_ERROR):
                _log.info(
                    "request",
                    method=scope["method"],
                    path=path,
                    status=status,
                    duration_ms=round((time.perf_counter() - started) * 1000, 1),
                    client=(scope.get("client") or ("",))[0],
                )

    def _with_ours(self, headers: Iterable[_RawHeader], scope: Scope, correlation_id: str) -> list[_RawHeader]:
        """What the endpoint said of itself stays; the correlation id and the limit are always ours."""
        ours = [(_CORRELATION, correlation_id.encode())]
        decision: Decision | None = scope["state"].get("rate_limit")
        if decision is not None:
            ours += [(name.lower().encode(), value.encode()) for name, value in decision.headers().items()]
        always = {name for name, _ in ours}
        kept = [(name, value) for name, value in headers if name not in always]
        said = {name for name, _ in kept}
        return [*kept, *ours, *(header for header in self._headers if header[0] not in said)]

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._max_body_bytes:
                    # The framework turns other exceptions while reading a body into a 400.
                    raise HTTPException(TooLargeError.status, detail=self._too_large_text())
            return message

        return receive_counted

    def _too_large_text(self) -> str:
        return f"A body may have {self._max_body_bytes} bytes; send less at once."


def _announced_length(headers: Headers) -> int:
    value = headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0
