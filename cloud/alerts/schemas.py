"""What the alert endpoints take and give."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from cloud.core.fields import Name, Prose, refuse_nulls
from shared.alert_rules import Condition
from shared.enums import AlertSeverity, AlertStatus

_CONDITION_EXAMPLE: dict[str, JsonValue] = {
    "metric": "power_output",
    "operator": "lt",
    "threshold": 10.0,
    "duration_seconds": 300,
    "device_type": "inverter",
}


class Channel(StrEnum):
    """How people are told."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    WEBHOOK = "webhook"


class AlertRuleCreate(BaseModel):
    """A new rule; without `site_id` it holds for all sites of the organisation, without `device_id` for all devices that it fits."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"name": "Production low", "condition": _CONDITION_EXAMPLE, "severity": "warning"}
        },
    )

    name: Name
    description: Prose | None = None
    site_id: UUID | None = None
    device_id: UUID | None = None
    condition: Condition
    severity: AlertSeverity = AlertSeverity.WARNING
    channels: Annotated[list[Channel], Field(max_length=4)] = []
    is_active: bool = True
    cooldown_minutes: Annotated[int, Field(ge=0, le=10_080)] = 15
    auto_resolve: bool = True

    @model_validator(mode="after")
    def _a_device_has_a_site(self) -> Self:
        if self.device_id is not None and self.site_id is None:
            raise ValueError("device_id needs site_id beside it: send the site of the device too")
        return self


class AlertRuleUpdate(BaseModel):
    """What of a rule may change; where it applies may not: make another rule for that."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    description: Prose | None = None
    condition: Condition | None = None
    severity: AlertSeverity | None = None
    channels: Annotated[list[Channel] | None, Field(max_length=4)] = None
    is_active: bool | None = None
    cooldown_minutes: Annotated[int | None, Field(ge=0, le=10_080)] = None
    auto_resolve: bool | None = None

    @model_validator(mode="after")
    def _only_the_description_can_be_empty(self) -> Self:
        return refuse_nulls(
            self, "name", "condition", "severity", "channels", "is_active", "cooldown_minutes", "auto_resolve"
        )


class AlertRuleRead(BaseModel):
    """A rule."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    organization_id: UUID
    site_id: UUID | None
    device_id: UUID | None
    name: str
    description: str | None
    condition: Condition
    severity: AlertSeverity
    channels: list[Channel]
    is_active: bool
    cooldown_minutes: int
    auto_resolve: bool
    created_at: datetime
    updated_at: datetime
    version: int


class AlertRead(BaseModel):
    """An alert."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    rule_id: UUID | None
    organization_id: UUID
    site_id: UUID
    device_id: UUID | None = Field(description="Null for an alert about the whole site.")
    severity: AlertSeverity
    status: AlertStatus
    title: str
    message: str
    metric_name: str | None
    metric_value: float | None
    metric_state: str | None
    threshold: float | None
    threshold_state: str | None
    source: str = Field(description="`edge`: found by the site's agent; `cloud`: found here.")
    triggered_at: datetime
    acknowledged_by: UUID | None
    acknowledged_at: datetime | None
    resolved_by: UUID | None
    resolved_at: datetime | None
    escalated: bool
    created_at: datetime
    version: int


class AlertEventRead(BaseModel):
    """One change of an alert."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    at: datetime
    kind: str
    actor_id: UUID | None = Field(description="Null: the site's agent or the cloud itself.")
    detail: dict[str, Any]
