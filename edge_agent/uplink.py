"""The door to the cloud: HTTPS requests with the agent's credential, typed answers, typed errors, patience."""

import asyncio
import email.utils
import gzip
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import tenacity
from pydantic import BaseModel, SecretStr, ValidationError

from edge_agent.clock import Clock
from edge_agent.errors import ConfigError, EdgeError
from shared.wire import (
    AlertAck,
    AlertBatch,
    BatchAck,
    EdgePlan,
    EnrolAnswer,
    EnrolRequest,
    Heartbeat,
    HeartbeatAnswer,
    ReadingBatch,
)

GZIP_FROM_BYTES = 1_000
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 120.0
LONGEST_RETRY_AFTER_S = 3_600.0
PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that mean "later": the same request is sent again, as after every 5xx, whoever on the way gives it."""

MAX_ANSWER_BYTES = 4_000_000
"""A longer answer is not the cloud's, and has no place in a small box's memory."""

TIMEOUTS_PER_REQUEST = 20
"""A request may take this many times the time-out, which itself is for a silence: an answer of single drops ends."""

_BASE = "/api/v1/edge/"
_HEADERS_READ = frozenset({"content-type", "retry-after", "location"})

T = TypeVar("T")
Answer = TypeVar("Answer", bound=BaseModel)


class UplinkError(EdgeError):
    """The cloud did not do what was asked."""


class UnreachableError(UplinkError):
    """No answer of the cloud arrived: no network, wrong name, bad certificate, connection cut.

    Attributes:
        broke_off: True if it happened after the connection stood: a smaller request may get through.
    """

    def __init__(self, message: str, *, broke_off: bool = False) -> None:
        super().__init__(message)
        self.broke_off = broke_off


class StrangeAnswerError(UnreachableError):
    """An answer arrived that is not in the cloud's form: a log-in page of the network, or a version apart."""


