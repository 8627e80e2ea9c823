"""What the agents' endpoints ask for: which gateway is speaking, a transaction with its site's rows, its body unpacked."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.errors import ValidationFailedError
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.service import CredentialInvalidError, Fleet, authenticate
from cloud.web.bodies import unpacked_body
from cloud.web.deps import AfterCommit, Limits, Now, ServicesDep
from cloud.web.errors import field_problems
from cloud.web.limits import Rate
from shared.wire import MAX_BATCH_BYTES, MIN_SUPPORTED, SCHEMA_VERSION, Versioned

WireT = TypeVar("WireT", bound=Versioned)


class _VersionOnly(BaseModel):
    schema_version: int = SCHEMA_VERSION


FAILED_CREDENTIALS = Rate("edge-credential", 60, 60)
"""Wrong credentials per address and minute: a site has one or two boxes, and a wrong one retries slowly."""

bearer = HTTPBearer(
    auto_error=False, scheme_name="edge credential", description="Credential of `POST /api/v1/edge/claim`."
)


async def _fleet(request: Request) -> Fleet:
    fleet: Fleet = request.app.state.fleet
    return fleet


FleetDep = Annotated[Fleet, Depends(_fleet)]
"""Dependency: the fleet's use cases."""


async def _current_edge(
    services: ServicesDep,
    limits: Limits,
    now: Now,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
) -> EdgeIdentity:
    try:
        return await authenticate(services.db, credentials.credentials if credentials else "", now=now)
    except CredentialInvalidError:
        await limits.take(FAILED_CREDENTIALS, limits.address)
        raise


CurrentEdge = Annotated[EdgeIdentity, Depends(_current_edge)]
"""Dependency: the gateway of the bearer credential; 401 `credential_invalid` without one that is good now."""


async def _edge_connection(
    services: ServicesDep, edge: CurrentEdge, jobs: AfterCommit
) -> AsyncIterator[AsyncConnection]:
    async with services.db.transaction(edge.context) as conn:
        yield conn
    await jobs.flush(services.jobs)


# scope="function": an acknowledgement leaves after the commit, never before.
EdgeConn = Annotated[AsyncConnection, Depends(_edge_connection, scope="function")]
"""Dependency: the request's one transaction; sees the rows of the gateway's site."""


def check_schema_version(version: int) -> None:
    """Refuse a body that this cloud cannot read.

    Raises:
        ValidationFailedError: `schema_version_unsupported`, with the versions that are.
    """
    if not MIN_SUPPORTED <= version <= SCHEMA_VERSION:
        newer = version > SCHEMA_VERSION
        raise ValidationFailedError(
            f"schema_version is {version}; this cloud reads {MIN_SUPPORTED} to {SCHEMA_VERSION}:"
            f" {'update the cloud' if newer else 'update the agent'}.",
            code="schema_version_unsupported",
            errors=[{"field": "schema_version", "value": version, "message": f"{MIN_SUPPORTED} to {SCHEMA_VERSION}"}],
            extra={"min_supported": MIN_SUPPORTED, "schema_version": SCHEMA_VERSION},
        )


def edge_body(model: type[WireT]) -> Any:  # noqa: ANN401 -- FastAPI's marker
    """Dependency: the body as a wire model, unpacked if it is compressed, of a version that this cloud reads.

    Name it after `CurrentEdge` in an endpoint: dependencies run in that order, and a stranger's body is not even looked at.
    """

    async def body(request: Request) -> WireT:
        raw = await unpacked_body(request, limit=MAX_BATCH_BYTES)
        try:
            check_schema_version(_VersionOnly.model_validate_json(raw).schema_version)
            return model.model_validate_json(raw)
        except ValidationError as error:
            raise ValidationFailedError(errors=field_problems(error.errors())) from None

    return Depends(body)


def wire_body(model: type[Versioned]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its body by `edge_body` or by a decoder of its own."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(schema, definitions)}},
        }
    }


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401 -- JSON schema
    """A schema without references: those of a hand-written request body would point nowhere in the API's document."""
    if isinstance(node, dict):
        if "$ref" in node:
            return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(value, definitions) for key, value in node.items()}
    return [_inlined(item, definitions) for item in node] if isinstance(node, list) else node
