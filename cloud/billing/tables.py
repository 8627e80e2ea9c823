"""Tariffs and simulated bills."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, HasCreated, HasId, JsonObject, Tracked, one_of
from cloud.core.discos import DiscoProvider

BILL_ORIGINS = ("simulated", "entered")
RUN_STATES = ("due", "billed", "skipped")
TARIFF_ORIGINS = ("product", "own")
"""`product`: from the data that comes with the program, which keeps it up to date; `own`: added or corrected here, and left alone by it."""

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
        origin: one of `TARIFF_ORIGINS`.
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
        one_of("origin", TARIFF_ORIGINS),
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
    origin: Mapped[str] = mapped_column(String(20), server_default="own")


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
        origin: one of `TARIFF_ORIGINS`.
    """

    __tablename__ = "tariff_adjustments"
    __table_args__ = (
        UniqueConstraint("kind", "scope", "consumers", "effective_from"),
        CheckConstraint("effective_to >= effective_from", name="period_ascends"),
        CheckConstraint(
            "(rate IS NULL) = (status = 'pending') OR parameters <> '{}'::jsonb", name="pending_without_rate"
        ),
        one_of("status", RATE_STATUSES),
        one_of("origin", TARIFF_ORIGINS),
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
    origin: Mapped[str] = mapped_column(String(20), server_default="own")


class BillingSimulation(HasId, Tracked, Base):
    """A bill for a site and a period, with the plan and the inputs it stands on.

    Attributes:
        period_end: last day of the period.
        estimated_savings_pkr: what the bill without solar would be more.
        is_actual: from actual readings of the period, not from estimates.
        inputs: everything that the calculation was given; the same inputs give the same `content_hash`.
        lines: the explained lines of the bill.
        coverage_percent: share of the period for which there were readings.
        is_automatic: by the monthly run, nobody asked for it.
        replaces_id: the automatic bill that readings which came later have made wrong; it stays as it was.
        origin: `simulated` here, or `entered` from the paper bill; then `estimated_bill_pkr` is what the paper says of the period.
        reference: the consumer's reference number on the paper.
        compared_to: the bill from the site's readings that an entered one is compared with.
    """

    __tablename__ = "billing_simulations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "site_id", "period_start", "period_end"),
        Index(None, "organization_id"),
        Index(None, "tariff_plan_id"),
        Index(None, "replaces_id"),
        Index(None, "compared_to"),
        CheckConstraint("period_end >= period_start", name="period_ascends"),
        one_of("origin", BILL_ORIGINS),
        CheckConstraint("origin <> 'entered' OR is_actual AND NOT is_automatic", name="entered_is_actual"),
        CheckConstraint("origin = 'entered' OR compared_to IS NULL", name="only_entered_compares"),
        ExcludeConstraint(
            ("site_id", "="),
            (text("daterange(period_start, period_end, '[]')"), "&&"),
            using="gist",
            where=text("origin = 'entered'"),
            name="ex_billing_simulations_entered_no_overlap",
        ),
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
    is_automatic: Mapped[bool] = mapped_column(server_default=text("false"))
    replaces_id: Mapped[UUID | None] = mapped_column(ForeignKey("billing_simulations.id", ondelete="SET NULL"))
    origin: Mapped[str] = mapped_column(String(20), server_default="simulated")
    reference: Mapped[str | None] = mapped_column(String(100))
    compared_to: Mapped[UUID | None] = mapped_column(ForeignKey("billing_simulations.id", ondelete="SET NULL"))


class _MonthOfSite:
    """A site's row of a bill month."""

    site_id: Mapped[UUID] = mapped_column(sort_order=-9)
    organization_id: Mapped[UUID] = mapped_column(sort_order=-8)
    bill_month: Mapped[date] = mapped_column(sort_order=-7)
    """Its first day."""


def _month_keys() -> tuple[PrimaryKeyConstraint | ForeignKeyConstraint | Index | CheckConstraint, ...]:
    return (
        PrimaryKeyConstraint("site_id", "bill_month"),
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "organization_id"),
        Index(None, "bill_id"),
        CheckConstraint("EXTRACT(day FROM bill_month) = 1", name="month_begins"),
    )


_MOVES = ("brought", "added", "used", "paid", "carried")


def _adds_up(part: str) -> CheckConstraint:
    brought, added, used, paid, carried = (f"{part}_{move}_kwh" for move in _MOVES)
    return CheckConstraint(f"{carried} = {brought} + {added} - {used} - {paid}", name=f"{part}_adds_up")


def _kwh_column() -> Mapped[Decimal]:
    return mapped_column(Numeric(14, 3), server_default=text("0"))


