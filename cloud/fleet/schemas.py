"""What the fleet's endpoints take and give, beside the wire models."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cloud.core.db import TenantContext


@dataclass(frozen=True, slots=True)
class EdgeIdentity:
    """The gateway behind a request of an agent.

    Attributes:
        plan_revision: of the plan that waits for it.
    """

    gateway_id: UUID
    site_id: UUID
    organization_id: UUID
    plan_revision: int

    @property
    def context(self) -> TenantContext:
        """All that the agent may see and write: its own site's rows."""
        return TenantContext(organization_ids=(self.organization_id,), site_ids=(self.site_id,))


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """What a gateway's credential is judged by; hashes, never the secret."""

    credential_hash: str
    previous_credential_hash: str | None
    previous_valid_until: datetime | None
    revoked_at: datetime | None


class ClaimCodeRead(BaseModel):
    """A claim code, shown this once."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"code": "K7QW-3MZP", "expires_at": "2026-06-01T07:15:00Z"}}
    )

    code: str = Field(description="To be typed on the box: `solarhub-edge enrol --cloud URL --code XXXX-XXXX`.")
    expires_at: AwareDatetime


class GatewayRead(BaseModel):
    """An edge box of a site."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    site_id: UUID
    name: str
    agent_version: str | None
    agent_facts: dict[str, Any]
    time_quality: str | None
    last_seen_at: datetime | None
    revoked_at: datetime | None
    acked_seq: int
    plan_revision: int
    applied_plan_revision: int | None
    buffer_state: dict[str, Any] | None
    created_at: datetime
    version: int


class CredentialRead(BaseModel):
    """A new credential, shown this once; the one before it stays good until `previous_valid_until`."""

    credential: str
    previous_valid_until: AwareDatetime
