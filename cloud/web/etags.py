"""Versions of things, so that nobody overwrites a change that they have not seen.

Every answer with one thing carries `ETag: "<version>"`; PATCH and DELETE send it back as `If-Match`. Without it the answer is 428, with
a version that is no longer the present one 412.
"""

import re
from typing import Annotated

from fastapi import Depends, Header
from starlette.responses import Response

from cloud.core.errors import PreconditionFailedError, PreconditionRequiredError

_ETAG = re.compile(r'"(\d{1,9})"')


def etag(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


def set_etag(response: Response, version: int) -> None:
    """Put the ETag of a version on an answer."""
    response.headers["ETag"] = etag(version)


def version_of(if_match: str | None) -> int:
    """The version that the client has seen.

    Raises:
        PreconditionRequiredError: without the header, or with `*`, which would mean "whatever it is now".
        PreconditionFailedError: if it is no ETag of ours; it can then not be the present one.
    """
    if if_match is None or if_match.strip() == "*":
        raise PreconditionRequiredError
    match = _ETAG.fullmatch(if_match.strip())
    if match is None:
        raise PreconditionFailedError(
            'If-Match is not an ETag of this API; send the one you were given, as in If-Match: "3".'
        )
    return int(match[1])


def _if_match(
    if_match: Annotated[str | None, Header(description='ETag of the version that you read, as in `"3"`.')] = None,
) -> int:
    return version_of(if_match)


IfMatch = Annotated[int, Depends(_if_match)]
"""Dependency: the version in `If-Match` (428 without it, 412 if it is none of ours)."""


def stale(current: int) -> PreconditionFailedError:
    """The error for a version that is no longer the present one."""
    return PreconditionFailedError(extra={"current_version": current})
