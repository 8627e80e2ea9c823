"""Reports and the numbers they tell, in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.accounts.tables import Organization
from cloud.auth.schemas import Scope
from cloud.auth.scope import scoped
from cloud.core.ids import new_id
from cloud.reports.rules.measures import CurvePoint, DayEnergy, Factor
from cloud.reports.schemas import Branding, ReportOut
from cloud.reports.tables import Report, ReportTemplate
from cloud.telemetry.tables import EmissionFactor, TelemetryDailySummary, TelemetryQuarterHour
from cloud.web.paging import Paging
from shared.enums import ReportStatus, ReportType
from shared.periods import Window

_REPORT = tuple(getattr(Report, name) for name in ReportOut.model_fields)


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which reports are asked for."""

    organization_id: UUID | None = None
    report_type: ReportType | None = None
    status: ReportStatus | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A report that this worker has taken.

    Attributes:
        attempt: number of the attempt; only the latest one may finish the report.
    """

    report: ReportOut
    attempt: int


async def list_reports(
    conn: AsyncConnection, scope: Scope, paging: Paging, wanted: ReportFilter
) -> tuple[Sequence[ReportOut], str | None]:
    """A page of the reports in scope, the newest first."""
    statement = scoped(select(*_REPORT), Report.organization_id, scope)
    if wanted.organization_id is not None:
        statement = statement.where(Report.organization_id == wanted.organization_id)
    if wanted.report_type is not None:
        statement = statement.where(Report.report_type == wanted.report_type)
    if wanted.status is not None:
        statement = statement.where(Report.status == wanted.status)
    page = paging.apply(statement, Report.requested_at, Report.id, descending=True)
    rows = [ReportOut.model_validate(row) for row in await conn.execute(page)]
    return paging.split(rows, key=lambda row: (row.requested_at, row.id))


async def get_report(conn: AsyncConnection, report_id: UUID) -> ReportOut | None:
    """One report of those that the transaction sees."""
    row = (await conn.execute(select(*_REPORT).where(Report.id == report_id))).one_or_none()
    return None if row is None else ReportOut.model_validate(row)


async def file_path(conn: AsyncConnection, report_id: UUID) -> str | None:
    """Where the file of a report is in the file store."""
    path: str | None = (await conn.execute(select(Report.file_path).where(Report.id == report_id))).scalar_one_or_none()
    return path


async def add_report(conn: AsyncConnection, values: Mapping[str, Any]) -> UUID:
    """A new report, pending."""
    report_id = new_id()
    await conn.execute(insert(Report).values(id=report_id, **values))
    return report_id


async def count_waiting(conn: AsyncConnection, organization_id: UUID) -> int:
    """How many reports of an organisation are not finished."""
    statement = (
        select(func.count())
        .select_from(Report)
        .where(
            Report.organization_id == organization_id,
            Report.status.in_([ReportStatus.PENDING, ReportStatus.GENERATING]),
        )
    )
    return (await conn.execute(statement)).scalar_one()


def _is_due(now: datetime) -> Any:  # noqa: ANN401 -- a condition of SQLAlchemy's
    return or_(
        Report.status == ReportStatus.PENDING,
        and_(Report.status == ReportStatus.GENERATING, Report.claimed_until < now),
    )


async def claim_report(conn: AsyncConnection, report_id: UUID, *, now: datetime, lease: timedelta) -> Claim | None:
    """Take a report that nobody works on; None if somebody does, or it is done."""
    statement = (
        update(Report)
        .where(Report.id == report_id, _is_due(now))
        .values(
            status=ReportStatus.GENERATING,
            started_at=now,
            claimed_until=now + lease,
            attempts=Report.attempts + 1,
        )
        .returning(*_REPORT)
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else Claim(ReportOut.model_validate(row), row.attempts)


async def finish_report(conn: AsyncConnection, claim: Claim, values: Mapping[str, Any]) -> bool:
    """Write the outcome; False if another attempt has taken the report over meanwhile."""
    statement = (
        update(Report)
        .where(
            Report.id == claim.report.id,
            Report.status == ReportStatus.GENERATING,
            Report.attempts == claim.attempt,
        )
        .values(claimed_until=None, **values)
        .returning(Report.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def take_waiting(
    conn: AsyncConnection, *, now: datetime, waited: timedelta, quiet: timedelta, limit: int
) -> Sequence[UUID]:
    """Reports that nobody works on, to be asked for again; the same one not again for `quiet`."""
    waiting = (
        select(Report.id)
        .where(
            or_(
                and_(
                    Report.status == ReportStatus.PENDING,
                    Report.requested_at < now - waited,
                    or_(Report.claimed_until.is_(None), Report.claimed_until < now),
                ),
                and_(Report.status == ReportStatus.GENERATING, Report.claimed_until < now),
            )
        )
        .order_by(Report.requested_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("waiting")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    # A dead worker's report becomes pending here, so that its lease cannot be mistaken for a live one.
    statement = (
        update(Report)
        .where(Report.id == waiting.c.id)
        .values(status=ReportStatus.PENDING, claimed_until=now + quiet)
        .returning(Report.id)
    )
    return list((await conn.execute(statement)).scalars())


async def take_expired(conn: AsyncConnection, *, now: datetime, limit: int) -> Sequence[str]:
    """Mark reports as expired whose time is over; returns the paths of their files."""
    over = (
        select(Report.id, Report.file_path)
        .where(
            Report.expires_at < now,
            Report.status.in_([ReportStatus.COMPLETED, ReportStatus.DELIVERED]),
            Report.file_path.is_not(None),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("over")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    statement = (
        update(Report)
        .where(Report.id == over.c.id)
        .values(status=ReportStatus.EXPIRED, file_path=None)
        .returning(over.c.file_path)
    )
    return list((await conn.execute(statement)).scalars())


async def organization_name(conn: AsyncConnection, organization_id: UUID) -> str:
    """Name of an organisation that the transaction sees."""
    name: str = (await conn.execute(select(Organization.name).where(Organization.id == organization_id))).scalar_one()
    return name


async def default_branding(conn: AsyncConnection, organization_id: UUID, report_type: ReportType) -> Branding | None:
    """Branding of the organisation's default template for the type; None without one."""
    statement = select(ReportTemplate.branding).where(
        ReportTemplate.organization_id == organization_id,
        ReportTemplate.report_type == report_type,
        ReportTemplate.is_default,
        ReportTemplate.is_active,
    )
    branding = (await conn.execute(statement)).scalar_one_or_none()
    return None if branding is None else Branding.model_validate(branding)


