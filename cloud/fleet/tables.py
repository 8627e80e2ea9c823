"""Edge gateways and the codes that claim them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, BigInt, HasCreated, HasId, JsonObject, Tracked


class EdgeGateway(HasId, Tracked, Base):
    """One box on a site that runs the edge agent.

    Attributes:
        credential_hash: SHA-256 of the bearer credential, in hex.
        previous_credential_hash: the one before a rotation; good until `previous_valid_until`.
        epoch: life of the agent's store that `acked_seq` belongs to; None before the first batch.
        past_epochs: lives that ended; a batch from one of them comes from a second box with the same identity.
        acked_seq: highest sequence number committed without a hole.
        plan_revision: of the plan that the cloud holds ready; `applied_plan_revision` is the one that the agent runs.
        buffer_state: what waits at the edge, as the last heartbeat said.
    """

    __tablename__ = "edge_gateways"
    __table_args__ = (
        UniqueConstraint("credential_hash"),
        UniqueConstraint("site_id", "id"),
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "site_id", "organization_id"),
        Index(None, "organization_id"),
        Index(None, "last_seen_at"),
        CheckConstraint("acked_seq >= 0", name="acked_seq_not_negative"),
    )

    site_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(String(255), server_default="")
    credential_hash: Mapped[str] = mapped_column(String(64))
    previous_credential_hash: Mapped[str | None] = mapped_column(String(64))
    previous_valid_until: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    epoch: Mapped[UUID | None]
    epoch_started_at: Mapped[datetime | None]
    past_epochs: Mapped[list[UUID]] = mapped_column(server_default=text("'{}'::uuid[]"))
    acked_seq: Mapped[BigInt] = mapped_column(server_default=text("0"))
    agent_version: Mapped[str | None] = mapped_column(String(32))
    agent_facts: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    time_quality: Mapped[str | None] = mapped_column(String(20))
    plan_revision: Mapped[BigInt] = mapped_column(server_default=text("1"))
    applied_plan_revision: Mapped[BigInt | None]
    last_seen_at: Mapped[datetime | None]
    buffer_state: Mapped[JsonObject | None]


class ClaimCode(HasId, HasCreated, Base):
    """A one-time code that turns a box into a gateway of a site; only its SHA-256 is kept."""

    __tablename__ = "claim_codes"
    __table_args__ = (
        UniqueConstraint("code_hash"),
        ForeignKeyConstraint(["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["site_id", "gateway_id"], ["edge_gateways.site_id", "edge_gateways.id"], ondelete="CASCADE"
        ),
        Index(None, "site_id", "organization_id"),
        Index(None, "organization_id"),
        Index(None, "expires_at"),
        CheckConstraint("attempts >= 0", name="attempts_not_negative"),
    )

    site_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    code_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    gateway_id: Mapped[UUID | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
