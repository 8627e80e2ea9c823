"""Answers kept for requests that may come twice, in the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.ids import new_id
from cloud.web.tables import IdempotencyKey


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What is kept of a request; `status` is None while it is being worked on."""

    id: UUID
    request_hash: str
    status: int | None
    headers: dict[str, Any] | None
    body: bytes | None


async def take_key(
    conn: AsyncConnection, *, user_id: UUID, key: str, request_hash: str, now: datetime, free_before: datetime
) -> UUID | None:
    """Take a key: waits for another transaction that is taking it; None if it is in use.

    Args:
        conn: the request's transaction.
        user_id: whose key it is.
        key: as the client sent it.
        request_hash: of the request.
        now: when.
        free_before: a key taken before this moment is free again.
    """
    statement = insert(IdempotencyKey).values(
        id=new_id(), user_id=user_id, key=key, request_hash=request_hash, created_at=now
    )
    taken = await conn.execute(
        statement.on_conflict_do_update(
            index_elements=[IdempotencyKey.user_id, IdempotencyKey.key],
            set_={"request_hash": request_hash, "created_at": now, "status": None, "headers": None, "body": None},
            where=IdempotencyKey.created_at < free_before,
        ).returning(IdempotencyKey.id)
    )
    return taken.scalar_one_or_none()


async def stored_answer(conn: AsyncConnection, *, user_id: UUID, key: str) -> StoredAnswer:
    """What is kept under a key that `take_key` found in use."""
    row = (
        await conn.execute(
            select(
                IdempotencyKey.id,
                IdempotencyKey.request_hash,
                IdempotencyKey.status,
                IdempotencyKey.headers,
                IdempotencyKey.body,
            ).where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
        )
    ).one()
    return StoredAnswer(*row)


async def keep_answer(
    conn: AsyncConnection, row_id: UUID, *, status: int, headers: dict[str, Any], body: bytes
) -> None:
    """Keep an answer."""
    await conn.execute(
        update(IdempotencyKey).where(IdempotencyKey.id == row_id).values(status=status, headers=headers, body=body)
    )


async def forget_answers(conn: AsyncConnection, *, before: datetime) -> int:
    """Delete keys taken before a moment; returns how many."""
    return (await conn.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < before))).rowcount