async def factor(conn: AsyncConnection, kind: str) -> Factor:
    """The default emission factor of a kind (`grid_electricity`, `tree`)."""
    statement = select(EmissionFactor.value, EmissionFactor.name, EmissionFactor.source).where(
        EmissionFactor.kind == kind, EmissionFactor.is_default
    )
    row = (await conn.execute(statement)).one()
    unit = "kg CO₂ per kWh" if kind == "grid_electricity" else "kg CO₂ per tree"
    return Factor(float(row.value), unit, f"{row.name} ({row.source})")


async def site_days(conn: AsyncConnection, site_id: UUID, first: date, last: date) -> tuple[DayEnergy, ...]:
    """The site's own local days (not its devices')."""
    table = TelemetryDailySummary
    statement = (
        select(
            table.summary_date,
            table.energy_generated_kwh,
            table.energy_consumed_kwh,
            table.energy_imported_kwh,
            table.energy_exported_kwh,
            table.energy_charged_kwh,
            table.energy_discharged_kwh,
            table.energy_bridged_kwh,
            table.peak_power_kw,
            table.irradiation_kwh_m2,
            table.data_completeness_percent,
            table.irradiation_completeness_percent,
        )
        .where(table.site_id == site_id, table.device_id.is_(None), table.summary_date.between(first, last))
        .order_by(table.summary_date)
    )
    return tuple(DayEnergy(*row) for row in await conn.execute(statement))


async def site_curve(conn: AsyncConnection, site_id: UUID, window: Window) -> tuple[CurvePoint, ...]:
    """Mean powers of the site's quarter-hours in a window."""
    table = TelemetryQuarterHour
    statement = (
        select(
            table.bucket,
            table.power_mean_kw,
            table.load_power_mean_kw,
            table.grid_power_mean_kw,
            table.battery_power_mean_kw,
        )
        .where(
            table.site_id == site_id,
            table.device_id.is_(None),
            table.bucket >= window.start,
            table.bucket < window.end,
        )
        .order_by(table.bucket)
    )
    return tuple(CurvePoint(*row) for row in await conn.execute(statement))
