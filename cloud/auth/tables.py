"""Accounts and their refresh tokens."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, HasCreated, HasId, JsonObject, Tracked, pg_enum
from shared.enums import UserRole


class User(HasId, Tracked, Base):
    """An account.

    `role` decides only whether somebody is a `super_admin` of the platform, and is the default role of a new membership; inside an
    organisation the membership decides. `password_hash` is empty for an account that was invited and has not chosen one.
    """

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email"),
        # Ali@x.pk and ali@x.pk are one mailbox, and logins look here.
        Index("uq_users_email_lower", func.lower(text("email")), unique=True),
        CheckConstraint("email LIKE '%_@_%'", name="email_has_at"),
    )

    email: Mapped[str] = mapped_column(String(320))
    phone: Mapped[str | None] = mapped_column(String(32))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    first_name: Mapped[str] = mapped_column(String(100))
    last_name: Mapped[str] = mapped_column(String(100), server_default="")
    role: Mapped[UserRole] = mapped_column(pg_enum(UserRole, name="user_role"), server_default=UserRole.VIEWER.value)
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    is_verified: Mapped[bool] = mapped_column(server_default=text("false"))
    preferences: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))


class RefreshToken(HasId, HasCreated, Base):
    """One refresh token; all that follow from one login share a family, which falls as a whole when a used one comes again."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index(None, "user_id"),
        Index(None, "family_id"),
        Index(None, "expires_at"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    family_id: Mapped[UUID]
    token_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the token, in hex."""
    expires_at: Mapped[datetime]
    rotated_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
