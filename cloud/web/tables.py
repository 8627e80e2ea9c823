"""Answers kept for requests that a client may send twice."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, HasCreated, HasId, JsonObject


class IdempotencyKey(HasId, HasCreated, Base):
    """What was answered to a request with an `Idempotency-Key`; `status` is empty while the first one is still being worked on.

    A key belongs to one user, so no other tenant's answer can be asked for; the answer itself is kept for a day.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("user_id", "key"), Index(None, "created_at"))

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(255))
    request_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 of method, path and body, in hex."""
    status: Mapped[int | None]
    headers: Mapped[JsonObject | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
