"""What endpoints ask for: who is asking, a transaction with that person's rows, the page, the time.

    @router.get("/things", response_model=Page[Thing])
    async def list_things(conn: Conn, scope: Annotated[Scope, allowed(Action.SITE_READ)], paging: PageOf) -> Page[Thing]: ...

`Conn` commits after the endpoint returned and before the answer is sent; any exception rolls back. Jobs put into `AfterCommit` are
sent after that commit. With an `Idempotency-Key`, a POST that uses `Conn` or `SystemConn` happens once (see `cloud/web/idempotency.py`).

Dependencies are `async def` even where they wait for nothing: FastAPI calls a plain function in a thread, which costs more than it does.
Those that everything builds on take the request alone: FastAPI walks the whole tree below each place where a dependency is named, and
with small ones below them an endpoint had 74 nodes instead of 30.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.rules import Action, scope_for
from cloud.auth.schemas import Principal, Scope
from cloud.auth.service import principal_of
from cloud.core.db import SYSTEM, TenantContext
from cloud.core.errors import UnauthenticatedError
from cloud.core.jobs import PendingJobs
from cloud.web.idempotency import HEADER, checked_key, claim_key
from cloud.web.limits import Limiter, Rate, client_key, refuse_if_over
from cloud.web.manners import note_limit
from cloud.web.paging import DEFAULT_LIMIT, MAX_LIMIT, Paging, paging_of
from cloud.web.services import Services


def _services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _services(request: Request) -> Services:
    return _services_of(request)


ServicesDep = Annotated[Services, Depends(_services)]


async def _now(request: Request) -> datetime:
    return _services_of(request).clock()


Now = Annotated[datetime, Depends(_now)]
"""Dependency: the moment of the request, aware, UTC."""


class RequestLimits:
    """Counts this request against limits."""

    def __init__(self, request: Request, limiter: Limiter) -> None:
        """For one request."""
        self._request = request
        self._limiter = limiter

    @property
    def address(self) -> str:
        """The client's address (behind a proxy that the settings name: the one it forwards)."""
        return client_key(self._request.client.host) if self._request.client else "unknown"

    async def take(self, rate: Rate, key: str, *, code: str | None = None) -> None:
        """Count one use.

        Raises:
            RateLimitedError: if it was one too many.
        """
        decision = await self._limiter.hit(rate, key)
        note_limit(self._request.scope, decision)
        refuse_if_over(decision, code=code)

    async def forgive(self, rate: Rate, key: str) -> None:
        """Forget the uses (after a successful login)."""
        await self._limiter.reset(rate, key)


def _limits_of(request: Request) -> RequestLimits:
    return RequestLimits(request, _services_of(request).limiter)


async def _limits(request: Request) -> RequestLimits:
    return _limits_of(request)


Limits = Annotated[RequestLimits, Depends(_limits)]
"""Dependency: `await limits.take(Rate("claim", 10, 900), limits.address)`."""


async def limit_address(request: Request) -> None:
    """Count a request that brings no bearer credential against its address; part of every router."""
    if not request.headers.get("authorization", "").lower().startswith("bearer "):
        await limit_every_request(_services_of(request), _limits_of(request))


async def limit_every_request(services: ServicesDep, limits: Limits) -> None:
    """Count a request against its address, whatever it brings: for routers whose endpoints look at no credential."""
    await limits.take(_address_rate(services), limits.address)


def _address_rate(services: Services) -> Rate:
    return Rate("address", services.settings.rate_limit_address_per_minute, 60)


ACCESS_TOKEN = "access token"  # noqa: S105 -- the scheme's name in the API's description
_bearer = HTTPBearer(
    auto_error=False, scheme_name=ACCESS_TOKEN, description="Access token of `POST /api/v1/auth/login`."
)


async def _current_user(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    if credentials is None:
        raise UnauthenticatedError
    services, limits = _services_of(request), _limits_of(request)
    try:
        user_id = services.tokens.verify(credentials.credentials, services.clock())
    except UnauthenticatedError:
        await limits.take(_address_rate(services), limits.address)
        raise
    await limits.take(Rate("account", services.settings.rate_limit_account_per_minute, 60), str(user_id))
    return await services.db.read_alone(partial(principal_of, user_id=user_id))


CurrentUser = Annotated[Principal, Depends(_current_user)]
"""Dependency: the person of the access token; 401 without a valid one."""


def allowed(action: Action) -> Any:  # noqa: ANN401 -- FastAPI's marker
    """Say which action a list needs.

    `scope: Annotated[Scope, allowed(Action.SITE_READ)]` is where the person may do it; the answer is 403 if that is nowhere.
    """

    async def scope(user: CurrentUser) -> Scope:
        return scope_for(user, action)

    return Depends(scope)


def context_of(principal: Principal) -> TenantContext:
    """The rows that a person's transactions see in the database."""
    return SYSTEM if principal.is_super_admin else TenantContext(organization_ids=principal.organization_ids)


async def _pending_jobs() -> PendingJobs:
    return PendingJobs()


AfterCommit = Annotated[PendingJobs, Depends(_pending_jobs)]
"""Dependency: `after_commit.add("telemetry.roll_up", site_id=site_id)`; sent once the request's transaction is committed."""


@asynccontextmanager
async def _unit_of_work(
    request: Request, services: Services, user: Principal, jobs: PendingJobs, context: TenantContext
) -> AsyncIterator[AsyncConnection]:
    async with services.db.transaction(context) as conn:
        key = request.headers.get(HEADER)
        if key is not None and request.method == "POST":
            request.state.idempotency = await claim_key(
                conn, request, user_id=user.user_id, key=checked_key(key), now=services.clock(), box=services.secrets
            )
        yield conn
    await jobs.flush(services.jobs)


async def _connection(request: Request, user: CurrentUser, jobs: AfterCommit) -> AsyncIterator[AsyncConnection]:
    async with _unit_of_work(request, _services_of(request), user, jobs, context_of(user)) as conn:
        yield conn


async def _system_connection(request: Request, user: CurrentUser, jobs: AfterCommit) -> AsyncIterator[AsyncConnection]:
    async with _unit_of_work(request, _services_of(request), user, jobs, SYSTEM) as conn:
        yield conn


# scope="function": the transaction ends before the answer leaves, so nobody hears "created" of something that was rolled back.
Conn = Annotated[AsyncConnection, Depends(_connection, scope="function")]
"""Dependency: the request's one transaction; sees the rows of the person's organisations."""

SystemConn = Annotated[AsyncConnection, Depends(_system_connection, scope="function")]
"""Dependency: a transaction of a logged-in person that sees all rows, for the few things that reach beyond the own organisations
(a new organisation, an invitation's account). The service checks by itself what it touches."""


async def _paging(
    request: Request,
    user: CurrentUser,
    *,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows per page.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    offset: Annotated[int, Query(ge=0, description="Rows to leave out; up to 10,000, `cursor` goes further.")] = 0,
) -> Paging:
    filters = sorted((k, v) for k, v in request.query_params.multi_items() if k not in {"limit", "cursor", "offset"})
    return paging_of(
        limit=limit,
        offset=offset,
        cursor=cursor,
        binding=repr((str(user.user_id), request.url.path, filters)),
        signer=_services_of(request).cursors,
    )


PageOf = Annotated[Paging, Depends(_paging)]
"""Dependency: which page of a list is asked for."""
