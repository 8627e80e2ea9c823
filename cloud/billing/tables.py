"""Tariffs and simulated bills."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, HasCreated, HasId, JsonObject, Tracked, one_of
from cloud.core.discos import DiscoProvider

RATE_STATUSES = ("verified", "derived", "estimated", "pending")


class TariffCategory(HasCreated, Base):
    """A class of consumers. An alias is another name of one, and has no plans of its own."""

    __tablename__ = "tariff_categories"
    __table_args__ = (Index(None, "alias_of"), CheckConstraint("alias_of <> code", name="alias_of_another"))

    code: Mapped[str] = mapped_column(String(50), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    nepra_code: Mapped[str | None] = mapped_column(String(30))
    """As the schedule of tariffs calls it: A-1, A-2(c), B-2 …; None where the schedule's own name was not verified."""
    alias_of: Mapped[str | None] = mapped_column(ForeignKey("tariff_categories.code", ondelete="RESTRICT"))


class TariffPlan(HasId, Tracked, Base):
    """The rates of one category at one company for a time.

    Two plans of one company, category and variant cannot be in force on the same day.

    Attributes:
        variant: tells plans of one category apart: `standard`, `tou`, `lifeline` …
        effective_to: last day in force; None = until further notice.
        rates: as `cloud.billing.schemas.TariffRates`.
        source: the S.R.O. or other document that the rates were taken from.
    """

    __tablename__ = "tariff_plans"
    __table_args__ = (
        ExcludeConstraint(
            ("disco_provider", "="),
            ("category", "="),
            ("variant", "="),
            (text("daterange(effective_from, effective_to, '[]')"), "&&"),
            using="gist",
            name="ex_tariff_plans_no_overlap",
        ),
        Index(None, "disco_provider", "category"),
        Index("ix_tariff_plans_rates", "rates", postgresql_using="gin", postgresql_ops={"rates": "jsonb_path_ops"}),
        CheckConstraint("effective_to >= effective_from", name="period_ascends"),
        one_of("disco_provider", DiscoProvider),
        one_of("status", RATE_STATUSES),
    )

    disco_provider: Mapped[str] = mapped_column(String(20))
    category: Mapped[str] = mapped_column(String(50), ForeignKey("tariff_categories.code", ondelete="RESTRICT"))
    variant: Mapped[str] = mapped_column(String(50), server_default="standard")
    name: Mapped[str] = mapped_column(String(255), server_default="")
    effective_from: Mapped[date]
    effective_to: Mapped[date | None]
    rates: Mapped[JsonObject]
    supports_net_metering: Mapped[bool] = mapped_column(server_default=text("false"))
    supports_tou: Mapped[bool] = mapped_column(server_default=text("false"))
    source: Mapped[str] = mapped_column(String(500), server_default="")
    status: Mapped[str] = mapped_column(String(20), server_default="verified")


class TariffAdjustment(HasId, Tracked, Base):
    """A dated part of a bill that changes apart from the plan: FCA, QTA, surcharge, duty, tax, fee.

    Attributes:
        kind: `fca`, `qta`, `phl`, `electricity_duty`, `gst`, `muct`, `tv_fee`, `income_tax` …
        scope: `all`, a company's code, or a place that the kind's law speaks of (`sindh`, `karachi`).
        consumers: `all` or a group of categories (`residential`, `commercial`, `industrial` …).
        effective_from: first day on which it applies; for FCA the first day of the month of consumption.
        effective_to: last day; None = until further notice.
        rate: in `unit`; None = not announced yet: a bill shows the line as pending.
        parameters: exclusions, steps, and whatever else the kind needs.
    """

    __tablename__ = "tariff_adjustments"
    __table_args__ = (
        UniqueConstraint("kind", "scope", "consumers", "effective_from"),
        CheckConstraint("effective_to >= effective_from", name="period_ascends"),
        CheckConstraint(
            "(rate IS NULL) = (status = 'pending') OR parameters <> '{}'::jsonb", name="pending_without_rate"
        ),
        one_of("status", RATE_STATUSES),
    )

    kind: Mapped[str] = mapped_column(String(40))
    scope: Mapped[str] = mapped_column(String(40), server_default="all")
    consumers: Mapped[str] = mapped_column(String(40), server_default="all")
    effective_from: Mapped[date]
    effective_to: Mapped[date | None]
    rate: Mapped[Decimal | None] = mapped_column(Numeric(14, 6))
    unit: Mapped[str] = mapped_column(String(20), server_default="pkr_per_kwh")
    parameters: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    source: Mapped[str] = mapped_column(String(500), server_default="")
    status: Mapped[str] = mapped_column(String(20), server_default="verified")


class BillingSimulation(HasId, Tracked, Base):
    """A bill for a site and a period, with the plan and the inputs it stands on.

    Attributes:
        period_end: last day of the period.
        estimated_savings_pkr: what the bill without solar would be more.
        is_actual: from actual readings of the period, not from estimates.
        inputs: everything that the calculation was given; the same inputs give the same `content_hash`.
        lines: the explained lines of the bill.
        coverage_percent: share of the period for which there were readings.
    """

    __tablename__ = "billing_simulations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "site_id", "period_start", "period_end"),
        Index(None, "organization_id"),
        Index(None, "tariff_plan_id"),
        CheckConstraint("period_end >= period_start", name="period_ascends"),
        CheckConstraint(
            "energy_consumed_kwh >= 0 AND energy_exported_kwh >= 0 AND energy_imported_kwh >= 0 AND energy_generated_kwh >= 0",
            name="energy_not_negative",
        ),
    )

    site_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    tariff_plan_id: Mapped[UUID] = mapped_column(ForeignKey("tariff_plans.id", ondelete="RESTRICT"))
    period_start: Mapped[date]
    period_end: Mapped[date]
    energy_consumed_kwh: Mapped[Decimal] = mapped_column(Numeric(14, 3))
    energy_generated_kwh: Mapped[Decimal | None] = mapped_column(Numeric(14, 3))
    energy_imported_kwh: Mapped[Decimal | None] = mapped_column(Numeric(14, 3))
    energy_exported_kwh: Mapped[Decimal] = mapped_column(Numeric(14, 3), server_default=text("0"))
    bill_breakdown: Mapped[JsonObject]
    savings_breakdown: Mapped[JsonObject]
    estimated_bill_pkr: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    estimated_savings_pkr: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    is_actual: Mapped[bool] = mapped_column(server_default=text("false"))
    inputs: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    lines: Mapped[list[JsonObject]] = mapped_column(server_default=text("'[]'::jsonb"))
    warnings: Mapped[list[JsonObject]] = mapped_column(server_default=text("'[]'::jsonb"))
    coverage_percent: Mapped[float | None]
    content_hash: Mapped[str | None] = mapped_column(String(64))
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
