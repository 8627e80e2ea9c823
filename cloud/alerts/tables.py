"""Alert rules, alerts and what happened to them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, HasId, JsonObject, Tracked, one_of, pg_enum
from shared.enums import AlertSeverity, AlertStatus

_OPEN = "status IN ('active', 'acknowledged')"

ALERT_SOURCES = ("edge", "cloud")
ALERT_EVENT_KINDS = ("opened", "updated", "acknowledged", "resolved", "expired", "escalated", "assigned", "commented")


class AlertRule(HasId, Tracked, Base):
    """When to raise an alert; for the whole organisation, one site, or one device of a site.

    Attributes:
        condition: as `shared.alert_rules.Condition`.
        channels: how to tell people: email, sms, push, webhook.
    """

    __tablename__ = "alert_rules"
    __table_args__ = (
        ForeignKeyConstraint(["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["site_id", "device_id"], ["devices.site_id", "devices.id"], ondelete="CASCADE"),
        Index(None, "organization_id", "site_id"),
        Index(None, "site_id"),
        Index(
            "ix_alert_rules_condition",
            "condition",
            postgresql_using="gin",
            postgresql_ops={"condition": "jsonb_path_ops"},
        ),
        CheckConstraint("device_id IS NULL OR site_id IS NOT NULL", name="device_has_site"),
        CheckConstraint("cooldown_minutes >= 0", name="cooldown_not_negative"),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    site_id: Mapped[UUID | None]
    device_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    condition: Mapped[JsonObject]
    severity: Mapped[AlertSeverity] = mapped_column(pg_enum(AlertSeverity, name="alert_severity"))
    channels: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    cooldown_minutes: Mapped[int] = mapped_column(server_default=text("15"))
    auto_resolve: Mapped[bool] = mapped_column(server_default=text("true"))


class Alert(HasId, Tracked, Base):
    """Something that a rule found. One raised at the edge brings its id, so the same alert sent twice is one row.

    The two partial unique indexes are what keeps one rule from having two open alerts for one device (or site), however many workers
    evaluate it at the same time.

    Attributes:
        rule_id: None once the rule has been deleted; the alert keeps its own title, severity and numbers.
        metric_value: for a state, the word stands in `metric_state`, as the threshold's in `threshold_state`.
        notifications_sent: channels that have been told.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        ForeignKeyConstraint(["site_id", "device_id"], ["devices.site_id", "devices.id"], ondelete="CASCADE"),
        Index(
            "uq_alerts_open_device",
            "rule_id",
            "device_id",
            unique=True,
            postgresql_where=text(f"{_OPEN} AND device_id IS NOT NULL"),
        ),
        Index(
            "uq_alerts_open_site",
            "rule_id",
            "site_id",
            unique=True,
            postgresql_where=text(f"{_OPEN} AND device_id IS NULL"),
        ),
        Index(None, "rule_id", "organization_id", "site_id", "device_id"),
        Index(None, "organization_id", "triggered_at"),
        Index(None, "site_id", "triggered_at"),
        Index(None, "device_id"),
        Index(None, "triggered_at"),
        Index(None, "status", "severity"),
        Index(
            "ix_alerts_to_escalate", "triggered_at", postgresql_where=text("status = 'active' AND escalated = false")
        ),
        one_of("source", ALERT_SOURCES),
        CheckConstraint("resolved_at >= triggered_at", name="resolved_after_triggered"),
    )

    rule_id: Mapped[UUID | None] = mapped_column(ForeignKey("alert_rules.id", ondelete="SET NULL"))
    organization_id: Mapped[UUID]
    site_id: Mapped[UUID]
    device_id: Mapped[UUID | None]
    severity: Mapped[AlertSeverity] = mapped_column(pg_enum(AlertSeverity, name="alert_severity"))
    status: Mapped[AlertStatus] = mapped_column(
        pg_enum(AlertStatus, name="alert_status"), server_default=AlertStatus.ACTIVE.value
    )
    title: Mapped[str] = mapped_column(String(255))
    message: Mapped[str] = mapped_column(server_default="")
    metric_name: Mapped[str | None] = mapped_column(String(64))
    metric_value: Mapped[float | None]
    metric_state: Mapped[str | None] = mapped_column(String(64))
    threshold: Mapped[float | None]
    threshold_state: Mapped[str | None] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(10), server_default="cloud")
    triggered_at: Mapped[datetime]
    acknowledged_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    acknowledged_at: Mapped[datetime | None]
    resolved_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    resolved_at: Mapped[datetime | None]
    notifications_sent: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    escalated: Mapped[bool] = mapped_column(server_default=text("false"))
    escalated_at: Mapped[datetime | None]


class AlertEvent(HasId, Base):
    """One change of an alert: who, what, when."""

    __tablename__ = "alert_events"
    __table_args__ = (
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "alert_id", "at"),
        Index(None, "organization_id", "at"),
        Index(None, "site_id"),
        one_of("kind", ALERT_EVENT_KINDS),
    )

    alert_id: Mapped[UUID] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    organization_id: Mapped[UUID]
    site_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    """The user who did it; None = the edge or the cloud itself."""
    detail: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
