"""The demo's way into the cloud: the public API over HTTP, as any user's program would use it."""

from types import TracebackType
from typing import Any, Self

import httpx

from shared.errors import SolarHubError

_TIMEOUT_S = 60.0


class ApiRefusedError(SolarHubError):
    """The API answered with a problem; the message carries its code and detail."""


class CloudClient:
    """A logged-in user of the API."""

    def __init__(self, base_url: str) -> None:
        """`base_url`: scheme, host and port of the API."""
        self._http = httpx.AsyncClient(base_url=base_url, timeout=_TIMEOUT_S)
        self._login: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def is_ready(self) -> bool:
        """Whether the API serves and its database and Redis answer."""
        try:
            return (await self._http.get("/readyz")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def log_in(self, email: str, password: str) -> None:
        """Log in; access tokens last ten minutes and are renewed when one has ended.

        Raises:
            ApiRefusedError: if the login is refused.
        """
        self._login = {"email": email, "password": password}
        answer = await self._http.post("/api/v1/auth/login", json=self._login)
        self._http.headers["Authorization"] = f"Bearer {_checked(answer)['access_token']}"

    async def get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 -- JSON
        """GET below `/api/v1`, decoded.

        Raises:
            ApiRefusedError: for any other answer than a success.
        """
        return _checked(await self._request("GET", path, params=query))

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 -- JSON
        """POST below `/api/v1`, decoded.

        Raises:
            ApiRefusedError: for any other answer than a success.
        """
        return _checked(await self._request("POST", path, json=body or {}))

    async def download(self, path: str) -> bytes:
        """GET a file below `/api/v1`.

        Raises:
            ApiRefusedError: for any other answer than a success.
        """
        answer = await self._request("GET", path)
        if answer.is_error:
            _checked(answer)
        return answer.content

    async def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 -- httpx's
        answer = await self._http.request(method, f"/api/v1{path}", **arguments)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._login:
            await self.log_in(**self._login)
            answer = await self._http.request(method, f"/api/v1{path}", **arguments)
        return answer


def _checked(answer: httpx.Response) -> Any:  # noqa: ANN401 -- JSON
    if answer.is_error:
        what = f"{answer.request.method} {answer.request.url.path}"
        raise ApiRefusedError(f"{what} was refused with {answer.status_code}: {answer.text}")
    return answer.json()
