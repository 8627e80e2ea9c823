"""POST requests that may be sent twice: the same `Idempotency-Key` and body give the same answer, and happen once.

The key's row is written in the request's own transaction: it exists exactly when the request's work does. A second request that
arrives meanwhile waits on the unique key, then answers with what the first one stored. Answers can hold secrets that are shown
once (a claim code), so they are stored encrypted.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from cloud.core.crypto import SecretBox
from cloud.core.db import SYSTEM, Database
from cloud.core.errors import CloudError, ValidationFailedError
from cloud.web import repository

KEEP = timedelta(hours=24)
HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotency-Replayed"

_KEPT_HEADERS = ("content-type", "etag", "location", "content-language")
_MAX_KEY_CHARS = 255


class ReplayedAnswerError(CloudError):
    """The request was done before: this carries its answer out of the dependencies."""

    def __init__(self, *, status: int, headers: dict[str, str], body: bytes) -> None:
        """The stored answer."""
        super().__init__("answered before")
        self.answer = Response(body, status_code=status, headers={**headers, REPLAY_HEADER: "true"})


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """A key that this request is the first to use; its answer is stored before the commit."""

    conn: AsyncConnection
    row_id: UUID
    box: SecretBox

    async def store(self, response: Response) -> None:
        """Keep the answer; failures are not kept, so that they can be tried again."""
        body = base64.b64encode(bytes(response.body)).decode()
        await repository.keep_answer(
            self.conn,
            self.row_id,
            status=response.status_code,
            headers={name: value for name, value in response.headers.items() if name in _KEPT_HEADERS},
            body=self.box.encrypt(body, context=_context(self.row_id)).encode(),
        )


def request_hash(method: str, path: str, query: str, body: bytes) -> str:
    """What makes two requests the same one; JSON bodies are compared by content, not by spelling."""
    try:
        body = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        body = bytes(body)
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), query.encode(), body))).hexdigest()


def checked_key(value: str) -> str:
    """The header's value.

    Raises:
        ValidationFailedError: if it is empty, too long or not printable ASCII.
    """
    if not 1 <= len(value) <= _MAX_KEY_CHARS or not (value.isascii() and value.isprintable()):
        raise ValidationFailedError(
            f"{HEADER} must be 1 to {_MAX_KEY_CHARS} printable ASCII characters; a random UUID does well.",
            errors=[{"field": HEADER, "message": f"1 to {_MAX_KEY_CHARS} printable ASCII characters"}],
        )
    return value


async def claim_key(
    conn: AsyncConnection, request: Request, *, user_id: UUID, key: str, now: datetime, box: SecretBox
) -> KeyInUse:
    """Take the key for this request, in its transaction.

    Raises:
        ReplayedAnswerError: if the same request was answered before.
        ValidationFailedError: `idempotency_key_reused` if the key was used for another request.
    """
    digest = request_hash(request.method, request.url.path, request.url.query, await request.body())
    row_id = await repository.take_key(
        conn, user_id=user_id, key=key, request_hash=digest, now=now, free_before=now - KEEP
    )
    if row_id is not None:
        return KeyInUse(conn, row_id, box)
    stored = await repository.stored_answer(conn, user_id=user_id, key=key)
    if stored.request_hash != digest or stored.status is None or stored.body is None:
        raise ValidationFailedError(
            f"This {HEADER} was used for another request; use a new one for each request.",
            code="idempotency_key_reused",
        )
    body = base64.b64decode(box.decrypt(stored.body.decode(), context=_context(stored.id)))
    raise ReplayedAnswerError(status=stored.status, headers=dict(stored.headers or {}), body=body)


async def sweep_old_keys(db: Database, now: datetime) -> int:
    """Delete keys that are no longer honoured; returns how many."""
    async with db.transaction(SYSTEM) as conn:
        return await repository.forget_answers(conn, before=now - KEEP)


def _context(row_id: UUID) -> str:
    return f"idempotency_keys.{row_id}"