class ExportLedgerEntry(_MonthOfSite, Base):
    """Units of net metering that a bill brought forward, added, used and paid, in peak hours and the rest of the day.

    `carried = brought + added - used - paid`; what one month carries, the next brings forward.
    """

    __tablename__ = "export_ledger"
    __table_args__ = (
        *_month_keys(),
        _adds_up("peak"),
        _adds_up("off_peak"),
        CheckConstraint(
            " AND ".join(f"{part}_{move}_kwh >= 0" for part in ("peak", "off_peak") for move in _MOVES),
            name="kwh_not_negative",
        ),
        CheckConstraint("period_end >= period_start", name="period_ascends"),
    )

    period_start: Mapped[date]
    period_end: Mapped[date]
    bill_id: Mapped[UUID] = mapped_column(ForeignKey("billing_simulations.id", ondelete="CASCADE"))
    peak_brought_kwh: Mapped[Decimal] = _kwh_column()
    peak_added_kwh: Mapped[Decimal] = _kwh_column()
    peak_used_kwh: Mapped[Decimal] = _kwh_column()
    peak_paid_kwh: Mapped[Decimal] = _kwh_column()
    peak_carried_kwh: Mapped[Decimal] = _kwh_column()
    off_peak_brought_kwh: Mapped[Decimal] = _kwh_column()
    off_peak_added_kwh: Mapped[Decimal] = _kwh_column()
    off_peak_used_kwh: Mapped[Decimal] = _kwh_column()
    off_peak_paid_kwh: Mapped[Decimal] = _kwh_column()
    off_peak_carried_kwh: Mapped[Decimal] = _kwh_column()
    computed_at: Mapped[datetime]


class BillingRun(_MonthOfSite, Base):
    """The automatic bill of a site and month: due, made, or why there is none.

    Attributes:
        due_at: when it may be made, or tried again.
        settled_at: when it was made or skipped; readings computed after that make it due again.
        reason: why it was skipped, for programs; `message` for people.
        bill_id: the automatic bill that counts now.
    """

    __tablename__ = "billing_runs"
    __table_args__ = (
        *_month_keys(),
        Index("ix_billing_runs_due", "due_at", postgresql_where=text("state = 'due'")),
        CheckConstraint("period_end >= period_start", name="period_ascends"),
        CheckConstraint("state <> 'skipped' OR reason IS NOT NULL", name="skipped_says_why"),
        one_of("state", RUN_STATES),
    )

    period_start: Mapped[date]
    period_end: Mapped[date]
    state: Mapped[str] = mapped_column(String(20), server_default="due")
    due_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    reason: Mapped[str | None] = mapped_column(String(50))
    message: Mapped[str | None]
    bill_id: Mapped[UUID | None] = mapped_column(ForeignKey("billing_simulations.id", ondelete="SET NULL"))


class SavingsRate(_MonthOfSite, Base):
    """What one kWh more or less is worth to a site in a bill month: with it, days get their savings before there is a bill.

    Attributes:
        import_pkr_per_kwh: what one more kWh from the grid costs outside the peak hours, with adjustments and taxes.
        import_peak_pkr_per_kwh: the same in peak hours.
        export_pkr_per_kwh: what one exported kWh earns outside the peak hours.
        export_peak_pkr_per_kwh: the same in peak hours.
        reason: why there is no rate, for programs; `message` for people.
        days_savings_pkr: sum of the days' savings.
        bill_savings_pkr: savings by the month's bill; the difference to the days is what a single kWh cannot know.
        computed_at: days that were computed later have to be valued again.
    """

    __tablename__ = "savings_rates"
    __table_args__ = (
        *_month_keys(),
        CheckConstraint("(import_pkr_per_kwh IS NULL) = (reason IS NOT NULL)", name="rate_or_reason"),
    )

    import_pkr_per_kwh: Mapped[Decimal | None] = mapped_column(Numeric(14, 6))
    import_peak_pkr_per_kwh: Mapped[Decimal | None] = mapped_column(Numeric(14, 6))
    export_pkr_per_kwh: Mapped[Decimal | None] = mapped_column(Numeric(14, 6))
    export_peak_pkr_per_kwh: Mapped[Decimal | None] = mapped_column(Numeric(14, 6))
    reason: Mapped[str | None] = mapped_column(String(50))
    message: Mapped[str | None]
    days_savings_pkr: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    bill_savings_pkr: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    bill_id: Mapped[UUID | None] = mapped_column(ForeignKey("billing_simulations.id", ondelete="SET NULL"))
    computed_at: Mapped[datetime]
