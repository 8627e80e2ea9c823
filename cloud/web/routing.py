"""Routers with the API's manners."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.web.deps import limit_address, limit_every_request
from cloud.web.errors import PROBLEM_TYPE
from cloud.web.idempotency import KeyInUse, ReplayedAnswerError

API = "/api/v1"

_PROBLEM: dict[str, Any] = {"content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "The request cannot be done as sent; `code` and `detail` say why and the way out.",
        **_PROBLEM,
    },
    "5XX": {"description": "The service could not do it; nothing was changed.", **_PROBLEM},
}


class HubRoute(APIRoute):
    """A route that stores and replays answers of requests with an `Idempotency-Key`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, within whose dependencies the transaction is still open when the answer is ready."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except ReplayedAnswerError as replay:
                return replay.answer
            in_use: KeyInUse | None = getattr(request.state, "idempotency", None)
            if in_use is not None:
                await in_use.store(response)
            return response

        return answer


QuickEndpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class QuickRoute(APIRoute):
    """A route whose endpoint is given the request and nothing else, for what comes thousands of times a second.

    Finding the route and solving the dependencies of an endpoint takes longer than storing a small batch. `QuickLane` calls it before
    the router is asked, so it has one fixed path. The endpoint itself does what its router's dependencies would have done: counting
    strangers against their address, too. The API's description comes from `response_model` and `openapi_extra`.
    """

    def get_route_handler(self) -> QuickEndpoint:
        """The endpoint as it is."""
        endpoint: QuickEndpoint = self.endpoint
        return endpoint


class QuickLane:
    """Middleware, inside of all other: serves `QuickRoute`s by a look into a dictionary, with the application's own error answers."""

    def __init__(self, app: ASGIApp, *, routers: Iterable[APIRouter]) -> None:
        """Serve the quick routes of `routers`; everything else goes on to `app`."""
        self._app = app
        self._endpoints: dict[tuple[str, str], QuickEndpoint] = {
            (method, route.path): route.endpoint
            for router in routers
            for route in router.routes
            if isinstance(route, QuickRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        endpoint = self._endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        handlers = scope["app"].exception_handlers
        try:
            response = await endpoint(request)
        except _answered(handlers) as error:
            answer = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
            response = await answer(request, error)
        await response(scope, receive, send)


def _answered(handlers: Mapping[int | type[Exception], object]) -> tuple[type[Exception], ...]:
    return tuple(kind for kind in handlers if not isinstance(kind, int))


def api_router(prefix: str = "", *, tags: list[str | Enum], open_to_all: bool = False) -> APIRouter:
    """A router below `/api/v1`.

    Args:
        prefix: path after `/api/v1`, as `/sites`.
        tags: headings in the API's documentation.
        open_to_all: count every request against its address, not only those without a credential.
    """
    return APIRouter(
        prefix=API + prefix,
        tags=tags,
        route_class=HubRoute,
        responses=PROBLEM_RESPONSES,
        dependencies=[Depends(limit_every_request if open_to_all else limit_address)],
    )
