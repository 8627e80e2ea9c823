"""Routers with the API's manners."""

from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

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


class QuickRoute(APIRoute):
    """A route whose endpoint is given the request and nothing else, for what comes thousands of times a second.

    Solving the dependencies of an endpoint takes longer than storing a small batch. The endpoint itself does what its router's
    dependencies would have done: counting strangers against their address, too. The API's description comes from `response_model` and
    `openapi_extra`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint as it is."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


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
