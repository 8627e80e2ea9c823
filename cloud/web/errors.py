"""Every error as a problem document (RFC 9457) with a stable code, whatever part of the program it comes from."""

import math
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.responses import JSONResponse, Response

from cloud.core.db import DRIVER_ERRORS, DatabaseBusyError, DatabaseUnavailableError, is_broken_connection
from cloud.core.errors import (
    CloudError,
    ConflictError,
    FieldProblem,
    OverloadedError,
    TooLargeError,
    ValidationFailedError,
)
from cloud.core.log import get_logger
from cloud.core.text import preferred_language, text

_log = get_logger(__name__)

PROBLEM_TYPE = "application/problem+json"
_SECRET_FIELDS = ("password", "secret", "token", "credential", "code", "key")
_MAX_VALUE_CHARS = 200

# SQLSTATE -> what it means for the caller (names of constraints carry partition suffixes, so codes decide).
_UNIQUE = "23505"
_FOREIGN_KEY = "23503"
# Collisions, waits that were given up, and a server that has become a standby.
_RETRYABLE = frozenset({"40001", "40P01", "55P03", "57014", "25006", "25P03"})
# Connections that break, a server without memory, disk or connections left, and one that is being stopped or started.
_RETRYABLE_CLASSES = ("08", "53", "57P")
_BAD_DATA_CLASSES = ("22", "23")


class Problem(BaseModel):
    """What every error looks like."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "urn:solar-hub:problem:not_found",
                "title": "Not found",
                "status": 404,
                "code": "not_found",
                "detail": "There is no such thing, or it belongs to somebody else.",
                "correlation_id": "01980a5c-6f0b-7c3e-9f5e-0d7a4b2f8c11",
            }
        },
    )

    type: str = Field(description="Identifies the kind of problem; `urn:solar-hub:problem:` and the code.")
    title: str = Field(description="The kind of problem in a few words, in the language of the request.")
    status: int
    code: str = Field(description="Stable: programs decide by this.")
    detail: str = Field(description="What was wrong this time, and the way out.")
    correlation_id: str | None = Field(default=None, description="Name it when you report the problem.")


def problem_response(request: Request, error: CloudError) -> Response:
    """The answer for an error."""
    language = preferred_language(request.headers.get("accept-language"))
    members = {
        "type": f"urn:solar-hub:problem:{error.code}",
        "title": text(f"problem.{error.code}", language) or error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "correlation_id": request.scope.get("state", {}).get("correlation_id"),
    }
    headers = {**error.headers, "Content-Language": language.value}
    # What an error adds stands behind the members that all have, and never in their place.
    body = {**members, **error.extra, **members}
    return JSONResponse(body, status_code=error.status, headers=headers, media_type=PROBLEM_TYPE)


def field_problems(errors: Sequence[Any]) -> list[FieldProblem]:
    """Pydantic's errors as the API's: dotted field, message, and the value where it is short and no secret."""
    return [_field_problem(error) for error in errors]


def _field_problem(error: dict[str, Any]) -> FieldProblem:
    where = [str(part) for part in error["loc"]]
    if where and where[0] in {"body", "query", "path", "header", "cookie"} and len(where) > 1:
        where = where[1:]
    problem: FieldProblem = {"field": ".".join(where), "message": str(error["msg"]).removeprefix("Value error, ")}
    value = error.get("input")
    shown = isinstance(value, str | int | float | bool) and not any(
        word in part.lower() for part in where for word in _SECRET_FIELDS
    )
    if shown and error["type"] != "json_invalid":
        problem["value"] = _showable(value)
    return problem


def _showable(value: Any) -> str | int | float | bool:  # noqa: ANN401 -- whatever JSON brought
    if isinstance(value, str):
        return value[:_MAX_VALUE_CHARS].encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return str(value)[:_MAX_VALUE_CHARS]
    return value  # type: ignore[no-any-return]


def from_http_exception(error: HTTPException) -> CloudError:
    """The framework's own errors (no such route, wrong method, unreadable body) in our form."""
    known: dict[int, tuple[str, str]] = {
        400: ("validation_failed", "The body could not be read; send JSON as the OpenAPI document describes it."),
        404: ("not_found", "There is nothing at this address."),
        405: ("method_not_allowed", "This address does not take this method; the header Allow lists those it takes."),
    }
    if error.status_code == TooLargeError.status:
        return TooLargeError(str(error.detail))
    code, detail = known.get(error.status_code, ("http_error", str(error.detail)))
    problem = CloudError(detail, code=code, headers=error.headers)
    # A 400 of the framework is a body that is no JSON: the same kind of mistake as a wrong field.
    return _with_status(problem, 422 if error.status_code == 400 else error.status_code)


def _with_status(error: CloudError, status: int) -> CloudError:
    error.status = status  # type: ignore[misc]  # an instance's own status, where the framework chose it
    return error


def from_database_error(error: Exception) -> CloudError:
    """What a database error that no service expected means for the caller.

    Services map the constraints that they know; this keeps the rest from becoming a 500 where the caller can help.

    Args:
        error: SQLAlchemy's, or the driver's own from a statement on its connection.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = str(getattr(cause, "sqlstate", "") or "")
    broken = is_broken_connection(cause) or (isinstance(error, DBAPIError) and error.connection_invalidated)
    if broken or state in _RETRYABLE or state.startswith(_RETRYABLE_CLASSES):
        return OverloadedError()
    if state == _UNIQUE:
        return ConflictError("Something with the same unique value exists already.")
    if state == _FOREIGN_KEY:
        return ConflictError(
            "It refers to something that does not exist, or is still referred to by other records.", code="in_use"
        )
    if state[:2] in _BAD_DATA_CLASSES:
        return ValidationFailedError("A value is outside of what can be stored.")
    return CloudError()


async def _on_cloud_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, CloudError):
        raise error
    if error.status >= 500:
        _log.warning("request_failed", code=error.code, detail=error.detail)
    return problem_response(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return problem_response(request, from_http_exception(error))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return problem_response(request, ValidationFailedError(errors=field_problems(error.errors())))


async def _on_database_error(request: Request, error: Exception) -> Response:
    problem = from_database_error(error)
    _log.warning("database_error", code=problem.code, kind=type(getattr(error, "orig", error)).__name__, exc_info=error)
    return problem_response(request, problem)


async def _on_busy(request: Request, _error: Exception) -> Response:
    return problem_response(
        request, OverloadedError("All database connections are busy: nothing was changed; try again.")
    )


async def _on_unavailable(request: Request, error: Exception) -> Response:
    _log.error("database_unavailable", error=str(error))
    detail = "The database does not answer: nothing was changed; try again later."
    return problem_response(request, OverloadedError(detail, code="database_unavailable", retry_after_s=10))


async def _on_anything(request: Request, error: Exception) -> Response:
    _log.error("unexpected_error", exc_info=error)
    return problem_response(request, CloudError())


def install_error_handlers(app: FastAPI) -> None:
    """Answer every exception with a problem document. Call it before middleware is added that is to be outside of all answers."""
    app.add_exception_handler(CloudError, _on_cloud_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    database_errors: tuple[type[Exception], ...] = (DBAPIError, *DRIVER_ERRORS)
    for kind in database_errors:
        app.add_exception_handler(kind, _on_database_error)
    app.add_exception_handler(DatabaseBusyError, _on_busy)
    app.add_exception_handler(DatabaseUnavailableError, _on_unavailable)
    # Inside of all other middleware: the framework's own place for this is outside, where an answer gets no headers of ours.
    app.add_middleware(ServerErrorMiddleware, handler=_on_anything)
