"""Reports, their schedules and templates."""

from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, HasId, JsonObject, Tracked, one_of
from shared.enums import ReportFormat, ReportFrequency, ReportStatus, ReportType


class ReportTemplate(HasId, Tracked, Base):
    """Branding and sections for one type of report; at most one per organisation and type is the default."""

    __tablename__ = "report_templates"
    __table_args__ = (
        UniqueConstraint("id", "organization_id"),
        Index(None, "organization_id", "report_type"),
        Index(
            "uq_report_templates_default",
            "organization_id",
            "report_type",
            unique=True,
            postgresql_where=text("is_default"),
        ),
        one_of("report_type", ReportType),
        CheckConstraint("usage_count >= 0", name="usage_count_not_negative"),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    report_type: Mapped[str] = mapped_column(String(50))
    branding: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    sections: Mapped[list[JsonObject]] = mapped_column(server_default=text("'[]'::jsonb"))
    default_parameters: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    usage_count: Mapped[int] = mapped_column(server_default=text("0"))


class ReportSchedule(HasId, Tracked, Base):
    """When a report is made by itself.

    Attributes:
        run_time: local time of day in `timezone`.
        day_of_week: 0 = Monday; weekly schedules.
        day_of_month: 1 to 28, or -1 for the last day; monthly, quarterly and yearly schedules.
        month_of_year: month of a yearly schedule; first month of a quarterly one.
        run_date: day of a schedule that runs once.
        delivery_config: as `cloud.reports.schemas.DeliveryConfig`; its secrets hold ciphertext.
    """

    __tablename__ = "report_schedules"
    __table_args__ = (
        UniqueConstraint("id", "organization_id"),
        # A template or schedule of another organisation cannot be named; RESTRICT, since SET NULL would empty organization_id too.
        ForeignKeyConstraint(
            ["template_id", "organization_id"],
            ["report_templates.id", "report_templates.organization_id"],
            ondelete="RESTRICT",
        ),
        Index(None, "organization_id", "is_active"),
        Index(None, "is_active", "next_run_at"),
        Index(None, "template_id"),
        one_of("report_type", ReportType),
        one_of("format", ReportFormat),
        one_of("frequency", ReportFrequency),
        CheckConstraint("day_of_week BETWEEN 0 AND 6", name="day_of_week_in_range"),
        CheckConstraint("day_of_month BETWEEN 1 AND 28 OR day_of_month = -1", name="day_of_month_in_range"),
        CheckConstraint("month_of_year BETWEEN 1 AND 12", name="month_of_year_in_range"),
        CheckConstraint("frequency <> 'once' OR run_date IS NOT NULL", name="once_has_run_date"),
        CheckConstraint("frequency <> 'weekly' OR day_of_week IS NOT NULL", name="weekly_has_day"),
        CheckConstraint(
            "frequency NOT IN ('monthly', 'quarterly', 'yearly') OR day_of_month IS NOT NULL", name="monthly_has_day"
        ),
        CheckConstraint("frequency <> 'yearly' OR month_of_year IS NOT NULL", name="yearly_has_month"),
        CheckConstraint("successful_runs + failed_runs <= total_runs", name="runs_add_up"),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    template_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(String(255))
    report_type: Mapped[str] = mapped_column(String(50))
    parameters: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    format: Mapped[str] = mapped_column(String(20), server_default="pdf")
    frequency: Mapped[str] = mapped_column(String(20))
    run_time: Mapped[time] = mapped_column(server_default=text("'06:00'"))
    run_date: Mapped[date | None]
    day_of_week: Mapped[int | None]
    day_of_month: Mapped[int | None]
    month_of_year: Mapped[int | None]
    timezone: Mapped[str] = mapped_column(String(50), server_default="Asia/Karachi")
    delivery_config: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    next_run_at: Mapped[datetime | None]
    last_run_at: Mapped[datetime | None]
    total_runs: Mapped[int] = mapped_column(server_default=text("0"))
    successful_runs: Mapped[int] = mapped_column(server_default=text("0"))
    failed_runs: Mapped[int] = mapped_column(server_default=text("0"))


class Report(HasId, Tracked, Base):
    """One report, asked for or scheduled. UNIQUE (schedule_id, scheduled_for) makes it impossible to fire a schedule twice.

    Attributes:
        file_path: within the file store.
        sha256: of the file, in hex.
        attempts: how often a worker has taken it.
        claimed_until: a worker has it until then; after that another may take it.
        error: why it failed, in words for the user.
    """

    __tablename__ = "reports"
    __table_args__ = (
        ForeignKeyConstraint(
            ["schedule_id", "organization_id"],
            ["report_schedules.id", "report_schedules.organization_id"],
            ondelete="RESTRICT",
        ),
        ForeignKeyConstraint(
            ["template_id", "organization_id"],
            ["report_templates.id", "report_templates.organization_id"],
            ondelete="RESTRICT",
        ),
        UniqueConstraint("schedule_id", "scheduled_for"),
        Index(None, "organization_id", "report_type"),
        Index(None, "status", "requested_at"),
        Index(None, "template_id"),
        Index(None, "expires_at"),
        Index(
            "ix_reports_parameters",
            "parameters",
            postgresql_using="gin",
            postgresql_ops={"parameters": "jsonb_path_ops"},
        ),
        one_of("report_type", ReportType),
        one_of("format", ReportFormat),
        one_of("status", ReportStatus),
        CheckConstraint("file_size_bytes >= 0", name="file_size_not_negative"),
        CheckConstraint("(schedule_id IS NULL) = (scheduled_for IS NULL)", name="scheduled_both_or_none"),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    template_id: Mapped[UUID | None]
    schedule_id: Mapped[UUID | None]
    scheduled_for: Mapped[datetime | None]
    report_type: Mapped[str] = mapped_column(String(50))
    name: Mapped[str] = mapped_column(String(255))
    parameters: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    format: Mapped[str] = mapped_column(String(20), server_default="pdf")
    language: Mapped[str] = mapped_column(String(5), server_default="en")
    status: Mapped[str] = mapped_column(String(20), server_default="pending")
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    error: Mapped[str | None]
    file_path: Mapped[str | None] = mapped_column(String(500))
    file_size_bytes: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    expires_at: Mapped[datetime | None]