class RefusedError(UplinkError):
    """The cloud answered, and said no.

    Attributes:
        status: HTTP status.
        code: stable word of the problem document; "" if there was none.
        retry_after_s: how long the cloud asked to be left alone.
        problem: the whole problem document.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], *, retry_after_s: float | None = None) -> None:
        code = problem.get("code")
        self.status = status
        self.code = code if isinstance(code, str) else ""
        self.retry_after_s = retry_after_s
        self.problem = problem
        detail = problem.get("detail") or problem.get("title") or "no explanation"
        super().__init__(f"the cloud answered {status} {self.code}: {detail}".replace("  ", " "))

    @property
    def is_passing(self) -> bool:
        """Whether the same request may be answered differently later."""
        return self.status in PASSING or self.status >= httpx.codes.INTERNAL_SERVER_ERROR


class Uplink:
    """Requests to one cloud. One attempt each; `patiently` repeats."""

    def __init__(
        self,
        cloud_url: str,
        *,
        clock: Clock,
        credential: SecretStr | None = None,
        timeout_s: float = 30.0,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._clock = clock
        self._credential = credential
        self._limit_s = TIMEOUTS_PER_REQUEST * timeout_s
        self.sent_bytes = 0
        """Bytes of bodies sent, compressed."""
        self._client = httpx.AsyncClient(
            base_url=cloud_url.rstrip("/") + _BASE,
            timeout=timeout_s,
            verify=verify,
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=3),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def claim(self, request: EnrolRequest) -> EnrolAnswer:
        """Exchange a claim code for a credential and a plan.

        Raises:
            UnreachableError, RefusedError: see there; so do all requests of this class.
        """
        return await self._post("claim", request, EnrolAnswer)

    async def send_readings(self, batch: ReadingBatch) -> BatchAck:
        """Send stored readings."""
        return await self._post("readings", batch, BatchAck)

    async def send_heartbeat(self, heartbeat: Heartbeat) -> HeartbeatAnswer:
        """Say that the agent lives, and what is new."""
        return await self._post("heartbeat", heartbeat, HeartbeatAnswer)

    async def send_alerts(self, batch: AlertBatch) -> AlertAck:
        """Send openings and ends of alerts."""
        return await self._post("alerts", batch, AlertAck)

    async def fetch_plan(self, *, known_revision: int | None) -> EdgePlan | None:
        """Get the plan, or None if it is still the known one."""
        headers = {} if known_revision is None else {"If-None-Match": f'"{known_revision}"'}
        response = await self._request("GET", "plan", headers=headers)
        return None if response.status_code == httpx.codes.NOT_MODIFIED else _read(response, EdgePlan)

    async def patiently(self, request: Callable[[], Awaitable[T]], *, on_failure: Callable[[UplinkError], None]) -> T:
        """Repeat a request until the cloud has answered it, with growing and scattered pauses, longer where the cloud asks for it.

        Args:
            request: makes one attempt.
            on_failure: told of every failed attempt that will be repeated.

        Raises:
            RefusedError: if the same request would be refused again.
        """

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, UplinkError):
                on_failure(error)

        async def attempt() -> T:  # tenacity awaits what it recognises as a coroutine function, which a lambda is not
            return await request()

        return await tenacity.AsyncRetrying(
            sleep=self._clock.sleep,
            wait=_pause,
            retry=tenacity.retry_if_exception(_is_passing),
            before_sleep=tell,
            reraise=True,
        )(attempt)

    async def _post(self, path: str, body: BaseModel, answer: type[Answer]) -> Answer:
        content = body.model_dump_json().encode()
        headers = {"Content-Type": "application/json"}
        if len(content) >= GZIP_FROM_BYTES:
            content = gzip.compress(content, compresslevel=6)
            headers["Content-Encoding"] = "gzip"
        response = await self._request("POST", path, headers=headers, content=content)
        self.sent_bytes += len(content)
        return _read(response, answer)

    async def _request(
        self, method: str, path: str, *, headers: dict[str, str], content: bytes | None = None
    ) -> httpx.Response:
        if self._credential is not None:
            headers["Authorization"] = f"Bearer {self._credential.get_secret_value()}"
        try:
            async with asyncio.timeout(self._limit_s):
                response = await self._exchange(
                    self._client.build_request(method, path, headers=headers, content=content)
                )
        except TimeoutError as error:
            message = f"{self._client.base_url.host}: the answer was not complete after {self._limit_s:g} s"
            raise UnreachableError(message, broke_off=True) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The class says what happened where the library's text is empty; neither holds a header.
            broke_off = not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL))
            message = f"{self._client.base_url.host}: {type(error).__name__} {error}".strip()
            raise UnreachableError(message, broke_off=broke_off) from error
        if response.status_code == httpx.codes.NOT_MODIFIED or response.is_success:
            return response
        if response.is_redirect:
            raise StrangeAnswerError(
                f"{self._client.base_url.host} answered {response.status_code} and points elsewhere; a log-in page of the network may be "
                "in between, or the cloud has a new address: then enrol again"
            )
        raise RefusedError(
            response.status_code,
            _problem(response),
            retry_after_s=retry_after(response.headers.get("Retry-After"), self._clock.now()),
        )

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its answer, if that has the size of an answer."""
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise StrangeAnswerError(
                        f"{self._client.base_url.host} answered {response.status_code} with more than {MAX_ANSWER_BYTES} bytes, as the "
                        "cloud never does"
                    )
        finally:
            await response.aclose()
        return httpx.Response(
            response.status_code,
            headers={name: value for name, value in response.headers.items() if name in _HEADERS_READ},
            content=bytes(body),
            request=request,
        )


def tls_context(ca_file: str | None) -> ssl.SSLContext | bool:
    """How certificates are checked: the usual authorities, or one private one.

    Raises:
        ConfigError: if the file is not there or holds no certificate.
    """
    try:
        return True if ca_file is None else ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # an SSLError is one
        raise ConfigError(
            f"ca_file is {ca_file!r}: no certificates can be read from it ({error}); give a PEM file"
        ) from error


def retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds or a date), at most an hour; None if unreadable."""
    if text is None:
        return None
    try:
        seconds = float(text) if text.strip().isdigit() else (_http_date(text) - now).total_seconds()
    except ValueError:
        return None
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_S)


def _http_date(text: str) -> datetime:
    moment = email.utils.parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read(response: httpx.Response, model: type[Answer]) -> Answer:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        fields = ", ".join(
            sorted({".".join(str(part) for part in detail["loc"]) or "body" for detail in error.errors()})
        )
        raise StrangeAnswerError(
            f"{response.url.host} answered {response.status_code}, but not as the cloud does (wrong: {fields}); "
            "a log-in page of the network may be in between, or this agent is too old"
        ) from None


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, UnreachableError) or (isinstance(error, RefusedError) and error.is_passing)


_GROWING = tenacity.wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)
_SCATTER = tenacity.wait_random(0, FIRST_WAIT_S)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, RefusedError) else None
    return _GROWING(state) if asked is None else asked + _SCATTER(state)
