"""What can go wrong in the cloud, as the caller sees it: an HTTP status, a stable code, and a sentence with the way out.

A domain subclasses the error that fits and sets `code` (and `title`, and both languages' words in `cloud.core.text` if the title is
new). The code is part of the API: never rename one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NotRequired, TypedDict

from shared.errors import SolarHubError


class FieldProblem(TypedDict):
    """One wrong field of a body, a path or a query.

    Attributes:
        field: where it stands, dotted: `configuration.system_capacity_kw`, `devices.0.name`.
        message: what is wrong and what would be right.
        value: what was sent; left out for secrets and for whole objects.
    """

    field: str
    message: str
    value: NotRequired[str | int | float | bool | None]


class CloudError(SolarHubError):
    """Something failed on the server; try again, and report the correlation id if it stays."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Build the error.

        Args:
            detail: the sentence for the caller; the class's docstring when empty. It is sent out: no internals, no secrets.
            code: a narrower stable code than the class's own.
            extra: more members of the problem document, JSON-serialisable (`expected_seq`, `errors` …).
            headers: response headers (`Retry-After`, `WWW-Authenticate` …).
        """
        self.detail = detail or (type(self).__doc__ or type(self).title).strip().splitlines()[0]
        super().__init__(self.detail)
        if code is not None:
            self.code = code
        self.extra: dict[str, Any] = dict(extra or {})
        self.headers: dict[str, str] = dict(headers or {})


class UnauthenticatedError(CloudError):
    """Log in first: send `Authorization: Bearer <access token>`."""

    status = 401
    code = "unauthenticated"
    title = "Not logged in"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        extra: Mapping[str, Any] | None = None,
        challenge: str = "Bearer",
    ) -> None:
        """As `CloudError`; `challenge` is the `WWW-Authenticate` header that RFC 9110 asks for beside a 401."""
        super().__init__(detail, code=code, extra=extra, headers={"WWW-Authenticate": challenge})


class ForbiddenError(CloudError):
    """Your role in this organisation does not include this action."""

    status = 403
    code = "forbidden"
    title = "Not allowed"


class NotFoundError(CloudError):
    """There is no such thing, or it belongs to somebody else."""

    status = 404
    code = "not_found"
    title = "Not found"


class ConflictError(CloudError):
    """The request collides with what is stored."""

    status = 409
    code = "conflict"
    title = "Conflict"


class GoneError(CloudError):
    """It existed, and can no longer be used."""

    status = 410
    code = "gone"
    title = "No longer available"


class PreconditionFailedError(CloudError):
    """Somebody changed it since you read it: read it again and repeat the change on the new version."""

    status = 412
    code = "version_stale"
    title = "Changed in the meantime"


class PreconditionRequiredError(CloudError):
    """Send the ETag of the version that you read in the header If-Match."""

    status = 428
    code = "if_match_required"
    title = "Version required"


class TooLargeError(CloudError):
    """The body is too large: send less at once."""

    status = 413
    code = "body_too_large"
    title = "Body too large"


class ValidationFailedError(CloudError):
    """The request does not have the form that this address takes."""

    status = 422
    code = "validation_failed"
    title = "Invalid request"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        errors: Sequence[FieldProblem] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """As `CloudError`; `errors` lists every wrong field."""
        super().__init__(detail, code=code, extra={**(extra or {}), "errors": list(errors)})


class RateLimitedError(CloudError):
    """Too many requests: wait as long as Retry-After says."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after_s: int = 60) -> None:
        """As `CloudError`; `retry_after_s` is sent as `Retry-After`."""
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after_s)})


class OverloadedError(CloudError):
    """The service is busy or a part of it is down: nothing was changed; try again after Retry-After."""

    status = 503
    code = "overloaded"
    title = "Busy"

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after_s: int = 5) -> None:
        """As `CloudError`; `retry_after_s` is sent as `Retry-After`."""
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after_s)})
