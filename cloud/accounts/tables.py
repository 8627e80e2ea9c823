"""Organisations and who belongs to them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, HasId, JsonObject, Tracked, one_of, pg_enum
from shared.enums import OrgMemberRole

ORGANIZATION_STATUSES = ("active", "suspended", "closed")


class Organization(HasId, Tracked, Base):
    """A company or household that owns sites: the tenant.

    A deferred trigger checks at commit that `owner_id` and the membership with the role `owner` name the same account.
    """

    __tablename__ = "organizations"
    __table_args__ = (UniqueConstraint("slug"), Index(None, "owner_id"), one_of("status", ORGANIZATION_STATUSES))

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None]
    logo_url: Mapped[str | None] = mapped_column(String(500))
    website: Mapped[str | None] = mapped_column(String(500))
    status: Mapped[str] = mapped_column(String(20), server_default="active")
    settings: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))


class OrganizationMember(HasId, Tracked, Base):
    """What an account may do in one organisation; an invitation is a membership that has not been accepted."""

    __tablename__ = "organization_members"
    __table_args__ = (
        UniqueConstraint("organization_id", "user_id"),
        UniqueConstraint("invitation_token"),
        Index(None, "user_id"),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    role: Mapped[OrgMemberRole] = mapped_column(pg_enum(OrgMemberRole, name="org_member_role"))
    invited_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    invitation_token: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of the token in hex; removed when it is used."""
    invitation_expires: Mapped[datetime | None]
    invitation_accepted: Mapped[bool] = mapped_column(server_default=text("false"))
    joined_at: Mapped[datetime | None]
